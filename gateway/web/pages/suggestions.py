"""Names that are offered while somebody types, as the rows of a list (`auto-complete`)."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gateway.actions.desk import Desk
from gateway.errors import NotFound
from gateway.i18n import marked
from gateway.store import linking
from gateway.web.pages.visit import Facts, Visiting

router = APIRouter(include_in_schema=False)


@router.get("/suggestions/{kind}")
async def suggestions(
    here: Visiting, kind: str, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """What has these words in its name"""
    if kind not in linking.TABLES:
        return await here.problem(NotFound(marked("there are no %(kind)s"), kind=kind))

    def look(desk: Desk) -> Facts:
        suggested = linking.suggested(desk.connection, kind, q) if q else []
        names = [name for _, name in suggested]
        # What several are called is said by its key.
        return {
            "rows": [(name if names.count(name) == 1 else key, name) for key, name in suggested]
        }

    return here.render("pages/suggestions.html", await here.fetch(look))
