"""Several diaries side by side on one day, with a sum: who is free when (help page 000)."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.actions.diaries import Diary
from gateway.web.pages import agenda, columns, grid, looking
from gateway.web.pages.columns import Column
from gateway.web.pages.looking import Look
from gateway.web.pages.visit import Facts, Visit


@dataclass(frozen=True, slots=True)
class Free:
    """A time during which as many are free. `word`: how many; `busy`: the names of the others;
    `tone`: as a class; `new`: where all are free, when a new follow-up begins.
    """

    hours: str
    word: str
    busy: str
    tone: str
    classes: str
    new: str


def facts(here: Visit, at: Look, several: Sequence[Diary]) -> Facts:
    shown = [_column(here, at, diary, number) for number, diary in enumerate(several, 1)]
    return {
        **columns.facts(here, shown),
        "sum": _sum(here, at, shown) if len(shown) > 1 else [],
    }


def _column(here: Visit, at: Look, diary: Diary, number: int) -> Column:
    [day] = agenda.days(here, agenda.entries(here, [diary]), at.day, 1)
    begins = columns.window(here, ())[0] + grid.HOUR
    return Column(
        heading=diary.holder.name,
        label=diary.holder.name,
        day=day,
        to=at.of(diary.holder.who).to("week"),
        new=looking.moment(at.day, begins),
        mark=f"-{number}",
    )


def _sum(here: Visit, at: Look, shown: Sequence[Column]) -> list[Free]:
    busy = [
        [grid.whole_steps((item.begin, item.end)) for item in column.day.items if item.entry.busy]
        for column in shown
    ]
    names = [column.heading for column in shown]
    parts = grid.stretches(busy, columns.window(here, shown))
    return [_free(here, at, part, names) for part in parts]


def _free(here: Visit, at: Look, part: grid.Stretch, names: Sequence[str]) -> Free:
    texts = here.texts
    free = len(names) - len(part.busy)
    if not part.busy:
        tone, word = "all", texts.gettext("All free")
    elif not free:
        tone, word = "none", texts.gettext("Nobody free")
    else:
        tone = "some"
        word = texts.gettext("%(free)s of %(all)s free") % {"free": free, "all": len(names)}
    begin, end = (agenda.clock(texts.language, minute) for minute in (part.begin, part.end))
    return Free(
        hours=f"{begin}–{end}",
        word=word,
        busy=texts.listed([names[number] for number in sorted(part.busy)]),
        tone=tone,
        classes=grid.span_classes(part.begin, part.end),
        new=looking.moment(at.day, part.begin) if tone == "all" else "",
    )
