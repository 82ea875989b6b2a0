"""A PostgreSQL cluster of its own, and a fresh database per test.

Runs as the user `postgres` when started by root (the server refuses root), as ourselves otherwise.
Waiting for the disk is switched off (fsync, full_page_writes): killing processes, the server's too,
loses nothing by that; only pulling the machine's plug would.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from tests import rig
from tests.rig import process

BACKENDS_LEAVE_SECONDS = 60.0
_OWNER = "gateway"
_PASSWORD = "in-the-rig"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass
class Cluster:
    """A running PostgreSQL server."""

    port: int
    bin: Path
    daemon: process.Daemon
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _templates: set[str] = field(default_factory=set)

    def url(self, database: str = "postgres") -> str:
        """`postgresql://…` for this database; the user is the cluster's superuser."""
        return f"postgresql://{_OWNER}:{_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """A new database under a name never used before; returns its URL."""
        name = f"t{next(self._names)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)
        return self.url(name)

    def renew_database(self, url: str, template: str) -> None:
        """Another database at the same URL, which ends the connections to the old one."""
        self.drop_database(url)
        name = url.rsplit("/", 1)[1]
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, template)

    def drop_database(self, url: str) -> None:
        """Remove a database of `create_database`, ending connections that are still open."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), url.rsplit("/", 1)[1])

    @contextlib.contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The URL of a fresh database, dropped at the end."""
        url = self.create_database(template)
        try:
            yield url
        finally:
            self.drop_database(url)

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """A database to copy from, made once: `prepare(url)` fills it (migrations, say) and leaves
        no connection open.

        Returns the name to give as `template`; copying takes some ten milliseconds, migrating much
        longer.
        """
        if name not in self._templates:
            self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0"), name)
            try:
                prepare(self.url(name))
            except BaseException:
                self.drop_database(self.url(name))
                raise
            self._templates.add(name)
        return name

    def start(self) -> None:
        """Start after `stop` or `daemon.kill`, on the same port with the same data.

        Backends have sessions of their own: after a kill they see by themselves that their server
        is gone, and leave its memory.
        """
        deadline = time.monotonic() + BACKENDS_LEAVE_SECONDS
        while True:
            try:
                self.daemon.start(self._ready)
                return
            except process.StartError as error:
                if (
                    "pre-existing shared memory block" not in str(error)
                    or time.monotonic() > deadline
                ):
                    raise

    def stop(self) -> None:
        """Stop at once but in order; open connections are cut."""
        self.daemon.stop()

    def _ready(self) -> bool:
        # Listening is not enough: during recovery the server listens and refuses.
        try:
            psycopg.connect(self.url(), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.format(*(sql.Identifier(name) for name in names)))


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A new cluster, started; stopped and removed at the end."""
    binaries = Path(rig.need("/usr/lib/postgresql/*/bin/initdb", "postgresql")).parent
    user = "postgres" if process.is_root() else None
    with process.private_directory("pg") as directory:
        password_file = directory / "password"
        password_file.write_text(_PASSWORD)
        data = directory / "data"
        for path in (directory, password_file):
            process.give(path, user)
        process.run(
            [
                *process.as_user(user),
                str(binaries / "initdb"),
                "--no-sync",
                "--pgdata",
                str(data),
                "--username",
                _OWNER,
                "--pwfile",
                str(password_file),
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8",
            ],
            what="initdb",
            cwd=directory,
        )
        port = process.free_port()
        settings = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(directory)}
        daemon = process.Daemon(
            "postgres",
            [
                str(binaries / "postgres"),
                "-D",
                str(data),
                *(f"--{key}={value}" for key, value in settings.items()),
            ],
            log=directory / "postgres.log",
            user=user,
            stop_signal=signal.SIGINT,
        )  # fast shutdown; SIGTERM would wait for every client to leave
        cluster = Cluster(port, binaries, daemon)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
