"""Other times that invitees asked for: at most one open for each row and date, until the owner
decides or a move overtakes it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.answer import facts
from gateway.model import Moment, ProposalState
from gateway.store import codec
from gateway.store.schema import participant, proposal


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one invitee asked for. `instance`: the date that they would have otherwise, None for all
    of it.

    `start`, `end`: a UTC instant or a day; `end` None keeps the duration. `location`: "" keeps the
    place. `address`: who asked. `sequence`: that of their COUNTER. `message`: its number in the
    inbox.
    """

    id: int
    follow_up: str
    participant: int
    instance: Moment | None
    start: Moment
    end: Moment | None
    location: str
    comment: str
    address: str
    sequence: int
    message: int | None
    state: ProposalState
    created_at: datetime


def put(
    connection: Connection,
    row: facts.Row,
    answer: facts.Answer,
    asked: facts.Proposal,
    message: int,
    at: datetime,
) -> int:
    """Keep a proposal; it takes the place of the open one of the same row and date.
    Returns its number.
    """
    about = {"participant": row.participant, "instance": codec.moment(answer.date)}
    former = (proposal.c[name] == value for name, value in about.items())
    connection.execute(
        sa.update(proposal)
        .where(*former, _is_open())
        .values(state=ProposalState.OVERTAKEN, settled_at=at)
    )
    insert = sa.insert(proposal).values(
        **about,
        proposed_start=codec.moment(asked.start),
        proposed_end=codec.moment(asked.end),
        location=asked.location,
        comment=asked.comment,
        address=answer.address,
        sequence=asked.sequence,
        message=message,
        created_at=at,
    )
    number: int = connection.execute(insert.returning(proposal.c.id)).scalar_one()
    return number


def get(connection: Connection, number: int) -> Proposal | None:
    row = connection.execute(_query().where(proposal.c.id == number)).one_or_none()
    return _proposal(row) if row is not None else None


def open(  # noqa: A001 - read as proposals.open
    connection: Connection, follow_up: str | None = None, after: int = 0, limit: int | None = None
) -> list[Proposal]:
    """Proposals of present participants that nobody has decided on,
    of one follow-up or of all, oldest first; so many beyond number `after`.
    """
    # By the index of those that are open: SQLite would walk through all of them by their numbers.
    inner = proposal.alias("one")
    waiting = proposal.c.id.in_(sa.select(inner.c.id).where(_is_open(inner)))
    open_proposals = _query().where(waiting, ~participant.c.removed, proposal.c.id > after)
    query = open_proposals.order_by(proposal.c.id).limit(limit)
    if follow_up is not None:
        query = query.where(participant.c.follow_up == follow_up)
    return [_proposal(row) for row in connection.execute(query)]


def settle(
    connection: Connection, number: int, state: ProposalState, by: str, at: datetime
) -> bool:
    """Close an open proposal. Returns whether it still was one."""
    done = connection.execute(
        sa.update(proposal)
        .where(proposal.c.id == number, _is_open())
        .values(state=state, settled_by=by, settled_at=at)
    )
    return bool(done.rowcount)


def overtake(
    connection: Connection,
    follow_up: str,
    at: datetime,
    dates: Collection[Moment] | None = None,
    but: Collection[int] = (),
) -> list[Proposal]:
    """The follow-up, or these dates of it, were moved: what was asked for before says nothing of
    the new time. Returns what was open.

    `but`: participants for whom nothing moved.
    """
    rows = connection.execute(
        _query().where(_is_open(), participant.c.follow_up == follow_up).order_by(proposal.c.id)
    )
    overtaken = [
        open_proposal
        for open_proposal in map(_proposal, rows)
        if (dates is None or open_proposal.instance in dates)
        and open_proposal.participant not in but
    ]
    if overtaken:
        connection.execute(
            sa.update(proposal)
            .where(proposal.c.id.in_([open_proposal.id for open_proposal in overtaken]))
            .values(state=ProposalState.OVERTAKEN, settled_at=at)
        )
    return overtaken


def open_in(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these follow-ups for which somebody has proposed another time."""
    query = (
        sa.select(participant.c.follow_up)
        .join(proposal, proposal.c.participant == participant.c.id)
        .where(participant.c.follow_up.in_(keys), _is_open())
    )
    return set(connection.execute(query.distinct()).scalars())


def withdraw(connection: Connection, participants: Collection[int], at: datetime) -> list[int]:
    """Nobody asks for it any more. Returns of whose rows one was open."""
    rows = connection.execute(
        sa.update(proposal)
        .where(proposal.c.participant.in_(participants), _is_open())
        .values(state=ProposalState.OVERTAKEN, settled_at=at)
        .returning(proposal.c.participant)
    )
    return sorted({row.participant for row in rows})


def _query() -> sa.Select[Any]:
    """Proposals with the follow-up of their row, which may be called otherwise by now."""
    return sa.select(proposal, participant.c.follow_up).join(
        participant, participant.c.id == proposal.c.participant
    )


def _is_open(proposals: sa.FromClause = proposal) -> sa.ColumnElement[bool]:
    # Written out, not bound: else no database sees that a partial index holds the rows.
    state: sa.ColumnElement[str] = sa.literal_column(f"'{ProposalState.OPEN.value}'")
    return proposals.c.state == state


def _proposal(row: Any) -> Proposal:
    start = codec.parse_moment(row.proposed_start)
    assert start is not None
    return Proposal(
        row.id,
        row.follow_up,
        row.participant,
        codec.parse_moment(row.instance),
        start,
        codec.parse_moment(row.proposed_end),
        row.location,
        row.comment,
        row.address,
        row.sequence,
        row.message,
        ProposalState(row.state),
        row.created_at,
    )
