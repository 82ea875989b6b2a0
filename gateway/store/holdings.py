"""Who holds what of a follow-up, as the planner compares it: what each invitation was last sent,
without what did not arrive, and what else he may hold.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import brake, owing
from gateway.model import PLANNED, Edition, LetterState, Method, Occasion, Reply
from gateway.store import codec, doubts, invitations, refused
from gateway.store.invitations import REPLACEABLE, held_by
from gateway.store.schema_letters import invitation, outbox


def copies(connection: Connection, key: str) -> tuple[list[owing.Copy], dict[Edition, int]]:
    """Every invitation ever made for a follow-up, with what it holds and what waits for it; and the
    editions' numbers.
    """
    rows = connection.execute(
        sa.select(invitation)
        .where(  # locked first: a letter that is being claimed counts as sent
            invitation.c.follow_up == key
        )
        .order_by(invitation.c.id)
        .with_for_update()
    ).all()
    waiting = connection.execute(
        sa.select(outbox)
        .where(
            outbox.c.follow_up == key, outbox.c.state.in_(REPLACEABLE), outbox.c.method.in_(PLANNED)
        )
        .order_by(outbox.c.id)
        .with_for_update()
    ).all()
    left = _left(connection, key)
    open_again = _open_again(connection, left)
    doubted = {
        row.id: _doubted(row, left.get(row.id, ()), open_again) for row in rows if row.doubts
    }
    untold = {row.id: letters for row in rows if (letters := _untold(row, left.get(row.id, ())))}
    known = invitations.editions(
        connection,
        [
            number
            for row in (*waiting, *(letter for run in untold.values() for letter, _ in run))
            for number in (row.edition, row.before)
        ]
        + [row.sent_edition for row in rows]
        + [one.edition for held in doubted.values() for one in held],
    )
    queued: dict[int, list[owing.Queued]] = {}
    for row in waiting:
        queued.setdefault(row.invitation, []).append(_queued(row, known))
    found = [
        replace(
            _copy(row, known),
            refused=row.refused and row.id not in open_again,
            queued=tuple(queued.get(row.id, ())),
            again_instance=codec.parse_moment(row.again_instance),
            deferred=codec.parse_effect(row.deferred),
            perhaps=_editions(doubted.get(row.id, ()), known),
        )
        for row in rows
    ]
    found = [
        _doubting(
            _without(one, untold[one.invitation], known) if one.invitation in untold else one,
            [
                owing.Doubt(held.method, known.get(held.edition))
                for held in doubted.get(one.invitation, ())
            ],
            left.get(one.invitation, ()),
        )
        for one in found
    ]
    return found, {value: number for number, value in known.items() if number is not None}


def _copy(row: Any, known: Mapping[int | None, Edition]) -> owing.Copy:
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


def _left(connection: Connection, key: str) -> dict[int, list[Any]]:
    """The letters of the invitations that may hold something else than what counts as sent."""
    returned = sa.exists().where(
        outbox.c.invitation == invitation.c.id, outbox.c.state == LetterState.REFUSED
    )
    is_unclear = sa.or_(invitation.c.refused, returned, invitation.c.doubts != "")
    unclear = sa.select(invitation.c.id).where(invitation.c.follow_up == key, is_unclear)
    return invitations.left(connection, unclear)


def _open_again(connection: Connection, left: Mapping[int, Sequence[Any]]) -> set[int]:
    """Invitations where a refusal is not the last that is known of the address: a letter may have
    arrived since, or one of the same row was taken there.
    """
    last = {number: letters[-1] for number, letters in left.items()}
    returned = [letter.id for letter in last.values() if letter.state == LetterState.REFUSED]
    leaving = {number for number, letter in last.items() if _may_arrive(letter)}
    return leaving | refused.taken_since(connection, returned)


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
    about = doubts.entry(copy.edition)
    same = [one for one in may if one.edition is None or doubts.entry(one.edition) == about]
    besides = [
        one.edition
        for one in may
        if one.method is Method.REQUEST and one.edition is not None and one not in same
    ]
    if copy.method is Method.CANCEL and besides:
        # One date is taken back from him, and he holds another.
        again = [] if arrived else [one.edition for one in same if one.method is Method.REQUEST]
        held = besides[0]
        others = [
            each
            for each in (*besides, *again)
            if each is not None and doubts.entry(each) != doubts.entry(held)
        ]
        return replace(copy, method=Method.REQUEST, edition=held, besides=tuple(others))
    return replace(copy, doubts=tuple(same) if arrived else (), besides=tuple(besides))


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
        # A report says that the last one did not arrive, and nobody can tell it from those about
        # other dates that left with it.
        together = one is last or (
            one.instance and last.instance and one.created_at == last.created_at
        )
        bounced = held.refused and last.state == LetterState.SENT and together
        if one.state != LetterState.REFUSED and not bounced:
            run = [*run, (one, True)] if run and one.instance else []
        else:
            run = [*run, (one, False)] if run and not _takes_back(run[-1][0]) else [(one, False)]
    return run


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
