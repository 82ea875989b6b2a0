"""What happened, in the one sequence of journal, events and webhooks (docs/api.md, "Changes")."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import histories
from gateway.actions.desk import Desk
from gateway.followups.permission import Verb
from gateway.store import journal
from gateway.web.api import models
from gateway.web.api.asking import Json, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.problems import HttpProblem

routes = Routes("changes")

MOST_SECONDS = 30


@routes.get("/changes", Verb.SEE, On.LIST, answer=models.Changes)
async def every(
    asked: Reading,
    after: Annotated[int, Query(ge=0, le=2**53, description="The last one that is known.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="At most so many are looked at.")] = 100,
    wait: Annotated[
        int, Query(ge=0, le=MOST_SECONDS, description="Seconds to wait while there is none.")
    ] = 0,
) -> Response:
    """Journal entries beyond a number, with the row each is about as it is now"""
    reached, newest = after, 0
    shown = list[Json]()

    def look(desk: Desk) -> tuple[list[Json], int, int]:
        if after and not journal.holds(desk.connection, after):
            raise HttpProblem(HTTPStatus.GONE, GONE)
        seen = histories.seen(desk.connection, desk.actor, reached, limit)
        zone = desk.settings.mail.timezone
        now = histories.now(desk.connection, seen.entries, zone)
        entries: list[Json] = [
            {**shapes.entry(entry), "now": now.get(entry.id)} for entry in seen.entries
        ]
        return entries, seen.last, journal.newest(desk.connection)

    async def again() -> bool:
        nonlocal reached, shown, newest
        shown, reached, newest = await asked.fetch(look)
        return bool(shown)

    feed = asked.site.feed
    if not await again() and wait and feed is not None and not feed.full:
        await feed.until(again, wait)
    return await asked.read(lambda _: {"items": shown, "after": reached, "newest": newest})


GONE = "the journal does not hold this number (any more); read the lists, and go on from its newest"
