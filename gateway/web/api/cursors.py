"""Where a list goes on: an opaque text that names the last row that was shown, and for which list.

A cursor of another list, or of the same with other filters, is refused: it would silently leave
rows out. There is nothing secret in it, and what one may see is asked anew with each page.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.errors import InputError

Position = tuple[str | int, ...]
LARGEST = 2**63 - 1


def write(position: Position, about: str) -> str:
    """`about`: the list with its filters."""
    raw = json.dumps([_mark(about), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def read(text: str, about: str, kinds: Sequence[type]) -> Position:
    """The position, a value of each kind. Raises `InputError` for a text that is not a cursor of
    this list.
    """
    said = _decoded(text)
    if not (isinstance(said, list) and len(said) == 1 + len(kinds) and said[0] == _mark(about)):
        raise _refusal()
    position = tuple(said[1:])
    if not all(_is(value, kind) for value, kind in zip(position, kinds, strict=True)):
        raise _refusal()
    return position


def instant(value: str | int) -> datetime:
    """A moment in a position. Raises `InputError` for what is none."""
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refusal() from None


def _is(value: Any, kind: type) -> bool:
    if type(value) is int:
        return kind is int and -LARGEST <= value <= LARGEST
    return kind is str and type(value) is str and "\0" not in value


def _decoded(text: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    except (ValueError, RecursionError):
        raise _refusal() from None


def _refusal() -> InputError:
    return InputError("cursor: is none of this list with these filters; begin without one")


def _mark(about: str) -> str:
    return hashlib.sha256(about.encode()).hexdigest()[:16]
