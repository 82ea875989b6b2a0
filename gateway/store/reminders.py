"""Who has not answered yet: follow-ups whose deadline is near, the invitations to be reminded, and that they were.

Follow-ups are found by an index for each kind of deadline, so that what lies further ahead or behind costs nothing, however much
there is of it. Which of those that come out are really due is for `itip.reminders` to say, which knows zones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Delivery, LetterState, Method, Occasion, ProposalState, Reply
from gateway.store import invitations
from gateway.store.schema import (
    change_mark,
    follow_up,
    follow_up_date,
    invitation,
    outbox,
    participant,
    proposal,
    standing,
)

ZONES = timedelta(hours=14)
"""How far a day's midnight may lie from midnight in UTC."""
DAY = timedelta(hours=26)
"""How long before an instant its day may have begun, somewhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a look through the follow-ups stands: everything before it was seen."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Silent:
    """An invitation that nobody has answered. `edition`: the number of the one it holds; `reminded`: the SEQUENCE of the series, or
    single meeting, for which it was reminded already."""

    invitation: int
    participant: int
    edition: int
    reminded: int | None


def near(connection: Connection, now: datetime, ahead: timedelta, after: Place | None, limit: int) -> list[Place]:
    """Follow-ups whose deadline may lie within `ahead` from now and that somebody has not answered; the nearest deadline first, and
    one of several deadlines as often as it has them."""
    start, unsaid, nothing = follow_up.c.start_at, follow_up.c.answer_by.is_(None), timedelta()
    alone = sa.exists().where(participant.c.follow_up == follow_up_date.c.follow_up,
                              participant.c.original_start == follow_up_date.c.original_start)
    ways = [(follow_up.c.key, follow_up.c.answer_by, nothing, nothing, ~follow_up.c.cancelled),
            (follow_up.c.key, start, nothing, nothing, unsaid & ~follow_up.c.all_day & ~follow_up.c.cancelled),
            (follow_up.c.key, start, ZONES, ZONES, unsaid & follow_up.c.all_day & ~follow_up.c.cancelled),
            (follow_up.c.key, follow_up.c.deadline, nothing, DAY, unsaid & start.is_(None) & ~follow_up.c.cancelled),
            # Who is invited to one date answers before that begins.
            (participant.c.follow_up, participant.c.original_start, ZONES, ZONES, ~participant.c.removed),
            (follow_up_date.c.follow_up, follow_up_date.c.start_at, ZONES, ZONES, ~follow_up_date.c.cancelled & alone)]
    found = sa.union_all(*(
        sa.select(key.label("key"), column.label("at")).where(column > now - earlier, column <= now + ahead + later, only)
        for key, column, earlier, later, only in ways)).subquery()
    waits = sa.exists().where(invitation.c.follow_up == found.c.key, *_silent(now - ahead))
    query = sa.select(found.c.at, found.c.key).where(waits).order_by(found.c.at, found.c.key).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(found.c.at, found.c.key) > sa.tuple_(sa.literal(after.at, start.type), sa.literal(after.key)))
    return [Place(row.at, row.key) for row in connection.execute(query)]


def silent(connection: Connection, key: str, since: datetime) -> list[Silent]:
    """Who has not answered and was sent nothing since then; nobody while the follow-up waits to be planned, for then he may get a
    letter anyway. In the order of the invitations."""
    planned = sa.exists().where(change_mark.c.follow_up == key)
    query = (sa.select(invitation.c.id, invitation.c.participant, invitation.c.sent_edition, invitation.c.reminded_sequence)
             .where(invitation.c.follow_up == key, *_silent(since), ~planned).order_by(invitation.c.id))
    return [Silent(row.id, row.participant, row.sent_edition, row.reminded_sequence) for row in connection.execute(query)]


def remind(connection: Connection, numbers: Iterable[int], sequence: int) -> None:
    """Owe these invitations their REQUEST once more. `sequence`: of what they hold; nobody is reminded of it again."""
    connection.execute(sa.update(invitation).where(invitation.c.id.in_(list(numbers))).values(
        again=True, again_because=Occasion.REMINDER, again_instance="", reminded_sequence=sequence))


def _silent(since: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """An invitation that its row holds and has not answered, at an address where mail arrives; nothing went there since then, and
    nothing is on its way. Whoever has asked for another time waits for an answer himself."""
    row = sa.exists().where(participant.c.id == invitation.c.participant, participant.c.email_invite, ~participant.c.removed)
    answered = sa.exists().where(standing.c.participant == invitation.c.participant, standing.c.instance == "",
                                 standing.c.reply != Reply.NEEDS_ACTION)
    proposed = sa.exists().where(proposal.c.participant == invitation.c.participant, proposal.c.state == ProposalState.OPEN)
    left = (outbox.c.state == LetterState.SENT) & (outbox.c.settled_at > since)
    letter = sa.exists().where(outbox.c.invitation == invitation.c.id, outbox.c.method != Method.NONE,
                               outbox.c.state.in_(invitations.UNDER_WAY) | left)
    other = invitation.alias("other")
    newer = sa.exists().where(other.c.participant == invitation.c.participant, other.c.id > invitation.c.id)
    return (invitation.c.sent_method == Method.REQUEST, ~invitation.c.refused, invitation.c.delivery != Delivery.UNDELIVERABLE,
            ~invitation.c.again, invitation.c.sent_at <= since,
            invitation.c.reminded_sequence.is_distinct_from(invitation.c.sent_sequence), row, ~answered, ~proposed, ~letter, ~newer)
