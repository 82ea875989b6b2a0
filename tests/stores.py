"""SQLite stores to test with: copies of one that was migrated once, behind a `Store` that stays."""

import shutil
from pathlib import Path

from gateway.store import migrate
from gateway.store.engine import Store


def upgraded(url: str) -> None:
    """Bring the store at `url` to our schema, and leave no connection to it open."""
    store = Store(url)
    migrate.upgrade(store)
    store.close()


def renew(store: Store, template: Path) -> Store:
    """The same `Store` with another file: a copy of `template`, at the path of the last one.

    SQLAlchemy compiles a statement once for each engine. A new `Store` for every test would spend a
    third of the time on that. What listens to the engine stays, too: a test removes its own
    listeners.
    """
    store.close()
    assert store.path is not None
    for end in ("", "-wal", "-shm"):
        store.path.with_name(store.path.name + end).unlink(missing_ok=True)
    shutil.copy(template, store.path)
    return store
