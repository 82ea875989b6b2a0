"""Letters of which nobody knows whether they arrived, and which of a row's invitations counts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

UNKNOWN = """
UPDATE outbox SET doubtful = TRUE WHERE state = 'sending' OR EXISTS (
  SELECT 1 FROM attempt WHERE attempt.letter = outbox.id
  AND attempt.step = 'body' AND attempt.code IS NULL AND outbox.state IN ('waiting', 'held')
)
"""
NEWEST = """
UPDATE invitation SET counts = FALSE WHERE EXISTS (
  SELECT 1 FROM invitation AS other
  WHERE other.participant = invitation.participant AND other.id > invitation.id
)
"""


def upgrade() -> None:
    op.add_column(
        "outbox", sa.Column("doubtful", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("invitation", sa.Column("doubts", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "invitation", sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.execute(UNKNOWN)
    op.execute(NEWEST)
