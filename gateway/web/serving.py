"""How pages and their files go over the wire: small, and not again while they are the same."""

from pathlib import Path
from typing import Any

import structlog
from anyio import BrokenResourceError, CancelScope
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from gateway.web import door
from gateway.web.api.gate import Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parent / "static"
WORTH_BYTES = 1_000
LEVEL = 6
FOR_PROGRAMS = ("/api", door.FEED)
"""Goes out as it is: an ETag names bytes (RFC 9110 §8.8.3), which programs compare."""


class Files(StaticFiles):
    """Style, script and icons. Browsers keep them, and ask whether they are still the same."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


class Compressed:
    """What browsers read, as small as they take it; a stream of events stays as it is."""

    def __init__(self, app: Any) -> None:
        self._plain = app
        self._small = GZipMiddleware(app, minimum_size=WORTH_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_read = scope["type"] == "http" and not scope["path"].startswith(FOR_PROGRAMS)
        await (self._small if is_read else self._plain)(scope, receive, send)


class Departures:
    """A reader who leaves while an event is on its way is no failure: FastAPI closes a stream
    before it stops what fills it, which then complains (`fastapi.sse`).
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except* BrokenResourceError:
            log.debug("a reader of events has left", path=scope["path"])


class Heads:
    """HEAD wherever there is GET (RFC 9110 §9.3.2): its headers alone. A stream ends there, too.
    Where GET signs somebody in there is none: programs that look at links would use them up.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_asked or scope["path"] in door.SIGNS_IN or scope["path"].startswith(door.STATIC):
            await self._app(scope, receive, send)
            return
        with CancelScope() as rest:

            async def headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                    await send({"type": "http.response.body", "body": b""})
                    rest.cancel()

            await self._app({**scope, "method": "GET"}, receive, headers)
