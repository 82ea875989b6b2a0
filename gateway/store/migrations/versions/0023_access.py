"""Tokens, users, sessions; answers to requests with an Idempotency-Key."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    _tokens()
    _users()
    _sessions()


def _tokens() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("associate", sa.Text(), nullable=True),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("used_at", frozen.INSTANT, nullable=True),
        sa.Column("revoked_at", frozen.INSTANT, nullable=True),
        sa.CheckConstraint("role IN ('user', 'read', 'crm', 'admin')", name="role"),
        sa.CheckConstraint(
            "role <> 'user' OR associate IS NOT NULL", name="a_user_is_an_associate"
        ),
        _associate("api_token"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_token_associate"), "api_token", ["associate"])
    op.create_table(
        "api_request",
        sa.Column("token", frozen.IDENTITY, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", frozen.INSTANT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.Text(), server_default="{}", nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        _parent("api_request", "token", "api_token"),
        sa.PrimaryKeyConstraint("token", "key", name=op.f("pk_api_request")),
    )
    op.create_index("ix_api_request_at", "api_request", ["at"])


def _users() -> None:
    op.create_table(
        "site_user",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), server_default="", nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("associate", sa.Text(), nullable=True),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("disabled_at", frozen.INSTANT, nullable=True),
        sa.CheckConstraint("role IN ('user', 'read', 'admin')", name="role"),
        sa.CheckConstraint(
            "role <> 'user' OR associate IS NOT NULL", name="a_user_is_an_associate"
        ),
        _associate("site_user"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_user")),
        sa.UniqueConstraint("name", name=op.f("uq_site_user_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_user_associate"), "site_user", ["associate"])


def _sessions() -> None:
    op.create_table(
        "site_session",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user", frozen.IDENTITY, nullable=False),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.Column("used_at", frozen.INSTANT, nullable=False),
        _parent("site_session", "user", "site_user"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_site_session")),
    )
    op.create_index("ix_site_session_user", "site_session", ["user"])
    op.create_index("ix_site_session_used_at", "site_session", ["used_at"])
    op.create_table(
        "site_link",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user", frozen.IDENTITY, nullable=False),
        sa.Column("expires_at", frozen.INSTANT, nullable=False),
        _parent("site_link", "user", "site_user"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_site_link")),
    )
    op.create_index("ix_site_link_user", "site_link", ["user"])
    op.create_index("ix_site_link_expires_at", "site_link", ["expires_at"])
    op.create_table(
        "failed_sign_in",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", frozen.INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_sign_in")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_failed_sign_in_name", "failed_sign_in", ["name", "at"])
    op.create_index("ix_failed_sign_in_address", "failed_sign_in", ["address", "at"])
    op.create_index("ix_failed_sign_in_at", "failed_sign_in", ["at"])


def _associate(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["associate"],
        ["associate.key"],
        name=op.f(f"fk_{table}_associate"),
        onupdate="CASCADE",
        ondelete="CASCADE",
    )


def _parent(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column],
        [f"{target}.id"],
        name=op.f(f"fk_{table}_{column}"),
        ondelete="CASCADE",
    )
