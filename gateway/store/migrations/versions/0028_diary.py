"""Entries of diaries that are found by their start; which series somebody takes part in; indexes for
invitations and tasks of an associate, and for those who declined.
"""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    _entries()
    _series()
    op.drop_index("ix_participant_of_associate", "participant")
    op.create_index("ix_participant_of_associate", "participant", ["associate", "code"])
    _partial("ix_participant_refused", "participant", ["follow_up"], "code IN (9, 13)")
    _partial("ix_follow_up_planned", "follow_up", ["owner", "deadline"], "deadline IS NOT NULL")


def _entries() -> None:
    op.drop_table("diary_entry")
    op.create_table(
        "diary_entry",
        sa.Column("id", frozen.IDENTITY, autoincrement=True, nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("participant", frozen.IDENTITY, nullable=True),
        sa.Column("instance", sa.Text(), server_default="", nullable=False),
        sa.Column("start_at", frozen.INSTANT, nullable=False),
        sa.Column("end_at", frozen.INSTANT, nullable=False),
        sa.Column("lasting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("busy", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("conflict", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_diary_entry")),
    )
    op.create_index("ix_diary_entry_of", "diary_entry", ["who", "start_at"])
    _partial("ix_diary_entry_lasting", "diary_entry", ["who", "end_at"], "lasting")
    op.create_index("ix_diary_entry_follow_up", "diary_entry", ["follow_up"])
    op.create_index("ix_diary_entry_participant", "diary_entry", ["participant"])


def _series() -> None:
    op.create_table(
        "diary_series",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("start_at", frozen.INSTANT, nullable=False),
        sa.Column("end_at", frozen.INSTANT, nullable=False),
        sa.Column("until", frozen.INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("who", "follow_up", name=op.f("pk_diary_series")),
    )
    op.create_index("ix_diary_series_follow_up", "diary_series", ["follow_up"])
    op.create_index("ix_diary_series_until", "diary_series", ["until", "follow_up"])


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition
    )
