"""Whom a follow-up concerns, as the rules of who may what want to know it
(`followups.permission`).
"""

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
        any(
            participant_row.associate == row.owner and participant_row.reply == Reply.ACCEPTED
            for participant_row in rows
        ),
        bool(row.private),
        frozenset(participant_row.associate for participant_row in rows),
    )
