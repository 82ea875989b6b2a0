"""The sending edge: hands one letter at a time to the account's submission server. Sole importer of
aiosmtplib.

What: a `Pool` keeps up to `smtp.connections` connections open and reuses them; `Pool.send` returns
a `Receipt` that says how far one letter came and what the server said. What follows from a receipt
is decided in `outbound.retry`.

Standards: RFC 5321 (SMTP), 6409 (submission), 3207 (STARTTLS), 8314 (TLS from the first byte), 4954
(AUTH PLAIN and LOGIN; XOAUTH2 as Google and Microsoft document it), 1870 (SIZE), 6152 (8BITMIME),
6531 (SMTPUTF8), 2034 and 3463 (enhanced status codes).

On failure: nothing is raised for what a server does. A lost connection, a timeout, an answer that
is no SMTP, a name that does not resolve or a certificate that does not fit give a receipt without a
code. The letter counts as accepted only by a 2xx answer to its final dot; once its body was written
it is never sent a second time by the same `send`. A cancelled `send` cuts its connection at once,
so nothing more of the letter leaves.

Security: certificates and names are verified, TLS 1.2 or newer; with `security` other than "none"
nothing but EHLO and STARTTLS ever leaves in clear. Addresses are checked before they reach a
command line. The server's words are reduced to one printable line, without the password or token
should a server repeat it.

Limits: every wait has an end. The wait for the answer to the final dot is longer than the others,
because giving up there may mean a second copy (RFC 5321 §4.5.3.2.6, RFC 1047). MAIL, RCPT and DATA
leave together where the server offers PIPELINING (RFC 2920), but no letter before its DATA has been
answered.
"""

import asyncio
import base64
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, cast

import aiosmtplib

from gateway import accounts, health, metrics, sections
from gateway.errors import InputError
from gateway.mail import address as addresses
from gateway.mail import refusals
from gateway.outbound import dial, receipts
from gateway.outbound.dialogue import Dialogue, Garbled, Reply
from gateway.outbound.receipts import Receipt, Step, Submission

__all__ = ["Look", "Pool", "Receipt", "Step", "Submission"]

_TO_THE_DOT = 4
"""How many times `timeout_seconds` may pass from the start of a send until its body is written."""
_AFTER_THE_DOT = 4
"""How many times `timeout_seconds` the answer to the final dot may take."""
_QUIT_SECONDS = 2.0

# RFC 5321 §4.1.2: what can stand between < and > without ending the path early. UTF-8 is allowed
# (RFC 6531 §3.3).
_MAILBOX = re.compile(
    r'(?:[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]+|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")'
    r'@(?:[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]+|\[[0-9A-Za-z.:]+\])'
)


class _Failure(Exception):
    """A finding of ours that ends an attempt at the current step. `enhanced`: 4.x for now, 5.x for
    good (RFC 3463).
    """

    def __init__(self, text: str, enhanced: str) -> None:
        super().__init__(text)
        self.text, self.enhanced = text, enhanced


class _Unfit(_Failure):
    """This letter cannot go through this server. Nothing of it was sent: the connection is as good
    as before.
    """


@dataclass(frozen=True, slots=True)
class Look:
    """What a server shows to somebody who signs in and sends nothing."""

    trouble: str
    """The server's words, or ours, where that fails; else ""."""
    size: int | None = None
    """The largest letter that it takes, in octets; 0: it knows no limit; None: it does not say."""
    certificate: Mapping[str, Any] = field(default_factory=dict)
    """As `ssl.SSLSocket.getpeercert` has it; empty in clear text."""


class Pool:
    """Connections to one account's server. `send` may be called concurrently; more than
    `connections` wait their turn.

    `password`: as from `settings.secret`; `tokens`: instead of it for `sign_in = "xoauth2"`.
    `hostname`: our name for EHLO. `idle_seconds`: unused connections close then. Raises
    `ConfigurationError` if `ca_file` cannot be read. To be closed with `aclose`, or used as a
    context manager.
    """

    def __init__(
        self,
        account: sections.Smtp,
        *,
        password: str = "",
        tokens: accounts.Tokens | None = None,
        hostname: str | None = None,
        idle_seconds: float = 10.0,
    ) -> None:
        self._account = account
        self._password, self._tokens = password, tokens
        self._hostname = hostname
        self._idle_seconds = idle_seconds
        self._tls = dial.tls_context(account)
        self._turns = asyncio.Semaphore(account.connections)
        self._idle: list[_Connection] = []
        self._tending: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(self, submission: Submission, may: Callable[[], bool] = lambda: True) -> Receipt:
        """Hand one letter to the server. `may`: asked once more before anything of it is written.
        Raises nothing but `CancelledError`, and `RuntimeError` after `aclose`.
        """
        if self._closed:
            raise RuntimeError("the SMTP pool is closed")
        async with self._turns:
            started = datetime.now(UTC)
            until = asyncio.get_running_loop().time() + _TO_THE_DOT * self._account.timeout_seconds
            connection = self._warm()
            if connection is not None:
                connection.may = may
                receipt = await self._attempt(connection, submission, started, until)
                if not _connection_was_stale(receipt):
                    return receipt
            # Before another one is opened, so that the server never sees more than `connections`.
            if (spent := self._spent()) is not None:
                await spent.quit()
            connection = _Connection(
                self._account, self._password, self._tokens, self._hostname, self._tls
            )
            connection.may = may
            return await self._attempt(connection, submission, started, until)

    async def look(self) -> Look:
        """Connect, secure the connection, sign in and take leave, without a letter."""
        connection = _Connection(
            self._account, self._password, self._tokens, self._hostname, self._tls
        )
        limit = _TO_THE_DOT * self._account.timeout_seconds
        connection.until = asyncio.get_running_loop().time() + limit
        try:
            await connection.open()
        # Whatever a peer's bytes provoke is its trouble, as in `_attempt`.
        except Exception as error:
            code, text, _ = connection.explain(error)
            connection.drop()
            return Look(receipts.one_line(f"{code} {text}" if code is not None else text))
        except BaseException:
            connection.drop()
            raise
        seen = Look("", connection.size, connection.certificate)
        await connection.quit()
        return seen

    async def aclose(self) -> None:
        """Take leave of the server on every unused connection. A `send` in progress finishes and
        then hangs up.
        """
        self._closed = True
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    def _warm(self) -> "_Connection | None":
        """The good connection that was used last, so that surplus ones grow idle. Forgets what the
        server closed.
        """
        self._idle = [connection for connection in self._idle if connection.is_open]
        warm = next(
            (connection for connection in reversed(self._idle) if not connection.spent), None
        )
        if warm is not None:
            self._idle.remove(warm)
        return warm

    def _spent(self) -> "_Connection | None":
        spent = next((connection for connection in self._idle if connection.spent), None)
        if spent is not None:
            self._idle.remove(spent)
        return spent

    async def _attempt(
        self, connection: "_Connection", submission: Submission, started: datetime, until: float
    ) -> Receipt:
        connection.until = until
        try:
            reply = await connection.deliver(submission)
            code, text, enhanced = reply.code, reply.text, receipts.enhanced(reply.text)
        except _Unfit as unfit:
            code, text, enhanced = None, unfit.text, unfit.enhanced
        except Exception as error:
            # Whatever a peer's bytes provoke, in the library too, is this attempt's failure and not
            # the worker's.
            code, text, enhanced = connection.explain(error)
            connection.spent = True
            if code is None or _one_too_many(code, text):
                connection.drop()
        except BaseException:
            connection.drop()
            raise
        # No await from here on: a cancellation would lose the news that the letter was accepted.
        self._keep(connection)
        return Receipt(
            step=connection.step,
            code=code,
            text=receipts.one_line(text),
            enhanced=enhanced,
            host=connection.host,
            started=started,
            ended=datetime.now(UTC),
        )

    def _keep(self, connection: "_Connection") -> None:
        if self._closed or not connection.is_open:
            connection.drop()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        if self._tending is None or self._tending.done():
            self._tending = asyncio.create_task(self._tend(), name="smtp-idle")

    async def _tend(self) -> None:
        """Close what nobody used for a while; ends when nothing is left to watch."""
        loop = asyncio.get_running_loop()
        while self._idle:
            oldest = min(self._idle, key=lambda connection: connection.idle_since)
            rest = oldest.idle_since + self._idle_seconds - loop.time()
            if rest > 0:
                await asyncio.sleep(rest)
                continue
            async with self._turns:
                if oldest in self._idle and oldest.idle_since + self._idle_seconds <= loop.time():
                    self._idle.remove(oldest)
                    await oldest.quit()


class _Connection:
    """One connection from dial to QUIT. `step` is where it stands; by `until` (loop time) the body
    must be written, and only if it `may`.

    aiosmtplib's own time limits are off: `asyncio.wait_for` of Python 3.11 can lose a cancellation
    (bpo-37658).
    """

    def __init__(
        self,
        account: sections.Smtp,
        password: str,
        tokens: accounts.Tokens | None,
        hostname: str | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._account = account
        self._password, self._tokens, self._token = password, tokens, ""
        self._hostname = hostname
        self._smtp = aiosmtplib.SMTP(
            hostname=account.host,
            timeout=None,
            use_tls=account.security == "tls",
            start_tls=False,
            tls_context=tls,
        )
        self._socket: socket.socket | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._dialogue: Dialogue | None = None
        self._delivered = 0
        self.step = Step.CONNECT
        self.host = f"{account.host}:{account.port}"
        self.spent = False
        self.until = float("inf")
        self.may: Callable[[], bool] = lambda: True
        self.idle_since = 0.0

    @property
    def size(self) -> int | None:
        """RFC 1870 §4."""
        said = self._smtp.esmtp_extensions.get("size")
        return None if said is None else int(said) if said.isascii() and said.isdigit() else 0

    @property
    def certificate(self) -> Mapping[str, Any]:
        transport = self._transport
        return (transport.get_extra_info("peercert") or {}) if transport is not None else {}

    @property
    def is_open(self) -> bool:
        return self._dialogue is not None and self._dialogue.is_open

    async def deliver(self, submission: Submission) -> Reply:
        """The final 2xx answer; anything else is raised, with `step` saying where. Opens the
        connection if need be.
        """
        sender, recipient = self._paths(submission)
        if not self.is_open:
            await self.open()
        self.step = Step.MAIL
        options = self._options(submission, sender, recipient)
        mail = b" ".join((b"MAIL FROM:<" + sender + b">", *options))
        await self._announce(mail, b"RCPT TO:<" + recipient + b">")
        if not self.may():  # nothing of it was written yet
            raise _Failure("it may not be handed over any more", "4.3.0")
        response = await self._body(submission.content)
        self._delivered += 1
        self.spent = self._delivered >= self._account.messages_per_connection
        return response

    async def quit(self) -> None:
        """QUIT, wait shortly for the answer (RFC 5321 §4.1.1.10), hang up."""
        try:
            async with asyncio.timeout(min(_QUIT_SECONDS, self._account.timeout_seconds)):
                if self._dialogue is not None:
                    self._dialogue.ask(b"QUIT")
                    await self._reply()
        except (aiosmtplib.SMTPException, OSError):
            # No letter is in flight: a server that does not answer here takes nothing with it.
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """Cut the connection now. Closing in order would go on writing a letter that was given
        up.
        """
        if self._transport is not None:
            self._transport.abort()
        elif self._socket is not None:
            with contextlib.suppress(OSError):  # not connected any more: nothing to cut
                self._socket.shutdown(socket.SHUT_RDWR)
        self._smtp.close()

    def explain(self, error: Exception) -> tuple[int | None, str, str]:
        """(code, text, enhanced) for what ended an attempt; corrects `step` where only the error
        tells it.
        """
        if (
            isinstance(error, aiosmtplib.SMTPConnectError)
            and isinstance(error.__cause__, OSError)
            and not isinstance(error.__cause__, aiosmtplib.SMTPException)
        ):
            self.step, error = Step.CONNECT, error.__cause__
        if isinstance(error, _Failure):
            return None, error.text, error.enhanced
        if isinstance(error, aiosmtplib.SMTPResponseException):
            if 200 <= error.code <= 599:  # RFC 5321 §4.3.2
                return error.code, self._masked(error.message), receipts.enhanced(error.message)
            words = error.message.removeprefix("Malformed SMTP response line: ")
            return (
                None,
                f"{self.host}: not an SMTP answer at {self.step}: {self._masked(words)}",
                "4.5.0",
            )
        return None, *self._our_words(error)

    def _our_words(self, error: Exception) -> tuple[str, str]:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                health.untrusted(self.host, error, "smtp.ca_file"),
                "4.7.5",
            )
        if isinstance(error, ssl.SSLError):
            hint = " (no TLS on this port?)" if error.reason == "WRONG_VERSION_NUMBER" else ""
            return f"TLS with {self.host} failed: {error.reason or error}{hint}", "4.7.5"
        if isinstance(error, TimeoutError):
            # A server that waits for our handshake says nothing: the usual slip with ports 465 and
            # 587.
            hint = (
                " (TLS from the first byte expected there?)"
                if (self.step is Step.GREETING and self._account.security != "tls")
                else ""
            )
            return f"{self.host}: no answer in time at {self.step}{hint}", "4.4.2"
        if isinstance(error, socket.gaierror):
            return f"{self._account.host} cannot be resolved: {error.strerror}", "4.4.3"
        if isinstance(
            error,
            aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPConnectError | ConnectionResetError,
        ):
            handshake = self.step is Step.STARTTLS or (
                self.step is Step.CONNECT and self._account.security == "tls"
            )
            hint = " (no TLS version in common?)" if handshake else ""
            return f"{self.host} closed the connection at {self.step}{hint}", "4.4.2"
        if isinstance(error, OSError):
            return f"{self.host}: {os.strerror(error.errno) if error.errno else error}", "4.4.1"
        return f"{self.host}: {type(error).__name__} at {self.step}: {error}", ""

    async def open(self) -> None:
        """Connect, secure the connection and sign in. Raises what ends it; `step` says where."""
        account = self._account
        async with self._limit(Step.CONNECT):
            self._socket = await dial.connect(account.host, account.port, account.timeout_seconds)
        self.host = f"{account.host}[{self._socket.getpeername()[0]}]:{account.port}"
        self._smtp.local_hostname = self._hostname or dial.own_name(self._socket)
        async with self._limit(Step.GREETING):
            await self._smtp.connect(sock=self._socket)
        self._transport = cast(asyncio.WriteTransport, self._smtp.transport)
        await self._ehlo()
        if account.security == "starttls":
            if not self._smtp.supports_extension("starttls"):
                self.step = Step.STARTTLS
                raise _Failure(
                    f"{self.host} does not offer STARTTLS; nothing is sent in clear text", "4.7.4"
                )
            async with self._limit(Step.STARTTLS):
                await self._smtp.starttls()
            self._transport = cast(asyncio.WriteTransport, self._smtp.transport)
            await self._ehlo()  # RFC 3207 §4.2: what was said before TLS does not count
        metrics.note_certificate(
            f"{account.host}:{account.port}", self._transport.get_extra_info("ssl_object")
        )
        if account.username:
            await self._sign_in()
        self._expect_silence()
        self._dialogue = Dialogue(self._transport)

    async def _ehlo(self) -> None:
        async with self._limit(Step.EHLO):
            await self._smtp.ehlo()

    async def _sign_in(self) -> None:
        offered = self._smtp.server_auth_methods
        if self._account.sign_in == "xoauth2" and self._tokens is not None:
            await self._show_token(self._tokens)
            return
        async with self._limit(Step.AUTH):
            if "plain" in offered:
                try:
                    await self._smtp.auth_plain(self._account.username, self._password)
                    return
                except aiosmtplib.SMTPAuthenticationError as refused:
                    # RFC 4954 §4: 504, offered but not supported. Any other refusal stands: a
                    # second try with the same password only feeds the server's lock-out.
                    if refused.code != 504 or "login" not in offered:
                        raise
            elif "login" not in offered:
                raise _Failure(
                    f"a username is set, but {self.host} offers neither AUTH PLAIN nor LOGIN "
                    f"({' '.join(offered) or 'no AUTH at all'})",
                    "5.7.4",
                )
            await self._smtp.auth_login(self._account.username, self._password)

    async def _show_token(self, tokens: accounts.Tokens) -> None:
        self.step = Step.AUTH
        if "xoauth2" not in self._smtp.server_auth_methods:
            raise _Failure(f"{self.host} does not offer AUTH XOAUTH2", "5.7.4")
        try:
            self._token = await tokens.current()
            try:
                async with self._limit(Step.AUTH):
                    await self._smtp.auth_xoauth2(self._account.username, self._token)
                return
            except aiosmtplib.SMTPAuthenticationError as refused:
                # RFC 4954 §6: the credentials themselves; a token may have ended before its time.
                if refused.code != 535:
                    raise
            self._token = await tokens.renewed(self._token)
        except accounts.TokenRefused as refusal:
            raise _Failure(str(refusal), "5.7.8") from refusal
        except accounts.TokenMissing as missing:
            raise _Failure(str(missing), "4.7.0") from missing
        async with self._limit(Step.AUTH):
            await self._smtp.auth_xoauth2(self._account.username, self._token)

    def _paths(self, submission: Submission) -> tuple[bytes, bytes]:
        """Sender and recipient as they stand between < and >; checked before a connection is even
        opened.
        """
        self.step = Step.MAIL
        sender = _path(submission.sender, "5.1.7") if submission.sender else b""
        self.step = Step.RCPT
        recipient = _path(submission.recipient, "5.1.3")
        self.step = Step.CONNECT
        return sender, recipient

    def _options(self, submission: Submission, sender: bytes, recipient: bytes) -> list[bytes]:
        """Parameters of MAIL. Raises `_Unfit` for a letter that this server says it cannot take."""
        offers, size, options = self._smtp.esmtp_extensions, len(submission.content), []
        if (limit := self.size) is not None:
            if 0 < limit < size:  # RFC 1870 §4: 0 is no limit
                raise _Unfit(
                    f"the letter has {size} bytes, {self.host} takes at most {limit}", "5.3.4"
                )
            options.append(b"SIZE=%d" % size)
        if not submission.content.isascii():
            if "8bitmime" not in offers:
                raise _Unfit(
                    f"the letter has 8-bit text and {self.host} does not offer 8BITMIME", "5.6.3"
                )
            options.append(b"BODY=8BITMIME")
        if not (sender + recipient).isascii():
            if "smtputf8" not in offers:
                self.step = Step.MAIL if recipient.isascii() else Step.RCPT
                raise _Unfit(
                    f"the address is not ASCII and {self.host} does not offer SMTPUTF8", "5.6.7"
                )
            options.append(b"SMTPUTF8")
        return options

    async def _announce(self, mail: bytes, rcpt: bytes) -> None:
        """MAIL, RCPT and DATA, together where the server offers that (RFC 2920 §3.1). Raises the
        first refusal, with `step` saying of what.
        """
        commands = ((Step.MAIL, mail), (Step.RCPT, rcpt), (Step.DATA, b"DATA"))
        dialogue = self._wire()
        together = self._smtp.supports_extension("pipelining")
        if together:
            self._expect_silence()
            dialogue.ask(*(command for _, command in commands))
        for number, (step, command) in enumerate(commands):
            async with self._in_time(step) if together else self._limit(step):
                if not together:
                    dialogue.ask(command)
                reply = await self._reply()
            if reply.code == 354 if step is Step.DATA else 200 <= reply.code <= 299:
                continue
            if together:
                await self._hear_out(len(commands) - 1 - number)
            raise aiosmtplib.SMTPResponseException(reply.code, reply.text)

    async def _hear_out(self, replies: int) -> None:
        """Read the answers to what left together with a command that was refused. A server that
        awaits the letter all the same is left.
        """
        reply = None
        try:
            async with self._in_time(self.step):
                for _ in range(replies):
                    reply = await self._reply()
        except (aiosmtplib.SMTPException, OSError):
            self.drop()
        if reply is not None and reply.code == 354:
            self.drop()

    async def _body(self, content: bytes) -> Reply:
        self._expect_silence()
        stuffed = content.replace(b"\r\n.", b"\r\n..")  # RFC 5321 §4.5.2
        self._wire().write((b"." if content.startswith(b".") else b"") + stuffed + b".\r\n")
        self.step = Step.BODY
        async with asyncio.timeout(_AFTER_THE_DOT * self._account.timeout_seconds):
            reply = await self._reply()
        if not 200 <= reply.code <= 299:
            raise aiosmtplib.SMTPResponseException(reply.code, reply.text)
        return reply

    def _wire(self) -> Dialogue:
        if self._dialogue is None:
            raise ConnectionResetError
        return self._dialogue

    async def _reply(self) -> Reply:
        try:
            return await self._wire().read()
        except Garbled as error:
            raise aiosmtplib.SMTPResponseException(-1, str(error)) from error

    def _limit(self, step: Step) -> asyncio.Timeout:
        self._expect_silence()
        return self._in_time(step)

    def _in_time(self, step: Step) -> asyncio.Timeout:
        self.step = step
        return asyncio.timeout_at(
            min(self.until, asyncio.get_running_loop().time() + self._account.timeout_seconds)
        )

    def _expect_silence(self) -> None:
        """A server that answered twice is out of step: its surplus 250 would pass for the answer to
        our next words.

        Until the connection is open aiosmtplib keeps the surplus and has no public way to see it.
        """
        early = self._smtp.protocol is not None and self._smtp.protocol._buffer
        if early or (self._dialogue is not None and self._dialogue.has_surplus):
            raise _Failure(f"{self.host} answered more than it was asked at {self.step}", "4.5.0")

    def _masked(self, text: str) -> str:
        """The server's words without our password or token, for servers that repeat the line they
        refuse.
        """
        if self.step is not Step.AUTH:
            return text
        user, password = self._account.username, self._password.encode()
        plain = b"\0" + user.encode() + b"\0" + password
        secrets = [plain, password] if self._password else []
        secrets += [accounts.bearer(user, self._token), self._token.encode()] if self._token else []
        for secret in secrets:
            text = text.replace(base64.b64encode(secret).decode(), "***").replace(
                secret.decode(), "***"
            )
        return text


def _one_too_many(code: int, text: str) -> bool:
    """Whether the server wants fewer connections: it goes on counting this one until it ends."""
    said = refusals.Said("", code, "", text)
    return code >= 400 and refusals.fault(said) is refusals.Fault.CONNECTIONS


def _connection_was_stale(receipt: Receipt) -> bool:
    """Whether a reused connection, not the letter, is to blame, so that a fresh one may be tried at
    once.

    True for a connection that turned out to be closed or closing (421), and for any refusal of
    MAIL: that is where servers announce that they want no more letters in one session. Never once
    the body was written.
    """
    if receipt.step is Step.BODY or (receipt.code is None and receipt.enhanced.startswith("5.")):
        return False
    return receipt.code is None or receipt.code == 421 or receipt.step is Step.MAIL


def _path(address: str, enhanced: str) -> bytes:
    """An address as it stands between < and >, its domain in IDNA's ASCII form: only a local part
    needs SMTPUTF8.
    """
    local, _, domain = address.rpartition("@")
    if not _MAILBOX.fullmatch(address):
        raise _Unfit(f"not a mail address: {address}", enhanced)
    try:
        return f"{local}@{addresses.ascii_domain(domain)}".encode()
    except (InputError, UnicodeEncodeError) as error:
        raise _Unfit(f"not a mail address: {address} ({error})", enhanced) from error
