"""Rows that other programs gave to somebody else, or to another follow-up: what was said there before is nobody's answer now."""

from collections.abc import Collection, Sequence

from gateway import status
from gateway.itip import owing
from gateway.store import directory, invitations
from gateway.store.engine import Connection
from gateway.store.followups import Member


def rows(connection: Connection, members: Sequence[Member], copies: Sequence[owing.Copy], arrived: Collection[int]) -> list[Member]:
    """Those who took over a row since it was invited last, and have no invitation of their own yet.

    `arrived`: rows that came from another follow-up. An address that changed is no other person, as far as anybody can tell: only
    where the former one belongs to somebody else now, by another name.
    """
    held = dict[int, list[owing.Copy]]()
    for one in copies:
        held.setdefault(one.participant, []).append(one)
    new = [one for one in members if one.address and one.role not in status.FIXED
           and all(copy.address.lower() != one.address.lower() for copy in held.get(one.id, ()))]
    last = {one.id: held[one.id][-1] for one in new if one.id in held}
    sent = invitations.get(connection, [one.invitation for one in last.values()])
    people = directory.at(connection, [one.address for one in last.values()])
    def is_other(member: Member) -> bool:
        if (copy := last.get(member.id)) is None:
            return member.id in arrived
        there = people.get(copy.address.lower(), set())
        return bool(there) and member.key not in there and sent[copy.invitation].name != member.name
    return [one for one in new if is_other(one)]
