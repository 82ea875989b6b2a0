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
    found = dict[str, Holder]()
    for kind, table in (("resource", resource), ("associate", associate)):
        keys = [*names, *(name.partition(":")[2] for name in names if name.startswith(f"{kind}:"))]
        query = sa.select(table.c.key, table.c.name).where(table.c.key.in_(keys))
        for row in connection.execute(query):
            holder = Holder(f"{kind}:{row.key}", kind, row.key, row.name)
            found[row.key] = found[holder.who] = holder
    return [found[name] for name in dict.fromkeys(names) if name in found]


def entries(
    connection: Connection, everybody: Collection[str], period: Span, timezone: str, now: datetime
) -> list[Kept]:
    """What stands in these diaries in a period, in the order of time. `timezone`: the site's."""
    near = _is_near(period, now)
    rows = chain.from_iterable(
        connection.execute(query) for query in _between(everybody, period, series=near)
    )
    kept = [Kept(row.id, diary.entry_of(row), row.conflict) for row in rows]
    if not near:
        kept += _expanded(connection, everybody, period, timezone)
    return sorted(kept, key=lambda one: (one.entry.start, one.entry.who, one.entry.follow_up))


def of_each(
    connection: Connection,
    wanted: Sequence[tuple[Collection[str], Span]],
    timezone: str,
    now: datetime,
) -> list[list[Kept]]:
    """The same of several diaries and periods, read at once."""
    found = [list[Kept]() for _ in wanted]
    near = [place for place, (_, period) in enumerate(wanted) if _is_near(period, now)]
    for part in chunks.parts(near, AT_ONCE):
        queries = [
            query.add_columns(sa.literal(place).label("place"))
            for place in part
            for query in _between(*wanted[place], series=True)
        ]
        for row in connection.execute(sa.union_all(*queries)):
            found[row.place].append(Kept(row.id, diary.entry_of(row), row.conflict))
    for place in set(range(len(wanted))).difference(near):
        found[place] = entries(connection, *wanted[place], timezone, now)
    return found


def _is_near(period: Span, now: datetime) -> bool:
    """Whether series have their entries in all of a period."""
    return period[0] >= now - diary.BEHIND and period[1] <= now + diary.AHEAD


def _between(everybody: Collection[str], period: Span, *, series: bool) -> list[sa.Select[Any]]:
    after, before = period
    one, moment = diary_entry.c, diary_entry.c.start_at.type
    since, until = sa.literal(after, moment), sa.literal(before, moment)
    shortly = sa.literal(after - diary.SHORT, moment)
    query = sa.select(diary_entry).where(
        one.who.in_(everybody), one.start_at < until, one.end_at > since
    )
    if not series:
        query = query.where(one.instance == "")
    return [query.where(one.start_at >= shortly), query.where(_LASTING, one.start_at < shortly)]


def _expanded(
    connection: Connection, everybody: Collection[str], period: Span, timezone: str
) -> list[Kept]:
    """Dates of series that have no entries."""
    after, before = period
    one, moment = diary_series.c, diary_series.c.start_at.type
    query = sa.select(one.follow_up).where(
        one.who.in_(everybody),
        one.start_at < sa.literal(before, moment),
        one.end_at > sa.literal(after, moment),
    )
    keys = sorted(set(connection.execute(query).scalars()))
    made = list[Kept]()
    for occupation in diary.occupations(connection, keys, timezone):
        if occupation.edition is None:
            continue
        attendees = [one for one in occupation.attendees if one.who in everybody]
        dates = conflicts.entries(
            occupation.key, occupation.edition, attendees, period, is_free=occupation.is_free
        )
        made += (Kept(0, entry, conflict=False) for entry in dates if entry.instance is not None)
    return made


def occupied(kept: Iterable[Kept], *, without: str = "") -> dict[str, list[Span]]:
    """By diary: the times that are taken. `without`: by a follow-up that does not count."""
    taken: dict[str, list[Span]] = {}
    for one in kept:
        if one.entry.busy and one.entry.follow_up != without:
            taken.setdefault(one.entry.who, []).append((one.entry.start, one.entry.end))
    return taken


def lines(connection: Connection, actor: Actor, kept: Sequence[Kept]) -> list[Line]:
    """Entries as an actor sees them, without those of whoever declined: theirs have left the
    diary.
    """
    records = _records(connection, actor, {one.entry.follow_up for one in kept})
    attendees = _attendees(connection, {one.entry.participant for one in kept})
    shown = []
    for one in kept:
        attendee = attendees.get(one.entry.participant, Attendee(one.entry.who))
        status = attendee.status(one.entry.instance)
        if status not in conflicts.BLOCK_NOBODY:
            record = records.get(one.entry.follow_up)
            shown.append(Line(one.entry, one.conflict, status, record))
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
        attendees = [one for one in occupation.attendees if one.who in everybody]
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
    dates = tuple(one for one in edition.dates if not one.cancelled)
    whole = replace(edition, recurrence=replace(series, exdates=()), dates=dates)
    return frozenset(series.exdates), whole


def _concern(everybody: Collection[str]) -> sa.ColumnElement[bool]:
    """Follow-ups that these own or take part in."""
    keys: dict[str, list[str]] = {"associate": [], "resource": []}
    for who in everybody:
        kind, _, key = who.partition(":")
        keys[kind].append(key)
    row = participant.c
    theirs = row.associate.in_(keys["associate"]) | row.resource.in_(keys["resource"])
    takes_part = sa.exists().where(row.follow_up == follow_up.c.key, ~row.removed, theirs)
    return follow_up.c.owner.in_(keys["associate"]) | takes_part


def _called_off(connection: Connection, period: Span) -> set[str]:
    """Follow-ups of which all is cancelled, or a date."""
    one, other = follow_up.c, follow_up_date.c
    begins = sa.func.coalesce(one.start_at, one.deadline)
    after = sa.literal(period[0] - diary.SHORT, one.start_at.type)
    before = sa.literal(period[1], one.start_at.type)
    single = sa.select(one.key).where(one.cancelled, begins >= after, begins < before)
    series = sa.select(one.key).where(one.cancelled, SERIES, one.start_at < before)
    of_date = other.cancelled, other.original_start >= after, other.original_start < before
    queries = single, series, sa.select(other.follow_up).where(*of_date)
    return {key for query in queries for key in connection.execute(query).scalars()}


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
    made = dict[int | None, Attendee]()
    for part in chunks.parts(ids, diary.PART):
        stood = dict[int, dict[Moment | None, Standing]]()
        for row in connection.execute(query.where(participant.c.id.in_(part))):
            if row.id not in stood:
                stood[row.id] = {}
                made[row.id] = Attendee("", row.id, followups.role(row), None, stood[row.id])
            if row.instance is not None:
                stood[row.id][codec.parse_moment(row.instance)] = _standing(row)
    return made


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
    one, moment = follow_up.c, follow_up.c.deadline.type
    after, before = (sa.literal(end, moment) for end in period)
    query = _tasks(actor, owners).where(one.deadline >= after, one.deadline < before)
    query = query.order_by(one.deadline, one.key)
    return [_task(row, timezone) for row in connection.execute(query)]


def overdue(
    connection: Connection, actor: Actor, owners: Collection[str], before: datetime, timezone: str
) -> list[Task]:
    """What these associates have not done until then, the last `MOST_OVERDUE` of it."""
    one = follow_up.c
    query = _tasks(actor, owners).where(one.deadline < before, ~one.completed)
    query = query.order_by(one.deadline.desc(), one.key).limit(MOST_OVERDUE)
    return [_task(row, timezone) for row in connection.execute(query)][::-1]


def _tasks(actor: Actor, owners: Collection[str]) -> sa.Select[Any]:
    one = follow_up.c
    query = sa.select(*_TASK).where(one.owner.in_(owners), one.deadline.is_not(None))
    return query.where(one.kind != Kind.MEETING, ~one.cancelled, visible.follow_ups(actor))


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
    found = dict[str, list[tuple[Status, bool]]]()
    for one in chunks.rows(connection, query, row.follow_up, keys):
        standing = Status(one.code or Status.INVITATION), bool(one.is_lost)
        found.setdefault(one.follow_up, []).append(standing)
    return found


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
