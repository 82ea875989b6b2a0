"""Whose letter is next: at most so many at a time, and to one destination no more than it has shown
that it can take.

A destination begins with half of the first connections, gets one more whenever it used all it had
and took a letter, and falls to one when it puts a letter off or does not answer: a domain that is
slow, or down, never has all connections to itself. Destinations that wait take turns.

An account begins with `FEW` connections at most. While the server takes letters without complaint
over all that there are, one more is opened each time that it has taken one letter for each of them:
on a line of 20 ms a letter takes six times that, whatever the machines can do.

A server that allows fewer connections than are configured (Microsoft 365: three, "432 4.3.2
Concurrent connections limit exceeded") says so when it is asked for more. From then on so many are
used as it took; one more is tried after `PATIENCE` letters, and after twice as many each time that
this is refused again. Some say nothing of it and hang up, or answer 421: where that happens at the
door, and there are more connections than at the beginning, there are as many as then again.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator

FEW = 5
PATIENCE = 100
LONGEST_PATIENCE = 10_000


class Turns:
    """Turns of one account; not for several threads. `most`: how many at a time."""

    def __init__(self, most: int) -> None:
        self._most, self._few = most, min(most, FEW)
        self._first = max(1, self._few // 2)
        self._limit, self._complained, self._relearnt = self._few, False, False
        self._lowered = 0
        self._patience, self._taken = PATIENCE, 0
        self._windows: dict[str, int] = {}
        self._busy = Counter[str]()
        self._used = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def window(self, domain: str) -> int:
        """How many letters at a time may be on their way to a domain."""
        return self._windows.get(domain, self._first)

    @contextlib.asynccontextmanager
    async def turn(self, domain: str) -> AsyncIterator[int]:
        """Inside, a letter to the domain may be sent. Gives when that began (`turned_away`)."""
        await self._wait(domain)
        try:
            yield self._lowered
        finally:
            self._free(domain)

    @property
    def limit(self) -> int:
        """How many connections are used at most, as far as the server is known to allow them."""
        return self._limit

    def crowded(self) -> bool:
        """The server wants fewer connections than are in use. Called inside the turn that met it.
        Returns whether there can be fewer.
        """
        fewer = min(self._limit, self._used) - 1
        self._lower(max(1, fewer))
        return fewer >= 1

    def turned_away(self, began: int) -> bool:
        """The server did not let a connection in, and said nothing of their number. Returns whether
        that may be the reason: then there are as few again as at the beginning. `began`: of the
        turn that met it (`turn`).
        """
        if began < self._lowered:
            return True  # it began before there were to be fewer
        if self._limit <= self._few:
            return False
        self._lower(self._few)
        return True

    def _lower(self, limit: int) -> None:
        if self._relearnt:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
        self._complained, self._relearnt, self._taken = True, False, 0
        self._limit = limit
        self._lowered += 1

    def took(self, domain: str) -> None:
        """The domain took a letter. Called inside its turn."""
        if self._complained or self._used >= self._limit:
            self._taken += 1
        enough = self._patience if self._complained else self._limit
        if self._limit < self._most and self._taken >= enough:
            self._limit += 1
            self._taken = 0
            self._relearnt = self._complained
        window = self.window(domain)
        if self._busy[domain] >= window or window < self._first:
            self._keep(domain, min(self._most, window + 1))

    def balked(self, domain: str) -> None:
        """The domain put a letter off, or did not answer."""
        self._keep(domain, 1)

    def _keep(self, domain: str, window: int) -> None:
        self._windows[domain] = window
        if window == self._first:
            del self._windows[domain]

    async def _wait(self, domain: str) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(domain, deque()).append(granted)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._forget(domain, granted)
            else:  # given and taken back in one moment
                self._free(domain)
            raise

    def _free(self, domain: str) -> None:
        self._used -= 1
        self._busy[domain] -= 1
        if not self._busy[domain]:
            del self._busy[domain]
        self._grant()

    def _grant(self) -> None:
        """Give free turns to those who wait, one to each domain in rotation."""
        while self._used < self._limit:
            domain = next(
                (name for name in self._waiting if self._busy[name] < self.window(name)), None
            )
            if domain is None:
                return
            queue = self._waiting.pop(domain)
            granted = queue.popleft()
            if queue:
                self._waiting[domain] = queue  # behind the others
            if not granted.done():
                self._used += 1
                self._busy[domain] += 1
                granted.set_result(None)

    def _forget(self, domain: str, granted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(domain)
        if queue is not None and granted in queue:
            queue.remove(granted)
            if not queue:
                del self._waiting[domain]
