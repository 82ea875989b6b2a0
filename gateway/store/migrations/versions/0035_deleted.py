"""What is deleted stands in copies, as long as the brake may hold what follows from it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    _copies(
        "deleted_follow_up",
        "key",
        sa.Column("key", sa.Text()),
        sa.Column("kind", sa.Text()),
        sa.Column("type", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("assigned_by", sa.Text()),
        sa.Column("title", sa.Text()),
        sa.Column("agenda", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("location", sa.Text()),
        sa.Column("video_url", sa.Text()),
        sa.Column("start_at", frozen.INSTANT),
        sa.Column("end_at", frozen.INSTANT),
        sa.Column("deadline", frozen.INSTANT),
        sa.Column("all_day", sa.Boolean()),
        sa.Column("timezone", sa.Text()),
        sa.Column("rrule", sa.Text()),
        sa.Column("guest_list", sa.Text()),
        sa.Column("cancelled", sa.Boolean()),
        sa.Column("cancel_reason", sa.Text()),
        sa.Column("answer_by", frozen.INSTANT),
        sa.Column("company", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("project", sa.Text()),
        sa.Column("sale", sa.Text()),
        sa.Column("availability", sa.Text()),
        sa.Column("alarm_minutes", sa.Integer()),
        sa.Column("priority", sa.Text()),
        sa.Column("completed", sa.Boolean()),
        sa.Column("private", sa.Boolean()),
        sa.Column("fields", sa.Text()),
        sa.Column("uid", sa.Text()),
        sa.Column("sequence", sa.Integer()),
        sa.Column("edition", frozen.IDENTITY),
        sa.Column("created_at", frozen.INSTANT),
        sa.Column("created_by", sa.Text()),
        sa.Column("changed_at", frozen.INSTANT),
        sa.Column("changed_by", sa.Text()),
        sa.Column("forgotten", sa.Boolean()),
    )
    _copies(
        "deleted_participant",
        "follow_up",
        sa.Column("id", frozen.IDENTITY),
        sa.Column("follow_up", sa.Text()),
        sa.Column("person", sa.Text()),
        sa.Column("associate", sa.Text()),
        sa.Column("resource", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("original_start", frozen.INSTANT),
        sa.Column("email_invite", sa.Boolean()),
        sa.Column("removed", sa.Boolean()),
        sa.Column("set_status", sa.Integer()),
        sa.Column("code", sa.Integer()),
        sa.Column("given_token", sa.Text()),
        sa.Column("conflict", sa.Boolean()),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", frozen.INSTANT),
        sa.Column("planned_for", sa.Text()),
        sa.Column("announced", sa.Boolean()),
        sa.Column("priority", sa.Text()),
        sa.Column("alarm_minutes", sa.Integer()),
    )
    _copies(
        "deleted_standing",
        "participant",
        sa.Column("participant", frozen.IDENTITY),
        sa.Column("instance", sa.Text()),
        sa.Column("reply", sa.Text()),
        sa.Column("seen", sa.Boolean()),
        sa.Column("moved", sa.Boolean()),
        sa.Column("cancelled", sa.Boolean()),
        sa.Column("progress", sa.Text()),
        sa.Column("comment", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("replied_at", frozen.INSTANT),
        sa.Column("sequence", sa.Integer()),
        sa.Column("dtstamp", frozen.INSTANT),
        sa.Column("arrived", frozen.INSTANT),
        sa.Column("asked", sa.Integer()),
    )


def _copies(table: str, indexed: str, *columns: sa.Column[Any]) -> None:
    """A table of rows that were deleted. `indexed`: the column by which they are found."""
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
    op.create_index(f"ix_{table}", table, [indexed])
