"""Rows by many keys, some at a time: SQLite allows 32 766 values in a statement, PostgreSQL
65 535.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

Value = TypeVar("Value")

CHUNK = 500
"""Keys in one query."""


def rows(
    connection: Connection,
    query: sa.Select[Any],
    column: sa.ColumnElement[Any],
    values: Collection[Any],
) -> Iterable[sa.RowMapping]:
    """What the query gives for each of these values of the column."""
    for part in parts(sorted(values)):
        yield from connection.execute(query.where(column.in_(part))).mappings()


def parts(values: Iterable[Value], size: int = CHUNK) -> Iterator[list[Value]]:
    """The values, some at a time."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part
