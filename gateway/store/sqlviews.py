"""The views that other programs read by SQL (contract.md §4), on both databases.

One function makes them; every migration drops them before it changes a table and makes them anew
afterwards, because SQLite and PostgreSQL refuse to change a table that a view reads. Who was
allowed to read them (GRANT) still is. On failure: `missing` says which are gone or are not what
they should be, for `db check`.
"""

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import limits
from gateway.invite import plan
from gateway.status import Status

WARNINGS = (limits.PREFIX, limits.CROWD)
"""Notes of rows that have their letters all the same; each begins with one of these."""

STATUS = "participant_status"
CHANGE = "change"

PARTICIPANT_STATUS = """
SELECT p.follow_up AS follow_up,
  coalesce(p.person, p.associate, p.resource, p.email) AS key,
  p.id AS id,
  coalesce(nullif(p.name, ''), person.name, associate.name, resource.name, '') AS name,
  coalesce(p.email, associate.email,
    (SELECT address FROM person_email WHERE person_email.person = p.person
      ORDER BY position LIMIT 1), '') AS address,
  p.email_invite AS email_invite,
  CASE WHEN NOT p.email_invite OR {fixed} THEN ''
    WHEN p.note IN ({no_address}) OR p.note LIKE '{unreadable}%' THEN 'no_address'
    WHEN p.note = '{no_account}' THEN 'no_account'
    ELSE '' END AS suspended,
  {code} AS code,
  CASE {code} {words} END AS status,
  coalesce(standing.reply, 'needs-action') AS reply,
  coalesce(standing.comment, '') AS comment,
  {replied_at} AS replied_at,
  coalesce(invitation.delivery, 'none') AS delivery,
  CASE WHEN ({warning}) AND invitation.delivery_text <> ''
      THEN invitation.delivery_text || '; ' || p.note
    WHEN p.note <> '' THEN p.note
    ELSE coalesce(invitation.delivery_text, '') END AS delivery_reason,
  p.conflict AS conflict,
  (SELECT max(journal.id) FROM journal WHERE journal.participant = p.id) AS change
FROM participant AS p
JOIN follow_up ON follow_up.key = p.follow_up
LEFT JOIN person ON person.key = p.person
LEFT JOIN associate ON associate.key = p.associate
LEFT JOIN resource ON resource.key = p.resource
LEFT JOIN standing ON standing.participant = p.id AND standing.instance = ''
LEFT JOIN invitation ON invitation.id = (SELECT one.id FROM invitation AS one
  WHERE one.participant = p.id AND one.counts
  ORDER BY (CASE one.delivery WHEN 'undeliverable' THEN 0 ELSE 1 END), one.id DESC LIMIT 1)
WHERE NOT p.removed
"""
"""A row for each participant; of the invitations to its dates one that does not arrive, where there
is one, else the last (`invitations.deliveries`). A status that nobody has worked out yet is that of
a row that nothing is known of (domain.md §4).
"""

CODE = """CASE WHEN follow_up.cancelled THEN {cancelled}
    WHEN p.code IS NOT NULL THEN p.code
    WHEN {fixed} THEN {not_started}
    WHEN {owned} THEN {assigned}
    ELSE {invitation} END"""
OWNED = "(p.associate IS NOT NULL AND p.associate = follow_up.owner)"
FIXED = (
    f"(p.resource IS NOT NULL OR ({OWNED}"
    " AND coalesce(follow_up.assigned_by, follow_up.owner) = follow_up.owner))"
)

CHANGES = """
SELECT journal.id AS id,
  {at} AS at,
  journal.event AS event,
  journal.follow_up AS follow_up,
  journal.participant AS participant,
  journal.before AS before,
  journal.after AS after,
  journal.by AS by,
  journal.channel AS channel,
  journal.tx AS tx
FROM journal{committed}
"""
"""A row for each entry of the journal. On PostgreSQL only those behind which none can come any more
(`journal.after`), in the order of `tx, id`.
"""


def statements(dialect: str) -> dict[str, str]:
    """Every view by name, as the query that makes it."""
    plain = dialect == "sqlite"
    if plain:
        at, replied_at = (
            f"strftime('%Y-%m-%d %H:%M:%S', {column})"
            for column in ("journal.at", "standing.replied_at")
        )
        committed = ""
    else:
        at, replied_at = "journal.at", "standing.replied_at"
        committed = " WHERE journal.tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    return {
        STATUS: " ".join(_participant_status(replied_at).split()),
        CHANGE: " ".join(CHANGES.format(at=at, committed=committed).split()),
    }


def _participant_status(replied_at: str) -> str:
    code = CODE.format(
        cancelled=int(Status.CANCELLED),
        fixed=FIXED,
        not_started=int(Status.NOT_STARTED),
        owned=OWNED,
        assigned=int(Status.ASSIGNED),
        invitation=int(Status.INVITATION),
    )
    words = " ".join(f"WHEN {int(status)} THEN '{status.word}'" for status in Status)
    warning = " OR ".join(f"p.note LIKE {_quoted(f'{warning_text}%')}" for warning_text in WARNINGS)
    return PARTICIPANT_STATUS.format(
        fixed=FIXED,
        no_address=", ".join(sorted(map(_quoted, plan.SUSPENDED))),
        unreadable=plan.UNREADABLE,
        no_account=plan.NO_ACCOUNT,
        code=code,
        words=words,
        replied_at=replied_at,
        warning=warning,
    )


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def drop(connection: Connection) -> list[tuple[str, str]]:
    """Take the views away, so that tables may be changed. Returns who may read which."""
    readers = _readers(connection)
    for name in (STATUS, CHANGE):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    return readers


def make(connection: Connection, readers: Iterable[tuple[str, str]] = ()) -> None:
    """Make the views, and let their readers read them again."""
    for name, query in statements(connection.dialect.name).items():
        statement = f"CREATE VIEW {name} AS {query}"
        connection.exec_driver_sql(statement.replace("%", _percent(connection)))
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(f"COMMENT ON VIEW {name} IS '{_mark(query)}'")
    for name, reader in readers:
        quoted = connection.dialect.identifier_preparer.quote_identifier(reader)
        connection.exec_driver_sql(f"GRANT SELECT ON {name} TO {quoted}")


def missing(connection: Connection) -> list[str]:
    """Views that are gone or are not what they should be. What PostgreSQL makes of a query is not
    what was written, so each has a mark of what it was made from.
    """
    expected = statements(connection.dialect.name)
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'view'"
        there = {name: sql.partition(" AS ")[2] for name, sql in connection.exec_driver_sql(query)}
        return sorted(name for name, statement in expected.items() if there.get(name) != statement)
    rows = connection.exec_driver_sql(
        "SELECT relname AS name, obj_description(oid, 'pg_class') AS mark FROM pg_class"
        " WHERE relkind = 'v' AND relnamespace = current_schema()::regnamespace"
    )
    marks = {row.name: row.mark for row in rows}
    return sorted(
        name for name, statement in expected.items() if marks.get(name) != _mark(statement)
    )


def _mark(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def _percent(connection: Connection) -> str:
    """A driver with parameters of its own wants it twice."""
    return "%" if connection.dialect.name == "sqlite" else "%%"


def _readers(connection: Connection) -> list[tuple[str, str]]:
    if connection.dialect.name == "sqlite":
        return []
    query = sa.text(
        "SELECT table_name, grantee FROM information_schema.role_table_grants"
        " WHERE table_schema = current_schema() AND privilege_type = 'SELECT'"
        " AND table_name IN (:status, :change) AND grantee <> current_user"
    )
    rows = connection.execute(query, {"status": STATUS, "change": CHANGE})
    return [(row.table_name, row.grantee) for row in rows]
