"""One decision of a kind is open for one cause; what waits is found by its follow-up."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

OPEN = sa.text("closed_at IS NULL")
WAITS = sa.text("raw IS NOT NULL AND follow_up IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_decision_subject", "decision", ["subject"])
    op.create_index(
        "ix_decision_open_all", "decision", ["id"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index(
        "uq_decision_open",
        "decision",
        ["kind", "subject"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index(
        "ix_inbox_waiting", "inbox", ["follow_up"], sqlite_where=WAITS, postgresql_where=WAITS
    )
