"""libical as a judge: which properties each METHOD needs and how often (RFC 5546 §3), by another
team's reading.

Through ctypes, for its Python bindings are not published. The library comes with the package
`libical3`.
"""

import ctypes
import ctypes.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from tests import rig


class Time(ctypes.Structure):
    """struct icaltimetype of libical 3."""

    _fields_ = [
        *(
            (name, ctypes.c_int)
            for name in (
                "year",
                "month",
                "day",
                "hour",
                "minute",
                "second",
                "is_date",
                "is_daylight",
            )
        ),
        ("zone", ctypes.c_void_p),
    ]


class Span(ctypes.Structure):
    """struct icaltime_span of libical 3: seconds since 1970."""

    _fields_ = [("start", ctypes.c_long), ("end", ctypes.c_long), ("busy", ctypes.c_int)]


@dataclass
class Event:
    """One VEVENT: its RECURRENCE-ID, start and end of its dates,
    and (URI, name, PARTSTAT) of its participants.
    """

    name: datetime | None
    dates: list[tuple[datetime, datetime]]
    people: list[tuple[str, ...]]


CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Span), ctypes.c_void_p)


@lru_cache(maxsize=1)
def opened() -> ctypes.CDLL:
    """The library with the types of what is called."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("ical") or "libical.so.3")
    except OSError:
        rig.unavailable("libical", "apt-get install libical3")
    library.icalparser_parse_string.restype = ctypes.c_void_p
    library.icalparser_parse_string.argtypes = [ctypes.c_char_p]
    library.icalrestriction_check.argtypes = [ctypes.c_void_p]
    library.icalcomponent_as_ical_string_r.restype = ctypes.c_void_p
    library.icalcomponent_as_ical_string_r.argtypes = [ctypes.c_void_p]
    library.icalcomponent_free.argtypes = [ctypes.c_void_p]
    library.icalmemory_free_buffer.argtypes = [ctypes.c_void_p]
    library.icalcomponent_string_to_kind.argtypes = [ctypes.c_char_p]
    library.icalcomponent_get_first_component.restype = ctypes.c_void_p
    library.icalcomponent_get_first_component.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.icalcomponent_get_next_component.restype = ctypes.c_void_p
    library.icalcomponent_get_next_component.argtypes = [ctypes.c_void_p, ctypes.c_int]
    for name in ("icalcomponent_get_first_property", "icalcomponent_get_next_property"):
        getattr(library, name).restype = ctypes.c_void_p
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.icalproperty_string_to_kind.argtypes = [ctypes.c_char_p]
    library.icalproperty_get_attendee.restype = ctypes.c_char_p
    library.icalproperty_get_attendee.argtypes = [ctypes.c_void_p]
    library.icalproperty_get_parameter_as_string.restype = ctypes.c_char_p
    library.icalproperty_get_parameter_as_string.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.icalproperty_get_datetime_with_component.restype = Time
    library.icalproperty_get_datetime_with_component.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.icaltime_as_timet_with_zone.restype = ctypes.c_long
    library.icaltime_as_timet_with_zone.argtypes = [Time, ctypes.c_void_p]
    library.icaltime_from_string.restype = Time
    library.icaltime_from_string.argtypes = [ctypes.c_char_p]
    library.icalcomponent_foreach_recurrence.argtypes = [
        ctypes.c_void_p,
        Time,
        Time,
        CALLBACK,
        ctypes.c_void_p,
    ]
    return library


def expand(calendar: bytes, after: datetime, before: datetime) -> list[tuple[datetime, datetime]]:
    """Start and end of the dates that the first VEVENT gives by RRULE and EXDATE, by the rules of
    the object's own VTIMEZONE.

    Not by RDATE: libical 3.0 reads one with a TZID as if it were in UTC (2026).
    """
    return read(calendar, after, before)[0].dates


def read(calendar: bytes, after: datetime, before: datetime) -> list[Event]:
    """Every VEVENT of an object with its dates between two instants, under the restriction of
    `expand`; days begin at midnight UTC.
    """
    library, found = opened(), list[Event]()
    component = library.icalparser_parse_string(calendar)
    try:
        window = [
            library.icaltime_from_string(f"{one.astimezone(UTC):%Y%m%dT%H%M%SZ}".encode())
            for one in (after, before)
        ]
        kind = library.icalcomponent_string_to_kind(b"VEVENT")
        event = library.icalcomponent_get_first_component(component, kind)
        while event:
            found.append(_event(library, event, window))
            event = library.icalcomponent_get_next_component(component, kind)
    finally:
        library.icalcomponent_free(component)
    return found


def _event(library: ctypes.CDLL, event: int, window: list[Time]) -> Event:
    dates = list[tuple[datetime, datetime]]()

    def add(_component: int, span: "ctypes._Pointer[Span]", _data: int) -> None:
        dates.append(
            (
                datetime.fromtimestamp(span.contents.start, UTC),
                datetime.fromtimestamp(span.contents.end, UTC),
            )
        )

    library.icalcomponent_foreach_recurrence(event, *window, CALLBACK(add), None)
    names, people = [], []
    for one in _properties(library, event, b"RECURRENCE-ID"):
        at = library.icalproperty_get_datetime_with_component(one, event)
        names.append(datetime.fromtimestamp(library.icaltime_as_timet_with_zone(at, at.zone), UTC))
    for one in _properties(library, event, b"ATTENDEE"):
        values = (
            library.icalproperty_get_attendee(one),
            *(
                library.icalproperty_get_parameter_as_string(one, key)
                for key in (b"CN", b"PARTSTAT")
            ),
        )
        people.append(tuple(value.decode() for value in values))
    return Event(names[0] if names else None, sorted(dates), people)


def _properties(library: ctypes.CDLL, event: int, name: bytes) -> Iterator[int]:
    kind = library.icalproperty_string_to_kind(name)
    one = library.icalcomponent_get_first_property(event, kind)
    while one:
        yield one
        one = library.icalcomponent_get_next_property(event, kind)


def problems(calendar: bytes) -> list[str]:
    """What libical objects to."""
    library = opened()
    component = library.icalparser_parse_string(calendar)
    if not component:
        return ["libical cannot parse it"]
    try:
        sound = library.icalrestriction_check(component)
        buffer = library.icalcomponent_as_ical_string_r(component)
        text = ctypes.string_at(buffer).decode("utf-8", "replace").replace("\r\n ", "")
        library.icalmemory_free_buffer(buffer)
    finally:
        library.icalcomponent_free(component)
    found = [line for line in text.split("\r\n") if line.startswith("X-LIC-ERROR")]
    return found or ([] if sound else ["restrictions broken"])
