"""What is wrong is kept as the text and the facts of which its words were made, too."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.add_column("condition", sa.Column("phrase", sa.Text(), server_default="", nullable=False))
