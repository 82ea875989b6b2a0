"""The letters of the outbox, for people: what is owed, and the very bytes that would leave."""

from collections.abc import Iterator, Mapping, Sequence
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


def plan(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """Plan everything that changed, as the daemon would once the coalescing windows are over.
    Sends nothing.
    """
    planning.revive(store, settings, now)
    planning.plan_due(store, settings, now, everything=True)


def listings(store: Store, *, pending: bool = False) -> Iterator[Listing]:
    """The outbox, some letters at a time. `pending`: only those that have not come to an end."""
    with store.write() as connection:
        secret = meta.site_secret(connection)
    chosen = outbox.Selection(states=outbox.OPEN if pending else SHOWN)
    with store.read() as connection:
        for letters in outbox.each(connection, chosen):
            numbers = sorted({letter.participant for letter in letters})
            members = followups.members(connection, ids=numbers)
            yield Listing(letters, {member.id: member.key for member in members}, secret)
