"""What follows from a receipt, and when: the delivery policy, pure. The clock and the dice are
arguments.

    step                         2xx    4xx         5xx                                   no answer
    CONNECT … AUTH               -      CONNECTION  ACCOUNT                               CONNECTION
    MAIL                         -      RETRY       ACCOUNT; REFUSED if about the letter  RETRY
    RCPT                         -      RETRY       REFUSED; ACCOUNT if about the sender  RETRY
    DATA, BODY                   SENT*  RETRY       see `_after_data`                     RETRY
    * only BODY; a 2xx or 3xx anywhere else is a server out of step: as "no answer"

Why trouble before MAIL is CONNECTION: the server has not heard of any letter yet, so none may be
blamed, and the others need not try their luck one by one. Why trouble after it is RETRY: the server
is there, and what it broke on may be this letter or this recipient (a call-out that hangs, a filter
that crashes). Resting the server for it would let one bad address block everybody behind it;
resting the letter costs it a minute, and a server that is really gone shows at the next CONNECT.
After BODY the letter may even have arrived, and each repeat may be one more copy for the invitee.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from gateway import settings
from gateway.outbound.receipts import Receipt, Step

_CONNECTION_FIRST_SECONDS = 5.0
_CONNECTION_LONGEST_SECONDS = 300.0
_ACCOUNT_LONGEST_SECONDS = 3600.0

_BEFORE_MAIL = frozenset({Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH})


class Verdict(StrEnum):
    """What an attempt means for the letter and for the account that sent it."""

    SENT = "sent"
    RETRY = "retry"
    """Temporary: the letter waits until `next_attempt`, and is dropped once `expired`."""
    REFUSED = "refused"
    """Final: the participant's row is undeliverable, with the server's words."""
    ACCOUNT = "account"
    """The account's fault: it rests until `pause` and an alarm is raised; the letter stays queued
    and is not blamed.
    """
    CONNECTION = "connection"
    """The server could not be worked with: it rests until `pause`; counts against no letter."""


def judge(receipt: Receipt) -> Verdict:
    """The verdict on one attempt (table above)."""
    if receipt.accepted:
        return Verdict.SENT
    if not _permanent(receipt):
        return Verdict.CONNECTION if receipt.step in _BEFORE_MAIL else Verdict.RETRY
    if receipt.step is Step.RCPT:
        return Verdict.ACCOUNT if _about_the_sender(receipt) else Verdict.REFUSED
    if receipt.step in (Step.DATA, Step.BODY):
        return _after_data(receipt)
    if receipt.step is Step.MAIL and _about_the_letter(receipt):
        return Verdict.REFUSED
    return Verdict.ACCOUNT


def next_attempt(tries: int, now: datetime, limits: settings.Outbound, jitter: float) -> datetime:
    """When a letter that failed for the `tries`-th time (from 1) is due again. `jitter` in [0, 1)
    spreads a burst.

    The wait doubles from `first_retry_seconds` and never leaves [first_retry_seconds,
    longest_retry_seconds].
    """
    return now + _wait(tries, limits.first_retry_seconds, limits.longest_retry_seconds, jitter)


def expired(created: datetime, now: datetime, limits: settings.Outbound) -> bool:
    """Whether a letter has been tried for long enough. To be asked after RETRY only: an outage of
    our own server or of the account counts against no letter, however long it lasts.
    """
    return now - created >= timedelta(seconds=limits.give_up_seconds)


def pause(
    verdict: Verdict, failures: int, now: datetime, limits: settings.Outbound, jitter: float
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


def _after_data(receipt: Receipt) -> Verdict:
    """A permanent refusal of the letter itself, read by the subject of its enhanced code (RFC 3463
    §3).

    1 addressing, 2 mailbox: this recipient, as at RCPT. 7 security or policy: the sender is not
    trusted, no letter of this account would fare better. 3 mail system (but 5.3.4, too big): the
    server's own condition, nobody's letter. Everything else is about this letter as far as anybody
    can tell: 6 content, 4 routing, 5 protocol, and a bare 550, 552 or 554. To repeat it is
    forbidden (RFC 5321 §4.2.1) and would only tell the owner three days later; to rest the account
    would let this one letter hold up all others. So the row says it now, with the server's words.
    """
    subject = receipt.enhanced.split(".")[1] if receipt.enhanced else ""
    if (
        subject == "7"
        or (subject == "3" and not _about_the_letter(receipt))
        or _about_the_sender(receipt)
    ):
        return Verdict.ACCOUNT
    return Verdict.REFUSED


def _about_the_sender(receipt: Receipt) -> bool:
    """Not signed in (RFC 4954 §6: 530, 5.7.8, 5.7.9), or our own address is not accepted (RFC 3463
    §3.2: 5.1.7, 5.1.8).

    Said at RCPT by servers that put off every refusal until then, as Postfix does by default
    (smtpd_delay_reject).
    """
    return receipt.code == 530 or receipt.enhanced in ("5.1.7", "5.1.8", "5.7.8", "5.7.9")


def _about_the_letter(receipt: Receipt) -> bool:
    """Too big (RFC 1870 §6.1: 552; 5.3.4, 5.2.3) or not representable (5.6.x):
    other letters would pass.
    """
    return (
        receipt.enhanced in ("5.3.4", "5.2.3")
        or receipt.enhanced.startswith("5.6.")
        or (receipt.code == 552 and receipt.enhanced in ("", "5.0.0"))
    )


def _wait(failures: int, first: float, longest: float, jitter: float) -> timedelta:
    """Doubling, spread between half of the step and the whole:
    a herd does not stay together, nor come back early.
    """
    most = min(longest, first * 2.0 ** min(max(failures, 1), 60))
    least = min(max(first, most / 2), most)
    return timedelta(seconds=least + (most - least) * jitter)
