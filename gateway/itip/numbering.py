"""Which SEQUENCE and DTSTAMP each letter of a plan carries, and in which order they leave.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §2.1.5 (DTSTAMP), §3.2.5 (CANCEL).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.itip import editions, owing
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
    mail. Letters about one date have the SEQUENCE of that date, and so has the cancellation
    (`settled`) of the one date that somebody is invited to.
    """
    if edition is None:
        return None, list(owed)
    whole = [letter for letter in owed if letter.instance is None]
    by_number, cancels, settled = (
        {one.invitation: one for one in copies},
        list[tuple[owing.Owed, owing.Copy]](),
        list[owing.Owed](),
    )
    for letter in whole:
        if letter.method is Method.CANCEL and letter.invitation is not None:
            copy, about_one = (
                by_number[letter.invitation],
                letter.edition.recurrence_id is not None and letter.edition.cancelled,
            )
            if letter.edition.uid != edition.uid or (
                about_one and letter.edition.sequence > copy.top_sequence
            ):
                settled.append(letter)
            else:
                cancels.append((letter, copy))
    requests, cancelling = (
        [letter for letter in whole if letter.method is Method.REQUEST],
        {copy.invitation for _, copy in cancels},
    )
    first = (
        max(editions.counter(edition), *(copy.top_sequence + 1 for _, copy in cancels))
        if cancels
        else edition.sequence
    )
    related = _related(
        requests, [one for one in copies if one.edition is None or one.edition.uid == edition.uid]
    )
    own, views = {one.invitation: one.sequence for one in settled}, editions.Views(edition)
    needs = [
        max(
            [
                0,
                *(first + 1 for copy in about if copy.invitation in cancelling),
                *(own[copy.invitation] + 1 for copy in about if copy.invitation in own),
                *(copy.top_sequence + 1 for copy in about if copy.method is Method.CANCEL),
                *(
                    one.sequence + 1
                    for copy in about
                    if copy.invitation != letter.invitation
                    for one in copy.queued
                    if one.method is Method.CANCEL and one.instance is None
                ),
            ]
        )
        for letter, about in zip(requests, related, strict=True)
    ]
    last, is_low = (
        max([first, *needs]),
        any(
            need > (views.of(letter.edition.recurrence_id) or edition).sequence
            for letter, need in zip(requests, needs, strict=True)
        ),
    )
    raised = (
        editions.raised(edition, max(last, editions.counter(edition)))
        if is_low or last > edition.sequence
        else edition
    )
    views = editions.Views(raised)

    def shown(letter: owing.Owed) -> Edition:
        view, significant = (
            views.of(letter.edition.recurrence_id) or raised,
            letter.edition.significant,
        )
        return view if view.significant == significant else replace(view, significant=significant)

    return raised, [
        *settled,
        *(replace(letter, edition=shown(letter), sequence=first) for letter, _ in cancels),
        *(
            replace(letter, edition=shown(letter), sequence=shown(letter).sequence)
            for letter in requests
        ),
        *(letter for letter in owed if letter.instance is not None),
    ]


def stamp(letters: Sequence[owing.Owed], copies: Sequence[owing.Copy]) -> list[owing.Owed]:
    """DTSTAMPs in the order of the letters:
    two to one row, or to one address, never have the same.
    """
    latest, addresses = (
        dict[object, datetime](),
        {one.invitation: address.key(one.address) for one in copies},
    )
    for copy in copies:
        for key in (copy.participant, address.key(copy.address)):
            if copy.top_dtstamp is not None:
                latest[key] = max(copy.top_dtstamp, latest.get(key, copy.top_dtstamp))
    stamped = []
    for letter in letters:
        keys = (
            letter.participant,
            address.key(letter.invitee.address)
            if letter.invitee
            else addresses.get(letter.invitation or 0, ""),
        )
        stamp = max(owing.next_dtstamp(latest.get(key), letter.dtstamp) for key in keys)
        latest |= dict.fromkeys(keys, stamp)
        stamped.append(replace(letter, dtstamp=stamp))
    return stamped


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
