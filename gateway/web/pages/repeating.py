"""Rules of series as people choose them (domain.md §6; RFC 5545 §3.3.10). Pure.

A rule begins with the start of the follow-up, so which day of the month or which weekday it is
about follows from that. What a rule says beyond these patterns is kept as it is, and shown so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from gateway.errors import InputError
from gateway.followups import grammar
from gateway.i18n import marked

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WORKING = "MO,TU,WE,TH,FR"
LAST, MOST = -1, 4


class Pattern(StrEnum):
    NONE = ""
    DAILY = "daily"
    WORKING_DAYS = "working-days"
    WEEKLY = "weekly"
    DAY_OF_MONTH = "day-of-month"
    WEEKDAY_OF_MONTH = "weekday-of-month"
    YEARLY = "yearly"
    OTHER = "other"
    """What the patterns do not say: the rule stays as it is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule as it is chosen. `every`: how many days, weeks or months; `days`: of a weekly one;
    `count`, `until`: where it ends; `rule`: of `OTHER`.
    """

    pattern: Pattern
    every: int = 1
    days: tuple[str, ...] = ()
    count: int | None = None
    until: date | None = None
    rule: str = ""


def read(rrule: str, start: date, zone: str = "UTC") -> Choice:
    """The choice that gives this rule."""
    said = grammar.parts(rrule)
    if not said:
        return Choice(Pattern.NONE)
    pattern = _pattern(said, start)
    interval = said.get("INTERVAL", "")
    every = int(interval) if interval.isdigit() else 1
    days: tuple[str, ...] = ()
    if pattern is Pattern.WEEKLY:
        days = tuple(said.get("BYDAY", WEEKDAYS[start.weekday()]).split(","))
    count = said.get("COUNT", "")
    until = said.get("UNTIL", "")
    return Choice(
        pattern,
        every,
        days,
        int(count) if count.isdigit() else None,
        _day(until, zone) if until else None,
        rrule if pattern is Pattern.OTHER else "",
    )


def _pattern(said: Mapping[str, str], start: date) -> Pattern:
    others = {name: value for name, value in said.items() if name not in (*grammar.ENDS, "WKST")}
    frequency, every = others.pop("FREQ", ""), others.pop("INTERVAL", "1")
    if frequency == "WEEKLY" and others == {"BYDAY": WORKING} and every == "1":
        return Pattern.WORKING_DAYS
    if frequency == "WEEKLY" and set(others.get("BYDAY", "MO").split(",")) <= set(WEEKDAYS):
        return Pattern.WEEKLY if not others.keys() - {"BYDAY"} else Pattern.OTHER
    patterns = {
        ("DAILY", ()): Pattern.DAILY,
        ("MONTHLY", ()): Pattern.DAY_OF_MONTH,
        ("MONTHLY", (("BYMONTHDAY", str(start.day)),)): Pattern.DAY_OF_MONTH,
        ("MONTHLY", (("BYDAY", _ordinal_day(start)),)): Pattern.WEEKDAY_OF_MONTH,
        ("YEARLY", ()): Pattern.YEARLY,
    }
    return patterns.get((frequency, tuple(others.items())), Pattern.OTHER)


def write(choice: Choice, start: date, zone: str, *, all_day: bool) -> str:
    """The rule that a choice gives; "" for none. Raises `InputError` for one that cannot be."""
    if choice.pattern is Pattern.NONE:
        return ""
    if choice.pattern is Pattern.OTHER:
        return choice.rule
    if choice.every < 1:
        raise InputError(marked("every: 1 or more"))
    said = {
        Pattern.DAILY: {"FREQ": "DAILY"},
        Pattern.WORKING_DAYS: {"FREQ": "WEEKLY", "BYDAY": WORKING},
        Pattern.WEEKLY: {"FREQ": "WEEKLY", "BYDAY": _weekdays(choice, start)},
        Pattern.DAY_OF_MONTH: {"FREQ": "MONTHLY", "BYMONTHDAY": str(start.day)},
        Pattern.WEEKDAY_OF_MONTH: {"FREQ": "MONTHLY", "BYDAY": _ordinal_day(start)},
        Pattern.YEARLY: {"FREQ": "YEARLY"},
    }[choice.pattern]
    if choice.every > 1 and choice.pattern is not Pattern.WORKING_DAYS:
        said["INTERVAL"] = str(choice.every)
    if choice.count is not None:
        said["COUNT"] = str(choice.count)
    elif choice.until is not None:
        said["UNTIL"] = _until(choice.until, zone, all_day=all_day)
    return grammar.joined(said)


def _ordinal(start: date) -> int:
    """Which weekday of its month a day is; the fifth is the last."""
    place = (start.day - 1) // 7 + 1
    return place if place <= MOST else LAST


def _ordinal_day(start: date) -> str:
    return f"{_ordinal(start)}{WEEKDAYS[start.weekday()]}"


def _weekdays(choice: Choice, start: date) -> str:
    days = {*WEEKDAYS}.intersection(choice.days) or {WEEKDAYS[start.weekday()]}
    return ",".join(day for day in WEEKDAYS if day in days)


def _day(until: str, zone: str) -> date | None:
    try:
        if len(until) == 8:
            return datetime.strptime(until, "%Y%m%d").date()  # noqa: DTZ007
        said = datetime.strptime(until.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    except ValueError:
        return None
    return said.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def _until(day: date, zone: str, *, all_day: bool) -> str:
    """The end of that day, where the series takes place (RFC 5545 §3.3.10: in UTC)."""
    if all_day:
        return f"{day:%Y%m%d}"
    last = datetime.combine(day, time(23, 59, 59), ZoneInfo(zone)).astimezone(UTC)
    return f"{last:%Y%m%dT%H%M%SZ}"
