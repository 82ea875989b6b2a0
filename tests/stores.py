"""Stores to test with, each behind a `Store` that stays: copies of a SQLite file that was migrated
once, and a database of PostgreSQL that is emptied.

SQLAlchemy compiles a statement once for each engine. A new `Store` for every test would spend a
third of the time on that. What listens to the engine stays, too: a test removes its own listeners.
"""

import functools
import tempfile
from collections.abc import Callable, Hashable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from alembic import command
from psycopg import sql

from gateway.store import migrate
from gateway.store.engine import Store
from tests.rig.postgres import Cluster

T = TypeVar("T")

SHAPE = r"""
SELECT md5(string_agg(name, ' ' ORDER BY name)) FROM (
  SELECT c.oid || ':' || c.xmin AS name FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT a.attrelid || ':' || a.attnum || ':' || a.xmin FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT n.oid || ':' || n.xmin FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%'
  UNION ALL SELECT t.oid || ':' || t.xmin FROM pg_trigger t
  UNION ALL SELECT k.oid || ':' || k.xmin FROM pg_constraint k
  UNION ALL SELECT p.oid || ':' || p.xmin FROM pg_proc p
  WHERE p.pronamespace = 'public'::regnamespace) names
"""
"""Another one where anything but rows was changed: every change makes a new row of the catalogue."""
GROWN_BYTES = 8 * 2**20
"""A database that has become so much larger is slower than a new one."""
LOCK_SECONDS = 10


def upgraded(url: str) -> None:
    """Bring the store at `url` to our schema, and leave no connection to it open. A new file is
    what the first one of this process was.
    """
    with closing(Store(url)) as store:
        if store.path is None or store.path.exists():
            migrate.upgrade(store)
        else:
            store.path.parent.mkdir(parents=True, exist_ok=True)
            store.path.write_bytes(_migrated())


def bring(store: Store, revision: str) -> None:
    """Bring a store to the schema of an earlier program. One that is not there is made."""
    if store.path is not None:
        store.path.touch()
    with store.write() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@functools.cache
def _migrated() -> bytes:
    """A SQLite file at our schema."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Store(f"sqlite:///{folder}/store.db")) as store,
    ):
        migrate.upgrade(store)
        return content(store)


def content(store: Store) -> bytes:
    """All that is in this SQLite store, to fill another one with."""
    store.close()
    assert store.path is not None
    assert not _beside(store.path, "-wal").exists(), "somebody else has it open"
    return store.path.read_bytes()


FIRST = dict[Hashable, tuple[bytes, Any]]()
"""What is in a SQLite store after a step was made in this process for the first time, and what the
step gave.
"""


def once(store: Store, key: Hashable, make: Callable[[], T]) -> T:
    """Make what a test begins with, in an empty store. A SQLite store is filled with what the first
    one of this process was; `key` names the step and all that it depends on.
    """
    if not store.is_sqlite:
        return make()
    if key in FIRST:
        fill(store, FIRST[key][0])
    else:
        made = make()
        FIRST[key] = content(store), made
    gave: T = FIRST[key][1]
    return gave


def fill(store: Store, file: bytes) -> Store:
    """The same `Store` with another file, at the path of the last one."""
    store.close()
    assert store.path is not None
    for end in ("-wal", "-shm"):
        _beside(store.path, end).unlink(missing_ok=True)
    store.path.unlink(missing_ok=True)  # who has the old one open keeps it
    store.path.write_bytes(file)
    return store


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def renew(store: Store, template: Path) -> Store:
    """As `fill`, with a copy of `template`."""
    return fill(store, template.read_bytes())


class Emptied:
    """A database of PostgreSQL at our schema. To delete what a test has left takes a tenth of the
    time in which it is dropped and another one copied; that is done where more than rows changed.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._template = cluster.template("gateway_schema", upgraded)
        self._url = cluster.create_database(self._template)
        self.store = Store(self._url)
        with self._connected() as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            self._tables = [name for (name,) in tables]
            self._meta = connection.execute("SELECT key, value FROM meta").fetchall()
            self._version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        self._note()

    def renew(self) -> Store:
        """The same `Store`, as if it had just been made."""
        self.store.close()
        with self._connected() as connection:
            is_emptied = self._as_at_first(connection) and self._empty(connection)
        if not is_emptied:
            self._cluster.renew_database(self._url, self._template)
            self._note()
        return self.store

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self._url, autocommit=True)

    def _note(self) -> None:
        with self._connected() as connection:
            self._at_first = self._shape(connection)
            self._bytes = self._size(connection)

    def _as_at_first(self, connection: psycopg.Connection) -> bool:
        grown = self._size(connection) - self._bytes
        return grown < GROWN_BYTES and self._shape(connection) == self._at_first

    def _shape(self, connection: psycopg.Connection) -> str:
        [shape] = connection.execute(SHAPE).fetchone() or ("",)
        return str(shape)

    def _size(self, connection: psycopg.Connection) -> int:
        [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (
            0,
        )
        return int(size)

    def _empty(self, connection: psycopg.Connection) -> bool:
        """Whether it is empty now; not where something is locked."""
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        delete = sql.SQL("; ").join(
            sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) for table in self._tables
        )
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute(delete)
                # Not ALTER SEQUENCE, which changes the catalogue.
                connection.execute(
                    "SELECT setval(format('%I', sequencename)::regclass, 1, false)"
                    " FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
                )
                with connection.cursor() as cursor:
                    cursor.executemany("INSERT INTO meta (key, value) VALUES (%s, %s)", self._meta)
                    cursor.executemany("INSERT INTO alembic_version VALUES (%s)", self._version)
        except psycopg.errors.LockNotAvailable:
            return False
        return True
