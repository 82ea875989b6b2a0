"""When follow-ups and their single dates take place, as the record says it (domain.md §2): rule,
dates with data of their own, and the usual length where none is said.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.followups import kinds, recurrence, rules
from gateway.model import DateChange, Edition, Kind, Moment, Recurrence
from gateway.store import codec, columns, faults, marked, preferences, upsert
from gateway.store.schema import follow_up, follow_up_date
from gateway.store.schema_letters import edition


def usual_length() -> list[sa.ColumnElement[str | None]]:
    """Columns for a query of follow-ups that `times` needs beside theirs: what is known of how long
    one is that does not say so.
    """
    facts = sa.select(edition.c.facts).where(edition.c.id == follow_up.c.edition)
    silent = sa.or_(follow_up.c.end_at.is_(None), follow_up.c.end_at <= follow_up.c.start_at)
    last_told = sa.case((silent, facts.correlate(follow_up).scalar_subquery()))
    return [last_told.label("told"), *preferences.minutes_of_owner()]


def times(row: Any, kind: Kind, zone: str) -> tuple[Moment | None, Moment | None]:
    """Start and end of a follow-up, from a row with `usual_length`; a start has an end, the usual
    one where none is said.

    An invitee who was told how long it is is not told otherwise because somebody prefers another
    length now.
    """
    if row.start_at is None:
        return None, None
    start = columns.moment(row.start_at, row.all_day, zone)
    stated_end = (
        columns.end(row.end_at, row.start_at, row.all_day, zone) if row.end_at is not None else None
    )
    told_length = codec.length(row.told, kind) if row.told else None
    usual = preferences.length(row, kind) if told_length is None else told_length
    return start, kinds.end(start, stated_end, usual)


def backwards(connection: Connection, keys: Collection[str]) -> dict[str, list[Any]]:
    """What of these follow-ups is said to end before it begins, all of it or single dates
    (`date_of`): another program wrote that, and the usual length counts.
    """
    facts = follow_up.c.all_day, follow_up.c.timezone, follow_up.c.key
    whole = sa.select(sa.null(), *facts).where(
        follow_up.c.key.in_(keys), follow_up.c.end_at < follow_up.c.start_at
    )
    date = follow_up_date.c
    dates = (
        sa.select(date.original_start, *facts)
        .join(follow_up, follow_up.c.key == date.follow_up)
        .where(
            date.follow_up.in_(keys),
            ~date.cancelled,
            date.end_at < sa.func.coalesce(date.start_at, date.original_start),
        )
    )
    by_follow_up = dict[str, list[Any]]()
    for row in connection.execute(dates.union_all(whole)):
        by_follow_up.setdefault(row.key, []).append(row)
    return by_follow_up


def own_dates(connection: Connection, keys: Collection[str]) -> dict[str, list[Any]]:
    """What is said of single dates of these follow-ups, in the order of their names."""
    query = (
        sa.select(follow_up_date)
        .where(follow_up_date.c.follow_up.in_(keys))
        .order_by(follow_up_date.c.follow_up, follow_up_date.c.original_start)
    )
    dates: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        dates.setdefault(row.follow_up, []).append(row)
    return dates


def changed(connection: Connection, keys: Collection[str]) -> dict[str, dict[Moment, bool]]:
    """Dates with data of their own by follow-up → whether each is cancelled."""
    date = follow_up_date.c
    has_own = date.cancelled | date.start_at.is_not(None) | date.end_at.is_not(None)
    query = (
        sa.select(follow_up_date, follow_up.c.all_day, follow_up.c.timezone)
        .join(follow_up, follow_up.c.key == date.follow_up)
        .where(date.follow_up.in_(keys), has_own)
    )
    dates: dict[str, dict[Moment, bool]] = {}
    for row in connection.execute(query):
        original = columns.moment(row.original_start, row.all_day, row.timezone)
        dates.setdefault(row.follow_up, {})[original] = bool(row.cancelled)
    return dates


def series(
    row: Any, own: Sequence[Any], kind: Kind, zone: str
) -> tuple[Recurrence | None, tuple[DateChange, ...]]:
    """Rule and single dates: a cancelled date of the rule is an EXDATE, a date that the rule does
    not give an RDATE. `own`: its `own_dates`.
    """
    if not row.rrule and not own:
        return None, ()
    faults.check(*map(faults.of_date, own))
    start, end = times(row, kind, zone)
    if start is None and row.rrule:
        raise InputError("a recurrence needs a start")
    bare = Edition(
        uid="",
        kind=kind,
        title="",
        start=start,
        end=end,
        timezone=zone,
        organizer="",
        all_day=row.all_day,
        recurrence=Recurrence(row.rrule),
    )
    if start is None or end is None:
        return None, ()
    rrule = rules.proper(bare)
    bare = replace(bare, recurrence=Recurrence(rrule))
    duration = end - start
    exdates, rdates, dates = list[Moment](), list[Moment](), list[DateChange]()
    # Two rows may name one day, each in its own way; the later one counts.
    for original, date_row in {
        columns.moment(date_row.original_start, row.all_day, zone): date_row for date_row in own
    }.items():
        ruled = recurrence.is_instance(bare, original)
        if date_row.cancelled:
            exdates += [original] if ruled else []
            dates += (
                [DateChange(original, cancelled=True, cancel_reason=date_row.cancel_reason)]
                if date_row.cancel_reason.strip()
                else []
            )
            continue
        rdates += [] if ruled else [original]
        begins, ends = _own_times(date_row, row.all_day, zone, duration)
        if (begins, ends) != (original, original + duration):
            dates.append(DateChange(original, begins, ends))
    return Recurrence(rrule, tuple(exdates), tuple(rdates)), tuple(dates)


def _own_times(date: Any, all_day: bool, zone: str, duration: timedelta) -> tuple[Moment, Moment]:
    """When a date of a series takes place, from what is said of it."""
    at = date.start_at or date.original_start
    begins = columns.moment(at, all_day, zone)
    stated_end = columns.end(date.end_at, at, all_day, zone) if date.end_at is not None else None
    return (
        begins,
        stated_end if stated_end is not None and stated_end >= begins else begins + duration,
    )


def date_of(row: Any) -> Moment | None:
    """The one date that a row is about; None: all of the follow-up."""
    if isinstance(row.original_start, marked.MarkedMoment):
        return row.original_start
    return (
        columns.moment(row.original_start, row.all_day, row.timezone)
        if row.original_start is not None
        else None
    )


def names(connection: Connection, table: sa.Table, key: str) -> dict[datetime, Moment]:
    """What the rows of a series' dates, or of those who are invited to one, call them: as it stands
    there → the original start.
    """
    rows = connection.execute(
        sa.select(table.c.original_start, follow_up.c.all_day, follow_up.c.timezone)
        .join(follow_up, follow_up.c.key == table.c.follow_up)
        .where(table.c.follow_up == key, table.c.original_start.is_not(None))
        .distinct()
    ).all()
    return {
        row.original_start: columns.moment(row.original_start, row.all_day, row.timezone)
        for row in rows
    }


def move_date(
    connection: Connection, key: str, original: Moment, start: Moment, end: Moment | None
) -> None:
    """Give one date of a series times of its own."""
    name = next(
        (at for at, date in names(connection, follow_up_date, key).items() if date == original),
        columns.instant(original),
    )
    upsert.one(
        connection,
        follow_up_date,
        {"follow_up": key, "original_start": name},
        {
            "start_at": columns.instant(start),
            "end_at": columns.optional(end),
            "cancelled": False,
            "cancel_reason": "",
        },
    )


def drop_dates(connection: Connection, key: str, originals: Iterable[Moment]) -> bool:
    """Forget what is said of these dates of a series. Returns whether anything was."""
    lost = frozenset(originals)
    names_in_column = (
        [at for at, date in names(connection, follow_up_date, key).items() if date in lost]
        if lost
        else []
    )
    if not names_in_column:
        return False
    return bool(
        connection.execute(
            sa.delete(follow_up_date).where(
                follow_up_date.c.follow_up == key,
                follow_up_date.c.original_start.in_(names_in_column),
            )
        ).rowcount
    )
