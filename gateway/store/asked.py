"""What an associate is asked, and what those whom they asked have answered (domain.md §7, help page
002), by indexes that lead to what lies ahead.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups.conflicts import Attendee
from gateway.model import Moment, Reply, Role, Standing
from gateway.status import Status
from gateway.store import chunks, codec, diary, followups
from gateway.store.schema import (
    REFUSED,
    associate,
    follow_up,
    participant,
    person,
    resource,
    standing,
)
from gateway.store.schema_domain import diary_entry, diary_series

UNANSWERED = (
    Status.INVITATION,
    Status.MOVED,
    Status.SEEN,
    Status.MOVED_SEEN,
    Status.ASSIGNED,
    Status.ASSIGNED_SEEN,
)
DECLINED = (Status.DECLINED, Status.ASSIGNMENT_DECLINED)
NOT_COMING = (Reply.DECLINED, Reply.DELEGATED)
MOST_DATES = 100
"""Dates of one series that are listed by themselves."""

_RECORD = tuple(
    follow_up.c[name]
    for name in (
        "key",
        "kind",
        "title",
        "location",
        "owner",
        "assigned_by",
        "start_at",
        "end_at",
        "deadline",
        "all_day",
        "timezone",
        "rrule",
    )
)
_ROW = (
    participant.c.id,
    participant.c.code,
    participant.c.associate,
    participant.c.resource,
    participant.c.person,
    participant.c.email,
    participant.c.name,
    participant.c.conflict,
    participant.c.original_start,
)


_NAMES = (person.alias("person"), associate.alias("associate"), resource.alias("resource"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One invitation of an associate. `row`: the participant with its follow-up; `instance`,
    `start` and `end`: of one date of a series that is listed by itself.
    """

    row: Any
    role: Role
    status: Status
    conflict: bool
    instance: Moment | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody whom an associate asked, and who declined. `standing`: theirs on all of it, or on
    the date `instance` of a series, from `start` to `end`.
    """

    row: Any
    role: Role
    standing: Standing
    name: str
    instance: Moment | None = None
    start: datetime | None = None
    end: datetime | None = None


def invitations(
    connection: Connection,
    who: str,
    since: datetime,
    codes: Collection[Status],
    *,
    dates: bool,
) -> list[Asked]:
    """What an associate is asked that has one of these statuses and is not over at `since`. Dates
    of a series are listed by themselves where their answer is another, with `dates` all of them.
    """
    rows = _rows(connection, who, _asked(who, since, codes))
    asked = [Asked(row, followups.role(row), Status(row.code), row.conflict) for row in rows]
    by_date = [entry.row for entry in asked if dates or entry.row.original_start is not None]
    listed = [
        *(entry for entry in _dates(connection, by_date, since) if entry.status in codes),
        *_dates_apart(connection, who, since, codes),
    ]
    shown = {entry.row.id for entry in listed}
    return [entry for entry in asked if entry.row.id not in shown] + listed


def count(
    connection: Connection, who: str, since: datetime, codes: Collection[Status], most: int
) -> int:
    """How many `invitations` lists without `dates`, as far as `most`."""
    query = (
        sa.select(participant.c.id)
        .join(follow_up, follow_up.c.key == participant.c.follow_up)
        .where(*_mine(who), _asked(who, since, codes))
        .limit(most)
    )
    number = len(connection.execute(query).all())
    if number < most:
        number += len(_dates_apart(connection, who, since, codes))
    return min(number, most)


def _asked(who: str, since: datetime, codes: Collection[Status]) -> sa.ColumnElement[bool]:
    """Rows of an associate with one of these statuses, of what is not over."""
    entry, row = diary_entry.c, participant.c
    is_ahead = sa.exists().where(
        entry.participant == row.id, entry.end_at > sa.literal(since, entry.end_at.type)
    )
    goes_on = row.follow_up.in_(_series(who, since))
    stands = row.code.in_(sorted(map(int, codes)))
    return stands & (follow_up.c.start_at.is_(None) | is_ahead | goes_on)


def _dates_apart(
    connection: Connection, who: str, since: datetime, codes: Collection[Status]
) -> list[Asked]:
    """Dates with such a status of series that have another one as a whole."""
    has_dates = sa.exists().where(
        standing.c.participant == participant.c.id, standing.c.instance != ""
    )
    stands = participant.c.code.is_(None) | participant.c.code.not_in(sorted(map(int, codes)))
    goes_on = participant.c.follow_up.in_(_series(who, since))
    rows = _rows(connection, who, stands & goes_on & has_dates)
    dates = _dates(connection, rows, since, answered=True)
    return [entry for entry in dates if entry.status in codes]


def _mine(who: str) -> tuple[sa.ColumnElement[bool], ...]:
    return participant.c.associate == who, ~participant.c.removed, ~follow_up.c.cancelled


def _rows(connection: Connection, who: str, condition: sa.ColumnElement[bool]) -> Sequence[Any]:
    """Rows of an associate with what is shown of their follow-ups."""
    query = sa.select(*_ROW, *_RECORD).join(follow_up, follow_up.c.key == participant.c.follow_up)
    return connection.execute(query.where(*_mine(who), condition)).all()


def _series(who: str, since: datetime) -> sa.Select[tuple[str]]:
    """Series in which an associate takes part and that are not over."""
    course = diary_series.c
    return sa.select(course.follow_up).where(
        course.who == f"associate:{who}", course.end_at > sa.literal(since, course.end_at.type)
    )


def _dates(
    connection: Connection, rows: Sequence[Any], since: datetime, *, answered: bool = False
) -> list[Asked]:
    """Series of an associate date by date, `MOST_DATES` of each; `answered`: only those with an
    answer of their own.
    """
    by_row = {row.id: row for row in rows}
    standings = followups.standings(connection, list(by_row))
    entry = diary_entry.c
    query = (
        sa.select(diary_entry)
        .where(
            entry.participant.in_(list(by_row)),
            entry.end_at > sa.literal(since, entry.end_at.type),
            entry.instance != "",
        )
        .order_by(entry.start_at)
    )
    if answered:
        names = {codec.moment(date) for own in standings.values() for date in own if date}
        query = query.where(entry.instance.in_(sorted(names)))
    dates: dict[int, list[Asked]] = {}
    for date_row in connection.execute(query):
        row, instance = by_row[date_row.participant], codec.parse_moment(date_row.instance)
        own = standings.get(row.id, {})
        here = dates.setdefault(row.id, [])
        if len(here) < MOST_DATES and (not answered or instance in own):
            role = followups.role(row)
            attendee = Attendee(date_row.who, row.id, role, None, own)
            times = date_row.conflict, instance, date_row.start_at, date_row.end_at
            here.append(Asked(row, role, attendee.status(instance), *times))
    return [listed for here in dates.values() for listed in here]


def refusals(connection: Connection, who: str, since: datetime) -> list[Refusal]:
    """Who declined of those whom an associate asked: in own follow-ups, and what was assigned, that
    is not over. Of a series also who declined a date alone.
    """
    keys = _own_ahead(connection, who, since)
    declined = list[Refusal]()
    for part in chunks.parts(sorted(keys)):
        query = _others(who).where(participant.c.follow_up.in_(part), REFUSED)
        rows = [row for row in connection.execute(query) if not _is_over(row, since)]
        standings = followups.standings(connection, [row.id for row in rows])
        for row in rows:
            whole = standings.get(row.id, {}).get(None, Standing())
            declined.append(_refusal(row, whole))
        declined += _refused_dates(connection, who, part, since)
    return sorted(declined, key=lambda refusal: (refusal.row.id, codec.moment(refusal.instance)))


def _others(who: str) -> sa.Select[Any]:
    """Rows of others with their follow-ups and names."""
    names = (card.c.name.label(f"{card.name}_name") for card in _NAMES)
    query = sa.select(*_ROW, *_RECORD, *names)
    query = query.join(follow_up, follow_up.c.key == participant.c.follow_up)
    for card in _NAMES:
        is_theirs = card.c.key == participant.c[card.name]
        query = query.join(card, is_theirs, isouter=True)
    return query.where(
        ~participant.c.associate.is_not_distinct_from(who),
        ~participant.c.removed,
        ~follow_up.c.cancelled,
    )


def _refused_dates(
    connection: Connection, who: str, keys: Sequence[str], since: datetime
) -> list[Refusal]:
    """Dates that somebody declined who has not declined all of it, as far as they take place and
    are in the diary.
    """
    declined = sa.exists().where(
        standing.c.participant == participant.c.id,
        standing.c.instance != "",
        standing.c.reply.in_(NOT_COMING),
    )
    stands = participant.c.code.is_(None) | participant.c.code.not_in(sorted(map(int, DECLINED)))
    query = _others(who).where(
        participant.c.follow_up.in_(keys),
        participant.c.original_start.is_(None),
        stands,
        declined,
    )
    rows = connection.execute(query).all()
    standings = followups.standings(connection, [row.id for row in rows])
    times = _times(connection, {row.key for row in rows}, since)
    declined_dates = list[Refusal]()
    for row in rows:
        for date, answer in standings.get(row.id, {}).items():
            when = times.get((row.key, codec.moment(date)))
            if answer.reply in NOT_COMING and when is not None:
                refusal = _refusal(row, answer)
                declined_dates.append(replace(refusal, instance=date, start=when[0], end=when[1]))
    return declined_dates


def _times(
    connection: Connection, keys: Collection[str], since: datetime
) -> dict[tuple[str, str], tuple[datetime, datetime]]:
    """When the dates of these series are that are not over, by follow-up and name."""
    entry = diary_entry.c
    query = sa.select(entry.follow_up, entry.instance, entry.start_at, entry.end_at).where(
        entry.follow_up.in_(sorted(keys)),
        entry.instance != "",
        entry.end_at > sa.literal(since, entry.end_at.type),
    )
    rows = connection.execute(query)
    return {(row.follow_up, row.instance): (row.start_at, row.end_at) for row in rows}


def _refusal(row: Any, answer: Standing) -> Refusal:
    name = row.name or row.person_name or row.associate_name or row.email or ""
    return Refusal(row, followups.role(row), answer, name)


def _is_over(row: Any, since: datetime) -> bool:
    end = row.end_at or row.start_at
    return end is not None and not row.rrule and end < since


def _own_ahead(connection: Connection, who: str, since: datetime) -> set[str]:
    """Follow-ups that an associate owns or has assigned, and that are not over."""
    entry, record = diary_entry.c, follow_up.c
    is_own = sa.or_(record.owner == who, record.assigned_by == who)
    in_diary = (
        sa.select(entry.follow_up)
        .where(
            entry.who == f"associate:{who}",
            entry.start_at >= sa.literal(since - diary.SHORT, entry.start_at.type),
        )
        .distinct()
    )
    assigned = sa.select(record.key).where(record.assigned_by == who, ~record.completed)
    planned = sa.select(record.key).where(
        record.owner == who,
        record.deadline.is_not(None),
        record.deadline >= sa.literal(since, record.deadline.type),
    )
    keys = {*connection.execute(assigned).scalars(), *connection.execute(planned).scalars()}
    near = sorted(connection.execute(in_diary).scalars())
    own = sa.select(record.key).where(is_own)
    keys |= {row["key"] for row in chunks.rows(connection, own, record.key, near)}
    return keys
