"""One command of a person or program, whole or not at all: its transaction, and the letters that
follow from it.

A verb writes the record and says which follow-ups it touched. What is owed then is planned once to
see it and taken back; the change marks stay, so that the planner plans it for good when the
coalescing window is over, together with whatever comes meanwhile. What a person does to one
follow-up does not count for the brake (domain.md §10); an import does.

On failure: nothing of it was written. A record that no letter could say is refused here
(`InputError`), while its author still listens.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfoNotFoundError

from gateway import settings as configuration
from gateway.actions import deciding, diary, one_follow_up
from gateway.actions.context import Context
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import permission
from gateway.followups.permission import Parties, Verb
from gateway.i18n import marked
from gateway.model import Actor, Method
from gateway.store import (
    engine,
    followups,
    journal,
    marks,
    outbox,
    participants,
    parties,
    records,
    snapshots,
)
from gateway.store.engine import Connection, Store
from gateway.store.followups import Member
from gateway.store.outbox import Queued
from gateway.store.snapshots import Snapshot

T = TypeVar("T")
MOST_FORETOLD = 50
"""An answer says what so many follow-ups owe that were changed by the way: a card that two thousand
of them name is written at once all the same.
"""
QUICKER = marked("another program changed it at the same moment; read it, and ask again")
COMPLETED = marked("the follow-up is completed; undo that first")


@dataclass(slots=True)
class Desk:
    """Where a command works: inside one transaction. `touched`: the follow-ups that it changed;
    `marked`: those that it changed by the way, with a card or a document: what is wrong with one of
    them is none of its business.
    """

    connection: Connection
    settings: configuration.Settings
    now: datetime
    actor: Actor
    touched: list[str] = field(default_factory=list)
    marked: set[str] = field(default_factory=set)
    queued: list[int] = field(default_factory=list)
    """Letters that are in the outbox already, which no planning finds."""
    noted: set[str] = field(default_factory=set)
    """The follow-ups that the journal says something of."""
    single: bool = True
    """Whether it is a person's doing, which the brake does not count."""
    began: int = 0
    """The newest mark when the command began (`marks.newest_number`): what another program did
    before counts for the brake all the same.
    """
    watched: dict[str, Snapshot] | None = None
    """The follow-ups as they were before, where the command may be taken back (`undoing`)."""
    settled: "Letters | None" = None
    """What follows from the command (`settle`); None where it has done more since."""

    @property
    def has_changed(self) -> bool:
        return bool(self.touched or self.marked or self.noted)

    def touch(self, key: str) -> None:
        """What stands in this follow-up changed: letters may be owed."""
        self.settled = None
        if key not in self.touched:
            self.touched.append(key)

    def touch_since(self, mark: int) -> None:
        """What was marked after this number (`marks.newest_number`) changed: letters may be
        owed.
        """
        self.settled = None
        self.marked.update(marks.made_since(self.connection, mark))
        if self.single:
            marks.single_since(self.connection, mark)

    def queue(self, numbers: Sequence[int]) -> None:
        """These letters stand in the outbox already."""
        self.settled = None
        self.queued += numbers

    def require(self, verb: Verb, key: str, row: str = "") -> Parties:
        """The follow-up, whom it concerns. Raises `NotFound` where there is none that this actor
        sees, `Forbidden` where they may not do that.
        """
        concerned = parties.of(self.connection, key)
        if concerned is None:
            raise NotFound(marked("there is no follow-up %(key)s"), key=key)
        permission.require(self.actor, verb, concerned, row)
        if verb not in permission.READING:
            self.watch(key)
        return concerned

    def watch(self, key: str, messages: Collection[int] = ()) -> None:
        """This follow-up may be changed from here on. `messages`: those that may be settled."""
        if self.watched is not None and key not in self.watched:
            followups.lock(self.connection, key)
            records.hold(self.connection, key)
            self.watched[key] = snapshots.take(self.connection, key, messages)

    def edit(self, key: str) -> Parties:
        """The follow-up, for what its owner does to it; nobody else plans or changes it meanwhile.

        Raises as `require`, and `Refused` where it is completed (domain.md §3).
        """
        followups.lock(self.connection, key)
        records.hold(self.connection, key)
        concerned = self.require(Verb.EDIT, key)
        state = records.state(self.connection, key)
        if state is not None and state.completed:
            raise Refused(COMPLETED)
        return concerned

    def participant(self, number: int, verb: Verb) -> Member:
        """A participant row, for what this verb allows; nobody else plans or changes it meanwhile.

        Raises `NotFound` where there is none that this actor sees, `Forbidden` where they may not
        do that.
        """
        key = participants.follow_up_of(self.connection, number)
        absent = NotFound(marked("there is no participant %(number)s"), number=number)
        if key is None:
            raise absent
        followups.lock(self.connection, key)
        participants.hold(self.connection, number)
        rows = followups.members(self.connection, ids=[number])
        if not rows:
            raise absent
        [row] = rows
        try:
            self.require(verb, key, row.key if row.is_associate else "")
        except NotFound:  # who does not see the follow-up is not told that the row is of it
            raise absent from None
        return row

    def changed(self, key: str, *entries: journal.Entry) -> None:
        """This follow-up was changed: keep who did it, and what the journal says of it."""
        records.stamp(self.connection, [key], self.now, self.actor.by)
        self.note(*entries)
        self.touch(key)

    def note(self, *entries: journal.Entry) -> None:
        """Write down what this actor did, by the way they came where the entry names no other."""
        actor = self.actor
        signed = [
            replace(entry, by=actor.by, channel=entry.channel or actor.channel) for entry in entries
        ]
        journal.write(self.connection, signed, self.now)
        self.settled = None
        self.noted.update(entry.follow_up for entry in signed if entry.follow_up is not None)


@dataclass(frozen=True, slots=True)
class Letters:
    """What a command owes. `leaves_at`: the earliest moment at which any of it leaves.
    `uncounted`: of so many follow-ups that it changed as well it is not said what they owe.
    """

    queued: tuple[Queued, ...] = ()
    leaves_at: datetime | None = None
    uncounted: int = 0

    def count(self, method: Method) -> int:
        return sum(queued.letter.method is method for queued in self.queued)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a command answered, and the letters that are owed because of it."""

    answer: T
    letters: Letters


def perform(
    store: Store,
    settings: configuration.Settings,
    now: datetime,
    actor: Actor,
    command: Callable[[Desk], T],
    *,
    dry_run: bool = False,
) -> Outcome[T]:
    """Run a command in one transaction, anew where another one had to go first. `dry_run`: answer
    the same, and keep nothing.
    """

    def work() -> Outcome[T]:
        with store.write(keep=not dry_run) as connection:
            return carry_out(Desk(connection, settings, now, actor), command)

    return engine.retried(work)


def carry_out(desk: Desk, command: Callable[[Desk], T]) -> Outcome[T]:
    """The command in a transaction that is open, for a caller that keeps more in it than the
    effect. `Refused` where another program was quicker.
    """
    desk.began = marks.newest_number(desk.connection)
    try:
        answer = command(desk)
    except Exception as error:
        if not engine.raced(error):
            raise
        raise Refused(QUICKER) from error
    return Outcome(answer, settle(desk))


def settle(desk: Desk) -> Letters:
    """What follows from the command so far: decisions, the letters that are owed, and the diaries,
    which come last (`store.diary`). Before what was written is shown, this is done, so that the
    answer says of conflicts what the next reader is told.
    """
    if desk.settled is None:
        deciding.follow(desk.connection, {*desk.touched, *desk.noted}, desk.now)
        letters = _owed(desk)
        _keep_diaries(desk)
        desk.settled = letters
    return desk.settled


def _keep_diaries(desk: Desk) -> None:
    """At once; of many follow-ups the planner does it, as after an import."""
    keys = sorted({*desk.touched, *desk.noted})
    if not desk.single or len(keys) > diary.BATCH:
        return
    for key in keys:
        followups.lock(desk.connection, key)
    diary.keep(desk.connection, keys, desk.settings.mail.timezone, desk.now)


def _owed(desk: Desk) -> Letters:
    """The letters that the touched follow-ups owe now; the planner will say the same."""
    if desk.single:
        marks.single_since(desk.connection, desk.began)
    queued = _queued(desk.connection, desk.queued)
    others = sorted(desk.marked.difference(desk.touched))
    uncounted = len(others[MOST_FORETOLD:])
    with desk.connection.begin_nested() as trial:
        context = Context.read(desk.connection, desk.settings, desk.now)
        for key in desk.touched:
            numbers = _planned(desk.connection, key, context)
            queued += _queued(desk.connection, numbers)
        for key in others[:MOST_FORETOLD]:
            numbers, _ = one_follow_up.attempt(desk.connection, key, context)
            queued += _queued(desk.connection, numbers)
        trial.rollback()
    window = timedelta(seconds=desk.settings.outbound.coalesce_seconds)
    leaves = desk.now + window if queued or uncounted else None
    return Letters(tuple(queued), leaves, uncounted)


def _planned(connection: Connection, key: str, context: Context) -> list[int]:
    """Raises `InputError` for a record that no letter could say; that it is off can be told of any
    record.
    """
    try:
        with connection.begin_nested():
            return one_follow_up.update(connection, key, context)
    except (InputError, ZoneInfoNotFoundError):
        state = records.state(connection, key)
        if state is not None and not state.cancelled:
            raise
        return one_follow_up.update(connection, key, context, readable=False)


def _queued(connection: Connection, numbers: Sequence[int]) -> list[Queued]:
    chosen = outbox.Selection(numbers=tuple(numbers))
    return outbox.find(connection, chosen) if numbers else []
