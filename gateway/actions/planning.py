"""From changed records to the letters owed: a batch of follow-ups is read, and each has its turn
(`one_follow_up`), in one transaction.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from gateway import settings as configuration
from gateway.actions import brake, deciding, diary, one_follow_up, queueing, strangers
from gateway.actions.context import Context
from gateway.store import (
    followups,
    invitations,
    journal,
    loading,
    marks,
    records,
    returning,
)
from gateway.store.engine import Connection, Store
from gateway.store.loading import Loaded

log = structlog.get_logger(__name__)

EVER = datetime(9999, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(minutes=1)
BATCH = 50
"""Follow-ups planned in one transaction, at most."""
LOOK = 500
"""Follow-ups that are looked up at a time, the oldest first."""
FIRST_BATCH = 4
LOCK_SECONDS = 0.1
"""So long planning keeps other writers out at a time; one follow-up may take longer."""
PASSES = 5
"""So often at most a follow-up is planned in one go, if it leaves a mark each time: a row that its
diary has to change is in another program's hands (`store.diary`).
"""
PAUSE = 0.25
"""The part of that for which it then lets them in."""


def plan_due(
    store: Store, settings: configuration.Settings, now: datetime, *, everything: bool = False
) -> int:
    """Plan follow-ups whose coalescing window is over, or all that changed (`everything`). Returns
    how many letters are new.

    One transaction for each batch: marks, standings, journal and outbox rows are written together
    or not at all.
    """
    window = timedelta(seconds=settings.outbound.coalesce_seconds)
    until = EVER if everything else now - window
    most = settings.outbound.brake_follow_ups
    letters, size = 0, FIRST_BATCH
    passes = Counter[str]()
    while True:
        with store.read() as connection:
            # Marks have the database's clock, which may be ahead of ours.
            ripe = marks.due(connection, until, LOOK, now + CLOCK_TOLERANCE)
            due = [follow_up for follow_up in ripe.items() if passes[follow_up[0]] < PASSES]
            changed = marks.planned_before(connection, [key for key, _ in due])
        # As many at once as the brake lets pass, so that it holds the first of them, too.
        if most and changed > most:
            size = max(size, most + 1)
        reached = False
        passes.update(key for key, _ in due)
        while due:
            batch, due = dict(due[:size]), due[size:]
            began = time.monotonic()
            new, planned = _plan_batch(store, settings, batch, now)
            took = time.monotonic() - began
            letters += new
            reached = reached or planned > 0
            size = next_size(size, took)
            if store.is_sqlite:  # others wait for the file, and ask less often the longer they do
                time.sleep(min(took, LOCK_SECONDS) * PAUSE)
        if not reached:  # nothing is due, or others are at work on it: what they leave comes again
            return letters


def next_size(size: int, took: float) -> int:
    """How many follow-ups the next batch has, if one of `size` took so many seconds."""
    fit = int(size * LOCK_SECONDS / took) if took else BATCH
    return max(1, min(fit, 2 * size, BATCH))


def _plan_batch(
    store: Store, settings: configuration.Settings, due: Mapping[str, int], now: datetime
) -> tuple[int, int]:
    """Plan these follow-ups (`marks.due`) in one transaction, as far as nobody else does.
    Returns how many letters are new, and how many follow-ups were planned.
    """
    letters = 0
    with store.write() as connection:
        site = Context.read(connection, settings, now)
        # In one order for all, because invitations are locked on the way (claims.settle locks
        # them so, too).
        free = {key: due[key] for key in followups.lock_free(connection, due)}
        taken = _returned(connection, marks.take(connection, free), site)
        most = settings.outbound.brake_follow_ups
        changes = marks.changed_at(taken) if most else {}
        authors = _authors(connection, taken)
        strangers.tell(connection, marks.strange(taken), now)
        batch = loaded(connection, taken)
        site = replace(site, free_uids=_free_uids(connection, batch, site))
        for key in taken:
            here = replace(site, changed_at=changes.get(key), author=authors.get(key, ""))
            there = batch.get(key)
            new, reason = one_follow_up.attempt(connection, key, here, there)
            if reason:
                new, _ = one_follow_up.attempt(connection, key, here, there, readable=False)
                _not_planned(connection, key, reason, now)
            letters += len(new)
        number_held, is_first = brake.apply(connection, changes, most, now)
        deciding.follow(connection, list(taken), now)
        deciding.follow_brake(connection, now)
        diary.keep_each(connection, list(taken), settings.mail.timezone, now)
    if is_first:
        log.error("too many follow-ups were cancelled or moved: their letters are held")
    if number_held:
        log.info("the brake holds letters", letters=number_held)
    return letters, len(taken)


def _returned(
    connection: Connection, taken: Mapping[str, list[marks.Mark]], site: Context
) -> dict[str, list[marks.Mark]]:
    """What came back is what it was; that it was written anew is no change where it says the same,
    and nobody was told that it went.
    """
    same = returning.take_up(connection, taken, site.site).same
    same -= strangers.told_of(connection, same)
    return {
        key: [mark for mark in made if not mark.is_strange] if key in same else made
        for key, made in taken.items()
    }


def loaded(connection: Connection, keys: Collection[str]) -> dict[str, Loaded]:
    """What is planned of these follow-ups, except of those that another's plan may change."""
    readable = [key for key in keys if not one_follow_up.fault(key)]
    batch = loading.load(connection, readable)
    moved = loading.moved(connection, readable)
    return {key: state for key, state in batch.items() if key not in moved}


def _free_uids(connection: Connection, batch: Mapping[str, Loaded], site: Context) -> set[str]:
    """The first UIDs of those that have none yet, as far as they are not used up."""
    fresh = {
        next(queueing.uids(key, one_follow_up.context_of(site, state)))
        for key, state in batch.items()
        if state.record is not None and not state.record.row.uid
    }
    return fresh - invitations.uids_taken(connection, fresh)


def _authors(connection: Connection, taken: Mapping[str, Sequence[marks.Mark]]) -> dict[str, str]:
    """Who changed the follow-ups themselves that these marks are of; another program is signed
    here, for it does not sign itself (domain.md §4).
    """
    touched = marks.touched(taken)
    strange = {key: at for key, at in touched.items() if at is not None}
    records.sign_strange(connection, strange)
    return records.changed_by(connection, touched) if touched else {}


def _not_planned(connection: Connection, key: str, reason: str, now: datetime) -> None:
    """A record that says what cannot be: its rows say so until it is put right, which leaves a mark
    again.
    """
    followups.annotate_all(connection, key, f"no letter: {reason}")
    journal.write(connection, [journal.Entry("not_planned", key, detail=reason)], now)
