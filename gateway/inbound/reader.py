"""Reads the gateway's mailbox: offers every message above the cursor, moves it where the verdict
says, waits for more.

Standards: itip.md §3: found by UID beyond the cursor, never by flags; `\\Seen` is never set;
nothing is moved before the commit. On failure: the connection is dropped and rebuilt, first after a
second, at last after minutes; a refused sign-in waits minutes at once. A crash between commit and
move is repaired at the next connect (`unmoved`). A message that the server does not deliver, or
only in part, is asked for alone and then its header only, in the same session, and offered as
withheld: it keeps nobody waiting. One that ends the session is asked for alone, then its header
only, then handed over without content. Security: nothing of a mail is logged. A message above
`max_bytes` is never fetched beyond its header. Limits: one folder. Another reader of the same
folder does no harm but costs work: who reads is decided by a lease elsewhere.
"""

import asyncio
import contextlib
import enum
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import structlog

from gateway import accounts, sections, waiting
from gateway.errors import GatewayError
from gateway.inbound import imap, imap_syntax
from gateway.mail import parse

log = structlog.get_logger(__name__)

TRIES = 3
"""Failures of one message before less of it is asked for."""
IDLE_TRIES = 2
ROUNDS = 10
"""Searches in a row while messages keep coming, before what was left out gets its turn."""
HEADER_BYTES = 256 * 1024
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
class Fetched:
    """One message of the mailbox. `arrived` is its INTERNALDATE (aware UTC), `size` in bytes as the
    server tells it.

    `complete` is False where `raw` holds only the header: larger than the limit, or the server
    failed to deliver the rest (`raw` is empty if not even the header came). `withheld`: it did so
    while it delivered others, so it is worth another try at the next look.
    """

    uidvalidity: int
    uid: int
    arrived: datetime
    size: int
    raw: bytes
    complete: bool
    withheld: bool = False


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


MEASURES = "UID RFC822.SIZE INTERNALDATE"
UNTOLD = imap_syntax.Item()


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
    since      when the first message that can be an answer may have come, None if at any time;
               asked at the first look
    pass_over  (uidvalidity, uid): the cursor begins behind this one

    `changed` is called in the loop's thread whenever `state` changes for better or worse. `tokens`:
    instead of `password` for `sign_in = "xoauth2"`. With `settings.move` off nothing is
    moved, and `unmoved` and `moved` are not asked for moves. Raises `ConfigurationError` when
    `ca_file` cannot be used.
    """

    def __init__(
        self,
        options: sections.Imap,
        *,
        password: str,
        max_bytes: int,
        position: Callable[[], Cursor | None],
        take: Callable[[list[Fetched]], list[tuple[Fetched, Folder]]],
        leftovers: Callable[[], list[int]],
        unmoved: Callable[[], list[tuple[int, int, Folder]]],
        moved: Callable[[int, list[int]], None],
        since: Callable[[], datetime | None] | None = None,
        pass_over: Callable[[int, int], None] | None = None,
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
        self._since, self._pass_over = since, pass_over
        self._pace = pace or Pace()
        self._context = imap.tls(options)
        self._names = {
            Folder.PROCESSED: options.processed,
            Folder.REVIEW: options.review,
            Folder.IGNORED: options.ignored,
            Folder.REMOVED: options.processed,
        }
        self._trouble: dict[int, int] = {}
        self._withheld = set[int]()
        self._inexact = False
        self._validity = 0
        self._owed = True
        self._woken = asyncio.Event()
        self._open: imap.Session | None = None
        self._changed = changed
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
            # A server that let nobody in ended sessions for its own sake, not for a message's.
            self._trouble.clear()
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
        cursor = await asyncio.to_thread(self._position)
        self._recognise(session, cursor)
        if self._owed and self._options.move:
            await self._finish_moves(session)
        is_known = cursor is not None and cursor.uidvalidity == session.uidvalidity
        left = await asyncio.to_thread(self._leftovers) if is_known else []
        alone = set[int]() if is_known else await self._leave_alone(session)
        if alone:
            cursor = await asyncio.to_thread(self._position)
        dealt = await self._deal_with_news(session, cursor, alone, stop)
        dealt += await self._deal_with_leftovers(session, left, stop)
        if not stop.is_set():
            self._well(looked=datetime.now(UTC))
        return dealt

    def _recognise(self, session: imap.Session, cursor: Cursor | None) -> None:
        """Another UIDVALIDITY is another mailbox: nothing is known of its messages."""
        if session.uidvalidity == 0:
            session.uidvalidity = self._number(session, cursor)
        if self._validity != session.uidvalidity:
            self._validity = session.uidvalidity
            self._trouble.clear()
            self._withheld.clear()
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
            cursor = await asyncio.to_thread(self._position)
        return dealt

    async def _deal_with_leftovers(
        self, session: imap.Session, left: Sequence[int], stop: asyncio.Event
    ) -> int:
        """What was left out before, as far as it still lies there."""
        dealt = 0
        for some in _portions(left, imap.UIDS):
            if stop.is_set():
                break
            there = await session.still_there(some)
            if gone := [uid for uid in some if uid not in there]:
                await asyncio.to_thread(self._moved, session.uidvalidity, gone)
            dealt += await self._deal(session, sorted(there), stop)
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
        since = await asyncio.to_thread(self._since) if self._since is not None else None
        if since is None:
            return set()
        day = since.date() - MARGIN
        old = set(await session.older(day))
        fresh = [uid for uid in await session.search(0) if uid not in old] if old else []
        behind = min(fresh) - 1 if fresh else max(old, default=0)
        if old and behind > 0 and self._pass_over is not None:
            log.info("mailbox.old_mail_left_alone", messages=len(old), before=day.isoformat())
            await asyncio.to_thread(self._pass_over, session.uidvalidity, behind)
        return old

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
                batch = await self._fetch(session, group, part, items)
                rest = rest[len(group) :]
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
            items = await session.fetch(uids, MEASURES)
            missing = [uid for uid in uids if items.get(uid, UNTOLD).size is None]
            there = await session.still_there(missing) if missing else set[int]()
            for uid in sorted(there) if len(uids) > 1 else ():
                items |= await session.fetch([uid], MEASURES)
            described = {uid for uid in uids if items.get(uid, UNTOLD).size is not None}
            self._expect_some(described, there)
        return {uid: items.get(uid, UNTOLD) for uid in uids if uid in described | there}, len(uids)

    async def _fetch(
        self,
        session: imap.Session,
        uids: Sequence[int],
        part: _Part,
        items: dict[int, imap_syntax.Item],
    ) -> list[Fetched]:
        """The messages that still exist, in order."""
        if part is _Part.NOTHING:
            return [self._fetched(session, uid, items[uid], part, b"") for uid in uids]
        with self._blaming(uids):
            bodies, there = await self._bodies(session, uids, part, items)
            withheld = there if part is _Part.WHOLE else set[int]()
            headers = await self._alone(session, withheld, _Part.HEADER)
            self._expect_some({*bodies, *headers}, there)
        made = list[Fetched]()
        for uid in [uid for uid in uids if uid in bodies or uid in there]:
            some = _Part.HEADER if uid in withheld else part
            raw = bodies.get(uid, headers.get(uid, b""))
            one = self._fetched(session, uid, items[uid], some, raw)
            unmeasured = items[uid].size is None and uid not in self._trouble
            made.append(replace(one, withheld=uid in withheld or unmeasured))
        self._withheld |= {one.uid for one in made if one.withheld}
        return made

    async def _bodies(
        self,
        session: imap.Session,
        uids: Sequence[int],
        part: _Part,
        items: dict[int, imap_syntax.Item],
    ) -> tuple[dict[int, bytes], set[int]]:
        """What comes of these messages, and which of them are there and do not come whole. What did
        not come among others, or came short, is asked for once more, alone.
        """
        found = await session.fetch(uids, part.value)
        first = {uid: body for uid in uids if (body := found.get(uid, UNTOLD).body) is not None}
        missing = [uid for uid in uids if uid not in first]
        there = await session.still_there(missing) if missing else set[int]()
        if part is _Part.HEADER:
            bodies = first | await self._alone(session, there if len(uids) > 1 else (), part)
            return bodies, there - bodies.keys()
        short = {uid for uid in first if self._is_short(first[uid], items[uid])}
        again = await self._alone(session, short | (there if len(uids) > 1 else set()), part)
        whole = {
            uid: body
            for uid, body in again.items()
            if self._is_whole(first.get(uid), body, items[uid])
        }
        bodies = {uid: body for uid, body in first.items() if uid not in short} | whole
        return bodies, (there | short) - bodies.keys()

    async def _alone(
        self, session: imap.Session, uids: Iterable[int], part: _Part
    ) -> dict[int, bytes]:
        """Each of these messages, or its header, by a question of its own; without those that do
        not come.
        """
        bodies = dict[int, bytes]()
        for uid in sorted(uids):
            item = (await session.fetch([uid], part.value)).get(uid)
            if item is not None and item.body is not None:
                bodies[uid] = item.body
        return bodies

    def _is_short(self, body: bytes, item: imap_syntax.Item) -> bool:
        """Whether the server gave less than it told. Of one whose sizes are known to be inexact,
        only what is visibly cut counts.
        """
        if item.size is None or len(body) >= item.size:
            return False
        return not (self._inexact and parse.is_whole(body))

    def _is_whole(self, first: bytes | None, second: bytes, item: imap_syntax.Item) -> bool:
        """Whether the second answer about a message is all there is. Exchange tells sizes that are
        wrong by a little or by much (5.5 to 2019): what comes twice the same, and with its end, is
        whole.
        """
        if item.size is None or len(second) >= item.size:
            return True
        whole = first in (None, second) and parse.is_whole(second)
        self._inexact = self._inexact or (whole and first is not None)
        return whole

    def _expect_some(self, delivered: set[int], there: set[int]) -> None:
        """Raise `imap.MailboxError` where the server delivered nothing of what is there: it may be
        its own trouble, so the next try is a while later. What has been tried often enough, or
        was withheld before, is handed over with what there is.
        """
        first = min(there - self._withheld, default=0)
        if first and not delivered and self._trouble.get(first, 0) < TRIES:
            self._blame([first])
            raise imap.MailboxError(f"the server does not deliver message {first}")

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
            arrived=_arrival(item.arrived, raw, datetime.now(UTC)),
            size=len(raw) if complete or item.size is None else item.size,
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


def _arrival(told: datetime | None, raw: bytes, now: datetime) -> datetime:
    """When a message reached the mailbox. What the server says is not believed where it lies in the
    future, else honest answers would be late ones; then its topmost Received header counts.
    """
    if told is not None and told <= now:
        return told
    received = parse.received(raw)
    return received if received is not None and received <= now else now


def _portions(uids: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(uids), size):
        yield list(uids[start : start + size])
