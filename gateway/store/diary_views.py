"""Groups of diaries that an associate looks at again and again (help page 000)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema_domain import diary_view


@dataclass(frozen=True, slots=True)
class View:
    """`whose`: KIND:KEY, in their order."""

    name: str
    whose: tuple[str, ...]


def of(connection: Connection, associate: str) -> list[View]:
    """Theirs, by name."""
    query = sa.select(diary_view).where(diary_view.c.associate == associate)
    rows = connection.execute(query.order_by(diary_view.c.name))
    return [View(row.name, tuple(map(str, json.loads(row.whose)))) for row in rows]


def state(connection: Connection, associate: str, views: Sequence[View]) -> None:
    """These are all of theirs."""
    is_own = diary_view.c.associate == associate
    connection.execute(sa.delete(diary_view).where(is_own))
    rows = [
        {"associate": associate, "name": view.name, "whose": json.dumps(view.whose)}
        for view in views
    ]
    if rows:
        connection.execute(sa.insert(diary_view), rows)
