"""What an associate prefers, or the site for all of them (domain.md §11): usual lengths, working
hours, first weekday, alarm, time zone and language. Pure.

What is stated is a JSON value by name. An associate's counts over the site's, the site's over
`BUILT_IN`; "" as zone or language is that of the configuration (`mail.timezone`, `mail.language`).

On failure: `checked` raises `InputError` that says what is allowed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from gateway.errors import InputError
from gateway.i18n import marked
from gateway.model import Kind

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_MINUTES = 24 * 60
LONGEST_ALARM = 28 * DAY_MINUTES
LONGEST_LANGUAGE = 35
"""Characters of a language tag that programs must be able to hold (RFC 5646 §4.4.1)."""
OFF = "off"
"""No alarm, where the site has one."""

Hours = tuple[int, int]
"""From when to when work is done on a day, in minutes since its midnight."""
OFFICE: Hours = (8 * 60, 16 * 60)


@dataclass(frozen=True, slots=True)
class Preferences:
    """All of them, with what nobody stated filled in."""

    meeting_minutes: int = 60
    call_minutes: int = 15
    task_minutes: int = 60
    # A task has no length of its own; put into the diary it is as long as a meeting.
    working_hours: tuple[Hours | None, ...] = (*(OFFICE,) * 5, None, None)
    # By weekday, Monday first; None: no working day.
    first_weekday: int = 0
    # 0 is Monday, as in `datetime.weekday`.
    alarm_minutes: int | None = None
    # None: no alarm.
    timezone: str = ""
    language: str = ""

    def length(self, kind: Kind) -> timedelta:
        """How long a follow-up of this kind is where nobody says so (help page 003)."""
        minutes = {
            Kind.MEETING: self.meeting_minutes,
            Kind.CALL: self.call_minutes,
            Kind.TASK: self.task_minutes,
        }
        return timedelta(minutes=minutes[kind])


BUILT_IN = Preferences()


def minutes_name(kind: Kind) -> str:
    """The name of the preference that says how long a follow-up of this kind is."""
    return f"{kind.value}_minutes"


def checked(name: str, value: object) -> object:
    """The value as it is kept. Raises `InputError` where there is no such preference, or where it
    cannot have that value.
    """
    check = _CHECKS.get(name)
    if check is None:
        raise InputError(
            marked("there is no preference %(name)r; there are %(names)s"),
            name=name,
            names=", ".join(NAMES),
        )
    return check(value)


def effective(*stated: Mapping[str, object], base: Preferences = BUILT_IN) -> Preferences:
    """`base`, with what is stated over it, the later over the earlier. All of it is `checked`."""
    changes = dict[str, object]()
    for values in stated:
        changes |= {name: _READ.get(name, _as_it_is)(value) for name, value in values.items()}
    return replace(base, **changes)  # type: ignore[arg-type]


def as_stated(preferences: Preferences) -> dict[str, object]:
    """The inverse of `effective`: every preference as a JSON value by its name."""
    hours = {
        weekday: [_clock(begin_end[0]), _clock(begin_end[1])]
        for weekday, begin_end in zip(WEEKDAYS, preferences.working_hours, strict=True)
        if begin_end is not None
    }
    alarm = preferences.alarm_minutes
    return {name: getattr(preferences, name) for name in NAMES} | {
        "working_hours": hours,
        "first_weekday": WEEKDAYS[preferences.first_weekday],
        "alarm_minutes": OFF if alarm is None else alarm,
    }


def _minutes(value: object) -> object:
    if type(value) is not int or not 1 <= value <= DAY_MINUTES:
        raise InputError(marked("is a number of minutes, 1 to %(most)s"), most=DAY_MINUTES)
    return value


def _alarm(value: object) -> object:
    if value == OFF:
        return value
    if type(value) is not int or not 0 <= value <= LONGEST_ALARM:
        raise InputError(
            marked("is a number of minutes, 0 to %(most)s, or %(off)r"),
            most=LONGEST_ALARM,
            off=OFF,
        )
    return value


def _weekday(value: object) -> object:
    if value not in WEEKDAYS:
        raise InputError(marked("is one of %(weekdays)s"), weekdays=", ".join(WEEKDAYS))
    return value


def _working_hours(value: object) -> object:
    if not isinstance(value, Mapping):
        raise InputError(marked('is an object by weekday, like {"monday": ["08:00", "16:00"]}'))
    for weekday, hours in value.items():
        if weekday not in WEEKDAYS:
            raise InputError(
                marked("%(weekday)r is no weekday: %(weekdays)s"),
                weekday=weekday,
                weekdays=", ".join(WEEKDAYS),
            )
        _day(weekday, hours)
    return {weekday: list(value[weekday]) for weekday in WEEKDAYS if weekday in value}


def _day(weekday: str, hours: object) -> Hours:
    words = f'{weekday} is from and to, like ["08:00", "16:00"], at most "24:00"'
    if not isinstance(hours, list | tuple) or len(hours) != 2:
        raise InputError(words)
    begin, end = (_of_clock(hour) for hour in hours)
    if begin is None or end is None or begin >= end:
        raise InputError(words)
    return begin, end


def _of_clock(text: object) -> int | None:
    """Minutes since midnight of `HH:MM`."""
    if not isinstance(text, str) or len(text) != 5 or text[2] != ":" or not text.isascii():
        return None
    hour, minute = text[:2], text[3:]
    if not hour.isdigit() or not minute.isdigit():
        return None
    minutes = int(hour) * 60 + int(minute)
    is_time = int(minute) <= 59 and minutes <= DAY_MINUTES
    return minutes if is_time else None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(value: object) -> object:
    if value == "":
        return value
    try:
        return ZoneInfo(str(value)).key
    except (KeyError, ValueError, OSError) as error:  # as `ical.zonenames.find`
        raise InputError(marked("is the name of a time zone, like Europe/Oslo")) from error


def _language(value: object) -> object:
    is_tag = (
        isinstance(value, str)
        and len(value) <= LONGEST_LANGUAGE
        and value.isascii()
        and all(part.isalnum() for part in value.split("-"))
    )
    if not is_tag and value != "":
        raise InputError(marked("is a language tag, like nb or en-GB"))
    return value


def _read_hours(value: object) -> object:
    assert isinstance(value, Mapping)
    return tuple(
        _day(weekday, value[weekday]) if weekday in value else None for weekday in WEEKDAYS
    )


def _read_weekday(value: object) -> object:
    return WEEKDAYS.index(str(value))


def _read_alarm(value: object) -> object:
    return None if value == OFF else value


def _as_it_is(value: object) -> object:
    return value


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "meeting_minutes": _minutes,
    "call_minutes": _minutes,
    "task_minutes": _minutes,
    "working_hours": _working_hours,
    "first_weekday": _weekday,
    "alarm_minutes": _alarm,
    "timezone": _zone,
    "language": _language,
}
_READ: Mapping[str, Callable[[object], object]] = {
    "working_hours": _read_hours,
    "first_weekday": _read_weekday,
    "alarm_minutes": _read_alarm,
}
NAMES = tuple(_CHECKS)
