"""When associates and resources are occupied by a follow-up (domain.md §5, help pages 000 and 001).
Pure.

Two entries of one diary conflict if both are busy and their times overlap, which
`store.diary.collisions` finds. Free follow-ups, cancelled (10) and declined (9, 13) rows keep
nobody busy. People outside the house have no diary.

Limits: a series is looked at in a window, and with at most `recurrence.LIMIT` dates in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from gateway import status
from gateway.followups import recurrence
from gateway.model import Edition, Moment, Role, Standing
from gateway.status import Status

BLOCK_NOBODY = frozenset({Status.CANCELLED, Status.DECLINED, Status.ASSIGNMENT_DECLINED})
"""Statuses of those who do not come."""
SERIES: Moment | None = None
"""The key of a row's standing on all of a follow-up."""


UNANSWERED = Standing()


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody of the house, or a resource, who takes part: a row, or the owner without one.

    `who`: kind and key, as `store.followups.Member.who`; `date`: the one date of a series that the
    row is for, None: all of it.
    """

    who: str
    participant: int | None = None
    role: Role = Role.OWNER
    date: Moment | None = None
    standings: Mapping[Moment | None, Standing] = field(default_factory=dict)

    def status(self, instance: Moment | None) -> Status:
        """Theirs on one date: the answer to a date stands over that to the series."""
        series = self.standings.get(SERIES, UNANSWERED)
        standing = series if self.date is not None else self.standings.get(instance, series)
        return status.code(self.role, standing)


@dataclass(frozen=True, slots=True)
class Entry:
    """One date of a follow-up in the diary of one associate or resource.

    `instance`: the date's name, None where the follow-up does not recur; `end` is exclusive;
    `busy`: it keeps others out.
    """

    who: str
    follow_up: str
    instance: Moment | None
    participant: int | None
    start: datetime
    end: datetime
    busy: bool = True


def entries(
    key: str,
    edition: Edition,
    attendees: Sequence[Attendee],
    window: tuple[datetime, datetime],
    *,
    is_free: bool = False,
) -> Iterator[Entry]:
    """What a follow-up writes into the diaries of its attendees, for the dates that take place in
    the window. Who has a row for all of it and one for a date has one entry on that date.
    """
    for date in recurrence.occurrences(edition, *window):
        present = dict[str, Attendee]()
        for attendee in attendees:
            if attendee.date is None or attendee.date == date.original:
                rank(present, attendee)
        begin = instant(edition, date.start)
        end = max(begin, instant(edition, date.end))
        for attendee in present.values():
            busy = not is_free and attendee.status(date.original) not in BLOCK_NOBODY
            yield Entry(attendee.who, key, date.original, attendee.participant, begin, end, busy)


def rank(present: dict[str, Attendee], attendee: Attendee) -> None:
    """Keep of somebody's rows the one that speaks for them: that for all of the follow-up, then
    that for the date, then that of an owner without a row.
    """
    other_row = present.get(attendee.who)
    if other_row is None or _weight(attendee) < _weight(other_row):
        present[attendee.who] = attendee


def _weight(attendee: Attendee) -> tuple[bool, bool]:
    return attendee.participant is None, attendee.date is not None


def instant(edition: Edition, moment: Moment) -> datetime:
    """A day begins at midnight by the clock of the follow-up."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), ZoneInfo(edition.timezone)).astimezone(UTC)
