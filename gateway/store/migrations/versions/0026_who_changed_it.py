"""Which table a change mark is about, so that the planner knows that another program changed the
follow-up itself; follow-ups that are deleted once everybody was told.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("change_mark", sa.Column("source", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "follow_up",
        sa.Column("forgotten", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "ix_follow_up_forgotten",
        "follow_up",
        ["key"],
        unique=False,
        sqlite_where=sa.text("forgotten = 1"),
        postgresql_where=sa.text("forgotten"),
    )
