"""When the record was changed that a letter tells of, and the answers that such a change took away."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0014"
down_revision = "0013"

THERE = sa.text("changed_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("changed_at", frozen.INSTANT, nullable=True))
    op.create_index(
        "ix_outbox_changed_at",
        "outbox",
        ["changed_at"],
        unique=False,
        sqlite_where=THERE,
        postgresql_where=THERE,
    )
    op.add_column(
        "change_mark", sa.Column("single", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "former_standing",
        sa.Column("participant", frozen.IDENTITY, nullable=False),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("reply", sa.Text(), server_default="needs-action", nullable=False),
        sa.Column("seen", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("moved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("progress", sa.Text(), server_default="not_started", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("replied_at", frozen.INSTANT, nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("dtstamp", frozen.INSTANT, nullable=True),
        sa.Column("arrived", frozen.INSTANT, nullable=True),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("edition", frozen.IDENTITY, nullable=False),
        sa.Column("absent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant"],
            ["participant.id"],
            name=op.f("fk_former_standing_participant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("participant", "instance", name=op.f("pk_former_standing")),
    )
