"""The planner's role: looks for changed follow-ups and has them planned, however they were changed
and by whom.

On failure: an error of the store ends the role, which the supervisor starts again; the marks stay
until their plan is committed. Limits: a change is noticed within `store.poll_seconds` on SQLite,
within `POSTGRES_SECONDS` on PostgreSQL.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import structlog

from gateway.actions import planning
from gateway.outbound import waiting
from gateway.settings import Settings
from gateway.store import followups
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

POSTGRES_SECONDS = 0.5


async def run(
    store: Store, settings: Settings, stop: asyncio.Event, planned: Collection[asyncio.Event]
) -> None:
    """Plan until `stop`. Each of `planned` is set whenever there are new letters."""
    await asyncio.to_thread(planning.revive, store, settings, datetime.now(UTC))
    longest = (
        settings.store.poll_seconds
        if store.is_sqlite
        else min(POSTGRES_SECONDS, settings.store.poll_seconds)
    )
    while not stop.is_set():
        letters = await asyncio.to_thread(planning.plan_due, store, settings, datetime.now(UTC))
        if letters:
            log.info("letters planned", letters=letters)
            for event in planned:
                event.set()
        await waiting.first(
            stop, seconds=min(longest, await asyncio.to_thread(_until_due, store, settings))
        )


def _until_due(store: Store, settings: Settings) -> float:
    """Seconds until the next coalescing window is over;
    there is always a little rest between two looks.
    """
    with store.read() as connection:
        oldest = followups.next_due(connection)
    if oldest is None:
        return float("inf")
    due = oldest + timedelta(seconds=settings.outbound.coalesce_seconds)
    return max(0.02, (due - datetime.now(UTC)).total_seconds())
