"""Who is occupied when, and when everybody is free: against models that look at every five minutes
(domain.md §5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.followups import available, conflicts
from gateway.followups.available import Slot, WorkingWeek
from gateway.followups.conflicts import Attendee
from gateway.model import DateChange, Edition, Kind, Moment, Recurrence, Reply, Role, Standing
from tests.examples import examples

CELL = timedelta(minutes=5)
DAY = timedelta(days=1)
ZONES = ("Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
SPRING = datetime(2026, 3, 20, tzinfo=UTC)
"""Before the clocks of New York's neighbours, Oslo's and Lord Howe's change."""
WINDOW = (SPRING, SPRING + 30 * DAY)
OFFICE = (8 * 60, 16 * 60)
WEEKDAYS = (*(OFFICE,) * 5, None, None)


def cells(start: datetime, end: datetime) -> list[datetime]:
    return [start + at * CELL for at in range((end - start) // CELL)]


@dataclass(frozen=True)
class Series:
    """A series as a child would draw it: by the wall clock, every so many days, so often; single
    dates skipped or moved.
    """

    zone: str
    first: date
    clock: int
    length: timedelta
    every: int
    count: int
    skipped: frozenset[int]
    later: dict[int, timedelta]

    def start(self, number: int) -> datetime:
        day = self.first + number * self.every * DAY
        wall = datetime.combine(day, time(self.clock // 12, self.clock % 12 * 5))
        return wall.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def drawn(self) -> list[tuple[datetime, datetime]]:
        """Each date as it takes place."""
        starts = [
            self.start(number) + self.later.get(number, timedelta())
            for number in range(self.count)
            if number not in self.skipped
        ]
        return [(start, start + self.length) for start in starts]

    def edition(self) -> Edition:
        start = self.start(0)
        moved = sorted(self.later.keys() - self.skipped)
        return Edition(
            "uid",
            Kind.MEETING,
            "",
            start,
            start + self.length,
            self.zone,
            "",
            recurrence=Recurrence(
                f"FREQ=DAILY;INTERVAL={self.every};COUNT={self.count}",
                tuple(self.start(number) for number in sorted(self.skipped)),
            ),
            dates=tuple(
                DateChange(
                    self.start(number),
                    self.start(number) + self.later[number],
                    self.start(number) + self.later[number] + self.length,
                )
                for number in moved
            ),
        )


def series() -> st.SearchStrategy[Series]:
    numbers = st.integers(0, 11)
    lengths = st.integers(1, 60).map(lambda some: some * CELL)
    return st.builds(
        Series,
        zone=st.sampled_from(ZONES),
        first=st.dates(date(2026, 3, 21), date(2026, 4, 2)),
        # Half past two does not take place on the day the clocks change.
        clock=st.integers(4 * 12, 23 * 12),
        length=lengths,
        every=st.integers(1, 7),
        count=st.integers(1, 12),
        skipped=st.frozensets(numbers, max_size=3),
        later=st.dictionaries(numbers, lengths, max_size=3),
    ).map(
        lambda one: replace(
            one,
            skipped=frozenset(number for number in one.skipped if number < one.count),
            later={number: by for number, by in one.later.items() if number < one.count},
        )
    )


def in_window(span: tuple[datetime, datetime]) -> bool:
    return span[0] < WINDOW[1] and span[1] > WINDOW[0]


@given(series())
def test_an_entry_for_each_date_that_takes_place(series: Series) -> None:
    """domain.md §5, §6: moved dates where they are now, skipped ones nowhere, nine o'clock by the
    wall clock.
    """
    made = conflicts.entries("f", series.edition(), [Attendee("associate:kari")], WINDOW)
    drawn = sorted(span for span in series.drawn() if in_window(span))
    assert sorted((entry.start, entry.end) for entry in made) == drawn


@st.composite
def _weeks(draw: st.DrawFn) -> WorkingWeek:
    hours = st.tuples(st.integers(4 * 12, 12 * 12), st.integers(13 * 12, 24 * 12)).map(
        lambda pair: (pair[0] * 5, pair[1] * 5)
    )
    day = st.one_of(st.none(), hours, st.just((0, 24 * 60)))
    return WorkingWeek(
        draw(st.sampled_from(ZONES)), tuple(draw(st.lists(day, min_size=7, max_size=7)))
    )


def works(week: WorkingWeek, moment: datetime) -> bool:
    wall = moment.astimezone(ZoneInfo(week.timezone))
    hours = week.days[wall.weekday()]
    return hours is not None and hours[0] <= wall.hour * 60 + wall.minute < hours[1]


def looked_for(
    occupied: Sequence[tuple[datetime, datetime]],
    weeks: Sequence[WorkingWeek],
    length: timedelta,
    since: datetime,
    until: datetime,
) -> list[Slot]:
    """Every five minutes: is everybody there, and free, for so long?"""
    taken = {cell for span in occupied for cell in cells(*span)}
    run, slots = 0, list[Slot]()
    for cell in cells(since, until):
        free = cell not in taken and all(works(week, cell) for week in weeks)
        run = run + 1 if free else 0
        if run * CELL == length:
            slots.append(Slot(cell + CELL - length, cell + CELL))
            run = 0
    return slots[: available.SLOTS]


@settings(max_examples=examples(60))
@given(
    st.lists(series(), max_size=4),
    st.lists(_weeks(), max_size=3),
    st.integers(1, 40),
    st.integers(0, 5 * 288),
    st.integers(1, 8 * 288),
)
def test_the_first_time_at_which_everybody_is_free(
    many: Sequence[Series], weeks: Sequence[WorkingWeek], length: int, after: int, for_: int
) -> None:
    """domain.md §5: series, several zones, and clocks that change."""
    occupied = [span for series in many for span in series.drawn()]
    since = SPRING + 6 * DAY + after * CELL
    until = since + for_ * CELL
    slots = available.first_available(occupied, weeks, length * CELL, since, until)
    assert slots == looked_for(occupied, weeks, length * CELL, since, until)


def test_a_slot_may_begin_where_a_meeting_ends() -> None:
    """domain.md §5: touching ends do not conflict."""
    nine = datetime(2026, 3, 23, 8, tzinfo=UTC)
    busy = [(nine, nine + timedelta(hours=1)), (nine + timedelta(hours=2), nine + 9 * DAY)]
    week = WorkingWeek("Europe/Oslo", WEEKDAYS)
    slots = available.first_available(busy, [week], timedelta(hours=1), nine, nine + DAY)
    assert slots == [Slot(nine + timedelta(hours=1), nine + timedelta(hours=2))]


@pytest.mark.parametrize(
    ("role", "standing", "busy"),
    [
        (Role.OWNER, Standing(), True),
        (Role.RESOURCE, Standing(), True),
        (Role.INVITED, Standing(), True),
        (Role.INVITED, Standing(seen=True), True),
        (Role.INVITED, Standing(Reply.ACCEPTED), True),
        (Role.INVITED, Standing(Reply.TENTATIVE), True),
        (Role.INVITED, Standing(Reply.DECLINED), False),
        (Role.INVITED, Standing(Reply.DELEGATED), False),
        (Role.INVITED, Standing(cancelled=True), False),
        (Role.ASSIGNED, Standing(), True),
        (Role.ASSIGNED, Standing(Reply.DECLINED), False),
        (Role.RESOURCE, Standing(cancelled=True), False),
    ],
)
def test_cancelled_and_declined_rows_block_nobody(
    role: Role, standing: Standing, busy: bool
) -> None:
    """domain.md §5: 9, 10 and 13; everybody else comes, or may."""
    edition = Edition("uid", Kind.MEETING, "", SPRING, SPRING + DAY, "UTC", "")
    attendee = Attendee("associate:per", 1, role, None, {None: standing})
    [entry] = conflicts.entries("f", edition, [attendee], WINDOW)
    assert entry.busy is busy
    [free] = conflicts.entries("f", edition, [attendee], WINDOW, is_free=True)
    assert not free.busy


def test_the_answer_to_a_date_stands_over_that_to_theseries() -> None:
    """domain.md §6: declined as a series, but comes on the second date."""
    series = Series("UTC", date(2026, 3, 21), 100, CELL, 1, 3, frozenset(), {})
    second = series.start(1)
    standings: dict[Moment | None, Standing] = {
        None: Standing(Reply.DECLINED),
        second: Standing(Reply.ACCEPTED),
    }
    attendee = Attendee("associate:per", 1, Role.INVITED, None, standings)
    made = conflicts.entries("f", series.edition(), [attendee], WINDOW)
    assert [entry.instance for entry in made if entry.busy] == [second]


def test_a_row_for_one_date_is_that_date_and_no_other() -> None:
    """domain.md §3: and the owner without a row is there on all of them, once."""
    series = Series("UTC", date(2026, 3, 21), 100, CELL, 1, 3, frozenset(), {})
    second = series.start(1)
    attendees = [
        Attendee("associate:kari"),
        Attendee("associate:per", 1, Role.INVITED, second, {None: Standing()}),
        Attendee("associate:kari", 2, Role.OWNER, second, {None: Standing()}),
    ]
    made = list(conflicts.entries("f", series.edition(), attendees, WINDOW))
    assert [(entry.who, entry.instance) for entry in made if entry.participant == 1] == [
        ("associate:per", second)
    ]
    assert [entry.participant for entry in made if entry.who == "associate:kari"] == [
        None,
        2,
        None,
    ]


def test_days_begin_at_midnight_of_the_follow_up() -> None:
    """domain.md §2: an all-day follow-up, on the day on which an hour is missing."""
    days = Edition(
        "uid",
        Kind.MEETING,
        "",
        date(2026, 3, 29),
        date(2026, 3, 30),
        "Europe/Oslo",
        "",
        all_day=True,
    )
    [entry] = conflicts.entries("f", days, [Attendee("associate:kari")], WINDOW)
    assert (entry.start, entry.end) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )


def test_a_follow_up_without_a_time_occupies_nobody() -> None:
    """domain.md §2: a task with a deadline stands in the list of activities."""
    task = Edition("uid", Kind.TASK, "", None, None, "UTC", "", deadline=date(2026, 3, 23))
    assert not list(conflicts.entries("f", task, [Attendee("associate:kari")], WINDOW))
