"""Whether a message is a repeat is told by the journal."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_index("ix_inbox_object", table_name="inbox")
