"""Letters whose due time a clock that was set back has left behind: nothing waits until it has
caught up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import LetterState
from gateway.store.schema_letters import outbox

TOLERANCE = timedelta(minutes=1)
"""By how much clocks of gateways that share a store may differ."""


_WAITING = outbox.c.state == sa.literal_column(f"'{LetterState.WAITING}'")


def ahead(connection: Connection, account: str, now: datetime, longest: timedelta) -> list[int]:
    """Waiting letters whose due time cannot be true: further ahead than the longest wait, or of a
    letter that is said to be made later than now.
    """
    soonest, latest = now + TOLERANCE, now + longest + TOLERANCE
    query = sa.select(outbox.c.id).where(
        outbox.c.account == account,
        _WAITING,
        outbox.c.due_at > soonest,
        sa.or_(outbox.c.due_at > latest, outbox.c.created_at > soonest),
    )
    return list(connection.execute(query).scalars())


def make_due(connection: Connection, letters: Sequence[int], now: datetime) -> None:
    """Have letters tried now."""
    connection.execute(sa.update(outbox).where(outbox.c.id.in_(letters)).values(due_at=now))
