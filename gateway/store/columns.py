"""How moments and time zones stand in the columns that others write, too: instants of whole
seconds, and the days of what is all-day.

We write a day as its midnight in UTC. Other programs write the midnight of their own session, or an
hour within the day: on PostgreSQL '2026-12-01' is a midnight of the session's zone. So a midnight
in UTC is that day, whatever the hour elsewhere; anything else is the day that it lies in where the
follow-up takes place.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

import structlog

from gateway.ical import zonenames
from gateway.model import Moment
from gateway.store import marked

log = structlog.get_logger(__name__)

DAY = timedelta(days=1)
NOON = timedelta(hours=12)


def instant(value: Moment) -> datetime:
    """How a moment is written into a column: a day as its midnight in UTC."""
    return value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)


def optional(value: Moment | None) -> datetime | None:
    """`instant` of what may be missing."""
    return None if value is None else instant(value)


def moment(value: datetime, all_day: bool, zone: str = "") -> Moment:
    """How a moment is read from a column. `zone`: where the follow-up takes place; "" or unknown: a
    day is then the one whose midnight in UTC is nearest, which is right for midnights from eleven
    hours west to twelve east.

    A calendar has no fractions of a second (RFC 5545 §3.3.5): what differs in them alone is the
    same.
    """
    value = value.replace(microsecond=0)
    if not all_day:
        return value
    if value == _midnight(value.date(), UTC):
        return value.date()
    place = _place(zone)
    return (value.astimezone(place) if place is not None else value + NOON).date()


def end(value: datetime, begins: datetime, all_day: bool, zone: str) -> Moment:
    """The same for an end, which is exclusive. Where it is no midnight the day that it lies in
    counts, on the clock by which the beginning is one: 23:59 says the same as the midnight that
    follows.
    """
    value, place = value.replace(microsecond=0), _place(zone) or UTC
    if not all_day:
        return value
    for clock in (UTC, place):
        if value == _midnight(day := value.astimezone(clock).date(), clock):
            return day
    clock = UTC if begins == _midnight(begins.date(), UTC) else place
    return value.astimezone(clock).date() + DAY


def zone(name: str, whose: str) -> str:
    """Somebody's time zone as it stands in a column; "" (that of the follow-up will do) where there
    is none of that name, which the log says once. `whose`: a key, for the log.
    """
    if isinstance(name, marked.MarkedText) or (name and _place(name) is None):
        ignored(name.said if isinstance(name, marked.MarkedText) else name, whose)
        return ""
    return name


@lru_cache(maxsize=1_000)
def ignored(name: str, whose: str) -> None:
    """Say once that somebody's time zone does not exist."""
    log.warning("a time zone that does not exist is ignored", of=whose, timezone=name)


def _place(zone: str) -> tzinfo | None:
    return zonenames.find(zone) if zone else None


def _midnight(day: date, clock: tzinfo) -> datetime:
    """Where the clocks skip midnight, the moment at which the day begins."""
    return datetime.combine(day, time(), clock).astimezone(UTC)
