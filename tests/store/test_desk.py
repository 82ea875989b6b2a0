"""A command is one transaction, and says which letters follow from it as the planner will make them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import desk, directory, inviting, planning, undoing
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups.invitees import Entry, Source
from gateway.followups.permission import Verb
from gateway.model import Access, Actor, Channel, Method
from gateway.store import followups, journal, migrate, outbox, schema
from gateway.store.engine import Store
from tests.store import rows
from tests.store.collisions import collide

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
KARI = Actor(Access.USER, "kari", "kari")
Perform = Callable[..., Any]


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


def test_what_another_program_did_before_counts_for_the_brake(store: Store) -> None:
    """domain.md §10: a click on one of a thousand follow-ups lets none of them off."""
    _invited(store)
    rows.run(store, "UPDATE follow_up SET location = 'Fjell' WHERE key = 'm1'")
    desk.perform(store, SETTINGS, rows.NOW, KARI, cancel)
    with store.read() as connection:
        query = sa.select(schema.change_mark.c.single).order_by(schema.change_mark.c.id)
        assert connection.execute(query).scalars().all() == [False, True]


def test_what_a_person_does_is_none_of_the_brakes_business(store: Store) -> None:
    _invited(store)
    desk.perform(store, SETTINGS, rows.NOW, KARI, cancel)
    with store.read() as connection:
        assert connection.execute(sa.select(schema.change_mark.c.single)).scalars().all() == [True]


def test_a_completed_follow_up_refuses_edits_until_that_is_undone(store: Store) -> None:
    """domain.md §3."""
    rows.begin(store)
    rows.run(store, "UPDATE follow_up SET completed = TRUE WHERE key = 'm1'")
    with pytest.raises(Refused, match="completed; undo that first"):
        desk.perform(store, SETTINGS, rows.NOW, KARI, lambda here: here.edit("m1"))
    rows.run(store, "UPDATE follow_up SET completed = FALSE WHERE key = 'm1'")
    done = desk.perform(store, SETTINGS, rows.NOW, KARI, lambda here: here.edit("m1"))
    assert done.answer.owner == "kari"


def test_who_did_it_stands_in_the_record_and_in_the_journal(store: Store) -> None:
    """domain.md §4."""
    rows.begin(store)
    for_per = Actor(Access.CRM, "kari", "crm")
    desk.perform(
        store,
        SETTINGS,
        rows.NOW,
        for_per,
        lambda here: here.changed("m1", journal.Entry("cancelled", "m1")),
    )
    with store.read() as connection:
        query = sa.select(schema.follow_up).where(schema.follow_up.c.key == "m1")
        record = connection.execute(query).one()
        [entry] = journal.after(connection, 0, follow_up="m1")
    assert (record.changed_at, record.changed_by) == (rows.NOW, "kari via crm")
    assert (entry.by, entry.channel) == ("kari via crm", Channel.API)


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
def test_another_program_waits_while_a_command_compares_and_changes(store: Store) -> None:
    """docs/api.md, If-Match: nothing comes between the comparison and the change."""
    rows.begin(store)

    def command(here: Desk) -> None:
        here.edit("m1")
        with store.engine.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(sa.exc.DBAPIError, match="lock timeout"):
                other.exec_driver_sql("UPDATE follow_up SET title = 'By SQL' WHERE key = 'm1'")

    desk.perform(store, SETTINGS, rows.NOW, KARI, command)


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
def test_another_program_waits_for_a_row_too_and_may_add_others(store: Store) -> None:
    """docs/api.md, If-Match."""
    rows.begin(store)
    with store.read() as connection:
        number = followups.members(connection, "m1")[0].id

    def command(here: Desk) -> None:
        here.participant(number, Verb.EDIT)
        with store.engine.begin() as other:
            other.exec_driver_sql(
                f"INSERT INTO standing (participant, instance) VALUES ({number}, 'x')"
            )
        with store.engine.begin() as other:
            other.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(sa.exc.DBAPIError, match="lock timeout"):
                other.exec_driver_sql(f"UPDATE participant SET name = 'O' WHERE id = {number}")

    desk.perform(store, SETTINGS, rows.NOW, KARI, command)


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
def test_where_another_program_was_quicker_it_is_refused_and_may_be_asked_again(
    store: Store,
) -> None:
    rows.begin(store)

    def command(here: Desk) -> None:
        with store.engine.begin() as other:
            other.exec_driver_sql(
                "INSERT INTO participant (follow_up, person) VALUES ('m1', 'eva')"
            )
        here.connection.exec_driver_sql(
            "INSERT INTO participant (follow_up, person) VALUES ('m1', 'eva')"
        )

    with pytest.raises(Refused, match="ask again"):
        desk.perform(store, SETTINGS, rows.NOW, KARI, command)


def test_a_fault_of_this_program_is_no_refusal(store: Store) -> None:
    rows.begin(store)

    def command(here: Desk) -> None:
        here.connection.exec_driver_sql("INSERT INTO participant (follow_up) VALUES ('m1')")

    with pytest.raises(sa.exc.IntegrityError):
        desk.perform(store, SETTINGS, rows.NOW, KARI, command)


@pytest.mark.real
@pytest.mark.parametrize("perform", [desk.perform, undoing.perform])
def test_a_command_that_another_one_has_to_pass_is_done_anew(
    postgres_url: str, perform: Perform
) -> None:
    """PostgreSQL gives one of two up that wait for each other; nobody is told of that."""
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        rows.begin(store)
        tries = list[str]()

        def command(here: Desk) -> str:
            tries.append("")
            here.edit("m1")
            return cancel(here)

        done = collide(store, "m1", lambda: perform(store, SETTINGS, rows.NOW, KARI, command))
        assert (done.answer, len(tries)) == ("cancelled", 2)
        assert _is_cancelled(store)


@pytest.mark.real
def test_who_changes_a_card_and_who_invites_them_do_not_wait_for_each_other(
    postgres_url: str,
) -> None:
    """The card is locked first, the follow-up first; each then wants the other."""
    with closing(Store(postgres_url)) as store, ThreadPoolExecutor(1) as pool:
        migrate.upgrade(store)
        rows.begin(store)
        crm = Actor(Access.CRM, name="crm")
        with store.write() as connection:
            here = Desk(connection, SETTINGS, rows.NOW, crm)
            directory.before(here, "persons", "ola")

            def invite(there: Desk) -> None:
                inviting.add(there, "m2", [Entry(Source.PERSON, "ola")], email_invite=False)

            inviting_ola = pool.submit(desk.perform, store, SETTINGS, rows.NOW, crm, invite)
            inviting_ola.result(60)  # nothing of the card is in its way
            directory.put(here, "persons", "ola", {"name": "Ola Hansen", "emails": []})
            desk.settle(here)
