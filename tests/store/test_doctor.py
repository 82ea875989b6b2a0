"""What `invite-gateway doctor` says of a store that cannot be used, and that it says "ok" after the
cure that it names, or docs/operations.md.
"""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from gateway.doctor import examination
from gateway.health import State
from gateway.store import engine, migrate
from gateway.store.engine import Store
from tests import command, stores
from tests.checkup import examined
from tests.faults import suite
from tests.rig import process

PAGE_BYTES = 4096
PROGRAM = "from gateway.cli import main; main.main()"


@pytest.fixture
def environment(empty_url: str) -> dict[str, str]:
    return {"GATEWAY_STORE__URL": empty_url}


def followed(environment: dict[str, str], *cure: str) -> None:
    """The cure leaves a store of which nothing is said."""
    done = command.run(*cure, environment=environment)
    assert done.returncode == 0, done.stderr
    is_well(environment)


def is_well(environment: dict[str, str]) -> None:
    lines = examined(environment)
    assert (lines["store"].state, lines["integrity"].state) == (State.OK, State.OK)


def says(environment: dict[str, str], words: str) -> None:
    line = examined(environment)["store"]
    assert line.state is State.FAILED
    assert words in line.words


def test_a_store_of_an_older_program_is_told_until_it_is_upgraded(
    empty_url: str, environment: dict[str, str]
) -> None:
    *_, before, head = migrate._revisions()
    with closing(Store(empty_url)) as store:
        stores.bring(store, before)
    says(environment, f"is at schema {before}, this program needs {head}")
    says(environment, "invite-gateway db upgrade")
    followed(environment, "db", "upgrade")


def test_a_store_of_a_newer_program_is_told_until_that_one_is_installed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    suite.make_newer(tmp_path / "newer")
    newer = os.environ | environment | {"PYTHONPATH": str(tmp_path / "newer")}

    def of_the_newer(*arguments: str) -> str:
        program = [sys.executable, "-P", "-c", PROGRAM, *arguments]
        return subprocess.run(
            program, env=newer, capture_output=True, text=True, timeout=120, check=False
        ).stdout

    of_the_newer("db", "upgrade")
    says(environment, "which is newer than this program; install the newer program")
    assert "ok:      store: reachable" in of_the_newer("doctor")


def test_a_store_that_is_away_is_told_until_it_is_back(
    postgres_url: str, environment: dict[str, str]
) -> None:
    """The same where it is SQLite, and the volume is not mounted."""
    if "sqlite" in environment["GATEWAY_STORE__URL"]:
        says(environment, "there is no store at")
    else:
        [_, port] = postgres_url.split("@")[1].split("/")[0].split(":")
        away = postgres_url.replace(f":{port}/", f":{process.free_port()}/")
        says({"GATEWAY_STORE__URL": away}, "Connection refused")
    followed(environment, "db", "upgrade")


def test_a_database_of_another_program_is_told_until_there_is_one_of_our_own(
    postgres_url: str, tmp_path: Path
) -> None:
    foreign = {"GATEWAY_STORE__URL": postgres_url}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE participant (id integer)")
    says(foreign, "invite-gateway db upgrade")
    done = command.run("db", "upgrade", environment=foreign)
    assert done.returncode == 1
    assert "tables of another program (participant); give the gateway one of its own" in done.stderr
    followed({"GATEWAY_STORE__URL": f"sqlite:///{tmp_path / 'own.db'}"}, "db", "upgrade")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A SQLite store with some follow-ups, beside a copy of it."""
    path, copy = tmp_path / "store.db", tmp_path / "copy.db"
    environment = {"GATEWAY_STORE__URL": f"sqlite:///{path}"}
    assert command.run("db", "upgrade", environment=environment).returncode == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO follow_up (key, title, start_at) VALUES (?, ?, '2026-12-01 08:00:00')",
            [(f"f{number}", "Kick-off " * 50) for number in range(500)],
        )
    assert command.run("db", "backup", str(copy), environment=environment).returncode == 0
    return path


def test_a_damaged_file_is_told_until_a_copy_is_put_back(file: Path) -> None:
    environment = {"GATEWAY_STORE__URL": f"sqlite:///{file}"}
    pages = file.stat().st_size // PAGE_BYTES
    with file.open("r+b") as written:
        written.seek((pages - 3) * PAGE_BYTES)  # of the follow-ups, which came last
        written.write(b"\xff" * PAGE_BYTES)
    line = examined(environment)["integrity"]
    assert line.state is State.FAILED
    assert "See: db check" in line.words
    checked = command.run("db", "check", environment=environment)
    assert checked.returncode == 1
    assert "SQLite: " in checked.stdout
    followed(environment, "db", "restore", str(file.with_name("copy.db")))


def test_a_file_that_is_no_store_is_told_until_the_store_is_put_back(file: Path) -> None:
    environment = {"GATEWAY_STORE__URL": f"sqlite:///{file}"}
    file.write_bytes(b"Somebody saved a letter here.\n" * 200)
    says(environment, "is no SQLite database, or its beginning is damaged. Put the store back")
    followed(environment, "db", "restore", str(file.with_name("copy.db")))


@contextmanager
def held(url: str) -> Iterator[None]:
    """Another program writes and does not come to its end."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
    else:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("LOCK TABLE meta")
            yield


def test_a_store_that_another_program_holds_is_told_until_that_one_ends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 1_000)
    monkeypatch.setattr(examination, "SILENT_SECONDS", 0.1)
    environment = {"GATEWAY_STORE__URL": url}
    with held(url):
        told = command.run("doctor", environment=environment).stdout
    assert f"warning: store: {examination.WAITS}" in told
    assert "failed:  store: store " in told
    assert re.search("database is locked|due to lock timeout", told)
    is_well(environment)


def test_what_a_gateway_writes_beside_its_store_is_closed_with_it() -> None:
    """The -wal has the newest addresses and tokens."""
    with process.private_directory("doctor") as folder:
        folder.chmod(0o755)
        path = folder / "store.db"
        environment = {"GATEWAY_STORE__URL": f"sqlite:///{path}"}
        assert command.run("db", "upgrade", environment=environment).returncode == 0
        with closing(sqlite3.connect(path)) as gateway:
            gateway.execute("INSERT INTO person (key, name) VALUES ('eva', 'Eva')")
            gateway.commit()
            wal = folder / "store.db-wal"
            path.chmod(0o664)
            wal.chmod(0o664)
            line = examined(environment)["rights"]
            assert line.state is State.WARNING
            cures = line.words.partition(": chmod ")[2]
            done = subprocess.run(f"chmod {cures}", shell=True, check=False)
            assert done.returncode == 0
            assert examined(environment)["rights"].state is State.OK
            assert [one.stat().st_mode & 0o777 for one in (path, wal)] == [0o660, 0o660]
