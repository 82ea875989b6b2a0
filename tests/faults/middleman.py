"""Between the gateway and its servers: a TCP proxy that cuts, freezes and turns away connections,
and that misbehaves at a chosen step of SMTP, LMTP or IMAP in place of the server behind it. With
certificates it speaks TLS to the gateway, and may show one that must not be believed.

What a session is done is drawn from a seed, or ordered for whichever comes to the step first.
Everything that happened is counted in `done`, and only that. Runs in a thread of its own; the
methods may be called from any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import trustme

T = TypeVar("T")
NOISE = b"\x00\xfe\xff ?what? {99999999999}\r\n"
"""What no server says."""
ONCE = frozenset({"GREETING", "EHLO", "CAPABILITY", "LOGIN", "NAMESPACE", "SELECT"})
"""Steps that a session has once."""
DRIBBLE_SECONDS = 0.002


class Certificates:
    """What servers of `names` show who they are by. `believed`: sessions in which the client went on
    although the certificate was a bad one.
    """

    GOOD = "good"

    def __init__(self, *names: str) -> None:
        self._authority = trustme.CA()
        issue, long_ago = self._authority.issue_cert, datetime(2020, 1, 1, tzinfo=UTC)
        self._shown = {
            self.GOOD: issue(*names),
            "expired": issue(*names, not_after=long_ago),
            "of another name": issue("other.example"),
            "of a stranger": trustme.CA().issue_cert(*names),
        }
        self._contexts = {name: self._context(issued) for name, issued in self._shown.items()}
        self.bad = sorted(self._shown.keys() - {self.GOOD})
        self.believed = 0

    def write_authority(self, path: Path) -> None:
        self._authority.cert_pem.write_to_path(str(path))

    def served(self, chosen: Callable[[], str]) -> ssl.SSLContext:
        """For a listener: `chosen` is asked at the beginning of each session."""

        def choose(session: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            session.context = self._contexts[chosen()]

        context = self._context(self._shown[self.GOOD])
        context.sni_callback = choose
        return context

    def check(self, session: ssl.SSLObject) -> None:
        """To be called once a client has agreed."""
        self.believed += session.context is not self._contexts[self.GOOD]

    @staticmethod
    def _context(issued: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        return context


class Over(Exception):
    """The middleman ends the session here."""


@dataclass(frozen=True)
class Plan:
    """What is done to a session: at this step, when it comes for the n-th time (ordered: when any
    session comes to it next).
    """

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
    goodbye: ClassVar[bytes] = b""
    final: ClassVar[frozenset[str]] = frozenset({"refuse", "never", "bye", "noise"})
    """Words after which the session is over."""

    def __init__(
        self, line: Line, plan: Plan | None, orders: list[Plan], done: Callable[[str], None]
    ) -> None:
        self.line, self.plan, self._orders, self._done = line, plan, orders, done
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
        ordered = next((order for order in self._orders if order.step == step), None)
        if ordered is not None:
            self._orders.remove(ordered)
            plan = ordered
        elif plan is None or (plan.step, plan.turn) != (step, self._turns[step]):
            return ""
        self._done(f"{step} {plan.act}")
        return plan.act

    async def step(self, step: str, raw: bytes, said: Mapping[str, bytes]) -> None:
        """A command (or a message) of the client: forwarded, or what is planned for it. `said`: by
        act, what a server says that takes no such command.
        """
        act = self.is_due(step)
        if act == "drop":
            raise Over
        if words := {**said, "noise": NOISE, "bye": self.goodbye}.get(act):
            await self.turn()
            self.line.to_client.write(words)
            if act in self.final:
                await self.line.to_client.drain()
                raise Over
        elif act == "silence":
            self._later = "mute"
        else:
            self._later = act or self._later
            self.forward(raw)

    def forward(self, raw: bytes) -> None:
        self.line.to_server.write(raw)

    async def turn(self) -> None:
        """Wait until the client can tell what an answer of our own belongs to."""


class Lmtp(Plain):
    """LMTP. A letter is one step, BODY, from the 354 to its dot."""

    acts = dict.fromkeys(
        ("EHLO", "MAIL", "RCPT", "DATA", "BODY"),
        ("drop", "refuse", "bye", "noise", "silence", "lost", "mute", "dribble"),
    ) | {"GREETING": ("drop", "bye", "noise", "silence", "dribble"), "QUIT": ("drop", "lost")}
    goodbye = b"421 4.3.2 Service not available\r\n"
    never: ClassVar[dict[str, bytes]] = {}
    """By step, how it is refused for good."""

    def __init__(
        self, line: Line, plan: Plan | None, orders: list[Plan], done: Callable[[str], None]
    ) -> None:
        super().__init__(line, plan, orders, done)
        self._held = b""
        self._greeted = self._asked = self._body = False
        self._unanswered, self._line = 0, b""
        self._quiet = asyncio.Event()

    async def turn(self) -> None:
        """Commands come several at once (RFC 2920), and are answered in their order."""
        self._quiet.clear()
        if self._unanswered:
            await self._quiet.wait()

    async def from_client(self, data: bytes) -> None:
        self._held += data
        while True:
            if self._body:
                text, dot, rest = self._held.partition(b"\r\n.\r\n")
                if not dot:
                    return
                self._body, self._held = False, rest
                await self._step("BODY", text + dot)
                continue
            command, end, rest = self._held.partition(b"\r\n")
            if not end:
                return
            self._held = rest
            verb = command[:4].upper().decode("latin-1").replace("LHLO", "EHLO")
            self._asked = verb == "DATA"
            await self._step(verb, command + end)

    async def _step(self, verb: str, raw: bytes) -> None:
        said = {
            "refuse": b"451 4.3.0 Not now\r\n",
            "never": self.never.get(verb, b""),
            "gone": b"550 5.1.1 User unknown\r\n",
        }
        await self.step(verb, raw, said)

    def forward(self, raw: bytes) -> None:
        self._unanswered += 1
        super().forward(raw)

    async def from_server(self, data: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            self._later = self._greeting(self.is_due("GREETING"))
        if self._asked and re.search(rb"(^|\n)354[ -]", data):
            self._asked, self._body = False, True
        *lines, self._line = (self._line + data).split(b"\n")
        answers = sum(line[3:4] == b" " for line in lines)
        await super().from_server(data)
        # The greeting answers nothing, and LMTP a letter once for each recipient.
        self._unanswered = max(0, self._unanswered - answers)
        if not self._unanswered:
            self._quiet.set()

    def _greeting(self, act: str) -> str:
        if act in ("bye", "noise", "never"):
            said = {"noise": NOISE, "never": self.never.get("GREETING", b"")}
            self.line.to_client.write(said.get(act, self.goodbye))
        lost = dict.fromkeys(("bye", "noise", "never", "drop"), "lost")
        return (lost | {"silence": "mute"}).get(act, act)


class Smtp(Lmtp):
    """SMTP. What is refused for good is the account's own fault, and so no letter's; except an
    invitee whom the server does not know ("gone").
    """

    acts = {step: (*acts, "never") for step, acts in Lmtp.acts.items() if step != "QUIT"} | {
        "RCPT": (*Lmtp.acts["RCPT"], "never", "gone"),
        "QUIT": Lmtp.acts["QUIT"],
    }
    never: ClassVar[dict[str, bytes]] = {
        "GREETING": b"554 5.3.2 No service for you\r\n",
        "EHLO": b"550 5.7.1 Client host blocked\r\n",
        "MAIL": b"550 5.7.1 Not allowed to send as this sender\r\n",
        "RCPT": b"554 5.7.1 Relay access denied\r\n",
        "DATA": b"554 5.2.0 Sending quota exceeded\r\n",
        "BODY": b"554 5.2.0 Sending quota exceeded\r\n",
    }


class Imap(Plain):
    """IMAP. In IDLE the server may end the session some time after it has agreed."""

    goodbye = b"* BYE Down for maintenance\r\n"
    acts = dict.fromkeys(
        ("LOGIN", "SELECT", "SEARCH", "FETCH", "MOVE", "NAMESPACE", "CREATE"),
        ("drop", "bye", "noise", "no", "bad", "silence", "lost", "mute", "half", "dribble"),
    ) | {
        "LOGIN": ("drop", "bye", "noise", "no", "wrong", "silence", "lost", "mute", "dribble"),
        "GREETING": ("drop", "bye", "noise", "silence"),
        "CAPABILITY": ("drop", "bye", "noise", "lost", "mute"),
        "IDLE": ("drop", "bye", "noise", "no", "silence", "lost", "later", "later", "later"),
        "DONE": ("drop", "lost", "mute"),
    }
    often = (*sorted(acts.keys() - {"CREATE"}), "IDLE", "IDLE", "FETCH", "MOVE")
    """CREATE comes where a folder was deleted."""

    def __init__(
        self, line: Line, plan: Plan | None, orders: list[Plan], done: Callable[[str], None]
    ) -> None:
        super().__init__(line, plan, orders, done)
        self._held = b""
        self._greeted = False

    async def from_client(self, data: bytes) -> None:
        self._held += data
        while b"\r\n" in self._held:
            command, end, self._held = self._held.partition(b"\r\n")
            tag, *words = command.decode("latin-1").upper().split() or [""]
            verb = words[words[0] == "UID"] if len(words) > 1 else (words or [tag])[0]
            name = command.split(b" ")[0]
            said = {
                "no": name + b" NO [UNAVAILABLE] Not now\r\n",
                "bad": name + b" BAD Command not understood\r\n",
                "wrong": name + b" NO [AUTHENTICATIONFAILED] Authentication failed\r\n",
            }
            await self.step(verb, command + end, said)

    async def from_server(self, data: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            act = self.is_due("GREETING")
            if act in ("bye", "noise"):
                self.line.to_client.write(NOISE if act == "noise" else self.goodbye)
            self._later = {"": "", "silence": "mute"}.get(act, "lost")
        later = self._later == "later" and data.startswith(b"+")
        if self._later == "later":
            self._later = ""
        await super().from_server(data)
        if later:
            await asyncio.sleep(random.random())
            self.line.to_client.write(self.goodbye)
            await self.line.to_client.drain()
            raise Over


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
    certificates: Certificates | None = None
    """With which it speaks TLS to its clients."""
    shown: str = Certificates.GOOD
    """Which of them."""
    done: Counter[str] = field(default_factory=Counter)
    planned: Plan | None = None
    """What is done to every session, whatever chance says."""
    held_up: int = 0
    """Pieces that came while it was frozen."""
    turned_away: int = 0
    """Connections."""
    port: int = 0
    _orders: list[Plan] = field(default_factory=list)
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
            secured = self.certificates and self.certificates.served(self._show)
            server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20, ssl=secured)
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

    def order(self, plan: Plan) -> None:
        """What is done to the next session that comes to this step; `withdraw` takes it back."""
        self._loop.call_soon_threadsafe(self._orders.append, plan)

    def withdraw(self) -> None:
        """Nothing is ordered any more."""
        self._loop.call_soon_threadsafe(self._orders.clear)

    def some_plan(self) -> Plan:
        """A step of this protocol, and an act that it can be answered by."""
        step = self.chance.choice(self.kind.often or list(self.kind.acts))
        turn = 1 if step in ONCE else self.chance.choice((1, 1, 1, 1, 2, 3))
        return Plan(step, turn, self.chance.choice(self.kind.acts[step]))

    def _show(self) -> str:
        if self.shown != Certificates.GOOD:
            self._count(f"certificate {self.shown}")
        return self.shown

    def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # One connection

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.certificates is not None:
            self.certificates.check(to_client.get_extra_info("ssl_object"))
        self.turned_away += self._away
        found = None if self._away else await self._connect()
        if found is None:
            to_client.transport.abort()
            return
        line = Line(client, to_client, *found)
        self._lines.add(line)
        session = self.kind(line, self._plan(), self._orders, self._count)
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
                self.held_up += not self._gate.is_set()
                await self._gate.wait()
                await take(data)

    def _plan(self) -> Plan | None:
        if self.planned is not None:
            return self.planned
        self._honest = not self._honest or self.chance.random() >= self.rate
        if self._honest or not self.kind.acts:
            return None
        return self.some_plan()

    def _count(self, what: str) -> None:
        self.done[f"{self.name}: {what}"] += 1
