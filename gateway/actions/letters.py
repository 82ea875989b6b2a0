"""The letters of the outbox, for people: what is owed, and the very bytes that would leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway import settings as configuration
from gateway.actions import planning
from gateway.model import LetterState
from gateway.store import followups, meta, outbox
from gateway.store.engine import Store
from gateway.store.outbox import Queued

SHOWN = tuple(state for state in LetterState if state is not LetterState.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Listing:
    """Letters, oldest first; `keys`: the participants' keys by number;
    `secret`: what rendering them needs.
    """

    letters: Sequence[Queued]
    keys: Mapping[int, str]
    secret: bytes


def owed(
    store: Store, settings: configuration.Settings, now: datetime, *, pending: bool = False
) -> Listing:
    """Plan everything that changed, as the daemon would once the coalescing windows are over, and
    list the outbox.

    `pending`: only letters that have not come to an end. Sends nothing; called again it lists the
    same letters.
    """
    planning.revive(store, settings, now)
    planning.plan_due(store, settings, now, everything=True)
    with store.write() as connection:
        secret = meta.site_secret(connection)
    with store.read() as connection:
        letters = outbox.pending(connection, outbox.OPEN if pending else SHOWN)
        members = followups.members(connection, ids=sorted({one.participant for one in letters}))
    return Listing(letters, {one.id: one.key for one in members}, secret)
