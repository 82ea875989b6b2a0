"""Diaries, free times and who is busy, as API and page show them (domain.md §5, §8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway import shapes
from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound
from gateway.followups import available, preferences
from gateway.followups.available import Slot, Span, WorkingWeek
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.store import codec, diaries, diary
from gateway.store import preferences as stored
from gateway.store.diaries import Holder, Line, Task
from gateway.store.diary import Kept

MOST_DIARIES = 50
LONGEST = timedelta(days=92)

Json = dict[str, Any]
PLAIN = ("kind", "type", "title", "location", "owner")
FLAGS = ("all_day", "private", "completed")
"""What is shown of a follow-up in a diary, as it is."""


@dataclass(frozen=True, slots=True)
class Diary:
    """One diary in a period: every date that takes place, in the order of time, and the tasks that
    are due.
    """

    holder: Holder
    lines: tuple[Line, ...]
    tasks: tuple[Task, ...]


def of(
    desk: Desk,
    names: Sequence[str],
    period: Span,
    *,
    cancelled: bool = False,
    overdue: bool = False,
) -> list[Diary]:
    """Whole diaries. What is private to others is a time that is taken, and no more. `cancelled`:
    with what is called off, at the end of the lines; `overdue`: with tasks of earlier that are not
    done.
    """
    everybody = holders(desk, names)
    zone = desk.settings.mail.timezone
    diary_entries = _entries(desk, everybody, period)
    lines: dict[str, list[Line]] = {holder.who: [] for holder in everybody}
    tasks: dict[str, list[Task]] = {holder.who: [] for holder in everybody}
    listed = diaries.lines(desk.connection, desk.actor, diary_entries)
    if cancelled:
        listed += diaries.called_off(desk.connection, desk.actor, lines.keys(), period, zone)
    for line in listed:
        lines[line.entry.who].append(line)
    owners = [holder.key for holder in everybody if holder.kind == "associate"]
    about = desk.connection, desk.actor, owners
    late = diaries.overdue(*about, period[0], zone) if overdue else []
    for task in late + diaries.tasks(*about, period, zone):
        tasks[f"associate:{task.owner}"].append(task)
    return [
        Diary(holder, tuple(lines[holder.who]), tuple(tasks[holder.who])) for holder in everybody
    ]


def shown(desk: Desk, names: Sequence[str], period: Span) -> Json:
    """The same, as the API answers."""
    zone, today = desk.settings.mail.timezone, _today(desk)
    return {
        "from": shapes.moment(period[0], zone),
        "to": shapes.moment(period[1], zone),
        "diaries": [_diary(whole_diary, zone, today) for whole_diary in of(desk, names, period)],
    }


def _diary(whole_diary: Diary, zone: str, today: str) -> Json:
    return {
        whole_diary.holder.kind: whole_diary.holder.key,
        "name": whole_diary.holder.name,
        "entries": [_line(line, zone) for line in whole_diary.lines],
        "tasks": [_task(task, today) for task in whole_diary.tasks],
    }


def busy(desk: Desk, names: Sequence[str], period: Span, without: str = "") -> Json:
    """Which of these are occupied at some moment of a period, for a picker. `without`: a follow-up
    that does not count. Raises `NotFound` for one that they do not see, as `first_available` does:
    a time that is free without it would tell whose it is, and when.
    """
    everybody = holders(desk, names)
    taken = _occupied(desk, everybody, period, without)
    return {
        "busy": [{holder.kind: holder.key} for holder in everybody if holder.who in taken],
        "free": [{holder.kind: holder.key} for holder in everybody if holder.who not in taken],
    }


def taken(desk: Desk, names: Sequence[str], period: Span, without: str) -> dict[str, list[Span]]:
    """When associates and resources (KIND:KEY) are occupied in a period by anything but one
    follow-up.
    """
    return taken_each(desk, [(names, period, without)])[0]


def taken_each(
    desk: Desk, looks: Sequence[tuple[Sequence[str], Span, str]]
) -> list[dict[str, list[Span]]]:
    """The same for several of them, read at once."""
    places = [(names, period) for names, period, _ in looks]
    of_looks = diaries.of_each(desk.connection, places, desk.settings.mail.timezone, desk.now)
    return [
        _within(diaries.occupied(diary_entries, without=without), period)
        for diary_entries, (_, period, without) in zip(of_looks, looks, strict=True)
    ]


def _within(occupied: Mapping[str, Sequence[Span]], period: Span) -> dict[str, list[Span]]:
    return {
        who: sorted(span for span in spans if _overlap(span, period))
        for who, spans in occupied.items()
    }


def first_available(
    desk: Desk,
    names: Sequence[str],
    minutes: int,
    period: tuple[datetime | None, datetime | None],
    within: Mapping[str, object] | None = None,
    without: str = "",
) -> Json:
    """The first slots at which all of these are free and at work. `period`: not before, until;
    from now on, and as far ahead as is looked, where nothing is said. `within`: working hours in
    the place of everybody's own, as a preference says them. `without`: a follow-up that takes
    nobody's time, because it is to be moved.
    """
    zone = desk.settings.mail.timezone
    not_before, until = period[0] or desk.now, period[1]
    horizon = not_before + available.LONGEST
    until = horizon if until is None else min(until, horizon)
    if until <= not_before:
        raise InputError(marked("until: is not after not_before"))
    everybody = holders(desk, names)
    occupied = _occupied(desk, everybody, (not_before, until), without)
    taken = [span for spans in occupied.values() for span in spans]
    weeks = _weeks(desk, [holder.key for holder in everybody if holder.kind == "associate"], within)
    slots = available.first_available(taken, weeks, timedelta(minutes=minutes), not_before, until)
    return {"slots": [_slot(slot, zone) for slot in slots]}


AHEAD = (timedelta(days=2), timedelta(days=14), available.LONGEST)
"""So far ahead is looked, one after the other: free times are near, and months of many diaries are
long.
"""


@dataclass(frozen=True, slots=True)
class Double:
    """The first date ahead of a follow-up that is double booked. `who`: by kind and key; `spans`:
    when they are taken by something else; `slot`: when everybody is free, None for nowhere near.
    """

    instance: str
    who: Sequence[str]
    spans: Sequence[Span]
    slot: Slot | None


def first_of(desk: Desk, key: str) -> datetime | None:
    """When everybody and everything of the house that takes part in a double booked follow-up is
    free, from its first such date that lies ahead (help page 000); None where there is none, or
    nobody is free for so long.
    """
    double = first_double(desk, key)
    return double.slot.start if double is not None and double.slot is not None else None


def first_double(desk: Desk, key: str) -> Double | None:
    """Of the first date that lies ahead and is double booked what is said of it."""
    diary_entries = diary.entries(desk.connection, [key]).get(key, [])
    first = _first_conflict(diary_entries, desk.now)
    if first is None:
        return None
    here = [
        diary_row for diary_row in diary_entries if diary_row.entry.instance == first.entry.instance
    ]
    everybody = {diary_row.entry.who for diary_row in here if diary_row.entry.busy}
    span = first.entry.start, first.entry.end
    for ahead in AHEAD:
        taken = _taken(desk, key, everybody, (span[0], span[1] + ahead))
        slot = _first_free(desk, everybody, taken, span, ahead)
        if slot is not None:
            break
    who = sorted(diary_row.entry.who for diary_row in here if diary_row.conflict)
    overlapping = {
        other for holder in who for other in taken.get(holder, ()) if _overlap(other, span)
    }
    instance = codec.moment(first.entry.instance)
    return Double(instance, who, sorted(overlapping), slot)


def _taken(desk: Desk, key: str, who: Collection[str], period: Span) -> Mapping[str, list[Span]]:
    """When these are occupied by anything else."""
    zone = desk.settings.mail.timezone
    others = diaries.entries(desk.connection, who, period, zone, desk.now)
    return diaries.occupied(others, without=key)


def _first_free(
    desk: Desk,
    who: Collection[str],
    taken: Mapping[str, list[Span]],
    span: Span,
    ahead: timedelta,
) -> Slot | None:
    """The first time after that, and so near, at which all of these are free for as long."""
    associates = [name.partition(":")[2] for name in who if name.startswith("associate:")]
    slots = available.first_available(
        [span for spans in taken.values() for span in spans],
        _weeks(desk, sorted(associates), None),
        span[1] - span[0],
        span[0],
        span[0] + ahead,
    )
    return slots[0] if slots else None


def _overlap(first: Span, other: Span) -> bool:
    return first[0] < other[1] and first[1] > other[0]


def _first_conflict(diary_entries: Sequence[Kept], now: datetime) -> Kept | None:
    ahead = (
        diary_row
        for diary_row in diary_entries
        if diary_row.conflict and diary_row.entry.start > now
    )
    return min(ahead, key=lambda diary_row: diary_row.entry.start, default=None)


def holders(desk: Desk, names: Sequence[str]) -> list[Holder]:
    """Whose diaries these are. Raises `NotFound` where there is none."""
    if len(names) > MOST_DIARIES:
        raise InputError(marked("at most %(most)s diaries at a time"), most=MOST_DIARIES)
    everybody = diaries.holders(desk.connection, names)
    there = {name for holder in everybody for name in (holder.key, holder.who)}
    if absent := next((name for name in names if name not in there), ""):
        raise NotFound(marked("there is no associate or resource %(absent)s"), absent=absent)
    return everybody


def _occupied(
    desk: Desk, everybody: Sequence[Holder], period: Span, without: str
) -> dict[str, list[Span]]:
    """By diary, when they are occupied by anything but one follow-up."""
    if without:
        desk.require(Verb.SEE, without)
    return diaries.occupied(_entries(desk, everybody, period), without=without)


def _entries(desk: Desk, everybody: Sequence[Holder], period: Span) -> list[Kept]:
    if period[1] <= period[0]:
        raise InputError(marked("to: is not after from"))
    if period[1] - period[0] > LONGEST:
        raise InputError(marked("to: at most %(days)s days after from"), days=LONGEST.days)
    who = [holder.who for holder in everybody]
    return diaries.entries(desk.connection, who, period, desk.settings.mail.timezone, desk.now)


def _weeks(
    desk: Desk, associates: Sequence[str], within: Mapping[str, object] | None
) -> list[WorkingWeek]:
    """When these work, each by the own clock; where there is none of them, when the site does."""
    preferred = stored.of_each(desk.connection, associates or [stored.SITE])
    override = None if within is None else _hours(within)
    weeks = {
        WorkingWeek(
            own.timezone or desk.settings.mail.timezone,
            (override or own).working_hours,
        )
        for own in preferred.values()
    }
    return sorted(weeks, key=lambda week: week.timezone)


def _hours(within: Mapping[str, object]) -> preferences.Preferences:
    try:
        said = preferences.checked("working_hours", within)
    except InputError as error:
        words = marked("%(place)s: %(reason)s")
        places = [(("within",), str(error))]
        raise InputError(words, places, place="within", reason=error) from error
    return preferences.effective({"working_hours": said})


def _line(line: Line, zone: str) -> Json:
    entry, record = line.entry, line.record
    taken: Json = {
        "start": shapes.moment(entry.start, zone),
        "end": shapes.moment(entry.end, zone),
        "busy": entry.busy,
        "conflict": line.conflict,
    }
    if record is None:
        return taken | {"private": True}
    if record.all_day:
        place = ZoneInfo(record.timezone or zone)
        for name, moment in (("start", entry.start), ("end", entry.end)):
            taken[name] = moment.astimezone(place).date().isoformat()
    taken |= {"follow_up": record.key, "participant": entry.participant}
    taken |= {name: getattr(record, name) for name in PLAIN}
    taken |= {name: bool(getattr(record, name)) for name in FLAGS}
    taken |= {"instance": shapes.moment(entry.instance, zone)}
    return taken | {"code": int(line.status), "status": line.status.word}


def _task(task: Task, today: str) -> Json:
    deadline = task.deadline.isoformat()
    return {
        "follow_up": task.key,
        "kind": task.kind.value,
        "title": task.title,
        "deadline": deadline,
        "priority": task.priority,
        "completed": task.completed,
        "overdue": not task.completed and deadline < today,
    }


def _slot(slot: Slot, zone: str) -> Json:
    return {"start": shapes.moment(slot.start, zone), "end": shapes.moment(slot.end, zone)}


def _today(desk: Desk) -> str:
    return desk.now.astimezone(ZoneInfo(desk.settings.mail.timezone)).date().isoformat()
