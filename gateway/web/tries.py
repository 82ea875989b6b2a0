"""How often one address may try something in a minute, in the memory of this process.

Limits: `MOST_KNOWN` addresses are remembered; when more come within a minute, those that tried
longest ago are forgotten.
"""

from collections import OrderedDict, deque

WINDOW_SECONDS = 60.0
MOST_KNOWN = 10_000


class Tries:
    """`limit` tries in any minute for each address."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known = OrderedDict[str, deque[float]]()

    def take(self, who: str, now: float) -> int:
        """One try at `now`, in seconds of any clock that does not go back. Returns how many seconds
        to wait; 0 where it is taken.
        """
        times = self._known.setdefault(who, deque())
        self._known.move_to_end(who)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if len(times) >= self.limit:
            return int(times[0] + WINDOW_SECONDS - now) + 1
        times.append(now)
        return 0
