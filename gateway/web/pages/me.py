"""My settings: what I prefer, where I am signed in, and my diary for calendar programs (domain.md
§11).
"""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway.actions import diary_feeds, directory, users
from gateway.actions.desk import Desk
from gateway.errors import Forbidden
from gateway.i18n import marked
from gateway.store import diary_feeds as feeds
from gateway.store import preferences as stored
from gateway.store import users as sessions
from gateway.web import diary_feed
from gateway.web.pages import preferring
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)


@router.get("/me")
async def me(here: Visiting) -> Response:
    """What I prefer, my sessions, my diary's link"""
    return await here.page("pages/me.html", lambda desk: _facts(here, desk))


@router.post("/me/preferences")
async def prefer(here: Visiting) -> Response:
    """What is filled in counts; what is left empty is as the site has it"""
    said = await Filled.read(here.request)

    def command(desk: Desk) -> str:
        directory.prefer(desk, directory.own(desk), preferring.stated(said))
        return "/me"

    return await here.write(command, "saved")


@router.post("/me/sessions/end")
async def end(here: Visiting, session: Annotated[str, Form(max_length=100)]) -> Response:
    """Signed out there"""
    site, user = here.site, here.user
    await site.run(lambda: users.end_session(site.store, user, session))
    return here.lead("/me", "ended")


@router.post("/me/feed")
async def renew(here: Visiting) -> Response:
    """A new link, which is shown this once"""
    if not here.user.associate:
        return await here.problem(Forbidden(marked("You have no diary.")))
    site, user = here.site, here.user
    secret = await site.run(lambda: diary_feeds.renew(site.store, user, here.now))
    link = diary_feed.address(site.settings, secret)
    return await here.page("pages/me.html", lambda desk: {**_facts(here, desk), "link": link})


@router.post("/me/feed/revoke")
async def revoke(here: Visiting) -> Response:
    """The link shows nothing any more"""
    site, user = here.site, here.user
    await site.run(lambda: diary_feeds.revoke(site.store, user))
    return here.lead("/me", "revoked")


def _facts(here: Visit, desk: Desk) -> Facts:
    number, connection = here.user.id, desk.connection
    opened = sessions.sessions(connection, [number], here.now)
    return {
        **(_preferred(here, desk) if here.user.associate else {"own": None}),
        "user": here.user,
        "sessions": opened.get(number, []),
        "current": sessions.handle(here.request.state.session),
        "feed": feeds.of(connection, number),
        "link": "",
    }


def _preferred(here: Visit, desk: Desk) -> Facts:
    who, connection = here.user.associate, desk.connection
    said = stored.stated(connection, [who])[who]
    site, counting = stored.of(connection, stored.SITE), here.preferences
    return {
        "own": preferring.own(said, counting),
        "choices": preferring.choices(here, site),
    }
