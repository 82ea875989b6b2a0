"""Which zone a TZID means: IANA names, Windows names, and the few that older products made up.

Windows names are those of the library: Unicode CLDR, common/supplemental/windowsZones.xml,
territory 001. On failure: None; the caller then falls back on the offsets that the object names
itself.
"""

from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

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
"""Lotus Notes and early iCal named zones so,
without defining them (corpus replies/031, requests/019).
"""


@lru_cache(maxsize=1_000)
def find(tzid: str) -> ZoneInfo | None:
    """The zone that a TZID names by itself, whatever a VTIMEZONE beside it says; None where it
    names none.

    Prefixes such as `/mozilla.org/20050126_1/Europe/Oslo` are looked through (RFC 5545 §3.8.3.1
    allows them).
    """
    name = tzid.strip().strip('"').strip()
    known = WINDOWS_TO_OLSON.get(name) or LOTUS.get(name)
    pieces = name.split("/")
    candidates = [known] if known else ["/".join(pieces[at:]) for at in range(len(pieces))][:8]
    for candidate in candidates:
        try:
            if candidate and candidate.isascii():
                return ZoneInfo(candidate)
        # ZoneInfoNotFoundError is a KeyError; ValueError and OSError come of names that are no
        # names ("..", a folder).
        except (KeyError, ValueError, OSError):
            continue
    return None


def unknown(tzid: str) -> str:
    """What is wrong with a name that names none."""
    return f"unknown time zone {tzid[:40]!r}; names are those of IANA (Europe/Oslo) or of Windows"
