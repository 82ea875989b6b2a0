"""Rows that other programs gave to somebody else, or to another follow-up: what was said there
before is nobody's answer now.
"""

from collections.abc import Collection, Sequence

from gateway import status
from gateway.itip import owing
from gateway.mail import address
from gateway.store import directory, invitations
from gateway.store.engine import Connection
from gateway.store.followups import Member


def rows(
    connection: Connection,
    members: Sequence[Member],
    copies: Sequence[owing.Copy],
    arrived: Collection[int],
) -> list[Member]:
    """Those whose row was somebody else's when it was invited last; they may have had it before,
    too.

    `arrived`: rows that have been in another follow-up. An address that changed is no other person,
    as far as anybody can tell: only where the former one belongs to somebody else now, by another
    name.
    """
    held = dict[int, list[owing.Copy]]()
    for one in copies:
        held.setdefault(one.participant, []).append(one)
    might = [
        one
        for one in members
        if one.address
        and one.role not in status.FIXED
        and (one.id in held or one.id in arrived)
        and (
            is_invited(one)
            or not any(_same(copy.address, one.address) for copy in held.get(one.id, ()))
        )
    ]
    by_row = invitations.deliveries(connection, [one.id for one in might])
    here = {one.invitation for one in copies}
    people = directory.at(connection, [one.address for one in by_row.values()])

    def is_other(member: Member) -> bool:
        former = by_row[member.id]
        if former.id not in here:
            return member.id in arrived
        there = people.get(former.address.lower(), set())
        return (
            not _same(former.address, member.address)
            and bool(there)
            and member.key not in there
            and former.name != member.name
        )

    return [one for one in might if is_other(one)]


def is_invited(member: Member) -> bool:
    """Whoever has the row again is known to have it by his next letter;
    nothing begins before that.
    """
    return member.email_invite and not member.removed


def _same(one: str, other: str) -> bool:
    return address.key(one) == address.key(other)
