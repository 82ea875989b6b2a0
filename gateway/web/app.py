"""Routes of the page and the API.

Standards: HTTP (RFC 9110), problem details (RFC 9457), server-sent events (WHATWG HTML §9.2), CSP
level 3. On failure: an unreachable store answers 503 as a problem; the process itself stays healthy
(`/healthz`) and says so (`/readyz`). Security: the page stands behind `door`, the API behind
`api.gate`; and a request must name a host of ours: a foreign page that points its own name at
127.0.0.1 (DNS rebinding) gets 421. No inline code, no resource from elsewhere, no caching of what
people answered. Limits: `feed.MAX_STREAMS` streams.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway import __version__, health, reach, sections, shapes
from gateway.actions import histories
from gateway.errors import StoreError
from gateway.health import Condition
from gateway.model import Actor
from gateway.store import codec, journal
from gateway.web import diary_feed, metrics, problems, serving, sign_in
from gateway.web import feed as feeds
from gateway.web.api import table
from gateway.web.api.routes import Route
from gateway.web.api.site import PREFIX, Site
from gateway.web.feed import Feed
from gateway.web.pages import table as pages

RETRY_MILLISECONDS = 2000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create(
    feed: Feed,
    look: Callable[[], Awaitable[Sequence[Condition]]],
    troubles: Callable[[], Sequence[Condition]],
    site: Site,
) -> FastAPI:
    """The application. `look`: every check as it is now; `troubles`: what was wrong at the last
    look.
    """
    app = FastAPI(
        title="invite-gateway",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    app.mount("/static", serving.Files(), name="static")
    sign_in.install(app)
    diary_feed.install(app)
    _health(app, look)
    metrics.install(app, site, troubles)
    _events(app, feed)
    site.feed = site.feed or feed
    pages.install(app, troubles)
    table.install(app, site)
    app.add_middleware(serving.Departures)
    app.add_middleware(serving.Compressed)
    app.add_middleware(serving.Heads)
    return app


def _health(app: FastAPI, look: Callable[[], Awaitable[Sequence[Condition]]]) -> None:
    """What monitoring asks."""

    @app.get("/healthz", summary="The process is alive")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        summary="The store and what hangs on it can be used",
        responses={503: {"description": "Not ready"}},
    )
    async def ready() -> JSONResponse:
        conditions = await look()
        state = health.worst(conditions)
        checks = [_check(condition) for condition in conditions]
        failed = state is health.State.FAILED
        return JSONResponse(
            {"status": state.value, "checks": checks},
            HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK,
        )


def _events(app: FastAPI, feed: Feed) -> None:
    """The stream of the journal."""

    def free() -> None:
        if feed.full:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too many event streams are open",
                {"Retry-After": "10"},
            )

    @app.get(
        "/news",
        response_class=EventSourceResponse,
        include_in_schema=False,
        dependencies=[Depends(free)],
    )
    async def news(
        last_event_id: Annotated[int | None, Header(ge=0)] = None,
        after: Annotated[int | None, Query(ge=0)] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """For the page: that something happened, and how far the journal has come. What it was the
        page reads as the signed-in user may see it.
        """
        last = last_event_id if last_event_id is not None else after or 0
        yield ServerSentEvent(comment="journal", retry=RETRY_MILLISECONDS)
        async for entry in feed.entries(last):
            kind = "reset" if entry.event == feeds.RESET else "journal"
            yield ServerSentEvent(event=kind, id=str(entry.id), data=entry.id)

    router = APIRouter(route_class=Route)

    @router.get(
        f"{PREFIX}/events",
        response_class=EventSourceResponse,
        summary="The journal as it grows",
        dependencies=[Depends(free)],
    )
    async def events(
        request: Request,
        last_event_id: Annotated[
            int | None, Header(ge=0, description="The number of the last entry that was seen.")
        ] = None,
        after: Annotated[
            int | None, Query(ge=0, description="The same, for a first connection.")
        ] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """Entries after the given number, else all, as far as the actor sees what they are about,
        each with its number as event id; `reset` when the journal begins anew.
        """
        last = last_event_id if last_event_id is not None else after or 0
        yield ServerSentEvent(comment="journal", retry=RETRY_MILLISECONDS)
        async for event in _shown(feed, last, request.app.state.site, request.state.caller.actor):
            yield event

    app.include_router(router)


async def _shown(feed: Feed, last: int, site: Site, actor: Actor) -> AsyncIterator[ServerSentEvent]:
    """The entries that an actor sees, as events."""
    async for batch in feed.batches(last):
        if batch[0].event == feeds.RESET:
            yield ServerSentEvent(event="reset", id=str(batch[0].id), data={"event": "reset"})
            continue
        try:
            shown = await site.run(lambda: _seen(site, actor, batch))  # noqa: B023 - awaited
        except StoreError:
            return  # the reader comes back, and goes on where they were
        for entry in shown:
            yield ServerSentEvent(event="journal", id=str(entry.id), data=shapes.entry(entry))


def _seen(site: Site, actor: Actor, batch: Sequence[journal.Entry]) -> list[shapes.Entry]:
    with site.store.read() as connection:
        return histories.of(connection, actor, batch)


def _check(condition: Condition) -> dict[str, Any]:
    return {
        "name": condition.subject,
        "state": condition.state.value,
        "words": condition.words,
        "since": codec.moment(condition.since) if condition.since is not None else None,
    }


class Guard:
    """Outermost, around faults and streams too: only names of ours come in, and the security
    headers go out. Ours are those of this machine's loopback, and what the settings of the listener
    say: `listen` and `public_url`.
    """

    def __init__(self, app: Any, web: sections.Web | sections.Answer) -> None:
        self.app = app
        self.ours = {_without_port(web.listen), urlsplit(web.public_url).netloc.lower()}
        self.ours |= {_without_port(name) for name in self.ours}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.lower().encode() not in present
                    ),
                ]
            await send(message)

        host = next(
            (value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), ""
        )
        if self._is_ours(host.lower()):
            await self.app(scope, receive, guarded)
        else:
            await problems.ProblemDetails(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this gateway does not go by that name (public_url)",
            )(scope, receive, guarded)

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host)
        return reach.is_loopback(name) or bool(name and {host, name} & self.ours)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
