"""The outbox in an administrator's hands: what waits and why, and to hold, release, try again or
drop it.

What is tried again is tried now, also where the account rests: one letter of it goes first.
Letters that are being sent at this moment are left alone: nobody can call them back. A dropped
letter is not owed any more by itself; the next change of its follow-up owes whatever the invitee
then lacks.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.actions import deciding
from gateway.actions.desk import Desk
from gateway.errors import NotFound, Refused
from gateway.followups import permission
from gateway.followups.permission import Verb as Right
from gateway.i18n import Phrase, marked
from gateway.mail import address
from gateway.model import Channel, LetterState
from gateway.store import (
    followups,
    invitations,
    journal,
    meta,
    outbox,
    pace,
    refused,
    views,
    visible,
)
from gateway.store.decisions import Verdict
from gateway.store.engine import Connection, Store
from gateway.store.outbox import Attempt, Destination, Queued, Selection
from gateway.store.pace import Rest


class Verb(StrEnum):
    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Step:
    """What a verb does: from which states, to which, with which note, and the journal's word."""

    before: tuple[LetterState, ...]
    after: LetterState
    note: str
    event: str


STEPS = {
    Verb.HOLD: Step((LetterState.WAITING,), LetterState.HELD, outbox.BY_HAND, marked("held")),
    Verb.RELEASE: Step((LetterState.HELD,), LetterState.WAITING, "", marked("released")),
    Verb.RETRY: Step(
        (LetterState.WAITING, LetterState.REFUSED, LetterState.DROPPED),
        LetterState.WAITING,
        "",
        marked("retried"),
    ),
    Verb.DROP: Step(
        (LetterState.WAITING, LetterState.HELD),
        LetterState.DROPPED,
        "dropped by hand",
        marked("dropped"),
    ),
}
STANDS = {
    LetterState.WAITING: marked("it is waiting"),
    LetterState.SENT: marked("it is sent"),
    LetterState.REFUSED: marked("it is refused"),
    LetterState.HELD: marked("it is held"),
    LetterState.SUPERSEDED: marked("it is superseded"),
    LetterState.DROPPED: marked("it is dropped"),
}
"""Why a verb does not go with a letter."""
RETURNED_WITHIN = timedelta(days=30)
"""Letters that were refused or given up longer ago are looked for by number, or with all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Letters, oldest first; the participants' keys by number; the accounts that rest, by name."""

    letters: Sequence[Queued]
    keys: Mapping[int, str]
    resting: Mapping[str, Rest]


@dataclass(frozen=True, slots=True)
class Page:
    """Some letters of a list. `tries`: what servers said, by letter; `seen`: the follow-ups of
    which the reader may see more than that a letter is owed; `last`: the number of the last of
    them, where there are more.
    """

    listing: Listing
    tries: Mapping[int, Sequence[Attempt]]
    seen: frozenset[str]
    last: int | None


def listed(store: Store, selection: Selection) -> Listing:
    """The letters that are selected. Raises `NotFound` for a number or a follow-up that is none."""
    parts = list(listings(store, selection))
    letters = [letter for part in parts for letter in part.letters]
    _require_all(selection, letters)
    keys = {number: key for part in parts for number, key in part.keys.items()}
    return Listing(letters, keys, parts[0].resting)


def listings(store: Store, selection: Selection) -> Iterator[Listing]:
    """The same, some letters at a time; one without letters where there are none. Raises `NotFound`
    for a follow-up that is none.
    """
    with store.read() as connection:
        resting = {rest.account: rest for rest in pace.resting(connection)}
        for letters in _selected(connection, selection):
            numbers = sorted({letter.participant for letter in letters})
            members = followups.members(connection, ids=numbers)
            yield Listing(letters, {member.id: member.key for member in members}, resting)


def _selected(connection: Connection, selection: Selection) -> Iterator[list[Queued]]:
    parts = iter(outbox.each(connection, selection))
    first = next(parts, [])
    if selection.follow_up and not first and not views.known(connection, selection.follow_up):
        raise NotFound(marked("there is no follow-up %(follow_up)r"), follow_up=selection.follow_up)
    yield from itertools.chain([first], parts)


def _all(connection: Connection, selection: Selection) -> list[Queued]:
    """The letters that are selected, whole. Raises as `listed`."""
    letters = [letter for part in _selected(connection, selection) for letter in part]
    _require_all(selection, letters)
    return letters


def _require_all(selection: Selection, letters: Sequence[Queued]) -> None:
    missing = sorted(set(selection.numbers) - {letter.id for letter in letters})
    if missing:
        raise NotFound(marked("there is no letter %(missing)s"), missing=missing[0])


def page(desk: Desk, selection: Selection, after: int, limit: int) -> Page:
    """So many of the letters that are selected, beyond number `after`."""
    permission.require(desk.actor, Right.OPERATE)
    rows = outbox.part(desk.connection, selection, after, limit + 1)
    letters = rows[:limit]
    participants = sorted({letter.participant for letter in letters})
    members = followups.members(desk.connection, ids=participants)
    keys = {member.id: member.key for member in members}
    resting = {rest.account: rest for rest in pace.resting(desk.connection)}
    tries = outbox.tries(desk.connection, [letter.id for letter in letters])
    about = {letter.follow_up for letter in letters}
    seen = visible.keys(desk.connection, desk.actor, about)
    last = letters[-1].id if len(rows) > limit else None
    return Page(Listing(letters, keys, resting), tries, seen, last)


def number_of(desk: Desk, verb: Verb, selection: Selection) -> int:
    """How many of the selected letters are in a state for it, as `change` will find them."""
    permission.require(desk.actor, Right.OPERATE)
    step = STEPS[verb]
    if not selection.numbers:
        states = tuple(state for state in outbox.OPEN if state in step.before)
        since = desk.now - RETURNED_WITHIN if LetterState.REFUSED in step.before else None
        return outbox.count(
            desk.connection, replace(selection, states=states, returned_since=since)
        )
    return outbox.count(desk.connection, replace(selection, states=step.before))


def try_now(desk: Desk, account: str) -> None:
    """An account that rests tries one letter at once. Raises `Refused` where it does not rest."""
    permission.require(desk.actor, Right.OPERATE)
    if pace.rest_of(desk.connection, account) is None:
        raise Refused(marked("the account %(account)s does not rest"), account=account)
    pace.end_early(desk.connection, [account], desk.now)


def domain(text: str) -> str:
    """A domain as letters have it; "" for none."""
    return (address.domain(f"x@{text}") or text) if text else ""


def unfinished(selection: Selection, now: datetime) -> Selection:
    """Of these letters those that have not come to an end, and those that came back: refused, or
    given up, and overtaken by no newer one.
    """
    return replace(selection, states=outbox.OPEN, returned_since=now - RETURNED_WITHIN)


def history(store: Store, number: int) -> list[Attempt]:
    """Every try of a letter, oldest first."""
    with store.read() as connection:
        return outbox.attempts(connection, number)


def shape_at(desk: Desk) -> tuple[list[Destination], list[Rest], bool]:
    """`shape` at a desk, and whether sending is paused."""
    permission.require(desk.actor, Right.OPERATE)
    resting, paused = pace.resting(desk.connection), meta.paused(desk.connection)
    return outbox.destinations(desk.connection, desk.now), resting, paused is not None


def shape(store: Store, now: datetime) -> tuple[list[Destination], list[Rest]]:
    """Open letters by the domain they go to, the most first, with their ages;
    and the accounts that rest.
    """
    with store.read() as connection:
        return outbox.destinations(connection, now), pace.resting(connection)


def pause(store: Store, now: datetime, by: str) -> bool:
    """Let no letter leave, of any account, until `resume`; they are planned, and wait. Those on
    their way at this moment arrive. Returns whether that is news.
    """
    with store.write() as connection:
        return _pause(connection, now, by)


def resume(store: Store, now: datetime, by: str) -> bool:
    """Take `pause` back. Returns whether sending was paused."""
    with store.write() as connection:
        return _resume(connection, now, by)


def let_leave(desk: Desk, *, on: bool) -> bool:
    """`resume` (`on`) or `pause` at a desk. Returns whether that is news."""
    permission.require(desk.actor, Right.OPERATE)
    return (_resume if on else _pause)(desk.connection, desk.now, desk.actor.by)


def _pause(connection: Connection, now: datetime, by: str) -> bool:
    if meta.paused(connection) is not None:
        return False
    meta.pause(connection, now, by)
    entry = journal.Entry("sending_paused", by=by, channel=Channel.HAND)
    journal.write(connection, [entry], now)
    return True


def _resume(connection: Connection, now: datetime, by: str) -> bool:
    if meta.paused(connection) is None:
        return False
    meta.go_on(connection)
    entry = journal.Entry("sending_resumed", by=by, channel=Channel.HAND)
    journal.write(connection, [entry], now)
    return True


def change(store: Store, verb: Verb, selection: Selection, now: datetime, by: str) -> list[Queued]:
    """Do it to every selected letter that is in a state for it; returns these as they are then. One
    transaction, journalled.

    Letters that are named by number must all be; otherwise nothing changes. Raises `NotFound` as
    `listed` does, and `Refused` for a letter that came to an end, is being sent, or, to be sent
    after all, has been overtaken by a newer one.
    """
    with store.write() as connection:
        return _change(connection, verb, selection, Decided(by, now))


def take(desk: Desk, verb: Verb, selection: Selection) -> list[Queued]:
    """`change` at a desk."""
    permission.require(desk.actor, Right.OPERATE)
    return _change(desk.connection, verb, selection, Decided(desk.actor.by, desk.now))


@dataclass(frozen=True, slots=True)
class Decided:
    """By whom, and when."""

    by: str
    at: datetime


def _change(
    connection: Connection, verb: Verb, selection: Selection, decided: Decided
) -> list[Queued]:
    letters = _all(
        connection, selection if selection.numbers else unfinished(selection, decided.at)
    )
    overtaken = _overtaken(connection, verb, letters)
    candidates = [letter for letter in letters if letter.id not in overtaken]
    changed = _carry_out(connection, verb, candidates, decided.at, decided.by)
    done = {letter.id for letter in changed}
    unchanged = [letter for letter in letters if letter.id not in done]
    if verb is Verb.RETRY:
        accounts = {letter.letter.account for letter in changed}
        pace.end_early(connection, accounts | {selection.account}, decided.at)
    if selection.numbers and unchanged:
        raise _refusal(verb, unchanged[0], is_overtaken=unchanged[0].id in overtaken)
    numbers = tuple(letter.id for letter in changed)
    return outbox.find(connection, Selection(numbers=numbers)) if numbers else []


def end_brake(connection: Connection, verb: Verb, now: datetime, by: str) -> int:
    """Release or drop everything that the brake holds, in the caller's transaction. Returns how
    many letters that were.
    """
    letters = outbox.find(connection, Selection(braked=True))
    return len(_carry_out(connection, verb, letters, now, by))


def _carry_out(
    connection: Connection, verb: Verb, letters: Sequence[Queued], now: datetime, by: str
) -> list[Queued]:
    """Returns the letters that were in a state for it, as they were."""
    step = STEPS[verb]
    done = _changed(connection, step, letters, now)
    changed = [letter for letter in letters if letter.id in done]
    journal.write(connection, [_entry(step, letter, by) for letter in changed], now)
    keys = {letter.follow_up for letter in changed}
    deciding.follow(connection, keys, now, {letter.participant for letter in changed})
    deciding.follow_brake(connection, now, Verdict(by, verb.value, deciding.BRAKE))
    return changed


def _overtaken(connection: Connection, verb: Verb, letters: Sequence[Queued]) -> set[int]:
    """Those that came to an end, and that a newer one has overtaken; and those that would take away
    what somebody holds by a newer one.
    """
    ended = [letter.id for letter in letters if letter.state not in outbox.OPEN]
    overtaken = outbox.overtaken(connection, ended, ended)
    if STEPS[verb].after is LetterState.WAITING:
        overtaken |= outbox.held_elsewhere(connection, [letter.id for letter in letters])
    return overtaken


def _entry(step: Step, letter: Queued, by: str) -> journal.Entry:
    return journal.Entry(
        step.event,
        letter.follow_up,
        letter.participant,
        letter.letter.instance,
        before=letter.state.value,
        after=step.after.value,
        by=by,
        channel=Channel.HAND,
        letter=letter.id,
    )


def _refusal(verb: Verb, letter: Queued, *, is_overtaken: bool) -> Refused:
    reason = (
        marked("a newer one has taken its place") if is_overtaken else _standing(letter.state, verb)
    )
    return Refused(
        marked("letter %(id)s cannot be %(event)s: %(reason)s"),
        id=letter.id,
        event=Phrase(STEPS[verb].event),
        reason=reason,
    )


def _changed(
    connection: Connection, step: Step, letters: Sequence[Queued], now: datetime
) -> set[int]:
    """Do it; returns the letters that were in a state for it."""
    turned_away, others = list[int](), list[int]()
    for letter in letters:
        if letter.state is LetterState.REFUSED:
            turned_away.append(letter.id)
        else:
            others.append(letter.id)
    invitations.lock(connection, [letter.invitation for letter in letters], wait=True)
    changed = outbox.change(connection, others, step.before, step.after, step.note, now)
    if LetterState.REFUSED in step.before:
        changed += refused.put_back(connection, turned_away, step.note, now)
    return set(changed)


def _standing(state: LetterState, verb: Verb) -> str:
    if state is LetterState.SENDING:
        return marked("it is being sent at this moment")
    if state is LetterState.REFUSED and verb is Verb.RETRY:
        return marked("whom it asks is not invited any more")
    return STANDS[state]
