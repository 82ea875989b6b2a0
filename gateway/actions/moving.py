"""Giving a follow-up other times: all of it, one date, or this and all future dates; and single
dates that are moved, added and taken out (domain.md §6).

Who is asked again is the planner's to say. Whatever is put back within the coalescing window sends
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any

from gateway import errors
from gateway.actions import cancelling, series
from gateway.actions.desk import Desk
from gateway.errors import InputError, Refused
from gateway.followups import editions, recurrence, rules
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Edition, Moment
from gateway.store import codec, columns, journal, records, timing
from gateway.store import series as stored

MOST_DATES = 400
"""Dates in one answer (docs/api.md)."""


@dataclass(frozen=True, slots=True)
class When:
    """Another time, as people write it: in the zone of the follow-up where it has no offset.
    `end` "": as long as before. `instance`: of this date alone; `since`: of this and all future.
    """

    start: str
    end: str = ""
    instance: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Date:
    """One date of a series. `original`: its name; None for what does not recur."""

    original: Moment | None
    start: Moment
    end: Moment | None
    cancelled: bool = False
    cancel_reason: str = ""


@dataclass(frozen=True, slots=True)
class Dates:
    """`zone`: where they take place."""

    zone: str
    dates: list[Date]


def reschedule(desk: Desk, key: str, when: When) -> str:
    """Returns the key of what takes place then: another one, where this and all future dates were
    moved. What has a deadline and no start has another deadline.

    Raises as `Desk.edit`; `InputError` for times that cannot be, `NotFound` for no date of it,
    `Refused` where it is cancelled, or by the rule of the series.
    """
    desk.edit(key)
    whole = series.standing(desk.connection, key, desk.settings)
    if whole.cancelled:
        raise Refused(series.CANCELLED)
    if when.instance and when.since:
        raise errors.wrong(
            "from", marked("goes without instance: one date, or this and all future")
        )
    if when.instance:
        _move_date(desk, key, when)
        return key
    if when.since and not _is_first(key, whole, when.since):
        return split(desk, key, when.since, _times(whole, when)).key
    _move(desk, key, whole, when)
    return key


def stop(desk: Desk, key: str, after: str) -> bool:
    """No dates after this one. Returns whether that changes anything. Raises as `series.stop`."""
    desk.edit(key)
    whole = series.of(desk.connection, key, desk.settings)
    moment = read(whole, "after", after, day=True)
    done = series.stop(desk.connection, key, moment, desk.settings, desk.now, desk.actor.by)
    if done:
        desk.changed(key)
    return done


def split(desk: Desk, key: str, since: str, changes: Mapping[str, Any]) -> series.Continued:
    """This and all future: another series from this date on, with these columns. Raises as
    `series.split`.
    """
    desk.edit(key)
    whole = series.of(desk.connection, key, desk.settings)
    part = series.From(read(whole, "from", since, day=True), changes)
    continued = series.split(desk.connection, key, part, desk.settings, desk.now, desk.actor.by)
    desk.changed(key)
    desk.touch(continued.key)
    return continued


def dates(desk: Desk, key: str, after: str, before: str) -> Dates:
    """The dates of a follow-up from `after` to `before`, at most `MOST_DATES`, by their own times;
    cancelled ones, too. Raises as `Desk.require`, and `InputError` for a text that is not a time.
    """
    desk.require(Verb.SEE, key)
    whole = series.standing(desk.connection, key, desk.settings)
    first, last = (
        _instant(whole, read(whole, field, text, day=True))
        for field, text in (("from", after), ("to", before))
    )
    if last < first:
        raise errors.wrong("to", marked("is before from"))
    off = [_off(whole, name) for name in _names_off(whole)]
    shown = [date for date in off if first <= _instant(whole, date.start) < last]
    shown += [
        Date(occurrence.original, occurrence.start, occurrence.end)
        for occurrence in recurrence.occurrences(whole, first, last, MOST_DATES)
    ]
    ordered = sorted(shown, key=lambda date: codec.moment(date.start))
    return Dates(whole.timezone, ordered[:MOST_DATES])


def put_date(desk: Desk, key: str, original: str, start: str = "", end: str = "") -> bool:
    """Let this date take place at these times: moved, added to the series, or given back its own.
    Returns whether it was added.

    Raises as `Desk.edit`; `InputError` for times that cannot be; `Refused` where the follow-up does
    not recur or is cancelled.
    """
    desk.edit(key)
    whole = series.of(desk.connection, key, desk.settings)
    name = read(whole, "instance", original)
    begins = read(whole, "start", start) if start else name
    ends = read(whole, "end", end) if end else None
    _in_order(begins, ends)
    is_known = recurrence.is_instance(whole, name) or cancelling.is_off(whole, name)
    if begins == name and ends is None and rules.ruled(whole, name):
        stored.drop_date(desk.connection, key, name)
    else:
        timing.move_date(desk.connection, key, name, begins, ends)
    detail = _words(begins, ends)
    event = "date_moved" if is_known else "date_added"
    desk.changed(key, journal.Entry(event, key, instance=name, detail=detail))
    return not is_known


def drop_date(desk: Desk, key: str, original: str) -> None:
    """Take a date out of the series: one of its rule, or one that was added.

    Raises as `Desk.edit`; `NotFound` for no date of it, `Refused` for the last one.
    """
    desk.edit(key)
    whole = series.of(desk.connection, key, desk.settings)
    name = read(whole, "instance", original)
    if cancelling.is_off(whole, name) and rules.ruled(whole, name):
        return
    if not recurrence.is_instance(whole, name):
        raise series.no_date(key, original)
    if rules.ruled(whole, name):
        stored.drop_date(desk.connection, key, name)
        stored.cancel_date(desk.connection, key, name, "")
    else:
        stored.drop_date(desk.connection, key, name)
    cancelling.require_dates(desk, key)
    desk.changed(key, journal.Entry("date_removed", key, instance=name))


def _move(desk: Desk, key: str, whole: Edition, when: When) -> None:
    changes = _times(whole, when)
    if whole.recurrence is not None and whole.recurrence.rrule:
        start = columns.moment(changes["start_at"], whole.all_day, whole.timezone)
        _begins_with_it(replace(whole, start=start))
    records.change(desk.connection, key, changes)
    desk.changed(key, journal.Entry("rescheduled", key, detail=_words(*changes.values())))


def _begins_with_it(moved: Edition) -> None:
    try:
        rules.begins_with_it(moved)
    except InputError as error:
        raise Refused(marked("%(reason)s; change the rule as well"), reason=error) from error


def _move_date(desk: Desk, key: str, when: When) -> None:
    whole = series.of(desk.connection, key, desk.settings)
    name = _date_named(key, whole, when.instance)
    if not editions.takes_place(whole, name):
        raise Refused(marked("this date is cancelled; reinstate it first"))
    start = read(whole, "start", when.start)
    end = read(whole, "end", when.end) if when.end else None
    _in_order(start, end)
    timing.move_date(desk.connection, key, name, start, end)
    entry = journal.Entry("date_moved", key, instance=name, detail=_words(start, end))
    desk.changed(key, entry)


def _times(whole: Edition, when: When) -> dict[str, Any]:
    """The columns that say when it takes place then."""
    start = read(whole, "start", when.start, day=whole.start is None)
    if whole.start is None:
        if when.end:
            raise errors.wrong("end", marked("needs a start: this has a deadline, which is moved"))
        return {"deadline": _instant(whole, start)}
    end = read(whole, "end", when.end) if when.end else None
    _in_order(start, end)
    if end is None and whole.end is not None:
        end = start + (whole.end - whole.start)
    return {
        "start_at": columns.instant(start),
        "end_at": columns.optional(end),
    }


def read(whole: Edition, field: str, text: str, *, day: bool = False) -> Moment:
    """A time of this follow-up as people write it. Raises `InputError` that names the field."""
    try:
        return series.read(whole, text, day=day)
    except InputError as error:
        raise InputError(
            marked("%(place)s: %(reason)s"), [((field,), str(error))], place=field, reason=error
        ) from error


def _in_order(start: Moment, end: Moment | None) -> None:
    if end is not None and end < start:
        raise errors.wrong("end", marked("is before the start"))


def _is_first(key: str, whole: Edition, text: str) -> bool:
    """Whether this is the first date of the series: from there on it is all of it."""
    if whole.recurrence is None:
        raise Refused(marked("the follow-up does not recur"))
    return _date_named(key, whole, text) == next(recurrence.instances(whole, limit=1), None)


def _date_named(key: str, whole: Edition, text: str) -> Moment:
    name = read(whole, "instance", text)
    if not recurrence.is_instance(whole, name) and not _is_off(whole, name):
        raise series.no_date(key, text)
    return name


def _is_off(whole: Edition, name: Moment) -> bool:
    return whole.recurrence is not None and cancelling.is_off(whole, name)


def _names_off(whole: Edition) -> list[Moment]:
    """The dates that are cancelled, or left out of the series."""
    if whole.recurrence is None:
        return []
    cancelled = [change.original for change in whole.dates if change.cancelled]
    return sorted({*whole.recurrence.exdates, *cancelled}, key=codec.moment)


def _off(whole: Edition, name: Moment) -> Date:
    assert whole.start is not None
    end = None if whole.end is None else name + (whole.end - whole.start)
    return Date(name, name, end, cancelled=True, cancel_reason=editions.cancel_reason(whole, name))


def _instant(whole: Edition, moment: Moment) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), zones.zone(whole.timezone)).astimezone(UTC)


def _words(*moments: Moment | None) -> str:
    return " – ".join(filter(None, map(codec.moment, moments)))
