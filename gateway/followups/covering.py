"""How the dates of a series are said to calendars: with one rule, what it gives too much (EXDATE),
and what comes at another hour.

Outlook opens no calendar object that has RDATE and no RRULE ("not supported calendar message.ics",
Microsoft KB 2643084), and beside a rule it takes an RDATE for a date that was moved, never for one
more (MS-OXCICAL §2.1.3.1.1.20.18). A list of dates is therefore said as the *covering rule*: of
the forms that Outlook has, the one that gives all its days and the fewest others. The rule gives
them at the hour of the start; a date at another hour is an exception to the one on its day.
So it is named in calendars (RECURRENCE-ID), and by that name answers come back.

Pure. A list that no such rule covers raises `InputError`.
"""

from calendar import monthrange
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from math import gcd
from zoneinfo import ZoneInfo

from gateway.errors import InputError
from gateway.followups import recurrence
from gateway.model import Edition, Moment, Recurrence

MOST_GAPS = 100
"""Dates that a covering rule may give too much (itip.md §2)."""
MOST_COUNTED = 999
"""What a series of Outlook can count, and step in days."""
LONGEST_STEP = 99
"""What it can step in weeks or months."""
IN_EVERY_MONTH = 28
"""Where a month lacks a later day, some programs skip it and others take its last one."""
EACH_BY_ITSELF = "invite everybody by a row for each date (original_start)"
TWO_ON_ONE_DAY = (
    "two dates of the list are on one day, which no series of Outlook can hold; make a follow-up of"
    f" its own of one of them, or {EACH_BY_ITSELF}"
)
NO_RULE = (
    "no series of Outlook can hold the dates of this list: every rule that gives them gives more"
    f" than {MOST_GAPS} others; make several follow-ups of it, or {EACH_BY_ITSELF}"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A series as calendars are told it. `start`: the first date of the rule; `exdates`: what the
    rule gives and does not take place; `rdates`: what only programs other than Outlook will show.
    """

    start: Moment
    rrule: str
    exdates: tuple[Moment, ...]
    rdates: tuple[Moment, ...] = ()


def told(edition: Edition) -> Told:
    """The rule and single dates of a series as a calendar object says them. Raises `InputError` for
    a list of dates that no rule covers.
    """
    assert edition.recurrence is not None
    assert edition.start is not None
    series = edition.recurrence
    cancelled = {change.original for change in edition.dates if change.cancelled}
    further = {*series.rdates} - {edition.start}
    if series.rrule:
        covered = _mixed(edition, cancelled) if further else None
        without = sorted({*series.exdates, *cancelled}, key=str)
        beside = sorted(further, key=str)
        return covered or Told(edition.start, series.rrule, tuple(without), tuple(beside))
    taking_place = [date for date in recurrence.instances(edition) if date not in cancelled]
    if len({recurrence.day_of(edition, date) for date in taking_place}) < len(taking_place):
        raise InputError(TWO_ON_ONE_DAY)
    names = {named(edition, date) for date in taking_place}
    start = min({*names, edition.start}, key=lambda name: recurrence.day_of(edition, name))
    covered = _covered(edition, {*names, start}, names)
    if covered is None:
        raise InputError(NO_RULE)
    return covered


def is_covered(edition: Edition) -> bool:
    """Whether calendars can be told a follow-up as one entry."""
    if edition.recurrence is None or edition.recurrence.rrule or edition.start is None:
        return True
    try:
        told(edition)
    except InputError:
        return False
    return True


def named(edition: Edition, original: Moment) -> Moment:
    """The date by its name in calendars (RECURRENCE-ID): in a list of dates the one at the hour of
    the start on its day.
    """
    if (
        edition.recurrence is None
        or edition.recurrence.rrule
        or not isinstance(edition.start, datetime)
        or not isinstance(original, datetime)
    ):
        return original
    zone = ZoneInfo(edition.timezone)
    hour = edition.start.astimezone(zone).time()
    if original.astimezone(zone).time() == hour:
        return original
    return datetime.combine(original.astimezone(zone).date(), hour, zone).astimezone(UTC)


def _mixed(edition: Edition, cancelled: set[Moment]) -> Told | None:
    """A rule and further dates at its hour as one rule, where that takes few dates out; None where
    the series does not end, or there is none.
    """
    if recurrence.last(edition) is None:
        return None
    every = list(recurrence.instances(edition, limit=MOST_COUNTED + 1))
    if len(every) > MOST_COUNTED or len({_hour(edition, name) for name in every}) > 1:
        return None
    assert edition.start is not None
    taking_place = {*every} - cancelled
    return _covered(edition, {*taking_place, edition.start}, taking_place)


def _covered(edition: Edition, names: Set[Moment], taking_place: Set[Moment]) -> Told | None:
    days = sorted(recurrence.day_of(edition, name) for name in names)
    length = timedelta()
    if edition.end is not None and edition.start is not None:
        length = edition.end - edition.start
    first = min(names, key=lambda name: recurrence.day_of(edition, name))
    for rule in rules(tuple(days), length):
        bare = replace(edition, start=first, recurrence=Recurrence(rule), dates=())
        given_dates = list(recurrence.instances(bare, limit=MOST_COUNTED))
        if names <= {*given_dates}:  # as it is, but where the clocks change at just that hour
            return Told(
                first, rule, tuple(date for date in given_dates if date not in taking_place)
            )
    return None


def _hour(edition: Edition, moment: Moment) -> time | None:
    if not isinstance(moment, datetime):
        return None
    return moment.astimezone(ZoneInfo(edition.timezone)).time()


@lru_cache(maxsize=256)
def rules(days: tuple[date, ...], length: timedelta = timedelta()) -> tuple[str, ...]:
    """The rules that give all these days, and at most 100 others up to the last one, the best
    first: no occurrence of this length reaches into the next, then fewest others, then most usual.

    `days`: ascending, no two the same. Each rule begins on the first of them.
    """
    ranked = []
    for order, (rule, days_given) in enumerate(_forms(days)):
        surplus = len(days_given) - len(days)
        if surplus > MOST_GAPS or len(days_given) > MOST_COUNTED:
            continue
        step = min((later - day for day, later in pairwise(days_given)), default=length)
        ranked.append((step < length, surplus, order, f"{rule};COUNT={len(days_given)}"))
    return tuple(rule for *_, rule in sorted(ranked))


def _forms(days: Sequence[date]) -> Iterator[tuple[str, list[date]]]:
    """Each form of series that Outlook has and that meets these days, with its longest step, and
    the days that it gives.
    """
    yield from _weekly(days)
    yield from _monthly(days)
    numbers = [day.toordinal() for day in days]
    step = _step(numbers)
    reach = range(numbers[0], numbers[-1] + 1, step)
    if step <= MOST_COUNTED and len(reach) <= MOST_COUNTED:
        yield f"FREQ=DAILY{_interval(step)}", [date.fromordinal(number) for number in reach]


def _weekly(days: Sequence[date]) -> Iterator[tuple[str, list[date]]]:
    weeks = [(day.toordinal() - 1) // 7 for day in days]
    weekdays = sorted({day.weekday() for day in days})
    step = _step(weeks)
    reach = range(weeks[0], weeks[-1] + 1, step)
    if step > LONGEST_STEP or len(reach) > MOST_COUNTED:
        return
    names = ",".join(recurrence.WEEKDAYS[weekday] for weekday in weekdays)
    interval = f"{_interval(step)};WKST=MO" if step > 1 else ""
    every = [date.fromordinal(week * 7 + 1 + weekday) for week in reach for weekday in weekdays]
    days_given = [day for day in every if days[0] <= day <= days[-1]]
    yield f"FREQ=WEEKLY{interval};BYDAY={names}", days_given


def _monthly(days: Sequence[date]) -> Iterator[tuple[str, list[date]]]:
    """The same day of the month, or the same weekday of it, counted from either end; whole years
    are yearly.
    """
    numbers = [day.year * 12 + day.month - 1 for day in days]
    step = _step(numbers)
    reach = [divmod(number, 12) for number in range(numbers[0], numbers[-1] + 1, step)]
    if step > LONGEST_STEP or len(reach) > MOST_COUNTED:
        return
    frequency = f"FREQ=MONTHLY{_interval(step)}"
    if step % 12 == 0:
        frequency = f"FREQ=YEARLY{_interval(step // 12)};BYMONTH={days[0].month}"
    first = days[0]
    if {day.day for day in days} == {first.day} and first.day <= IN_EVERY_MONTH:
        days_given = [date(year, month + 1, first.day) for year, month in reach]
        yield f"{frequency};BYMONTHDAY={first.day}", days_given
    weekday = first.weekday()
    if {day.weekday() for day in days} == {weekday}:
        positions = set.intersection(*map(_positions, days))
        for position in sorted(positions, reverse=True):
            days_given = [_nth(year, month + 1, weekday, position) for year, month in reach]
            yield f"{frequency};BYDAY={position}{recurrence.WEEKDAYS[weekday]}", days_given


def _step(numbers: Sequence[int]) -> int:
    """The longest step from the first that meets all of them."""
    return gcd(*(number - numbers[0] for number in numbers)) or 1


def _interval(step: int) -> str:
    return f";INTERVAL={step}" if step > 1 else ""


def _positions(day: date) -> set[int]:
    """Which of the weekdays of its name it is in its month: the first to the fourth, the last."""
    positions = set[int]()
    from_first = (day.day - 1) // 7 + 1
    if from_first <= 4:
        positions.add(from_first)
    if (day + timedelta(days=7)).month != day.month:
        positions.add(-1)
    return positions


def _nth(year: int, month: int, weekday: int, position: int) -> date:
    """The weekday of a month that is first, second … (1, 2 …), or last (-1)."""
    if position > 0:
        first = date(year, month, 1)
        days = (weekday - first.weekday()) % 7
        return first + timedelta(days=days, weeks=position - 1)
    _, length = monthrange(year, month)
    last = date(year, month, length)
    return last - timedelta(days=(last.weekday() - weekday) % 7)
