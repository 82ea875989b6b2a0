"""Who holds what of a follow-up, as the planner compares it: what each invitation was last sent,
without what did not arrive, and what else he may hold.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
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
    left: Sequence[Any]
    # Its letters that left, if it matters what became of them; the oldest first.
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
        for held in self.doubted:
            yield held.edition


@dataclass(frozen=True, slots=True)
class Held:
    """What stands in the store of who holds what of a follow-up."""

    invitations: Sequence[Any]
    # All that were ever made for it.
    waiting: Sequence[Any]
    # Letters that may still be replaced.
    left: Mapping[int, Sequence[Any]]
    # By invitation, the letters of those that may hold something else than what counts as sent.
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
    made = invitations.locked(connection, keys)
    waiting, left = _waiting(connection, keys), _left(connection, keys)
    taken = refused.taken_since(connection, _returned(left))
    letters = [one for some in (*waiting.values(), *left.values()) for one in some]
    numbers = {number for one in letters for number in (one.edition, one.before)}
    numbers |= {number for rows in made.values() for row in rows for number in _editions_of(row)}
    facts = invitations.facts(connection, numbers.union(editions))
    loaded = dict[str, Held]()
    for key in keys:
        rows = made.get(key, ())
        theirs = {row.id: left[row.id] for row in rows if row.id in left}
        loaded[key] = Held(rows, waiting.get(key, ()), theirs, taken, facts)
    return loaded


def _editions_of(row: Any) -> Iterator[int | None]:
    yield row.sent_edition
    for held in doubts.read(row.doubts):
        yield held.edition


def copies(held: Held) -> tuple[list[owing.Copy], dict[Edition, int]]:
    """Every invitation ever made for a follow-up, with what it holds and what waits for it; and the
    editions' numbers.
    """
    queued = dict[int, list[Any]]()
    for letter in held.waiting:
        queued.setdefault(letter.invitation, []).append(letter)
    left, open_again = held.left, _open_again(held)
    past = [
        _history(row, left.get(row.id, ()), queued.get(row.id, ()), open_again)
        for row in held.invitations
    ]
    numbers = {number for letter in held.waiting for number in (letter.edition, letter.before)}
    numbers |= {number for one in past for number in one.editions()}
    known, by_edition = dict[int | None, Edition](), dict[Edition, int]()
    for number in sorted(held.facts.keys() & numbers):
        known[number] = codec.parse_edition(held.facts[number])
        by_edition[known[number]] = number
    return [_copy(one, known) for one in past], by_edition


def _waiting(connection: Connection, keys: Collection[str]) -> dict[str, list[Any]]:
    query = sa.select(outbox).where(
        outbox.c.follow_up.in_(keys), outbox.c.state.in_(REPLACEABLE), outbox.c.method.in_(PLANNED)
    )
    letters = dict[str, list[Any]]()
    for row in connection.execute(query.order_by(outbox.c.id).with_for_update()):
        letters.setdefault(row.follow_up, []).append(row)
    return letters


def _history(
    row: Any, left: Sequence[Any], waiting: Sequence[Any], open_again: Set[int]
) -> _History:
    doubted = _doubted(row, left, open_again) if row.doubts else []
    untold = _untold(row, left)
    return _History(row, left, waiting, doubted, untold, row.id in open_again)


def _copy(one: _History, known: Mapping[int | None, Edition]) -> owing.Copy:
    """What an invitee holds, and what waits for him."""
    row = one.row
    copy = replace(
        _by_itself(row, known),
        refused=row.refused and not one.open_again,
        queued=tuple(_queued(letter, known) for letter in one.waiting),
        again_instance=codec.parse_moment(row.again_instance),
        deferred=codec.parse_effect(row.deferred),
        perhaps=_editions(one.doubted, known),
    )
    if one.untold:
        copy = _without(copy, one.untold, known)
    may = [owing.Doubt(held.method, known.get(held.edition)) for held in one.doubted]
    return _doubting(copy, may, one.left)


def _by_itself(row: Any, known: Mapping[int | None, Edition]) -> owing.Copy:
    """What an invitation says by itself."""
    facts: dict[str, Any] = {name: row._mapping[name] for name in _AS_IT_STANDS}
    return owing.Copy(
        invitation=row.id,
        method=Method(row.sent_method) if row.sent_method else None,
        edition=known.get(row.sent_edition),
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


def _returned(left: Mapping[int, Sequence[Any]]) -> list[int]:
    """The last letters of invitations that came back."""
    last = (letters[-1] for letters in left.values())
    return [letter.id for letter in last if letter.state == LetterState.REFUSED]


def _open_again(held: Held) -> Set[int]:
    """Invitations where a refusal is not the last that is known of the address: a letter may have
    arrived since, or one of the same row was taken there.
    """
    last = {number: letters[-1] for number, letters in held.left.items()}
    return held.taken | {number for number, letter in last.items() if _may_arrive(letter)}


_AS_IT_STANDS = ("participant", "address", "top_dtstamp", "refused", "again", "counts")
"""Columns that the planner has by the same names."""


def _queued(row: Any, known: Mapping[int | None, Edition]) -> owing.Queued:
    return owing.Queued(
        row.id,
        Method(row.method),
        known[row.edition],
        known.get(row.before),
        row.tries,
        codec.parse_moment(row.instance),
        Reply(row.reply),
        row.sequence,
        row.state == LetterState.HELD and row.note == brake.REASON,
    )


def _editions(
    held: Sequence[doubts.Held], known: Mapping[int | None, Edition]
) -> Sequence[Edition]:
    return [known[one.edition] for one in held if one.edition in known]


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


def _doubted(held: Any, letters: Sequence[Any], open_again: Set[int]) -> list[doubts.Held]:
    """What he may hold beside what his invitation counts as sent. `open_again`: invitations where
    a refusal is no news any more.
    """
    planned = [one for one in letters if one.method in PLANNED]
    may = doubts.read(held.doubts)
    if not planned or planned[-1].state != LetterState.REFUSED:
        return may if planned else []
    # A letter after the refused one was turned away: what counts as sent is what was in doubt.
    is_before = held.sent_edition != planned[-1].edition and held.sent_method is not None
    if planned[-1].doubtful or is_before:
        return [doubts.Held(held.sent_edition, Method(held.sent_method)), *may]
    if _takes_back(planned[-1]) and held.id in open_again:
        return may
    return may if len(may) > 1 else []  # one alone is what he certainly holds


def _doubting(copy: owing.Copy, may: Sequence[owing.Doubt], letters: Sequence[Any]) -> owing.Copy:
    """The copy with what else he may hold. While its newest letter is on its way, or will be
    repeated, that decides what he holds of what it is about; and so it does once it has arrived.
    """
    if not may or copy.edition is None:
        return replace(copy, doubts=tuple(may))
    newest = [one for one in letters if one.method in PLANNED][-1]
    arrived = newest.state == LetterState.SENT
    if not arrived and not _is_open(newest):
        return replace(copy, doubts=tuple(may))
    same = _of_the_entry(copy.edition, may)
    besides = _requested([one for one in may if one not in same])
    if copy.method is Method.CANCEL and besides:
        return _with_another(copy, besides, [] if arrived else _requested(same))
    return replace(copy, doubts=tuple(same) if arrived else (), besides=tuple(besides))


def _of_the_entry(edition: Edition, may: Sequence[owing.Doubt]) -> list[owing.Doubt]:
    """Doubts about the entry of his calendar that this edition speaks of."""
    about = doubts.entry(edition)
    return [one for one in may if one.edition is None or doubts.entry(one.edition) == about]


def _requested(may: Sequence[owing.Doubt]) -> list[Edition]:
    """What he was perhaps invited to."""
    return [one.edition for one in may if one.method is Method.REQUEST and one.edition is not None]


def _with_another(
    copy: owing.Copy, besides: Sequence[Edition], again: Sequence[Edition]
) -> owing.Copy:
    """One date is taken back from him, and he holds another."""
    held = besides[0]
    others = [one for one in (*besides, *again) if doubts.entry(one) != doubts.entry(held)]
    return replace(copy, method=Method.REQUEST, edition=held, besides=tuple(others))


_Told = tuple[Any, bool]
"""A letter, and whether it arrived, as far as we know."""


def _untold(held: Any, letters: Sequence[Any]) -> list[_Told]:
    """The letters from the first one that did not arrive, where nothing told all of it since.
    `held`: the row of the invitation, of which nothing else may have been written since the last of
    them.
    """
    planned = [one for one in letters if one.method in PLANNED]
    if not planned or planned[-1].edition != held.sent_edition:
        return []
    run, last = list[_Told](), letters[-1]
    for one in planned:
        if one.state != LetterState.REFUSED and not (held.refused and _came_back(one, last)):
            run = [*run, (one, True)] if run and one.instance else []
        else:
            run = [*run, (one, False)] if run and not _takes_back(run[-1][0]) else [(one, False)]
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
    copy: owing.Copy, run: Sequence[_Told], known: Mapping[int | None, Edition]
) -> owing.Copy:
    """The copy as it is without those of its last letters that did not arrive."""
    last, arrived = run[-1]
    dates = [
        (codec.parse_moment(letter.instance), known[letter.edition]) for letter, told in run if told
    ]
    held = owing.with_dates(known.get(run[0][0].before), dates)
    if arrived and not owing.lacks(held, known[last.edition]):
        return copy  # what did not arrive was told again
    if _takes_back(last):
        return replace(copy, edition=held)  # he was not told, and is invited anew if he is again
    return replace(copy, edition=held, method=held_by(held), tried=known[last.edition])
