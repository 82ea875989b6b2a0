"""Indexes for every look that walked through all rows of the past."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

PLACE = ["account", "folder", "uidvalidity", "uid"]


def upgrade() -> None:
    op.create_index("ix_follow_up_owner", "follow_up", ["owner"])
    op.create_index("ix_follow_up_edition", "follow_up", ["edition"])
    _partial("ix_follow_up_end_at", "follow_up", ["end_at"], "end_at IS NOT NULL")
    _partial("ix_follow_up_timeless", "follow_up", ["key"], "start_at IS NULL AND deadline IS NULL")
    _partial("ix_participant_note", "participant", ["note"], "note <> ''")
    op.create_index("ix_person_email_spelled", "person_email", [sa.text("lower(address)")])
    _partial(
        "ix_known_address_participant", "known_address", ["participant"], "participant IS NOT NULL"
    )
    op.create_index("ix_outbox_participant_id", "outbox", ["participant", "id"])
    _partial("ix_outbox_returned", "outbox", ["settled_at"], "state IN ('refused', 'dropped')")
    _partial("ix_inbox_unsettled", "inbox", PLACE, "outcome IS NULL")
    op.create_index("ix_journal_follow_up_tx_id", "journal", ["follow_up", "tx", "id"])
    op.drop_index("ix_journal_follow_up", table_name="journal")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    limit = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=limit, postgresql_where=limit)
