"""What the store says is wrong: what gateways reported, and what its own rows show (accounts that
rest, letters that are held, letters that nobody sends). The words are `gateway.health`'s.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from gateway import accounts, health
from gateway.health import Condition
from gateway.settings import Settings
from gateway.store import conditions, leases, outbox, pace
from gateway.store.engine import Connection, Store

LATE = timedelta(minutes=10)
"""A letter that waits for so long beyond its time says that nobody is sending."""
REFUSED = "account"
"""Why an account rests that a person must see to (`outbound.retry.Verdict.ACCOUNT`)."""
FULL_SHARE = 0.1
"""A disk is full below this share of `store.free_megabytes`, which is where it is nearly full."""


def told(
    store: Store, settings: Settings, now: datetime, *, but: str | None = None
) -> list[Condition]:
    """All troubles that the store knows of; `but`: a gateway that speaks for itself.
    Raises `StoreError`.
    """
    with store.read() as connection:
        return [
            *_sending(connection, accounts.configured(settings), now),
            *_letters(connection),
            *_time_zones(connection, now),
            *conditions.read(connection, now, but=but),
        ]


def disks(places: Iterable[tuple[str, Path | int]], megabytes: int) -> list[Condition]:
    """Which of these file systems have little room. A place is a path, or an open file's number;
    one that cannot be asked says nothing.
    """
    found: list[Condition] = []
    for what, place in places:
        try:
            seen = os.statvfs(place)
        except OSError:  # a log that goes to a pipe or a socket, a folder that is gone
            continue
        total, free = seen.f_frsize * seen.f_blocks, seen.f_frsize * seen.f_bavail
        # A small disk is not nearly full from its first day on.
        nearly = min(megabytes * 1_000_000, total // 10)
        full = free < nearly * FULL_SHARE or (seen.f_files > 0 and seen.f_favail == 0)
        if total and (full or free < nearly):
            found.append(health.disk(what, free, total, full=full))
    return found


def _sending(connection: Connection, names: Collection[str], now: datetime) -> Iterable[Condition]:
    resting = {one.account: one for one in pace.resting(connection) if one.account in names}
    for one in resting.values():
        yield health.sending(
            one.account,
            one.since,
            one.until,
            one.failures,
            one.words,
            now,
            sure=one.why == REFUSED,
        )
    for name in names:
        due = outbox.next_due(connection, name)
        if due is not None and due < now - LATE:
            yield health.queue(name, due, now, rests=name in resting)


def _time_zones(connection: Connection, now: datetime) -> Sequence[Condition]:
    releases = leases.held(connection, leases.TIME_ZONES, now)
    return [health.time_zones(releases)] if len(releases) > 1 else []


def _letters(connection: Connection) -> Sequence[Condition]:
    held = outbox.preflight(connection)
    if held is None:
        return []
    return [health.letters(held.letters, held.first, held.why, every=held.every)]
