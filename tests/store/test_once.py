"""Whoever has several of something counts once, on both databases: an invitation to each date, an
old and a new address, an answer to each date, several addresses in the directory.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import shapes
from gateway.actions import deciding, decisions, persons, reminders
from gateway.followups.decisions import DecisionKind
from gateway.model import Access, Actor, Delivery, Reply, Standing
from gateway.store import (
    activities,
    cards,
    diaries,
    filters,
    followups,
    measures,
    picks,
    reading,
    views,
)
from gateway.store.decisions import Filter
from gateway.store.engine import Store
from tests.store import acting, rows

ADMIN = Actor(Access.ADMIN, name="admin")
OLA, EVA = "ola@new.example", "eva@other.example"
DATES = ["2027-03-02T14:00:00", "2027-03-09T09:00:00"]
APART = acting.MEETING | {
    "recurrence": {"rdates": DATES},
    "participants": [acting.OLA, {"email": EVA, "name": "Eva", "email_invite": True}],
}
"""Dates that no series can hold: each of them is an invitation by itself."""
STATES = [
    "UPDATE invitation SET delivery = 'undeliverable'",
    "UPDATE invitation SET delivery = 'undeliverable' WHERE id IN"
    " (SELECT min(id) FROM invitation WHERE counts GROUP BY participant)",
    "UPDATE invitation SET delivery = 'undeliverable' WHERE NOT counts",
    "UPDATE invitation SET delivery = 'deferred' WHERE id IN"
    " (SELECT min(id) FROM invitation WHERE counts GROUP BY participant)",
    "UPDATE invitation SET delivery = 'deferred' WHERE id IN"
    " (SELECT max(id) FROM invitation WHERE counts GROUP BY participant)",
    "UPDATE invitation SET delivery = 'delivered' WHERE counts",
]
"""What may have become of their letters."""


@pytest.fixture
def several(store: Store) -> Store:
    """Ola has had another address, and has two of them; both hold each date by itself."""
    acting.begin(store, APART)
    rows.run(
        store,
        f"UPDATE person_email SET address = '{OLA}'",
        "INSERT INTO person_email (person, position, address) VALUES ('ola', 1, 'ola@home.example')",
    )
    for _ in range(2):
        acting.owed(store, acting.NOW - 2 * acting.DAY)
        acting.send(store, acting.NOW - 2 * acting.DAY)
    with store.read() as connection:
        held = connection.execute(sa.text("SELECT counts FROM invitation ORDER BY id")).scalars()
        assert sorted(held) == [False] * 3 + [True] * 6
    return store


def shown(store: Store) -> list[shapes.Participant]:
    with store.read() as connection:
        [view] = reading.follow_ups(connection, ["m1"], "Europe/Oslo", participants=True)
    return list(view.participants or ())


def test_whoever_is_reminded_is_named_once(several: Store) -> None:
    done = acting.do(several, acting.KARI, lambda desk: reminders.ask(desk, "m1"))
    assert sorted(done.answer) == sorted(one.id for one in shown(several))
    assert len(done.letters.queued) == 6, "a letter for each date"


@pytest.mark.parametrize("state", STATES)
def test_every_list_says_the_same_of_a_delivery(several: Store, state: str) -> None:
    """The representation, `status`, the view and the filter: one of the dates that does not arrive,
    where there is one, else the last; never an address of before.
    """
    rows.run(several, state)
    expected = sorted((one.id, one.delivery.value) for one in shown(several))
    assert len(expected) == 2
    with several.read() as connection:
        status = [(one.key, one.delivery.value) for one in views.status_rows(connection, "m1")]
        view = connection.execute(sa.text("SELECT id, delivery FROM participant_status"))
        assert sorted((row.id, row.delivery) for row in view) == expected
        found = [
            (number, delivery.value)
            for delivery in Delivery
            for number in filters.participants(
                connection, acting.CRM, filters.Participants(delivery=delivery), 10
            ).names
        ]
        lost = cards.not_reached(connection, "ola")
    names = {one.id: one.key for one in shown(several)}
    assert sorted(status) == sorted((names[number], delivery) for number, delivery in expected)
    assert sorted(found) == expected
    is_lost = ("ola", Delivery.UNDELIVERABLE) in status
    assert list(lost) == ([OLA] if is_lost else [])


def test_who_is_asked_of_one_date_again_was_asked_then(several: Store) -> None:
    """Whichever of the dates the rest of the row tells of."""
    earlier = {one.asked_at for one in shown(several)}
    rows.run(
        several,
        "UPDATE follow_up_date SET start_at = '2027-03-02 15:00:00', end_at = '2027-03-02 16:00:00'"
        " WHERE original_start = '2027-03-02 13:00:00'",
    )
    assert len(acting.owed(several)) == 2
    acting.send(several)
    assert earlier == {acting.NOW - 2 * acting.DAY}
    assert {one.asked_at for one in shown(several)} == {acting.NOW}


def test_who_is_not_reached_is_told_of_once(several: Store) -> None:
    rows.run(several, STATES[0])
    with several.write() as connection:
        deciding.follow(connection, ["m1"], acting.NOW)
    waiting = acting.do(
        several, acting.KARI, lambda desk: decisions.mine(desk, Filter(follow_up="m1"), 50)
    ).answer
    lost = [one for one in waiting if one.kind is DecisionKind.UNDELIVERABLE]
    assert sorted(one.cause.participant or 0 for one in lost) == [one.id for one in shown(several)]
    with several.read() as connection:
        assert measures.undecided(connection)[0] == len(waiting)
        troubled = [one.key for one in views.troubled_rows(connection, acting.NOW)]
        said = diaries.standings(connection, "kari", ["m1"])["m1"]
    assert sorted(troubled) == [EVA, "ola"]
    assert [is_lost for _, is_lost in said] == [True, True]


def test_who_declined_date_by_date_counts_once(several: Store) -> None:
    with several.write() as connection:
        for member in followups.members(connection, "m1"):
            no = Standing(Reply.DECLINED, seen=True)
            for instance in (None, *_dates()):
                followups.write_standing(connection, member.id, instance, no, 9)
    for wanted in ({"reply": Reply.DECLINED}, {"delivery": Delivery.SENT, "reply": Reply.DECLINED}):
        with several.read() as connection:
            page = filters.participants(connection, acting.CRM, filters.Participants(**wanted), 10)
        assert len(page.names) == 2
    with several.read() as connection:
        [view] = reading.follow_ups(connection, ["m1"], "Europe/Oslo")
        found = connection.execute(sa.text("SELECT id FROM participant_status"))
        assert len(list(found)) == 2
    assert view.reject_count == 2


def test_who_has_two_addresses_is_one_person(several: Store) -> None:
    with several.read() as connection:
        assert [one.key for one in picks.listed(connection, "person", "ola")] == ["ola"]
        page = activities.page(connection, acting.CRM, "person", "ola", 10, None)
    assert page.keys == ("m1",)
    done = acting.do(several, ADMIN, lambda desk: persons.withdraw(desk, "ola"))
    assert done.answer == 1


def _dates() -> Sequence[Any]:
    start = datetime(2027, 3, 2, 8, tzinfo=UTC)
    return start, start + timedelta(hours=5), start + timedelta(weeks=1)
