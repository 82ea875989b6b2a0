"""The tables of who may come in, and of what was asked with which key (docs/api.md).

No secret stands here that anybody could use: of tokens, sessions and links only the SHA-256, of
passwords only what argon2id makes of them. A fast hash is right for the former: they are 256 random
bits, which nobody guesses however fast; a slow one would be paid for with every request.
"""

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from gateway.store.marked import Instant, Words
from gateway.store.schema import Identity, metadata, words


def _associate() -> Column[str]:
    """Who is gone from the directory has no way in any more."""
    target = ForeignKey("associate.key", onupdate="CASCADE", ondelete="CASCADE")
    return Column("associate", Words, target, index=True)


def _parent(name: str, target: str) -> Column[int]:
    return Column(name, Identity, ForeignKey(target, ondelete="CASCADE"), nullable=False)


api_token = Table(
    "api_token",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    _associate(),
    Column("created_at", Instant, nullable=False),
    words("created_by"),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
    CheckConstraint("role IN ('user', 'read', 'crm', 'admin')", name="role"),
    CheckConstraint("role <> 'user' OR associate IS NOT NULL", name="a_user_is_an_associate"),
    sqlite_autoincrement=True,
)
"""A bearer token of a program. `used_at`: to the minute."""

api_request = Table(
    "api_request",
    metadata,
    _parent("token", "api_token.id"),
    Column("key", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("status", Integer, nullable=False),
    words("headers", "{}"),
    words("answer"),
    sa.PrimaryKeyConstraint("token", "key"),
    Index("ix_api_request_at", "at"),
)
"""What was answered to a POST with an Idempotency-Key, written with its effect. `body`: SHA-256 of
what was asked: route, parameters and body.
"""

site_user = Table(
    "site_user",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    words("password"),
    Column("role", Text, nullable=False),
    _associate(),
    Column("created_at", Instant, nullable=False),
    words("created_by"),
    Column("disabled_at", Instant),
    CheckConstraint("role IN ('user', 'read', 'admin')", name="role"),
    CheckConstraint("role <> 'user' OR associate IS NOT NULL", name="a_user_is_an_associate"),
    sqlite_autoincrement=True,
)
"""Somebody who signs in to the page. `name`: in lower case; `password`: an argon2id hash, "" where
only a link lets them in.
"""

site_session = Table(
    "site_session",
    metadata,
    Column("hash", Text, primary_key=True),
    _parent("user", "site_user.id"),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
    Index("ix_site_session_user", "user"),
    Index("ix_site_session_used_at", "used_at"),
)

site_link = Table(
    "site_link",
    metadata,
    Column("hash", Text, primary_key=True),
    _parent("user", "site_user.id"),
    Column("expires_at", Instant, nullable=False),
    Index("ix_site_link_user", "user"),
    Index("ix_site_link_expires_at", "expires_at"),
)
"""A link that signs somebody in, once."""

diary_feed = Table(
    "diary_feed",
    metadata,
    Column(
        "user",
        Identity,
        ForeignKey("site_user.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant),
)
"""A link by which calendar programs follow the diary of the user's associate, one at a time.
`used_at`: to the hour.
"""

failed_sign_in = Table(
    "failed_sign_in",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_failed_sign_in_name", "name", "at"),
    Index("ix_failed_sign_in_address", "address", "at"),
    Index("ix_failed_sign_in_at", "at"),
    sqlite_autoincrement=True,
)

undo = Table(
    "undo",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("by", Text, nullable=False),
    Column("follow_up", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("leaves_at", Instant, nullable=False),
    Column("letters", Integer, nullable=False),
    words("states", "{}"),
    words("changes", "[]"),
    Column("undone_at", Instant),
    Index("ix_undo_by", "by", "leaves_at"),
    sqlite_autoincrement=True,
)
"""A save of the page that owes letters, until they leave. `states`: of each follow-up its newest
mark and the digest of what it said then; `changes`: what takes it back (`snapshots.written`).
"""
