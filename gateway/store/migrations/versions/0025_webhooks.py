"""Webhooks, and what they are still to be told."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0025"
down_revision = "0024"

WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", sa.Text(), server_default="[]", nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("former_secret", sa.Text(), server_default="", nullable=False),
        sa.Column("former_until", frozen.INSTANT, nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("trouble", sa.Text(), server_default="", nullable=False),
        sa.Column("failing_since", frozen.INSTANT, nullable=True),
        sa.Column("rest_until", frozen.INSTANT, nullable=True),
        sa.Column("after", frozen.IDENTITY, nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("access", sa.Text(), server_default="crm", nullable=False),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("webhook", frozen.IDENTITY, nullable=False),
        sa.Column("event", frozen.IDENTITY, nullable=True),
        sa.Column("follow_up", sa.Text(), server_default="", nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.Column("due_at", frozen.INSTANT, nullable=False),
        sa.Column("settled_at", frozen.INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook"],
            ["webhook.id"],
            name=op.f("fk_webhook_delivery_webhook"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["webhook", "follow_up", "id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index("ix_webhook_delivery_webhook", "webhook_delivery", ["webhook", "id"])
    op.create_index("ix_webhook_delivery_settled_at", "webhook_delivery", ["settled_at"])
