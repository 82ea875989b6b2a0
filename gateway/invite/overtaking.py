"""Invitations that a CANCEL stands above: what it takes back at one address ends in the same
calendar as what the invitee holds at another.

Pure. Source: itip.md §2, RFC 5546 §3.2.5: any later REQUEST is above a CANCEL. Where that left, or
was planned anew, after the REQUEST, the invitation is told once more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.followups import editions
from gateway.invite.owing import Copy, Owed
from gateway.mail import address
from gateway.model import Edition, Method, Moment

Place = int | str
"""A row by its number, or the key of an address."""


@dataclass(frozen=True, slots=True)
class Taking:
    """A CANCEL: of this UID, of all of it or of the one date, with this SEQUENCE."""

    invitation: int
    uid: str
    date: Moment | None
    sequence: int

    def above(self, edition: Edition) -> int:
        """The highest SEQUENCE of what it would take out of what is held; -1: nothing."""
        if self.uid != edition.uid:
            return -1
        if self.date in (None, edition.recurrence_id):
            return self.sequence
        if edition.recurrence is None or not editions.takes_place(edition, self.date):
            return -1
        raised, _ = editions.sequence(edition, self.date)
        return self.sequence if raised <= self.sequence else -1


def overtaken(
    edition: Edition | None,
    copies: Sequence[Copy],
    owed: Iterable[Owed],
    replaced: Iterable[int],
    rows: Mapping[int, int],
) -> list[Copy]:
    """The copies, each with the SEQUENCE that it has to be above.

    `owed`: what is owed to them; `replaced`: what waits and is not sent. `rows`: of numbers that
    stand for one date of a row, the row.
    """
    takings = _takings(edition, copies, owed, set(replaced), rows)
    if not takings:
        return list(copies)
    return [replace(copy, above=_above(copy, takings, rows)) for copy in copies]


def _takings(
    edition: Edition | None,
    copies: Sequence[Copy],
    owed: Iterable[Owed],
    replaced: set[int],
    rows: Mapping[int, int],
) -> dict[Place, list[Taking]]:
    by_number = {copy.invitation: copy for copy in copies}
    copy_takings = [
        (copy, Taking(copy.invitation, edition_taken.uid, edition_taken.recurrence_id, sequence))
        for copy in copies
        for edition_taken, sequence in _left(copy, replaced)
    ]
    for letter in owed:
        if letter.method is Method.CANCEL and letter.instance is None and edition is not None:
            assert letter.invitation is not None
            # its SEQUENCE will be the counter at least (`numbering`)
            sequence = max(letter.sequence, editions.counter(edition))
            edition_taken = letter.edition
            taking = Taking(
                letter.invitation, edition_taken.uid, edition_taken.recurrence_id, sequence
            )
            copy_takings.append((by_number[letter.invitation], taking))
    takings = dict[Place, list[Taking]]()
    for copy, taking in copy_takings:
        for place in _places(copy, rows):
            takings.setdefault(place, []).append(taking)
    return takings


def _left(copy: Copy, replaced: set[int]) -> Iterable[tuple[Edition, int]]:
    """The CANCELs that arrived or wait, with their SEQUENCEs."""
    if copy.method is Method.CANCEL and copy.edition is not None and not copy.refused:
        yield copy.edition, copy.top_sequence
    for queued in copy.queued:
        is_cancel = queued.method is Method.CANCEL and queued.instance is None
        if is_cancel and queued.letter not in replaced:
            yield queued.edition, queued.sequence


def _above(copy: Copy, takings: Mapping[Place, Sequence[Taking]], rows: Mapping[int, int]) -> int:
    """The SEQUENCE that what this copy holds, or is about to hold, has to be above; -1: any."""
    requests = [queued.edition for queued in copy.queued if queued.method is Method.REQUEST]
    if copy.method is Method.REQUEST and copy.edition is not None:
        requests.append(copy.edition)
    of_others = [
        taking
        for place in _places(copy, rows)
        for taking in takings.get(place, ())
        if taking.invitation != copy.invitation
    ]
    above = [taking.above(edition) for taking in of_others for edition in requests]
    return max(above, default=-1)


def _places(copy: Copy, rows: Mapping[int, int]) -> tuple[Place, Place]:
    return rows.get(copy.participant, copy.participant), address.key(copy.address)
