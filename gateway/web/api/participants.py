"""Routes that show participants of all follow-ups."""

from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from gateway.actions.desk import Desk
from gateway.followups.permission import Verb
from gateway.store import filters
from gateway.web.api import filtering, models, shown
from gateway.web.api.asking import Listing, Pages, Reading
from gateway.web.api.filtering import ParticipantFilters
from gateway.web.api.routes import On, Routes

routes = Routes("participants")

Number = Annotated[int, Path(alias="id", ge=1, le=2**53)]


@routes.get("/participants", Verb.SEE, On.LIST, answer=models.page_of(models.ParticipantShape))
async def every(asked: Pages, criteria: ParticipantFilters) -> Response:
    """Participants by filters, by number, except who was removed"""

    def look(desk: Desk) -> Listing:
        after = filtering.number_place(asked)
        page = filters.participants(desk.connection, desk.actor, criteria(desk), asked.limit, after)
        return filtering.listing(page, lambda numbers: shown.rows(desk, numbers))

    return await asked.read(look)


@routes.get("/participants/{id}", Verb.SEE, On.PARTICIPANT, answer=models.ParticipantShape)
async def one(number: Number, asked: Reading) -> Response:
    """One participant: what they answered, wrote and asked for, and what became of the letters"""
    return await asked.read(lambda desk: shown.participant(desk, number))
