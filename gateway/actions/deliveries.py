"""Letters on their way: claimed by this gateway, settled by what the server said, each step one
transaction.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway import sections
from gateway.accounts import DEFAULT
from gateway.actions import deciding
from gateway.mail import address, bounce, refusals
from gateway.mail.refusals import Fault
from gateway.model import Delivery, LetterState, Method
from gateway.store import (
    claims,
    clock,
    engine,
    journal,
    leases,
    meta,
    outbox,
    pace,
    refused,
    reports,
)
from gateway.store.engine import Connection, Store
from gateway.store.outbox import Attempt, Queued, Settlement
from gateway.store.pace import Rest, Room

log = structlog.get_logger(__name__)

EVENTS = {
    LetterState.SENT: "sent",
    LetterState.DROPPED: "dropped",
    LetterState.HELD: "held",
}
"""What the journal says of a letter that has come to an end; waiting for another try is told once,
when it begins.
"""
IN_A_ROW_WITHIN = timedelta(days=3)
"""Refusals that lie further back belong to no row: their letters would be given up by now."""


ALARM_EVERY = timedelta(hours=1)
"""How often it is said that mail comes back for the account's sake."""
REST_AFTER_REPORTS = timedelta(minutes=15)
QUOTAS = ("quota", "suspended")
"""Rules of `refusals` that more letters would only make worse."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Letters that were refused in a row with the same words, and wait again: that was the
    account's fault. `words`: the server's.
    """

    words: str
    letters: frozenset[int]
    follow_ups: frozenset[str]


def claim(
    store: Store,
    gateway: str,
    now: datetime,
    room: Room,
    *,
    account: str = DEFAULT,
    limits: sections.Outbound | None = None,
) -> list[Queued]:
    """Take due letters of an account; those of gateways that died are free again first.

    `room`: what this one has room for; `limits`: of the account, over all gateways. An account
    whose daily budget ends with these letters is told of once, in the log and in the journal.
    """
    limits = limits or sections.Outbound()
    with store.read() as connection:
        due = outbox.next_due(connection, account)
        stranded = claims.stranded(connection, gateway)
        longest = timedelta(seconds=limits.longest_retry_seconds)
        ahead = clock.ahead(connection, account, now, longest)
    if not stranded and not ahead and (due is None or due > now):
        return []
    with store.write() as connection:
        if ahead:
            log.warning("the clock was set back; letters are due now", letters=len(ahead))
            clock.make_due(connection, ahead, now)
        leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)
        if stranded:
            claims.free_dead(connection, now)
        fits = pace.room(connection, account, limits, now).within(room)
        letters = claims.take(connection, gateway, now, room.letters, account=account, room=fits)
        taken = Counter(address.domain(queued.letter.address) for queued in letters)
        spent = pace.spend(connection, account, limits, taken, now)
        if spent:
            words = f"{account}: {limits.per_day} letters in 24 hours"
            journal.write(connection, [journal.Entry("budget_spent", detail=words)], now)
    if spent:
        log.error(
            "the daily budget is used up: letters wait", account=account, per_day=limits.per_day
        )
    return letters


def found(store: Store, gateway: str, in_hand: Collection[int], now: datetime) -> list[Queued]:
    """What this gateway claimed besides what it has in hand, for the answer to a claim may be lost.
    A claim that is just being kept has the lease, and is waited for.
    """
    with store.write() as connection:
        leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)
        return claims.found(connection, gateway, in_hand, now)


def settle(
    store: Store,
    gateway: str,
    letters: Sequence[tuple[Queued, Settlement, Attempt | None]],
    now: datetime,
    limits: sections.Outbound | None = None,
) -> Blame | None:
    """Keep what came of each letter, its attempt, and what the journal should say of it. Returns
    what turns out to be the account's fault.

    Reports that come in meanwhile lock the same invitations in the order of their arrival. What is
    forgotten for that would leave twice.
    """
    give_up = timedelta(seconds=(limits or sections.Outbound()).give_up_seconds)

    def work() -> Blame | None:
        with store.write() as connection:
            return _settle(connection, gateway, letters, now, give_up)

    return engine.retried(work)


def _settle(
    connection: Connection,
    gateway: str,
    letters: Sequence[tuple[Queued, Settlement, Attempt | None]],
    now: datetime,
    give_up: timedelta,
) -> Blame | None:
    attempts = [attempt for _, _, attempt in letters if attempt is not None]
    attempts.sort(key=lambda attempt: attempt.started_at + timedelta(seconds=attempt.seconds))
    ours = claims.settle(
        connection, [settlement for _, settlement, _ in letters], attempts, gateway, now
    )
    accounts = {
        queued.letter.account
        for queued, settlement, _ in letters
        if settlement.state is LetterState.REFUSED
    }
    blame, back = None, set[int]()
    for account in sorted(accounts):
        for row in _in_a_row(connection, account, now):
            if (new_blame := _put_back(connection, row, now, give_up)) is not None:
                blame, back = new_blame, back | new_blame.letters
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
            if queued.id in ours - back and _told(queued, settlement)
        ],
        now,
    )
    keys = {queued.follow_up for queued, _, _ in letters}
    deciding.follow(connection, keys, now, {queued.participant for queued, _, _ in letters})
    return blame


def _in_a_row(
    connection: Connection, account: str, now: datetime
) -> tuple[tuple[refusals.Refusal, ...], ...]:
    since = refused.since_taken(connection, account, now - IN_A_ROW_WITHIN)
    before = refused.before(connection, account, {refusal.letter for refusal in since})
    return refusals.blamed(since, before)


def _put_back(
    connection: Connection, row: Sequence[refusals.Refusal], now: datetime, give_up: timedelta
) -> Blame | None:
    """Have letters that were refused in a row wait again, but none that was often and for long: in
    the end it is refused for itself. Where that was the last one of the account, nothing is left
    that could end its rest.
    """
    said = row[-1].said
    words = " ".join(filter(None, [str(said.code or ""), said.text]))
    tried = outbox.find(
        connection, outbox.Selection(numbers=tuple({refusal.letter for refusal in row}))
    )
    again = {
        letter.id
        for letter in tried
        if not refusals.for_long(letter.tries, now - letter.created_at, give_up)
    }
    numbers = refused.put_back(connection, again, words, now)
    if not numbers:
        account = tried[0].letter.account
        if len(again) < len(tried) and not outbox.follow_ups_waiting(connection, account):
            _resume(connection, account, now)
        return None
    letters = outbox.find(connection, outbox.Selection(numbers=tuple(numbers)))
    journal.write(
        connection,
        [
            journal.Entry(
                "put_back", letter.follow_up, letter.participant, letter=letter.id, detail=words
            )
            for letter in letters
        ],
        now,
    )
    return Blame(words, frozenset(numbers), frozenset(letter.follow_up for letter in letters))


def came_back(
    connection: Connection, returned: reports.Returned, report: bounce.Report, now: datetime
) -> bool:
    """What a delivery report says of our account, not of the invitee: their letter waits as
    refused, to be tried again when the account is in order (`queue retry`), and one alarm is raised
    in an hour. Returns whether it does say so: of a letter that the invitee's server sent on it
    says so of that server.
    """
    to = returned.invitation
    said = refusals.reported(report.status, report.diagnostic)
    if refusals.fault(said) not in (Fault.ACCOUNT, Fault.CONNECTIONS):
        return False
    if bounce.of_forwarder(report, to.address):
        return False
    words = report.diagnostic or report.status
    reports.blame_account(connection, returned, words, now)
    detail = f"{to.account}: {words}"
    if not journal.told_of_account(connection, "account_blamed", to.account, now - ALARM_EVERY):
        log.error("mail comes back for the account's sake", account=to.account, answer=words)
        journal.write(connection, [journal.Entry("account_blamed", detail=detail)], now)
    if _sends_too_much(connection, to.account, now):
        rest = Rest(to.account, now, now + REST_AFTER_REPORTS, 1, refusals.REPORT, words)
        pace.begin_rest(connection, rest)
        journal.write(connection, [journal.Entry("account_paused", detail=detail)], now)
    return True


def _sends_too_much(connection: Connection, account: str, now: datetime) -> bool:
    """Whether an account should rest that does not: more letters would only make worse what several
    reports say. One alone proves nothing: everybody who has a letter can write a report of it.
    """
    if pace.rest_of(connection, account) is not None:
        return False
    recent = refused.recently(connection, account, now - ALARM_EVERY)
    quotas = set[str]()
    for recipient, words in recent:
        rule = refusals.rule(refusals.reported("", words))
        if rule is not None and rule.name in QUOTAS:
            quotas.add(recipient)
    return len(quotas) >= refusals.IN_A_ROW


def others_taken(store: Store, account: str) -> bool:
    """Whether the last letter of an account that came to a decision was taken."""
    with store.read() as connection:
        return refused.others_taken(connection, account)


def rest_of(store: Store, account: str) -> tuple[Rest | None, bool]:
    """The rest of an account as all gateways and administrators see it, and whether somebody has
    paused all sending.
    """
    with store.read() as connection:
        return pace.rest_of(connection, account), meta.paused(connection) is not None


def held(store: Store) -> int:
    """How many letters preflight holds."""
    with store.read() as connection:
        summary = outbox.preflight(connection)
    return summary.letters if summary is not None else 0


def rest(store: Store, account_rest: Rest, now: datetime) -> None:
    """Show that an account rests. The journal says when it begins, not every try on the way."""
    with store.write() as connection:
        if pace.begin_rest(connection, account_rest):
            journal.write(
                connection,
                [
                    journal.Entry(
                        "account_paused", detail=f"{account_rest.account}: {account_rest.words}"
                    )
                ],
                now,
            )


def resume(store: Store, account: str, now: datetime, ended: Rest | None = None) -> None:
    """Show that an account works. `ended`: the rest that is over; None: whatever rest there is."""
    with store.write() as connection:
        _resume(connection, account, now, ended)


def _resume(connection: Connection, account: str, now: datetime, ended: Rest | None = None) -> None:
    if pace.end_rest(connection, account, ended):
        journal.write(connection, [journal.Entry("account_resumed", detail=account)], now)


def renew(store: Store, gateway: str, now: datetime) -> int:
    """Show that this gateway lives, so that its claims stay its own. Returns the fencing number:
    another one than before tells that they were not, and may have been taken over.
    """
    with store.write() as connection:
        fence = leases.take(connection, f"{leases.GATEWAY}{gateway}", gateway, now)
    assert fence is not None  # nobody else takes a lease of this name
    return fence


def leave(store: Store, gateway: str) -> None:
    """Give back everything at a graceful stop."""
    with store.write() as connection:
        claims.release(connection, gateway)
        leases.release(connection, f"{leases.GATEWAY}{gateway}", gateway)


def _event(queued: Queued, settlement: Settlement) -> str:
    if (
        queued.letter.method is Method.NONE and settlement.state is not LetterState.WAITING
    ):  # words for the owner
        return "forwarded" if settlement.state is LetterState.SENT else "not_forwarded"
    if settlement.delivery is Delivery.UNDELIVERABLE:  # refused for good, or tried for too long
        return "undeliverable"
    return EVENTS.get(settlement.state, "deferred")


def _told(queued: Queued, settlement: Settlement) -> bool:
    return settlement.state is not LetterState.WAITING or (
        settlement.delivery is Delivery.DEFERRED and queued.tries == 0
    )
