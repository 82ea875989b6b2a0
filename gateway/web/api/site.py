"""What all requests to the API share."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from gateway.actions.review import Judge
from gateway.health import Board
from gateway.settings import Settings
from gateway.store.engine import Store
from gateway.web.api.quotas import Quotas
from gateway.web.feed import Feed

T = TypeVar("T")

PREFIX = "/api/v1"
THREADS = 6
"""The store has connections for more, which the senders and readers of the same process need."""


def _no_judge() -> Judge:
    raise AssertionError("this process judges no messages")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Site:
    """`running`: requests with an Idempotency-Key that this process is at, by token and key.
    `feed`: tells of news.
    """

    store: Store
    settings: Settings
    clock: Callable[[], datetime] = _now
    judge: Callable[[], Judge] = _no_judge
    """Who judges a message anew; asked for outside of a transaction."""
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="api")
    )
    quotas: Quotas = field(init=False)
    running: set[tuple[int, str]] = field(default_factory=set)
    feed: Feed | None = None
    board: Board = field(default_factory=Board)
    """What this process itself knows of how it goes."""
    gateway: str = ""
    """This process in the store's leases; "" where it has none."""

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.settings.web.requests_per_minute)

    async def run(self, work: Callable[[], T]) -> T:
        """Do what reads or writes the store, away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)
