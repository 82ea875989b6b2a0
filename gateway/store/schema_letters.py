"""The tables of what is sent: what was said to whom, the letters, how each try ended, and what an
account may still send.

`edition`, `invitation` and `outbox` carry no foreign keys to rows that others may delete: an
invitee of a follow-up that is gone is still owed a CANCEL.
"""

import sqlalchemy as sa
from sqlalchemy import Column, Float, Index, Integer, Table, Text, text

from gateway.store.marked import Instant
from gateway.store.schema import Identity, flag, metadata, now, words

RETURNED = text("state IN ('refused', 'dropped')")
"""What the index of letters that came back or were given up is limited to; a query must repeat this
text.
"""

edition = Table(
    "edition",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("follow_up", Text, nullable=False, index=True),
    Column("facts", Text, nullable=False),
    now("created_at"),
    sqlite_autoincrement=True,
)

invitation = Table(
    "invitation",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("participant", Identity, nullable=False, index=True),
    Column("follow_up", Text, nullable=False, index=True),
    Column("uid", Text, nullable=False, index=True),
    Column("token", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False, index=True),
    Column("address", Text, nullable=False),
    words("name"),
    words("language"),
    words("timezone"),
    words("organizer_address"),
    words("bounce_address"),
    Column("sent_edition", Identity),
    Column("sent_method", Text),
    Column("sent_sequence", Integer),
    Column("sent_at", Instant),
    words("doubts"),
    words("deferred"),
    Column("top_sequence", Integer),
    Column("top_dtstamp", Instant),
    flag("again"),
    words("again_because"),
    words("again_instance"),
    Column("refreshed_at", Instant),
    Column("reminded_sequence", Integer),
    words("delivery", "none"),
    words("delivery_text"),
    flag("refused"),
    flag("counts", True),
    now("created_at"),
    flag("former"),
    words("date"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("invitation", Identity, nullable=False, index=True),
    Column("participant", Identity, nullable=False),
    Column("follow_up", Text, nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    words("instance"),
    words("entry"),
    Column("edition", Identity, nullable=False),
    Column("before", Identity),
    flag("withdrawn"),
    Column("dtstamp", Instant, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("address_key", Text),
    words("domain"),
    words("address_name"),
    words("organizer_address"),
    words("bounce_address"),
    words("language"),
    words("timezone"),
    Column("token", Text, nullable=False),
    words("reply", "needs-action"),
    words("state", "waiting"),
    words("note"),
    Column("tries", Integer, nullable=False, server_default="0"),
    flag("doubtful"),
    Column("due_at", Instant, nullable=False),
    Column("claimed_by", Text),
    now("created_at"),
    Column("settled_at", Instant),
    words("remarks", "{}"),
    Column("changed_at", Instant),
    Index(
        "ix_outbox_due",
        "account",
        "due_at",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_outbox_destined",
        "account",
        "domain",
        "due_at",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_outbox_claimed",
        "claimed_by",
        sqlite_where=text("state = 'sending'"),
        postgresql_where=text("state = 'sending'"),
    ),
    Index(
        "ix_outbox_open",
        "participant",
        "id",
        sqlite_where=text("state IN ('waiting', 'sending', 'held')"),
        postgresql_where=text("state IN ('waiting', 'sending', 'held')"),
    ),
    Index(
        "ix_outbox_open_to",
        "address_key",
        "follow_up",
        "id",
        sqlite_where=text("state IN ('waiting', 'sending', 'held')"),
        postgresql_where=text("state IN ('waiting', 'sending', 'held')"),
    ),
    Index(
        "ix_outbox_changed_at",
        "changed_at",
        sqlite_where=text("changed_at IS NOT NULL"),
        postgresql_where=text("changed_at IS NOT NULL"),
    ),
    Index(
        "ix_outbox_held",
        "id",
        sqlite_where=text("state = 'held'"),
        postgresql_where=text("state = 'held'"),
    ),
    Index("ix_outbox_returned", "settled_at", sqlite_where=RETURNED, postgresql_where=RETURNED),
    Index(None, "participant", "id"),
    sqlite_autoincrement=True,
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("letter", Identity, nullable=False, index=True),
    Column("started_at", Instant, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("code", Integer),
    words("enhanced"),
    words("text"),
    words("host"),
)

pace = Table(
    "pace",
    metadata,
    Column("account", Text, nullable=False),
    words("domain"),
    Column("seconds", Integer, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("letters", Integer, nullable=False),
    sa.PrimaryKeyConstraint("account", "domain", "seconds"),
)

rest = Table(
    "rest",
    metadata,
    Column("account", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("why", Text, nullable=False),
    words("words"),
)
