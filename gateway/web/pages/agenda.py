"""What the diary says of each day: entries as a reader sees them, and the tasks that are due
(domain.md §8).

A follow-up that stands in several of the diaries that are shown is one entry, with the names. What
is private to others is a time that is taken, and no more. No meaning hangs on a colour: each entry
says in words that it conflicts, is not answered, or is cancelled.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from gateway import i18n
from gateway.actions.desk import Desk
from gateway.actions.diaries import Diary
from gateway.followups import permission
from gateway.followups.permission import Answer, Parties, Verb
from gateway.i18n import marked
from gateway.ical import zones
from gateway.status import Status
from gateway.store.diaries import Line, Task, standings
from gateway.web.pages import grid, words
from gateway.web.pages.visit import Visit
from gateway.web.pages.words import Tone

ONE_DAY = timedelta(days=1)
OCCUPIED = marked("Occupied")
ICONS = {"open": "circle-dashed", "off": "prohibit"}
"""By the tone of an entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A follow-up of one or more diaries, with the days and hours of the reader. `key`: "" where it
    is private to others; `name`: of this date of it, never shown; `status`: the reader's own where
    they take part, else the holder's.
    """

    key: str
    name: str
    title: str
    location: str
    is_private: bool
    is_day: bool
    busy: bool
    start: datetime
    end: datetime
    conflict: bool
    status: Status
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """An entry on one day. `hours`: of that day; `note`: how it stands, in words; `tone`: the same
    as a class; `icon`: the same at a glance; `begin` and `end`: minutes since midnight.
    """

    id: str
    entry: Entry
    hours: str
    note: str
    tone: str
    whole_day: bool
    begin: int
    end: int
    place: grid.Place | None = None

    @property
    def icon(self) -> str:
        return "warning-circle" if self.entry.conflict else ICONS.get(self.tone, "")

    @property
    def state(self) -> str:
        """What is told when it changes."""
        return " ".join(filter(None, (self.hours, self.note, self.entry.location)))

    @property
    def said(self) -> tuple[object, ...]:
        """All that a page says of it."""
        entry, place = self.entry, self.place
        where = place.classes if place is not None else ""
        facts = (entry.key, entry.title, entry.location, entry.is_private, entry.conflict)
        return *facts, entry.names, self.hours, self.note, self.tone, where


@dataclass(frozen=True, slots=True)
class Due:
    """A task or planned call. `id`: the same each time; `ticks`: the reader may tick it off."""

    id: str
    key: str
    title: str
    name: str
    when: str
    is_overdue: bool
    is_completed: bool
    ticks: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One day: what lasts all of it, and what has hours, in their order."""

    date: date
    whole: tuple[Item, ...]
    timed: tuple[Item, ...]
    lanes: int = 1

    @property
    def items(self) -> tuple[Item, ...]:
        return self.whole + self.timed


def entries(here: Visit, diaries: Iterable[Diary]) -> list[Entry]:
    """Everything that stands in these diaries, each follow-up and date once."""
    merged: dict[tuple[object, ...], Entry] = {}
    own = f"associate:{here.actor.associate}"
    for diary in diaries:
        for line in diary.lines:
            entry = _entry(here, line, diary.holder.name)
            is_off = line.status is Status.CANCELLED
            name = (line.entry.follow_up, line.entry.instance, is_off)
            other = merged.get(name)
            if other is not None:
                status = entry.status if diary.holder.who == own else other.status
                entry = replace(
                    other,
                    names=other.names + entry.names,
                    conflict=other.conflict or entry.conflict,
                    status=status,
                )
            merged[name] = entry
    return list(merged.values())


def _entry(here: Visit, line: Line, holder: str) -> Entry:
    entry, record, texts = line.entry, line.record, here.texts
    start, end = here.local(entry.start), here.local(entry.end)
    is_private = record is not None and bool(record.private)
    is_day = record is not None and bool(record.all_day)
    if record is None:
        key, title, location = "", texts.gettext(OCCUPIED), ""
    else:
        key, location = record.key, record.location
        title = record.title or texts.gettext("Without a title")
        if record.all_day:
            start, end = _days(here, line)
    return Entry(
        key=key,
        name=f"{entry.follow_up}|{entry.instance}",
        title=title,
        location=location or "",
        is_private=is_private,
        is_day=is_day,
        busy=entry.busy,
        start=start,
        end=end,
        conflict=line.conflict,
        status=line.status,
        names=(holder,),
    )


def _days(here: Visit, line: Line) -> tuple[datetime, datetime]:
    """A whole day is the same day everywhere, whatever the clock of the follow-up."""
    place = zones.zone(line.record.timezone or here.site.settings.mail.timezone)
    first = line.entry.start.astimezone(place).date()
    last = line.entry.end.astimezone(place).date()
    return midnight(here, first), midnight(here, max(last, first + ONE_DAY))


def midnight(here: Visit, day: date) -> datetime:
    return datetime.combine(day, time(), zones.zone(here.zone))


def days(here: Visit, everything: Sequence[Entry], first: date, number: int) -> list[Day]:
    """So many days, each with what falls on it."""
    by_day: dict[date, list[Item]] = {first + timedelta(days=day): [] for day in range(number)}
    for entry in everything:
        day = max(entry.start.date(), first)
        while day == entry.start.date() or (day in by_day and midnight(here, day) < entry.end):
            if day in by_day:
                by_day[day].append(_item(here, entry, day))
            day += ONE_DAY
    return [_day(day, items) for day, items in by_day.items()]


def _day(day: date, items: list[Item]) -> Day:
    ordered = sorted(items, key=lambda item: (item.begin, -item.end, item.entry.title))
    timed = [item for item in ordered if not item.whole_day]
    places = grid.placed([(item.begin, item.end) for item in timed])
    put = [replace(item, place=place) for item, place in zip(timed, places, strict=True)]
    whole = [item for item in ordered if item.whole_day]
    lanes = max((place.lanes for place in places), default=1)
    return Day(day, tuple(whole), tuple(put), lanes)


def _item(here: Visit, entry: Entry, day: date) -> Item:
    starts, until_midnight = entry.start.date() == day, entry.end == midnight(here, day + ONE_DAY)
    ends = entry.end.date() == day or until_midnight
    begin = _minute(entry.start) if starts else 0
    end = _minute(entry.end) if ends and not until_midnight else grid.DAY
    end = max(begin, end)  # the clock may be set back meanwhile
    whole_day = entry.is_day or (begin == 0 and end == grid.DAY)
    note, tone = _standing(here, entry)
    return Item(
        id=_id(here, f"{entry.name}|{day}"),
        entry=entry,
        hours=_hours(here, entry, whole_day, starts, ends),
        note=note,
        tone=tone,
        whole_day=whole_day,
        begin=begin,
        end=end,
    )


def _id(here: Visit, name: str) -> str:
    """The same each time for one session; of what is private it gives away nothing."""
    key = here.request.state.session.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    said = name.encode(errors="surrogatepass")
    return f"e{hashlib.blake2b(said, digest_size=6, key=key).hexdigest()}"


def _hours(here: Visit, entry: Entry, whole_day: bool, starts: bool, ends: bool) -> str:
    texts = here.texts
    begin = clock(texts.language, _minute(entry.start))
    end = clock(texts.language, _minute(entry.end))
    if whole_day:
        return texts.gettext("All day")
    if starts and ends:
        return f"{begin}–{end}"
    if starts:
        return texts.gettext("from %(time)s") % {"time": begin}
    return texts.gettext("until %(time)s") % {"time": end}


def _standing(here: Visit, entry: Entry) -> tuple[str, str]:
    """How it stands, in words and as a class."""
    if entry.status is Status.CANCELLED:
        return here.texts.gettext(words.CANCELLED.word), "off"
    standing = words.BY_CODE[entry.status]
    if standing.tone is Tone.WAITS:
        return here.texts.gettext(standing.word), "open"
    return "", ""


def _minute(moment: datetime) -> int:
    return moment.hour * grid.HOUR + moment.minute


@lru_cache(maxsize=8 * grid.DAY)
def clock(language: str, minute: int) -> str:
    """ "09.00", of a minute of the day."""
    hour, rest = divmod(minute % grid.DAY, grid.HOUR)
    moment = datetime(2000, 1, 1, hour, rest, tzinfo=zones.zone("UTC"))
    return i18n.catalogue(language).clock(moment)


def answers(here: Visit, desk: Desk, diaries: Sequence[Diary]) -> dict[str, str]:
    """In a diary by itself what those say who are asked by the reader, by follow-up: "2 av 5
    kommer, 1 er ikke nådd".
    """
    owner = here.actor.associate
    if len(diaries) != 1 or not owner:
        return {}
    records = [line.record for line in diaries[0].lines if line.status is not Status.CANCELLED]
    keys = {record.key for record in records if record is not None and record.owner == owner}
    by_follow_up = standings(desk.connection, owner, keys)
    return {key: _answers(here, said) for key, said in by_follow_up.items()}


def _answers(here: Visit, said: Sequence[tuple[Status, bool]]) -> str:
    say, tones = here.texts.gettext, [words.BY_CODE[status].tone for status, _ in said]
    come = say("%(come)s of %(all)s come") % {"come": tones.count(Tone.YES), "all": len(said)}
    lost = sum(
        tone is Tone.WAITS and is_lost for tone, (_, is_lost) in zip(tones, said, strict=True)
    )
    if not lost:
        return come
    reached = here.texts.ngettext("%(num)d is not reached", "%(num)d are not reached", lost)
    return f"{come}, {reached % {'num': lost}}"


def due(here: Visit, diaries: Sequence[Diary]) -> list[Due]:
    """The tasks of these diaries, by deadline."""
    names = {diary.holder.key: diary.holder.name if len(diaries) > 1 else "" for diary in diaries}
    tasks = [task for diary in diaries for task in diary.tasks]
    tasks.sort(key=lambda task: (task.deadline, task.title))
    return [_due(here, task, names[task.owner]) for task in tasks]


def _due(here: Visit, task: Task, name: str) -> Due:
    ticks = _may(here, Parties(task.key, task.owner))
    return Due(
        id=_id(here, task.key),
        key=task.key,
        title=task.title or here.texts.gettext("Without a title"),
        name=name,
        when=here.day(task.deadline),
        is_overdue=not task.completed and task.deadline < here.today,
        is_completed=task.completed,
        ticks=ticks,
    )


def _may(here: Visit, parties: Parties) -> bool:
    return permission.may(here.actor, Verb.EDIT, parties) is Answer.YES
