"""What monitoring is told of a store (docs/operations.md, "Watching it")."""

from datetime import timedelta

import sqlalchemy as sa

from gateway.actions import deliveries, load, measuring, planning
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.metrics import Family
from gateway.model import Outcome
from gateway.store import inbox, pace, schema
from gateway.store.engine import Store
from gateway.store.inbox import Place
from gateway.store.pace import Rest, Room
from tests.store import test_growth as growth
from tests.store.test_growth import DOCUMENT, GATEWAY, SETTINGS
from tests.web.world import NOW

Numbers = dict[str, dict[tuple[str, ...], float]]


def look(store: Store, tally: measuring.Tally, after: float = 0.0) -> Numbers:
    """By family, then by the values of the labels."""
    seen = measuring.look(store, SETTINGS, tally, NOW + timedelta(seconds=after))
    return {family.name: _values(family) for family in seen}


def _values(family: Family) -> dict[tuple[str, ...], float]:
    ends = {(*sample.labels.values(), sample.end): sample.value for sample in family.samples}
    return {tuple(word for word in key if word): value for key, value in ends.items()}


def receive(store: Store, *mails: tuple[int, bytes, float]) -> None:
    """Mails by UID, each so many seconds before it is recorded."""
    batch = [
        Received(
            raw, NOW - timedelta(seconds=late), len(raw), place=Place("default", "INBOX", 1, uid)
        )
        for uid, raw, late in mails
    ]
    process.Processor(store, SETTINGS).receive(batch)
    with store.write() as connection:
        connection.execute(sa.update(schema.inbox).values(recorded_at=NOW))


def test_letters_and_answers_are_counted(store: Store) -> None:
    tally = measuring.Tally()
    empty = look(store, tally)
    assert empty["letters"] == {}
    assert empty["letter_overdue_seconds"] == {("default",): 0}
    assert empty["unmatched_ratio"] == {(): 0}
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, NOW)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    waiting = look(store, tally, 700)
    assert waiting["letters"] == {("default", "waiting", "1h"): 3}
    assert waiting["letter_overdue_seconds"][("default",)] >= 690
    claimed = deliveries.claim(store, GATEWAY, NOW + timedelta(minutes=1), Room(100))
    assert look(store, tally)["letters"] == {("default", "sending", "1m"): 3}
    deliveries.settle(store, GATEWAY, [growth.settled(one, NOW) for one in claimed], NOW)
    sent = look(store, tally)
    assert sent["letters"] == {}
    assert sent["letters_refused"] == {(): 1}
    assert sent["attempts_total"] == {
        ("sent",): 2,
        ("refused",): 1,
        ("retry",): 0,
        ("account",): 0,
        ("connection",): 0,
    }

    receive(
        store,
        (1, growth.answer("ola@ext.example", "olatoken", 1, NOW), 3),
        (2, growth.answer("eva@other.example", "nosuchtoken", 2, NOW), 40),
    )
    answered = look(store, tally)
    assert answered["messages_total"][("applied",)] == 1
    assert sum(answered["messages_total"].values()) == 2
    assert answered["review"] == {(): 1}
    assert answered["review_oldest_seconds"] == {(): 40}
    assert answered["decisions"] == {(): 2}, "an unknown answer, a refused letter"
    latency = answered["reply_seconds"]
    assert (latency[("2", "_bucket")], latency[("5", "_bucket")]) == (0, 1)
    assert (latency[("60", "_bucket")], latency[("_count",)], latency[("_sum",)]) == (2, 2, 43)
    assert look(store, tally)["messages_total"] == answered["messages_total"], "each once"


def test_what_was_there_before_is_not_counted(store: Store) -> None:
    receive(store, (1, growth.answer("eva@other.example", "nosuchtoken", 2, NOW), 40))
    seen = look(store, measuring.Tally())
    assert sum(seen["messages_total"].values()) == 0
    assert seen["unmatched_ratio"] == {(): 1}


def test_a_message_that_failed_is_counted_when_it_has_its_outcome(store: Store) -> None:
    place = Place("default", "INBOX", 1, 1)
    failed = inbox.Record("digest", 10, NOW - timedelta(hours=2), None, "a fault", place)
    tally = measuring.Tally()
    look(store, tally)
    with store.write() as connection:
        inbox.fail(connection, failed, NOW)
    trying = look(store, tally)
    assert sum(trying["messages_total"].values()) == 0
    assert trying["messages_unprocessed"] == {(): 1}
    assert trying["messages_unprocessed_oldest_seconds"] == {(): 7200}
    receive(store, (2, growth.answer("eva@other.example", "", 2, NOW), 0))
    with store.write() as connection:
        done = inbox.Record("digest", 10, NOW, Outcome.IGNORED, "", place)
        inbox.record(connection, done, NOW)
    settled = look(store, tally)
    assert settled["messages_total"][("ignored",)] == 1
    assert sum(settled["messages_total"].values()) == 2
    assert settled["messages_unprocessed"] == {(): 0}


def test_an_account_that_rests_and_letters_that_are_held(store: Store) -> None:
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, NOW)
        rest = Rest("default", NOW, NOW + timedelta(hours=1), 1, "account", "535 no")
        pace.begin_rest(connection, rest)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    notes = ("brake", "held by hand", "P15: ola@ext.example")
    with store.write() as connection:
        for number, note in enumerate(notes, 1):
            connection.exec_driver_sql(
                f"UPDATE outbox SET state = 'held', note = '{note}' WHERE id = {number}"
            )
    seen = look(store, measuring.Tally(), 60)
    assert seen["account_rest_seconds"] == {("default",): 60}
    assert seen["letters_held"] == {("preflight",): 1, ("hand",): 1, ("brake",): 1}
