"""The tables. Names of columns that others write are a contract (contract.md §4); the rest is the
gateway's own.

`follow_up`, `follow_up_date`, `participant` and the directory say what should be, `schema_letters`
what was sent; `standing`, `inbox`, `journal` what came of it. People and follow-ups are named by
their keys, so that a row can be written with plain SQL.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from gateway.store.marked import Flag, Instant, Time, Words, Zone

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


Identity = sa.BigInteger().with_variant(Integer, "sqlite")
"""A generated number; SQLite counts only `INTEGER PRIMARY KEY`."""

SQLITE_INSTANT = "datetime({0}, '+0 days') IS {0} AND ({0} IS NULL OR {0} >= '0001')"
"""True for nothing but NULL and a real `YYYY-MM-DD HH:MM:SS` of our calendar: with the modifier, 30
February comes back as another day.
"""
LIKE = "is_like_2026_12_01_09_00_00"
"""How the names of those checks end: SQLite tells a writer nothing but the name."""


def _key(name: str, target: str, **options: Any) -> Column[str]:
    """A reference by key, following renames and, where the row cannot live without it,
    deletions.
    """
    cascade = (
        "CASCADE"
        if not options.get("nullable", True) or options.pop("cascade", False)
        else "SET NULL"
    )
    return Column(name, Words, ForeignKey(target, onupdate="CASCADE", ondelete=cascade), **options)


def flag(name: str, default: bool = False) -> Column[bool]:
    return Column(
        name, Boolean, nullable=False, server_default=sa.true() if default else sa.false()
    )


def words(name: str, default: str = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def said(name: str, default: str = "") -> Column[str]:
    """Words that other programs write."""
    return Column(name, Words, nullable=False, server_default=default)


def _switch(name: str, default: bool = False, *, unclear: bool = False) -> Column[bool]:
    """A flag that other programs write. `unclear`: what it is where nobody can read it."""
    usual = sa.true() if default else sa.false()
    return Column(name, Flag(unclear), nullable=False, server_default=usual)


def _zone(name: str) -> Column[str]:
    return Column(name, Zone, nullable=False, server_default="")


def now(name: str) -> Column[datetime]:
    return Column(name, Instant, nullable=False, server_default=sa.func.current_timestamp())


def _instants(*names: str) -> list[CheckConstraint]:
    """Instants that others write are checked on SQLite, which would take any text."""
    return [
        CheckConstraint(SQLITE_INSTANT.format(name), name=f"{name}_{LIKE}").ddl_if(dialect="sqlite")
        for name in names
    ]


def _there(table: str, column: str) -> Index:
    """An index of what is said in a column. Without NULLs: SQLite takes the index of what is not
    there for the shortest way, and one that is mostly NULL for no way at all.
    """
    there = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_{column}", column, sqlite_where=there, postgresql_where=there)


SERIES = text("rrule <> ''")
"""What the index of the series is limited to; a query must repeat this text."""
SOLD = text("sale <> ''")
"""The same for follow-ups that belong to a sale."""
NOTED = text("note <> ''")
"""The same for participants of whom something is noted."""
TIMELESS = text("start_at IS NULL AND deadline IS NULL")
"""The same for follow-ups that have no time at all."""
REFUSED = text("code IN (9, 13)")
"""The same for participants who declined."""
PLANNED = text("deadline IS NOT NULL")
"""The same for follow-ups with a deadline."""
UNSETTLED = text("outcome IS NULL")
"""The same for messages on which this program failed: they are tried again."""


company = Table("company", metadata, Column("key", Words, primary_key=True), said("name"))

associate = Table(
    "associate",
    metadata,
    Column("key", Words, primary_key=True),
    said("name"),
    said("email"),
    said("user_group"),
    said("language"),
    _zone("timezone"),
    _switch("invitable", True),
)

person = Table(
    "person",
    metadata,
    Column("key", Words, primary_key=True),
    said("name"),
    _key("company", "company.key"),
    said("language"),
    _zone("timezone"),
)

person_email = Table(
    "person_email",
    metadata,
    _key("person", "person.key", nullable=False),
    Column("position", Integer, nullable=False),
    Column("address", Words, nullable=False),
    sa.PrimaryKeyConstraint("person", "position"),
    Index(None, "address"),
    Index("ix_person_email_spelled", sa.func.lower(sa.column("address"))),
)

known_address = Table(
    "known_address",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    _key("person", "person.key", cascade=True),
    Column("participant", Identity, ForeignKey("participant.id", ondelete="CASCADE")),
    Column("address", Text, nullable=False),
    Column("plain", Text, nullable=False, index=True),
    words("source"),
    now("learned_at"),
    words("learned_by"),
    Column("message", Identity),
    Column("revoked_at", Instant),
    words("revoked_by"),
    CheckConstraint("(person IS NULL) <> (participant IS NULL)", name="one_holder"),
    *(
        Index(
            f"uq_known_address_{holder}",
            holder,
            "plain",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        )
        for holder in ("person", "participant")
    ),
    _there("known_address", "participant"),
    sqlite_autoincrement=True,
)

resource = Table(
    "resource",
    metadata,
    Column("key", Words, primary_key=True),
    said("name"),
    said("kind"),
    said("resource_group"),
    _switch("invitable", True),
)

project = Table("project", metadata, Column("key", Words, primary_key=True), said("name"))
selection = Table("selection", metadata, Column("key", Words, primary_key=True), said("name"))
project_member = Table(
    "project_member",
    metadata,
    _key("project", "project.key", nullable=False),
    _key("person", "person.key", nullable=False),
    sa.PrimaryKeyConstraint("project", "person"),
)
selection_member = Table(
    "selection_member",
    metadata,
    _key("selection", "selection.key", nullable=False),
    _key("person", "person.key", nullable=False),
    sa.PrimaryKeyConstraint("selection", "person"),
)

follow_up = Table(
    "follow_up",
    metadata,
    Column("key", Words, primary_key=True),
    said("kind", "meeting"),
    said("type"),
    _key("owner", "associate.key"),
    _key("assigned_by", "associate.key"),
    said("title"),
    said("agenda"),
    said("notes"),
    said("location"),
    said("video_url"),
    Column("start_at", Time),
    Column("end_at", Time),
    Column("deadline", Time),
    _switch("all_day"),
    _zone("timezone"),
    said("rrule"),
    said("guest_list", "auto"),
    _switch("cancelled"),
    said("cancel_reason"),
    Column("answer_by", Time),
    _key("company", "company.key"),
    _key("person", "person.key"),
    _key("project", "project.key"),
    said("sale"),
    said("availability", "busy"),
    Column("alarm_minutes", Integer),
    said("priority"),
    _switch("completed"),
    _switch("private", unclear=True),  # shown to nobody whom it does not concern
    said("fields", "{}"),
    Column("uid", Text, unique=True),
    Column("sequence", Integer, nullable=False, server_default="0"),
    Column("edition", Identity, index=True),
    now("created_at"),
    words("created_by"),
    Column("changed_at", Instant),
    words("changed_by"),
    flag("forgotten"),
    CheckConstraint("kind IN ('meeting', 'task', 'call')", name="kind"),
    CheckConstraint("guest_list IN ('auto', 'public', 'private')", name="guest_list"),
    CheckConstraint("availability IN ('busy', 'free')", name="availability"),
    *(
        _there("follow_up", column)
        for column in ("answer_by", "start_at", "end_at", "deadline", "assigned_by", "changed_at")
    ),
    Index("ix_follow_up_series", "start_at", sqlite_where=SERIES, postgresql_where=SERIES),
    Index(
        "ix_follow_up_forgotten",
        "key",
        sqlite_where=text("forgotten = 1"),
        postgresql_where=text("forgotten"),
    ),
    Index(
        "ix_follow_up_planned",
        "owner",
        "deadline",
        sqlite_where=PLANNED,
        postgresql_where=PLANNED,
    ),
    Index("ix_follow_up_timeless", "key", sqlite_where=TIMELESS, postgresql_where=TIMELESS),
    *_instants("start_at", "end_at", "deadline", "answer_by"),
)

follow_up_date = Table(
    "follow_up_date",
    metadata,
    _key("follow_up", "follow_up.key", nullable=False),
    Column("original_start", Time, nullable=False),
    Column("start_at", Time),
    Column("end_at", Time),
    _switch("cancelled"),
    said("cancel_reason"),
    sa.PrimaryKeyConstraint("follow_up", "original_start"),
    _there("follow_up_date", "start_at"),
    Index("ix_follow_up_date_original_start", "original_start"),
    *_instants("original_start", "start_at", "end_at"),
)

INVITEE = ("person", "associate", "resource", "email")
"""Columns of a participant; one of them says who it is."""

participant = Table(
    "participant",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    _key("follow_up", "follow_up.key", nullable=False),
    _key("person", "person.key", cascade=True),
    _key("associate", "associate.key", cascade=True),
    _key("resource", "resource.key", cascade=True),
    Column("email", Words),
    said("name"),
    Column("original_start", Time),
    _switch("email_invite", unclear=True),  # takes no invitation away
    _switch("removed"),
    Column("set_status", Integer),
    Column("code", Integer),
    Column("given_token", Text, unique=True),
    flag("conflict"),
    words("note"),
    now("created_at"),
    words("planned_for"),
    flag("announced"),
    said("priority"),
    Column("alarm_minutes", Integer),
    CheckConstraint(
        " + ".join(f"(CASE WHEN {column} IS NULL THEN 0 ELSE 1 END)" for column in INVITEE)
        + " = 1",
        name="one_invitee",
    ),
    CheckConstraint("set_status IN (1, 5, 9)", name="set_status"),
    *_instants("original_start"),
    # Once for all of the follow-up, and once for each date of it.
    *(
        Index(
            f"uq_participant_{invitee}",
            "follow_up",
            invitee,
            unique=True,
            sqlite_where=text("original_start IS NULL"),
            postgresql_where=text("original_start IS NULL"),
        )
        for invitee in INVITEE
    ),
    *(
        Index(f"uq_participant_{invitee}_date", "follow_up", invitee, "original_start", unique=True)
        for invitee in INVITEE
    ),
    _there("participant", "original_start"),
    Index("ix_participant_of_person", "person"),
    Index("ix_participant_of_associate", "associate", "code"),
    Index("ix_participant_refused", "follow_up", sqlite_where=REFUSED, postgresql_where=REFUSED),
    Index("ix_participant_of_resource", "resource"),
    Index("ix_participant_note", "note", sqlite_where=NOTED, postgresql_where=NOTED),
    sqlite_autoincrement=True,
)


def _answer() -> list[Column[Any]]:
    """What is kept of one participant's answer, to all of a follow-up or to one date."""
    whose = ForeignKey("participant.id", ondelete="CASCADE")
    key: list[Column[Any]] = [
        Column("participant", Identity, whose, nullable=False),
        Column("instance", Text, nullable=False, server_default=""),
    ]
    answer: list[Column[Any]] = [
        words("reply", "needs-action"),
        flag("seen"),
        flag("moved"),
        flag("cancelled"),
        words("progress", "not_started"),
        words("comment"),
    ]
    evidence: list[Column[Any]] = [
        Column("channel", Text),
        words("address"),
        Column("replied_at", Instant),
        Column("sequence", Integer),
        Column("dtstamp", Instant),
        Column("arrived", Instant),
        Column("asked", Integer, nullable=False, server_default="0"),
    ]
    return [*key, *answer, *evidence]


standing = Table(
    "standing", metadata, *_answer(), sa.PrimaryKeyConstraint("participant", "instance")
)

former_standing = Table(
    "former_standing",
    metadata,
    *_answer(),
    Column("edition", Identity, nullable=False),
    flag("absent"),
    sa.PrimaryKeyConstraint("participant", "instance"),
)
"""Standings as they were before a change that nobody has been told of (`store.braked`); `absent`:
there was no row.
"""

proposal = Table(
    "proposal",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column(
        "participant",
        Identity,
        ForeignKey("participant.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    words("instance"),
    words("proposed_start"),
    words("proposed_end"),
    words("location"),
    words("comment"),
    words("address"),
    Column("sequence", Integer, nullable=False, server_default="0"),
    Column("message", Identity),
    words("state", "open"),
    now("created_at"),
    Column("settled_at", Instant),
    words("settled_by"),
    CheckConstraint("state IN ('open', 'accepted', 'declined', 'overtaken')", name="state"),
    Index(
        "uq_proposal_open",
        "participant",
        "instance",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    sqlite_autoincrement=True,
)

delegation = Table(
    "delegation",
    metadata,
    Column(
        "participant",
        Identity,
        ForeignKey("participant.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column(
        "delegate",
        Identity,
        ForeignKey("participant.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    now("created_at"),
)


mailbox = Table(
    "mailbox",
    metadata,
    Column("account", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("uidvalidity", sa.BigInteger, nullable=False),
    Column("uid", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("account", "folder"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    words("account"),
    words("folder"),
    Column("uidvalidity", sa.BigInteger),
    Column("uid", sa.BigInteger),
    Column("arrived_at", Instant, nullable=False),
    words("message_id"),
    Column("digest", Text, nullable=False, index=True),
    words("object"),
    words("from_address"),
    words("subject"),
    Column("size", Integer, nullable=False),
    Column("outcome", Text),
    words("reason"),
    words("detail", "{}"),
    Column("follow_up", Text),
    Column("participant", Identity),
    words("instance"),
    Column("raw", LargeBinary),
    words("destination"),
    flag("moved"),
    Column("tries", Integer, nullable=False, server_default="0"),
    now("recorded_at"),
    Index("uq_inbox_place", "account", "folder", "uidvalidity", "uid", unique=True),
    Index("ix_inbox_answer", "participant", "message_id"),
    Index(
        "ix_inbox_review",
        "arrived_at",
        "id",
        sqlite_where=text("raw IS NOT NULL"),
        postgresql_where=text("raw IS NOT NULL"),
    ),
    Index(
        "ix_inbox_waiting",
        "follow_up",
        sqlite_where=text("raw IS NOT NULL AND follow_up IS NOT NULL"),
        postgresql_where=text("raw IS NOT NULL AND follow_up IS NOT NULL"),
    ),
    Index(
        "ix_inbox_unsettled",
        "account",
        "folder",
        "uidvalidity",
        "uid",
        sqlite_where=UNSETTLED,
        postgresql_where=UNSETTLED,
    ),
    Index(
        "ix_inbox_unmoved",
        "account",
        "folder",
        sqlite_where=text("moved = 0 AND destination <> ''"),
        postgresql_where=text("NOT moved AND destination <> ''"),
    ),
    sqlite_autoincrement=True,
)

journal = Table(
    "journal",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    now("at"),
    Column("event", Text, nullable=False),
    Column("follow_up", Text),
    Column("participant", Identity, index=True),
    words("instance"),
    words("before"),
    words("after"),
    words("by"),
    words("channel"),
    Column("letter", Identity),
    Column("message", Identity),
    words("detail"),
    Column("tx", sa.BigInteger, nullable=False, server_default="0"),
    words("who"),
    Column("decision", Identity),
    sa.Index(None, "tx", "id"),
    sa.Index(None, "follow_up", "tx", "id"),
    sqlite_autoincrement=True,
)

change_mark = Table(
    "change_mark",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("follow_up", Words, nullable=False, index=True),
    now("at"),
    flag("single"),
    words("source"),
    sqlite_autoincrement=True,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", sa.BigInteger, nullable=False, server_default="1"),
    Column("expires_at", Instant, nullable=False),
)

condition = Table(
    "condition",
    metadata,
    Column("gateway", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("phrase", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
    Column("seen", Instant, nullable=False),
    sa.PrimaryKeyConstraint("gateway", "subject"),
)
"""What gateways found wrong; `gateway` "" where it is said of the installation as a whole."""

meta = Table(
    "meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False)
)
