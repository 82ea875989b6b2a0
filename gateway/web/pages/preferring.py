"""What somebody prefers, as a form: an associate, or the site for all of them (domain.md §11). What
is left empty is as it is above: with the site, or with the configuration.
"""

import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from babel import Locale

from gateway import i18n
from gateway.errors import InputError
from gateway.followups import preferences
from gateway.followups.preferences import OFF, WEEKDAYS, Preferences
from gateway.i18n import marked
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Facts, Visit

LENGTHS = ("meeting_minutes", "call_minutes", "task_minutes")
ALARMS = (0, 5, 10, 15, 30, 60, 120, 24 * 60)
"""Minutes before that are offered; others that were stated stay."""
MIDNIGHT = ("00:00", "24:00")
"""How the end of a day stands in a field of a form, and in a preference."""


def own(said: Mapping[str, object], counts: Preferences) -> dict[str, Any]:
    """What is stated, as fields of a form; the hours as they count."""
    form = {name: "" if said.get(name) is None else said[name] for name in preferences.NAMES}
    hours: Any = said.get("working_hours")
    form["has_hours"] = hours is not None
    counting: Any = preferences.as_stated(counts)["working_hours"]
    days = counting if hours is None else hours
    form["hours"] = {name: _fields(days.get(name)) for name in WEEKDAYS}
    return form


def _fields(hours: list[str] | None) -> tuple[str, str]:
    if hours is None:
        return "", ""
    return hours[0], MIDNIGHT[0] if hours[1] == MIDNIGHT[1] else hours[1]


def choices(here: Visit, above: Preferences) -> Facts:
    """What there is to choose from, and what is above."""
    counting, mail = preferences.as_stated(above), here.site.settings.mail
    language = i18n.choose([above.language, mail.language])
    names = {name: _language(name) for name in i18n.available()}
    weekdays = {name: here.texts.weekday(day) for day, name in enumerate(WEEKDAYS)}
    return {
        "above": counting | {"timezone": above.timezone or mail.timezone},
        "above_language": names[language],
        "languages": sorted(names.items(), key=lambda language_name: language_name[1]),
        "zones": _zones(),
        "weekdays": weekdays,
        "alarms": ALARMS,
        "off": OFF,
    }


def _language(name: str) -> str:
    """ "norsk bokmål", as its people say."""
    shown = Locale.parse(name).get_display_name() or name
    return shown[:1].upper() + shown[1:]


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    """Those that are named for a place."""
    apart = ("Etc/", "SystemV/", "US/")
    names = zoneinfo.available_timezones()
    return tuple(sorted(name for name in names if "/" in name and not name.startswith(apart)))


def stated(said: Filled) -> dict[str, object]:
    """A form as preferences are stated; None: as it is above."""
    values: dict[str, object] = {name: _number(name, said[name]) for name in LENGTHS}
    values |= {name: said[name] or None for name in ("first_weekday", "timezone", "language")}
    alarm = said["alarm_minutes"]
    values["alarm_minutes"] = OFF if alarm == OFF else _number("alarm_minutes", alarm)
    values["working_hours"] = _hours(said) if said["own_hours"] else None
    return values


def _number(name: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise InputError(marked("%(name)s: a number of minutes, as 45"), name=name)
    return int(text)


def _hours(said: Filled) -> dict[str, list[str]]:
    hours = dict[str, list[str]]()
    for day in WEEKDAYS:
        begin, end = said[f"{day}_from"][:5], said[f"{day}_to"][:5]
        if begin and end:
            hours[day] = [begin, MIDNIGHT[1] if end == MIDNIGHT[0] else end]
        elif begin or end:
            raise InputError(marked("%(day)s: from and to, or neither"), day=day)
    return hours
