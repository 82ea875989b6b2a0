"""Whose a row was when something happened to it, where it was given to somebody else since."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("journal", sa.Column("who", sa.Text(), server_default="", nullable=False))
