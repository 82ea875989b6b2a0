"""Letters on their way: claimed by this gateway, settled by what the server said, each step one
transaction.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import structlog

from gateway import settings as configuration
from gateway.accounts import DEFAULT
from gateway.errors import StoreError
from gateway.mail import address
from gateway.model import Delivery, LetterState, Method
from gateway.store import engine, journal, leases, outbox, pace
from gateway.store.engine import Store
from gateway.store.outbox import Attempt, Queued, Settlement
from gateway.store.pace import Rest, Room

log = structlog.get_logger(__name__)

EVENTS = {
    LetterState.SENT: "sent",
    LetterState.REFUSED: "undeliverable",
    LetterState.DROPPED: "dropped",
    LetterState.HELD: "held",
}
"""What the journal says of a letter that has come to an end; waiting for another try is told once,
when it begins.
"""
TRIES = 5


def claim(
    store: Store,
    gateway: str,
    now: datetime,
    limit: int,
    *,
    account: str = DEFAULT,
    limits: configuration.Outbound | None = None,
    room: Room | None = None,
) -> list[Queued]:
    """Take up to `limit` due letters of an account; those of gateways that died are free again
    first.

    `limits`: of the account, over all gateways; `room`: what this one has room for. An account
    whose daily budget ends with these letters is told of once, in the log and in the journal.
    """
    limits = limits or configuration.Outbound()
    with store.read() as connection:
        due = outbox.next_due(connection, account)
        stranded = outbox.stranded(connection, gateway)
    if not stranded and (due is None or due > now):
        return []
    with store.write() as connection:
        leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)
        if stranded:
            outbox.free_dead(connection, now)
        left = pace.room(connection, account, limits, now)
        letters = outbox.claim(
            connection,
            gateway,
            now,
            limit,
            account=account,
            room=left.within(room) if room is not None else left,
        )
        spent = pace.spend(
            connection,
            account,
            limits,
            Counter(address.domain(one.letter.address) for one in letters),
            now,
        )
        if spent:
            journal.write(
                connection,
                [
                    journal.Entry(
                        "budget_spent", detail=f"{account}: {limits.per_day} letters in 24 hours"
                    )
                ],
                now,
            )
    if spent:
        log.error(
            "the daily budget is used up: letters wait", account=account, per_day=limits.per_day
        )
    return letters


def settle(
    store: Store,
    gateway: str,
    letters: Sequence[tuple[Queued, Settlement, Attempt | None]],
    now: datetime,
) -> None:
    """Keep what came of each letter, its attempt, and what the journal should say of it.

    Reports that come in meanwhile lock the same invitations in the order of their arrival. What is
    forgotten for that would leave twice.
    """
    for again in range(TRIES, 0, -1):
        try:
            _settle(store, gateway, letters, now)
            return
        except StoreError as error:
            if again == 1 or not engine.collided(error):
                raise
            log.warning(
                "another transaction went first: letters are settled anew", letters=len(letters)
            )


def _settle(
    store: Store,
    gateway: str,
    letters: Sequence[tuple[Queued, Settlement, Attempt | None]],
    now: datetime,
) -> None:
    with store.write() as connection:
        kept = outbox.settle(
            connection,
            [settlement for _, settlement, _ in letters],
            [attempt for _, _, attempt in letters if attempt is not None],
            gateway,
            now,
        )
        journal.write(
            connection,
            [
                journal.Entry(
                    _event(queued, settlement),
                    queued.follow_up,
                    queued.participant,
                    letter=queued.id,
                    after=settlement.delivery.value,
                    detail=settlement.note,
                )
                for queued, settlement, _ in letters
                if queued.id in kept and _told(queued, settlement)
            ],
            now,
        )


def held(store: Store) -> int:
    """How many letters preflight holds."""
    with store.read() as connection:
        found = outbox.preflight(connection)
    return found.letters if found is not None else 0


def rest(store: Store, one: Rest, now: datetime) -> None:
    """Show that an account rests. The journal says when it begins, not every try on the way."""
    with store.write() as connection:
        if pace.begin_rest(connection, one):
            journal.write(
                connection,
                [journal.Entry("account_paused", detail=f"{one.account}: {one.words}")],
                now,
            )


def resume(store: Store, account: str, now: datetime) -> None:
    """Show that an account works."""
    with store.write() as connection:
        if pace.end_rest(connection, account):
            journal.write(connection, [journal.Entry("account_resumed", detail=account)], now)


def renew(store: Store, gateway: str, now: datetime) -> None:
    """Show that this gateway lives, so that its claims stay its own."""
    with store.write() as connection:
        leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)


def leave(store: Store, gateway: str) -> None:
    """Give back everything at a graceful stop."""
    with store.write() as connection:
        outbox.release(connection, gateway)
        leases.release(connection, f"{leases.GATEWAY}{gateway}", gateway)


def _event(queued: Queued, settlement: Settlement) -> str:
    if (
        queued.letter.method is Method.NONE and settlement.state is not LetterState.WAITING
    ):  # words for the owner
        return "forwarded" if settlement.state is LetterState.SENT else "not_forwarded"
    return EVENTS.get(settlement.state, "deferred")


def _told(queued: Queued, settlement: Settlement) -> bool:
    return settlement.state is not LetterState.WAITING or (
        settlement.delivery is Delivery.DEFERRED and queued.tries == 0
    )
