"""Until when something declined can be taken up again (domain.md §4)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.followups import retrieving
from gateway.model import DateChange, Edition, Kind, Recurrence

START = datetime(2026, 12, 1, 8, tzinfo=UTC)
MEETING = Edition(
    "u", Kind.MEETING, "Kick-off", START, START + timedelta(hours=1), "Europe/Oslo", "Kari"
)
LATE = Edition(
    "u", Kind.MEETING, "Night", START.replace(hour=22), START.replace(hour=23), "Europe/Oslo", ""
)
TASK = Edition(
    "u", Kind.TASK, "Call Ola", None, None, "Europe/Oslo", "", deadline=date(2026, 12, 1)
)
DAYS = Edition(
    "u", Kind.MEETING, "Fair", date(2026, 12, 1), date(2026, 12, 3), "Europe/Oslo", "", all_day=True
)
TIMELESS = Edition("u", Kind.TASK, "Some day", None, None, "Europe/Oslo", "")
SERIES = Edition(
    "u",
    Kind.MEETING,
    "Weekly",
    START,
    START + timedelta(hours=1),
    "Europe/Oslo",
    "",
    recurrence=Recurrence("FREQ=WEEKLY;COUNT=3"),
    dates=(DateChange(START + timedelta(weeks=2), START + timedelta(weeks=3)),),
)
ENDLESS = Edition(
    "u", Kind.MEETING, "", START, None, "Europe/Oslo", "", recurrence=Recurrence("FREQ=DAILY")
)


@pytest.mark.parametrize(
    ("edition", "last"),
    [
        (MEETING, date(2026, 12, 2)),
        (LATE, date(2026, 12, 2)),
        (TASK, date(2026, 12, 2)),
        (DAYS, date(2026, 12, 3)),
        (TIMELESS, None),
        (SERIES, date(2026, 12, 23)),
        (ENDLESS, None),
    ],
)
def test_domain_4_the_last_day_is_the_one_after_it_takes_place(
    edition: Edition, last: date | None
) -> None:
    assert retrieving.last_day(edition) == last


def test_domain_4_a_date_of_a_series_has_a_day_of_its_own() -> None:
    assert retrieving.last_day(SERIES, START + timedelta(weeks=1)) == date(2026, 12, 9)
    assert retrieving.last_day(SERIES, START + timedelta(weeks=2)) == date(2026, 12, 23)


def test_domain_4_the_day_is_that_of_the_place() -> None:
    last = datetime(2026, 12, 2, 22, 59, tzinfo=UTC)
    assert retrieving.is_retrievable(MEETING, last)
    assert not retrieving.is_retrievable(MEETING, last + timedelta(minutes=1))
    assert retrieving.is_retrievable(ENDLESS, last.replace(year=2040))
