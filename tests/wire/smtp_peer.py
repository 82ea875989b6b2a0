"""A scripted SMTP server on loopback that misbehaves at the step it is told to, and remembers what
it saw.

One script per connection, in the order they arrive; the last one serves all further ones. A script names what happens
*instead of* the normal answer at a step: "greeting", "ehlo", "starttls", "ehlo after tls", "auth", "mail", "rcpt", "data",
"content" (354 was said, one line of the letter was read), "body" (the final dot was read), "quit", and "idle" (after the
answer to a letter). `to` has further scripts, by the recipient's domain, for the steps from "rcpt" to "body". It never
sleeps: it answers, waits for an event, or waits for its end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field

DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Say:
    """These bytes, then on as if all were well. `hang_up`: close the connection right after
    them.
    """

    words: bytes
    hang_up: bool = False


@dataclass(frozen=True)
class Drop:
    """Close without a word; with `reset` by RST instead of FIN."""

    reset: bool = False


@dataclass(frozen=True)
class Hang:
    """Say nothing and read nothing more, with the connection open."""


@dataclass(frozen=True)
class Wait:
    """The normal answer, once the event is set; `drip` gives it byte by byte."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    drip: bool = False


Action = Say | Drop | Hang | Wait
OFFERS: tuple[str, ...] = ("SIZE 1000000", "8BITMIME")
"""What a server offers where a test does not say otherwise."""
Script = Mapping[str, Action]

_NORMAL = {
    "greeting": b"220 peer.example ESMTP\r\n",
    "starttls": b"220 2.0.0 go\r\n",
    "auth": b"235 2.7.0 in\r\n",
    "mail": b"250 2.1.0 Ok\r\n",
    "rcpt": b"250 2.1.5 Ok\r\n",
    "data": b"354 End with <CRLF>.<CRLF>\r\n",
    "body": b"250 2.0.0 Ok: queued as 4711\r\n",
    "quit": b"221 2.0.0 Bye\r\n",
}


@dataclass
class Letter:
    sender: bytes
    recipient: bytes
    content: bytes


@dataclass
class Session:
    """One connection: the lines the client said, letters begun, those whose final dot was read,
    those that were accepted.
    """

    lines: list[bytes] = field(default_factory=list)
    begun: int = 0
    offered: list[Letter] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    encrypted: bool = False
    ended: bool = False
    crowded: bool = False

    @property
    def dots(self) -> int:
        return len(self.offered)


class _Over(Exception):
    """The script ends this connection."""


class Peer:
    def __init__(
        self,
        *scripts: Script,
        offers: tuple[str, ...] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        users: Mapping[str, str] | None = None,
        tokens: Collection[str] | None = None,
        to: Mapping[str, Script] | None = None,
        most: int | None = None,
        let_in: int | None = None,
    ) -> None:
        self._most, self._let_in = most, let_in
        self._scripts = scripts or ({},)
        self._offers = OFFERS if offers is None else offers
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._users = users or {}
        self._tokens = tokens
        self._to = to or {}
        self._over = asyncio.Event()
        self._changed = asyncio.Condition()
        self.sessions: list[Session] = []
        self._faults: list[Exception] = []
        self.open = 0
        self.most_open = 0
        self.port = 0
        self.on_silence: Callable[[str], object] = lambda step: None
        """Called when the client is left waiting for the rest of an answer, or for all of it."""

    @property
    def letters(self) -> list[Letter]:
        return [letter for session in self.sessions for letter in session.letters]

    @property
    def dots(self) -> int:
        return sum(session.dots for session in self.sessions)

    @property
    def lines(self) -> list[bytes]:
        return [line for session in self.sessions for line in session.lines]

    @property
    def offered(self) -> list[Letter]:
        return [letter for session in self.sessions for letter in session.offered]

    async def until(self, true: Callable[[Peer], bool]) -> None:
        """Wait until something this peer saw makes `true`; fails after a generous deadline."""
        async with asyncio.timeout(DEADLINE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: true(self))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Peer]:
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls if self._implicit_tls else None
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._over.set()
            server.close()
            await server.wait_closed()
            await self.until(lambda peer: peer.open == 0)
        if self._faults:
            raise self._faults[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(len(self.sessions), len(self._scripts) - 1)]
        session = Session(encrypted=self._implicit_tls)
        self.sessions.append(session)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await self._notify()
        talk = asyncio.create_task(_Talk(self, session, script, reader, writer).run())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait([talk, over], return_when=asyncio.FIRST_COMPLETED)
            talk.cancel()
            over.cancel()
            with contextlib.suppress(asyncio.CancelledError, _Over, ConnectionError, ssl.SSLError):
                await talk
        except Exception as fault:  # of the script or of this file: asyncio would only log it
            self._faults.append(fault)
        finally:
            writer.transport.abort() if self._over.is_set() else writer.close()
            session.ended = True
            self.open -= 1
            await self._notify()

    def one_too_many(self, session: Session) -> bool:
        """Whether more connections are open than the server allows (`most`), and this is one of the
        newest of them.
        """
        going = [one for one in self.sessions if not one.ended]
        return self._most is not None and going.index(session) >= self._most

    def turns_away(self) -> bool:
        """Whether more connections are open than the server lets in at all (`let_in`)."""
        return self._let_in is not None and self.open > self._let_in

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class _Talk:
    """The server's side of one connection."""

    def __init__(
        self,
        peer: Peer,
        session: Session,
        script: Script,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._peer, self._session, self._script, self._usual = peer, session, script, script
        self._reader, self._writer = reader, writer

    async def run(self) -> None:
        if self._peer.turns_away():
            await self._send(b"421 4.3.2 Service not available\r\n")
            return
        await self._answer("greeting")
        sender = recipient = b""
        while line := await self._line():
            verb = line.split(b" ")[0].upper()
            if verb == b"EHLO":
                await self._ehlo()
            elif verb == b"STARTTLS":
                await self._starttls()
            elif verb == b"AUTH":
                await self._auth(line)
            elif verb == b"MAIL":
                sender, self._script = line, self._usual
                if self._peer.one_too_many(self._session):
                    await self._send(b"432 4.3.2 Concurrent connections limit exceeded\r\n")
                    self._session.crowded = True
                else:
                    await self._answer("mail")
            elif verb == b"RCPT":
                recipient = line
                if further := self._peer._to.get(line.rpartition(b"@")[2].rstrip(b">").decode()):
                    self._script = {**self._usual, **further}
                await self._answer("rcpt")
            elif verb == b"DATA":
                if await self._answer("data"):
                    await self._letter(sender, recipient)
            elif verb == b"QUIT":
                await self._answer("quit")
                return
            else:
                await self._send(b"500 5.5.2 what?\r\n")

    async def _ehlo(self) -> None:
        offers = list(self._peer._offers)
        if self._peer._tls is not None and not self._session.encrypted:
            offers.append("STARTTLS")
        if self._peer._users and not any(offer.startswith("AUTH") for offer in offers):
            offers.append("AUTH PLAIN LOGIN")
        if self._peer._tokens is not None:
            offers.append("AUTH XOAUTH2")
        lines = ["peer.example", *offers]
        text = "".join(
            f"250{'-' if n < len(lines) - 1 else ' '}{line}\r\n" for n, line in enumerate(lines)
        )
        step = "ehlo after tls" if b"STARTTLS" in self._session.lines else "ehlo"
        await self._answer(step, text.encode())

    async def _starttls(self) -> None:
        if await self._answer("starttls"):
            assert self._peer._tls is not None
            await self._writer.start_tls(self._peer._tls)
            self._session.encrypted = True

    async def _auth(self, line: bytes) -> None:
        words = line.split(b" ")
        if words[1].upper() == b"XOAUTH2":
            await self._token(base64.b64decode(words[2]))
            return
        if words[1].upper() == b"PLAIN":
            _, user, password = base64.b64decode(words[2]).split(b"\0")
            if self._script.get("auth") is not None:
                await self._answer("auth")
                return
        else:
            user = base64.b64decode(words[2])
            await self._send(b"334 UGFzc3dvcmQ6\r\n")
            password = base64.b64decode(await self._line())
        good = self._peer._users.get(user.decode()) == password.decode()
        await self._send(_NORMAL["auth"] if good else b"535 5.7.8 wrong user or password\r\n")

    async def _token(self, initial: bytes) -> None:
        """The reason of a refusal goes into a challenge, which the client answers with an empty
        line.
        """
        if self._script.get("auth") is not None:
            await self._answer("auth")
            return
        if initial.split(b"\x01auth=Bearer ")[1].removesuffix(b"\x01\x01").decode() in (
            self._peer._tokens or ()
        ):
            await self._send(_NORMAL["auth"])
            return
        await self._send(b"334 " + base64.b64encode(b'{"status":"401"}') + b"\r\n")
        assert await self._reader.readline() == b"\r\n"
        await self._send(b"535 5.7.8 wrong token\r\n")

    async def _letter(self, sender: bytes, recipient: bytes) -> None:
        content = await self._reader.readline()
        self._session.begun += 1
        await self._peer._notify()
        if "content" in self._script:
            await self._answer("content", b"")
        while not content.endswith(b"\r\n.\r\n"):
            line = await self._reader.readline()
            if not line:
                raise _Over
            content += line
        text = b"\r\n".join(
            row.removeprefix(b".") for row in content.removesuffix(b".\r\n").split(b"\r\n")
        )
        letter = Letter(sender, recipient, text)
        self._session.offered.append(letter)
        await self._peer._notify()
        if await self._answer("body"):
            self._session.letters.append(letter)
            await self._peer._notify()
        if "idle" in self._script:
            await self._answer("idle", b"")

    async def _line(self) -> bytes:
        line = (await self._reader.readline()).rstrip(b"\r\n")
        if line:
            self._session.lines.append(line)
            await self._peer._notify()
        return line

    async def _answer(self, step: str, normal: bytes | None = None) -> bool:
        """Do what the script says at `step`; returns whether the client was told that all is
        well.
        """
        words = _NORMAL[step] if normal is None else normal
        match self._script.get(step):
            case Say(words=said, hang_up=hang_up):
                await self._send(said)
                if hang_up:
                    raise _Over
                if not said.endswith(b"\n"):
                    self._peer.on_silence(step)
                return (
                    re.fullmatch(rb"[23]\d\d .*\r\n", said.splitlines(keepends=True)[-1])
                    is not None
                )
            case Drop(reset=reset):
                if reset:
                    # Zero linger time: close() sends RST and forgets what was not read.
                    self._writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                raise _Over
            case Hang():
                assert isinstance(self._writer.transport, asyncio.Transport)
                self._writer.transport.pause_reading()
                self._peer.on_silence(step)
                await asyncio.Event().wait()
            case Wait(event=event, drip=drip):
                await event.wait()
                for part in (words[n : n + 1] for n in range(len(words))) if drip else (words,):
                    await self._send(part)
                    await asyncio.sleep(0)
            case None:
                await self._send(words)
        return True

    async def _send(self, words: bytes) -> None:
        self._writer.write(words)
        await self._writer.drain()
