"""Every message has one outcome, written with its effect and the cursor;
nothing is lost between two starts.
"""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.answer import facts
from gateway.model import Outcome
from gateway.store import inbox, journal, schema
from gateway.store.engine import Store
from gateway.store.inbox import Place, Record
from tests.store import rows

NOW = rows.NOW
PLACE = Place("default", "INBOX", 7, 42)
APPLIED = Record(
    "digest",
    1_234,
    NOW,
    Outcome.APPLIED,
    "accepted",
    PLACE,
    "one@ext.example",
    "object",
    "ola@ext.example",
    "Re: Møte",
    "m1",
    5,
    rows.START,
    {"rule": "token", "comment": "æøå"},
    None,
    "Processed",
)


def record(store: Store, one: Record) -> int:
    with store.write() as connection:
        return inbox.record(connection, one, NOW)


def journalled(store: Store, one: Record, *also: journal.Entry) -> None:
    """The record with what its answers did, as `answers.carry_out` writes it."""
    number = record(store, one)
    event = one.outcome.value if one.outcome is not None else ""
    with store.write() as connection:
        journal.write(
            connection,
            [
                replace(entry, message=number)
                for entry in (
                    journal.Entry(event, one.follow_up, one.participant, one.instance),
                    *also,
                )
            ],
            NOW,
        )


def stored(store: Store) -> list[Any]:
    with store.read() as connection:
        return list(connection.execute(sa.select(schema.inbox).order_by(schema.inbox.c.id)).all())


def test_what_is_recorded_can_be_read_again(store: Store) -> None:
    record(store, APPLIED)
    [row] = stored(store)
    assert (row.outcome, row.subject, row.instance) == (
        "applied",
        "Re: Møte",
        "2026-12-01T08:00:00Z",
    )
    assert (row.arrived_at, row.participant, row.recorded_at) == (NOW, 5, NOW)
    assert row.detail == '{"rule": "token", "comment": "æøå"}'
    with store.read() as connection:
        assert inbox.done(connection, PLACE)
        assert not inbox.done(connection, replace(PLACE, uidvalidity=8))


def test_raw_bytes_of_what_waits_for_a_person_are_kept_as_they_came(store: Store) -> None:
    raw = bytes(range(256)) * 4
    record(store, replace(APPLIED, outcome=Outcome.HELD, raw=raw))
    assert bytes(stored(store)[0].raw) == raw


def test_an_outcome_is_final(store: Store) -> None:
    """A second gateway, or a reader that lost its cursor, comes to a message that is done."""
    number = record(store, APPLIED)
    assert record(store, replace(APPLIED, outcome=Outcome.IGNORED, reason="again")) == number
    assert [(row.outcome, row.reason) for row in stored(store)] == [("applied", "accepted")]


def test_our_own_failures_are_counted_and_replaced_by_the_outcome(store: Store) -> None:
    failed = replace(APPLIED, outcome=None, reason="KeyError", raw=b"mail")
    with store.write() as connection:
        assert [inbox.fail(connection, failed, NOW) for _ in range(3)] == [1, 2, 3]
        assert inbox.leftovers(connection, "default", "INBOX", 7) == [42]
        assert not inbox.done(connection, PLACE)
    assert [row.outcome for row in stored(store)] == [None]
    record(store, APPLIED)
    with store.read() as connection:
        assert inbox.leftovers(connection, "default", "INBOX", 7) == []
    assert [(row.outcome, row.tries) for row in stored(store)] == [("applied", 3)]


def test_messages_from_files_have_no_place_and_each_is_recorded(store: Store) -> None:
    numbers = {record(store, replace(APPLIED, place=None)) for _ in range(2)}
    assert len(numbers) == 2


def test_two_messages_cannot_have_one_place(store: Store) -> None:
    record(store, APPLIED)
    values = {
        "account": "default",
        "folder": "INBOX",
        "uidvalidity": 7,
        "uid": 42,
        "arrived_at": NOW,
        "digest": "x",
        "size": 1,
    }
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:
        connection.execute(sa.insert(schema.inbox).values(values))


def test_repeats_are_known_by_message_id_and_by_object_for_each_row(store: Store) -> None:
    journalled(store, APPLIED, journal.Entry("unchanged", "m2", 7), journal.Entry("held", "m3", 8))
    with store.read() as connection:
        same = facts.Keys(message_id="one@ext.example", object="object")
        found = inbox.traces(connection, [5, 6, 7, 8], [same])
        assert set(found) == {5, 7}, "6 had another one, and 8 had no effect"
        [trace] = found[5]
        assert trace == facts.Trace(1, 5, rows.START, "one@ext.example", "object", NOW)
        other = facts.Keys(message_id="one@ext.example", object="other")
        assert inbox.traces(connection, [5], [other]) == {}
        assert inbox.traces(connection, [5], [facts.Keys()]) == {}
        assert inbox.traces(connection, [5], [other], 1) == {5: [trace]}, "all that it did itself"
        assert set(inbox.copies(connection, ["digest", "other"])) == {"digest"}


def test_a_copy_says_what_came_of_it_and_when_it_came(store: Store) -> None:
    record(store, replace(APPLIED, outcome=Outcome.REFRESHED))
    with store.read() as connection:
        copies = inbox.copies(connection, ["digest"])
    assert copies == {"digest": [facts.Copy(Outcome.REFRESHED, NOW)]}


@pytest.mark.parametrize(
    "outcome", [Outcome.HELD, Outcome.MALFORMED, Outcome.UNKNOWN_INVITATION, Outcome.IGNORED, None]
)
def test_what_had_no_effect_is_judged_again(store: Store, outcome: Outcome | None) -> None:
    journalled(store, replace(APPLIED, outcome=outcome))
    with store.read() as connection:
        same = facts.Keys(message_id="one@ext.example", object="object")
        assert inbox.traces(connection, [5], [same]) == {}
        assert inbox.copies(connection, ["digest"]) == {}


def _fail_after_advancing(store: Store) -> None:
    with store.write() as connection:
        inbox.record(connection, APPLIED, NOW)
        inbox.advance(connection, "default", "INBOX", 7, 42)
        raise ZeroDivisionError


def test_the_cursor_moves_with_the_effect_or_not_at_all(store: Store) -> None:
    with store.write() as connection:
        assert inbox.cursor(connection, "default", "INBOX") is None
        inbox.advance(connection, "default", "INBOX", 7, 41)
    with pytest.raises(ZeroDivisionError):
        _fail_after_advancing(store)
    with store.read() as connection:
        assert inbox.cursor(connection, "default", "INBOX") == (7, 41)
        assert not inbox.done(connection, PLACE)
    with store.write() as connection:
        inbox.advance(connection, "default", "INBOX", 8, 1)
        inbox.advance(connection, "other", "INBOX", 1, 4_294_967_295)
    with store.read() as connection:
        assert inbox.cursor(connection, "default", "INBOX") == (8, 1)
        assert inbox.cursor(connection, "other", "INBOX") == (1, 4_294_967_295)


def test_what_was_dealt_with_and_not_moved_is_found_again(store: Store) -> None:
    for uid, destination in ((3, "Review"), (1, "Processed"), (2, "")):
        record(store, replace(APPLIED, place=replace(PLACE, uid=uid), destination=destination))
    record(store, replace(APPLIED, place=replace(PLACE, account="other", uid=9)))
    with store.write() as connection:
        assert inbox.unmoved(connection, "default", "INBOX") == [
            (7, 1, "Processed"),
            (7, 3, "Review"),
        ]
        inbox.moved(connection, "default", "INBOX", 7, [1])
        inbox.moved(connection, "default", "INBOX", 8, [3])
        assert inbox.unmoved(connection, "default", "INBOX") == [(7, 3, "Review")]
