"""Rows that other programs gave to somebody else, or to another follow-up: what was said there
before is nobody's answer now (domain.md §3).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gateway import status
from gateway.invite import owing
from gateway.mail import address
from gateway.model import Channel, Role
from gateway.store import delegations, directory, invitations, journal, participants, proposals
from gateway.store.engine import Connection
from gateway.store.followups import Member

BARE = "email:"
"""How `Member.who` begins of an invitee who is known by an address alone."""


def rows(
    connection: Connection,
    members: Sequence[Member],
    copies: Sequence[owing.Copy],
    arrived: Collection[int],
) -> list[Member]:
    """Those whose row was somebody else's when it was planned or invited last; they may have had it
    before, too.

    `arrived`: rows that have been in another follow-up.
    """
    given, invited = _given(connection, members), _invited(connection, members, copies, arrived)
    return [member for member in members if member.id in given or member.id in invited]


def begin(
    connection: Connection,
    key: str,
    members: Sequence[Member],
    others: Mapping[int, str],
    now: datetime,
) -> list[Member]:
    """Forget what hangs on the rows that are given to `others` (row → address), beside what was
    answered. Returns the rows as they are then.
    """
    if not others:
        return list(members)
    delegations.forget(connection, others)
    participants.hand_over(connection, others, now)
    # Of an assignee's row the command has forgotten it, and the assignee may have said it since.
    invited = [
        member.id for member in members if member.id in others and member.role is Role.INVITED
    ]
    participants.forget_own(connection, invited)
    overtaken = proposals.withdraw(connection, others, now)
    given = [
        member
        for member in members
        if member.id in others and member.planned_for not in ("", member.who)
    ]
    journal.name(connection, {member.id: member.planned_for for member in given})
    journal.write(
        connection,
        [
            journal.Entry(
                "given",
                key,
                member.id,
                member.date,
                channel=Channel.STORE,
                detail=f"to {member.who}, from {member.planned_for}",
            )
            for member in given
        ]
        + [
            journal.Entry("proposal_overtaken", key, number, detail="the row was given away")
            for number in overtaken
        ],
        now,
    )
    return [
        replace(member, given_token=None) if member.id in others else member for member in members
    ]


def taken_over(copies: Sequence[owing.Copy], other: Mapping[int, str]) -> list[owing.Copy]:
    """An invitee who had a row before, too, gets their own invitation once more, even if its CANCEL
    never left: from then on the row is theirs. `other`: rows given to somebody else, and their
    addresses.
    """
    return [
        replace(copy, again=True, again_instance=None)
        if other.get(copy.participant) == address.key(copy.address)
        else copy
        for copy in copies
    ]


def is_invited(member: Member) -> bool:
    """An invitee who has the row again is known to have it by their next letter; nothing begins
    before that.
    """
    return member.email_invite and not member.removed


def _given(connection: Connection, members: Sequence[Member]) -> set[int]:
    """Rows that stood for somebody else when they were planned last, mailed or not.

    Two records of one name are one person, and so is a record that is gone: it was renamed, or one
    of two that were put together.
    """
    changed = [member for member in members if member.planned_for not in ("", member.who)]
    if not changed:
        return set()
    called = {name for member in changed for name in (member.planned_for, member.who)}
    names = directory.names(connection, called)
    bare = {name.removeprefix(BARE) for name in called if name.startswith(BARE)}
    people = directory.at(connection, bare)
    return {member.id for member in changed if _is_another(member, names, people)}


def _is_another(
    member: Member, names: Mapping[str, str], people: Mapping[str, Collection[str]]
) -> bool:
    former, now = member.planned_for, member.who
    if former.startswith(BARE):
        theirs = people.get(former.removeprefix(BARE), ())
        return not now.startswith(BARE) and bool(theirs) and member.key not in theirs
    if former not in names:
        return False
    if now.startswith(BARE):
        theirs = people.get(now.removeprefix(BARE), ())
        return former.partition(":")[2] not in theirs and names[former] != member.name
    return names[former] != names.get(now)


def _invited(
    connection: Connection,
    members: Sequence[Member],
    copies: Sequence[owing.Copy],
    arrived: Collection[int],
) -> set[int]:
    """Rows that were somebody else's when they were invited last. An address that changed is no
    other person, as far as anybody can tell: only where the former one belongs to somebody else
    now, by another name, or where it is nobody's and the names have nothing in common.
    """
    addresses = dict[int, list[str]]()
    for copy in copies:
        addresses.setdefault(copy.participant, []).append(copy.address)
    elsewhere = _invited_elsewhere(members, copies)
    might = [
        member
        for member in members
        if (member.id in arrived or member.id in elsewhere)
        and _might_be_another(member, addresses.get(member.id, ()))
    ]
    if not might:
        return set()
    former = invitations.deliveries(connection, [member.id for member in might])
    here = {copy.invitation for copy in copies}
    people = directory.at(connection, [invitation.address for invitation in former.values()])
    return {
        member.id
        for member in might
        if (
            _was_anothers(member, former[member.id], people)
            if former[member.id].id in here
            else member.id in arrived
        )
    }


def _invited_elsewhere(members: Sequence[Member], copies: Sequence[owing.Copy]) -> set[int]:
    """Rows that were invited last at another address than the present one, where keys do not tell
    whose they were and are.
    """
    present = {member.id: member.address for member in members if not _is_known_by_key(member)}
    counting = [copy for copy in copies if copy.counts and copy.participant in present]
    return {
        copy.participant
        for copy in counting
        if not address.same(copy.address, present[copy.participant])
    }


def _might_be_another(member: Member, addresses: Sequence[str]) -> bool:
    """Whether it is worth to ask. `addresses`: where the row was ever invited."""
    if not member.address or member.role in status.FIXED:
        return False
    return is_invited(member) or not any(
        address.equal(spelling, member.address) for spelling in addresses
    )


def _was_anothers(
    member: Member, former: invitations.Invitation, people: Mapping[str, Collection[str]]
) -> bool:
    """Whether the row's last invitation went to somebody else. `people`: whose addresses are.

    Of whom the directory does not know the name tells: a bare address may be put right, and its
    holder be registered, but not be called something altogether different at the same time.
    """
    if _is_known_by_key(member) or address.equal(former.address, member.address):
        return False
    there = people.get(former.address.lower(), ())
    if there:
        return member.key not in there and former.name != member.name
    return _share_no_word(former.name, member.name)


def _share_no_word(former: str, other: str) -> bool:
    """Whether these are names of two people; one who is not named may be either."""
    words, others = (set(name.casefold().replace(",", " ").split()) for name in (former, other))
    return bool(words and others) and words.isdisjoint(others)


def _is_known_by_key(member: Member) -> bool:
    """Whether the keys tell whose the row was and is."""
    return member.planned_for != "" and not (
        member.planned_for.startswith(BARE) or member.who.startswith(BARE)
    )
