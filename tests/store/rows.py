"""Rows that tests of the store begin with, written as a stranger would: with the columns of the
contract and no others.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import owing
from gateway.model import Edition, Kind, Method, Reply
from gateway.store import enqueue, invitations, outbox, schema, schema_letters
from gateway.store.engine import Store
from gateway.store.invitations import Invitation
from gateway.store.outbox import Queued

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
MEETING = Edition(
    uid="m1@crm.example",
    kind=Kind.MEETING,
    title="Kick-off",
    start=START,
    end=START + timedelta(hours=1),
    timezone="Europe/Oslo",
    organizer="Kari Nordmann",
)


@contextmanager
def explained(store: Store, *parts: str) -> Iterator[list[str]]:
    """How SQLite goes about the statements that contain one of these texts:
    the steps of its query plans.
    """
    told = list[str]()

    def before(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if any(part in statement for part in parts):
            raw = connection.connection.cursor()
            raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            told.extend(row[3] for row in raw.fetchall())

    sa.event.listen(store.engine, "before_cursor_execute", before)
    try:
        yield told
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", before)


@contextmanager
def narrow(store: Store) -> Iterator[Connection]:
    """A transaction on a SQLite that takes a thousand values in a statement: as it comes it takes
    32 766, and some builds no more than these.
    """
    with store.write() as connection:
        limited = connection.connection.driver_connection
        assert isinstance(limited, sqlite3.Connection)
        before = limited.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 1_000)
        try:
            yield connection
        finally:
            limited.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)


DIRECTORY = """
INSERT INTO company (key, name) VALUES ('acme', 'Acme AS');
INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari', 'kari@crm.example'), ('per', 'Per', 'per@crm.example');
INSERT INTO person (key, name) VALUES ('ola', 'Ola Hansen'), ('eva', 'Eva');
INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@ext.example');
INSERT INTO resource (key, name) VALUES ('room1', 'Fjord');
INSERT INTO follow_up (key, owner, title, start_at, end_at, timezone)
  VALUES ('m1', 'kari', 'Kick-off', '2026-12-01 08:00:00', '2026-12-01 09:00:00', 'Europe/Oslo');
INSERT INTO follow_up (key, owner, title, start_at) VALUES ('m2', 'kari', 'Review', '2026-12-02 08:00:00');
INSERT INTO participant (follow_up, person, email_invite) VALUES ('m1', 'ola', TRUE);
INSERT INTO participant (follow_up, associate) VALUES ('m1', 'per');
INSERT INTO participant (follow_up, person) VALUES ('m2', 'eva');
"""


def run(store: Store, *statements: str) -> None:
    """Plain SQL in one transaction."""
    with store.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def waiting(store: Store) -> list[Queued]:
    """The letters that wait, by address."""
    with store.read() as connection:
        return sorted(outbox.pending(connection), key=lambda one: (one.letter.address, one.id))


def begin(store: Store) -> None:
    """The directory, two follow-ups and three participants; no mark is left of their making."""
    run(store, *filter(str.strip, DIRECTORY.split(";")), "DELETE FROM change_mark")


def marked(store: Store) -> list[str]:
    """Follow-ups that have a mark."""
    with store.read() as connection:
        return sorted(
            connection.execute(sa.select(schema.change_mark.c.follow_up).distinct()).scalars()
        )


def invitation(
    connection: Connection, participant: int, address: str, follow_up: str = "m1"
) -> Invitation:
    """An invitation that was sent nothing yet."""
    token = f"token{participant}{address.partition('@')[0]}"
    made = Invitation(
        0,
        participant,
        follow_up,
        MEETING.uid,
        token,
        "default",
        address,
        "Ola",
        f"invites+{token}@crm.example",
        f"invites+b_{token}@crm.example",
    )
    [number] = invitations.create(connection, [made], NOW)
    return invitations.get(connection, [number])[number]


def letter(
    connection: Connection,
    to: Invitation,
    *,
    method: Method = Method.REQUEST,
    edition: Edition = MEETING,
    before: int | None = None,
    sequence: int = 0,
    at: datetime = NOW,
) -> int:
    """A letter in the outbox, due at once."""
    owed = owing.Owed(
        method, to.participant, to.id, None, edition, None, sequence, at, Reply.NEEDS_ACTION
    )
    count = connection.execute(
        sa.select(sa.func.count()).select_from(schema_letters.outbox)
    ).scalar_one()
    number = invitations.keep_edition(connection, to.follow_up, edition, None, at)
    made = enqueue.Letter(owed, to, number, before, f"{count}@crm.example", "Europe/Oslo")
    [letter] = enqueue.put(connection, [made], at)
    return letter
