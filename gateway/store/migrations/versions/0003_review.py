"""Addresses that were learned as the same person, and the list of what waits for a person."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0003"
down_revision = "0002"

VALID = sa.text("revoked_at IS NULL")
WAITING = sa.text("raw IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "known_address",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("plain", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "learned_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        sa.Column("learned_by", sa.Text(), server_default="", nullable=False),
        sa.Column("message", frozen.IDENTITY, nullable=True),
        sa.Column("revoked_at", frozen.INSTANT, nullable=True),
        sa.Column("revoked_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "(person IS NULL) <> (participant IS NULL)", name=op.f("ck_known_address_one_holder")
        ),
        sa.ForeignKeyConstraint(
            ["person"],
            ["person.key"],
            name=op.f("fk_known_address_person"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_known_address_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_address")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_known_address_plain"), "known_address", ["plain"], unique=False)
    op.create_index(
        "uq_known_address_person",
        "known_address",
        ["person", "plain"],
        unique=True,
        sqlite_where=VALID,
        postgresql_where=VALID,
    )
    op.create_index(
        "uq_known_address_participant",
        "known_address",
        ["participant", "plain"],
        unique=True,
        sqlite_where=VALID,
        postgresql_where=VALID,
    )
    op.create_index(
        "ix_inbox_review",
        "inbox",
        ["arrived_at", "id"],
        unique=False,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
