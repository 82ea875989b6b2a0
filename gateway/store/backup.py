"""A copy of a SQLite store in use, made by SQLite itself and looked through before it counts.

On failure nothing stands under the name of the copy. Security: the file is for its maker alone; it
has addresses, tokens and the site's secret. Limits: a copy is of one moment, and nobody who writes
meanwhile is kept waiting.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from gateway.errors import StoreError
from gateway.store.engine import Store

PAGES = 2_000
"""Of 4 kB, copied at a time."""
Told = Callable[[str, int, int], None]
"""What is being done, how much of it is, and of how much."""


def untold(_what: str, _done: int, _total: int) -> None:
    """For a caller who does not watch."""


def make(store: Store, file: Path, report: Told = untold) -> int:
    """Copy the store into a file that is not there yet. Returns its size in bytes."""
    if file.exists():
        raise StoreError(f"{file} is there already; a copy takes the place of nothing")
    part = file.with_name(f"{file.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise StoreError(f"{part} is left of another copy; remove it if none is made now") from None
    except OSError as error:
        raise StoreError(f"{part} cannot be made: {error.strerror}") from error
    try:
        _copy(store, part, report)
        if problems := faults(part):
            raise StoreError(f"the copy is not sound: {problems[0]}; try invite-gateway db check")
        _flush(part)
        part.rename(file)
        _flush(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the copy {file} could not be made: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return file.stat().st_size


def faults(file: Path) -> list[str]:
    """What is wrong with a copy, by SQLite's own look; empty where it is a sound store."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True)) as copy:
            rows = [row[0] for row in copy.execute("PRAGMA integrity_check") if row[0] != "ok"]
            rows += [
                f"row {row[1]} of {row[0]}" for row in copy.execute("PRAGMA foreign_key_check")
            ]
            if not rows and not copy.execute("SELECT version_num FROM alembic_version").fetchone():
                rows.append("it holds no schema of this program")
    except sqlite3.Error as error:
        return [str(error)]
    return rows


def _copy(store: Store, part: Path, report: Told) -> None:
    def progress(_status: int, remaining: int, total: int) -> None:
        report("copied", total - remaining, total)

    with closing(store.alone()) as live, closing(sqlite3.connect(part)) as copy:
        # One moment for all pages: else each writer makes the copy begin anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=PAGES, progress=progress, sleep=0)
        live.execute("ROLLBACK")
        # One file, without -wal and -shm beside it.
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()


def _flush(path: Path) -> None:
    """Have it on the disk before anybody relies on it."""
    with suppress(OSError):  # a folder that cannot be opened, or a file system that has none of it
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
