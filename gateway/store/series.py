"""Series that end and go on under another key:
their rows for single dates, and the copy that carries on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Moment
from gateway.store import columns, timing, upsert
from gateway.store.schema import INVITEE, follow_up, follow_up_date, participant

OWN = (
    "key",
    "uid",
    "sequence",
    "edition",
    "created_at",
    "created_by",
    "changed_at",
    "changed_by",
    "answer_by",
    "forgotten",
)
"""What no copy has from its original: its name, what the gateway knows of it,
and by when that was to be answered.
"""
OF_INVITEES = (*INVITEE, "name", "email_invite", "priority", "alarm_minutes")


@dataclass(frozen=True, slots=True)
class DateRow:
    """One date of a series as it stands in the table: instants, for days their midnight in UTC."""

    original_start: datetime
    start_at: datetime | None
    end_at: datetime | None
    cancelled: bool
    cancel_reason: str


def dates(connection: Connection, key: str, since: Moment) -> list[tuple[Moment, DateRow]]:
    """The dates that begin, by their names, at `since` or later: name and row."""
    names = _since(connection, follow_up_date, key, since)
    rows = connection.execute(
        sa.select(follow_up_date)
        .where(follow_up_date.c.follow_up == key, follow_up_date.c.original_start.in_(names))
        .order_by(follow_up_date.c.original_start)
    )
    return [
        (
            names[row.original_start],
            DateRow(row.original_start, row.start_at, row.end_at, row.cancelled, row.cancel_reason),
        )
        for row in rows
    ]


def single_dates(connection: Connection, key: str, since: Moment) -> dict[datetime, Moment]:
    """The dates from then on that somebody is invited to alone:
    as they stand there → their names.
    """
    names = _since(connection, participant, key, since)
    there = connection.execute(
        sa.select(participant.c.original_start).where(
            participant.c.follow_up == key,
            participant.c.original_start.in_(names),
            ~participant.c.removed,
        )
    ).scalars()
    return {start: names[start] for start in there}


def shorten(connection: Connection, key: str, rrule: str, before: Moment) -> None:
    """Give a series a rule that ends, and take away what is said of dates from `before` on."""
    starts = list(_since(connection, follow_up_date, key, before))
    connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(rrule=rrule))
    connection.execute(
        sa.delete(follow_up_date).where(
            follow_up_date.c.follow_up == key, follow_up_date.c.original_start.in_(starts)
        )
    )


def cancel_date(connection: Connection, key: str, original: Moment, reason: str) -> None:
    """One date does not take place; its own times are kept for the case that it comes back."""
    upsert.one(
        connection,
        follow_up_date,
        {"follow_up": key, "original_start": _row_name(connection, key, original)},
        {"cancelled": True, "cancel_reason": reason},
    )


def restore_date(connection: Connection, key: str, original: Moment, *, ruled: bool) -> None:
    """One date takes place again. `ruled`: the rule gives it, so that nothing need be said of it
    but what is its own.
    """
    row = _date(connection, key, original)
    values = {"cancelled": False, "cancel_reason": ""}
    connection.execute(sa.update(follow_up_date).where(row).values(values))
    if ruled:
        plain = follow_up_date.c.start_at.is_(None) & follow_up_date.c.end_at.is_(None)
        connection.execute(sa.delete(follow_up_date).where(row, plain))


def drop_date(connection: Connection, key: str, original: Moment) -> None:
    """Nothing is said of this date any more: one that was added is gone."""
    connection.execute(sa.delete(follow_up_date).where(_date(connection, key, original)))


def _date(connection: Connection, key: str, original: Moment) -> sa.ColumnElement[bool]:
    return (follow_up_date.c.follow_up == key) & (
        follow_up_date.c.original_start == _row_name(connection, key, original)
    )


def _row_name(connection: Connection, key: str, original: Moment) -> datetime:
    """What the row of a date calls it: another program may have written a day in its own way."""
    names = timing.names(connection, follow_up_date, key)
    return next((at for at, date in names.items() if date == original), columns.instant(original))


def _since(
    connection: Connection, table: sa.Table, key: str, since: Moment
) -> dict[datetime, Moment]:
    return {at: date for at, date in timing.names(connection, table, key).items() if date >= since}


def copy(
    connection: Connection,
    key: str,
    name: str,
    values: Mapping[str, Any],
    own: Iterable[DateRow],
    moved: Mapping[datetime, datetime],
) -> str:
    """A new follow-up with the properties and the present participants of another. Returns its key:
    `name`, or a free one like it.

    `moved`: dates of the other → what they are called here; rows that are invited to one of them
    alone move along with it.
    """
    row = connection.execute(sa.select(follow_up).where(follow_up.c.key == key)).one()
    fresh = _free(connection, name)
    properties = {column: value for column, value in row._mapping.items() if column not in OWN}
    connection.execute(sa.insert(follow_up).values(properties | dict(values) | {"key": fresh}))
    present = (
        sa.select(sa.literal(fresh), *(participant.c[column] for column in OF_INVITEES))
        .where(
            participant.c.follow_up == key,
            participant.c.original_start.is_(None),
            ~participant.c.removed,
        )
        .order_by(participant.c.id)
    )
    columns = ["follow_up", *OF_INVITEES]
    connection.execute(sa.insert(participant).from_select(columns, present))
    _move(connection, key, fresh, moved)
    rows = [{"follow_up": fresh, **asdict(date)} for date in own]
    if rows:
        connection.execute(sa.insert(follow_up_date), rows)
    return fresh


def _free(connection: Connection, name: str) -> str:
    """A key that no follow-up has."""
    fresh, number = name, 1
    query = sa.select(follow_up.c.key)
    while connection.execute(query.where(follow_up.c.key == fresh)).first() is not None:
        number += 1
        fresh = f"{name}-{number}"
    return fresh


def _move(connection: Connection, key: str, fresh: str, moved: Mapping[datetime, datetime]) -> None:
    """Rows that are invited to one of these dates alone are invited to it in the new follow-up."""
    query = sa.select(participant).where(
        participant.c.follow_up == key,
        participant.c.original_start.in_(moved),
        ~participant.c.removed,
    )
    single = connection.execute(query.order_by(participant.c.id)).all()
    if not single:
        return
    rows = [
        {"follow_up": fresh, "original_start": moved[row.original_start]}
        | {column: row._mapping[column] for column in OF_INVITEES}
        for row in single
    ]
    connection.execute(sa.insert(participant), rows)
    moving = participant.c.id.in_([row.id for row in single])
    connection.execute(sa.update(participant).where(moving).values(removed=True))
