"""The role that looks after the others: is the store writable, has the disk room, what do the parts
of this process and other gateways report; told in `/readyz`, to systemd, and to everybody by the
store.

Each look renews the gateway's lease, which is a write: a store that can only be read is noticed.
What this process knows to be wrong (`health.Board`) is written when it changes, not at every look;
what it measures of itself (`health.Vitals`) at every look.

On failure: what cannot be written is told by this process alone, and written once it can be. A look
at a store that answers nothing ends after some seconds, with that as its result. Limits: a
change in this process is told at once, one elsewhere within `LOOK_SECONDS`.
"""

import asyncio
import os
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from gateway import accounts, health, zonedata
from gateway.actions import health as troubles
from gateway.daemon import logs, systemd
from gateway.errors import StoreError
from gateway.health import Board, Condition, State, Vitals
from gateway.settings import Settings
from gateway.store import conditions, leases, vitals
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = leases.RENEWAL_SECONDS
JOURNAL = Path("/var/log/journal")
STORE = "store"
TIME_ZONES = f"{leases.TIME_ZONES}{zonedata.CHOSEN.release}"
"""Of the gateways with one release one has this lease, so that all others see that it is used."""


class Monitor:
    """Looks again and again. `gateway`: this process in the store's leases; `well`: what systemd is
    told when nothing is wrong.
    """

    def __init__(self, store: Store, settings: Settings, gateway: str, board: Board) -> None:
        self._store, self._settings, self._gateway = store, settings, gateway
        self._board = board
        self.well = ""
        self._seen = Board()
        """What a look itself finds, of the store and of disks. Told by that same look, it calls for
        no other: of a disk that fills it is something else each time.
        """
        self._changed = asyncio.Event()
        board.changed = self._changed.set
        self._places = _places(store)
        self._elsewhere: Sequence[Condition] = ()
        """What the store said when it was last asked."""
        self._using: asyncio.Future[tuple[str, Sequence[Condition] | None]] | None = None
        self._asking: asyncio.Future[list[Condition]] | None = None
        self._leaving = False
        self._looking: asyncio.Future[None] | None = None
        self._troubles: Sequence[Condition] = ()
        self._status = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; then this gateway says nothing any more."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._changed.clear()
                await self.look()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait(
                    [stopped, changed],
                    timeout=LOOK_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                changed.cancel()
        finally:
            stopped.cancel()
        # The page may ask until it ends, and must not take again what is given back here.
        self._leaving = True
        if self._using is not None:
            await asyncio.wait([self._using], timeout=troubles.PATIENCE_SECONDS)
        await asyncio.to_thread(self._leave)

    async def look(self) -> list[Condition]:
        """How everything is at this moment:
        each check with its words, the troubles of `troubles` among them.
        """
        if not self._leaving and (self._looking is None or self._looking.done()):
            self._looking = asyncio.ensure_future(self._look())
        if self._looking is not None:
            await asyncio.shield(self._looking)
        return self._checks()

    def troubles(self) -> Sequence[Condition]:
        """What was wrong at the last look, what failed first."""
        return self._troubles

    def status(self) -> str:
        """The line for systemd."""
        return health.line(self._troubles, self.well)

    async def _look(self) -> None:
        await self._look_at_disks()
        seen = [condition for condition in self._seen.conditions() if condition.subject != STORE]
        own = [*seen, *self._board.conditions()]
        if self._leaving:
            return
        if self._using is None or self._using.done():
            self._using = asyncio.ensure_future(
                asyncio.to_thread(self._use_store, own, self._board.vitals())
            )
        await asyncio.wait([self._using], timeout=troubles.PATIENCE_SECONDS)
        why: str = f"no answer within {troubles.PATIENCE_SECONDS:g} s; another program may hold it"
        elsewhere: Sequence[Condition] | None = None
        if self._using.done():
            why, elsewhere = self._using.result()
        self._mark_store(why)
        if elsewhere is not None:
            self._elsewhere = elsewhere
        # Nothing is told here that others cannot read yet, except of the store itself.
        about_store = [
            condition for condition in self._seen.conditions() if condition.subject == STORE
        ]
        self._tell([*about_store, *own, *self._elsewhere])

    def _use_store(
        self, own: Sequence[Condition], measured: Vitals
    ) -> tuple[str, Sequence[Condition] | None]:
        """Write what this process knows, and read what others do. Returns why it cannot be written
        ("": it can), and what was read, None where nothing was.
        """
        now, why = datetime.now(UTC), ""
        try:
            with self._store.write() as connection:
                leases.take(connection, f"{leases.GATEWAY}{self._gateway}", self._gateway, now)
                leases.take(connection, TIME_ZONES, self._gateway, now)
                conditions.hold(connection, self._gateway, own, now)
                vitals.hold(connection, self._gateway, measured)
        except StoreError as error:
            why = str(error)
        try:
            began = self._board.started
            return why, troubles.told(
                self._store, self._settings, now, but=self._gateway, started=began
            )
        except StoreError as error:
            return why or str(error), None

    async def _look_at_disks(self) -> None:
        """A file system that does not answer (a share whose server is gone) keeps nobody waiting:
        what was known of the disks stands.
        """
        if self._asking is None or self._asking.done():
            free = self._settings.store.free_megabytes
            self._asking = asyncio.ensure_future(
                asyncio.to_thread(troubles.disks, self._places, free)
            )
        await asyncio.wait([self._asking], timeout=troubles.PATIENCE_SECONDS)
        if not self._asking.done():
            return
        troubled = self._asking.result()
        bad = {condition.subject: condition for condition in troubled}
        for what, _ in self._places:
            subject = f"disk of the {what}"
            if subject in bad:
                self._seen.report(_since(bad[subject], self._seen))
            else:
                self._seen.clear(subject)

    def _mark_store(self, why: str) -> None:
        now = datetime.now(UTC)
        if not why:
            self._seen.clear(STORE)
            return
        before = [condition for condition in self._seen.conditions() if condition.subject == STORE]
        began = before[0].since if before else None
        self._seen.report(health.store(why, began or now, now))

    def _tell(self, now_true: Sequence[Condition]) -> None:
        before = _by_subject(self._troubles)
        self._troubles = health.troubles(now_true)
        for subject, trouble in _by_subject(self._troubles).items():
            before_now = before.pop(subject, None)
            if before_now is None or before_now.state is not trouble.state:
                level = log.error if trouble.state is State.FAILED else log.warning
                level("trouble", subject=subject, words=trouble.words)
        for subject, gone in before.items():
            log.info("trouble is over", subject=subject, since=gone.since)
        if (status := self.status()) != self._status:
            self._status = status
            systemd.status(status)

    def _checks(self) -> list[Condition]:
        """Every check, those that are well without words."""
        bad = {trouble.subject for trouble in self._troubles}
        return [
            *self._troubles,
            *(
                Condition(subject, State.OK)
                for subject in _subjects(self._settings, self._places)
                if subject not in bad
            ),
        ]

    def _leave(self) -> None:
        try:
            with self._store.write() as connection:
                conditions.hold(connection, self._gateway, [], datetime.now(UTC))
                vitals.drop(connection, self._gateway)
                leases.release(connection, f"{leases.GATEWAY}{self._gateway}", self._gateway)
                leases.release(connection, TIME_ZONES, self._gateway)
        except StoreError as error:
            log.warning("what this gateway reported stands until its lease ends", error=str(error))


def _by_subject(conditions: Sequence[Condition]) -> dict[str, Condition]:
    """The worst of each subject, for several gateways may speak of one."""
    return {condition.subject: condition for condition in reversed(conditions)}


def _subjects(settings: Settings, places: Sequence[tuple[str, Path | int]]) -> list[str]:
    """What is always asked of an installation with these settings."""
    configured = accounts.configured(settings)
    read = [name for name, account in configured.items() if account.imap.host]
    listeners = ["role lmtp"] if settings.lmtp.listen else []
    return [
        STORE,
        *(f"disk of the {what}" for what, _ in places),
        *(health.subject("mailbox", name) for name in read),
        *listeners,
        *(health.subject("sending", name) for name in configured),
        "letters",
        "brake",
        *(health.subject("queue", name) for name in configured),
    ]


def _places(store: Store) -> list[tuple[str, Path | int]]:
    """The file systems that must have room: the store's where it is a file here, and the log's
    where it goes to a file or to the journal.
    """
    places: list[tuple[str, Path | int]] = []
    if store.path is not None:
        places.append((STORE, store.path.parent))
    if logs.to_journal(sys.stderr):
        places.append(("log", JOURNAL))
    elif (number := _number(sys.stderr)) is not None:
        places.append(("log", number))
    return places


def _number(stream: object) -> int | None:
    """The number of an open file; None if it is not a regular one."""
    try:
        number: int = stream.fileno()  # type: ignore[attr-defined]
        return number if stat.S_ISREG(os.fstat(number).st_mode) else None
    except (AttributeError, OSError, ValueError):
        return None


def _since(condition: Condition, board: Board) -> Condition:
    [lasting] = health.lasting([condition], board.conditions())
    return lasting
