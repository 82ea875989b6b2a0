"""Taking back what was saved: the bar that says how many letters go in how many seconds, and its
button (page.md §3). The bar is the same in every browser of the user who saved.
"""

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.actions import undoing
from gateway.actions.desk import Desk
from gateway.actions.undoing import Undone, Verdict
from gateway.errors import Refused
from gateway.i18n import marked
from gateway.web.keys import Number, path
from gateway.web.pages import frames, history
from gateway.web.pages.visit import Visit, Visiting

router = APIRouter(include_in_schema=False)

LEFT = marked("It is too late: the letters are on their way.")
CHANGED = marked("%(name)s has changed it at %(time)s, so it stays as it is now.")


@router.get("/undo")
async def shown(here: Visiting) -> Response:
    """The bar, to be exchanged in place, and how much waits"""
    frame = await here.fetch(lambda desk: frames.read(desk, here))
    return here.render("pages/undo_news.html", {"frame": frame})


@router.post("/undo/{number}")
async def undo(here: Visiting, number: Number) -> Response:
    """Take it back"""

    def command(desk: Desk) -> str:
        undone = undoing.undo(desk, number)
        if undone.verdict is not Verdict.DONE:
            raise Refused(_why(here, desk, undone))
        return path("follow-ups", undone.key) if undone.key else "/follow-ups"

    return await here.write(command, "undone", final=True)


def _why(here: Visit, desk: Desk, undone: Undone) -> str:
    say = here.texts.gettext
    if undone.verdict is Verdict.LEFT:
        return say(LEFT)
    time = here.clock(undone.at) if undone.at is not None else ""
    return say(CHANGED) % {"name": history.changer(here, desk, undone.by), "time": time}
