"""Reads calendar objects that came in by mail: a lean, bounded reader of content lines (RFC 5545
§3.1) for answers.

It takes what clients really send and reads only what an answer can mean: METHOD, and of each
component UID, RECURRENCE-ID, SEQUENCE, DTSTAMP, times, people and comments. Zone definitions are
never evaluated, so one sender's "Customized Time Zone" cannot change another's: only the offsets
that they name are kept, as a hint.

On failure: `errors.Unreadable` with the reason, for what is not a calendar object or exceeds the
bounds of itip.md §7. A property that cannot be read counts as missing; what that means is decided
in `answer.reply`. Limits: 200 components, 1 000 attendees, texts of 10 000 characters; work is
linear in the bytes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from gateway.errors import Unreadable
from gateway.mail import address, header

COMPONENTS = 200
ATTENDEES = 1_000
TEXT = 10_000
LARGEST_SEQUENCE = 2**31 - 1  # RFC 5545 §3.3.8
KINDS = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"})

FOLD = re.compile(rb"\n[ \t]")
MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?", re.ASCII)
DURATION = re.compile(
    r"\+?P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?",
    re.ASCII,
)
OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)(\d\d)?", re.ASCII)
MAILTO = re.compile(r":\s*mailto\s*:", re.IGNORECASE)
ESCAPED = re.compile(r"\\([\\;,nN])")
CARET = re.compile(r"\^([n^'])")  # RFC 6868


YEARS = range(1601, 3000)
"""Those of instants that are believed. Outlook's VTIMEZONEs begin in 1601."""
LONGEST_DURATION = timedelta(days=3660)


class Form(StrEnum):
    """How a date or time was written (RFC 5545 §3.3.4, §3.3.5)."""

    DATE = "date"
    UTC = "utc"
    ZONED = "zoned"
    FLOATING = "floating"


@dataclass(frozen=True, slots=True)
class When:
    """A date or time as it was written: `day`, and `clock` (naive, to be read in UTC, `tzid` or
    wherever) unless a DATE.
    """

    form: Form
    day: date
    clock: datetime | None = None
    tzid: str = ""


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ATTENDEE. address: `address.normal` form, "" where there is none. partstat: upper case,
    "" where missing.

    proposed: another start that Apple's clients ask for in a parameter of a REPLY.
    """

    address: str
    partstat: str = ""
    name: str = ""
    comment: str = ""
    delegated_to: tuple[str, ...] = ()
    delegated_from: tuple[str, ...] = ()
    proposed: When | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """One VEVENT, VTODO, ... as it was written. None and "" mean: not there, or not readable.

    recurrence_id_text is kept beside `recurrence_id`, to tell an unreadable one from none.
    recurring: it has an RRULE. private_comment: Apple's X-CALENDARSERVER-PRIVATE-COMMENT, which the
    invitee wrote to the organizer all the same.
    """

    kind: str
    uid: str = ""
    recurrence_id: When | None = None
    recurrence_id_text: str = ""
    this_and_future: bool = False
    sequence: int | None = None
    dtstamp: datetime | None = None
    dtstart: When | None = None
    dtend: When | None = None
    duration: timedelta | None = None
    organizer: str = ""
    attendees: tuple[Attendee, ...] = ()
    comments: tuple[str, ...] = ()
    private_comment: str = ""
    location: str = ""
    recurring: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class Calendar:
    """One VCALENDAR. method: upper case, "" where missing. offsets: TZID → the offsets that its
    VTIMEZONE names.
    """

    method: str
    components: tuple[Component, ...] = ()
    offsets: Mapping[str, tuple[timedelta, ...]] = field(default_factory=dict, compare=False)


def read(data: bytes, charset: str = "utf-8") -> tuple[Calendar, ...]:
    """The calendar objects in some octets, mostly one. Raises `Unreadable` where there is none, or
    too much of one.
    """
    reader = _Reader()
    for line in _lines(data, charset):
        reader.take(line)
    calendars = reader.close()
    if not calendars:
        raise Unreadable("no VCALENDAR in the calendar part")
    return calendars


def moment(text: str, tzid: str = "", is_date: bool = False) -> When | None:
    """A DATE or DATE-TIME value; None where it is not one (year 0, `DTSTAMP:0`, a missing digit),
    or of a year in which nobody meets, with which the calendar's arithmetic would overflow.
    """
    match = MOMENT.fullmatch(text.strip().upper())
    if match is None or int(match[1]) not in YEARS:
        return None
    year, month, day, hour, minute, second, utc = match.groups()
    try:
        when = date(int(year), int(month), int(day))
        if hour is None or is_date:
            return When(Form.DATE, when)
        # A leap second (RFC 5545 §3.3.12 allows 60) is the second before it to everybody who
        # computes.
        clock = datetime(  # noqa: DTZ001
            when.year, when.month, when.day, int(hour), int(minute), min(int(second or 0), 59)
        )
    except ValueError:
        return None
    if utc:
        return When(Form.UTC, when, clock)
    return When(Form.ZONED, when, clock, tzid) if tzid else When(Form.FLOATING, when, clock)


def text(value: str) -> str:
    """A TEXT value with its escapes undone (RFC 5545 §3.3.11), cut, without control characters."""
    plain = ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value[:TEXT])
    return header.clean(plain).strip()


def _lines(data: bytes, charset: str) -> Iterator[str]:
    """Unfolded content lines. Unfolding comes before decoding: a fold may split a character (RFC
    5545 §3.1).
    """
    if charset.strip().lower().startswith(header.STATEFUL) or header.wide(data):
        data, charset = header.decode(data, charset).encode("utf-8", "replace"), "utf-8"
    data = data.replace(b"\r\n", b"\n")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    for line in header.decode(FOLD.sub(b"", data), charset).split("\n"):
        if stripped := line.strip("\r\x00 \t"):
            yield stripped


@dataclass
class _Draft:
    """A component while its lines come in."""

    kind: str
    values: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)
    attendees: list[Attendee] = field(default_factory=list)
    organizer: str = ""
    comments: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        return self.values.get(name, ({}, ""))[1].strip()

    def parameters(self, name: str) -> dict[str, str]:
        return self.values.get(name, ({}, ""))[0]

    def when(self, name: str) -> When | None:
        parameters, value = self.values.get(name, ({}, ""))
        is_date = parameters.get("VALUE", "").upper() == "DATE"
        return moment(value, _unquoted(parameters.get("TZID", ""))[:200], is_date)


SINGLE = frozenset(
    {
        "UID",
        "RECURRENCE-ID",
        "SEQUENCE",
        "DTSTAMP",
        "DTSTART",
        "DTEND",
        "DUE",
        "DURATION",
        "RRULE",
        "LOCATION",
        "X-CALENDARSERVER-PRIVATE-COMMENT",
    }
)


class _Reader:
    """Takes content lines one by one; END lines that are missing are supplied by what follows."""

    def __init__(self) -> None:
        self.made: list[Calendar] = []
        self.inside: list[str] = []
        self.draft: _Draft | None = None
        self.open = False
        self.method = ""
        self.components: list[Component] = []
        self.offsets: dict[str, tuple[timedelta, ...]] = {}
        self.tzid = ""
        self.people = 0

    def take(self, line: str) -> None:
        name = line[:40].split(":")[0].split(";")[0].strip().upper()
        if name in ("BEGIN", "END"):
            kind = line.partition(":")[2].strip().upper()
            self._begin(kind) if name == "BEGIN" else self._end(kind)
        elif not self.open:
            return
        elif self.draft is not None:
            if not self.inside:
                self._property(self.draft, name, line)
        elif name == "METHOD" and not self.inside and not self.method:
            self.method = _split(line)[1].strip().upper()[:40]
        elif name == "TZID" and self.inside == ["VTIMEZONE"]:
            self.tzid = _unquoted(_split(line)[1])
        elif name == "TZOFFSETTO" and self.inside[:1] == ["VTIMEZONE"]:
            self._offset(_split(line)[1])

    def close(self) -> tuple[Calendar, ...]:
        self._finish_component()
        self._finish_calendar()
        return tuple(self.made)

    def _begin(self, kind: str) -> None:
        if kind == "VCALENDAR":
            self._finish_component()
            self._finish_calendar()
            self.open = True
        elif kind in KINDS or kind == "VTIMEZONE":
            self._finish_component()  # its END was missing
            self.inside = []
            if kind in KINDS:
                earlier = sum(len(calendar.components) for calendar in self.made)
                if earlier + len(self.components) >= COMPONENTS:
                    raise Unreadable(f"more than {COMPONENTS} calendar components")
                self.draft = _Draft(kind)
            else:
                self.inside, self.tzid = [kind], ""
        else:
            self.inside.append(kind[:40])
            if len(self.inside) > COMPONENTS:
                raise Unreadable(f"more than {COMPONENTS} calendar components")

    def _end(self, kind: str) -> None:
        if kind == "VCALENDAR":
            self._finish_component()
            self._finish_calendar()
        elif self.draft is not None and kind == self.draft.kind:
            self._finish_component()
        elif kind in self.inside:
            while self.inside.pop() != kind:
                pass

    def _property(self, draft: _Draft, name: str, line: str) -> None:
        if name == "ATTENDEE":
            self.people += 1
            if self.people > ATTENDEES:
                raise Unreadable(f"more than {ATTENDEES} attendees")
            draft.attendees.append(_attendee(line))
        elif name == "ORGANIZER":
            draft.organizer = draft.organizer or address.normal(_person(line)[1])
        elif name == "COMMENT":
            if (
                len(draft.comments) < 20
                and (comment := text(_split(line)[1]))
                and comment not in draft.comments
            ):
                draft.comments.append(comment)
        elif name in SINGLE and name not in draft.values:
            draft.values[name] = _split(line)

    def _offset(self, value: str) -> None:
        match = OFFSET.fullmatch(value.strip())
        if match is None or not self.tzid or len(self.offsets) >= COMPONENTS:
            return
        sign, hours, minutes, seconds = match.groups()
        size = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
        offset = size if sign == "+" else -size
        offsets = self.offsets.get(self.tzid, ())
        if size >= timedelta(days=1) or len(offsets) >= 20:
            return
        if offset not in offsets:
            self.offsets[self.tzid] = (*offsets, offset)

    def _finish_component(self) -> None:
        if self.draft is not None:
            self.components.append(_component(self.draft))
        self.draft, self.inside = None, []

    def _finish_calendar(self) -> None:
        if self.open:
            self.made.append(Calendar(self.method, tuple(self.components), self.offsets))
        self.open, self.method, self.components, self.offsets, self.tzid = False, "", [], {}, ""


def _component(draft: _Draft) -> Component:
    uid = header.clean(draft.value("UID")).strip()[:1000]
    recurrence_id_text = header.clean(draft.value("RECURRENCE-ID"))[:100]
    span = draft.parameters("RECURRENCE-ID").get("RANGE", "")
    sequence = _sequence(draft.value("SEQUENCE"))
    dtstamp = _instant(draft.when("DTSTAMP"))
    dtend = draft.when("DTEND") or draft.when("DUE")
    duration = _duration(draft.value("DURATION"))
    private_comment = text(draft.value("X-CALENDARSERVER-PRIVATE-COMMENT"))
    location = text(draft.value("LOCATION"))[:1000]
    return Component(
        draft.kind,
        uid,
        draft.when("RECURRENCE-ID"),
        recurrence_id_text,
        span.strip().upper() == "THISANDFUTURE",
        sequence,
        dtstamp,
        draft.when("DTSTART"),
        dtend,
        duration,
        draft.organizer,
        tuple(draft.attendees),
        tuple(draft.comments),
        private_comment,
        location,
        recurring=bool(draft.value("RRULE")),
    )


def _instant(stamp: When | None) -> datetime | None:
    """RFC 5545 §3.8.7.2: DTSTAMP is in UTC. In any other form nobody knows which instant is
    meant.
    """
    if stamp is None or stamp.form is not Form.UTC or stamp.clock is None:
        return None
    return stamp.clock.replace(tzinfo=UTC)


def _sequence(value: str) -> int | None:
    if not (value.isascii() and value.isdigit()):
        return None
    return min(int(value), LARGEST_SEQUENCE) if len(value) < 20 else LARGEST_SEQUENCE


def _duration(value: str) -> timedelta | None:
    match = DURATION.fullmatch(value.strip().upper())
    if match is None or not any(match.groups()):
        return None
    weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    try:
        long = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return None
    return long if long <= LONGEST_DURATION else None


def _attendee(line: str) -> Attendee:
    parameters, value = _person(line)

    def parameter(name: str) -> str:
        return _unquoted(parameters.get(name, ""))

    # Gnus loses the value when PARTSTAT is the last parameter, and some servers name a path: EMAIL=
    # may still tell.
    mailbox = address.normal(value) or address.normal(parameters.get("EMAIL", ""))
    return Attendee(
        address=mailbox,
        partstat=parameter("PARTSTAT").strip().upper()[:40],
        name=header.clean(parameter("CN"))[:200],
        comment=text(parameter("X-RESPONSE-COMMENT")),
        delegated_to=_addresses(parameters.get("DELEGATED-TO", "")),
        delegated_from=_addresses(parameters.get("DELEGATED-FROM", "")),
        proposed=_proposed(parameter("TO-ALL-PROPOSED-NEW-TIME")),
    )


def _proposed(value: str) -> When | None:
    """Apple, iOS 14: `TO-ALL-PROPOSED-NEW-TIME="DTSTART:20201223T100000Z;STATUS:NEEDS-ACTION"`."""
    pieces = (piece.partition(":") for piece in value.split(";"))
    for name, _, start in pieces:
        if name.strip().upper() == "DTSTART":
            return moment(start)
    return None


def _addresses(value: str) -> tuple[str, ...]:
    """An address list parameter, with or without the quotes and `mailto:` that RFC 5545 §3.2.5 asks
    for (Kolab: without).
    """
    texts = (piece.strip().strip('"') for piece in value[:TEXT].split(","))
    emails = map(address.normal, texts)
    return tuple(dict.fromkeys(email for email in emails if email))


def _person(line: str) -> tuple[dict[str, str], str]:
    """ATTENDEE and ORGANIZER: the value begins at the last ":mailto:", whatever unquoted colons
    stand before it.
    """
    matches = list(MAILTO.finditer(line))
    if not matches:
        return _split(line)
    last = matches[-1]
    return _parameters(line[: last.start()]), line[last.start() + 1 :].replace(" ", "")


def _split(line: str) -> tuple[dict[str, str], str]:
    """Parameters and value at the first colon outside quotes; at the first colon of all where the
    quotes do not close.
    """
    if '"' not in line:
        head, _, value = line.partition(":")
        return _parameters(head), value
    quoted = False
    for at, c in enumerate(line):
        if c == '"':
            quoted = not quoted
        elif c == ":" and not quoted:
            return _parameters(line[:at]), line[at + 1 :]
    head, _, value = line.partition(":")
    return _parameters(head), value


def _parameters(head: str) -> dict[str, str]:
    pieces = _pieces(head) if '"' in head else head.split(";")
    parameters = dict[str, str]()
    for piece in pieces[1:]:
        name, _, value = piece.partition("=")
        parameters.setdefault(name.strip().upper(), value.strip())
    return parameters


def _pieces(head: str) -> list[str]:
    """Cut at the semicolons outside quotes, in time linear in the length."""
    pieces, current, quoted = list[str](), list[str](), False
    for piece in head.split('"'):
        if quoted:
            current.append(f'"{piece}"')
        else:
            first, *rest = piece.split(";")
            current.append(first)
            for segment in rest:
                pieces.append("".join(current))
                current = [segment]
        quoted = not quoted
    return [*pieces, "".join(current)]


def _unquoted(value: str) -> str:
    inner = value.strip()
    if len(inner) >= 2 and inner[0] == inner[-1] == '"':
        inner = inner[1:-1]
    if "^" not in inner:
        return inner
    return CARET.sub(lambda match: {"n": "\n", "^": "^", "'": '"'}[match[1]], inner)
