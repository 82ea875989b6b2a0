"""Completed, carried out, reminded: by commands (domain.md §2, §3)."""

import pytest

from gateway.actions import carrying, reminders
from gateway.errors import Forbidden, InputError, Refused
from gateway.model import Occasion, Reply, Standing
from gateway.store import followups, outbox, preferences
from gateway.store.engine import Store
from tests.store import acting, rows
from tests.store.acting import CALL, DAY, HOUR, KARI, MEETING, NOW, PER, TASK


def test_a_follow_up_is_ticked_off_and_taken_back(store: Store) -> None:
    """domain.md §3: a completed follow-up refuses edits until that is undone."""
    acting.begin(store, TASK)
    assert acting.do(store, KARI, lambda desk: carrying.complete(desk, "m1")).answer
    assert not acting.do(store, KARI, lambda desk: carrying.complete(desk, "m1")).answer
    assert acting.record(store)["completed"]
    with pytest.raises(Refused, match="completed; undo that first"):
        acting.do(store, KARI, lambda desk: desk.edit("m1"))
    acting.do(store, KARI, lambda desk: carrying.complete(desk, "m1", completed=False))
    acting.do(store, KARI, lambda desk: desk.edit("m1"))
    own = [event for event, by in acting.events(store) if by == "kari"]
    assert own == ["completed", "reopened"]
    assert acting.owed(store) == []


def test_what_is_cancelled_is_not_completed(store: Store) -> None:
    acting.begin(store, TASK | {"cancelled": True}, sent=False)
    with pytest.raises(Refused, match="cancelled; reinstate it first"):
        acting.do(store, KARI, lambda desk: carrying.complete(desk, "m1"))


def test_only_the_owner_completes_it(store: Store) -> None:
    """domain.md §3: an associate's own progress belongs to the own row."""
    acting.begin(store, TASK | {"participants": [{"associate": "per"}]}, sent=False)
    with pytest.raises(Forbidden):
        acting.do(store, PER, lambda desk: carrying.complete(desk, "m1"))


def test_a_call_that_is_carried_out_begins_now_and_lasts_as_its_owner_prefers(
    store: Store,
) -> None:
    """domain.md §2: when carried out it gets start = now and a duration."""
    acting.begin(store, CALL, sent=False)
    with store.write() as connection:
        preferences.state(connection, "kari", {"call_minutes": 25})
    acting.do(store, KARI, lambda desk: carrying.carry_out(desk, "m1"))
    record = acting.record(store)
    assert record["start_at"] == NOW
    assert (record["end_at"] - record["start_at"]).total_seconds() == 25 * 60
    assert ("carried_out", "kari") in acting.events(store)
    with pytest.raises(Refused, match="carried out already; reschedule it"):
        acting.do(store, KARI, lambda desk: carrying.carry_out(desk, "m1"))


def test_a_call_is_carried_out_when_and_as_long_as_one_says(store: Store) -> None:
    """domain.md §2."""
    acting.begin(store, CALL, sent=False)
    said = "2027-02-19T15:00:00"
    acting.do(store, KARI, lambda desk: carrying.carry_out(desk, "m1", said, 5))
    record = acting.record(store)
    assert f"{record['start_at']:%d %H:%M}" == "19 14:00"
    assert (record["end_at"] - record["start_at"]).total_seconds() == 5 * 60


@pytest.mark.parametrize(
    ("start", "minutes", "place"),
    [("2027-02-19", None, "start"), ("yesterday", None, "start"), ("", 0, "minutes")],
)
def test_what_is_no_time_of_a_call_is_named(
    store: Store, start: str, minutes: int | None, place: str
) -> None:
    acting.begin(store, CALL, sent=False)
    with pytest.raises(InputError) as caught:
        acting.do(store, KARI, lambda desk: carrying.carry_out(desk, "m1", start, minutes))
    assert caught.value.places[0][0] == (place,)


@pytest.mark.parametrize("follow_up", [MEETING, TASK])
def test_only_a_call_is_carried_out(store: Store, follow_up: dict[str, object]) -> None:
    """domain.md §2: the table of kinds."""
    acting.begin(store, follow_up, sent=False)
    with pytest.raises(Refused, match="only a call is carried out"):
        acting.do(store, KARI, lambda desk: carrying.carry_out(desk, "m1"))


def test_who_has_not_answered_is_reminded_once_a_day(store: Store) -> None:
    """docs/api.md: remind."""
    eva = {"email": "eva@other.example", "email_invite": True}
    acting.begin(store, MEETING | {"participants": [acting.OLA, eva]})
    with store.write() as connection:
        [member] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
        accepted = Standing(Reply.ACCEPTED, seen=True)
        followups.write_standing(connection, member.id, None, accepted, 1)
    done = acting.do(store, KARI, lambda desk: reminders.ask(desk, "m1"))
    assert len(done.answer) == len(done.letters.queued) == 1
    assert acting.owed(store) == [("eva", "REQUEST")]
    with store.read() as connection:
        [letter] = outbox.pending(connection)
    assert letter.letter.remarks.occasion is Occasion.REMINDER
    acting.send(store)
    for now in (NOW, NOW + DAY - HOUR):
        with pytest.raises(Refused, match="nobody is to be reminded"):
            acting.do(store, KARI, lambda desk: reminders.ask(desk, "m1"), now)
    acting.do(store, KARI, lambda desk: reminders.ask(desk, "m1"), NOW + DAY + HOUR)
    assert acting.owed(store, NOW + DAY + HOUR) == [("eva", "REQUEST")]
    assert acting.events(store).count(("reminded", "kari")) == 2


def test_nobody_is_reminded_of_what_is_over_or_off(store: Store) -> None:
    acting.begin(store, MEETING)
    with pytest.raises(Refused, match="nobody is to be reminded"):
        acting.do(store, KARI, lambda desk: reminders.ask(desk, "m1"), NOW + 30 * DAY)
    rows.run(store, "UPDATE follow_up SET cancelled = TRUE")
    acting.owed(store)
    acting.send(store)
    with pytest.raises(Refused, match="nobody is to be reminded"):
        acting.do(store, KARI, lambda desk: reminders.ask(desk, "m1"), NOW + 2 * DAY)
