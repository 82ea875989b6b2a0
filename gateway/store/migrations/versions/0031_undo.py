"""What the page saved can be taken back until its letters leave."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.create_table(
        "undo",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("at", frozen.INSTANT, nullable=False),
        sa.Column("leaves_at", frozen.INSTANT, nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("states", sa.Text(), server_default="{}", nullable=False),
        sa.Column("changes", sa.Text(), server_default="[]", nullable=False),
        sa.Column("undone_at", frozen.INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undo")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_undo_by", "undo", ["by", "leaves_at"])
