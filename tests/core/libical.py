"""libical as a judge: which properties each METHOD needs and how often (RFC 5546 §3), by another team's reading.

Through ctypes, for its Python bindings are not published. The library comes with the package `libical3`.
"""

import ctypes
import ctypes.util
import os
from functools import lru_cache

import pytest


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
    return library


def problems(calendar: bytes) -> list[str]:
    """What libical objects to. Where it is missing: failure under CI, otherwise a skip that says what to install."""
    library = _library()
    if library is None:
        message = "libical is missing: apt-get install libical3"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
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
