"""Participants as people name them, and people who become participants
because an administrator says so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail import address
from gateway.store import codec, followups, upsert
from gateway.store.followups import Member
from gateway.store.schema import (
    INVITEE,
    associate,
    former_standing,
    known_address,
    participant,
    person_email,
)
from gateway.store.schema_letters import invitation

GIVEN = "the row was given to somebody else"


def join(connection: Connection, key: str, value: str, name: str = "") -> int:
    """A participant with the switch on, at this address. Returns the number.

    Somebody who is there already under it, or was once, is not added twice: removed and added again
    is the same row and token.
    """
    there = [
        member
        for member in followups.members(connection, key)
        if address.among(value, member.addresses)
    ]
    present = next(iter(sorted(there, key=lambda member: member.removed)), None)
    if present is None:
        return followups.add_guest(connection, key, address.normal(value), name)
    if present.removed or not present.email_invite:
        connection.execute(
            sa.update(participant)
            .where(participant.c.id == present.id)
            .values(removed=False, email_invite=True)
        )
    return present.id


def hold(connection: Connection, number: int) -> None:
    """From here on another program that writes to this row waits, as `records.hold`."""
    row = sa.select(participant.c.id).where(participant.c.id == number)
    connection.execute(row.with_for_update(key_share=True))


@dataclass(frozen=True, slots=True)
class New:
    """A row to be made. `kind`: which column names them, `key`: what stands in it; `who`: as
    `Member.who`.
    """

    kind: str
    key: str
    name: str
    who: str
    code: int
    email_invite: bool
    note: str


def insert(connection: Connection, follow_up: str, rows: Sequence[New]) -> list[int]:
    """Make rows that take part, as the journal says. Returns their numbers, in their order."""
    if not rows:
        return []
    values = [
        {column: row.key if column == row.kind else None for column in INVITEE}
        | {
            "follow_up": follow_up,
            "name": row.name,
            "email_invite": row.email_invite,
            "code": row.code,
            "note": row.note,
            "planned_for": row.who,
            "announced": True,
        }
        for row in rows
    ]
    # SQLite would return numbers in their order only one row at a time.
    connection.execute(sa.insert(participant), values)
    numbers = sa.select(participant.c.planned_for, participant.c.id).where(
        participant.c.follow_up == follow_up, participant.c.original_start.is_(None)
    )
    there = connection.execute(numbers.order_by(participant.c.id)).all()
    newest = {row.planned_for: row.id for row in there}
    return [newest[row.who] for row in rows]


def readdress(connection: Connection, who: str, value: str) -> None:
    """Write the first address of a person, or that of an associate."""
    kind, _, key = who.partition(":")
    if kind == "associate":
        card = sa.update(associate).where(associate.c.key == key)
        connection.execute(card.values(email=value))
    else:
        first = sa.select(sa.func.min(person_email.c.position)).where(person_email.c.person == key)
        position = connection.execute(first).scalar_one()
        card_place = {"person": key, "position": 0 if position is None else position}
        upsert.one(connection, person_email, card_place, {"address": value})


def change(connection: Connection, numbers: Collection[int], values: Mapping[str, Any]) -> None:
    """Write these columns of participants."""
    if numbers:
        connection.execute(
            sa.update(participant).where(participant.c.id.in_(numbers)).values(dict(values))
        )


def follow_up_of(connection: Connection, number: int) -> str | None:
    """The follow-up of a participant; None where there is no such row."""
    query = sa.select(participant.c.follow_up).where(participant.c.id == number)
    return connection.execute(query).scalar_one_or_none()


def of_the_house(connection: Connection, numbers: Collection[int]) -> list[str]:
    """The follow-ups of those of these participants who are associates."""
    if not numbers:
        return []
    query = sa.select(participant.c.follow_up).where(
        participant.c.id.in_(numbers), participant.c.associate.is_not(None)
    )
    return list(connection.execute(query).scalars())


def forget_own(connection: Connection, numbers: Collection[int]) -> None:
    """Priority and alarm were the former holder's of these rows."""
    change(connection, numbers, {"priority": "", "alarm_minutes": None})


def hand_over(connection: Connection, others: Mapping[int, str], at: datetime) -> None:
    """These rows are somebody else's now, who is invited at these addresses. Not theirs are the
    token that an earlier system gave, the addresses that were learned for the row or at which
    others were invited, and answers that wait to count again.
    """
    is_given = participant.c.id.in_(list(others))
    connection.execute(sa.update(participant).where(is_given).values(given_token=None))
    _close_invitations(connection, others)
    former = former_standing.c.participant.in_(list(others))
    connection.execute(sa.delete(former_standing).where(former))
    learned = known_address.c.participant.in_(list(others)), known_address.c.revoked_at.is_(None)
    connection.execute(
        sa.update(known_address).where(*learned).values(revoked_at=at, revoked_by=GIVEN)
    )


def _close_invitations(connection: Connection, others: Mapping[int, str]) -> None:
    of_rows = invitation.c.participant.in_(list(others))
    rows = connection.execute(sa.select(invitation).where(of_rows)).all()
    anothers = [row.id for row in rows if address.key(row.address) != others[row.participant]]
    connection.execute(
        sa.update(invitation)
        .where(of_rows)
        .values(deferred="", former=invitation.c.id.in_(anothers))
    )


def stand_for(connection: Connection, members: Iterable[Member]) -> None:
    """Keep whom the rows stand for, for the case that they are given to somebody else, and that the
    journal says whether they take part.
    """
    rows = [
        {"row": member.id, "who": member.who, "takes_part": not member.removed}
        for member in members
        if member.planned_for != member.who or member.announced is member.removed
    ]
    if rows:
        connection.execute(
            sa.update(participant)
            .where(participant.c.id == sa.bindparam("row"))
            .values(planned_for=sa.bindparam("who"), announced=sa.bindparam("takes_part")),
            rows,
        )


def number_of(connection: Connection, key: str, name: str) -> int | None:
    """The participant of a follow-up that is called so: by the key of its person or associate, or
    by one of their addresses.

    Of somebody who is invited to single dates, as KEY/2026-12-08 or KEY/2026-12-08T08:00:00Z; else
    their row that was not removed.
    """
    members = sorted(followups.members(connection, key), key=lambda member: member.removed)
    called = _called(members, name)
    if not called and "/" in name:
        who, _, date = name.rpartition("/")
        called = [
            member
            for member in _called(members, who)
            if member.date is not None and codec.moment(member.date).startswith(date)
        ]
    return called[0].id if called else None


def _called(members: Sequence[Member], name: str) -> list[Member]:
    by_key = [member for member in members if member.key == name]
    if by_key:
        return by_key
    return [member for member in members if address.among(name, member.addresses)]
