"""What a date or time in an answer means for one follow-up: which instance a RECURRENCE-ID names,
which start a DTSTART fits.

Clients write RECURRENCE-ID in every form there is: UTC, TZID, Windows zone names, DATE, floating
(interop.md). A form that leaves a doubt is tried in all its readings; it names an instance only if
exactly one reading is a real one (P9: no ghosts).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.followups import covering, editions, recurrence
from gateway.ical import read, zonenames
from gateway.model import Edition, Moment

DAY, NOON = timedelta(days=1), timedelta(hours=12)
WEST, EAST = timedelta(hours=12), timedelta(hours=14)
"""How far civil time lies behind and before UTC."""

Offsets = Mapping[str, tuple[timedelta, ...]]


def instance(
    edition: Edition, when: read.When, offsets: Offsets, start: read.When | None = None
) -> Moment | None:
    """The instance that a RECURRENCE-ID names, or None. A cancelled date (EXDATE) counts: it was
    real when the invitee was asked. `start`: the DTSTART beside it, which helps where a day was
    written as an instant.
    """
    if (edition.recurrence is None and edition.recurrence_id is None) or edition.start is None:
        return None
    if edition.all_day:
        days = _days(edition, when, offsets)
        if start is not None and start.form is read.Form.DATE and start.day in days:
            days.insert(0, start.day)
        return next((day for day in days if _is_real(edition, day)), None)
    if when.form is read.Form.DATE:
        instances = {*_ruled_on(edition, when.day), *_excluded_on(edition, when.day)}
    else:
        readings = [
            _meant(edition, instant) for instant in instants(when, edition.timezone, offsets)
        ]
        instances = {reading for reading in readings if _is_real(edition, reading)}
    return instances.pop() if len(instances) == 1 else None


def fits(edition: Edition, when: read.When | None, moment: Moment | None, offsets: Offsets) -> bool:
    """Whether a DTSTART may be this start, in one of its readings."""
    if when is None or moment is None:
        return False
    if not isinstance(moment, datetime):
        return moment in _days(edition, when, offsets)
    if when.form is read.Form.DATE:
        return False
    return moment in set(instants(when, edition.timezone, offsets))


def first_reading(when: read.When | None, zone: str, offsets: Offsets) -> Moment | None:
    """The likeliest meaning of a time that is only shown to people (a proposal): a UTC instant or a
    day.
    """
    if when is None or when.form is read.Form.DATE:
        return when.day if when else None
    return next(instants(when, zone, offsets), None)


def instants(when: read.When, zone: str, offsets: Offsets) -> Iterator[datetime]:
    """The readings of a time, likeliest first. A zone that has a name of its own has one reading
    only.
    """
    clock = when.clock
    if clock is None:
        return
    if when.form is read.Form.UTC:
        yield clock.replace(tzinfo=UTC)
        return
    if when.form is read.Form.ZONED:
        zone_of_name = zonenames.find(when.tzid)
        if zone_of_name is not None:
            yield from _at(clock, zone_of_name)
            return
        for offset in offsets.get(when.tzid, ()):
            yield from _minus(clock, offset)
    yield from _at(clock, ZoneInfo(zone))


def _at(clock: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    try:
        yield clock.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return


def _minus(clock: datetime, offset: timedelta) -> Iterator[datetime]:
    try:
        yield (clock - offset).replace(tzinfo=UTC)
    except OverflowError:
        return


def _days(edition: Edition, when: read.When, offsets: Offsets) -> list[date]:
    """The days that may be meant, the likeliest first: as it was written, and as it is in the
    follow-up's own zone. Outlook turns days into midnights.
    """
    if when.form is read.Form.UTC and when.clock is not None:
        return _midnights(when.clock)
    local = (
        instant.astimezone(ZoneInfo(edition.timezone)).date()
        for instant in instants(when, edition.timezone, offsets)
    )
    return list(dict.fromkeys([when.day, *local]))


def _midnights(clock: datetime) -> list[date]:
    """The days that begin at this instant of UTC somewhere on earth, that of the nearest midnight
    first: the invitee's own zone counts, and nobody told us which that is (itip.md §5).
    """
    day = clock.date()
    since_midnight = clock - datetime.combine(day, time())
    days = list[date]()
    if since_midnight <= WEST:
        days.append(day)
    if since_midnight >= DAY - EAST and day < date.max:
        days.append(day + DAY)
    return days if since_midnight < NOON else days[::-1]


def _meant(edition: Edition, name: Moment) -> Moment:
    """The date that calendars call so: a date of a list has the name that the covering rule gives
    it.
    """
    if edition.recurrence is None or edition.recurrence.rrule or not isinstance(name, datetime):
        return name
    day = name.astimezone(ZoneInfo(edition.timezone)).date()
    if name in _ruled_on(edition, day) and editions.takes_place(edition, name):
        return name  # of two on one day each has its own
    for moment in (*_ruled_on(edition, day), *_excluded_on(edition, day)):
        if covering.named(edition, moment) == name:
            return moment
    return name


def _is_real(edition: Edition, moment: Moment) -> bool:
    if edition.recurrence_id is not None:
        return moment == edition.recurrence_id
    return editions.is_cancelled(edition, moment) or recurrence.is_instance(edition, moment)


def _ruled_on(edition: Edition, day: date) -> Iterator[Moment]:
    only = edition.recurrence_id
    if only is None:
        yield from recurrence.on_day(edition, day)
    elif isinstance(only, datetime) and only.astimezone(ZoneInfo(edition.timezone)).date() == day:
        yield only


def _excluded_on(edition: Edition, day: date) -> Iterator[Moment]:
    zone = ZoneInfo(edition.timezone)
    return (
        date
        for date in editions.named_dates(edition)
        if isinstance(date, datetime)
        and date.astimezone(zone).date() == day
        and not editions.takes_place(edition, date)
    )
