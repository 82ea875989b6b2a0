"""Whatever anybody changes leaves a mark in the same transaction; what nobody would notice in a
letter leaves none.
"""

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.store import marks, migrate, schema, triggers
from gateway.store.engine import Store
from tests.store import rows
from tests.store.conftest import Program

CHANGES = {
    "follow_up added": ("INSERT INTO follow_up (key) VALUES ('m9')", ["m9"]),
    "follow_up.title": ("UPDATE follow_up SET title = 'x' WHERE key = 'm1'", ["m1"]),
    "follow_up.agenda": ("UPDATE follow_up SET agenda = 'x' WHERE key = 'm1'", ["m1"]),
    "follow_up.kind": ("UPDATE follow_up SET kind = 'call' WHERE key = 'm1'", ["m1"]),
    "follow_up.owner": ("UPDATE follow_up SET owner = 'per' WHERE key = 'm1'", ["m1"]),
    "follow_up.start_at": (
        "UPDATE follow_up SET start_at = '2026-12-01 07:00:00' WHERE key = 'm1'",
        ["m1"],
    ),
    "follow_up.end_at": (
        "UPDATE follow_up SET end_at = '2026-12-01 12:00:00' WHERE key = 'm1'",
        ["m1"],
    ),
    "follow_up.all_day": ("UPDATE follow_up SET all_day = TRUE WHERE key = 'm1'", ["m1"]),
    "follow_up.deadline": (
        "UPDATE follow_up SET deadline = '2026-12-01 12:00:00' WHERE key = 'm1'",
        ["m1"],
    ),
    "follow_up.timezone": ("UPDATE follow_up SET timezone = 'UTC' WHERE key = 'm1'", ["m1"]),
    "follow_up.location": ("UPDATE follow_up SET location = 'Fjord' WHERE key = 'm1'", ["m1"]),
    "follow_up.video_url": (
        "UPDATE follow_up SET video_url = 'https://v.example' WHERE key = 'm1'",
        ["m1"],
    ),
    "follow_up.rrule": ("UPDATE follow_up SET rrule = 'FREQ=DAILY' WHERE key = 'm1'", ["m1"]),
    "follow_up.guest_list": ("UPDATE follow_up SET guest_list = 'public' WHERE key = 'm1'", ["m1"]),
    "follow_up.cancelled": ("UPDATE follow_up SET cancelled = TRUE WHERE key = 'm1'", ["m1"]),
    "follow_up.key": ("UPDATE follow_up SET key = 'm3' WHERE key = 'm1'", ["m1", "m3"]),
    "follow_up gone": ("DELETE FROM follow_up WHERE key = 'm1'", ["m1"]),
    "date added": (
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2026-12-08 08:00:00')",
        ["m1"],
    ),
    "participant added": (
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', 'x@y.example', TRUE)",
        ["m1"],
    ),
    "participant.email_invite": (
        "UPDATE participant SET email_invite = TRUE WHERE associate = 'per'",
        ["m1"],
    ),
    "participant.removed": ("UPDATE participant SET removed = TRUE WHERE person = 'eva'", ["m2"]),
    "participant.name": ("UPDATE participant SET name = 'E' WHERE person = 'eva'", ["m2"]),
    "what no letter shows": (
        "UPDATE follow_up SET notes = 'x', completed = TRUE WHERE key = 'm1'",
        ["m1"],
    ),
    "participant.set_status": (
        "UPDATE participant SET set_status = 9 WHERE person = 'eva'",
        ["m2"],
    ),
    "participant to another follow-up": (
        "UPDATE participant SET follow_up = 'm2' WHERE person = 'ola'",
        ["m1", "m2"],
    ),
    "participant gone": ("DELETE FROM participant WHERE person = 'eva'", ["m2"]),
    "person.name": ("UPDATE person SET name = 'Ola H.' WHERE key = 'ola'", ["m1"]),
    "person.language": ("UPDATE person SET language = 'nb' WHERE key = 'eva'", ["m2"]),
    "person.timezone": ("UPDATE person SET timezone = 'UTC' WHERE key = 'eva'", ["m2"]),
    "address added": (
        "INSERT INTO person_email (person, position, address) VALUES ('eva', 0, 'eva@ext.example')",
        ["m2"],
    ),
    "address changed": (
        "UPDATE person_email SET address = 'new@ext.example' WHERE person = 'ola'",
        ["m1"],
    ),
    "address gone": ("DELETE FROM person_email WHERE person = 'ola'", ["m1"]),
    "address of another": (
        "UPDATE person_email SET person = 'eva' WHERE person = 'ola'",
        ["m1", "m2"],
    ),
    "associate.email": ("UPDATE associate SET email = 'p@crm.example' WHERE key = 'per'", ["m1"]),
    "owner.name": ("UPDATE associate SET name = 'Kari N.' WHERE key = 'kari'", ["m1", "m2"]),
}
QUIET = {
    "follow_up written back": ("UPDATE follow_up SET title = title, start_at = start_at"),
    "participants written back": "UPDATE participant SET name = name, email_invite = email_invite",
    "addresses written back": "UPDATE person_email SET address = address",
    "what is each invitee's own": "UPDATE participant SET priority = 'high', alarm_minutes = 5",
    "notes written back": "UPDATE follow_up SET notes = notes, completed = completed, sale = sale",
    "what the planner keeps": "UPDATE follow_up SET uid = key, sequence = 4, edition = 1",
    "status": "UPDATE participant SET code = 7, note = 'x', conflict = TRUE",
    "standing": "INSERT INTO standing (participant, reply) SELECT id, 'accepted' FROM participant",
    "company": "UPDATE company SET name = 'x'",
    "group": "UPDATE associate SET user_group = 'x', invitable = FALSE",
    "somebody uninvolved": "INSERT INTO person (key) VALUES ('new')",
}


def left_by(store: Store, statements: dict[str, str]) -> dict[str, list[str]]:
    """The marks that each statement alone leaves."""
    found = {}
    with store.write() as connection:
        for name, statement in statements.items():
            savepoint = connection.begin_nested()
            connection.exec_driver_sql(statement)
            found[name] = sorted(
                connection.execute(sa.select(schema.change_mark.c.follow_up).distinct()).scalars()
            )
            savepoint.rollback()
    return found


def test_a_change_that_concerns_an_invitee_leaves_a_mark(store: Store) -> None:
    rows.begin(store)
    found = left_by(store, {name: statement for name, (statement, _) in CHANGES.items()})
    assert found == {name: expected for name, (_, expected) in CHANGES.items()}


def test_a_change_that_concerns_nobody_outside_leaves_none(store: Store) -> None:
    rows.begin(store)
    assert left_by(store, QUIET) == {name: [] for name in QUIET}


def test_every_column_that_others_write_is_watched() -> None:
    contract = {
        "follow_up": "key kind owner title agenda start_at end_at all_day deadline timezone location rrule guest_list cancelled"
        " cancel_reason answer_by",
        "follow_up_date": "follow_up original_start start_at end_at cancelled cancel_reason",
        "participant": "follow_up person associate resource email name email_invite removed set_status",
    }
    for table, columns in contract.items():
        assert set(columns.split()) <= set(triggers.watched(table))


def test_programs_leave_marks_as_we_do(store: Store, program: Program) -> None:
    rows.begin(store)
    program(
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m2', 'nils@ext.example', TRUE);"
    )
    assert rows.marked(store) == ["m2"]
    assert program(
        "SELECT removed, set_status IS NULL, name FROM participant WHERE email = 'nils@ext.example';"
    ) in ("0|1|", "f|t|")


def test_a_mark_is_part_of_the_writers_transaction(store: Store, program: Program) -> None:
    rows.begin(store)
    program(
        "BEGIN; INSERT INTO participant (follow_up, email) VALUES ('m1', 'nils@ext.example'); ROLLBACK;"
    )
    assert rows.marked(store) == []
    program(
        "BEGIN; UPDATE person_email SET address = 'o@ext.example'; DELETE FROM follow_up WHERE key = 'm2'; COMMIT;"
    )
    assert rows.marked(store) == ["m1", "m2"]


def test_a_program_renames_a_follow_up_with_everything_that_hangs_on_it(
    store: Store, program: Program
) -> None:
    rows.begin(store)
    program("UPDATE follow_up SET key = 'renamed' WHERE key = 'm1';")
    assert rows.marked(store) == ["m1", "renamed"]
    assert program("SELECT COUNT(*) FROM participant WHERE follow_up = 'renamed';") == "2"


@pytest.mark.real
def test_a_writer_needs_no_right_to_our_own_tables(postgres_url: str) -> None:
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        rows.begin(store)
        rows.run(
            store,
            "DROP ROLE IF EXISTS crm",
            "CREATE ROLE crm",
            "GRANT SELECT, INSERT, UPDATE ON participant TO crm",
            "GRANT USAGE ON SEQUENCE participant_id_seq TO crm",
        )
        rows.run(
            store,
            "SET LOCAL ROLE crm",
            "INSERT INTO participant (follow_up, email) VALUES ('m1', 'nils@ext.example')",
        )
        assert rows.marked(store) == ["m1"]
        rows.run(store, "DROP OWNED BY crm", "DROP ROLE crm")


def test_only_marks_whose_window_is_over_are_due_oldest_first(store: Store) -> None:
    now = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    with store.write() as connection:
        marks.mark(connection, ["b", "a"], now - timedelta(seconds=10))
        marks.mark(connection, ["a", "c"], now - timedelta(seconds=1))
    with store.read() as connection:
        assert list(marks.due(connection, now - timedelta(seconds=5), 10)) == ["b", "a"]
        assert list(marks.due(connection, now, 10)) == ["b", "a", "c"]
        assert list(marks.due(connection, now, 2)) == ["b", "a"]
        assert marks.next_due(connection) == now - timedelta(seconds=10)


def test_a_mark_that_comes_while_we_plan_stays(store: Store) -> None:
    now = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    with store.write() as connection:
        marks.mark(connection, ["a", "b"], now)
        found = marks.due(connection, now, 10)
        marks.take(connection, found)
        marks.mark(connection, ["a"], now)
        left = connection.execute(sa.select(schema.change_mark.c.follow_up)).scalars().all()
    assert left == ["a"]


def test_a_clock_that_was_set_back_holds_nothing_up(store: Store) -> None:
    now = datetime(2026, 11, 20, 9, tzinfo=UTC)
    with store.write() as connection:
        marks.mark(connection, ["late"], now + timedelta(hours=1))
        marks.mark(connection, ["soon"], now + timedelta(seconds=30))
        assert list(marks.due(connection, now, 10)) == []
        assert list(marks.due(connection, now, 10, now + timedelta(minutes=1))) == ["late"]


def test_every_process_makes_the_same_triggers() -> None:
    """Else `db check` of one complains of what another has made: sets have an order of their own in
    each.
    """
    code = (
        "from gateway.store import triggers;"
        " print(triggers.statements('sqlite'), triggers.statements('postgresql'))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in range(6)
    }
    assert len(made) == 1
