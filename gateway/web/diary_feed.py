"""Somebody's diary for calendar programs, by a secret link, without sign-in.

Standards: iCalendar (RFC 5545), conditional requests (RFC 9110 §13.1.2). Security: the address is
all there is to know, 256 random bits; the store keeps their SHA-256. What lets nobody in (unknown,
renewed, revoked, no link at all) is answered with the same bytes. It shows what its owner sees.
Nothing is written but, once an hour, that it was asked for.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Header, Request
from fastapi.responses import Response

from gateway.actions import diary_feeds, users
from gateway.actions.diary_feeds import Feed
from gateway.settings import Settings
from gateway.web import door, keys
from gateway.web.api.gate import site_of

SUFFIX = ".ics"
HEADERS = {"Cache-Control": "private, no-cache"}


def install(app: FastAPI) -> None:
    """The route, which stands outside of the door."""

    @app.get(door.FEED + "{secret:path}", include_in_schema=False)
    async def feed(
        request: Request, secret: str, if_none_match: Annotated[str, Header()] = ""
    ) -> Response:
        site = site_of(request.scope)
        start = users.site(site.settings)

        def work() -> Feed | None:
            return diary_feeds.read(
                site.store,
                site.settings,
                secret.removesuffix(SUFFIX),
                site.clock(),
                lambda key: start + keys.path("follow-ups", key),
            )

        shown = await site.run(work)
        if shown is None:
            return Response("Not found\n", HTTPStatus.NOT_FOUND, HEADERS, "text/plain")
        headers = HEADERS | {"ETag": f'"{shown.tag}"'}
        if headers["ETag"] in if_none_match:  # weak or strong: RFC 9110 §13.1.2
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        written = await site.run(shown.calendar)
        kind = "text/calendar; charset=utf-8; method=PUBLISH"
        return Response(written, headers=headers, media_type=kind)


def address(settings: Settings, secret: str) -> str:
    """Where such a link leads."""
    return f"{users.site(settings)}{door.FEED}{secret}{SUFFIX}"
