"""Who has not answered yet: follow-ups whose deadline is near, the invitations to be reminded, and
that they were.

Follow-ups are found by an index for each kind of deadline, so that what lies further ahead or
behind costs nothing, however much there is of it; only of series all are looked at that have begun.
Which of those that come out are really due is for `invite.reminders` to say, which knows zones and
rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import reminders
from gateway.model import (
    Delivery,
    Edition,
    LetterState,
    Method,
    Moment,
    Occasion,
    Outcome,
    ProposalState,
    Remarks,
    Reply,
)
from gateway.store import codec, invitations
from gateway.store.schema import (
    SERIES,
    change_mark,
    follow_up,
    follow_up_date,
    inbox,
    participant,
    proposal,
    standing,
)
from gateway.store.schema_letters import invitation, outbox

ZONES = timedelta(hours=14)
"""How far a day's midnight may lie from midnight in UTC."""
DAY = timedelta(hours=26)
"""How long before an instant its day may have begun, somewhere."""
HORIZON = timedelta(days=366)
"""Where no date of a series begins for so long, none is next. No reminder comes so early
(`outbound.reminder_hours`).
"""
WORDS = (Outcome.HELD, Outcome.COMMENT)
"""What may be an answer, though a person has to read it."""


NOT_REMINDED = invitation.c.reminded_sequence.is_distinct_from(invitation.c.sent_sequence)
"""Of the question that its holder was sent last."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a look through the follow-ups stands: everything before it was seen."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Silent:
    """An invitation whose holder was not heard. `edition`: the one it holds; `reminded`: the
    SEQUENCE of the series, or single meeting, at which they were reminded already.
    """

    invitation: int
    participant: int
    edition: Edition
    reminded: int | None


def near(
    connection: Connection, now: datetime, ahead: timedelta, after: Place | None, limit: int
) -> list[Place]:
    """Follow-ups that may have a deadline within `ahead` from now and that somebody has not
    answered; the nearest first, series that have begun before all. Each of them once.
    """
    deadlines = sa.union_all(*_deadlines(now, ahead), _begun(now)).subquery("found")
    at = sa.func.min(deadlines.c.at, type_=START.type)
    waits = sa.exists().where(invitation.c.follow_up == deadlines.c.key, *_silent(now - ahead))
    query = (
        sa.select(deadlines.c.key, at.label("at"))
        .join(follow_up, follow_up.c.key == deadlines.c.key)
        .where(~follow_up.c.cancelled, waits)
        .group_by(deadlines.c.key)
        .order_by(at, deadlines.c.key)
        .limit(limit)
    )
    if after is not None:
        place = sa.tuple_(sa.literal(after.at, START.type), sa.literal(after.key))
        query = query.having(sa.tuple_(at, deadlines.c.key) > place)
    return [Place(row.at, row.key) for row in connection.execute(query)]


START, NOTHING = follow_up.c.start_at, timedelta()

WAYS: tuple[tuple[Any, Any, timedelta, timedelta, Any], ...] = (
    (follow_up.c.key, follow_up.c.answer_by, NOTHING, NOTHING, sa.true()),
    (follow_up.c.key, START, NOTHING, NOTHING, ~follow_up.c.all_day),
    (follow_up.c.key, START, ZONES, ZONES, follow_up.c.all_day),
    (follow_up.c.key, follow_up.c.deadline, NOTHING, DAY, START.is_(None)),
    (
        participant.c.follow_up,
        participant.c.original_start,
        ZONES,
        ZONES,
        ~participant.c.removed,
    ),
    (
        follow_up_date.c.follow_up,
        follow_up_date.c.start_at,
        ZONES,
        ZONES,
        ~follow_up_date.c.cancelled,
    ),
    (
        follow_up_date.c.follow_up,
        follow_up_date.c.original_start,
        ZONES,
        ZONES,
        ~follow_up_date.c.cancelled,
    ),
)
"""What a deadline can be: the key of its follow-up, its column, how much earlier and later the
moment itself may be, and which rows count.
"""


def _deadlines(now: datetime, ahead: timedelta) -> Iterator[sa.Select[Any]]:
    """Those within this time from now."""
    for key, column, earlier, later, only in WAYS:
        first, last = now - earlier, now + ahead + later
        query = sa.select(key.label("key"), column.label("at"))
        yield query.where(column > first, column <= last, only)


def _begun(now: datetime) -> sa.Select[Any]:
    """Series that have begun: one of their dates may be near."""
    query = sa.select(follow_up.c.key.label("key"), START.label("at"))
    return query.where(SERIES, follow_up.c.start_at <= now)


def silent(
    connection: Connection, key: str, now: datetime, ahead: timedelta, *, again: bool = False
) -> list[Silent]:
    """Who was not heard and was sent nothing within the time before now that is `ahead` long;
    nobody while the follow-up waits to be planned, because then they may get a letter anyway.
    `again`: also who was reminded of that question before. In the order of the invitations.
    """
    planned = sa.exists().where(change_mark.c.follow_up == key)
    query = (
        sa.select(
            invitation.c.id,
            invitation.c.participant,
            invitation.c.sent_edition,
            invitation.c.reminded_sequence,
        )
        .where(invitation.c.follow_up == key, *_silent(now - ahead, again=again), ~planned)
        .order_by(invitation.c.id)
    )
    rows = connection.execute(query).all()
    editions = invitations.editions(connection, {row.sent_edition for row in rows})
    answered = _answered_next(
        connection, {row.participant: editions[row.sent_edition] for row in rows}, now
    )
    return [
        Silent(row.id, row.participant, editions[row.sent_edition], row.reminded_sequence)
        for row in rows
        if row.participant not in answered
    ]


def heard(
    connection: Connection, letters: Mapping[int, tuple[int, Edition]], now: datetime
) -> set[int]:
    """Of these letters of the outbox (number → participant, edition) the ones whose reader was
    heard since they were written.
    """
    query = (
        sa.select(outbox.c.id)
        .join(invitation, invitation.c.id == outbox.c.invitation)
        .where(
            outbox.c.id.in_(letters),
            _heard(outbox.c.participant, outbox.c.created_at, invitation.c.date),
        )
    )
    answered = _answered_next(connection, dict(letters.values()), now)
    return {
        *connection.execute(query).scalars(),
        *(
            number
            for number, (participant_number, _) in letters.items()
            if participant_number in answered
        ),
    }


def lock(connection: Connection, key: str) -> None:
    """Lock the invitations of a follow-up in the order of all,
    before some of them are written to.
    """
    numbers = connection.execute(
        sa.select(invitation.c.id).where(invitation.c.follow_up == key)
    ).scalars()
    invitations.lock(connection, numbers, wait=True)


def remind(connection: Connection, numbers: Iterable[int], sequence: int) -> None:
    """Owe these invitations their REQUEST once more. `sequence`: of what they hold; nobody is
    reminded of it again.
    """
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.id.in_(list(numbers)))
        .values(
            again=True,
            again_because=Occasion.REMINDER,
            again_instance="",
            reminded_sequence=sequence,
        )
    )


def take_back(connection: Connection, letters: Sequence[int]) -> None:
    """Those among these letters that are reminders will not leave: their invitees were not
    reminded.
    """
    reminder = outbox.c.remarks.contains(
        codec.remarks(Remarks(Occasion.REMINDER)).strip("{}"), autoescape=True
    )
    rows = sa.select(outbox.c.invitation).where(outbox.c.id.in_(letters), reminder)
    connection.execute(
        sa.update(invitation).where(invitation.c.id.in_(rows)).values(reminded_sequence=None)
    )


def forgo(connection: Connection, key: str) -> None:
    """Look no more at the invitations to a follow-up that is over, until a new question is sent.
    They are locked first.
    """
    lock(connection, key)
    connection.execute(
        sa.update(invitation)
        .where(
            invitation.c.follow_up == key,
            invitation.c.sent_method == Method.REQUEST,
            invitation.c.reminded_sequence.is_distinct_from(invitation.c.sent_sequence),
        )
        .values(reminded_sequence=invitation.c.sent_sequence)
    )


def _silent(since: datetime, *, again: bool = False) -> tuple[sa.ColumnElement[bool], ...]:
    """An invitation that its row holds, whose holder was not heard, at an address where mail
    arrives; nothing went there since then, and nothing is on its way.
    """
    row = sa.exists().where(
        participant.c.id == invitation.c.participant,
        participant.c.email_invite,
        ~participant.c.removed,
    )
    # Not `sent_at`, at which a letter was claimed last: it may have been turned away, and replaced
    # since.
    has_left = (outbox.c.state == LetterState.SENT) & (outbox.c.settled_at > since)
    letter = sa.exists().where(
        outbox.c.invitation == invitation.c.id,
        outbox.c.method != Method.NONE,
        outbox.c.state.in_(invitations.UNDER_WAY) | has_left,
    )
    heard = _heard(invitation.c.participant, invitation.c.sent_at, invitation.c.date)
    return (
        invitation.c.sent_method == Method.REQUEST,
        invitation.c.counts,
        ~invitation.c.refused,
        invitation.c.delivery != Delivery.UNDELIVERABLE,
        ~invitation.c.again,
        invitation.c.created_at <= since,
        *(() if again else (NOT_REMINDED,)),
        row,
        ~heard,
        ~letter,
    )


def _heard(
    number: sa.ColumnElement[int],
    since: sa.ColumnElement[datetime],
    date: sa.ColumnElement[str],
) -> sa.ColumnElement[bool]:
    """Whether a participant has answered, all of it or the date that is an invitation by itself,
    waits for an answer themselves, or has said something since then that waits to be read.

    `_answered_next` belongs to it.
    """
    answered = sa.exists().where(
        standing.c.participant == number,
        standing.c.instance.in_(("", date)),
        standing.c.reply != Reply.NEEDS_ACTION,
    )
    proposed = sa.exists().where(
        proposal.c.participant == number, proposal.c.state == ProposalState.OPEN
    )
    has_written = sa.exists().where(
        inbox.c.participant == number, inbox.c.outcome.in_(WORDS), inbox.c.recorded_at >= since
    )
    return answered | proposed | has_written


def _answered_next(connection: Connection, asked: Mapping[int, Edition], now: datetime) -> set[int]:
    """Those participants who have answered by itself the date of their series that is next."""
    query = sa.select(standing.c.participant, standing.c.instance).where(
        standing.c.participant.in_(asked),
        standing.c.instance != "",
        standing.c.reply != Reply.NEEDS_ACTION,
    )
    dates = dict[int, set[Moment | None]]()
    for row in connection.execute(query):
        dates.setdefault(row.participant, set()).add(codec.parse_moment(row.instance))
    series = {id(asked[number]): asked[number] for number in dates}  # one for many, mostly
    following = {
        number: reminders.following(edition, now, now + HORIZON)
        for number, edition in series.items()
    }
    return {
        number
        for number in dates
        if (date := following[id(asked[number])]) is not None and date.original in dates[number]
    }
