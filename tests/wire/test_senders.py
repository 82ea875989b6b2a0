"""Processes that send: they do what the sender of the daemon does, stop when they are told to, lose
nothing when they are killed, and are not missed in silence.
"""

import asyncio
import multiprocessing
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import trustme

from gateway import health, metrics, settings
from gateway.actions import load, planning
from gateway.daemon import run, senders, supervise
from gateway.daemon.health import Monitor
from gateway.model import LetterState
from gateway.settings import Settings
from gateway.store import leases, outbox
from gateway.store.engine import Store
from tests import stores, waiting
from tests.rig import mailbox
from tests.rig import postfix as postfix_server
from tests.rig import postgres as postgres_server
from tests.rig.process import free_port
from tests.wire import gateway_process
from tests.wire.smtp_peer import Peer, Wait

DEADLINE_SECONDS = 60.0
LETTERS = 30


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'store.db'}"
        stores.upgraded(made)
        yield made
        return
    cluster: postgres_server.Cluster = request.getfixturevalue("postgres")
    with cluster.database(cluster.template("gateway_schema", stores.upgraded)) as made:
        yield made


def configured(url: str, port: int, **smtp: str) -> Settings:
    return settings.load(
        overrides={
            "store": {"url": url},
            "mail": {"address": "invites@crm.example"},
            "smtp": {"host": "127.0.0.1", "port": port, "security": "none"} | smtp,
            "outbound": {"processes": 2, "coalesce_seconds": 0, "brake_follow_ups": 0},
        }
    )


def invite(store: Store, effective: Settings) -> None:
    people = [{"email": f"p{one}@ext.example", "email_invite": True} for one in range(LETTERS)]
    meeting = {"key": "m", "owner": "kari", "title": "Kick-off", "participants": people}
    times = {"start": "2099-12-01T09:00:00", "end": "2099-12-01T10:00:00"}
    document = {"associates": [{"key": "kari", "name": "Kari"}], "follow_ups": [meeting | times]}
    with store.write() as connection:
        load.load(connection, document, effective, datetime.now(UTC))
    planning.plan_due(store, effective, datetime.now(UTC), everything=True)


def names(store: Store) -> list[str]:
    """The senders that live."""
    with store.read() as connection:
        return leases.held(connection, leases.GATEWAY, datetime.now(UTC))


async def all_sent(store: Store) -> None:
    def counts() -> Mapping[LetterState, int]:
        with store.read() as connection:
            return outbox.counts(connection)

    await waiting.until(counts, lambda seen: seen == {LetterState.SENT: LETTERS})


@asynccontextmanager
async def kept(effective: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A process of senders, asked to stop at the end."""
    stop = asyncio.Event()
    keeping = asyncio.create_task(senders.keep(effective, asyncio.Event(), stop))
    yield keeping
    stop.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.wait([keeping])


async def test_another_process_sends_and_stops_when_it_is_told_to(url: str) -> None:
    peer = Peer()
    async with peer.serving():
        effective = configured(url, peer.port)
        with closing(Store(url)) as store:
            invite(store, effective)
            async with kept(effective) as keeping:
                await all_sent(store)
            await keeping
            assert not multiprocessing.active_children()
            assert not names(store)
    assert len({letter.recipient for letter in peer.letters}) == len(peer.letters) == LETTERS


async def test_a_process_that_is_killed_loses_nothing(url: str) -> None:
    answer = asyncio.Event()
    peer = Peer(*[{"body": Wait(answer)}] * 2, {})
    async with peer.serving():
        effective = configured(url, peer.port)
        with closing(Store(url)) as store:
            invite(store, effective)
            async with kept(effective) as keeping:
                await peer.until(lambda seen: seen.dots >= 2)
                [child] = multiprocessing.active_children()
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                with pytest.raises(senders.ProcessEnded, match="exit status -9"):
                    await keeping
            async with kept(effective) as again:
                await all_sent(store)
            await again
            answer.set()
    contents = {letter.recipient: letter.content for letter in peer.letters}
    assert len(contents) == LETTERS
    assert all(letter.content == contents[letter.recipient] for letter in peer.letters)


async def test_a_process_that_hangs_is_told_ended_and_started_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = asyncio.Event()
    peer = Peer(*[{"body": Wait(answer)}] * 2, {})
    async with peer.serving():
        effective = configured(url, peer.port)
        planned, stop, board = asyncio.Event(), asyncio.Event(), health.Board()

        async def keep(stop: asyncio.Event) -> None:
            await senders.keep(effective, planned, stop)

        role = supervise.Role("senders 2", keep)
        with closing(Store(url)) as store:
            invite(store, effective)
            supervising = asyncio.create_task(supervise.supervise([role], stop, board=board))
            await peer.until(lambda seen: seen.dots >= 2)
            [child] = multiprocessing.active_children()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGSTOP)
            monkeypatch.setattr(senders, "BEATS_MISSED", 3)
            for _ in range(2_000):  # more than its end of the pipe takes, which nobody reads
                planned.set()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await waiting.until(lambda: board.vitals().stops["senders 2"] == 1)
            monkeypatch.undo()
            [condition] = board.conditions()
            assert condition.subject == "role senders 2"
            assert "a process of senders hung: it said nothing for" in condition.words
            await all_sent(store)
            answer.set()
            stop.set()
            await supervising
    assert len({letter.recipient for letter in peer.letters}) == LETTERS


async def test_what_a_process_sees_of_certificates_is_told_here(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CERTIFICATES", {})
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ends = datetime(2099, 1, 2, tzinfo=UTC)
    authority.issue_cert("localhost", not_after=ends).configure_cert(tls)
    peer = Peer(tls=tls)
    async with peer.serving():
        where = {"host": "localhost", "security": "starttls", "ca_file": str(tmp_path / "ca.pem")}
        effective = configured(url, peer.port, **where)
        with closing(Store(url)) as store:
            invite(store, effective)
            async with kept(effective):
                await waiting.until(lambda: bool(metrics.CERTIFICATES))
    assert {f"localhost:{peer.port}": ends} == metrics.CERTIFICATES


@pytest.mark.real
def test_a_killed_process_shows_in_readyz_and_metrics(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    port = free_port()
    environment = gateway_process.environment(
        f"sqlite:///{tmp_path / 'store.db'}",
        invites,
        postfix,
        WEB__LISTEN=f"127.0.0.1:{port}",
        OUTBOUND__PROCESSES="2",
    )

    def told(path: str) -> str:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).text

    with gateway_process.running(environment, "outbound,web") as gateway:
        [child] = gateway.wait_for(
            lambda: children(gateway.process.pid), lambda seen: len(seen) == 1, what="a child"
        )
        os.kill(child, signal.SIGKILL)
        [trouble] = gateway.wait_log("trouble")
        assert trouble["subject"] == "role senders 2"
        assert "a process of senders ended: exit status -9" in told("/readyz")
        stops = re.findall(r'role_stops_total\{role="senders 2"\} (\d+)', told("/metrics"))
        assert stops == ["1"]
        gateway.wait_for(
            lambda: children(gateway.process.pid),
            lambda seen: len(seen) == 1 and child not in seen,
            what="another child",
        )
        assert gateway.stop() == 0


def children(process: int) -> list[int]:
    """The processes of senders that a gateway has started."""
    found = []
    for thread in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"spawn_main" in command:
                found.append(child)
    return found


def keep_for_ever(url: str, port: int) -> None:
    effective = configured(url, port)
    asyncio.run(senders.keep(effective, asyncio.Event(), asyncio.Event()))


async def test_a_process_ends_with_the_one_that_started_it(url: str) -> None:
    answer = asyncio.Event()
    peer = Peer({"body": Wait(answer)})
    async with peer.serving():
        with closing(Store(url)) as store:
            invite(store, configured(url, peer.port))
            daemon = multiprocessing.get_context("spawn").Process(
                target=keep_for_ever, args=(url, peer.port)
            )
            daemon.start()
            await peer.until(lambda seen: seen.dots >= 1)
            daemon.kill()
            daemon.join(DEADLINE_SECONDS)
            assert daemon.exitcode is not None
            answer.set()
            await waiting.until(lambda: not names(store))
            with store.read() as connection:
                left = outbox.counts(connection)
    assert left[LetterState.SENT] == len(peer.letters) < LETTERS, "what was in hand is settled"
    assert left[LetterState.WAITING] == LETTERS - len(peer.letters)


async def test_each_further_process_is_a_role_of_its_own(url: str) -> None:
    with closing(Store(url)) as store:
        effective = settings.load(
            overrides={"mail": {"address": "a@crm.example"}, "outbound": {"processes": 3}}
        )
        process = run.Process(effective, store, leases.identity())
        monitor = Monitor(store, effective, process.holder, process.board)
        names = [role.name for role in run.ROLES["outbound"](process, monitor)]
    assert names == ["planner", "sender", "senders 2", "senders 3"]
