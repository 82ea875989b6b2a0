"""A sender's own lease, as far as the sender knows it: whether what it claimed is certainly still
its own, so that a process that was held up hands over nothing that another may have taken over.

The store says when a lease runs out (`store.leases`), and a store that is away cannot be asked. So
letters are handed over only within `SAFE` of the last renewal, which is `leases.RENEWAL_SECONDS`
less than it lasts: what is being written to the server then has that long to get there. Two clocks
must agree: one that is never set back, and the clock of the day, which goes on while a machine
sleeps. Whose fencing number has changed has lost all that it had in hand, though its lease is its
own again.

Limits: the server's answer to a letter whose last octet left in time may come when another gateway
has taken the letter over. That one repeats it as a letter that may have arrived, with the same
Message-ID.
"""

from datetime import datetime, timedelta

from gateway.store import leases

SAFE = leases.LIFE - timedelta(seconds=leases.RENEWAL_SECONDS)


class Lease:
    """`is_lost`: what was claimed before the last renewal may be another's now."""

    def __init__(self) -> None:
        self.is_lost = False
        self._fence: int | None = None
        self._renewed: tuple[datetime, float] | None = None

    def renewed(self, fence: int, at: datetime, clock: float) -> None:
        """It was renewed. `at`, `clock`: by both clocks, when that began."""
        self.is_lost = self.is_lost or self._fence not in (None, fence)
        self._fence, self._renewed = fence, (at, clock)

    def stands(self, at: datetime, clock: float) -> bool:
        """Whether a letter that was claimed under it may be handed over now."""
        if self.is_lost or self._renewed is None:
            return False
        day, steady = self._renewed
        return max(at - day, timedelta(seconds=clock - steady)) < SAFE

    def start_over(self) -> None:
        """Nothing is in hand that was claimed before."""
        self.is_lost = False
