"""An associate's own diary for calendar programs, by a secret link: made, renewed, revoked, read.

What it shows is what the associate sees of the own diary (domain.md §8): from a month ago to a year
ahead, without what is declined or cancelled. On failure: None for a link that lets nobody in,
whatever the reason.
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gateway import i18n
from gateway import settings as configuration
from gateway.ical import subscription
from gateway.ical.subscription import Date, Due
from gateway.model import Access, Actor
from gateway.status import Status
from gateway.store import cards, diaries, diary, diary_feeds, preferences
from gateway.store.diaries import Line, Task
from gateway.store.diary_feeds import Link
from gateway.store.engine import Connection, Store
from gateway.store.users import User

AHEAD = timedelta(days=365)
NAMESPACE = uuid.UUID("6d4a8a1e-3c7f-5b0e-9c55-0f6a7f0b9d21")
"""Of the UIDs of dates, so that they are the same each time."""
OPEN = frozenset(
    {
        Status.INVITATION,
        Status.MOVED,
        Status.SEEN,
        Status.MOVED_SEEN,
        Status.ASSIGNED,
        Status.ASSIGNED_SEEN,
    }
)
"""Not answered."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a link shows now."""

    name: str
    dates: tuple[Date, ...]
    tasks: tuple[Due, ...] = ()

    @property
    def tag(self) -> str:
        """It changes with what is shown."""
        return hashlib.sha256(repr(self).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def calendar(self) -> bytes:
        return subscription.calendar(self.name, self.dates, self.tasks)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Whose feed it is. `page`: the address of a follow-up's page."""

    associate: str
    texts: i18n.Catalogue
    timezone: str
    page: Callable[[str], str]


def renew(store: Store, user: User, now: datetime) -> str:
    """The secret of a new link; the one before shows nothing any more."""
    with store.write() as connection:
        return diary_feeds.renew(connection, user.id, now)


def revoke(store: Store, user: User) -> None:
    with store.write() as connection:
        diary_feeds.revoke(connection, user.id)


def read(
    store: Store,
    settings: configuration.Settings,
    secret: str,
    now: datetime,
    page: Callable[[str], str],
) -> Feed | None:
    """What the link of this secret shows. `page`: the address of a follow-up's page."""
    with store.read() as connection:
        link = diary_feeds.find(connection, secret)
        if link is None:
            return None
        preferred = preferences.of(connection, link.associate)
        language = preferred.language or settings.mail.language
        texts = i18n.catalogue(language)
        reader = _Reader(link.associate, texts, settings.mail.timezone, page)
        feed = _feed(connection, reader, now)
    _note(store, link, now)
    return feed


def _note(store: Store, link: Link, now: datetime) -> None:
    if link.used_at is None or abs(now - link.used_at) >= diary_feeds.NOTED:
        store.note(lambda connection: diary_feeds.note_use(connection, link, now))


def _feed(connection: Connection, reader: _Reader, now: datetime) -> Feed:
    period = now - diary.BEHIND, now + AHEAD
    whose = [f"associate:{reader.associate}"]
    diary_entries = diaries.entries(connection, whose, period, reader.timezone, now)
    actor = Actor(Access.USER, reader.associate)
    lines = diaries.lines(connection, actor, diary_entries)
    name = cards.associates(connection).get(reader.associate, reader.associate)
    about = connection, actor, [reader.associate]
    late = diaries.overdue(*about, period[0], reader.timezone)
    due = late + diaries.tasks(*about, period, reader.timezone)
    return Feed(
        name,
        tuple(_date(reader, line) for line in lines),
        tuple(_due(reader, task) for task in due),
    )


def _due(reader: _Reader, task: Task) -> Due:
    return Due(
        uid=str(uuid.uuid5(NAMESPACE, f"{reader.associate}|{task.key}|due")),
        title=task.title or reader.texts.gettext("Without a title"),
        day=task.deadline,
        at=task.changed_at,
        url=reader.page(task.key),
        is_private=task.private,
        is_completed=task.completed,
    )


def _date(reader: _Reader, line: Line) -> Date:
    entry, record = line.entry, line.record
    assert record is not None, "everybody sees what stands in the own diary"
    title = record.title or reader.texts.gettext("Without a title")
    start, end = entry.start, entry.end
    name = f"{reader.associate}|{record.key}|{entry.instance}"
    date = Date(
        uid=str(uuid.uuid5(NAMESPACE, name)),
        title=title,
        location=record.location or "",
        start=start,
        end=end,
        at=record.changed_at or record.created_at,
        url=reader.page(record.key),
        is_private=bool(record.private),
        is_busy=entry.busy,
        is_open=line.status in OPEN,
    )
    if not record.all_day:
        return date
    place = ZoneInfo(record.timezone or reader.timezone)
    return date.on_days(start.astimezone(place).date(), end.astimezone(place).date())
