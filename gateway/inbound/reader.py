"""Reads the gateway's mailbox: offers every message above the cursor, moves it where the verdict
says, waits for more.

Standards: itip.md §3: found by UID beyond the cursor, never by flags; `\\Seen` is never set;
nothing is moved before the commit. On failure: the connection is dropped and rebuilt, first after a
second, at last after minutes; a refused sign-in waits minutes at once. A crash between commit and
move is repaired at the next connect (`unmoved`). What becomes of a message that does not come:
`fetching`. Security: nothing of a mail is logged. Limits: one folder. Another reader of the same
folder does no harm but costs work: who reads is decided by a lease elsewhere.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

import structlog

from gateway import accounts, sections, waiting
from gateway.errors import GatewayError
from gateway.inbound import fetching, imap

log = structlog.get_logger(__name__)

IDLE_TRIES = 2
ROUNDS = 10
"""Searches in a row while messages keep coming, before what was left out gets its turn."""
MARGIN = timedelta(days=2)
"""Days that SEARCH may be off: it compares the server's own dates, without hours."""
MOVES = 500
"""Messages in one MOVE: a server spends about as long on 50 as on 500 (Dovecot, measured), and
answers wait meanwhile.
"""


class Folder(StrEnum):
    """Where a message goes once it is dealt with; the names on the server are settings."""

    PROCESSED = "processed"
    REVIEW = "review"
    IGNORED = "ignored"
    STAY = "stay"
    REMOVED = "removed"
    """Nowhere: it is a letter of our own to ourselves."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `uid` is dealt with, or known as left out. Void when the folder's
    UIDVALIDITY is another one.
    """

    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class State:
    """How the reading goes. `since`: when `connected` became so, or the first of the `tries`
    failed; `looked`: the last complete look at the mailbox.

    While it fails: `last_error`, how many `tries` did in a row, whether name or password are
    `refused`, and when it is tried `again`. `unmoved`: why messages stay that are dealt with, with
    the folder's name; "" where they do not.
    """

    connected: bool
    since: datetime
    looked: datetime | None = None
    last_error: str = ""
    tries: int = 0
    refused: bool = False
    again: datetime | None = None
    unmoved: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits between connections, in seconds: doubling from first to longest. A session of `steady`
    seconds clears the count.
    """

    first: float = 1.0
    longest: float = 300.0
    refused_first: float = 60.0
    refused_longest: float = 1800.0
    steady: float = 60.0

    def wait(self, failures: int, *, refused: bool, chance: float) -> float:
        """`failures` counts from 1; `chance` in [0, 1) spreads many gateways over the upper half of
        the wait.
        """
        first, longest = (
            (self.refused_first, self.refused_longest) if refused else (self.first, self.longest)
        )
        return float(min(longest, first * 2 ** min(failures - 1, 30))) * (0.5 + chance / 2)


class Desk(Protocol):
    """For whom a folder is read. All but `changed` are one transaction each, called in a worker
    thread.
    """

    def position(self) -> Cursor | None:
        """The cursor; None before the first message."""

    def take(self, batch: list[fetching.Fetched]) -> list[tuple[fetching.Fetched, Folder]]:
        """Record effect, outcome and cursor of messages (ascending UIDs, at most `imap.UIDS`), and
        say where each goes. What is left out failed for a reason of ours: the cursor passes it and
        `leftovers` names it.
        """

    def leftovers(self) -> list[int]:
        """UIDs, of the cursor's UIDVALIDITY, to be offered again; asked once per look."""

    def unmoved(self) -> list[tuple[int, int, Folder]]:
        """(uidvalidity, uid, folder) committed but perhaps not moved; asked after each connect, and
        while moves fail.
        """

    def moved(self, uidvalidity: int, uids: list[int]) -> None:
        """These need nothing more in the mailbox: moved, or gone, or of a former UIDVALIDITY. It
        ends leftovers too.
        """

    def since(self) -> datetime | None:
        """When the first message that can be an answer may have come, None if at any time; asked at
        the first look.
        """

    def pass_over(self, uidvalidity: int, uid: int) -> None:
        """The cursor begins behind this one."""

    def changed(self, state: State) -> None:
        """The reading goes better or worse; called in the loop's thread."""


class Reader:
    """Reads one folder for as long as it runs.

    `tokens`: instead of `password` for `sign_in = "xoauth2"`. With `options.move` off nothing is
    moved, and the desk is not asked for moves. Raises `ConfigurationError` when `ca_file` cannot be
    used.
    """

    def __init__(
        self,
        options: sections.Imap,
        desk: Desk,
        *,
        password: str,
        max_bytes: int,
        tokens: accounts.Tokens | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._options, self._desk = options, desk
        self._password, self._tokens = password, tokens
        self._max_bytes = max_bytes
        self._pace = pace or Pace()
        self._context = imap.tls(options)
        self._names = {
            Folder.PROCESSED: options.processed,
            Folder.REVIEW: options.review,
            Folder.IGNORED: options.ignored,
            Folder.REMOVED: options.processed,
        }
        self._fetcher = fetching.Fetcher(max_bytes)
        self._validity = 0
        self._owed = True
        self._woken = asyncio.Event()
        self._open: imap.Session | None = None
        self._idle_refusals = 0
        self._state = State(connected=False, since=datetime.now(UTC))

    @property
    def state(self) -> State:
        return self._state

    def look_now(self) -> None:
        """Look into the mailbox at once, or try to. To be called in the loop's thread."""
        self._woken.set()
        if self._open is not None:
            self._open.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop`, whatever the server or the store do. Returns within a few seconds of
        it.
        """
        loop = asyncio.get_running_loop()
        failures, refused = 0, False
        while not stop.is_set():
            began, looked = loop.time(), self._state.looked
            try:
                await self._read_on(stop)
            # the top of this role: every failure, ours too, is reported and tried again
            except Exception as error:
                if stop.is_set():
                    break
                before, refused = refused, isinstance(error, imap.SignInRefused)
                # An outage that ends in one refused sign-in (the directory starts last) is not a
                # row of refusals.
                failures = (
                    1
                    if refused is not before or loop.time() - began >= self._pace.steady
                    else failures + 1
                )
                if isinstance(error, imap.IdleRefused):
                    self._refuse_idle(self._idle_refusals + 1)
                seconds = self._pace.wait(failures, refused=refused, chance=random.random())  # noqa: S311 - spreads load
                if (
                    self._state.looked is not looked
                ):  # it works but does not last: still a look per poll interval
                    seconds = min(seconds, self._options.poll_seconds)
                self._report(error, seconds)
                await waiting.first(stop, self._woken, seconds=seconds)
        self._mark(State(False, datetime.now(UTC), self._state.looked))

    def _session(self, stop: asyncio.Event) -> imap.Opening:
        return imap.session(
            self._options,
            password=self._password,
            context=self._context,
            max_bytes=self._max_bytes,
            stop=stop,
            tokens=self._tokens,
        )

    async def _read_on(self, stop: asyncio.Event) -> None:
        if self._open is None:
            # A server that lets nobody in may have ended sessions for its own sake, not for a
            # message's.
            self._fetcher.excuse()
        self._woken.clear()
        self._open = None
        async with self._session(stop) as session:
            self._owed, self._open = True, session
            log.info("mailbox.connected", host=self._options.host, folder=self._options.folder)
            while not stop.is_set():
                await self._look(session, stop)
                idle = self._options.idle and self._idle_refusals < IDLE_TRIES
                if not stop.is_set() and not await session.rest(stop, idle=idle):
                    self._refuse_idle(IDLE_TRIES)
                elif session.idled:
                    self._idle_refusals = 0

    def _refuse_idle(self, refusals: int) -> None:
        """A server that says no to IDLE, or hangs up on it twice in a row, is polled until the next
        start.
        """
        self._idle_refusals = refusals
        if refusals == IDLE_TRIES:
            log.warning("mailbox.idle_refused", poll_seconds=self._options.poll_seconds)

    async def _look(self, session: imap.Session, stop: asyncio.Event) -> int:
        """Everything above the cursor, again while more is announced, then what was left out
        before.
        """
        cursor = await asyncio.to_thread(self._desk.position)
        self._recognise(session, cursor)
        if self._owed and self._options.move:
            await self._finish_moves(session)
        is_known = cursor is not None and cursor.uidvalidity == session.uidvalidity
        leftovers = await asyncio.to_thread(self._desk.leftovers) if is_known else []
        alone = set[int]() if is_known else await self._leave_alone(session)
        if alone:
            cursor = await asyncio.to_thread(self._desk.position)
        dealt = await self._deal_with_news(session, cursor, alone, stop)
        dealt += await self._deal_with_leftovers(session, leftovers, stop)
        if not stop.is_set():
            self._well(looked=datetime.now(UTC))
        return dealt

    def _recognise(self, session: imap.Session, cursor: Cursor | None) -> None:
        """Another UIDVALIDITY is another mailbox: nothing is known of its messages."""
        if session.uidvalidity == 0:
            session.uidvalidity = self._number(session, cursor)
        if self._validity != session.uidvalidity:
            self._validity = session.uidvalidity
            self._fetcher.forget()
        if cursor and cursor.uidvalidity != session.uidvalidity:
            log.warning("mailbox.renumbered", before=cursor.uidvalidity, now=session.uidvalidity)

    async def _deal_with_news(
        self, session: imap.Session, cursor: Cursor | None, alone: Set[int], stop: asyncio.Event
    ) -> int:
        """What lies above the cursor, again while more is announced; without what is left alone."""
        dealt = 0
        for _ in range(ROUNDS):
            if stop.is_set():
                break
            after = cursor.uid if cursor and cursor.uidvalidity == session.uidvalidity else 0
            uids = [uid for uid in await session.search(after) if uid not in alone]
            dealt += await self._deal(session, uids, stop)
            if not session.news:
                break
            cursor = await asyncio.to_thread(self._desk.position)
        return dealt

    async def _deal_with_leftovers(
        self, session: imap.Session, leftovers: Sequence[int], stop: asyncio.Event
    ) -> int:
        """What was left out before, as far as it still lies there."""
        dealt = 0
        for some in _portions(leftovers, imap.UIDS):
            if stop.is_set():
                break
            present = await session.still_there(some)
            if vanished := [uid for uid in some if uid not in present]:
                await asyncio.to_thread(self._desk.moved, session.uidvalidity, vanished)
            dealt += await self._deal(session, sorted(present), stop)
        return dealt

    def _number(self, session: imap.Session, cursor: Cursor | None) -> int:
        """What stands in for the UIDVALIDITY of a server that has none, or 0 (against RFC 3501
        §2.3.1.1): the one before, and another one when the UIDs begin anew.
        """
        before = cursor or Cursor(1, 0)
        renumbered = 0 < session.uidnext <= before.uid
        return before.uidvalidity + renumbered

    async def _leave_alone(self, session: imap.Session) -> set[int]:
        """At the first look at a folder: the messages from before there was anything to answer.
        They are neither read nor moved, and the cursor begins behind them.
        """
        since = await asyncio.to_thread(self._desk.since)
        if since is None:
            return set()
        day = since.date() - MARGIN
        old = set(await session.older(day))
        fresh = [uid for uid in await session.search(0) if uid not in old] if old else []
        behind = min(fresh) - 1 if fresh else max(old, default=0)
        if old and behind > 0:
            log.info("mailbox.old_mail_left_alone", messages=len(old), before=day.isoformat())
            await asyncio.to_thread(self._desk.pass_over, session.uidvalidity, behind)
        return old

    async def _deal(self, session: imap.Session, uids: Sequence[int], stop: asyncio.Event) -> int:
        """Offers these messages in order: the cursor must not pass one that was not offered."""
        dealt = 0
        placed: list[tuple[Folder, int]] = []
        fetched = fetching.ahead(self._fetcher.batches(session, uids, stop))
        async with contextlib.aclosing(fetched) as batches:
            async for batch in batches:
                verdicts = await asyncio.to_thread(self._desk.take, batch)
                self._fetcher.took(batch)
                self._well()
                dealt += len(verdicts)
                placed += [(folder, message.uid) for message, folder in verdicts]
                if len(placed) >= MOVES:
                    await self._move(session, placed)
                    placed = []
        await self._move(session, placed)
        return dealt

    # Moving

    async def _finish_moves(self, session: imap.Session) -> None:
        """What was committed before but perhaps not moved. UIDs of another UIDVALIDITY name nothing
        any more.
        """
        self._owed = False
        former: dict[int, list[int]] = defaultdict(list)
        current: list[tuple[Folder, int]] = []
        for uidvalidity, uid, folder in await asyncio.to_thread(self._desk.unmoved):
            if uidvalidity == session.uidvalidity:
                current.append((folder, uid))
            else:
                former[uidvalidity].append(uid)
        for uidvalidity, uids in former.items():
            await asyncio.to_thread(self._desk.moved, uidvalidity, uids)
        await self._move(session, current)

    async def _move(
        self, session: imap.Session, destinations: Iterable[tuple[Folder, int]]
    ) -> None:
        if not self._options.move:
            return
        by_folder: dict[Folder, list[int]] = defaultdict(list)
        for folder, uid in destinations:
            if folder is not Folder.STAY:
                by_folder[folder].append(uid)
        for folder, all_uids in by_folder.items():
            for uids in _portions(all_uids, MOVES):
                if folder is Folder.REMOVED and await session.remove(uids):
                    continue
                if refusal := await session.move(uids, self._names[folder]):
                    # the messages are dealt with all the same; asked again at the next look
                    self._owed = True
                    complaint = (self._names[folder], refusal)
                    if complaint != self._state.unmoved:
                        log.warning(
                            "mailbox.not_moved",
                            folder=self._names[folder],
                            messages=len(uids),
                            reason=refusal,
                        )
                    self._mark(replace(self._state, unmoved=complaint))
                    break
                self._mark(replace(self._state, unmoved=("", "")))
                await asyncio.to_thread(self._desk.moved, session.uidvalidity, uids)

    # State

    def _mark(self, state: State) -> None:
        before, self._state = self._state, state
        # A look that finds all as it was is nothing to tell.
        if replace(before, looked=None) != replace(state, looked=None):
            self._desk.changed(state)

    def _well(self, looked: datetime | None = None) -> None:
        """Messages are read: it is not enough that the server lets us in."""
        state = self._state
        since = state.since if state.connected else datetime.now(UTC)
        self._mark(State(True, since, looked or state.looked, unmoved=state.unmoved))

    def _ill(self, reason: str, seconds: float, *, refused: bool) -> None:
        state, now = self._state, datetime.now(UTC)
        since = state.since if state.last_error else now
        again = now + timedelta(seconds=seconds)
        self._mark(
            State(
                False, since, state.looked, reason, state.tries + 1, refused, again, state.unmoved
            )
        )

    def _report(self, error: Exception, seconds: float) -> None:
        reason = str(error) or type(error).__name__
        self._ill(reason, seconds, refused=isinstance(error, imap.SignInRefused))
        retry_in = round(seconds, 1)
        if isinstance(error, imap.SignInRefused):
            log.error("mailbox.sign_in_refused", reason=reason, retry_in=retry_in)
        elif isinstance(error, GatewayError):
            log.warning("mailbox.interrupted", reason=reason, retry_in=retry_in)
        else:
            log.error("mailbox.failed", reason=reason, retry_in=retry_in, exc_info=error)


def _portions(uids: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(uids), size):
        yield list(uids[start : start + size])
