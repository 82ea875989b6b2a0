"""Bearer tokens: made, recognised by their hash, revoked.

Security: a token is 256 random bits, so SHA-256 of it is enough (`schema_access`). Which one it is
the database finds by its hash, so the time of that says nothing about the token itself; a token
that is unknown and one that is revoked take the same query.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Access, Actor
from gateway.store.schema import associate
from gateway.store.schema_access import api_token

USED = timedelta(minutes=1)
"""How exactly it is known when a token was used last; each note of it is a write."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as administrators see it; the token itself nobody sees again."""

    id: int
    name: str
    role: Access
    associate: str
    created_at: datetime
    created_by: str
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.role, self.associate, self.name)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def add(connection: Connection, token: Token, secret: str) -> int:
    """Keep a new token; its number. `token.id` says nothing yet."""
    values = {
        "hash": digest(secret),
        "name": token.name,
        "role": token.role.value,
        "associate": token.associate or None,
        "created_at": token.created_at,
        "created_by": token.created_by,
    }
    number: int = connection.execute(
        sa.insert(api_token).values(values).returning(api_token.c.id)
    ).scalar_one()
    return number


def of(connection: Connection, secret: str) -> Token | None:
    """The token that this is, None where there is none or it was revoked."""
    query = sa.select(api_token).where(api_token.c.hash == digest(secret))
    row = connection.execute(query).one_or_none()
    return None if row is None or row.revoked_at is not None else _token(row)


def is_anybody(connection: Connection, actor: Actor) -> bool:
    """Whether a token of this connection, by its kind and name, is still good."""
    query = sa.select(api_token.c.id).where(
        api_token.c.role == actor.access.value,
        api_token.c.name == actor.name,
        api_token.c.revoked_at.is_(None),
    )
    return connection.execute(query.limit(1)).first() is not None


def note_use(connection: Connection, number: int, now: datetime) -> None:
    connection.execute(sa.update(api_token).where(api_token.c.id == number).values(used_at=now))


def is_noted(token: Token, now: datetime) -> bool:
    """Whether it was written down recently that the token is used."""
    return token.used_at is not None and abs(now - token.used_at) < USED


def every(connection: Connection, after: int = 0, limit: int | None = None) -> Sequence[Token]:
    """In the order in which they were made."""
    query = sa.select(api_token).where(api_token.c.id > after).order_by(api_token.c.id)
    query = query.limit(limit)
    return [_token(row) for row in connection.execute(query)]


def one(connection: Connection, number: int) -> Token | None:
    row = connection.execute(sa.select(api_token).where(api_token.c.id == number)).one_or_none()
    return None if row is None else _token(row)


def revoke(connection: Connection, number: int, now: datetime) -> None:
    """It lets nobody in from now on. When it was revoked first stays."""
    connection.execute(
        sa.update(api_token)
        .where(api_token.c.id == number, api_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def is_associate(connection: Connection, key: str) -> bool:
    query = sa.select(associate.c.key).where(associate.c.key == key)
    return connection.execute(query).first() is not None


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    values = row._mapping
    return Token(
        id=values["id"],
        name=values["name"],
        role=Access(values["role"]),
        associate=values["associate"] or "",
        created_at=values["created_at"],
        created_by=values["created_by"],
        used_at=values["used_at"],
        revoked_at=values["revoked_at"],
    )
