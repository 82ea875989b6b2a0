"""How many requests a token may make: a bucket that fills evenly, in the memory of this process.

Standards: draft-ietf-httpapi-ratelimit-headers. Limits: with several processes each counts for
itself.
"""

from dataclasses import dataclass

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left. `seconds`: until the bucket is full again, or where nothing is left until the
    next request is taken.
    """

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


class Buckets:
    """`limit` requests in each window for each token; 0 counts nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._levels: dict[int, tuple[float, float]] = {}

    def take(self, token: int, now: float) -> Quota | None:
        """One request at `now`, in seconds of any clock that does not go back."""
        if not self.limit:
            return None
        pace = self.limit / WINDOW_SECONDS
        level, since = self._levels.get(token, (float(self.limit), now))
        level = min(float(self.limit), level + (now - since) * pace)
        if level < 1:
            self._levels[token] = (level, now)
            return Quota(self.limit, -1, int((1 - level) / pace) + 1)
        self._levels[token] = (level - 1, now)
        return Quota(self.limit, int(level - 1), int((self.limit - level + 1) / pace))
