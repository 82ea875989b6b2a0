"""The inbound role of one account: one gateway at a time reads its mailbox and hands what it finds
to the processor.

On failure: see `reader` (the mailbox) and `process` (a message). A gateway that loses its lease
records nothing more and stops reading, and one that waits takes over as soon as the lease has run
out.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog

from gateway import accounts, health, waiting
from gateway import settings as configuration
from gateway.actions import probing
from gateway.errors import LeaseLost
from gateway.inbound import fetching, process, reader
from gateway.store import inbox, invitations, leases, meta
from gateway.store.engine import Connection, Store
from gateway.store.inbox import Place

log = structlog.get_logger(__name__)

ASKED_SECONDS = 1.0
"""From one look at whether somebody wants the mailbox to be read at once to the next."""


class Intake:
    """Reads one account's folder for as long as it holds the mailbox's lease. `committed` is set
    after every commit; `board` shows whether the mailbox can be read.
    """

    def __init__(
        self,
        store: Store,
        settings: configuration.Settings,
        gateway: str,
        committed: asyncio.Event,
        account: str = accounts.DEFAULT,
        board: health.Board | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._gateway = gateway
        self._committed = committed
        self._account = account
        self._options = accounts.configured(settings)[account]
        self._folder = self._options.imap.folder
        self._name = f"{leases.MAILBOX}{account}:{self._folder}"
        self._processor: process.Processor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._board = board or health.Board()
        self._held: leases.Held | None = None
        self._lost = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the lease, read until `stop` or until the lease is lost, and give it back."""
        self._loop = asyncio.get_running_loop()
        self._processor = await asyncio.to_thread(process.Processor, self._store, self._settings)
        await asyncio.to_thread(probing.forget, self._store, self._settings, self._account)
        imap, section = self._options.imap, f"{accounts.section(self._account)}imap"
        tokens = accounts.tokens(self._account, self._options)
        mailbox = reader.Reader(
            imap,
            self,
            password=configuration.secret(imap, section),
            tokens=tokens,
            max_bytes=self._settings.inbound.max_bytes,
        )
        while not stop.is_set():
            self._held = await asyncio.to_thread(self._lease)
            if self._held is not None:
                self._board.looks[self._account] = lambda: mailbox.state.looked
                await self._read(mailbox, stop)
            else:
                # The gateway that reads it now knows better than an earlier start of this role.
                self._say_nothing()
                self._board.looks.pop(self._account, None)
            await waiting.first(stop, seconds=leases.RENEWAL_SECONDS)
        await asyncio.to_thread(self._give_back)

    async def _read(self, mailbox: reader.Reader, stop: asyncio.Event) -> None:
        self._lost = lost = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(mailbox.run(lost))
            while not stop.is_set() and not lost.is_set() and not reading.done():
                await self._heed(mailbox, stop)
                if not stop.is_set() and await asyncio.to_thread(self._lease) != self._held:
                    log.warning("another gateway reads the mailbox now", folder=self._folder)
                    lost.set()
            lost.set()

    async def _heed(self, mailbox: reader.Reader, stop: asyncio.Event) -> None:
        """Until the lease is to be renewed: look into the mailbox where a person asks for it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + leases.RENEWAL_SECONDS
        wish, since = "", datetime.now(UTC)
        while not stop.is_set() and (seconds := until - loop.time()) > 0:
            request = await asyncio.to_thread(self._asked)
            looked = mailbox.state.looked
            if request and request == wish and looked is not None and looked > since:
                await asyncio.to_thread(self._met, request)
            elif request and request != wish:
                wish, since = request, datetime.now(UTC)
                mailbox.look_now()
            await waiting.first(stop, seconds=min(ASKED_SECONDS, seconds))

    def _asked(self) -> str:
        with self._store.read() as connection:
            return meta.asked_to_read(connection, self._account)

    def _met(self, wish: str) -> None:
        with self._writing() as connection:
            meta.note_read(connection, self._account, wish)

    def changed(self, state: reader.State) -> None:
        """Say on the board how the reading goes. Nothing is said before the first try."""
        self._say_nothing()
        if state.last_error and state.again is not None:
            # What worked until now, or is not up yet, may be there at the next try.
            soon = health.settling(self._board.started, datetime.now(UTC))
            first = state.looked is not None and state.tries == 1
            lost = (first or soon) and not state.refused
            failure = health.Failure(state.since, state.tries, state.last_error, state.again)
            self._board.report(
                health.mailbox(self._account, failure, lost=lost, refused=state.refused)
            )
        folder, why = state.unmoved
        if why:
            self._board.report(health.not_moved(self._account, folder, why))

    def _say_nothing(self) -> None:
        for what in ("mailbox", "folders"):
            self._board.clear(health.subject(what, self._account))

    # What the reader asks of its desk

    def position(self) -> reader.Cursor | None:
        with self._store.read() as connection:
            cursor = inbox.cursor(connection, self._account, self._folder)
        return reader.Cursor(*cursor) if cursor is not None else None

    def take(self, batch: list[fetching.Fetched]) -> list[tuple[fetching.Fetched, reader.Folder]]:
        assert self._processor is not None
        received = [self._received(message) for message in batch]
        position = self.position()
        last = batch[-1]
        behind = (
            position is not None
            and position.uidvalidity == last.uidvalidity
            and position.uid >= last.uid
        )
        cursor = None if behind else self._place(last)
        with self._watched():
            results = self._processor.receive(received, cursor, self._held)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._committed.set)
        now = datetime.now(UTC)
        for message, result in zip(received, results, strict=True):
            log.info("message", **result.line(message, now))
        return [
            (message, reader.Folder(result.destination))
            for message, result in zip(batch, results, strict=True)
            if result.outcome is not None
        ]

    def leftovers(self) -> list[int]:
        with self._store.read() as connection:
            cursor = inbox.cursor(connection, self._account, self._folder)
            if cursor is None:
                return []
            uidvalidity, _ = cursor
            return inbox.leftovers(connection, self._account, self._folder, uidvalidity)

    def unmoved(self) -> list[tuple[int, int, reader.Folder]]:
        with self._store.read() as connection:
            waiting_moves = inbox.unmoved(connection, self._account, self._folder)
        return [
            (uidvalidity, uid, reader.Folder(destination))
            for uidvalidity, uid, destination in waiting_moves
        ]

    def moved(self, uidvalidity: int, uids: list[int]) -> None:
        with self._writing() as connection:
            inbox.moved(connection, self._account, self._folder, uidvalidity, uids)

    def since(self) -> datetime | None:
        """When the first invitation was made; nothing before it is an answer to us. Now, if there
        is no invitation yet. None: an earlier system sent some, and nobody knows when.
        """
        with self._store.read() as connection:
            if meta.has_adopted(connection):
                return None
            return invitations.first(connection) or datetime.now(UTC)

    def pass_over(self, uidvalidity: int, uid: int) -> None:
        with self._writing() as connection:
            inbox.advance(connection, self._account, self._folder, uidvalidity, uid)

    def _received(self, message: fetching.Fetched) -> process.Received:
        return process.Received(
            message.raw,
            message.arrived,
            message.size,
            message.complete,
            self._place(message),
            message.withheld,
        )

    def _place(self, message: fetching.Fetched) -> Place:
        return Place(self._account, self._folder, message.uidvalidity, message.uid)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction of the gateway that reads the mailbox."""
        assert self._held is not None
        with self._watched(), self._store.write() as connection:
            leases.require(connection, self._held)
            yield connection

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Where another has taken over, reading ends at once."""
        try:
            yield
        except LeaseLost:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._lost.set)
            raise

    def _lease(self) -> leases.Held | None:
        with self._store.write() as connection:
            fence = leases.take(connection, self._name, self._gateway, datetime.now(UTC))
        return leases.Held(self._name, self._gateway, fence) if fence is not None else None

    def _give_back(self) -> None:
        with self._store.write() as connection:
            leases.release(connection, self._name, self._gateway)
