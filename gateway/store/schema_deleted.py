"""The tables of what was deleted, as it stood (`store.deleted`): triggers write them, in the
transaction that deletes.

The columns are those of the record, without its constraints: a deletion that is allowed must not
fail on its copy.
"""

import sqlalchemy as sa
from sqlalchemy import Column, Table

from gateway.store.schema import (
    Identity,
    delegation,
    follow_up,
    known_address,
    metadata,
    now,
    participant,
    proposal,
    standing,
)


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
deleted_proposal = _copy(proposal, "participant")
deleted_delegation = _copy(delegation, "participant")
deleted_known_address = _copy(known_address, "participant")
COPIES = {follow_up: deleted_follow_up, participant: deleted_participant}
"""Of which tables triggers keep what is deleted."""
HANGING = {
    standing: deleted_standing,
    proposal: deleted_proposal,
    delegation: deleted_delegation,
    known_address: deleted_known_address,
}
"""What goes with a participant, and is copied with it."""


def of_participant(table: Table) -> list[str]:
    """The columns of a table that name participants, in the order of the table."""
    return [
        column.name
        for column in table.columns
        if any(key.column.table is participant for key in column.foreign_keys)
    ]
