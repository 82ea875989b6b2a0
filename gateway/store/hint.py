"""Hints that somebody has marked a follow-up, so that those who wait for that look at once.

SQLite: a connection that does nothing else asks every `LOOK_SECONDS` whether anybody has committed
(`PRAGMA data_version`, some microseconds), and only then whether a mark was among it. PostgreSQL:
LISTEN on a channel that a trigger on `change_mark` notifies when the writer commits (triggers.py).

On failure: `StoreError`. A hint is never needed: marks stay, and are looked for from time to time
as well. Limits: one connection beside the pool's; a hint may come for nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from gateway.errors import StoreError
from gateway.store.engine import Store
from gateway.store.schema import change_mark
from gateway.store.triggers import CHANNEL

LOOK_SECONDS = 0.03
LISTEN_SECONDS = 0.2
"""So long a connection is listened on before it is asked whether that is over."""


def marks(store: Store, over: threading.Event) -> Iterator[None]:
    """Yields when watching begins, and then whenever there are new marks, until `over` is set.
    Blocks its thread.
    """
    try:
        with closing(store.alone()) as connection:
            yield from (_look if store.is_sqlite else _listen)(connection, over)
    except store.engine.dialect.loaded_dbapi.Error as error:
        raise StoreError(f"changes are not told at once: {str(error).strip()}") from error


def _look(connection: Any, over: threading.Event) -> Iterator[None]:
    version, newest = _version(connection), _newest(connection)
    yield
    while not over.wait(LOOK_SECONDS):
        if version != (version := _version(connection)) and newest != (
            newest := _newest(connection)
        ):
            yield


def _version(connection: Any) -> int:
    # All rows are fetched: a statement that is not finished would keep the log from being emptied.
    [[version]] = connection.execute("PRAGMA data_version").fetchall()
    return int(version)


def _newest(connection: Any) -> object:
    """The number of the last mark, also of one that is planned already."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    return connection.execute(query, (change_mark.name,)).fetchall()


def _listen(connection: Any, over: threading.Event) -> Iterator[None]:
    connection.autocommit = True
    connection.execute(f"LISTEN {CHANNEL}")
    yield
    while not over.is_set():
        for _ in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
            yield
