"""Groups of diaries that somebody looks at again and again."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.create_table(
        "diary_view",
        sa.Column("associate", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("whose", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(
            ["associate"],
            ["associate.key"],
            name=op.f("fk_diary_view_associate"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("associate", "name", name=op.f("pk_diary_view")),
    )
