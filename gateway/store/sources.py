"""Where participants are picked from (domain.md §3): who is in a group, a company, a project, a
selection, or of the house altogether. They become rows of their own; the source is not remembered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema import (
    associate,
    company,
    person,
    project,
    project_member,
    resource,
    selection,
    selection_member,
)
from gateway.store.schema_domain import resource_group, user_group

Query = Any  # sa.Select of kind, key, invitable; mypy cannot tell its length
KINDS = ("group", "resource_group", "company", "project", "selection", "all")
ALL = ("associates", "resources")
"""What `all` may name."""


@dataclass(frozen=True, slots=True)
class Pick:
    """Somebody in a source: `kind` is a column of `participant` that names them by `key`."""

    kind: str
    key: str
    invitable: bool = True


def picks(connection: Connection, kind: str, key: str) -> list[Pick] | None:
    """Who is there, by key; None where there is no such source. An empty one that is defined is
    one, and so is a group that somebody is in without its being defined.
    """
    rows = connection.execute(_QUERIES[kind](key).order_by("key"))
    in_source = [Pick(kind, key, invitable) for kind, key, invitable in rows]
    return in_source if in_source or _exists(connection, kind, key) else None


def _exists(connection: Connection, kind: str, key: str) -> bool:
    if kind == "all":
        return key in ALL
    column = _TABLES[kind].c.key
    return connection.execute(sa.select(column).where(column == key)).first() is not None


def _of_staff(key: str) -> Query:
    return _associates().where(associate.c.user_group == key)


def _of_rooms(key: str) -> Query:
    return _resources().where(resource.c.resource_group == key)


def _of_company(key: str) -> Query:
    return _people(person.c.key).where(person.c.company == key)


def _of_project(key: str) -> Query:
    return _people(project_member.c.person).where(project_member.c.project == key)


def _of_selection(key: str) -> Query:
    return _people(selection_member.c.person).where(selection_member.c.selection == key)


def _of_all(key: str) -> Query:
    if key == "associates":
        return _associates()
    return _resources() if key == "resources" else _resources().where(sa.false())


def _associates() -> Query:
    return sa.select(sa.literal("associate"), associate.c.key.label("key"), associate.c.invitable)


def _resources() -> Query:
    return sa.select(sa.literal("resource"), resource.c.key.label("key"), resource.c.invitable)


def _people(column: sa.ColumnElement[str]) -> Query:
    return sa.select(sa.literal("person"), column.label("key"), sa.true().label("invitable"))


_QUERIES: Mapping[str, Callable[[str], Query]] = {
    "group": _of_staff,
    "resource_group": _of_rooms,
    "company": _of_company,
    "project": _of_project,
    "selection": _of_selection,
    "all": _of_all,
}
_TABLES = {
    "group": user_group,
    "resource_group": resource_group,
    "company": company,
    "project": project,
    "selection": selection,
}
