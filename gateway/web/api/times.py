"""Times as addresses and bodies say them: an instant with its offset, or a plain day.

A day is its midnight where whoever asks is at home: an associate's own zone, else the site's.

Standards: RFC 3339. A bare number is refused: others read it as seconds.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from gateway.actions.desk import Desk
from gateway.ical import zones
from gateway.store import preferences
from gateway.store.marked import EARLIEST, LATEST

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ].*")
NO_TIME = "is no time like 2026-12-01T09:00:00+01:00 and no day like 2026-12-01"
DESCRIBED = "an instant with its offset, or a day, which is its midnight where you are"
AHEAD = timedelta(days=400)
"""So far beyond a time is looked."""

Said = date
"""A plain day, or the instant that a `datetime` is."""


def read(text: Any) -> Any:
    """What is said. None stays: nothing is."""
    if text is None:
        return None
    if not isinstance(text, str) or not (DAY.fullmatch(text) or WRITTEN.fullmatch(text)):
        raise ValueError(NO_TIME)
    try:
        said = date.fromisoformat(text) if DAY.fullmatch(text) else _instant(text)
    except (ValueError, OverflowError):
        lost = "; a + in an address is written %2B" if " " in text[11:] else ""
        raise ValueError(NO_TIME + lost) from None
    if said is None:
        raise ValueError("has no offset from UTC, as 2026-12-01T09:00:00+01:00 has")
    if not EARLIEST.date() < _day(said) < (LATEST - AHEAD).date():
        raise ValueError(f"is not in the years {EARLIEST.year} to {LATEST.year - 2}")
    return said


At = Annotated[datetime | date, BeforeValidator(read)]


def instant(desk: Desk, said: Said | None) -> datetime | None:
    """When that is."""
    return None if said is None else at(desk, said)


def at(desk: Desk, said: Said) -> datetime:
    """The same of what is there."""
    if isinstance(said, datetime):
        return said
    own = preferences.of(desk.connection, desk.actor.associate or preferences.SITE)
    zone = zones.zone(own.timezone or desk.settings.mail.timezone)
    return datetime.combine(said, time(), zone).astimezone(UTC)


def _instant(text: str) -> datetime | None:
    """In UTC; None where it says no offset."""
    local = datetime.fromisoformat(text.upper())
    return None if local.tzinfo is None else local.astimezone(UTC)


def _day(said: Said) -> date:
    return said.date() if isinstance(said, datetime) else said
