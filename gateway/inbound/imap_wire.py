"""The wire to an IMAP server: aioimaplib's protocol, taught what a long-lived reader needs.

Standards: RFC 3501 (§7: what servers say unasked; §6.2.1: STARTTLS). On failure: the first reason
stays in `ended`, and nothing more can be done. Security: what the server may make us hold in memory
is bounded; what it says in clear text after it agreed to STARTTLS ends the connection. Mail and
passwords never reach a log: aioimaplib's own debug lines are off for good.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from typing import Any

import aioimaplib

from gateway.errors import GatewayError

# aioimaplib writes whole mails at DEBUG and unknown lines at INFO, whatever level the rest of the
# program runs at.
logging.getLogger("aioimaplib").setLevel(logging.WARNING)

LINES = 200
"""Response lines given to aioimaplib at once: it recurses once per line."""
OTHERS = ((b"220", "SMTP"), (b"+OK", "POP3"), (b"HTTP/", "HTTP"), (b"SSH-", "SSH"))
"""How other services begin, for an administrator who took the wrong port."""


class MailboxError(GatewayError):
    """The mailbox cannot be read at the moment; the message tells the administrator what the server
    did.
    """


class Wire(aioimaplib.IMAP4ClientProtocol):
    """One connection (aioimaplib 2.0.3, whose inner methods are overridden).

    The library recurses once per line, tells nobody of BYE, of a lost connection or of a bad
    greeting, drops EXISTS while FETCH runs, formats every received byte for its debug log, and
    leaves a refused XOAUTH2 hanging.
    """

    incomplete_line: bytes
    current_command: Any
    transport: Any

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int, name: str) -> None:
        super().__init__(loop)
        self._name = name
        self.over = asyncio.Event()
        self.ended: Exception | None = None
        self.news = asyncio.Event()
        self.alive: Callable[[], None] | None = None
        self.received = 0
        self._capacity, self._greeted = capacity, False
        self.is_sealed = False
        """The server agreed to STARTTLS: whatever comes in clear text now was not said by it."""

    def fail(self, error: Exception) -> None:
        """Nothing more can be done on this connection. The first reason stays.

        What aioimaplib does on its own ends, too: its greeting holds the lock that `wait` needs to
        end while it asks CAPABILITY, which nobody answers any more.
        """
        if self.ended is None:
            self.ended = error
            self.over.set()
            for task in [*self.tasks]:
                task.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        lost = MailboxError(f"the connection was lost{f': {exc}' if exc else ''}")
        lost.__cause__ = exc
        self.fail(lost)

    def data_received(self, d: bytes) -> None:
        if self.over.is_set():
            return
        self.received += len(d)
        if self.alive is not None:
            self.alive()
        try:
            if self.received > self._capacity:
                raise MailboxError(
                    f"the server sent more than {self._capacity} bytes where less was asked for"
                )
            self._feed(d)
        except MailboxError as error:
            self.fail(error)
        # aioimaplib raises what it happens to; its words may repeat the LOGIN line, so only the
        # kind
        except Exception as error:
            self.fail(
                MailboxError(f"the server sent something unreadable ({type(error).__name__})")
            )
        if self.over.is_set():
            self.transport.abort()

    def _feed(self, data: bytes) -> None:
        if len(data) > 2 * LINES and data.count(b"\n") > LINES:
            middle = len(data) // 2
            self._feed(data[:middle])
            self._feed(data[middle:])
            return
        try:
            self._handle_responses(
                self.incomplete_line + data, self._handle_line, self.current_command
            )
            self.incomplete_line = b""
            self.current_command = None
        except aioimaplib.IncompleteRead as part:
            self.incomplete_line = part.data
            self.current_command = part.cmd

    def _handle_line(self, line: bytes, current_cmd: Any) -> Any:
        if self.is_sealed and line:
            raise MailboxError(
                "the server said more in clear text after it had agreed to STARTTLS; somebody may"
                " stand between"
            )
        return super()._handle_line(line, current_cmd)

    def _response_done(self, line: bytes) -> None:
        command = self.pending_sync_command
        super()._response_done(line)
        if command is not None and command.name == "STARTTLS":
            self.is_sealed = command.response.result == "OK"

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """The handshake, after the server agreed to it."""
        if self.incomplete_line:
            raise MailboxError("the server said more in clear text after it had agreed to STARTTLS")
        loop = asyncio.get_running_loop()
        self.transport = await loop.start_tls(self.transport, self, context, server_hostname=host)
        self.is_sealed = False

    async def welcome(self, command: bytes) -> None:
        if self._greeted:
            return
        self._greeted = True
        words = command.decode("ascii", "replace")[:200]
        for start, name in OTHERS:
            if command.startswith(start):
                reason = f"{self._name} speaks {name}, not IMAP (imap.port?): {words!r}"
                self.fail(MailboxError(reason))
                return
        try:
            await super().welcome(command)
        # nobody awaits this task: without a word here the greeting would be waited for in vain
        except Exception as error:
            reason = f"{self._name} gives no IMAP greeting (imap.port?): {words!r}"
            self.fail(MailboxError(f"{reason} ({type(error).__name__})"))

    def _continuation(self, line: bytes) -> None:
        if (
            self.pending_sync_command is not None
            and self.pending_sync_command.name == "AUTHENTICATE"
        ):
            # XOAUTH2: the reason of a refusal, as a challenge; the server says NO only after our
            # empty response to it.
            self.transport.write(b"\r\n")
        else:
            super()._continuation(line)

    def _untagged_response(self, line: bytes) -> Any:
        if line[:5].upper() == b"* BYE":
            self.fail(
                MailboxError(
                    f"the server ended the session: {line[6:206].decode('ascii', 'replace')!r}"
                )
            )
        elif re.match(rb"\* \d+ EXISTS", line, re.IGNORECASE):
            self.news.set()
        return super()._untagged_response(line)
