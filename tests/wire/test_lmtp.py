"""Answers that our mail server hands over by LMTP: a reply for each recipient, taken when they are
recorded and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import smtplib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from aiosmtpd.smtp import Envelope

from gateway import settings as configuration
from gateway.actions import load, planning
from gateway.errors import ConfigurationError, GatewayError
from gateway.inbound import lmtp, process
from gateway.store import engine
from gateway.store.engine import Store
from gateway.store.inbox import Place
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.rig import process as rig_process
from tests.wire import gateway_process

OURS = "invites@crm.example"
TOKENS = {"ola": "k7f2q3mzx5b4w6y2n7c3d4e5fa", "eva": "k7f2q3mzx5b4w6y2n7c3d4e5fb"}


def document() -> dict[str, object]:
    """A meeting of an earlier system, which has invited these two."""
    return {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2040-05-09T09:00:00",
                "uid": "m1@old.example",
                "sequence": 3,
                "participants": [
                    {
                        "email": f"{name}@ext.example",
                        "email_invite": True,
                        "token": token,
                        "sent": True,
                    }
                    for name, token in TOKENS.items()
                ],
            }
        ],
    }


def token_address(name: str) -> str:
    return f"invites+{TOKENS[name]}@crm.example"


def answer(name: str, *, body: str = "", reply: str = "ACCEPTED") -> bytes:
    """The recipient stands in the envelope alone, as with a mail that was redirected."""
    return (
        f"From: {name}@ext.example\r\nTo: {OURS}\r\nSubject: Answered\r\n"
        f"Message-ID: <{name}@ext.example>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n"
        "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:m1@old.example\r\nSEQUENCE:3\r\n"
        f"DTSTAMP:20261001T080000Z\r\nATTENDEE;PARTSTAT={reply}:mailto:{name}@ext.example\r\n"
        f"{body}END:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


def handed(name: str) -> Envelope:
    """This answer, as a session has taken it."""
    envelope = Envelope()
    envelope.mail_from, envelope.rcpt_tos = f"{name}@ext.example", [token_address(name)]
    envelope.original_content = answer(name)
    return envelope


class Client:
    """An LMTP client that sends what it is told to and says what came back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.offered: list[str] = []

    async def reply(self) -> str:
        """One reply, its last line."""
        async with asyncio.timeout(60):
            while (line := (await self._reader.readline()).decode())[3:4] == "-":
                self.offered.append(line[4:].strip())
        return line.rstrip("\r\n")

    async def ask(self, line: str) -> str:
        self.send(f"{line}\r\n".encode())
        return await self.reply()

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def deliver(self, message: bytes, *recipients: str) -> list[str]:
        """The replies to a message for these recipients, which are all taken."""
        assert await self.ask("MAIL FROM:<ola@ext.example> BODY=8BITMIME") == "250 OK"
        for recipient in recipients:
            assert await self.ask(f"RCPT TO:<{recipient}>") == "250 2.1.5 Ok"
        assert (await self.ask("DATA")).startswith("354")
        self.send(message + b".\r\n")
        return [await self.reply() for _ in recipients]

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 50)
    made = Store(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'store.db')}")
    with made.write() as connection:
        load.load(connection, document(), settings(""), datetime.now(UTC))
    planning.plan_due(made, settings(""), datetime.now(UTC), everything=True)
    return made


def settings(listen: str, **inbound: object) -> configuration.Settings:
    return configuration.load(
        None,
        {"mail": {"address": OURS}, "lmtp": {"listen": listen}, "inbound": inbound},
    )


@contextlib.asynccontextmanager
async def listening(
    store: Store, effective: configuration.Settings
) -> AsyncIterator[lmtp.Listener]:
    stop, ready = asyncio.Event(), asyncio.Event()
    listener = lmtp.Listener(store, effective, asyncio.Event(), ready)
    running = asyncio.create_task(listener.run(stop))
    await asyncio.wait(
        {running, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    try:
        yield listener
    finally:
        stop.set()
        await running


async def connect(effective: configuration.Settings) -> Client:
    host, _, port = effective.lmtp.listen.rpartition(":")
    client = Client(*await asyncio.open_connection(host, int(port), limit=2**20))
    assert (await client.reply()).startswith("220 ")
    assert (await client.ask("LHLO mx.crm.example")).startswith("250 ")
    return client


def anywhere(**inbound: object) -> configuration.Settings:
    return settings(f"127.0.0.1:{rig_process.free_port()}", **inbound)


def outcomes(store: Store) -> list[str]:
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT outcome FROM inbox ORDER BY id")
        return [row.outcome for row in rows]


def replies(store: Store) -> dict[str, str]:
    with store.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT email, reply FROM participant JOIN standing ON participant = participant.id"
        )
        return {row.email.partition("@")[0]: row.reply for row in rows}


async def test_each_recipient_has_a_reply_and_the_envelope_says_whose_answer_it_is(
    store: Store,
) -> None:
    effective = anywhere()
    async with listening(store, effective) as listener:
        client = await connect(effective)
        assert {"PIPELINING", "8BITMIME", "SMTPUTF8"} <= set(client.offered)
        assert (await client.ask("EHLO mx")).startswith("500")
        assert (await client.ask("DATA")).startswith("503")
        got = await client.deliver(
            answer("ola"), token_address("ola"), token_address("ola").upper()
        )
        assert got == [lmtp.TAKEN, lmtp.TAKEN]
        assert listener.committed.is_set()
        assert outcomes(store) == ["applied", "duplicate"]
        assert replies(store) == {"ola": "accepted"}
        assert await client.ask("MAIL FROM:<ola@ext.example>") == "250 OK"
        assert (await client.ask("RCPT TO:<kari@crm.example>")).startswith("550 5.1.1")
        assert (await client.ask("DATA")).startswith("503")
        # The next message of the session has one reply again.
        await client.ask("RSET")
        assert await client.deliver(answer("eva", reply="DECLINED"), token_address("eva")) == [
            lmtp.TAKEN
        ]
        # In one piece, up to the message.
        client.send(
            f"MAIL FROM:<> \r\nRCPT TO:<{OURS}>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n".encode()
        )
        assert [(await client.reply())[:3] for _ in range(4)] == ["250", "250", "550", "354"]
        client.send(b"Subject: x\r\n\r\n..\r\n.\r\n")
        assert await client.reply() == lmtp.TAKEN
        assert (await client.ask("QUIT")).startswith("221")
        client.close()
    assert replies(store) == {"ola": "accepted", "eva": "declined"}


async def test_what_came_by_imap_as_well_counts_once(store: Store) -> None:
    effective = anywhere()
    now = datetime.now(UTC)
    trace = f"Return-Path: <>\r\nDelivered-To: {token_address('ola')}\r\nReceived: by imap\r\n"
    fetched = process.Received(
        trace.encode() + answer("ola"), now, 500, place=Place("default", "INBOX", 7, 1)
    )
    processor = process.Processor(store, effective)
    [first] = processor.receive([fetched], fetched.place)
    assert first.outcome == "applied", first
    async with listening(store, effective):
        client = await connect(effective)
        assert await client.deliver(answer("ola"), token_address("ola")) == [lmtp.TAKEN]
        client.close()
    assert outcomes(store) == ["applied", "duplicate"]


async def test_nothing_is_taken_that_is_too_large_too_long_or_too_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmtp, "SESSIONS", 1)
    effective = anywhere(max_bytes=600_000)
    async with listening(store, effective):
        client = await connect(effective)
        with pytest.raises(AssertionError, match=lmtp.BUSY):
            await connect(effective)
        assert (await client.ask("MAIL FROM:<a@b.example> SIZE=600001")).startswith("552")
        large = answer("ola", body="COMMENT:x\r\n" * 60_000)
        got = await client.deliver(large, token_address("ola"), OURS)
        assert [reply[:3] for reply in got] == ["552", "552"]
        got = await client.deliver(
            answer("ola", body=f"COMMENT:{'x' * lmtp.LINE}\r\n"), token_address("ola"), OURS
        )
        assert [reply[:3] for reply in got] == ["500", "500"]
        assert outcomes(store) == []
        # Far above what RFC 5321 allows, as mail programs write it.
        long = answer("ola", body=f"X-LONG:{'x' * 20_000}\r\n")
        assert await client.deliver(long, token_address("ola")) == [lmtp.TAKEN]
        await client.ask("MAIL FROM:<ola@ext.example>")
        for _ in range(lmtp.RECIPIENTS):
            assert await client.ask(f"RCPT TO:<{OURS}>") == "250 2.1.5 Ok"
        assert (await client.ask(f"RCPT TO:<{OURS}>")).startswith("452 4.5.3")
        client.close()
    assert outcomes(store) == ["applied"]


async def test_a_store_that_cannot_be_written_is_told_and_the_next_try_is_taken(
    store: Store,
) -> None:
    effective = anywhere()
    async with listening(store, effective):
        client = await connect(effective)
        with closing(sqlite3.connect(str(store.path), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            got = await client.deliver(answer("ola"), token_address("ola"), OURS)
            assert got == [lmtp.LATER, lmtp.LATER]
        assert outcomes(store) == []
        assert await client.deliver(answer("ola"), token_address("ola")) == [lmtp.TAKEN]
        client.close()
    assert outcomes(store) == ["applied"]


async def test_what_waits_is_committed_together(store: Store) -> None:
    commits: list[object] = []
    async with listening(store, anywhere()) as listener:
        sa.event.listen(store.engine, "commit", commits.append)
        assert all(await asyncio.gather(*(listener.record(handed(name)) for name in TOKENS)))
        assert len(commits) == 1
    assert outcomes(store) == ["applied", "applied"]


async def test_a_peer_that_breaks_off_holds_up_nobody(store: Store) -> None:
    effective = anywhere()
    async with listening(store, effective) as listener:
        clients = [await connect(effective) for _ in range(4)]
        broken = clients.pop()
        await broken.ask("MAIL FROM:<eva@ext.example>")
        await broken.ask(f"RCPT TO:<{token_address('eva')}>")
        assert (await broken.ask("DATA")).startswith("354")
        broken.send(answer("eva"))
        broken.close()
        got = await asyncio.gather(
            *(client.deliver(answer("ola"), token_address("ola")) for client in clients)
        )
        assert got == [[lmtp.TAKEN]] * 3
        for client in clients:
            client.close()
    assert sorted(outcomes(store)) == ["applied", "duplicate", "duplicate"]
    assert replies(store) == {"ola": "accepted"}
    assert not listener.sessions, "nobody is left behind"


async def test_it_listens_on_a_socket_file_too(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    async with listening(store, settings(f"unix:{path}")):
        client = Client(*await asyncio.open_unix_connection(path))
        assert (await client.reply()).startswith("220 ")
        assert (await client.ask("LHLO mx")).startswith("250 ")
        assert await client.deliver(answer("ola"), token_address("ola")) == [lmtp.TAKEN]
        client.close()
        assert path.stat().st_mode & 0o777 == 0o666
    assert outcomes(store) == ["applied"]


async def test_an_address_that_is_taken_may_be_free_later_and_one_of_another_machine_never(
    store: Store,
) -> None:
    effective = anywhere()
    async with listening(store, effective):
        with pytest.raises(GatewayError, match=r"cannot listen on 127\.0\.0\.1") as caught:
            await lmtp.Listener(store, effective, asyncio.Event(), asyncio.Event()).run(
                asyncio.Event()
            )
        assert not isinstance(caught.value, ConfigurationError)
    foreign = configuration.load(
        None,
        {
            "mail": {"address": OURS},
            "lmtp": {"listen": "192.0.2.1:24", "allow_network": True},
        },
    )
    with pytest.raises(ConfigurationError, match=r"lmtp\.listen: cannot listen"):
        await lmtp.Listener(store, foreign, asyncio.Event(), asyncio.Event()).run(asyncio.Event())


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("0.0.0.0:24", "can be reached from other machines"),
        ("mx.crm.example:24", "can be reached from other machines"),
        ("24", "expected host:port"),
        ("127.0.0.1:70000", "a port is at most 65535"),
        ("unix:lmtp", "expected unix:/path"),
    ],
)
def test_where_it_may_not_listen(listen: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        settings(listen)


@pytest.mark.real
def test_postfix_keeps_what_was_not_recorded_whatever_happens_to_us(
    tmp_path: Path, dovecot: dovecot_server.Server
) -> None:
    """The store is locked: 451, and Postfix tries again. Killed between DATA and the commit: it
    tries again. Nothing is lost, and nothing counts twice.
    """
    listen = f"127.0.0.1:{rig_process.free_port()}"
    path, file = tmp_path / "store.db", tmp_path / "export.json"
    file.write_text(json.dumps(document()))
    routes = {postfix_server.OURS: f"lmtp:inet:{listen}"}
    with postfix_server.running(dovecot, routes) as postfix:
        effective = gateway_process.environment(
            f"sqlite:///{path}",
            dovecot.new_mailbox("unread", postfix_server.OURS, "Nobody"),
            postfix,
            MAIL__ADDRESS=OURS,
            IMAP__HOST="",
            LMTP__LISTEN=listen,
            WEB__LISTEN=f"127.0.0.1:{rig_process.free_port()}",
            LOG__LEVEL="debug",
        )
        gateway = gateway_process.Gateway(effective, gateway_process.HURRIED)
        gateway.command("db", "upgrade")
        gateway.command("load", str(file))
        try:
            before = gateway.start("inbound,web")
            ready = httpx.get(f"http://{effective['GATEWAY_WEB__LISTEN']}/readyz", timeout=60)
            assert {"name": "role lmtp", "state": "ok"}.items() <= {
                one["name"]: one for one in ready.json()["checks"]
            }["role lmtp"].items()
            assert not [line for line in gateway.log if line.get("level") == "warning"]
            with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
                other.execute("BEGIN IMMEDIATE")
                postfix.send("ola@ext.example", [token_address("ola")], answer("ola"))
                gateway.wait_log("lmtp.not_recorded", since=before)
                gateway.wait_log("lmtp.received", 2, since=before)
                assert "status=deferred" in postfix.log
                assert "451 4.3.0 Not recorded" in postfix.log
                gateway.kill()
            gateway.start("inbound")
            rows = gateway.wait_status("m1", {"ola@ext.example": {"reply": "accepted"}})
            assert rows["eva@ext.example"]["reply"] == "needs-action"
            gateway.wait_for(postfix.queued, lambda left: left == 0, what="nothing is left")
            # By another way, and another copy: it has no second effect.
            host, port = listen.split(":")
            with smtplib.LMTP(host, int(port), local_hostname="mx") as client:
                client.sendmail("ola@ext.example", [token_address("ola")], answer("ola"))
            assert gateway.stop() == 0
        finally:
            gateway.end()
    with closing(sqlite3.connect(path)) as connection:
        told = [row[0] for row in connection.execute("SELECT outcome FROM inbox ORDER BY id")]
    assert told == ["applied", "duplicate"]
