"""Signing in and out: a plain form, which needs no JavaScript, and links that let somebody in once.

On failure: the form again, with the same words whatever was wrong. Security: a session is always a
new one, so that one that was planted before is worth nothing; where to go afterwards is a path of
this site, or the page.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.actions import users
from gateway.i18n import marked
from gateway.web import door, rendering
from gateway.web.api.gate import site_of
from gateway.web.api.site import Site

WRONG = marked("The name or the password is wrong.")
BARRED = marked("Too many wrong tries. Wait a quarter of an hour.")
USED = marked("This link was used already, or is too old.")
RETRY_SECONDS = 900


def install(app: FastAPI) -> None:
    """The routes, which stand outside of the door."""

    def form(request: Request, wrong: str, status: int, name: str, to: str) -> Response:
        language = rendering.language(request.headers.get("accept-language", ""))
        facts = {"wrong": wrong, "name": name, "next": local(to)}
        html = rendering.render("sign_in.html", language, **facts)
        return HTMLResponse(html, status)

    def inside(site: Site, session: str, to: str) -> Response:
        answer = RedirectResponse(local(to), HTTPStatus.SEE_OTHER)
        return door.let_in(answer, session, site.settings.web)

    @app.get("/sign-in", include_in_schema=False)
    async def ask(
        request: Request, to: Annotated[str, Query(alias="next", max_length=2000)] = "/"
    ) -> Response:
        if request.state.user is not None:
            return RedirectResponse(local(to), HTTPStatus.SEE_OTHER)
        return form(request, "", HTTPStatus.OK, "", to)

    @app.post("/sign-in", include_in_schema=False)
    async def answer(request: Request) -> Response:
        site, said = site_of(request.scope), door.fields(await request.body())
        name, to = said.get("name", ""), said.get("next", "/")
        done = await site.run(
            lambda: users.sign_in(
                site.store,
                name,
                said.get("password", ""),
                door.address(request.scope),
                site.clock(),
            )
        )
        if done.session:
            return inside(site, done.session, to)
        if not done.is_barred:
            return form(request, WRONG, HTTPStatus.FORBIDDEN, name, to)
        barred = form(request, BARRED, HTTPStatus.TOO_MANY_REQUESTS, name, to)
        barred.headers["Retry-After"] = str(RETRY_SECONDS)
        return barred

    @app.get("/sign-in/link", include_in_schema=False)
    async def follow(
        request: Request, token: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        site = site_of(request.scope)
        done = await site.run(lambda: users.sign_in_by_link(site.store, token, site.clock()))
        if done.session:
            return inside(site, done.session, "/")
        return form(request, USED, HTTPStatus.FORBIDDEN, "", "/")

    @app.post("/sign-out", include_in_schema=False)
    async def leave(request: Request) -> Response:
        site = site_of(request.scope)
        everywhere = door.fields(await request.body()).get("everywhere") == "yes"
        user, secret = door.user(request.scope), request.state.session
        await site.run(lambda: users.sign_out(site.store, secret, user, everywhere=everywhere))
        gone = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        return door.let_in(gone, "", site.settings.web)


def local(path: str) -> str:
    """A path of this site; "/" for everything else, as `//elsewhere` or `/\\elsewhere`."""
    is_path = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_path and path.isprintable() and path.isascii() else "/"
