"""Signing in and out: a plain form, which needs no JavaScript, links that let somebody in once, and
the organisation's own provider (`openid`).

On failure: the form again, with the same words whatever was wrong. Security: a session is always a
new one, so that one that was planted before is worth nothing; where to go afterwards is a path of
this site, or the page.
"""

from http import HTTPStatus
from typing import Annotated

import structlog
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.actions import users
from gateway.errors import NotFound
from gateway.i18n import marked
from gateway.web import door, openid, rendering
from gateway.web.api.gate import site_of
from gateway.web.api.site import Site

log = structlog.get_logger(__name__)

WRONG = marked("The name or the password is wrong.")
BARRED = marked("Too many wrong tries. Wait a quarter of an hour.")
USED = marked("This link was used already, or is too old.")
UNKNOWN = marked("You have no access here, or signing in did not work. Ask an administrator.")
OPENID = "openid"
"""The cookie of a sign-in at the provider that has begun."""
RETRY_SECONDS = 900


def install(app: FastAPI) -> None:
    """The routes, which stand outside of the door."""
    _own(app)
    _provider(app)
    _leaving(app)


def _own(app: FastAPI) -> None:
    """Names, passwords and links of ours."""

    @app.get("/sign-in", include_in_schema=False)
    async def ask(
        request: Request, to: Annotated[str, Query(alias="next", max_length=2000)] = "/"
    ) -> Response:
        if request.state.user is not None:
            return RedirectResponse(local(to), HTTPStatus.SEE_OTHER)
        return _form(request, "", HTTPStatus.OK, "", to)

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
            return _inside(site, done.session, to)
        if not done.is_barred:
            return _form(request, WRONG, HTTPStatus.FORBIDDEN, name, to)
        return _barred(request, name, to)

    @app.get("/sign-in/link", include_in_schema=False)
    async def follow(
        request: Request, token: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        site = site_of(request.scope)
        done = await site.run(lambda: users.sign_in_by_link(site.store, token, site.clock()))
        if done.session:
            return _inside(site, done.session, "/")
        return _form(request, USED, HTTPStatus.FORBIDDEN, "", "/")


def _provider(app: FastAPI) -> None:
    """The way over the organisation's provider, and back."""

    @app.get("/sign-in/openid", include_in_schema=False)
    async def begin(
        request: Request, to: Annotated[str, Query(alias="next", max_length=2000)] = "/"
    ) -> Response:
        site, begun = site_of(request.scope), openid.begin(local(to))
        provider = _of(site)
        if not _is_page(request):
            return _form(request, UNKNOWN, HTTPStatus.FORBIDDEN, "", to)
        if not await _may_try(request):
            return _barred(request, "", to)
        try:
            there = await provider.address(begun)
        except openid.NotSaid as error:
            log.error("the sign-in provider cannot be used", reason=str(error))
            return _form(request, UNKNOWN, HTTPStatus.BAD_GATEWAY, "", to)
        answer = RedirectResponse(there, HTTPStatus.SEE_OTHER)
        return door.keep(answer, OPENID, begun.cookie, openid.LIVES_SECONDS, site.settings.web)

    @app.get(openid.BACK, include_in_schema=False)
    async def come_back(request: Request) -> Response:
        site = site_of(request.scope)
        begun = openid.begun(
            door.cookie(request.headers.get("cookie", ""), site.settings.web, OPENID)
        )
        if begun is None:
            return _form(request, UNKNOWN, HTTPStatus.FORBIDDEN, "", "/")
        provider = _of(site)
        if not await _may_try(request):
            return _barred(request, "", begun.to)
        try:
            name = await provider.name(begun, request.query_params)
        except openid.NotSaid as error:
            log.warning("somebody was not signed in", reason=str(error))
            return _form(request, UNKNOWN, HTTPStatus.FORBIDDEN, "", begun.to)
        where = door.address(request.scope)
        done = await site.run(lambda: users.sign_in_as(site.store, name, where, site.clock()))
        if not done.session:
            log.warning("somebody without access signed in at the provider", name=name)
            return _form(request, UNKNOWN, HTTPStatus.FORBIDDEN, "", begun.to)
        answer = _inside(site, done.session, begun.to)
        return door.keep(answer, OPENID, "", 0, site.settings.web)


def _leaving(app: FastAPI) -> None:
    @app.post("/sign-out", include_in_schema=False)
    async def leave(request: Request) -> Response:
        site = site_of(request.scope)
        everywhere = door.fields(await request.body()).get("everywhere") == "yes"
        user, secret = door.user(request.scope), request.state.session
        await site.run(lambda: users.sign_out(site.store, secret, user, everywhere=everywhere))
        gone = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        return door.let_in(gone, "", site.settings.web)


def _is_page(request: Request) -> bool:
    """Whether somebody goes there: a picture on the page of others would count as their try."""
    return request.headers.get("sec-fetch-dest", "document") == "document"


async def _may_try(request: Request) -> bool:
    """Each asks the provider something, which anybody could have us do as often as they like."""
    site, where = site_of(request.scope), door.address(request.scope)
    return await site.run(lambda: users.may_try_elsewhere(site.store, where, site.clock()))


def _barred(request: Request, name: str, to: str) -> Response:
    barred = _form(request, BARRED, HTTPStatus.TOO_MANY_REQUESTS, name, to)
    barred.headers["Retry-After"] = str(RETRY_SECONDS)
    return barred


def _form(request: Request, wrong: str, status: int, name: str, to: str) -> Response:
    language = rendering.language(request.headers.get("accept-language", ""))
    provider = openid.called(site_of(request.scope).settings.openid)
    facts = {"wrong": wrong, "name": name, "next": local(to), "provider": provider}
    html = rendering.render("sign_in.html", language, **facts)
    return HTMLResponse(html, status)


def _inside(site: Site, session: str, to: str) -> Response:
    answer = RedirectResponse(local(to), HTTPStatus.SEE_OTHER)
    return door.let_in(answer, session, site.settings.web)


def _of(site: Site) -> openid.Provider:
    """The one that the settings name. Raises `NotFound` where they name none."""
    settings = site.settings
    if not settings.openid.issuer:
        raise NotFound(marked("no sign-in provider is configured (openid.issuer)"))
    return openid.Provider(settings.openid, settings.web.public_url)


def local(path: str) -> str:
    """A path of this site; "/" for everything else, as `//elsewhere` or `/\\elsewhere`."""
    is_path = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_path and path.isprintable() and path.isascii() else "/"
