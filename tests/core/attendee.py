"""An invitee's calendar program, from the bytes of calendar objects alone (RFC 5546 §2.1.5, §3.2.2,
§3.2.5).

It shares no code with the gateway: objects are read with `icalendar`, dates are expanded with
`dateutil`. Programs differ in one thing that matters: what happens to single dates when a newer
series arrives. Both kinds are played.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import icalendar
from dateutil import rrule

Moment = datetime | date
Key = tuple[int, datetime]


@functools.lru_cache(2)
def _read(content: bytes) -> icalendar.Calendar:
    """One object comes to programs of both kinds, one after the other; none of them changes it."""
    return icalendar.Calendar.from_ical(content)


@dataclass(frozen=True)
class Shown:
    """One date as the calendar shows it."""

    name: Moment | None
    start: Moment
    end: Moment
    title: str
    location: str


@dataclass
class Entry:
    """One component: the series, or one date of it.
    `event` None: cancelled, and remembered at which SEQUENCE.
    """

    key: Key
    event: icalendar.Event | None


@dataclass
class Calendar:
    """What one invitee holds of one follow-up. `keeps`: single dates survive a newer series, as far
    as it still has them.

    `alone`: he may be invited to single dates without the series, which then stand in his calendar
    by themselves.
    """

    keeps: bool
    alone: bool = False
    series: Entry | None = None
    dates: dict[Moment, Entry] = field(default_factory=dict)

    def take(self, content: bytes) -> None:
        """Apply one calendar object that came by mail."""
        top = _read(content)
        events = top.events
        cancel = str(top["METHOD"]) == "CANCEL"
        if "RECURRENCE-ID" in events[0]:
            assert self.alone or self.series is not None, (
                "one date of a series that he was never sent"
            )
            assert self.alone or (self.series is not None and self.series.event is not None), (
                "a date of a series cancelled for him"
            )
            [only] = events
            self._date(only, cancel=cancel)
        else:
            self._whole(events, cancel=cancel)

    def _whole(self, events: list[icalendar.Event], *, cancel: bool) -> None:
        master, *dates = events
        if self.series is not None and _key(master) <= self.series.key:
            return
        if cancel:
            self.dates.clear()
            self.series = Entry(_key(master), None)
            return
        if not self.keeps or self.series is None or self.series.event is None:
            self.dates.clear()
        self.series = Entry(_key(master), master)
        for one in dates:
            self._date(one, cancel=False)
        names = set(_names(master, *_span(self.dates, master)))
        for name in [one for one in self.dates if one not in names]:
            del self.dates[name]

    def _date(self, event: icalendar.Event, *, cancel: bool) -> None:
        name, held = (
            utc(event.decoded("RECURRENCE-ID")),
            self.dates.get(utc(event.decoded("RECURRENCE-ID"))),
        )
        assert "RRULE" not in event
        if held is None or _key(event) > held.key:
            self.dates[name] = Entry(_key(event), None if cancel else event)

    def shows(self, after: datetime, before: datetime) -> list[Shown]:
        """What stands in the calendar between two instants, by name."""
        master = self.series.event if self.series is not None else None
        ruled = _names(master, after - timedelta(days=40), before) if master is not None else ()
        found = []
        for name in sorted({*ruled, *self.dates}, key=str):
            entry = self.dates.get(name)
            event = entry.event if entry is not None else master
            if event is None:
                continue
            shown = _shown(event, name, own=entry is not None)
            if instant(shown.start) < before and instant(shown.end) > after:
                found.append(shown)
        return found


def expand(content: bytes, after: datetime, before: datetime) -> list[Shown]:
    """The dates that one object speaks of."""
    calendar = Calendar(keeps=False)
    calendar.take(content)
    return calendar.shows(after, before)


def utc(moment: Moment) -> Moment:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment


def instant(moment: Moment) -> datetime:
    """A day begins at midnight in UTC here:
    windows in tests are wide enough for that not to matter.
    """
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def _key(event: icalendar.Event) -> Key:
    return int(event.decoded("SEQUENCE")), event.decoded("DTSTAMP")


def _shown(event: icalendar.Event, name: Moment, *, own: bool = False) -> Shown:
    begins, ends = event.decoded("DTSTART"), event.decoded("DTEND")
    start = utc(begins) if own or ("RRULE" not in event and "RDATE" not in event) else name
    recurs = "RRULE" in event or "RDATE" in event
    return Shown(
        name if own or recurs else None,
        start,
        start + (utc(ends) - utc(begins)),
        str(event.get("SUMMARY", "")),
        str(event.get("LOCATION", "")),
    )


def _names(master: icalendar.Event, after: datetime, before: datetime) -> Iterator[Moment]:
    """The names of the dates of a series between two instants,
    on the wall clock of its own zone.
    """
    start = master.decoded("DTSTART")
    if "RRULE" not in master and "RDATE" not in master:
        yield utc(start)
        return
    zone = (
        ZoneInfo(str(master["DTSTART"].params["TZID"]))
        if isinstance(start, datetime) and "TZID" in master["DTSTART"].params
        else UTC
    )
    days = not isinstance(start, datetime)
    wall = _wall(start, zone)
    found = rrule.rruleset()
    found.rdate(wall)
    if "RRULE" in master:
        [rule] = master.rrules
        found.rrule(rrule.rrulestr(_floating(rule.to_ical().decode(), zone), dtstart=wall))
    for one in _listed(master, "RDATE"):
        found.rdate(_wall(one, zone))
    for one in _listed(master, "EXDATE"):
        found.exdate(_wall(one, zone))
    window = (
        moment.astimezone(zone).replace(tzinfo=None)
        for moment in (after - timedelta(days=1), before + timedelta(days=1))
    )
    for one in found.between(*window, inc=True):
        yield one.date() if days else one.replace(tzinfo=zone).astimezone(UTC)


def _wall(moment: Moment, zone: tzinfo) -> datetime:
    """What the clocks of a zone show."""
    if isinstance(moment, datetime):
        return moment.astimezone(zone).replace(tzinfo=None)
    return datetime.combine(moment, time())


def _listed(master: icalendar.Event, name: str) -> Iterator[Moment]:
    listed = master.get(name, [])
    for group in listed if isinstance(listed, list) else [listed]:
        yield from (one.dt for one in group.dts)


def _floating(text: str, zone: tzinfo) -> str:
    """UNTIL on the wall clock, as dateutil wants it beside a naive start."""
    parts = []
    for part in text.split(";"):
        if part.startswith("UNTIL=") and part.endswith("Z"):
            until = (
                datetime.strptime(part[6:], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(zone)
            )
            part = f"UNTIL={until:%Y%m%dT%H%M%S}"
        parts.append(part)
    return ";".join(parts)


def _span(dates: dict[Moment, Entry], master: icalendar.Event) -> tuple[datetime, datetime]:
    """A window that has all these dates in it."""
    moments = [instant(one) for one in (*dates, utc(master.decoded("DTSTART")))]
    return min(moments) - timedelta(days=2), max(moments) + timedelta(days=2)
