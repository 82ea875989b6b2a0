"""One session with the IMAP server that holds the gateway's mailbox: sign in, search, fetch, move,
wait. With `imap_wire` the sole user of aioimaplib.

What to read and when is decided in `reader`; nothing here knows the store or iTIP. Standards: RFC
3501 (§6.2.1: STARTTLS), RFC 2177 (IDLE), RFC 4315 (UIDPLUS), RFC 6851 (MOVE), RFC 2342 (NAMESPACE),
RFC 5530 (response codes), XOAUTH2 (Google's and Microsoft's documentation) with RFC 4959 (SASL-IR).
On failure: `MailboxError`, or `SignInRefused` and `IdleRefused` that want another pace; the session
is over with it and a new one has to be opened. Every wait has an end: `timeout_seconds` without a
byte, or the connection's own end, whichever is first. Security: certificates are verified, TLS 1.2
or newer, clear text only with `security = "none"`. With "starttls" nothing but CAPABILITY and
STARTTLS leaves before TLS; what the server said until then does not count, and what it says between
its OK and TLS ends the session. What the server may make us hold in memory is bounded. Mail and
passwords never reach a log: aioimaplib's own debug lines are off for good. Limits: sign-in by LOGIN
or XOAUTH2 only; names and passwords outside ASCII are sent as UTF-8, which a few old servers
refuse. Without UIDPLUS a moved message stays behind, marked deleted, until somebody expunges: a
plain EXPUNGE would take other people's deleted mail with it. Without MOVE a crash in the middle of
a move can leave a second copy in the target folder.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import aioimaplib
import structlog

from gateway import accounts, health, metrics, sections, waiting
from gateway.errors import ConfigurationError
from gateway.inbound import imap_syntax
from gateway.inbound.imap_wire import MailboxError, Wire

log = structlog.get_logger(__name__)

UIDS = 50
"""Messages per FETCH: aioimaplib's cost grows with the square (measured: 50 is fastest)."""
CAPACITY = 16 * 1024 * 1024
"""Bytes that one answer may have beside the mail in it; a search in a mailbox of two million
messages fits.
"""
RENEW_SECONDS = 24 * 60.0  # RFC 2177: servers may hang up after 30 minutes of IDLE
STOP_SECONDS = 5.0
LONGEST_ANSWER = 20  # times timeout_seconds: an answer that keeps dripping in ends here


class SignInRefused(MailboxError):
    """The server does not accept name and password. Trying again soon would only lock the
    account.
    """


class IdleRefused(MailboxError):
    """The session ended where the server should have agreed to IDLE."""


Opening = contextlib.AbstractAsyncContextManager["Session"]
"""A session that is open inside `async with`."""


class Session:
    """One connection, signed in, with the folder open. The first failure ends it: aioimaplib's
    state is unsure after one. `uidvalidity`, `uidnext`: 0 where the server does not say.
    """

    def __init__(self, options: sections.Imap, wire: Wire) -> None:
        self.options = options
        self.wire = wire
        self.uidvalidity = 0
        self.uidnext = 0
        self.idled = False
        self._layout = imap_syntax.Layout()
        self._ready: dict[str, str] = {}
        self._turn = asyncio.Lock()

    async def ask(self, command: str, question: Coroutine[Any, Any, Any], *, hint: str = "") -> Any:
        """Awaits an answer that may take `timeout_seconds` since the last byte. Raises
        `MailboxError` when the session is over; `hint`: what silence may mean. One question at a
        time: a question that comes while another waits, waits for both.
        """
        was_asked = False
        try:
            async with self._turn:
                was_asked = self.wire.ended is None
                return await self._answer(command, question, hint)
        finally:
            if not was_asked:
                question.close()

    async def _answer(self, command: str, question: Coroutine[Any, Any, Any], hint: str) -> Any:
        if self.wire.ended is not None:
            raise self.wire.ended
        loop = asyncio.get_running_loop()
        quiet = self.options.timeout_seconds
        latest = loop.time() + quiet * LONGEST_ANSWER
        answer, over = asyncio.ensure_future(question), asyncio.ensure_future(self.wire.over.wait())
        self.wire.received = 0
        try:
            async with asyncio.timeout(quiet) as deadline:
                self.wire.alive = lambda: _prolong(deadline, min(latest, loop.time() + quiet))
                await asyncio.wait({answer, over}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self.wire.fail(MailboxError(f"no answer within {quiet:g} s to: {command}{hint}"))
        finally:
            self.wire.alive = None
            pending = [task for task in (answer, over) if task.cancel()]
            if pending:
                await asyncio.wait(pending)
        if answer.cancelled():
            raise self.wire.ended or MailboxError("the session is over")
        try:
            return answer.result()
        except OSError:  # some errors of TLS are ValueErrors too
            raise
        except (aioimaplib.AioImapException, ValueError) as error:
            # ValueError: NUL, CR or LF in a setting.
            raise MailboxError(f"{command}: {error}") from error

    async def open(
        self, password: str, context: ssl.SSLContext | None, tokens: accounts.Tokens | None
    ) -> None:
        await self._connect(context if self.options.security == "tls" else None)
        if context is not None and self.options.security == "starttls":
            await self._start_tls(context)
        metrics.note_certificate(
            f"{self.options.host}:{self.options.port}",
            self.wire.transport.get_extra_info("ssl_object"),
        )
        if self.wire.state == aioimaplib.NONAUTH:
            await self._sign_in(password, tokens)
        # More may be offered after sign-in; a bracketed list is misread.
        await self.ask("CAPABILITY", self.wire.capability())
        self.wire.capabilities = {capability.upper() for capability in self.wire.capabilities}
        await self._learn_layout()
        folder = self._layout.place(self.options.folder)
        selected = await self.ask("SELECT", self.wire.select(imap_syntax.mailbox(folder)))
        if selected.result != "OK":
            reason = _words(selected)
            raise MailboxError(f"the folder {folder!r} (imap.folder) cannot be opened: {reason}")
        self.uidvalidity = imap_syntax.uidvalidity(selected.lines) or 0
        self.uidnext = imap_syntax.uidnext(selected.lines) or 0

    async def _connect(self, context: ssl.SSLContext | None) -> None:
        loop, host, port = asyncio.get_running_loop(), self.options.host, self.options.port
        try:
            await self.ask(
                "connect", loop.create_connection(lambda: self.wire, host, port, ssl=context)
            )
        except OSError as error:
            raise MailboxError(_unreached(host, port, error)) from error
        await self.ask(
            "greeting",
            self.wire.wait("AUTH|NONAUTH"),
            hint=f' (imap.security = "tls" expected on port {port}?)' if context is None else "",
        )

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 3501 §6.2.1. Raises `MailboxError` rather than go on in clear text."""
        host, port = self.options.host, self.options.port
        offered = {capability.upper() for capability in self.wire.capabilities}
        if self.wire.state != aioimaplib.NONAUTH or "STARTTLS" not in offered:
            raise MailboxError(
                f"{host}:{port} does not offer STARTTLS; nothing is said in clear text"
            )
        command = aioimaplib.Command("STARTTLS", self.wire.new_tag())
        answer = await self.ask("STARTTLS", self.wire.execute(command))
        if answer.result != "OK":
            raise MailboxError(
                f"{host}:{port} refused STARTTLS: {_words(answer)}; nothing is said in clear text"
            )
        try:
            await self.ask("TLS", self.wire.secure(context, host))
        except OSError as error:
            raise MailboxError(_unreached(host, port, error)) from error
        except MailboxError as error:
            if isinstance(error.__cause__, OSError):
                raise MailboxError(_unreached(host, port, error.__cause__)) from error
            raise
        await self.ask("CAPABILITY", self.wire.capability())

    async def _sign_in(self, password: str, tokens: accounts.Tokens | None) -> None:
        capabilities = {capability.upper() for capability in self.wire.capabilities}
        if self.options.sign_in == "xoauth2" and tokens is not None:
            if not {"AUTH=XOAUTH2", "SASL-IR"} <= capabilities:
                raise SignInRefused(
                    "the server offers no sign-in by token (AUTH=XOAUTH2 and SASL-IR)"
                )
            answer = await self._show_token(tokens)
        elif "LOGINDISABLED" in capabilities:
            raise SignInRefused(
                "the server allows no sign-in by password on this connection (LOGINDISABLED)"
            )
        else:
            answer = await self.ask(
                "LOGIN", self.wire.login(aioimaplib.quoted(self.options.username), password)
            )
        if answer.result == "OK":
            return
        reason = _without(_words(answer), password)
        if _passing(answer):
            raise MailboxError(f"sign-in is not possible now: {reason}")
        host = f"{self.options.host}:{self.options.port}"
        raise SignInRefused(health.refused_sign_in(self.options, "imap", host, reason))

    async def _show_token(self, tokens: accounts.Tokens) -> Any:
        """The server's answer to our token; where it refuses one that seemed good yet, to a new
        one.
        """
        try:
            token = await tokens.current()
            answer = await self.ask("AUTHENTICATE", self.wire.xoauth2(self.options.username, token))
            if answer.result == "NO" and not _passing(answer):
                answer = await self.ask(
                    "AUTHENTICATE",
                    self.wire.xoauth2(self.options.username, await tokens.renewed(token)),
                )
        except accounts.TokenRefused as refused:
            raise SignInRefused(str(refused)) from refused
        except accounts.TokenMissing as missing:
            raise MailboxError(str(missing)) from missing
        return answer

    async def _learn_layout(self) -> None:
        layout: imap_syntax.Layout | None = None
        if "NAMESPACE" in self.wire.capabilities:
            answer = await self.ask("NAMESPACE", self.wire.namespace())
            layout = imap_syntax.namespace(answer.lines)
        if layout is None:
            answer = await self.ask("LIST", self.wire.simple_command("LIST", '""', '""'))
            layout = imap_syntax.delimiter(answer.lines)
        self._layout = layout or imap_syntax.Layout()

    async def close(self) -> None:
        """Leaves politely if the session still stands; a goodbye that is not answered changes
        nothing.
        """
        if self.wire.ended is None and self.wire.state != aioimaplib.STARTED:
            with contextlib.suppress(MailboxError, TimeoutError):
                async with asyncio.timeout(min(2.0, self.options.timeout_seconds)):
                    await self.ask("LOGOUT", self.wire.logout())
        self.wire.fail(MailboxError("the session was closed"))
        if self.wire.transport is not None:
            self.wire.transport.abort()

    async def search(self, after: int) -> list[int]:
        """UIDs above `after`, ascending."""
        # Before the question: what is announced from now on may be missing in the answer.
        self.wire.news.clear()
        criterion = f"UID {after + 1}:*"
        answer = await self.ask(
            "UID SEARCH", self.wire.search(criterion, by_uid=True, charset=None)
        )
        _expect(answer, "UID SEARCH")
        # n:* always names the last message, too.
        return [uid for uid in imap_syntax.numbers(answer.lines) if uid > after]

    async def older(self, day: date) -> list[int]:
        """UIDs of what reached the mailbox before that day, by the server's own calendar."""
        criterion = f"BEFORE {imap_syntax.day(day)}"
        answer = await self.ask(
            "UID SEARCH", self.wire.search(criterion, by_uid=True, charset=None)
        )
        _expect(answer, "UID SEARCH")
        return imap_syntax.numbers(answer.lines)

    async def still_there(self, uids: Iterable[int]) -> set[int]:
        """Which of these have not vanished. NOOP first: until then a server may count what others
        removed.
        """
        await self.ask("NOOP", self.wire.simple_command("NOOP"))
        criterion = f"UID {imap_syntax.message_set(uids)}"
        answer = await self.ask(
            "UID SEARCH", self.wire.search(criterion, by_uid=True, charset=None)
        )
        _expect(answer, "UID SEARCH")
        return set(imap_syntax.numbers(answer.lines))

    async def fetch(self, uids: Sequence[int], attributes: str) -> dict[int, imap_syntax.Item]:
        """What the server says of these messages. A refusal is not raised: what is missing tells
        it.
        """
        answer = await self.ask(
            "UID FETCH",
            self.wire.fetch(imap_syntax.message_set(uids), f"({attributes})", by_uid=True),
        )
        asked_for = set(uids)
        return {
            uid: item for uid, item in imap_syntax.items(answer.lines).items() if uid in asked_for
        }

    async def move(self, uids: Sequence[int], name: str) -> str:
        """Moves messages into a folder of ours, created when it is missing. Returns the server's
        words if it would not.
        """
        refusal = ""
        # Another program may have removed the folder, or one of the messages: Dovecot then moves
        # none.
        for attempt in range(3):
            if attempt:
                uids = sorted(await self.still_there(uids))
                if not uids:
                    return ""
            target, refusal = await self._folder(name)
            if target:
                messages, mailbox = imap_syntax.message_set(uids), imap_syntax.mailbox(target)
                refusal = await self._transfer(messages, mailbox)
                if not refusal:
                    return ""
            self._ready.pop(name, None)
        return refusal

    async def remove(self, uids: Sequence[int]) -> bool:
        """Removes messages for good. Returns False where the server cannot remove these and no
        others (no UIDPLUS), or would not.
        """
        if "UIDPLUS" not in self.wire.capabilities:
            return False
        some = imap_syntax.message_set(uids)
        marked = await self.ask(
            "UID STORE", self.wire.store(some, "+FLAGS.SILENT", "(\\Deleted)", by_uid=True)
        )
        if marked.result != "OK":
            return False
        answer = await self.ask("UID EXPUNGE", self.wire.expunge(some, by_uid=True))
        return bool(answer.result == "OK")

    async def _transfer(self, uids: str, target: str) -> str:
        if "MOVE" in self.wire.capabilities:
            answer = await self.ask("UID MOVE", self.wire.move(uids, target, by_uid=True))
            return "" if answer.result == "OK" else _words(answer)
        steps: list[tuple[str, Callable[[], Coroutine[Any, Any, Any]]]] = [
            ("UID COPY", lambda: self.wire.copy(uids, target, by_uid=True)),
            (
                "UID STORE",
                lambda: self.wire.store(uids, "+FLAGS.SILENT", "(\\Deleted)", by_uid=True),
            ),
        ]
        if "UIDPLUS" in self.wire.capabilities:
            steps.append(("UID EXPUNGE", lambda: self.wire.expunge(uids, by_uid=True)))
        for command, step in steps:
            answer = await self.ask(command, step())
            if answer.result != "OK":
                return f"{command}: {_words(answer)}"
        return ""

    async def _folder(self, name: str) -> tuple[str, str]:
        """The server's name of a configured folder that exists now, or "" and why it does not."""
        if name in self._ready:
            return self._ready[name], ""
        places = [self._layout.place(name)]
        # No NAMESPACE: some servers allow folders below INBOX only.
        if not self._layout.certain and self._layout.delimiter:
            places.append(f"INBOX{self._layout.delimiter}{places[0]}")
        refusal = ""
        for create, place in itertools.product((False, True), places):
            argument = imap_syntax.mailbox(place)
            if create:
                answer = await self.ask("CREATE", self.wire.simple_command("CREATE", argument))
                if answer.result != "OK" and "[ALREADYEXISTS]" not in _words(answer).upper():
                    refusal = f"CREATE {place!r}: {_words(answer)}"
                    continue
                await self.ask("SUBSCRIBE", self.wire.simple_command("SUBSCRIBE", argument))
                log.info("mailbox.folder_created", folder=place)
            elif not imap_syntax.exists(
                (await self.ask("LIST", self.wire.simple_command("LIST", '""', argument))).lines
            ):
                continue
            self._ready[name] = place
            return place, ""
        return "", refusal

    async def rest(self, stop: asyncio.Event, *, idle: bool) -> bool:
        """Returns when there may be something new: announced, or `poll_seconds` later, or at
        `stop`.

        False: the server said no to IDLE and there was no wait. Raises `IdleRefused` where it hung
        up instead.
        """
        if self.wire.news.is_set():
            return True
        if not idle or "IDLE" not in self.wire.capabilities:
            await waiting.first(
                stop, self.wire.over, self.wire.news, seconds=self.options.poll_seconds
            )
            if not stop.is_set():
                await self.ask("NOOP", self.wire.simple_command("NOOP"))
            return True
        idling = asyncio.ensure_future(self.wire.idle())
        try:
            await self._agreement(idling)
            if idling.done():
                return False
            self.idled = True
            seconds = min(self.options.poll_seconds, RENEW_SECONDS)
            await waiting.first(stop, self.wire.over, self.wire.news, seconds=seconds)
            self.wire.idle_done()
            await self.ask("DONE", asyncio.wait({idling}))
        finally:
            idling.cancel()
            await asyncio.wait({idling})
        while not self.wire.idle_queue.empty():  # nobody reads it: `news` says the same
            self.wire.idle_queue.get_nowait()
        return True

    async def _agreement(self, idling: asyncio.Future[Any]) -> None:
        """Until the server agreed ("+"), or answered otherwise and `idling` is done."""
        agreed = asyncio.ensure_future(self.wire.wait_for_idle_response())
        try:
            await self.ask(
                "IDLE", asyncio.wait({idling, agreed}, return_when=asyncio.FIRST_COMPLETED)
            )
        except MailboxError as error:
            raise IdleRefused(str(error)) from error
        finally:
            agreed.cancel()

    def offers(self, capability: str) -> bool:
        """Whether the server says that it can do something, e.g. `IDLE`."""
        return capability in self.wire.capabilities

    async def has(self, name: str) -> bool:
        """Whether a configured folder exists; nothing is created."""
        argument = imap_syntax.mailbox(self._layout.place(name))
        answer = await self.ask("LIST", self.wire.simple_command("LIST", '""', argument))
        return imap_syntax.exists(answer.lines)

    @property
    def certificate(self) -> dict[str, Any]:
        """The server's, as `ssl.SSLSocket.getpeercert` has it; empty in clear text."""
        return self.wire.transport.get_extra_info("peercert") or {}

    async def newest(self) -> datetime | None:
        """When the newest message of the folder arrived, by the server's clock."""
        uids = await self.search(0)
        items = await self.fetch(uids[-1:], "UID INTERNALDATE") if uids else {}
        return next((item.arrived for item in items.values()), None)

    async def trial(self, name: str, content: bytes) -> tuple[str, datetime | None]:
        """Put a message into a configured folder, made where it is missing, and remove it again.

        Returns the server's words where it would not, else when it arrived by the server's clock.
        Only where the server has UIDPLUS: without it the message could not be removed alone. The
        folder is the open one afterwards.
        """
        place, refusal = await self._folder(name)
        if refusal:
            return refusal, None
        argument = imap_syntax.mailbox(place)
        added = await self.ask("APPEND", self.wire.append(content, argument))
        uid = imap_syntax.appended(added.lines)
        if added.result != "OK" or uid is None:
            return f"APPEND {place!r}: {_words(added)}", None
        selected = await self.ask("SELECT", self.wire.select(argument))
        _expect(selected, "SELECT")
        items = await self.fetch([uid], "UID INTERNALDATE")
        arrived = items[uid].arrived if uid in items else None
        if not await self.remove([uid]):
            return f"a test message stays in {place!r}, for it cannot be removed", arrived
        return "", arrived

    def wake(self) -> None:
        """End a `rest`, as if something new had been announced."""
        self.wire.news.set()

    @property
    def news(self) -> bool:
        """Whether messages were announced since the last search began."""
        return self.wire.news.is_set()


def tls(options: sections.Imap) -> ssl.SSLContext | None:
    """How the connection is secured; None for clear text. Raises `ConfigurationError` where
    `ca_file` cannot be used.
    """
    if options.security == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"imap.ca_file: cannot use {options.ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextlib.asynccontextmanager
async def session(
    options: sections.Imap,
    *,
    password: str,
    context: ssl.SSLContext | None,
    max_bytes: int,
    stop: asyncio.Event,
    tokens: accounts.Tokens | None = None,
) -> AsyncIterator[Session]:
    """An open session, left politely. `stop` lets work in progress run on for `STOP_SECONDS`, then
    ends the session.
    """
    wire = Wire(
        asyncio.get_running_loop(), CAPACITY + 2 * max_bytes, f"{options.host}:{options.port}"
    )
    opened = Session(options, wire)
    hurry = asyncio.ensure_future(_hurry(stop, wire))
    try:
        await opened.open(password, context, tokens)
        yield opened
    finally:
        hurry.cancel()
        await opened.close()


async def _hurry(stop: asyncio.Event, wire: Wire) -> None:
    await stop.wait()
    await asyncio.sleep(STOP_SECONDS)
    wire.fail(MailboxError("stopped"))


def _prolong(deadline: asyncio.Timeout, until: float) -> None:
    if not deadline.expired():
        deadline.reschedule(until)


def _words(answer: Any) -> str:
    """What the server said at the end of an answer, for people."""
    text = bytes(answer.lines[-1]).decode("utf-8", "replace") if answer.lines else ""
    return "".join(character for character in text if character.isprintable())[:200] or str(
        answer.result
    )


def _without(words: str, password: str) -> str:
    """The server's words without the password: some repeat the command that they refuse."""
    for form in (password, password.replace("\\", r"\\").replace('"', r"\"")):
        words = words.replace(form, "***") if form else words
    return words


def _unreached(host: str, port: int, error: OSError) -> str:
    """Why there is no connection, or no secure one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return health.untrusted(host, error, "imap.ca_file")
    if isinstance(error, ssl.SSLError):
        hint = " (no TLS on this port? imap.port is 993 on most servers)"
        hint = hint if error.reason == "WRONG_VERSION_NUMBER" else ""
        return f"no TLS with {host}:{port}: {error.reason or error}{hint}"
    if isinstance(error, socket.gaierror):
        return f"{host} cannot be resolved: {error.strerror}"
    return f"cannot reach {host}:{port}: {_plain(error)}"


def _plain(error: OSError) -> str:
    """The system's words, without asyncio's: of several addresses each answer once."""
    numbers = [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))]
    reasons = [os.strerror(number) for number in numbers if number in errno.errorcode]
    return ", ".join(dict.fromkeys(reasons)) or str(error) or type(error).__name__


def _passing(answer: Any) -> bool:
    """Whether a sign-in failed for a reason other than name and secret (RFC 5530 §3)."""
    return answer.result == "NO" and _words(answer).upper().startswith(
        ("[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]")
    )


def _expect(answer: Any, command: str) -> None:
    if answer.result != "OK":
        raise MailboxError(f"{command} was refused: {_words(answer)}")
