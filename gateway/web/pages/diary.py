"""The diary: a day, a week, a month, several diaries side by side, or what comes next; of the
reader or of others, with rooms; and the tasks that are due (domain.md §8).

One markup serves all screens: `static/diary.css` makes a grid of hours of it where there is room,
and a list by day where there is not. The part that changes by itself is asked for anew with every
entry of the journal (`/diary/part`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

from babel import dates
from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway.actions import carrying, diaries, diary_views
from gateway.actions.desk import Desk
from gateway.actions.diaries import Diary
from gateway.store import cards
from gateway.store.diary_views import View
from gateway.web.pages import agenda, columns, exchange, group
from gateway.web.pages.looking import VIEWS, Look, Looking
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

People = dict[str, list[tuple[str, str]]]
"""Key and name, by kind."""

WEEK = 7
NEXT_DAYS = 14
"""So many days "what comes" looks ahead."""
MOST_IN_CELL = 4
"""Entries of a day that the month shows; the day has the rest."""


@router.get("/diary")
async def diary(here: Visiting, at: Looking) -> Response:
    """A page of diaries"""

    def read(desk: Desk) -> Facts:
        people = _people(desk)
        return {"people": people, "saved": _saved(desk, at, people), **_facts(here, desk, at)}

    return await here.page("pages/diary.html", read)


@router.get("/diary/part")
async def part(here: Visiting, at: Looking, seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _facts(here, desk, at))
    return here.exchange(facts, seen, "pages/diary_part.html", "pages/changed_diary.html")


@router.post("/diary/tick")
async def tick(
    here: Visiting,
    at: Looking,
    task: Annotated[str, Form(max_length=1000)],
    completed: Annotated[str, Form(max_length=3)],
) -> Response:
    """A task is done, or is not after all"""

    def command(desk: Desk) -> str:
        carrying.complete(desk, task, completed=completed == "yes")
        return at.to()

    return await here.write(command, "saved")


@router.post("/diary/views")
async def save(
    here: Visiting, at: Looking, name: Annotated[str, Form(max_length=diary_views.LONGEST_NAME)]
) -> Response:
    """Keep who stands side by side, by a name"""

    def command(desk: Desk) -> str:
        diary_views.save(desk, View(name, at.whose))
        return at.to("group")

    return await here.write(command, "kept")


@router.post("/diary/views/drop")
async def drop(here: Visiting, at: Looking, name: Annotated[str, Form()]) -> Response:
    """Forget one of them"""

    def command(desk: Desk) -> str:
        diary_views.drop(desk, name)
        return at.to("group")

    return await here.write(command, "forgotten")


def _saved(desk: Desk, at: Look, people: People) -> list[tuple[str, str]]:
    """The saved groups, each with its address; without who is gone."""
    there = {who for listed in people.values() for who, _ in listed}
    saved = list[tuple[str, str]]()
    for view in diary_views.every(desk):
        whose = [who for who in view.whose if who in there]
        if whose:
            saved.append((view.name, at.of(*whose).to("group")))
    return saved


def _people(desk: Desk) -> People:
    """Whose diaries there are to look at, by kind."""
    return {
        "associate": _named("associate", cards.associates(desk.connection)),
        "resource": _named("resource", cards.resources(desk.connection)),
    }


def _named(kind: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Holders as forms have them, in the order of their names."""
    holders = [(f"{kind}:{key}", name) for key, name in names.items()]
    return sorted(holders, key=lambda holder: holder[1])


def _facts(here: Visit, desk: Desk, at: Look) -> Facts:
    """What the view shows."""
    first, number = _period(here, at)
    begin = agenda.midnight(here, first)
    end = agenda.midnight(here, first + timedelta(days=number))
    is_now = begin <= here.now < end
    several = list[diaries.Diary]()
    if at.whose:
        several = diaries.of(desk, at.whose, (begin, end), cancelled=True, overdue=is_now)
    answers = agenda.answers(here, desk, several)
    at = at.of(*(diary.holder.who for diary in several))
    views = [(view, here.texts.gettext(word)) for view, word in VIEWS.items()]
    heading = _heading(here, at, first, number)
    head = {"at": at, "several": len(several) > 1, **heading}
    facts = {"tasks": agenda.due(here, several), "answers": answers}
    facts |= SHOWN[at.view](here, at, several, first, number)
    digests = _digests(here, head, facts)
    return {"views": views, "digests": digests, **head, **facts}


def _digests(here: Visit, head: Facts, facts: Facts) -> exchange.Digests:
    """Of each entry and task; around them, of what says where they stand."""
    around = [facts.get(name) for name in ("is_grid", "window", "sum")]
    rows = list[tuple[str, object]]()
    for column in facts["columns"]:
        day = column.day
        around.append((column.label, column.is_today, len(day.whole), len(day.items), day.lanes))
        for item in day.items[: facts.get("most")]:
            answer = facts["answers"].get(item.entry.key)
            rows.append((f"{item.id}{column.mark}", (item.said, answer)))
    rows += [(task.id, task) for task in facts["tasks"]]
    return exchange.digests((here.today, head, around), rows)


def _grid(here: Visit, at: Look, several: Sequence[Diary], first: date, number: int) -> Facts:
    """A day or a week."""
    days = agenda.days(here, agenda.entries(here, several), first, number)
    return columns.facts(here, columns.of_days(here, at, days))


def _month(here: Visit, at: Look, several: Sequence[Diary], first: date, number: int) -> Facts:
    days = agenda.days(here, agenda.entries(here, several), first, number)
    shown = columns.of_days(here, at, days)
    names = dates.get_day_names("abbreviated", locale=here.texts.locale)
    return {
        "columns": shown,
        "weeks": [shown[begin : begin + WEEK] for begin in range(0, number, WEEK)],
        "weekdays": [names[day.date.weekday()] for day in days[:WEEK]],
        "most": MOST_IN_CELL,
    }


def _next(here: Visit, at: Look, several: Sequence[Diary], first: date, number: int) -> Facts:
    """From now on, where it begins today."""
    begin = max(here.now, agenda.midnight(here, first))
    coming = [entry for entry in agenda.entries(here, several) if entry.end > begin]
    days = [day for day in agenda.days(here, coming, first, number) if day.items]
    return {"columns": columns.of_days(here, at, days)}


def _group(here: Visit, at: Look, several: Sequence[Diary], first: date, number: int) -> Facts:
    return group.facts(here, at, several)


SHOWN: Mapping[str, Callable[[Visit, Look, Sequence[Diary], date, int], Facts]] = {
    "day": _grid,
    "week": _grid,
    "month": _month,
    "group": _group,
    "next": _next,
}


def _period(here: Visit, at: Look) -> tuple[date, int]:
    """The first day that is shown, and how many."""
    if at.view in ("day", "group"):
        return at.day, 1
    if at.view == "next":
        return at.day, NEXT_DAYS
    if at.view == "week":
        return _week(here, at.day), WEEK
    first = at.day.replace(day=1)
    begin = _week(here, first)
    last = _week(here, _later(first) - timedelta(days=1))
    return begin, (last - begin).days + WEEK


def _week(here: Visit, day: date) -> date:
    """The first day of its week, as the reader begins weeks."""
    return day - timedelta(days=(day.weekday() - here.preferences.first_weekday) % WEEK)


def _later(first: date) -> date:
    """The first of the next month."""
    return (first + timedelta(days=31)).replace(day=1)


def _heading(here: Visit, at: Look, first: date, number: int) -> Facts:
    """What is shown, in words, and where to go on."""
    locale, last = here.texts.locale, first + timedelta(days=number - 1)
    earlier, later = at.day - timedelta(days=number), at.day + timedelta(days=number)
    beside = dates.format_interval(first, last, "yMMMMd", locale=locale)
    if at.view == "month":
        month = at.day.replace(day=1)
        heading, beside = dates.format_skeleton("yMMMM", month, locale=locale), ""
        earlier, later = (month - timedelta(days=1)).replace(day=1), _later(month)
    elif at.view == "week":
        week = (first + timedelta(days=3)).isocalendar().week
        heading = here.texts.gettext("Week %(number)s") % {"number": week}
    elif at.view == "next":
        heading = here.texts.gettext(VIEWS[at.view])
    else:
        heading, beside = here.texts.day(at.day), ""
    return {
        "heading": heading[:1].upper() + heading[1:],
        "beside": beside,
        "earlier": at.to(day=earlier),
        "later": at.to(day=later),
        "now": at.to(day=here.today),
    }
