"""The activities of a company, person, project or sale: every follow-up that has to do with it, of
all kinds, the latest first (domain.md §8, help page 000).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Actor
from gateway.store import visible
from gateway.store.schema import company, follow_up, participant, person, project
from gateway.store.schema_domain import sale

Place = tuple[datetime, str]
"""Where a list stands: the time of a follow-up, and its key."""
Ways = Callable[[str], list[sa.Select[tuple[str]]]]


@dataclass(frozen=True, slots=True)
class Page:
    """Keys, and where the list goes on; None at its end."""

    keys: tuple[str, ...]
    after: Place | None


def _with(column: sa.ColumnElement[str | None], key: str) -> sa.Select[tuple[str]]:
    """Follow-ups that say it."""
    return sa.select(follow_up.c.key).where(column == key)


def _of_company(key: str) -> list[sa.Select[tuple[str]]]:
    """Its own, and those of its people."""
    people = sa.select(person.c.key).where(person.c.company == key)
    of_people = sa.select(follow_up.c.key).where(follow_up.c.person.in_(people))
    invited = sa.select(participant.c.follow_up).where(participant.c.person.in_(people))
    return [_with(follow_up.c.company, key), of_people, invited.where(~participant.c.removed)]


def _of_person(key: str) -> list[sa.Select[tuple[str]]]:
    invited = sa.select(participant.c.follow_up).where(participant.c.person == key)
    return [_with(follow_up.c.person, key), invited.where(~participant.c.removed)]


def _of_project(key: str) -> list[sa.Select[tuple[str]]]:
    return [_with(follow_up.c.project, key)]


def _of_sale(key: str) -> list[sa.Select[tuple[str]]]:
    return [_with(follow_up.c.sale, key).where(sa.text("sale <> ''"))]


LINKS: Mapping[str, tuple[sa.Table, Ways]] = {
    "company": (company, _of_company),
    "person": (person, _of_person),
    "project": (project, _of_project),
    "sale": (sale, _of_sale),
}


def there(connection: Connection, link: str, key: str) -> bool:
    """Whether the directory has it."""
    table, _ = LINKS[link]
    return connection.execute(sa.select(table.c.key).where(table.c.key == key)).first() is not None


def page(
    connection: Connection, actor: Actor, link: str, key: str, limit: int, after: Place | None
) -> Page:
    """What an actor sees of it, in the order of time, the latest first: by its start or deadline,
    else by when it was made.
    """
    _, ways = LINKS[link]
    keys = sa.union(*ways(key)).subquery()
    record = follow_up.c
    at = sa.func.coalesce(
        record.start_at, record.deadline, record.created_at, type_=record.created_at.type
    )
    query = (
        sa.select(record.key, at.label("at"))
        .where(record.key.in_(sa.select(keys.c[0])), visible.follow_ups(actor))
        .order_by(at.desc(), record.key.desc())
        .limit(limit + 1)
    )
    if after is not None:
        moment, last = sa.literal(after[0], record.created_at.type), after[1]
        query = query.where(sa.or_(at < moment, sa.and_(at == moment, record.key < last)))
    rows = connection.execute(query).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(tuple(row.key for row in shown), (shown[-1].at, shown[-1].key) if more else None)
