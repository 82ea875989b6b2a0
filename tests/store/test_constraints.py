"""What the store refuses, whoever writes: a row that nobody could read later is never written."""

import pytest
import sqlalchemy as sa

from gateway.errors import StoreError
from gateway.store import followups, schema
from gateway.store.engine import Store
from tests.store import rows
from tests.store.conftest import Program

NO_INSTANTS = [
    "2026-12-01T09:00:00",
    "2026-12-01 09:00:00Z",
    "2026-12-01 09:00:00.5",
    "2026-12-01 09:00",
    "2026-12-01",
    "2026-02-30 09:00:00",
    "2026-13-01 09:00:00",
    "2026-12-01 25:00:00",
    "0000-01-01 00:00:00",
    "1798794000",
    "now",
    "",
    "tomorrow",
    " 2026-12-01 09:00:00",
]
NO_TIMES = [
    "2026-02-30 09:00:00",
    "2026-13-01 09:00:00",
    "2026-12-01 25:00:00",
    "0000-01-01 00:00:00",
    "",
]
COLUMNS = [
    ("follow_up", "start_at"),
    ("follow_up", "end_at"),
    ("follow_up", "deadline"),
    ("follow_up", "answer_by"),
    ("follow_up_date", "original_start"),
    ("follow_up_date", "start_at"),
    ("follow_up_date", "end_at"),
]
REFUSED = {
    "kind": "UPDATE follow_up SET kind = 'party'",
    "guest list": "UPDATE follow_up SET guest_list = 'some'",
    "availability": "UPDATE follow_up SET availability = 'maybe'",
    "no key": "INSERT INTO follow_up (key) VALUES (NULL)",
    "key twice": "INSERT INTO follow_up (key) VALUES ('m1')",
    "unknown owner": "UPDATE follow_up SET owner = 'nobody'",
    "UID twice": "UPDATE follow_up SET uid = 'same'",
    "nobody": "INSERT INTO participant (follow_up) VALUES ('m1')",
    "two at once": "INSERT INTO participant (follow_up, person, email) VALUES ('m1', 'eva', 'eva@ext.example')",
    "the same person again": "INSERT INTO participant (follow_up, person) VALUES ('m1', 'ola')",
    "the same associate again": "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'per')",
    "a person whom nobody knows": "INSERT INTO participant (follow_up, person) VALUES ('m1', 'nobody')",
    "no such follow-up": "INSERT INTO participant (follow_up, email) VALUES ('nowhere', 'a@b.example')",
    "a status that is none of the toggle's": "UPDATE participant SET set_status = 7",
    "one token for two": "UPDATE participant SET given_token = 'same'",
    "the same date twice": "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2026-12-08 08:00:00'), "
    "('m1', '2026-12-08 08:00:00')",
}


def test_text_that_is_no_instant_is_refused(store: Store) -> None:
    """SQLite would take any text; PostgreSQL has a type for it, which reads more notations."""
    rows.begin(store)
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2026-12-08 08:00:00')",
    )
    taken = []
    for table, column in COLUMNS:
        for value in NO_INSTANTS if store.is_sqlite else NO_TIMES:
            try:
                rows.run(store, f"UPDATE {table} SET {column} = '{value}'")
            except (sa.exc.DBAPIError, StoreError):
                continue
            taken.append((table, column, value))
        rows.run(store, f"UPDATE {table} SET {column} = '2024-02-29 23:59:59'")
    assert taken == []


def test_rows_that_make_no_sense_are_refused(store: Store) -> None:
    rows.begin(store)
    taken = []
    for name, statement in REFUSED.items():
        with store.engine.connect() as connection:
            try:
                connection.exec_driver_sql(statement)
            except sa.exc.IntegrityError:
                continue
            finally:
                connection.rollback()
        taken.append(name)
    assert taken == []


def test_instants_of_programs_are_read_as_utc(store: Store, program: Program) -> None:
    program(
        "INSERT INTO follow_up (key, start_at, end_at) VALUES ('m1', '2026-12-01 08:00:00', '2026-12-01 09:00:00');"
    )
    with store.read() as connection:
        row = connection.execute(sa.select(schema.follow_up)).one()
    assert (row.start_at, row.end_at) == (rows.MEETING.start, rows.MEETING.end)
    assert row.start_at.utcoffset().total_seconds() == 0


def test_our_instants_are_what_the_contract_says(store: Store, program: Program) -> None:
    with store.write() as connection:
        connection.execute(sa.insert(schema.follow_up).values(key="m1", start_at=rows.START))
    shown = program("SELECT start_at FROM follow_up;")
    assert shown == ("2026-12-01 08:00:00" if store.is_sqlite else "2026-12-01 08:00:00+00")


def test_a_datetime_without_a_zone_is_no_instant(store: Store) -> None:
    with pytest.raises(sa.exc.StatementError, match="without a zone"), store.write() as connection:
        connection.execute(
            sa.insert(schema.follow_up).values(key="m1", start_at=rows.START.replace(tzinfo=None))
        )


def test_whoever_goes_takes_rows_along_but_not_the_follow_up(store: Store) -> None:
    rows.begin(store)
    rows.run(
        store, "DELETE FROM person WHERE key = 'ola'", "DELETE FROM associate WHERE key = 'kari'"
    )
    with store.read() as connection:
        assert [one.key for one in followups.members(connection, "m1")] == ["per"]
        assert connection.execute(sa.select(schema.follow_up.c.owner)).scalars().all() == [
            None,
            None,
        ]
