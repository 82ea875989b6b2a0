"""Keeping the diaries: what follow-ups write into them, and which of it conflicts (domain.md §5).

A follow-up that does not recur stands there for good, a series with its dates of a window that the
daily job moves on. Follow-ups of a store that is older than diaries come in by the same job.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic, sleep

import structlog

from gateway import settings as configuration
from gateway.followups import conflicts, recurrence
from gateway.followups.conflicts import Entry
from gateway.store import diary, engine, followups, marked, marks, meta
from gateway.store.diary import Course, Kept, Occupation
from gateway.store.engine import Connection, Store

log = structlog.get_logger(__name__)

MARGIN = timedelta(days=30)
"""So much further they are kept than they must, so that a series is moved on once in that time."""
ALWAYS = (
    datetime(recurrence.FIRST_YEAR, 1, 1, tzinfo=UTC),
    datetime(recurrence.LAST_YEAR, 12, 31, tzinfo=UTC),
)
BATCH = 50
"""Follow-ups that the job looks at in one transaction."""
PAUSE_SECONDS = 0.1
"""So long at most the job lets others write before it goes on."""


@dataclass(slots=True)
class _Changes:
    """What is to become of entries: decided before anything is written."""

    gone: list[Kept] = field(default_factory=list)
    fresh: list[Entry] = field(default_factory=list)
    left: list[Course] = field(default_factory=list)
    joined: list[Course] = field(default_factory=list)


def keep(connection: Connection, keys: Collection[str], timezone: str, now: datetime) -> None:
    """Bring the diaries up to date with these follow-ups, which are locked; nothing is written
    where nothing changed. The last thing that a transaction does (`store.diary`).

    `timezone`: of follow-ups that name none.
    """
    readable = [key for key in keys if not isinstance(key, marked.MARKED)]
    if not readable:
        return
    occupations = diary.occupations(connection, readable, timezone)
    by_follow_up = diary.entries(connection, readable)
    courses = diary.courses(connection, readable)
    changes = _Changes()
    for occupation in occupations:
        if not occupation.unreadable:
            here = by_follow_up.get(occupation.key, ()), courses.get(occupation.key, ())
            _compare(occupation, *here, now, changes)
    diary.attend(connection, changes.left, changes.joined)
    present = [stored for here in by_follow_up.values() for stored in here]
    flagged = {row for occupation in occupations for row in occupation.flagged}
    if changes.gone or changes.fresh or not _agrees(connection, present, flagged):
        passed_over = _write(connection, readable, changes, present, flagged)
        marks.mark(connection, sorted(passed_over), now)


def keep_each(connection: Connection, keys: Collection[str], timezone: str, now: datetime) -> None:
    """The same for follow-ups that have nothing to do with each other: one on which this program
    fails does not keep the others from it.
    """
    try:
        with connection.begin_nested():
            keep(connection, keys, timezone, now)
    except Exception as error:
        if engine.outage(error):
            raise
        log.exception("a diary could not be kept", follow_ups=[str(key) for key in keys])
        if len(keys) > 1:
            for key in keys:
                keep_each(connection, [key], timezone, now)


def _compare(
    occupation: Occupation,
    diary_entries: Sequence[Kept],
    courses: Sequence[Course],
    now: datetime,
    changes: _Changes,
) -> None:
    expected, attending = list[Entry](), dict[str, Course]()
    edition = occupation.edition
    if edition is not None and edition.start is not None:
        window, until = ALWAYS, ALWAYS[1]
        if edition.recurrence is not None:
            window = _window(courses, now)
            until = window[1]
            everybody = {attendee.who for attendee in occupation.attendees}
            attending = {
                who: diary.course(edition, who, occupation.key, until) for who in everybody
            }
        expected = list(
            conflicts.entries(
                occupation.key, edition, occupation.attendees, window, is_free=occupation.is_free
            )
        )
    there = {stored.entry for stored in diary_entries}
    changes.gone += (stored for stored in diary_entries if stored.entry not in set(expected))
    changes.fresh += (entry for entry in expected if entry not in there)
    changes.left += (course for course in courses if attending.get(course.who) != course)
    changes.joined += (course for course in attending.values() if course not in courses)


def _window(courses: Iterable[Course], now: datetime) -> tuple[datetime, datetime]:
    """Where the entries of a series lie: as before while that reaches far enough."""
    until = max(
        (course.until for course in courses if course.until != diary.EVER),
        default=now,
    )
    if until < now + diary.AHEAD:
        until = now + diary.AHEAD + MARGIN
    return until - MARGIN - diary.AHEAD - diary.BEHIND, until


def _agrees(connection: Connection, present: Sequence[Kept], flagged: set[int]) -> bool:
    """Whether what is said of conflicts is so."""
    colliding = {
        mine for mine, _ in diary.collisions(connection, [stored.id for stored in present])
    }
    rows = {stored.entry.participant for stored in present if stored.id in colliding} - {None}
    return rows == flagged and all(
        stored.conflict == (stored.id in colliding) for stored in present
    )


def _write(
    connection: Connection,
    keys: Collection[str],
    changes: _Changes,
    present: Sequence[Kept],
    flagged: set[int],
) -> set[str]:
    """Returns the follow-ups whose flags somebody else had in hand."""
    concerned = [*(stored.entry for stored in present), *changes.fresh]
    diary.lock(connection, {entry.who for entry in concerned})
    gone = [stored.id for stored in changes.gone]
    freed = {other for _, other in diary.collisions(connection, gone)}
    diary.remove(connection, gone)
    diary.add(connection, changes.fresh)
    own = [stored.id for here in diary.entries(connection, keys).values() for stored in here]
    pairs = diary.collisions(connection, own)
    colliding = {mine for mine, _ in pairs} | {other for _, other in pairs}
    freed -= colliding
    still = {mine for mine, _ in diary.collisions(connection, freed)}
    conflict = {number: number in colliding for number in {*own, *colliding}}
    conflict |= {number: number in still for number in freed}
    passed_over = diary.flag(connection, conflict)
    rows = diary.rows_of(connection, conflict) | flagged
    rows |= {
        stored.entry.participant for stored in changes.gone if stored.entry.participant is not None
    }
    return passed_over | diary.flag_rows(connection, rows)


def move_on(store: Store, settings: configuration.Settings, now: datetime) -> int:
    """Take in follow-ups that were planned before there were diaries, and move the windows of
    series on. Returns how many follow-ups were looked at.
    """
    zone = settings.mail.timezone
    with store.read() as connection:
        begun = meta.diaries_begun(connection)
    looked = 0
    if begun is not None:
        looked += _each(store, zone, now, followups.following, begun, meta.note_diaries)
        with store.write() as connection:
            meta.note_diaries(connection, None)
    return looked + _each(store, zone, now, partial(diary.to_move_on, now + diary.AHEAD), "")


def _each(
    store: Store,
    zone: str,
    now: datetime,
    following: Callable[[Connection, str, int], list[str]],
    after: str,
    note: Callable[[Connection, str], None] | None = None,
) -> int:
    """Bring the diaries up to date with one follow-up after the other, a transaction for every few
    of them.
    """
    looked = 0
    while True:
        began = monotonic()
        with store.write() as connection:
            keys = following(connection, after, BATCH)
            if not keys:
                return looked
            for key in keys:
                followups.lock(connection, key)
            keep_each(connection, keys, zone, now)
            after, looked = keys[-1], looked + len(keys)
            if note is not None:
                note(connection, after)
        if store.is_sqlite:  # others wait for the file
            sleep(min(monotonic() - began, PAUSE_SECONDS))
