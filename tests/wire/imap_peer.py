"""An IMAP server that misbehaves on order: small, honest where nothing else is asked, and exact
about what it was told.

`peer.fail("BODY", drop)` makes the next FETCH of bodies end with a cut connection. Steps are the
names of commands, and GREETING, MEASURE (FETCH of sizes), BODY, HEADER, IDLE, IDLING (after `+`).
Faults of one step happen one after the other, once. Everything a client says is kept in `heard`;
`until` waits for what a test expects to become true.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

WAIT_SECONDS = 60.0
EVERYTHING = ("IMAP4rev1", "IDLE", "MOVE", "UIDPLUS", "NAMESPACE")


@dataclass
class Stored:
    raw: bytes
    date: str
    size: int | None = None
    flags: set[str] = field(default_factory=set)


class Cut(Exception):
    """The connection ends here."""


Fault = Callable[["Connection", str], Awaitable[bool]]
"""Gets the connection and the tag; True: answered already, False: go on as an honest server."""


async def drop(connection: Connection, tag: str) -> bool:
    raise Cut


async def freeze(connection: Connection, tag: str) -> bool:
    """Says nothing more and keeps the line open until the client hangs up."""
    while await connection.reader.read(1024):
        pass
    raise Cut


async def late(connection: Connection, tag: str) -> bool:
    """Waits a moment, so that the client waits already, then answers honestly."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await connection.reader.read(1)
    return False


async def bye(connection: Connection, tag: str) -> bool:
    connection.send("* BYE [UNAVAILABLE] going down for maintenance")
    await freeze(connection, tag)
    return True


def says(*lines: str) -> Fault:
    """Writes these lines instead of an answer; `{tag}` is the tag."""

    async def speak(connection: Connection, tag: str) -> bool:
        for line in lines:
            connection.send(line.format(tag=tag))
        return True

    return speak


def first(*lines: str) -> Fault:
    """Writes these lines in one piece, then answers honestly."""

    async def speak(connection: Connection, tag: str) -> bool:
        connection.send("\r\n".join(lines))
        return False

    return speak


def blurts(raw: bytes) -> Fault:
    async def speak(connection: Connection, tag: str) -> bool:
        connection.writer.write(raw)
        return True

    return speak


def does(action: Callable[[], object]) -> Fault:
    """Something happens on the server just before the answer."""

    async def act(connection: Connection, tag: str) -> bool:
        action()
        return False

    return act


def refuses(uid: int) -> Fault:
    """Says no to every FETCH that asks for this message, also among others."""

    async def refuse(connection: Connection, tag: str) -> bool:
        asked = connection.peer.heard[-1].split()[3]
        if uid not in numbers(asked):
            return False
        connection.send(f"{tag} NO [SERVERBUG] cannot be read")
        return True

    return refuse


class Connection:
    def __init__(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer, self.reader, self.writer = peer, reader, writer
        self.announced = 0
        self.idling = False
        self.selected = False

    def send(self, line: str) -> None:
        self.writer.write(line.encode("latin-1") + b"\r\n")

    def announce(self) -> None:
        """Tell of new messages, if any are untold."""
        if self.selected and len(self.peer.messages) != self.announced:
            self.announced = len(self.peer.messages)
            self.send(f"* {self.announced} EXISTS")

    async def serve(self) -> None:
        if not await self.peer.misbehave("GREETING", self, "*"):
            self.send("* OK peer ready")
        while line := await self.reader.readline():
            text = line.decode("latin-1").strip()
            self.peer.hear(text)
            tag, _, command = text.partition(" ")
            await self.answer(tag, command)

    async def answer(self, tag: str, command: str) -> None:
        name, _, rest = command.partition(" ")
        step = name.upper()
        if step == "UID":
            name, _, rest = rest.partition(" ")
            step = name.upper()
        if step == "FETCH":
            step = (
                "HEADER" if "[HEADER]" in rest else "BODY" if "BODY.PEEK[]" in rest else "MEASURE"
            )
        if await self.peer.misbehave(step, self, tag):
            return
        if step == "IDLE":
            await self.idle(tag)
            return
        if step == "AUTHENTICATE":
            await self.authenticate(tag, rest)
            return
        do = getattr(self, f"do_{step.lower()}", None)
        verdict = do(rest) if do else "BAD what?"
        self.announce()
        self.send(f"{tag} {verdict or 'OK done'}")
        if step == "LOGOUT":
            raise Cut

    async def idle(self, tag: str) -> None:
        self.send("+ idling")
        self.announce()
        self.idling = True
        self.peer.changed()
        try:
            await self.peer.misbehave("IDLING", self, tag)
            line = await self.reader.readline()
        finally:
            self.idling = False
        self.send(
            f"{tag} OK idle is over"
            if line.strip().upper() == b"DONE"
            else f"{tag} BAD expected DONE"
        )

    async def authenticate(self, tag: str, rest: str) -> None:
        """XOAUTH2: the reason of a refusal goes into a challenge; NO comes only after the empty
        response to it.
        """
        initial = base64.b64decode(rest.removeprefix("XOAUTH2 ")).decode()
        if initial.split("auth=Bearer ")[1].removesuffix("\x01\x01") in self.peer.tokens:
            self.send(f"{tag} OK in")
            return
        self.send("+ " + base64.b64encode(b'{"status":"401"}').decode())
        self.peer.hear((await self.reader.readline()).decode().strip())
        self.send(f"{tag} NO [AUTHENTICATIONFAILED] wrong token")

    def do_capability(self, rest: str) -> str | None:
        self.send(f"* CAPABILITY {' '.join(self.peer.capabilities)}")
        return None

    def do_login(self, rest: str) -> str | None:
        return (
            None
            if rest == '"invites" "sec\\"ret"'
            else "NO [AUTHENTICATIONFAILED] wrong name or password"
        )

    def do_namespace(self, rest: str) -> str | None:
        self.send(f'* NAMESPACE (("{self.peer.prefix}" "{self.peer.delimiter}")) NIL NIL')
        return None

    def do_list(self, rest: str) -> str | None:
        name = rest.split(" ", 1)[1].strip('"')
        if not name:
            self.send(f'* LIST (\\Noselect) "{self.peer.delimiter}" ""')
        elif name in self.peer.folders:
            self.send(f'* LIST (\\HasNoChildren) "{self.peer.delimiter}" "{name}"')
        return None

    def do_create(self, rest: str) -> str | None:
        name = rest.strip('"')
        if not name.startswith(self.peer.prefix) or "/" in name:
            return "NO that is no place for folders"
        self.peer.folders[name] = []
        return None

    def do_select(self, rest: str) -> str | None:
        if rest.strip('"') not in self.peer.folders:
            return "NO Mailbox does not exist"
        self.selected = True
        self.announced = len(self.peer.messages)
        self.send(f"* {self.announced} EXISTS")
        if self.peer.uidvalidity is not None:
            self.send(f"* OK [UIDVALIDITY {self.peer.uidvalidity}] valid")
        self.send(f"* OK [UIDNEXT {self.peer.next_uid}] predicted")
        return "OK [READ-WRITE] selected"

    def do_search(self, rest: str) -> str | None:
        wanted = rest.removeprefix("UID ")
        uids = sorted(self.peer.messages)
        if rest.startswith("BEFORE "):
            day = internal_day(rest.removeprefix("BEFORE "))
            found = [uid for uid in uids if internal_day(self.peer.messages[uid].date) < day]
        elif wanted.endswith(":*"):
            start = int(wanted[:-2])
            found = [uid for uid in uids if uid >= start] or uids[-1:]  # RFC 3501 §6.4.8
        else:
            found = [uid for uid in sorted({*uids, *self.peer.ghosts}) if uid in numbers(wanted)]
        self.send(f"* SEARCH {' '.join(map(str, found))}")
        return None

    def do_measure(self, rest: str) -> str | None:
        for index, uid in self._existing(rest):
            message = self.peer.messages[uid]
            size = len(message.raw) if message.size is None else message.size
            self.send(
                f'* {index} FETCH (RFC822.SIZE {size} INTERNALDATE "{message.date}" UID {uid})'
            )
        return None

    def do_body(self, rest: str) -> str | None:
        return self._bodies(rest, "BODY[]", lambda raw: raw)

    def do_header(self, rest: str) -> str | None:
        return self._bodies(
            rest, "BODY[HEADER]<0>", lambda raw: raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )

    def _bodies(self, rest: str, name: str, part: Callable[[bytes], bytes]) -> str | None:
        for index, uid in self._existing(rest):
            if uid in self.peer.nil:
                self.send(f"* {index} FETCH (UID {uid} {name} NIL)")
            elif uid not in self.peer.withheld:
                raw = part(self.peer.messages[uid].raw)
                self.writer.write(
                    b"* %d FETCH (UID %d %s {%d}\r\n%s)\r\n"
                    % (index, uid, name.encode(), len(raw), raw)
                )
        return None

    def _existing(self, rest: str) -> list[tuple[int, int]]:
        wanted = numbers(rest.split(" ", 1)[0])
        self.peer.largest_fetch = max(self.peer.largest_fetch, len(wanted))
        return [
            (index, uid)
            for index, uid in enumerate(sorted(self.peer.messages), start=1)
            if uid in wanted
        ]

    def do_move(self, rest: str) -> str | None:
        return self.do_copy(rest) or self._expunge(numbers(rest.split(" ", 1)[0]))

    def do_copy(self, rest: str) -> str | None:
        uids, _, target = rest.partition(" ")
        target = target.strip('"')
        if target not in self.peer.folders:
            return "NO [TRYCREATE] no such folder"
        self.peer.folders[target] += [
            uid for uid in sorted(numbers(uids)) if uid in self.peer.messages
        ]
        return None

    def do_store(self, rest: str) -> str | None:
        for uid in numbers(rest.split(" ", 1)[0]) & self.peer.messages.keys():
            self.peer.messages[uid].flags.add("\\Deleted")
        return None

    def do_expunge(self, rest: str) -> str | None:
        deleted = {
            uid for uid, message in self.peer.messages.items() if "\\Deleted" in message.flags
        }
        return self._expunge(deleted & numbers(rest) if rest else deleted)

    def _expunge(self, uids: set[int]) -> str | None:
        for index, uid in reversed(list(enumerate(sorted(self.peer.messages), start=1))):
            if uid in uids:
                del self.peer.messages[uid]
                self.announced -= 1
                self.send(f"* {index} EXPUNGE")
        return None

    def do_noop(self, rest: str) -> str | None:
        self.peer.ghosts.clear()
        return None

    def do_subscribe(self, rest: str) -> str | None:
        return None

    def do_logout(self, rest: str) -> str | None:
        self.send("* BYE see you")
        return None


class Peer:
    """One mailbox, INBOX, and who is connected to it."""

    def __init__(self) -> None:
        self.port = 0
        self.capabilities: tuple[str, ...] = EVERYTHING
        self.uidvalidity: int | None = 7
        self.prefix, self.delimiter = "", "/"
        self.messages: dict[int, Stored] = {}
        self.folders: dict[str, list[int]] = {"INBOX": []}
        self.withheld: set[int] = set()
        self.nil: set[int] = set()
        self.ghosts: set[int] = set()  # gone, but SEARCH counts them until NOOP
        self.tokens: set[str] = set()
        self.heard: list[str] = []
        self.connections: set[Connection] = set()
        self.signed_in = 0
        self.largest_fetch = 0
        self.next_uid = 1
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._habits: dict[str, Fault] = {}
        self._changed = asyncio.Event()

    def fail(self, step: str, *faults: Fault) -> None:
        self._faults[step].extend(faults)

    def always(self, step: str, fault: Fault) -> None:
        self._habits[step] = fault

    async def misbehave(self, step: str, connection: Connection, tag: str) -> bool:
        faults = self._faults[step]
        if faults:
            return await faults.popleft()(connection, tag)
        habit = self._habits.get(step)
        return habit is not None and await habit(connection, tag)

    def left(self) -> list[str]:
        """Steps whose faults did not all happen: a test that expected them proved nothing."""
        return [step for step, faults in self._faults.items() if faults]

    def add(
        self,
        raw: bytes = b"Subject: hello\r\n\r\nbody\r\n",
        *,
        size: int | None = None,
        date: str = "",
        quiet: bool = False,
    ) -> int:
        """A message arrives; who idles is told at once, everybody else with the next answer
        (`quiet`: idlers are not told).
        """
        uid, self.next_uid = self.next_uid, self.next_uid + 1
        self.messages[uid] = Stored(raw, date or now(), size)
        if not quiet:
            for connection in self.connections:
                if connection.idling:
                    connection.announce()
        return uid

    def commands(self, name: str) -> list[str]:
        """What was said of this command, without tags."""
        return [
            line.partition(" ")[2] for line in self.heard if re.match(rf"\S+ (UID )?{name}\b", line)
        ]

    def hear(self, line: str) -> None:
        self.heard.append(line)
        self.changed()

    def changed(self) -> None:
        self._changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Waits until `true`; fails with what was heard."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                "never came true; heard:\n" + "\n".join(self.heard[-40:])
            ) from None

    def idling(self) -> int:
        return sum(connection.idling for connection in self.connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        self.signed_in += 1
        try:
            with contextlib.suppress(Cut, ConnectionError):
                await connection.serve()
        finally:
            self.connections.discard(connection)
            writer.close()
            self.changed()


@contextlib.asynccontextmanager
async def running(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A peer on the loopback, on this port or a free one, with TLS from the first byte or none."""
    peer = Peer()
    server = await asyncio.start_server(peer._serve, "127.0.0.1", port, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for connection in list(peer.connections):
            connection.writer.transport.abort()
        await peer.until(lambda: not peer.connections)


def now() -> str:
    """INTERNALDATE of what arrives at this moment."""
    return datetime.now(UTC).strftime("%d-%b-%Y %H:%M:%S +0000")


def internal_day(text: str) -> date:
    return datetime.strptime(text.split()[0], "%d-%b-%Y").replace(tzinfo=UTC).date()


def numbers(text: str) -> set[int]:
    """A message set: 1,3:5 → 1, 3, 4, 5."""
    found: set[int] = set()
    for run in text.split(","):
        first, _, last = run.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found
