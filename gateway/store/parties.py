"""Whom a follow-up concerns, as the rules of who may what want to know it
(`followups.permission`).
"""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups.permission import Parties
from gateway.model import Reply
from gateway.store.schema import follow_up, participant, standing


def of(connection: Connection, key: str) -> Parties | None:
    """None where there is no such follow-up."""
    row = connection.execute(
        sa.select(follow_up.c.owner, follow_up.c.assigned_by, follow_up.c.private).where(
            follow_up.c.key == key
        )
    ).one_or_none()
    if row is None:
        return None
    series = sa.and_(standing.c.participant == participant.c.id, standing.c.instance == "")
    rows = connection.execute(
        sa.select(participant.c.associate, standing.c.reply)
        .join(standing, series, isouter=True)
        .where(
            participant.c.follow_up == key,
            participant.c.associate.is_not(None),
            ~participant.c.removed,
        )
    ).all()
    return Parties(
        key,
        row.owner or "",
        row.assigned_by or "",
        any(one.associate == row.owner and one.reply == Reply.ACCEPTED for one in rows),
        row.private,
        frozenset(one.associate for one in rows),
    )


def hidden(connection: Connection, keys: Collection[str], associate: str) -> set[str]:
    """Those of these follow-ups that are private and do not concern the associate."""
    takes_part = sa.exists().where(
        participant.c.follow_up == follow_up.c.key,
        participant.c.associate == associate,
        ~participant.c.removed,
    )
    is_theirs = sa.or_(
        sa.func.coalesce(follow_up.c.owner, "") == associate,
        sa.func.coalesce(follow_up.c.assigned_by, "") == associate,
        takes_part,
    )
    query = sa.select(follow_up.c.key).where(
        follow_up.c.key.in_(keys),
        follow_up.c.private,
        sa.or_(sa.literal(not associate), ~is_theirs),
    )
    return set(connection.execute(query).scalars())
