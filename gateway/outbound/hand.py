"""How many letters a worker has in hand: a batch, or as many as leave in the next moment.

What is in hand is claimed, so it no longer follows its record, and nobody can hold it. But with few
letters in hand a fast server waits for the store, which writes claims and results to the disk.
Pure: times are arguments.
"""

AHEAD_SECONDS = 0.3
MOST_BATCHES = 5


class Hand:
    """`batch`: letters that may be in hand at any speed (`outbound.batch`)."""

    def __init__(self, batch: int) -> None:
        self.size = batch
        """How many letters may be in hand now."""
        self._batch = batch
        self._left = 0
        self._since: float | None = None

    def leave(self, number: int) -> None:
        """So many letters are settled."""
        self._left += number

    def claim(self, at: float) -> None:
        """Letters are claimed at this time (seconds of any clock that never goes back): what left
        since the last claim says how many leave in `AHEAD_SECONDS`.
        """
        if self._since is not None and at > self._since:
            soon = round(self._left / (at - self._since) * AHEAD_SECONDS)
            self.size = min(max(self._batch, soon), MOST_BATCHES * self._batch)
        self._since, self._left = at, 0
