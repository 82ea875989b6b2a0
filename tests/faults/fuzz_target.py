"""What fuzzing does with an input: the whole way from bytes to conclusions and their effects, and what
counts as a finding.

The first octet of an input chooses what the rest is put into, so that mutations reach every reader:
a whole mail, a calendar object, a report, a TNEF stream, a Subject. Whatever UID, token, address or
Message-ID it then names is ours (`found`), so that the decisions are reached and not only the
refusals. No store, no clock, no chance: the same input does the same.

A finding is any exception past the door (`errors.Unreadable` is the door), more than `SECONDS` of
processor time, or more than `MEGABYTES` of growth.
"""

import os
import resource
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway.answer import classify, facts, judge
from gateway.errors import Unreadable
from gateway.mail import links, parse
from gateway.model import (
    DateChange,
    Edition,
    Kind,
    Outcome,
    PartyCrasher,
    Policy,
    Recurrence,
    Standing,
)
from gateway.store import codec

SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
MEGABYTES = 256
LONGEST = 100_000
"""Octets of an input. Longer mails differ in size only, and size has bounds of its own."""

MAILBOX = "invites@crm.example"
TOKEN = "k7f2q3mzx5b4w6y2n7c3d4e5fa"
SECRET = b"site secret"
ARRIVED = datetime(2026, 11, 20, 8, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
OURS = classify.Ours((MAILBOX,))
POLICIES = (
    Policy(authserv_id="mx.crm.example", party_crasher=PartyCrasher.ADD),
    Policy(require_authentication=False),
)
HEAD = (
    f"Received: from mx.ext.example by mail.crm.example; Fri, 20 Nov 2026 08:00:00 +0000\r\n"
    f"From: Ola <ola@ext.example>\r\nTo: invites+{TOKEN}@crm.example\r\nMessage-ID: <1@ext.example>\r\n"
    "Subject: Kick-off\r\nMIME-Version: 1.0\r\n"
).encode()

SINGLE = Edition(
    "own-1@crm.example",
    Kind.MEETING,
    "Kick-off",
    START,
    START + HOUR,
    "Europe/Oslo",
    "Kari",
    sequence=2,
)
WEEKLY = replace(
    SINGLE,
    recurrence=Recurrence("FREQ=WEEKLY;COUNT=20", exdates=(START + 3 * WEEK,)),
    dates=(DateChange(START + WEEK, START + WEEK + 2 * HOUR, START + WEEK + 3 * HOUR),),
    date_sequences=((START + WEEK, 2, 2),),
)
ENDLESS = replace(
    SINGLE, recurrence=Recurrence("FREQ=MONTHLY;BYDAY=-1FR"), timezone="America/New_York"
)
DAYS = replace(
    SINGLE,
    start=date(2026, 12, 1),
    end=date(2026, 12, 2),
    all_day=True,
    recurrence=Recurrence("FREQ=WEEKLY"),
)
TASK = replace(SINGLE, kind=Kind.TASK, start=None, end=None, deadline=date(2026, 12, 1))
EDITIONS = (SINGLE, WEEKLY, ENDLESS, DAYS, TASK, replace(SINGLE, cancelled=True))

WHOLE, CALENDAR, REPORT, TNEF, SUBJECT = range(5)
DICTIONARY = (
    "BEGIN:VCALENDAR",
    "END:VCALENDAR",
    "BEGIN:VEVENT",
    "END:VEVENT",
    "BEGIN:VTIMEZONE",
    "METHOD:REPLY",
    "METHOD:COUNTER",
    "METHOD:REFRESH",
    "UID:own-1@crm.example",
    "SEQUENCE:",
    "DTSTAMP:",
    "DTSTART",
    "DTEND",
    "RECURRENCE-ID",
    ";TZID=",
    ";VALUE=DATE",
    ";RANGE=THISANDFUTURE",
    "Europe/Oslo",
    "W. Europe Standard Time",
    "20261208T080000Z",
    "20261201T090000",
    "20261208",
    "00001120T090000Z",
    "00010101T000000Z",
    "99991231T235959Z",
    "99991231",
    "P9999W",
    "2147483648",
    "18446744073709551616",
    "9" * 5_000,
    "&#99999999999999999999;",
    "ATTENDEE",
    ";PARTSTAT=",
    "ACCEPTED",
    "DECLINED",
    "TENTATIVE",
    "DELEGATED",
    "NEEDS-ACTION",
    ";DELEGATED-TO=",
    ";DELEGATED-FROM=",
    ";CN=",
    ":mailto:",
    "ola@ext.example",
    "COMMENT:",
    "ORGANIZER",
    "X-RESPONSE-COMMENT=",
    "TO-ALL-PROPOSED-NEW-TIME=",
    "RRULE:FREQ=WEEKLY",
    "TZOFFSETTO:+0100",
    "Content-Type: ",
    "multipart/mixed; boundary=b",
    "multipart/report; report-type=delivery-status",
    "message/rfc822",
    "text/calendar; method=REPLY",
    "message/delivery-status",
    "message/disposition-notification",
    "application/ms-tnef; name=winmail.dat",
    "text/html",
    "--b",
    "charset=",
    "Content-Transfer-Encoding: base64",
    "quoted-printable",
    "=?utf-8?q?",
    "=?utf-8?b?",
    "Auto-Submitted: auto-replied",
    "Return-Path: <>",
    "Final-Recipient: rfc822; ",
    "Action: failed",
    "Status: 5.1.1",
    "Original-Message-ID: ",
    "Disposition: manual-action; displayed",
    "Authentication-Results: mx.crm.example; dmarc=pass header.from=ext.example",
    "In-Reply-To: ",
    "References: ",
    "[yes all 2 ",
    f"invites+{TOKEN}@crm.example",
    f"invites+b_{TOKEN}@crm.example",
    "<![CDATA[",
    "<!--",
    "&#x",
    "<blockquote>",
    "On Mon, X wrote:",
)
"""Words that mean something to one of the readers."""


class Finding(Exception):
    """An input that costs too much."""


def feed(data: bytes) -> Outcome | None:
    """Everything that is done with an input; its outcome.
    Raises whatever got past the door, or `Finding`.
    """
    began, size = time.process_time(), memory()
    try:
        outcome = meaning(mail(data[:LONGEST]))
    except Unreadable:
        outcome = None
    spent, grown = time.process_time() - began, memory() - size
    if spent > SECONDS:
        raise Finding(f"{spent:.1f} s of processor time for {len(data)} octets")
    if grown > MEGABYTES * 2**20:
        raise Finding(f"{grown / 2**20:.0f} MB for {len(data)} octets")
    return outcome


def mail(data: bytes) -> bytes:
    """The message that an input stands for."""
    kind, rest = (data[0] % 8 if data else WHOLE), data[1:]
    if kind == CALENDAR:
        return HEAD + b"Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n" + rest
    if kind == REPORT:
        return (
            HEAD
            + b"Return-Path: <>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: message/delivery-status\r\n\r\n" + rest + b"\r\n--b--\r\n"
        )
    if kind == TNEF:
        return (
            HEAD
            + b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + b64encode(rest)
            + b"\r\n"
        )
    if kind == SUBJECT:  # a header of its own choice, and a text that a person wrote
        head, _, text = rest.partition(b"\0")
        return (
            HEAD.replace(b"Subject: Kick-off", b"Subject: " + head.replace(b"\n\n", b"\n"))
            + b"\r\n"
            + text
        )
    return rest


def meaning(raw: bytes) -> Outcome:
    """From the bytes to the outcome and its effect on the standings,
    as `inbound.process` does it.
    """
    installations = [judge.Installation(OURS, policy, SECRET) for policy in POLICIES]
    reading = judge.understood(parse.read(raw), ARRIVED, installations[0])
    asked = reading.asked
    outcomes = [
        carried_out(judge.judge(reading, found, here))
        for here in installations
        for found in (*(known(asked, kind) for kind in range(len(EDITIONS))), facts.Lookup())
    ]
    return outcomes[0]


def known(asked: facts.Keys, kind: int) -> facts.Lookup:
    """A store in which everything that is asked for is there: for each UID an invitee who has all
    the addresses, and others.

    `kind`: of the follow-up that the first of them is about; the next ones are of the next kinds.
    """
    made = list[facts.Row]()
    for number, uid in enumerate(dict.fromkeys((*asked.uids[:3], "own-1@crm.example"))):
        edition = replace(EDITIONS[(kind + number) % len(EDITIONS)], uid=uid)
        for at, address in enumerate(dict.fromkeys((*asked.addresses[:2], "ola@ext.example"))):
            made.append(
                facts.Row(
                    len(made) + 1,
                    f"m{number}",
                    uid,
                    address,
                    edition,
                    known=frozenset(asked.addresses if at == 0 else [address]),
                    tokens=frozenset(asked.tokens[at : at + 1]),
                    removed=at == 2,
                    sent=None if at == 1 else edition,
                    sent_dtstamps=frozenset([ARRIVED]),
                    message_ids=frozenset(asked.message_ids[:2]),
                    latest_message_id=next(iter(asked.message_ids), ""),
                    single_dates=frozenset(one.original for one in edition.dates),
                    standing=Standing(seen=True, moved=True),
                    key=address,
                )
            )
    return facts.Lookup(tuple(made), frozenset(asked.uids), dict.fromkeys(asked.uids, "m0"))


def carried_out(made: judge.Judgement) -> Outcome:
    """What the store would be told:
    every effect applies, every moment can be written and read again.
    """
    for one in made.answers:
        conclusion = one.conclusion
        proposed = (
            (conclusion.proposal.start, conclusion.proposal.end) if conclusion.proposal else ()
        )
        for moment in (conclusion.instance, *proposed):
            if codec.parse_moment(codec.moment(moment)) != moment:
                raise Finding(f"{moment!r} does not survive the store")
        for text in (conclusion.reason, conclusion.comment, one.address):
            text.encode()  # half a character would stop PostgreSQL
            if "\0" in text:
                raise Finding(f"a NUL on its way into the store: {text[:80]!r}")
    for text in (made.reason, *(rule.text for rule in made.rules)):
        text.encode()
    return made.outcome


def memory() -> int:
    """The most that this process ever had resident, in octets."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def seeds() -> Iterator[tuple[str, bytes]]:
    """Inputs to begin with: our own corpus, and those under GATEWAY_CORPUS where it
    is set. Name and input.
    """
    folders = [
        Path(__file__).parents[1] / "corpus",
        *([Path(os.environ["GATEWAY_CORPUS"])] if os.environ.get("GATEWAY_CORPUS") else []),
    ]
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        kind = {".eml": WHOLE, ".ics": CALENDAR, ".tnef": TNEF, ".dat": TNEF}.get(file.suffix)
        if kind is None or file.stat().st_size > LONGEST:
            continue
        data = file.read_bytes()
        yield file.name, bytes([kind]) + data
        yield from parts(file.name, data) if kind == WHOLE else ()
    check = links.check(SECRET, TOKEN, links.WHOLE, 2)
    yield (
        "link",
        bytes([SUBJECT]) + f"Yes: Kick-off [yes all 2 {check}]\0I'll be there, thanks!".encode(),
    )
    yield "away", bytes([SUBJECT]) + b"Automatic reply: Kick-off\0Jeg er borte til 5. desember."


def parts(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The calendar objects, reports and TNEF streams of a mail by themselves, where mutations need
    not get through base64.
    """
    try:
        message = parse.read(raw)
    except Unreadable:
        return
    for number, part in enumerate(message.parts):
        if part.is_calendar:
            yield f"{name}.{number}", bytes([CALENDAR]) + part.payload
        elif part.is_tnef:
            yield f"{name}.{number}", bytes([TNEF]) + part.payload
        elif part.fields:
            text = "\r\n\r\n".join(
                "\r\n".join(f"{key}: {value}" for key, value in group.items())
                for group in part.fields
            )
            yield f"{name}.{number}", bytes([REPORT]) + text.encode("utf-8", "replace")
