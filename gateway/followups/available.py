"""The first times at which everybody is free (domain.md §5, help page 000: "Første ledige"). Pure.

Nothing is rounded: a slot begins with the search, when working hours begin, or when somebody
becomes free. Each further slot begins where the one before it ends, or later. A slot lies within
the working hours of each associate, by the clock of each; resources keep no hours.

Limits: the search ends at `until`, and takes `LONGEST` at most.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

SLOTS = 3
LONGEST = timedelta(days=92)
DAY = timedelta(days=1)

Hours = tuple[int, int]
"""From when to when a person works on a day, in minutes since its midnight by the wall clock."""
Span = tuple[datetime, datetime]
"""From one instant to another, which is exclusive."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A time at which everybody is free."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WorkingWeek:
    """When an associate works, by weekday, Monday first; None: no working day."""

    timezone: str
    days: tuple[Hours | None, ...]

    def spans(self, after: datetime, before: datetime) -> Iterator[Span]:
        """In the order of time, each at least partly in the window."""
        zone = ZoneInfo(self.timezone)
        day = after.astimezone(zone).date() - DAY
        last = before.astimezone(zone).date()
        while day <= last:
            hours = self.days[day.weekday()]
            if hours is not None:
                begin, end = (_at(day, minutes, zone) for minutes in hours)
                if begin < end and begin < before and end > after:
                    yield begin, end
            day += DAY


def first_available(
    occupied: Iterable[Span],
    weeks: Sequence[WorkingWeek],
    length: timedelta,
    not_before: datetime,
    until: datetime,
) -> list[Slot]:
    """The first `SLOTS` slots of this length between two instants at which nothing is occupied and
    everybody works; fewer where there are no more.
    """
    until = min(until, not_before + LONGEST)
    if length <= timedelta():
        return []
    open_ = [(not_before, until)]
    for week in weeks:
        open_ = list(_common(open_, joined(week.spans(not_before, until))))
    return list(islice(_cut(_without(open_, joined(occupied)), length), SLOTS))


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time in the order of time, no two of which overlap or touch."""
    together: list[Span] = []
    for begin, end in sorted(spans):
        if together and begin <= together[-1][1]:
            together[-1] = together[-1][0], max(end, together[-1][1])
        elif begin < end:
            together.append((begin, end))
    return together


def _at(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The instant of a wall clock, of which 24:00 is the next midnight. A time that the clocks skip
    is read with the offset before (RFC 5545 §3.3.5).
    """
    days, rest = divmod(minutes, 24 * 60)
    clock = time(rest // 60, rest % 60)
    return datetime.combine(day + days * DAY, clock, zone).astimezone(UTC)


def _common(first: Sequence[Span], second: Sequence[Span]) -> Iterator[Span]:
    """The time that lies in both, which are in order."""
    first_place = second_place = 0
    while first_place < len(first) and second_place < len(second):
        begin = max(first[first_place][0], second[second_place][0])
        end = min(first[first_place][1], second[second_place][1])
        if begin < end:
            yield begin, end
        if first[first_place][1] < second[second_place][1]:
            first_place += 1
        else:
            second_place += 1


def _without(spans: Iterable[Span], occupied: Sequence[Span]) -> Iterator[Span]:
    at = 0
    for begin, end in spans:
        while at < len(occupied) and occupied[at][1] <= begin:
            at += 1
        following = at
        while following < len(occupied) and occupied[following][0] < end:
            if begin < occupied[following][0]:
                yield begin, occupied[following][0]
            begin = occupied[following][1]
            following += 1
        if begin < end:
            yield begin, end


def _cut(spans: Iterable[Span], length: timedelta) -> Iterator[Slot]:
    for begin, end in spans:
        while begin + length <= end:
            yield Slot(begin, begin + length)
            begin += length
