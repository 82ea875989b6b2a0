"""Addresses that somebody taught us: the same person, writing from elsewhere (itip.md §5, P2).

They count for recognising a sender and for nothing else: no letter ever goes to one. A person's are
known in all their follow-ups; somebody who is not in the directory has them for their one row. What
was revoked stays as history and counts no more.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail import address
from gateway.model import Method
from gateway.store import chunks
from gateway.store.schema import (
    associate,
    known_address,
    participant,
    person,
    person_email,
)
from gateway.store.schema_letters import invitation

REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose address it is: a person's, or that of one participant row; exactly one is set."""

    person: str | None = None
    participant: int | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """An address that counts. `name`: the person's key, or the row as `m1/eva@other.example`.
    `message`: its number in the inbox.
    """

    id: int
    holder: Holder
    name: str
    address: str
    source: str
    learned_at: datetime
    learned_by: str
    message: int | None


@dataclass(frozen=True, slots=True)
class Origin:
    """How an address was learned."""

    source: str
    by: str
    # Who says so.
    message: int | None
    # The number of the message that showed it.
    at: datetime


def learn(connection: Connection, holder: Holder, value: str, origin: Origin) -> bool:
    """Remember an address; False where it, or a harmless variant of it,
    is among those learned already.
    """
    same = sa.select(known_address.c.id).where(_of(holder), _spelled(value), VALID)
    if connection.execute(same).first() is not None:
        return False
    connection.execute(
        sa.insert(known_address).values(
            person=holder.person,
            participant=holder.participant,
            address=address.normal(value),
            plain=address.plain(value),
            source=origin.source,
            learned_by=origin.by,
            message=origin.message,
            learned_at=origin.at,
        )
    )
    return True


def forget(connection: Connection, holder: Holder, value: str, *, by: str, at: datetime) -> bool:
    """Revoke an address; False where it was not among the learned ones."""
    done = connection.execute(
        sa.update(known_address)
        .where(_of(holder), _spelled(value), VALID)
        .values(revoked_at=at, revoked_by=by)
    )
    return bool(done.rowcount)


def of_rows(connection: Connection, numbers: Collection[int]) -> dict[int, list[str]]:
    """The learned addresses of participant rows, by number."""
    by_row: dict[int, list[str]] = {}
    for row in connection.execute(sa.union_all(*_joined(participant.c.id.in_(numbers)))):
        by_row.setdefault(row.id, []).append(row.address)
    return by_row


def learned(
    connection: Connection, whose: str = "", after: int = 0, limit: int | None = None
) -> list[Learned]:
    """The learned addresses that count, of all or of a person, oldest first; so many beyond number
    `after`.
    """
    names = participant.c.email, participant.c.associate, participant.c.resource
    row_key = sa.func.coalesce(*names).label("row_key")
    of_row = participant.c.id == known_address.c.participant
    rows = sa.select(known_address, participant.c.follow_up, row_key)
    query = rows.join(participant, of_row, isouter=True).where(VALID, known_address.c.id > after)
    query = query.order_by(known_address.c.id).limit(limit)
    if whose:
        query = query.where(known_address.c.person == whose)
    return [
        Learned(
            row.id,
            Holder(row.person, row.participant),
            row.person or f"{row.follow_up}/{row.row_key}",
            row.address,
            row.source,
            row.learned_at,
            row.learned_by,
            row.message,
        )
        for row in connection.execute(query)
    ]


def holder(connection: Connection, number: int) -> Holder | None:
    """Who would learn an address for this participant row; None where the row is gone."""
    row = connection.execute(
        sa.select(participant.c.person).where(participant.c.id == number)
    ).one_or_none()
    if row is None:
        return None
    if row.person is not None:
        return Holder(person=row.person)
    return Holder(participant=number)


def person_exists(connection: Connection, key: str) -> bool:
    return (
        connection.execute(sa.select(person.c.key).where(person.c.key == key)).first() is not None
    )


def own(connection: Connection, whose: Holder) -> Iterable[str]:
    """Every address under which this holder is known without having learned it."""
    rows = sa.select(participant.c.id).where(_rows_of(whose))
    yield from _column(
        connection,
        sa.select(invitation.c.address).where(invitation.c.participant.in_(rows), *STANDING),
    )
    if whose.person is not None:
        yield from _column(
            connection,
            sa.select(person_email.c.address).where(person_email.c.person == whose.person),
        )
    else:
        mail = sa.select(participant.c.email).where(
            participant.c.id == whose.participant, participant.c.email.is_not(None)
        )
        yield from _column(connection, mail)
        yield from _column(
            connection,
            sa.select(associate.c.email)
            .join(participant, participant.c.associate == associate.c.key)
            .where(participant.c.id == whose.participant),
        )


def companions(connection: Connection, whose: Holder) -> Iterable[tuple[str, str]]:
    """(follow-up, address) of everybody else in the follow-ups of this holder, removed ones too,
    learned addresses included.
    """
    somebody_else = (
        participant.c.person.is_distinct_from(whose.person)
        if whose.person is not None
        else participant.c.id != whose.participant
    )
    where = participant.c.follow_up
    bare = sa.select(where, participant.c.email.label("address")).where(
        participant.c.email.is_not(None)
    )
    people = sa.select(where, person_email.c.address).join(
        person_email, person_email.c.person == participant.c.person
    )
    associates = sa.select(where, associate.c.email.label("address")).join(
        associate, associate.c.key == participant.c.associate
    )
    invited = (
        sa.select(where, invitation.c.address)
        .join(invitation, invitation.c.participant == participant.c.id)
        .where(*STANDING)
    )
    # By their keys: PostgreSQL takes a holder in a subquery for somebody in many follow-ups, and
    # reads the rows of all associates.
    for keys in chunks.parts(follow_ups_of(connection, whose)):
        other = sa.and_(where.in_(keys), somebody_else)
        own = [addresses_of.where(other) for addresses_of in (bare, people, associates, invited)]
        for query in (sa.union_all(*own), sa.union_all(*_joined(other, where))):
            yield from ((row.follow_up, row.address) for row in connection.execute(query))


def staff(connection: Connection) -> Iterable[str]:
    """The addresses of all associates."""
    return _column(connection, sa.select(associate.c.email).where(associate.c.email != ""))


def follow_ups_of(connection: Connection, whose: Holder) -> list[str]:
    """The follow-ups that are concerned, to be locked in this order."""
    return sorted(
        set(_column(connection, sa.select(participant.c.follow_up).where(_rows_of(whose))))
    )


VALID = known_address.c.revoked_at.is_(None)
STANDING = (
    ~invitation.c.former,
    invitation.c.counts,
    invitation.c.sent_method.is_distinct_from(Method.CANCEL),
)
"""An invitation at the address of now. One that was corrected since speaks for nobody, and may be
anybody's.
"""


def _of(whose: Holder) -> sa.ColumnElement[bool]:
    return (
        known_address.c.person == whose.person
        if whose.person is not None
        else known_address.c.participant == whose.participant
    )


def _rows_of(whose: Holder) -> sa.ColumnElement[bool]:
    return (
        participant.c.person == whose.person
        if whose.person is not None
        else participant.c.id == whose.participant
    )


def _spelled(value: str) -> sa.ColumnElement[bool]:
    return known_address.c.plain == address.plain(value)


def _joined(condition: sa.ColumnElement[bool], *columns: Any) -> list[sa.Select[Any]]:
    """Rows with their learned addresses, those of the person and those of the row itself."""
    query = sa.select(participant.c.id, known_address.c.address, *columns)
    return [
        query.join(known_address, known_address.c.person == participant.c.person).where(
            condition, VALID
        ),
        query.join(known_address, known_address.c.participant == participant.c.id).where(
            condition, VALID
        ),
    ]


def _column(connection: Connection, query: sa.Select[Any]) -> list[str]:
    return list(connection.execute(query).scalars())
