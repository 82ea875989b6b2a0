"""One connection to a mail server, from dial to QUIT, and one letter after the other on it. Sole
importer of aiosmtplib.

Standards: RFC 5321 (SMTP), 3207 (STARTTLS), 8314 (TLS from the first byte), 4954 (AUTH PLAIN and
LOGIN; XOAUTH2 as Google and Microsoft document it), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8),
2920 (PIPELINING). On failure: what ends an attempt is raised, with `step` saying where; `explain`
puts it into words. Security: certificates and names are verified; nothing but EHLO and STARTTLS
leaves in clear where TLS is wanted; addresses are checked before they reach a command line; the
server's words come without the password or token that it may repeat. Limits: MAIL, RCPT and DATA
leave together where the server offers PIPELINING, but no letter before its DATA has been answered.
"""

import asyncio
import base64
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, cast

import aiosmtplib

from gateway import accounts, health, metrics, sections
from gateway.errors import InputError
from gateway.mail import address as addresses
from gateway.outbound import dial, receipts
from gateway.outbound.dialogue import Dialogue, Garbled, Reply
from gateway.outbound.receipts import Step, Submission

_AFTER_THE_DOT = 4
"""How many times `timeout_seconds` the answer to the final dot may take."""
_QUIT_SECONDS = 2.0

# RFC 5321 §4.1.2: what can stand between < and > without ending the path early. UTF-8 is allowed
# (RFC 6531 §3.3).
_MAILBOX = re.compile(
    r'(?:[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]+|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")'
    r'@(?:[^\s<>()\[\]\\,;:"@\x00-\x1f\x7f]+|\[[0-9A-Za-z.:]+\])'
)


class Failure(Exception):
    """A finding of ours that ends an attempt at the current step. `enhanced`: 4.x for now, 5.x for
    good (RFC 3463).
    """

    def __init__(self, text: str, enhanced: str) -> None:
        super().__init__(text)
        self.text, self.enhanced = text, enhanced


class Unfit(Failure):
    """This letter cannot go through this server. Nothing of it was sent: the connection is as good
    as before.
    """


class Connection:
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
        size = self._smtp.esmtp_extensions.get("size")
        if size is None:
            return None
        return int(size) if size.isascii() and size.isdigit() else 0

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
            raise Failure("it may not be handed over any more", "4.3.0")
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
        if isinstance(error, Failure):
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
                raise Failure(
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
                raise Failure(
                    f"a username is set, but {self.host} offers neither AUTH PLAIN nor LOGIN "
                    f"({' '.join(offered) or 'no AUTH at all'})",
                    "5.7.4",
                )
            await self._smtp.auth_login(self._account.username, self._password)

    async def _show_token(self, tokens: accounts.Tokens) -> None:
        self.step = Step.AUTH
        if "xoauth2" not in self._smtp.server_auth_methods:
            raise Failure(f"{self.host} does not offer AUTH XOAUTH2", "5.7.4")
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
            raise Failure(str(refusal), "5.7.8") from refusal
        except accounts.TokenMissing as missing:
            raise Failure(str(missing), "4.7.0") from missing
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
        """Parameters of MAIL. Raises `Unfit` for a letter that this server says it cannot take."""
        offers, size, options = self._smtp.esmtp_extensions, len(submission.content), []
        if (limit := self.size) is not None:
            if 0 < limit < size:  # RFC 1870 §4: 0 is no limit
                raise Unfit(
                    f"the letter has {size} bytes, {self.host} takes at most {limit}", "5.3.4"
                )
            options.append(b"SIZE=%d" % size)
        if not submission.content.isascii():
            if "8bitmime" not in offers:
                raise Unfit(
                    f"the letter has 8-bit text and {self.host} does not offer 8BITMIME", "5.6.3"
                )
            options.append(b"BODY=8BITMIME")
        if not (sender + recipient).isascii():
            if "smtputf8" not in offers:
                self.step = Step.MAIL if recipient.isascii() else Step.RCPT
                raise Unfit(
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
            raise Failure(f"{self.host} answered more than it was asked at {self.step}", "4.5.0")

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


def _path(address: str, enhanced: str) -> bytes:
    """An address as it stands between < and >, its domain in IDNA's ASCII form: only a local part
    needs SMTPUTF8.
    """
    local, _, domain = address.rpartition("@")
    if not _MAILBOX.fullmatch(address):
        raise Unfit(f"not a mail address: {address}", enhanced)
    try:
        return f"{local}@{addresses.ascii_domain(domain)}".encode()
    except (InputError, UnicodeEncodeError) as error:
        raise Unfit(f"not a mail address: {address} ({error})", enhanced) from error
