"""Every scene of `tests/dialogues/*.txt`, with the real gateway: what the office does, what invitees send, and what must come of it."""

from collections.abc import Iterator

import pytest

from gateway.store.engine import Store
from tests.dialogues import language, office, runner
from tests.dialogues.language import Scene

SCENES = list(language.scenes())


def parameters() -> Iterator[object]:
    """Scenes whose behaviour has yet to be built must fail: as soon as one passes, its `pending:` has to go."""
    for scene in SCENES:
        marks = [pytest.mark.xfail(reason=f"pending: {scene.pending}", strict=True, raises=(runner.Mismatch, office.NotBuilt))] if scene.pending else []
        yield pytest.param(scene, id=scene.name, marks=marks)


@pytest.mark.parametrize("scene", list(parameters()))
def test_scene(scene: Scene, store: Store) -> None:
    runner.play(scene, store)


def test_every_problem_has_its_scene() -> None:
    """P1 to P25 of itip.md §8."""
    proved = {one for scene in SCENES for one in scene.proves}
    assert not {f"P{number}" for number in range(1, 26)} - proved


def test_titles_are_names() -> None:
    """Two scenes of one name would hide each other in a report."""
    names = [scene.name for scene in SCENES]
    assert len(names) == len(set(names))
