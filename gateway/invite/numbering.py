"""Which SEQUENCE and DTSTAMP each letter of a plan carries, and in which order they leave.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §2.1.5 (DTSTAMP), §3.2.5 (CANCEL).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.followups import editions
from gateway.invite import owing
from gateway.mail import address
from gateway.model import Edition, Method

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def floor(now: datetime) -> int:
    """Above every SEQUENCE that a gateway can have reached by now, one raise at a time: minutes
    since 2020. It lasts for 2000 years in the 31 bits of clients.
    """
    return (now - EPOCH) // timedelta(minutes=1)


def number(
    edition: Edition | None, owed: Sequence[owing.Owed], copies: Sequence[owing.Copy]
) -> tuple[Edition | None, list[owing.Owed]]:
    """The letters in their order, with the plan's SEQUENCE: a CANCEL above what was sent to that
    row, a REQUEST above every CANCEL to it, also where both are in this plan (RFC 5546 §3.2.5): two
    addresses may end in one calendar.

    Such a raise is not significant: the answers of the others stay valid and nobody else gets a
    letter. Letters about one date have the SEQUENCE of that date; the cancellation (`settled`) of
    the one date that a row is invited to has it, too.
    """
    if edition is None:
        return None, list(owed)
    whole = [letter for letter in owed if letter.instance is None]
    requests = [letter for letter in whole if letter.method is Method.REQUEST]
    settled, cancels = _split_cancels(edition, whole, copies)
    cancelling = _cancelling(edition, cancels)
    of_this = [copy for copy in copies if copy.edition is None or copy.edition.uid == edition.uid]
    cancelled = _sequences(settled, cancels, cancelling)
    least = [
        _least(letter, about, cancelled)
        for letter, about in zip(requests, _related(requests, of_this), strict=True)
    ]
    raised = _raised(edition, requests, least, cancelling)
    views = editions.Views(raised)
    shown = [_shown(letter, views.of(letter.edition.recurrence_id)) for letter in requests]
    return raised, [
        *settled,
        *(
            replace(_shown(letter, views.of(letter.edition.recurrence_id)), sequence=cancelling)
            for letter, _ in cancels
        ),
        *shown,
        *(letter for letter in owed if letter.instance is not None),
    ]


def _split_cancels(
    edition: Edition, whole: Sequence[owing.Owed], copies: Sequence[owing.Copy]
) -> tuple[list[owing.Owed], list[tuple[owing.Owed, owing.Copy]]]:
    """The CANCELs whose SEQUENCE is settled: those of another UID, and of one date that is
    cancelled itself. And those that this plan numbers, each with the copy that it takes back.
    """
    by_number = {copy.invitation: copy for copy in copies}
    settled, cancels = list[owing.Owed](), list[tuple[owing.Owed, owing.Copy]]()
    for letter in whole:
        if letter.method is not Method.CANCEL or letter.invitation is None:
            continue
        copy, taken = by_number[letter.invitation], letter.edition
        is_of_one_date = taken.recurrence_id is not None and taken.cancelled
        if taken.uid != edition.uid or (is_of_one_date and taken.sequence > copy.top_sequence):
            settled.append(letter)
        else:
            cancels.append((letter, copy))
    return settled, cancels


def _cancelling(edition: Edition, cancels: Sequence[tuple[owing.Owed, owing.Copy]]) -> int:
    """The SEQUENCE of the CANCELs of a plan: above what was sent to any of their rows."""
    if not cancels:
        return edition.sequence
    top = max(copy.top_sequence for _, copy in cancels)
    return max(editions.counter(edition), top + 1)


def _sequences(
    settled: Sequence[owing.Owed],
    cancels: Sequence[tuple[owing.Owed, owing.Copy]],
    cancelling: int,
) -> dict[int, int]:
    """By invitation, the highest SEQUENCE of a CANCEL to it in this plan."""
    sequences = {copy.invitation: cancelling for _, copy in cancels}
    for letter in settled:
        if letter.invitation is not None:
            before = sequences.get(letter.invitation, letter.sequence)
            sequences[letter.invitation] = max(before, letter.sequence)
    return sequences


def _least(letter: owing.Owed, about: Sequence[owing.Copy], cancelled: Mapping[int, int]) -> int:
    """The least SEQUENCE of a REQUEST: above every CANCEL to the same row or address, sent, waiting
    or in this plan.
    """
    below = [-1]
    for copy in about:
        if copy.invitation in cancelled:
            below.append(cancelled[copy.invitation])
        if copy.method is Method.CANCEL:
            below.append(copy.top_sequence)
        if copy.invitation != letter.invitation:
            below += [
                queued.sequence
                for queued in copy.queued
                if queued.method is Method.CANCEL and queued.instance is None
            ]
    return max(below) + 1


def _raised(
    edition: Edition, requests: Sequence[owing.Owed], least: Sequence[int], cancelling: int
) -> Edition:
    """The edition as these letters leave it: every component is raised if one of them has to be
    above what it says.
    """
    top, views = max([cancelling, *least]), editions.Views(edition)
    is_low = any(
        sequence > view.sequence
        for letter, sequence in zip(requests, least, strict=True)
        if (view := views.of(letter.edition.recurrence_id)) is not None
    )
    if not is_low and top <= edition.sequence:
        return edition
    return editions.raised(edition, max(top, editions.counter(edition)))


def _shown(letter: owing.Owed, view: Edition | None) -> owing.Owed:
    """A letter about the edition as it is seen now. What it asks again for stays its own."""
    if view is None:
        return letter
    significant = letter.edition.significant
    if view.significant != significant:
        view = replace(view, significant=significant)
    return replace(letter, edition=view, sequence=view.sequence)


def stamp(letters: Sequence[owing.Owed], copies: Sequence[owing.Copy]) -> list[owing.Owed]:
    """DTSTAMPs in the order of the letters: two to one row, or to one address, never have the
    same.
    """
    latest = _latest(copies)
    addresses = {copy.invitation: address.key(copy.address) for copy in copies}
    stamped = []
    for letter in letters:
        place = (
            address.key(letter.invitee.address)
            if letter.invitee
            else addresses.get(letter.invitation or 0, "")
        )
        keys = (letter.participant, place)
        stamp = max(owing.next_dtstamp(latest.get(key), letter.dtstamp) for key in keys)
        latest |= dict.fromkeys(keys, stamp)
        stamped.append(replace(letter, dtstamp=stamp))
    return stamped


def _latest(copies: Sequence[owing.Copy]) -> dict[int | str, datetime]:
    """The last DTSTAMP to each row, and to each address."""
    latest = dict[int | str, datetime]()
    for copy in copies:
        if copy.top_dtstamp is None:
            continue
        for key in (copy.participant, address.key(copy.address)):
            latest[key] = max(copy.top_dtstamp, latest.get(key, copy.top_dtstamp))
    return latest


def _related(
    requests: Sequence[owing.Owed], copies: Sequence[owing.Copy]
) -> list[list[owing.Copy]]:
    """For each REQUEST the copies of the same row or the same address."""
    rows, places = dict[int, list[owing.Copy]](), dict[str, list[owing.Copy]]()
    for copy in copies:
        rows.setdefault(copy.participant, []).append(copy)
        places.setdefault(address.key(copy.address), []).append(copy)
    return [
        [
            *rows.get(letter.participant, ()),
            *places.get(address.key(letter.invitee.address) if letter.invitee else "", ()),
        ]
        for letter in requests
    ]
