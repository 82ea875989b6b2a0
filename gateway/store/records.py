"""Single follow-ups as commands write them: their columns, and who made and changed them.

What follows from a change is the planner's to say, as for plain SQL. Reading goes by columns that
can be read of every record, so that one that says what cannot be may still be cancelled and
deleted.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import LetterState
from gateway.store import chunks
from gateway.store.schema import (
    associate,
    change_mark,
    follow_up,
    follow_up_date,
    participant,
    resource,
)
from gateway.store.schema_letters import edition, outbox

BY_SQL = "SQL"
"""Who changed what another program wrote (domain.md §4)."""
BY_LOAD = "load"
"""Who changed what was loaded, where nobody else did."""
_THIS = follow_up.c.key == sa.bindparam("this", type_=follow_up.c.key.type)
_WHEN = sa.bindparam("then", type_=follow_up.c.created_at.type)
_STAMP = sa.update(follow_up).where(_THIS).values(changed_at=_WHEN, changed_by=sa.bindparam("who"))
_SIGN = (
    sa.update(follow_up)
    .where(_THIS, follow_up.c.created_by == "", follow_up.c.edition.is_(None))
    .values(created_by=sa.bindparam("who"))
)
OURS = ("uid", "sequence", "edition", "created_at", "created_by", "changed_at", "changed_by")
"""Columns that nobody else writes."""


@dataclass(frozen=True, slots=True)
class State:
    """What a command asks first. `kind`: as it stands there."""

    kind: str
    cancelled: bool
    completed: bool
    has_start: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What tells what became of a follow-up. `edition`: the one that was planned last, None before
    any; `was_planned`, `is_renamed`: of one that is not there (any more).
    """

    is_there: bool
    edition: int | None = None
    cancelled: bool = False
    was_planned: bool = False
    is_renamed: bool = False


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


def traces(connection: Connection, keys: Collection[str]) -> dict[str, Trace]:
    """Of each of these follow-ups, there or not."""
    there = sa.select(follow_up.c.key, follow_up.c.edition, follow_up.c.cancelled)
    present = {
        row.key: Trace(is_there=True, edition=row.edition, cancelled=row.cancelled)
        for part in chunks.parts(keys)
        for row in connection.execute(there.where(follow_up.c.key.in_(part)))
    }
    absent = [key for key in keys if key not in present]
    planned = sa.select(edition.c.follow_up).distinct()
    renamed = planned.join(follow_up, follow_up.c.edition == edition.c.id)
    was_planned, is_renamed = set[str](), set[str]()
    for part in chunks.parts(absent):
        of_part = edition.c.follow_up.in_(part)
        was_planned.update(connection.execute(planned.where(of_part)).scalars())
        is_renamed.update(connection.execute(renamed.where(of_part)).scalars())
    return present | {
        key: Trace(is_there=False, was_planned=key in was_planned, is_renamed=key in is_renamed)
        for key in absent
    }


def hold(connection: Connection, key: str) -> None:
    """From here on another program that writes to it waits, on PostgreSQL, so that what is compared
    (If-Match) is what is changed. SQLite has one writer.
    """
    row = sa.select(follow_up.c.key).where(follow_up.c.key == key)
    connection.execute(row.with_for_update(key_share=True))


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
    return columns | {"dates": [tuple(date) for date in dates]}


def change(connection: Connection, key: str, columns: Mapping[str, Any]) -> None:
    connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(dict(columns)))


def stamp(connection: Connection, keys: Collection[str], at: datetime, by: str) -> None:
    """Keep who changed these follow-ups last."""
    for part in chunks.parts(sorted(keys)):
        connection.execute(
            sa.update(follow_up)
            .where(follow_up.c.key.in_(part))
            .values(changed_at=at, changed_by=by)
        )


def sign(connection: Connection, keys: Collection[str], at: datetime, by: str) -> None:
    """Keep who made these follow-ups."""
    signed = {"created_at": at, "created_by": by, "changed_at": at, "changed_by": by}
    for part in chunks.parts(sorted(keys)):
        connection.execute(sa.update(follow_up).where(follow_up.c.key.in_(part)).values(signed))


def changed_by(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """Who changed these follow-ups last."""
    signed = dict[str, str]()
    for part in chunks.parts(sorted(keys)):
        query = sa.select(follow_up.c.key, follow_up.c.changed_by).where(follow_up.c.key.in_(part))
        signed |= {row.key: row.changed_by for row in connection.execute(query)}
    return signed


def last_change(connection: Connection, key: str) -> tuple[str, datetime | None]:
    """Who changed this follow-up last, and when."""
    query = sa.select(follow_up.c.changed_by, follow_up.c.changed_at).where(follow_up.c.key == key)
    row = connection.execute(query).one()
    return row.changed_by, row.changed_at


def sign_strange(connection: Connection, changes: Mapping[str, datetime]) -> None:
    """Another program changed these follow-ups, or made them (key → when)."""
    rows = [{"this": key, "then": at, "who": BY_SQL} for key, at in changes.items()]
    if rows:
        connection.execute(_STAMP, rows)
        connection.execute(_SIGN, rows)


def forget_later(connection: Connection, key: str) -> None:
    """Cancel it, and delete it once everybody was told (`told`)."""
    change(connection, key, {"cancelled": True, "forgotten": True})


def told(connection: Connection, limit: int) -> list[str]:
    """Follow-ups that are to be deleted, and that nobody waits to be told of."""
    waits = sa.exists().where(change_mark.c.follow_up == follow_up.c.key)
    letter = sa.exists().where(
        outbox.c.follow_up == follow_up.c.key,
        outbox.c.state.in_((LetterState.WAITING, LetterState.SENDING, LetterState.HELD)),
    )
    query = (
        sa.select(follow_up.c.key)
        .where(follow_up.c.forgotten, follow_up.c.cancelled, ~waits, ~letter)
        .order_by(follow_up.c.key)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def delete(connection: Connection, key: str) -> None:
    """With its dates and participants. Who holds an invitation to it is owed a CANCEL."""
    connection.execute(sa.delete(follow_up).where(follow_up.c.key == key))


def not_invitable(
    connection: Connection, key: str, named: Collection[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Of these associates and resources (kind, key) those who may not be picked and take no part in
    the follow-up.
    """
    refused = list[tuple[str, str]]()
    for table in (associate, resource):
        keys = sorted(who for kind, who in named if kind == table.name)
        column = participant.c[table.name]
        present = sa.exists().where(
            participant.c.follow_up == key, column == table.c.key, ~participant.c.removed
        )
        for part in chunks.parts(sorted(keys)):
            query = sa.select(table.c.key).where(
                table.c.key.in_(part), ~table.c.invitable, ~present
            )
            not_present = connection.execute(query.order_by(table.c.key)).scalars()
            refused += [(table.name, who) for who in not_present]
    return refused
