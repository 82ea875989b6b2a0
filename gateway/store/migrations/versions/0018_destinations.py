"""An index by which letters to other destinations are found past the queue of one."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_outbox_destined",
        "outbox",
        ["account", "domain", "due_at", "id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
