"""The tables of webhooks: where a CRM wants to hear of events, and what it is still to be told."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, text

from gateway.store.marked import Instant
from gateway.store.schema import Identity, flag, metadata, said, words

WAITING = text("state = 'waiting'")
"""What the indexes of what is still to be told are limited to."""


webhook = Table(
    "webhook",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False),
    words("types", "[]"),
    Column("secret", Text, nullable=False),
    words("former_secret"),
    Column("former_until", Instant),
    flag("active", True),
    words("trouble"),
    Column("failing_since", Instant),
    Column("rest_until", Instant),
    Column("after", Identity, nullable=False),
    words("created_by"),
    words("access", "crm"),
    Column("created_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)
"""`types`: a JSON list, empty for all; `trouble`: what the receiver said last, where that was no
success; `rest_until`: nothing is tried before that, because nobody answers there; `after`: the
journal entry up to which its deliveries are written; `created_by`: the connection whose it is,
`access`: the kind of that connection, and so what it may be told.
"""

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("id", Identity, primary_key=True, autoincrement=True),
    Column("webhook", Identity, ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    Column("event", Identity),
    said("follow_up"),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    words("state", "waiting"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("code", Integer),
    words("words"),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Index(
        "ix_webhook_delivery_due",
        "webhook",
        "follow_up",
        "id",
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    ),
    Index("ix_webhook_delivery_webhook", "webhook", "id"),
    Index("ix_webhook_delivery_settled_at", "settled_at"),
    sqlite_autoincrement=True,
)
"""One event for one webhook, with the body as it leaves, each time the same. `event`: the journal
entry, NULL for a trial; `state`: waiting, delivered, given_up.
"""
