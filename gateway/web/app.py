"""Routes of the page and the API.

Standards: HTTP (RFC 9110), problem details (RFC 9457), server-sent events (WHATWG HTML §9.2), CSP
level 3. On failure: an unreachable store answers 503 as a problem; the process itself stays healthy
(`/healthz`) and says so (`/readyz`). Security: there is no sign-in yet, so `serve` refuses to
listen beyond loopback, and a request must name a loopback host: a foreign page that points its own
name at 127.0.0.1 (DNS rebinding) gets 421. Nothing here changes anything; only GET and HEAD are
known. No inline code, no resource from elsewhere, no caching of what people answered. Limits:
`PAGE_FOLLOW_UPS` cards on the page, `feed.MAX_STREAMS` streams.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles

from gateway import __version__, health, settings
from gateway.health import Condition
from gateway.store import codec, journal
from gateway.web import feed as feeds
from gateway.web import page, problems
from gateway.web.api import table
from gateway.web.api.site import Site
from gateway.web.feed import Feed

STATIC = Path(__file__).parent / "static"
PAGE_FOLLOW_UPS = 200
RETRY_MILLISECONDS = 2000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page is made of, read in one view of the store: at most so many follow-ups, and the
    newest journal number.
    """

    follow_ups: Sequence[page.FollowUp]
    newest: int


def create(
    feed: Feed,
    shown: Callable[[int], Shown],
    look: Callable[[], Awaitable[Sequence[Condition]]],
    troubles: Callable[[], Sequence[Condition]],
    site: Site,
) -> FastAPI:
    """The application. `shown` (given the most follow-ups wanted) reads the store, in a thread of
    its own. `look`: every check as it is now; `troubles`: what was wrong at the last look.
    """
    app = FastAPI(
        title="invite-gateway",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _page(app, shown, troubles)
    _health(app, look)
    _events(app, feed)
    table.install(app, site)
    return app


def _page(
    app: FastAPI, shown: Callable[[int], Shown], troubles: Callable[[], Sequence[Condition]]
) -> None:
    """The page, and the parts of it that are renewed by themselves."""

    @app.get("/", include_in_schema=False)
    async def whole() -> HTMLResponse:
        now = await asyncio.to_thread(shown, PAGE_FOLLOW_UPS)
        return HTMLResponse(page.whole(now.follow_ups, now.newest, troubles()))

    @app.get("/listing", include_in_schema=False)
    async def listing() -> HTMLResponse:
        now = await asyncio.to_thread(shown, PAGE_FOLLOW_UPS)
        return HTMLResponse(page.listing(now.follow_ups))

    @app.get("/troubles", include_in_schema=False)
    async def wrong() -> HTMLResponse:
        return HTMLResponse(page.troubles(troubles()))


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
        "/api/v1/events",
        response_class=EventSourceResponse,
        summary="The journal as it grows",
        dependencies=[Depends(free)],
    )
    async def events(
        last_event_id: Annotated[
            int | None, Header(ge=0, description="The number of the last entry that was seen.")
        ] = None,
        after: Annotated[
            int | None, Query(ge=0, description="The same, for a first connection.")
        ] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """Entries after the given number, else all, each with its number as event id; `reset` when
        the journal begins anew.
        """
        last = last_event_id if last_event_id is not None else after or 0
        yield ServerSentEvent(comment="journal", retry=RETRY_MILLISECONDS)
        async for entry in feed.entries(last):
            kind = "reset" if entry.event == feeds.RESET else "journal"
            yield ServerSentEvent(event=kind, id=str(entry.id), data=_entry(entry))


def _check(condition: Condition) -> dict[str, Any]:
    return {
        "name": condition.subject,
        "state": condition.state.value,
        "words": condition.words,
        "since": codec.moment(condition.since) if condition.since is not None else None,
    }


def _entry(entry: journal.Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": codec.moment(entry.at),
        "event": entry.event,
        "follow_up": entry.follow_up,
        "participant": entry.participant,
        "instance": codec.moment(entry.instance) or None,
        "before": entry.before,
        "after": entry.after,
        "by": entry.by,
        "channel": entry.channel,
        "detail": entry.detail,
    }


class Guard:
    """Outermost, around faults and streams too:
    only loopback host names come in, and the security headers go out.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

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
        if settings.is_loopback(_without_port(host)):
            await self.app(scope, receive, guarded)
        else:
            await problems.answer(
                HTTPStatus.MISDIRECTED_REQUEST, "this gateway answers to loopback names only"
            )(scope, receive, guarded)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
