"""Messages out of the mailbox: how much of each is asked for, and what is done about those that do
not come.

On failure: a message that the server does not deliver, or only in part, is asked for alone and then
its header only, in the same session, and handed over as withheld: it keeps nobody waiting. One that
ends the session is asked for alone, then its header only, then handed over without content; one at
which the whole server goes down, too, after some more tries, for that may as well be an outage.
Standards: RFC 3501 §6.4.5 (FETCH). Security: nothing of a mail is logged. Limits: a message above
`max_bytes` is never fetched beyond its header.
"""

import asyncio
import contextlib
import enum
import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from gateway.inbound import imap, imap_syntax, imap_wire
from gateway.mail import parse

log = structlog.get_logger(__name__)

TRIES = 3
"""Failures of one message before less of it is asked for."""
EXCUSED = 7
"""Failures of one message, at most, that are put down to the server because it let nobody in
afterwards: it may be the message that takes it down, each time.
"""
HEADER_BYTES = 256 * 1024
MEASURES = "UID RFC822.SIZE INTERNALDATE"
UNTOLD = imap_syntax.Item()


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


class _Part(enum.Enum):
    """How much of a message is asked for; the value is what FETCH calls it. PEEK leaves `\\Seen`
    alone (RFC 3501 §6.4.5).
    """

    WHOLE = "UID BODY.PEEK[]"
    HEADER = f"UID BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
    NOTHING = ""


class Fetcher:
    """Fetches the messages of one mailbox, and remembers from session to session which of them made
    trouble.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._trouble: dict[int, int] = {}
        """How often each failed."""
        self._excused: dict[int, int] = {}
        """How many of these failures were the server's own."""
        self._withheld = set[int]()
        """Those that the server did not deliver whole while it delivered others."""
        self._inexact = False
        """Whether the server tells sizes that are wrong."""

    async def batches(
        self, session: imap.Session, uids: Sequence[int], stop: asyncio.Event
    ) -> AsyncGenerator[list[Fetched], None]:
        """These messages in order, as far as they still exist; until `stop`. Of each batch that is
        dealt with, `took` is told.
        """
        start = 0
        while start < len(uids) and not stop.is_set():
            chunk = self._chunk(uids[start : start + imap.UIDS])
            items = await self._measure(session, chunk)
            start += len(chunk)
            rest = list(items)
            while rest and not stop.is_set():
                group, part = self._group(rest, items)
                rest = rest[len(group) :]
                if batch := await self._fetch(session, group, part, items):
                    yield batch

    def took(self, batch: Iterable[Fetched]) -> None:
        """These are dealt with: nothing is held against them any more."""
        for message in batch:
            self._trouble.pop(message.uid, None)
            self._excused.pop(message.uid, None)

    def excuse(self) -> None:
        """What ended sessions may have been no messages. They are asked for alone all the same."""
        self._excused = {uid: min(failed, EXCUSED) for uid, failed in self._trouble.items()}

    def forget(self) -> None:
        """It is another mailbox: nothing is known of its messages."""
        self._trouble.clear()
        self._excused.clear()
        self._withheld.clear()

    def _chunk(self, uids: Sequence[int]) -> Sequence[int]:
        """A message that made trouble is asked for alone, so that others do not suffer with it."""
        if uids[0] in self._trouble:
            return uids[:1]
        return list(itertools.takewhile(lambda uid: uid not in self._trouble, uids))

    def _failures(self, uid: int) -> int:
        """How often a message failed for its own sake, as far as anybody can tell."""
        return self._trouble.get(uid, 0) - self._excused.get(uid, 0)

    def _part(self, uid: int, item: imap_syntax.Item) -> _Part:
        failures = self._failures(uid)
        if failures >= 2 * TRIES:
            return _Part.NOTHING
        if failures >= TRIES or item.size is None or item.size > self._max_bytes:
            return _Part.HEADER
        return _Part.WHOLE

    def _group(
        self, uids: Sequence[int], items: dict[int, imap_syntax.Item]
    ) -> tuple[list[int], _Part]:
        """The first messages that can be fetched together, at most `max_bytes` of them."""
        first = uids[0]
        part = self._part(first, items[first])
        group, total = [first], 0
        for uid in uids:
            total += (items[uid].size or 0) if part is _Part.WHOLE else HEADER_BYTES
            if uid == first:
                continue
            other_part = self._part(uid, items[uid]) is not part
            in_trouble = uid in self._trouble or first in self._trouble
            if total > self._max_bytes or other_part or in_trouble:
                break
            group.append(uid)
        return group, part

    async def _measure(
        self, session: imap.Session, uids: Sequence[int]
    ) -> dict[int, imap_syntax.Item]:
        """Sizes and dates of the messages that still exist, in order."""
        if self._failures(uids[0]) >= 2 * TRIES:
            return {uids[0]: UNTOLD}
        with self._blaming(uids):
            items = await session.fetch(uids, MEASURES)
            missing = [uid for uid in uids if items.get(uid, UNTOLD).size is None]
            present = await session.still_there(missing) if missing else set[int]()
            if len(uids) > 1:
                for uid in sorted(present):
                    items |= await session.fetch([uid], MEASURES)
            described = {uid for uid in uids if items.get(uid, UNTOLD).size is not None}
            self._expect_some(described, present)
        return {uid: items.get(uid, UNTOLD) for uid in uids if uid in described | present}

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
            bodies, present = await self._bodies(session, uids, part, items)
            withheld = present if part is _Part.WHOLE else set[int]()
            headers = await self._alone(session, withheld, _Part.HEADER)
            self._expect_some({*bodies, *headers}, present)
        messages = list[Fetched]()
        for uid in uids:
            if uid not in bodies and uid not in present:
                continue
            fetched_part = _Part.HEADER if uid in withheld else part
            raw = bodies.get(uid, headers.get(uid, b""))
            message = self._fetched(session, uid, items[uid], fetched_part, raw)
            unmeasured = items[uid].size is None and not self._failures(uid)
            messages.append(replace(message, withheld=uid in withheld or unmeasured))
        self._withheld |= {message.uid for message in messages if message.withheld}
        return messages

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
        answer = await session.fetch(uids, part.value)
        bodies = dict[int, bytes]()
        for uid in uids:
            body = answer.get(uid, UNTOLD).body
            if body is not None:
                bodies[uid] = body
        missing = [uid for uid in uids if uid not in bodies]
        present = await session.still_there(missing) if missing else set[int]()
        left_out = present if len(uids) > 1 else set[int]()
        if part is _Part.HEADER:
            bodies |= await self._alone(session, left_out, part)
            return bodies, present - bodies.keys()
        short = {uid for uid in bodies if self._is_short(bodies[uid], items[uid])}
        again = await self._alone(session, short | left_out, part)
        cut = {uid: bodies.pop(uid) for uid in short}
        for uid, body in again.items():
            if self._is_whole(cut.get(uid), body, items[uid]):
                bodies[uid] = body
        return bodies, (present | short) - bodies.keys()

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
        """Whether the server gave less than it announced. Where its sizes are known to be inexact,
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

    def _expect_some(self, delivered: set[int], present: set[int]) -> None:
        """Raise `MailboxError` where the server delivered nothing of what is there: it may be its
        own trouble, so the next try is a while later. What has been tried often enough, or
        was withheld before, is handed over with what there is.
        """
        first = min(present - self._withheld, default=0)
        if first and not delivered and self._failures(first) < TRIES:
            self._blame([first])
            raise imap_wire.MailboxError(f"the server does not deliver message {first}")

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
        except imap_wire.MailboxError:
            if sum(self._trouble.get(uid, 0) for uid in uids) == before:
                self._blame(uids)
            raise

    def _blame(self, uids: Iterable[int]) -> None:
        for uid in uids:
            self._trouble[uid] = self._trouble.get(uid, 0) + 1


async def ahead(
    batches: AsyncGenerator[list[Fetched], None],
) -> AsyncGenerator[list[Fetched], None]:
    """These batches, each while the next one is fetched already: the server works while we do. What
    the next one meets is raised when its turn comes.
    """
    async with contextlib.aclosing(batches):
        coming = asyncio.ensure_future(anext(batches, None))
        try:
            while batch := await coming:
                coming = asyncio.ensure_future(anext(batches, None))
                yield batch
        finally:
            coming.cancel()
            await asyncio.wait({coming})


def _arrival(date_of_server: datetime | None, raw: bytes, now: datetime) -> datetime:
    """When a message reached the mailbox. What the server says is not believed where it lies in the
    future, else honest answers would be late ones; then its topmost Received header counts.
    """
    if date_of_server is not None and date_of_server <= now:
        return date_of_server
    received = parse.received(raw)
    return received if received is not None and received <= now else now
