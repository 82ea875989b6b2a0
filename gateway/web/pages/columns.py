"""The columns of a diary's grid: days, or on one day the diaries of several; with the hours that
are shown and the free slots that a click makes a follow-up of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from babel import dates

from gateway import i18n
from gateway.followups.preferences import OFFICE
from gateway.web.pages import agenda, grid, looking
from gateway.web.pages.agenda import Day
from gateway.web.pages.grid import Minutes
from gateway.web.pages.looking import Look
from gateway.web.pages.visit import Facts, Visit

SLOT = 30
"""Minutes of a free slot."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A free slot: when it begins, and where it is drawn."""

    start: str
    classes: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `label`: all of what `heading` says in short; `to`: the day or diary by itself;
    `new`: when a new follow-up begins; `mark`: tells its entries from the same ones in others.
    """

    heading: str
    label: str
    day: Day
    to: str
    new: str
    is_today: bool = False
    mark: str = ""


def of_days(here: Visit, at: Look, days: Sequence[Day]) -> list[Column]:
    return [_of_day(here, at, day) for day in days]


def _of_day(here: Visit, at: Look, day: Day) -> Column:
    begins, _ = _works(here, day.date) or OFFICE
    return Column(
        heading=_short(here.texts.language, day.date),
        label=here.day(day.date),
        day=day,
        to=at.to("day", day.date),
        new=looking.moment(day.date, begins),
        is_today=day.date == here.today,
    )


@lru_cache(maxsize=1_000)
def _short(language: str, day: date) -> str:
    """ "tir. 1.". Babel takes a third of a millisecond to find the pattern."""
    return dates.format_skeleton("EEEd", day, locale=i18n.catalogue(language).locale)


def facts(here: Visit, columns: Sequence[Column]) -> Facts:
    """The hours that are shown, their names, and the slots of each day."""
    begin, end = window(here, columns)
    language = here.texts.language
    hours = [
        (agenda.clock(language, minute), f"h{minute // grid.HOUR}")
        for minute in range(begin, end, grid.HOUR)
    ]
    slots = {
        day: [_slot(here, day, minute) for minute in range(begin, end, SLOT)]
        for day in {column.day.date for column in columns}
    }
    return {
        "columns": columns,
        "is_grid": all(column.day.lanes <= grid.MOST_LANES for column in columns),
        "window": f"from{begin // grid.HOUR} for{(end - begin) // grid.HOUR}",
        "hours": hours,
        "slots": slots,
    }


def window(here: Visit, columns: Sequence[Column]) -> Minutes:
    """An hour more than the reader works on any day, and whatever is earlier or later."""
    hours = [
        day_hours for day_hours in here.preferences.working_hours if day_hours is not None
    ] or [OFFICE]
    usual = (
        max(0, min(begin for begin, _ in hours) - grid.HOUR),
        min(grid.DAY, max(end for _, end in hours) + grid.HOUR),
    )
    return grid.window(((item.begin, item.end) for it in columns for item in it.day.timed), usual)


def _slot(here: Visit, day: date, minute: int) -> Slot:
    works = _works(here, day)
    is_work = works is not None and works[0] <= minute < works[1]
    classes = grid.span_classes(minute, minute + SLOT)
    return Slot(looking.moment(day, minute), classes if is_work else f"{classes} rest")


def _works(here: Visit, day: date) -> Minutes | None:
    return here.preferences.working_hours[day.weekday()]
