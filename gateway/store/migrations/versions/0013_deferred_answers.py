"""An answer to what an invitee holds, while a move of it waits to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("invitation", sa.Column("deferred", sa.Text(), nullable=False, server_default=""))
