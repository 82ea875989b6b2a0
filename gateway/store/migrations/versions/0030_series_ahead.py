"""Series of somebody that are not over are found by their end."""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_index("ix_diary_series_of", "diary_series", ["who", "end_at"])
