"""Time zones: VTIMEZONE rules that hold for an event's years, and names that people recognise.

RFC 5545 §3.6.5. Outlook dislikes the RDATE lists that libraries write, so the yearly rules come
from the POSIX string at the end of the zone file (RFC 8536 §3.3). They are used only where they
agree with the zone's real changes in the event's years; where they do not (Ramadan in Morocco, a
law that changed last year), each change is written out by itself.
"""

import re
import zoneinfo
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path

from babel import dates

from gateway.errors import InputError
from gateway.followups import editions
from gateway.ical import zonenames

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
EPOCH = 1970
"""Yearly rules start here, as the big providers' do: every client knows such a zone."""
HOUR = timedelta(hours=1)
FOOTER = re.compile(r"(?:<[^>]+>|[A-Za-z]+)[^,<A-Za-z]*(?:<[^>]+>|[A-Za-z]+)[^,]*,([^,]+),([^,]+)")
RULE = re.compile(r"M(\d{1,2})\.(\d)\.(\d)(?:/([+-]?)(\d{1,3})(?::(\d\d))?(?::(\d\d))?)?")
SOFT_HYPHEN = "\u00ad"
"""The CLDR has them in some cities ("Reykja-vík"), and plain text shows them."""


@dataclass(frozen=True, slots=True)
class Observance:
    """One STANDARD or DAYLIGHT part of a VTIMEZONE; `start` is wall time before the change, `rrule`
    "" for a single one.
    """

    daylight: bool
    start: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str
    rrule: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of offset that really happens; `wall` is the naive local time before it (the DTSTART
    of RFC 5545 §3.6.5).
    """

    wall: datetime
    offset_from: timedelta
    offset_to: timedelta
    name: str


@dataclass(frozen=True, slots=True)
class Yearly:
    """A POSIX `Mm.w.d/time` rule: the w-th (5: last) weekday d (0: Monday) of a month, and a
    distance from its midnight.
    """

    month: int
    week: int
    weekday: int
    distance: timedelta

    def wall(self, year: int) -> datetime:
        week = self.week if self.week < 5 else -1
        return _nth(year, self.month, week, self.weekday) + self.distance


def zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone of that name: of the zone database, or as Windows calls it. Raises `InputError` for
    a name that neither has.
    """
    info = zonenames.find(name)
    if info is None:
        raise InputError("%(problem)s", problem=zonenames.unknown(name))
    return info


def display_name(name: str, moment: datetime, language: str) -> str:
    """What people call the zone at that instant: "Oslo, UTC+1"; only the offset where the zone has
    no city.

    `language`: any that Babel knows ("nb", "en_GB").
    """
    offset = _offset(moment.astimezone(zone(name)).utcoffset() or timedelta())
    if editions.is_utc(name) or "/" not in name or name.startswith("Etc/"):
        return offset
    city = dates.get_timezone_location(name, locale=language, return_city=True)
    shown = city.split("/")[-1].replace("_", " ").replace(SOFT_HYPHEN, "")
    return f"{shown}, {offset}"


@lru_cache(maxsize=2048)
def observances(name: str, first: int, last: int) -> tuple[Observance, ...]:
    """The parts of a VTIMEZONE that is right for every moment of the years `first` to `last`.

    Raises `InputError` for an unknown zone.
    """
    info = zone(name)
    changes = _changes(info, first - 1, last + 1)
    if not changes:
        return (_fixed(info, EPOCH, first),)
    yearly = _footer(name)
    if yearly:
        rules = _as_rules(yearly, changes, range(first - 1, last + 2))
        if rules:
            return rules
    opening = _fixed(info, first - 1, first - 1)
    return opening, *map(_single, changes)


def _single(change: Change) -> Observance:
    before, after = change.offset_from, change.offset_to
    return Observance(after > before, change.wall, before, after, change.name)


def _fixed(info: zoneinfo.ZoneInfo, start: int, year: int) -> Observance:
    """One offset, in force from the start of a year."""
    moment = datetime(year, 1, 1, tzinfo=info)
    offset = moment.utcoffset() or timedelta()
    return Observance(
        False, datetime.combine(date(start, 1, 1), time()), offset, offset, moment.tzname() or ""
    )


def _changes(info: zoneinfo.ZoneInfo, first: int, last: int) -> tuple[Change, ...]:
    """Every change of offset in those years, exact to the second, from the zone data themselves."""
    changes: list[Change] = []
    day = timedelta(days=1)
    low, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    before = low.astimezone(info).utcoffset() or timedelta()
    while low < end:
        high = low + day
        after = high.astimezone(info).utcoffset() or timedelta()
        if after != before:
            instant = _bisect(info, low, high, before)
            local = instant.astimezone(info)
            changes.append(
                Change((instant + before).replace(tzinfo=None), before, after, local.tzname() or "")
            )
        low, before = high, after
    return tuple(changes)


def _bisect(info: zoneinfo.ZoneInfo, low: datetime, high: datetime, before: timedelta) -> datetime:
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(info).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=1024)
def _footer(name: str) -> tuple[Yearly, ...]:
    """The two yearly rules of the zone file's last line; none where the zone keeps one offset or
    counts days.
    """
    *_, last_line = _file(name).rstrip(b"\n").rsplit(b"\n", 1)
    match = FOOTER.fullmatch(last_line.decode("ascii", "replace"))
    rules = [RULE.fullmatch(part) for part in match.groups()] if match else []
    return tuple(_yearly(rule) for rule in rules if rule) if all(rules) else ()


def _file(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        file = Path(folder, name)
        if file.is_file():
            return file.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def _yearly(rule: re.Match[str]) -> Yearly:
    month, week, weekday, sign, hours, minutes, seconds = rule.groups()
    distance = timedelta(
        hours=int(hours or 2), minutes=int(minutes or 0), seconds=int(seconds or 0)
    )
    # POSIX counts days from Sunday; RFC 8536 §3.3.1 lets the time run from -167 to 167 hours.
    return Yearly(
        int(month), int(week), (int(weekday) - 1) % 7, -distance if sign == "-" else distance
    )


def _as_rules(
    yearly: tuple[Yearly, ...], changes: tuple[Change, ...], years: range
) -> tuple[Observance, ...]:
    """The rules as observances if they, and nothing else, make these changes; otherwise none."""
    real = {change.wall: change for change in changes}
    onsets = {rule.wall(year) for rule in yearly for year in years}
    if onsets != set(real):
        return ()
    parts = []
    for rule in yearly:
        mine = [real[rule.wall(year)] for year in years]
        offsets = {(change.offset_from, change.offset_to, change.name) for change in mine}
        onset = _rrule(rule, [change.wall for change in mine])
        if len(offsets) > 1 or onset is None:
            return ()
        before, after, name = offsets.pop()
        # The greater offset is DAYLIGHT, also in Ireland, whose law has it the other way round:
        # Outlook adds, never subtracts.
        parts.append(Observance(after > before, onset[0], before, after, name, onset[1]))
    return tuple(sorted(parts, key=lambda part: part.daylight))


def _rrule(rule: Yearly, walls: list[datetime]) -> tuple[datetime, str] | None:
    """First onset (of 1970) and RRULE for a rule that made these onsets.

    `BYDAY=-1SU` is the form that every client knows. A time past midnight of another day ("24:00 on
    the last Thursday") gets that form too where it is true in the event's years, else a weekday
    between two days of the month.
    """
    month, weekday, hour = walls[0].month, walls[0].weekday(), walls[0].time()
    if any((wall.month, wall.weekday(), wall.time()) != (month, weekday, hour) for wall in walls):
        return None
    exact = rule.week if rule.week < 5 else -1
    shifted = rule.distance.days != 0
    for week in (-1, 1, 2, 3, 4) if shifted else (exact,):
        if all(_nth(wall.year, month, week, weekday).date() == wall.date() for wall in walls):
            return (
                datetime.combine(_nth(EPOCH, month, week, weekday), hour),
                f"FREQ=YEARLY;BYMONTH={month};BYDAY={week}{DAYS[weekday]}",
            )
    length = monthrange(2001, rule.month)[1]
    low = (7 * rule.week - 6 if rule.week < 5 else length - 6) + rule.distance.days
    if low < 1 or low + 6 > monthrange(2001, month)[1] or month != rule.month:
        return None
    span = ",".join(str(day) for day in range(low, low + 7))
    return rule.wall(EPOCH), f"FREQ=YEARLY;BYMONTH={month};BYDAY={DAYS[weekday]};BYMONTHDAY={span}"


def _nth(year: int, month: int, week: int, weekday: int) -> datetime:
    """Midnight of the week-th (-1: last) weekday of a month."""
    if week > 0:
        first = date(year, month, 1)
        day = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (week - 1))
    else:
        final = date(year, month, monthrange(year, month)[1])
        day = final - timedelta(days=(final.weekday() - weekday) % 7)
    return datetime.combine(day, time())


def _offset(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    hours, rest = divmod(abs(offset), HOUR)
    minutes = rest // timedelta(minutes=1)
    # U+2212, the minus sign: a hyphen between "UTC" and a number may be broken at a line's end.
    sign = "+" if offset > timedelta() else chr(0x2212)
    return f"UTC{sign}{hours}{f':{minutes:02}' if minutes else ''}"
