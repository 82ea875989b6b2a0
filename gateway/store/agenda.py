"""What lies ahead: follow-ups in the order of their time, as lists and pages show them, in a
bounded number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Kind, Moment
from gateway.store import faults, followups
from gateway.store.schema import (
    SERIES,
    TIMELESS,
    associate,
    follow_up,
    follow_up_date,
    participant,
)


@dataclass(frozen=True, slots=True)
class Item:
    """One follow-up in a list. `start` and `end` as in an edition; `owner` is a name; `series`: it
    takes place more than once. `fault`: what of it cannot be read, and so is not mailed.
    """

    key: str
    title: str
    kind: Kind
    owner: str
    start: Moment | None
    end: Moment | None
    deadline: date | None
    timezone: str
    location: str
    cancelled: bool
    series: bool
    fault: str = ""


def ahead(connection: Connection, since: datetime, limit: int, timezone: str) -> list[Item]:
    """At most so many follow-ups that are not over at `since`, the next one first, those without
    any time last.

    Series always count as not over. `timezone`: of follow-ups that name none.
    """
    starts = sa.func.coalesce(follow_up.c.start_at, follow_up.c.deadline)
    dates = sa.exists().where(follow_up_date.c.follow_up == follow_up.c.key)
    owner = associate.c.name.label("owner_name")
    query = (
        sa.select(follow_up, *followups.usual_length(), owner, dates.label("dates"))
        .join(associate, associate.c.key == follow_up.c.owner, isouter=True)
        .where(follow_up.c.key.in_(_not_over(since)))
        .order_by(starts.is_(None), starts, follow_up.c.key)
        .limit(limit)
    )
    return [_item(row, timezone) for row in connection.execute(query)]


def _not_over(since: datetime) -> sa.CompoundSelect[tuple[str]]:
    """The keys, each way by an index of its own: what is over costs nothing, however much of it
    there is.
    """
    begins, ends, deadline = follow_up.c.start_at, follow_up.c.end_at, follow_up.c.deadline
    now = sa.literal(since, ends.type)
    return sa.union(
        sa.select(follow_up.c.key).where(ends >= now),
        sa.select(follow_up.c.key).where(begins >= now, ends.is_(None)),
        sa.select(follow_up.c.key).where(deadline >= now, ends.is_(None), begins.is_(None)),
        sa.select(follow_up.c.key).where(TIMELESS),
        sa.select(follow_up.c.key).where(SERIES),
        sa.select(follow_up_date.c.follow_up),
    )


def rows(connection: Connection, keys: Sequence[str]) -> list[int]:
    """Numbers of the participant rows of these follow-ups that are not removed."""
    query = sa.select(participant.c.id).where(
        participant.c.follow_up.in_(keys), participant.c.removed.is_(sa.false())
    )
    return list(connection.execute(query).scalars())


def _item(row: Any, timezone: str) -> Item:
    zone, kind = row.timezone or timezone, Kind(row.kind)
    start, end = followups.times(row, kind, zone)
    return Item(
        row.key,
        row.title,
        kind,
        row.owner_name or "",
        start,
        end,
        row.deadline.astimezone(ZoneInfo(zone)).date() if start is None and row.deadline else None,
        zone,
        row.location,
        row.cancelled,
        bool(row.rrule or row.dates),
        faults.of_follow_up(row),
    )
