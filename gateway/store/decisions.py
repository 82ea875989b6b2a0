"""What waits for a person, or waited (domain.md §9)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema_domain import decision

DECLINES = ("declined", "assignment_declined")
ACKNOWLEDGED = "acknowledge"


def close_declines(connection: Connection, participant: int, by: str, at: datetime) -> bool:
    """The declines of this row were taken note of. Returns whether any was open."""
    done = connection.execute(
        sa.update(decision)
        .where(
            decision.c.participant == participant,
            decision.c.kind.in_(DECLINES),
            decision.c.closed_at.is_(None),
        )
        .values(closed_at=at, closed_by=by, choice=ACKNOWLEDGED)
    )
    return bool(done.rowcount)
