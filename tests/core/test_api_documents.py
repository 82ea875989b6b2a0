"""ETags, merge patches and cursors of the API: values in, values out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.web import problems
from gateway.web.api import cursors, documents

# RFC 7396, appendix A, whole.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("target", "patch", "result"), EXAMPLES)
def test_merge_patches_of_the_standard(target: Any, patch: Any, result: Any) -> None:
    assert documents.patched(target, patch) == result


@given(JSON, JSON)
def test_a_patch_twice_is_as_once(target: Any, patch: Any) -> None:
    once = documents.patched(target, patch)
    assert documents.patched(once, patch) == once


def test_an_etag_is_of_what_is_said_not_of_its_order() -> None:
    assert documents.etag({"a": 1, "b": 2}) == documents.etag({"b": 2, "a": 1})
    assert documents.etag({"a": 1}) != documents.etag({"a": 2})
    assert documents.etag({"a": None}) != documents.etag({})
    assert documents.etag({}).startswith('"')


def test_weak_etags_match_nothing_that_is_changed() -> None:
    assert documents.etags('"a", W/"b","c"') == ['"a"', '"c"']


@pytest.mark.parametrize("raw", [b"NaN", b'{"a": Infinity}', b"[-Infinity]", b"{", b""])
def test_what_is_no_json(raw: bytes) -> None:
    with pytest.raises(ValueError):
        documents.parse(raw)


def test_texts_that_no_store_holds_are_named_by_their_place() -> None:
    document = {"a": ["\0"], "b": {"\ud800": 1}, "c": "\udc00", "d": "fine"}
    assert documents.unstorable(document) == [
        (("a", 0), documents.NUL),
        (("b",), documents.HALF),
        (("c",), documents.HALF),
    ]


def test_pointers_escape_what_they_are_made_of() -> None:
    assert problems.pointer(("follow_ups", 3, "a/b~c")) == "/follow_ups/3/a~1b~0c"
    assert problems.pointer(()) == ""


POSITIONS = st.tuples(st.text().filter(lambda text: "\0" not in text), st.integers(-9, 2**63 - 1))


@given(POSITIONS, st.text())
def test_a_cursor_comes_back_as_it_was(position: tuple[str, int], about: str) -> None:
    # What is in an address was text before; half of a character is none.
    if any("\ud800" <= one <= "\udfff" for one in about):
        return
    assert cursors.read(cursors.write(position, about), about, (str, int)) == position


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "W10",
        "bnVsbA",
        cursors.write((1,), "another list"),
        cursors.write((1, 2), "list"),
        cursors.write(("1",), "list"),
        cursors.write((2**70,), "list"),
        cursors.write((True,), "list"),
        cursors.write((None,), "list"),  # type: ignore[arg-type]  # not of this program
        cursors.write((1,), "list")[:-2],
    ],
)
def test_what_is_no_cursor_of_this_list(cursor: str) -> None:
    with pytest.raises(InputError, match="cursor"):
        cursors.read(cursor, "list", (int,))
