"""Reads calendar objects that came in by mail: a lean, bounded reader of content lines (RFC 5545 §3.1) for answers.

It takes what clients really send and reads only what an answer can mean: METHOD, and of each component UID, RECURRENCE-ID,
SEQUENCE, DTSTAMP, times, people and comments. Zone definitions are never evaluated, so one sender's "Customized Time Zone"
cannot change another's: only the offsets that they name are kept, as a hint (`Calendar.offsets`).

On failure: `errors.Unreadable` with the reason, for what is no calendar object or is larger than the bounds of itip.md §7.
A property that cannot be read counts as missing; what that means is decided in `itip.reply`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Form(StrEnum):
    """How a date or time was written (RFC 5545 §3.3.4, §3.3.5)."""

    DATE = "date"
    UTC = "utc"
    ZONED = "zoned"
    FLOATING = "floating"


@dataclass(frozen=True, slots=True)
class When:
    """A date or time as it was written: `day`, and `clock` (naive, to be read in `tzid`, UTC or wherever) unless a DATE."""

    form: Form
    day: date
    clock: datetime | None = None
    tzid: str = ""


@dataclass(frozen=True, slots=True)
class Attendee:
    """address: `address.normal` form, "" where there is none. partstat: upper case, "" where missing."""

    address: str
    partstat: str = ""
    name: str = ""
    comment: str = ""
    delegated_to: tuple[str, ...] = ()
    delegated_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Component:
    """One VEVENT, VTODO, ... as it was written. None and "" mean: not there, or not readable."""

    kind: str
    uid: str = ""
    recurrence_id: When | None = None
    recurrence_id_text: str = ""
    this_and_future: bool = False
    sequence: int | None = None
    dtstamp: datetime | None = None
    dtstart: When | None = None
    dtend: When | None = None
    duration: str = ""
    organizer: str = ""
    attendees: tuple[Attendee, ...] = ()
    comments: tuple[str, ...] = ()
    private_comment: str = ""
    proposed_start: When | None = None
    proposed_end: When | None = None
    recurring: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """One VCALENDAR. method: upper case, "" where missing. offsets: TZID → UTC offsets in seconds that its VTIMEZONE names."""

    method: str
    components: tuple[Component, ...] = ()
    offsets: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)
