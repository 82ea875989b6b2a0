"""The tables of what an administrator defines, of what waits for a person, and of who is busy when
(domain.md §5, §9, §11).

Types, fields, groups and sales are named by keys that follow-ups and people hold as plain text: a
row of plain SQL may say one that nobody has defined. `decision` and `diary_entry` are the
gateway's own: made from the record and from what came in, in the transaction of the cause.
"""

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text

from gateway.store.marked import Instant, Words
from gateway.store.schema import Identity, flag, metadata, said, words

OPEN = text("closed_at IS NULL")
"""What the indexes of open decisions are limited to; a query must repeat this text."""


follow_up_type = Table(
    "follow_up_type",
    metadata,
    Column("key", Words, primary_key=True),
    said("name_nb"),
    said("name_en"),
    said("kind", "meeting"),
    said("colour"),
    Column("position", Integer, nullable=False, server_default="0"),
    CheckConstraint("kind IN ('meeting', 'task', 'call')", name="kind"),
)
"""A predefined type (help page 003), by the key that `follow_up.type` holds. `colour`: #rrggbb."""

field_definition = Table(
    "field_definition",
    metadata,
    Column("key", Words, primary_key=True),
    said("name_nb"),
    said("name_en"),
    said("type", "text"),
    flag("required"),
    said("choices", "[]"),
    Column("position", Integer, nullable=False, server_default="0"),
    CheckConstraint("type IN ('text', 'number', 'date', 'yes-no', 'choice')", name="type"),
)
"""A user-defined field of follow-ups; its values stand in `follow_up.fields`, a JSON object by
key.
"""

user_group = Table("user_group", metadata, Column("key", Words, primary_key=True), said("name"))
resource_group = Table(
    "resource_group", metadata, Column("key", Words, primary_key=True), said("name")
)

sale = Table(
    "sale",
    metadata,
    Column("key", Words, primary_key=True),
    said("name"),
    Column("company", Words, ForeignKey("company.key", onupdate="CASCADE", ondelete="SET NULL")),
    Index("ix_sale_company", "company"),
)

preference = Table(
    "preference",
    metadata,
    said("associate"),
    Column("name", Text, nullable=False),
    words("value"),
    sa.PrimaryKeyConstraint("associate", "name"),
)
"""Preferences as JSON values; `associate` "" is the site."""

decision = Table(
    "decision",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("follow_up", Text),
    Column("participant", Identity),
    words("instance"),
    said("associate"),
    words("subject"),
    words("detail", "{}"),
    Column("message", Identity),
    Column("proposal", Identity),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    words("closed_by"),
    words("choice"),
    Index("ix_decision_open", "associate", "id", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_decision_open_of", "follow_up", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_decision_open_all", "id", sqlite_where=OPEN, postgresql_where=OPEN),
    Index("ix_decision_participant", "participant"),
    Index("ix_decision_subject", "subject"),
    Index(
        "uq_decision_open",
        "kind",
        "subject",
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    ),
    sqlite_autoincrement=True,
)
"""What waits for a person, or waited. `associate`: for whom, "" where it is for administrators;
`subject`: by what the same one is known again (a message, a proposal, an answer, a webhook), of
which one of a kind is open at most; `choice`: with what it was closed, "" where it closed by
itself.
"""

LASTING = text("lasting")
"""What the index of entries that last long is limited to; a query says it, too."""

diary_entry = Table(
    "diary_entry",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("who", Words, nullable=False),
    Column("follow_up", Words, nullable=False),
    Column("participant", Identity),
    words("instance"),
    Column("start_at", Instant, nullable=False),
    Column("end_at", Instant, nullable=False),
    flag("lasting"),
    flag("busy", True),
    flag("conflict"),
    Index("ix_diary_entry_of", "who", "start_at"),
    Index(
        "ix_diary_entry_lasting", "who", "end_at", sqlite_where=LASTING, postgresql_where=LASTING
    ),
    Index("ix_diary_entry_follow_up", "follow_up"),
    Index("ix_diary_entry_participant", "participant"),
)
"""When associates and resources are occupied, date by date; of series in a bounded window. `who`:
kind and key, as `followups.Member.who`; `participant` is NULL for an owner without a row;
`lasting`: longer than `diary.SHORT`, so that those around a moment are found by their start;
`busy`: it keeps others out (availability, and the row's own status). Without foreign keys: what is
deleted stays here until the planner has told those whom it kept out.
"""

diary_series = Table(
    "diary_series",
    metadata,
    Column("who", Words, nullable=False),
    Column("follow_up", Words, nullable=False),
    Column("start_at", Instant, nullable=False),
    Column("end_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    sa.PrimaryKeyConstraint("who", "follow_up"),
    Index("ix_diary_series_follow_up", "follow_up"),
    Index("ix_diary_series_of", "who", "end_at"),
    Index("ix_diary_series_until", "until", "follow_up"),
)
"""In which series an associate or resource takes part, from when to when. `until`: its dates before
that have entries; the daily job moves it on.
"""

diary_view = Table(
    "diary_view",
    metadata,
    Column(
        "associate",
        Words,
        ForeignKey("associate.key", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("name", Text, nullable=False),
    words("whose", "[]"),
    sa.PrimaryKeyConstraint("associate", "name"),
)
"""A group of diaries that an associate looks at again and again. `whose`: a JSON list of KIND:KEY,
in the order in which they stand side by side.
"""
