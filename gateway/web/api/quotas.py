"""How many requests a token, or an address, may make in a minute, counted over all processes of a
store.

A minute begins with its first request. A process takes a share of it from the store at a time, and
spends that from memory, so that most requests write nothing: what one process has not spent, no
other one may.

Standards: draft-ietf-httpapi-ratelimit-headers. Limits: of `MOST_KNOWN` names a process keeps what
it has not spent; of more that which was asked for longest ago is lost, never given twice.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from gateway.store import pace
from gateway.store.engine import Store

WINDOW_SECONDS = 60
SHARES = 20
"""Into so many shares a minute is cut, if nothing else is said."""
MOST_KNOWN = 10_000


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
    """What this process knows of somebody's minute. `given`: to all processes; `mine`: of that, and
    not spent.
    """

    ends: datetime
    given: int = 0
    mine: int = 0


class Quotas:
    """`limit` requests in each minute for each name; 0 counts nothing. `kind`: of names."""

    def __init__(self, limit: int, kind: str = "api token", shares: int = SHARES) -> None:
        self.limit = limit
        self._kind, self._share = kind, max(1, limit // shares)
        self._minutes = OrderedDict[str, Minute]()
        self._lock = threading.Lock()

    def take(self, store: Store, who: str, now: datetime) -> Quota | None:
        """One request."""
        if not self.limit:
            return None
        quota = self._spent(who, now)
        if quota is not None:
            return quota
        with store.write() as connection:
            name = f"{self._kind} {who}"
            granted = pace.grant(connection, name, self.limit, self._share, now)
        return self._granted(who, granted, now)

    def _spent(self, who: str, now: datetime) -> Quota | None:
        """From memory; None where the store has to be asked."""
        with self._lock:
            minute = self._minutes.get(who)
            if minute is None or not now < minute.ends <= now + timedelta(seconds=WINDOW_SECONDS):
                return None
            if not minute.mine and minute.given < self.limit:
                return None
            return self._one(minute, now)

    def _granted(self, who: str, granted: pace.Grant, now: datetime) -> Quota:
        """The first one of what was just granted."""
        with self._lock:
            minute = self._minutes.get(who)
            if minute is None or minute.ends != granted.ends:
                minute = self._minutes[who] = Minute(granted.ends)
            self._minutes.move_to_end(who)
            if len(self._minutes) > MOST_KNOWN:
                self._minutes.popitem(last=False)
            minute.given = max(minute.given, granted.used)
            minute.mine += granted.number
            return self._one(minute, now)

    def _one(self, minute: Minute, now: datetime) -> Quota:
        seconds = ceil((minute.ends - now).total_seconds())
        if not minute.mine:
            return Quota(self.limit, -1, seconds)
        minute.mine -= 1
        return Quota(self.limit, self.limit - minute.given + minute.mine, seconds)
