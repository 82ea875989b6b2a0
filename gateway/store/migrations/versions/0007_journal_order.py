"""The journal is read in the order of its transactions."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_journal_tx_id", "journal", ["tx", "id"])
