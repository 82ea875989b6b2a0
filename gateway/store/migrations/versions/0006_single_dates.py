"""Participants of one date of a series, and single dates that are asked about again."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0006"
down_revision = "0005"

WHOLE, DATE = sa.text("original_start IS NULL"), sa.text("original_start IS NOT NULL")


def upgrade() -> None:
    op.execute(frozen.added_instant("participant", "original_start", op.get_bind().dialect.name))
    op.create_index(
        "ix_participant_original_start",
        "participant",
        ["original_start"],
        sqlite_where=DATE,
        postgresql_where=DATE,
    )
    for invitee in ("person", "associate", "resource", "email"):
        name = f"uq_participant_{invitee}"
        op.drop_index(name, table_name="participant")
        op.create_index(
            name,
            "participant",
            ["follow_up", invitee],
            unique=True,
            sqlite_where=WHOLE,
            postgresql_where=WHOLE,
        )
        op.create_index(
            f"{name}_date", "participant", ["follow_up", invitee, "original_start"], unique=True
        )
    op.add_column("standing", sa.Column("asked", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "invitation", sa.Column("again_instance", sa.Text(), server_default="", nullable=False)
    )
    op.drop_column(
        "invitation", "again_sequence"
    )  # the letters themselves tell who was asked again
