"""What monitoring is told of a store: what is open at this moment, and what has come to an end
since this process looked first, whichever gateway did it (docs/operations.md, "Watching it").
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway import accounts
from gateway.health import Vitals
from gateway.metrics import Family, Histogram, Sample
from gateway.model import Outcome
from gateway.settings import Settings
from gateway.store import leases, measures, outbox, pace, vitals
from gateway.store.engine import Connection, Store

RETURNED = timedelta(days=30)
"""Letters that were refused since then are told, as in `queue list`."""
VERDICTS = ("sent", "retry", "refused", "account", "connection")
"""As in `outbound.retry`; told from the start, for what begins with 40 has not risen."""
BEHIND = 500
"""On PostgreSQL a number may be committed after higher ones: so many are looked at again."""


class Seen:
    """The numbers that were counted already, as far as one may still appear behind the last."""

    def __init__(self, last: int) -> None:
        self.last, self.behind = last, set[int]()

    @property
    def after(self) -> int:
        return max(0, self.last - BEHIND)

    def is_new(self, number: int) -> bool:
        """Whether this number is to be counted; from now on it is not."""
        if number in self.behind:
            return False
        self.behind.add(number)
        self.last = max(self.last, number)
        return True

    def forget(self) -> None:
        self.behind = {number for number in self.behind if number > self.after}


@dataclass(slots=True)
class Tally:
    """What came to an end since this process looked first."""

    messages: Seen | None = None
    attempts: Seen | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)

    def count(self, connection: Connection) -> None:
        """Count what is new. The first time that is nothing: what is there is of the past."""
        if self.messages is None or self.attempts is None:
            self.messages = Seen(measures.newest_message(connection))
            self.attempts = Seen(measures.newest_attempt(connection))
            for message in measures.messages(connection, self.messages.after):
                if message.outcome is not None:
                    self.messages.is_new(message.id)
            for number, _ in measures.attempts(connection, self.attempts.after):
                self.attempts.is_new(number)
            return
        for message in measures.messages(connection, self.messages.after):
            # One that failed is counted when it has its outcome.
            if message.outcome is not None and self.messages.is_new(message.id):
                self.outcomes[message.outcome] += 1
                if message.seconds is not None:
                    self.latency.add(message.seconds)
        for number, verdict in measures.attempts(connection, self.attempts.after):
            if self.attempts.is_new(number):
                self.verdicts[verdict] += 1
        self.messages.forget()
        self.attempts.forget()


def look(store: Store, settings: Settings, tally: Tally, now: datetime) -> list[Family]:
    """All numbers of the store. Raises `StoreError`."""
    with store.read() as connection:
        tally.count(connection)
        return [
            *_letters(connection, now),
            *_accounts(connection, settings, now),
            *_messages(connection, now),
            *_webhooks(connection, now),
            *_counted(tally),
        ]


def elsewhere(store: Store, gateway: str, now: datetime) -> dict[str, Vitals]:
    """What the other gateways of the store measure of themselves, by process. `gateway`: this one.
    Raises `StoreError`.
    """
    with store.read() as connection:
        by_gateway = vitals.read(connection, now, but=gateway)
    return {leases.shown(lease_name): measured for lease_name, measured in by_gateway.items()}


def _letters(connection: Connection, now: datetime) -> Iterable[Family]:
    waiting = [
        Sample(number, {"account": account, "state": state, "age": age})
        for (account, state, age), number in measures.open_letters(connection, now).items()
    ]
    yield Family("letters", "gauge", "Letters that have not left, by age at most.", waiting)
    held_letters = measures.held(connection)
    by = [Sample(held_letters.get(holder, 0), {"by": holder}) for holder in measures.Holder]
    yield Family("letters_held", "gauge", "Letters that are held, by what holds them.", by)
    refused = measures.refused(connection, now - RETURNED)
    yield _gauge("letters_refused", "Letters refused for good in the last 30 days.", refused)


def _accounts(connection: Connection, settings: Settings, now: datetime) -> Iterable[Family]:
    names = accounts.configured(settings)
    late = {name: _age(outbox.next_due(connection, name), now) for name in names}
    yield _by_account(
        "letter_overdue_seconds", "How long the letter has been due that waits longest.", late
    )
    resting = {rest.account: _age(rest.since, now) for rest in pace.resting(connection)}
    rests = {name: resting.get(name, 0.0) for name in names}
    yield _by_account(
        "account_rest_seconds", "How long the account has rested; 0: it works.", rests
    )


def _messages(connection: Connection, now: datetime) -> Iterable[Family]:
    waiting: dict[str, Callable[[Connection], tuple[int, datetime | None]]] = {
        "messages_unprocessed": measures.unprocessed,
        "review": measures.under_review,
        "decisions": measures.undecided,
    }
    what = {
        "messages_unprocessed": "Messages on which the gateway failed and that it tries again",
        "review": "Messages that wait for a person",
        "decisions": "Decisions that wait for a person",
    }
    for name, ask in waiting.items():
        number, since = ask(connection)
        yield _gauge(name, f"{what[name]}.", number)
        yield _gauge(
            f"{name}_oldest_seconds", f"{what[name]}: age of the oldest.", _age(since, now)
        )
    ratio = measures.unmatched(connection)
    yield _gauge("unmatched_ratio", "Share of the last 200 answers that belong to nothing.", ratio)


def _webhooks(connection: Connection, now: datetime) -> Iterable[Family]:
    waiting = measures.webhooks(connection)
    events = [Sample(number, {"webhook": str(hook)}) for hook, (number, _) in waiting.items()]
    yield Family("webhook_events", "gauge", "Events that a webhook is still to be told.", events)
    oldest = [
        Sample(_age(since, now), {"webhook": str(hook)}) for hook, (_, since) in waiting.items()
    ]
    yield Family("webhook_oldest_seconds", "gauge", "Age of the oldest of them.", oldest)


def _counted(tally: Tally) -> Iterable[Family]:
    every_outcome = {outcome.value: 0 for outcome in Outcome} | tally.outcomes
    outcomes = [Sample(number, {"outcome": outcome}) for outcome, number in every_outcome.items()]
    yield Family("messages_total", "counter", "Messages received, by what came of them.", outcomes)
    ends = dict.fromkeys(VERDICTS, 0) | tally.verdicts
    verdicts = [Sample(number, {"verdict": verdict}) for verdict, number in ends.items()]
    yield Family("attempts_total", "counter", "Tries to hand a letter over, by result.", verdicts)
    yield Family(
        "reply_seconds",
        "histogram",
        "From the arrival of a message in the mailbox until it was recorded.",
        tally.latency.samples(),
    )


def _gauge(name: str, words: str, value: float) -> Family:
    return Family(name, "gauge", words, [Sample(value)])


def _by_account(name: str, words: str, values: Mapping[str, float]) -> Family:
    samples = [Sample(value, {"account": account}) for account, value in values.items()]
    return Family(name, "gauge", words, samples)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
