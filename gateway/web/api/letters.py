"""Letters as a dry run lists them."""

from collections.abc import Sequence
from typing import Any

from gateway import shapes
from gateway.actions import letters
from gateway.actions.desk import Desk
from gateway.store.outbox import Queued


def listed(desk: Desk, queued: Sequence[Queued], bodies: bool) -> list[dict[str, Any]]:
    """Each letter that would be owed. `bodies`: with text and HTML."""
    views = letters.shown(desk.connection, desk.settings, queued, words=True)
    return [shapes.owed_letter(view, bodies=bodies) for view in views]
