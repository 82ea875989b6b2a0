"""The indexes of lists (`store.filters`): one for each filter, in the order of its list, so that a
page is read from its place on and nothing is sorted.

An index of what is said in a column is without NULLs: SQLite takes the index of what is not there
for the shortest way, and one that is mostly NULL for no way at all.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Index, Text, text
from sqlalchemy.ext.compiler import compiles

from gateway.store.schema import (
    SOLD,
    follow_up,
    journal,
    metadata,
    participant,
    person,
)
from gateway.store.schema_letters import invitation

__all__ = ["metadata"]

LINKS = ("owner", "company", "person", "project")
"""What a follow-up hangs on."""


class Folded(sa.sql.functions.FunctionElement[str]):
    """A text in small letters (of ASCII, which SQLite knows alone), in the order of its characters
    and not as people of some country sort: only so are the texts together that begin alike.
    """

    inherit_cache = True
    type = Text()


@compiles(Folded)
def _folded(element: Folded, compiler: Any, **options: Any) -> str:
    clause = compiler.process(element.clauses, **options)
    plain = compiler.dialect.name == "sqlite"
    return f"lower({clause})" if plain else f'lower({clause} COLLATE "C")'


def _limited(name: str, *columns: Any, sqlite: str, postgresql: str) -> None:
    """An index of some rows; a query must repeat its text to use it."""
    Index(f"ix_{name}", *columns, sqlite_where=text(sqlite), postgresql_where=text(postgresql))


def _there(name: str, column: sa.Column[Any], *then: sa.Column[Any]) -> None:
    condition = f"{column.name} IS NOT NULL"
    _limited(name, column, *then, sqlite=condition, postgresql=condition)


ROW = follow_up.c
for link in LINKS:
    _there(f"follow_up_{link}", ROW[link], ROW.key)
_limited("follow_up_sale", ROW.sale, ROW.key, sqlite=SOLD.text, postgresql=SOLD.text)
Index("ix_follow_up_kind", ROW.kind, ROW.key)
Index("ix_follow_up_type", ROW.type, ROW.key)
Index("ix_follow_up_begins", sa.func.coalesce(ROW.start_at, ROW.deadline), ROW.key)
Index("ix_follow_up_title", Folded(ROW.title), ROW.key)
_limited(
    "follow_up_unfinished",
    ROW.key,
    sqlite="completed = 0 AND cancelled = 0",
    postgresql="NOT completed AND NOT cancelled",
)
_limited(
    "follow_up_finished",
    ROW.key,
    sqlite="completed = 1 OR cancelled = 1",
    postgresql="completed OR cancelled",
)
_limited("follow_up_cancelled", ROW.key, sqlite="cancelled = 1", postgresql="cancelled")

Index("ix_participant_code", participant.c.code, participant.c.id)
Index("ix_participant_email", sa.func.lower(participant.c.email))
_limited("participant_conflict", participant.c.id, sqlite="conflict = 1", postgresql="conflict")
_there("person_company", person.c.company)
_limited(
    "invitation_delivery",
    invitation.c.delivery,
    invitation.c.participant,
    sqlite="counts = 1",
    postgresql="counts",
)
Index("ix_journal_at", journal.c.at)
