"""Our mail server hands answers over as they come (LMTP), beside a mailbox that is read or instead
of one. Sole user of aiosmtpd outside the demonstration.

Standards: RFC 2033 (LHLO, one reply for each recipient), RFC 2920 (PIPELINING), RFC 1870 (SIZE),
RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8). A message is taken (250) after its effect is committed,
and not before: whatever happens until then, also kill -9, the sender keeps it and tries again, and
what is handed over twice counts once. On failure: a store that cannot be written, or a fault of
this program, is 451 for every recipient; a recipient that is no mailbox of ours is 550, a message
above `inbound.max_bytes` 552, of which its sender hears. Security: nobody signs in and nothing is
encrypted, so it listens on loopback or on a socket file, unless a setting says otherwise; nothing
is relayed. Limits: `SESSIONS` connections, `RECIPIENTS` of one message, `LINE` bytes of a line, and
the idle time of aiosmtpd (five minutes).
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import AnyStr

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from gateway import accounts, errors, reach
from gateway.errors import GatewayError
from gateway.inbound import process
from gateway.mail import address
from gateway.settings import Settings
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

SESSIONS = 50
RECIPIENTS = 100
"""RFC 5321 §4.5.3.1.8: at least a hundred."""
LINE = 256 * 1024
"""Far above RFC 5321 §4.5.3.1.6, for mail programs are."""
BATCH = 50
"""So many messages that wait are committed together, as many as the reader takes."""
BUSY = "421 4.3.2 Too many connections, try again later"
LATER = "451 4.3.0 Not recorded, try again later"
TAKEN = "250 2.0.0 Recorded"


@dataclass(frozen=True, slots=True)
class Handed:
    """A message as one transaction of the session handed it over, a copy for each recipient.
    `recorded`: whether all of it is.
    """

    copies: Sequence[process.Received]
    recorded: asyncio.Future[bool]


@dataclass
class Listener:
    """Takes what our mail server delivers, for as long as it runs. `committed` is set after every
    commit, `ready` once connections are taken.
    """

    store: Store
    settings: Settings
    committed: asyncio.Event
    ready: asyncio.Event
    sessions: set["_Dialogue"] = field(default_factory=set)
    _waiting: asyncio.Queue[Handed] = field(default_factory=asyncio.Queue)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`; what has come whole by then is still recorded and answered.

        Raises `ConfigurationError` for an address that is not ours, `GatewayError` for one that
        somebody else has at the moment.
        """
        processor = await asyncio.to_thread(process.Processor, self.store, self.settings)
        server = await self._listening()
        log.info("lmtp.listening", address=self.settings.lmtp.listen)
        self.ready.set()
        recording = asyncio.create_task(self._record(processor))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([recording, stopped], return_when=asyncio.FIRST_COMPLETED)
            if recording.done():
                recording.result()
            server.close()
            await self._waiting.join()
        finally:
            server.close()
            for session in tuple(self.sessions):
                session.close()
            for task in (recording, stopped):
                task.cancel()

    def session(self) -> asyncio.Protocol:
        """A protocol for one connection (the factory that the listening socket calls)."""
        return _Dialogue(self) if len(self.sessions) < SESSIONS else _Busy()

    def account_of(self, recipient: str) -> str | None:
        """Whose mailbox an address belongs to; None where it is nobody's."""
        for name, account in accounts.configured(self.settings).items():
            if address.is_ours(recipient, (account.mail.address, *account.mail.also)):
                return name
        return None

    async def record(self, envelope: Envelope) -> bool:
        """Whether what was handed over has had its effect, for good."""
        content, now = envelope.original_content or b"", datetime.now(UTC)
        copies = []
        for recipient in envelope.rcpt_tos:
            raw = _trace(envelope.mail_from or "", recipient) + content
            account = self.account_of(recipient) or accounts.DEFAULT
            copies.append(process.Received(raw, now, len(content), account=account))
        log.debug("lmtp.received", recipients=len(copies), size=len(content))
        handed = Handed(copies, asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(handed)
        return await handed.recorded

    async def _listening(self) -> asyncio.Server:
        listen, loop = self.settings.lmtp.listen, asyncio.get_running_loop()
        path = reach.socket_file(listen)
        if not path:
            bound = reach.bind("lmtp.listen", listen)
            return await loop.create_server(self.session, sock=bound)
        try:
            server = await loop.create_unix_server(self.session, path)
            # Who may deliver is decided by who may enter its folder.
            await asyncio.to_thread(Path(path).chmod, 0o666)
        except OSError as error:
            why = error.strerror or str(error)
            raise GatewayError(f"lmtp.listen: cannot listen on {listen}: {why}") from error
        return server

    async def _record(self, processor: process.Processor) -> None:
        """Everything that waits at a time is one transaction."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and len(batch) < BATCH:
                batch.append(self._waiting.get_nowait())
            recorded = False
            try:
                recorded = await self._commit(processor, batch)
            finally:
                for handed in batch:
                    # A peer that broke off waits no longer.
                    if not handed.recorded.done():
                        handed.recorded.set_result(recorded)
                    self._waiting.task_done()

    async def _commit(self, processor: process.Processor, batch: Sequence[Handed]) -> bool:
        copies = [copy for handed in batch for copy in handed.copies]
        try:
            results = await asyncio.to_thread(processor.receive, copies)
        # Our mail server keeps what is not taken, so every failure is one that passes.
        except Exception as error:
            if why := errors.words(error):
                log.warning("lmtp.not_recorded", messages=len(copies), reason=why)
            else:
                log.error("lmtp.failed", messages=len(copies), exc_info=error)
            return False
        self.committed.set()
        now = datetime.now(UTC)
        for copy, result in zip(copies, results, strict=True):
            log.info("message", **result.line(copy, now))
        return True

    # The handle_* names are aiosmtpd's hooks.

    async def handle_EHLO(  # noqa: N802
        self,
        server: LMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """RFC 2033 §5: an LMTP server takes commands in groups. aiosmtpd does, and does not say
        so.
        """
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(  # noqa: N802
        self,
        server: LMTP,
        session: Session,
        envelope: Envelope,
        recipient: str,
        options: list[str],
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if self.account_of(recipient) is None:
            return "550 5.1.1 Not a mailbox of this gateway"
        envelope.rcpt_tos.append(recipient)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802
        self, server: LMTP, session: Session, envelope: Envelope
    ) -> str:
        return TAKEN if await self.record(envelope) else LATER

    async def handle_exception(self, error: Exception) -> str:
        """aiosmtpd would refuse for good what it fails on."""
        log.error("lmtp.failed", exc_info=error)
        return LATER


class _Dialogue(LMTP):
    """aiosmtpd's LMTP with a reply for each recipient (RFC 2033 §4.2), where it gives one."""

    line_length_limit = LINE

    def __init__(self, listener: Listener) -> None:
        super().__init__(
            listener,
            data_size_limit=listener.settings.inbound.max_bytes,
            enable_SMTPUTF8=True,
            hostname=socket.gethostname(),
            ident="invite-gateway LMTP",
            loop=asyncio.get_running_loop(),
        )
        self._listener = listener
        self._recipients = 0
        # Of the message that is being handed over.
        self._replies = 1
        # To what is asked now.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.sessions.discard(self)
        super().connection_lost(error)

    def close(self) -> None:
        """The listener stops."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.write(b"421 4.3.2 Stopping\r\n")
            self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        recipients = self.envelope.rcpt_tos if self.envelope is not None else []
        self._recipients = len(recipients)
        try:
            await super().smtp_DATA(arg)
        finally:
            self._recipients, self._replies = 0, 1

    async def push(self, status: AnyStr) -> None:
        for _ in range(self._replies):
            await super().push(status)
        if self._recipients and status[:3] in ("354", b"354"):
            self._replies = self._recipients


class _Busy(asyncio.Protocol):
    """Tells one connection too many so, and ends it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"{BUSY}\r\n".encode())
        transport.close()


def _trace(sender: str, recipient: str) -> bytes:
    """What final delivery puts on top of a message (RFC 5321 §4.4), and by which a report without a
    sender, and the address that a mail came to, are known.
    """
    lines = f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n"
    return lines.encode("utf-8", "surrogateescape")
