"""The daemon: which roles there are, and what each needs.

Each role is made from the settings alone and runs in this process's one event loop; what it shares with the others is the
store. On several machines each runs some of them (`--only`), on one PostgreSQL.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog

from gateway import __version__
from gateway.daemon import jobs, supervise
from gateway.settings import Settings

log = structlog.get_logger(__name__)


def _jobs(settings: Settings) -> supervise.Role:
    return supervise.Role("jobs", lambda stop: jobs.run((), stop))


ROLES: dict[str, Callable[[Settings], supervise.Role]] = {"jobs": _jobs}


def run(settings: Settings, only: Collection[str]) -> None:
    """Run the roles named in `only` until SIGTERM or SIGINT.

    Raises `ConfigurationError` where one of them cannot start with these settings.
    """
    asyncio.run(serve([make(settings) for name, make in ROLES.items() if name in only]))


async def serve(roles: list[supervise.Role]) -> None:
    """The roles under supervision, stopped by signals."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    with supervise.signals(stop, hurry):
        log.info("starting", version=__version__, roles=[role.name for role in roles])
        await supervise.supervise(roles, stop, hurry=hurry)
    log.info("stopped")
