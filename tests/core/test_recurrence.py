"""Dates of a series: by membership and by window,
on the follow-up's own clock (domain.md §6, itip.md §7).
"""

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.followups import recurrence, rules
from gateway.model import DateChange, Edition, Kind, Recurrence

OSLO = ZoneInfo("Europe/Oslo")
RULES = (
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3",
    "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SU",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=SU;WKST=SU",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=5;BYDAY=2TU",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=4",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYDAY=20MO",
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
    "FREQ=YEARLY;BYMONTH=1,7",
    "FREQ=WEEKLY;COUNT=900",
    "FREQ=YEARLY;COUNT=100",
    "FREQ=DAILY;UNTIL=20240131T235959",
)


def series(rule: str, start: datetime, **more: Any) -> Edition:
    begins = start.replace(tzinfo=OSLO).astimezone(UTC)
    return Edition(
        "uid",
        Kind.MEETING,
        "title",
        begins,
        begins + timedelta(hours=1),
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence(rule),
        **more,
    )


@given(
    st.sampled_from(RULES),
    st.datetimes(datetime(2012, 1, 1), datetime(2022, 12, 31)),
    st.integers(0, 250),
    st.integers(-10, 10),
)
def test_agrees_with_a_walk_from_the_start(rule: str, start: datetime, at: int, days: int) -> None:
    """Taking a rule up near the window gives the dates that walking it from its start gives."""
    start = start.replace(microsecond=0, second=0)
    edition = series(rule, start)
    walk = rrule.rrulestr(rule, dtstart=start)
    walked = [one.replace(tzinfo=OSLO).astimezone(UTC) for one in islice(walk, 300)]
    if not walked:
        assert list(recurrence.instances(edition)) == []
        return
    at = min(at, len(walked) - 1)
    assert recurrence.is_instance(edition, walked[at])
    assert (
        list(recurrence.instances(edition, walked[at], limit=5)) == walked[at : at + 5]
        or at > len(walked) - 5
    )
    other = walked[at] + timedelta(days=days)
    if other <= walked[-1]:
        assert recurrence.is_instance(edition, other) == (other in set(walked))


def test_far_from_the_start_without_end() -> None:
    edition = series("FREQ=DAILY", datetime(1970, 1, 1, 9))
    assert recurrence.is_instance(edition, datetime(2090, 7, 1, 7, tzinfo=UTC))
    assert not recurrence.is_instance(edition, datetime(2090, 7, 1, 8, tzinfo=UTC)), (
        "nine o'clock in summer is 7 UTC"
    )
    assert len(list(recurrence.instances(edition))) == recurrence.LIMIT


def test_the_hour_that_spring_skips() -> None:
    edition = series("FREQ=WEEKLY", datetime(2026, 3, 22, 2, 30))
    assert recurrence.is_instance(edition, datetime(2026, 3, 29, 1, 30, tzinfo=UTC))


def test_dates_of_their_own() -> None:
    first, second, third, far = (datetime(2026, 12, day, 8, tzinfo=UTC) for day in (1, 8, 15, 20))
    edition = series(
        "FREQ=WEEKLY;COUNT=3",
        datetime(2026, 12, 1, 9),
        dates=(
            DateChange(second, second + timedelta(hours=2), second + timedelta(hours=4)),
            DateChange(far),
        ),
    )
    assert list(recurrence.instances(edition)) == [first, second, third, far]
    assert recurrence.start_of(edition, second) == second + timedelta(hours=2)
    assert recurrence.end_of(edition, second) == second + timedelta(hours=4)
    assert recurrence.end_of(edition, third) == third + timedelta(hours=1)
    assert recurrence.last_end(edition) == far + timedelta(hours=1)
    assert not recurrence.is_instance(edition, second + timedelta(hours=2)), (
        "a moved date keeps its original name"
    )


def test_excluded_and_added_dates() -> None:
    start = datetime(2026, 12, 1, 8, tzinfo=UTC)
    week, extra = timedelta(weeks=1), start + timedelta(days=3)
    edition = Edition(
        "uid",
        Kind.MEETING,
        "t",
        start,
        start + timedelta(hours=1),
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence("FREQ=WEEKLY;COUNT=3", (start + week,), (extra,)),
    )
    assert list(recurrence.instances(edition)) == [start, extra, start + 2 * week]
    assert not recurrence.is_instance(edition, start + week)


def test_list_of_dates() -> None:
    start, other = datetime(2026, 12, 1, 8, tzinfo=UTC), datetime(2027, 1, 5, 8, tzinfo=UTC)
    edition = Edition(
        "uid",
        Kind.MEETING,
        "t",
        start,
        None,
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence("", (), (other,)),
    )
    assert list(recurrence.instances(edition)) == [start, other]
    assert recurrence.last_end(edition) == other


def test_all_day_series() -> None:
    edition = Edition(
        "uid",
        Kind.MEETING,
        "t",
        date(2026, 12, 1),
        date(2026, 12, 2),
        "Europe/Oslo",
        "Kari",
        all_day=True,
        recurrence=Recurrence("FREQ=WEEKLY;COUNT=2"),
    )
    assert list(recurrence.instances(edition)) == [date(2026, 12, 1), date(2026, 12, 8)]
    assert recurrence.on_day(edition, date(2026, 12, 8)) == (date(2026, 12, 8),)
    assert not recurrence.is_instance(edition, datetime(2026, 12, 8, tzinfo=UTC))
    assert recurrence.last_end(edition) == datetime(2026, 12, 8, 23, tzinfo=UTC), (
        "midnight in Oslo, the end is exclusive"
    )


@pytest.mark.parametrize(
    ("rule", "last"),
    [
        ("FREQ=WEEKLY", None),
        ("FREQ=DAILY;COUNT=60000", None),
        ("FREQ=DAILY;COUNT=5000", datetime(2040, 8, 8, 8, tzinfo=UTC)),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", None),
        ("FREQ=DAILY;UNTIL=99991231", None),
        ("FREQ=YEARLY;COUNT=100", datetime(2125, 12, 1, 9, tzinfo=UTC)),
        ("FREQ=DAILY;UNTIL=20361201T080000Z", datetime(2036, 12, 1, 9, tzinfo=UTC)),
        ("FREQ=YEARLY;INTERVAL=7;UNTIL=20460101", datetime(2040, 12, 1, 9, tzinfo=UTC)),
    ],
)
def test_last_end(rule: str, last: datetime | None) -> None:
    assert recurrence.last_end(series(rule, datetime(2026, 12, 1, 9))) == last


def test_single_follow_ups() -> None:
    start = datetime(2026, 12, 1, 8, tzinfo=UTC)
    single = Edition(
        "uid", Kind.MEETING, "t", start, start + timedelta(hours=1), "Europe/Oslo", "Kari"
    )
    assert recurrence.last_end(single) == start + timedelta(hours=1)
    assert list(recurrence.instances(single)) == []
    assert not recurrence.is_instance(single, start)
    task = Edition(
        "uid", Kind.TASK, "t", None, None, "Europe/Oslo", "Kari", deadline=date(2026, 12, 1)
    )
    assert recurrence.last_end(task) == datetime(2026, 12, 1, 23, tzinfo=UTC)
    assert (
        recurrence.last_end(Edition("uid", Kind.TASK, "t", None, None, "Europe/Oslo", "Kari"))
        is None
    )


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=SECONDLY",
        "FREQ=HOURLY",
        "INTERVAL=2",
        "FREQ=DAILY;INTERVAL=x",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;UNTIL=never",
        "FREQ=DAILY;" + "X=1;" * 1000,
        "FREQ=DAILY;UNTIL=20261399",
        "FREQ=DAILY;UNTIL=00010101T000000Z",
        "FREQ=WEEKLY;COUNT=2;UNTIL=20261231",
        "FREQ=WEEKLY;COUNT=0",
        "FREQ=WEEKLY;INTERVAL=0",
        "FREQ=DAILY;BYEASTER=0",
        "FREQ=WEEKLY;BYDAY=1TU",
        "FREQ=DAILY;BYDAY=1TU",
        "FREQ=MONTHLY;BYDAY=0TU",
        "FREQ=MONTHLY;BYDAY=6TU",
        "FREQ=WEEKLY;BYMONTHDAY=1",
        "FREQ=MONTHLY;BYYEARDAY=335",
        "FREQ=WEEKLY;BYYEARDAY=335",
        "FREQ=DAILY;BYYEARDAY=335",
        "FREQ=MONTHLY;BYWEEKNO=49",
        "FREQ=YEARLY;BYWEEKNO=49;BYDAY=1TU",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=WEEKLY;BYDAY=TU;BYDAY=WE",
        "FREQ=WEEKLY;BYMONTH=13",
        "FREQ=WEEKLY;WKST=TU,",
        "FREQ=WEEKLY;INTERVAL=",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;INTERVAL=2147483648",
        "FREQ=DAILY;COUNT=99999999999999999999",
    ],
)
def test_rules_that_are_refused(rule: str) -> None:
    with pytest.raises(InputError):
        recurrence.check(rule)


@pytest.mark.parametrize(
    "rule",
    [
        *RULES,
        "RRULE:FREQ=WEEKLY",
        " freq=weekly; byday=tu, we ",
        "FREQ=WEEKLY;COUNT=02",
        "FREQ=DAILY;INTERVAL=2147483647",
        "FREQ=MONTHLY;BYDAY=+1TU",
        "FREQ=MONTHLY;BYMONTHDAY=1,-31",
        "FREQ=DAILY;BYMONTHDAY=1",
        "FREQ=DAILY;BYHOUR=9,14",
        "FREQ=WEEKLY;UNTIL=99991231",
        "FREQ=YEARLY;BYYEARDAY=-1",
    ],
)
def test_rules_that_are_accepted(rule: str) -> None:
    recurrence.check(rule)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("freq=weekly;interval=1;count=3", "FREQ=WEEKLY;COUNT=3"),
        ("RRULE:FREQ=WEEKLY", "FREQ=WEEKLY"),
        ("FREQ=WEEKLY;UNTIL=99991231T235959Z", "FREQ=WEEKLY"),
        ("FREQ=WEEKLY;UNTIL=99991231", "FREQ=WEEKLY"),
        ("FREQ=WEEKLY;COUNT=2;UNTIL=20261231", "FREQ=WEEKLY;COUNT=2"),
        ("FREQ=WEEKLY;COUNT=9;UNTIL=20261231", "FREQ=WEEKLY;UNTIL=20261231"),
        ("FREQ=WEEKLY;COUNT=60000;UNTIL=29991231", "FREQ=WEEKLY;UNTIL=29991231"),
        ("FREQ=WEEKLY;BYDAY=1TU,-1WE", "FREQ=WEEKLY;BYDAY=TU,WE"),
    ],
)
def test_a_rule_that_says_too_much_is_told_in_other_words(rule: str, told: str) -> None:
    edition = series(rule, datetime(2026, 12, 1, 9))
    assert rules.proper(edition) == told
    assert list(recurrence.instances(edition, limit=10)) == list(
        recurrence.instances(series(told, datetime(2026, 12, 1, 9)), limit=10)
    )


@pytest.mark.parametrize(
    ("zone", "until", "told"),
    [
        ("Europe/Oslo", "20261207T230000Z", "20261208"),
        ("America/New_York", "20261208T050000Z", "20261208"),
        ("America/New_York", "20261208T000000Z", "20261208"),
        ("Europe/Oslo", "20261208T120000", "20261208"),
    ],
)
def test_days_end_on_a_day(zone: str, until: str, told: str) -> None:
    edition = Edition(
        "uid",
        Kind.MEETING,
        "t",
        date(2026, 12, 1),
        date(2026, 12, 2),
        zone,
        "Kari",
        all_day=True,
        recurrence=Recurrence(f"FREQ=DAILY;UNTIL={until};BYHOUR=9"),
    )
    assert rules.proper(edition) == f"FREQ=DAILY;UNTIL={told}"
    assert recurrence.last_end(edition) == datetime(2026, 12, 9, tzinfo=ZoneInfo(zone))


def test_dates_beyond_the_thousandth_are_dates() -> None:
    edition = series("FREQ=DAILY;COUNT=2000", datetime(2026, 12, 1, 9))
    last = datetime(2032, 5, 22, 7, tzinfo=UTC)
    assert recurrence.is_instance(edition, last)
    assert not recurrence.is_instance(edition, last + timedelta(days=1))
    assert recurrence.last(edition) == rules.last_ruled(edition) == last
    assert rules.continued_at(edition, last) == "FREQ=DAILY;COUNT=1"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_no_end_is_too_far_away(zone: str) -> None:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    for until in ("99991231T235959Z", "99991231", "29991231T235959Z", "29991231"):
        edition = Edition(
            "uid",
            Kind.MEETING,
            "t",
            start,
            start + timedelta(hours=1),
            zone,
            "Kari",
            recurrence=Recurrence(f"FREQ=WEEKLY;UNTIL={until}"),
        )
        assert (
            (recurrence.last_end(edition) is None)
            == (recurrence.until(edition) is None)
            == until.startswith("9")
        )
        assert (
            rules.ended_before(edition, start + timedelta(days=14))
            == "FREQ=WEEKLY;UNTIL=20261208T090000Z"
        )
        assert recurrence.is_instance(edition, start + timedelta(weeks=5000))


def test_the_start_is_a_date_of_its_rule() -> None:
    with pytest.raises(InputError, match="whose first one is 2026-12-07T09:00:00"):
        rules.proper(series("FREQ=WEEKLY;BYDAY=MO", datetime(2026, 12, 1, 9)))
    with pytest.raises(InputError, match="no date at all"):
        rules.proper(series("FREQ=WEEKLY;UNTIL=20260101", datetime(2026, 12, 1, 9)))


@pytest.mark.parametrize(
    ("one", "other", "all_day"),
    [
        ("FREQ=WEEKLY;BYDAY=1TU", "FREQ=WEEKLY;BYDAY=TU", False),
        ("FREQ=WEEKLY;BYDAY=1TU", "FREQ=WEEKLY", False),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0", "FREQ=DAILY", True),
    ],
)
def test_what_was_sent_by_a_rule_that_is_put_right_now_is_the_same(
    one: str, other: str, all_day: bool
) -> None:
    start: datetime | date = date(2026, 12, 1) if all_day else datetime(2026, 12, 1, 8, tzinfo=UTC)
    editions = [
        Edition(
            uid="u",
            kind=Kind.MEETING,
            title="",
            start=start,
            end=None,
            timezone="Europe/Oslo",
            organizer="",
            all_day=all_day,
            recurrence=Recurrence(rule),
        )
        for rule in (one, other)
    ]
    assert rules.same(*editions)
    assert rules.same(*reversed(editions))
