"""A copy of a SQLite store put back in its place (docs/operations.md, "Backup")."""

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.errors import Refused, StoreError
from gateway.invite import numbering
from gateway.store import backup, leases, meta, migrate
from gateway.store.engine import Store

ENDS = ("", "-wal", "-shm")
"""SQLite's files belong together: those of another store spoil one."""


@dataclass(frozen=True, slots=True)
class Restored:
    """`aside`: where the store lies that was there, None where none was; `sequence`: below which no
    letter leaves any more.
    """

    aside: Path | None
    sequence: int


def restore(store: Store, file: Path, now: datetime) -> Restored:
    """Put a copy in the place of the store, which is laid aside. Raises `Refused` while a gateway
    runs, and `StoreError` for a copy that is not sound: nothing has changed then.
    """
    path = store.path
    if path is None:
        raise Refused("PostgreSQL puts its own dumps back: pg_restore, see docs/operations.md")
    if not file.is_file():
        raise StoreError(f"there is no file {file}")
    _require_nobody(store, path, now)
    there = path.exists()
    owner = path if there else path.parent
    fresh = path.with_name(f"{path.name}.restoring")
    aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}")
    try:
        shutil.copyfile(file, fresh)
        fresh.chmod(0o660)
        _give(fresh, owner)
        if problems := backup.faults(fresh):
            raise StoreError(f"{file} is not sound: {problems[0]}")
        floor = _made_ready(fresh, now)
        store.close()
        for end in ENDS if there else ():
            if (old := path.with_name(path.name + end)).exists():
                old.rename(aside.with_name(aside.name + end))
        fresh.rename(path)
    except OSError as error:
        raise StoreError(f"{file} cannot be put back: {error}") from error
    finally:
        for end in ENDS:
            fresh.with_name(fresh.name + end).unlink(missing_ok=True)
    return Restored(aside if there else None, floor)


def _made_ready(fresh: Path, now: datetime) -> int:
    """Bring a copy to this program's schema before it is anybody's store, and let nothing leave
    below what may have left since. The last to close it leaves one file.
    """
    with closing(Store(f"sqlite:///{fresh}")) as fresh_store:
        migrate.upgrade(fresh_store, copy=False)
        with fresh_store.write() as connection:
            return meta.raise_sequence_floor(connection, numbering.floor(now))


def _require_nobody(store: Store, path: Path, now: datetime) -> None:
    """Where the store that is there can still be read."""
    if not path.exists():
        return
    try:
        with closing(Store(str(store.url))) as present, present.read() as connection:
            running = leases.held(connection, leases.GATEWAY, now)
    except StoreError:
        return  # it is broken, which may be why a copy is put back
    if running:
        raise Refused("a gateway runs on this store; first: systemctl stop invite-gateway")


def _give(file: Path, like: Path) -> None:
    """To the owner of the store, or of its folder: root puts copies back, and does not run it."""
    if os.geteuid() == 0:
        seen = like.stat()
        os.chown(file, seen.st_uid, seen.st_gid)
