"""The judge of a storm: reads the record with sqlite3 and the letters' bytes as the mail server took
them, and says who holds something else than he should.

Shares no code with the gateway. Calendars are those of `tests.core.attendee`; dates of the record
are expanded here with `dateutil`.
"""

from __future__ import annotations

import email
import email.policy
import functools
import re
import sqlite3
from collections.abc import Iterable, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dateutil import rrule

from tests.core import attendee

WINDOW = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
GUESTS = ("gil", "gus")
"""They alone may be told one date of a series that they do not hold."""


@dataclass(frozen=True)
class Arrival:
    """A letter that reached a mailbox."""

    address: str
    content: bytes


@dataclass(frozen=True)
class Try:
    """What the server said of a letter: taken, later, refused; unknown where nobody heard it.
    `date`: the one that it invites to by itself.
    """

    address: str
    uid: str
    fate: str
    method: str
    date: object = None


@dataclass(frozen=True)
class Given:
    """An answer. `after`: how many letters had arrived anywhere when it was given; `late`: it was
    read only in the end.
    """

    address: str
    uid: str
    reply: str
    after: int
    late: bool


@dataclass(frozen=True)
class Invitation:
    """What an invitee's program takes from a letter for its answer."""

    method: str
    uid: str
    sequence: int
    organizer: str
    message_id: str
    date: str
    partstat: str


Shown = tuple[date, date, str, str]
"""Start, end, title, place."""


def check(
    store: Path,
    mail: Sequence[Arrival],
    tries: Sequence[Try],
    given: Sequence[Given],
    owed: Iterable[str],
    *,
    alone: bool = False,
) -> list[str]:
    """What is wrong in the end, a sentence each. `alone`: everybody may be invited to single
    dates.
    """
    problems = list(owed)
    should = _should_hold(store)
    uids = {read(one.content).uid for one in mail} | {uid for _, uid in should}
    people = {one.address.partition("@")[0] for one in mail}
    addresses = {one.address for one in mail} | {where for where, _ in should}
    for uid in sorted(uids):
        for address in sorted(addresses):
            wanted = should.get((address, uid), frozenset())
            arrived = [one.content for one in mail if one.address == address]
            if not _refuses(tries, address, uid, is_wanted=bool(wanted)):
                lost = _refused_dates(tries, {address}, uid)
                who = f"{address} {uid}"
                problems += _differences(who, arrived, uid, wanted, lost, alone=alone)
        for person in sorted(people):
            mine = [one for one in mail if one.address.partition("@")[0] == person]
            places = {one.address for one in mine}
            if not any(_refuses(tries, place, uid, is_wanted=False) for place in places):
                wanted = frozenset().union(
                    *(held for (where, of), held in should.items() if of == uid and where in places)
                )
                contents = [one.content for one in mine]
                who = f"{person}, in one calendar, {uid}"
                lost = _refused_dates(tries, places, uid)
                problems += _differences(who, contents, uid, wanted, lost, alone=alone)
    return problems + _standings(store, mail, given)


def _differences(
    who: str,
    arrived: Sequence[bytes],
    uid: str,
    wanted: frozenset[Shown],
    lost: Set[object],
    *,
    alone: bool,
) -> list[str]:
    found = []
    for keeps in (True, False):
        calendar = attendee.Calendar(keeps, alone=alone or who.startswith(GUESTS))
        try:
            for content in arrived:
                if read(content).uid == uid:
                    calendar.take(_calendar(content))
        except AssertionError as error:
            return [f"{who}: {error}"]
        dates = {
            (one.start, one.end, one.title, one.location): one.name
            for one in calendar.shows(*WINDOW)
        }
        shown = {one for one, name in dates.items() if one in wanted or name not in lost}
        if shown != wanted:
            found.append(
                f"{who} (keeps={keeps}): too much {_told(shown - wanted)},"
                f" too little {_told(wanted - shown)}"
            )
    return found


def _told(shown: Iterable[Shown]) -> str:
    return "; ".join(
        f"{start:%m-%d %H:%M} {title!r} {place!r}"
        for start, _, title, place in sorted(shown, key=str)
    )


def _refuses(tries: Sequence[Try], address: str, uid: str, *, is_wanted: bool) -> bool:
    """Whether the address certainly refused the last letter about it, and no letter about it may
    have arrived since the last one that certainly did: nothing is taken back there. Nor is it once
    more where it was to be, and that was refused.
    """
    decided = [
        one for one in tries if (one.address, one.uid) == (address, uid) and one.fate != "later"
    ]
    if is_wanted or not decided or decided[-1].fate != "refused":
        return False
    if decided[-1].method == "CANCEL":
        return True
    since = [one.fate for one in decided[::-1]]
    last = since.index("taken") if "taken" in since else len(since)
    return "unknown" not in since[:last]


def _refused_dates(tries: Sequence[Try], places: Set[str], uid: str) -> set[object]:
    """Dates that are invitations by themselves, of which nothing is taken back where they were
    refused.
    """
    mine = [one for one in tries if one.address in places and one.uid == uid]
    return {
        date
        for date in {one.date for one in mine} - {None}
        for place in places
        if _refuses([one for one in mine if one.date == date], place, uid, is_wanted=False)
    }


# --- what people should hold ---


def _should_hold(store: Path) -> dict[tuple[str, str], frozenset[Shown]]:
    """(address, UID) → what stands in his calendar."""
    found = dict[tuple[str, str], frozenset[Shown]]()
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(
            "SELECT participant.*, address FROM participant"
            " JOIN person_email ON person_email.person = participant.person"
            " WHERE email_invite AND NOT removed"
        ).fetchall()
        for row in rows:
            meeting = connection.execute(
                "SELECT * FROM follow_up WHERE key = ?", (row["follow_up"],)
            ).fetchone()
            shown = _dates(connection, meeting) if not meeting["cancelled"] else {}
            if row["original_start"] is not None:
                name = _instant(row["original_start"])
                shown = {name: shown[name]} if name in shown else {}
            found[row["address"], meeting["uid"]] = frozenset(shown.values())
    return found


def names(store: Path, key: str) -> list[datetime]:
    """The dates that the rule of a series gives, or a list, without a zone as they stand in the
    record.
    """
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        meeting = connection.execute("SELECT * FROM follow_up WHERE key = ?", (key,)).fetchone()
        if not meeting["rrule"]:
            return _listed(connection, meeting)
        return [one.replace(tzinfo=None) for one in _ruled(meeting)]


def _listed(connection: sqlite3.Connection, meeting: sqlite3.Row) -> list[datetime]:
    """The dates of a list that take place; none of what is no list."""
    own = connection.execute(
        "SELECT original_start FROM follow_up_date WHERE follow_up = ?", (meeting["key"],)
    ).fetchall()
    return sorted(one.replace(tzinfo=None) for one in _dates(connection, meeting)) if own else []


def _dates(connection: sqlite3.Connection, meeting: sqlite3.Row) -> dict[datetime, Shown]:
    length = _instant(meeting["end_at"]) - _instant(meeting["start_at"])
    said = meeting["title"], meeting["location"]
    found: dict[datetime, Shown]
    found = {one: (one, one + length, *said) for one in _ruled(meeting)}
    for row in connection.execute(
        "SELECT * FROM follow_up_date WHERE follow_up = ?", (meeting["key"],)
    ):
        name = _instant(row["original_start"])
        if row["cancelled"]:
            found.pop(name, None)
            continue
        start = _instant(row["start_at"] or row["original_start"])
        end = _instant(row["end_at"]) if row["end_at"] else start + length
        found[name] = (start, end, *said)
    return found


def _ruled(meeting: sqlite3.Row) -> list[datetime]:
    start = _instant(meeting["start_at"])
    if not meeting["rrule"]:
        return [start]
    zone = ZoneInfo(meeting["timezone"])
    wall = start.astimezone(zone).replace(tzinfo=None)
    text = re.sub(
        r"UNTIL=(\d{8}T\d{6})Z",
        lambda match: (
            "UNTIL="
            + datetime.strptime(match[1], "%Y%m%dT%H%M%S")
            .replace(tzinfo=UTC)
            .astimezone(zone)
            .strftime("%Y%m%dT%H%M%S")
        ),
        meeting["rrule"],
    )
    rule = rrule.rrulestr(text, dtstart=wall)
    return [one.replace(tzinfo=zone).astimezone(UTC) for one in rule]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- what people said ---


def _standings(store: Path, mail: Sequence[Arrival], given: Sequence[Given]) -> list[str]:
    """A row that shows an answer has it from its invitee, and from after the last time that what he
    answered was taken from his calendar.
    """
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT person_email.address, uid, reply, instance, email_invite FROM standing"
            " JOIN participant ON participant.id = standing.participant"
            " JOIN follow_up ON follow_up.key = participant.follow_up"
            " JOIN person_email ON person_email.person = participant.person"
            " WHERE reply <> 'needs-action' AND NOT removed AND NOT standing.cancelled"
        ).fetchall()
    problems = []
    for address, uid, reply, instance, is_invited in rows:
        person = address.partition("@")[0]
        said = [
            one
            for one in given
            if one.address.partition("@")[0] == person and one.reply.lower() == reply
        ]
        if not said:
            problems.append(f"{address} {uid} shows {reply}, which he never said")
        if not said or instance or not is_invited:
            continue
        taken = max(
            (
                at + 1
                for at, one in enumerate(mail)
                if one.address == address
                and (letter := read(one.content)).uid == uid
                and letter.method == "CANCEL"
                and letter.date == ""
            ),
            default=0,
        )
        here = [one for one in said if one.uid == uid]
        if (
            here
            and all(one.address == address for one in here)
            and all(one.after < taken and not one.late for one in here)
        ):
            problems.append(f"{address} {uid} shows {reply}, said of what was taken back since")
    return problems


# --- bytes ---


_CACHE = dict[bytes, Invitation]()


def read(content: bytes) -> Invitation:
    """What a letter invites to, from its bytes."""
    if content in _CACHE:
        return _CACHE[content]
    if len(_CACHE) > 500:
        _CACHE.clear()
    text = re.sub(r"\r\n[ \t]", "", _calendar(content).decode())
    event = text[text.index("BEGIN:VEVENT") : text.index("END:VEVENT")]

    def value(name: str, among: str) -> str:
        found = re.search(rf"^{name}(?:;[^:\r]*)?:([^\r]*)", among, re.MULTILINE)
        return found[1] if found else ""

    message = email.message_from_bytes(content, policy=email.policy.compat32)
    date = re.search(r"^RECURRENCE-ID[^\r]*", event, re.MULTILINE)
    partstat = re.search(r"^ATTENDEE[^\r]*PARTSTAT=([A-Z-]+)", event, re.MULTILINE)
    made = Invitation(
        value("METHOD", text),
        value("UID", event),
        int(value("SEQUENCE", event)),
        value("ORGANIZER", event).lower().removeprefix("mailto:"),
        str(message["Message-ID"]),
        date[0] if date else "",
        partstat[1] if partstat else "",
    )
    _CACHE[content] = made
    return made


@functools.lru_cache(500)
def _calendar(content: bytes) -> bytes:
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    part = next(one for one in message.walk() if one.get_content_type() == "text/calendar")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def answer(invitation: Invitation, address: str, reply: str, now: datetime) -> bytes:
    """A REPLY as a good program writes it."""
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Storm//EN",
        "VERSION:2.0",
        "METHOD:REPLY",
        "BEGIN:VEVENT",
        f"UID:{invitation.uid}",
        f"DTSTAMP:{now + timedelta(seconds=7):%Y%m%dT%H%M%SZ}",
        f"SEQUENCE:{invitation.sequence}",
        *([invitation.date] if invitation.date else []),
        f"ORGANIZER:mailto:{invitation.organizer}",
        f"ATTENDEE;PARTSTAT={reply}:mailto:{address}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    head = (
        f"From: <{address}>\r\nTo: <{invitation.organizer}>\r\nSubject: {reply}\r\n"
        f"Message-ID: <{now:%d%H%M%S}.{reply}.{invitation.sequence}.{address}>\r\n"
        f"In-Reply-To: {invitation.message_id}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/calendar; method=REPLY; charset=utf-8\r\n\r\n"
    )
    return (head + "\r\n".join(lines)).encode()
