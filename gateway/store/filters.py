"""Which follow-ups and participants a list shows: filters, order and where to go on (docs/api.md).

Every list is read by an index and from a place on (keyset), so that a page costs the same wherever
it is. Follow-ups are in the order of their keys; asked for by a time, in that of their beginning;
by words, in that of their titles. Participants are in the order of their numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Actor, Delivery, Kind, Reply
from gateway.status import Status
from gateway.store import visible
from gateway.store.schema import (
    associate,
    follow_up,
    journal,
    participant,
    person,
    person_email,
    standing,
)
from gateway.store.schema_letters import invitation
from gateway.store.schema_lists import Folded

FEW = 500
"""Up to so many changes are looked up one by one; after more of them nearly everything changed."""
LAST = "\U0010ffff"
"""The last of all characters: what begins with some words is less than them with this."""

Place = tuple[Any, ...]
"""Where a list goes on: the values of its order, of the last row that was shown."""


@dataclass(frozen=True, slots=True)
class FollowUps:
    """All that fit everything that is said. `participant`: the key, or an address, of one who takes
    part; `since`, `until`: when it begins, for a task its deadline; `open`: neither completed nor
    cancelled; `silent`: somebody is asked and has not answered; `q`: how the title begins.
    """

    owner: str | None = None
    participant: str | None = None
    person: str | None = None
    company: str | None = None
    project: str | None = None
    sale: str | None = None
    kind: Kind | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    changed_after: datetime | None = None
    open: bool | None = None
    cancelled: bool | None = None
    silent: bool = False
    q: str = ""


@dataclass(frozen=True, slots=True)
class Participants:
    """All that fit everything that is said, without removed ones. `company`: of their person."""

    status: Status | None = None
    reply: Reply | None = None
    delivery: Delivery | None = None
    conflict: bool | None = None
    follow_up: str | None = None
    person: str | None = None
    company: str | None = None
    changed_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows, and where the next one begins; None after the last."""

    names: Sequence[Any]
    next: Place | None


def follow_ups(
    connection: Connection,
    actor: Actor,
    criteria: FollowUps,
    limit: int,
    after: Place | None = None,
) -> Page:
    """The keys of a page of follow-ups."""
    order = _order(criteria)
    query = (
        sa.select(*order)
        .where(visible.follow_ups(actor), *_equal(criteria), *_within(connection, criteria))
        .order_by(*order)
        .limit(limit + 1)
    )
    if len(order) == 1:
        after = after or ("",)  # which is before all: so the list is read from a place on, too
    if after is not None:
        query = query.where(_beyond(order, after))
    rows = [tuple(row) for row in connection.execute(query)]
    return Page([row[-1] for row in rows[:limit]], rows[limit - 1] if len(rows) > limit else None)


def _order(criteria: FollowUps) -> tuple[sa.ColumnElement[Any], ...]:
    if criteria.since is not None or criteria.until is not None:
        return _begins(), follow_up.c.key
    return (_title(), follow_up.c.key) if criteria.q else (follow_up.c.key,)


def _begins() -> sa.ColumnElement[datetime]:
    """As the index has it."""
    begins = sa.func.coalesce(follow_up.c.start_at, follow_up.c.deadline)
    return sa.type_coerce(begins, follow_up.c.start_at.type)


def _title() -> sa.ColumnElement[str]:
    return Folded(follow_up.c.title)


def _beyond(order: Sequence[sa.ColumnElement[Any]], after: Place) -> sa.ColumnElement[bool]:
    """What comes after a place. The first comparison alone leads into the index."""
    if len(order) == 1:
        return order[0] > sa.literal(after[0], order[0].type)
    first, second = order
    value = sa.literal(after[0], first.type)
    return sa.and_(first >= value, sa.or_(first > value, second > after[1]))


EQUAL = ("owner", "person", "company", "project", "sale", "kind", "type")


def _equal(criteria: FollowUps) -> list[sa.ColumnElement[bool]]:
    criteria_by_column = [(follow_up.c[name], getattr(criteria, name)) for name in EQUAL]
    conditions = [column == value for column, value in criteria_by_column if value is not None]
    if criteria.sale:
        conditions.append(sa.text("sale <> ''"))  # what the index is limited to
    return conditions


def _within(connection: Connection, criteria: FollowUps) -> list[sa.ColumnElement[bool]]:
    row = follow_up.c
    conditions = list[sa.ColumnElement[bool]]()
    if criteria.participant is not None:
        conditions.append(row.key.in_(_taking_part(connection, criteria.participant)))
    if criteria.since is not None:
        conditions.append(_begins() >= sa.literal(criteria.since, row.start_at.type))
    if criteria.until is not None:
        conditions.append(_begins() < sa.literal(criteria.until, row.start_at.type))
    if criteria.changed_after is not None:
        conditions.append(
            _changed(connection, criteria.changed_after, journal.c.follow_up, row.key)
        )
    if criteria.open is not None:
        done = sa.or_(row.completed, row.cancelled)
        conditions.append(done if not criteria.open else sa.and_(~row.completed, ~row.cancelled))
    if criteria.cancelled is not None:
        conditions.append(row.cancelled if criteria.cancelled else ~row.cancelled)
    if criteria.silent:
        conditions.append(_has_silent())
    if criteria.q:
        # The database's own idea of small letters: SQLite knows those of ASCII alone.
        begins = Folded(sa.literal(criteria.q))
        conditions += [_title() >= begins, _title() < Folded(sa.literal(criteria.q + LAST))]
    return conditions


def _has_silent() -> sa.ColumnElement[bool]:
    """Follow-ups of which a row waits for an answer."""
    waits = participant.c.code.in_([code for code in CODES[Reply.NEEDS_ACTION] if code])
    of_it = sa.and_(participant.c.follow_up == follow_up.c.key, ~participant.c.removed)
    return sa.exists().where(of_it, waits, _replied(Reply.NEEDS_ACTION, 0))


def _taking_part(connection: Connection, name: str) -> sa.CompoundSelect[tuple[str]]:
    """The follow-ups in which somebody takes part, each way by an index of its own. An address is
    that of a bare row, or stands on a card.
    """
    row, address = participant.c, sa.func.lower(sa.literal(name))
    present = sa.select(row.follow_up).where(~row.removed)
    keys = [name, *_of_cards(connection, address)] if "@" in name else [name]
    return sa.union(
        *(present.where(column.in_(keys)) for column in (row.person, row.associate, row.resource)),
        present.where(sa.func.lower(row.email) == address),
    )


def _of_cards(connection: Connection, address: sa.ColumnElement[str]) -> Sequence[str]:
    """The keys of people and colleagues with that address."""
    people = sa.select(person_email.c.person).where(
        sa.func.lower(person_email.c.address) == address
    )
    colleagues = sa.select(associate.c.key).where(sa.func.lower(associate.c.email) == address)
    return connection.execute(sa.union(people, colleagues)).scalars().all()


def _changed(
    connection: Connection,
    since: datetime,
    named: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    *beyond: sa.ColumnElement[bool],
) -> sa.ColumnElement[bool]:
    """What the journal tells of since then. Few are found by the moment, many by themselves."""
    later = journal.c.at > sa.literal(since, journal.c.at.type)
    first_ones = sa.select(sa.literal(1)).where(later).limit(FEW + 1)
    count = sa.select(sa.func.count()).select_from(first_ones.subquery())
    if connection.execute(count).scalar_one() > FEW:
        return sa.exists().where(named == key, later, *beyond)
    told_of = sa.select(named).where(later, named.is_not(None))
    return key.in_(told_of)


def participants(
    connection: Connection, actor: Actor, criteria: Participants, limit: int, after: int = 0
) -> Page:
    """The numbers of a page of participants."""
    query = _numbered(connection, criteria.delivery, after).where(
        _seen(actor), ~participant.c.removed, *_of(connection, criteria, after)
    )
    query = query.limit(limit + 1)
    codes = _codes(criteria)
    if codes is None:
        numbers = list(connection.execute(query).scalars())
    else:
        # Code by code, each in the order of its index, instead of sorting all of them.
        numbers = sorted(
            number
            for code in codes
            for number in connection.execute(query.where(participant.c.code == code)).scalars()
        )
    shown = numbers[:limit]
    return Page(shown, (shown[-1],) if len(numbers) > limit else None)


def _seen(actor: Actor) -> sa.ColumnElement[bool]:
    """Rows of what an actor sees. Asked of each row: of two tables that are joined SQLite (3.40)
    would walk through all of one first, for a Bloom filter.
    """
    if actor.is_whole_crm:
        return sa.true()
    of_row = follow_up.c.key == participant.c.follow_up
    return sa.exists().where(of_row, visible.follow_ups(actor))


def _numbered(
    connection: Connection, delivery: Delivery | None, after: int
) -> sa.Select[tuple[int]]:
    """Participants by their numbers; those of one delivery by the index of invitations: each
    participant has one that counts, or one for each date that is an invitation by itself.
    """
    number, rows = participant.c.id, sa.select(participant.c.id)
    if delivery not in (None, Delivery.NONE):
        number = invitation.c.participant
        rows = sa.select(number).join(participant, number == participant.c.id).distinct()
    query = rows.where(number > after).order_by(number)
    # PostgreSQL does not go on from the one to the other; SQLite would begin with the wrong one.
    return query if connection.dialect.name == "sqlite" else query.where(participant.c.id > after)


CODES: Mapping[Reply, tuple[int | None, ...]] = {
    Reply.ACCEPTED: (1, 2, 3, 10),
    Reply.DECLINED: (9, 10, 13),
    Reply.TENTATIVE: (7, 8, 10, 12),
    Reply.DELEGATED: (9, 10, 13),
    Reply.NEEDS_ACTION: (None, 5, 6, 7, 8, 11, 12),
}
"""Which statuses a row of that reply can have (domain.md §4); None: nobody has looked at it yet. To
wait for an answer is one thing, to be asked another: rows that never are, or are no more, count
not.
"""


def _codes(criteria: Participants) -> tuple[int | None, ...] | None:
    if criteria.status is not None:
        return (int(criteria.status),)
    return CODES[criteria.reply] if criteria.reply is not None else None


def _of(connection: Connection, criteria: Participants, after: int) -> list[sa.ColumnElement[bool]]:
    row = participant.c
    conditions = list[sa.ColumnElement[bool]]()
    if criteria.follow_up is not None:
        conditions.append(row.follow_up == criteria.follow_up)
    if criteria.person is not None:
        conditions.append(row.person == criteria.person)
    if criteria.company is not None:
        people = sa.select(person.c.key).where(person.c.company == criteria.company)
        conditions.append(row.person.in_(people))
    if criteria.conflict is not None:
        conditions.append(row.conflict if criteria.conflict else ~row.conflict)
    if criteria.reply is not None:
        conditions.append(_replied(criteria.reply, after))
    if criteria.delivery is not None:
        conditions.append(_delivered(criteria.delivery))
    if criteria.changed_after is not None:
        named = journal.c.participant
        conditions.append(
            _changed(connection, criteria.changed_after, named, row.id, named > after)
        )
    return conditions


def _replied(reply: Reply, after: int) -> sa.ColumnElement[bool]:
    """A row that nothing is known of yet has said nothing."""
    of_row = sa.and_(
        standing.c.participant == participant.c.id,
        standing.c.participant > after,
        standing.c.instance == "",
    )
    if reply is Reply.NEEDS_ACTION:
        return ~sa.exists().where(of_row, standing.c.reply != reply)
    return sa.exists().where(of_row, standing.c.reply == reply)


def _delivered(delivery: Delivery) -> sa.ColumnElement[bool]:
    """What is shown of a row: of its dates one that does not arrive, where there is one, else the
    last (`invitations.deliveries`).
    """
    counting = invitation.alias("one")
    is_lost = sa.case((counting.c.delivery == Delivery.UNDELIVERABLE, 1), else_=0)
    of_row = sa.select(counting.c.delivery).where(
        counting.c.participant == participant.c.id, counting.c.counts
    )
    last = of_row.order_by(is_lost.desc(), counting.c.id.desc()).limit(1).scalar_subquery()
    if delivery is Delivery.NONE:
        return sa.func.coalesce(last, Delivery.NONE) == Delivery.NONE
    # The invitation is joined (`_numbered`): by its index few rows are left to be looked at.
    return sa.and_(invitation.c.delivery == delivery, invitation.c.counts, last == delivery)
