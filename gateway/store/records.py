"""Single follow-ups as commands write them: their columns, and who made and changed them.

What follows from a change is the planner's to say, as for plain SQL. Reading goes by columns that
can be read of every record, so that one that says what cannot be may still be cancelled and
deleted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.chunks import CHUNK
from gateway.store.schema import follow_up, follow_up_date, participant

OURS = ("uid", "sequence", "edition", "created_at", "created_by", "changed_at", "changed_by")
"""Columns that nobody else writes."""


@dataclass(frozen=True, slots=True)
class State:
    """What a command asks first. `kind`: as it stands there."""

    kind: str
    cancelled: bool
    completed: bool
    has_start: bool


def state(connection: Connection, key: str) -> State | None:
    """None where there is no such follow-up."""
    row = connection.execute(
        sa.select(
            follow_up.c.kind,
            follow_up.c.cancelled,
            follow_up.c.completed,
            follow_up.c.start_at.is_not(None).label("has_start"),
        ).where(follow_up.c.key == key)
    ).one_or_none()
    if row is None:
        return None
    return State(row.kind, bool(row.cancelled), bool(row.completed), row.has_start)


def exists(connection: Connection, key: str) -> bool:
    return state(connection, key) is not None


def content(connection: Connection, key: str) -> dict[str, Any]:
    """All that others may write of a follow-up and its dates, to compare."""
    row = connection.execute(sa.select(follow_up).where(follow_up.c.key == key)).one()
    dates = connection.execute(
        sa.select(follow_up_date)
        .where(follow_up_date.c.follow_up == key)
        .order_by(follow_up_date.c.original_start)
    ).all()
    columns = {name: value for name, value in row._mapping.items() if name not in OURS}
    return columns | {"dates": [tuple(one) for one in dates]}


def change(connection: Connection, key: str, columns: Mapping[str, Any]) -> None:
    connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(dict(columns)))


def stamp(connection: Connection, keys: Collection[str], at: datetime, by: str) -> None:
    """Keep who changed these follow-ups last."""
    for part in _parts(keys):
        connection.execute(
            sa.update(follow_up)
            .where(follow_up.c.key.in_(part))
            .values(changed_at=at, changed_by=by)
        )


def sign(connection: Connection, keys: Collection[str], at: datetime, by: str) -> None:
    """Keep who made these follow-ups."""
    signed = {"created_at": at, "created_by": by, "changed_at": at, "changed_by": by}
    for part in _parts(keys):
        connection.execute(sa.update(follow_up).where(follow_up.c.key.in_(part)).values(signed))


def delete(connection: Connection, key: str) -> None:
    """With its dates and participants. Who holds an invitation to it is owed a CANCEL."""
    connection.execute(sa.delete(follow_up).where(follow_up.c.key == key))


def row_of(connection: Connection, key: str, associate: str) -> int | None:
    """The participant row of this associate for all of a follow-up, a removed one too."""
    return connection.execute(
        sa.select(participant.c.id).where(
            participant.c.follow_up == key,
            participant.c.associate == associate,
            participant.c.original_start.is_(None),
        )
    ).scalar_one_or_none()


def _parts(keys: Collection[str]) -> Iterator[Sequence[str]]:
    ordered = sorted(keys)
    for first in range(0, len(ordered), CHUNK):
        yield ordered[first : first + CHUNK]
