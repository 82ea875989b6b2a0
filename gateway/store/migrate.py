"""Making, upgrading and checking the store (Alembic). Runs inside one transaction; on failure
nothing has changed.
"""

from __future__ import annotations

import functools
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import StoreError, UnfitStore
from gateway.store import (
    backup,
    engine,
    meta,
    schema,
    schema_access,
    schema_domain,
    schema_letters,
    schema_lists,
    schema_webhooks,
    sqlviews,
    triggers,
)
from gateway.store.engine import Store

if TYPE_CHECKING:  # a tenth of a second of every command; most find the store as it is
    from alembic.config import Config

TABLES = (
    schema,
    schema_letters,
    schema_domain,
    schema_access,
    schema_lists,
    schema_webhooks,
)
[METADATA] = {module.metadata for module in TABLES}
"""All tables: named here, a module of them cannot be forgotten."""
MIGRATIONS = Path(__file__).parent / "migrations"

TRIES = 10
"""A migration locks tables, and gateways that still run lock rows, in another order: PostgreSQL may
give the migration up, and nothing of it is kept.
"""

# pg_advisory_xact_lock: two gateways that start together migrate one after the other
LOCK = 7_403_812_550


def upgrade(store: Store, *, copy: bool = True) -> list[str]:
    """Bring the store to this program's schema, making it where there is none, and put back
    triggers and views that are gone. `copy`: a SQLite store that is migrated is copied first, for
    there is no way back but that.

    Returns the revisions that were applied.
    """
    if store.path is not None:
        _make(store.path)
    for _ in range(TRIES - 1):
        try:
            return _upgraded(store, copy=copy)
        except StoreError as error:
            if not engine.collided(error):
                raise
    return _upgraded(store, copy=copy)


def _upgraded(store: Store, *, copy: bool) -> list[str]:
    """`upgrade`, in one transaction."""
    with store.write() as connection:
        if not store.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = _revision(connection)
        if before == _head():
            if triggers.missing(connection):
                triggers.rebuild(connection)
            if sqlviews.missing(connection):
                sqlviews.make(connection, sqlviews.drop(connection))
            meta.site_secret(connection)
            return []
        _refuse_newer(before)
        if before is None:
            _refuse_foreign(connection)
        elif copy and store.path is not None:
            _keep(store, kept(store.path, before))
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        readers = sqlviews.drop(connection)
        command.upgrade(config, "head")
        triggers.rebuild(connection)
        sqlviews.make(connection, readers)
        meta.site_secret(connection)
        return [revision for revision in _revisions() if revision > (before or "")]


def revision(store: Store) -> str | None:
    """At which schema the store is; None where there is none."""
    if store.path is not None and not _is_there(store.path):
        return None
    with store.read() as connection:
        return _revision(connection)


def kept(path: Path, revision: str) -> Path:
    """Where the copy of a SQLite store lies that was made before it was migrated."""
    return path.with_name(f"{path.name}.schema-{revision}")


def _keep(store: Store, file: Path) -> None:
    """The lock of the migration keeps everybody else from writing; the copy is of before it."""
    assert store.path is not None
    file.unlink(missing_ok=True)  # of a migration that failed: nothing of it was kept
    size, free = store.path.stat().st_size, shutil.disk_usage(store.path.parent).free
    if free < 2 * size:
        raise StoreError(
            f"there is no room beside {store.path} for a copy before it is migrated: make some, or"
            " run: invite-gateway db upgrade --no-copy"
        )
    backup.make(store, file)


def _make(path: Path) -> None:
    """The file is not for everybody: it holds addresses and invitation tokens. Its group may write
    follow-ups.
    """
    try:
        if path.exists():  # what is wrong with it, the database says better
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o660)
    except OSError as error:
        raise StoreError(f"the store {path} cannot be made: {error.strerror}") from error


def fit(store: Store) -> None:
    """Make or migrate a SQLite store; require of PostgreSQL that somebody did (contract.md §2).

    Raises `StoreError`, among them `UnfitStore`.
    """
    (upgrade if store.is_sqlite else require)(store)


def begin(store: Store, home: Path | None) -> None:
    """As `fit`, for the daemon, which nobody watches: a mistyped path, or a volume that is not
    mounted, must not begin a store without a single record. `home`: the folder that the service
    manager made for this service; a new store is made there alone, and only while it is empty.
    """
    path = store.path
    if path is not None and not _is_there(path) and not _is_empty(path.parent, home):
        raise UnfitStore(
            f"there is no store at {path} (store.url); if a new one is to begin there:"
            " invite-gateway db upgrade"
        )
    fit(store)


def require(store: Store) -> None:
    """Raise `StoreError` with what to do when the store is missing, and `UnfitStore` when it is
    not of this program's schema.
    """
    if store.path is not None and not _is_there(store.path):
        raise StoreError(
            f"there is no store at {store.path}; make it with: invite-gateway db upgrade"
        )
    with store.read() as connection:
        revision = _revision(connection)
    _refuse_newer(revision)
    if revision != _head():
        raise UnfitStore(
            f"the store is at schema {revision or 'none'}, this program needs {_head()}:"
            " invite-gateway db upgrade"
        )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # somebody else's folder; the attempt to open it says whose


def _is_empty(folder: Path, home: Path | None) -> bool:
    """Whether this is the home, and nothing has been made there yet."""
    try:
        return home is not None and folder.samefile(home) and not any(folder.iterdir())
    except OSError:
        return False


def check(store: Store) -> list[str]:
    """What is wrong with the store, one sentence each; empty when it is sound."""
    require(store)
    problems = []
    with store.read() as connection:
        if store.is_sqlite:
            # integrity_check may end at a bad page without a word of where it is.
            problems = _damage(connection, "quick_check(1)") or _damage(
                connection, "integrity_check"
            )
            if problems:
                return problems
            problems += [
                f"SQLite: row {row[1]} of {row[0]} refers to a missing row of {row[2]}"
                for row in connection.exec_driver_sql("PRAGMA foreign_key_check")
            ]
        problems += [
            f"trigger {name} is missing or altered; rebuild with: invite-gateway db upgrade"
            for name in triggers.missing(connection)
        ]
        problems += [
            f"view {name} is missing or altered; make it anew with: invite-gateway db upgrade"
            for name in sqlviews.missing(connection)
        ]
        problems += [f"schema differs: {difference}" for difference in differences(connection)]
    return problems


def damage(store: Store) -> list[str]:
    """What a quick look finds of what `check` would: pages, but neither indexes nor tables."""
    with store.read() as connection:
        problems = _damage(connection, "quick_check(1)") if store.is_sqlite else []
        problems += [
            f"trigger {name} is missing or altered" for name in triggers.missing(connection)
        ]
        problems += [f"view {name} is missing or altered" for name in sqlviews.missing(connection)]
    return problems


def _damage(connection: Connection, look: str) -> list[str]:
    rows = connection.exec_driver_sql(f"PRAGMA {look}")
    return [f"SQLite: {row[0]}" for row in rows if row[0] != "ok"]


def differences(connection: Connection) -> list[str]:
    """Where the tables differ from `METADATA`."""
    from alembic import autogenerate
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_type": False})
    with warnings.catch_warnings():
        # Neither library reads an index of an expression out of SQLite; both say so each time.
        warnings.filterwarnings("ignore", message=".*expression-based index")
        entries = autogenerate.compare_metadata(context, METADATA)
    return [str(entry)[:200] for entry in entries]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@functools.cache
def _revisions() -> list[str]:
    """Of this program's migrations, the oldest first: each file begins with its own."""
    return sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("0*.py"))


def _head() -> str:
    return _revisions()[-1]


def _revision(connection: Connection) -> str | None:
    """Which migration was the last; None where there was none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    revision: str | None = rows.scalar_one_or_none()
    return revision


def _refuse_newer(revision: str | None) -> None:
    if revision and revision not in _revisions():
        raise UnfitStore(
            f"the store is at schema {revision}, which is newer than this program; install the"
            " newer program"
        )


def _refuse_foreign(connection: Connection) -> None:
    """Tables of our names in a database that never was ours: nothing may be made beside them."""
    foreign = set(sa.inspect(connection).get_table_names()) & set(METADATA.tables)
    if foreign:
        raise UnfitStore(
            f"the database holds tables of another program ({', '.join(sorted(foreign))}); give the"
            " gateway one of its own in store.url"
        )
