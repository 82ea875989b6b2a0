"""The start, as the machine makes it: the database comes later, the port is taken, the store is
locked or another program's; and what journald and systemd are told meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway.store.engine import Store
from tests import stores, warm
from tests.rig import postgres as postgres_server
from tests.rig import process
from tests.wire.gateway_process import HURRIED, PROGRAM, WAIT_SECONDS, Gateway

pytestmark = pytest.mark.real  # whole daemons


def environment(url: str, **more: str) -> dict[str, str]:
    """A gateway with this store and no mailbox; its mail server refuses, which stops nothing."""
    settings = {
        "STORE__URL": url,
        "STORE__POLL_SECONDS": "0.2",
        "OUTBOUND__COALESCE_SECONDS": "0",
        "MAIL__ADDRESS": "invites@crm.example",
        "SMTP__HOST": "127.0.0.1",
        "SMTP__PORT": str(process.free_port()),
        "WEB__LISTEN": "127.0.0.1:0",
        "LOG__FORMAT": "json",
        **more,
    }
    foreign = ("GATEWAY_", "NOTIFY_", "WATCHDOG_", "JOURNAL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {f"GATEWAY_{name}": value for name, value in settings.items()}


@contextlib.contextmanager
def started(
    settings: dict[str, str],
    only: str = "",
    *,
    wait: bool = False,
    program: Sequence[str] = (PROGRAM,),
    cold: bool = False,
) -> Iterator[Gateway]:
    gateway = Gateway(settings, program, cold=cold)
    try:
        gateway.start(only, wait=wait)
        yield gateway
    finally:
        gateway.end()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    path = shutil.copy(sqlite_template, tmp_path / "store.db")
    return f"sqlite:///{path}"


@contextlib.contextmanager
def manager(folder: Path) -> Iterator[socket.socket]:
    """systemd's end of NOTIFY_SOCKET."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(WAIT_SECONDS)
        yield listener


def heard(listener: socket.socket, wanted: str) -> str:
    """The first notification that begins so."""
    while not (text := listener.recv(4096).decode()).startswith(wanted):
        pass
    return text


@pytest.mark.real
def test_a_database_that_is_late_is_waited_for_and_one_that_restarts_costs_no_traceback(
    tmp_path: Path,
) -> None:
    with postgres_server.running() as cluster, manager(tmp_path) as listener:
        url = cluster.create_database()
        stores.upgraded(url)
        cluster.stop()
        listen = f"127.0.0.1:{process.free_port()}"
        page = f"http://{listen}"
        settings = environment(url, WEB__LISTEN=listen)
        settings |= {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with started(settings, cold=True) as gateway:
            (line,) = gateway.wait_log("waiting for the store")
            assert "Connection refused" in line["reason"]
            assert "in-the-rig" not in json.dumps(gateway.log)
            # The boot goes on: the start counts as over, and says what is missing.
            told = heard(listener, "READY=1")
            assert "STATUS=waiting for the store: store postgresql" in told
            # Whoever watches the process sees that it lives, and what it waits for.
            with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
                assert client.get(f"{page}/healthz").status_code == 200
                ready = client.get(f"{page}/readyz")
            assert ready.status_code == 503
            [check] = [one for one in ready.json()["checks"] if one["name"] == "store"]
            assert "Connection refused" in check["words"]
            (said,) = complaints(settings)
            assert "store postgresql" in said
            assert "Connection refused" in said
            cluster.start()
            gateway.wait_log("ready")
            heard(listener, "READY=1\nSTATUS=running")
            assert complaints(settings) == []
            cluster.stop()
            stopped = gateway.wait_log("role stopped")
            assert "store postgresql" in stopped[0]["error"]
            assert stopped[0]["starts_again_in_seconds"] > 0
            before = len(gateway.log)
            cluster.start()
            gateway.command("load", str(meeting(tmp_path)))
            gateway.wait_log("letters planned", since=before)
            assert gateway.stop() == 0
        assert not [one for one in gateway.log if "exception" in one or one["level"] == "?"]
        # One line each time the reason is another one, not one for every try.
        reasons = [one["reason"] for one in gateway.log if one["event"] == "waiting for the store"]
        assert all(reason != then for reason, then in itertools.pairwise(reasons))


def test_the_stop_ends_the_wait_at_once_with_0(tmp_path: Path) -> None:
    url = f"postgresql://gateway@127.0.0.1:{process.free_port()}/gateway"
    with started(environment(url)) as gateway:
        gateway.wait_log("waiting for the store")
        assert gateway.stop() == 0


def test_a_store_that_is_locked_is_waited_for(sqlite_url: str, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other,
        manager(tmp_path) as listener,
    ):
        other.execute("BEGIN IMMEDIATE")
        settings = environment(sqlite_url) | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with started(settings, program=HURRIED) as gateway:
            # While an attempt goes on systemd is asked for patience: it may be a long migration.
            assert heard(listener, "EXTEND_TIMEOUT_USEC=") == "EXTEND_TIMEOUT_USEC=30000000"
            (line,) = gateway.wait_log("waiting for the store")
            assert line["reason"].endswith("database is locked")
            assert "STATUS=waiting for the store: " in heard(listener, "READY=1")
            (said,) = complaints(settings)
            assert "failed: the store cannot be written" in said
            assert "database is locked" in said
            other.execute("ROLLBACK")
            gateway.wait_log("ready")
            heard(listener, "READY=1\nSTATUS=running: planner")
            assert complaints(settings) == []
            assert gateway.stop() == 0


def complaints(settings: dict[str, str]) -> list[str]:
    """What `status` says is wrong, line by line; in a process of its own, for this one locks."""
    done = subprocess.run(
        [*warm.command(HURRIED[-1]), "status"],
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return done.stderr.splitlines()


def refusal(settings: dict[str, str]) -> str:
    """The one line with which `run` leaves with 78."""
    done = subprocess.run(
        [*warm.command(PROGRAM), "run"],
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    (line,) = [one for one in done.stderr.splitlines() if not one.startswith("{")]
    return line


def test_a_store_of_a_newer_program_is_78(sqlite_url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer than this program" in refusal(environment(sqlite_url))


def test_a_database_of_another_program_is_78_and_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as store:
        store.execute("CREATE TABLE person (name)")
        assert "tables of another program (person)" in refusal(
            environment(f"sqlite:///{tmp_path / 'store.db'}")
        )
        assert store.execute("SELECT name FROM sqlite_master").fetchall() == [("person",)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x00\x01no store" * 200, "no SQLite database"),
        (b"PGDMP\x01\x0e\x00" * 200, "a PostgreSQL dump"),
        (b"--\n-- PostgreSQL database dump\n--\n" * 50, "a PostgreSQL dump"),
    ],
    ids=["garbage", "pg_dump", "pg_dump as SQL"],
)
def test_a_file_that_is_no_store_is_78_and_left_as_it_is(
    content: bytes, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "store.db"
    file.write_bytes(content)
    assert told in refusal(environment(f"sqlite:///{file}"))
    assert file.read_bytes() == content


@pytest.mark.parametrize("name", ["stor.db", "nowhere/store.db", "volume/store.db"])
def test_a_mistyped_path_begins_no_store(name: str, sqlite_url: str, tmp_path: Path) -> None:
    """Nor does a volume that is not mounted: its place is an empty folder."""
    (tmp_path / "volume").mkdir()
    before = sorted(tmp_path.rglob("*"))
    service = {"STATE_DIRECTORY": str(tmp_path)}
    line = refusal(environment(f"sqlite:///{tmp_path / name}") | service)
    assert f"there is no store at {tmp_path / name}" in line
    assert "invite-gateway db upgrade" in line
    assert sorted(tmp_path.rglob("*")) == before


def test_the_first_start_of_a_service_makes_its_store(tmp_path: Path) -> None:
    """systemd makes the folder, and nobody else has been there."""
    service = {"STATE_DIRECTORY": str(tmp_path)}
    settings = environment(f"sqlite:///{tmp_path / 'store.db'}") | service
    with started(settings, wait=True, cold=True) as gateway:
        assert gateway.stop() == 0
    assert (tmp_path / "store.db").exists()


@pytest.mark.real
def test_a_postgresql_store_that_nobody_made_or_migrated_is_78(postgres_url: str) -> None:
    assert "schema none" in refusal(environment(postgres_url))
    stores.upgraded(postgres_url)
    with closing(Store(postgres_url)) as store, store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert "invite-gateway db upgrade" in refusal(environment(postgres_url))


@pytest.mark.parametrize("only", ["", "web", "outbound,web"])
def test_a_taken_port_stops_no_mail_and_is_taken_as_soon_as_it_is_free(
    only: str, sqlite_url: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, manager(tmp_path) as listener:
        port = other.getsockname()[1]
        settings = environment(sqlite_url, WEB__LISTEN=f"127.0.0.1:{port}")
        settings |= {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with started(settings, only, wait=True, program=HURRIED) as gateway:
            (line, *_) = gateway.wait_log("role stopped")
            assert line["role"] == "web"
            assert line["error"] == (
                f"web.listen: cannot listen on 127.0.0.1:{port}: Address already in use"
            )
            words = f"the role web has stopped [0-9]+ times? since .*{re.escape(line['error'])}"
            assert re.search(words, heard(listener, "STATUS=running; "))
            assert any(re.search(words, said) for said in complaints(settings))
            if only != "web":
                gateway.command("load", str(meeting(tmp_path)))
                gateway.wait_log("letters planned")
                [line, *_] = gateway.wait_log("letter tried")
                followed = {"message_id", "sequence", "tries", "host", "seconds", "waited_seconds"}
                assert followed <= line.keys()
            other.close()
            gateway.wait_for(lambda: answers(port), bool, what="the page")
            gateway.wait_log("trouble is over")
            assert not [said for said in complaints(settings) if "role web" in said]
            assert gateway.stop() == 0
    assert not [one for one in gateway.log if "exception" in one]


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as asking:
        asking.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return asking.recv(100).startswith(b"HTTP/1.1 200")
    return False


@pytest.mark.parametrize("matches", [True, False], ids=["journal", "elsewhere"])
def test_lines_have_their_priority_where_journald_reads_them(
    matches: bool, sqlite_url: str, tmp_path: Path
) -> None:
    """Priorities of syslog(3) in front of each line, as sd-daemon(3) has it."""
    reading, writing = os.pipe()
    there = os.fstat(writing)
    stream = f"{there.st_dev}:{there.st_ino if matches else there.st_ino + 1}"
    with socket.create_server(("127.0.0.1", 0)) as other, os.fdopen(reading) as lines:
        settings = environment(sqlite_url, WEB__LISTEN=f"127.0.0.1:{other.getsockname()[1]}")
        daemon = subprocess.Popen(
            [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", PROGRAM, "run"],
            env=settings | {"JOURNAL_STREAM": stream},
            stdin=subprocess.DEVNULL,
            stderr=writing,
        )
        os.close(writing)
        seen = {}
        try:
            for line in lines:
                parts = re.fullmatch(r"(<\d>)?(\{.*\})\n", line)
                assert parts is not None, line
                prefix, text = parts.groups()
                entry = json.loads(text)
                seen[entry["level"]] = prefix
                if entry["event"] == "ready":
                    daemon.terminate()
        finally:
            daemon.kill()
            daemon.wait(WAIT_SECONDS)
    # no mailbox is read (warning), the port is taken (error), ready (info)
    assert seen == (
        {"error": "<3>", "warning": "<4>", "info": "<6>"}
        if matches
        else {"error": None, "warning": None, "info": None}
    )


def meeting(folder: Path) -> Path:
    """A document with one invitation that is owed."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    path = folder / "meeting.json"
    path.write_text(
        json.dumps(
            {
                "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
                "follow_ups": [
                    {
                        "key": "m1",
                        "kind": "meeting",
                        "owner": "kari",
                        "title": "Kick-off",
                        "start": start.isoformat(),
                        "end": (start + timedelta(hours=1)).isoformat(),
                        "participants": [{"email": "eva@ext.example", "email_invite": True}],
                    }
                ],
            }
        )
    )
    return path


def test_a_store_of_somebody_else_says_who_may_not_do_what() -> None:
    name = process.own_user().pw_name
    with process.private_directory("rights") as folder:
        url = f"sqlite:///{folder / 'store.db'}"
        stores.upgraded(url)
        path = folder / "store.db"
        said = []
        for folder_mode, file_mode in ((0o600, 0o666), (0o755, 0o000), (0o555, 0o666)):
            folder.chmod(0o755)
            path.chmod(file_mode)
            folder.chmod(folder_mode)
            done = subprocess.run(
                [*process.within_rights(), PROGRAM, "status"],
                env=environment(url),
                capture_output=True,
                text=True,
                timeout=WAIT_SECONDS,
                check=False,
            )
            assert done.returncode == 1
            said.append(done.stderr)
        folder.chmod(0o755)
        assert f"this user ({name}) may not enter {folder}" in said[0]
        assert f"this user ({name}) may not read and write {path}" in said[1]
        assert f"this user ({name}) may not write in {folder}" in said[2]
        assert all(one.count("\n") == 1 for one in said)
        assert all("only root and the service may" in one for one in said)


UNIT = Path(__file__).parents[2] / "systemd" / "invite-gateway.service"


def test_the_unit_starts_as_systemd_starts_it(tmp_path: Path) -> None:
    """Its ExecStart and environment, with secrets in CREDENTIALS_DIRECTORY, an empty state directory
    and a notify socket. READY comes from the main process, for NotifyAccess=main.
    """
    unit = UNIT.read_text(encoding="utf-8")
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", unit)
    given = dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", unit))
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    for name in re.findall(r"(?m)^LoadCredential=([^:\n]+):", unit):
        (secrets / name).write_text("a secret\n", encoding="utf-8")
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f"""
        [store]
        url = "sqlite:///{tmp_path / "state" / "store.db"}"
        [mail]
        address = "invites@crm.example"
        [smtp]
        host = "127.0.0.1"
        port = {process.free_port()}
        username = "invites"
        password_file = "credential:smtp-password"
        [imap]
        host = "127.0.0.1"
        port = {process.free_port()}
        security = "none"
        username = "invites"
        password_file = "credential:imap-password"
        [web]
        listen = "127.0.0.1:0"
        """,
        encoding="utf-8",
    )
    (tmp_path / "state").mkdir()
    assert given["GATEWAY_CONFIG"] == "/etc/invite-gateway/gateway.toml"
    assert given["PATH"].startswith("/opt/invite-gateway/.venv/bin:")
    with manager(tmp_path) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        daemon = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command.split()],
            env={
                "PATH": f"{Path(PROGRAM).parent}:/usr/bin:/bin",
                "GATEWAY_CONFIG": str(settings),
                "CREDENTIALS_DIRECTORY": str(secrets),
                "STATE_DIRECTORY": str(tmp_path / "state"),
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            },
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            said, sender = b"", 0
            while not said.startswith(b"READY=1"):
                said, ancillary, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(12))
                [(_, _, who)] = ancillary
                (sender,) = struct.unpack_from("i", who)
            assert sender == daemon.pid
            daemon.terminate()
            heard(listener, "STOPPING=1")
            assert daemon.wait(WAIT_SECONDS) == 0
        finally:
            daemon.kill()
            _, written = daemon.communicate()
    assert b"a secret" not in written
    assert (tmp_path / "state" / "store.db").exists()
