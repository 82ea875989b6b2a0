"""Rows of the record by which something may wait for a person, and what of their follow-ups matters
to those who decide (domain.md §9). In sets: a fixed number of statements for any number of
follow-ups.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import recurrence
from gateway.followups.decisions import ADMINISTRATORS
from gateway.model import Channel, Delivery, Edition, Moment, Outcome, Reply
from gateway.status import Status
from gateway.store import codec, followups, invitations
from gateway.store.followups import Member
from gateway.store.schema import (
    follow_up,
    inbox,
    journal,
    participant,
    proposal,
    standing,
)
from gateway.store.schema_letters import invitation

DAY = timedelta(days=1)
"""So long after its end a follow-up is over for those who have to decide (domain.md §4)."""
KEYS: sa.BindParameter[str] = sa.bindparam("keys", expanding=True)
NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
NOTHING: sa.ColumnElement[str] = sa.literal_column("''")

_PRESENT = sa.and_(
    participant.c.follow_up.in_(KEYS),
    ~participant.c.removed,
    sa.func.coalesce(participant.c.code, 0) != int(Status.CANCELLED),
)
_ANSWERED_SINCE = sa.exists().where(
    standing.c.participant == inbox.c.participant,
    standing.c.instance.in_((NOTHING, inbox.c.instance)),
    standing.c.arrived > inbox.c.arrived_at,
)
_IS_CRASHER = inbox.c.outcome == Outcome.PARTY_CRASHER
_HELD = (
    sa.select(
        sa.literal_column("'held'").label("what"),
        inbox.c.follow_up,
        inbox.c.participant,
        inbox.c.instance,
        inbox.c.id.label("number"),
        inbox.c.arrived_at.label("at"),
        inbox.c.outcome.label("said"),
    )
    .join(participant, participant.c.id == inbox.c.participant, isouter=True)
    .where(
        inbox.c.follow_up.in_(KEYS),
        inbox.c.raw.is_not(None),
        _IS_CRASHER
        | sa.and_(
            inbox.c.outcome == Outcome.HELD,
            participant.c.follow_up == inbox.c.follow_up,
            ~participant.c.removed,
            ~_ANSWERED_SINCE,
        ),
    )
)
_PROPOSED = (
    sa.select(
        sa.literal_column("'proposal'"),
        participant.c.follow_up,
        participant.c.id,
        proposal.c.instance,
        proposal.c.id,
        proposal.c.created_at,
        NOTHING,
    )
    .join(participant, participant.c.id == proposal.c.participant)
    # Written out, not bound: else no database sees that a partial index holds the rows.
    .where(_PRESENT, proposal.c.state == sa.literal_column("'open'"))
)
_DECLINED = (
    sa.select(
        sa.literal_column("'declined'"),
        participant.c.follow_up,
        participant.c.id,
        standing.c.instance,
        participant.c.id,
        standing.c.arrived,
        sa.func.coalesce(participant.c.associate, NOTHING),
    )
    .join(standing, standing.c.participant == participant.c.id)
    .where(
        _PRESENT,
        standing.c.reply == Reply.DECLINED,
        ~standing.c.cancelled,
        # What was said by hand the owner knows.
        standing.c.channel != Channel.HAND,
    )
)
_UNDELIVERABLE = (
    sa.select(
        sa.literal_column("'undeliverable'"),
        participant.c.follow_up,
        participant.c.id,
        NOTHING,
        invitation.c.id,
        invitation.c.created_at,
        invitation.c.address,
    )
    .join(participant, participant.c.id == invitation.c.participant)
    .where(
        _PRESENT,
        participant.c.email_invite,
        invitation.c.counts,
        invitation.c.delivery == Delivery.UNDELIVERABLE,
    )
)
_HEADS = sa.select(
    follow_up.c.key,
    follow_up.c.kind,
    follow_up.c.owner,
    follow_up.c.assigned_by,
    follow_up.c.cancelled,
    follow_up.c.completed,
    follow_up.c.start_at,
    follow_up.c.end_at,
    follow_up.c.deadline,
    follow_up.c.rrule,
    follow_up.c.location,
    follow_up.c.edition,
).where(follow_up.c.key.in_(KEYS))


def _of(participants: bool) -> sa.CompoundSelect[Any]:
    parts = [_HELD, _PROPOSED, _DECLINED, _UNDELIVERABLE]
    if participants:
        is_theirs = inbox.c.participant.in_(NUMBERS) | inbox.c.participant.is_(None)
        parts = [
            _HELD.where(is_theirs),
            *(p.where(participant.c.id.in_(NUMBERS)) for p in parts[1:]),
        ]
    return sa.union_all(*parts)


_WAITS = {participants: _of(participants) for participants in (False, True)}


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that may wait: a row of the record."""

    what: str
    follow_up: str
    participant: int | None
    instance: str
    number: int
    at: datetime | None
    said: str

    @property
    def date(self) -> Moment | None:
        return codec.parse_moment(self.instance)


@dataclass(frozen=True, slots=True)
class Head:
    """What of a follow-up matters to those who have to decide on it."""

    row: Any
    edition: Edition | None
    now: datetime

    @property
    def owner(self) -> str:
        return self.row.owner or ADMINISTRATORS

    @property
    def assigner(self) -> str:
        return self.row.assigned_by or self.owner

    @property
    def stands(self) -> bool:
        return not (self.row.cancelled or self.row.completed)

    @property
    def times(self) -> str:
        """When and where it takes place, as a short word: another one after a move."""
        row = self.row
        facts = row.start_at, row.end_at, row.deadline, row.rrule, row.location
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    def is_role_assigned(self, associate: str) -> bool:
        """Whether the row of this associate is that of whom it was assigned to (domain.md §4)."""
        row = self.row
        return (
            bool(associate) and associate == row.owner and row.assigned_by not in (None, associate)
        )

    def is_over(self, instance: Moment | None) -> bool:
        """Whether it, or this date of it, was over a day ago. What is only to be done by a deadline
        never is.
        """
        ends = _ends(self.row)
        if ends is None or ends + DAY > self.now:
            return False
        if self.edition is None:
            return instance is None and not self.row.rrule
        if instance is not None and not recurrence.is_instance(self.edition, instance):
            instance = None
        return recurrence.over(self.edition, self.now - DAY, instance)


def _ends(row: Any) -> datetime | None:
    """When a single follow-up, or the first date of a series, ends by its columns."""
    if row.start_at is None:
        return None
    ends: datetime = max(row.start_at, row.end_at or row.start_at)
    return ends


def find(
    connection: Connection, keys: Collection[str], participants: Collection[int] | None
) -> list[Sign]:
    values: dict[str, object] = {"keys": sorted(keys)}
    if participants is not None:
        values["numbers"] = sorted(participants)
    rows = connection.execute(_WAITS[participants is not None], values)
    return [Sign(*row) for row in rows]


def heads(connection: Connection, keys: Collection[str], now: datetime) -> dict[str, Head]:
    rows = connection.execute(_HEADS, {"keys": sorted(keys)}).all()
    past = [row for row in rows if (ends := _ends(row)) is not None and ends + DAY <= now]
    editions = invitations.editions(connection, [row.edition for row in past]) if past else {}
    return {row.key: Head(row, editions.get(row.edition), now) for row in rows}


def given(connection: Connection, numbers: Collection[int | None]) -> dict[int, datetime]:
    """When rows were given to somebody else, last."""
    rows = {number for number in numbers if number is not None}
    if not rows:
        return {}
    at = sa.func.max(journal.c.at, type_=journal.c.at.type).label("at")
    query = (
        sa.select(journal.c.participant, at)
        .where(journal.c.participant.in_(rows), journal.c.event == "given")
        .group_by(journal.c.participant)
    )
    return {row.participant: row.at for row in connection.execute(query)}


def is_anothers(arrived: datetime, number: int | None, given_at: Mapping[int, datetime]) -> bool:
    """Whether a message is about the invitee who had the row before."""
    at = given_at.get(number or 0)
    return at is not None and arrived < at


def members(connection: Connection, numbers: Collection[int | None]) -> dict[int, Member]:
    ids = sorted(number for number in numbers if number is not None)
    return {member.id: member for member in followups.members(connection, ids=ids)} if ids else {}
