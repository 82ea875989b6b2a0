"""Days of an all-day series that were written as instants: the invitee's own midnights (P9)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.answer import moments
from gateway.ical import read
from gateway.model import Edition, Kind, Recurrence

DAY = date(2026, 12, 8)
OFFSETS = [timedelta(minutes=minutes) for minutes in range(-12 * 60, 14 * 60 + 1, 15)]


def series(rule: str) -> Edition:
    return Edition(
        uid="u@crm.example",
        kind=Kind.MEETING,
        title="Fair",
        start=date(2026, 12, 1),
        end=date(2026, 12, 2),
        timezone="Europe/Oslo",
        organizer="Kari Nordmann",
        all_day=True,
        recurrence=Recurrence(rule, (), ()),
    )


def instant(offset: timedelta) -> read.When:
    """The midnight with which the day begins where the clock is so far before UTC."""
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) - offset
    written = read.moment(midnight.strftime("%Y%m%dT%H%M%SZ"))
    assert written is not None
    return written


@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_the_invitees_own_midnight_names_the_day_of_dtstart(offset: timedelta) -> None:
    day = read.moment("20261208")
    named = moments.instance(series("FREQ=DAILY;COUNT=20"), instant(offset), {}, day)
    assert named == DAY


@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_where_days_lie_apart_the_instant_alone_names_one(offset: timedelta) -> None:
    assert moments.instance(series("FREQ=WEEKLY;COUNT=4"), instant(offset), {}) == DAY


@pytest.mark.parametrize("hours", range(-11, 12))
def test_of_neighbours_the_nearest_midnight_counts(hours: int) -> None:
    named = moments.instance(series("FREQ=DAILY;COUNT=20"), instant(timedelta(hours=hours)), {})
    assert named == DAY


def test_a_dtstart_that_is_another_day_altogether_says_nothing() -> None:
    """A date that was moved has its new day there."""
    day = read.moment("20261210")
    named = moments.instance(series("FREQ=DAILY;COUNT=20"), instant(timedelta(hours=2)), {}, day)
    assert named == DAY


@pytest.mark.parametrize("text", ["00010101", "00010101T000000Z", "99991231T230000Z", "10661014"])
def test_the_ends_of_time_are_no_times(text: str) -> None:
    """With them the arithmetic of the calendar overflows: RECURRENCE-ID in year 9999, .NET's least
    time as DTSTAMP.
    """
    assert read.moment(text) is None


@pytest.mark.parametrize("text", ["16010101T000000Z", "29991231T235959"])
def test_far_times_are_compared_with_a_series_all_the_same(text: str) -> None:
    written = read.moment(text)
    assert written is not None
    assert moments.instance(series("FREQ=DAILY;COUNT=20"), written, {}) is None
