"""What follows from a receipt, and when: the delivery policy, pure. The clock and the dice are
arguments.

    step             2xx    4xx                          5xx                         no answer
    CONNECT … AUTH   -      CONNECTION                   ACCOUNT                     CONNECTION
    MAIL             -      RETRY; CONNECTION if ours    ACCOUNT; REFUSED if about   RETRY
                                                         the letter
    RCPT             -      RETRY; CONNECTION if ours    by whose fault it is        RETRY
    DATA, BODY       SENT*  RETRY; CONNECTION if ours    by whose fault it is        RETRY
    * only BODY; a 2xx or 3xx anywhere else is a server out of step: as "no answer"

Whose fault a refusal is stands in `mail/refusals`, by the server's words. "Ours" is a limit of the
account or of its connections. The letter's or the account's (`DOUBTFUL`: called spam, or refused by
some policy) is the letter's where others of the account are taken, else the account's. So is
what names our side, in the end: a letter that has met it often, and for as long as any is tried,
while others were taken (a forwarder, or one company's rules) rests the account no more.

Why trouble before MAIL is CONNECTION: the server has not heard of any letter yet, so none may be
blamed, and the others need not try their luck one by one. Why trouble after it is RETRY: the server
is there, and what it broke on may be this letter or this recipient (a call-out that hangs, a filter
that crashes). Resting the server for it would let one bad address block everybody behind it;
resting the letter costs it a minute, and a server that is really gone shows at the next CONNECT.
After BODY the letter may even have arrived, and each repeat may be one more copy for the invitee.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from gateway import sections
from gateway.mail import refusals
from gateway.mail.refusals import Fault
from gateway.outbound.receipts import Receipt, Step

_CONNECTION_FIRST_SECONDS = 5.0
_CONNECTION_LONGEST_SECONDS = 300.0
_ACCOUNT_LONGEST_SECONDS = 3600.0

_BEFORE_MAIL = frozenset({Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH})

ABOUT_A_LETTER = frozenset({Step.MAIL, Step.RCPT, Step.DATA, Step.BODY})
"""Steps that name one."""


class Verdict(StrEnum):
    """What an attempt means for the letter and for the account that sent it."""

    SENT = "sent"
    RETRY = "retry"
    """Temporary: the letter waits until `next_attempt`, and is dropped once `expired`."""
    REFUSED = "refused"
    """Final: the participant's row is undeliverable, with the server's words; unless it turns out
    to be one of several in a row (`refusals.blamed`).
    """
    ACCOUNT = "account"
    """The account's fault: it rests until `pause` and an alarm is raised; the letter stays queued
    and is not blamed.
    """
    CONNECTION = "connection"
    """The server could not be worked with, or takes no more of us for now: it rests until `pause`;
    counts against no letter.
    """


_FOR_GOOD = {Fault.ACCOUNT: Verdict.ACCOUNT, Fault.TEMPORARY: Verdict.RETRY}
"""After RCPT and later; everything else is refused for itself."""
_OURS = frozenset({Fault.ACCOUNT, Fault.LIMIT})


def fault(receipt: Receipt) -> Fault:
    """Whose fault it is that the letter was not taken."""
    return refusals.fault(refusals.Said(receipt.step, receipt.code, receipt.enhanced, receipt.text))


def judge(receipt: Receipt, *, others_taken: bool = False, for_long: bool = False) -> Verdict:
    """The verdict on one attempt (table above). `others_taken`: the account's last letter beside
    this one was taken; `for_long`: `refusals.for_long`.
    """
    if receipt.accepted:
        return Verdict.SENT
    why = fault(receipt)
    if others_taken and for_long and receipt.step in ABOUT_A_LETTER and why in _OURS:
        return Verdict.REFUSED if _permanent(receipt) else Verdict.RETRY
    if why in (Fault.CONNECTIONS, Fault.LIMIT):
        return Verdict.CONNECTION
    if not _permanent(receipt):
        return Verdict.CONNECTION if receipt.step in _BEFORE_MAIL else Verdict.RETRY
    if receipt.step in _BEFORE_MAIL:
        return Verdict.ACCOUNT
    if receipt.step is Step.MAIL:
        return Verdict.REFUSED if why is Fault.LETTER else Verdict.ACCOUNT
    if why is Fault.DOUBTFUL:
        return Verdict.REFUSED if others_taken else Verdict.ACCOUNT
    return _FOR_GOOD.get(why, Verdict.REFUSED)


def next_attempt(tries: int, now: datetime, limits: sections.Outbound, jitter: float) -> datetime:
    """When a letter that failed for the `tries`-th time (from 1) is due again. `jitter` in [0, 1)
    spreads a burst.

    The wait doubles from `first_retry_seconds` and never leaves [first_retry_seconds,
    longest_retry_seconds].
    """
    return now + _wait(tries, limits.first_retry_seconds, limits.longest_retry_seconds, jitter)


def expired(created: datetime, now: datetime, limits: sections.Outbound) -> bool:
    """Whether a letter has been tried for long enough. To be asked after RETRY only: an outage of
    our own server or of the account counts against no letter, however long it lasts.
    """
    return now - created >= timedelta(seconds=limits.give_up_seconds)


def again(
    created: datetime, tries: int, now: datetime, limits: sections.Outbound, jitter: float
) -> datetime | None:
    """When a letter that failed for the `tries`-th time is tried again; None where it has been
    tried for long enough.
    """
    return None if expired(created, now, limits) else next_attempt(tries, now, limits, jitter)


def pause(
    verdict: Verdict, failures: int, now: datetime, limits: sections.Outbound, jitter: float
) -> datetime:
    """When an account (ACCOUNT) or its server (CONNECTION) may be tried again after `failures` such
    verdicts in a row.

    A server that restarts is back in seconds and hurts nobody by being asked: 5 s to 5 min. A
    sign-in that is refused needs a person, and each further try brings the lock-out nearer: the
    letter's own first wait to an hour.
    """
    if verdict is Verdict.CONNECTION:
        first = min(_CONNECTION_FIRST_SECONDS, limits.first_retry_seconds)
        longest = min(_CONNECTION_LONGEST_SECONDS, limits.longest_retry_seconds)
    else:
        first, longest = (
            limits.first_retry_seconds,
            min(_ACCOUNT_LONGEST_SECONDS, limits.longest_retry_seconds),
        )
    return now + _wait(failures, first, longest, jitter)


def _permanent(receipt: Receipt) -> bool:
    """RFC 5321 §4.2.1: 5yz, not to be repeated as it is; or, without an answer, a finding of ours
    of the same rank.
    """
    if receipt.code is None:
        return receipt.enhanced.startswith("5.")
    return 500 <= receipt.code <= 599


def _wait(failures: int, first: float, longest: float, jitter: float) -> timedelta:
    """Doubling, spread between half of the step and the whole:
    a herd does not stay together, nor come back early.
    """
    most = min(longest, first * 2.0 ** min(max(failures, 1), 60))
    least = min(max(first, most / 2), most)
    return timedelta(seconds=least + (most - least) * jitter)
