"""The page on a socket, in the loop of whoever looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway import settings as configuration
from gateway.health import Condition
from gateway.inbound.process import Processor
from gateway.store.engine import Store
from gateway.web import app, feed, serve
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
    live = feed.Feed(store)
    bound = serve.listen(site.settings)
    stop, up = asyncio.Event(), asyncio.Event()
    application = app.create(live, no_checks, list, site)
    running = asyncio.create_task(serve.serve(bound, live, application, stop, up))
    async with asyncio.timeout(DEADLINE):
        await up.wait()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE):
            await running
