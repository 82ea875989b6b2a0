"""The calendar object of a letter: iCalendar as written (RFC 5545, 5546, 7986), from frozen facts
alone.

What clients need beyond the standards is said at the line. Reading foreign objects is the business
of `ical.read`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

import icalendar

from gateway.errors import InputError
from gateway.followups import covering, editions, texts
from gateway.ical import zones
from gateway.mail import address as addresses
from gateway.model import Availability, DateChange, Edition, Guest, Letter, Method, Moment, Reply

PRODID = "-//invite-gateway//iTIP//EN"
HORIZON = 10
"""Years after its start for which the zone of an endless series is checked and, where needed,
written out.
"""
PLAIN = "!$&'*+-/=_.~"
"""Characters of a local part that stand as they are in mailto: (RFC 6068 §2; clients compare the
text without decoding).
"""
SUFFIX = re.compile(
    r"(jr|sr|i{1,3}|iv|ph\.?d|m\.?d|inc|ltd|llc|plc|gmbh|asa?|ab|a/s)\.?", re.IGNORECASE
)
"""What stands after a comma without being a given name: "Acme, Inc."."""
FOLD = 74
"""Octets of a line, and of each that continues it without its space."""
ONE_DAY = timedelta(days=1)
WHOLE = (Method.REQUEST, Method.PUBLISH)
"""Methods that say all there is to say of a follow-up."""
ZONED = re.compile(rb"^[A-Z-]+;TZID=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """When something happens, as the calendar shows it: UTC instants, or dates with an exclusive
    end when `all_day`.

    `transparent`: it does not make anybody busy (RFC 5545 §3.8.2.7): a task or planned call on its
    deadline (itip.md §2), or what is free for its owner.
    """

    start: Moment
    end: Moment | None
    all_day: bool
    transparent: bool


def span(edition: Edition, instance: Moment | None = None) -> Span:
    """The time of a follow-up, or of one instance of a series with its own change applied.

    Raises `InputError` for a follow-up with neither a start nor a deadline.
    """
    if edition.start is None:
        if edition.deadline is None:
            raise InputError("neither a start nor a deadline is set")
        return Span(edition.deadline, edition.deadline + ONE_DAY, all_day=True, transparent=True)
    free = edition.availability is Availability.FREE
    whole = Span(edition.start, edition.end, edition.all_day, transparent=free)
    if instance is None:
        return whole
    change = date_change(edition, instance)
    start = change.start if change and change.start is not None else instance
    if change and change.end is not None:
        end: Moment | None = change.end
    else:
        end = None if edition.end is None else start + (edition.end - edition.start)
    return Span(start, end, edition.all_day, transparent=free)


def date_change(edition: Edition, instance: Moment) -> DateChange | None:
    """What is different on one date of a series, None where nothing is."""
    return next((change for change in edition.dates if change.original == instance), None)


def common_name(name: str) -> str:
    """A name as a CN that no client trips over: "Nordmann, Kari" → "Kari Nordmann".

    Comma, semicolon, colon and quotes break aerc and sabre; a caret would be read as RFC 6868
    escaping.
    """
    printable = texts.CONTROLS.sub(" ", name)
    plain = printable.translate(str.maketrans("\n\t\u2019\u02bc", "  ''"))
    clean = " ".join(plain.split())
    parts = [part.strip() for part in clean.split(",")]
    if len(parts) == 2 and all(parts) and not SUFFIX.fullmatch(parts[1]):
        clean = f"{parts[1]} {parts[0]}"
    return " ".join(re.sub(r'[,;:"^\u201c\u201d\u201e\u00ab\u00bb]', " ", clean).split())


def mailto(address: str) -> str:
    """An address as a `mailto:` URI: the domain in ASCII (RFC 6068 §2), the rest percent-encoded
    where a URI needs it.

    Raises `InputError` for a text that is not an address at all.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain or re.search(r"[\s<>]", domain) or texts.CONTROLS.search(address):
        raise InputError(f"not a mail address: {address!r}")
    return f"mailto:{quote(local, safe=PLAIN)}@{addresses.ascii_domain(domain)}"


def calendar(letter: Letter) -> bytes:
    """The VCALENDAR of a letter: CRLF, UTF-8, folded at 75 octets; the same letter gives the same
    bytes.

    A CANCEL shows what the invitee holds (`before`). Raises `InputError` for an unknown zone or a
    follow-up without time.
    """
    shown = facts(letter)
    writer = _Writer(letter, shown)
    events = [
        writer.refusal()
        if letter.method is Method.DECLINECOUNTER
        else writer.event(letter.instance, letter.sequence, letter.reply)
    ]
    is_whole = letter.method in WHOLE and letter.instance is None
    if is_whole and shown.recurrence is not None:
        # Many clients drop exceptions when a newer master arrives: every date of its own goes with
        # it (itip.md §2).
        sequences = {original: sequence for original, sequence, _ in shown.date_sequences}
        replies = dict(letter.remarks.date_replies)
        events += [
            writer.event(
                original,
                sequences.get(original, letter.sequence),
                replies.get(original, letter.reply),
            )
            for original in exceptions(shown)
        ]
    top = icalendar.Calendar()
    top.add("prodid", PRODID)
    top.add("version", "2.0")
    top.add("calscale", "GREGORIAN")
    top.add("method", letter.method.value)
    for event in events:
        top.add_component(event)
    written: bytes = top.to_ical(sorted=False)
    if not ZONED.search(written):
        return written
    head, begin, rest = written.partition(b"BEGIN:VEVENT\r\n")
    return head + _vtimezone(shown.timezone, *_years(shown, letter.instance)) + begin + rest


def published(edition: Edition, at: datetime, address: str) -> bytes:
    """The VCALENDAR of a follow-up for a person who looks at it: nobody is asked, and only the
    owner is named (RFC 5546 §3.2.1). `at`: when it was changed last; `address`: of its owner, ""
    where they have none.
    """
    whole = Letter(
        method=Method.PUBLISH,
        edition=edition,
        before=None,
        sequence=edition.sequence,
        dtstamp=at,
        message_id="",
        account="",
        address=address,
        address_name="",
        organizer_address=address,
        bounce_address="",
        language="",
        timezone=edition.timezone,
        token="",
        reply=Reply.ACCEPTED,
    )
    return calendar(whole)


def facts(letter: Letter) -> Edition:
    """The edition that a letter speaks of: a CANCEL names what it takes away, which is what was
    sent before.
    """
    return (
        letter.before
        if letter.method is Method.CANCEL and letter.before is not None
        else letter.edition
    )


def exceptions(shown: Edition) -> list[Moment]:
    """The dates that go with a series as further VEVENTs: those with data of their own, and those
    of a list that are at another hour than its rule.
    """
    series = shown.recurrence
    listed = series.rdates if series is not None and not series.rrule else ()
    moved = {
        date
        for date in listed
        if covering.named(shown, date) != date and editions.takes_place(shown, date)
    }
    return sorted({*editions.own_dates(shown), *moved}, key=str)


def guests(letter: Letter, instance: Moment | None) -> tuple[Guest, ...]:
    """Who else takes part, where the list is public: as is known now, even where a letter speaks of
    what was.
    """
    listed = facts(letter).guest_list_public and not letter.withdrawn
    return editions.guests(letter.edition, instance) if listed else ()


def cancel_reason(letter: Letter) -> str:
    """Why what a CANCEL takes away is cancelled; "" where nobody said, and in a withdrawal, which
    cancels nothing.
    """
    if letter.method is not Method.CANCEL or letter.withdrawn:
        return ""
    return texts.reason(editions.cancel_reason(letter.edition, letter.instance))


class _Parameters(icalendar.Parameters):
    """Quotes a CN only where RFC 5545 §3.2 needs it: some clients take the quotes for a part of the
    name.
    """

    quote_also: dict[str, str] = {}  # noqa: RUF012 (the library declares it so)


class _Writer:
    """Builds the VEVENTs of one letter; they share recipient, organizer, zone and texts."""

    def __init__(self, letter: Letter, shown: Edition) -> None:
        self.letter = letter
        self.shown = shown
        self.info = UTC if editions.is_utc(shown.timezone) else zones.zone(shown.timezone)

    def event(self, instance: Moment | None, sequence: int, reply: Reply) -> icalendar.Event:
        """The series or single meeting, or one date of it, then with RECURRENCE-ID and without
        RRULE (P11).
        """
        letter, shown = self.letter, self.shown
        event = self.identity(instance, sequence)
        event.add("last-modified", letter.dtstamp.astimezone(UTC))
        when = self.times(event, instance)
        event.add("summary", texts.text(shown.title) or shown.kind.value.capitalize())
        self.describe(event)
        if why := cancel_reason(letter):
            event.add("comment", why)  # RFC 5546 §3.2.5
        self.people(event, instance, reply)
        self.status(event)
        event.add("transp", "TRANSPARENT" if when.transparent else "OPAQUE")
        self.outlook(event, when, reply)
        return event

    def times(self, event: icalendar.Event, instance: Moment | None) -> Span:
        """DTSTART and DTEND, and which dates a series has."""
        when = span(self.shown, instance)
        recurs = instance is None and self.shown.recurrence is not None
        entry = self.said() if recurs else None
        if entry is not None and entry.start != when.start:
            when = replace(when, start=entry.start, end=_end(when, entry.start))
        write = self.instant if not recurs and self.repeated(when) else self.local
        event.add("dtstart", write(when.start))
        if when.end is not None and when.end > when.start:
            # RFC 5545 §3.8.2.2: DTEND is later than DTSTART; a moment without length has none.
            event.add("dtend", write(when.end))
        if entry is not None:
            self.recurrence(event, entry, when)
        return when

    def status(self, event: icalendar.Event) -> None:
        """A withdrawal says nothing of the meeting itself."""
        if self.letter.method in WHOLE and not self.shown.cancelled:
            event.add("status", "CONFIRMED")
        elif self.letter.method is Method.PUBLISH or (
            self.letter.method is Method.CANCEL and not self.letter.withdrawn
        ):
            event.add("status", "CANCELLED")

    def identity(self, instance: Moment | None, sequence: int) -> icalendar.Event:
        event = icalendar.Event()
        event.add("uid", self.shown.uid)
        date = instance if instance is not None else self.shown.recurrence_id
        if date is not None:
            event.add("recurrence-id", self.local(covering.named(self.shown, date)))
        event.add("sequence", sequence)
        event.add("dtstamp", self.letter.dtstamp.astimezone(UTC))
        return event

    def refusal(self) -> icalendar.Event:
        """RFC 5546 §3.2.8: a DECLINECOUNTER names the event, the SEQUENCE of the COUNTER and the
        people; it repeats nothing else.
        """
        event = self.identity(self.letter.instance, self.letter.sequence)
        self.people(event, self.letter.instance, self.letter.reply)
        return event

    def describe(self, event: icalendar.Event) -> None:
        shown = self.shown
        parts = (texts.text(shown.agenda), texts.text(shown.video_url))
        description = "\n\n".join(part for part in parts if part)
        if description:
            event.add("description", description)
        location = texts.text(shown.location)
        if location:
            event.add("location", location)
        link = texts.web_link(shown.video_url)
        if link:
            event.add("url", link)
            event.add(
                "conference",
                icalendar.vUri(link, params={"VALUE": "URI", "FEATURE": "VIDEO"}),
                encode=False,
            )  # RFC 7986 §5.11

    def people(self, event: icalendar.Event, instance: Moment | None, reply: Reply) -> None:
        letter, shown = self.letter, self.shown
        if letter.method is Method.PUBLISH and not letter.organizer_address:
            return
        parameters = {"CN": common_name(shown.organizer) or common_name(letter.organizer_address)}
        event.add("organizer", _person(letter.organizer_address, parameters), encode=False)
        if letter.method is Method.PUBLISH:
            return
        rsvp = letter.method is Method.REQUEST
        mine = {addresses.key(letter.address), addresses.key(letter.organizer_address)}
        event.add(
            "attendee",
            _attendee(letter.address, letter.address_name, reply, rsvp=rsvp, **self.delegation()),
            encode=False,
        )
        for other, parameters in self.delegates():
            if addresses.key(other.address) not in mine:
                mine.add(addresses.key(other.address))
                event.add(
                    "attendee",
                    _attendee(other.address, other.name, other.reply, rsvp=False, **parameters),
                    encode=False,
                )
        for guest in guests(letter, instance):
            if guest.address and addresses.key(guest.address) not in mine:
                mine.add(addresses.key(guest.address))  # two rows of one mailbox are one attendee
                event.add(
                    "attendee",
                    _attendee(guest.address, guest.name, guest.reply, rsvp=False),
                    encode=False,
                )

    def delegation(self) -> dict[str, str]:
        """RFC 5545 §3.2.4, §3.2.5: who passed the invitation on to the recipient, and to whom they
        did.
        """
        remarks = self.letter.remarks
        parameters = dict[str, str]()
        if remarks.delegated_from is not None and remarks.delegated_from.address:
            parameters["DELEGATED-FROM"] = mailto(remarks.delegated_from.address)
        if remarks.delegated_to is not None and remarks.delegated_to.address:
            parameters["DELEGATED-TO"] = mailto(remarks.delegated_to.address)
        return parameters

    def delegates(self) -> Iterator[tuple[Guest, dict[str, str]]]:
        """RFC 5546 §3.2.2.3: both sides of a delegation stand in the REQUEST. Each of them knows
        the other by it.
        """
        if self.letter.method is not Method.REQUEST:
            return
        own, remarks = mailto(self.letter.address), self.letter.remarks
        if remarks.delegated_from is not None and remarks.delegated_from.address:
            yield replace(remarks.delegated_from, reply=Reply.DELEGATED), {"DELEGATED-TO": own}
        if remarks.delegated_to is not None and remarks.delegated_to.address:
            yield remarks.delegated_to, {"DELEGATED-FROM": own}

    def said(self) -> covering.Told | None:
        """How the series is said; None where it has no form that programs read, and is taken away:
        UID and SEQUENCE are enough for that.
        """
        try:
            return covering.told(self.shown)
        except InputError:
            if self.letter.method is Method.CANCEL:
                return None
            raise

    def recurrence(self, event: icalendar.Event, entry: covering.Told, when: Span) -> None:
        event.add("rrule", _recur(self.rrule(entry.rrule, when.all_day)))
        exdates = [self.local(moment) for moment in _ordered(entry.exdates)]
        rdates = [self.local(moment) for moment in _ordered(entry.rdates) if moment != when.start]
        if exdates:
            event.add("exdate", exdates)
        if rdates:
            event.add("rdate", rdates)

    def rrule(self, rule: str, all_day: bool) -> str:
        """RFC 5545 §3.3.10: UNTIL has the type of DTSTART, and is in UTC where DTSTART has a
        zone.
        """
        parts = [part.strip() for part in rule.removeprefix("RRULE:").split(";") if part.strip()]
        for number, part in enumerate(parts):
            if part.upper().startswith("UNTIL="):
                parts[number] = f"UNTIL={self.until(part[6:], all_day)}"
        return ";".join(parts)

    def until(self, value: str, all_day: bool) -> str:
        if all_day:
            moment = _parse_until(value)
            local = moment.astimezone(self.info) if moment.tzinfo else moment
            return f"{local:%Y%m%d}"
        if len(value) == 8:
            value += "T235959"  # the whole last day counts
        moment = _parse_until(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=self.info)
        return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def outlook(self, event: icalendar.Event, when: Span, reply: Reply) -> None:
        """MS-OXCICAL: what Outlook marks the entry with before an answer, and after one."""
        free = when.transparent or self.letter.method is Method.CANCEL
        intended = "FREE" if free else "BUSY"
        waiting = reply in (Reply.NEEDS_ACTION, Reply.TENTATIVE)
        event.add("x-microsoft-cdo-busystatus", "TENTATIVE" if waiting and not free else intended)
        event.add("x-microsoft-cdo-intendedstatus", intended)
        event.add("x-microsoft-cdo-alldayevent", "TRUE" if when.all_day else "FALSE")

    def local(self, moment: Moment) -> Moment:
        """An instant in the zone of the follow-up; a date stays a date."""
        return moment.astimezone(self.info) if isinstance(moment, datetime) else moment

    def repeated(self, when: Span) -> bool:
        """Whether it begins or ends in the hour that autumn repeats, the second time: with TZID the
        first is read (RFC 5545 §3.3.5).
        """
        return any(
            isinstance(local := self.local(moment), datetime) and local.fold
            for moment in (when.start, when.end)
            if moment is not None
        )

    @staticmethod
    def instant(moment: Moment) -> Moment:
        """The form without a zone, which names any instant; a date stays a date."""
        return moment.astimezone(UTC) if isinstance(moment, datetime) else moment


def _end(when: Span, start: Moment) -> Moment | None:
    """The end of what begins then and takes as long."""
    return start + (when.end - when.start) if when.end is not None else None


def _attendee(
    address: str, name: str, reply: Reply, *, rsvp: bool, **delegation: str
) -> icalendar.vCalAddress:
    """Parameters in this order: CN last, never PARTSTAT (Gnus loses the address otherwise)."""
    parameters = {
        "CUTYPE": "INDIVIDUAL",
        "ROLE": "REQ-PARTICIPANT",
        "PARTSTAT": reply.value.upper(),
        **delegation,
    }
    if rsvp:
        parameters["RSVP"] = "TRUE"
    parameters["CN"] = common_name(name) or common_name(address)
    return _person(address, parameters)


def _person(address: str, parameters: dict[str, str]) -> icalendar.vCalAddress:
    person = icalendar.vCalAddress(mailto(address))
    person.params = _Parameters(parameters)
    return person


@lru_cache(maxsize=256)
def _vtimezone(name: str, first: int, last: int) -> bytes:
    """A third of most objects, and the same for everybody: written once."""
    component = icalendar.Timezone()
    component.add("tzid", name)
    for part in zones.observances(name, first, last):
        entry = icalendar.TimezoneDaylight() if part.daylight else icalendar.TimezoneStandard()
        entry.add("dtstart", part.start)
        if part.rrule:
            entry.add("rrule", icalendar.vRecur.from_ical(part.rrule))
        entry.add("tzoffsetfrom", part.offset_from)
        entry.add("tzoffsetto", part.offset_to)
        entry.add("tzname", part.name)
        component.add_component(entry)
    written: bytes = component.to_ical(sorted=False)
    return written


def _years(shown: Edition, instance: Moment | None) -> tuple[int, int]:
    """First and last year that the object speaks of; an endless or counted series is followed to
    the horizon.
    """
    when = span(shown, instance)
    times: list[Moment | None] = [when.start, when.end, shown.recurrence_id]
    for change in shown.dates:
        times += [change.original, change.start, change.end]
    moments = [moment for moment in times if moment is not None]
    series = shown.recurrence if instance is None else None
    if series is not None:
        moments += [*series.exdates, *series.rdates]
    years = [moment.year for moment in moments]
    first, last = min(years), max(years)
    if series is not None and series.rrule:
        until = re.search(r"UNTIL=(\d{4})", series.rrule, re.IGNORECASE)
        last = max(last, min(int(until[1]), first + HORIZON) if until else first + HORIZON)
    return first, last


def folded(line: str) -> bytes:
    """A content line as it stands in an object (RFC 5545 §3.1). An ASCII line is cut as the library
    does, only faster.
    """
    if not line.isascii():
        return icalendar.parser.Contentline(line).to_ical() + b"\r\n"  # type: ignore[no-untyped-call, no-any-return]
    return (
        "\r\n ".join(line[at : at + FOLD] for at in range(0, len(line), FOLD)).encode("ascii")
        + b"\r\n"
    )


def _recur(rule: str) -> icalendar.vRecur:
    try:
        parsed: icalendar.vRecur = icalendar.vRecur.from_ical(rule)
    except ValueError as error:
        raise InputError(f"not a recurrence rule: {rule!r}") from error
    if "FREQ" not in parsed:
        raise InputError(f"not a recurrence rule: {rule!r}")
    return parsed


def _parse_until(value: str) -> datetime:
    for pattern in ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y%m%d"):
        try:
            moment = datetime.strptime(value, pattern)  # noqa: DTZ007 (a floating UNTIL is local time)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if pattern.endswith("Z") else moment
    raise InputError(f"not an UNTIL of a recurrence rule: {value!r}")


def _ordered(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(set(moments))
