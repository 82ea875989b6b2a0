"""Opening the store: SQLite or PostgreSQL, synchronous (architecture.md §1), one writer at a time
on SQLite.

On failure: every database error that means "cannot be reached or opened" becomes `StoreError` with
the URL, password masked. Limits: SQLite waits up to 30 s for another writer; a connection is used
by one thread at a time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway import rights
from gateway import settings as configuration
from gateway.errors import ConfigurationError, StoreError, UnfitStore
from gateway.settings import Settings
from gateway.store import marked

T = TypeVar("T")
log = structlog.get_logger(__name__)

__all__ = [
    "Connection",
    "Store",
]  # actions pass connections on; nobody above the store imports SQLAlchemy itself

BUSY_MILLISECONDS = 30_000
NOTE_MILLISECONDS = 50
"""So long a note waits for who writes: somebody waits for the page that comes after it."""
PART = 1_000
"""So many rows of a long list are in memory at a time."""
IMMEDIATE = "gateway_immediate"
DEADLOCK = "40P01"
LOCKED = "55P03"
READ_ONLY = "25006"
TRIES = 5
"""So often a transaction is begun that PostgreSQL gives up."""
RACES = frozenset({"23503", "23505"})
"""A foreign key, and a key that there is already."""
NO_ROOM = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
"""What SQLite says where a disk has no room, and elsewhere."""
LEAST_OCTETS = 64 * 1024
"""More than an empty -shm takes."""
DUMPS = (b"PGDMP", b"--\n-- PostgreSQL database")
"""How files begin that pg_dump writes."""


class Store:
    """A database and the two ways to use it: `read()` sees one moment, `write()` is one transaction
    and the only writer.
    """

    def __init__(self, url: str, password: str = "") -> None:
        self.url = _parse(url)
        if password:
            self.url = self.url.set(password=password)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = (
            {"creator": self._open_file}
            if self.is_sqlite
            else {
                "pool_pre_ping": True,
                "connect_args": {"connect_timeout": 10, "options": "-c timezone=UTC"},
            }
        )
        self.engine = sa.create_engine(self.url, pool_size=8, max_overflow=8, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            from gateway.store import lenient

            event.listen(self.engine, "connect", lenient.prepare)

    @classmethod
    def configured(cls, settings: Settings) -> Store:
        """The store of these settings. Raises `ConfigurationError`."""
        return cls(settings.store.url, configuration.secret(settings.store, "store"))

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def _open_file(self) -> sqlite3.Connection:
        """Only `migrate.upgrade` makes a file: one that vanished is missed, not silently begun
        anew.
        """
        return sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=BUSY_MILLISECONDS / 1000,
            check_same_thread=False,
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; nothing may be written through it."""
        view = (
            {}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with (
            self._named(),
            self.engine.connect().execution_options(**view) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self, *, keep: bool = True) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises, or where
        nothing is to be kept.
        """
        with (
            self._named(),
            self.engine.connect().execution_options(**{IMMEDIATE: True}) as connection,
            connection.begin() as transaction,
        ):
            yield connection
            if not keep:
                transaction.rollback()

    def note(self, work: Callable[[Connection], object]) -> None:
        """Writes what is good to know and no reason to fail or to wait, such as when something was
        used last. Where others write it is left out, and comes with the next use. A store that
        takes nothing has an alarm of its own.
        """
        try:
            with self._hurried() as connection:
                work(connection)
        except StoreError as error:
            tell = log.debug if _is_busy(error) else log.warning
            tell("a time of use is not noted", error=str(error))

    @contextmanager
    def _hurried(self) -> Iterator[Connection]:
        """A transaction that hardly waits for another one."""
        with (
            self._named(),
            self.engine.connect().execution_options(**{IMMEDIATE: True}) as connection,
            _waiting(connection, NOTE_MILLISECONDS),
            connection.begin(),
        ):
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {NOTE_MILLISECONDS}")
            yield connection

    def alone(self) -> Any:
        """A connection as the database's own library has it, outside the pool: for somebody who
        waits on it, and closes it.
        """
        with self._named():
            pooled = self.engine.raw_connection()
        pooled.detach()
        return pooled.dbapi_connection

    def unwritable(self, seconds: float) -> str:
        """Why nothing can be written, tried for so long; "" where it can. What is written is what
        stands there already. PostgreSQL is not asked: no other program can hold all of it.
        """
        if not self.is_sqlite:
            return ""
        try:
            with closing(self._open_file()) as connection:
                connection.isolation_level = None
                connection.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}").close()
                connection.execute("BEGIN IMMEDIATE").close()
                [version] = connection.execute("PRAGMA user_version").fetchone()
                connection.execute(f"PRAGMA user_version={version}").close()
                connection.execute("COMMIT").close()
        except sqlite3.Error as error:
            return f"store {_shown(self.url)}: {error}"
        return ""

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise StoreError(
                f"store {_shown(self.url)}: all connections are in use, and none came free"
            ) from error
        except DatabaseError as error:
            # SQLite's own word for a file that is none of its own, or is damaged, is the bare base
            # class; PostgreSQL's for a server that became a standby is none of the operational.
            is_connection = isinstance(error, OperationalError) or type(error) is DatabaseError
            if not is_connection and getattr(error.orig, "sqlstate", None) != READ_ONLY:
                raise
            kind = UnfitStore if _is_no_database(error) else StoreError
            raise kind(f"store {_shown(self.url)}: {self._words(error)}") from error

    def _words(self, error: DBAPIError) -> str:
        """SQLite does not say who may not open what, what a file is, nor that a disk is full where
        it cannot make the files beside its own.
        """
        if self.path is not None and _is_no_database(error):
            return f"the file is {_kind(self.path)}. Put the store back, or name another file"
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if self.path is not None and code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            if bar := rights.barred(self.path, write=True):
                return f"{bar}; with the shipped unit only root and the service may"
            if not self.path.exists():
                return f"there is no file {self.path}"
        if self.path is not None and code in NO_ROOM and _is_full(self.path.parent):
            return f"{first_line(error)}; the disk of {self.path.parent} is full: make room there"
        return first_line(error)


def _is_full(folder: Path) -> bool:
    """Whether SQLite cannot make its -wal and -shm there."""
    try:
        seen = os.statvfs(folder)
    except OSError:  # then it is another trouble
        return False
    crowded = seen.f_files > 0 and seen.f_favail == 0
    return crowded or seen.f_frsize * seen.f_bavail < LEAST_OCTETS


@contextmanager
def _waiting(connection: Connection, milliseconds: int) -> Iterator[None]:
    """SQLite waits so long for the writer's lock, and afterwards as long as usual. It is said
    beneath SQLAlchemy, which would begin a transaction for it.
    """
    file: Any = connection.connection.dbapi_connection
    if not isinstance(file, sqlite3.Connection):
        yield
        return
    [usual] = file.execute("PRAGMA busy_timeout").fetchone()
    file.execute(f"PRAGMA busy_timeout={min(milliseconds, usual)}").close()
    try:
        yield
    finally:
        file.execute(f"PRAGMA busy_timeout={usual}").close()


def _is_busy(error: StoreError) -> bool:
    """Whether others write, and that is all."""
    cause = getattr(error.__cause__, "orig", None)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_BUSY or getattr(cause, "sqlstate", None) == LOCKED


def _is_no_database(error: DBAPIError) -> bool:
    return bool(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB)


def _kind(path: Path) -> str:
    """What a file is that SQLite does not take for its own."""
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, DUMPS)))
    except OSError:
        head = b""
    if head.startswith(DUMPS):
        return "a PostgreSQL dump, which pg_restore or psql puts back into PostgreSQL"
    return "no SQLite database, or its beginning is damaged"


def parts(connection: Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """The rows of a long list, some at a time: there may be more of them than memory."""
    return connection.execute(query.execution_options(yield_per=PART)).partitions()


def outage(error: Exception) -> bool:
    """Whether an error is the database's condition (locked, full, gone), and neither what was asked
    of it nor what a row holds.
    """
    if not isinstance(error, OperationalError):
        return False
    # PostgreSQL's class 54 is a value beyond its limits; SQLite says the other of a text that is
    # none.
    return (
        not (getattr(error.orig, "sqlstate", None) or "").startswith("54")
        and "decode" not in str(error.orig).lower()
    )


def raced(error: Exception) -> bool:
    """Whether it came of what another program wrote meanwhile: the same row, or the end of one that
    is named. SQLite has one writer, so there it is a fault of this program.
    """
    return getattr(getattr(error, "orig", None), "sqlstate", None) in RACES


def collided(error: StoreError) -> bool:
    """Whether PostgreSQL gave a transaction up so that another could go on: nothing of it was
    written, and it may be tried again.
    """
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == DEADLOCK


def retried(work: Callable[[], T]) -> T:
    """What `work` does, which is one transaction and keeps nothing beside it: once more where
    PostgreSQL gave it up so that another could go on.
    """
    for _ in range(TRIES - 1):
        try:
            return work()
        except StoreError as error:
            if not collided(error):
                raise
            log.warning("another transaction went first: this one is done anew")
    return work()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "store.url: not a database URL; expected sqlite:///… or postgresql://…"
        ) from error
    # What stands before the last @ is the password; the rest of it would be looked up as a host, or
    # shown as the database's name.
    if "@" in (parsed.host or "") or (parsed.host and "@" in (parsed.database or "")):
        raise ConfigurationError(
            "store.url: in the password an @ is to be written as %40, and a / as %2F"
        )
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError("store.url: expected sqlite:///… or postgresql://…")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError(
            "store.url: SQLite needs a file, for example sqlite:////var/lib/invite-gateway/store.db"
        )
    return parsed


def _shown(url: URL) -> str:
    """Without passwords; libpq takes them as parameters, too."""
    return url.difference_update_query(("password", "sslpassword")).render_as_string(
        hide_password=True
    )


def first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n")[0]


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # sqlite3's own lazy BEGIN lets two workers claim the same rows
    )
    connection.text_factory = marked.decoded
    for pragma in (f"busy_timeout={BUSY_MILLISECONDS}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """The file keeps this mode, so only a new one is written to. SQLite does not wait here for
    others who open it at this moment.
    """
    until = monotonic() + BUSY_MILLISECONDS / 1000
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(
        "BEGIN IMMEDIATE" if connection.get_execution_options().get(IMMEDIATE) else "BEGIN"
    )
