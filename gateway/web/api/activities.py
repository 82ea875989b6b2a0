"""Routes of the activities of a company, person, project or sale (docs/api.md, domain.md §8)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi.responses import Response

from gateway import shapes
from gateway.actions.desk import Desk
from gateway.errors import NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.store import activities, reading
from gateway.web.api import cursors, models
from gateway.web.api.asking import Asking, Listing, Pages
from gateway.web.api.routes import Endpoint, On, Routes
from gateway.web.keys import Key

routes = Routes("activities")

SECTIONS: Mapping[str, tuple[str, str]] = {
    "companies": ("company", "acme"),
    "persons": ("person", "ola"),
    "projects": ("project", "p1"),
    "sales": ("sale", "chairs"),
}
"""By the section of the directory: what follow-ups call it, and one that the tests have."""


def _route(section: str, link: str) -> Endpoint:
    async def every(key: Key, asked: Pages) -> Response:
        def look(desk: Desk) -> Listing:
            permission.require(desk.actor, Verb.SEE)
            if not activities.there(desk.connection, link, key):
                raise NotFound(f"there is no {link} {key}")
            after = _after(asked)
            page = activities.page(desk.connection, desk.actor, link, key, asked.limit, after)
            zone = desk.settings.mail.timezone
            views = reading.follow_ups(desk.connection, page.keys, zone)
            position = (page.after[0].isoformat(), page.after[1]) if page.after else None
            return Listing([_item(view, desk.now) for view in views], position)

        return await asked.read(look)

    every.__doc__ = f"Follow-ups of one of {section}, the latest first: all kinds, done or not"
    every.__name__ = f"of_{link}"
    return every


def _after(asked: Asking) -> activities.Place | None:
    place = asked.position(str, str)
    return (cursors.instant(place[0]), str(place[1])) if place is not None else None


def _item(view: shapes.FollowUp, now: datetime) -> dict[str, Any]:
    return {**shapes.follow_up(view), "overdue": is_overdue(view, now)}


def is_overdue(view: shapes.FollowUp, now: datetime) -> bool:
    """Its day is over; what has a start is done by then, or is a meeting."""
    if view.deadline is None or view.start is not None or view.completed or view.cancelled:
        return False
    zone = ZoneInfo(view.zone)
    return view.deadline.astimezone(zone).date() < now.astimezone(zone).date()


for _section, (_link, _sample) in SECTIONS.items():
    routes.get(
        f"/{_section}/{{key}}/activities",
        Verb.SEE,
        On.LIST,
        answer=models.page_of(models.ActivityShape),
        sample={"key": _sample},
    )(_route(_section, _link))
