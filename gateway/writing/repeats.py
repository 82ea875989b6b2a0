"""A recurrence rule as people say it.

The kinds of domain.md §6 are told in full. A rule that says anything else is named as a series,
rather than told by half.
"""

import re
from datetime import datetime

from gateway.followups import recurrence, rules
from gateway.i18n import Catalogue, marked
from gateway.ical import zones
from gateway.model import Edition

ORDINALS = {
    "1": marked("the first"),
    "2": marked("the second"),
    "3": marked("the third"),
    "4": marked("the fourth"),
    "-1": marked("the last"),
}
OTHER = {
    "DAILY": marked("every other day"),
    "WEEKLY": marked("every other week"),
    "MONTHLY": marked("every other month"),
    "YEARLY": marked("every other year"),
}
"""Every second one has words of its own in most languages."""
DAY = re.compile(r"\+?(-?\d)?(MO|TU|WE|TH|FR|SA|SU)")
WORKING = frozenset(zones.DAYS[:5])
ELSEWHERE = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST"})
"""Parts that do not say which days within the week, month or year."""


def said(series: Edition, words: Catalogue) -> str:
    """The rule of a series: "every week on Tuesday, 6 times". The series has a rule; a list of
    dates is told as such.
    """
    parts = rules.parts(series.recurrence.rrule) if series.recurrence is not None else {}
    return _which(parts, words) + _end(series, parts, words)


def _which(parts: dict[str, str], words: Catalogue) -> str:
    frequency, step = parts.get("FREQ", ""), parts.get("INTERVAL", "1")
    days = {name: value for name, value in parts.items() if name not in ELSEWHERE}
    if (
        frequency in ("DAILY", "WEEKLY")
        and step == "1"
        and days.keys() == {"BYDAY"}
        and set(days["BYDAY"].split(",")) == WORKING
    ):
        return words.gettext("every working day")
    on = _on(frequency, days, words)
    if frequency not in OTHER or not step.isdigit() or on is None:
        return words.gettext("a series of dates")
    return " ".join(part for part in (_every(frequency, int(step), words), on) if part)


def _every(frequency: str, step: int, words: Catalogue) -> str:
    if step == 2:
        return words.gettext(OTHER[frequency])
    texts = {
        "DAILY": words.ngettext("every day", "every %(step)d days", step),
        "WEEKLY": words.ngettext("every week", "every %(step)d weeks", step),
        "MONTHLY": words.ngettext("every month", "every %(step)d months", step),
        "YEARLY": words.ngettext("every year", "every %(step)d years", step),
    }
    return texts[frequency] % {"step": step}


def _on(frequency: str, days: dict[str, str], words: Catalogue) -> str | None:
    """The days that the rule names; "" where the first date says them, None where there are no
    plain words for them.
    """
    if not days:
        return ""
    match frequency, *sorted(days):
        case "WEEKLY", "BYDAY":
            return _weekdays(days["BYDAY"], words)
        case "MONTHLY", "BYMONTHDAY":
            number = days["BYMONTHDAY"]
            return words.gettext("on day %(day)s") % {"day": number} if number.isdigit() else None
        case "MONTHLY", "BYDAY":
            return _counted(days["BYDAY"].split(","), words)
        case "MONTHLY", "BYDAY", "BYSETPOS":
            return _counted([f"{days['BYSETPOS']}{days['BYDAY']}"], words)
        case ("YEARLY", "BYMONTH") | ("YEARLY", "BYMONTH", "BYMONTHDAY"):
            return "" if all(value.isdigit() for value in days.values()) else None
    return None


def _weekdays(text: str, words: Catalogue) -> str | None:
    names = []
    for part in text.split(","):
        day = DAY.fullmatch(part)
        if day is None or day[1] is not None:
            return None
        weekday = words.weekday(zones.DAYS.index(day[2]))
        names.append(words.pgettext("a weekday of every week", "%(day)s") % {"day": weekday})
    return words.gettext("on %(days)s") % {"days": words.listed(names)}


def _counted(parts: list[str], words: Catalogue) -> str | None:
    """The second Tuesday of a month."""
    names = []
    for part in parts:
        day = DAY.fullmatch(part)
        if day is None or day[1] not in ORDINALS:
            return None
        ordinal = words.gettext(ORDINALS[day[1]])
        weekday = words.weekday(zones.DAYS.index(day[2]))
        name = words.pgettext("one weekday of a month", "%(ordinal)s %(day)s")
        names.append(name % {"ordinal": ordinal, "day": weekday})
    return words.pgettext("weekdays of a month", "on %(days)s") % {"days": words.listed(names)}


def _end(series: Edition, parts: dict[str, str], words: Catalogue) -> str:
    """The last day is that of the owner's calendar, as the weekdays are."""
    if count := parts.get("COUNT"):
        times = int(count)
        return ", " + words.ngettext("%(count)d time", "%(count)d times", times) % {"count": times}
    last = recurrence.until(series) if "UNTIL" in parts else None
    if last is None:
        return ""
    day = last.astimezone(zones.zone(series.timezone)) if isinstance(last, datetime) else last
    return ", " + words.gettext("until %(day)s") % {"day": words.short_day(day)}
