"""Insert or update by key, the same for both databases."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def one(
    connection: Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Make the row of that key hold these values."""
    connection.execute(
        _insert(connection, table, key, values).on_conflict_do_update(
            index_elements=list(key), set_=dict(values)
        )
    )


def many(
    connection: Connection,
    table: sa.Table,
    key: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """The same for many rows, which say all of the same columns."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table)
    new_values = {name: insert.excluded[name] for name in rows[0] if name not in key}
    connection.execute(
        insert.on_conflict_do_update(index_elements=list(key), set_=new_values),
        [dict(row) for row in rows],
    )


def unless_there(
    connection: Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Make a row of that key where there is none; another's that is being made is waited for."""
    connection.execute(
        _insert(connection, table, key, values).on_conflict_do_nothing(index_elements=list(key))
    )


def _insert(
    connection: Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).values(**key, **values)
