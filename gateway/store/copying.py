"""A store into another database, whole: records, invitations, letters, what came in, the journal,
users, tokens, marks, the site's secret, and the numbers that were given.

Nothing is planned or sent for it: triggers are away while rows are written, and the marks that the
source had are copied as they are. On failure the target holds no row. What the other database
cannot hold (text that is no UTF-8, a moment that is none) is put as near as it can be, and named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import Refused, StoreError
from gateway.store import engine, leases, marked, migrate, schema, triggers
from gateway.store.backup import Told, untold
from gateway.store.engine import Store

OWN = frozenset({"meta", "condition"})
"""A new store has rows of these by itself."""
NUL, UNKNOWN = "\0", "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows of each table, and what could not be taken as it was."""

    rows: dict[str, int]
    mended: Sequence[str]


def copy(source: Store, target: Store, now: datetime, report: Told = untold) -> Copied:
    """Copy everything. Raises `Refused` where a gateway runs on the source, or the target is not
    empty; `StoreError` where a row cannot be written.
    """
    migrate.require(source)
    # On SQLite nobody writes meanwhile; PostgreSQL shows one moment.
    view = source.write(keep=False) if source.is_sqlite else source.read()
    with view as reading:
        if leases.held(reading, leases.GATEWAY, now):
            raise Refused("a gateway runs on this store; stop it first, or its changes are lost")
        migrate.upgrade(target)
        with target.write() as writing:
            _require_empty(writing)
            for table in OWN:
                writing.execute(sa.delete(schema.metadata.tables[table]))
            triggers.drop(writing)
            mended = list[str]()
            rows = {
                table.name: _copy(reading, writing, table, mended, report)
                for table in schema.metadata.sorted_tables
            }
            _number(reading, writing)
            triggers.rebuild(writing)
            _require_all(writing, rows)
    return Copied(rows, mended)


def _require_empty(connection: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if table.name not in OWN and connection.execute(sa.select(table).limit(1)).first():
            raise Refused(f"the target is not empty: there are rows in {table.name}")


def _require_all(connection: Connection, rows: dict[str, int]) -> None:
    for name, number in rows.items():
        query = sa.select(sa.func.count()).select_from(schema.metadata.tables[name])
        written = connection.execute(query).scalar_one()
        if written != number:
            raise StoreError(f"{name}: {written} of {number} rows were copied; nothing is kept")


def _copy(
    reading: Connection, writing: Connection, table: sa.Table, mended: list[str], report: Told
) -> int:
    chosen = sa.select(table)
    if table.name == "lease":  # who lives there does not live here
        alive = table.c.name.startswith(leases.GATEWAY, autoescape=True)
        chosen = chosen.where(~alive)
    total = reading.execute(sa.select(sa.func.count()).select_from(chosen.subquery())).scalar_one()
    done = 0
    for rows in engine.parts(reading, chosen.order_by(*table.primary_key)):
        values = [dict(_values(table, row._mapping, mended)) for row in rows]
        try:
            writing.execute(sa.insert(table), values)
        except sa.exc.DatabaseError as error:
            why = engine.first_line(error)
            raise StoreError(f"{table.name} cannot be copied: {why}") from error
        done += len(values)
        report(table.name, done, total)
    return done


def _values(table: sa.Table, row: sa.RowMapping, mended: list[str]) -> Iterator[tuple[str, object]]:
    for column in table.columns:
        value = row[column]
        if table.name == "journal" and column.name == "tx":
            value = 0  # transactions of another database
        plain = _plain(value)
        if why := _loss(value, plain):
            key = next(iter(row.values()))
            mended.append(f"{table.name} {str(key)!r}, {column.name}: {why}")
        yield column.name, plain.replace(NUL, UNKNOWN) if isinstance(plain, str) else plain


def _plain(value: object) -> object:
    """What stands there, as far as every database can hold it."""
    if isinstance(value, marked.MarkedText):
        return value.said or str(value)
    if isinstance(value, marked.MarkedMoment):
        return datetime.combine(value.date(), value.timetz())
    return bool(value) if isinstance(value, marked.MarkedFlag) else value


def _loss(value: object, plain: object) -> str:
    """What is not as it was; "" where nothing is lost."""
    if isinstance(value, marked.MARKED) and not getattr(value, "said", ""):
        return value.fault
    return "a character that no text may have" if isinstance(plain, str) and NUL in plain else ""


def _number(reading: Connection, writing: Connection) -> None:
    """No number is given twice, also not that of a row which is gone."""
    for table in schema.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or not isinstance(column.type, sa.Integer | sa.BigInteger):
            continue
        last = _last(reading, column)
        if not last:
            continue
        if writing.dialect.name == "sqlite":
            values = {"name": table.name, "last": last}
            writing.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            writing.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), values)
        else:
            sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            writing.execute(sa.text(f"SELECT setval({sequence}, :last)"), {"last": last})


def _last(connection: Connection, column: sa.Column[int]) -> int:
    """The last number that was given."""
    there = connection.execute(sa.select(sa.func.max(column))).scalar() or 0
    if connection.dialect.name == "sqlite":
        query = sa.text("SELECT max(seq) FROM sqlite_sequence WHERE name = :name")
        last = connection.execute(query, {"name": column.table.name}).scalar()
    else:
        query = sa.text("SELECT pg_sequence_last_value(CAST(:name AS regclass))")
        named = sa.func.pg_get_serial_sequence(column.table.name, column.name)
        sequence = connection.execute(sa.select(named)).scalar_one()
        last = connection.execute(query, {"name": sequence}).scalar()
    return max(there, last or 0)
