"""The planner's role: looks for changed follow-ups and has them planned, however they were changed
and by whom.

On failure: an error of the store ends the role, which the supervisor starts again; the marks stay
until their plan is committed. Where hints cannot be had (`store.hint`) they are asked for again,
and the store is looked at meanwhile. Limits: a change is noticed within `hint.LOOK_SECONDS` on
SQLite and at once on PostgreSQL; without hints within `store.poll_seconds` on SQLite, within
`POSTGRES_SECONDS` on PostgreSQL.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog

from gateway import waiting
from gateway.actions import mail_accounts, planning
from gateway.errors import StoreError
from gateway.settings import Settings
from gateway.store import hint, marks
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

POSTGRES_SECONDS = 0.5
AGAIN_SECONDS = 5.0
"""From hints that were lost to the next try to have them."""
LEAVE_SECONDS = 1.0
"""So long an end waits for the one who watches; the process does not."""


async def run(
    store: Store, settings: Settings, stop: asyncio.Event, planned: Collection[asyncio.Event]
) -> None:
    """Plan until `stop`. Each of `planned` is set whenever there are new letters."""
    await asyncio.to_thread(mail_accounts.revive, store, settings, datetime.now(UTC))
    longest = (
        settings.store.poll_seconds
        if store.is_sqlite
        else min(POSTGRES_SECONDS, settings.store.poll_seconds)
    )
    async with _hints(store) as marked:
        while not stop.is_set():
            marked.clear()
            letters = await asyncio.to_thread(planning.plan_due, store, settings, datetime.now(UTC))
            if letters:
                log.info("letters planned", letters=letters)
                for event in planned:
                    event.set()
            due = await asyncio.to_thread(_until_due, store, settings)
            # What waits for the end of its window is due no sooner because of a further mark.
            hints = [marked] if due == float("inf") else []
            await waiting.first(stop, *hints, seconds=min(longest, due))


def _until_due(store: Store, settings: Settings) -> float:
    """Seconds until the next coalescing window is over;
    there is always a little rest between two looks.
    """
    with store.read() as connection:
        oldest = marks.next_due(connection)
    if oldest is None:
        return float("inf")
    due = oldest + timedelta(seconds=settings.outbound.coalesce_seconds)
    return max(0.02, (due - datetime.now(UTC)).total_seconds())


@asynccontextmanager
async def _hints(store: Store) -> AsyncIterator[asyncio.Event]:
    """An event that is set when somebody has marked a follow-up, as far as that is told."""
    loop, marked, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(marked.set)

    watching = threading.Thread(target=_watch, args=(store, over, tell), name="hints", daemon=True)
    watching.start()
    try:
        yield marked
    finally:
        over.set()
        await asyncio.to_thread(watching.join, LEAVE_SECONDS)


def _watch(store: Store, over: threading.Event, tell: Callable[[], None]) -> None:
    lost = False
    while not over.is_set():
        try:
            for _ in hint.marks(store, over):
                lost = False
                tell()
        except StoreError as error:
            if not lost:
                log.warning("no hints of changes; the store is looked at instead", error=str(error))
            lost = True
            over.wait(AGAIN_SECONDS)
