"""Saves of the page that can be taken back until their letters leave (page.md §3)."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks, outbox, snapshots
from gateway.store.schema import change_mark
from gateway.store.schema_access import undo
from gateway.store.snapshots import Change

KEPT = timedelta(hours=1)
"""Who comes too late is told so for this long."""


@dataclass(frozen=True, slots=True)
class State:
    """A follow-up after the save. `mark`: its newest one, which is there until it is planned, None
    where the save left none; `digest`: what it said.
    """

    mark: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Save:
    """`follow_up`: the one that the page shows; `letters`: how many it owes."""

    by: str
    follow_up: str
    at: datetime
    leaves_at: datetime
    letters: int
    states: Mapping[str, State]
    changes: Sequence[Change]
    id: int = 0
    undone: bool = False

    @property
    def letters_there(self) -> list[int]:
        """Those that it has put into the outbox itself."""
        return [change.row[0] for change in self.changes if change.table == snapshots.LETTERS]


def put(connection: Connection, save: Save) -> None:
    states = {key: [state.mark, state.digest] for key, state in save.states.items()}
    values = {
        "by": save.by,
        "follow_up": save.follow_up,
        "at": save.at,
        "leaves_at": save.leaves_at,
        "letters": save.letters,
        "states": json.dumps(states),
        "changes": snapshots.written(save.changes),
    }
    connection.execute(sa.insert(undo).values(values))


def forget(connection: Connection, now: datetime) -> None:
    """Nobody asks any more for those whose letters left long ago."""
    connection.execute(sa.delete(undo).where(undo.c.leaves_at < now - KEPT))


def drop(connection: Connection, keys: Collection[str]) -> int:
    """Nothing of what was saved of these follow-ups can be taken back. Returns how many saves that
    were.
    """
    query = sa.select(undo.c.id, undo.c.follow_up, undo.c.states)
    numbers = list[int]()
    for row in connection.execute(query).all():
        about = {row.follow_up, *json.loads(row.states)}
        if not about.isdisjoint(keys):
            numbers.append(row.id)
    for part in chunks.parts(numbers):
        connection.execute(sa.delete(undo).where(undo.c.id.in_(part)))
    return len(numbers)


def get(connection: Connection, number: int, by: str) -> Save | None:
    """One of this person's own."""
    query = sa.select(undo).where(undo.c.id == number, undo.c.by == by)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _save(row)


def newest(connection: Connection, by: str, now: datetime) -> Save | None:
    """The last save of this person whose letters have not left."""
    query = (
        sa.select(undo)
        .where(undo.c.by == by, undo.c.leaves_at > now, undo.c.undone_at.is_(None))
        .order_by(undo.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _save(row)


def waits(connection: Connection, save: Save) -> bool:
    """Whether nothing of it has been planned, and no letter of it was claimed."""
    numbers = [state.mark for state in save.states.values() if state.mark is not None]
    count = sa.select(sa.func.count()).where(change_mark.c.id.in_(numbers))
    is_unplanned = connection.execute(count).scalar_one() == len(numbers)
    return is_unplanned and outbox.are_waiting(connection, save.letters_there)


def done(connection: Connection, number: int, at: datetime) -> None:
    connection.execute(sa.update(undo).where(undo.c.id == number).values(undone_at=at))


def _save(row: Mapping[Any, Any]) -> Save:
    states = json.loads(row["states"])
    return Save(
        row["by"],
        row["follow_up"],
        row["at"],
        row["leaves_at"],
        row["letters"],
        {key: State(mark, digest) for key, (mark, digest) in states.items()},
        snapshots.read(row["changes"]),
        row["id"],
        row["undone_at"] is not None,
    )
