"""Preflight: sound letters pass (test_letters shows that for the whole matrix); each planted fault
is found by its rule.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ical import ics, preflight
from gateway.mail import compose
from gateway.model import Letter, Method, Recurrence
from gateway.writing import render
from tests.core.specimens import MAIL, SECOND, SECRET, SERIES, SINGLE, changed, letter

Fault = Callable[[bytes], bytes]


def mail(one: Letter, calendar: bytes | None = None, method: str | None = None) -> bytes:
    """A letter around a calendar object that may have been spoilt."""
    envelope = compose.Envelope(
        compose.Mailbox("Kari", MAIL.address),
        compose.Mailbox("Ola", one.address),
        one.organizer_address,
        one.message_id,
        one.dtstamp,
    )
    return compose.message(
        envelope,
        compose.Content(
            "Invitation",
            compose.quoted("text"),
            compose.quoted("<p>text</p>"),
            calendar or ics.calendar(one),
            method or one.method.value,
            "en",
        ),
    )


def rules(content: bytes, one: Letter) -> set[str]:
    return {problem.rule for problem in preflight.check(content, one, MAIL.address)}


def swap(old: bytes, new: bytes) -> Fault:
    def spoil(calendar: bytes) -> bytes:
        flat = calendar.replace(b"\r\n ", b"")
        assert re.search(old, flat, re.DOTALL), f"{old!r} is not in the object"
        lines = re.sub(old, new, flat, flags=re.DOTALL).split(b"\r\n")
        return b"\r\n".join(
            b"\r\n ".join(line[at : at + 74] for at in range(0, len(line), 74)) if line else line
            for line in lines
        )

    return spoil


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("P15", swap(rb"METHOD:REQUEST", b"METHOD:PUBLISH")),
        ("P15", swap(rb"METHOD:REQUEST\r\n", b"")),
        ("P15", swap(rb"VERSION:2.0\r\n", b"")),
        ("P15", swap(rb"DTSTAMP:[^\r]*\r\n", b"")),
        ("P15", swap(rb"UID:[^\r]*", b"UID:" + b"x" * 203)),
        ("P15", swap(rb"SUMMARY:[^\r]*", b"SUMMARY:a\x07b")),
        ("P15", swap(rb"DTEND;TZID=Europe/Oslo:[^\r]*", b"DTEND;TZID=Europe/Oslo:20261201T090000")),
        ("P15", swap(rb"DTEND;TZID=Europe/Oslo:[^\r]*", b"DTEND;VALUE=DATE:20261202")),
        ("P15", swap(rb"END:VEVENT\r\n", b"")),
        ("P15", swap(rb"SUMMARY:", b"SUMMARY ")),
        ("P15", lambda calendar: calendar.replace(b"\r\n", b"\n")),
        ("P15", lambda calendar: calendar.replace(b"\r\n ", b"")),
        ("P15", lambda calendar: calendar.replace(b"SUMMARY:", b"SUMMARY:\xff")),
        ("P15", lambda calendar: calendar[: len(calendar) // 2]),
        ("P15", lambda calendar: b"nothing of the kind\r\n"),
        ("P16", swap(rb"ATTENDEE;[^\r]*\r\n", b"")),
        ("P16", swap(rb"mailto:ola@ext.example", b"mailto:per@ext.example")),
        ("P16", swap(rb"RSVP=TRUE;", b"")),
        ("P16", swap(rb"PARTSTAT=NEEDS-ACTION", b"PARTSTAT=PERHAPS")),
        (
            "P16",
            swap(
                rb";PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Ola Hansen",
                b";RSVP=TRUE;CN=Ola Hansen;PARTSTAT=NEEDS-ACTION",
            ),
        ),
        ("P16", swap(rb"CN=Ola Hansen", b'CN="Hansen, Ola"')),
        (
            "P17",
            swap(
                rb"ORGANIZER;CN=Kari Nordmann:mailto:[^\r]*",
                b"ORGANIZER;CN=Kari Nordmann:mailto:kari@crm.example",
            ),
        ),
        (
            "P17",
            swap(
                rb"ORGANIZER;CN=Kari Nordmann:mailto:[^\r]*",
                b"ORGANIZER;CN=Kari Nordmann:mailto:ola@ext.example",
            ),
        ),
        ("P15", swap(rb"ORGANIZER;[^\r]*\r\n", b"")),
        ("P18", swap(rb"BEGIN:VTIMEZONE.*END:VTIMEZONE\r\n", b"")),
        ("P18", swap(rb"\r\nTZID:Europe/Oslo", b"\r\nTZID:Europe/Paris")),
        ("P18", swap(rb"BEGIN:STANDARD.*END:DAYLIGHT\r\n", b"")),
        ("P13", swap(rb"SEQUENCE:0", b"SEQUENCE:1")),
        ("P13", swap(rb"DTSTAMP:20261120T041500Z", b"DTSTAMP:20261120T041501Z")),
        ("P13", swap(rb"UID:[^\r]*", b"UID:another@crm.example")),
        ("P14", swap(rb"STATUS:CONFIRMED", b"STATUS:CANCELLED")),
        (
            "P11",
            swap(rb"SEQUENCE:0", b"RECURRENCE-ID;TZID=Europe/Oslo:20261201T090000\r\nSEQUENCE:0"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_planted_faults_are_found(rule: str, spoil: Fault) -> None:
    one = letter()
    sound = ics.calendar(one)
    assert preflight.check(mail(one, sound), one, MAIL.address) == []
    assert rule in rules(mail(one, spoil(sound)), one)


@pytest.mark.parametrize(
    "uid",
    ["040000008200E00074C5B7101A82E008" + "0" * 80, "x" * 202, "a,b;c\\d@old.example", "æ" * 101],
)
def test_the_uid_of_an_earlier_system_is_kept(uid: str) -> None:
    one = letter(replace(letter().edition, uid=uid))
    assert rules(mail(one), one) == set()
    assert rules(
        mail(one, swap(rb"UID:[^\r]*", b"UID:a,b;c@old.example")(ics.calendar(one))), one
    ) == {"P13"}


def test_a_uid_that_outlook_cannot_tell_from_another_is_found() -> None:
    one = letter(replace(letter().edition, uid="x" * 203))
    assert rules(mail(one), one) == {"P15"}


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ("FREQ=WEEKLY;BYDAY=TU", True),
        ("FREQ=WEEKLY;BYDAY=MO,TU", True),
        ("FREQ=WEEKLY;BYDAY=MO", False),
        ("FREQ=MONTHLY;BYDAY=1TU", True),
        ("FREQ=MONTHLY;BYDAY=2TU", False),
        ("FREQ=MONTHLY;BYDAY=-5TU", True),
        ("FREQ=MONTHLY;BYDAY=-1TU", False),
        ("FREQ=MONTHLY;BYMONTHDAY=1", True),
        ("FREQ=MONTHLY;BYMONTHDAY=-31", True),
        ("FREQ=MONTHLY;BYMONTHDAY=2", False),
        ("FREQ=YEARLY;BYMONTH=12", True),
        ("FREQ=YEARLY;BYMONTH=11", False),
        ("FREQ=WEEKLY;UNTIL=20261130", False),
        ("FREQ=WEEKLY;UNTIL=20261201", True),
        ("FREQ=HOURLY", False),
        ("FREQ=WEEKLY;COUNT=2;UNTIL=20261231", False),
        ("FREQ=WEEKLY;COUNT=0", False),
        ("FREQ=WEEKLY;INTERVAL=0", False),
        ("FREQ=WEEKLY;BYDAY=1TU", False),
        ("FREQ=WEEKLY;BYMONTHDAY=1", False),
        ("FREQ=MONTHLY;BYYEARDAY=335", False),
        ("FREQ=YEARLY;BYYEARDAY=335", True),
        ("FREQ=DAILY;INTERVAL=2;BYMONTHDAY=1;BYHOUR=9;WKST=SU;COUNT=3", True),
    ],
)
def test_the_rule_agrees_with_its_first_date(rule: str, good: bool) -> None:
    one = letter(replace(SERIES, recurrence=Recurrence(rule)))
    assert rules(mail(one), one) == (set() if good else {"P15"})


def test_a_cancellation_leaves_whatever_the_rule_was() -> None:
    """He holds what he was sent before the rule was looked at, and it must go (P14)."""
    held = replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY;COUNT=2;UNTIL=20261231"))
    one = letter(replace(held, cancelled=True), method=Method.CANCEL, before=held)
    assert rules(mail(one, method="CANCEL"), one) == set()


@pytest.mark.parametrize("until", [b"20270301", b"20270301T090000"])
def test_until_has_the_type_of_the_start(until: bytes) -> None:
    one = letter(replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY;UNTIL=20270301")))
    spoilt = swap(rb"UNTIL=20270301T225959Z", b"UNTIL=" + until)(ics.calendar(one))
    assert rules(mail(one, spoilt), one) == {"P15"}


def test_a_rule_in_a_single_date_is_found() -> None:
    one = letter(SERIES, instance=SECOND)
    spoilt = swap(rb"SEQUENCE:0", b"RRULE:FREQ=WEEKLY\r\nSEQUENCE:0")(ics.calendar(one))
    assert rules(mail(one, spoilt), one) == {"P11"}


def test_a_cancellation_without_its_status_is_found() -> None:
    one = changed("meeting", "cancelled")
    spoilt = swap(rb"STATUS:CANCELLED\r\n", b"")(ics.calendar(one))
    assert rules(mail(one, spoilt), one) == {"P14"}
    gone = changed("meeting", "withdrawn")
    spoilt = swap(rb"TRANSP:", b"STATUS:CANCELLED\r\nTRANSP:")(ics.calendar(gone))
    assert rules(mail(gone, spoilt), gone) == {"P14"}


def test_method_in_the_header_is_the_method_in_the_body() -> None:
    assert rules(mail(letter(), method="CANCEL"), letter()) == {"P15"}
    assert "P15" in rules(mail(letter()), replace(letter(), method=Method.CANCEL))


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("P19", b'From: "Kari" <invites@crm.example>', b"From: <invites@elsewhere.example>"),
        ("P19", b'From: "Kari" <invites@crm.example>', b"From: <ola@ext.example>"),
        ("P19", b"<ola@ext.example>", b"<ola@ext.example>, <per@ext.example>"),
        ("P19", b"<ola@ext.example>", b"<per@ext.example>"),
        ("P19", b"Subject: Invitation", b"X-Subject: Invitation"),
        ("P19", b"Subject: Invitation", b"Subject: Invitation\r\nSubject: once more"),
        ("P17", b"Reply-To: invites+", b"Reply-To: other+"),
        ("P13", b"Message-ID: <", b"Message-ID: <x"),
        ("P16", b"multipart/alternative", b"multipart/related"),
        ("P16", b"multipart/mixed", b"multipart/report"),
        ("P16", b"text/html", b"text/calendar"),
        ("P16", b"method=REQUEST\r\n", b"method=REQUEST\r\nContent-Disposition: attachment\r\n"),
        ("P15", b"Subject: Invitation\r\n", b"Subject: Invitation\n"),
        ("P15", b"Subject: Invitation", b"Subject: " + b"x" * 1000),
        ("P15", b"Subject: Invitation", "Subject: Møte".encode()),
        ("P15", b"--=_", b"--=="),
    ],
)
def test_faults_of_the_mail_are_found(rule: str, old: bytes, new: bytes) -> None:
    one = letter()
    content = mail(one)
    assert preflight.check(content, one, MAIL.address) == []
    assert old in content
    assert rule in rules(content.replace(old, new), one)


def test_an_account_that_moved_writes_to_those_who_answer_to_its_old_address() -> None:
    """An invitation keeps its ORGANIZER for life (contract.md §2, `mail.also`)."""
    one = letter(
        organizer_address="invites+abcdefgh234567@old.example",
        bounce_address="invites+b_abcdefgh234567@old.example",
    )
    for method in (Method.REQUEST, Method.CANCEL):
        kept = replace(one, method=method, before=one.edition)
        assert preflight.check(render.render(kept, MAIL, SECRET), kept, MAIL.address) == []
    assert [
        problem.rule
        for problem in preflight.check(render.render(one, MAIL, SECRET), one, "invites@old.example")
    ] == ["P19"]


def test_a_letter_that_is_too_large_is_held() -> None:
    one = letter(replace(SINGLE, agenda="0123456789" * 60_000))
    assert "P15" in rules(render.render(one, MAIL, SECRET), one)


def test_an_attachment_that_says_something_else_is_found() -> None:
    one, content = letter(), mail(letter())
    head, _, tail = content.rpartition(b"base64\r\n\r\n")
    other = base64.encodebytes(
        ics.calendar(replace(one, dtstamp=one.dtstamp + timedelta(seconds=1)))
    ).replace(b"\n", b"\r\n")
    spoilt = head + b"base64\r\n\r\n" + other + tail[tail.index(b"--=_") :]
    assert rules(spoilt, one) == {"P13", "P16"}


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("Ola@BLÅBÆR.example", "xn--blbr-roah.example"),
        ("ola@straße.example", "xn--strae-oqa.example"),
        ("ola@ελλάς.example", "xn--hxarsa0b.example"),
        ("ola@faß.example", "xn--fa-hia.example"),
    ],
)
def test_the_recipient_is_the_same_in_any_spelling(address: str, domain: str) -> None:
    """ß and ς are letters of their own (UTS 46): by IDNA 2003 ATTENDEE would name another domain
    than To, which may be somebody else's.
    """
    one = letter(address=address)
    content = render.render(one, MAIL, SECRET)
    assert preflight.check(content, one, MAIL.address) == []
    assert f"@{domain}>".encode() in content.partition(b"\r\n\r\n")[0]
    assert f"mailto:ola@{domain}".encode() in ics.calendar(one).lower().replace(b"\r\n ", b"")


@given(st.binary(max_size=400))
def test_nothing_raises(noise: bytes) -> None:
    one = letter()
    assert preflight.check(noise, one, MAIL.address)
    assert preflight.check(mail(one, b"BEGIN:VCALENDAR\r\n" + noise), one, MAIL.address)
    content = mail(one)
    assert isinstance(
        preflight.check(content[:700] + noise + content[700:], one, MAIL.address), list
    )


@given(st.integers(0, 3000), st.integers(0, 255))
def test_no_changed_byte_raises(place: int, value: int) -> None:
    one = changed("series-with-dates", "moved")
    calendar = bytearray(ics.calendar(one))
    calendar[place % len(calendar)] = value
    assert isinstance(preflight.check(mail(one, bytes(calendar)), one, MAIL.address), list)
