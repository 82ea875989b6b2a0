"""What is wrong with a calendar object of ours (RFC 5545, RFC 5546), read by a line reader that
shares no code with the writer.

Every octet of every object is looked at, but what it has in common with those before (blanks) is
judged once: the object without the lines of the people is remembered with its judgement, and each
of their lines is, too.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna

from gateway.model import Letter, Method

MOST_UID = 202
"""Octets. RFC 5545 §3.8.4.7 has 255 kept by everybody, but Outlook does not tell longer ones apart
(MS-STANOICAL §2.1.10). Ours are shorter; those of earlier systems are kept, and Exchange's have 112
and more.
"""
PARTSTATS = frozenset({"NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"})
NEEDED = {"UID": 1, "DTSTAMP": 1, "DTSTART": 1, "ORGANIZER": 1, "SEQUENCE": 1, "SUMMARY": 1}
REPEATED = frozenset({"DTSTART", "SUMMARY"})
"""What a DECLINECOUNTER does not repeat (RFC 5546 §3.2.8)."""
PERSON = re.compile("(ATTENDEE|ORGANIZER)[;:]")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
RULE_PARTS = {
    "DAILY": "BYMONTH BYMONTHDAY BYDAY",
    "WEEKLY": "BYMONTH BYDAY",
    "MONTHLY": "BYMONTH BYMONTHDAY BYDAY",
    "YEARLY": "BYMONTH BYWEEKNO BYYEARDAY BYMONTHDAY BYDAY",
}
"""By frequency, the parts that RFC 5545 §3.3.10 has for it, beside those that go with each."""
ANY_RULE = "FREQ INTERVAL COUNT UNTIL WKST BYHOUR BYMINUTE BYSECOND BYSETPOS"
CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\r\n")
LINE = re.compile(
    r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)',
    re.DOTALL,
)
PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
UNREADABLE = "the calendar object cannot be read: a BEGIN or END is missing, or a line has no name"


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: its number in docs/rules.md and a sentence for the administrator."""

    rule: str
    text: str


@dataclass(slots=True)
class Property:
    name: str
    parameters: dict[str, str]
    value: str


@dataclass(slots=True)
class Component:
    name: str
    properties: list[Property] = field(default_factory=list)
    components: list["Component"] = field(default_factory=list)

    def all(self, name: str) -> list[Property]:
        return [line for line in self.properties if line.name == name]

    def value(self, name: str) -> str:
        """The value of the first property of that name, "" where there is none."""
        return next((line.value for line in self.properties if line.name == name), "")

    def walk(self) -> Iterator["Component"]:
        yield self
        for part in self.components:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Person:
    """The line of an ATTENDEE or ORGANIZER and what is wrong with it for any reader. `plain`: the
    address as it is compared.
    """

    name: str
    address: str
    plain: str
    asked: bool
    problems: tuple[Problem, ...]


def calendar(body: bytes, letter: Letter) -> Iterator[Problem]:
    """Everything that is wrong with the calendar object of a letter. Never raises."""
    yield from _lines(body)
    impersonal, groups = _parted(body.decode("utf-8", "replace"))
    planned = _Planned(
        letter.method,
        letter.edition.uid,
        letter.sequence,
        f"{letter.dtstamp.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        letter.date is not None,
        letter.withdrawn,
    )
    yield from _impersonal(impersonal, planned)
    for group in groups:
        yield from _people([_person(line) for line in group], letter)


def same(first: str, second: str) -> bool:
    """The same address, whatever the letter case and whether the domain is spelt in Unicode or in
    ASCII.
    """
    return plain(first) == plain(second)


def plain(address: str) -> str:
    """An address as it is compared."""
    local, _, domain = address.lower().rpartition("@")  # casefold would make ss of ß
    return f"{local}@{_ascii(domain)}"


@lru_cache(maxsize=4096)
def _ascii(domain: str) -> str:
    """A domain as DNS knows it; as it is where it cannot be one."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain


def breaks_badly(content: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    rest = content.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def _lines(body: bytes) -> Iterator[Problem]:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        yield Problem("P15", "the calendar object is not UTF-8")
    if breaks_badly(body) or not body.endswith(b"\r\n"):
        yield Problem("P15", "a line of the calendar object does not end in CRLF")
    if max(map(len, body.split(b"\r\n"))) > 75:
        yield Problem(
            "P15", "a line of the calendar object is longer than 75 octets (RFC 5545 §3.1)"
        )
    if len(body.translate(None, CONTROLS)) != len(body):
        yield Problem("P15", "a control character stands in the calendar object")


def _parted(text: str) -> tuple[str, list[list[str]]]:
    """The unfolded object with the bare names of its people, and their lines, VEVENT by VEVENT."""
    lines = re.sub(r"\r?\n[ \t]", "", text).split("\r\n")
    groups = list[list[str]]()
    for number, line in enumerate(lines):
        if line.startswith("BEGIN:VEVENT"):
            groups.append([])
        elif groups and (person := PERSON.match(line)):
            groups[-1].append(line)
            lines[number] = f"{person[1]}:"
    return "\r\n".join(lines), groups


@dataclass(frozen=True, slots=True)
class _Planned:
    """What the letter says that the object must say, too."""

    method: Method
    uid: str
    sequence: int
    dtstamp: str
    one_date: bool
    withdrawn: bool


@lru_cache(maxsize=256)
def _impersonal(text: str, planned: _Planned) -> tuple[Problem, ...]:
    return tuple(_common(text, planned))


def _common(text: str, planned: _Planned) -> Iterator[Problem]:
    top = _read(text)
    if top is None:
        yield Problem("P15", UNREADABLE)
        return
    method = top.value("METHOD")
    if method != planned.method.value:
        yield Problem(
            "P15",
            f"METHOD is {method or 'missing'} in the calendar object, the letter is a"
            f" {planned.method.value}",
        )
    if top.value("VERSION") != "2.0" or not top.value("PRODID"):
        yield Problem("P15", "VERSION:2.0 or PRODID is missing")
    yield from _zones(top)
    events = [component for component in top.components if component.name == "VEVENT"]
    if not events:
        yield Problem("P15", "there is no VEVENT")
        return
    for event in events:
        yield from _event(event, planned)
    yield from _identity(events, planned)


def _zones(top: Component) -> Iterator[Problem]:
    zones = [component for component in top.components if component.name == "VTIMEZONE"]
    defined = [zone.value("TZID") for zone in zones]
    lines = [line for part in top.walk() for line in part.properties]
    used = {line.parameters["TZID"] for line in lines if "TZID" in line.parameters}
    for name in sorted(used - set(defined)):
        yield Problem("P18", f"the time zone {name} is used and not defined")
    if len(defined) != len(set(defined)):
        yield Problem("P18", "a time zone is defined twice")
    for zone in zones:
        if not any(part.name in ("STANDARD", "DAYLIGHT") for part in zone.components):
            yield Problem("P18", f"the time zone {zone.value('TZID')} has no rule")


def _event(event: Component, planned: _Planned) -> Iterator[Problem]:
    yield from _counts(event, planned)
    yield from _times(event)
    if event.all("RDATE") and not event.all("RRULE"):
        yield Problem("P15", "RDATE without RRULE: Outlook does not open that (MS-OXCICAL)")
    if event.all("RECURRENCE-ID") and event.all("RRULE"):
        yield Problem("P11", "RECURRENCE-ID and RRULE in one VEVENT")
    start = event.all("DTSTART")
    # A CANCEL takes away what the invitee holds, whatever the rule was.
    if start and planned.method is Method.REQUEST:
        for rule in event.all("RRULE"):
            yield from _rule(rule.value, start[0])


def _counts(event: Component, planned: _Planned) -> Iterator[Problem]:
    """How often a property may stand, and how long a UID may be."""
    for name, count in NEEDED.items():
        if planned.method is Method.DECLINECOUNTER and name in REPEATED:
            count = 0
        if len(event.all(name)) != count:
            yield Problem("P15", f"{name} stands {len(event.all(name))} times in a VEVENT")
    if len(_plain_text(event.value("UID")).encode()) > MOST_UID:
        yield Problem("P15", f"UID has more than {MOST_UID} octets")


def _times(event: Component) -> Iterator[Problem]:
    """That all times are of one type, and the end is after the start."""
    if not event.all("DTSTART"):
        return
    start = event.all("DTSTART")[0]
    if any(
        end.parameters != start.parameters or end.value <= start.value for end in event.all("DTEND")
    ):
        yield Problem("P15", "DTEND is not after DTSTART or of another type (RFC 5545 §3.8.2.2)")
    for moment in (*event.all("EXDATE"), *event.all("RDATE")):
        if _kind(moment) != _kind(start):
            yield Problem("P15", f"{moment.name} is not of the type of DTSTART")


@lru_cache(maxsize=4096)
def _person(line: str) -> Person:
    line_read = _property(line)
    if line_read is None:
        return Person("", "", "", asked=False, problems=(Problem("P15", UNREADABLE),))
    address = line_read.value
    if address.lower().startswith("mailto:"):
        address = unquote(address[7:])
    return Person(
        line_read.name,
        address,
        plain(address),
        line_read.parameters.get("RSVP") == "TRUE",
        tuple(_odd(line_read)),
    )


def _odd(line: Property) -> Iterator[Problem]:
    names = list(line.parameters)
    if names and names[-1] != "CN":
        yield Problem(
            "P16", f"the parameters of {line.name} do not end with CN (Gnus loses the address)"
        )
    if re.search(r'[,;:"]', line.parameters.get("CN", "")):
        yield Problem("P16", f"a comma, semicolon, colon or quote in a CN of {line.name}")
    if line.name == "ATTENDEE" and line.parameters.get("PARTSTAT") not in PARTSTATS:
        yield Problem("P16", f"unknown PARTSTAT {line.parameters.get('PARTSTAT')}")
    if not line.value.lower().startswith("mailto:") or "@" not in line.value:
        yield Problem("P16", f"{line.name} has no mail address")


def _people(people: list[Person], letter: Letter) -> Iterator[Problem]:
    """Of one VEVENT: the recipient is asked, once, by the address that is read for this letter."""
    recipient = plain(letter.address)
    for person in people:
        yield from person.problems
    organizer = next((person for person in people if person.name == "ORGANIZER"), None)
    if organizer is not None and organizer.plain == recipient:
        yield Problem("P17", "ORGANIZER is the recipient: Gmail and Outlook show no buttons then")
    if organizer is None or organizer.address.casefold() != letter.organizer_address.casefold():
        shown = "missing" if organizer is None else organizer.address
        yield Problem("P17", f"ORGANIZER is not the address that is read for this letter: {shown}")
    mine = [person for person in people if person.name == "ATTENDEE" and person.plain == recipient]
    if len(mine) != 1:
        yield Problem("P16", f"the recipient stands {len(mine)} times among the ATTENDEEs")
    elif letter.method is Method.REQUEST and not mine[0].asked:
        yield Problem("P16", "the recipient is not asked (RSVP)")


def _identity(events: list[Component], planned: _Planned) -> Iterator[Problem]:
    """What makes an update an update (P13) and a CANCEL take the entry away (P14)."""
    if {_plain_text(event.value("UID")) for event in events} != {planned.uid}:
        yield Problem("P13", "UID is not the follow-up's")
    main = events[0]
    if main.value("SEQUENCE") != str(planned.sequence):
        yield Problem(
            "P13", f"SEQUENCE is {main.value('SEQUENCE')}, planned was {planned.sequence}"
        )
    if main.value("DTSTAMP") != planned.dtstamp:
        yield Problem("P13", "DTSTAMP is not the planned one")
    dates = [bool(event.all("RECURRENCE-ID")) for event in events]
    if dates[0] != planned.one_date or not all(dates[1:]):
        yield Problem("P11", "series and single date are confused (RECURRENCE-ID)")
    cancelled = main.value("STATUS") == "CANCELLED"
    if cancelled != (planned.method is Method.CANCEL and not planned.withdrawn):
        yield Problem(
            "P14",
            f"STATUS is {main.value('STATUS') or 'missing'} in a {planned.method.value}"
            f"{' that withdraws' if planned.withdrawn else ''}",
        )


def _rule(text: str, start: Property) -> Iterator[Problem]:
    """RRULE agreeing with DTSTART: the first date belongs to the rule, and UNTIL has its type (RFC
    5545 §3.3.10, §3.8.5.3).
    """
    parts = dict(part.partition("=")[::2] for part in text.split(";"))
    day = _day(start.value)
    if parts.get("FREQ") not in RULE_PARTS or day is None:
        yield Problem("P15", f"RRULE has no usable FREQ, or DTSTART is no date: {text}")
        return
    if fault := _forbidden(parts, text):
        yield Problem("P15", f"{fault}: {text}")
    if "UNTIL" in parts:
        form = r"\d{8}" if _kind(start) == "DATE" else r"\d{8}T\d{6}Z"
        if not re.fullmatch(form, parts["UNTIL"]):
            yield Problem("P15", f"UNTIL is not of the type of DTSTART: {text}")
        elif _ends_before(parts["UNTIL"], start):
            yield Problem("P15", f"the series ends before it begins: {text}")
    if not all(_fits(day, name, value) for name, value in parts.items()):
        yield Problem("P15", f"DTSTART {start.value} is not a date of its rule: {text}")


def _forbidden(parts: dict[str, str], text: str) -> str:
    """What makes programs drop the rule and show one date (libical), or expand it each in its own
    way; "" where nothing does.
    """
    if unknown := parts.keys() - {*ANY_RULE.split(), *RULE_PARTS[parts["FREQ"]].split()}:
        return f"{', '.join(sorted(unknown))} does not go with the FREQ of RRULE"
    if len(parts) != text.count(";") + 1 or {"COUNT", "UNTIL"} <= parts.keys():
        return "RRULE says something twice, or both COUNT and UNTIL"
    if any(
        not re.fullmatch("0*[1-9][0-9]*", parts.get(name, "1")) for name in ("INTERVAL", "COUNT")
    ):
        return "INTERVAL or COUNT of RRULE is no number from 1 on"
    numbers = re.findall("([+-]?[0-9]+)[A-Z]", parts.get("BYDAY", ""))
    if (numbers and (parts["FREQ"] in ("DAILY", "WEEKLY") or "BYWEEKNO" in parts)) or 0 in map(
        int, numbers
    ):
        return "BYDAY of RRULE counts days of no month or year"
    return ""


def _ends_before(until: str, start: Property) -> bool:
    """Whether an UNTIL of the right type is earlier than DTSTART; an undefined zone is reported
    elsewhere.
    """
    if _kind(start) == "DATE":
        return until < start.value
    try:
        zone = UTC if start.value.endswith("Z") else ZoneInfo(start.parameters.get("TZID", ""))
        first = datetime.fromisoformat(start.value.rstrip("Z")).replace(tzinfo=zone)
        return datetime.fromisoformat(until) < first
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False


def _fits(day: date, name: str, value: str) -> bool:
    parts = value.split(",")
    if name == "BYMONTH":
        return str(day.month) in {part.lstrip("0") for part in parts}
    if name == "BYMONTHDAY":
        return str(day.day) in parts or str(-_days_left(day)) in parts
    if name == "BYDAY":
        return any(part.endswith(DAYS[day.weekday()]) and _nth(day, part[:-2]) for part in parts)
    return True


def _nth(day: date, position: str) -> bool:
    """Whether a day is the position-th of its weekday in its month; counting within a year is left
    to the client.
    """
    if not position or not re.fullmatch(r"[+-]?[1-5]", position):
        return True
    if int(position) > 0:
        return (day.day - 1) // 7 + 1 == int(position)
    return (_days_left(day) - 1) // 7 + 1 == -int(position)


def _days_left(day: date) -> int:
    """Days of the month from this day on, itself counted: BYMONTHDAY=-1 is the last day."""
    return monthrange(day.year, day.month)[1] - day.day + 1


def _read(text: str) -> Component | None:
    """The component tree, None where BEGIN and END do not match or a line has no name."""
    stack = [Component("")]
    for raw in text.split("\r\n"):
        if not raw:
            continue
        line = _property(raw)
        if line is None:
            return None
        if line.name == "BEGIN":
            stack.append(Component(line.value.upper()))
        elif line.name == "END":
            if len(stack) < 2 or stack[-1].name != line.value.upper():
                return None
            closed = stack.pop()
            stack[-1].components.append(closed)
        else:
            stack[-1].properties.append(line)
    top = stack[0]
    names = [component.name for component in top.components]
    is_complete = len(stack) == 1 and names == ["VCALENDAR"] and not top.properties
    return top.components[0] if is_complete else None


def _property(line: str) -> Property | None:
    match = LINE.fullmatch(line)
    if match is None:
        return None
    return Property(
        match[1].upper(),
        {key.upper(): content.strip('"') for key, content in PARAMETER.findall(match[2])},
        match[3],
    )


def _plain_text(value: str) -> str:
    """A TEXT without its escapes (RFC 5545 §3.3.11)."""
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], value)


def _kind(line: Property) -> str:
    if line.parameters.get("VALUE") == "DATE":
        return "DATE"
    return "UTC" if line.value.endswith("Z") else f"TZID={line.parameters.get('TZID', '')}"


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:8])
    except ValueError:
        return None
