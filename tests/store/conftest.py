"""One suite for both databases: `store` is a fresh one of each kind, `program` writes into it with
the database's own program.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.engine import Store
from tests import rig, stores
from tests.rig import postgres as postgres_server

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.real)]
Program = Callable[[str], str]


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store can be made, and none is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def emptied(postgres: postgres_server.Cluster) -> stores.Emptied:
    return stores.Emptied(postgres)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store at our schema."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
        return
    emptied: stores.Emptied = request.getfixturevalue("emptied")
    yield emptied.renew()
    emptied.store.close()


@pytest.fixture
def url(store: Store) -> str:
    """Of an empty store at our schema."""
    return store.url.render_as_string(hide_password=False)


@pytest.fixture
def program(request: pytest.FixtureRequest, store: Store) -> Program:
    """Runs SQL with `sqlite3` or `psql`, as administrators and other programs do; raises with its
    words when it fails.
    """
    if store.is_sqlite:
        command = [rig.need("sqlite3", "sqlite3"), "-bail", str(store.path)]
        before = "PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;"
    else:
        cluster: postgres_server.Cluster = request.getfixturevalue("postgres")
        url = store.url.set(drivername="postgresql").render_as_string(hide_password=False)
        command, before = [str(cluster.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", url], ""

    def run(sql: str) -> str:
        done = subprocess.run(
            command,
            input=f"{before}\n{sql}",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode or done.stderr:
            raise RuntimeError(done.stderr)
        return done.stdout.removeprefix("10000\n").strip()

    return run
