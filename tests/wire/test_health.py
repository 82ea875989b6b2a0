"""Every fault that an administrator must hear of, provoked: the same words in `/readyz`, `status`,
`queue shape` and systemd's STATUS line, and nowhere any more after the cure.

The gateway runs in a process of its own, with mail servers of ours whose faults can be had at will.
"""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme

from gateway import errors, health
from gateway import settings as configuration
from gateway.actions import health as troubles
from gateway.daemon import health as monitoring
from gateway.doctor import examination
from gateway.inbound import intake
from gateway.model import Access
from gateway.store import leases
from gateway.store.engine import Store
from tests import command, rig, stores, waiting, warm
from tests.web import signing
from tests.wire import imap_peer, smtp_peer
from tests.wire.gateway_process import HURRIED, Gateway
from tests.wire.smtp_peer import Say

pytestmark = pytest.mark.real  # whole daemons

SECONDS = 240.0
"""Retries wait for up to some seconds, and machines are slow."""
PASSWORD = 'sec"ret'
DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
    "follow_ups": [
        {
            "key": "m1",
            "owner": "kari",
            "title": "Kick-off",
            "start": "2099-12-01T09:00:00",
            "participants": [
                {"email": f"{name}@ext.example", "email_invite": True} for name in ("ola", "eva")
            ],
        }
    ],
}


def free_port() -> int:
    """A port on which nobody listens."""
    with contextlib.closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        return port


@dataclass
class Site:
    """A gateway, its settings, and all the places that tell how it is."""

    folder: Path
    gateway: Gateway
    listener: socket.socket
    page: str
    cookies: dict[str, str]
    heard: list[str] = field(default_factory=list)
    """The STATUS lines, oldest first."""
    prefix: tuple[str, ...] = ()
    """Before every command: what the same fault does to other programs."""
    apart: bool = False
    """Whether commands need a process of their own: this one locks the store, or serves them."""

    @property
    def path(self) -> Path:
        return self.folder / "store.db"

    async def start(self, **settings: str) -> None:
        self.gateway.settings |= {f"GATEWAY_{name}": value for name, value in settings.items()}
        await asyncio.to_thread(self.gateway.start)

    async def restart(self, **settings: str) -> None:
        assert await asyncio.to_thread(self.gateway.stop) == 0
        await self.start(**settings)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        if not (self.apart or self.prefix):
            return command.run(*arguments, environment=self.gateway.settings)
        program = (*self.prefix, *self.gateway.program)
        return await asyncio.to_thread(
            subprocess.run,
            [*(program if self.prefix else warm.command(program[-1])), *arguments],
            env=self.gateway.settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    async def load(self) -> None:
        file = self.folder / "crm.json"
        file.write_text(json.dumps(DOCUMENT), encoding="utf-8")
        done = await self.run("load", str(file))
        assert done.returncode == 0, done.stderr

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    async def ready(self) -> tuple[int, dict[str, dict[str, str]]]:
        async with httpx.AsyncClient(verify=False, timeout=SECONDS) as client:
            answer = await client.get(f"{self.page}/readyz")
        checks: dict[str, dict[str, str]] = {}
        for check in answer.json()["checks"]:
            checks[check["name"]] = check
        return answer.status_code, checks

    def status_line(self) -> str:
        """What `systemctl status` would show now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                for line in self.listener.recv(10_000).decode().splitlines():
                    if line.startswith("STATUS="):
                        self.heard.append(line.removeprefix("STATUS="))
        return self.heard[-1] if self.heard else ""

    async def until(
        self, what: str, true: Callable[[int, dict[str, dict[str, str]]], bool]
    ) -> None:
        code, checks = 0, dict[str, dict[str, str]]()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            code, checks = await self.ready()
            if true(code, checks):
                return
            await asyncio.to_thread(self.gateway.lives, 0.1)
        raise AssertionError(f"never came: {what}: {code} {checks}\n{self.gateway.tail()}")

    async def seen(self, subject: str, *words: str) -> None:
        """Wait until `/readyz` has failed with these words, and find them everywhere else."""

        def there(code: int, checks: dict[str, dict[str, str]]) -> bool:
            check = checks.get(subject, {"state": "", "words": ""})
            told = all(word in check["words"] for word in words)
            return code == 503 and check["state"] == "failed" and told

        await self.until(f"{subject} {words}", there)
        for arguments in (("--json", "status"), ("queue", "shape")):
            done = await self.run(*arguments)
            [line] = [line for line in done.stderr.splitlines() if words[0] in line]
            assert line.startswith("invite-gateway: failed: ")
            assert all(word in line for word in words), line
            assert words[0] not in done.stdout, "these lines are participants and letters only"
        line = self.status_line()
        assert line.startswith("running; "), line
        assert all(word in line for word in words), line
        async with httpx.AsyncClient(verify=False, timeout=SECONDS, cookies=self.cookies) as client:
            assert 'class="wrong failed"' in (await client.get(f"{self.page}/troubles")).text

    async def gone(self, subject: str, *words: str) -> None:
        """Wait until `/readyz` is ok, and find the words nowhere any more. A job that failed
        meanwhile says so until it was tried again.
        """
        await self.until(
            f"{subject} ok",
            lambda code, checks: {check["state"] for check in checks.values()} == {"ok"},
        )
        for arguments in (("status",), ("queue", "shape")):
            assert (await self.run(*arguments)).stderr == ""
        line = self.status_line()
        assert line.startswith("running: planner, sender"), line


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Iterator[Site]:
    """Not started yet; nothing is sent or read unless a test says so."""
    shutil.copy(sqlite_template, tmp_path / "store.db")
    with contextlib.closing(Store(f"sqlite:///{tmp_path}/store.db")) as store:
        cookies = signing.session(store, role=Access.ADMIN)
    port = free_port()
    settings = {
        "STORE__URL": f"sqlite:///{tmp_path}/store.db",
        "STORE__POLL_SECONDS": "0.2",
        "OUTBOUND__COALESCE_SECONDS": "0",
        "OUTBOUND__FIRST_RETRY_SECONDS": "1",
        "MAIL__ADDRESS": "invites@crm.example",
        "MAIL__TIMEZONE": "Europe/Oslo",
        "SMTP__HOST": "127.0.0.1",
        "SMTP__PORT": str(free_port()),
        "SMTP__SECURITY": "none",
        "IMAP__USERNAME": "invites",
        "IMAP__PASSWORD": PASSWORD,
        "IMAP__SECURITY": "none",
        "IMAP__TIMEOUT_SECONDS": "20",
        "INBOUND__PROBE": "false",
        "WEB__LISTEN": f"127.0.0.1:{port}",
        "LOG__FORMAT": "json",
    }
    notify = tmp_path / "notify"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    gateway = Gateway(
        kept
        | {f"GATEWAY_{name}": value for name, value in settings.items()}
        | {"NOTIFY_SOCKET": str(notify)},
        HURRIED,
    )
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(notify))
        listener.setblocking(False)
        made = Site(tmp_path, gateway, listener, f"http://127.0.0.1:{port}", cookies)
        try:
            yield made
        finally:
            gateway.end()


@pytest.fixture
async def peer() -> AsyncIterator[imap_peer.Peer]:
    async with imap_peer.running() as running:
        yield running


async def test_a_wrong_password_of_the_mailbox(site: Site, peer: imap_peer.Peer) -> None:
    mailbox = {"IMAP__HOST": "127.0.0.1", "IMAP__PORT": str(peer.port)}
    await site.start(**mailbox, IMAP__PASSWORD="mistaken")
    said = f"127.0.0.1:{peer.port} refused the sign-in of 'invites' (imap.password): "
    await site.seen("mailbox", "the mailbox has not been read since", said, "none is lost")
    await site.restart(IMAP__PASSWORD=PASSWORD)
    await site.gone("mailbox")


async def test_a_port_on_which_nobody_listens(site: Site) -> None:
    port = free_port()
    await site.start(IMAP__HOST="127.0.0.1", IMAP__PORT=str(port))
    said = f"cannot reach 127.0.0.1:{port}: Connection refused."
    await site.seen("mailbox", "the mailbox has not been read since", said, "Next try")
    async with imap_peer.running(port):
        await site.gone("mailbox")


async def test_a_certificate_of_an_unknown_authority(site: Site) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = site.folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with imap_peer.running(tls=context) as peer:
        mailbox = {"IMAP__HOST": "127.0.0.1", "IMAP__PORT": str(peer.port)}
        await site.start(**mailbox, IMAP__SECURITY="tls")
        await site.seen(
            "mailbox",
            "the certificate of 127.0.0.1 is not accepted: ",
            "its authority is not known here: imap.ca_file names another",
        )
        await site.restart(IMAP__CA_FILE=str(file))
        await site.gone("mailbox")


async def test_a_folder_that_is_missing(site: Site, peer: imap_peer.Peer) -> None:
    peer.folders.pop("INBOX")
    await site.start(IMAP__HOST="127.0.0.1", IMAP__PORT=str(peer.port))
    await site.seen(
        "mailbox", "the folder 'INBOX' (imap.folder) cannot be opened: Mailbox does not exist"
    )
    peer.folders["INBOX"] = []
    await site.gone("mailbox")


async def test_sub_addresses_that_are_refused(site: Site, peer: imap_peer.Peer) -> None:
    relay = smtp_peer.Peer({"rcpt": Say(b"550 5.1.1 no sub-addresses here\r\n")}, {})
    async with relay.serving():
        mailbox = {"IMAP__HOST": "127.0.0.1", "IMAP__PORT": str(peer.port)}
        await site.start(**mailbox, SMTP__PORT=str(relay.port), INBOUND__PROBE="true")
        said = "127.0.0.1 refuses mail to invites+…@crm.example: 550 5.1.1 no sub-addresses here"
        await site.seen("probe", said, "recipient_delimiter = +", 'organizer_address = "plain"')
        # From now on the server takes them; what it takes is delivered here.
        async with asyncio.timeout(SECONDS):
            site.apart = True
            asked = asyncio.create_task(site.run("doctor", "--roundtrip"))
            while not relay.letters and not asked.done():
                await asyncio.to_thread(site.gateway.lives, 0.1)
            [letter] = relay.letters
            peer.add(letter.content)
            done = await asked
            site.apart = False
        # The mailbox that is played takes no messages by APPEND, which is another check.
        assert "ok:      probe: a letter to invites+" in done.stdout, done.stdout + done.stderr
        await site.gone("probe")
        await peer.until(lambda: not peer.messages)


async def test_an_account_that_may_not_sign_in_rests(site: Site) -> None:
    relay = smtp_peer.Peer(users={"gw": "secret"})
    async with relay.serving():
        await site.load()
        await site.start(SMTP__PORT=str(relay.port), SMTP__USERNAME="gw", SMTP__PASSWORD="mistaken")
        said = "refused the sign-in of 'gw' (smtp.password): 535 5.7.8"
        await site.seen("sending", "sending has rested since", said, "systemctl restart")
        await site.restart(SMTP__PASSWORD="secret")
        await site.gone("sending")
        await relay.until(lambda peer: len(peer.letters) >= 2)
    assert len(relay.letters) == 2


async def test_a_mail_server_that_is_down(site: Site) -> None:
    refusing: dict[str, smtp_peer.Action] = {"greeting": Say(b"421 4.3.2 not now\r\n")}
    relay = smtp_peer.Peer(refusing)
    async with relay.serving():
        await site.load()
        await site.start(SMTP__PORT=str(relay.port))
        await site.seen("sending", "sending has rested since", "421 4.3.2 not now")
        refusing.clear()
        await site.gone("sending")
        await relay.until(lambda peer: len(peer.letters) >= 2)
    assert len(relay.letters) == 2


async def test_all_letters_are_held(site: Site) -> None:
    relay = smtp_peer.Peer()
    async with relay.serving():
        await site.load()
        first, _ = sorted(row["letter"] for row in await objects(site, "queue", "list"))
        site.sql("UPDATE outbox SET message_id = 'broken ' || message_id")
        await site.start(SMTP__PORT=str(relay.port))
        await site.seen(
            "letters",
            "no letter passes preflight: 2 letters are held",
            f"See: invite-gateway queue show {first}",
        )
        lines = [line for line in site.gateway.complaints() if line.get("see")]
        assert sorted((line["held"], line["see"]) for line in lines) == [
            (1, f"invite-gateway queue show {first}"),
            (2, f"invite-gateway queue show {first + 1}"),
        ]
        assert all(line["reason"] for line in lines)
        site.sql("UPDATE outbox SET message_id = replace(message_id, 'broken ', '')")
        assert (await site.run("queue", "release", "--follow-up", "m1")).returncode == 0
        await site.gone("letters")
        await relay.until(lambda peer: len(peer.letters) >= 2)
    assert len(relay.letters) == 2


async def objects(site: Site, *arguments: str) -> list[dict[str, int]]:
    await site.run("letters")
    done = await site.run("--json", *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_a_store_that_another_program_locks(site: Site) -> None:
    await site.load()
    site.sql("UPDATE participant SET email_invite = 0")
    await site.start()
    await site.gone("store")
    locker = sqlite3.connect(site.path, isolation_level=None, timeout=60)
    with contextlib.closing(locker):
        site.apart = True
        locker.execute("BEGIN IMMEDIATE")
        await site.seen("store", "the store cannot be written", "none is lost")
        locker.execute("ROLLBACK")
    await site.gone("store")
    told = [line for line in site.gateway.log if line.get("subject") == "store"]
    assert [(line["event"], line["level"]) for line in told] == [
        ("trouble", "error"),
        ("trouble is over", "info"),
    ]


async def test_a_disk_that_is_full(site: Site) -> None:
    """No file of these processes may grow, or be written beyond its first octet."""
    await site.load()
    site.sql("UPDATE participant SET email_invite = 0")
    await site.start()
    await site.gone("store")
    process = site.gateway.process.pid
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, before[1]))
    site.prefix = (rig.need("prlimit", "util-linux"), "--fsize=1:")
    await site.seen("store", "the store cannot be written", "disk")
    site.prefix = ()
    resource.prlimit(process, resource.RLIMIT_FSIZE, before)
    await site.gone("store")


async def test_a_role_that_starts_again_and_again(site: Site) -> None:
    await site.load()
    site.sql("UPDATE participant SET email_invite = 0")
    await site.start()
    await site.gone("role planner")
    site.sql("ALTER TABLE change_mark RENAME TO elsewhere")
    await site.seen("role planner", "the role planner has stopped", "no such table: change_mark")
    site.sql("ALTER TABLE elsewhere RENAME TO change_mark")
    await site.until("the role runs on", lambda code, checks: checks.get("role planner") is None)
    await site.gone("role planner")


async def test_what_a_killed_gateway_said_is_forgotten(site: Site) -> None:
    await site.start(IMAP__HOST="127.0.0.1", IMAP__PORT=str(free_port()))
    await site.seen("mailbox", "the mailbox has not been read since")
    await asyncio.to_thread(site.gateway.kill)
    assert (await site.run("status")).stderr == ""


async def test_of_a_mailbox_that_another_gateway_reads_nothing_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one lost store and mailbox at once, and another took over meanwhile."""
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.05)
    effective = configuration.load(
        None,
        {
            "mail": {"address": "invites@crm.example"},
            "imap": {"host": "127.0.0.1", "port": free_port(), "security": "none"},
        },
    )
    board = health.Board()
    role = intake.Intake(store, effective, "here:1:a", asyncio.Event(), board=board)

    def rename(old: str, new: str) -> None:
        with store.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    stop = asyncio.Event()
    reading = asyncio.create_task(role.run(stop))
    await waiting.until(lambda: [one.subject for one in board.conditions()] == ["mailbox"])
    await asyncio.to_thread(rename, "lease", "away")
    with pytest.raises(ExceptionGroup, match="unhandled") as failure:
        await asyncio.wait_for(reading, SECONDS)
    assert errors.words(failure.value)
    await asyncio.to_thread(rename, "away", "lease")
    with store.write() as connection:
        later = datetime.now(UTC) + leases.LIFE + timedelta(seconds=1)
        assert leases.take(connection, "mailbox:default:INBOX", "there:2:b", later) is not None
    again = asyncio.create_task(role.run(stop))
    try:
        await waiting.until(lambda: not board.conditions())
    finally:
        stop.set()
        await asyncio.wait_for(again, SECONDS)


def ends_in(words: str, troubles: Sequence[health.Condition]) -> bool:
    return any(one.words.endswith(words) for one in troubles)


async def test_a_disk_that_fills_is_looked_at_no_more_often(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a look says of it is another number each time, which is no reason for the next look."""
    monkeypatch.setattr(monitoring, "LOOK_SECONDS", 3600.0)
    there, asked = os.statvfs("/"), []

    def filling(place: object) -> os.statvfs_result:
        asked.append(place)
        free = (50_000_000 - 200_000 * len(asked)) // there.f_frsize
        return os.statvfs_result((*there[:2], 2**40 // there.f_frsize, free, free, *there[5:]))

    monkeypatch.setattr(os, "statvfs", filling)
    board = health.Board()
    monitor = monitoring.Monitor(store, configuration.Settings(), leases.identity(), board)
    monitor._places = [("store", Path("/"))]
    stop = asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))
    for number in range(1, 6):
        board.report(health.job("tidy", datetime.now(UTC), str(number)))
        await waiting.until(monitor.troubles, partial(ends_in, f": {number}"))
    stop.set()
    await running
    assert {one.subject for one in monitor.troubles()} == {"disk of the store", "job tidy"}
    assert len(asked) <= 6


@pytest.mark.parametrize(
    ("age", "state"),
    [(timedelta(), health.State.WARNING), (timedelta(hours=1), health.State.FAILED)],
)
async def test_a_mailbox_that_is_not_there_at_the_start_is_no_alarm_yet(
    age: timedelta, state: health.State, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail server of a machine that boots may come up last."""
    monkeypatch.setattr(health, "GRACE", timedelta(minutes=30))
    effective = configuration.load(
        None,
        {
            "mail": {"address": "invites@crm.example"},
            "imap": {"host": "127.0.0.1", "port": free_port(), "security": "none"},
        },
    )
    board = health.Board(datetime.now(UTC) - age)
    stop = asyncio.Event()
    role = intake.Intake(store, effective, leases.identity(), asyncio.Event(), board=board)
    reading = asyncio.create_task(role.run(stop))
    await waiting.until(board.conditions)
    [mailbox] = board.conditions()
    assert (mailbox.subject, mailbox.state) == ("mailbox", state)
    stop.set()
    await reading


async def test_whoever_asks_at_the_end_takes_nothing_again(store: Store) -> None:
    """The page answers until it has ended, too."""
    gateway, board = leases.identity(), health.Board()
    monitor = monitoring.Monitor(store, configuration.Settings(), gateway, board)
    board.report(health.job("tidy", datetime.now(UTC), "no"))
    stop = asyncio.Event()
    running = asyncio.create_task(monitor.run(stop))
    await waiting.until(monitor.troubles)
    stop.set()
    await running
    assert [one.subject for one in await monitor.look() if one.state is not health.State.OK] == [
        "job tidy"
    ], "it says what it knew"
    with store.read() as connection:
        assert leases.held(connection, leases.GATEWAY, datetime.now(UTC)) == []


async def test_a_disk_that_does_not_answer_keeps_nobody_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of a share is gone."""
    answers = threading.Event()
    there = os.statvfs("/")

    def hangs(_place: object) -> os.statvfs_result:
        answers.wait(SECONDS)
        return there

    monkeypatch.setattr(os, "statvfs", hangs)
    monkeypatch.setattr(troubles, "PATIENCE_SECONDS", 0.05)
    monitor = monitoring.Monitor(store, configuration.Settings(), leases.identity(), health.Board())
    monitor._places = [("store", Path("/"))]
    try:
        async with asyncio.timeout(60):
            await monitor.look()
    finally:
        answers.set()


async def test_doctor_says_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    stores.upgraded(url)
    monkeypatch.setattr(examination, "SILENT_SECONDS", 0.05)
    effective = configuration.load(None, {"store": {"url": url}})
    lines = list[health.Condition]()
    with contextlib.closing(
        sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(120):
            async for line in examination.examine(effective, None, roundtrip=False):
                lines.append(line)
                if line.words == examination.WAITS:
                    other.execute("ROLLBACK")
    assert [(one.state, one.words) for one in lines if one.subject == "store"] == [
        (health.State.WARNING, examination.WAITS),
        (health.State.OK, "reachable, at this program's schema, writable"),
    ]
