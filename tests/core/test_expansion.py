"""The dates of random series, expanded by others from the calendar object alone: they are the dates
of `followups.recurrence`.

dateutil judges everything, on the wall clock; libical judges rules and exceptions, by the VTIMEZONE
that the object carries. Every kind of recurrence of domain.md §6, over changes of summer time in
both directions, in zones on both halves of the earth.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.followups import covering, recurrence, rules
from gateway.ical import ics
from gateway.model import DateChange, Edition, Kind, Moment, Recurrence
from tests.core import attendee, libical
from tests.core.specimens import letter
from tests.examples import examples

ZONES = [
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "America/Santiago",
    "UTC",
]
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
YEARS = timedelta(days=800)
Pattern = Callable[[date, int], str]

KINDS: dict[str, Pattern] = {
    "every n days": lambda first, step: f"FREQ=DAILY;INTERVAL={step}",
    "every working day": lambda first, step: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    "every n weeks": lambda first, step: f"FREQ=WEEKLY;INTERVAL={step}",
    "on weekdays": lambda first, step: (
        f"FREQ=WEEKLY;INTERVAL={step};BYDAY={','.join(sorted({DAYS[first.weekday()], DAYS[step], 'SU'}))}"
    ),
    "day of every n months": lambda first, step: (
        f"FREQ=MONTHLY;INTERVAL={step};BYMONTHDAY={first.day}"
    ),
    "k-th weekday": lambda first, step: (
        f"FREQ=MONTHLY;INTERVAL={step};BYDAY={(first.day - 1) // 7 + 1}{DAYS[first.weekday()]}"
    ),
    "last weekday": lambda first, step: f"FREQ=MONTHLY;BYDAY=-1{DAYS[first.weekday()]}",
    "day and month": lambda first, step: (
        f"FREQ=YEARLY;BYMONTH={first.month};BYMONTHDAY={first.day}"
    ),
    "every year": lambda first, step: "FREQ=YEARLY",
}


@st.composite
def series(draw: st.DrawFn) -> Edition:
    """A series whose start is a date of its rule."""
    zone, all_day = draw(st.sampled_from(ZONES)), draw(st.booleans())
    wall = draw(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31))).replace(
        second=0, microsecond=0
    )
    start: Moment = wall.date() if all_day else wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assume(all_day or start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall)  # type: ignore[union-attr] # not in the gap of spring
    length = (
        timedelta(days=draw(st.integers(1, 3)))
        if all_day
        else timedelta(minutes=draw(st.sampled_from([15, 60, 90, 600])))
    )
    rule = KINDS[draw(st.sampled_from(sorted(KINDS)))](wall.date(), draw(st.integers(1, 4)))
    match draw(st.integers(0, 3)):
        case 0:
            rule += f";COUNT={draw(st.integers(1, 30))}"
        case 1:
            rule += f";UNTIL={wall + timedelta(days=draw(st.integers(0, 700))):%Y%m%d}"
        case _:
            pass
    edition = Edition(
        "m1@crm.example",
        Kind.MEETING,
        "Title",
        start,
        start + length,
        zone,
        "Kari",
        all_day=all_day,
        recurrence=Recurrence(rule),
    )
    assume(rules.ruled(edition, start))
    return edition


@st.composite
def with_dates(draw: st.DrawFn) -> Edition:
    """A series with dates that were cancelled, moved or added."""
    edition = draw(series())
    start, end, rule = edition.start, edition.end, edition.recurrence
    assert start is not None
    assert end is not None
    assert rule is not None
    if draw(st.integers(0, 5)) == 0:  # custom: a list of dates
        further = draw(st.sets(st.integers(1, 300), min_size=1, max_size=9))
        rule = Recurrence("", rdates=tuple(start + timedelta(days=day) for day in sorted(further)))
        edition = replace(edition, recurrence=rule)
    length = attendee.instant(end) - attendee.instant(start)
    names = list(recurrence.instances(edition, limit=8))
    gone = draw(st.sets(st.sampled_from(names), max_size=2)) - {names[0]}
    moved = draw(st.sets(st.sampled_from(names), max_size=2)) - gone
    by = (
        timedelta(days=draw(st.integers(1, 3)))
        if edition.all_day
        else timedelta(minutes=draw(st.integers(-600, 600)))
    )
    added = {start + timedelta(days=day) for day in draw(st.sets(st.integers(1, 60), max_size=2))}
    added = {one for one in added if not rules.ruled(edition, one)}
    return replace(
        edition,
        recurrence=replace(
            rule, exdates=tuple(sorted(gone)), rdates=tuple(sorted(added | set(rule.rdates)))
        ),
        dates=tuple(DateChange(one, one + by, one + by + length) for one in sorted(moved)),
    )


def _named(edition: Edition, one: recurrence.Occurrence) -> Moment | None:
    return covering.named(edition, one.original) if one.original is not None else None


def ours(edition: Edition, after: datetime, before: datetime) -> list[attendee.Shown]:
    return [
        attendee.Shown(_named(edition, one), one.start, one.end, edition.title, edition.location)
        for one in recurrence.occurrences(edition, after, before, 5_000)
    ]


@settings(
    max_examples=examples(500),
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(with_dates(), st.integers(-10, 500))
def test_dateutil_expands_the_same_dates(edition: Edition, offset: int) -> None:
    assert edition.start is not None
    after = attendee.instant(edition.start) + timedelta(days=offset)
    before = after + timedelta(days=250)
    try:
        covering.told(edition)
    except InputError:  # a list of dates that no series of Outlook can hold
        reject()
    found = attendee.expand(ics.calendar(letter(edition)), after, before)
    margin = (
        timedelta(days=2) if edition.all_day else timedelta()
    )  # where a day begins depends on the zone
    inner = after + margin, before - margin

    def inside(one: attendee.Shown) -> bool:
        return attendee.instant(one.start) < inner[1] and attendee.instant(one.end) > inner[0]

    assert [one for one in found if inside(one)] == [
        one for one in ours(edition, after, before) if inside(one)
    ]


@settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(series(), st.sets(st.integers(1, 7), max_size=2))
def test_libical_expands_the_same_dates_by_our_time_zone(
    edition: Edition, excluded: set[int]
) -> None:
    start, rule = edition.start, edition.recurrence
    assert start is not None
    assert rule is not None
    # At hours that a change skips or repeats libical 3.0 has the next day wrong as well; dateutil
    # judges those.
    if isinstance(start, datetime):
        assume(start.astimezone(ZoneInfo(edition.timezone)).hour in range(4, 23))
    names = list(recurrence.instances(edition, limit=8))
    edition = replace(
        edition,
        recurrence=replace(
            rule, exdates=tuple(names[one] for one in sorted(excluded) if one < len(names))
        ),
    )
    after = attendee.instant(start) - timedelta(days=2)
    content = ics.calendar(letter(edition))
    assert libical.problems(content) == []
    starts = [
        start
        for start, _ in libical.expand(content, after, after + YEARS)
        if start < after + YEARS - timedelta(days=5)
    ]
    assert starts == [
        attendee.instant(one.start)
        for one in ours(edition, after, after + YEARS)
        if attendee.instant(one.start) < after + YEARS - timedelta(days=5)
    ]
