"""Where the entries of a diary are drawn: which of them stand side by side, and when how many of a
group are busy. Pure.

Times are minutes since a day's midnight on the reader's wall clock. What overlaps is put into lanes
of one width, the first that is free; entries that hang together through others have the same number
of lanes, so that no two cover each other and nothing is left out.

The page allows no inline style, so a place is named by classes of `static/diary.css`: an hour and
steps of five minutes for begin and length, a lane and a number of lanes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

HOUR = 60
DAY = 24 * HOUR
STEP = 5
"""Minutes of one line of the grid."""
SHORTEST = 30
"""Minutes that an entry takes at least, so that its title can be read."""
MOST_LANES = 40
"""What the style sheet knows; a day with more is shown as a list."""

Minutes = tuple[int, int]
"""From when to when."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is drawn. `lane` counts from 0."""

    begin: int
    end: int
    lane: int
    lanes: int

    @property
    def classes(self) -> str:
        """As the style sheet names it."""
        lane = f" l{self.lane} k{self.lanes}" if self.lanes > 1 else ""
        return span_classes(self.begin, self.end) + lane


def span_classes(begin: int, end: int) -> str:
    """Begin and length as the style sheet names them."""
    length = end - begin
    return f"h{begin // HOUR} m{begin % HOUR // STEP} d{length // HOUR} q{length % HOUR // STEP}"


def whole_steps(span: Minutes) -> Minutes:
    """A span in whole steps, within the day."""
    begin = max(0, min(span[0], DAY)) // STEP * STEP
    return begin, -(-min(span[1], DAY) // STEP) * STEP


def drawn(span: Minutes) -> Minutes:
    """The same, and long enough to be read."""
    begin, end = whole_steps(span)
    end = min(DAY, max(end, begin + SHORTEST))
    return min(begin, end - SHORTEST), end


def placed(spans: Sequence[Minutes]) -> list[Place]:
    """A place for each span, in their order."""
    boxes = [drawn(span) for span in spans]
    numbers = range(len(boxes))
    order = sorted(numbers, key=lambda number: (boxes[number][0], -boxes[number][1]))
    places: dict[int, Place] = {}
    for cluster in _clusters(order, boxes):
        lanes = _lanes(cluster, boxes)
        width = max(lanes.values()) + 1
        for number, lane in lanes.items():
            places[number] = Place(*boxes[number], lane, width)
    return [places[number] for number in numbers]


def _clusters(order: Iterable[int], boxes: Sequence[Minutes]) -> list[list[int]]:
    """Those that hang together."""
    clusters = list[list[int]]()
    until = 0
    for number in order:
        begin, end = boxes[number]
        if not clusters or begin >= until:
            clusters.append([])
            until = end
        clusters[-1].append(number)
        until = max(until, end)
    return clusters


def _lanes(cluster: Iterable[int], boxes: Sequence[Minutes]) -> dict[int, int]:
    """The first free lane for each, in the order of their beginning."""
    ends = list[int]()
    lanes: dict[int, int] = {}
    for number in cluster:
        begin, end = boxes[number]
        lane = next((free for free, until in enumerate(ends) if until <= begin), len(ends))
        ends[lane : lane + 1] = [end]
        lanes[number] = lane
    return lanes


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time during which the same ones are busy, by their numbers."""

    begin: int
    end: int
    busy: frozenset[int]


def stretches(diaries: Sequence[Iterable[Minutes]], window: Minutes) -> list[Stretch]:
    """The window from one change to the next: who of all these is busy when."""
    first, last = window
    taken = [
        (max(begin, first), min(end, last), number)
        for number, spans in enumerate(diaries)
        for begin, end in spans
    ]
    taken = [span for span in taken if span[0] < span[1]]
    bounds = sorted({first, last, *(span[0] for span in taken), *(span[1] for span in taken)})
    parts = list[Stretch]()
    for begin, end in pairwise(bounds):
        busy = frozenset(number for since, until, number in taken if since < end and begin < until)
        if parts and parts[-1].busy == busy:
            begin = parts.pop().begin
        parts.append(Stretch(begin, end, busy))
    return parts


def window(spans: Iterable[Minutes], usual: Minutes) -> Minutes:
    """The hours that are shown: the usual ones, and whatever is earlier or later; whole hours."""
    everything = [usual, *(drawn(span) for span in spans)]
    begin = min(span[0] for span in everything)
    end = max(span[1] for span in everything)
    return begin // HOUR * HOUR, -(-end // HOUR) * HOUR
