"""Saved groups of diaries: an associate's own, a few of them (help page 000).

On failure nothing was written: `InputError` that names the place, `NotFound` for a diary that is
not there, `Forbidden` for who is no associate.
"""

from collections.abc import Sequence
from typing import Any

from gateway.actions import diaries, directory
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.store import diary_views
from gateway.store.diary_views import View

MOST = 50
LONGEST_NAME = 100


def every(desk: Desk) -> list[View]:
    """Those of who asks; none where they are no associate."""
    return diary_views.of(desk.connection, desk.actor.associate)


def state(desk: Desk, views: Sequence[View]) -> list[View]:
    """These are all of them from now on."""
    permission.require(desk.actor, Verb.CREATE)
    own = directory.own(desk)
    if len(views) > MOST:
        raise InputError(marked("views: at most %(most)s"), most=MOST)
    checked = [_checked(desk, view) for view in views]
    names = [view.name for view in checked]
    if len(set(names)) < len(names):
        raise InputError(marked("views: two of them have one name"))
    diary_views.state(desk.connection, own, checked)
    return every(desk)


def save(desk: Desk, view: View) -> list[View]:
    """One more, in the place of one of that name."""
    others = [other for other in every(desk) if other.name != view.name.strip()]
    return state(desk, [*others, view])


def drop(desk: Desk, name: str) -> list[View]:
    """One less, if it is there."""
    return state(desk, [view for view in every(desk) if view.name != name])


def shown(views: Sequence[View]) -> dict[str, Any]:
    """As the API says and takes them."""
    return {"views": [{"name": view.name, "of": list(view.whose)} for view in views]}


def _checked(desk: Desk, view: View) -> View:
    name = view.name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InputError(marked("name: is 1 to %(most)s characters"), most=LONGEST_NAME)
    if not view.whose:
        raise InputError(marked("of: names nobody"))
    return View(name, tuple(holder.who for holder in diaries.holders(desk, view.whose)))
