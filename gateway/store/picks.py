"""Whom one can pick for a follow-up, by source, as a picker lists them (domain.md §3)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import entries
from gateway.store.schema import (
    associate,
    company,
    participant,
    person,
    person_email,
    project,
    project_member,
    resource,
    selection,
    selection_member,
)
from gateway.store.schema_domain import resource_group, user_group

MOST = 50
GROUPS = {
    "associate": (associate.c.user_group, user_group, "group", "all:associates"),
    "resource": (resource.c.resource_group, resource_group, "resource_group", "all:resources"),
}
"""The column that says the group, the table that names it, and how the group and all are picked."""
LISTS = {
    "company": (company, person.c.company),
    "project": (project, project_member.c.project),
    "selection": (selection, selection_member.c.selection),
}
"""Lists of people, and the column that says who is in them."""
TABLES: Mapping[str, sa.Table] = {
    "associate": associate,
    "resource": resource,
    "person": person,
    **{source: table for source, (table, _) in LISTS.items()},
}
SOURCES: Mapping[str, Sequence[str]] = {
    "associate": ("associate",),
    "person": ("person", "company"),
    "project": ("project",),
    "selection": ("selection",),
    "resource": ("resource",),
    "email": (),
}
"""What each way of looking finds."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Somebody, or a list, that can be picked. `who`: source and key; `beside`: who or where that
    is; `count`: of a list how many are in it.
    """

    who: str
    name: str
    beside: str = ""
    count: int | None = None

    @property
    def key(self) -> str:
        return self.who.partition(":")[2]


def groups(connection: Connection, source: str) -> list[Pick]:
    """The groups of associates, or of resources, those that nobody has defined too."""
    if source not in GROUPS:
        return []
    column, table, kind, _ = GROUPS[source]
    names = {row.key: row.name for row in connection.execute(sa.select(table))}
    keys = connection.execute(sa.select(column).where(column != "").distinct()).scalars()
    groups = [Pick(f"{kind}:{key}", names.get(key) or key) for key in {*keys, *names}]
    return sorted(groups, key=lambda group: group.name)


def listed(connection: Connection, source: str, query: str, group: str = "") -> list[Pick]:
    """What this way of looking finds by these words; people outside only where some are said.
    `group`: the key of one of `groups`. Who is not `invitable` is left out.
    """
    if source in GROUPS:
        return list(_of_the_house(connection, source, query, group))
    if not query:
        return []
    picks = [pick for kind in SOURCES.get(source, ()) for pick in _outside(connection, kind, query)]
    return picks[:MOST]


def named(connection: Connection, names: Collection[str]) -> dict[str, Pick]:
    """What these are called, by source and key; what is not there is missing."""
    by_name = dict[str, Pick]()
    keys = dict[str, set[str]]()
    for who in names:
        source, _, key = who.partition(":")
        keys.setdefault(source, set()).add(key)
    for source in keys.keys() & TABLES.keys():
        by_name |= _found(_picks(connection, source, TABLES[source].c.key.in_(keys[source])))
    for source in GROUPS:
        by_name |= _found(groups(connection, source))
    return {who: by_name[who] for who in names if who in by_name}


def present(connection: Connection, key: str) -> set[str]:
    """Who takes part already, by source and key."""
    kinds = ("person", "associate", "resource")
    columns = [participant.c[kind] for kind in kinds]
    query = sa.select(*columns).where(
        participant.c.follow_up == key,
        ~participant.c.removed,
        participant.c.original_start.is_(None),
    )
    rows = connection.execute(query).mappings()
    return {f"{kind}:{row[kind]}" for row in rows for kind in kinds if row[kind] is not None}


def _found(picks: Sequence[Pick]) -> dict[str, Pick]:
    return {pick.who: pick for pick in picks}


def _of_the_house(connection: Connection, source: str, query: str, group: str) -> Iterator[Pick]:
    column, table = GROUPS[source][0], TABLES[source]
    conditions = [table.c.invitable, entries.contains(table.c.name, query)]
    if group:
        conditions.append(column == group)
    yield from _picks(connection, source, *conditions)


def _outside(connection: Connection, kind: str, query: str) -> list[Pick]:
    if kind != "person":
        name = LISTS[kind][0].c.name
        return _picks(connection, kind, entries.contains(name, query))
    firms = sa.select(company.c.key).where(entries.contains(company.c.name, query))
    is_called_so = entries.contains(person.c.name, query)
    is_of_firm = person.c.company.in_(firms)
    return _picks(connection, kind, is_called_so | is_of_firm)


def _picks(connection: Connection, source: str, *conditions: sa.ColumnElement[bool]) -> list[Pick]:
    table = TABLES[source]
    query = sa.select(table.c.key, table.c.name, *_beside(source)).where(*conditions)
    rows = connection.execute(query.order_by(table.c.name, table.c.key).limit(MOST)).mappings()
    return [
        Pick(f"{source}:{row['key']}", row["name"] or row["key"], row["beside"] or "", row["count"])
        for row in rows
    ]


def _beside(source: str) -> list[sa.ColumnElement[Any]]:
    """The columns `beside` and `count` of a source."""
    nothing = sa.cast(sa.null(), sa.Integer).label("count")
    if source == "associate":
        return [associate.c.email.label("beside"), nothing]
    if source == "resource":
        return [resource.c.kind.label("beside"), nothing]
    if source == "person":
        address = (
            sa.select(person_email.c.address)
            .where(person_email.c.person == person.c.key)
            .order_by(person_email.c.position)
            .limit(1)
        )
        return [address.scalar_subquery().label("beside"), nothing]
    table, column = LISTS[source]
    inside = sa.select(sa.func.count()).where(column == table.c.key)
    return [
        sa.cast(sa.literal(""), sa.Text).label("beside"),
        inside.scalar_subquery().label("count"),
    ]
