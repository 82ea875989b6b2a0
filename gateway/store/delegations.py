"""Who passed an invitation on to whom: at most one delegate for each row (RFC 5546 §3.2.2.3)."""

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.schema import delegation, participant


def of(connection: Connection, follow_up: str) -> Mapping[int, int]:
    """Delegator → delegate, by the numbers of their rows."""
    return of_each(connection, [follow_up]).get(follow_up, {})


def of_each(connection: Connection, keys: Collection[str]) -> dict[str, dict[int, int]]:
    """The same by follow-up, as far as there is any."""
    rows = connection.execute(
        sa.select(participant.c.follow_up, delegation.c.participant, delegation.c.delegate)
        .join(participant, participant.c.id == delegation.c.participant)
        .where(participant.c.follow_up.in_(keys))
    )
    by_follow_up = dict[str, dict[int, int]]()
    for row in rows:
        by_follow_up.setdefault(row.follow_up, {})[row.participant] = row.delegate
    return by_follow_up


def put(connection: Connection, delegator: int, delegate: int, at: datetime) -> None:
    upsert.one(
        connection, delegation, {"participant": delegator}, {"delegate": delegate, "created_at": at}
    )


def forget(connection: Connection, participants: Collection[int]) -> None:
    """These rows are somebody else's now, who passed nothing on and got nothing passed on."""
    connection.execute(
        sa.delete(delegation).where(
            sa.or_(
                delegation.c.participant.in_(participants), delegation.c.delegate.in_(participants)
            )
        )
    )
