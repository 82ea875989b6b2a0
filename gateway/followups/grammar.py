"""What a recurrence rule may say, as text (RFC 5545 §3.3.10): its parts, what is wrong with it, and
the form that every calendar reads.

Programs drop a rule that breaks the standard and show one date, or expand it each in its own way:
such a rule is refused where it is written, and not mailed.
"""

import re
from collections.abc import Iterator
from math import prod

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
ENDS = ("COUNT", "UNTIL")
ENDLESS = 3000
"""An UNTIL from this year on says "no end" in the words of programs that must say something."""
LONGEST = 1_000
LARGEST = 2**31 - 1
"""Calendars count in 32 bits."""
MOST_TIMES = 100
"""Of one day, by BYHOUR, BYMINUTE and BYSECOND together."""
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
POSITIVE, WEEKDAY = r"0*[1-9]\d*", "(?:MO|TU|WE|TH|FR|SA|SU)"
WEEK, MONTHDAY = r"(?:0?[1-9]|[1-4]\d|5[0-3])", r"[+-]?(?:0?[1-9]|[12]\d|3[01])"
YEARDAY = r"[+-]?(?:0{0,2}[1-9]|0?[1-9]\d|[12]\d\d|3[0-5]\d|36[0-6])"
VALUES = {
    "FREQ": "|".join(FREQUENCIES),
    "INTERVAL": POSITIVE,
    "COUNT": POSITIVE,
    "UNTIL": r"\d{8}(?:T\d{6}Z?)?",
    "WKST": WEEKDAY,
    "BYSECOND": r"[0-5]?\d",
    "BYMINUTE": r"[0-5]?\d",
    "BYHOUR": r"[01]?\d|2[0-3]",
    "BYDAY": f"(?:[+-]?{WEEK})?{WEEKDAY}",
    "BYMONTHDAY": MONTHDAY,
    "BYYEARDAY": YEARDAY,
    "BYWEEKNO": f"[+-]?{WEEK}",
    "BYMONTH": r"0?[1-9]|1[0-2]",
    "BYSETPOS": YEARDAY,
}
CLOCK = frozenset({"BYSECOND", "BYMINUTE", "BYHOUR"})
NOT_WITH = {
    "DAILY": {"BYWEEKNO", "BYYEARDAY"},
    "WEEKLY": {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"},
    "MONTHLY": {"BYWEEKNO", "BYYEARDAY"},
    "YEARLY": set[str](),
}
"""The table of §3.3.10."""


def pairs(text: str) -> list[tuple[str, str]]:
    """Names and values in their order, in capitals and without blanks."""
    pieces = (
        piece.partition("=") for piece in text.strip().upper().removeprefix("RRULE:").split(";")
    )
    return [(name.strip(), "".join(value.split())) for name, _, value in pieces if name.strip()]


def parts(text: str) -> dict[str, str]:
    """The parts by name, without an INTERVAL and an UNTIL that say nothing."""
    return {
        name: value
        for name, value in pairs(text)
        if (name, value) != ("INTERVAL", "1") and not (name == "UNTIL" and endless(value))
    }


def endless(until: str) -> bool:
    """Whether this UNTIL means that there is no end."""
    return until[:4].isdigit() and int(until[:4]) >= ENDLESS


def joined(rule: dict[str, str]) -> str:
    """The text of these parts; "" of none."""
    return ";".join(f"{name}={value}" for name, value in rule.items())


def normal(text: str, *, all_day: bool) -> str:
    """The same dates in the form that every calendar reads, where a rule says more than it may and
    still only one thing.
    """
    rule = parts(text)
    if all_day:
        rule = {
            name: value for name, value in rule.items() if name not in CLOCK
        }  # "MUST be ignored" with a DATE
    if rule.get("FREQ") == "WEEKLY" and "BYDAY" in rule:
        rule["BYDAY"] = re.sub(
            rf"(?<![0-9])[+-]?0?1(?={WEEKDAY})", "", rule["BYDAY"]
        )  # a week has one of each
    return joined(rule)


def problem(text: str) -> str:
    """Why no calendar can be trusted to read this rule; "" where nothing is wrong with it."""
    if len(text) > LONGEST:
        return f"recurrence rule {text[:50]!r}... is too long"
    return next(
        (f"recurrence rule {text[:200]!r}: {reason}" for reason in _problems(pairs(text))), ""
    )


def _problems(entries: list[tuple[str, str]]) -> Iterator[str]:
    rule = dict(entries)
    if rule.get("FREQ") not in FREQUENCIES:
        yield f"FREQ must be one of {', '.join(FREQUENCIES)}"
        return
    for name, value in entries:
        yield from _of_part(name, value, rule["FREQ"])
    if len(rule) != len(entries):
        yield "something is said twice"
    if rule.keys() >= {*ENDS}:
        yield "it ends by COUNT or by UNTIL, not by both"
    by_parts = [name for name in rule if name.startswith("BY")]
    if by_parts == ["BYSETPOS"]:
        yield "BYSETPOS says which of other BY… parts"
    yield from _times(rule)
    yield from _weekdays(rule)
    if is_impossible(rule):
        yield "no month has such a day"


def _of_part(name: str, value: str, frequency: str) -> Iterator[str]:
    """What is wrong with one part by itself, the first of it."""
    values = value.split(",") if name.startswith("BY") else [value]
    if name not in VALUES:
        yield f"{name} is not understood"
    elif not all(re.fullmatch(VALUES[name], part) for part in values):
        yield f"{name}={value} is not understood"
    elif name in ("INTERVAL", "COUNT") and int(value) > LARGEST:
        yield f"{name} is above {LARGEST}"
    elif name in NOT_WITH[frequency]:
        yield f"{name} does not go with FREQ={frequency}"


def _times(rule: dict[str, str]) -> Iterator[str]:
    if prod(len(rule[name].split(",")) for name in CLOCK & rule.keys()) > MOST_TIMES:
        yield f"it names more than {MOST_TIMES} times of a day"


def _weekdays(rule: dict[str, str]) -> Iterator[str]:
    """RFC 5545 §3.3.10: "+1MO" is a day of a month or a year."""
    numbers = [int(number) for number in re.findall(rf"([+-]?\d+){WEEKDAY}", rule.get("BYDAY", ""))]
    if numbers and (rule["FREQ"] in ("DAILY", "WEEKLY") or "BYWEEKNO" in rule):
        yield f"BYDAY={rule['BYDAY']} counts the days of a month or a year"
    elif any(abs(number) > 5 for number in numbers) and (
        rule["FREQ"] == "MONTHLY" or "BYMONTH" in rule
    ):
        yield "no month has such a day"


def is_impossible(rule: dict[str, str]) -> bool:
    """30 February, and other days that no month has."""
    try:
        longest = max(
            LONGEST_MONTHS[int(month) - 1] for month in rule.get("BYMONTH", "").split(",")
        )
        return all(abs(int(day)) > longest for day in rule.get("BYMONTHDAY", "").split(","))
    except (ValueError, IndexError):
        return False  # one of them is missing, or no number
