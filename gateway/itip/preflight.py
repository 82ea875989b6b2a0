"""The last look at a letter before it is handed to SMTP: what makes clients refuse or misread an invitation (P13-P19).

It reads the finished bytes with a line reader of its own and shares no code with the writer: a mistake in `ics` or in
`mail.compose` cannot hide itself. A problem is a bug of ours: the outbox row is held, and says which rule is broken.
Standards: RFC 5545 §3.1 (lines), RFC 5546 §3.2 (what a METHOD needs), RFC 6047 §2.4 (Content-Type). Never raises on bytes.
"""

import email
import email.policy
import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.message import Message
from email.utils import getaddresses, parseaddr
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.model import Letter, Method

MOST_BYTES = 1_000_000
"""Whole letter. Gmail and Exchange stop reading calendar parts of about this size; relays refuse more than they do."""
MOST_UID = 75
PARTSTATS = frozenset({"NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"})
NEEDED = {"UID": 1, "DTSTAMP": 1, "DTSTART": 1, "ORGANIZER": 1, "SEQUENCE": 1, "SUMMARY": 1}
REPEATED = frozenset({"DTSTART", "SUMMARY"})
"""What a DECLINECOUNTER does not repeat (RFC 5546 §3.2.8)."""
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
LINE = re.compile(r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)*):(.*)', re.DOTALL)
PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: its number in itip.md §8 and a sentence for the administrator."""

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
        return [one for one in self.properties if one.name == name]

    def value(self, name: str) -> str:
        """The value of the first property of that name, "" where there is none."""
        return next((one.value for one in self.properties if one.name == name), "")

    def walk(self) -> Iterator["Component"]:
        yield self
        for part in self.components:
            yield from part.walk()


def check(content: bytes, letter: Letter) -> list[Problem]:
    """Everything that is wrong with the finished mail of a letter; empty when it may leave."""
    problems = list(_bytes(content))
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    problems += _headers(message, letter)
    if letter.method is Method.NONE:
        return list(dict.fromkeys([*problems, *_words(message)]))
    problems += _layout(message)
    bodies = [(part, part.get_payload(decode=True)) for part in message.walk()
              if part.get_content_type() in ("text/calendar", "application/ics")]
    for part, _ in bodies:
        if part.get_content_type() == "text/calendar" and part.get_param("method") != letter.method.value:
            problems.append(Problem("P15", f"method={part.get_param('method')} in Content-Type, the letter is a {letter.method.value}"))
    objects = dict.fromkeys(body for _, body in bodies if isinstance(body, bytes))
    for one in objects:
        problems += _calendar(one, letter)
    if len(objects) > 1:
        problems.append(Problem("P16", "the attachment differs from the calendar part"))
    return list(dict.fromkeys(problems))


def _bytes(content: bytes) -> Iterator[Problem]:
    if len(content) > MOST_BYTES:
        yield Problem("P15", f"the letter has {len(content)} bytes, more than {MOST_BYTES}")
    if _breaks_badly(content):
        yield Problem("P15", "a line of the mail does not end in CRLF")
    if any(len(line) > 998 for line in content.split(b"\r\n")):
        yield Problem("P15", "a line of the mail is longer than 998 octets (RFC 5322 §2.1.1)")
    if not content.isascii():
        yield Problem("P15", "the mail is not 7-bit")


def _breaks_badly(content: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    rest = content.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def _headers(message: Message, letter: Letter) -> Iterator[Problem]:
    for name in ("From", "To", "Date", "Message-ID", "Subject", "Reply-To"):
        if len(message.get_all(name, [])) != 1:
            yield Problem("P19", f"the header {name} does not stand there exactly once")
    for defect in (defect for part in message.walk() for defect in part.defects):
        yield Problem("P15", f"defect of the MIME structure: {defect}")
    author = parseaddr(str(message.get("From", "")))[1]
    if _domain(author) != _domain(letter.organizer_address):
        yield Problem("P19", f"From is not of the account's domain: {author}")
    if _same(author, letter.address):
        yield Problem("P19", "From is the recipient")
    answers_go_to = letter.remarks.reply_to if letter.method is Method.NONE else letter.organizer_address
    if [address.casefold() for _, address in getaddresses(message.get_all("Reply-To", []))] != [answers_go_to.casefold()]:
        yield Problem("P17", "Reply-To is not the address that is read for this letter")
    recipients = [address for _, address in getaddresses(message.get_all("To", []))]
    if len(recipients) != 1 or not _same(recipients[0], letter.address):
        yield Problem("P19", "the letter is not addressed to its recipient alone")
    if message.get("Message-ID", "").strip() != f"<{letter.message_id}>":
        yield Problem("P13", "Message-ID is not the one of the outbox row")


def _words(message: Message) -> Iterator[Problem]:
    """P23: what is passed on is plain text, and says that a program sent it, so that no program answers."""
    if message.get_content_type() != "text/plain":
        yield Problem("P23", f"words are passed on as {message.get_content_type()}")
    if message.get("Auto-Submitted", "") != "auto-generated":
        yield Problem("P23", "Auto-Submitted is not auto-generated (RFC 3834 §5)")


def _layout(message: Message) -> Iterator[Problem]:
    """P16: mixed { alternative { plain, html, calendar last and without disposition }, attachment }."""
    children = message.get_payload()
    first = children[0] if isinstance(children, list) and children else None
    if message.get_content_type() != "multipart/mixed" or not isinstance(first, Message):
        yield Problem("P16", "the mail is not multipart/mixed")
        return
    inner = first.get_payload()
    parts = [part for part in inner if isinstance(part, Message)] if isinstance(inner, list) else []
    kinds = [part.get_content_type() for part in parts]
    if first.get_content_type() != "multipart/alternative" or kinds != ["text/plain", "text/html", "text/calendar"]:
        yield Problem("P16", f"the alternatives are not text, HTML and calendar, in this order: {kinds}")
        return
    if parts[-1].get("Content-Disposition") is not None:
        yield Problem("P16", "the calendar part has a disposition, which hides the buttons")


def _calendar(body: bytes, letter: Letter) -> Iterator[Problem]:
    yield from _lines(body)
    top = _read(body.decode("utf-8", "replace"))
    if top is None:
        yield Problem("P15", "the calendar object cannot be read: a BEGIN or END is missing, or a line has no name")
        return
    method = top.value("METHOD")
    if method != letter.method.value:
        yield Problem("P15", f"METHOD is {method or 'missing'} in the calendar object, the letter is a {letter.method.value}")
    if top.value("VERSION") != "2.0" or not top.value("PRODID"):
        yield Problem("P15", "VERSION:2.0 or PRODID is missing")
    yield from _zones(top)
    events = [one for one in top.components if one.name == "VEVENT"]
    if not events:
        yield Problem("P15", "there is no VEVENT")
        return
    for event in events:
        yield from _event(event, letter)
    yield from _identity(events, letter)


def _lines(body: bytes) -> Iterator[Problem]:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        yield Problem("P15", "the calendar object is not UTF-8")
    if _breaks_badly(body) or not body.endswith(b"\r\n"):
        yield Problem("P15", "a line of the calendar object does not end in CRLF")
    if any(len(line) > 75 for line in body.split(b"\r\n")):
        yield Problem("P15", "a line of the calendar object is longer than 75 octets (RFC 5545 §3.1)")
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", body):
        yield Problem("P15", "a control character stands in the calendar object")


def _zones(top: Component) -> Iterator[Problem]:
    defined = [zone.value("TZID") for zone in top.components if zone.name == "VTIMEZONE"]
    used = {one.parameters["TZID"] for part in top.walk() for one in part.properties if "TZID" in one.parameters}
    for name in sorted(used - set(defined)):
        yield Problem("P18", f"the time zone {name} is used and not defined")
    if len(defined) != len(set(defined)):
        yield Problem("P18", "a time zone is defined twice")
    for zone in (one for one in top.components if one.name == "VTIMEZONE"):
        if not any(part.name in ("STANDARD", "DAYLIGHT") for part in zone.components):
            yield Problem("P18", f"the time zone {zone.value('TZID')} has no rule")


def _event(event: Component, letter: Letter) -> Iterator[Problem]:
    for name, count in NEEDED.items():
        if letter.method is Method.DECLINECOUNTER and name in REPEATED:
            count = 0
        if len(event.all(name)) != count:
            yield Problem("P15", f"{name} stands {len(event.all(name))} times in a VEVENT")
    if len(event.value("UID").encode()) >= MOST_UID:
        yield Problem("P15", f"UID has {MOST_UID} octets or more")
    organizer = _mailto(event.value("ORGANIZER"))
    if _same(organizer, letter.address):
        yield Problem("P17", "ORGANIZER is the recipient: Gmail and Outlook show no buttons then")
    if organizer.casefold() != letter.organizer_address.casefold():
        yield Problem("P17", f"ORGANIZER is not the address that is read for this letter: {organizer}")
    yield from _attendees(event, letter)
    start, end = event.all("DTSTART"), event.all("DTEND")
    if start and any(one.parameters != start[0].parameters or one.value <= start[0].value for one in end):
        yield Problem("P15", "DTEND is not after DTSTART or of another type (RFC 5545 §3.8.2.2)")
    for one in (*event.all("RECURRENCE-ID"), *event.all("EXDATE"), *event.all("RDATE")):
        if start and one.name != "RECURRENCE-ID" and _kind(one) != _kind(start[0]):
            yield Problem("P15", f"{one.name} is not of the type of DTSTART")
    if event.all("RECURRENCE-ID") and event.all("RRULE"):
        yield Problem("P11", "RECURRENCE-ID and RRULE in one VEVENT")
    for rule in event.all("RRULE"):
        if start:
            yield from _rule(rule.value, start[0])


def _attendees(event: Component, letter: Letter) -> Iterator[Problem]:
    attendees = event.all("ATTENDEE")
    mine = [one for one in attendees if _same(_mailto(one.value), letter.address)]
    if len(mine) != 1:
        yield Problem("P16", f"the recipient stands {len(mine)} times among the ATTENDEEs")
    elif letter.method is Method.REQUEST and mine[0].parameters.get("RSVP") != "TRUE":
        yield Problem("P16", "the recipient is not asked (RSVP)")
    for one in (*attendees, *event.all("ORGANIZER")):
        names = list(one.parameters)
        if names and names[-1] != "CN":
            yield Problem("P16", f"the parameters of {one.name} do not end with CN (Gnus loses the address)")
        if re.search(r'[,;:"]', one.parameters.get("CN", "")):
            yield Problem("P16", f"a comma, semicolon, colon or quote in a CN of {one.name}")
        if one.name == "ATTENDEE" and one.parameters.get("PARTSTAT") not in PARTSTATS:
            yield Problem("P16", f"unknown PARTSTAT {one.parameters.get('PARTSTAT')}")
        if not one.value.lower().startswith("mailto:") or "@" not in one.value:
            yield Problem("P16", f"{one.name} has no mail address")


def _identity(events: list[Component], letter: Letter) -> Iterator[Problem]:
    """What makes an update an update (P13) and a CANCEL take the entry away (P14)."""
    if {event.value("UID") for event in events} != {letter.edition.uid}:
        yield Problem("P13", "UID is not the follow-up's")
    main = events[0]
    if main.value("SEQUENCE") != str(letter.sequence):
        yield Problem("P13", f"SEQUENCE is {main.value('SEQUENCE')}, planned was {letter.sequence}")
    if main.value("DTSTAMP") != f"{letter.dtstamp.astimezone(UTC):%Y%m%dT%H%M%SZ}":
        yield Problem("P13", "DTSTAMP is not the planned one")
    dates = [bool(event.all("RECURRENCE-ID")) for event in events]
    if dates[0] != (letter.date is not None) or not all(dates[1:]):
        yield Problem("P11", "series and single date are confused (RECURRENCE-ID)")
    cancelled = main.value("STATUS") == "CANCELLED"
    if cancelled != (letter.method is Method.CANCEL and not letter.withdrawn):
        yield Problem("P14", f"STATUS is {main.value('STATUS') or 'missing'} in a {letter.method.value}"
                             f"{' that withdraws' if letter.withdrawn else ''}")


def _rule(text: str, start: Property) -> Iterator[Problem]:
    """RRULE agreeing with DTSTART: the first date belongs to the rule, and UNTIL has its type (RFC 5545 §3.3.10, §3.8.5.3)."""
    parts = dict(part.partition("=")[::2] for part in text.split(";"))
    day = _day(start.value)
    if parts.get("FREQ") not in FREQUENCIES or day is None:
        yield Problem("P15", f"RRULE has no usable FREQ, or DTSTART is no date: {text}")
        return
    if "UNTIL" in parts:
        wanted = r"\d{8}" if _kind(start) == "DATE" else r"\d{8}T\d{6}Z"
        if not re.fullmatch(wanted, parts["UNTIL"]):
            yield Problem("P15", f"UNTIL is not of the type of DTSTART: {text}")
        elif _ends_before(parts["UNTIL"], start):
            yield Problem("P15", f"the series ends before it begins: {text}")
    if not all(_fits(day, name, value) for name, value in parts.items()):
        yield Problem("P15", f"DTSTART {start.value} is not a date of its rule: {text}")


def _ends_before(until: str, start: Property) -> bool:
    """Whether an UNTIL of the right type is earlier than DTSTART; an undefined zone is told of elsewhere."""
    if _kind(start) == "DATE":
        return until < start.value
    try:
        zone = UTC if start.value.endswith("Z") else ZoneInfo(start.parameters.get("TZID", ""))
        first = datetime.fromisoformat(start.value.rstrip("Z")).replace(tzinfo=zone)
        return datetime.fromisoformat(until) < first
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False


def _fits(day: date, name: str, value: str) -> bool:
    wanted = value.split(",")
    if name == "BYMONTH":
        return str(day.month) in {part.lstrip("0") for part in wanted}
    if name == "BYMONTHDAY":
        return str(day.day) in wanted or str(-_days_left(day)) in wanted
    if name == "BYDAY":
        return any(part.endswith(DAYS[day.weekday()]) and _nth(day, part[:-2]) for part in wanted)
    return True


def _nth(day: date, position: str) -> bool:
    """Whether a day is the position-th of its weekday in its month; counting within a year is left to the client."""
    if not position or not re.fullmatch(r"[+-]?[1-5]", position):
        return True
    if int(position) > 0:
        return (day.day - 1) // 7 + 1 == int(position)
    return (_days_left(day) - 1) // 7 + 1 == -int(position)


def _days_left(day: date) -> int:
    """Days of the month from this one on, this one counted: BYMONTHDAY=-1 is the last day."""
    return monthrange(day.year, day.month)[1] - day.day + 1


def _read(text: str) -> Component | None:
    """The component tree, None where BEGIN and END do not match or a line has no name."""
    stack = [Component("")]
    for raw in re.sub(r"\r?\n[ \t]", "", text).split("\r\n"):
        if not raw:
            continue
        found = LINE.fullmatch(raw)
        if found is None:
            return None
        name, parameters, value = found[1].upper(), found[2], found[3]
        if name == "BEGIN":
            stack.append(Component(value.upper()))
        elif name == "END":
            if len(stack) < 2 or stack[-1].name != value.upper():
                return None
            closed = stack.pop()
            stack[-1].components.append(closed)
        else:
            named = {key.upper(): content.strip('"') for key, content in PARAMETER.findall(parameters)}
            stack[-1].properties.append(Property(name, named, value))
    whole = stack[0].components
    return whole[0] if len(stack) == 1 and len(whole) == 1 and whole[0].name == "VCALENDAR" and not stack[0].properties else None


def _kind(one: Property) -> str:
    if one.parameters.get("VALUE") == "DATE":
        return "DATE"
    return "UTC" if one.value.endswith("Z") else f"TZID={one.parameters.get('TZID', '')}"


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:8])
    except ValueError:
        return None


def _mailto(uri: str) -> str:
    return unquote(uri[7:]) if uri.lower().startswith("mailto:") else uri


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def _same(one: str, other: str) -> bool:
    """The same address, whatever the letter case and whether the domain is spelt in Unicode or in ASCII."""
    return _plain(one) == _plain(other)


def _plain(address: str) -> str:
    local, _, domain = address.casefold().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return f"{local}@{domain}"
