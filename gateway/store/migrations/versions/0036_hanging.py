"""What hangs on a participant that is deleted is copied with it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    _copies(
        "deleted_proposal",
        sa.Column("id", frozen.IDENTITY),
        sa.Column("participant", frozen.IDENTITY),
        sa.Column("instance", sa.Text()),
        sa.Column("proposed_start", sa.Text()),
        sa.Column("proposed_end", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("comment", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("sequence", sa.Integer()),
        sa.Column("message", frozen.IDENTITY),
        sa.Column("state", sa.Text()),
        sa.Column("created_at", frozen.INSTANT),
        sa.Column("settled_at", frozen.INSTANT),
        sa.Column("settled_by", sa.Text()),
    )
    _copies(
        "deleted_delegation",
        sa.Column("participant", frozen.IDENTITY),
        sa.Column("delegate", frozen.IDENTITY),
        sa.Column("created_at", frozen.INSTANT),
    )
    _copies(
        "deleted_known_address",
        sa.Column("id", frozen.IDENTITY),
        sa.Column("person", sa.Text()),
        sa.Column("participant", frozen.IDENTITY),
        sa.Column("address", sa.Text()),
        sa.Column("plain", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("learned_at", frozen.INSTANT),
        sa.Column("learned_by", sa.Text()),
        sa.Column("message", frozen.IDENTITY),
        sa.Column("revoked_at", frozen.INSTANT),
        sa.Column("revoked_by", sa.Text()),
    )


def _copies(table: str, *columns: sa.Column[Any]) -> None:
    """A table of rows that went with a participant."""
    op.create_table(
        table,
        sa.Column("number", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column(
            "deleted_at",
            frozen.INSTANT,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            nullable=False,
        ),
        *columns,
        sa.PrimaryKeyConstraint("number", name=op.f(f"pk_{table}")),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{table}", table, ["participant"])
