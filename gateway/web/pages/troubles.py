"""What is wrong with the installation, above every page: the words of `/readyz`."""

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.web.pages.visit import Visiting

router = APIRouter(include_in_schema=False)


@router.get("/troubles")
async def troubles(here: Visiting) -> Response:
    """The bar, to be exchanged in place"""
    return here.render("pages/troubles.html", {"troubles": here.troubles})
