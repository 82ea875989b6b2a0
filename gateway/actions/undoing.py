"""Taking back what the page has saved, before a letter of it leaves (page.md §3).

A save keeps what its follow-ups were before it, in its own transaction, and has them planned later
than what programs write; a letter that it puts into the outbox itself leaves as late. Taking it
back puts the rows as they were; the planner compares, and what is as everybody knows it owes
nothing; a letter that is there already is dropped. It does not matter in which browser of the
person that happens.

On failure: where letters are planned already, or somebody else has changed any of it since, nothing
is put back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from gateway import settings as configuration
from gateway.actions import desk as desks
from gateway.actions.desk import Desk, Letters, Outcome
from gateway.errors import NotFound, Refused
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Actor, LetterState
from gateway.store import (
    engine,
    followups,
    inbox,
    journal,
    marks,
    outbox,
    records,
    snapshots,
    undos,
)
from gateway.store.engine import Store
from gateway.store.snapshots import Change
from gateway.store.undos import Save, State

T = TypeVar("T")


class Verdict(StrEnum):
    DONE = "done"
    LEFT = "left"
    """Letters are planned, or it was taken back already."""
    CHANGED = "changed"
    """Somebody has changed it since."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of it. `key`: the follow-up, "" where it is no more; `by`, `at`: who changed it
    since, and when.
    """

    verdict: Verdict
    key: str
    by: str = ""
    at: datetime | None = None


def perform(
    store: Store,
    settings: configuration.Settings,
    now: datetime,
    actor: Actor,
    command: Callable[[Desk], T],
) -> Outcome[T]:
    """As `desk.perform`, for a person who may take it back."""

    def work() -> Outcome[T]:
        with store.write() as connection:
            desk = Desk(connection, settings, now, actor, watched={})
            newest = outbox.newest_number(connection)
            outcome = desks.carry_out(desk, command)
            there = outbox.since(connection, newest, desk.touched)
            return replace(outcome, letters=_keep(desk, outcome.letters, there))

    return engine.retried(work)


def undo(desk: Desk, number: int) -> Undone:
    """Put back what this save has changed. Raises `NotFound` for none of this person's own, and
    `Forbidden` where they may not edit it any more.
    """
    save = undos.get(desk.connection, number, desk.actor.by)
    if save is None:
        raise NotFound(marked("there is no save %(number)s to take back"), number=number)
    for key in sorted(save.states):
        followups.lock(desk.connection, key)
        records.hold(desk.connection, key)
    if save.undone or not undos.waits(desk.connection, save):
        return Undone(Verdict.LEFT, save.follow_up)
    for key, state in save.states.items():
        desk.require(Verb.EDIT, key)
        if snapshots.digest(snapshots.take(desk.connection, key)) != state.digest:
            by, at = records.last_change(desk.connection, key)
            return Undone(Verdict.CHANGED, save.follow_up, by, at)
    undos.done(desk.connection, number, desk.now)
    _call_back(desk, save.letters_there)
    return Undone(Verdict.DONE, _put_back(desk, save))


def _call_back(desk: Desk, letters: Sequence[int]) -> None:
    """They do not leave. Raises `Refused` where a gateway has claimed one at this very moment."""
    waiting = (LetterState.WAITING,)
    about = desk.connection, letters, waiting, LetterState.DROPPED, outbox.TAKEN_BACK, desk.now
    if len(outbox.change(*about)) < len(letters):
        raise Refused(marked("it is too late: the letters are on their way"))


def _put_back(desk: Desk, save: Save) -> str:
    new_keys = {change.row[0] for change in save.changes if _makes(change)}
    for key in sorted(new_keys):
        desk.changed(key, journal.Entry("deleted", key))
        records.delete(desk.connection, key)
    rows = [
        change
        for change in save.changes
        if not _makes(change) and change.table != snapshots.LETTERS
    ]
    removed = snapshots.put_back(desk.connection, rows)
    for row in followups.members(desk.connection, ids=removed):
        removal = journal.Entry("removed", row.follow_up, row.id, row.date, detail=row.who)
        desk.note(removal)
    messages: list[int | None] = [change.row[0] for change in rows if change.table == "inbox"]
    for key in sorted(save.states.keys() - new_keys):
        entries = [
            journal.Entry(inbox.TAKEN_BACK, key, message=message) for message in messages or [None]
        ]
        desk.changed(key, *entries)
    return "" if save.follow_up in new_keys else save.follow_up


def _makes(change: Change) -> bool:
    """Whether the save has made a whole follow-up, which goes with all its rows."""
    return change.table == "follow_up" and change.was is None


def _keep(desk: Desk, letters: Letters, there: Sequence[int]) -> Letters:
    """Keep how to take it back, where letters are owed that nobody has sent. Returns them, with the
    moment at which they leave then. `there`: the letters that the command has put into the outbox.
    """
    window = timedelta(seconds=desk.settings.outbound.page_seconds)
    later = window - timedelta(seconds=desk.settings.outbound.coalesce_seconds)
    count = len({*there, *(queued.id for queued in letters.queued)})
    others = desk.marked.difference(desk.touched)
    if not count or not desk.touched or others or later < timedelta():
        return letters
    marks.delay_since(desk.connection, desk.began, later)
    leaves = desk.now + window
    outbox.delay(desk.connection, there, leaves)
    changes = _changes(desk)
    if changes is not None:
        changes += [Change(snapshots.LETTERS, (number,), None) for number in there]
        about = desk.actor.by, desk.touched[0], desk.now, leaves, count
        undos.put(desk.connection, Save(*about, _states(desk), changes))
    return replace(letters, leaves_at=leaves)


def _changes(desk: Desk) -> list[Change] | None:
    """What takes the command back; None where nothing can."""
    assert desk.watched is not None
    # A command asks for the right to what is there; what it did not ask for, it has made.
    changes = [Change("follow_up", (key,), None) for key in desk.touched if key not in desk.watched]
    for key, before in desk.watched.items():
        messages = [number for (number,) in before["inbox"]]
        after = snapshots.take(desk.connection, key, messages)
        differences = snapshots.difference(before, after)
        if differences is None:
            return None
        changes += differences
    return changes or None


def _states(desk: Desk) -> dict[str, State]:
    """The follow-ups as they are now."""
    newest = marks.newest_of(desk.connection, desk.touched)
    return {
        key: State(newest.get(key), snapshots.digest(snapshots.take(desk.connection, key)))
        for key in desk.touched
    }
