"""Follow-ups and participants as GET answers them, and as every write answers what it changed, so
that one ETag fits both.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway import shapes
from gateway.actions import desk as desks
from gateway.actions import diaries
from gateway.actions.desk import Desk
from gateway.errors import NotFound
from gateway.followups.permission import Verb
from gateway.store import participants, reading
from gateway.web.api.asking import Json


def follow_up(desk: Desk, key: str) -> Json:
    """With its participants and, where it is in somebody's way, the first time at which it were not
    (lists leave that out). The caller has asked for the right.
    """
    _settle(desk)
    [view] = reading.follow_ups(desk.connection, [key], _zone(desk), participants=True)
    if view.conflict:
        view = replace(view, first_available=diaries.first_of(desk, key))
    return shapes.follow_up(view)


def outline(desk: Desk, key: str) -> Json:
    """What is told of it to whom it is private."""
    [view] = reading.follow_ups(desk.connection, [key], _zone(desk), participants=True)
    return shapes.outline(view)


def follow_ups(desk: Desk, keys: Sequence[str], *, people: bool) -> list[Json]:
    """Those that are there. The caller has looked who may see them."""
    views = reading.follow_ups(desk.connection, keys, _zone(desk), participants=people)
    return [shapes.follow_up(view) for view in views]


def participant(desk: Desk, number: int) -> Json:
    """Raises `NotFound` where there is none that this actor sees."""
    absent = NotFound(f"there is no participant {number}")
    key = participants.follow_up_of(desk.connection, number)
    if key is None:
        raise absent
    try:
        desk.require(Verb.SEE, key)
    except NotFound:
        raise absent from None
    [row] = rows(desk, [number])
    return row


def rows(desk: Desk, numbers: Sequence[int]) -> list[Json]:
    """Participants, those that are there, in this order."""
    _settle(desk)
    views = reading.rows_of(desk.connection, numbers, _zone(desk))
    return [shapes.participant(view) for view in views]


def _settle(desk: Desk) -> None:
    if desk.has_changed:
        desks.settle(desk)


def _zone(desk: Desk) -> str:
    return desk.settings.mail.timezone
