"""Letters as a dry run lists them."""

from collections.abc import Sequence
from typing import Any

from gateway.actions.desk import Desk
from gateway.store.outbox import Queued


def listed(desk: Desk, queued: Sequence[Queued], bodies: bool) -> list[dict[str, Any]]:
    """Each letter that would be owed. `bodies`: with text and HTML."""
    return [
        {
            "follow_up": row.follow_up,
            "participant": row.participant,
            "to": row.letter.address,
            "language": row.letter.language,
            "method": row.letter.method.value,
        }
        for row in queued
    ]
