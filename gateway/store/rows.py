"""Finds the rows that a received message may be about, and tells the decision what it needs to know
of them.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.itip import editions, facts, plan
from gateway.mail import address
from gateway.model import PLANNED, Edition, LetterState, Method, Moment, Role, Standing
from gateway.store import codec, directory, followups, inbox, invitations, known
from gateway.store.followups import Member, Site
from gateway.store.schema import associate, follow_up, invitation, outbox, participant, person_email

EARLIER = 5
"""The last letters to a row of which an answer to a date that is gone may speak."""
LEFT = (LetterState.SENDING, LetterState.SENT, LetterState.WAITING)
"""Letters that may have reached the invitee: a waiting one may be a repeat whose fate is unknown.
"""


def find(
    connection: Connection,
    keys: facts.Keys,
    site: Site,
    named: int | None = None,
    number: int | None = None,
) -> facts.Found:
    """Everything the store knows under these keys (itip.md §5); removed rows too, and rows that are
    gone altogether.

    `named`: a row that a person named, to be found besides. `number`: of a message that is judged
    anew.
    """
    of_uid = _follow_ups(connection, keys.uids)
    numbers = _by_token(connection, keys.tokens) | _by_message_id(connection, keys.message_ids)
    if of_uid:
        numbers |= _by_address(
            connection, set(of_uid.values()), keys.addresses, everybody=not numbers
        )
    if named is not None:
        numbers.add(named)
    numbers |= _of_the_same(connection, numbers)
    followups.lock_rows(
        connection, numbers
    )  # what is decided on these facts is written before the planner changes them
    copies = inbox.copies(connection, [keys.digest] if keys.digest else [])
    traces = inbox.traces(connection, numbers, [keys], number)
    return facts.Found(
        tuple(_rows(connection, sorted(numbers), keys, site)),
        frozenset(of_uid),
        of_uid,
        copies=tuple(copies.get(keys.digest, ())),
        traces=tuple(itertools.chain.from_iterable(traces.values())),
    )


def _follow_ups(connection: Connection, uids: Sequence[str]) -> dict[str, str]:
    if not uids:
        return {}
    live = sa.select(follow_up.c.uid, follow_up.c.key).where(follow_up.c.uid.in_(uids))
    gone = sa.select(invitation.c.uid, invitation.c.follow_up).where(invitation.c.uid.in_(uids))
    return {row.uid: row[1] for query in (gone, live) for row in connection.execute(query)}


def _by_token(connection: Connection, tokens: Sequence[str]) -> set[int]:
    query = sa.select(invitation.c.participant).where(invitation.c.token.in_(tokens))
    return {row.participant for row in connection.execute(query)} if tokens else set()


def _of_the_same(connection: Connection, numbers: set[int]) -> set[int]:
    """The other rows of these invitees, where somebody is invited to single dates, each by a row of
    its own.
    """
    other = participant.alias("other")
    same = [participant.c[name] == other.c[name] for name in ("person", "associate")]
    query = (
        sa.select(other.c.id)
        .join(
            participant,
            sa.and_(
                participant.c.follow_up == other.c.follow_up,
                participant.c.id != other.c.id,
                sa.or_(*same, sa.func.lower(participant.c.email) == sa.func.lower(other.c.email)),
            ),
        )
        .where(
            participant.c.id.in_(numbers),
            sa.or_(participant.c.original_start.is_not(None), other.c.original_start.is_not(None)),
        )
    )
    return set(connection.execute(query).scalars()) if numbers else set()


def _by_message_id(connection: Connection, message_ids: Sequence[str]) -> set[int]:
    # A text that was passed on to the owner is no letter to the invitee: who answers it does not
    # speak for the row.
    query = sa.select(outbox.c.participant).where(
        outbox.c.message_id.in_(message_ids), outbox.c.method != Method.NONE
    )
    return {row.participant for row in connection.execute(query)} if message_ids else set()


def _by_address(
    connection: Connection, keys: Iterable[str], addresses: Sequence[str], *, everybody: bool
) -> set[int]:
    """Participants of these follow-ups who are known under one of the addresses.

    `everybody`: nothing else named a row, so all are compared the thorough way (`address.plain`);
    otherwise, as on every answer with a token, only spellings that differ in case are found.
    """
    if everybody:
        wanted = {address.plain(one) for one in addresses}
        found = [member for key in keys for member in followups.members(connection, key)]
        held = _invited_at(connection, [member.id for member in found])
        return known.rows_with(connection, list(keys), list(wanted)) | {
            member.id
            for member in found
            if wanted
            & {address.plain(one) for one in (*member.addresses, *held.get(member.id, ()))}
        }
    spelled = [one.lower() for one in addresses]
    invited = sa.union(
        sa.select(participant.c.id)
        .join(person_email, person_email.c.person == participant.c.person)
        .where(
            participant.c.follow_up.in_(list(keys)),
            sa.func.lower(person_email.c.address).in_(spelled),
        ),
        sa.select(participant.c.id).where(
            participant.c.follow_up.in_(list(keys)), sa.func.lower(participant.c.email).in_(spelled)
        ),
        sa.select(participant.c.id)
        .join(associate, associate.c.key == participant.c.associate)
        .where(
            participant.c.follow_up.in_(list(keys)), sa.func.lower(associate.c.email).in_(spelled)
        ),
    )
    return {row.id for row in connection.execute(invited)} | known.rows_with(
        connection, list(keys), addresses
    )


def _invited_at(connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    rows = connection.execute(
        sa.select(invitation.c.participant, invitation.c.address).where(
            invitation.c.participant.in_(numbers), ~invitation.c.former
        )
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row.participant, []).append(row.address)
    return found


def _rows(
    connection: Connection, numbers: Sequence[int], keys: facts.Keys, site: Site
) -> Iterable[facts.Row]:
    if not numbers:
        return
    members = {one.id: one for one in followups.members(connection, ids=numbers)}
    held = connection.execute(
        sa.select(invitation)
        .where(invitation.c.participant.in_(numbers))
        .order_by(invitation.c.counts, invitation.c.id)  # the one that counts is the last
    ).all()
    left = connection.execute(
        sa.select(
            outbox.c.participant,
            outbox.c.dtstamp,
            outbox.c.message_id,
            outbox.c.instance,
            outbox.c.method,
            outbox.c.edition,
        )
        .where(
            outbox.c.participant.in_(numbers),
            outbox.c.state.in_(LEFT),
            outbox.c.method != Method.NONE,
        )
        .order_by(outbox.c.id)
    ).all()
    learned = _undisputed(connection, members, known.of_rows(connection, numbers))
    current = {
        key: _current(connection, key, site) for key in {one.follow_up for one in members.values()}
    }
    told_last = (
        [
            row
            for number in numbers
            for row in [one for one in left if one.participant == number][-EARLIER:]
        ]
        if keys.dates
        else []
    )
    planned = _planned(connection, numbers)
    sent = invitations.editions(
        connection,
        [
            *(row.sent_edition for row in held),
            *(row.edition for row in told_last),
            *planned.values(),
        ],
    )
    for number in numbers:
        mine = [row for row in held if row.participant == number]
        told = [sent[row.sent_edition] for row in mine if row.sent_edition is not None]
        member = members.get(number)
        whole = current.get(member.follow_up) if member is not None else None
        now = (
            editions.seen(whole, member.date) if whole is not None and member is not None else None
        )
        if now is None and not told:
            continue  # gone, and never sent anything
        letters = [row for row in left if row.participant == number]
        waits = sent.get(planned.get(mine[-1].id)) if mine else None
        yield facts.Row(
            participant=number,
            key=member.key if member is not None else None,
            follow_up=member.follow_up if member is not None else mine[-1].follow_up,
            uid=(now or told[-1]).uid,
            address=_address(member, mine),
            current=now if now is not None else replace(told[-1], cancelled=True),
            role=member.role if member is not None else Role.INVITED,
            known=frozenset(
                [
                    *(member.addresses if member is not None else ()),
                    *learned.get(number, ()),
                    *_still_his(connection, member, mine),
                ]
            ),
            tokens=frozenset(row.token for row in mine),
            marked=any(address.is_checkable(row.bounce_address) for row in mine),
            removed=member is None or member.removed,
            email_invite=member is not None and member.email_invite,
            sent=(waits or told[-1]) if told else None,
            held=told[-1] if told and mine[-1].sent_method == Method.REQUEST else None,
            sent_dtstamps=frozenset(row.dtstamp for row in letters),
            message_ids=frozenset(row.message_id for row in letters) & frozenset(keys.message_ids),
            latest_message_id=next(
                (row.message_id for row in reversed(letters) if row.method in PLANNED), ""
            ),
            single_dates=frozenset(
                _single(row.instance for row in letters if row.method == Method.REQUEST)
            )
            | _own_dates(told),
            earlier=tuple(
                {
                    row.edition: sent[row.edition] for row in told_last if row.participant == number
                }.values()
            ),
            holding=any(row.sent_method == Method.REQUEST for row in mine),
            standing=_standings(member).get(plan.SERIES, Standing()),
            date_standings={
                date: standing for date, standing in _standings(member).items() if date is not None
            },
        )


def _planned(connection: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """The edition of the newest REQUEST, or letter about one date, that has not left, by its
    invitation: the last change that is planned is the one that answers are judged by (itip.md §5).
    """
    about_date = outbox.c.instance != ""
    query = (
        sa.select(outbox.c.invitation, outbox.c.method, outbox.c.instance, outbox.c.edition)
        .where(
            outbox.c.participant.in_(numbers),
            outbox.c.state.in_(invitations.UNDER_WAY),
            outbox.c.method.in_(PLANNED),
            (outbox.c.method == Method.REQUEST) | about_date,
        )
        .order_by(outbox.c.id)
    )
    return {row.invitation: row.edition for row in connection.execute(query)}


def _invited(member: Member | None, invitations: Sequence[Any]) -> list[str]:
    """Where its present holder was invited, the address that counts last. Nowhere, as long as the
    row was given to another record and nobody has looked yet whether that is somebody else.
    """
    if member is not None and member.planned_for not in ("", member.who):
        return []
    return [row.address for row in invitations if not row.former]


def _still_his(
    connection: Connection, member: Member | None, invitations: Sequence[Any]
) -> list[str]:
    """The addresses that a row was invited at, but for those that somebody else has by now: he
    speaks for himself.
    """
    invited = _invited(member, invitations)
    if member is None:
        return invited
    people = directory.at(
        connection, [one for one in invited if not address.among(one, member.addresses)]
    )
    return [one for one in invited if member.key in people.get(one.lower(), {member.key})]


def _undisputed(
    connection: Connection, members: Mapping[int, Member], learned: Mapping[int, list[str]]
) -> dict[int, list[str]]:
    """Learned addresses but for those of another participant: he may have been invited since, and
    then speaks for himself.
    """
    found = dict[int, list[str]]()
    for number, addresses in learned.items():
        if (member := members.get(number)) is None:
            continue  # left behind by a follow-up that was deleted without foreign keys
        theirs = [
            one
            for other in followups.members(connection, member.follow_up)
            if other.id != number
            for one in other.addresses
        ]
        found[number] = [one for one in addresses if not address.among(one, theirs)]
    return found


def _current(connection: Connection, key: str, site: Site) -> Edition | None:
    """The follow-up as the planner saw it last; as it stands, where it never did. Cancelled at
    once, though not yet planned.
    """
    row = connection.execute(
        sa.select(follow_up.c.edition, follow_up.c.cancelled).where(follow_up.c.key == key)
    ).one_or_none()
    if row is None:
        return None
    planned = invitations.editions(connection, [row.edition]).get(row.edition)
    if planned is None:
        try:
            return followups.wanted(connection, key, site, followups.members(connection, key))
        except InputError:
            return None  # nothing was ever sent of what cannot be read
    return replace(planned, cancelled=row.cancelled)


def _address(member: Member | None, invitations: Sequence[Any]) -> str:
    invited = _invited(member, invitations)
    return invited[-1] if invited else member.address if member is not None else ""


def _standings(member: Member | None) -> Mapping[Moment | None, Standing]:
    return member.standings if member is not None else {}


def _own_dates(sent: Sequence[Edition]) -> frozenset[Moment]:
    """Dates that were sent as VEVENTs of their own beside the series: clients answer those one by
    one, too.
    """
    return frozenset(editions.own_dates(sent[-1])) if sent else frozenset()


def _single(instances: Iterable[str]) -> Iterable[Moment]:
    return [moment for moment in map(codec.parse_moment, instances) if moment is not None]
