"""Webhooks and what they are still to be told (`actions.webhooks`).

Of each follow-up only the oldest event that is not settled is tried: the order of what happened to
it is kept, and one that nobody takes holds up no other follow-up's.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Access, Actor
from gateway.store import journal
from gateway.store.schema_webhooks import WAITING, webhook, webhook_delivery

FIELDS = ("url", "types", "active", "trouble", "failing_since", "rest_until", "after")


class DeliveryState(StrEnum):
    """waiting → delivered, or → given_up, from where it may be sent again."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events go. `types`: which, all where it is empty. `secrets`: the one of now, and the
    former one as long as it signs, too. `trouble`: what the receiver said last where that was no
    success. `after`: the number of the journal entry up to which its deliveries are written.
    """

    id: int
    url: str
    types: tuple[str, ...]
    secrets: tuple[str, ...]
    active: bool
    trouble: str
    failing_since: datetime | None
    rest_until: datetime | None
    after: int
    created_by: str
    access: Access
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook. `event`: its journal number, None for a trial; `code`: the HTTP
    status of the last answer, None where none came.
    """

    id: int
    webhook: int
    event: int | None
    follow_up: str
    type: str
    body: str
    state: DeliveryState
    tries: int
    code: int | None
    words: str
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class New:
    """A delivery to be written."""

    webhook: int
    event: int | None
    follow_up: str
    type: str
    body: str


def create(
    connection: Connection,
    url: str,
    types: Collection[str],
    secret: str,
    by: Actor,
    now: datetime,
) -> int:
    """A new webhook, which is told what comes from now on. Returns its number."""
    inserted = connection.execute(
        sa.insert(webhook)
        .values(
            url=url,
            types=json.dumps(sorted(types)),
            secret=secret,
            after=journal.newest(connection),
            created_by=by.name,
            access=by.access.value,
            created_at=now,
        )
        .returning(webhook.c.id)
    )
    number: int = inserted.scalar_one()
    return number


def find(connection: Connection, now: datetime, number: int | None = None) -> list[Webhook]:
    """All webhooks, or the one of this number, oldest first."""
    query = sa.select(webhook).order_by(webhook.c.id)
    if number is not None:
        query = query.where(webhook.c.id == number)
    return [_webhook(row, now) for row in connection.execute(query)]


def any_active(connection: Connection) -> bool:
    """Whether anybody is to be told anything."""
    query = sa.select(webhook.c.id).where(webhook.c.active).limit(1)
    return connection.execute(query).first() is not None


def change(connection: Connection, number: int, **values: Any) -> None:
    """Set these of `FIELDS`."""
    assert set(values) <= set(FIELDS)
    if "types" in values:
        values["types"] = json.dumps(sorted(values["types"]))
    connection.execute(sa.update(webhook).where(webhook.c.id == number).values(values))


def switch_off(connection: Connection, by: Actor) -> None:
    """Tell the webhooks of this connection nothing any more."""
    is_own = webhook.c.created_by == by.name, webhook.c.access == by.access.value
    connection.execute(sa.update(webhook).where(*is_own).values(active=False))


def rotate(connection: Connection, number: int, secret: str, former_until: datetime) -> None:
    """Give it a new secret; the former one signs beside it until then."""
    connection.execute(
        sa.update(webhook)
        .where(webhook.c.id == number)
        .values(secret=secret, former_secret=webhook.c.secret, former_until=former_until)
    )


def remove(connection: Connection, number: int) -> None:
    """Forget a webhook and what it was still to be told."""
    connection.execute(sa.delete(webhook).where(webhook.c.id == number))


def announce(connection: Connection, news: Sequence[New], now: datetime) -> None:
    """Write deliveries, in the order of the events."""
    if news:
        connection.execute(
            sa.insert(webhook_delivery),
            [
                {
                    "webhook": new.webhook,
                    "event": new.event,
                    "follow_up": new.follow_up,
                    "type": new.type,
                    "body": new.body,
                    "created_at": now,
                    "due_at": now,
                }
                for new in news
            ],
        )


def due(
    connection: Connection, number: int, now: datetime, limit: int, but: Collection[str] = ()
) -> list[Delivery]:
    """Deliveries of a webhook that may be tried now: of each follow-up the oldest, where its time
    has come. `but`: follow-ups with one on its way.
    """
    candidate = webhook_delivery.c
    earlier = webhook_delivery.alias("earlier")
    oldest = ~sa.exists().where(
        earlier.c.webhook == number,
        earlier.c.follow_up == candidate.follow_up,
        sa.literal_column("earlier.state") == sa.literal_column("'waiting'"),
        earlier.c.id < candidate.id,
    )
    query = (
        sa.select(webhook_delivery)
        .where(
            candidate.webhook == number,
            WAITING,
            candidate.due_at <= sa.literal(now, candidate.due_at.type),
            candidate.follow_up.not_in(sorted(but)),
            oldest,
        )
        .order_by(candidate.id)
        .limit(limit)
    )
    return [_delivery(row) for row in connection.execute(query)]


def delivered(connection: Connection, delivery: Delivery, code: int, now: datetime) -> None:
    """The receiver took it."""
    connection.execute(
        sa.update(webhook_delivery)
        .where(webhook_delivery.c.id == delivery.id)
        .values(
            state=DeliveryState.DELIVERED.value,
            tries=delivery.tries + 1,
            code=code,
            words="",
            settled_at=now,
        )
    )


def failed(
    connection: Connection, delivery: Delivery, code: int | None, words: str, due: datetime
) -> None:
    """It is tried again at `due`."""
    connection.execute(
        _still(delivery).values(tries=delivery.tries + 1, code=code, words=words, due_at=due)
    )


def give_up(
    connection: Connection, delivery: Delivery, code: int | None, words: str, now: datetime
) -> int:
    """Nobody took it. Returns 1, or 0 where something else became of it meanwhile."""
    statement = _still(delivery).values(
        state=DeliveryState.GIVEN_UP.value,
        tries=delivery.tries + 1,
        code=code,
        words=words,
        settled_at=now,
    )
    return connection.execute(statement).rowcount


def _still(delivery: Delivery) -> sa.Update:
    """The row, as long as nobody has given it up or wants it sent again since it was read."""
    own_row = webhook_delivery.c
    return sa.update(webhook_delivery).where(
        own_row.id == delivery.id,
        WAITING,
        own_row.due_at == sa.literal(delivery.due_at, own_row.due_at.type),
    )


def give_up_older(connection: Connection, number: int, than: datetime, now: datetime) -> int:
    """Give up what has waited since before that moment. Returns how many."""
    row = webhook_delivery.c
    query = (
        sa.update(webhook_delivery)
        .where(
            row.webhook == number,
            WAITING,
            row.created_at < sa.literal(than, row.created_at.type),
        )
        .values(state=DeliveryState.GIVEN_UP.value, settled_at=now)
    )
    return connection.execute(query).rowcount


def again(connection: Connection, number: int, delivery: int, now: datetime) -> bool:
    """Have a delivery sent once more, whatever became of it. Whether there is such a one."""
    row = webhook_delivery.c
    done = connection.execute(
        sa.update(webhook_delivery)
        .where(row.webhook == number, row.id == delivery)
        .values(
            state=DeliveryState.WAITING.value,
            tries=0,
            created_at=now,
            due_at=now,
            settled_at=None,
        )
    )
    return done.rowcount == 1


def deliveries(
    connection: Connection, number: int, before: int | None, limit: int
) -> list[Delivery]:
    """Deliveries of a webhook, the newest first, those below number `before`."""
    listed = webhook_delivery.c
    query = sa.select(webhook_delivery).where(listed.webhook == number)
    if before is not None:
        query = query.where(listed.id < before)
    query = query.order_by(listed.id.desc()).limit(limit)
    return [_delivery(row) for row in connection.execute(query)]


def waiting(connection: Connection, number: int) -> int:
    """How many events a webhook is still to be told."""
    query = sa.select(sa.func.count()).where(webhook_delivery.c.webhook == number, WAITING)
    counted: int = connection.execute(query).scalar_one()
    return counted


def forget(connection: Connection, settled_before: datetime) -> int:
    """Forget deliveries that came to an end before then. Returns how many."""
    row = webhook_delivery.c
    query = sa.delete(webhook_delivery).where(
        row.settled_at < sa.literal(settled_before, row.settled_at.type)
    )
    return connection.execute(query).rowcount


def _webhook(row: Any, now: datetime) -> Webhook:
    is_signing = row.former_until is not None and now < row.former_until
    secrets = (row.secret, row.former_secret) if is_signing else (row.secret,)
    return Webhook(
        row.id,
        row.url,
        tuple(json.loads(row.types)),
        secrets,
        row.active,
        row.trouble,
        row.failing_since,
        row.rest_until,
        row.after,
        row.created_by,
        Access(row.access),
        row.created_at,
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        row.id,
        row.webhook,
        row.event,
        row.follow_up,
        row.type,
        row.body,
        DeliveryState(row.state),
        row.tries,
        row.code,
        row.words,
        row.created_at,
        row.due_at,
        row.settled_at,
    )
