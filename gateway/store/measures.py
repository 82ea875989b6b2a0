"""What monitoring asks of a store. Each look costs by what is open at the moment and by what is new
since the last one, never by what a store holds of the past.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import brake
from gateway.model import LetterState, Outcome
from gateway.store import engine
from gateway.store.outbox import BY_HAND, OPEN, stands
from gateway.store.schema import UNSETTLED, inbox
from gateway.store.schema_domain import OPEN as UNDECIDED
from gateway.store.schema_domain import decision
from gateway.store.schema_letters import RETURNED, attempt, outbox
from gateway.store.schema_webhooks import WAITING, webhook_delivery

AGES = {"1m": 60, "10m": 600, "1h": 3600, "1d": 86_400}
"""How old letters are at most, in seconds; beyond the last: `more`."""
MORE = "more"
LAST = 200
"""The ratio of answers that belong nowhere is that of so many messages."""
NO_ANSWER = (None, Outcome.IGNORED)


class Holder(StrEnum):
    """What holds a letter."""

    PREFLIGHT = "preflight"
    HAND = "hand"
    BRAKE = "brake"


@dataclass(frozen=True, slots=True)
class Message:
    """One that was recorded. `seconds`: from its arrival until then, None where it came from a
    file; `outcome`: None where it is to be tried again.
    """

    id: int
    outcome: str | None
    seconds: float | None


def open_letters(connection: Connection, now: datetime) -> dict[tuple[str, str, str], int]:
    """How many letters have not left, by account, state and age."""
    instant = outbox.c.created_at.type
    age = sa.case(
        *(
            (outbox.c.created_at > sa.literal(now - timedelta(seconds=most), instant), name)
            for name, most in AGES.items()
        ),
        else_=MORE,
    )
    query = (
        sa.select(outbox.c.account, outbox.c.state, age, sa.func.count())
        .where(stands(outbox, *OPEN))
        .group_by(outbox.c.account, outbox.c.state, age)
    )
    return {(row[0], row[1], row[2]): row[3] for row in connection.execute(query)}


def held(connection: Connection) -> dict[str, int]:
    """How many letters are held, by what holds them."""
    by = sa.case(
        (outbox.c.note == brake.REASON, Holder.BRAKE.value),
        (outbox.c.note == BY_HAND, Holder.HAND.value),
        else_=Holder.PREFLIGHT.value,
    )
    query = sa.select(by, sa.func.count()).where(stands(outbox, LetterState.HELD)).group_by(by)
    return {row[0]: row[1] for row in connection.execute(query)}


def refused(connection: Connection, since: datetime) -> int:
    """How many letters were refused for good since then."""
    query = sa.select(sa.func.count()).where(
        RETURNED,
        outbox.c.state == LetterState.REFUSED,
        outbox.c.settled_at >= sa.literal(since, outbox.c.settled_at.type),
    )
    return connection.execute(query).scalar_one()


def unprocessed(connection: Connection) -> tuple[int, datetime | None]:
    """How many messages this program has failed on and tries again, and when the oldest came."""
    return _count_and_oldest(connection, inbox, inbox.c.arrived_at, UNSETTLED)


def under_review(connection: Connection) -> tuple[int, datetime | None]:
    """How many messages wait for a person, and when the oldest came."""
    return _count_and_oldest(connection, inbox, inbox.c.arrived_at, inbox.c.raw.is_not(None))


def undecided(connection: Connection) -> tuple[int, datetime | None]:
    """How many decisions are open, and since when the oldest is."""
    return _count_and_oldest(connection, decision, decision.c.opened_at, UNDECIDED)


def webhooks(connection: Connection) -> dict[int, tuple[int, datetime]]:
    """How many events each webhook is still to be told, and since when the oldest waits."""
    created = webhook_delivery.c.created_at
    query = (
        sa.select(
            webhook_delivery.c.webhook, sa.func.count(), sa.func.min(created, type_=created.type)
        )
        .where(WAITING)
        .group_by(webhook_delivery.c.webhook)
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def unmatched(connection: Connection) -> float:
    """The share of the last messages that would answer something and belong to nothing."""
    last = sa.select(inbox.c.outcome).where(inbox.c.id > newest_message(connection) - LAST)
    outcomes = [
        outcome for outcome in connection.execute(last).scalars() if outcome not in NO_ANSWER
    ]
    return outcomes.count(Outcome.UNKNOWN_INVITATION) / len(outcomes) if outcomes else 0.0


def newest_message(connection: Connection) -> int:
    return connection.execute(sa.select(sa.func.max(inbox.c.id))).scalar_one() or 0


def newest_attempt(connection: Connection) -> int:
    return connection.execute(sa.select(sa.func.max(attempt.c.id))).scalar_one() or 0


def messages(connection: Connection, after: int) -> Iterator[Message]:
    """Messages with a number above `after`."""
    query = sa.select(
        inbox.c.id,
        inbox.c.outcome,
        inbox.c.arrived_at,
        inbox.c.recorded_at,
        inbox.c.folder,
    )
    newer = query.where(inbox.c.id > after).order_by(inbox.c.id)
    for rows in engine.parts(connection, newer):
        for row in rows:
            waited = row.recorded_at - row.arrived_at
            seconds = max(0.0, waited.total_seconds())
            yield Message(row.id, row.outcome, seconds if row.folder else None)


def attempts(connection: Connection, after: int) -> Iterator[tuple[int, str]]:
    """The number and the verdict of tries with a number above `after`."""
    query = sa.select(attempt.c.id, attempt.c.verdict).where(attempt.c.id > after)
    for rows in engine.parts(connection, query.order_by(attempt.c.id)):
        for row in rows:
            yield row.id, row.verdict


def _count_and_oldest(
    connection: Connection,
    table: sa.Table,
    since: sa.Column[datetime],
    which: sa.ColumnElement[bool] | sa.TextClause,
) -> tuple[int, datetime | None]:
    query = sa.select(sa.func.count(), sa.func.min(since, type_=since.type)).select_from(table)
    row = connection.execute(query.where(which)).one()
    return row[0], row[1]
