"""JSON documents of the API, pure: their ETag, merge patches, and what no store could hold.

Standards: ETag (RFC 9110 §8.8.3), JSON merge patch (RFC 7396), JSON (RFC 8259).
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from gateway.errors import Steps

NUL = "has a NUL character"
HALF = "has half of a character (a lone surrogate)"


def etag(document: Any) -> str:
    """Strong: another representation has another one. It is a hash, because rows are also written
    by plain SQL, and a version that only we raise would lie.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return etag_of(text.encode())


def etag_of(content: bytes) -> str:
    """The same of what is no JSON."""
    digest = hashlib.sha256(content).digest()[:18]
    return f'"{base64.urlsafe_b64encode(digest).decode()}"'


def is_known(header: str, tag: str) -> bool:
    """Whether an If-None-Match names what is there: by the weak comparison (RFC 9110 §13.1.2), for
    a proxy that packs an answer makes its tag a weak one.
    """
    said = [part.strip().removeprefix("W/") for part in header.split(",")]
    return tag in said or said == ["*"]


def etags(header: str) -> list[str]:
    """The strong tags of an If-Match; weak ones match nothing that is changed."""
    return [tag for part in header.split(",") if (tag := part.strip()).startswith('"')]


def patched(target: Any, patch: Any) -> Any:
    """RFC 7396 §2: members of `patch` stand over those of `target`, null takes one away."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


def parse(raw: bytes) -> Any:
    """A document as JSON has it: NaN and Infinity are none. Raises `ValueError`."""
    return json.loads(raw, parse_constant=_no_number)


def unstorable(document: Any) -> list[tuple[Steps, str]]:
    """Texts that no database holds, and where they stand."""
    return list(_unstorable(document, ()))


def _no_number(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is no number of JSON", name, 0)


def _unstorable(value: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unstorable(name, steps)
            yield from _unstorable(inner, (*steps, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _unstorable(inner, (*steps, position))
    elif isinstance(value, str):
        if "\0" in value:
            yield steps, NUL
        elif any("\ud800" <= character <= "\udfff" for character in value):
            yield steps, HALF
