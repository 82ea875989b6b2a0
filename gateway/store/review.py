"""Messages that wait for a person: those whose raw bytes are kept. What becomes of one stays in its
own row, with its history. How much is kept of all of them together is bounded (`shrink`).
"""

import json
from collections.abc import Collection, Mapping
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

PASSED_ON = "passed_on_letter"
ABOUT_SENDER = frozenset(
    (PASSED_ON, "alias", "dmarc_fail", "former_address", "token_forwarded", "uid_held")
)
"""The rules that hold an answer because of who sent it (docs/rules.md). What else holds one is no
question of yes or no.
"""
SHRUNK = "only its header is kept here"
"""Words in the reason of a message whose other bytes were let go."""
HEAD = 8_000
"""Octets of such a header, at most."""


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
    def is_shrunk(self) -> bool:
        """Whether the rest of its bytes was let go."""
        return SHRUNK in self.reason and self.raw is not None and len(self.raw) < self.size

    @property
    def speaker(self) -> str:
        """Who answered, as far as the message says it."""
        claims = self.detail.get("answers", ())
        return next((claim["address"] for claim in claims if claim["address"]), self.from_address)

    @property
    def asks_who(self) -> bool:
        """Whether it is held for the question whose answer it is."""
        return self.outcome is Outcome.HELD and not self._rules.isdisjoint(ABOUT_SENDER)

    @property
    def is_passed_on(self) -> bool:
        """Whether the question is to whom the letter was passed on."""
        return PASSED_ON in self._rules

    @property
    def _rules(self) -> set[str]:
        return {name for name, _ in self.detail.get("rules", ())}

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
    query = sa.select(*COLUMNS).where(_waits())
    if follow_up is not None:
        query = query.where(inbox.c.follow_up == follow_up)
    if outcome is not None:
        query = query.where(inbox.c.outcome == outcome)
    messages = [
        _kept(row) for row in connection.execute(query.order_by(inbox.c.arrived_at, inbox.c.id))
    ]
    return [message for message in messages if reason.casefold() in message.reason.casefold()]


def page(
    connection: Connection,
    after: tuple[datetime, int] | None,
    limit: int,
    follow_up: str | None = None,
) -> list[Kept]:
    """So much of what waits, oldest first, beyond the arrival and number of `after`."""
    query = sa.select(*COLUMNS).where(_waits())
    if follow_up is not None:
        query = query.where(inbox.c.follow_up == follow_up)
    if after is not None:
        arrived, number = inbox.c.arrived_at, inbox.c.id
        last = sa.literal(after[0], arrived.type)
        query = query.where(
            (arrived > last) | ((arrived == last) & (number > after[1])), arrived >= last
        )
    ordered = query.order_by(inbox.c.arrived_at, inbox.c.id).limit(limit)
    return [_kept(row) for row in connection.execute(ordered)]


def decided(
    connection: Connection, below: int | None, window: int, limit: int
) -> tuple[list[Kept], int | None]:
    """Messages that a person decided, the newest first, below a number: of the `window` before it
    so many. With the number to go on below, None where there are no more.
    """
    newest = connection.execute(sa.select(sa.func.max(inbox.c.id))).scalar_one() or 0
    top = newest + 1 if below is None else min(below, newest + 1)
    bottom = top - window
    query = (
        sa.select(*COLUMNS)
        .where(
            inbox.c.id < top,
            inbox.c.id >= bottom,
            inbox.c.detail.contains('"history"'),
        )
        .order_by(inbox.c.id.desc())
        .limit(limit)
    )
    rows = connection.execute(query).all()
    if len(rows) == limit:
        bottom = rows[-1].id
    return [_kept(row) for row in rows], bottom if bottom > 1 else None


def count(connection: Connection) -> int:
    """How many messages wait."""
    query = sa.select(sa.func.count()).select_from(inbox).where(_waits())
    return connection.execute(query).scalar_one()


def _waits() -> sa.ColumnElement[bool]:
    return inbox.c.raw.is_not(None) & inbox.c.outcome.is_not(None)


def get(connection: Connection, number: int, *, lock: bool = False) -> Kept | None:
    """A message by its number, with its bytes.
    `lock`: until the transaction ends nobody else decides on it.
    """
    query = sa.select(*COLUMNS, inbox.c.raw).where(inbox.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _kept(row, bytes(row.raw) if row.raw is not None else None) if row is not None else None


def find(connection: Connection, numbers: Collection[int]) -> dict[int, Kept]:
    """Messages by number, without their bytes."""
    rows = connection.execute(sa.select(*COLUMNS).where(inbox.c.id.in_(numbers)))
    return {row.id: _kept(row) for row in rows}


def shrink(connection: Connection, most: int, before: datetime) -> int:
    """Let go of all but the header of what arrived before then, and, the largest first, of what is
    more than `most` octets together. It waits all the same, and says where it is. Returns how many.
    """
    size = sa.func.length(inbox.c.raw)
    columns = (
        inbox.c.id,
        inbox.c.arrived_at,
        inbox.c.account,
        inbox.c.reason,
        size.label("octets"),
    )
    query = sa.select(*columns).where(inbox.c.raw.is_not(None))
    rows = connection.execute(query.order_by(size.desc(), inbox.c.id)).all()
    total = sum(row.octets for row in rows)
    shrunk = 0
    for row in rows:
        too_old = row.arrived_at < before
        too_much = total > most
        if row.octets <= HEAD or not (too_old or too_much):
            continue
        raw = connection.execute(sa.select(inbox.c.raw).where(inbox.c.id == row.id)).scalar_one()
        head = _head(bytes(raw))
        why = "it has waited too long" if too_old else "too much waits (inbound.review_megabytes)"
        where = "in the mailbox" if row.account else "where it was taken from"
        reason = f"{row.reason}; {SHRUNK}, for {why}: the mail itself lies {where}"
        values = {"raw": head, "reason": reason}
        connection.execute(sa.update(inbox).where(inbox.c.id == row.id).values(values))
        total += len(head) - row.octets
        shrunk += 1
    return shrunk


def shrunk(connection: Connection) -> int:
    """Of how many that wait only the header is kept, for want of room."""
    query = sa.select(sa.func.count()).where(
        inbox.c.raw.is_not(None), inbox.c.reason.contains(SHRUNK, autoescape=True)
    )
    return connection.execute(query).scalar_one()


def _head(raw: bytes) -> bytes:
    ends = [end for empty in (b"\r\n\r\n", b"\n\n") if (end := raw.find(empty)) >= 0]
    blank = b"\r\n\r\n"
    return raw[: min([*ends, HEAD - len(blank)])] + blank


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
