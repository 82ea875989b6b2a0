"""Triggers that append the follow-up's key to `change_mark` in the writer's own transaction
(contract.md §4).

One function makes them for both dialects; every migration drops and rebuilds them, because SQLite's
batch mode copies a table without its triggers. They stand on the columns that change what an
invitee should hold, and on nothing the planner writes except the switch, whose second mark finds
nothing to do.
"""

from collections.abc import Iterable

from sqlalchemy.engine import Connection

PREFIX = "mark_"

FOLLOW_UP = (
    "key",
    "kind",
    "owner",
    "assigned_by",
    "title",
    "agenda",
    "location",
    "video_url",
    "start_at",
    "end_at",
    "deadline",
    "all_day",
    "timezone",
    "rrule",
    "guest_list",
    "cancelled",
    "cancel_reason",
    "answer_by",
    "project",
    "availability",
)
DATE = ("follow_up", "original_start", "start_at", "end_at", "cancelled", "cancel_reason")
PARTICIPANT = (
    "follow_up",
    "person",
    "associate",
    "resource",
    "email",
    "name",
    "original_start",
    "email_invite",
    "removed",
    "set_status",
)

OF_PERSON = "SELECT DISTINCT follow_up FROM participant WHERE person = {row}.{column}"
OF_ASSOCIATE = (
    "SELECT follow_up FROM participant WHERE associate = {row}.{column}"
    " UNION SELECT key FROM follow_up WHERE owner = {row}.{column}"
)

RULES: dict[str, tuple[tuple[str, ...], str]] = {
    "follow_up": (FOLLOW_UP, "SELECT {row}.key"),
    "follow_up_date": (DATE, "SELECT {row}.follow_up"),
    "participant": (PARTICIPANT, "SELECT {row}.follow_up"),
    "person": (("name", "language", "timezone"), OF_PERSON.replace("{column}", "key")),
    "person_email": (("person", "position", "address"), OF_PERSON.replace("{column}", "person")),
    "associate": (
        ("name", "email", "language", "timezone"),
        OF_ASSOCIATE.replace("{column}", "key"),
    ),
}
"""Per table: the columns whose update counts, and the query for the follow-ups that a row concerns.
"""


def statements(dialect: str) -> dict[str, str]:
    """Every trigger of the dialect by name, as the SQL that makes it."""
    made = {}
    for table, (columns, query) in RULES.items():
        for event in ("insert", "update", "delete"):
            rows = {"insert": ["NEW"], "update": ["NEW", "OLD"], "delete": ["OLD"]}[event]
            body = " UNION ".join(query.format(row=row) for row in rows)
            on = f"UPDATE OF {', '.join(columns)}" if event == "update" else event.upper()
            made[f"{PREFIX}{table}_{event}"] = (
                _sqlite(table, event, on, body)
                if dialect == "sqlite"
                else _postgres(table, event, on, body)
            )
    return made


def _sqlite(table: str, event: str, on: str, body: str) -> str:
    return (
        f"CREATE TRIGGER {PREFIX}{table}_{event} AFTER {on} ON {table} FOR EACH ROW BEGIN "
        f"INSERT INTO change_mark (follow_up) {body}; END"
    )


def _postgres(table: str, event: str, on: str, body: str) -> str:
    name = f"{PREFIX}{table}_{event}"
    # With our rights and our schema, not the writer's: he may be allowed to write a participant and
    # nothing else.
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET"
        f" search_path FROM CURRENT AS $$ BEGIN INSERT INTO change_mark (follow_up) {body}; RETURN"
        f" NULL; END $$; CREATE TRIGGER {name} AFTER {on} ON {table} FOR EACH ROW EXECUTE FUNCTION"
        f" {name}()"
    )


def rebuild(connection: Connection) -> None:
    """Drop every trigger of ours and make them anew. Part of each migration."""
    dialect = connection.dialect.name
    for name, table in _present(connection):
        connection.exec_driver_sql(
            f"DROP TRIGGER IF EXISTS {name}" + ("" if dialect == "sqlite" else f" ON {table}")
        )
    for statement in statements(dialect).values():
        connection.exec_driver_sql(statement)


def missing(connection: Connection) -> list[str]:
    """Triggers that are gone, switched off or differ from what they should be, for `db check`."""
    wanted = statements(connection.dialect.name)
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        )
    else:
        rows = connection.exec_driver_sql(
            "SELECT tgname, '$$' || prosrc || '$$; ' || pg_get_triggerdef(pg_trigger.oid, true)"
            " FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_class ON pg_class.oid ="
            " tgrelid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND relnamespace ="
            " current_schema()::regnamespace"
        )
    present = {name: _plain(statement) for name, statement in rows}
    return sorted(
        name for name, statement in wanted.items() if present.get(name) != _plain(statement)
    )


def _plain(statement: str) -> str:
    """A trigger as both we and the catalogue write it: from the function's body on, without quotes
    and line ends.
    """
    return " ".join(statement[max(statement.find("$$"), 0) :].replace('"', "").split())


def _present(connection: Connection) -> Iterable[tuple[str, str]]:
    query = (
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else (
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE"
            " NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
        )
    )
    return [
        (name, table)
        for name, table in connection.exec_driver_sql(query)
        if name.startswith(PREFIX)
    ]
