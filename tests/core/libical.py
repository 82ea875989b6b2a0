"""libical as a judge: which properties each METHOD needs and how often (RFC 5546 §3), by another team's reading.

Through ctypes, for its Python bindings are not published. The library comes with the package `libical3`.
"""

import ctypes
import ctypes.util
import os
from datetime import UTC, datetime
from functools import lru_cache

import pytest


class Time(ctypes.Structure):
    """struct icaltimetype of libical 3."""

    _fields_ = [*((name, ctypes.c_int) for name in ("year", "month", "day", "hour", "minute", "second", "is_date", "is_daylight")),
                ("zone", ctypes.c_void_p)]


class Span(ctypes.Structure):
    """struct icaltime_span of libical 3: seconds since 1970."""

    _fields_ = [("start", ctypes.c_long), ("end", ctypes.c_long), ("busy", ctypes.c_int)]


CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Span), ctypes.c_void_p)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("ical") or "libical.so.3"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
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
    library.icaltime_from_string.restype = Time
    library.icaltime_from_string.argtypes = [ctypes.c_char_p]
    library.icalcomponent_foreach_recurrence.argtypes = [ctypes.c_void_p, Time, Time, CALLBACK, ctypes.c_void_p]
    return library


def _present() -> ctypes.CDLL:
    """Where it is missing: failure under CI, otherwise a skip that says what to install."""
    library = _library()
    if library is None:
        message = "libical is missing: apt-get install libical3"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return library


def expand(calendar: bytes, after: datetime, before: datetime) -> list[tuple[datetime, datetime]]:
    """Start and end of the dates that the first VEVENT gives by RRULE and EXDATE, by the rules of the object's own VTIMEZONE.

    Not by RDATE: libical 3.0 reads one with a TZID as if it were in UTC (2026).
    """
    library, found = _present(), list[tuple[datetime, datetime]]()

    def add(_component: int, span: "ctypes._Pointer[Span]", _data: int) -> None:
        found.append((datetime.fromtimestamp(span.contents.start, UTC), datetime.fromtimestamp(span.contents.end, UTC)))

    component = library.icalparser_parse_string(calendar)
    try:
        event = library.icalcomponent_get_first_component(component, library.icalcomponent_string_to_kind(b"VEVENT"))
        window = [library.icaltime_from_string(f"{one.astimezone(UTC):%Y%m%dT%H%M%SZ}".encode()) for one in (after, before)]
        library.icalcomponent_foreach_recurrence(event, *window, CALLBACK(add), None)
    finally:
        library.icalcomponent_free(component)
    return sorted(found)


def problems(calendar: bytes) -> list[str]:
    """What libical objects to."""
    library = _present()
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
