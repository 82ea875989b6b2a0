"""A follow-up, a date of it, or this and all future get other times, by commands (domain.md §6)."""

from typing import Any

import pytest

from gateway.actions import moving, recording
from gateway.actions.moving import When
from gateway.errors import InputError, NotFound, Refused
from gateway.store import followups
from gateway.store.engine import Store
from tests.store import acting
from tests.store.acting import CALL, CRM, KARI, MEETING, SERIES, TASK

FIRST, SECOND, THIRD = "2027-03-02T09:00:00", "2027-03-09T09:00:00", "2027-03-16T09:00:00"
ALL = ("2027-03-01", "2027-05-01")


def move(store: Store, when: When) -> str:
    return acting.do(store, KARI, lambda desk: moving.reschedule(desk, "m1", when)).answer


def times(store: Store, key: str = "m1") -> list[str]:
    """When it takes place, on the clock of Oslo."""
    shown = acting.do(store, KARI, lambda desk: moving.dates(desk, key, *ALL)).answer.dates
    return [f"{one.start:%d %H:%M}{' off' if one.cancelled else ''}" for one in shown]


def test_a_rescheduled_follow_up_keeps_its_length_and_asks_again(store: Store) -> None:
    """domain.md §4: moved. Times without offset are those of its zone."""
    acting.begin(store, MEETING)
    assert move(store, When("2027-03-03T12:00:00")) == "m1"
    assert times(store) == ["03 11:00"]
    assert acting.owed(store) == [("ola", "REQUEST")]
    record = acting.record(store)
    assert record["end_at"] - record["start_at"] == acting.HOUR
    assert ("rescheduled", "kari") in acting.events(store)


def test_what_is_moved_back_within_the_window_sends_nothing(store: Store) -> None:
    acting.begin(store, SERIES)
    move(store, When("2027-03-02T12:00:00", "2027-03-02T14:00:00"))
    move(store, When(FIRST, "2027-03-02T10:00:00"))
    move(store, When("2027-03-10T12:00:00", instance=SECOND))
    acting.do(store, KARI, lambda desk: moving.put_date(desk, "m1", SECOND))
    acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", THIRD))
    acting.do(store, KARI, lambda desk: moving.put_date(desk, "m1", THIRD))
    added = "2027-03-20T09:00:00"
    acting.do(store, KARI, lambda desk: moving.put_date(desk, "m1", added))
    acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", added))
    assert acting.owed(store) == []


def test_a_task_or_planned_call_gets_another_deadline(store: Store) -> None:
    """domain.md §2: they have a deadline and no start."""
    for kind in (TASK, CALL):
        acting.begin(store, kind | {"participants": [acting.OLA]})
        move(store, When("2027-03-05"))
        assert f"{acting.record(store)['deadline']:%Y-%m-%d %H:%M}" == "2027-03-04 23:00"
        with pytest.raises(InputError, match="end needs a start") as caught:
            move(store, When("2027-03-05", "2027-03-06"))
        assert caught.value.places[0][0] == ("end",)


def test_fractions_of_a_second_are_left_out(store: Store) -> None:
    """RFC 5545 §3.3.5: neither a calendar nor a column has them."""
    for follow_up in (TASK, MEETING):
        acting.begin(store, follow_up, sent=False)
        move(store, When("2027-03-05T09:00:00.5"))
        record = acting.record(store)
        assert (record["start_at"] or record["deadline"]).microsecond == 0


def test_one_date_is_moved(store: Store) -> None:
    acting.begin(store, SERIES)
    move(store, When("2027-03-10T12:00:00", instance=SECOND))
    assert times(store) == ["02 08:00", "10 11:00", "16 08:00", "23 08:00"]
    assert acting.owed(store) == [("ola", "REQUEST")]
    assert ("date_moved", "kari") in acting.events(store)


def test_this_and_all_future_dates_are_moved(store: Store) -> None:
    """domain.md §6: the rest is another series with the same people."""
    acting.begin(store, SERIES)
    made = move(store, When("2027-03-16T12:00:00", since=THIRD))
    assert made != "m1"
    assert times(store) == ["02 08:00", "09 08:00"]
    assert times(store, made) == ["16 11:00", "23 11:00"]
    assert acting.owed(store) == [("ola", "REQUEST")] * 2
    with store.read() as connection:
        assert [one.key for one in followups.members(connection, made)] == ["ola"]
    assert ("created", "kari") in acting.events(store, made)


def test_from_the_first_date_on_it_is_all_of_it(store: Store) -> None:
    acting.begin(store, SERIES)
    assert move(store, When("2027-03-02T12:00:00", since=FIRST)) == "m1"
    assert times(store)[0] == "02 11:00"


def test_the_rule_must_give_the_new_start(store: Store) -> None:
    acting.begin(store, SERIES | {"recurrence": {"rrule": "FREQ=WEEKLY;COUNT=4;BYDAY=TU"}})
    with pytest.raises(Refused, match="change the rule as well"):
        move(store, When("2027-03-03T09:00:00"))
    assert times(store)[0] == "02 08:00"


@pytest.mark.parametrize(
    ("when", "error", "words"),
    [
        (When("tomorrow"), InputError, "start: 'tomorrow' is no time"),
        (When("2027-03-03"), InputError, "start: '2027-03-03' has no hour"),
        (When(FIRST, "2027-03-02T08:00:00"), InputError, "end is before the start"),
        (When(FIRST, instance="2027-03-03T09:00:00"), NotFound, "no date that begins at"),
        (When(FIRST, since="2027-03-03T09:00:00"), NotFound, "no date that begins at"),
        (When(FIRST, instance=FIRST, since=FIRST), InputError, "one date, or this and all future"),
    ],
)
def test_what_cannot_be_is_named(
    store: Store, when: When, error: type[Exception], words: str
) -> None:
    acting.begin(store, SERIES, sent=False)
    with pytest.raises(error, match=words):
        move(store, when)


def test_what_does_not_recur_has_no_single_dates(store: Store) -> None:
    acting.begin(store, MEETING, sent=False)
    for when in (When(FIRST, instance=FIRST), When(FIRST, since=FIRST)):
        with pytest.raises(Refused, match="does not recur"):
            move(store, when)
    with pytest.raises(Refused, match="does not recur"):
        acting.do(store, KARI, lambda desk: moving.put_date(desk, "m1", SECOND))


def test_what_is_cancelled_is_reinstated_first(store: Store) -> None:
    off = {"original_start": SECOND, "cancelled": True}
    acting.begin(store, SERIES | {"instances": [off]}, sent=False)
    with pytest.raises(Refused, match="this date is cancelled; reinstate it first"):
        move(store, When(FIRST, instance=SECOND))
    assert times(store)[1] == "09 08:00 off"
    acting.begin(store, SERIES | {"cancelled": True}, sent=False)
    with pytest.raises(Refused, match="the follow-up is cancelled; reinstate it first"):
        move(store, When(FIRST))


def test_stop_leaves_no_dates_after_this_one(store: Store) -> None:
    """domain.md §6."""
    acting.begin(store, SERIES)
    stop: Any = lambda desk: moving.stop(desk, "m1", "2027-03-10")  # noqa: E731
    assert acting.do(store, KARI, stop).answer
    assert times(store) == ["02 08:00", "09 08:00"]
    assert not acting.do(store, KARI, stop).answer
    assert ("stopped", "kari") in acting.events(store)


def test_dates_are_added_and_taken_out(store: Store) -> None:
    """domain.md §6: single dates can be moved, added or removed."""
    acting.begin(store, SERIES)
    added = "2027-03-20T18:00:00"
    put: Any = lambda desk: moving.put_date(desk, "m1", added, added, "2027-03-20T21:00:00")  # noqa: E731
    assert acting.do(store, KARI, put).answer
    assert not acting.do(store, KARI, put).answer
    acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", SECOND))
    acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", SECOND))
    assert times(store) == ["02 08:00", "09 08:00 off", "16 08:00", "20 17:00", "23 08:00"]
    acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", added))
    assert "20 17:00" not in times(store)
    done = [event for event, by in acting.events(store) if by == "kari"]
    assert done == ["date_added", "date_moved", "date_removed", "date_removed"]


def test_the_last_date_is_not_taken_out(store: Store) -> None:
    acting.begin(store, SERIES | {"recurrence": {"rrule": "FREQ=WEEKLY;COUNT=1"}})
    with pytest.raises(Refused, match="no date would be left"):
        acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", FIRST))
    with pytest.raises(NotFound, match="no date that begins at"):
        acting.do(store, KARI, lambda desk: moving.drop_date(desk, "m1", SECOND))


def test_dates_are_shown_within_a_window(store: Store) -> None:
    """docs/api.md: at most 400, by their own times."""
    acting.begin(store, SERIES | {"recurrence": {"rrule": "FREQ=DAILY"}}, sent=False)
    look: Any = lambda desk: moving.dates(desk, "m1", "2027-03-01", "2030-01-01")  # noqa: E731
    shown = acting.do(store, CRM, look).answer.dates
    assert len(shown) == moving.MOST_DATES
    with pytest.raises(InputError, match="to is before from"):
        acting.do(store, CRM, lambda desk: moving.dates(desk, "m1", "2027-03-02", "2027-03-01"))


def test_what_is_stopped_or_split_and_put_back_sends_nothing(store: Store) -> None:
    acting.begin(store, SERIES)
    acting.do(store, KARI, lambda desk: moving.stop(desk, "m1", "2027-03-10"))
    acting.do(store, KARI, lambda desk: recording.put(desk, "m1", SERIES))
    made = move(store, When("2027-03-16T12:00:00", since=THIRD))
    acting.do(store, KARI, lambda desk: recording.delete(desk, made))
    acting.do(store, KARI, lambda desk: recording.put(desk, "m1", SERIES))
    assert acting.owed(store) == []
    assert times(store)[-1] == "23 08:00"
