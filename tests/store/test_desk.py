"""A command is one transaction, and says which letters follow from it as the planner will make them."""

from dataclasses import replace

import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import desk, planning
from gateway.actions.desk import Desk
from gateway.model import Access, Actor, Method
from gateway.store import outbox, schema
from gateway.store.engine import Store
from tests.store import rows

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
KARI = Actor(Access.USER, "kari", "kari")


def cancel(here: Desk) -> str:
    here.connection.execute(
        sa.update(schema.follow_up).where(schema.follow_up.c.key == "m1").values(cancelled=True)
    )
    here.touch("m1")
    return "cancelled"


def _is_cancelled(store: Store) -> bool:
    with store.read() as connection:
        query = sa.select(schema.follow_up.c.cancelled).where(schema.follow_up.c.key == "m1")
        return bool(connection.execute(query).scalar_one())


def _invited(store: Store) -> None:
    rows.begin(store)
    rows.run(store, "UPDATE follow_up SET title = 'Kick-off with Ola' WHERE key = 'm1'")
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    rows.run(
        store,
        "UPDATE outbox SET state = 'sent'",
        "UPDATE invitation SET sent_edition = (SELECT edition FROM outbox WHERE invitation = invitation.id),"
        " sent_method = 'REQUEST', sent_sequence = 0, top_sequence = 0, sent_at = '2026-11-20 08:00:00'",
    )


def test_a_dry_run_answers_the_same_and_keeps_nothing(store: Store) -> None:
    _invited(store)
    tried = desk.perform(store, SETTINGS, rows.NOW, KARI, cancel, dry_run=True)
    assert not _is_cancelled(store)
    assert rows.marked(store) == []
    done = desk.perform(store, SETTINGS, rows.NOW, KARI, cancel)
    assert tried.answer == done.answer == "cancelled"
    assert tried.letters.count(Method.CANCEL) == done.letters.count(Method.CANCEL) == 1
    assert _is_cancelled(store)


def test_what_it_says_is_owed_the_planner_makes_later(store: Store) -> None:
    _invited(store)
    done = desk.perform(store, SETTINGS, rows.NOW, KARI, cancel)
    with store.read() as connection:
        assert outbox.pending(connection) == []
    assert rows.marked(store) == ["m1"]
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    with store.read() as connection:
        [letter] = outbox.pending(connection)
    [foretold] = done.letters.queued
    # A Message-ID names the edition by its number, which PostgreSQL does not give twice.
    assert replace(letter.letter, message_id="") == replace(foretold.letter, message_id="")


def test_what_a_person_does_is_none_of_the_brakes_business(store: Store) -> None:
    _invited(store)
    desk.perform(store, SETTINGS, rows.NOW, KARI, cancel)
    with store.read() as connection:
        assert connection.execute(sa.select(schema.change_mark.c.single)).scalars().all() == [True]
