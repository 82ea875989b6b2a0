"""By which address letters compare: those about one follow-up to one address keep their order, of
whichever rows they are. Letters that wait from before have none, and keep only their row's.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("address_key", sa.Text()))
    is_open = sa.text("state IN ('waiting', 'sending', 'held')")
    op.create_index(
        "ix_outbox_open_to",
        "outbox",
        ["address_key", "follow_up", "id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
