"""Reads the gateway's mailbox: offers every message above the cursor, moves it where the verdict
says, waits for more.

Standards: itip.md §3: found by UID beyond the cursor, never by flags; `\\Seen` is never set;
nothing is moved before the commit. On failure: the connection is dropped and rebuilt, first after a
second, at last after minutes; a refused sign-in waits minutes at once. A crash between commit and
move is repaired at the next connect (`unmoved`). A message that the server does not deliver is
asked for alone, then its header only, then handed over without content, so it cannot keep those
behind it waiting for ever. Security: nothing of a mail is logged. A message above `max_bytes` is
never fetched beyond its header. Limits: one folder. Another reader of the same folder does no harm
but costs work: who reads is decided by a lease elsewhere.
"""

import asyncio
import contextlib
import enum
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog

from gateway import accounts, settings
from gateway.errors import GatewayError
from gateway.inbound import imap, imap_syntax

log = structlog.get_logger(__name__)

TRIES = 3
"""Failures of one message before less of it is asked for."""
IDLE_TRIES = 2
ROUNDS = 10
"""Searches in a row while messages keep coming, before what was left out gets its turn."""
HEADER_BYTES = 256 * 1024
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
class Fetched:
    """One message of the mailbox. `arrived` is its INTERNALDATE (aware UTC), `size` in bytes as the
    server tells it.

    `complete` is False where `raw` holds only the header: larger than the limit, or the server
    failed to deliver the rest (`raw` is empty if not even the header came).
    """

    uidvalidity: int
    uid: int
    arrived: datetime
    size: int
    raw: bytes
    complete: bool


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


class _Part(enum.Enum):
    """How much of a message is asked for; the value is what FETCH calls it. PEEK leaves `\\Seen`
    alone (RFC 3501 §6.4.5).
    """

    WHOLE = "UID BODY.PEEK[]"
    HEADER = f"UID BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
    NOTHING = ""


class Reader:
    """Reads one folder for as long as it runs. The callbacks are synchronous, each one transaction,
    called in a worker thread:

    position   the cursor, None before the first message
    take       records effect, outcome and cursor of messages (ascending UIDs, at most `imap.UIDS`)
               and returns where each goes. What it leaves out failed for a reason of ours: the
               cursor passes it and `leftovers` names it
    leftovers  UIDs, of the cursor's UIDVALIDITY, to be offered again; asked once per look
    unmoved    (uidvalidity, uid, folder) committed but perhaps not moved; asked after each
               connect, and while moves fail
    moved      these UIDs need nothing more in the mailbox: moved, or gone, or of a former
               UIDVALIDITY. It ends leftovers too

    `changed` is called in the loop's thread whenever `state` changes for better or worse. `tokens`:
    instead of `password` for `sign_in = "xoauth2"`. With `settings.move` off nothing is
    moved, and `unmoved` and `moved` are not asked for moves. Raises `ConfigurationError` when
    `ca_file` cannot be used.
    """

    def __init__(
        self,
        options: settings.Imap,
        *,
        password: str,
        max_bytes: int,
        position: Callable[[], Cursor | None],
        take: Callable[[list[Fetched]], list[tuple[Fetched, Folder]]],
        leftovers: Callable[[], list[int]],
        unmoved: Callable[[], list[tuple[int, int, Folder]]],
        moved: Callable[[int, list[int]], None],
        tokens: accounts.Tokens | None = None,
        pace: Pace | None = None,
        changed: Callable[[State], None] | None = None,
    ) -> None:
        self._options = options
        self._password, self._tokens = password, tokens
        self._max_bytes = max_bytes
        self._position, self._take, self._leftovers, self._unmoved, self._moved = (
            position,
            take,
            leftovers,
            unmoved,
            moved,
        )
        self._pace = pace or Pace()
        self._context = imap.tls(options)
        self._names = {
            Folder.PROCESSED: options.processed,
            Folder.REVIEW: options.review,
            Folder.IGNORED: options.ignored,
            Folder.REMOVED: options.processed,
        }
        self._trouble: dict[int, int] = {}
        self._validity = 0
        self._owed = True
        self._changed = changed
        self._idle_refusals = 0
        self._state = State(connected=False, since=datetime.now(UTC))

    @property
    def state(self) -> State:
        return self._state

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
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await stop.wait()
        self._mark(State(False, datetime.now(UTC), self._state.looked))

    async def once(self) -> int:
        """One look at the mailbox. Returns how many messages were dealt with; raises
        `imap.MailboxError` or what a callback raised.
        """
        never = asyncio.Event()
        self._owed = True
        async with self._session(never) as session:
            return await self._look(session, never)

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
        async with self._session(stop) as session:
            self._owed = True
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
        if self._validity != session.uidvalidity:
            self._validity = session.uidvalidity
            self._trouble.clear()
        if self._owed and self._options.move:
            await self._finish_moves(session)
        cursor = await asyncio.to_thread(self._position)
        left = (
            await asyncio.to_thread(self._leftovers)
            if cursor and cursor.uidvalidity == session.uidvalidity
            else []
        )
        if cursor and cursor.uidvalidity != session.uidvalidity:
            log.warning("mailbox.renumbered", before=cursor.uidvalidity, now=session.uidvalidity)
        dealt = 0
        for _ in range(ROUNDS):
            if stop.is_set():
                break
            after = cursor.uid if cursor and cursor.uidvalidity == session.uidvalidity else 0
            dealt += await self._deal(session, await session.search(after), stop)
            if not session.news:
                break
            cursor = await asyncio.to_thread(self._position)
        for some in _portions(left, imap.UIDS):
            if stop.is_set():
                break
            there = await session.still_there(some)
            if gone := [uid for uid in some if uid not in there]:
                await asyncio.to_thread(self._moved, session.uidvalidity, gone)
            dealt += await self._deal(session, sorted(there), stop)
        if not stop.is_set():
            self._well(looked=datetime.now(UTC))
        return dealt

    async def _deal(self, session: imap.Session, uids: Sequence[int], stop: asyncio.Event) -> int:
        """Offers these messages in order: the cursor must not pass one that was not offered."""
        dealt = start = 0
        placed: list[tuple[Folder, int]] = []
        while start < len(uids) and not stop.is_set():
            chunk = self._chunk(uids[start : start + imap.UIDS])
            items, passed = await self._measure(session, chunk)
            start += passed
            rest = list(items)
            while rest and not stop.is_set():
                group, part = self._group(rest, items)
                batch, passed = await self._fetch(session, group, part, items)
                rest = rest[passed:]
                if batch:
                    verdicts = await asyncio.to_thread(self._take, batch)
                    self._well()
                    dealt += len(verdicts)
                    placed += [(folder, message.uid) for message, folder in verdicts]
                for message in batch:
                    self._trouble.pop(message.uid, None)
            if len(placed) >= MOVES:
                await self._move(session, placed)
                placed = []
        await self._move(session, placed)
        return dealt

    # What to ask for, and what to do about messages that do not come

    def _chunk(self, uids: Sequence[int]) -> Sequence[int]:
        """A message that made trouble is asked for alone, so that others do not suffer with it."""
        alone = uids[0] in self._trouble
        return (
            uids[:1]
            if alone
            else list(itertools.takewhile(lambda uid: uid not in self._trouble, uids))
        )

    def _part(self, uid: int, item: imap_syntax.Item) -> _Part:
        failures = self._trouble.get(uid, 0)
        if failures >= 2 * TRIES:
            return _Part.NOTHING
        return (
            _Part.HEADER
            if failures >= TRIES or item.size is None or item.size > self._max_bytes
            else _Part.WHOLE
        )

    def _group(
        self, uids: Sequence[int], items: dict[int, imap_syntax.Item]
    ) -> tuple[list[int], _Part]:
        """The first messages that can be fetched together, at most `max_bytes` of them."""
        part, total, group = self._part(uids[0], items[uids[0]]), 0, [uids[0]]
        for uid in uids:
            total += (items[uid].size or 0) if part is _Part.WHOLE else HEADER_BYTES
            if uid == uids[0]:
                continue
            if (
                total > self._max_bytes
                or self._part(uid, items[uid]) is not part
                or {uid, uids[0]} & self._trouble.keys()
            ):
                break
            group.append(uid)
        return group, part

    async def _measure(
        self, session: imap.Session, uids: Sequence[int]
    ) -> tuple[dict[int, imap_syntax.Item], int]:
        """Sizes and dates of the messages that still exist, in order, and how many of the asked are
        settled by that.
        """
        if self._trouble.get(uids[0], 0) >= 2 * TRIES:
            return {uids[0]: imap_syntax.Item()}, 1
        with self._blaming(uids):
            items = await session.fetch(uids, "UID RFC822.SIZE INTERNALDATE")
            described = {uid for uid, item in items.items() if item.size is not None}
            known, passed = await self._settle(session, uids, described)
        return {uid: items.get(uid, imap_syntax.Item()) for uid in known}, passed

    async def _fetch(
        self,
        session: imap.Session,
        uids: Sequence[int],
        part: _Part,
        items: dict[int, imap_syntax.Item],
    ) -> tuple[list[Fetched], int]:
        found: dict[int, imap_syntax.Item] = {}
        if part is _Part.NOTHING:
            known, passed = list(uids), len(uids)
        else:
            with self._blaming(uids):
                found = await session.fetch(uids, part.value)
                delivered = {uid for uid, item in found.items() if item.body is not None}
                known, passed = await self._settle(session, uids, delivered)
        bodies = {uid: item.body or b"" for uid, item in found.items()}
        return [
            self._fetched(session, uid, items[uid], part, bodies.get(uid, b"")) for uid in known
        ], passed

    async def _settle(
        self, session: imap.Session, uids: Sequence[int], delivered: set[int]
    ) -> tuple[list[int], int]:
        """Of `uids`: those delivered before the first one withheld, and how many are settled
        (delivered, or vanished).

        Raises `imap.MailboxError` if the first of them is withheld, so that its next try is a while
        later.
        """
        missing = [uid for uid in uids if uid not in delivered]
        there = await session.still_there(missing) if missing else set()
        exhausted = {
            uid for uid in there if self._trouble.get(uid, 0) >= TRIES
        }  # what there is will do
        withheld = next(
            (index for index, uid in enumerate(uids) if uid in there - exhausted), len(uids)
        )
        if withheld < len(uids):
            self._blame(uids[withheld : withheld + 1])
        known = [uid for uid in uids[:withheld] if uid in delivered or uid in exhausted]
        if withheld == 0:
            raise imap.MailboxError(f"the server does not deliver message {uids[0]}")
        return known, withheld

    def _fetched(
        self, session: imap.Session, uid: int, item: imap_syntax.Item, part: _Part, raw: bytes
    ) -> Fetched:
        complete = part is _Part.WHOLE and len(raw) <= self._max_bytes
        if part is _Part.WHOLE and not complete:  # larger than RFC822.SIZE promised
            raw = raw.partition(b"\r\n\r\n")[0][:HEADER_BYTES]
        if item.arrived is None:
            log.warning("mailbox.no_date", uid=uid)
        if not complete:
            log.warning(
                "mailbox.incomplete", uid=uid, size=item.size, failures=self._trouble.get(uid, 0)
            )
        return Fetched(
            uidvalidity=session.uidvalidity,
            uid=uid,
            arrived=item.arrived or datetime.now(UTC),
            size=len(raw) if item.size is None else item.size,
            raw=raw,
            complete=complete,
        )

    @contextlib.contextmanager
    def _blaming(self, uids: Sequence[int]) -> Iterator[None]:
        """A session that ends while messages are fetched may have ended because of one of them."""
        before = sum(self._trouble.get(uid, 0) for uid in uids)
        try:
            yield
        except imap.MailboxError:
            if sum(self._trouble.get(uid, 0) for uid in uids) == before:
                self._blame(uids)
            raise

    def _blame(self, uids: Iterable[int]) -> None:
        for uid in uids:
            self._trouble[uid] = self._trouble.get(uid, 0) + 1

    # Moving

    async def _finish_moves(self, session: imap.Session) -> None:
        """What was committed before but perhaps not moved. UIDs of another UIDVALIDITY name nothing
        any more.
        """
        self._owed = False
        former: dict[int, list[int]] = defaultdict(list)
        current: list[tuple[Folder, int]] = []
        for uidvalidity, uid, folder in await asyncio.to_thread(self._unmoved):
            if uidvalidity == session.uidvalidity:
                current.append((folder, uid))
            else:
                former[uidvalidity].append(uid)
        for uidvalidity, uids in former.items():
            await asyncio.to_thread(self._moved, uidvalidity, uids)
        await self._move(session, current)

    async def _move(self, session: imap.Session, wanted: Iterable[tuple[Folder, int]]) -> None:
        if not self._options.move:
            return
        by_folder: dict[Folder, list[int]] = defaultdict(list)
        for folder, uid in wanted:
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
                await asyncio.to_thread(self._moved, session.uidvalidity, uids)

    # State

    def _mark(self, state: State) -> None:
        before, self._state = self._state, state
        # A look that finds all as it was is nothing to tell.
        if self._changed is not None and replace(before, looked=None) != replace(
            state, looked=None
        ):
            self._changed(state)

    def _well(self, looked: datetime | None = None) -> None:
        """Messages are read: it is not enough that the server lets us in."""
        state = self._state
        since = state.since if state.connected else datetime.now(UTC)
        self._mark(State(True, since, looked or state.looked, unmoved=state.unmoved))

    def _ill(self, words: str, seconds: float, *, refused: bool) -> None:
        state, now = self._state, datetime.now(UTC)
        since = state.since if state.last_error else now
        again = now + timedelta(seconds=seconds)
        self._mark(
            State(False, since, state.looked, words, state.tries + 1, refused, again, state.unmoved)
        )

    def _report(self, error: Exception, seconds: float) -> None:
        words = str(error) or type(error).__name__
        self._ill(words, seconds, refused=isinstance(error, imap.SignInRefused))
        retry_in = round(seconds, 1)
        if isinstance(error, imap.SignInRefused):
            log.error("mailbox.sign_in_refused", reason=words, retry_in=retry_in)
        elif isinstance(error, GatewayError):
            log.warning("mailbox.interrupted", reason=words, retry_in=retry_in)
        else:
            log.error("mailbox.failed", reason=words, retry_in=retry_in, exc_info=error)


def _portions(uids: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(uids), size):
        yield list(uids[start : start + size])
