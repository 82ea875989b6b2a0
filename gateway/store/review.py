"""Messages that wait for a person: those whose raw bytes are kept. What becomes of one stays in its
own row, with its history.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Outcome
from gateway.store.schema import inbox

COLUMNS = (
    inbox.c.id,
    inbox.c.arrived_at,
    inbox.c.outcome,
    inbox.c.reason,
    inbox.c.follow_up,
    inbox.c.participant,
    inbox.c.instance,
    inbox.c.from_address,
    inbox.c.subject,
    inbox.c.message_id,
    inbox.c.digest,
    inbox.c.object,
    inbox.c.size,
    inbox.c.detail,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A message of the inbox. `raw`: the bytes as they came, None where they are not kept (any
    more).

    `detail`: `rules` and `answers` of the judgement that stands, and `history`, the earlier ones
    with who asked for a new one.
    """

    number: int
    arrived: datetime
    outcome: Outcome | None
    reason: str
    follow_up: str | None
    participant: int | None
    instance: str
    from_address: str
    subject: str
    message_id: str
    digest: str
    object: str
    size: int
    detail: Mapping[str, Any]
    raw: bytes | None = None

    @property
    def waits(self) -> bool:
        """Whether a person is still to look at it."""
        return self.raw is not None and self.outcome is not None


def waiting(
    connection: Connection,
    *,
    follow_up: str | None = None,
    outcome: Outcome | None = None,
    reason: str = "",
) -> list[Kept]:
    """What waits, oldest first, without its bytes.
    `reason`: words that stand in it, in any case.
    """
    query = sa.select(*COLUMNS).where(inbox.c.raw.is_not(None), inbox.c.outcome.is_not(None))
    if follow_up is not None:
        query = query.where(inbox.c.follow_up == follow_up)
    if outcome is not None:
        query = query.where(inbox.c.outcome == outcome)
    found = [
        _kept(row) for row in connection.execute(query.order_by(inbox.c.arrived_at, inbox.c.id))
    ]
    return [one for one in found if reason.casefold() in one.reason.casefold()]


def get(connection: Connection, number: int, *, lock: bool = False) -> Kept | None:
    """A message by its number, with its bytes.
    `lock`: until the transaction ends nobody else decides on it.
    """
    query = sa.select(*COLUMNS, inbox.c.raw).where(inbox.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _kept(row, bytes(row.raw) if row.raw is not None else None) if row is not None else None


def _kept(row: Any, raw: bytes | None = None) -> Kept:
    return Kept(
        row.id,
        row.arrived_at,
        Outcome(row.outcome) if row.outcome else None,
        row.reason,
        row.follow_up,
        row.participant,
        row.instance,
        row.from_address,
        row.subject,
        row.message_id,
        row.digest,
        row.object,
        row.size,
        json.loads(row.detail),
        raw,
    )
