"""The built-in mail server of the demonstration: SMTP in, IMAP out, everything in memory, on
loopback only.

Standards: SMTP (RFC 5321) through aiosmtpd, IMAP4rev1 with IDLE, MOVE and UIDPLUS (RFC 3501, 2177,
6851, 4315) through pymap, sub-addresses `mailbox+anything@domain` delivered to `mailbox@domain`
(RFC 5233 §1), one copy with Return-Path, Delivered-To and Received per recipient, as a real server
leaves them. On failure: an address without mailbox is refused with 550 at RCPT; a peer that breaks
off loses its own transaction only. Security: listens on 127.0.0.1 and relays nothing, so no mail
can leave this process. No TLS. One password for all mailboxes. Limits: messages up to 10 MiB; all
mail is gone when the server stops.
"""

import asyncio
import secrets
import weakref
from argparse import Namespace
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from aiosmtpd.smtp import SMTP, Envelope, Session
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, Identity, Login
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.user import Passwords, UserMetadata

HOST = "127.0.0.1"
MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivered copy. `content` is what IMAP shows, trace headers included; `recipient` as the
    sender wrote it in RCPT.
    """

    recipient: str
    sender: str
    content: bytes
    arrived: datetime


class _ImapConfig(Config):  # type: ignore[misc, unused-ignore]
    """pymap's configuration, but a greeting that asks no name server for our own name first."""

    @property
    def greeting(self) -> bytes:
        return b"sandbox ready"


class MailServer:
    """A running server; made by `running`.

    `smtp_port`, `imap_port`: TCP ports on 127.0.0.1. `refused`: addresses that were turned away at
    RCPT, in order.
    """

    def __init__(self, mailboxes: frozenset[str], login: Login, hostname: str) -> None:
        self.smtp_port = 0
        self.imap_port = 0
        self.refused: list[str] = []
        self._mailboxes = mailboxes
        self._login = login
        self._hostname = hostname
        self._listeners: dict[str, list[asyncio.Queue[Arrival]]] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def listen(self, mailbox: str) -> asyncio.Queue[Arrival]:
        """Everything that is delivered to this mailbox from now on, in order. Raises KeyError for a
        mailbox that is not here.
        """
        address = mailbox.lower()
        if address not in self._mailboxes:
            raise KeyError(mailbox)
        queue: asyncio.Queue[Arrival] = asyncio.Queue()
        self._listeners.setdefault(address, []).append(queue)
        return queue

    def mailbox_of(self, address: str) -> str | None:
        """The mailbox an address is delivered to, or None where nobody has it.
        The part after `+` does not matter.
        """
        local, _, domain = address.lower().rpartition("@")
        plain = f"{local.partition('+')[0]}@{domain}"
        return next(
            (name for name in (f"{local}@{domain}", plain) if name in self._mailboxes), None
        )

    async def deliver(self, sender: str, recipient: str, message: bytes, peer: str) -> None:
        """Put one copy into the recipient's INBOX and wake all who listen."""
        mailbox = self.mailbox_of(recipient)
        if mailbox is None:
            raise KeyError(recipient)
        now = datetime.now(UTC)
        trace = (
            f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\nReceived: from {peer}"
            f" ([127.0.0.1]) by {self._hostname} with ESMTP id {secrets.token_hex(6)}\r\n\tfor"
            f" <{recipient}>; {format_datetime(now)}\r\n"
        )
        content = trace.encode("utf-8") + message
        async with Identity(mailbox, self._login, None, frozenset()).new_session() as session:
            await session.append_messages("INBOX", [AppendMessage(content, now)])
        for queue in self._listeners.get(mailbox, ()):
            queue.put_nowait(Arrival(recipient, sender, content, now))

    # The handle_* names are aiosmtpd's hooks.

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if self.mailbox_of(address) is None:
            self.refused.append(address)
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        message = envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            await self.deliver(
                envelope.mail_from or "", recipient, message, session.host_name or "unknown"
            )
        return "250 2.0.0 Ok: delivered"

    def smtp_session(self) -> SMTP:
        """A protocol for one SMTP connection (the factory that the listening socket calls)."""
        session = SMTP(
            self,
            hostname=self._hostname,
            ident="ESMTP sandbox",
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        self._sessions.add(session)
        return session

    async def imap_session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one IMAP connection until it ends or the server stops."""
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        info = SocketInfo.get(writer, None, unique_id=secrets.token_bytes(8))
        await IMAPServer(self._login, self._login.config)(reader, writer, info)

    async def close_connections(self) -> None:
        """End what is still open: IMAP peers get BYE, SMTP peers a closed connection."""
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for session in tuple(self._sessions):
            if session.transport is not None:
                session.transport.close()


@asynccontextmanager
async def running(
    mailboxes: Iterable[str],
    password: str,
    *,
    hostname: str = "mail.crm.example",
    smtp_port: int = 0,
    imap_port: int = 0,
) -> AsyncIterator[MailServer]:
    """A mail server with these mailboxes for as long as the block runs.

    Each mailbox signs in at IMAP with its address and `password`. Port 0: the system picks a free
    one.
    """
    addresses = frozenset(address.lower() for address in mailboxes)
    login = await _accounts(addresses, password)
    server = MailServer(addresses, login, hostname)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(server.smtp_session, HOST, smtp_port)
    imap = await asyncio.start_server(server.imap_session, HOST, imap_port)
    server.smtp_port = smtp.sockets[0].getsockname()[1]
    server.imap_port = imap.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        smtp.close()
        imap.close()
        await server.close_connections()
        await smtp.wait_closed()
        await imap.wait_closed()


async def _accounts(addresses: frozenset[str], password: str) -> Login:
    """pymap's user directory, filled. Its configuration wants the arguments of its command line;
    these are the ones it reads.
    """
    arguments = Namespace(passlib_cfg=None, proxy_protocol=None)
    config = _ImapConfig(
        arguments,
        host=HOST,
        port=0,
        demo_data=False,
        demo_user="",
        demo_password="",
        tls_enabled=False,
    )
    login = Login(config)
    hashed = await Passwords(config).hash_password(password)
    for address in addresses:
        await Identity(address, login, None, frozenset()).set(
            UserMetadata(config, address, password=hashed)
        )
    return login
