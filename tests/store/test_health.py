"""What the rows of the store themselves say is wrong: accounts that rest, letters that are held or
late.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from gateway import settings
from gateway.actions import health
from gateway.health import Condition, State
from gateway.model import LetterState
from gateway.store import outbox, pace, schema_letters
from gateway.store.engine import Store
from tests.store import rows

NOW, MINUTE = rows.NOW, timedelta(minutes=1)
SITE = settings.load(overrides={"mail": {"address": "invites@crm.example"}})


def put(store: Store, number: int, **values: object) -> None:
    """A letter in the outbox, as far as anybody looks at it here."""
    with store.write() as connection:
        connection.execute(
            sa.insert(schema_letters.outbox).values(
                {
                    "id": number,
                    "invitation": number,
                    "participant": number,
                    "follow_up": "m1",
                    "method": "REQUEST",
                    "sequence": 0,
                    "edition": 1,
                    "dtstamp": NOW,
                    "message_id": f"{number}@crm.example",
                    "account": "default",
                    "address": "ola@ext.example",
                    "token": "t",
                    "due_at": NOW,
                }
                | values
            )
        )


def tried(store: Store, *letters: int, at: datetime = NOW) -> None:
    with store.write() as connection:
        for letter in letters:
            connection.execute(
                sa.insert(schema_letters.attempt).values(
                    letter=letter, started_at=at, seconds=0.1, verdict="sent", step="body"
                )
            )


def told(store: Store, after: timedelta = timedelta()) -> list[Condition]:
    return health.told(store, SITE, NOW + after)


def test_nothing_is_wrong_with_an_empty_store(store: Store) -> None:
    assert told(store) == []
    assert health.seen(store, SITE, NOW) == []


def test_a_letter_that_nobody_sends(store: Store) -> None:
    put(store, 1)
    put(store, 2, account="removed", due_at=NOW - timedelta(days=1))
    assert told(store, 10 * MINUTE) == []
    [queue] = told(store, 11 * MINUTE)
    assert (queue.subject, queue.state, queue.since) == ("queue", State.FAILED, NOW)
    assert "nobody sends it" in queue.words


def test_a_gateway_that_has_just_started_has_sent_nothing_yet(store: Store) -> None:
    """What waited while it was away is no sign that nobody sends it."""
    put(store, 1)
    now = NOW + timedelta(days=1)
    assert health.told(store, SITE, now, started=now - timedelta(seconds=5)) == []
    [queue] = health.told(store, SITE, now, started=now - MINUTE)
    assert "nobody sends it" in queue.words


def test_a_letter_that_waits_behind_many_others(store: Store) -> None:
    """Many were written at once, and leave one after the other."""
    for number in (1, 2):
        put(store, number)
    put(store, 3, account="sales")
    tried(store, 3, at=NOW + 10 * MINUTE)
    [queue] = told(store, 11 * MINUTE)
    assert queue.state is State.FAILED, "another account's letter was tried"
    tried(store, 2, at=NOW + 10 * MINUTE)
    tried(store, 3, at=NOW + 10 * MINUTE)
    [queue] = told(store, 11 * MINUTE)
    assert (queue.subject, queue.state, queue.since) == ("queue", State.WARNING, NOW)
    assert "letters leave, but more slowly than they are written" in queue.words
    [queue] = told(store, 20 * MINUTE)
    assert queue.state is State.FAILED, "that was ten minutes ago"
    assert "nobody sends it" in queue.words


def test_a_letter_that_waits_for_tomorrows_budget(store: Store) -> None:
    site = settings.load(
        overrides={"mail": {"address": "invites@crm.example"}, "outbound": {"per_day": 2}}
    )
    put(store, 1)
    with store.write() as connection:
        assert not pace.spend(connection, "default", site.outbound, {"ext.example": 1}, NOW)
    [queue] = health.told(store, site, NOW + 60 * MINUTE)
    assert "nobody sends it" in queue.words
    with store.write() as connection:
        assert pace.spend(connection, "default", site.outbound, {"ext.example": 1}, NOW)
    [queue] = health.told(store, site, NOW + 60 * MINUTE)
    assert (queue.state, queue.since) == (State.WARNING, NOW)
    assert "outbound.per_day letters have left" in queue.words
    [queue] = health.told(store, site, NOW + timedelta(hours=24))
    assert "nobody sends it" in queue.words


def test_a_letter_that_waits_because_its_account_rests(store: Store) -> None:
    put(store, 1)
    resting = pace.Rest("default", NOW, NOW + 20 * MINUTE, 3, "account", "535 5.7.8 no")
    other = pace.Rest("removed", NOW, NOW + 20 * MINUTE, 3, "account", "535 5.7.8 no")
    with store.write() as connection:
        pace.begin_rest(connection, resting)
        pace.begin_rest(connection, other)
    sending, queue = told(store, 11 * MINUTE)
    assert (sending.subject, sending.state, sending.since) == ("sending", State.FAILED, NOW)
    assert "535 5.7.8 no" in sending.words
    assert queue.words.endswith("the account rests")
    with store.write() as connection:
        pace.end_rest(connection, "default")
    assert [condition.subject for condition in told(store, 11 * MINUTE)] == ["queue"]


def test_held_letters_are_red_when_none_passes(store: Store) -> None:
    held = {"state": LetterState.HELD, "note": "P15: header: a bare CR"}
    for number in (1, 2):
        put(store, number, state=LetterState.SENT)
    tried(store, 1, 2)
    put(store, 3, state=LetterState.HELD, note=outbox.BY_HAND)
    assert told(store) == []
    for number in (4, 5):
        put(store, number, **held)
    [letters] = told(store)
    assert letters.state is State.FAILED
    assert "2 letters are held" in letters.words
    assert "P15: header: a bare CR." in letters.words
    assert letters.words.endswith("queue show 4")
    put(store, 6, state=LetterState.SENT)
    tried(store, 6)
    [letters] = told(store)
    assert letters.state is State.WARNING
    for number in range(7, 7 + outbox.LATEST):
        put(store, number, **held)
    [letters] = told(store)
    assert letters.state is State.FAILED, "the latest of them tell"
