"""A store of every earlier program goes on with all that is in it: at each schema rows are added to
every table that there is, and every later migration meets them (on both databases).
"""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import settings as configuration
from gateway.actions import planning
from gateway.store import codec, migrate, reading, views
from gateway.store.engine import Store
from tests import stores
from tests.store import rows
from tests.store.test_migrations import REVISIONS

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MOMENTS = ("_at", "_start", "dtstamp", "until", "since")
"""How the names of columns end that hold a moment, which SQLite keeps as text."""
NOT_OURS = {"alembic_version", "meta", "change_mark"}
NUMBER = "{}"
FACTS = codec.edition(rows.MEETING).replace("{", "{{").replace("}", "}}")
ANSWER = {
    "instance": "",
    "reply": "accepted",
    "progress": "not_started",
    "channel": "mail",
    "comment": "Gladly",
}
SAID: dict[str, dict[str, Any]] = {
    "follow_up": {
        "title": "Kick-off",
        "agenda": "Why",
        "timezone": "Europe/Oslo",
        "start_at": AT,
        "end_at": AT,
        "uid": "f{}@crm.example",
        "guest_list": "public",
        "edition": NUMBER,
    },
    "follow_up_date": {"start_at": AT},
    "participant": {"email": "eva{}@other.example", "name": "Eva", "email_invite": True, "code": 1},
    "standing": ANSWER | {"seen": True, "arrived": AT},
    "former_standing": ANSWER,
    "edition": {"facts": FACTS},
    "invitation": {
        "name": "Eva",
        "sent_edition": NUMBER,
        "sent_method": "REQUEST",
        "sent_sequence": 0,
        "top_sequence": 0,
        "sent_at": AT,
        "delivery": "sent",
    },
    "outbox": {"method": "REQUEST", "state": "sent", "reply": "accepted", "settled_at": AT},
    "inbox": {"outcome": "applied", "subject": "Accepted", "follow_up": NUMBER, "raw": b"From: x"},
    "journal": {"event": "applied", "before": "seen", "after": "accepted", "follow_up": NUMBER},
    "proposal": {"state": "open", "proposed_start": "2026-12-02T08:00:00Z"},
    "decision": {"kind": "proposal", "follow_up": NUMBER, "subject": "proposal {}"},
    "known_address": {"participant": None},
    "person": {"name": "Ola", "language": "nb"},
    "associate": {"name": "Kari", "email": "kari{}@crm.example"},
    "field_definition": {"type": "text"},
    "api_token": {"role": "user"},
    "site_user": {"role": "user"},
}
"""What stands in columns that need not say anything, or may not say just a number. The others of
which something is asked have one, and all that name another row.
"""
MADE_ANEW = {"diary_entry": "0028"}
"""What follows from the rest, and was made anew at this schema (`tests/store/test_diary.py`)."""
LEFT_OUT = {("participant", name) for name in ("person", "associate", "resource")}
"""A row is of one of them: here, of an address."""


def tables(connection: Connection) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(bind=connection)
    return [table for table in found.sorted_tables if table.name not in NOT_OURS]


def is_said(column: sa.Column[Any]) -> bool:
    place = column.table.name, column.name
    if place in LEFT_OUT:
        return False
    asked = not column.nullable and column.server_default is None
    names = column.primary_key or bool(column.foreign_keys)
    return asked or names or column.name in SAID.get(column.table.name, {})


def value(connection: Connection, column: sa.Column[Any], number: int) -> Any:
    said = SAID.get(column.table.name, {}).get(column.name, NUMBER)
    kind = column.type.python_type
    if said == NUMBER:
        is_moment = kind is datetime or column.name.endswith(MOMENTS)
        plain = {str: f"{number}", int: number, bool: False, float: 0.5, bytes: b""}
        said = AT if is_moment else plain[kind]
    if said is AT and connection.dialect.name == "sqlite":
        return f"{AT:%Y-%m-%d %H:%M:%S}"
    return said.format(number) if isinstance(said, str) else said


def add(connection: Connection, number: int) -> dict[str, dict[str, Any]]:
    """A row of every table, about one another; returns them as they were written."""
    made = dict[str, dict[str, Any]]()
    for table in tables(connection):
        made[table.name] = {
            column.name: value(connection, column, number)
            for column in table.columns
            if is_said(column)
        }
        connection.execute(sa.insert(table).values(made[table.name]))
        if connection.dialect.name != "sqlite" and "id" in table.columns:
            serial = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {number})"
            connection.exec_driver_sql(serial)
    return made


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_rows_of_every_earlier_schema_stay(empty_url: str) -> None:
    made = list[dict[str, dict[str, Any]]]()
    with closing(Store(empty_url)) as store:
        for number, revision in enumerate(REVISIONS[:-1], 1):
            stores.bring(store, revision)
            with store.write() as connection:
                made.append(add(connection, number))
        assert migrate.upgrade(store) == REVISIONS[-1:]
        assert migrate.check(store) == []
        with store.read() as connection:
            lost = [
                f"{table.name} of {REVISIONS[number]}: {row}"
                for table in tables(connection)
                for number, earlier in enumerate(made)
                if table.name in earlier
                and REVISIONS[number] >= MADE_ANEW.get(table.name, "")
                and (row := different(connection, table, earlier[table.name]))
            ]
        assert not lost, "\n".join(lost)
        works(store, [row["follow_up"]["key"] for row in made])


def works(store: Store, keys: list[str]) -> None:
    """The program of today plans, shows and lists all of it."""
    planning.plan_due(store, SETTINGS, AT, everything=True)
    with store.read() as connection:
        shown = reading.follow_ups(connection, keys, "Europe/Oslo", participants=True)
        assert [len(one.participants or ()) for one in shown] == [1] * len(keys)
        assert len(views.status_rows(connection)) == len(keys)
        assert rows.marked(store) == []


def different(connection: Connection, table: sa.Table, said: dict[str, Any]) -> str:
    """What a row does not say any more; "" where it says all that it said."""
    there = [column for column in table.columns if column.name in said]
    keys = [column == said[column.name] for column in table.primary_key.columns]
    found = connection.execute(sa.select(*there).where(*keys)).one_or_none()
    if found is None:
        return "is gone"
    changed = {
        name: (said[name], now)
        for name, now in found._mapping.items()
        if now != said[name] and not str(now).startswith(str(said[name]))
    }
    return str(changed) if changed else ""
