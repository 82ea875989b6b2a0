"""The journal as a live stream: one look at the store serves every open page.

Standards: server-sent events (WHATWG HTML §9.2) carry the journal's own numbers as event ids, so a
client that was away resumes where it stopped (Last-Event-ID). On failure: while the store cannot be
read the streams stay open and silent, and go on where they were; nothing is skipped. Limits:
`MAX_STREAMS` streams at a time; one read of at most `BATCH` entries per stream and turn; nobody
listening, nobody looking.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from gateway.errors import StoreError
from gateway.store import journal
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1
BATCH = 200
MAX_STREAMS = 200
RESET = "reset"


class Feed:
    """The newest journal number, kept fresh while somebody listens. Lives in one event loop."""

    def __init__(self, store: Store, poll_seconds: float = POLL_SECONDS) -> None:
        self.store = store
        self.poll_seconds = poll_seconds
        self.streams = 0
        self._newest = 0
        self._news = asyncio.Event()
        self._look = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._blind = False
        self._stopped = False

    @property
    def full(self) -> bool:
        """Whether as many streams are open as are served."""
        return self.streams >= MAX_STREAMS

    def look(self) -> None:
        """Somebody in this process has just committed:
        look now instead of at the next turn. From any thread.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._look.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the journal until `stop` is set; then every stream ends."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if self.streams:
                    await self._refresh()
                await self._pause(stopping)
        finally:
            stopping.cancel()
            self._loop, self._stopped = None, True
            self._announce()

    async def entries(self, last: int) -> AsyncIterator[journal.Entry]:
        """Journal entries beyond number `last`, as they come, until the feed stops."""
        async for batch in self.batches(last):
            for entry in batch:
                yield entry

    async def batches(self, last: int) -> AsyncIterator[list[journal.Entry]]:
        """The same, as many at once as were read together.

        An entry of event `RESET` comes first when the journal does not hold number `last`: it is
        another store than the one the client knew, and what it shows is void.
        """
        with self._counted():
            if last and (begins := await self._begins(last)) != last:
                last = begins
                yield [journal.Entry(RESET, id=last)]
            while not self._stopped:
                news = self._news
                batch = await self._read(last)
                if batch:
                    last = batch[-1].id
                    yield batch
                if len(batch) < BATCH:
                    await news.wait()

    async def until(self, look: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Look, and again at whatever is new, until `look` says that it is enough, so many seconds
        are over, or the feed stops.
        """
        with self._counted(), suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._stopped:
                    news = self._news
                    if await look():
                        return
                    await news.wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.streams += 1
        self._look.set()
        try:
            yield
        finally:
            self.streams -= 1

    async def _refresh(self) -> None:
        try:
            newest = await asyncio.to_thread(self._read_newest)
        except StoreError as error:
            if not self._blind:
                log.warning("journal cannot be read", error=str(error))
            self._blind = True
            self._newest = -1  # so that the first look that succeeds wakes everybody
            return
        self._blind = False
        if newest != self._newest:
            self._newest = newest
            self._announce()

    def _announce(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _pause(self, stopping: "asyncio.Task[bool]") -> None:
        looking = asyncio.create_task(self._look.wait())
        timeout = self.poll_seconds if self.streams else None
        await asyncio.wait(
            (looking, stopping), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        looking.cancel()
        self._look.clear()

    async def _begins(self, last: int) -> int:
        """`last` where the journal holds it, or where the store does not tell at the moment; else
        the newest number.
        """
        try:
            return await asyncio.to_thread(self._read_beginning, last)
        except StoreError:
            return last

    async def _read(self, last: int) -> list[journal.Entry]:
        try:
            return await asyncio.to_thread(self._read_after, last)
        except StoreError:
            # `_refresh` tells of the failure; when it is over the same entries are asked for again
            self._newest = -1
            return []

    def _read_newest(self) -> int:
        with self.store.read() as connection:
            return journal.newest(connection)

    def _read_beginning(self, last: int) -> int:
        with self.store.read() as connection:
            return last if journal.holds(connection, last) else journal.newest(connection)

    def _read_after(self, last: int) -> list[journal.Entry]:
        with self.store.read() as connection:
            return journal.after(connection, last, BATCH)
