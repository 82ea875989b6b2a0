"""The probe: its mark, what is one and what only looks like one, and what it shows, in words."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from gateway.actions import probing
from gateway.health import State
from gateway.mail import parse, probe
from gateway.sections import Account, Imap, Mail, Smtp
from gateway.store import probes
from gateway.store.probes import AGAIN, End, Probe, Result

SECRET, MAILBOX = b"site secret", "invites@crm.example"
AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MARK = probe.mark(SECRET, AT)
TO = probe.recipient(MAILBOX, MARK, plain=False)
LETTER = probe.letter(MAILBOX, TO, MARK, AT)


def seen(raw: bytes, secret: bytes = SECRET) -> probe.Sighting | None:
    return probe.read(parse.read(raw), secret, (MAILBOX,))


def test_the_letter_is_a_mail_that_no_program_answers() -> None:
    message = message_from_bytes(LETTER, policy=policy.strict)
    assert message["From"].addresses[0].addr_spec == MAILBOX
    assert message["To"] == TO == f"invites+{MARK}@crm.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == f"<{MARK}@crm.example>"
    assert MARK in message["Subject"]
    assert message.get_content_type() == "text/plain"


def test_what_comes_back_is_known() -> None:
    assert seen(LETTER) == probe.Sighting(MARK)


def test_a_local_part_may_be_64_octets_long() -> None:
    """RFC 5321 §4.5.3.1.1, with a mailbox of 24 letters and a mark of the year 2200."""
    late = probe.mark(SECRET, datetime(2200, 1, 1, tzinfo=UTC))
    assert len(probe.recipient("a" * 24 + "@crm.example", late, plain=False).split("@")[0]) <= 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MARK.encode() + b"]", b"rewritten]"),
        (f"<{MARK}@crm.example>".encode(), b"<0102@eu-west-1.example>"),
        (TO.encode(), TO.upper().encode()),
    ],
)
def test_one_place_of_the_mark_is_enough(old: bytes, new: bytes) -> None:
    """Amazon SES gives a Message-ID of its own; relays write local parts in upper case."""
    assert old in LETTER
    assert seen(LETTER.replace(old, new)) == probe.Sighting(MARK)


def test_a_probe_shows_who_writes_authentication_results() -> None:
    above = (
        b"Authentication-Results: mx.crm.example; dkim=pass header.d=crm.example\r\n"
        b"Received: from a by b; x\r\n"
        b"Authentication-Results: INNER.crm.example; none\r\n"
    )
    assert seen(above + LETTER) == probe.Sighting(
        MARK, writers=("mx.crm.example", "inner.crm.example")
    )


FORGED = "probe-19aa1b2c3d4-" + "a" * 16
CALENDAR = (
    b"MIME-Version: 1.0\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nEND:VCALENDAR\r\n"
)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(LETTER.replace(MARK.encode(), FORGED.encode()), id="a mark made up"),
        pytest.param(
            LETTER.replace(f"<{MAILBOX}>".encode(), b"<mallory@evil.example>"),
            id="a mark that was seen, from somebody else",
        ),
        pytest.param(
            f"From: {MAILBOX}\r\nSubject: [{MARK}]\r\n".encode() + CALENDAR,
            id="a mark on a calendar answer in our name",
        ),
        pytest.param(
            f"From: ola@ext.example\r\nTo: {TO}\r\n".encode() + CALENDAR,
            id="an answer to the sub-address of a probe",
        ),
        pytest.param(
            f"From: {MAILBOX}, mallory@evil.example\r\nSubject: [{MARK}]\r\n\r\nx\r\n".encode(),
            id="two senders",
        ),
        pytest.param(b"From: invites@crm.example\r\nSubject: hello\r\n\r\nx\r\n", id="no mark"),
    ],
)
def test_what_only_looks_like_a_probe_is_an_ordinary_mail(raw: bytes) -> None:
    assert seen(raw) is None


def test_a_probe_of_another_site_is_an_ordinary_mail() -> None:
    assert seen(LETTER, b"another secret") is None


def report(action: str, returned: bytes = LETTER, diagnostic: str = "") -> bytes:
    said = f"Diagnostic-Code: smtp; {diagnostic}\r\n" if diagnostic else ""
    return (
        (
            "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.crm.example\r\nTo: invites@crm.example\r\n"
            "Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
            f"Final-Recipient: rfc822; {TO}\r\nAction: {action}\r\nStatus: 5.1.1\r\n{said}\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\n"
        ).encode()
        + returned
        + b"\r\n--b--\r\n"
    )


def test_a_report_about_the_probe_is_known_with_its_reason() -> None:
    words = "550 5.1.1 no sub-addresses here"
    assert seen(report("failed", diagnostic=words)) == probe.Sighting(MARK, refused=words)
    assert seen(report("failed")) == probe.Sighting(MARK, refused="5.1.1")
    assert seen(report("delayed")) == probe.Sighting(MARK, refused="")
    # Nothing but the recipient may have survived.
    assert seen(report("failed", b"Subject: x\r\n\r\n")) == probe.Sighting(MARK, refused="5.1.1")


def test_a_report_about_another_letter_is_none_about_a_probe() -> None:
    raw = report("failed").replace(MARK.encode(), b"k7f2q3mz")
    assert seen(raw) is None


# What it shows

ACCOUNT = Account(
    mail=Mail(address=MAILBOX),
    smtp=Smtp(host="mail.crm.example"),
    imap=Imap(host="mail.crm.example"),
)
ONE = Probe(MARK, MAILBOX, False, AT, AT)
PLAIN = Probe(MARK, MAILBOX, True, AT, AT)


def findings(
    end: End,
    *,
    words: str = "",
    one: Probe = ONE,
    authserv_id: str = "",
    writers: Sequence[str] | None = None,
    name: str = "default",
) -> dict[str, tuple[State, str]]:
    known = tuple(writers) if writers is not None else None
    result = Result(one, end, AT + timedelta(seconds=2), words, 0, known)
    state = probes.State(None, result)
    found = probing.findings(name, ACCOUNT, authserv_id, state)
    return {each.subject: (each.state, each.words) for each in found}


def test_nothing_is_said_before_a_probe_has_ended() -> None:
    assert probing.findings("default", ACCOUNT, "", probes.State(ONE)) == ()


def test_a_probe_that_came_back_is_well() -> None:
    state, words = findings(End.RETURNED, writers=())["probe"]
    assert (state, words) == (State.OK, "a letter to invites+…@crm.example came back after 2 s")


@pytest.mark.parametrize(
    ("end", "words", "says"),
    [
        (End.REFUSED, "550 5.1.1 unknown", "refuses mail to invites+…@crm.example: 550 5.1.1"),
        (End.BOUNCED, "550 no such user", "comes back undelivered: 550 no such user"),
        (End.SILENT, "", "is taken and never reaches the mailbox"),
    ],
)
def test_answers_that_are_lost_are_said_with_the_cure(end: End, words: str, says: str) -> None:
    state, told = findings(end, words=words)["probe"]
    assert state is State.FAILED
    assert says in told
    assert "Answers of invitees are lost in the same way" in told
    assert "recipient_delimiter = +" in told
    assert 'mail.organizer_address = "plain"' in told
    sales = findings(end, words=words, name="sales")["probe sales"][1]
    assert 'accounts.sales.mail.organizer_address = "plain"' in sales
    bare = findings(end, words=words, one=PLAIN)["probe"][1]
    assert "delimiter" not in bare
    assert "mail.address" in bare


def test_a_probe_that_could_not_be_sent_says_nothing_of_sub_addresses() -> None:
    state, told = findings(End.UNSENT, words="535 5.7.8 no")["probe"]
    assert (state, "535 5.7.8 no" in told, "sub-address" in told) == (State.WARNING, True, False)


@pytest.mark.parametrize(
    ("authserv_id", "writers", "state", "says"),
    [
        ("mx.crm.example", ["mx.crm.example"], State.OK, "writes"),
        ("MX.crm.example", ["inner", "mx.crm.example"], State.OK, "writes"),
        ("mx.crm.example", ["b.example"], State.WARNING, 'policy.authserv_id = "b.example"'),
        ("mx.crm.example", [], State.WARNING, "leave policy.authserv_id out"),
        ("", [], State.OK, "answers without a token are held"),
        ("", ["b.example"], State.OK, "our server writes b.example"),
    ],
)
def test_which_authserv_id_our_server_writes(
    authserv_id: str, writers: list[str], state: State, says: str
) -> None:
    found = findings(End.RETURNED, authserv_id=authserv_id, writers=writers)["authserv_id"]
    assert found[0] is state
    assert says in found[1]


def test_nothing_is_said_of_the_authserv_id_before_a_probe_came_back() -> None:
    assert "authserv_id" not in findings(End.REFUSED, authserv_id="mx.crm.example")


# When one is due

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def due(state: probes.State, after: timedelta, *, starting: bool = False, one: Probe = ONE) -> bool:
    later = Probe(one.mark, one.mailbox, one.plain, AT + after)
    return state.due(later, DAY, starting=starting)


def ended(end: End, failures: int = 0) -> probes.State:
    return probes.State(None, Result(ONE, end, AT, "", failures))


def test_the_first_probe_is_due_at_once_and_then_daily() -> None:
    assert due(probes.State(), timedelta())
    well = ended(End.RETURNED)
    assert [due(well, DAY - MINUTE), due(well, DAY)] == [False, True]


def test_a_failed_probe_is_repeated_with_growing_waits() -> None:
    assert [due(ended(End.SILENT, 1), AGAIN - MINUTE), due(ended(End.SILENT, 1), AGAIN)] == [
        False,
        True,
    ]
    assert not due(ended(End.SILENT, 3), 4 * AGAIN - MINUTE)
    assert not due(ended(End.SILENT, 100), DAY - MINUTE)
    assert due(ended(End.SILENT, 100), DAY)


def test_a_start_probes_but_one_start_after_the_other_floods_nobody() -> None:
    well, lost = ended(End.RETURNED), ended(End.SILENT, 5)
    assert not due(well, 9 * MINUTE, starting=True)
    assert due(well, 10 * MINUTE, starting=True)
    assert not due(lost, timedelta(seconds=59), starting=True)
    assert due(lost, MINUTE, starting=True)


def test_another_mailbox_or_shape_is_probed_at_once() -> None:
    well = ended(End.RETURNED)
    assert due(well, MINUTE, one=PLAIN)
    assert due(well, MINUTE, one=Probe(MARK, "other@crm.example", False, AT))


def test_one_on_its_way_is_waited_for_and_one_that_never_left_is_not() -> None:
    assert not due(probes.State(ONE), 10 * DAY)
    unsent = Probe(MARK, MAILBOX, False, AT)
    assert not due(probes.State(unsent), 9 * MINUTE)
    assert due(probes.State(unsent), 10 * MINUTE)
