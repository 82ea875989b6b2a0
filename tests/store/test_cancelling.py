"""A follow-up or a date of it is called off and comes back, by commands (domain.md §4, §6)."""

import pytest

from gateway.actions import cancelling
from gateway.errors import Forbidden, NotFound, Refused
from gateway.model import Method
from gateway.store.engine import Store
from tests.store import acting, rows
from tests.store.acting import CRM, KARI, MEETING, PER, SERIES

SECOND = "2027-03-09T09:00:00"


def test_a_cancelled_follow_up_is_taken_back_with_its_reason(store: Store) -> None:
    """domain.md §4: cancelled → 10."""
    acting.begin(store, MEETING)
    done = acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "Nobody can"))
    assert done.answer
    assert done.letters.count(Method.CANCEL) == 1
    assert acting.owed(store) == [("ola", "CANCEL")]
    assert acting.codes(store) == {"ola": 10}
    assert acting.record(store)["cancel_reason"] == "Nobody can"
    assert ("cancelled", "kari") in acting.events(store)
    assert not acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "Again")).answer
    assert acting.record(store)["cancel_reason"] == "Nobody can"


def test_a_reinstated_follow_up_is_a_fresh_invitation(store: Store) -> None:
    """domain.md §4: reinstated, 10 → 5."""
    acting.begin(store, MEETING)
    acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "Nobody can"))
    acting.owed(store)
    acting.send(store)
    assert acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1")).answer
    assert acting.owed(store) == [("ola", "REQUEST")]
    assert acting.codes(store) == {"ola": 5}
    assert acting.record(store)["cancel_reason"] == ""


@pytest.mark.parametrize("instance", ["", SECOND])
def test_what_is_taken_back_within_the_window_sends_nothing(store: Store, instance: str) -> None:
    acting.begin(store, SERIES)
    before = acting.record(store)
    acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "Oops", instance))
    acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1", instance))
    assert acting.owed(store) == []
    assert acting.record(store) == before


def test_one_date_is_cancelled_and_comes_back(store: Store) -> None:
    """domain.md §6: single dates."""
    acting.begin(store, SERIES)
    acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "Snow", SECOND))
    assert acting.owed(store) == [("ola", "CANCEL")]
    acting.send(store)
    assert not acting.record(store)["cancelled"]
    acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1", SECOND))
    assert acting.owed(store) == [("ola", "REQUEST")]
    names = [event for event, by in acting.events(store) if by == "kari"]
    assert names == ["date_cancelled", "cancelled", "date_reinstated", "reinstated"]


def test_a_moved_date_comes_back_where_it_was(store: Store) -> None:
    moved = {"original_start": SECOND, "start": "2027-03-10T09:00:00"}
    acting.begin(store, SERIES | {"instances": [moved]})
    before = acting.record(store)
    acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "", SECOND))
    assert acting.record(store) != before
    acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1", SECOND))
    assert acting.record(store) == before


def test_the_last_date_is_no_date_to_cancel(store: Store) -> None:
    acting.begin(store, SERIES | {"recurrence": {"rrule": "FREQ=WEEKLY;COUNT=1"}})
    first = "2027-03-02T09:00:00"
    with pytest.raises(Refused, match="no date would be left; cancel the follow-up"):
        acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "", first))
    with pytest.raises(NotFound, match="no date that begins at"):
        acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1", "", "2027-03-03T09:00"))
    with pytest.raises(NotFound, match="no date that begins at"):
        acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1", "2027-03-03T09:00"))


def test_only_the_owner_cancels(store: Store) -> None:
    """domain.md §3: only the owner edits the follow-up."""
    acting.begin(store, MEETING | {"participants": [{"associate": "per"}]})
    with pytest.raises(Forbidden, match="only kari"):
        acting.do(store, PER, lambda desk: cancelling.cancel(desk, "m1"))


@pytest.mark.parametrize(
    "spoilt",
    [
        "UPDATE follow_up SET owner = NULL",
        "UPDATE follow_up SET timezone = 'Mars/Olympus'",
        "UPDATE follow_up SET rrule = 'FREQ=SOMETIMES'",
    ],
)
def test_what_has_no_owner_or_cannot_be_read_is_cancelled_all_the_same(
    store: Store, spoilt: str
) -> None:
    acting.begin(store, MEETING)
    rows.run(store, spoilt)
    acting.do(store, CRM, lambda desk: cancelling.cancel(desk, "m1", "Gone"))
    assert acting.owed(store) == [("ola", "CANCEL")]


def test_a_completed_follow_up_is_not_cancelled(store: Store) -> None:
    """domain.md §3."""
    acting.begin(store, MEETING | {"completed": True})
    with pytest.raises(Refused, match="undo that first"):
        acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1"))
