"""The page and the API on their socket, the answer page on its own: uvicorn in the daemon's loop.

On failure: an address that can never be listened on is a `ConfigurationError`; one that is taken is
waited for by the supervisor, because the page is a convenience and stops no mail; so is the first
user, without whom only loopback is listened on. Security: `X-Forwarded-*` of `web.trusted_proxies`
is believed, and of nobody else. Limits: on stop, streams end at once and other requests get
`GRACE_SECONDS`.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from gateway import reach
from gateway.errors import GatewayError
from gateway.sections import Answer, Web
from gateway.settings import Settings
from gateway.web import app
from gateway.web.feed import Feed

GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would take SIGTERM away from the daemon."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self.ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def listen(settings: Settings, *, is_anybody: bool = False) -> socket.socket:
    """A bound socket for `web.listen`. `is_anybody`: there is a user who may sign in, without whom
    only loopback is listened on. Raises as `bind` does.
    """
    address = settings.web.listen
    if not reach.is_loopback(address.rpartition(":")[0].strip("[]")) and not is_anybody:
        raise GatewayError(
            f"web.listen: {address} can be reached from other machines, and nobody may"
            " sign in yet; first: invite-gateway user create"
        )
    return reach.bind("web.listen", address)


async def serve(
    bound: socket.socket,
    feed: Feed,
    application: FastAPI,
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Answer requests on `bound` until `stop` is set. `ready` is set once connections are taken."""
    # The feed ends first of all: open streams end with it, and uvicorn has nothing to wait for.
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.run(stop))
        web = application.state.site.settings.web
        await _serve(bound, application, web, stop, ready)


async def serve_answers(
    bound: socket.socket, application: FastAPI, stop: asyncio.Event, ready: asyncio.Event
) -> None:
    """The same for the answer page, on which nothing is live."""
    section = application.state.site.settings.answer
    await _serve(bound, application, section, stop, ready)


async def _serve(
    bound: socket.socket,
    application: FastAPI,
    section: Web | Answer,
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    config = uvicorn.Config(
        app.Guard(application, section),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
        proxy_headers=bool(section.trusted_proxies),
        forwarded_allow_ips=list(section.trusted_proxies),
    )
    server = _Server(config, ready)
    async with asyncio.TaskGroup() as group:
        group.create_task(_told(server, stop))
        await server.serve(sockets=[bound])
        if not stop.is_set():
            raise RuntimeError("the web server ended by itself")


async def _told(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True
