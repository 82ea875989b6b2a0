"""What an administrator defines of follow-ups: types, and fields of the site's own with typed
values (domain.md §11; help page 003, "Mer-fanen"). Pure.

Where nothing of a sort is defined, anything may be said: documents and programs from before go on.
Once something is, a value that is written anew must be defined; one that stood there before may be
written back as it was, because a title that is edited has nothing to do with an old field.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gateway.i18n import Phrase, marked
from gateway.model import Kind

NO_TYPE = marked("there is no type %(key)r; there are %(keys)s")
NO_FIELD = marked("there is no field %(key)r; there are %(keys)s")
OTHER_KIND = marked("%(key)r is a type of a %(defined)s, and this is a %(kind)s")
ONE_OF = marked("is one of %(choices)s")
TOO_LONG = marked("is a text of at most %(most)s characters")
SHOWN = 10
"""So many of the values that are allowed are named."""
LONGEST_VALUE = 10_000
"""Characters of a text in a field."""


class FieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes-no"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Type:
    """A predefined type of follow-ups, by the key that they hold."""

    key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Field:
    """A field that the site defined for all its follow-ups. `choices`: of a choice, in their
    order.
    """

    key: str
    type: FieldType = FieldType.TEXT
    required: bool = False
    choices: tuple[str, ...] = ()


def listed(keys: Mapping[str, object]) -> str:
    """The keys that there are, for a message."""
    more = len(keys) - SHOWN
    return ", ".join(sorted(keys)[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def type_fault(types: Mapping[str, Type], key: str, kind: Kind, before: str | None) -> str:
    """What is wrong with the type of a follow-up, "" where nothing is. `before`: what stands there;
    None: the follow-up is new.
    """
    if not types or not key or key == before:
        return ""
    defined = types.get(key)
    if defined is None:
        return Phrase(NO_TYPE, key=key, keys=listed(types))
    if defined.kind is not kind:
        return Phrase(OTHER_KIND, key=key, defined=defined.kind, kind=kind)
    return ""


def field_faults(
    fields: Mapping[str, Field], values: Mapping[str, object], before: Mapping[str, object] | None
) -> Iterator[tuple[str, str]]:
    """Which values of a follow-up's fields are wrong, and why. `before`: those that stand there;
    None: the follow-up is new.
    """
    if not fields:
        return
    stood = before or {}
    for key, value in values.items():
        if key in stood and _same(stood[key], value):
            continue
        if key not in fields:
            yield key, Phrase(NO_FIELD, key=key, keys=listed(fields))
        elif reason := _fault(fields[key], value):
            yield key, reason
    for key, field in fields.items():
        is_missing = key not in values and (before is None or key in stood)
        if field.required and is_missing:
            yield key, marked("is required")


def _fault(field: Field, value: object) -> str:
    if value is None:
        return marked("is required") if field.required else ""
    reason = _CHECKS[field.type](value)
    if not reason and field.type is FieldType.CHOICE and value not in field.choices:
        return Phrase(ONE_OF, choices=", ".join(field.choices))
    if not reason and field.required and value == "":
        return marked("is required")
    return reason


def _text(value: object) -> str:
    if not isinstance(value, str):
        return marked("is a text")
    return "" if len(value) <= LONGEST_VALUE else Phrase(TOO_LONG, most=LONGEST_VALUE)


def _number(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if is_number and math.isfinite(float(str(value))) else marked("is a number")


def _date(value: object) -> str:
    try:
        is_date = date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        is_date = False
    return "" if is_date else marked("is a date, like 2026-12-01")


def _yes_no(value: object) -> str:
    return "" if isinstance(value, bool) else marked("is true or false")


def _same(one: object, other: object) -> bool:
    """JSON values that are equal, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


_CHECKS: Mapping[FieldType, Callable[[object], str]] = {
    FieldType.TEXT: _text,
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
    FieldType.YES_NO: _yes_no,
    FieldType.CHOICE: _text,
}
