"""The diaries of associates and resources: what of a follow-up belongs there, what stands there,
and which entries conflict (domain.md §5), in sets.

Before an entry is changed, the follow-up is locked, and then everybody whose diary it is in
(`lock`), in one order and last of all: two follow-ups of one person that are planned at once both
see the conflict. Rows of other follow-ups are never waited for; those that somebody else has in
hand are passed over, and their follow-up is looked at again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.followups import recurrence
from gateway.followups.conflicts import Attendee, Entry
from gateway.model import Edition, Kind, Role
from gateway.store import chunks, codec, columns, faults, followups, marked, timing
from gateway.store.schema import follow_up, participant
from gateway.store.schema_domain import diary_entry, diary_series

SHORT = timedelta(days=2)
"""An entry of at most this length overlaps a moment only if it began so shortly before it."""
BEHIND = timedelta(days=31)
AHEAD = timedelta(days=400)
"""Dates of a series from so long ago to so far ahead have entries."""
SHORT_DAYS = f"-{SHORT.days} days"
EVER = datetime(9999, 1, 1, tzinfo=UTC)
PART = 5_000
"""So many numbers go into one statement."""

_LOCK = sa.text(
    "SELECT pg_advisory_xact_lock(hashtextextended(who, 7404)) FROM"
    " unnest(CAST(:everybody AS text[])) WITH ORDINALITY AS one (who, place) ORDER BY place"
)
_COLUMNS = (
    *(participant.c[name] for name in ("id", "follow_up", "associate", "resource")),
    *(participant.c[name] for name in ("original_start", "removed", "conflict")),
    *(follow_up.c[name] for name in ("owner", "assigned_by", "all_day", "timezone")),
)
_LEAVE = sa.delete(diary_series).where(
    diary_series.c.who == sa.bindparam("whose"), diary_series.c.follow_up == sa.bindparam("of")
)
_OTHER = diary_entry.alias("other")
_LASTING = sa.text("other.lasting")


@dataclass(frozen=True, slots=True)
class Occupation:
    """Of a follow-up what its entries are made of. `edition`: only its times are right; None where
    it is gone or has none. `unreadable`: nothing can be said of it but what stands there.

    `flagged`: of its rows those that say CONFLICT now.
    """

    key: str
    edition: Edition | None = None
    is_free: bool = False
    unreadable: bool = False
    attendees: tuple[Attendee, ...] = ()
    flagged: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it stands in the store."""

    id: int
    entry: Entry
    conflict: bool


@dataclass(frozen=True, slots=True)
class Course:
    """That an associate or resource takes part in a series, from when to when. `until`: entries are
    kept of its dates before that.
    """

    who: str
    follow_up: str
    start: datetime
    end: datetime
    until: datetime


def occupations(
    connection: Connection, keys: Collection[str], timezone: str, *, cancelled: bool = False
) -> list[Occupation]:
    """Of these follow-ups, whether or not they are there. `timezone`: of those that name none;
    `cancelled`: of those that are cancelled, too, as if they were not.
    """
    if not keys:
        return []
    query = sa.select(follow_up, *timing.usual_length()).where(follow_up.c.key.in_(keys))
    records = {row.key: row for row in connection.execute(query)}
    own = timing.own_dates(connection, keys)
    rows = _rows(connection, keys)
    standings = followups.standings(connection, [row.id for row in rows if not row.removed])
    by_key: dict[str, list[Any]] = {}
    for row in rows:
        by_key.setdefault(row.follow_up, []).append(row)
    occupied = []
    for key in keys:
        here = by_key.get(key, [])
        flagged = frozenset(row.id for row in here if row.conflict)
        occupation = Occupation(key, flagged=flagged)
        if (record := records.get(key)) is not None:
            attendees = _attendees(record, here, standings)
            occupation = replace(occupation, attendees=attendees)
            if cancelled or not record.cancelled:
                occupation = _timed(occupation, record, own.get(key, ()), timezone)
        occupied.append(occupation)
    return occupied


def _rows(connection: Connection, keys: Collection[str]) -> Sequence[Any]:
    """Participants of the house, and those that are said to conflict."""
    row = participant.c
    ours = row.associate.is_not(None) | row.resource.is_not(None) | row.conflict
    query = sa.select(*_COLUMNS).join(follow_up, follow_up.c.key == row.follow_up)
    return connection.execute(query.where(row.follow_up.in_(keys), ours)).all()


def _attendees(
    record: Any, rows: Sequence[Any], standings: Mapping[int, Any]
) -> tuple[Attendee, ...]:
    attendees = []
    for row in rows:
        if row.removed or not (row.associate or row.resource):
            continue
        date = timing.date_of(row)
        if isinstance(date, marked.MARKED):
            continue
        who = f"associate:{row.associate}" if row.associate else f"resource:{row.resource}"
        own = standings.get(row.id, {})
        attendees.append(Attendee(who, row.id, followups.role(row), date, own))
    if record.owner:
        attendees.append(Attendee(f"associate:{record.owner}", None, Role.OWNER))
    return tuple(attendees)


def _timed(occupation: Occupation, record: Any, own: Sequence[Any], timezone: str) -> Occupation:
    try:
        edition = _times(record, own, timezone)
    except (InputError, ZoneInfoNotFoundError):  # the planner says of it what is wrong
        return replace(occupation, unreadable=True)
    return replace(occupation, edition=edition, is_free=record.availability == "free")


def _times(record: Any, own: Sequence[Any], timezone: str) -> Edition:
    """An edition; only its times are right."""
    faults.check(faults.of_follow_up(record))
    kind, zone = Kind(record.kind), record.timezone or timezone
    start, end = timing.times(record, kind, zone)
    recurs, dates = timing.series(record, own, kind, zone)
    return Edition(
        "",
        kind,
        "",
        start,
        end,
        zone,
        "",
        all_day=record.all_day,
        recurrence=recurs,
        dates=dates,
    )


def entries(connection: Connection, keys: Collection[str]) -> dict[str, list[Kept]]:
    """What stands in the diaries of these follow-ups."""
    by_follow_up: dict[str, list[Kept]] = {}
    query = sa.select(diary_entry).where(diary_entry.c.follow_up.in_(keys))
    for row in connection.execute(query):
        by_follow_up.setdefault(row.follow_up, []).append(Kept(row.id, entry_of(row), row.conflict))
    return by_follow_up


def entry_of(row: Any) -> Entry:
    return Entry(
        row.who,
        row.follow_up,
        codec.parse_moment(row.instance),
        row.participant,
        row.start_at,
        row.end_at,
        row.busy,
    )


def conflicted(connection: Connection, keys: Collection[str]) -> frozenset[str]:
    """Of these follow-ups those in which somebody or something of the house is double booked (help
    page 000: the exclamation mark).
    """
    query = sa.select(diary_entry.c.follow_up).where(
        diary_entry.c.follow_up.in_(keys), diary_entry.c.conflict
    )
    return frozenset(connection.execute(query.distinct()).scalars())


def courses(connection: Connection, keys: Collection[str]) -> dict[str, list[Course]]:
    """Who is said to take part in which series of these."""
    by_follow_up: dict[str, list[Course]] = {}
    query = sa.select(diary_series).where(diary_series.c.follow_up.in_(keys))
    for row in connection.execute(query):
        course = Course(row.who, row.follow_up, row.start_at, row.end_at, row.until)
        by_follow_up.setdefault(row.follow_up, []).append(course)
    return by_follow_up


def course(edition: Edition, who: str, key: str, until: datetime) -> Course:
    """Somebody's part in a series: from the first to the last of its dates, as far as they are
    known. What has no date after `until` needs no further look.
    """
    begins = [edition.start, *(date.start for date in edition.dates)]
    start = min(columns.instant(begin) for begin in begins if begin is not None)
    end = recurrence.last_end(edition)
    return Course(
        who,
        key,
        start - timedelta(days=1),
        end if end is not None else EVER,
        EVER if end is not None and end <= until else until,
    )


def lock(connection: Connection, everybody: Iterable[str]) -> None:
    """Keep others from changing these diaries until the transaction ends; SQLite has one writer."""
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK, {"everybody": sorted(set(everybody))})


def remove(connection: Connection, numbers: Collection[int]) -> None:
    for part in chunks.parts(numbers, PART):
        connection.execute(sa.delete(diary_entry).where(diary_entry.c.id.in_(part)))


def add(connection: Connection, fresh: Iterable[Entry]) -> None:
    rows = [
        {
            "who": entry.who,
            "follow_up": entry.follow_up,
            "participant": entry.participant,
            "instance": codec.moment(entry.instance),
            "start_at": entry.start,
            "end_at": entry.end,
            "lasting": entry.end - entry.start > SHORT,
            "busy": entry.busy,
        }
        for entry in fresh
    ]
    if rows:
        connection.execute(sa.insert(diary_entry), rows)


def attend(connection: Connection, gone: Collection[Course], fresh: Collection[Course]) -> None:
    """Keep who takes part in which series."""
    if gone:
        connection.execute(_LEAVE, [{"whose": it.who, "of": it.follow_up} for it in gone])
    rows = [
        {
            "who": it.who,
            "follow_up": it.follow_up,
            "start_at": it.start,
            "end_at": it.end,
            "until": it.until,
        }
        for it in fresh
    ]
    if rows:
        connection.execute(sa.insert(diary_series), rows)


def collisions(connection: Connection, numbers: Collection[int]) -> list[tuple[int, int]]:
    """Of these entries those that conflict, each with what it conflicts with: both busy, in one
    diary, of two follow-ups. Touching ends do not; what lasts no time at all overlaps nothing.
    """
    pairs = list[tuple[int, int]]()
    for part in chunks.parts(numbers, PART):
        for query in _collisions(connection, part):
            pairs += ((row[0], row[1]) for row in connection.execute(query))
    return pairs


def _collisions(connection: Connection, numbers: Sequence[int]) -> list[sa.Select[Any]]:
    """By two indexes: what is short by its start, what lasts by its end."""
    own, other = diary_entry.c, _OTHER.c
    both_last = own.start_at < own.end_at, other.start_at < other.end_at
    overlap = other.start_at < own.end_at, other.end_at > own.start_at
    clash = (
        sa.select(own.id, other.id)
        .join(_OTHER, other.who == own.who)
        .where(own.id.in_(numbers), own.busy, other.busy, other.follow_up != own.follow_up)
        .where(*overlap, *both_last)
    )
    shortly_before = _before(connection, own.start_at)
    return [
        clash.where(other.start_at >= shortly_before),
        clash.where(_LASTING, other.start_at < shortly_before),
    ]


def _before(connection: Connection, moment: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """`SHORT` before it."""
    if connection.dialect.name == "sqlite":
        return sa.func.datetime(moment, SHORT_DAYS)
    return moment - sa.literal(SHORT, sa.Interval())


def flag(connection: Connection, conflict: Mapping[int, bool]) -> set[str]:
    """Keep which entries conflict. Returns the follow-ups of those that others have in hand."""
    passed_over = set[str]()
    for value in (True, False):
        numbers = [number for number, is_so in conflict.items() if is_so is value]
        for part in chunks.parts(numbers, PART):
            differs = diary_entry.c.conflict.is_(not value)
            free, others = _at_hand(connection, diary_entry, [differs], part)
            passed_over |= others
            if free:
                changed = sa.update(diary_entry).where(diary_entry.c.id.in_(free))
                connection.execute(changed.values(conflict=value))
    return passed_over


def flag_rows(connection: Connection, numbers: Collection[int]) -> set[str]:
    """The same for participants: theirs is a conflict on any date."""
    passed_over = set[str]()
    has_conflict = sa.exists().where(
        diary_entry.c.participant == participant.c.id, diary_entry.c.conflict
    )
    differs = participant.c.conflict != has_conflict
    for part in chunks.parts(numbers, PART):
        free, others = _at_hand(connection, participant, [differs], part)
        passed_over |= others
        if free:
            changed = sa.update(participant).where(participant.c.id.in_(free), differs)
            connection.execute(changed.values(conflict=~participant.c.conflict))
    return passed_over


def _at_hand(
    connection: Connection,
    table: sa.Table,
    differs: Sequence[sa.ColumnElement[bool]],
    numbers: Sequence[int],
) -> tuple[list[int], set[str]]:
    """Of these rows those that differ and can be written at once, and the follow-ups of the
    others.
    """
    query = sa.select(table.c.id, table.c.follow_up).where(table.c.id.in_(numbers), *differs)
    rows = connection.execute(query.order_by(table.c.id)).all()
    if connection.dialect.name == "sqlite" or not rows:
        return [row.id for row in rows], set()
    free = connection.execute(
        sa.select(table.c.id)
        .where(table.c.id.in_([row.id for row in rows]))
        .order_by(table.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    locked = set(free.scalars())
    return list(locked), {row.follow_up for row in rows if row.id not in locked}


def rows_of(connection: Connection, numbers: Collection[int]) -> set[int]:
    """The participants whose entries these are."""
    rows = set[int]()
    for part in chunks.parts(numbers, PART):
        query = sa.select(diary_entry.c.participant).where(
            diary_entry.c.id.in_(part), diary_entry.c.participant.is_not(None)
        )
        rows |= set(connection.execute(query).scalars())
    return rows


def to_move_on(before: datetime, connection: Connection, after: str, limit: int) -> list[str]:
    """Series whose entries end before that moment: the next ones by key."""
    query = (
        sa.select(diary_series.c.follow_up)
        .where(diary_series.c.until < before, diary_series.c.follow_up > after)
        .distinct()
        .order_by(diary_series.c.follow_up)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())
