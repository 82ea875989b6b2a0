"""Between the gateway and its servers: a TCP proxy that cuts, freezes and turns away connections,
and that misbehaves at a chosen step of SMTP, LMTP or IMAP in place of the server behind it.

What a session is done is drawn from a seed. Everything that happened is counted in `done`, and only
that. Runs in a thread of its own; the methods may be called from any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")
NOISE = b"\x00\xfe\xff ?what? {99999999999}\r\n"
"""What no server says."""
ONCE = frozenset({"GREETING", "EHLO", "CAPABILITY", "LOGIN", "SELECT"})
"""Steps that a session has once."""
DRIBBLE_SECONDS = 0.002


class Over(Exception):
    """The middleman ends the session here."""


@dataclass(frozen=True)
class Plan:
    """What is done to a session: at this step, when it comes for the n-th time."""

    step: str
    turn: int
    act: str


@dataclass(eq=False)
class Line:
    """One connection through the middleman."""

    client: asyncio.StreamReader
    to_client: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter

    def close(self) -> None:
        for writer in (self.to_client, self.to_server):
            writer.transport.abort()


class Plain:
    """Bytes go through as they come."""

    acts: ClassVar[dict[str, tuple[str, ...]]] = {}
    often: ClassVar[tuple[str, ...]] = ()
    """The steps, each as often as it is to be drawn; () for all alike."""

    def __init__(self, line: Line, plan: Plan | None, done: Callable[[str], None]) -> None:
        self.line, self.plan, self._done = line, plan, done
        self._turns = Counter[str]()
        self._later: str = ""

    async def from_client(self, data: bytes) -> None:
        self.line.to_server.write(data)

    async def from_server(self, data: bytes) -> None:
        act, self._later = self._later, ""
        if act == "mute":
            self._later = act
        elif act == "lost":
            raise Over
        elif act == "half":
            self.line.to_client.write(data[: len(data) // 2])
            await self.line.to_client.drain()
            raise Over
        elif act == "dribble":
            for number in range(len(data)):
                self.line.to_client.write(data[number : number + 1])
                await asyncio.sleep(DRIBBLE_SECONDS if number < 100 else 0)
        else:
            self.line.to_client.write(data)

    def is_due(self, step: str) -> str:
        """The act that is planned for this step, which comes once more; "" where there is none."""
        self._turns[step] += 1
        plan = self.plan
        if plan is None or (plan.step, plan.turn) != (step, self._turns[step]):
            return ""
        self._done(f"{step} {plan.act}")
        return plan.act

    async def step(self, step: str, raw: bytes, refusal: bytes) -> None:
        """A command (or a message) of the client: forwarded, or what is planned for it.
        `refusal`: what a server says that refuses it.
        """
        act = self.is_due(step)
        if act == "drop":
            raise Over
        if act in ("refuse", "bye", "noise"):
            self.line.to_client.write(NOISE if act == "noise" else self.words(act, refusal))
            await self.line.to_client.drain()
            raise Over
        if act == "no":
            self.line.to_client.write(refusal)
        elif act == "silence":
            self._later = "mute"
        else:
            self._later = act or self._later
            self.line.to_server.write(raw)

    def words(self, act: str, refusal: bytes) -> bytes:
        return refusal


class Smtp(Plain):
    """SMTP and LMTP. A letter is one step, BODY, from the 354 to its dot."""

    acts = dict.fromkeys(
        ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "BODY"),
        ("drop", "refuse", "bye", "noise", "silence", "lost", "mute", "dribble"),
    ) | {"GREETING": ("drop", "bye", "noise", "silence", "dribble"), "QUIT": ("drop", "lost")}

    def __init__(self, line: Line, plan: Plan | None, done: Callable[[str], None]) -> None:
        super().__init__(line, plan, done)
        self._held = b""
        self._greeted = self._asked = self._body = False

    async def from_client(self, data: bytes) -> None:
        self._held += data
        while True:
            if self._body:
                text, dot, rest = self._held.partition(b"\r\n.\r\n")
                if not dot:
                    return
                self._body, self._held = False, rest
                await self.step("BODY", text + dot, b"451 4.3.0 Not now\r\n")
                continue
            command, end, rest = self._held.partition(b"\r\n")
            if not end:
                return
            self._held = rest
            verb = command[:4].upper().decode("latin-1").replace("LHLO", "EHLO")
            self._asked = verb == "DATA"
            await self.step(verb, command + end, b"451 4.3.0 Not now\r\n")

    async def from_server(self, data: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            self._later = self._greeting(self.is_due("GREETING"))
        if self._asked and re.search(rb"(^|\n)354[ -]", data):
            self._asked, self._body = False, True
        await super().from_server(data)

    def _greeting(self, act: str) -> str:
        if act in ("bye", "noise"):
            self.line.to_client.write(NOISE if act == "noise" else self.words(act, b""))
        return {"bye": "lost", "noise": "lost", "drop": "lost", "silence": "mute"}.get(act, act)

    def words(self, act: str, refusal: bytes) -> bytes:
        return b"421 4.3.2 Service not available\r\n" if act == "bye" else refusal


class Imap(Plain):
    """IMAP. In IDLE the server may end the session some time after it has agreed."""

    acts = dict.fromkeys(
        ("LOGIN", "SELECT", "SEARCH", "FETCH", "MOVE"),
        ("drop", "bye", "noise", "no", "silence", "lost", "mute", "half", "dribble"),
    ) | {
        "GREETING": ("drop", "bye", "noise", "silence"),
        "CAPABILITY": ("drop", "bye", "noise", "lost", "mute"),
        "IDLE": ("drop", "bye", "noise", "no", "silence", "lost", "later", "later", "later"),
        "DONE": ("drop", "lost", "mute"),
    }
    often = (*acts, "IDLE", "IDLE", "IDLE", "FETCH", "MOVE")

    def __init__(self, line: Line, plan: Plan | None, done: Callable[[str], None]) -> None:
        super().__init__(line, plan, done)
        self._held = b""
        self._greeted = False

    async def from_client(self, data: bytes) -> None:
        self._held += data
        while b"\r\n" in self._held:
            command, end, self._held = self._held.partition(b"\r\n")
            tag, *words = command.decode("latin-1").upper().split() or [""]
            verb = words[words[0] == "UID"] if len(words) > 1 else (words or [tag])[0]
            await self.step(
                verb, command + end, command.split(b" ")[0] + b" NO [UNAVAILABLE] Not now\r\n"
            )

    async def from_server(self, data: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            act = self.is_due("GREETING")
            if act in ("bye", "noise"):
                self.line.to_client.write(NOISE if act == "noise" else self.words(act, b""))
            self._later = {"": "", "silence": "mute"}.get(act, "lost")
        later = self._later == "later" and data.startswith(b"+")
        if self._later == "later":
            self._later = ""
        await super().from_server(data)
        if later:
            await asyncio.sleep(random.random())
            self.line.to_client.write(self.words("bye", b""))
            await self.line.to_client.drain()
            raise Over

    def words(self, act: str, refusal: bytes) -> bytes:
        return b"* BYE Down for maintenance\r\n" if act == "bye" else refusal


@dataclass
class Middleman:
    """`targets`: ports to one of which a connection goes, the one that listens. `rate`: how many of
    the sessions are misbehaved to; `done`: what was done.
    """

    name: str
    targets: Callable[[], list[int]]
    kind: type[Plain]
    chance: random.Random
    rate: float = 0.0
    done: Counter[str] = field(default_factory=Counter)
    planned: Plan | None = None
    """What is done to every session, whatever chance says."""
    port: int = 0
    _lines: set[Line] = field(default_factory=set)
    _honest: bool = True
    """So is every other session, or a message would never get through."""

    def start(self) -> None:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._gate = asyncio.Event()
        self._gate.set()
        self._away = False

        def work() -> None:
            asyncio.set_event_loop(self._loop)
            server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
            )
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()
            server.close()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

        self._thread = threading.Thread(target=work, name=f"middleman {self.name}")
        self._thread.start()
        ready.wait(60)

    def stop(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    # What is done to all connections at once

    def cut(self) -> int:
        """End every connection, without a word; returns how many there were."""

        async def all_lines() -> int:
            lines = list(self._lines)
            for line in lines:
                line.close()
            return len(lines)

        return self._there(all_lines())

    def freeze(self) -> None:
        """Nothing passes any more, in either direction; connections stay."""
        self._loop.call_soon_threadsafe(self._gate.clear)

    def thaw(self) -> None:
        self._loop.call_soon_threadsafe(self._gate.set)

    def leave(self) -> None:
        """Who connects now is turned away."""
        self._away = True

    def come_back(self) -> None:
        self._away = False

    def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # One connection

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        found = None if self._away else await self._connect()
        if found is None:
            to_client.transport.abort()
            return
        line = Line(client, to_client, *found)
        self._lines.add(line)
        session = self.kind(line, self._plan(), self._count)
        pumps = [
            asyncio.ensure_future(self._pump(line.client, session.from_client)),
            asyncio.ensure_future(self._pump(line.server, session.from_server)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lines.discard(line)
            for pump in pumps:
                pump.cancel()
            line.close()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in self.targets():
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        return None

    async def _pump(
        self, reader: asyncio.StreamReader, take: Callable[[bytes], Coroutine[Any, Any, None]]
    ) -> None:
        with contextlib.suppress(OSError, Over):
            while data := await reader.read(2**16):
                await self._gate.wait()
                await take(data)

    def _plan(self) -> Plan | None:
        if self.planned is not None:
            return self.planned
        self._honest = not self._honest or self.chance.random() >= self.rate
        if self._honest or not self.kind.acts:
            return None
        step = self.chance.choice(self.kind.often or list(self.kind.acts))
        turn = 1 if step in ONCE else self.chance.choice((1, 1, 1, 1, 2, 3))
        return Plan(step, turn, self.chance.choice(self.kind.acts[step]))

    def _count(self, what: str) -> None:
        self.done[f"{self.name}: {what}"] += 1
