"""Who holds what of a follow-up, as the planner compares it: what each invitation was last sent,
without what did not arrive, and what else the invitee may hold.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import brake, owing
from gateway.model import PLANNED, Edition, LetterState, Method, Occasion, Reply
from gateway.store import codec, doubts, invitations, refused
from gateway.store.invitations import REPLACEABLE, held_by
from gateway.store.schema_letters import invitation, outbox


@dataclass(frozen=True, slots=True)
class _History:
    """An invitation, and what became of its letters."""

    row: Any
    letters: Sequence[Any]
    # Those that left, if it matters what became of them; the oldest first.
    waiting: Sequence[Any]
    doubted: Sequence[doubts.Held]
    untold: Sequence["_Told"]
    open_again: bool
    # A refusal is not the last that is known of the address.

    def editions(self) -> Iterator[int | None]:
        """The numbers of those that it speaks of, beside those of letters that wait."""
        yield self.row.sent_edition
        for letter, _ in self.untold:
            yield from (letter.edition, letter.before)
        for doubt in self.doubted:
            yield doubt.edition


@dataclass(frozen=True, slots=True)
class Held:
    """What stands in the store of who holds what of a follow-up."""

    invitations: Sequence[Any]
    # All that were ever made for it.
    waiting: Sequence[Any]
    # Letters that may still be replaced.
    letters: Mapping[int, Sequence[Any]]
    # By invitation, those that left, if it may hold something else than what counts as sent.
    taken: Set[int]
    # Invitations at an address that has taken mail since it refused theirs.
    facts: Mapping[int, str]
    # What editions say, by number: at least those that all of these speak of.


def load(
    connection: Connection, keys: Collection[str], editions: Collection[int | None] = ()
) -> dict[str, Held]:
    """What is held of each of these follow-ups, with a fixed number of statements. `editions`: are
    loaded besides.
    """
    # Locked before their letters are: one that is being claimed counts as sent.
    by_follow_up = invitations.locked(connection, keys)
    waiting = _waiting(connection, keys)
    letters = _left(connection, keys)
    taken = refused.taken_since(connection, _returned(letters))
    numbers = set(editions)
    for letter in chain(*waiting.values(), *letters.values()):
        numbers.update((letter.edition, letter.before))
    for row in chain(*by_follow_up.values()):
        numbers.update(_editions_of(row))
    facts = invitations.facts(connection, numbers)
    loaded = dict[str, Held]()
    for key in keys:
        rows = by_follow_up.get(key, ())
        of_rows = {row.id: letters[row.id] for row in rows if row.id in letters}
        loaded[key] = Held(rows, waiting.get(key, ()), of_rows, taken, facts)
    return loaded


def _editions_of(row: Any) -> Iterator[int | None]:
    yield row.sent_edition
    for doubt in doubts.read(row.doubts):
        yield doubt.edition


def copies(held: Held) -> tuple[list[owing.Copy], dict[Edition, int]]:
    """Every invitation ever made for a follow-up, with what it holds and what waits for it; and the
    editions' numbers.
    """
    queued = dict[int, list[Any]]()
    for letter in held.waiting:
        queued.setdefault(letter.invitation, []).append(letter)
    open_again = _open_again(held)
    histories = [
        _history(row, held.letters.get(row.id, ()), queued.get(row.id, ()), open_again)
        for row in held.invitations
    ]
    numbers = set[int | None]()
    for letter in held.waiting:
        numbers.update((letter.edition, letter.before))
    for history in histories:
        numbers.update(history.editions())
    editions = dict[int | None, Edition]()
    by_edition = dict[Edition, int]()
    for number in sorted(held.facts.keys() & numbers):
        edition = codec.parse_edition(held.facts[number])
        editions[number] = edition
        by_edition[edition] = number
    return [_copy(history, editions) for history in histories], by_edition


def _waiting(connection: Connection, keys: Collection[str]) -> dict[str, list[Any]]:
    query = sa.select(outbox).where(
        outbox.c.follow_up.in_(keys), outbox.c.state.in_(REPLACEABLE), outbox.c.method.in_(PLANNED)
    )
    letters = dict[str, list[Any]]()
    for row in connection.execute(query.order_by(outbox.c.id).with_for_update()):
        letters.setdefault(row.follow_up, []).append(row)
    return letters


def _history(
    row: Any, letters: Sequence[Any], waiting: Sequence[Any], open_again: Set[int]
) -> _History:
    doubted = _doubted(row, letters, open_again) if row.doubts else []
    untold = _untold(row, letters)
    return _History(row, letters, waiting, doubted, untold, row.id in open_again)


def _copy(history: _History, editions: Mapping[int | None, Edition]) -> owing.Copy:
    """What an invitee holds, and what waits for them."""
    row = history.row
    copy = replace(
        _by_itself(row, editions),
        refused=row.refused and not history.open_again,
        queued=tuple(_queued(letter, editions) for letter in history.waiting),
        again_instance=codec.parse_moment(row.again_instance),
        deferred=codec.parse_effect(row.deferred),
        perhaps=_editions(history.doubted, editions),
    )
    if history.untold:
        copy = _without(copy, history.untold, editions)
    doubted = [owing.Doubt(doubt.method, editions.get(doubt.edition)) for doubt in history.doubted]
    return _doubting(copy, doubted, history.letters)


def _by_itself(row: Any, editions: Mapping[int | None, Edition]) -> owing.Copy:
    """What an invitation says by itself."""
    facts: dict[str, Any] = {name: row._mapping[name] for name in _AS_IT_STANDS}
    return owing.Copy(
        invitation=row.id,
        method=Method(row.sent_method) if row.sent_method else None,
        edition=editions.get(row.sent_edition),
        top_sequence=-1 if row.top_sequence is None else row.top_sequence,
        because=Occasion(row.again_because or Occasion.PLANNED),
        date=codec.parse_moment(row.date),
        **facts,
    )


def _left(connection: Connection, keys: Collection[str]) -> dict[int, list[Any]]:
    """The letters of the invitations that may hold something else than what counts as sent."""
    returned = sa.exists().where(
        outbox.c.invitation == invitation.c.id, outbox.c.state == LetterState.REFUSED
    )
    is_unclear = sa.or_(invitation.c.refused, returned, invitation.c.doubts != "")
    unclear = sa.select(invitation.c.id).where(invitation.c.follow_up.in_(keys), is_unclear)
    return invitations.left(connection, unclear)


def _returned(letters: Mapping[int, Sequence[Any]]) -> list[int]:
    """The last letters of invitations that came back."""
    last_letters = (of_invitation[-1] for of_invitation in letters.values())
    return [letter.id for letter in last_letters if letter.state == LetterState.REFUSED]


def _open_again(held: Held) -> Set[int]:
    """Invitations where a refusal is not the last that is known of the address: a letter may have
    arrived since, or one of the same row was taken there.
    """
    last = {number: letters[-1] for number, letters in held.letters.items()}
    return held.taken | {number for number, letter in last.items() if _may_arrive(letter)}


_AS_IT_STANDS = ("participant", "address", "top_dtstamp", "refused", "again", "counts")
"""Columns that the planner has by the same names."""


def _queued(row: Any, editions: Mapping[int | None, Edition]) -> owing.Queued:
    return owing.Queued(
        row.id,
        Method(row.method),
        editions[row.edition],
        editions.get(row.before),
        row.tries,
        codec.parse_moment(row.instance),
        Reply(row.reply),
        row.sequence,
        row.state == LetterState.HELD and row.note == brake.REASON,
    )


def _editions(
    doubted: Sequence[doubts.Held], editions: Mapping[int | None, Edition]
) -> Sequence[Edition]:
    return [editions[doubt.edition] for doubt in doubted if doubt.edition in editions]


def _may_arrive(letter: Any) -> bool:
    """Whether nobody has said of a letter that it was refused, and it may have left."""
    return letter.method in PLANNED and (
        letter.state == LetterState.SENDING
        or (letter.doubtful and letter.state not in (LetterState.SENT, LetterState.REFUSED))
    )


def _is_open(letter: Any) -> bool:
    """Whether a letter that counts as sent is on its way, or will be repeated."""
    return letter.method in PLANNED and (
        letter.state == LetterState.SENDING or (letter.state in REPLACEABLE and letter.doubtful)
    )


def _doubted(row: Any, letters: Sequence[Any], open_again: Set[int]) -> list[doubts.Held]:
    """What the invitee may hold beside what their invitation counts as sent. `open_again`:
    invitations where a refusal is no news any more.
    """
    planned = [letter for letter in letters if letter.method in PLANNED]
    doubted = doubts.read(row.doubts)
    if not planned or planned[-1].state != LetterState.REFUSED:
        return doubted if planned else []
    # A letter after the refused one was turned away: what counts as sent is what was in doubt.
    is_before = row.sent_edition != planned[-1].edition and row.sent_method is not None
    if planned[-1].doubtful or is_before:
        return [doubts.Held(row.sent_edition, Method(row.sent_method)), *doubted]
    if _takes_back(planned[-1]) and row.id in open_again:
        return doubted
    return doubted if len(doubted) > 1 else []  # one alone is what they certainly hold


def _doubting(
    copy: owing.Copy, doubted: Sequence[owing.Doubt], letters: Sequence[Any]
) -> owing.Copy:
    """The copy with what else the invitee may hold. While its newest letter is on its way, or will
    be repeated, that letter decides what they hold of what it is about, and also once it has
    arrived.
    """
    if not doubted or copy.edition is None:
        return replace(copy, doubts=tuple(doubted))
    newest = [letter for letter in letters if letter.method in PLANNED][-1]
    arrived = newest.state == LetterState.SENT
    if not arrived and not _is_open(newest):
        return replace(copy, doubts=tuple(doubted))
    same = _of_the_entry(copy.edition, doubted)
    besides = _requested([doubt for doubt in doubted if doubt not in same])
    if copy.method is Method.CANCEL and besides:
        return _with_another(copy, besides, [] if arrived else _requested(same))
    return replace(copy, doubts=tuple(same) if arrived else (), besides=tuple(besides))


def _of_the_entry(edition: Edition, doubted: Sequence[owing.Doubt]) -> list[owing.Doubt]:
    """Doubts about the entry of the invitee's calendar that this edition speaks of."""
    about = doubts.entry(edition)
    return [
        doubt for doubt in doubted if doubt.edition is None or doubts.entry(doubt.edition) == about
    ]


def _requested(doubted: Sequence[owing.Doubt]) -> list[Edition]:
    """What the invitee was perhaps invited to."""
    return [
        doubt.edition
        for doubt in doubted
        if doubt.method is Method.REQUEST and doubt.edition is not None
    ]


def _with_another(
    copy: owing.Copy, besides: Sequence[Edition], again: Sequence[Edition]
) -> owing.Copy:
    """One date is taken back from the invitee, and they hold another."""
    invited = besides[0]
    others = [
        edition for edition in (*besides, *again) if doubts.entry(edition) != doubts.entry(invited)
    ]
    return replace(copy, method=Method.REQUEST, edition=invited, besides=tuple(others))


_Told = tuple[Any, bool]
"""A letter, and whether it arrived, as far as we know."""


def _untold(row: Any, letters: Sequence[Any]) -> list[_Told]:
    """The letters from the first one that did not arrive, unless a later one told all of it. `row`:
    that of the invitation, which must not have been written since the last of the letters.
    """
    planned = [letter for letter in letters if letter.method in PLANNED]
    if not planned or planned[-1].edition != row.sent_edition:
        return []
    run = list[_Told]()
    for letter in planned:
        came_back = row.refused and _came_back(letter, letters[-1])
        has_arrived = letter.state != LetterState.REFUSED and not came_back
        if has_arrived:
            goes_on = bool(run and letter.instance)
        else:
            goes_on = bool(run) and not _takes_back(run[-1][0])
        if not goes_on:
            run.clear()
        if goes_on or not has_arrived:
            run.append((letter, has_arrived))
    return run


def _came_back(letter: Any, last: Any) -> bool:
    """Whether a report on the last letter may be about this one. It says that the last one did not
    arrive, and nobody can tell it from those about other dates that left with it.
    """
    together = letter is last or (
        letter.instance and last.instance and letter.created_at == last.created_at
    )
    return bool(last.state == LetterState.SENT and together)


def _takes_back(letter: Any) -> bool:
    return bool(letter.method == Method.CANCEL and not letter.instance)


def _without(
    copy: owing.Copy, run: Sequence[_Told], editions: Mapping[int | None, Edition]
) -> owing.Copy:
    """The copy as it is without those of its last letters that did not arrive."""
    last, arrived = run[-1]
    dates = [
        (codec.parse_moment(letter.instance), editions[letter.edition])
        for letter, has_arrived in run
        if has_arrived
    ]
    edition = owing.with_dates(editions.get(run[0][0].before), dates)
    if arrived and not owing.lacks(edition, editions[last.edition]):
        return copy  # what did not arrive was told again
    if _takes_back(last):
        # The invitee was not told, and is invited anew if they are to come again.
        return replace(copy, edition=edition)
    return replace(copy, edition=edition, method=held_by(edition), tried=editions[last.edition])
