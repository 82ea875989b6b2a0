"""Why something is cancelled, by when an answer is wanted, and who was reminded of it."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for table in ("follow_up", "follow_up_date"):
        op.add_column(
            table, sa.Column("cancel_reason", sa.Text(), server_default="", nullable=False)
        )
    op.execute(frozen.added_instant("follow_up", "answer_by", op.get_bind().dialect.name))
    for table, column in (
        ("follow_up", "answer_by"),
        ("follow_up", "start_at"),
        ("follow_up", "deadline"),
        ("follow_up_date", "start_at"),
    ):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_{table}_{column}",
            table,
            [column],
            unique=False,
            sqlite_where=there,
            postgresql_where=there,
        )
    series = sa.text("rrule <> ''")
    op.create_index(
        "ix_follow_up_series",
        "follow_up",
        ["start_at"],
        unique=False,
        sqlite_where=series,
        postgresql_where=series,
    )
    op.create_index(
        "ix_follow_up_date_original_start", "follow_up_date", ["original_start"], unique=False
    )
    op.create_index("ix_change_mark_follow_up", "change_mark", ["follow_up"], unique=False)
    op.add_column("invitation", sa.Column("reminded_sequence", sa.Integer(), nullable=True))
