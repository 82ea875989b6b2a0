"""The diary: a week, day by day, of the reader or of others, with rooms; and the tasks of each
(domain.md §8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gateway.actions import diaries
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.ical import zones
from gateway.status import Status
from gateway.store import cards
from gateway.web.keys import path
from gateway.web.pages import words
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody is occupied by. `key` "": it is private to others."""

    key: str
    title: str
    hours: str
    whose: str
    location: str
    conflict: bool
    standing: words.Standing | None


@dataclass(frozen=True, slots=True)
class Task:
    key: str
    title: str
    is_overdue: bool
    is_completed: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the week. `is_today`: the reader's."""

    name: str
    is_today: bool
    lines: tuple[Line, ...]
    tasks: tuple[Task, ...]


@router.get("/diary")
async def diary(
    here: Visiting,
    day: Annotated[str, Query(alias="date", max_length=10)] = "",
    of: Annotated[list[str] | None, Query(max_length=50)] = None,
) -> Response:
    """A week"""

    def look(desk: Desk) -> Facts:
        first = _first(here, day)
        own = [here.user.associate] if here.user.associate else []
        whose = of or own
        return {
            "days": _days(here, desk, whose, first) if whose else [],
            "first": first,
            "earlier": _to(first - WEEK, whose),
            "later": _to(first + WEEK, whose),
            "people": _people(desk),
            "whose": whose,
        }

    return await here.page("pages/diary.html", look)


def _first(here: Visit, text: str) -> date:
    """The first day of the week of a date, or of now."""
    try:
        day = date.fromisoformat(text) if text else here.local(here.now).date()
    except ValueError:
        raise InputError(f"date: {text!r} is no day, as 2026-12-01 is") from None
    return day - timedelta(days=(day.weekday() - here.preferences.first_weekday) % 7)


def _to(day: date, whose: list[str]) -> str:
    there = path("diary", date=day.isoformat())
    return there + "".join(f"&of={one}" for one in whose)


def _people(desk: Desk) -> list[tuple[str, str]]:
    names = cards.associates(desk.connection) | cards.resources(desk.connection)
    return sorted(names.items(), key=lambda one: one[1])


def _days(here: Visit, desk: Desk, whose: list[str], first: date) -> list[Day]:
    start = _midnight(here, first)
    shown = diaries.shown(desk, whose, (start, _midnight(here, first + WEEK)))
    return [_day(here, first + timedelta(days=number), shown["diaries"]) for number in range(7)]


def _day(here: Visit, day: date, listed: list[dict[str, Any]]) -> Day:
    lines = [line for one in listed for line in _lines(here, day, one)]
    tasks = [
        Task(task["follow_up"], task["title"], task["overdue"], task["completed"])
        for one in listed
        for task in one["tasks"]
        if task["deadline"] == day.isoformat()
    ]
    today = here.local(here.now).date() == day
    ordered = sorted(lines, key=lambda one: one[0])
    return Day(here.day(day), today, tuple(line for _, line in ordered), tuple(tasks))


def _lines(here: Visit, day: date, one: dict[str, Any]) -> Iterator[tuple[str, Line]]:
    """What of a diary falls on a day, with its beginning."""
    begins, ends = _midnight(here, day), _midnight(here, day + timedelta(days=1))
    for entry in one["entries"]:
        is_day = "T" not in entry["start"]
        start, end = _instant(here, entry["start"]), _instant(here, entry["end"])
        if start >= ends or end <= begins:
            continue
        hours = here.texts.gettext("All day") if is_day else _hours(here, start, end)
        yield start.isoformat(), _line(entry, hours, one["name"], here)


def _line(entry: dict[str, Any], hours: str, whose: str, here: Visit) -> Line:
    if "follow_up" not in entry:
        title = here.texts.gettext("Occupied")
        return Line("", title, hours, whose, "", entry["conflict"], None)
    return Line(
        entry["follow_up"],
        entry["title"] or here.texts.gettext("Without a title"),
        hours,
        whose,
        entry["location"] or "",
        entry["conflict"],
        words.BY_CODE[Status(entry["code"])],
    )


def _hours(here: Visit, start: datetime, end: datetime) -> str:
    return f"{here.clock(start)}–{here.clock(end)}"


def _instant(here: Visit, text: str) -> datetime:
    if "T" in text:
        return datetime.fromisoformat(text)
    return _midnight(here, date.fromisoformat(text))


def _midnight(here: Visit, day: date) -> datetime:
    return datetime.combine(day, time(), zones.zone(here.zone))
