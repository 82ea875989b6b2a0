"""What a follow-up was before a command and after it, row by row, so that the command can be taken
back (page.md §3).

Kept is what differs: the columns of the rows that changed, as they were; whole rows that went; the
names of those that are new. A new participant is marked as removed rather than deleted, because
others may have its number. Decisions that began are left alone: they end by themselves
(`actions.deciding`). Of a message that was settled what made it wait is kept, its bytes, too; a
letter that the command itself has put into the outbox is named.

On failure: a value that is not what its column should hold cannot be written as it stands; nothing
is kept then, and the command cannot be taken back (`difference` is None).
"""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import marked
from gateway.store.records import OURS
from gateway.store.schema import (
    follow_up,
    follow_up_date,
    inbox,
    participant,
    proposal,
    standing,
)
from gateway.store.schema_domain import decision
from gateway.store.schema_letters import invitation, outbox

Row = Mapping[str, Any]
Rows = Mapping[tuple[Any, ...], Row]
Snapshot = Mapping[str, Rows]
"""Rows by table and primary key."""

TABLES = {
    table.name: table
    for table in (
        follow_up,
        follow_up_date,
        participant,
        standing,
        proposal,
        decision,
        invitation,
        inbox,
    )
}
"""In the order in which rows can be written again."""
LETTERS = outbox.name
"""The table of letters, which are taken back by `store.outbox`."""
WISHES = (
    "id",
    "participant",
    "again",
    "again_because",
    "again_instance",
    "refreshed_at",
    "reminded_sequence",
)
"""Of an invitation no more than that it is to be sent again; the rest is the planner's."""
FOLLOWING = frozenset({decision.name, invitation.name})
"""Tables whose rows begin and end by themselves."""
LYING = frozenset({"moved", "destination", "tries"})
"""Columns of a message that say where it lies in the mailbox, which is not taken back."""
DERIVED = frozenset({*OURS, "conflict"})
"""Columns that follow from others, or say who changed it: they are neither compared nor put
back.
"""
INSTANT, OCTETS = "@", "#"
"""How a moment and bytes begin in JSON; other texts are said with another sign before them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row. `was`: the columns that changed as they were, all of them where the row is `gone`;
    None where there was none.
    """

    table: str
    row: tuple[Any, ...]
    was: Row | None
    gone: bool = False


def take(connection: Connection, key: str, messages: Collection[int] = ()) -> Snapshot:
    """The follow-up with all its rows; none where there is no such follow-up. `messages`: those
    that are about to be settled.
    """
    whole = {name: table for name, table in TABLES.items() if table is not inbox}
    rows = {name: _rows(connection, table, key) for name, table in whole.items()}
    return rows | {inbox.name: _messages(connection, messages)}


def digest(snapshot: Snapshot) -> str:
    """What it says, to compare: who was removed counts as absent, and what waits follows from the
    rest.
    """
    people = snapshot[participant.name]
    removed = {number for (number,), values in people.items() if values["removed"]}
    rows_of_tables = [
        (name, *row, *_compared(values))
        for name, rows in snapshot.items()
        for row, values in rows.items()
        if name not in (decision.name, inbox.name) and _whose(name, row, values) not in removed
    ]
    return hashlib.sha256(json.dumps(rows_of_tables, default=str).encode()).hexdigest()


def _whose(name: str, row: tuple[Any, ...], values: Row) -> int | None:
    """The participant that a row is of; None for one of the follow-up itself."""
    number: int | None = row[0] if name == participant.name else values.get("participant")
    return number


def difference(before: Snapshot, after: Snapshot) -> list[Change] | None:
    """What to do to `after`, so that it is `before`."""
    changes = [
        change
        for name in TABLES
        for row in {**before[name], **after[name]}
        if (change := _change(name, row, before[name].get(row), after[name].get(row)))
    ]
    clean = all(marked.is_clean([*change.row, *(change.was or {}).values()]) for change in changes)
    return changes if clean else None


def put_back(connection: Connection, changes: Sequence[Change]) -> list[int]:
    """Let these rows be as they were. Returns the participants who do not take part any more."""
    removed = list[int]()
    for change in changes:
        table = TABLES[change.table]
        here = [
            column == value for column, value in zip(table.primary_key, change.row, strict=True)
        ]
        if change.gone:
            connection.execute(sa.insert(table).values(dict(change.was or {})))
        elif change.was is not None:
            connection.execute(sa.update(table).where(*here).values(dict(change.was)))
        elif table is participant:
            leaves = {"removed": True, "announced": False}
            connection.execute(sa.update(table).where(*here).values(leaves))
            removed.append(change.row[0])
        else:
            connection.execute(sa.delete(table).where(*here))
    return removed


def written(changes: Sequence[Change]) -> str:
    """As JSON, to be kept."""
    rows = list[list[object]]()
    for change in changes:
        was = None
        if change.was is not None:
            was = {name: _said(value) for name, value in change.was.items()}
        rows.append([change.table, [_said(value) for value in change.row], was, change.gone])
    return json.dumps(rows)


def read(text: str) -> list[Change]:
    """What `written` has written."""
    changes = list[Change]()
    for table, row, was, gone in json.loads(text):
        before = None
        if was is not None:
            before = {name: _meant(value) for name, value in was.items()}
        changes.append(Change(table, tuple(map(_meant, row)), before, gone))
    return changes


def _rows(connection: Connection, table: sa.Table, key: str) -> Rows:
    columns = [table.c[name] for name in WISHES] if table is invitation else [table]
    query = sa.select(*columns).order_by(*table.primary_key)
    if table is follow_up:
        query = query.where(follow_up.c.key == key)
    elif "follow_up" in table.c:
        query = query.where(table.c.follow_up == key)
    else:
        people = sa.select(participant.c.id).where(participant.c.follow_up == key)
        query = query.where(table.c.participant.in_(people))
    names = [column.name for column in table.primary_key]
    mappings = connection.execute(query).mappings()
    return {tuple(row[name] for name in names): dict(row) for row in mappings}


def _messages(connection: Connection, numbers: Collection[int]) -> Rows:
    query = sa.select(inbox).where(inbox.c.id.in_(sorted(numbers))).order_by(inbox.c.id)
    return {(row["id"],): dict(row) for row in connection.execute(query).mappings()}


def _compared(values: Row) -> list[tuple[str, Any]]:
    return [(column, value) for column, value in values.items() if column not in DERIVED]


def _change(name: str, row: tuple[Any, ...], was: Row | None, now: Row | None) -> Change | None:
    if now is None:
        return Change(name, row, was, gone=True)
    if was is None:
        return None if name in FOLLOWING else Change(name, row, None)
    ignored = DERIVED | LYING if name == inbox.name else DERIVED
    columns = {
        column: value
        for column, value in was.items()
        if column not in ignored and now[column] != value
    }
    return Change(name, row, columns) if columns else None


def _said(value: Any) -> Any:
    if isinstance(value, datetime):
        return INSTANT + value.isoformat()
    if isinstance(value, bytes):
        return OCTETS + base64.b64encode(value).decode()
    return f"={value}" if isinstance(value, str) else value


def _meant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kind, text = value[:1], value[1:]
    if kind == OCTETS:
        return base64.b64decode(text)
    return datetime.fromisoformat(text) if kind == INSTANT else text
