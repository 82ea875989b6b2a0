"""A short round of the fault suite, the same each time (`tests.faults.suite`), and that its judge
and its middleman can do what they are there for.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.faults import suite
from tests.faults.middleman import Certificates, Imap, Middleman, Plain, Plan, Smtp
from tests.rig import process

SHORT = suite.Round("short", ("",), is_sqlite=True)


@pytest.mark.real
def test_whatever_goes_wrong_nothing_is_lost_and_nothing_counts_twice() -> None:
    report = suite.run(faults=20, seconds=600, seed=7, rounds=[SHORT])
    assert report.verdict.problems == [], str(report)
    assert report.done.total() >= 10, str(report)
    assert report.verdict.numbers["applications"] > 0, str(report)


@pytest.mark.real
def test_what_was_refused_is_tried_again_by_the_newer_program(tmp_path: Path) -> None:
    """The old one does not touch a store that a newer one has migrated."""
    upgraded = suite.Round("upgraded", ("",), is_sqlite=True, upgraded=True)
    with suite.serving(random.Random(7)) as servers:
        site = suite.Site(tmp_path, servers, upgraded, 7, process.faketime())
        try:
            site.crowd.start()
            site.start(0)
            site.gateway.wait_log("ready")
            servers.smtp.order(Plan("RCPT", 1, "gone"))
            site.write([1], 0, random.Random(7))
            site.wait(lambda: "refused" in site.counts()[0], "it is refused")
            before = len(site.gateway.log)
            site.upgrade()
            site.gateway.wait_log("ready", since=before)
            site.finish()
            assert site.judge().problems == []
        finally:
            site.gateway.end()


@asynccontextmanager
async def between(
    kind: type[Plain], plan: Plan, serve: Callable[[bytes], bytes]
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Middleman]]:
    """A client's connection to a server that answers each line, through a middleman with a plan."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(serve(b""))
        while line := await reader.readline():
            writer.write(serve(line))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    middleman = Middleman("peer", lambda: [port], kind, random.Random(1))
    middleman.planned = plan
    await asyncio.to_thread(middleman.start)
    reader, writer = await asyncio.open_connection("127.0.0.1", middleman.port)
    try:
        async with asyncio.timeout(60):
            yield reader, writer, middleman
    finally:
        writer.close()
        await asyncio.to_thread(middleman.stop)
        server.close()


def smtp(line: bytes) -> bytes:
    """The text of a letter has no answer of its own."""
    answers = {b"": b"220 ready\r\n", b"DATA": b"354 go on\r\n", b"text": b""}
    return answers.get(line[:4], b"250 fine\r\n")


@pytest.mark.parametrize(
    ("plan", "heard"),
    [
        (Plan("GREETING", 1, "bye"), b"421 4.3.2 Service not available\r\n"),
        (Plan("MAIL", 1, "refuse"), b"220 ready\r\n451 4.3.0 Not now\r\n"),
        (
            Plan("MAIL", 1, "never"),
            b"220 ready\r\n550 5.7.1 Not allowed to send as this sender\r\n",
        ),
        (Plan("RCPT", 2, "drop"), b"220 ready\r\n250 fine\r\n250 fine\r\n"),
        (
            Plan("BODY", 1, "lost"),
            b"220 ready\r\n250 fine\r\n250 fine\r\n250 fine\r\n354 go on\r\n",
        ),
    ],
)
async def test_a_step_of_smtp_is_misbehaved_at(plan: Plan, heard: bytes) -> None:
    async with between(Smtp, plan, smtp) as (reader, writer, middleman):
        got = await reader.readline()
        if plan.act == "bye":
            commands: tuple[bytes, ...] = ()  # what is written to who has left is a reset
        else:
            commands = (b"MAIL", b"RCPT", b"RCPT", b"DATA", b"text\r\n.")
        with suppress(ConnectionResetError):  # who has left resets what is written to him
            for command in commands:
                if reader.at_eof():
                    break
                writer.write(command + b"\r\n")
                got += await reader.readline()
            got += await reader.read()
        assert got == heard
        assert middleman.done == {f"peer: {plan.step} {plan.act}": 1}


async def test_imap_ends_in_idle() -> None:
    def imap(line: bytes) -> bytes:
        return b"+ idling\r\n" if b"IDLE" in line else b"* OK ready\r\n"

    async with between(Imap, Plan("IDLE", 1, "later"), imap) as (reader, writer, middleman):
        assert await reader.readline() == b"* OK ready\r\n"
        writer.write(b"a1 IDLE\r\n")
        assert await reader.read() == b"+ idling\r\n* BYE Down for maintenance\r\n"
        assert middleman.done == {"peer: IDLE later": 1}


async def test_what_is_frozen_passes_later_and_what_is_cut_never() -> None:
    async with between(Plain, Plan("", 0, ""), lambda line: line) as (reader, writer, middleman):
        writer.write(b"one\n")
        assert await reader.readline() == b"one\n"
        middleman.freeze()
        writer.write(b"two\n")
        assert middleman.done == {}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.readline()
        middleman.thaw()
        assert await reader.readline() == b"two\n"
        assert middleman.held_up == 1
        assert await asyncio.to_thread(middleman.cut) == 1
        assert await reader.read() == b""
        middleman.leave()
        with suppress(ConnectionResetError):
            away, _ = await asyncio.open_connection("127.0.0.1", middleman.port)
            assert await away.read() == b""
        assert middleman.turned_away == 1


async def test_what_is_said_in_place_of_a_server_comes_in_its_turn() -> None:
    """Or the refusal of an invitee is that of the sender, whose command came with it."""
    async with between(Smtp, Plan("RCPT", 1, "gone"), smtp) as (reader, writer, middleman):
        assert await reader.readline() == b"220 ready\r\n"
        writer.write(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        assert await reader.readline() == b"250 fine\r\n"
        assert await reader.readline() == b"550 5.1.1 User unknown\r\n"
        assert middleman.done == {"peer: RCPT gone": 1}


async def test_what_is_ordered_is_done_once_to_whoever_comes_to_it() -> None:
    def imap(line: bytes) -> bytes:
        return b"a1 OK fine\r\n" if line else b"* OK ready\r\n"

    async with between(Imap, Plan("", 0, ""), imap) as (reader, writer, middleman):
        assert await reader.readline() == b"* OK ready\r\n"
        middleman.order(Plan("LOGIN", 1, "wrong"))
        refused = b"a1 NO [AUTHENTICATIONFAILED] Authentication failed\r\n"
        for said in (refused, b"a1 OK fine\r\n"):
            writer.write(b"a1 LOGIN somebody secret\r\n")
            assert await reader.readline() == said
        middleman.order(Plan("SELECT", 1, "no"))
        middleman.withdraw()
        writer.write(b"a1 SELECT INBOX\r\n")
        assert await reader.readline() == b"a1 OK fine\r\n"
        assert middleman.done == {"peer: LOGIN wrong": 1}


@pytest.mark.parametrize("shown", ["good", "expired", "of another name", "of a stranger"])
async def test_a_client_that_looks_believes_the_good_certificate_alone(
    shown: str, tmp_path: Path
) -> None:
    certificates = Certificates("server.example")
    certificates.write_authority(tmp_path / "authority.pem")
    careful = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    middleman = Middleman(
        "peer", lambda: [port], Plain, random.Random(1), certificates=certificates, shown=shown
    )
    await asyncio.to_thread(middleman.start)

    async def read(context: ssl.SSLContext) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", middleman.port, ssl=context, server_hostname="server.example"
        )
        try:
            return await reader.readline()
        finally:
            writer.transport.abort()

    try:
        async with asyncio.timeout(60):
            if shown == "good":
                assert await read(careful) == b"hello\n"
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await read(careful)
            assert certificates.believed == 0
            assert await read(careless) == b"hello\n"
        assert certificates.believed == (shown != "good")
        assert middleman.done == ({} if shown == "good" else {f"peer: certificate {shown}": 2})
    finally:
        await asyncio.to_thread(middleman.stop)
        server.close()
