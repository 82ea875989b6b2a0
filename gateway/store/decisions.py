"""Decisions as they are kept: opened and closed in sets, each with its entry in the journal, and
read in pages. What is to be open is `store.waiting`'s to say.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from gateway import shapes
from gateway.followups import decisions
from gateway.followups.decisions import Cause, Choice, Decision, DecisionKind
from gateway.store import codec, journal
from gateway.store.schema_domain import OPEN, decision

DECLINES = (DecisionKind.DECLINED.value, DecisionKind.ASSIGNMENT_DECLINED.value)
INTERNAL = frozenset({"times"})
"""What is kept to tell that words are out of date."""
OPENED, CLOSED = "decision_opened", "decision_closed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's choice. `about`: the cause that they dealt with, where that is one of several."""

    by: str
    choice: str
    about: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which open decisions. `associate` None: everybody's; `administrators`: with those that are
    nobody's; `kinds`: empty for all.
    """

    associate: str | None = None
    administrators: bool = False
    kinds: frozenset[DecisionKind] = frozenset()
    follow_up: str | None = None


def open_of(
    connection: Connection, keys: Collection[str], participants: Collection[int] | None = None
) -> list[Decision]:
    """What is open of these follow-ups; of these participants, and of nobody in particular, where
    some are said.
    """
    if not keys:
        return []
    query = sa.select(decision).where(decision.c.follow_up.in_(keys), OPEN)
    if participants is not None:
        is_theirs = decision.c.participant.in_(participants) | decision.c.participant.is_(None)
        query = query.where(is_theirs)
    return [_decision(row) for row in connection.execute(query.order_by(decision.c.id))]


def open_about(connection: Connection, kind: DecisionKind, about: str) -> Decision | None:
    """The open one of this cause."""
    query = sa.select(decision).where(decision.c.kind == kind, decision.c.subject == about, OPEN)
    row = connection.execute(query).one_or_none()
    return _decision(row) if row is not None else None


def chosen(connection: Connection, causes: Iterable[Cause]) -> set[tuple[DecisionKind, str]]:
    """Those of these causes that somebody has decided on: they do not come back, except letters
    that do not arrive, which may be other ones.
    """
    subjects = {cause.about for cause in causes if cause.kind is not DecisionKind.UNDELIVERABLE}
    if not subjects:
        return set()
    query = sa.select(decision.c.kind, decision.c.subject).where(
        decision.c.subject.in_(subjects), decision.c.choice != ""
    )
    return {(DecisionKind(row.kind), row.subject) for row in connection.execute(query)}


def put(connection: Connection, causes: Iterable[Cause], at: datetime) -> list[int]:
    """Open decisions for these causes, except where one is open. Returns the numbers of the new
    ones.
    """
    ordered = sorted(causes, key=lambda cause: (cause.kind, cause.about))
    if not ordered:
        return []
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = (
        dialect.insert(decision)
        .on_conflict_do_nothing(index_elements=["kind", "subject"], index_where=OPEN)
        .returning(decision.c.id, decision.c.kind, decision.c.subject)
    )
    causes_by_name = {(cause.kind, cause.about): cause for cause in ordered}
    values = [_values(cause, at) for cause in ordered]
    opened = {
        row.id: causes_by_name[DecisionKind(row.kind), row.subject]
        for row in connection.execute(statement, values)
    }
    entries = [_entry(OPENED, number, opened[number]) for number in sorted(opened)]
    journal.write(connection, entries, at)
    return sorted(opened)


def close(
    connection: Connection,
    ended: Iterable[Decision],
    at: datetime,
    verdict: Verdict | None = None,
) -> list[Decision]:
    """Close decisions, by the choice of `verdict` those that it is about. Returns those that were
    open still.
    """
    waiting = {decision.id: decision for decision in ended}
    chosen_ones = {
        number
        for number, decision in waiting.items()
        if verdict and decision.cause.about == verdict.about
    }
    by_itself = waiting.keys() - chosen_ones
    closed = _close(connection, by_itself, at, "", "")
    if verdict is not None:
        closed |= _close(connection, chosen_ones, at, verdict.by, verdict.choice)
    entries = [
        _entry(CLOSED, number, waiting[number].cause, verdict if number in chosen_ones else None)
        for number in sorted(closed)
    ]
    journal.write(connection, entries, at)
    return [waiting[number] for number in sorted(closed)]


def close_declines(connection: Connection, participant: int, by: str, at: datetime) -> bool:
    """The declines of this row were taken note of. Returns whether any was open."""
    query = sa.select(decision).where(
        decision.c.participant == participant, decision.c.kind.in_(DECLINES), OPEN
    )
    there = [_decision(row) for row in connection.execute(query)]
    for open_decision in there:
        close(
            connection,
            [open_decision],
            at,
            Verdict(by, Choice.ACKNOWLEDGE, open_decision.cause.about),
        )
    return bool(there)


def give(connection: Connection, number: int, associate: str) -> None:
    """An open decision is for somebody else now."""
    is_it = decision.c.id == number
    connection.execute(sa.update(decision).where(is_it, OPEN).values(associate=associate))


def get(connection: Connection, number: int, *, lock: bool = False) -> Decision | None:
    """A decision by its number. `lock`: until the transaction ends nobody else closes it."""
    query = sa.select(decision).where(decision.c.id == number)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _decision(row) if row is not None else None


def find(connection: Connection, numbers: Collection[int]) -> list[Decision]:
    """Decisions by their numbers."""
    if not numbers:
        return []
    rows = connection.execute(sa.select(decision).where(decision.c.id.in_(numbers)))
    return [_decision(row) for row in rows]


def view(decision: Decision) -> shapes.Decision:
    """As it is shown everywhere."""
    cause = decision.cause
    waits = shapes.Decision(
        decision.id,
        cause.kind.value,
        decision.opened_at,
        cause.follow_up,
        cause.participant,
        cause.instance,
        cause.associate,
        cause.about,
        said(decision),
        cause.message,
        cause.proposal,
    )
    if decision.closed_at is None:
        return replace(waits, choices=tuple(decision.choices))
    return replace(
        waits, closed_at=decision.closed_at, closed_by=decision.closed_by, choice=decision.choice
    )


def said(decision: Decision) -> dict[str, Any]:
    """What it says to people."""
    return {name: value for name, value in decision.cause.detail.items() if name not in INTERNAL}


def page(
    connection: Connection, selection: Filter, limit: int, before: int | None = None
) -> list[Decision]:
    """Open decisions, newest first. `before`: only those of a lower number."""
    query = _selected(sa.select(decision), selection).order_by(decision.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(decision.c.id < before)
    return [_decision(row) for row in connection.execute(query)]


def count(connection: Connection, selection: Filter) -> int:
    query = _selected(sa.select(sa.func.count()).select_from(decision), selection)
    number: int = connection.execute(query).scalar_one()
    return number


def follow_ups(connection: Connection, after: int, limit: int) -> tuple[list[str], int]:
    """Follow-ups of the next open decisions behind number `after`, and the number reached; 0 where
    there is none.
    """
    query = (
        sa.select(decision.c.id, decision.c.follow_up)
        .where(OPEN, decision.c.id > after)
        .order_by(decision.c.id)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    keys = {row.follow_up for row in rows if row.follow_up is not None}
    return sorted(keys), rows[-1].id if rows else 0


def _selected(query: Any, selection: Filter) -> Any:
    query = query.where(OPEN)
    administrators = decision.c.associate == decisions.ADMINISTRATORS
    if selection.associate is not None:
        deciders = {
            selection.associate,
            *([decisions.ADMINISTRATORS] if selection.administrators else []),
        }
        query = query.where(decision.c.associate.in_(deciders))
    elif not selection.administrators:
        query = query.where(~(administrators & decision.c.kind.in_(_of_administrators())))
    if selection.kinds:
        query = query.where(decision.c.kind.in_(sorted(selection.kinds)))
    if selection.follow_up is not None:
        query = query.where(decision.c.follow_up == selection.follow_up)
    return query


def _of_administrators() -> Sequence[str]:
    return sorted(decisions.OF_ADMINISTRATORS)


def _close(
    connection: Connection, numbers: Collection[int], at: datetime, by: str, choice: str
) -> set[int]:
    if not numbers:
        return set()
    rows = connection.execute(
        sa.update(decision)
        .where(decision.c.id.in_(numbers), OPEN)
        .values(closed_at=at, closed_by=by, choice=choice)
        .returning(decision.c.id)
    )
    return {row.id for row in rows}


def _entry(event: str, number: int, cause: Cause, verdict: Verdict | None = None) -> journal.Entry:
    words = [cause.kind.value, *([verdict.choice, verdict.comment] if verdict else [])]
    return journal.Entry(
        event,
        cause.follow_up,
        cause.participant,
        cause.instance,
        by=verdict.by if verdict else "",
        message=cause.message,
        detail=": ".join(filter(None, words)),
        decision=number,
    )


def _values(cause: Cause, at: datetime) -> dict[str, Any]:
    return {
        "kind": cause.kind.value,
        "follow_up": cause.follow_up,
        "participant": cause.participant,
        "instance": codec.moment(cause.instance),
        "associate": cause.associate,
        "subject": cause.about,
        "detail": json.dumps(cause.detail, ensure_ascii=False),
        "message": cause.message,
        "proposal": cause.proposal,
        "opened_at": at,
    }


def _decision(row: Any) -> Decision:
    cause = Cause(
        DecisionKind(row.kind),
        row.subject,
        row.follow_up,
        row.participant,
        codec.parse_moment(row.instance),
        row.associate,
        row.message,
        row.proposal,
        json.loads(row.detail),
    )
    return Decision(row.id, cause, row.opened_at, row.closed_at, row.closed_by, row.choice)
