"""How a diary is drawn: no two entries cover each other and none is lost; who of a group is busy
when; and the style sheet has every class that a place can be named by (docs/page.md).
"""

import re
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.web.pages import grid

SHEET = Path(gateway.__file__).parent / "web" / "static" / "diary.css"
MINUTE = st.integers(0, grid.DAY)
SPANS = st.lists(st.tuples(MINUTE, st.integers(-60, grid.DAY)), max_size=40).map(
    lambda pairs: [(begin, begin + length) for begin, length in pairs]
)


def covers(one: grid.Place, other: grid.Place) -> bool:
    """Whether they share a spot of the screen: lanes of different widths are compared as parts of
    the whole.
    """
    left, right = one.lane * other.lanes, (one.lane + 1) * other.lanes
    beside = right <= other.lane * one.lanes or left >= (other.lane + 1) * one.lanes
    return not beside and one.begin < other.end and other.begin < one.end


@given(SPANS)
def test_no_two_entries_cover_each_other_and_none_is_lost(spans: list[grid.Minutes]) -> None:
    places = grid.placed(spans)
    assert len(places) == len(spans)
    for span, place in zip(spans, places, strict=True):
        assert 0 <= place.begin <= min(span[0], grid.DAY)
        assert min(span[1], grid.DAY) <= place.end <= grid.DAY
        assert place.end - place.begin >= grid.SHORTEST
        assert place.begin % grid.STEP == place.end % grid.STEP == 0
        assert 0 <= place.lane < place.lanes
    pairs = [(one, other) for at, one in enumerate(places) for other in places[at + 1 :]]
    assert not [pair for pair in pairs if covers(*pair)]


def test_what_overlaps_stands_side_by_side_and_the_rest_is_as_wide_as_the_day() -> None:
    hour = grid.HOUR
    spans = [(9 * hour, 10 * hour), (9 * hour + 30, 11 * hour), (11 * hour, 12 * hour)]
    spans += [(10 * hour, 10 * hour + 30)]
    assert [(one.lane, one.lanes) for one in grid.placed(spans)] == [(0, 2), (1, 2), (0, 1), (0, 2)]
    assert grid.placed([(23 * hour + 55, grid.DAY)])[0].begin == grid.DAY - grid.SHORTEST


@given(st.lists(SPANS, max_size=6), st.tuples(MINUTE, MINUTE).map(sorted))
def test_who_is_busy_when_is_said_of_the_whole_window(
    diaries: list[list[grid.Minutes]], bounds: list[int]
) -> None:
    first, last = bounds
    parts = grid.stretches(diaries, (first, last))
    assert sum(part.end - part.begin for part in parts) == last - first
    for part, later in pairwise(parts):
        assert part.end == later.begin
        assert part.busy != later.busy
    for part in parts:
        for minute in {part.begin, (part.begin + part.end) // 2, part.end - 1}:
            busy = {
                number
                for number, spans in enumerate(diaries)
                if any(begin <= minute < end for begin, end in spans)
            }
            assert busy == part.busy


@given(SPANS, st.tuples(MINUTE, MINUTE).map(sorted).map(tuple))
def test_the_hours_that_are_shown_hold_everything(
    spans: list[tuple[int, int]], usual: tuple[int, int]
) -> None:
    begin, end = grid.window(spans, usual)
    assert begin % grid.HOUR == end % grid.HOUR == 0
    assert begin <= usual[0]
    assert usual[1] <= end
    assert all(begin <= place.begin and place.end <= end for place in grid.placed(spans))


def test_the_style_sheet_has_a_class_for_every_place() -> None:
    known = set(re.findall(r"\.([a-z]+\d+) *\{", SHEET.read_text(encoding="utf-8")))
    steps = grid.HOUR // grid.STEP
    wanted = {f"h{hour}" for hour in range(25)} | {f"d{hour}" for hour in range(25)}
    wanted |= {f"from{hour}" for hour in range(24)} | {f"for{hour}" for hour in range(1, 25)}
    wanted |= {f"{name}{step}" for name in "mq" for step in range(steps)}
    wanted |= {f"l{lane}" for lane in range(grid.MOST_LANES)}
    wanted |= {f"{name}{lanes}" for name in "kw" for lanes in range(1, grid.MOST_LANES + 1)}
    assert wanted <= known
