"""Triggers that append the follow-up's key to `change_mark` in the writer's own transaction, and
copy what is deleted (contract.md §4).

One function makes them for both dialects; every migration drops and rebuilds them, because SQLite's
batch mode copies a table without its triggers. They stand on the columns that `followups.fields`
names, and on nothing the planner writes except the switch, whose second mark finds nothing to do.
An update leaves a mark only where one of them has another value than before.
"""

from collections.abc import Iterable

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from gateway.followups import fields
from gateway.store import schema
from gateway.store.schema_deleted import COPIES, HANGING, of_participant

PREFIX = "mark_"
CHANNEL = "change_mark"
"""On which PostgreSQL tells that there are new marks (`hint`)."""
NOTIFY = f"{PREFIX}notify"

WITH_ROW = "INSERT INTO {copy} ({names}) SELECT {names} FROM {table} WHERE {is_of_row};"
OF_PERSON = "SELECT DISTINCT follow_up, '{table}' FROM participant WHERE person = {row}.{column}"
OF_ASSOCIATE = (
    "SELECT follow_up, '{table}' FROM participant WHERE associate = {row}.{column}"
    " UNION SELECT key, '{table}' FROM follow_up WHERE owner = {row}.{column}"
)

CONCERNED = {
    "follow_up": "SELECT {row}.key, '{table}'",
    "follow_up_date": "SELECT {row}.follow_up, '{table}'",
    "participant": "SELECT {row}.follow_up, '{table}'",
    "person": OF_PERSON.replace("{column}", "key"),
    "person_email": OF_PERSON.replace("{column}", "person"),
    "associate": OF_ASSOCIATE.replace("{column}", "key"),
}
"""Per table: the query for the follow-ups that a row concerns, each with the table's name."""


def watched(table: str) -> list[str]:
    """The columns of a table whose update counts, in the order of the table."""
    columns = schema.metadata.tables[table].columns
    return [column.name for column in columns if f"{table}.{column.name}" in fields.WATCHED]


def statements(dialect: str) -> dict[str, str]:
    """Every trigger of the dialect by name, as the SQL that makes it."""
    by_name = {}
    for table, query in CONCERNED.items():
        for event in ("insert", "update", "delete"):
            rows = {"insert": ["NEW"], "update": ["NEW", "OLD"], "delete": ["OLD"]}[event]
            body = " UNION ".join(query.format(row=row, table=table) for row in rows)
            name = f"{PREFIX}{table}_{event}"
            make = _sqlite if dialect == "sqlite" else _postgres
            by_name[name] = make(name, table, watched(table) if event == "update" else event, body)
    for deleted, copy in COPIES.items():
        name = f"{PREFIX}{deleted.name}_deleted"
        by_name[name] = _keeping(dialect, name, deleted.name, _copies(deleted, copy))
    if dialect != "sqlite":
        by_name[NOTIFY] = _notify()
    return by_name


def _copies(table: Table, copy: Table) -> str:
    """A row that is being deleted; of a participant also what goes with it."""
    names = table.columns.keys()
    old = ", ".join(f"OLD.{name}" for name in names)
    body = f"INSERT INTO {copy.name} ({', '.join(names)}) SELECT {old};"
    if table is not schema.participant:
        return body
    with_row = (
        WITH_ROW.format(
            copy=copied.name,
            names=", ".join(hanging.columns.keys()),
            table=hanging.name,
            is_of_row=" OR ".join(f"{name} = OLD.id" for name in of_participant(hanging)),
        )
        for hanging, copied in HANGING.items()
    )
    return " ".join([body, *with_row])


def _keeping(dialect: str, name: str, table: str, body: str) -> str:
    """Before it is deleted: what hangs on it goes with it, and is there still."""
    if dialect == "sqlite":
        return f"CREATE TRIGGER {name} BEFORE DELETE ON {table} FOR EACH ROW BEGIN {body} END"
    return (
        f"{_function(name)} BEGIN {body} RETURN OLD; END $$; CREATE TRIGGER {name} BEFORE DELETE ON"
        f" {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _function(name: str) -> str:
    """With our rights and our schema, not the writer's: they may be allowed to write a participant
    and nothing else.
    """
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET"
        " search_path FROM CURRENT AS $$"
    )


def _notify() -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {NOTIFY}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$; CREATE TRIGGER {NOTIFY} AFTER"
        f" INSERT ON change_mark FOR EACH STATEMENT EXECUTE FUNCTION {NOTIFY}()"
    )


def _sqlite(name: str, table: str, event: str | list[str], body: str) -> str:
    return (
        f"CREATE TRIGGER {name} AFTER {_on(event)} ON {table} FOR EACH ROW"
        f" {_changed(event, 'WHEN', 'IS NOT')}BEGIN"
        f" INSERT INTO change_mark (follow_up, source) {body}; END"
    )


def _postgres(name: str, table: str, event: str | list[str], body: str) -> str:
    insert = f"INSERT INTO change_mark (follow_up, source) {body};"
    if condition := _changed(event, "IF", "IS DISTINCT FROM"):
        insert = f"{condition}THEN {insert} END IF;"
    return (
        f"{_function(name)} BEGIN {insert} RETURN NULL; END $$;"
        f" CREATE TRIGGER {name} AFTER {_on(event)} ON {table} FOR EACH ROW EXECUTE FUNCTION"
        f" {name}()"
    )


def _on(event: str | list[str]) -> str:
    return event.upper() if isinstance(event, str) else f"UPDATE OF {', '.join(event)}"


def _changed(event: str | list[str], word: str, differs: str) -> str:
    """The condition of an update: a program that writes the whole row back, or one column onto
    itself, has changed nothing that anybody is told.
    """
    if isinstance(event, str):
        return ""
    return f"{word} {' OR '.join(f'OLD.{name} {differs} NEW.{name}' for name in event)} "


def drop(connection: Connection) -> None:
    """Take every trigger of ours away, for the rest of a transaction that makes them anew."""
    dialect = connection.dialect.name
    for name, table in _present(connection):
        connection.exec_driver_sql(
            f"DROP TRIGGER IF EXISTS {name}" + ("" if dialect == "sqlite" else f" ON {table}")
        )


def rebuild(connection: Connection) -> None:
    """Drop every trigger of ours and make them anew. Part of each migration."""
    drop(connection)
    for statement in statements(connection.dialect.name).values():
        connection.exec_driver_sql(statement)


def missing(connection: Connection) -> list[str]:
    """Triggers that are gone, switched off or differ from what they should be, for `db check`."""
    expected = statements(connection.dialect.name)
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
        name for name, statement in expected.items() if present.get(name) != _plain(statement)
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
