"""The tables of what was deleted, as it stood (`store.deleted`): triggers write them, in the
transaction that deletes.

The columns are those of the record, without its constraints: a deletion that is allowed must not
fail on its copy.
"""

import sqlalchemy as sa
from sqlalchemy import Column, Table

from gateway.store.schema import Identity, follow_up, metadata, now, participant, standing


def _copy(table: Table, indexed: str) -> Table:
    """`indexed`: the column by which copies are found."""
    columns = [Column(column.name, column.type) for column in table.columns]
    return Table(
        f"deleted_{table.name}",
        metadata,
        Column("number", Identity, primary_key=True, autoincrement=True),
        now("deleted_at"),
        *columns,
        sa.Index(f"ix_deleted_{table.name}", indexed),
        sqlite_autoincrement=True,
    )


deleted_follow_up = _copy(follow_up, "key")
deleted_participant = _copy(participant, "follow_up")
deleted_standing = _copy(standing, "participant")
COPIES = {follow_up: deleted_follow_up, participant: deleted_participant}
"""The tables whose deleted rows triggers keep; standings go with their participant."""
