"""Links by which calendar programs follow somebody's diary.

Security: see `schema_access`. A link that is unknown, one that was renewed or revoked, and one of a
user who may not sign in any more take the same query and are the same to one who asks.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.schema_access import diary_feed, site_user
from gateway.store.tokens import digest

BYTES = 32
NOTED = timedelta(hours=1)
"""How exactly it is known when a link was used last; each note of it is a write."""


@dataclass(frozen=True, slots=True)
class Link:
    """As its user sees it; the secret nobody sees again."""

    user: int
    associate: str
    created_at: datetime
    used_at: datetime | None


def renew(connection: Connection, user: int, now: datetime) -> str:
    """A new link, in the place of the one that there was; its secret."""
    secret = secrets.token_urlsafe(BYTES)
    values = {"hash": digest(secret), "created_at": now, "used_at": None}
    upsert.one(connection, diary_feed, {"user": user}, values)
    return secret


def revoke(connection: Connection, user: int) -> None:
    connection.execute(sa.delete(diary_feed).where(diary_feed.c.user == user))


def of(connection: Connection, user: int) -> Link | None:
    """That of a user."""
    return _link(connection, diary_feed.c.user == user)


def find(connection: Connection, secret: str) -> Link | None:
    """Whose link this is, None where it is nobody's who may sign in."""
    return _link(connection, diary_feed.c.hash == digest(secret))


def note_use(connection: Connection, link: Link, now: datetime) -> None:
    is_link = diary_feed.c.user == link.user, diary_feed.c.created_at == link.created_at
    connection.execute(sa.update(diary_feed).where(*is_link).values(used_at=now))


def _link(connection: Connection, which: sa.ColumnElement[bool]) -> Link | None:
    query = sa.select(diary_feed, site_user.c.associate).join(
        site_user, site_user.c.id == diary_feed.c.user
    )
    can = site_user.c.disabled_at.is_(None), site_user.c.associate.is_not(None)
    row = connection.execute(query.where(which, *can)).one_or_none()
    if row is None:
        return None
    return Link(row.user, row.associate, row.created_at, row.used_at)
