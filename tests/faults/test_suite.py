"""A short round of the fault suite, the same each time (`tests.faults.suite`), and that its judge
and its middleman can do what they are there for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.faults import suite
from tests.faults.middleman import Imap, Middleman, Plain, Plan, Smtp

SHORT = suite.Round("short", ("",), is_sqlite=True)


@pytest.mark.real
def test_whatever_goes_wrong_nothing_is_lost_and_nothing_counts_twice() -> None:
    report = suite.run(faults=20, seconds=600, seed=7, rounds=[SHORT])
    assert report.verdict.problems == [], str(report)
    assert report.done.total() >= 10, str(report)
    assert report.verdict.numbers["applications"] > 0, str(report)


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
        assert await asyncio.to_thread(middleman.cut) == 1
        assert await reader.read() == b""
