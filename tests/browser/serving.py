"""The page on a socket, in the loop of whoever looks at it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

from gateway import reach
from gateway import settings as configuration
from gateway.health import Condition
from gateway.inbound.process import Processor
from gateway.sandbox import seed
from gateway.store.engine import Store
from gateway.web import answer_page, app, feed, serve
from gateway.web.api.site import Site

DEADLINE = 60.0


async def no_checks() -> list[Condition]:
    return []


@asynccontextmanager
async def serving(store: Store, **facts: Any) -> AsyncIterator[str]:
    """Its address, with a slash. `facts`: of the site, besides its settings: its clock."""
    overrides = {
        "web": {"listen": "127.0.0.1:0"},
        "mail": {"address": "invites@crm.example", "timezone": "Europe/Oslo"},
    }
    settings = configuration.load(overrides=overrides)
    site = Site(store, settings, judge=lambda: Processor(store, settings).again, **facts)
    live, bound = feed.Feed(store), serve.listen(site.settings)
    application = app.create(live, no_checks, list, site)
    async with _up(bound, partial(serve.serve, bound, live, application)) as url:
        yield url


@asynccontextmanager
async def answering(store: Store, clock: Callable[[], datetime]) -> AsyncIterator[str]:
    """The same of the answer page."""
    bound = reach.bind("answer.listen", "127.0.0.1:0")
    listen = f"127.0.0.1:{bound.getsockname()[1]}"
    answer = {"listen": listen, "public_url": f"http://{listen}", "tries_per_minute": 1000}
    mail = {"address": "invites@crm.example", "name": seed.ORGANISATION}
    settings = configuration.load(overrides={"mail": mail, "answer": answer})
    application = answer_page.create(Site(store, settings, clock))
    async with _up(bound, partial(serve.serve_answers, bound, application)) as url:
        yield url


@asynccontextmanager
async def _up(
    bound: socket.socket, run: Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]
) -> AsyncIterator[str]:
    """While it answers. `run`: gets what ends it, and what it sets once it does."""
    stop, up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run(stop, up))
    async with asyncio.timeout(DEADLINE):
        await up.wait()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE):
            await running
