"""What gateways found wrong, and an index of the letters that are held."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations import frozen

revision = "0009"
down_revision = "0008"

HELD = sa.text("state = 'held'")


def upgrade() -> None:
    op.create_index(
        "ix_outbox_held",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=HELD,
        postgresql_where=HELD,
    )
    op.create_table(
        "condition",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("since", frozen.INSTANT, nullable=False),
        sa.Column("seen", frozen.INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("gateway", "subject", name=op.f("pk_condition")),
    )
