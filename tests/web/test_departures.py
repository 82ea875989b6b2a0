"""Who reads events may leave at any moment (`serving.Departures`)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.web import serving


async def test_who_leaves_while_an_event_is_on_its_way_makes_no_error() -> None:
    app, begun = FastAPI(), asyncio.Event()

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        while True:
            yield ServerSentEvent(data=1)

    async def receive() -> dict[str, Any]:
        await begun.wait()
        for _ in range(100):  # meanwhile more events come than anybody takes
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            begun.set()
            await asyncio.Event().wait()

    app.add_middleware(serving.Departures)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
    }
    async with asyncio.timeout(60):
        await app(scope, receive, send)
    assert begun.is_set()
