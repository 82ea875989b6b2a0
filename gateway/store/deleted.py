"""What was deleted, as it stood, kept as long as the brake may hold what follows from it
(domain.md §10): triggers copy it, in the transaction that deletes (`store.triggers`).

On failure: what cannot stand there again stays deleted. That is a row whose invitee takes part by
another row now, or is gone from the directory and has no address, and a follow-up whose UID another
one has.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import braked, chunks, invitations
from gateway.store.outbox import OPEN, stands
from gateway.store.schema import INVITEE, change_mark, follow_up, metadata, participant, standing
from gateway.store.schema_deleted import (
    HANGING,
    deleted_follow_up,
    deleted_participant,
    deleted_standing,
    of_participant,
)
from gateway.store.schema_letters import invitation, outbox

TOGETHER = timedelta(minutes=1)
"""Rows that went with a follow-up, by whatever number of statements, went so shortly before."""
_LINKS = {foreign_key.parent.name: foreign_key.column for foreign_key in follow_up.foreign_keys}
"""Columns of a follow-up that name another row, which may be gone → the column that has its key."""


def bring_back(connection: Connection, key: str) -> bool:
    """Let a follow-up whose letters the brake holds stand again as it was deleted, with its rows
    and their answers. Returns whether it was gone and is there.
    """
    since = _since(connection, key)
    if since is None:
        return False
    is_back = _follow_up(connection, key)
    if not _exists(connection, follow_up.c.key == key):
        return False
    rows = _rows(connection, key, since)
    brought = [row for row in rows if _participant(connection, row)]
    for row in brought:
        answers(connection, row)
    hang_again(connection, [row.id for row in brought])
    drop(connection, [key])
    return is_back


def forget(connection: Connection, limit: int) -> int:
    """Drop the copies of follow-ups that are planned, if no letter of theirs waits. Returns of how
    many.
    """
    keys = sa.union(
        sa.select(deleted_follow_up.c.key),
        sa.select(deleted_participant.c.follow_up),
    )
    gone_key = keys.subquery().c.key
    marked = sa.exists().where(change_mark.c.follow_up == gone_key)
    waits = sa.exists().where(
        outbox.c.follow_up == gone_key,
        stands(outbox, *OPEN),
    )
    query = sa.select(gone_key).where(~marked, ~waits).limit(limit)
    planned = list(connection.execute(query).scalars())
    drop(connection, planned)
    return len(planned)


def void(connection: Connection, numbers: Collection[int]) -> None:
    """Those who had these rows answered what is gone: what they said before is not to come back,
    and their copies have no status.
    """
    if numbers:
        copies = sa.update(deleted_participant).where(deleted_participant.c.id.in_(numbers))
        connection.execute(copies.values(code=None))
        of_rows = deleted_standing.c.participant.in_(numbers)
        connection.execute(sa.delete(deleted_standing).where(of_rows))


def forget_person(
    connection: Connection, key: str, addresses: Collection[str], rows: Collection[int]
) -> int:
    """Drop the copies of a person's rows: by their key, by their addresses, and those that are
    known to be theirs though the record is gone. Returns how many.
    """
    copies = deleted_participant.c
    number = _drop_rows(
        connection, sa.or_(copies.person == key, sa.func.lower(copies.email).in_(addresses))
    )
    for part in chunks.parts(sorted(rows)):
        number += _drop_rows(connection, copies.id.in_(part))
    named = sa.update(deleted_follow_up).where(deleted_follow_up.c.person == key)
    connection.execute(named.values(person=None))
    return number


def _since(connection: Connection, key: str) -> datetime | None:
    """From when on rows of it went; None where nothing did."""
    lost = sa.select(outbox.c.participant).where(
        outbox.c.follow_up == key,
        braked.is_braked(),
    )
    copies = deleted_participant.c
    of_rows = sa.select(copies.deleted_at).where(
        copies.follow_up == key,
        copies.id.in_(lost),
    )
    of_all = sa.select(deleted_follow_up.c.deleted_at).where(deleted_follow_up.c.key == key)
    times = list(connection.execute(sa.union_all(of_rows, of_all)).scalars())
    return min(times) - TOGETHER if times else None


def _follow_up(connection: Connection, key: str) -> bool:
    copies = deleted_follow_up.c
    newest = sa.select(sa.func.max(copies.number)).where(copies.key == key).scalar_subquery()
    uid = sa.select(copies.uid).where(copies.number == newest).scalar_subquery()
    if _exists(connection, sa.or_(follow_up.c.key == key, follow_up.c.uid == uid)):
        return False
    there = {
        name: sa.select(column).where(column == copies[name]).scalar_subquery()
        for name, column in _LINKS.items()
    }
    values = [there.get(column.name, copies[column.name]) for column in follow_up.c]
    row = sa.select(*values).where(copies.number == newest)
    inserted = connection.execute(sa.insert(follow_up).from_select(follow_up.c.keys(), row))
    return bool(inserted.rowcount)


def _rows(connection: Connection, key: str, since: datetime) -> list[Any]:
    """The last copies of its participants that went since then and are not there."""
    copies = deleted_participant.c
    there = sa.exists().where(participant.c.id == copies.id)
    newest = (
        sa.select(sa.func.max(copies.number))
        .where(
            copies.follow_up == key, copies.deleted_at >= sa.literal(since, copies.deleted_at.type)
        )
        .group_by(copies.id)
    )
    names = ("number", "id", "follow_up", "code", "deleted_at", "original_start", *INVITEE)
    query = sa.select(*(copies[name] for name in names)).where(copies.number.in_(newest), ~there)
    return list(connection.execute(query.order_by(copies.id)))


def _participant(connection: Connection, row: Any) -> bool:
    """Whether it stands there again: where their card is gone, by the address alone."""
    invitee = _invitee(connection, row)
    if invitee is None or _takes_part(connection, row, invitee):
        return False
    copies = deleted_participant.c
    values = [
        sa.literal(invitee.get(column.name), column.type)
        if column.name in INVITEE
        else copies[column.name]
        for column in participant.c
    ]
    again = sa.select(*values).where(copies.number == row.number)
    connection.execute(sa.insert(participant).from_select(participant.c.keys(), again))
    return True


def _invitee(connection: Connection, row: Any) -> dict[str, str] | None:
    """Who it is, by the column that says so; None for nobody any more."""
    [(name, who)] = [
        (name, row._mapping[name]) for name in INVITEE if row._mapping[name] is not None
    ]
    if name == "email" or _exists(connection, metadata.tables[name].c.key == who):
        return {name: who}
    sent = sa.select(invitation.c.address).where(invitation.c.participant == row.id)
    address = connection.execute(sent.order_by(invitation.c.id.desc()).limit(1)).scalar()
    return {"email": address} if address else None


def _takes_part(connection: Connection, row: Any, invitee: dict[str, str]) -> bool:
    [(name, who)] = invitee.items()
    date = participant.c.original_start
    same_date = date.is_(None) if row.original_start is None else date == row.original_start
    return _exists(
        connection,
        sa.and_(participant.c.follow_up == row.follow_up, participant.c[name] == who, same_date),
    )


def answers(connection: Connection, row: Any) -> None:
    """Write what was answered in a row, as it was when that was deleted. `row`: its copy. Who
    answered meanwhile, which counted for nothing, is asked once more.
    """
    if row.code is None:
        invitations.ask_anew(connection, row.id)
    copies = deleted_standing.c
    newest = (
        sa.select(sa.func.max(copies.number))
        .where(copies.participant == row.id, copies.deleted_at == row.deleted_at)
        .group_by(copies.instance)
    )
    newest_answers = sa.select(*(copies[column.name] for column in standing.c)).where(
        copies.number.in_(newest)
    )
    connection.execute(sa.insert(standing).from_select(standing.c.keys(), newest_answers))


def hang_again(connection: Connection, numbers: Collection[int]) -> None:
    """Let what else hung on these rows stand there again: proposals, delegations and addresses that
    were learned, as far as all of whom they tell are there.
    """
    for table, copy in HANGING.items():
        if table is not standing:
            for part in chunks.parts(numbers):
                _hang_again(connection, table, copy, part)


def _hang_again(
    connection: Connection, table: sa.Table, copy: sa.Table, numbers: Collection[int]
) -> None:
    key = [column.name for column in table.primary_key]
    newest = sa.select(sa.func.max(copy.c.number)).where(_of_rows(copy, numbers))
    is_newest = copy.c.number.in_(newest.group_by(*(copy.c[name] for name in key)))
    everybody = [
        sa.exists().where(participant.c.id == copy.c[name]) for name in of_participant(table)
    ]
    is_there = sa.exists().where(*(table.c[name] == copy.c[name] for name in key))
    values = sa.select(*(copy.c[column.name] for column in table.c))
    again = values.where(is_newest, *everybody, ~is_there)
    connection.execute(sa.insert(table).from_select(table.c.keys(), again))


def _of_rows(copy: sa.Table, numbers: Any) -> sa.ColumnElement[bool]:
    """Whether a copy of what hangs on rows is about one of these."""
    names = next(of_participant(table) for table, copied in HANGING.items() if copied is copy)
    return sa.or_(*(copy.c[name].in_(numbers) for name in names))


def _exists(connection: Connection, condition: sa.ColumnElement[bool]) -> bool:
    return (
        connection.execute(sa.select(sa.literal(1)).where(condition).limit(1)).first() is not None
    )


def drop(connection: Connection, keys: Collection[str]) -> None:
    """Drop the copies of these follow-ups and of their rows."""
    for part in chunks.parts(keys):
        _drop_rows(connection, deleted_participant.c.follow_up.in_(part))
        connection.execute(sa.delete(deleted_follow_up).where(deleted_follow_up.c.key.in_(part)))


def drop_present(connection: Connection, key: str) -> None:
    """Drop the copies of a follow-up that is there again, and of those of its rows that are."""
    connection.execute(sa.delete(deleted_follow_up).where(deleted_follow_up.c.key == key))
    copies = deleted_participant.c
    is_there = sa.exists().where(participant.c.id == copies.id)
    never_planned = copies.planned_for == ""
    _drop_rows(connection, sa.and_(copies.follow_up == key, sa.or_(is_there, never_planned)))


def _drop_rows(connection: Connection, condition: sa.ColumnElement[bool]) -> int:
    """Copies of participants, and what went with them. Returns how many rows."""
    numbers = sa.select(deleted_participant.c.id).where(condition)
    for copy in HANGING.values():
        connection.execute(sa.delete(copy).where(_of_rows(copy, numbers)))
    return connection.execute(sa.delete(deleted_participant).where(condition)).rowcount
