"""The sending edge: hands one letter at a time to the account's submission server.

What: a `Pool` keeps up to `smtp.connections` connections open and reuses them; `Pool.send` returns
a `Receipt` that says how far one letter came and what the server said. What follows from a receipt
is decided in `outbound.retry`.

Standards: RFC 5321 (SMTP), 6409 (submission), 2034 and 3463 (enhanced status codes); what is said
on a connection stands in `connection`.

On failure: nothing is raised for what a server does. A lost connection, a timeout, an answer that
is no SMTP, a name that does not resolve or a certificate that does not fit give a receipt without a
code. The letter counts as accepted only by a 2xx answer to its final dot; once its body was written
it is never sent a second time by the same `send`. A cancelled `send` cuts its connection at once,
so nothing more of the letter leaves.

Limits: every wait has an end. The wait for the answer to the final dot is longer than the others,
because giving up there may mean a second copy (RFC 5321 §4.5.3.2.6, RFC 1047).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gateway import accounts, sections
from gateway.mail import refusals
from gateway.outbound import dial, receipts
from gateway.outbound.connection import Connection, Unfit
from gateway.outbound.receipts import Receipt, Step, Submission

__all__ = ["Look", "Pool", "Receipt", "Step", "Submission"]

_TO_THE_DOT = 4
"""How many times `timeout_seconds` may pass from the start of a send until its body is written."""


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
        self._idle: list[Connection] = []
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
            connection = Connection(
                self._account, self._password, self._tokens, self._hostname, self._tls
            )
            connection.may = may
            return await self._attempt(connection, submission, started, until)

    async def look(self) -> Look:
        """Connect, secure the connection, sign in and take leave, without a letter."""
        connection = Connection(
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

    def _warm(self) -> Connection | None:
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

    def _spent(self) -> Connection | None:
        spent = next((connection for connection in self._idle if connection.spent), None)
        if spent is not None:
            self._idle.remove(spent)
        return spent

    async def _attempt(
        self, connection: Connection, submission: Submission, started: datetime, until: float
    ) -> Receipt:
        connection.until = until
        try:
            reply = await connection.deliver(submission)
            code, text, enhanced = reply.code, reply.text, receipts.enhanced(reply.text)
        except Unfit as unfit:
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

    def _keep(self, connection: Connection) -> None:
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
