"""A store with many rows of everything that grows, by a few statements; and what each statement
costs that is run on it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from gateway.store.engine import Store

GROWS = frozenset(
    {
        "attempt",
        "decision",
        "delegation",
        "diary_entry",
        "diary_series",
        "edition",
        "follow_up",
        "follow_up_date",
        "inbox",
        "invitation",
        "journal",
        "known_address",
        "outbox",
        "participant",
        "person",
        "person_email",
        "proposal",
        "standing",
    }
)
"""Tables with a row for each follow-up, person, letter or message. The others have a row for each
account, gateway or colleague, or for what waits at the moment (`change_mark`).
"""
CURRENT = frozenset(
    {
        "ix_decision_open",
        "ix_decision_open_all",
        "ix_follow_up_forgotten",
        "ix_follow_up_series",
        "ix_follow_up_timeless",
        "ix_inbox_review",
        "ix_inbox_unsettled",
        "ix_outbox_claimed",
        "ix_outbox_destined",
        "ix_outbox_due",
        "ix_outbox_held",
        "ix_outbox_open",
        "uq_proposal_open",
    }
)
"""Indexes that hold nothing but what is open: one may be read from its beginning to its end."""
EACH = 10
"""Participants of each follow-up."""
COLLEAGUES = 50
STEP = 100
"""So many instructions of SQLite's machine are counted at a time."""

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})"
FILL = (
    """associate (key, name, email) {colleagues}
       SELECT 'a' || i, 'Colleague ' || i, 'a' || i || '@crm.example' FROM n""",
    """person (key, name) {people} SELECT 'p' || i, 'Person ' || i FROM n""",
    """person_email (person, position, address) {people}
       SELECT 'p' || i, 0, 'p' || i || '@ext.example' FROM n""",
    """follow_up (key, owner, title, timezone, uid, start_at, end_at, edition, sequence)
       {follow_ups} SELECT 'f' || i, 'a' || (i % 50 + 1), 'Meeting ' || i, 'Europe/Oslo',
       'f' || i || '@crm.example', {before_days}, {before_days}, i, 0 FROM n""",
    """edition (follow_up, facts) {follow_ups} SELECT 'f' || i, '{{}}' FROM n""",
    """follow_up_date (follow_up, original_start, start_at) {follow_ups}
       SELECT 'f' || i, {before_days}, {before_days} FROM n WHERE i % 200 = 0""",
    """participant (id, follow_up, person, associate, email_invite, code) {rows}
       SELECT i, 'f' || ((i - 1) / 10 + 1),
       CASE WHEN i % 5 > 0 THEN 'p' || ((i - 1) % 1000 + 1 + (i - 1) / 10 % 10) END,
       CASE WHEN i % 5 = 0 THEN 'a' || (i % 50 + 1) END, TRUE, 3 FROM n""",
    """standing (participant, instance, reply) {rows} SELECT i, '', 'accepted' FROM n""",
    """invitation (participant, follow_up, uid, token, account, address, sent_edition, sent_method,
       sent_sequence, top_sequence, sent_at, delivery, created_at) {rows}
       SELECT i, 'f' || ((i - 1) / 10 + 1), 'f' || ((i - 1) / 10 + 1) || '@crm.example',
       'token' || i, 'default', 'p' || i || '@ext.example', (i - 1) / 10 + 1, 'REQUEST', 0, 0,
       {past}, 'sent', {past} FROM n""",
    """outbox (invitation, participant, follow_up, method, sequence, edition, dtstamp, message_id,
       account, address, domain, token, state, due_at, settled_at) {rows}
       SELECT i, i, 'f' || ((i - 1) / 10 + 1), 'REQUEST', 0, (i - 1) / 10 + 1, {past},
       i || '@crm.example', 'default', 'p' || i || '@ext.example', 'ext.example', 'token' || i,
       CASE WHEN i % 50 = 0 THEN 'refused' ELSE 'sent' END, {past}, {past} FROM n""",
    """attempt (letter, started_at, seconds, verdict, step, code) {rows}
       SELECT i, {past}, 0.1, 'sent', 'body', 250 FROM n""",
    """inbox (account, folder, uidvalidity, uid, arrived_at, message_id, digest, object, size,
       outcome, reason, participant, follow_up, destination, moved, recorded_at) {rows}
       SELECT 'default', 'INBOX', 1, i, {past}, i || '@ext.example', 'digest' || i,
       'object' || i, 1000, 'applied', 'accepted', i, 'f' || ((i - 1) / 10 + 1), 'processed', TRUE,
       {past} FROM n""",
    """journal (event, follow_up, participant, message, at, tx) {rows}
       SELECT 'applied', 'f' || ((i - 1) / 10 + 1), i, i, {past}, {transaction} FROM n""",
    """diary_entry (who, follow_up, start_at, end_at) {follow_ups}
       SELECT 'associate:a' || (i % 50 + 1), 'f' || i, {before_days}, {before_days} FROM n""",
    """diary_entry (who, follow_up, participant, start_at, end_at, busy) {rows}
       SELECT 'associate:a' || (i % 50 + 1), 'f' || ((i - 1) / 10 + 1), i, {past}, {past}, FALSE
       FROM n WHERE i % 5 = 0""",
    """diary_series (who, follow_up, start_at, end_at, until) {follow_ups}
       SELECT 'associate:a' || (i % 50 + 1), 'f' || i, {past}, {past}, {ever} FROM n
       WHERE i % 4 = 0""",
    """proposal (participant, proposed_start, state) {rows}
       SELECT i, '2026-12-01T08:00:00Z', 'declined' FROM n WHERE i % 4 = 0""",
    """decision (kind, follow_up, participant, associate, subject, opened_at, closed_at, closed_by,
       choice) {rows} SELECT 'declined', 'f' || ((i - 1) / 10 + 1), i, 'a' || (i % 50 + 1),
       'answer ' || i, {past}, {past}, 'kari', 'acknowledge' FROM n""",
    """known_address (person, address, plain) {people}
       SELECT 'p' || i, 'q' || i || '@ext.example', 'q' || i || '@ext.example' FROM n""",
)
"""Everything is over: an installation that has run for years."""


def fill(store: Store, rows: int) -> None:
    """So many participants, each with a letter that left and an answer; nothing waits."""
    if store.is_sqlite:
        past, before_days = "'2020-01-01 08:00:00'", "datetime('now', '-' || (i + 2) || ' hours')"
        transaction, ever = "0", "'9999-01-01 00:00:00'"
    else:
        past, before_days = (
            "timestamptz '2020-01-01 08:00:00+00'",
            "date_trunc('second', now()) - (i + 2) * interval '1 hour'",
        )
        transaction, ever = "i / 50", "timestamptz '9999-01-01 00:00:00+00'"
    numbers = {
        "colleagues": NUMBERS.format(most=COLLEAGUES),
        "people": NUMBERS.format(most=max(1100, rows // EACH)),
        "follow_ups": NUMBERS.format(most=rows // EACH),
        "rows": NUMBERS.format(most=rows),
    }
    with store.write() as connection:
        for statement in FILL:
            filled = statement.format(
                past=past,
                before_days=before_days,
                transaction=transaction,
                ever=ever,
                **numbers,
            )
            escaped = filled if store.is_sqlite else filled.replace("%", "%%")
            connection.exec_driver_sql(f"INSERT INTO {escaped}")
        connection.exec_driver_sql("DELETE FROM change_mark")
        if not store.is_sqlite:
            connection.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence('participant', 'id'), max(id))"
                " FROM participant"
            )
        connection.exec_driver_sql("ANALYZE")


@dataclass
class Cost:
    """What a statement needs. `steps`: the rows that it looks at (PostgreSQL) or instructions of
    SQLite's machine, triggers included, the most of all its runs; `scans`: the steps of its plan
    that walk through a table that grows.
    """

    statement: str
    steps: int = 0
    scans: list[str] = field(default_factory=list)
    run: int = 0

    def count(self, steps: int) -> None:
        self.run += steps
        self.steps = max(self.steps, self.run)


@contextmanager
def costs(store: Store) -> Iterator[dict[str, Cost]]:
    """Every statement that is run meanwhile, by its text."""
    found = dict[str, Cost]()
    gauge = _Instructions() if store.is_sqlite else _Rows()

    def before(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            cost = found.setdefault(statement, Cost(statement))
            cost.run = 0
            raw = connection.connection.dbapi_connection
            # A statement that is run for many rows is looked at with the first of them.
            first = parameters[0] if isinstance(parameters, list) else parameters
            gauge.look(raw, cost, first)
        else:
            gauge.rest()

    sa.event.listen(store.engine, "before_cursor_execute", before)
    try:
        yield found
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", before)
        store.close()  # with the connections that are counted


class _Instructions:
    """SQLite's plan, and how many instructions its machine takes (sqlite3_progress_handler)."""

    def __init__(self) -> None:
        self._current: Cost | None = None

    def look(self, raw: Any, cost: Cost, parameters: Any) -> None:
        self.rest()
        # What a new row refers to is found by its key; the plan names what might refer to it.
        if not cost.scans and not cost.statement.startswith("INSERT"):
            plan = raw.execute(f"EXPLAIN QUERY PLAN {cost.statement}", parameters).fetchall()
            cost.scans = [line for *_, line in plan if _walks(line, _aliases(cost.statement))]
        raw.set_progress_handler(self._count, STEP)
        self._current = cost

    def rest(self) -> None:
        """What runs now is no statement of ours."""
        self._current = None

    def _count(self) -> int:
        if self._current is not None:
            self._current.count(STEP)
        return 0


def _walks(line: str, aliases: dict[str, str]) -> bool:
    words = line.split()
    return (
        words[0] == "SCAN"
        and aliases.get(words[1], words[1]) in GROWS
        and not CURRENT.intersection(words)
    )


def _aliases(statement: str) -> dict[str, str]:
    """The names that a statement gives to tables → the tables."""
    words = re.findall(r"\w+", statement)
    return {
        alias: table
        for table, word, alias in zip(words, words[1:], words[2:], strict=False)
        if word == "AS" and table in GROWS
    }


class _Rows:
    """PostgreSQL's plan; of what only reads, with the rows that it looks at. Plans that walk through
    a table are avoided where there is any other: a table of this size is soon read as a whole.
    """

    def look(self, raw: Any, cost: Cost, parameters: Any) -> None:
        reads = cost.statement.startswith(("SELECT", "WITH"))
        options = "ANALYZE, TIMING OFF, FORMAT JSON" if reads else "FORMAT JSON"
        with raw.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN ({options}) {cost.statement}", parameters)
            [[[plan]]] = cursor.fetchall()
            cursor.execute("SET enable_seqscan = on")
        cost.scans = []
        self._walk(plan["Plan"], cost)

    def rest(self) -> None:
        """Nothing is counted but by plans."""

    def _walk(self, node: dict[str, Any], cost: Cost) -> None:
        if node.get("Relation Name") in GROWS:
            rows = sum(node.get(name, 0) for name in LOOKED_AT)
            cost.count(int(rows * node.get("Actual Loops", 1)))
            if node["Node Type"] == "Seq Scan":
                cost.scans.append(f"Seq Scan on {node['Relation Name']}")
        for child in node.get("Plans", ()):
            self._walk(child, cost)


LOOKED_AT = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
