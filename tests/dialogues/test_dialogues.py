"""Every scene of `tests/dialogues/*.txt`, with the real gateway: what the office does, what
invitees send, and what must come of it.
"""

import pytest

from gateway.store.engine import Store
from tests.dialogues import language, runner
from tests.dialogues.language import Scene

SCENES = list(language.scenes())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
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
