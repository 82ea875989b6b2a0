"""Diaries as people look at them: who is occupied in a period, and by what (domain.md §5, §8).

Within the window in which entries are kept (`store.diary`) they are read by their index; of a
period beyond it the dates of series are expanded here, which says nothing of their conflicts.
Limits: `recurrence.LIMIT` dates of each series.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import conflicts
from gateway.followups.available import Span
from gateway.followups.conflicts import Attendee, Entry
from gateway.model import (
    Actor,
    Delivery,
    Edition,
    Kind,
    Moment,
    Progress,
    Reply,
    Standing,
)
from gateway.status import Status
from gateway.store import chunks, codec, diary, followups, visible
from gateway.store.diary import Kept
from gateway.store.schema import (
    SERIES,
    associate,
    follow_up,
    follow_up_date,
    participant,
    resource,
    standing,
)
from gateway.store.schema_domain import diary_entry, diary_series
from gateway.store.schema_letters import invitation

MOST_OVERDUE = 50
AT_ONCE = 100
"""So many periods are read by one statement; SQLite takes 500 parts of one."""
_LASTING = sa.text("lasting")
_SHOWN = tuple(
    follow_up.c[name]
    for name in (
        "key",
        "kind",
        "type",
        "title",
        "location",
        "owner",
        "private",
        "completed",
        "all_day",
        "timezone",
        "cancelled",
        "created_at",
        "changed_at",
    )
)
_TASK = tuple(
    follow_up.c[name]
    for name in (
        "owner",
        "key",
        "kind",
        "title",
        "deadline",
        "priority",
        "completed",
        "private",
        "timezone",
        "created_at",
        "changed_at",
    )
)
_ROLE = (
    participant.c.id,
    participant.c.associate,
    participant.c.resource,
    follow_up.c.owner,
    follow_up.c.assigned_by,
)
_STANDING = tuple(
    standing.c[name] for name in ("instance", "reply", "seen", "moved", "cancelled", "progress")
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose diary it is. `who` as in `Entry`."""

    who: str
    kind: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is shown. `record`: of its follow-up what is shown, None where the actor may
    only know that the time is taken.
    """

    entry: Entry
    conflict: bool
    status: Status
    record: Any = None


@dataclass(frozen=True, slots=True)
class Task:
    """What an associate is to do until a day, carried out or not."""

    owner: str
    key: str
    kind: Kind
    title: str
    deadline: date
    priority: str
    completed: bool
    private: bool
    changed_at: datetime


def holders(connection: Connection, names: Sequence[str]) -> list[Holder]:
    """Those that are there, in the order of their names: keys of associates or resources, or
    KIND:KEY where one key is of both.
    """
    by_name = dict[str, Holder]()
    for kind, table in (("resource", resource), ("associate", associate)):
        prefix = f"{kind}:"
        keys = list(names)
        keys += (name.removeprefix(prefix) for name in names if name.startswith(prefix))
        query = sa.select(table.c.key, table.c.name).where(table.c.key.in_(keys))
        for row in connection.execute(query):
            holder = Holder(f"{kind}:{row.key}", kind, row.key, row.name)
            by_name[row.key] = holder
            by_name[holder.who] = holder
    return [by_name[name] for name in dict.fromkeys(names) if name in by_name]


def entries(
    connection: Connection, everybody: Collection[str], period: Span, timezone: str, now: datetime
) -> list[Kept]:
    """What stands in these diaries in a period, in the order of time. `timezone`: the site's."""
    near = _is_near(period, now)
    rows = chain.from_iterable(
        connection.execute(query) for query in _between(everybody, period, series=near)
    )
    diary_entries = [Kept(row.id, diary.entry_of(row), row.conflict) for row in rows]
    if not near:
        diary_entries += _expanded(connection, everybody, period, timezone)
    return sorted(diary_entries, key=_in_order_of_time)


def _in_order_of_time(stored: Kept) -> tuple[datetime, str, str]:
    return stored.entry.start, stored.entry.who, stored.entry.follow_up


def of_each(
    connection: Connection,
    looks: Sequence[tuple[Collection[str], Span]],
    timezone: str,
    now: datetime,
) -> list[list[Kept]]:
    """The same of several diaries and periods, read at once."""
    by_look = [list[Kept]() for _ in looks]
    near = [place for place, (_, period) in enumerate(looks) if _is_near(period, now)]
    for part in chunks.parts(near, AT_ONCE):
        queries = [
            query.add_columns(sa.literal(place).label("place"))
            for place in part
            for query in _between(*looks[place], series=True)
        ]
        for row in connection.execute(sa.union_all(*queries)):
            by_look[row.place].append(Kept(row.id, diary.entry_of(row), row.conflict))
    for place in set(range(len(looks))).difference(near):
        by_look[place] = entries(connection, *looks[place], timezone, now)
    return by_look


def _is_near(period: Span, now: datetime) -> bool:
    """Whether series have their entries in all of a period."""
    return period[0] >= now - diary.BEHIND and period[1] <= now + diary.AHEAD


def _between(everybody: Collection[str], period: Span, *, series: bool) -> list[sa.Select[Any]]:
    after, before = period
    row, moment = diary_entry.c, diary_entry.c.start_at.type
    since, until = sa.literal(after, moment), sa.literal(before, moment)
    shortly = sa.literal(after - diary.SHORT, moment)
    query = sa.select(diary_entry).where(
        row.who.in_(everybody), row.start_at < until, row.end_at > since
    )
    if not series:
        query = query.where(row.instance == "")
    return [query.where(row.start_at >= shortly), query.where(_LASTING, row.start_at < shortly)]


def _expanded(
    connection: Connection, everybody: Collection[str], period: Span, timezone: str
) -> list[Kept]:
    """Dates of series that have no entries."""
    after, before = period
    row, moment = diary_series.c, diary_series.c.start_at.type
    query = sa.select(row.follow_up).where(
        row.who.in_(everybody),
        row.start_at < sa.literal(before, moment),
        row.end_at > sa.literal(after, moment),
    )
    keys = sorted(set(connection.execute(query).scalars()))
    expanded = list[Kept]()
    for occupation in diary.occupations(connection, keys, timezone):
        if occupation.edition is None:
            continue
        attendees = [attendee for attendee in occupation.attendees if attendee.who in everybody]
        dates = conflicts.entries(
            occupation.key, occupation.edition, attendees, period, is_free=occupation.is_free
        )
        expanded += (
            Kept(0, entry, conflict=False) for entry in dates if entry.instance is not None
        )
    return expanded


def occupied(diary_entries: Iterable[Kept], *, without: str = "") -> dict[str, list[Span]]:
    """By diary: the times that are taken. `without`: by a follow-up that does not count."""
    spans: dict[str, list[Span]] = {}
    for stored in diary_entries:
        entry = stored.entry
        if entry.busy and entry.follow_up != without:
            spans.setdefault(entry.who, []).append((entry.start, entry.end))
    return spans


def lines(connection: Connection, actor: Actor, diary_entries: Sequence[Kept]) -> list[Line]:
    """Entries as an actor sees them, without those of attendees who declined: these have left the
    diary.
    """
    records = _records(connection, actor, {stored.entry.follow_up for stored in diary_entries})
    attendees = _attendees(connection, {stored.entry.participant for stored in diary_entries})
    shown = []
    for stored in diary_entries:
        entry = stored.entry
        attendee = attendees.get(entry.participant, Attendee(entry.who))
        status = attendee.status(entry.instance)
        if status not in conflicts.BLOCK_NOBODY:
            record = records.get(entry.follow_up)
            shown.append(Line(entry, stored.conflict, status, record))
    return shown


def called_off(
    connection: Connection, actor: Actor, everybody: Collection[str], period: Span, timezone: str
) -> list[Line]:
    """What would stand in these diaries had it not been cancelled, as an actor sees it: follow-ups
    as a whole, and single dates of series. What is private to others is not told: it takes no time.
    """
    keys = _called_off(connection, period)
    records = _records(connection, actor, keys, _concern(everybody))
    shown = list[Line]()
    for occupation in diary.occupations(connection, sorted(records), timezone, cancelled=True):
        record, edition = records[occupation.key], occupation.edition
        if edition is None:
            continue
        attendees = [attendee for attendee in occupation.attendees if attendee.who in everybody]
        left_out, whole = _put_back(edition)
        for entry in conflicts.entries(occupation.key, whole, attendees, period, is_free=True):
            if record.cancelled or entry.instance in left_out:
                shown.append(Line(entry, False, Status.CANCELLED, record))
    return shown


def _put_back(edition: Edition) -> tuple[frozenset[Moment], Edition]:
    """The dates of its rule that a series leaves out, and the series as if it did not."""
    series = edition.recurrence
    if series is None:
        return frozenset(), edition
    dates = tuple(change for change in edition.dates if not change.cancelled)
    whole = replace(edition, recurrence=replace(series, exdates=()), dates=dates)
    return frozenset(series.exdates), whole


def _concern(everybody: Collection[str]) -> sa.ColumnElement[bool]:
    """Follow-ups that these own or take part in."""
    keys: dict[str, list[str]] = {"associate": [], "resource": []}
    for who in everybody:
        kind, _, key = who.partition(":")
        keys[kind].append(key)
    row = participant.c
    is_theirs = row.associate.in_(keys["associate"]) | row.resource.in_(keys["resource"])
    takes_part = sa.exists().where(
        row.follow_up == follow_up.c.key,
        ~row.removed,
        is_theirs,
    )
    return follow_up.c.owner.in_(keys["associate"]) | takes_part


def _called_off(connection: Connection, period: Span) -> set[str]:
    """Follow-ups that are cancelled as a whole, or for one date."""
    record = follow_up.c
    date_row = follow_up_date.c
    begins = sa.func.coalesce(record.start_at, record.deadline)
    after = sa.literal(period[0] - diary.SHORT, record.start_at.type)
    before = sa.literal(period[1], record.start_at.type)
    single = sa.select(record.key).where(record.cancelled, begins >= after, begins < before)
    series = sa.select(record.key).where(record.cancelled, SERIES, record.start_at < before)
    single_date = sa.select(date_row.follow_up).where(
        date_row.cancelled,
        date_row.original_start >= after,
        date_row.original_start < before,
    )
    keys = set[str]()
    for query in (single, series, single_date):
        keys.update(connection.execute(query).scalars())
    return keys


def _records(
    connection: Connection,
    actor: Actor,
    keys: Collection[str],
    which: sa.ColumnElement[bool] | None = None,
) -> Mapping[str, Any]:
    query = sa.select(*_SHOWN).where(visible.follow_ups(actor))
    if which is not None:
        query = query.where(which)
    return {row.key: row for row in chunks.rows(connection, query, follow_up.c.key, keys)}


def _attendees(
    connection: Connection, numbers: Collection[int | None]
) -> dict[int | None, Attendee]:
    """By participant, with no more of each standing than a status says."""
    ids = sorted(number for number in numbers if number is not None)
    query = (
        sa.select(*_ROLE, *_STANDING)
        .join(follow_up, follow_up.c.key == participant.c.follow_up)
        .join(standing, standing.c.participant == participant.c.id, isouter=True)
    )
    attendees = dict[int | None, Attendee]()
    for part in chunks.parts(ids, diary.PART):
        stood = dict[int, dict[Moment | None, Standing]]()
        for row in connection.execute(query.where(participant.c.id.in_(part))):
            if row.id not in stood:
                stood[row.id] = {}
                attendees[row.id] = Attendee("", row.id, followups.role(row), None, stood[row.id])
            if row.instance is not None:
                stood[row.id][codec.parse_moment(row.instance)] = _standing(row)
    return attendees


def _standing(row: Any) -> Standing:
    return Standing(
        reply=Reply(row.reply),
        seen=row.seen,
        moved=row.moved,
        cancelled=row.cancelled,
        progress=Progress(row.progress),
    )


def tasks(
    connection: Connection, actor: Actor, owners: Collection[str], period: Span, timezone: str
) -> list[Task]:
    """What these associates are to do in a period, by deadline; without what is private to
    others. A meeting has no deadline, whatever its record says (domain.md §2).
    """
    record = follow_up.c
    after, before = (sa.literal(end, record.deadline.type) for end in period)
    query = (
        _tasks(actor, owners)
        .where(record.deadline >= after, record.deadline < before)
        .order_by(record.deadline, record.key)
    )
    return [_task(row, timezone) for row in connection.execute(query)]


def overdue(
    connection: Connection, actor: Actor, owners: Collection[str], before: datetime, timezone: str
) -> list[Task]:
    """What these associates have not done until then, the last `MOST_OVERDUE` of it."""
    record = follow_up.c
    query = _tasks(actor, owners).where(record.deadline < before, ~record.completed)
    query = query.order_by(record.deadline.desc(), record.key).limit(MOST_OVERDUE)
    return [_task(row, timezone) for row in connection.execute(query)][::-1]


def _tasks(actor: Actor, owners: Collection[str]) -> sa.Select[Any]:
    record = follow_up.c
    query = sa.select(*_TASK).where(record.owner.in_(owners), record.deadline.is_not(None))
    return query.where(record.kind != Kind.MEETING, ~record.cancelled, visible.follow_ups(actor))


def standings(
    connection: Connection, owner: str, keys: Collection[str]
) -> dict[str, list[tuple[Status, bool]]]:
    """How each of those who are asked stands to this owner's follow-ups, as a whole, and whether no
    letter reaches them.
    """
    row, sent = participant.c, invitation.c
    # A row may have an invitation to each of its dates.
    is_lost = sa.exists().where(
        sent.participant == row.id, sent.counts, sent.delivery == Delivery.UNDELIVERABLE
    )
    is_asked = row.resource.is_(None) & (sa.func.coalesce(row.associate, "") != owner)
    query = sa.select(row.follow_up, row.code, is_lost.label("is_lost"))
    query = query.join(follow_up, follow_up.c.key == row.follow_up)
    query = query.where(follow_up.c.owner == owner, ~row.removed, is_asked)
    by_follow_up = dict[str, list[tuple[Status, bool]]]()
    for answer in chunks.rows(connection, query, row.follow_up, keys):
        standing = Status(answer.code or Status.INVITATION), bool(answer.is_lost)
        by_follow_up.setdefault(answer.follow_up, []).append(standing)
    return by_follow_up


def _task(row: Any, timezone: str) -> Task:
    day = row.deadline.astimezone(ZoneInfo(row.timezone or timezone)).date()
    return Task(
        owner=row.owner,
        key=row.key,
        kind=Kind(row.kind),
        title=row.title,
        deadline=day,
        priority=row.priority,
        completed=bool(row.completed),
        private=bool(row.private),
        changed_at=row.changed_at or row.created_at,
    )
