"""What the store says is wrong: what gateways reported, and what its own rows show (accounts that
rest, letters that are held, letters that nobody sends). The words are `gateway.health`'s.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from gateway import accounts, health
from gateway.actions import probing
from gateway.health import Condition, Delay, State
from gateway.sections import Outbound
from gateway.settings import Settings
from gateway.store import braked, conditions, leases, meta, outbox, pace, review, webhooks
from gateway.store.engine import Connection, Store

LATE = timedelta(minutes=10)
"""A letter that waits for so long beyond its time says that nobody is sending."""
FAILING = timedelta(minutes=15)
"""So long a webhook may fail before that is a trouble."""
REFUSED = "account"
"""Why an account rests that a person must see to (`outbound.retry.Verdict.ACCOUNT`)."""
PATIENCE_SECONDS = 5.0
"""A store that takes so long for one row is of no use; another program holds it."""
FULL_SHARE = 0.1
"""A disk is full below this share of `store.free_megabytes`, which is where it is nearly full."""


def told(
    store: Store,
    settings: Settings,
    now: datetime,
    *,
    but: str | None = None,
    started: datetime | None = None,
) -> list[Condition]:
    """All troubles that the store knows of; `but`: a gateway that speaks for itself, `started`: and
    that began then to send. Raises `StoreError`.
    """
    names = accounts.configured(settings)
    with store.read() as connection:
        reported = conditions.read(connection, now, but=but)
        pauses = _pauses(connection, settings.outbound, now)
        of_letters = [
            *pauses,
            *_sending(connection, names, settings.outbound, now, started, expected=not pauses),
            *_letters(connection),
            *_brake(connection, now),
        ]
        of_gateways = [
            *_review(connection, settings.inbound.review_megabytes),
            *_time_zones(connection, now),
            *_webhooks(connection, now),
        ]
    concerning = [condition for condition in reported if probing.concerns(condition, names)]
    return [*of_letters, *of_gateways, *concerning]


def seen(store: Store, settings: Settings, now: datetime) -> list[Condition]:
    """All troubles for somebody who looks once, what failed first: what the store knows, and what
    can be seen from here. Raises `StoreError`.
    """
    troubles = told(store, settings, now)
    named = {condition.subject for condition in troubles}
    places = [("store", store.path.parent)] if store.path is not None else []
    for disk in disks(places, settings.store.free_megabytes):
        if disk.subject not in named:
            troubles.append(disk)
    if why := store.unwritable(PATIENCE_SECONDS):
        troubles.append(health.store(why, None, now))
    return health.troubles(troubles)


def disks(places: Iterable[tuple[str, Path | int]], megabytes: int) -> list[Condition]:
    """Which of these file systems have little room. A place is a path, or an open file's number;
    one that cannot be asked says nothing.
    """
    crowded_disks: list[Condition] = []
    for what, place in places:
        try:
            seen = os.statvfs(place)
        except OSError:  # a log that goes to a pipe or a socket, a folder that is gone
            continue
        total, free = seen.f_frsize * seen.f_blocks, seen.f_frsize * seen.f_bavail
        # Some file systems count no files, or have no size at all.
        crowded = seen.f_files > 0 and seen.f_favail == 0
        if total and megabytes and (state := room(total, free, crowded, megabytes)):
            crowded_disks.append(health.disk(what, free, total, full=state is State.FAILED))
    return crowded_disks


def room(total: int, free: int, crowded: bool, megabytes: int) -> State | None:
    """How bad it is that a disk has so many octets free; None: it is not. `crowded`: it takes no
    further file.
    """
    # A small disk is not nearly full from its first day on.
    nearly = min(megabytes * 1_000_000, total // 10)
    if crowded or free <= nearly * FULL_SHARE:
        return State.FAILED
    return State.WARNING if free < nearly else None


def _pauses(connection: Connection, limits: Outbound, now: datetime) -> Sequence[Condition]:
    by_hand = meta.paused(connection)
    if by_hand is not None:
        return [health.paused(by_hand.since, by_hand.by, now)]
    return [health.paused(None, "", now)] if limits.paused else []


def _sending(
    connection: Connection,
    names: Collection[str],
    limits: Outbound,
    now: datetime,
    started: datetime | None,
    *,
    expected: bool,
) -> Iterable[Condition]:
    """`expected`: letters should leave now, so one that waits is a trouble."""
    resting = {
        account_rest.account: account_rest
        for account_rest in pace.resting(connection)
        if account_rest.account in names
    }
    for account_rest in resting.values():
        failure = health.Failure(
            account_rest.since, account_rest.failures, account_rest.words, account_rest.until
        )
        yield health.sending(account_rest.account, failure, now, sure=account_rest.why == REFUSED)
    for name in names if expected else ():
        due = outbox.next_due(connection, name)
        if due is None or due >= now - LATE:
            continue
        why = _delay(connection, name, limits, resting, now)
        if why is not Delay.NOBODY or not health.settling(started, now):
            yield health.queue(name, due, now, why)


def _delay(
    connection: Connection, name: str, limits: Outbound, resting: Collection[str], now: datetime
) -> Delay:
    if name in resting:
        return Delay.RESTS
    if pace.is_spent(connection, name, limits, now):
        return Delay.SPENT
    return Delay.SLOW if pace.was_tried(connection, name, now - LATE) else Delay.NOBODY


def _time_zones(connection: Connection, now: datetime) -> Sequence[Condition]:
    releases = leases.held(connection, leases.TIME_ZONES, now)
    return [health.time_zones(releases)] if len(releases) > 1 else []


def _letters(connection: Connection) -> Sequence[Condition]:
    at_preflight = outbox.preflight(connection)
    if at_preflight is None:
        return []
    return [
        health.letters(
            at_preflight.letters, at_preflight.first, at_preflight.why, every=at_preflight.every
        )
    ]


def _brake(connection: Connection, now: datetime) -> Sequence[Condition]:
    summary = braked.summary(connection)
    if summary is None:
        return []
    return [health.brake(summary.letters, summary.follow_ups, summary.since, now)]


def _review(connection: Connection, megabytes: int) -> Sequence[Condition]:
    shrunk = review.shrunk(connection)
    return [health.review(shrunk, megabytes)] if shrunk else []


def _webhooks(connection: Connection, now: datetime) -> Iterable[Condition]:
    for hook in webhooks.find(connection, now):
        failing = hook.failing_since
        if not hook.active and hook.trouble:
            yield health.webhook(hook.id, hook.trouble, None, 0, now)
        elif hook.active and failing is not None and failing < now - FAILING:
            waiting = webhooks.waiting(connection, hook.id)
            yield health.webhook(hook.id, hook.trouble, failing, waiting, now)
