"""Whom and what a follow-up can be linked with, by what somebody types."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import entries
from gateway.store.schema import company, person, project
from gateway.store.schema_domain import sale

TABLES: Mapping[str, sa.Table] = {
    "company": company,
    "person": person,
    "project": project,
    "sale": sale,
}
MOST = 10


def name(connection: Connection, kind: str, key: str) -> str:
    """What it is called; its key where that says more, because the name is nobody's or several
    have it.
    """
    table = TABLES[kind]
    query = sa.select(table.c.name).where(table.c.key == key)
    called: str | None = connection.execute(query).scalar_one_or_none()
    return called if called and len(keys(connection, kind, called)) == 1 else key


def keys(connection: Connection, kind: str, text: str) -> list[str]:
    """The keys of what has this key, else of what is called so; `MOST` at most."""
    table = TABLES[kind]
    by_key = sa.select(table.c.key).where(table.c.key == text)
    if connection.execute(by_key).first() is not None:
        return [text]
    by_name = sa.select(table.c.key).where(table.c.name == text).order_by(table.c.key).limit(MOST)
    return list(connection.execute(by_name).scalars())


def suggested(connection: Connection, kind: str, text: str) -> list[tuple[str, str]]:
    """Key and name of what has these words in its name; `MOST` at most."""
    table = TABLES[kind]
    query = (
        sa.select(table.c.key, table.c.name)
        .where(entries.contains(table.c.name, text))
        .order_by(table.c.name, table.c.key)
        .limit(MOST)
    )
    return [(row.key, row.name or row.key) for row in connection.execute(query)]
