"""Whole letters: what is in them, in which words,
and that nothing in a record can break out of its place.
"""

import email
import email.policy
import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from babel.messages import pofile
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from gateway import i18n
from gateway.errors import InputError
from gateway.followups import editions, texts
from gateway.ical import ics, preflight
from gateway.mail import compose, links
from gateway.model import DateChange, Edition, Kind, Letter, Method, Recurrence, Reply
from gateway.sections import Mail
from gateway.writing import news, render, repeats, wording
from tests.core import specimens
from tests.core.specimens import (
    HOUR,
    MAIL,
    SECOND,
    SECRET,
    SERIES,
    SINGLE,
    START,
    WEEK,
    WITH_DATES,
    changed,
    letter,
)

KEYWORDS = {
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "marked": None,
    "_": None,
}
HEADERS = [
    "Date",
    "From",
    "Reply-To",
    "To",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]

Record = TypeVar("Record", Edition, Letter)


def parsed(one: Letter, mail: Mail = MAIL, *, receipt: bool = False) -> EmailMessage:
    return read(render.render(one, mail, SECRET, receipt=receipt))


def read(content: bytes) -> EmailMessage:
    """The letter as a strict reader sees it, without a single defect."""
    message = email.message_from_bytes(content, policy=email.policy.strict)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
        assert [value.defects for value in part.values()] == [()] * len(part.keys())
    return message


def text(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content


def teller(one: Letter) -> wording.Teller:
    return wording.Teller(one, i18n.catalogue(one.language), MAIL.name)


class Page(HTMLParser):
    """What a mail client makes of the HTML:
    elements with their attributes, and the text between them.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("change", specimens.CHANGES)
@pytest.mark.parametrize("kind", specimens.KINDS)
def test_every_letter_may_leave(kind: str, change: str) -> None:
    for one in specimens.matrix(kind, change):
        content = render.render(one, MAIL, SECRET)
        assert render.render(one, MAIL, SECRET) == content, "a repeat is byte for byte the same"
        assert preflight.check(content, one, MAIL.address) == []
        assert content.isascii()
        assert max(len(line) for line in content.split(b"\r\n")) <= 78
        message = read(content)
        assert message.keys() == HEADERS
        structure = [
            (part.get_content_type(), part.get_content_disposition()) for part in message.walk()
        ]
        assert structure == [
            ("multipart/mixed", None),
            ("multipart/alternative", None),
            ("text/plain", None),
            ("text/html", None),
            ("text/calendar", None),
            ("application/ics", "attachment"),
        ]
        calendar = [
            part
            for part in message.walk()
            if part.get_content_type() in ("text/calendar", "application/ics")
        ]
        assert {part.get_payload(decode=True) for part in calendar} == {ics.calendar(one)}
        assert dict(calendar[0]["Content-Type"].params) == {
            "charset": "utf-8",
            "method": one.method.value,
        }
        assert calendar[1].get_filename() == "invite.ics"
        words = i18n.catalogue(one.language)
        told = news.of(one)
        assert message["Subject"].startswith(words.gettext(specimens.heading(one)) + ": ")
        assert told.value == change
        for part in ("plain", "html"):
            assert re.search(r"%\(|\{\{|\{%|Undefined|None\b", text(message, part)) is None
        page = Page(text(message, "html"))
        assert page.all("html")[0]["lang"] == one.language
        assert all(table["role"] == "presentation" for table in page.all("table"))
        heads = [tag for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
        assert (heads[0], heads.count("h1")) == ("h1", 1)
        assert len(page.all("a")) == (3 if one.method is Method.REQUEST else 0) + (
            1 if kind == "rich" else 0
        )


def test_who_writes_to_whom() -> None:
    message = parsed(letter())
    assert message["From"].addresses[0].display_name == "Kari Nordmann via Firma AS"
    assert message["From"].addresses[0].addr_spec == "invites@crm.example"
    assert str(message["Reply-To"]) == "invites+abcdefgh234567@crm.example"
    assert message["To"].addresses[0].display_name == "Ola Hansen"
    assert message["To"].addresses[0].addr_spec == "ola@ext.example"
    assert message["Message-ID"] == "<k5v7q2@crm.example>"
    assert message["Date"].datetime == datetime(2026, 11, 20, 4, 15, tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    ("organizer", "organisation", "expected"),
    [
        ("Kari Nordmann", "", "Kari Nordmann"),
        ("", "Firma AS", "Firma AS"),
        ("", "", ""),
        ("Kåre Ærlig", 'Blåbær & Sønner, avd. "Øst"', 'Kåre Ærlig via Blåbær & Sønner, avd. "Øst"'),
        ("Kari", "x" * 200, "Kari via " + "x" * 200),
    ],
)
def test_names_in_from(organizer: str, organisation: str, expected: str) -> None:
    message = parsed(letter(replace(SINGLE, organizer=organizer)), replace_mail(name=organisation))
    # Python's reader puts a space between two encoded words of a phrase, against RFC 2047 §6.2.
    assert message["From"].addresses[0].display_name.replace(" ", "") == expected.replace(" ", "")


def replace_mail(**settings: object) -> Mail:
    return Mail(**{**MAIL.model_dump(), **settings})


def test_the_attachment_can_be_switched_off() -> None:
    one = letter()
    mail = replace_mail(attach_ics=False)
    kinds = [part.get_content_type() for part in parsed(one, mail).walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    assert preflight.check(render.render(one, mail, SECRET), one, MAIL.address) == []


def test_a_receipt_is_asked_for_only_when_wanted_and_only_of_an_invitation() -> None:
    assert (
        parsed(letter(), receipt=True)["Disposition-Notification-To"]
        == "invites+abcdefgh234567@crm.example"
    )
    assert (
        parsed(changed("meeting", "cancelled"), receipt=True)["Disposition-Notification-To"] is None
    )
    assert parsed(letter())["Disposition-Notification-To"] is None


def test_sender_only_where_it_differs() -> None:
    content = compose.Content(
        "s", b"t\r\n", b"<p>h</p>\r\n", ics.calendar(letter()), "REQUEST", "nb"
    )
    for sender, expected in (
        ("", None),
        ("Invites@crm.example", "Invites@crm.example"),
        ("invites@crm.example", None),
        ("robot@crm.example", "robot@crm.example"),
    ):
        envelope = compose.Envelope(
            compose.Mailbox("Kari", "invites@crm.example"),
            compose.Mailbox("", "ola@ext.example"),
            "invites@crm.example",
            "x@crm.example",
            START,
            sender=sender,
        )
        message = email.message_from_bytes(
            compose.message(envelope, content), policy=email.policy.strict
        )
        assert message["Sender"] == expected


def test_a_letter_in_norwegian() -> None:
    message = parsed(
        letter(
            replace(
                SINGLE,
                agenda="Status\nØkonomi",
                location="Fjord",
                video_url="https://meet.example/1",
            )
        )
    )
    assert message["Subject"] == "Invitasjon: Kick-off (1. des. 2026 kl. 09.00)"
    body = text(message)
    for line in (
        "Kari Nordmann, Firma AS, inviterer deg til et møte.",
        "  Kari Nordmann, Firma AS",
        "  tirsdag 1. desember 2026 kl. 09.00–10.00 (Oslo, UTC+1)",
        "  Fjord",
        "  https://meet.example/1",
        "Status",
        "Økonomi",
        "Ja:",
        "Kanskje:",
        "Nei:",
    ):
        assert line in body.splitlines()


def test_a_letter_in_english_to_another_zone() -> None:
    message = parsed(letter(language="en", timezone="America/New_York"))
    assert message["Subject"] == "Invitation: Kick-off (1 Dec 2026, 03:00)"
    lines = text(message).splitlines()
    at = lines.index("  Tuesday, 1 December 2026, 03:00–04:00 (New York, UTC−5)")
    assert lines[at + 1] == "  Tuesday, 1 December 2026, 09:00–10:00 (Oslo, UTC+1)", (
        "the owner's zone beside it"
    )


def test_the_owners_zone_is_left_out_where_the_clocks_agree() -> None:
    assert len(teller(letter(timezone="Europe/Stockholm")).when(SINGLE, None)) == 1
    assert len(teller(letter(timezone="Africa/Tunis")).when(SINGLE, None)) == 1
    assert len(teller(letter(timezone="Africa/Tunis")).when(SERIES, None)) == 2, (
        "they differ in summer"
    )


@pytest.mark.parametrize(
    ("edition", "language", "expected"),
    [
        (specimens.KINDS["all-day"], "nb", "tirsdag 1. desember 2026 – torsdag 3. desember 2026"),
        (specimens.KINDS["task"], "nb", "tirsdag 1. desember 2026"),
        (specimens.KINDS["no-end"], "nb", "tirsdag 1. desember 2026 kl. 09.00 (Oslo, UTC+1)"),
        (
            specimens.KINDS["over-midnight"],
            "nb",
            "tirsdag 1. desember 2026 kl. 09.00 – torsdag 3. desember 2026 kl. 01.00 (Oslo, UTC+1)",
        ),
        (
            specimens.KINDS["over-midnight"],
            "en",
            "Tuesday, 1 December 2026, 09:00 – Thursday, 3 December 2026, 01:00 (Oslo, UTC+1)",
        ),
    ],
)
def test_times_as_people_write_them(edition: Edition, language: str, expected: str) -> None:
    assert teller(letter(edition, language=language)).when(edition, None) == (expected,)


@pytest.mark.parametrize(
    ("rule", "norwegian", "english"),
    [
        ("FREQ=DAILY", "hver dag", "every day"),
        ("FREQ=DAILY;INTERVAL=3;COUNT=1", "hver 3. dag, 1 gang", "every 3 days, 1 time"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "hver ukedag (mandag–fredag)", "every weekday"),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;COUNT=5",
            "annenhver uke på tirsdager og torsdager, 5 ganger",
            "every other week on Tuesday and Thursday, 5 times",
        ),
        (
            "FREQ=MONTHLY;BYDAY=2TU",
            "hver måned den andre tirsdagen",
            "every month on the second Tuesday",
        ),
        (
            "FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1",
            "hver måned den siste fredagen",
            "every month on the last Friday",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=15", "hver måned den 15.", "every month on day 15"),
        (
            "FREQ=YEARLY;UNTIL=20301201",
            "hvert år, til og med 1. des. 2030",
            "every year, until 1 Dec 2030",
        ),
        ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", "hver ukedag (mandag–fredag)", "every weekday"),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TU,WE,TH,FR;WKST=SU",
            "annenhver uke på mandager, tirsdager, onsdager, torsdager og fredager",
            "every other week on Monday, Tuesday, Wednesday, Thursday and Friday",
        ),
        (
            "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=15",
            "annenhver måned den 15.",
            "every other month on day 15",
        ),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=1", "hvert år", "every year"),
        *(
            (rule, "en serie datoer", "a series of dates")
            for rule in (
                "FREQ=HOURLY",
                "FREQ=MONTHLY;BYDAY=-2FR",
                "FREQ=MONTHLY;BYDAY=5MO",
                "FREQ=MONTHLY;BYDAY=MO",
                "FREQ=MONTHLY;BYMONTHDAY=-1",
                "FREQ=MONTHLY;BYMONTHDAY=1,15",
                "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
                "FREQ=YEARLY;BYMONTH=5;BYDAY=1MO",
                "FREQ=YEARLY;BYMONTH=5,6",
                "FREQ=WEEKLY;BYDAY=TU;BYMONTH=6",
                "FREQ=DAILY;BYDAY=TU",
            )
        ),
    ],
)
def test_rules_in_words(rule: str, norwegian: str, english: str) -> None:
    for language, expected in (("nb", norwegian), ("en", english)):
        assert (
            repeats.said(
                replace(specimens.SINGLE, recurrence=Recurrence(rule)), i18n.catalogue(language)
            )
            == expected
        )


def test_the_last_day_of_a_series_is_one_of_the_owners_calendar() -> None:
    """UNTIL is in UTC (RFC 5545 §3.3.10),
    and eight in the morning in Tokyo is the day before there.
    """
    first = datetime(2026, 11, 30, 23, tzinfo=UTC)
    weekly = replace(
        SINGLE,
        start=first,
        end=first + HOUR,
        timezone="Asia/Tokyo",
        recurrence=Recurrence("FREQ=WEEKLY;UNTIL=20270105T230000Z"),
    )
    assert repeats.said(weekly, i18n.catalogue("en")) == "every week, until 6 Jan 2027"
    assert repeats.said(
        replace(weekly, recurrence=Recurrence("FREQ=WEEKLY;UNTIL=20270106")), i18n.catalogue("en")
    ).endswith("6 Jan 2027")


def test_what_has_no_title_is_answered_by_what_it_is() -> None:
    one = letter(replace(SINGLE, title="", kind=Kind.TASK), language="en")
    assert "subject=Yes%3A%20Task%20%5Byes%20all" in text(parsed(one))


def test_a_task_has_a_description_and_no_agenda() -> None:
    for kind, label, other in (
        (Kind.MEETING, "Agenda", "Description"),
        (Kind.TASK, "Description", "Agenda"),
    ):
        said = text(
            parsed(letter(replace(SINGLE, kind=kind, agenda="1. Status"), language="en"))
        ).splitlines()
        assert said[said.index(label) :][:3] == [label, "-" * len(label), "1. Status"]
        assert other not in said


def test_a_list_of_dates_in_words() -> None:
    told = {one.label: one.lines for one in teller(letter(specimens.KINDS["dates"])).facts()}
    assert told["Gjentas"] == ("på 2 datoer til",), "the first is the start itself"
    assert len(told["Også"]) == 2
    once = letter(SINGLE, before=replace(SINGLE, recurrence=Recurrence("FREQ=WEEKLY"), sequence=0))
    assert [(one.label, one.before, one.now) for one in teller(once).differences()] == [
        ("Gjentas", ("hver uke",), ("bare én gang",))
    ]


def test_who_passed_it_on_is_told_to_whom() -> None:
    assert "Ola Hansen har sendt" in text(parsed(specimens.delegated()))
    assert "Du har sendt denne invitasjonen videre til Eva Lund." in text(
        parsed(specimens.passed_on())
    )


def test_what_changed_is_told_old_and_new() -> None:
    before = replace(
        SINGLE, title="Oppstart", location="Bølgen", agenda="Kaffe", guest_list_public=True
    )
    now = replace(
        SINGLE, start=START + HOUR, end=START + 2 * HOUR, location="", sequence=1, significant=1
    )
    told = {
        one.label: (one.before, one.now) for one in teller(letter(now, before=before)).differences()
    }
    assert told == {
        "Tittel": (("Oppstart",), ("Kick-off",)),
        "Når": (
            ("tirsdag 1. desember 2026 kl. 09.00–10.00 (Oslo, UTC+1)",),
            ("tirsdag 1. desember 2026 kl. 10.00–11.00 (Oslo, UTC+1)",),
        ),
        "Hvor": (("Bølgen",), ("ikke oppgitt",)),
        "Agenda": ((), ("fjernet",)),
        "Deltakerliste": ((), ("ikke lenger synlig for deltakerne",)),
    }
    body = text(parsed(letter(now, before=before)))
    assert "  før: Bølgen" in body
    assert "  nå: ikke oppgitt" in body


def test_a_move_back_and_forth_still_asks_again() -> None:
    raised = replace(SINGLE, sequence=2, significant=2)
    assert news.of(letter(raised, before=SINGLE)) is news.Change.STANDS
    assert teller(letter(raised, before=SINGLE)).differences() == []
    renamed = replace(raised, title="Oppstart")
    assert news.of(letter(renamed, before=SINGLE)) is news.Change.UPDATED


def test_a_shortened_series_is_updated_and_not_moved() -> None:
    short = replace(
        SERIES, recurrence=Recurrence("FREQ=WEEKLY;UNTIL=20261215;BYDAY=TU"), sequence=1
    )
    one = letter(short, before=SERIES, reply=Reply.ACCEPTED)
    assert news.of(one) is news.Change.UPDATED
    assert "Svaret ditt gjelder fortsatt: ja." in text(parsed(one))


def test_the_same_letter_again_is_an_invitation() -> None:
    assert news.of(letter(before=SINGLE)) is news.Change.INVITATION
    answered = replace(specimens.LISTED, guests=())
    assert news.of(letter(specimens.LISTED, before=answered)) is news.Change.INVITATION


def test_one_date_of_a_series_is_told_apart() -> None:
    moved = letter(WITH_DATES, before=SERIES, instance=SECOND, sequence=2)
    assert news.of(moved) is news.Change.MOVED
    body = text(parsed(moved))
    assert "Dette gjelder bare denne ene datoen i en serie." in body
    assert "tirsdag 8. desember 2026 kl. 11.00–12.00" in body
    back = replace(SERIES, dates=(), sequence=3)
    gone = replace(SERIES, dates=(replace(WITH_DATES.dates[1], original=SECOND),))
    assert news.of(letter(back, before=gone, instance=SECOND)) is news.Change.REINSTATED


def test_a_series_is_named_by_its_first_date_that_takes_place() -> None:
    for gone in (
        replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY;COUNT=6", exdates=(START,))),
        replace(SERIES, dates=(DateChange(START, cancelled=True, cancel_reason="Julebord"),)),
    ):
        told = teller(letter(gone))
        assert told.subject() == "Invitasjon: Ukesmøte (8. des. 2026 kl. 09.00)"
        assert told.facts()[0].lines == ("tirsdag 8. desember 2026 kl. 09.00–10.00 (Oslo, UTC+1)",)
        assert b"DTSTART;TZID=Europe/Oslo:20261201T090000" in ics.calendar(told.letter), (
            "where the rule begins"
        )
    moved = replace(SERIES, dates=(DateChange(START, START + HOUR, START + 2 * HOUR),))
    assert "1. des. 2026 kl. 09.00" in teller(letter(moved)).subject(), "the others are at nine"


def test_a_withdrawn_invitation_is_not_a_cancelled_meeting() -> None:
    body = text(parsed(changed("meeting", "withdrawn")))
    assert "trukket denne invitasjonen tilbake" in body
    assert "ikke avlyst" in body
    assert "har avlyst" not in body


@pytest.mark.parametrize("kind", ["answer-by", "one-date", "rich"])
def test_a_cancellation_says_why(kind: str) -> None:
    message = parsed(changed(kind, "cancelled"))
    (told,) = (line for line in text(message).splitlines() if line.startswith("Årsak: "))
    why = told.removeprefix("Årsak: ")
    assert why == " ".join(re.sub("\x1b", "", specimens.REASONS[kind]).split()) or (
        kind == "rich" and why.endswith("…")
    )
    assert len(why) <= texts.LONGEST_REASON
    assert [words for words in Page(text(message, "html")).words if words == told], (
        "the same in the HTML, and no markup"
    )
    assert (
        Calendar.from_ical(ics.calendar(changed(kind, "cancelled"))).walk("VEVENT")[0]["comment"]
        == why
    )


@pytest.mark.parametrize("change", [one for one in specimens.CHANGES if one != "cancelled"])
def test_no_other_letter_says_why(change: str) -> None:
    """A withdrawal cancels nothing; what takes place has no reason not to."""
    one = changed("answer-by", change)
    assert b"COMMENT" not in ics.calendar(one)
    assert "Årsak" not in text(parsed(one))
    assert "Årsak" not in text(parsed(changed("answer-by", "withdrawn")), "html")


def test_a_cancellation_without_a_reason_gives_none() -> None:
    one = changed("meeting", "cancelled")
    for why in ("", " \r\n", "\x00\x1b"):
        silent = replace(one, edition=replace(one.edition, cancel_reason=why))
        assert ics.calendar(silent) == ics.calendar(one)
        assert "Årsak" not in text(parsed(silent))


WANTED = specimens.KINDS["answer-by"]
BY = START - timedelta(days=4)


def asked_by(one: Letter) -> tuple[str, ...]:
    return next(
        (fact.lines for fact in teller(one).facts() if fact.label == "Vi ber om svar innen"), ()
    )


def test_an_invitation_says_by_when_an_answer_is_wanted_in_the_readers_zone() -> None:
    assert asked_by(letter(WANTED)) == ("fredag 27. november 2026 kl. 09.00 (Oslo, UTC+1)",)
    assert asked_by(letter(WANTED, timezone="Asia/Tokyo")) == (
        "fredag 27. november 2026 kl. 17.00 (Tokyo, UTC+9)",
        "fredag 27. november 2026 kl. 09.00 (Oslo, UTC+1)",
    )


@pytest.mark.parametrize(
    "one",
    [
        letter(SINGLE),
        letter(WANTED, reply=Reply.ACCEPTED),
        letter(WANTED, dtstamp=BY),
        changed("answer-by", "cancelled"),
        changed("answer-by", "withdrawn"),
        changed("answer-by", "proposal_declined"),
    ],
)
def test_nobody_is_urged_who_need_not_or_can_no_longer_answer_in_time(one: Letter) -> None:
    assert asked_by(one) == ()
    assert "Vi ber om svar innen" not in text(parsed(one))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (None, BY, ("ikke oppgitt", "fredag 27. november 2026 kl. 09.00 (Oslo, UTC+1)")),
        (
            BY,
            BY + timedelta(days=1),
            (
                "fredag 27. november 2026 kl. 09.00 (Oslo, UTC+1)",
                "lørdag 28. november 2026 kl. 09.00 (Oslo, UTC+1)",
            ),
        ),
        (BY, None, ("fredag 27. november 2026 kl. 09.00 (Oslo, UTC+1)", "ikke oppgitt")),
    ],
)
def test_another_deadline_is_told_old_and_new(
    before: datetime | None, now: datetime | None, told: tuple[str, str]
) -> None:
    one = letter(replace(SINGLE, answer_by=now), before=replace(SINGLE, answer_by=before))
    assert news.of(one) is news.Change.UPDATED
    assert [(one.label, *one.before, *one.now) for one in teller(one).differences()] == [
        ("Svarfrist", *told)
    ]


@pytest.mark.parametrize(
    ("kind", "urged"),
    [
        ("meeting", "Vi ber deg svare før tidspunktet nedenfor."),
        ("task", "Vi ber deg svare før fristen nedenfor."),
        ("answer-by", ""),
    ],
)
def test_a_reminder_says_what_is_missing_and_by_when(kind: str, urged: str) -> None:
    one = changed(kind, "reminder")
    assert teller(one).subject().startswith("Påminnelse: ")
    assert (
        teller(one).lead()
        == f"Kari Nordmann, Firma AS, har ikke fått svar fra deg på denne invitasjonen ennå. {urged}".strip()
    )
    assert bool(asked_by(one)) is not bool(urged)
    late = replace(one, dtstamp=START - HOUR)
    assert teller(late).lead().endswith("nedenfor."), "no time that has passed is named"


@pytest.mark.parametrize(
    ("kind", "at"),
    [("all-day", letter().dtstamp), ("all-day-series", letter().dtstamp), ("series", START + HOUR)],
)
def test_a_reminder_names_no_start_that_is_no_end(kind: str, at: datetime) -> None:
    assert teller(replace(changed(kind, "reminder"), dtstamp=at)).lead().endswith("ennå.")


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (letter(replace(SINGLE, answer_by=START)), True),
        (letter(replace(SINGLE, answer_by=START + HOUR)), False),
        (letter(replace(SERIES, answer_by=START)), True),
        (letter(replace(specimens.SERIES, answer_by=SECOND)), False),
        (letter(replace(SERIES, answer_by=SECOND), dtstamp=START + HOUR), True),
        (letter(replace(WITH_DATES, answer_by=SECOND + HOUR), instance=SECOND), True),
        (letter(replace(WITH_DATES, answer_by=SECOND + 3 * HOUR), instance=SECOND), False),
        (letter(editions.seen(replace(WITH_DATES, answer_by=SECOND + HOUR), SECOND)), True),
        (letter(editions.seen(replace(WITH_DATES, answer_by=SECOND + 3 * HOUR), SECOND)), False),
    ],
)
def test_a_time_after_what_is_asked_about_is_not_named(one: Letter, told: bool) -> None:
    assert bool(asked_by(one)) is told


def test_who_has_answered_reads_nothing_of_another_deadline() -> None:
    one = letter(replace(SINGLE, answer_by=BY), before=SINGLE, reply=Reply.ACCEPTED)
    assert news.of(one) is news.Change.INVITATION
    assert (
        teller(replace(one, edition=replace(one.edition, title="X"))).differences()[0].label
        == "Tittel"
    )
    assert len(teller(replace(one, edition=replace(one.edition, title="X"))).differences()) == 1


def test_a_move_that_goes_with_a_reminder_is_told_as_a_move() -> None:
    one = changed("meeting", "moved")
    assert (
        news.of(replace(one, remarks=changed("meeting", "reminder").remarks)) is news.Change.MOVED
    )


def test_answer_links_lead_to_the_token_address_with_a_valid_tag() -> None:
    one = letter(WITH_DATES, instance=SECOND, sequence=7)
    message = parsed(one)
    page = Page(text(message, "html"))
    found = [attributes["href"] for attributes in page.all("a")]
    assert found == re.findall(r"mailto:\S+", text(message)), (
        "text and HTML lead to the same places"
    )
    answers = []
    for url in found:
        parts = urlsplit(url)
        assert unquote(parts.path) == "invites+abcdefgh234567@crm.example"
        (subject,) = parse_qs(parts.query, strict_parsing=True)["subject"]
        tag = links.parse(subject)
        assert tag is not None
        assert (tag.moment, tag.sequence, links.valid(SECRET, one.token, tag)) == (SECOND, 7, True)
        answers.append(tag.answer)
    assert answers == [Reply.ACCEPTED, Reply.TENTATIVE, Reply.DECLINED]
    assert "mailto:" not in text(parsed(changed("meeting", "cancelled")))


def test_letters_that_ask_lead_to_the_answer_page_where_there_is_one() -> None:
    """And are the same as ever, byte for byte, where there is none."""
    site = "https://answer.example"
    one = letter(WITH_DATES, instance=SECOND, sequence=7)
    with_page = render.written(one, MAIL, SECRET, site)
    token = links.page_token(SECRET, one.token)
    address = f"{site}/a/{token}/{links.instance_name(SECOND)}"
    assert f"  {address}\n" in with_page.text
    page = Page(with_page.html)
    assert [attributes["href"] for attributes in page.all("a")][-1] == address
    assert one.token not in address
    whole = render.render(letter(), MAIL, SECRET, page=site)
    assert whole.replace(b"=\r\n", b"").count(f"/a/{token}".encode()) == 2
    assert not preflight.check(whole, letter(), MAIL.address)
    off = changed("meeting", "cancelled")
    assert render.render(off, MAIL, SECRET, page=site) == render.render(off, MAIL, SECRET)
    assert b"/a/" not in render.render(letter(), MAIL, SECRET)


def test_the_subject_of_a_letter_answers_nothing() -> None:
    forged = links.subject_tag(
        Reply.ACCEPTED, "all", 0, links.check(SECRET, "abcdefgh234567", "all", 0)
    )
    one = letter(replace(SINGLE, title=f"Lunsj {forged}"))
    assert links.parse(f"Re: {parsed(one)['Subject']}") is None


def test_guests_are_named_only_while_the_list_is_public() -> None:
    body = text(parsed(letter(specimens.LISTED)))
    assert "  Ola Hansen (ja)" in body
    assert "Fjord (ikke svart)" in body
    private = render.render(
        letter(replace(specimens.LISTED, guest_list_public=False)), MAIL, SECRET
    )
    message = email.message_from_bytes(private, policy=email.policy.strict)
    assert not any(
        b"per@other" in (part.get_payload(decode=True) or b"") for part in message.walk()
    )


@pytest.mark.parametrize("change", ["invitation", "moved", "cancelled"])
def test_html_loads_nothing_and_escapes_everything(change: str) -> None:
    hostile = (
        "<script>alert(1)</script><img src=//evil.example/x>\"'><a href=javascript:alert(1)>&lt;"
    )
    base = changed("meeting", change)
    edition = replace(
        base.edition,
        title=hostile,
        agenda=hostile,
        location=hostile,
        organizer=hostile,
        video_url="javascript:alert(1)",
        guest_list_public=True,
        guests=(replace(specimens.LISTED.guests[0], name=hostile), *specimens.LISTED.guests[1:]),
    )
    before = base.before and replace(
        base.before,
        title=hostile + "x",
        agenda=hostile,
        video_url="data:text/html,x",
        organizer=hostile,
    )
    one = replace(base, edition=edition, before=before, address_name=hostile)
    html = text(parsed(one, replace_mail(name=hostile)), "html")
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "video",
    }
    assert not [
        name
        for _, attributes in page.elements
        for name in attributes
        if name.startswith("on") or name in ("src", "background", "srcset")
    ]
    assert {urlsplit(attributes["href"]).scheme for attributes in page.all("a")} <= {"mailto"}
    assert not re.search(r"url\(|@import|@font-face|expression\(", html)
    assert any("<script>alert(1)</script>" in words for words in page.words), "shown, not run"


def test_html_is_made_for_dark_mode_and_small_screens() -> None:
    html = text(parsed(changed("rich", "moved")), "html")
    assert "@media (prefers-color-scheme: dark)" in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert not re.search(r"[; \"]width:\s*\d{3,}px", html), "nothing is wider than a telephone"
    assert "overflow-wrap: anywhere" in html


def luminance(colour: str) -> float:
    parts = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_are_readable() -> None:
    """WCAG 2.1 §1.4.3: 4.5 to 1 for text, in both schemes and on every ground that it stands on."""
    style = (render.TEMPLATES / "letter.css").read_text(encoding="utf-8")
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    seen = 0
    for part, grounds in (
        (light, ("#ffffff", "#eef1f4", "#fff8e5")),
        (dark, ("#161b22", "#0d1117", "#2b2411")),
    ):
        for colour in set(re.findall(r"[{; ]color: (#[0-9a-f]{6})", part)) - {"#ffffff"}:
            for ground in grounds:
                assert ground in part
                bright, dim = sorted((luminance(colour), luminance(ground)), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, f"{colour} on {ground}"
                seen += 1
    for ground in re.findall(
        r"\.(?:chip|moved|updated|cancelled, \.withdrawn|answer|maybe|no) \{[^}]*background-color: (#\w{6})",
        light,
    ):
        assert 1.05 / (luminance(ground) + 0.05) >= 4.5, f"white on {ground}"
        seen += 1
    assert seen > 20


EVIL = "x\r\nBcc: evil@evil.example\r\n\r\n--boundary\n\x00\x85\u2028Subject: owned\r.\r\n"


def with_text(value: Record, field: str, text: str) -> Record:
    texts: dict[str, Any] = {field: text}
    return replace(value, **texts)


@pytest.mark.parametrize(
    "field", [field.name for field in fields(Edition) if field.type in (str, "str")]
)
def test_no_field_of_a_follow_up_breaks_out(field: str) -> None:
    for change in ("invitation", "moved", "cancelled"):
        one = changed("meeting", change)
        one = replace(
            one,
            edition=with_text(one.edition, field, EVIL),
            before=one.before and with_text(one.before, field, EVIL + "before"),
        )
        unbroken(one, MAIL)


@pytest.mark.parametrize(
    "field", [field.name for field in fields(Letter) if field.type in (str, "str")]
)
def test_no_field_of_a_letter_breaks_out(field: str) -> None:
    unbroken(with_text(letter(), field, EVIL), MAIL)
    unbroken(with_text(letter(), field, "ola@ext.example" + EVIL), MAIL)


@pytest.mark.parametrize("field", ["name", "address", "language", "timezone"])
def test_no_setting_breaks_out(field: str) -> None:
    unbroken(letter(), MAIL.model_copy(update={field: EVIL}))


@given(st.text(), st.text(), st.text())
def test_no_text_breaks_out(title: str, name: str, organizer: str) -> None:
    unbroken(letter(replace(SINGLE, title=title, organizer=organizer), address_name=name), MAIL)


def unbroken(one: Letter, mail: Mail) -> None:
    """The letter is refused, or has the headers and the parts of every other letter."""
    try:
        content = render.render(one, mail, SECRET)
    except InputError:
        return
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    assert message.keys() == HEADERS
    assert len(list(message.walk())) == 6
    for value in message.values():
        assert all(line[:1] in " \t" for line in str(value).split("\n")[1:])
    for part in message.walk():
        assert set(part.keys()) <= {
            *HEADERS,
            "Content-Transfer-Encoding",
            "Content-Disposition",
            "Content-Language",
        }
    calendar = ics.calendar(one)
    assert calendar.count(b"BEGIN:VEVENT") == 1
    assert not re.search(rb"^(Bcc|Subject)", calendar, re.MULTILINE)
    assert content == render.render(one, mail, SECRET)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ola",
        "@ext.example",
        "ola@",
        "a b@ext.example",
        "ola@ext.example,x@y.example",
        "<ola@ext.example>",
        "a..b@ext.example",
        "ola@ext.example\r\nX: y",
        "kåre@ext.example",
        '"a b"@ext.example',
        "ola@ext_\x7f.example",
        "o" * 320 + "@ext.example",
    ],
)
def test_impossible_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError):
        render.render(letter(address=address), MAIL, SECRET)


def test_domains_are_written_in_ascii() -> None:
    assert (
        parsed(letter(address="ola@blåbær.example"))["To"].addresses[0].addr_spec
        == "ola@xn--blbr-roah.example"
    )


def extracted() -> Catalog:
    catalog = Catalog()
    folder = Path(i18n.__file__).parent
    methods = [
        ("writing/**.py", "python"),
        ("i18n.py", "python"),
        ("writing/templates/*.j2", "jinja2"),
    ]
    for file, line, message, _, context in extract_from_dir(folder, methods, keywords=KEYWORDS):
        catalog.add(message, context=context, locations=[(file, line)])
    return catalog


@pytest.mark.parametrize("language", i18n.available())
def test_catalogues_are_complete(language: str) -> None:
    with (i18n.FOLDER / language / "letters.po").open("rb") as stream:
        catalog = pofile.read_po(stream, locale=language, abort_invalid=True)
    wanted = {(message.context, message.id) for message in extracted() if message.id}
    present = {(message.context, message.id) for message in catalog if message.id}
    assert len(wanted) > 80
    assert not [f"{language} lacks {text}" for _, text in wanted - present]
    assert not [f"nothing says {text} any more" for _, text in present - wanted]
    for message in catalog:
        if message.id:
            assert not message.fuzzy
            keys = message.id if isinstance(message.id, list | tuple) else (message.id,)
            texts = (
                message.string if isinstance(message.string, list | tuple) else (message.string,)
            )
            for index, words in enumerate(texts):
                assert words, f"{message.id} has no text"
                assert placeholders(words) == placeholders(keys[min(index, len(keys) - 1)]), (
                    f"{message.id}"
                )


def placeholders(words: str) -> set[str]:
    assert not re.search(r"%(?!\()", words)
    return set(re.findall(r"%\((\w+)\)[sd]", words))


def test_norwegian_is_norwegian() -> None:
    norwegian = i18n.catalogue("nb")
    same = {
        message.id
        for message in extracted()
        if isinstance(message.id, str)
        and not message.context
        and norwegian.gettext(message.id) == message.id
    }
    assert {words for words in same if not words.startswith("%(")} <= {"Agenda", ""}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (("nb",), "nb"),
        (("nb-NO",), "nb"),
        (("nb_NO",), "nb"),
        (("NO",), "nb"),
        (("nn",), "nb"),
        (("en-US",), "en"),
        (("", "nb"), "nb"),
        (("xx", "nb"), "nb"),
        (("xx",), "en"),
        ((), "en"),
        (("../nb",), "en"),
    ],
)
def test_choice_of_language(wanted: tuple[str, ...], expected: str) -> None:
    assert i18n.choose(wanted) == expected


def test_the_accounts_language_stands_in_for_an_unknown_one() -> None:
    assert parsed(letter(language="xx"), replace_mail(language="nb"))["Subject"].startswith(
        "Invitasjon"
    )
    assert parsed(letter(language=""), replace_mail(language="en"))["Subject"].startswith(
        "Invitation"
    )


def test_long_texts_are_cut_in_the_subject_only() -> None:
    one = letter(replace(SINGLE, title="Ærlig talt " * 100))
    message = parsed(one)
    assert len(message["Subject"]) < 170
    assert ("Ærlig talt " * 100).strip() in text(message)


def test_dates_of_a_series_in_words() -> None:
    facts = {fact.label: fact.lines for fact in teller(letter(WITH_DATES)).facts()}
    assert facts["Gjentas"] == ("hver uke, til og med 1. mars 2027",)
    assert facts["Endrede datoer"] == (
        "8. des. 2026: kl. 11.00–12.00 i stedet for kl. 09.00–10.00",
        "15. des. 2026: avlyst (Julebord)",
        "29. des. 2026: avlyst",
    )
    assert {fact.label: fact.lines for fact in teller(letter(specimens.KINDS["dates"])).facts()}[
        "Også"
    ] == (
        "tirsdag 8. desember 2026 kl. 10.00–11.00 (Oslo, UTC+1)",
        "tirsdag 15. desember 2026 kl. 09.00–10.00 (Oslo, UTC+1)",
    )
    many = replace(
        SERIES,
        dates=tuple(replace(WITH_DATES.dates[1], original=START + WEEK * n) for n in range(1, 14)),
    )
    lines = {fact.label: fact.lines for fact in teller(letter(many)).facts()}["Endrede datoer"]
    assert (len(lines), lines[-1]) == (11, "og 3 til")


def test_a_whole_year_of_days_reads_well() -> None:
    words = i18n.catalogue("nb")
    for n in range(365):
        day = date(2026, 1, 1) + timedelta(days=n)
        assert re.fullmatch(r"\w+dag \d{1,2}\. [a-z]+ 2026", words.day(day))


@pytest.mark.parametrize(
    ("owner", "organisation", "signed"),
    [
        ("Nordmann, Kari", "Firma AS", "Kari Nordmann, Firma AS"),
        ("Nordmann, Kari", "", "Kari Nordmann"),
        ("", "Firma AS", "Firma AS"),
        ("Kari, firma as", "Firma AS", "firma as Kari"),
    ],
)
def test_the_organisation_stands_beside_the_owner_once(
    owner: str, organisation: str, signed: str
) -> None:
    one = letter(replace(SINGLE, organizer=owner), language="en")
    message = parsed(one, replace_mail(name=organisation))
    comma = "," if signed.count(", ") else ""
    for body in (text(message), text(message, "html")):
        assert f"{signed}{comma} invites you to a meeting." in body
        assert f"email and {signed.partition(',')[0]} will read it" in body
    lines = text(message).splitlines()
    assert lines[lines.index("Organizer:") + 1] == f"  {signed}"


@pytest.mark.parametrize(
    ("language", "withdrawn", "lead"),
    [
        ("en", "Task withdrawn", "has withdrawn this task."),
        ("nb", "Kansellert", "har kansellert denne oppgaven."),
        ("da", "Annulleret", "har annulleret denne opgave."),
        ("sv", "Tillbakadragen", "har dragit tillbaka den här uppgiften."),
        ("de", "Gestrichen", "hat diese Aufgabe gestrichen."),
        ("nl", "Taak ingetrokken", "heeft deze taak ingetrokken."),
        ("fi", "Tehtävä poistettu", "on poistanut tämän tehtävän."),
    ],
)
def test_a_task_is_withdrawn_not_called_off(language: str, withdrawn: str, lead: str) -> None:
    told = teller(replace(changed("task", "cancelled"), language=language))
    assert told.heading() == withdrawn
    assert told.lead().endswith(lead)
    for change in ("cancelled", "withdrawn"):
        body = text(parsed(replace(changed("task", change), language=language))).lower()
        for word in ("avlyst", "aflyst", "inställt", "abgesagt", "geannuleerd", "cancelled"):
            assert word not in body


@pytest.mark.parametrize(
    ("language", "heading", "task", "call"),
    [
        ("en", "New deadline", "a new deadline for this task", "a new deadline for this call"),
        ("nb", "Ny frist", "en ny frist for denne oppgaven", "en ny frist for denne samtalen"),
        ("da", "Ny frist", "en ny frist for denne opgave", "en ny frist for denne samtale"),
        ("sv", "Ny tidsfrist", "för den här uppgiften", "för det här samtalet"),
        ("de", "Neue Frist", "für diese Aufgabe eine neue", "für dieses Telefonat eine neue"),
        ("nl", "Nieuwe uiterste datum", "voor deze taak een", "voor dit telefoongesprek een"),
        ("fi", "Uusi määräaika", "tälle tehtävälle uuden", "tälle puhelulle uuden"),
    ],
)
def test_a_changed_deadline_is_not_moved(language: str, heading: str, task: str, call: str) -> None:
    for kind, words in (("task", task), ("planned-call", call)):
        one = changed(kind, "moved")
        assert one.before is not None
        before = replace(one.edition, deadline=date(2026, 11, 27), sequence=0)
        told = teller(replace(one, before=before, language=language))
        assert told.heading() == heading
        assert told.subject().startswith(f"{heading}: ")
        assert words in told.lead()


@pytest.mark.parametrize(
    ("own", "zone", "line"),
    [
        ((2, 3), "Europe/Oslo", "8 Dec 2026: 11:00–12:00 instead of 09:00–10:00"),
        ((2, 3), "America/New_York", "8 Dec 2026: 05:00–06:00 instead of 03:00–04:00"),
        ((2, 2), "Europe/Oslo", "8 Dec 2026: now Tuesday, 8 December 2026, 11:00 (Oslo, UTC+1)"),
        (
            (24, 25),
            "Europe/Oslo",
            "8 Dec 2026: now Wednesday, 9 December 2026, 09:00–10:00 (Oslo, UTC+1)",
        ),
        (
            (15, 16),
            "Europe/Oslo",
            "8 Dec 2026: now Wednesday, 9 December 2026, 00:00–01:00 (Oslo, UTC+1)",
        ),
    ],
)
def test_a_moved_date_says_its_day_once(own: tuple[int, int], zone: str, line: str) -> None:
    start, end = (SECOND + HOUR * one for one in own)
    edition = replace(SERIES, dates=(DateChange(SECOND, start, end),))
    facts = teller(letter(edition, language="en", timezone=zone)).facts()
    assert next(one.lines for one in facts if one.label == "Changed dates") == (line,)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("1. des. kl. 09.00–10.00 (Oslo)", ["1. des. kl. ", "09.00–10.00", " (Oslo)"]),
        ("1 Dec, 9:00 AM - 10:00 AM", ["1 Dec, ", "9:00 AM - 10:00 AM", ""]),
        (
            "1 Dec, 9:00\u202fam – 10:00\u202fp.m., and",
            ["1 Dec, ", "9:00\u202fam – 10:00\u202fp.m.", ", and"],
        ),
        ("5.12.2026, 08:00", ["5.12.2026, 08:00"]),
        (
            "11:00–12:00 instead of 09:00–10:00",
            ["", "11:00–12:00", " instead of ", "09:00–10:00", ""],
        ),
    ],
)
def test_what_is_never_broken(line: str, parts: list[str]) -> None:
    assert render.RANGE.split(line) == parts


def test_a_range_of_hours_is_told_apart_in_the_html_only() -> None:
    message = parsed(letter(replace(SINGLE, location='<b>08:00–09:00</b> & "x"')))
    html = text(message, "html")
    assert '<span class="hours" style="white-space: nowrap;">09.00–10.00</span>' in html
    assert '&lt;b&gt;<span class="hours" style="white-space: nowrap;">08:00–09:00</span>' in html
    assert "  tirsdag 1. desember 2026 kl. 09.00–10.00 (Oslo, UTC+1)" in text(message)
