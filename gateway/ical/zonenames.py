"""Which zone a TZID means: IANA names, Windows names, and the few that older products made up.

Windows names are those of the library: Unicode CLDR, common/supplemental/windowsZones.xml,
territory 001. On failure: None; the caller then falls back on the offsets that the object names
itself.
"""

import difflib
import re
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from gateway.i18n import Phrase, marked

LOTUS = {
    "Eastern": "America/New_York",
    "Central": "America/Chicago",
    "Mountain": "America/Denver",
    "Pacific": "America/Los_Angeles",
    "GMT": "Etc/UTC",
    "Western European": "Europe/London",
    "Central European": "Europe/Berlin",
    "Eastern European": "Europe/Helsinki",
}
"""Lotus Notes and early iCal named zones so, without defining them (corpus replies/031,
requests/019).
"""

LONGEST = 40
"""Of a name, in a message."""


@lru_cache(maxsize=1_000)
def find(tzid: str) -> ZoneInfo | None:
    """The zone that a TZID names by itself, whatever a VTIMEZONE beside it says; None where it does
    not name a zone.

    Prefixes such as `/mozilla.org/20050126_1/Europe/Oslo` are looked through (RFC 5545 §3.8.3.1
    allows them).
    """
    name = tzid.strip().strip('"').strip()
    zone_name = WINDOWS_TO_OLSON.get(name) or LOTUS.get(name)
    pieces = name.split("/")
    candidates = (
        [zone_name] if zone_name else ["/".join(pieces[at:]) for at in range(len(pieces))][:8]
    )
    for candidate in candidates:
        try:
            if candidate and candidate.isascii():
                return ZoneInfo(candidate)
        # ZoneInfoNotFoundError is a KeyError; ValueError and OSError come of names that are no
        # names ("..", a folder).
        except (KeyError, ValueError, OSError):
            continue
    return None


@lru_cache(maxsize=1_000)
def near(name: str) -> str:
    """The name of the zone database that was meant by a mistyped name, by a name of Windows, or by
    a city; "" where no name is near.
    """
    if (zone := find(name)) is not None:
        return zone.key
    names = _by_spelling()
    close = difflib.get_close_matches(name[:LONGEST].casefold(), names, n=1, cutoff=0.8)
    return names[close[0]] if close else ""


def unknown(tzid: str) -> Phrase:
    """What is wrong with a name that no zone has."""
    name = tzid[:LONGEST]
    if suggestion := near(tzid):
        words = marked("unknown time zone %(name)r; did you mean %(meant)s?")
        return Phrase(words, name=name, meant=suggestion)
    words = marked(
        "unknown time zone %(name)r; names are those of IANA (Europe/Oslo) or of Windows"
    )
    return Phrase(words, name=name)


@lru_cache(maxsize=1)
def _by_spelling() -> dict[str, str]:
    """Names by what people may write for them. No names with a number: Etc/GMT+2 is what everybody
    else calls GMT-2.
    """
    names = sorted(name for name in available_timezones() if not re.search(r"\d", name))
    cities = {name.rpartition("/")[2].casefold(): name for name in names}
    return cities | {name.casefold(): name for name in names}
