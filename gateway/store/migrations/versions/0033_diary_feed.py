"""Links by which calendar programs follow somebody's diary."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "diary_feed",
        sa.Column("user", frozen.IDENTITY, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", frozen.INSTANT, nullable=False),
        sa.Column("used_at", frozen.INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["user"], ["site_user.id"], name=op.f("fk_diary_feed_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_diary_feed")),
        sa.UniqueConstraint("hash", name=op.f("uq_diary_feed_hash")),
    )
