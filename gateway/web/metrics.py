"""`/metrics`: the numbers of this process, of its store and of the other processes on it, for
Prometheus.

On failure: while the store is away the numbers of the process are told all the same, with
`store_up` 0. Security: numbers, names of accounts and roles, no word about a person; and answered
to `web.metrics_from` alone. Limits: one look at a time, and a new one after `FRESH_SECONDS`, so
that nobody keeps the store busy with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from gateway import __version__, metrics
from gateway.actions import measuring
from gateway.errors import StoreError
from gateway.health import Board, Condition, State, Vitals
from gateway.metrics import Family, Sample
from gateway.web.api.site import Site
from gateway.web.problems import HttpProblem

FRESH_SECONDS = 2.0


class Watch:
    """What was told last, and the counters behind it."""

    def __init__(self, site: Site, troubles: Callable[[], Sequence[Condition]]) -> None:
        self._site, self._troubles = site, troubles
        self._tally = measuring.Tally()
        self._looking = asyncio.Lock()
        self._fresh_until = 0.0
        self._text = ""

    async def text(self) -> str:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now >= self._fresh_until:
                self._text = metrics.text(await self._look())
                self._fresh_until = now + FRESH_SECONDS
            return self._text

    async def _look(self) -> list[Family]:
        try:
            of_store, others = await self._site.run(self._ask_store)
        except StoreError:
            of_store, others = [], {}
        up = Sample(float(bool(of_store)))
        return [
            *_processes(self._site.board, others),
            Family("trouble", "gauge", "What /readyz says is wrong.", _wrong(self._troubles())),
            Family("store_up", "gauge", "Whether the store can be read.", [up]),
            *of_store,
        ]

    def _ask_store(self) -> tuple[list[Family], dict[str, Vitals]]:
        site, now = self._site, self._site.clock()
        families = measuring.look(site.store, site.settings, self._tally, now)
        return families, measuring.elsewhere(site.store, site.gateway, now)


def install(app: FastAPI, site: Site, troubles: Callable[[], Sequence[Condition]]) -> None:
    watch = Watch(site, troubles)

    @app.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
    async def numbers(request: Request) -> Response:
        if not _may_read(request, site.settings.web.metrics_from):
            raise HttpProblem(
                HTTPStatus.FORBIDDEN, "your address is not in web.metrics_from of this gateway"
            )
        return Response(await watch.text(), media_type=metrics.CONTENT_TYPE)


def _may_read(request: Request, networks: Iterable[str]) -> bool:
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ip_network(network) for network in networks)


def _processes(board: Board, others: Mapping[str, Vitals]) -> Iterable[Family]:
    """What this process measures of itself, and what the others of this store last did, by their
    label `gateway`.
    """
    of: list[tuple[dict[str, str], Vitals]] = [({}, board.vitals())]
    of += [({"gateway": gateway}, measured) for gateway, measured in others.items()]

    def told(label: str, look: Callable[[Vitals], Mapping[str, float | datetime]]) -> list[Sample]:
        return [
            Sample(_number(value), {label: name} | whose)
            for whose, measured in of
            for name, value in look(measured).items()
        ]

    about = Sample(1, {"version": __version__})
    yield Family("info", "gauge", "The program that answers.", [about])
    yield Family(
        "start_time_seconds",
        "gauge",
        "When this process began (Unix time).",
        [Sample(board.began.timestamp())],
    )
    yield Family(
        "role_stops_total",
        "counter",
        "How often a part of a process ended unasked and was started again.",
        told("role", lambda measured: measured.stops),
    )
    yield Family(
        "mailbox_look_time_seconds",
        "gauge",
        "When a process looked at its mailbox last (Unix time).",
        told("account", lambda measured: measured.looks),
    )
    yield Family(
        "certificate_end_time_seconds",
        "gauge",
        "When the certificate of a mail server ends (Unix time).",
        told("server", lambda measured: measured.certificates),
    )


def _number(value: float | datetime) -> float:
    """A moment as Unix time."""
    return value.timestamp() if isinstance(value, datetime) else value


def _wrong(troubles: Iterable[Condition]) -> list[Sample]:
    """Each subject once, with the worst that is said of it."""
    states: dict[str, State] = {}
    for trouble in troubles:
        if states.get(trouble.subject) is not State.FAILED:
            states[trouble.subject] = trouble.state
    return [
        Sample(1, {"subject": subject, "state": state.value}) for subject, state in states.items()
    ]
