"""The marks that say which follow-ups changed: triggers write them, the planner reads and clears
them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks
from gateway.store.schema import NOTED, change_mark, follow_up, participant
from gateway.store.schema_deleted import deleted_follow_up

RECORDS = frozenset({"follow_up", "follow_up_date"})
"""Sources of the marks that say that the follow-up itself was changed."""
LOADED = "load"
_THIS_TRANSACTION = (
    "change_mark.xmin::text::bigint = pg_current_xact_id()::text::bigint & 4294967295"
)
_EACH, _NAMED = change_mark.alias("each"), change_mark.alias("named")
_ALL = (
    sa.select(_EACH.c.id)
    .join(_NAMED, _NAMED.c.follow_up == _EACH.c.follow_up)
    .where(_NAMED.c.id.in_(sa.bindparam("due", expanding=True)))
)
_TAKE = (
    sa.delete(change_mark)
    .where(change_mark.c.id.in_(_ALL))
    .returning(*(change_mark.c[name] for name in ("follow_up", "at", "single", "source")))
)


@dataclass(frozen=True, slots=True)
class Mark:
    """That a follow-up was changed: when, and in which table. `single`: by a command, to this one
    alone, or by ourselves.
    """

    at: datetime
    single: bool
    source: str

    @property
    def is_strange(self) -> bool:
        """Whether another program changed the follow-up itself."""
        return not self.single and self.source in RECORDS


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


def take(connection: Connection, due: Mapping[str, int]) -> dict[str, list[Mark]]:
    """Delete the marks of follow-ups that were `due`, and return them, in their order; without
    those whose marks are gone.

    In one statement, before the records are read: what is marked later stays, on PostgreSQL also a
    mark of a lower number that is not committed yet. By the key as it stands in the mark, which may
    be no text.
    """
    taken = dict[str, list[Mark]]()
    for row in connection.execute(_TAKE, {"due": list(due.values())}):
        taken.setdefault(row.follow_up, []).append(Mark(row.at, row.single, row.source))
    return {key: taken[key] for key in due if key in taken}


def planned_before(connection: Connection, keys: Collection[str]) -> int:
    """How many of these follow-ups somebody may have been told of."""
    copies = deleted_follow_up.c
    was_deleted = sa.exists().where(copies.key == follow_up.c.key, copies.edition.is_not(None))
    query = (
        sa.select(sa.func.count())
        .select_from(follow_up)
        .where(follow_up.c.key.in_(keys), follow_up.c.edition.is_not(None) | was_deleted)
    )
    number: int = connection.execute(query).scalar_one()
    return number


def next_due(connection: Connection) -> datetime | None:
    """When the oldest mark was made."""
    oldest: datetime | None = connection.execute(
        sa.select(sa.func.min(change_mark.c.at, type_=change_mark.c.at.type))
    ).scalar_one()
    return oldest


def changed_at(taken: Mapping[str, Sequence[Mark]]) -> dict[str, datetime]:
    """When others last changed these follow-ups: without what a person did to a single one by a
    command, and without what we ask ourselves.
    """
    last = dict[str, datetime]()
    for key, marks in taken.items():
        times = [mark.at for mark in marks if not mark.single]
        if times:
            last[key] = max(times)
    return last


def touched(taken: Mapping[str, Sequence[Mark]]) -> dict[str, datetime | None]:
    """The follow-ups that were changed themselves → when another program did that last; None where
    it was a command of ours.
    """
    changed = dict[str, datetime | None]()
    for key, marks in taken.items():
        if any(mark.source in (*RECORDS, LOADED) for mark in marks):
            strange_times = (mark.at for mark in marks if mark.is_strange)
            changed[key] = max(strange_times, default=None)
    return changed


def strange(taken: Mapping[str, Sequence[Mark]]) -> dict[str, set[str]]:
    """The follow-ups that another program wrote → the tables."""
    tables = dict[str, set[str]]()
    for key, marks in taken.items():
        sources = {mark.source for mark in marks if not mark.single}
        written = sources & {*RECORDS, "participant"}
        if written:
            tables[key] = written
    return tables


def mark_loaded(connection: Connection, keys: Collection[str]) -> None:
    """What has been written into these follow-ups was loaded, and is signed."""
    written = change_mark.c.source.in_(RECORDS)
    for part in chunks.parts(sorted(keys)):
        is_loaded = change_mark.c.follow_up.in_(part)
        connection.execute(sa.update(change_mark).where(is_loaded, written).values(source=LOADED))


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
    of_commands = sa.and_(change_mark.c.follow_up.in_(keys), change_mark.c.single)
    connection.execute(
        sa.update(change_mark).where(of_commands | sa.and_(*ours)).values(at=newest + by)
    )


def newest_of(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """The newest mark of each of these follow-ups that has one."""
    query = (
        sa.select(change_mark.c.follow_up, sa.func.max(change_mark.c.id))
        .where(change_mark.c.follow_up.in_(sorted(keys)))
        .group_by(change_mark.c.follow_up)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _ours(connection: Connection, number: int) -> list[sa.ColumnElement[bool]]:
    """Not what others commit meanwhile: that counts for the brake. On SQLite nobody does."""
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
