"""How many requests a token may make in a minute, counted over all processes of a store.

A minute begins with its first request. A process takes a share of it from the store at a time, and
spends that from memory, so that most requests write nothing: what one process has not spent, no
other one may.

Standards: draft-ietf-httpapi-ratelimit-headers.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from gateway.store import pace
from gateway.store.engine import Store

WINDOW_SECONDS = 60
SHARES = 20
"""Into so many shares a minute is cut."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left. `seconds`: until the next minute begins."""

    limit: int
    left: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"token";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"token";r={max(0, self.left)};t={self.seconds}',
        }

    @property
    def is_over(self) -> bool:
        return self.left < 0


@dataclass(slots=True)
class Minute:
    """What this process knows of a token's minute. `given`: to all processes; `mine`: of that, and
    not spent.
    """

    ends: datetime
    given: int = 0
    mine: int = 0


class Quotas:
    """`limit` requests in each minute for each token; 0 counts nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minutes: dict[int, Minute] = {}
        self._lock = threading.Lock()

    def take(self, store: Store, token: int, now: datetime) -> Quota | None:
        """One request."""
        if not self.limit:
            return None
        quota = self._spent(token, now)
        if quota is not None:
            return quota
        share = max(1, self.limit // SHARES)
        with store.write() as connection:
            granted = pace.grant(connection, f"api token {token}", self.limit, share, now)
        return self._granted(token, granted, now)

    def _spent(self, token: int, now: datetime) -> Quota | None:
        """From memory; None where the store has to be asked."""
        with self._lock:
            minute = self._minutes.get(token)
            if minute is None or not now < minute.ends <= now + timedelta(seconds=WINDOW_SECONDS):
                return None
            if not minute.mine and minute.given < self.limit:
                return None
            return self._one(minute, now)

    def _granted(self, token: int, granted: pace.Grant, now: datetime) -> Quota:
        """The first one of what was just granted."""
        with self._lock:
            minute = self._minutes.get(token)
            if minute is None or minute.ends != granted.ends:
                minute = self._minutes[token] = Minute(granted.ends)
            minute.given = max(minute.given, granted.used)
            minute.mine += granted.number
            return self._one(minute, now)

    def _one(self, minute: Minute, now: datetime) -> Quota:
        seconds = ceil((minute.ends - now).total_seconds())
        if not minute.mine:
            return Quota(self.limit, -1, seconds)
        minute.mine -= 1
        return Quota(self.limit, self.limit - minute.given + minute.mine, seconds)
