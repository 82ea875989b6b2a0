"""Which dates a series has: by window or by membership, never by unbounded expansion (domain.md
§6).

Rules are expanded on the wall clock of the follow-up's own zone and then turned into instants, so
that nine o'clock stays nine o'clock over a change of summer time (RFC 5545 §3.3.10). An instance is
named by its original start; dates of its own (moved, added, cancelled) keep that name.

A rule is not walked from its start: it is taken up near the window that is asked for, which gives
the same dates. A rule with COUNT is walked once, to its last date, and has no end for us where that
is more than 50 000 dates away. Raises `InputError` for a rule that is not understood, steps in less
than days, or gives no date in a century of steps.
"""

from calendar import monthrange
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from itertools import islice, takewhile
from typing import TypeVar
from zoneinfo import ZoneInfo

from dateutil import rrule

from gateway.errors import InputError
from gateway.followups import grammar
from gateway.i18n import Phrase, marked
from gateway.model import DateChange, Edition, Moment

LIMIT = 1_000
MOST = 50_000
"""Dates that are walked at most to find the last one: a daily series, in the widest step that
begins before it.
"""
REACH = range(1800, 3_500)
"""Years in which dates of a series are looked for: those of the records, and 400 more, after which
the calendar repeats. Python's own end far from there, whatever is added.
"""
STEPS = {"DAILY": 36_600, "WEEKLY": 5_300, "MONTHLY": 1_200, "YEARLY": 100}
"""How many days, weeks, months or years without a date are passed at most: a century of each, and
less of a rule that names many positions in each (BYSETPOS).
"""
FIRST_YEAR, LAST_YEAR = 1900, grammar.ENDLESS - 1
"""What a record may speak of: far enough from where calendars and clocks end."""
DAY = timedelta(days=1)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


Point = TypeVar("Point", date, datetime)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One date as it really takes place; `original` None: a follow-up that does not recur. The end
    of days is exclusive.
    """

    original: Moment | None
    start: Moment
    end: Moment


def instances(
    edition: Edition, after: Moment | None = None, before: Moment | None = None, limit: int = LIMIT
) -> Iterator[Moment]:
    """Original starts from `after` (inclusive) to `before` (exclusive), in order, at most `limit`.

    Cancelled dates are among them (an answer to one is `closed`, not a ghost); excluded dates
    (EXDATE) are not. A follow-up that does not recur has no dates: its only one has no name of its
    own.
    """
    if edition.recurrence is None or edition.start is None:
        return
    excluded = frozenset(edition.recurrence.exdates)
    extra = {*edition.recurrence.rdates, *(change.original for change in edition.dates)} - excluded
    if not edition.recurrence.rrule and edition.start not in excluded:
        extra.add(edition.start)  # a list of dates begins with the start itself
    fits = partial(_within, after, before)
    single = sorted(date for date in extra if fits(date))
    ruled = (
        date
        for date in _ruled(edition, after, before)
        if fits(date) and date not in excluded and date not in extra
    )
    yield from islice(_merged(single, ruled), limit)


def is_instance(edition: Edition, moment: Moment) -> bool:
    """Whether `moment` is the original start of a date of this series: directly, however far from
    the start it is.
    """
    if (
        edition.recurrence is None
        or edition.start is None
        or isinstance(moment, datetime) == edition.all_day
        or moment.year not in REACH
    ):
        return False
    end = moment + (DAY if edition.all_day else timedelta(seconds=1))
    return next(instances(edition, moment, end, 1), None) == moment


def day_of(edition: Edition, moment: Moment) -> date:
    """The day of a moment, in the follow-up's own zone."""
    if isinstance(moment, datetime):
        return moment.astimezone(ZoneInfo(edition.timezone)).date()
    return moment


def on_day(edition: Edition, day: date) -> tuple[Moment, ...]:
    """The original starts on a calendar day of the follow-up's own zone."""
    if day.year not in REACH:
        return ()
    if edition.all_day:
        return (day,) if is_instance(edition, day) else ()
    begin, end = _midnight(edition, day), _midnight(edition, day + DAY)
    return tuple(instances(edition, begin, end, 100))


def start_of(edition: Edition, instance: Moment) -> Moment:
    """When a date of the series really begins: its own start if it was moved, else its original
    start.
    """
    for change in edition.dates:
        if change.original == instance and change.start is not None:
            return change.start
    return instance


def begin_of(edition: Edition, instance: Moment | None = None) -> datetime | None:
    """The instant at which a single follow-up, or one date of a series, begins; a day with its
    midnight. None: it has no time at all.
    """
    if instance is not None:
        start: Moment | None = start_of(edition, instance)
    else:
        start = edition.start if edition.start is not None else edition.deadline
    return start if start is None or isinstance(start, datetime) else _midnight(edition, start)


def end_of(edition: Edition, instance: Moment | None = None) -> datetime | None:
    """The instant at which a single follow-up, or one date of a series, is over. None: it has no
    time at all.
    """
    if instance is None:
        start, end = edition.start, edition.end
        if start is None:
            deadline = edition.deadline
            return _midnight(edition, deadline + DAY) if deadline is not None else None
    else:
        own = next((change for change in edition.dates if change.original == instance), None)
        start = own.start if own and own.start is not None else instance
        end = own.end if own and own.end is not None else _shifted(edition, start)
    if isinstance(start, datetime):
        return max(start, end) if isinstance(end, datetime) else start
    # RFC 5545 §3.6.1: the end of an all-day event is exclusive; a missing or equal one means one
    # day.
    last = end if end is not None and not isinstance(end, datetime) and end > start else start + DAY
    return _midnight(edition, last)


def last_end(edition: Edition) -> datetime | None:
    """The instant at which everything of it is over; None where it never is, or has no time.

    A series that counts more dates than are ever walked has no end that we know of.
    """
    if edition.recurrence is None or edition.start is None:
        return end_of(edition)
    parts = _parts(edition.recurrence.rrule) if edition.recurrence.rrule else {}
    last = _last(edition, parts)
    if parts and last is None:
        return None
    own = [change.original for change in edition.dates]
    absent = {change.original for change in edition.dates if change.cancelled}
    absent |= set(edition.recurrence.exdates)
    ends = [
        end_of(edition, date)
        for date in (*_latest(edition, last), *edition.recurrence.rdates, *own)
        if date not in absent
    ]
    return max((end for end in ends if end is not None), default=end_of(edition))


def _latest(edition: Edition, last: datetime | None) -> list[Moment]:
    """Dates among which is the last of the rule."""
    if last is not None:
        near = _moment(edition, last - timedelta(days=LIMIT // 2))
        if dates := list(instances(edition, near, limit=MOST)):
            return dates
    # An UNTIL far beyond the last date that fits: walk it from the start.
    return list(instances(edition))


def over(edition: Edition, now: datetime, instance: Moment | None = None) -> bool:
    """The last date, or the date that is asked about, has passed. A follow-up without any date is
    never over.
    """
    end = last_end(edition) if instance is None else end_of(edition, instance)
    return end is not None and end <= now


def occurrences(
    edition: Edition, after: datetime, before: datetime, limit: int = LIMIT
) -> Iterator[Occurrence]:
    """What takes place between two instants, in the order of the dates' names: moved, added and
    single dates, and no cancelled ones.

    A date belongs to the window by its own times: a date that was moved out of it does not, a date
    that was moved into it does.
    """
    if edition.start is None or edition.cancelled:
        return
    if edition.recurrence is None:
        end = edition.end if edition.end is not None else edition.start
        whole = Occurrence(None, edition.start, end)
        if _overlaps(edition, whole, after, before):
            yield whole
        return
    first = _name_at(edition, _within_reach(after))
    last = _name_at(edition, _within_reach(before))
    own = {change.original: change for change in edition.dates}
    names = set(instances(edition, _earlier(edition, first), last, limit))
    names |= {original for original in own if is_instance(edition, original)}
    for original in islice(sorted(names), limit):
        date = _occurrence(edition, original, own.get(original))
        if date is not None and _overlaps(edition, date, after, before):
            yield date


def _occurrence(edition: Edition, original: Moment, own: DateChange | None) -> Occurrence | None:
    """A date by its own times; None where it is cancelled."""
    start, end = original, None
    if own is not None:
        if own.cancelled:
            return None
        if own.start is not None:
            start = own.start
        end = own.end
    if end is None:
        end = _shifted(edition, start)
    return Occurrence(original, start, end if end is not None else start)


def until(edition: Edition) -> Moment | None:
    """The UNTIL of a series, as a moment of its own kind; None where the rule ends in another way
    or never.
    """
    if edition.recurrence is None or not edition.recurrence.rrule:
        return None
    clock = _until(edition, _parts(edition.recurrence.rrule).get("UNTIL", ""))
    return _moment(edition, clock) if clock is not None else None


def last(edition: Edition) -> Moment | None:
    """The last moment at which the rule may give a date: its UNTIL or the last date that it counts.
    None: it has no end.
    """
    if edition.recurrence is None or not edition.recurrence.rrule or edition.start is None:
        return None
    clock = _last(edition, _parts(edition.recurrence.rrule))
    return _moment(edition, clock) if clock is not None else None


def explicit(edition: Edition) -> dict[str, str]:
    """The parts of a rule with everything that it takes from its start said in it. Raises
    `InputError` for a text that is not a rule.
    """
    assert edition.recurrence is not None
    assert edition.start is not None
    return _explicit(_parts(edition.recurrence.rrule), _local(edition, edition.start))


def check(text: str) -> None:
    """Raises `InputError` with the reason where not every calendar understands a rule as we do."""
    if reason := grammar.problem(text):
        raise InputError(reason)
    parts = _parts(text)
    if "UNTIL" in parts:
        _written(parts["UNTIL"])
    _rule(_pattern(parts), datetime(2026, 1, 1, 9), None)  # noqa: DTZ001  # wall clock


def _overlaps(edition: Edition, date: Occurrence, after: datetime, before: datetime) -> bool:
    start = date.start if isinstance(date.start, datetime) else _midnight(edition, date.start)
    end = end_of(edition, date.original)
    return start < before and (end is None or end > after or start >= after)


def _name_at(edition: Edition, moment: datetime) -> Moment:
    """A moment as dates of this series are named; a day counts as begun when its moment lies within
    it.
    """
    return moment.astimezone(ZoneInfo(edition.timezone)).date() + DAY if edition.all_day else moment


def _earlier(edition: Edition, first: Moment) -> Moment:
    """Where to begin so that no date is missed that lasts into the window."""
    assert edition.start is not None
    length = edition.end - edition.start if edition.end is not None else timedelta()
    return first - length - DAY


def _within_reach(moment: Point) -> Point:
    """The moment, or the end of `REACH` before or after which it lies."""
    if moment.year in REACH:
        return moment
    return moment.replace(year=REACH[0] if moment.year < REACH[0] else REACH[-1], day=1)


def _within(after: Moment | None, before: Moment | None, date: Moment) -> bool:
    return (after is None or date >= after) and (before is None or date < before)


def _ruled(edition: Edition, after: Moment | None, before: Moment | None) -> Iterator[Moment]:
    """Starts that the rule gives within the window and up to a day around it: wall clocks skip and
    repeat an hour.
    """
    assert edition.recurrence is not None
    assert edition.start is not None
    if not edition.recurrence.rrule or (after is not None and after.year > REACH[-1]):
        return
    start = _local(edition, edition.start)
    floor, ceiling = _beside(edition, after, -DAY), _beside(edition, before, DAY)
    parts = _parts(edition.recurrence.rrule)
    end = _last(edition, parts)
    last = end if ceiling is None or (end is not None and end < ceiling) else ceiling
    # Without an end dateutil looks on for years where nothing fits any more.
    for clock in takewhile(
        lambda clock: last is None or clock <= last,
        _walked(_pattern(parts), _anchor(parts, start, floor), last),
    ):
        if clock >= start and (floor is None or clock >= floor):
            yield _moment(edition, clock)


def _beside(edition: Edition, moment: Moment | None, distance: timedelta) -> datetime | None:
    return _local(edition, _within_reach(moment)) + distance if moment is not None else None


def _pattern(parts: dict[str, str]) -> str:
    """The rule without its end."""
    return grammar.joined(
        {name: value for name, value in parts.items() if name not in grammar.ENDS}
    )


def _last(edition: Edition, parts: dict[str, str]) -> datetime | None:
    """UNTIL, or the last date that is counted, on the wall clock and inclusive; the earlier one
    where a rule says both.
    """
    assert edition.start is not None
    ends = [_until(edition, parts.get("UNTIL", ""))]
    if "COUNT" in parts:
        start = _local(edition, edition.start)
        ends.append(_counted(_pattern(parts), start, int(parts["COUNT"])))
    return min((end for end in ends if end is not None), default=None)


@lru_cache(maxsize=1_000)
def _counted(text: str, start: datetime, count: int) -> datetime | None:
    last_date = None
    for clock in islice(_walked(text, start, None), count if count <= MOST else 0):
        last_date = clock
    return last_date


class _Step(int):
    """The INTERVAL of a rule, which counts how often it is taken: dateutil 2.9 (2026) adds it for
    each step, or multiplies it by the days of a week, and where nothing fits it goes on until the
    year 9999, whatever that costs. Raises `InputError` after `most` steps without a date.
    """

    text: str
    most: int
    taken: int = 0

    def __radd__(self, number: int) -> int:
        self._take()
        return number + int(self)

    def __mul__(self, number: int) -> int:
        self._take()
        return int(self) * number

    def _take(self) -> None:
        self.taken += 1
        if self.taken > self.most:
            raise InputError(
                marked("recurrence rule %(rule)r gives no date in %(most)s steps"),
                rule=self.text[:200],
                most=self.most,
            )


def _walked(text: str, start: datetime, until: datetime | None) -> Iterator[datetime]:
    """The dates of a rule, each found within `STEPS`."""
    rule = copy(_rule(text, start, until))
    parts = _parts(text)
    positions = parts.get("BYSETPOS", "").count(",")
    step = _Step(rule._interval)
    step.text, step.most = text, STEPS[parts["FREQ"]] * 10 // (10 + positions)
    rule._interval = step
    for clock in rule:
        step.taken = 0
        yield clock


@lru_cache(maxsize=1_000)
def _rule(text: str, start: datetime, until: datetime | None) -> rrule.rrule:
    parts = _parts(text)
    if until is None:
        until = start + timedelta(
            days=366 * 400
        )  # the Gregorian calendar repeats; a rule without a date by then has none
    try:
        explicit = _explicit(parts, start)
        rule = rrule.rrulestr(
            ";".join(f"{name}={value}" for name, value in explicit.items()), dtstart=start
        )
        return rule.replace(until=until)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(
            marked("recurrence rule %(rule)r is not understood: %(error)s"),
            rule=text[:200],
            error=_reason(error),
        ) from error


def _reason(error: Exception) -> Phrase:
    """What dateutil says of a part of a rule: "invalid 'BYDAY': XX"."""
    part, _, value = str(error).removeprefix("invalid ").partition(": ")
    if not value:
        return Phrase(marked("its parts do not go together"))
    return Phrase(marked("%(part)s cannot be %(value)r"), part=part.strip("'"), value=value)


def _parts(text: str) -> dict[str, str]:
    """What can be expanded; rules that say more than they may were sent before there was
    `check`.
    """
    if len(text) > grammar.LONGEST:
        raise InputError(marked("recurrence rule %(rule)r... is too long"), rule=text[:50])
    parts = grammar.parts(text)
    if parts.get("FREQ") not in grammar.FREQUENCIES:
        raise InputError(
            marked("recurrence rule %(rule)r: FREQ must be one of %(words)s"),
            rule=text[:200],
            words=", ".join(grammar.FREQUENCIES),
        )
    if not parts.get("INTERVAL", "1").isdigit() or not parts.get("COUNT", "1").isdigit():
        raise InputError(
            marked("recurrence rule %(rule)r: INTERVAL and COUNT must be whole numbers"),
            rule=text[:200],
        )
    if grammar.is_impossible(parts):
        raise InputError(
            marked("recurrence rule %(rule)r: no month has such a day"), rule=text[:200]
        )
    return parts


def _explicit(parts: dict[str, str], start: datetime) -> dict[str, str]:
    """The rule with everything that it takes from its start said in it, so that another start
    changes nothing.
    """
    complete = dict(parts)
    days = {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER"} & parts.keys()
    match parts["FREQ"]:
        case "WEEKLY" if "BYDAY" not in parts:
            complete["BYDAY"] = WEEKDAYS[start.weekday()]
        case "MONTHLY" if not days:
            complete["BYMONTHDAY"] = str(start.day)
        case "YEARLY" if not days:
            complete.setdefault("BYMONTH", str(start.month))
            complete["BYMONTHDAY"] = str(start.day)
        case _:
            pass
    return complete


def _anchor(parts: dict[str, str], start: datetime, floor: datetime | None) -> datetime:
    """A start near the window that gives the same dates from there on."""
    if floor is None or floor <= start:
        return start
    step = max(1, int(parts.get("INTERVAL", "1")))
    match parts["FREQ"]:
        case "DAILY":
            return start + timedelta(days=(floor - start).days // step * step)
        case "WEEKLY":
            # One step early, because weeks begin at WKST and the start may stand late in its own.
            return start + timedelta(weeks=max(0, (floor - start).days // 7 // step - 1) * step)
        case "MONTHLY":
            months = ((floor.year - start.year) * 12 + floor.month - start.month) // step * step
            if months == 0:
                return start
            year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
            month += 1
        case _:
            year, month = start.year + (floor.year - start.year) // step * step, start.month
            if year == start.year:
                return start
            if _is_free_of_its_month(parts):
                month = 1
    explicit = _explicit(parts, start)
    if (
        explicit != parts
    ):  # the day of the month is the start's own: keep it where that month has it
        return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
    return start.replace(year=year, month=month, day=1)


def _is_free_of_its_month(parts: dict[str, str]) -> bool:
    return bool({"BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYDAY", "BYMONTHDAY"} & parts.keys())


def _until(edition: Edition, text: str) -> datetime | None:
    """UNTIL on the wall clock, inclusive. RFC 5545 §3.3.10: in UTC for a zoned start; a DATE counts
    to its end.
    """
    if not text:
        return None
    clock = _written(text)
    if text.endswith("Z") and not (
        edition.all_day and clock.time() == time()
    ):  # days are read as in the record: a midnight in UTC is one
        clock = (
            clock.replace(tzinfo=UTC).astimezone(ZoneInfo(edition.timezone)).replace(tzinfo=None)
        )
    return datetime.combine(clock, time(23, 59, 59)) if len(text) == 8 or edition.all_day else clock


def _written(until: str) -> datetime:
    """The wall clock of an UNTIL, or midnight of its day."""
    try:
        clock = datetime.strptime(until[:15], "%Y%m%d" if len(until) == 8 else "%Y%m%dT%H%M%S")  # noqa: DTZ007
    except ValueError as error:
        raise InputError(
            marked("recurrence rule: UNTIL=%(until)s is not a date"), until=until[:40]
        ) from error
    if clock.year < FIRST_YEAR:
        raise InputError(
            marked("recurrence rule: UNTIL=%(until)s is out of reach"), until=until[:40]
        )
    return clock


def _local(edition: Edition, moment: Moment) -> datetime:
    """The naive wall clock of the follow-up's zone; midnight for a day."""
    if isinstance(moment, datetime):
        return moment.astimezone(ZoneInfo(edition.timezone)).replace(tzinfo=None, fold=0)
    return datetime.combine(moment, time())


def _moment(edition: Edition, local: datetime) -> Moment:
    if edition.all_day:
        return local.date()
    # A wall time that the spring gap skips is read with the offset before it (RFC 5545 §3.3.5), as
    # zoneinfo does.
    return local.replace(tzinfo=ZoneInfo(edition.timezone)).astimezone(UTC)


def _midnight(edition: Edition, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(edition.timezone)).astimezone(UTC)


def _shifted(edition: Edition, start: Moment) -> Moment | None:
    """The end of a date that keeps the series' own length, the same exact duration for all (RFC
    5545 §3.8.5.3).
    """
    if edition.start is None or edition.end is None:
        return None
    return start + (edition.end - edition.start)


def _merged(first: list[Moment], second: Iterator[Moment]) -> Iterator[Moment]:
    """Two ascending sequences as one, without walking the second further than it is read."""
    at = 0
    for following in second:
        while at < len(first) and first[at] < following:
            yield first[at]
            at += 1
        yield following
    yield from first[at:]
