"""The marks that say which follow-ups changed: triggers write them, the planner reads and clears
them.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks
from gateway.store.schema import NOTED, change_mark, follow_up, participant

RECORDS = frozenset({"follow_up", "follow_up_date"})
"""Sources of the marks that say that the follow-up itself was changed."""
LOADED = "load"
_NAMED = change_mark.alias("named")
_THIS_TRANSACTION = (
    "change_mark.xmin::text::bigint = pg_current_xact_id()::text::bigint & 4294967295"
)
_CLEAR = sa.delete(change_mark).where(
    change_mark.c.follow_up
    == sa.select(_NAMED.c.follow_up).where(_NAMED.c.id == sa.bindparam("newest")).scalar_subquery(),
    change_mark.c.id <= sa.bindparam("newest"),
)


def due(
    connection: Connection, until: datetime, limit: int, ahead: datetime | None = None
) -> dict[str, int]:
    """Follow-ups whose oldest mark was made at or before `until` → the newest mark that is there
    now, oldest first.

    `ahead`: marks after this moment are due, too: a clock was set back since, and nothing waits
    until it has caught up.
    """
    oldest, newest = sa.func.min(change_mark.c.at), sa.func.max(change_mark.c.id)
    moment = change_mark.c.at.type
    ripe = oldest <= sa.bindparam("until", until, type_=moment)
    if ahead is not None:
        ripe |= oldest > sa.bindparam("ahead", ahead, type_=moment)
    query = (
        sa.select(change_mark.c.follow_up, newest)
        .group_by(change_mark.c.follow_up)
        .having(ripe)
        .order_by(newest)
        .limit(limit)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def newest(connection: Connection, due: Mapping[str, int]) -> dict[str, int]:
    """Of follow-ups that were `due` those whose mark is still there, with the newest one of now, in
    their order.
    """
    query = (
        sa.select(_NAMED.c.id, sa.func.max(change_mark.c.id))
        .join(change_mark, change_mark.c.follow_up == _NAMED.c.follow_up)
        .where(_NAMED.c.id.in_(list(due.values())))
        .group_by(_NAMED.c.id)
    )
    newest: dict[int, int] = {row[0]: row[1] for row in connection.execute(query)}
    return {key: newest[mark] for key, mark in due.items() if mark in newest}


def planned_before(connection: Connection, keys: Collection[str]) -> int:
    """How many of these follow-ups somebody may have been told of."""
    query = (
        sa.select(sa.func.count())
        .select_from(follow_up)
        .where(follow_up.c.key.in_(keys), follow_up.c.edition.is_not(None))
    )
    number: int = connection.execute(query).scalar_one()
    return number


def next_due(connection: Connection) -> datetime | None:
    """When the oldest mark was made."""
    oldest: datetime | None = connection.execute(
        sa.select(sa.func.min(change_mark.c.at, type_=change_mark.c.at.type))
    ).scalar_one()
    return oldest


def clear(connection: Connection, marks: Mapping[str, int]) -> None:
    """Delete what was planned, and nothing that came since. By the key as it stands in the mark,
    which may be no text.
    """
    rows = [{"newest": newest} for newest in marks.values()]
    if rows:
        connection.execute(_CLEAR, rows)


def changed_at(connection: Connection, marks: Mapping[str, int]) -> dict[str, datetime]:
    """When others last changed these follow-ups, by their marks (`due`): without what a person did
    to a single one by a command, and without what we ask ourselves.
    """
    found = dict[str, datetime]()
    newest = sa.func.max(change_mark.c.at, type_=change_mark.c.at.type)
    for key, last in marks.items():
        at = connection.execute(
            sa.select(newest).where(
                change_mark.c.follow_up == key, change_mark.c.id <= last, ~change_mark.c.single
            )
        ).scalar_one()
        if at is not None:
            found[key] = at
    return found


def touched(connection: Connection, marks: Mapping[str, int]) -> dict[str, datetime | None]:
    """The follow-ups that were changed themselves, by these marks (`due`) → when another program
    did that last; None where it was a command of ours.
    """
    newest = sa.func.max(change_mark.c.at, type_=change_mark.c.at.type)
    strange = ~change_mark.c.single & change_mark.c.source.in_(RECORDS)
    query = (
        sa.select(
            change_mark.c.follow_up,
            newest.filter(strange).label("at"),
        )
        .where(
            change_mark.c.follow_up.in_(list(marks)),
            change_mark.c.source.in_((*RECORDS, LOADED)),
        )
        .group_by(change_mark.c.follow_up)
    )
    return {row.follow_up: row.at for row in connection.execute(query)}


def strange(connection: Connection, marks: Mapping[str, int]) -> dict[str, set[str]]:
    """The follow-ups that another program wrote, by these marks (`due`) → the tables."""
    query = (
        sa.select(change_mark.c.follow_up, change_mark.c.source)
        .where(
            change_mark.c.follow_up.in_(list(marks)),
            ~change_mark.c.single,
            change_mark.c.source.in_((*RECORDS, "participant")),
        )
        .distinct()
    )
    found = dict[str, set[str]]()
    for row in connection.execute(query):
        found.setdefault(row.follow_up, set()).add(row.source)
    return found


def mark_loaded(connection: Connection, keys: Collection[str]) -> None:
    """What has been written into these follow-ups was loaded, and is signed."""
    written = change_mark.c.source.in_(RECORDS)
    for part in chunks.parts(sorted(keys)):
        theirs = change_mark.c.follow_up.in_(part)
        connection.execute(sa.update(change_mark).where(theirs, written).values(source=LOADED))


def is_marked(connection: Connection, key: str) -> bool:
    """Whether a follow-up was changed since it was planned."""
    query = sa.select(change_mark.c.id).where(change_mark.c.follow_up == key).limit(1)
    return connection.execute(query).first() is not None


def newest_number(connection: Connection) -> int:
    """Marks of a higher number are newer."""
    return connection.execute(sa.select(sa.func.max(change_mark.c.id))).scalar() or 0


def made_since(connection: Connection, number: int) -> list[str]:
    """Follow-ups that this transaction has marked after this number."""
    query = sa.select(change_mark.c.follow_up).where(*_ours(connection, number)).distinct()
    return list(connection.execute(query).scalars())


def single_since(connection: Connection, number: int) -> None:
    """What this transaction has marked after this number is a person's doing, to one follow-up
    (domain.md §10).
    """
    ours = _ours(connection, number)
    connection.execute(sa.update(change_mark).where(*ours).values(single=True))


def delay_since(connection: Connection, number: int, by: timedelta) -> None:
    """What this transaction has marked after this number is planned so much later, and with it what
    commands marked of the same follow-ups before.
    """
    ours = _ours(connection, number)
    latest = sa.select(sa.func.max(change_mark.c.at, type_=change_mark.c.at.type)).where(*ours)
    newest: datetime | None = connection.execute(latest).scalar_one()
    if newest is None:
        return
    keys = made_since(connection, number)
    theirs = sa.and_(change_mark.c.follow_up.in_(keys), change_mark.c.single)
    connection.execute(sa.update(change_mark).where(theirs | sa.and_(*ours)).values(at=newest + by))


def newest_of(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """The newest mark of each of these follow-ups that has one."""
    query = (
        sa.select(change_mark.c.follow_up, sa.func.max(change_mark.c.id))
        .where(change_mark.c.follow_up.in_(sorted(keys)))
        .group_by(change_mark.c.follow_up)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _ours(connection: Connection, number: int) -> list[sa.ColumnElement[bool]]:
    """Not what others commit meanwhile, of which SQLite has none: that counts for the brake."""
    newer = change_mark.c.id > number
    if connection.dialect.name == "sqlite":
        return [newer]
    return [newer, sa.literal_column(_THIS_TRANSACTION, sa.Boolean)]


def mark(connection: Connection, keys: Iterable[str], at: datetime) -> None:
    """Have follow-ups looked at again although nothing of theirs changed."""
    rows = [{"follow_up": key, "at": at, "single": True} for key in keys]
    if rows:
        connection.execute(sa.insert(change_mark), rows)


def mark_noted(connection: Connection, note: str, at: datetime) -> None:
    """Have follow-ups looked at again whose rows got no letter for a reason that is gone now."""
    rows = connection.execute(
        sa.select(participant.c.follow_up).where(participant.c.note == note, NOTED).distinct()
    )
    mark(connection, [row.follow_up for row in rows], at)
