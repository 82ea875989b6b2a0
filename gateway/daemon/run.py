"""The daemon: which roles there are, and what each needs.

The roles share one event loop and one store, and nothing else. On several machines each runs some of them (`--only`), on one
PostgreSQL; the leases of the store keep them out of each other's way.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog

from gateway import __version__
from gateway.daemon import jobs, presence, supervise
from gateway.errors import StoreError
from gateway.settings import Settings
from gateway.store import leases
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

TAKE_OVER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Process:
    """What all roles of this process share. `holder`: its name in the store's leases."""

    settings: Settings
    store: Store
    holder: str


def _jobs(process: Process) -> supervise.Role:
    clock = [jobs.Job("take over", TAKE_OVER_SECONDS, partial(asyncio.to_thread, presence.take_over, process.store))]
    return supervise.Role("jobs", partial(jobs.run, clock))


ROLES: dict[str, Callable[[Process], supervise.Role]] = {"jobs": _jobs}


def run(settings: Settings, store: Store, only: Collection[str]) -> None:
    """Run the roles named in `only` until SIGTERM or SIGINT. `store` stays open.

    Raises `ConfigurationError` where one of them cannot start with these settings, `StoreError` where the store cannot be used.
    """
    asyncio.run(serve(Process(settings, store, leases.identity()), only))


async def serve(process: Process, only: Collection[str]) -> None:
    """As `run`, in the running loop."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    roles = [make(process) for name, make in ROLES.items() if name in only]
    log.info("starting", version=__version__, roles=[role.name for role in roles])
    await asyncio.to_thread(presence.announce, process.store, process.holder)
    life = supervise.Role("presence", partial(presence.keep, process.store, process.holder))
    try:
        with supervise.signals(stop, hurry):
            await supervise.supervise([*roles, life], stop, hurry=hurry)
    finally:
        await _leave(process)
    log.info("stopped")


async def _leave(process: Process) -> None:
    try:
        await asyncio.to_thread(presence.leave, process.store, process.holder)
    except StoreError as error:
        # Whoever comes next finds the lease run out.
        log.warning("claims could not be given back", error=str(error))
