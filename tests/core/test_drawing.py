"""Rows for people: at any width of a terminal, and away from one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.cli import drawing

NAMES = ("letter", "state", "to", "note")
ROWS = (
    ("1", "held", "ola.hansen@ext.example", "P15: the text is empty; see the record"),
    ("22", "waiting", "eva@other.example", ""),
)


def test_away_from_a_terminal_nothing_is_cut() -> None:
    assert list(drawing.lines(NAMES, ROWS, None)) == [
        "letter  state    to                      note",
        "──────  ───────  ──────────────────────  ──────────────────────────────────────",
        "1       held     ola.hansen@ext.example  P15: the text is empty; see the record",
        "22      waiting  eva@other.example",
    ]


def test_where_a_terminal_is_too_narrow_a_row_has_two_lines() -> None:
    assert list(drawing.lines(NAMES, ROWS, 40)) == [
        "letter  state    to",
        "──────  ───────  ──────────────────────",
        "1       held     ola.hansen@ext.example",
        "    note: P15: the text is empty; see",
        "    the record",
        "22      waiting  eva@other.example",
    ]


TEXT = st.text(st.sampled_from("ab é中"), max_size=30)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), min_size=1, max_size=4), st.integers(40, 120))
def test_nothing_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    lines = list(drawing.lines(NAMES, rows, width))
    wide = [one for one in lines if cell_len(one) > width and not one.startswith("    ")]
    assert not wide or cell_len(rows[0][0]) > width


@pytest.mark.parametrize("width", [None, 1, 10, 400])
def test_every_value_is_there(width: int | None) -> None:
    said = " ".join(" ".join(drawing.lines(NAMES, ROWS, width)).split())
    for row in ROWS:
        assert all(word in said for value in row for word in value.split())
