"""Invitations for one date of what their row is for, and which entry of a calendar a letter is
about: letters about different dates need not wait for each other. Of those that wait from before it
is not known, so they do.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    for table, name in (("invitation", "date"), ("outbox", "entry")):
        op.add_column(table, sa.Column(name, sa.Text(), server_default="", nullable=False))
