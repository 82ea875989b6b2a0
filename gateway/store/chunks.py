"""Rows by many keys, some at a time: SQLite allows 32 766 values in a statement, PostgreSQL
65 535.
"""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

CHUNK = 500
"""Keys in one query."""


def rows(
    connection: Connection,
    query: sa.Select[Any],
    column: sa.ColumnElement[Any],
    values: Collection[str],
) -> Iterable[sa.RowMapping]:
    """What the query gives for each of these values of the column."""
    left = iter(sorted(values))
    while chunk := list(islice(left, CHUNK)):
        yield from connection.execute(query.where(column.in_(chunk))).mappings()
