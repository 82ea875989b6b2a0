"""What was answered to requests with an Idempotency-Key, kept in the transaction of their effect.

Two processes that get the same request at once have one effect: on SQLite the second waits for the
first, and finds its answer; on PostgreSQL a lock by token and key, held until the transaction ends,
says that the first is still at it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema_access import api_request

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered. `asked`: the hash of what was asked for."""

    asked: str
    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


def is_running(connection: Connection, token: int, key: str) -> bool:
    """Whether another transaction is at the same request; if not, this one is from now on."""
    if connection.dialect.name == "sqlite":
        return False
    number = hashlib.sha256(f"{token}:{key}".encode()).digest()[:8]
    lock = sa.func.pg_try_advisory_xact_lock(int.from_bytes(number, "big", signed=True))
    return not connection.execute(sa.select(lock)).scalar_one()


def answered(connection: Connection, token: int, key: str, now: datetime) -> Answer | None:
    """What was answered to that request within the last day."""
    row = connection.execute(
        sa.select(api_request).where(api_request.c.token == token, api_request.c.key == key)
    ).one_or_none()
    if row is None:
        return None
    if row.at < now - KEPT:
        connection.execute(
            sa.delete(api_request).where(api_request.c.token == token, api_request.c.key == key)
        )
        return None
    return Answer(row.body, row.status, row.answer, json.loads(row.headers))


def keep(connection: Connection, token: int, key: str, answer: Answer, now: datetime) -> None:
    connection.execute(
        sa.insert(api_request).values(
            token=token,
            key=key,
            body=answer.asked,
            at=now,
            status=answer.status,
            headers=json.dumps(dict(answer.headers)),
            answer=answer.text,
        )
    )


def forget(connection: Connection, now: datetime) -> int:
    """Those that nobody may ask for again."""
    statement = sa.delete(api_request).where(api_request.c.at < now - KEPT)
    return connection.execute(statement).rowcount
