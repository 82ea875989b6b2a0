"""Whether the journal says of a row that it takes part: who is added or removed is told of once,
whoever wrote it. Of rows that were planned before nobody is told now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column(
        "participant",
        sa.Column("announced", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.execute("UPDATE participant SET announced = NOT removed WHERE planned_for <> ''")
