"""Which changes are too many at once, and which letters count (domain.md §10)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway.invite import brake
from tests.core.invitees import START, World, agreed

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def changes(count: int, seconds: float, first: int = 0) -> list[tuple[str, datetime]]:
    """So many follow-ups, one after another."""
    return [
        (f"m{first + number}", NOON + timedelta(seconds=(first + number) * seconds))
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "seconds", "most", "caught"),
    [
        (20, 0, 20, 0),
        (21, 0, 20, 21),
        (21, 2.9, 20, 21),
        (21, 3, 20, 0),
        (1000, 1, 20, 1000),
        (1000, 3, 20, 0),
        (250, 0, 0, 0),
        (2, 0, 1, 2),
    ],
)
def test_more_than_so_many_within_a_minute(
    count: int, seconds: float, most: int, caught: int
) -> None:
    assert len(brake.caught(changes(count, seconds), most)) == caught


def test_only_what_was_changed_in_that_minute_is_caught() -> None:
    later = [(key, at + timedelta(hours=1)) for key, at in changes(25, 0, first=100)]
    assert brake.caught([*changes(5, 1), *later], 20) == set(later)


def test_one_follow_up_that_is_edited_often_is_one() -> None:
    often = [("m1", NOON + timedelta(seconds=number)) for number in range(50)]
    assert brake.caught(often, 20) == set()
    assert brake.caught([*often, *changes(19, 0, first=2)], 20) == set()


COUNTED: dict[str, tuple[Callable[[World], None], bool]] = {
    "moved": (lambda world: world.edit(start=START + timedelta(hours=1)), True),
    "another place": (lambda world: world.edit(location="Fjord"), True),
    "cancelled": (lambda world: world.edit(cancelled=True), True),
    "deleted": (lambda world: setattr(world, "wanted", None), True),
    "removed": (lambda world: world.change(1, removed=True), True),
    "title": (lambda world: world.edit(title="Another"), False),
    "invited": (lambda world: world.invite(2), False),
}


@pytest.mark.parametrize("name", COUNTED)
def test_cancellations_and_moves_count_and_nothing_else(name: str) -> None:
    change, counted = COUNTED[name]
    world = agreed(1)
    change(world)
    assert [brake.counts(one) for one in world.look().owed] == [counted]


def test_an_edition_that_is_there_again_is_known_unless_somebody_was_told_more() -> None:
    world = agreed(1)
    base, top = world.known, world.held[0].top_sequence
    world.edit(location="Fjord")
    world.plan()
    moved = world.known
    world.edit(location="")
    assert base is not None
    assert moved is not None
    assert world.wanted is not None
    assert brake.undoes(world.wanted, base, moved, top)
    assert not brake.undoes(world.wanted, base, moved, moved.sequence)
    assert not brake.undoes(moved, base, moved, top)
