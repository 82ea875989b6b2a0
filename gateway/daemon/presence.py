"""This process's sign of life in the store, by which other gateways know that what it has claimed is being worked on.

On failure: a renewal that fails is logged and tried again; if it fails for longer than the lease's life, another gateway takes
over this one's letters and mailboxes, and what this one still settles of them is ignored by the store.
A killed process leaves its claims behind; they are taken over once its lease has run out, on the same host at once.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from gateway.errors import StoreError
from gateway.store import leases, outbox
from gateway.store.engine import Store

log = structlog.get_logger(__name__)


def announce(store: Store, holder: str) -> None:
    """Take or renew the lease of this gateway. Before its first claim, or others would take it for dead."""
    with store.write() as connection:
        leases.take(connection, f"gateway:{holder}", holder, datetime.now(UTC))


def leave(store: Store, holder: str) -> None:
    """Give back everything this gateway holds, so that nobody has to wait for its lease to run out."""
    with store.write() as connection:
        outbox.release(connection, holder)
        leases.release(connection, holder)


async def keep(store: Store, holder: str, stop: asyncio.Event) -> None:
    """Renew the lease until `stop` is set."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(announce, store, holder)
        except StoreError as error:
            log.warning("the sign of life could not be written", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), leases.RENEWAL_SECONDS)


def take_over(store: Store) -> None:
    """Free the letters of gateways that no longer live; they leave again with the same Message-ID."""
    with store.write() as connection:
        freed = outbox.free_dead(connection, datetime.now(UTC))
    if freed:
        log.warning("letters taken over from a gateway that stopped", letters=freed)
