"""What is known of the rows that received messages may be about (`rows` finds them): what each
participant is now, and what they were last sent. A fixed number of statements for many rows.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.answer import facts
from gateway.errors import InputError
from gateway.followups import editions, recurrence
from gateway.invite import apart, plan
from gateway.mail import address
from gateway.model import PLANNED, Edition, LetterState, Method, Moment
from gateway.store import codec, directory, followups, invitations, known, stated
from gateway.store.followups import Member
from gateway.store.schema import (
    associate,
    follow_up,
    participant,
    person_email,
)
from gateway.store.schema_letters import invitation, outbox
from gateway.store.stated import Site

LEFT = (LetterState.SENDING, LetterState.SENT, LetterState.WAITING)
"""Letters that may have reached the invitee: a waiting one may be a repeat whose fate is unknown.
"""
EARLIER = 5
"""How many of the last letters to a row an answer to a date that is gone may speak of."""
NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
KEYS: sa.BindParameter[str] = sa.bindparam("follow_ups", expanding=True)

# The invitation that counts is the last one of each participant.
INVITATIONS = (
    sa.select(invitation)
    .where(invitation.c.participant.in_(NUMBERS))
    .order_by(invitation.c.counts, invitation.c.id)
)
LETTERS = (
    sa.select(
        outbox.c.participant,
        outbox.c.invitation,
        outbox.c.dtstamp,
        outbox.c.message_id,
        outbox.c.instance,
        outbox.c.method,
        outbox.c.edition,
        outbox.c.state,
    )
    .where(
        outbox.c.participant.in_(NUMBERS),
        outbox.c.state.in_({*LEFT, *invitations.UNDER_WAY}),
        outbox.c.method != Method.NONE,
    )
    .order_by(outbox.c.id)
)
TAKEN_BACK = (
    sa.select(
        outbox.c.invitation,
        sa.func.max(outbox.c.created_at, type_=outbox.c.created_at.type).label("at"),
    )
    .where(
        outbox.c.invitation.in_(NUMBERS),
        outbox.c.method == Method.CANCEL,
        outbox.c.instance == "",
    )
    .group_by(outbox.c.invitation)
)
FOLLOW_UPS = sa.select(follow_up.c.key, follow_up.c.edition, follow_up.c.cancelled).where(
    follow_up.c.key.in_(KEYS)
)


def _of_everybody(
    column: sa.ColumnElement[str], *joins: tuple[sa.Table, sa.ColumnElement[bool]]
) -> sa.Select[tuple[str, int, str]]:
    query = sa.select(participant.c.follow_up, participant.c.id, column.label("address"))
    for table, condition in joins:
        query = query.join(table, condition)
    return query.where(participant.c.follow_up.in_(KEYS), column.is_not(None))


OWN = (
    _of_everybody(
        person_email.c.address, (person_email, person_email.c.person == participant.c.person)
    ),
    _of_everybody(participant.c.email),
    _of_everybody(associate.c.email, (associate, associate.c.key == participant.c.associate)),
)
INVITED = _of_everybody(
    invitation.c.address,
    (
        invitation,
        sa.and_(invitation.c.participant == participant.c.id, ~invitation.c.former),
    ),
)
ADDRESSES = {False: sa.union_all(*OWN), True: sa.union_all(*OWN, INVITED)}


@dataclass(frozen=True, slots=True)
class Holder:
    """An address of a participant."""

    follow_up: str
    participant: int
    address: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the store knows of some rows, by the number of the participant where nothing else is
    said.
    """

    members: Mapping[int, Member]
    invitations: Mapping[int, Sequence[Any]]
    # The one that counts is the last.
    letters: Mapping[int, Sequence[Any]]
    # Those that may have reached the invitee, oldest first.
    planned: Mapping[int, int]
    # By invitation: the edition of the last change that has not left (itip.md §5 judges by it).
    earlier: Mapping[int, Sequence[int]]
    # Editions of the last letters, oldest first.
    current: Mapping[str, Edition | None]
    # Follow-ups as they are, by key.
    editions: Mapping[int | None, Edition]
    learned: Mapping[int, Sequence[str]]
    # Addresses that somebody taught us, and nobody else has.
    people: Mapping[str, Collection[str]]
    # By address in lower case: who has it today, of addresses that rows were invited at.
    taken_back: Mapping[int, datetime]
    # By invitation that stands no more: when its CANCEL was owed last.


def load(
    connection: Connection,
    numbers: Collection[int],
    dated: Collection[int],
    site: Site,
) -> dict[int, facts.Row]:
    """The rows of these numbers, with the Message-IDs of all letters to them. Not those that are
    gone and were never sent anything.

    `dated`: rows of answers that name a date, which may speak of what the last letters told.
    """
    if not numbers:
        return {}
    loaded = _loaded(connection, numbers, dated, site)
    rows = (_row(number, loaded) for number in numbers)
    return {row.participant: row for row in rows if row is not None}


def addresses(
    connection: Connection, follow_ups: Collection[str], *, invited: bool
) -> Iterator[Holder]:
    """Every address of every participant of these follow-ups. `invited`: with those that they were
    invited at.
    """
    if follow_ups:
        for row in connection.execute(ADDRESSES[invited], {"follow_ups": list(follow_ups)}):
            yield Holder(row.follow_up, row.id, row.address)


def _loaded(
    connection: Connection, numbers: Collection[int], dated: Collection[int], site: Site
) -> _Loaded:
    values = {"numbers": list(numbers)}
    members = {member.id: member for member in followups.members(connection, ids=list(numbers))}
    invited = _by_participant(connection.execute(INVITATIONS, values))
    every_letter = _by_participant(connection.execute(LETTERS, values))
    letters = {number: _left(sent) for number, sent in every_letter.items()}
    planned = _planned(itertools.chain.from_iterable(every_letter.values()))
    earlier = {
        number: [letter.edition for letter in letters.get(number, ())[-EARLIER:]]
        for number in dated
    }
    keys = {"follow_ups": list({member.follow_up for member in members.values()})}
    follow_ups = connection.execute(FOLLOW_UPS, keys).all() if members else []
    known_editions = invitations.editions(
        connection,
        [
            *(row.sent_edition for row in itertools.chain.from_iterable(invited.values())),
            *(row.edition for row in follow_ups),
            *planned.values(),
            *itertools.chain.from_iterable(earlier.values()),
        ],
    )
    current = {row.key: _current(connection, row, known_editions, site) for row in follow_ups}
    learned = _undisputed(connection, members, known.of_rows(connection, numbers))
    elsewhere = _elsewhere(members, invited)
    people = directory.at(connection, [row.address for row in elsewhere])
    past = [row.id for row in elsewhere if not _stands(row)]
    return _Loaded(
        members,
        invited,
        letters,
        planned,
        earlier,
        current,
        known_editions,
        learned,
        people,
        _taken_back(connection, past),
    )


def _taken_back(connection: Connection, invitation_numbers: Sequence[int]) -> dict[int, datetime]:
    """By invitation: when its CANCEL was owed last."""
    if not invitation_numbers:
        return {}
    rows = connection.execute(TAKEN_BACK, {"numbers": invitation_numbers})
    return {row.invitation: row.at for row in rows}


def _by_participant(rows: Iterable[Any]) -> dict[int, list[Any]]:
    by_participant = dict[int, list[Any]]()
    for row in rows:
        by_participant.setdefault(row.participant, []).append(row)
    return by_participant


def _left(letters: Iterable[Any]) -> list[Any]:
    return [letter for letter in letters if letter.state in LEFT]


def _planned(letters: Iterable[Any]) -> dict[int, int]:
    return {letter.invitation: letter.edition for letter in letters if _is_planned(letter)}


def _is_planned(letter: Any) -> bool:
    """Whether it is a REQUEST, or about one date, and has not left."""
    return letter.state in invitations.UNDER_WAY and (
        letter.method == Method.REQUEST or (letter.method in PLANNED and letter.instance != "")
    )


def _current(
    connection: Connection, row: Any, known_editions: Mapping[int | None, Edition], site: Site
) -> Edition | None:
    """The follow-up as the planner saw it last; as it stands, if it never did. Cancelled at once,
    though not yet planned.
    """
    planned = known_editions.get(row.edition)
    if planned is not None:
        return replace(planned, cancelled=row.cancelled)
    try:
        return stated.edition(connection, row.key, site, followups.members(connection, row.key))
    except InputError:
        return None  # nothing was ever sent of what cannot be read


def _undisputed(
    connection: Connection, members: Mapping[int, Member], learned: Mapping[int, Sequence[str]]
) -> dict[int, list[str]]:
    """Learned addresses without those of another participant, who may have been invited since: then
    that participant answers for themselves.
    """
    # A row that was left behind by a follow-up deleted without foreign keys has none.
    of_members = {number: spellings for number, spellings in learned.items() if number in members}
    keys = {members[number].follow_up for number in of_members}
    everybody = list(addresses(connection, keys, invited=False))
    undisputed = dict[int, list[str]]()
    for number, spellings in of_members.items():
        key = members[number].follow_up
        others = [
            holder.address
            for holder in everybody
            if holder.follow_up == key and holder.participant != number
        ]
        undisputed[number] = [
            spelling for spelling in spellings if not address.among(spelling, others)
        ]
    return undisputed


def _elsewhere(members: Mapping[int, Member], invited: Mapping[int, Sequence[Any]]) -> list[Any]:
    """Invitations at addresses that are none of their holders' in the directory today."""
    return [
        row
        for number, member in members.items()
        for row in _invited(member, invited.get(number, ()))
        if not address.among(row.address, member.addresses)
    ]


def _invited(member: Member | None, invited: Sequence[Any]) -> list[Any]:
    """The invitations of its present holder, the one that counts last. None, as long as the row was
    given to another record and nobody has looked yet whether that is somebody else.
    """
    if member is not None and member.planned_for not in ("", member.who):
        return []
    return [row for row in invited if not row.former]


def _stands(row: Any) -> bool:
    """Whether an invitation is the one of now: neither at an address that was changed since, which
    may have been a stranger's from the beginning, nor taken back.
    """
    return bool(row.counts) and row.sent_method != Method.CANCEL


def _row(number: int, loaded: _Loaded) -> facts.Row | None:
    """None: gone, and never sent anything."""
    member, invited = loaded.members.get(number), loaded.invitations.get(number, ())
    sent = [loaded.editions[copy.sent_edition] for copy in invited if copy.sent_edition is not None]
    current = _seen(member, loaded)
    if current is None and not sent:
        return None
    if current is None:
        views = _dates_apart(invited, loaded)
        current = replace(apart.joined(views) if views else sent[-1], cancelled=True)
    row = facts.Row(
        number,
        member.follow_up if member is not None else invited[-1].follow_up,
        current.uid,
        _address(member, invited),
        current,
        known=_known(number, member, invited, loaded),
        former=_former(member, invited, loaded),
        removed=True,
        email_invite=False,
        earlier=_earlier(number, loaded),
    )
    row = _with_invitations(row, invited, sent, loaded)
    row = _with_letters(row, loaded.letters.get(number, ()), sent)
    return row if member is None else _with_member(row, member)


def _with_invitations(
    row: facts.Row, invited: Sequence[Any], sent: Sequence[Edition], loaded: _Loaded
) -> facts.Row:
    """The row with what its invitations hold. `sent`: what they were last sent."""
    if dates := _dates_apart(invited, loaded):
        row = replace(row, sent=apart.joined(dates), apart=True)
    elif sent:
        planned = loaded.editions.get(loaded.planned.get(invited[-1].id))
        holds = invited[-1].sent_method == Method.REQUEST
        row = replace(row, sent=planned or sent[-1], held=sent[-1] if holds else None)
    return replace(
        row,
        tokens=frozenset(copy.token for copy in invited),
        marked=any(address.is_checkable(copy.bounce_address) for copy in invited),
        holding=any(copy.sent_method == Method.REQUEST for copy in invited),
    )


def _dates_apart(invited: Sequence[Any], loaded: _Loaded) -> list[Edition]:
    """What the invitee was last sent of each date, if each date is an invitation by itself; nothing
    if they hold the series.
    """
    whole = [copy for copy in invited if copy.date == ""]
    if any(copy.sent_method == Method.REQUEST or copy.id in loaded.planned for copy in whole):
        return []
    views = dict[str, Edition]()
    for copy in invited:
        view = loaded.editions.get(loaded.planned.get(copy.id, copy.sent_edition))
        if copy.date != "" and view is not None:
            views[copy.date] = view
    return list(views.values())


def _with_letters(row: facts.Row, letters: Sequence[Any], sent: Sequence[Edition]) -> facts.Row:
    """The row with what is known of the letters to it."""
    planned = (letter.message_id for letter in reversed(letters) if letter.method in PLANNED)
    return replace(
        row,
        sent_dtstamps=frozenset(letter.dtstamp for letter in letters),
        message_ids=frozenset(letter.message_id for letter in letters),
        latest_message_id=next(planned, ""),
        single_dates=_single_dates(letters, sent) | _alone(row),
    )


def _with_member(row: facts.Row, member: Member) -> facts.Row:
    """The row of somebody who is a participant, or was removed."""
    dates = {date: standing for date, standing in member.standings.items() if date is not None}
    return replace(
        row,
        key=member.key,
        role=member.role,
        removed=member.removed,
        email_invite=member.email_invite,
        standing=member.standings[plan.SERIES],
        date_standings=dates,
    )


def _seen(member: Member | None, loaded: _Loaded) -> Edition | None:
    """The follow-up as it is, or the one date of it that the row is for."""
    whole = loaded.current.get(member.follow_up) if member is not None else None
    if whole is None or member is None:
        return None
    return editions.seen(whole, member.date)


def _address(member: Member | None, invited: Sequence[Any]) -> str:
    """The one that is invited."""
    invited = _invited(member, invited)
    standing = [copy for copy in invited if member is None or _stands(copy)]
    if standing or member is None or not member.address:
        return (standing or invited)[-1].address if invited else ""
    return member.address


def _known(
    number: int, member: Member | None, invited: Sequence[Any], loaded: _Loaded
) -> frozenset[str]:
    """Every address by which the sender is recognised."""
    learned = loaded.learned.get(number, ())
    if member is None:
        return frozenset([*(copy.address for copy in _invited(member, invited)), *learned])
    others = [copy.address for copy in _others(member, invited, loaded) if _stands(copy)]
    return frozenset([*member.addresses, *learned, *others])


def _former(
    member: Member | None, invited: Sequence[Any], loaded: _Loaded
) -> Mapping[str, datetime | None]:
    """Where the holder of a row was invited and is no more, and when that was taken back."""
    if member is None:
        return {}
    past = [copy for copy in _others(member, invited, loaded) if not _stands(copy)]
    return {copy.address: loaded.taken_back.get(copy.id) for copy in past}


def _others(member: Member, invited: Sequence[Any], loaded: _Loaded) -> list[Any]:
    """Invitations at addresses that the directory does not have as the holder's. Not those of
    addresses that somebody else has by now, who answers for themselves.
    """
    return [
        copy
        for copy in _invited(member, invited)
        if not address.among(copy.address, member.addresses)
        and member.key in loaded.people.get(copy.address.lower(), (member.key,))
    ]


def _single_dates(letters: Iterable[Any], sent: Sequence[Edition]) -> frozenset[Moment]:
    """Dates that were sent as VEVENTs of their own, alone or beside the series: clients answer
    those one by one, too.
    """
    alone = (
        codec.parse_moment(letter.instance) for letter in letters if letter.method == Method.REQUEST
    )
    beside = editions.own_dates(sent[-1]) if sent else ()
    return frozenset([*(date for date in alone if date is not None), *beside])


def _alone(row: facts.Row) -> frozenset[Moment]:
    """The dates that went to the invitee as invitations by themselves."""
    if not row.apart or row.sent is None:
        return frozenset()
    return frozenset(recurrence.instances(row.sent))


def _earlier(number: int, loaded: _Loaded) -> tuple[Edition, ...]:
    """What the last letters told, each edition once."""
    edition_numbers = dict.fromkeys(loaded.earlier.get(number, ()))
    return tuple(loaded.editions[edition_number] for edition_number in edition_numbers)
