"""What an administrator defines is checked where it is written anew (domain.md §11)."""

from typing import Any

import pytest

from gateway.followups import definitions
from gateway.followups.definitions import Field, FieldType, Type
from gateway.model import Kind

TYPES = {
    "external": Type("external", Kind.MEETING),
    "phone": Type("phone", Kind.CALL),
}
FIELDS = {
    "note": Field("note"),
    "value": Field("value", FieldType.NUMBER),
    "signed": Field("signed", FieldType.DATE),
    "urgent": Field("urgent", FieldType.YES_NO),
    "region": Field("region", FieldType.CHOICE, choices=("north", "south")),
}
REQUIRED = {"region": Field("region", FieldType.CHOICE, required=True, choices=("north",))}


@pytest.mark.parametrize(
    ("key", "kind", "before", "words"),
    [
        ("", Kind.TASK, None, ""),
        ("external", Kind.MEETING, None, ""),
        ("external", Kind.CALL, None, "'external' is a type of a meeting, and this is a call"),
        ("other", Kind.MEETING, None, "there is no type 'other'; there are external, phone"),
        ("other", Kind.MEETING, "external", "there is no type 'other'; there are external, phone"),
        ("other", Kind.MEETING, "other", ""),
    ],
)
def test_a_type_is_defined_or_stood_there(
    key: str, kind: Kind, before: str | None, words: str
) -> None:
    assert definitions.type_fault(TYPES, key, kind, before) == words


def test_where_nothing_is_defined_anything_may_be_said() -> None:
    assert definitions.type_fault({}, "anything", Kind.CALL, None) == ""
    assert list(definitions.field_faults({}, {"anything": [1]}, None)) == []


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ({}, []),
        ({"note": "text", "value": 1.5, "signed": "2026-12-01", "urgent": False}, []),
        ({"region": "north", "value": 3}, []),
        ({"note": None, "region": None}, []),
        ({"note": 1}, [("note", "is a text")]),
        ({"note": "x" * 10_001}, [("note", "is a text of at most 10000 characters")]),
        ({"value": "1"}, [("value", "is a number")]),
        ({"value": True}, [("value", "is a number")]),
        ({"value": float("inf")}, [("value", "is a number")]),
        ({"signed": "1.12.2026"}, [("signed", "is a date, like 2026-12-01")]),
        ({"signed": "2026-W49-2"}, [("signed", "is a date, like 2026-12-01")]),
        ({"signed": "2026-02-30"}, [("signed", "is a date, like 2026-12-01")]),
        ({"signed": 20261201}, [("signed", "is a date, like 2026-12-01")]),
        ({"urgent": "yes"}, [("urgent", "is true or false")]),
        ({"urgent": 1}, [("urgent", "is true or false")]),
        ({"region": "west"}, [("region", "is one of north, south")]),
        ({"region": ["north"]}, [("region", "is a text")]),
        (
            {"reigon": "north"},
            [
                (
                    "reigon",
                    "there is no field 'reigon'; there are note, region, signed, urgent, value",
                )
            ],
        ),
    ],
)
def test_values_have_the_type_of_their_field(
    values: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    assert list(definitions.field_faults(FIELDS, values, None)) == faults


@pytest.mark.parametrize(
    ("values", "before", "is_missing"),
    [
        ({}, None, True),
        ({"region": None}, None, True),
        ({"region": ""}, None, True),
        ({"region": "north"}, None, False),
        ({}, {"region": "north"}, True),
        ({}, {}, False),
        ({"region": None}, {"region": None}, False),
    ],
)
def test_a_required_value_is_asked_for_where_it_is_new_or_taken_away(
    values: dict[str, Any], before: dict[str, Any] | None, is_missing: bool
) -> None:
    """A field that became required later makes no old follow-up impossible to edit."""
    faults = [key for key, _ in definitions.field_faults(REQUIRED, values, before)]
    assert faults == (["region"] if is_missing else [])


def test_what_stood_there_may_be_said_again() -> None:
    old = {"value": "about 5", "gone": 1, "urgent": 1}
    assert list(definitions.field_faults(FIELDS, old, old)) == []
    changed = list(definitions.field_faults(FIELDS, old | {"urgent": True, "gone": 2}, old))
    assert [key for key, _ in changed] == ["gone"]
    assert list(definitions.field_faults(FIELDS, {"urgent": 1}, {"urgent": True})) == [
        ("urgent", "is true or false")
    ]


def test_a_long_list_of_what_is_allowed_ends() -> None:
    keys = {f"t{number:02}": None for number in range(12)}
    assert definitions.listed(keys).endswith("t09 and 2 more")
