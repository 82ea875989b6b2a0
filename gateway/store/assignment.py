"""The rows of a follow-up that goes from one owner to the next (domain.md §4)."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Reply
from gateway.store.schema import associate, follow_up, journal, participant, standing

REFUSALS = (Reply.DECLINED, Reply.DELEGATED)


@dataclass(frozen=True, slots=True)
class Row:
    """An associate's row for all of a follow-up. `planned`: the planner has seen it."""

    id: int
    removed: bool
    declined: bool
    planned: bool


@dataclass(frozen=True, slots=True)
class Given:
    """The row of the next owner. `own`: theirs before, not made or taken over for this."""

    id: int
    own: bool = False


def invitable(connection: Connection, key: str) -> bool | None:
    """Whether this associate may be picked; None where there is no such associate."""
    query = sa.select(associate.c.invitable).where(associate.c.key == key)
    chosen = connection.execute(query).scalar_one_or_none()
    return None if chosen is None else bool(chosen)


def row_of(connection: Connection, key: str, who: str) -> Row | None:
    """The row of this associate, a removed one too."""
    whole = sa.and_(standing.c.participant == participant.c.id, standing.c.instance == "")
    row = connection.execute(
        sa.select(participant, standing.c.reply)
        .join(standing, whole, isouter=True)
        .where(
            participant.c.follow_up == key,
            participant.c.associate == who,
            participant.c.original_start.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    declined = row.reply in REFUSALS
    return Row(row.id, bool(row.removed), declined, row.planned_for != "")


def own(connection: Connection, key: str, owner: str, assigned_by: str | None) -> None:
    connection.execute(
        sa.update(follow_up)
        .where(follow_up.c.key == key)
        .values(owner=owner, assigned_by=assigned_by)
    )


def hand_on(connection: Connection, key: str, before: Row | None, to: str) -> Given:
    """The row of the next owner: the own one if there is one, else that of the one before, else a
    new one.
    """
    there = row_of(connection, key, to)
    if there is not None:
        _change(connection, there.id, removed=False)
        if before is not None and before.id != there.id:
            _change(connection, before.id, removed=True)
        return Given(there.id, own=not there.removed)
    if before is not None and not before.removed:
        _change(connection, before.id, associate=to, priority="", alarm_minutes=None)
        return Given(before.id)
    number: int = connection.execute(
        sa.insert(participant).values(follow_up=key, associate=to).returning(participant.c.id)
    ).scalar_one()
    return Given(number)


def give_back(connection: Connection, key: str, before: Row | None, to: str) -> Given | None:
    """The row of the one who had assigned it, and has it again; None where there is none: a row
    that was made for the assignment, and that nobody has heard of, is gone. Who took part before it
    was assigned to them still does.
    """
    there = row_of(connection, key, to)
    if there is not None:
        _change(connection, there.id, removed=False)
    elif before is not None and not before.planned:
        connection.execute(sa.delete(participant).where(participant.c.id == before.id))
    elif before is not None and not _took_part(connection, before.id):
        _change(connection, before.id, associate=to)
        return Given(before.id)
    return Given(there.id) if there is not None else None


def _took_part(connection: Connection, number: int) -> bool:
    """Whether the row was somebody's before the follow-up was assigned to them: the journal says
    what its status was then.
    """
    query = (
        sa.select(journal.c.before)
        .where(journal.c.participant == number, journal.c.event == "assigned")
        .order_by(journal.c.id.desc())
        .limit(1)
    )
    return bool(connection.execute(query).scalar())


def _change(connection: Connection, number: int, **values: object) -> None:
    connection.execute(sa.update(participant).where(participant.c.id == number).values(**values))
