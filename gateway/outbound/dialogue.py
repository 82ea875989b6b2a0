"""The wire of a connection to a mail server once it is open, greeted, encrypted and signed in:
commands leave, alone or several at once, and replies are read one by one.

Standards: RFC 5321 §4.2 (replies), RFC 2920 (commands that leave together). aiosmtplib opens the
connection; its own protocol drops what it did not ask for at that moment, and so cannot have two
replies under way. On failure: `ConnectionResetError` where the connection has ended before a reply,
`Garbled` for what is none. Security: no line of a command can become two. Limits: a reply has at
most `LONGEST` octets.
"""

import asyncio
from typing import NamedTuple

LONGEST_LINE = 8192
LONGEST = 4 * LONGEST_LINE


class Reply(NamedTuple):
    """What a server answered; several lines are joined by LF."""

    code: int
    text: str


class Garbled(Exception):
    """The server sent something that is no reply; the message is its words."""


class Dialogue(asyncio.Protocol):
    """Takes over a connection."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport, self._received = transport, bytearray()
        self._lost = False
        self._waiting: asyncio.Future[None] | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether more can be said, as far as is known."""
        return not (self._lost or self._transport.is_closing())

    @property
    def has_surplus(self) -> bool:
        """Whether the server has said something that nobody has read."""
        return bool(self._received)

    def ask(self, *commands: bytes) -> None:
        """Send commands, together."""
        if any(b"\r" in command or b"\n" in command for command in commands):
            raise ValueError("a line break in a command")
        self.write(b"".join(command + b"\r\n" for command in commands))

    def write(self, octets: bytes) -> None:
        """Send octets as they are."""
        if not self.is_open:
            raise ConnectionResetError
        self._transport.write(octets)

    async def read(self) -> Reply:
        """The next reply."""
        while (reply := self._next()) is None:
            if not self.is_open:
                raise ConnectionResetError
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return reply

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _next(self) -> Reply | None:
        """The first reply of what was received; None: it is not there, or not all of it."""
        lines, end, code = list[bytes](), 0, self._received[:3]
        while (after := self._received.find(b"\n", end) + 1) > 0:
            line = bytes(self._received[end:after])
            if len(line) > LONGEST_LINE:
                raise Garbled("Response too long")
            # Every line has the code (RFC 5321 §4.2.1): what was cut off is not to be completed by
            # the reply behind it.
            if line[:3] != code or not code.isdigit() or line[3:4].isdigit():
                raise Garbled(line.decode("utf-8", "ignore"))
            lines.append(line[4:].strip(b" \t\r\n"))
            end = after
            if line[3:4] != b"-":
                del self._received[:end]
                text = b"\n".join(lines).decode("utf-8", "surrogateescape")
                return Reply(int(code), text)
        if len(self._received) > LONGEST:
            raise Garbled("Response too long")
        return None
