"""Which diaries are looked at, and when: what an address of the diary says."""

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Query

from gateway.actions import diaries
from gateway.errors import InputError
from gateway.i18n import marked
from gateway.store.marked import EARLIEST, LATEST
from gateway.web.pages import grid
from gateway.web.pages.visit import Visit, Visiting

VIEWS = {
    "day": marked("Day"),
    "week": marked("Week"),
    "month": marked("Month"),
    "group": marked("Group"),
    "next": marked("What comes"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """Which diaries are looked at, and when. `whose`: KIND:KEY, or a key; `own`: that of who looks,
    "" where they are no associate.
    """

    view: str
    day: date
    whose: tuple[str, ...]
    own: str

    def to(self, view: str = "", day: date | None = None, *, step: str = "") -> str:
        """The address of another look at the same diaries. `step`: what of it."""
        others = "" if self.whose == (self.own,) else _of(self.whose)
        there = f"/diary{step and f'/{step}'}"
        return f"{there}?view={view or self.view}&date={day or self.day}{others}"

    def of(self, *whose: str) -> "Look":
        """The same of others."""
        return replace(self, whose=whose)

    @property
    def others(self) -> list[str]:
        """Those who take part in what is made here, because their diary is open (help page
        001).
        """
        return [name for name in self.whose if name != self.own]

    @property
    def new(self) -> str:
        """Where a follow-up is made with them, at a time that is not said yet."""
        asked = "&".join(f"who={quote(name, safe=':')}" for name in self.others)
        return f"/follow-ups/new{asked and f'?{asked}'}"


@lru_cache(maxsize=256)
def _of(whose: tuple[str, ...]) -> str:
    """A page of fifty diaries says them in two dozen addresses."""
    return "".join(f"&of={quote(name, safe=':')}" for name in whose)


def moment(day: date, minute: int) -> str:
    """A time on the reader's clock, as a new follow-up is told its start."""
    hour, rest = divmod(minute, grid.HOUR)
    return f"{day.isoformat()}T{hour:02}:{rest:02}"


def look(
    here: Visiting,
    view: Annotated[str, Query(max_length=10)] = "week",
    day: Annotated[str, Query(alias="date", max_length=10)] = "",
    of: Annotated[list[str] | None, Query(max_length=diaries.MOST_DIARIES)] = None,
) -> Look:
    """What the address asks for."""
    if view not in VIEWS:
        raise InputError(marked("view: one of %(views)s"), views=", ".join(VIEWS))
    own = f"associate:{here.user.associate}" if here.user.associate else ""
    return Look(view, _date(here, day), tuple(dict.fromkeys(of or filter(None, [own]))), own)


Looking = Annotated[Look, Depends(look)]


def _date(here: Visit, text: str) -> date:
    try:
        day = date.fromisoformat(text) if text else here.today
    except ValueError:
        raise InputError(marked("date: %(text)r is no day, as 2026-12-01 is"), text=text) from None
    if not EARLIEST.year < day.year < LATEST.year - 1:
        raise InputError(
            marked("date: is not in the years %(first)s to %(last)s"),
            first=EARLIEST.year + 1,
            last=LATEST.year - 2,
        )
    return day
