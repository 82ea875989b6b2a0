"""Invitations of those who had a row before it was given to somebody else: they do not speak for
it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column(
        "invitation",
        sa.Column("former", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
