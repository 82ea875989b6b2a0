"""From the letters that are owed to rows of the outbox: invitations are found or made, editions and
letters get their numbers, for all letters of a follow-up at once.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway import accounts
from gateway.actions.context import Context
from gateway.invite import identity, owing
from gateway.mail import address
from gateway.model import PLANNED, Edition, Moment
from gateway.store import codec, enqueue, invitations, journal
from gateway.store.engine import Connection
from gateway.store.invitations import Invitation


class Numbers:
    """The numbers of a follow-up's editions.

    Some exist for a letter alone and are kept then: those between which single dates changed one by
    one, those that no letter ever said just so but several together, and the last one, cancelled,
    of a follow-up that is gone.
    """

    def __init__(
        self, connection: Connection, key: str, numbers: Mapping[Edition, int], at: datetime
    ) -> None:
        self.connection, self.key, self.at = connection, key, at
        self.numbers = dict(numbers)
        self.objects = dict[int, tuple[Edition, int]]()
        """By identity: an edition with a long guest list is not compared for every invitee."""

    def known(self, value: Edition, number: int) -> None:
        self.numbers[value] = number

    def of(self, value: Edition) -> int:
        seen = self.objects.get(id(value))
        if seen is not None:
            return seen[1]
        if value not in self.numbers:
            self.numbers[value] = invitations.keep_edition(
                self.connection, self.key, value, None, self.at
            )
        self.objects[id(value)] = value, self.numbers[value]
        return self.numbers[value]


Place = tuple[int, str, str, Moment | None]
"""What an invitation is found by: participant, UID, address (`address.key`) and the date that it is
for by itself.
"""


class Known:
    """The invitations of a follow-up, and of the rows that are in it: as they were loaded, the
    oldest first, and those that are made meanwhile.
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        self.by_number = dict[int, Invitation]()
        self.by_place = dict[Place, Invitation]()
        for row in rows:
            self.add(invitations.from_row(row))

    def add(self, invitation: Invitation) -> None:
        self.by_number[invitation.id] = invitation
        place = (
            invitation.participant,
            invitation.uid,
            address.key(invitation.address),
            invitation.date,
        )
        self.by_place.setdefault(place, invitation)


def queue(
    connection: Connection,
    key: str,
    owed: Sequence[owing.Owed],
    numbers: Numbers,
    there: Known,
    context: Context,
) -> list[int]:
    """Put a follow-up's letters into the outbox. Returns their numbers, in the order of the
    letters.
    """
    letters = []
    present = dict[int, Invitation]()
    for owed_letter, to in zip(
        owed, _addressed(connection, key, owed, there, context), strict=True
    ):
        # An earlier letter of these may have changed what the invitee is called.
        letter = _letter(owed_letter, present.get(to.id, to), numbers, context)
        if owed_letter.method in PLANNED:
            present[to.id] = letter.to
        letters.append(letter)
    queued = enqueue.put(connection, letters, context.now)
    entries = [
        journal.Entry(
            "queued",
            key,
            letter.to.participant,
            letter.owed.instance or letter.owed.edition.recurrence_id,
            letter=number,
            detail=letter.owed.method.value,
        )
        for number, letter in zip(queued, letters, strict=True)
    ]
    journal.write(connection, entries, context.now)
    return queued


def _addressed(
    connection: Connection, key: str, owed: Sequence[owing.Owed], there: Known, context: Context
) -> list[Invitation]:
    """The invitation that each of these letters goes to."""
    first = [
        (owed_letter.edition.uid, owed_letter.invitee)
        for owed_letter in owed
        if owed_letter.invitation is None and owed_letter.invitee is not None
    ]
    addressed = iter(invited(connection, key, first, there, context))
    return [
        next(addressed)
        if owed_letter.invitation is None
        else there.by_number[owed_letter.invitation]
        for owed_letter in owed
    ]


def _letter(owed: owing.Owed, to: Invitation, numbers: Numbers, context: Context) -> enqueue.Letter:
    edition = numbers.of(owed.edition)
    if owed.invitee is not None:
        to = replace(
            to,
            name=owed.invitee.name,
            language=owed.invitee.language,
            timezone=owed.invitee.timezone,
        )
    # What an earlier program or system began gets its mark with the first letter from here.
    bounce = address.bounce_address(to.organizer_address, to.token, context.secret)
    to = replace(to, bounce_address=bounce)
    # The number of an edition may mean another after a restore; DTSTAMP is of this letter alone.
    named = (to.token, owed.method, str(owed.sequence), f"{owed.dtstamp:%Y%m%dT%H%M%S}")
    return enqueue.Letter(
        owed,
        to,
        edition,
        numbers.of(owed.before) if owed.before is not None else None,
        message_id(context.secret, (*named, str(edition)), to),
        to.timezone or owed.edition.timezone,
    )


def invited(
    connection: Connection,
    key: str,
    invitees: Sequence[tuple[str, owing.Invitee]],
    there: Known,
    context: Context,
) -> list[Invitation]:
    """The invitations of participants under these UIDs at their present addresses, made where there
    is none: removed and added again is the same row and token.
    """
    missing = {_place(uid, invitee): (uid, invitee) for uid, invitee in invitees}
    missing = {place: pair for place, pair in missing.items() if place not in there.by_place}
    tokens = _tokens(connection, list(missing.values()), context)
    new = [
        _new(key, uid, invitee, token, context)
        for (uid, invitee), token in zip(missing.values(), tokens, strict=True)
    ]
    numbers = invitations.create(connection, new, context.now)
    for invitation, number in zip(new, numbers, strict=True):
        there.add(replace(invitation, id=number))
    return [there.by_place[_place(uid, invitee)] for uid, invitee in invitees]


def _place(uid: str, invitee: owing.Invitee) -> Place:
    return invitee.participant, uid, address.key(invitee.address), _date(invitee)


def _date(invitee: owing.Invitee) -> Moment | None:
    """The date that an invitation of theirs is for, if their row is for more."""
    return invitee.date if invitee.apart else None


def _new(key: str, uid: str, invitee: owing.Invitee, token: str, context: Context) -> Invitation:
    mailbox = context.mail.address
    has_token = context.mail.organizer_address == "token"
    return Invitation(
        0,
        invitee.participant,
        key,
        uid,
        token,
        context.account or accounts.DEFAULT,
        invitee.address,
        invitee.name,
        address.token_address(mailbox, token) if has_token else mailbox,
        "",
        invitee.language,
        invitee.timezone,
        date=_date(invitee),
    )


def uid(connection: Connection, key: str, context: Context) -> str:
    """The UID of a follow-up that has none yet: the first of its key that is not used up. What was
    deleted and made anew is another entry (RFC 5545 §3.8.4.7).
    """
    return next(uid for uid in uids(key, context) if _is_free(connection, uid, context))


def uids(key: str, context: Context) -> Iterator[str]:
    """The UIDs that a follow-up of this key may have, the first one first."""
    domain = address.domain(context.mail.address)
    return (identity.uid(context.secret, key, number, domain) for number in itertools.count())


def _is_free(connection: Connection, uid: str, context: Context) -> bool:
    return uid in context.free_uids or not invitations.uids_taken(connection, [uid])


def _tokens(
    connection: Connection, invitees: Sequence[tuple[str, owing.Invitee]], context: Context
) -> list[str]:
    """A token for each: the first of those that could be theirs which nobody has."""
    names = [_names(uid, invitee, context) for uid, invitee in invitees]
    tokens = [next(possible) for possible in names]
    # Those of a UID under which nobody was ever invited are new, except one that was given.
    asked = [
        token
        for token, (uid, invitee) in zip(tokens, invitees, strict=True)
        if invitee.token or uid not in context.free_uids
    ]
    taken, given = invitations.tokens_taken(connection, asked), set[str]()
    for position, possible in enumerate(names):
        while tokens[position] in taken | given:
            tokens[position] = next(possible)
            taken |= invitations.tokens_taken(connection, tokens[position : position + 1])
        given.add(tokens[position])
    return tokens


def _names(uid: str, invitee: owing.Invitee, context: Context) -> Iterator[str]:
    """What an invitee's token may be: the one that was given for them, then their own, then the
    next if another row has used that up: deleted since, or their address in another spelling.
    """
    if invitee.token:
        yield invitee.token
    date = codec.moment(invitee.date)
    for number in itertools.count():
        yield identity.token(context.secret, uid, invitee.who, invitee.address, date, number)


def message_id(secret: bytes, letter: tuple[str, ...], of: Invitation) -> str:
    """`identity.message_id` in the domain of the invitation's mailbox."""
    return identity.message_id(secret, letter, address.domain(of.organizer_address))
