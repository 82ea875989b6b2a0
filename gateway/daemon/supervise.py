"""Roles side by side in one process, until somebody asks them to stop.

A role is a coroutine that runs until the event it is given is set, and then puts down its work and
returns. One that raises, or that returns before it was asked to, is logged and started again after
a growing wait; the others go on. Nothing here is fire-and-forget: all roles live in one TaskGroup,
and `supervise` returns after the last of them.

On failure: a `ConfigurationError` of a role's first start ends everything and is raised, for
starting again cannot help; everything else is tried again for ever. An error of ours (the store is
full, a port is taken) is one line; any other is a fault of this program and keeps its traceback.
SIGTERM and SIGINT ask for the stop; a second one ends the grace. Limits: a role that does not
return within the grace is cancelled, which every role must survive without losing work.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from gateway import errors, health
from gateway.daemon import systemd
from gateway.errors import ConfigurationError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Role:
    """One thing that goes on for as long as the daemon runs.

    `run`: gets the stop event; returns soon after it is set. `ready`: set by the role once it
    serves, and here once it has failed, for nobody shall wait for it then; None: from its start.
    """

    name: str
    run: Callable[[asyncio.Event], Coroutine[Any, Any, None]]
    ready: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds. Between a role's failure and its next start: `first`, doubling up to `longest`. A
    role that ran for `steady` before it failed begins at `first` again. `grace`: how long roles may
    take to return.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0
    grace: float = 20.0

    def wait(self, failures: int) -> float:
        """The wait after so many failures in a row (1 or more)."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30))


WAITS = Waits()
"""Of the daemon's roles."""


async def supervise(
    roles: Sequence[Role],
    stop: asyncio.Event,
    *,
    waits: Waits = WAITS,
    hurry: asyncio.Event | None = None,
    board: health.Board | None = None,
    status: Callable[[], str] | None = None,
) -> None:
    """Run `roles` until `stop` is set and the last of them has returned, at most the grace later
    (or at `hurry`). `board`: told of roles that stop unasked; `status`: what systemd is told
    once all serve.

    Raises the `ConfigurationError` with which a role refused its first start.
    """
    refused: list[ConfigurationError] = []
    own_board = board or health.Board()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_keep(role, stop, waits, refused, own_board), name=role.name)
            for role in roles
        ]
        group.create_task(_announce(roles, stop, status), name="announce")
        group.create_task(systemd.keep_alive(stop), name="watchdog")
        group.create_task(_end(tasks, stop, waits.grace, hurry or asyncio.Event()), name="end")
    if refused:
        raise refused[0]


def running(roles: Sequence[Role]) -> str:
    """What systemd is told where nothing is wrong."""
    return f"running: {', '.join(role.name for role in roles)}"


@contextmanager
def signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """Inside, SIGTERM and SIGINT set `stop`; another one sets `hurry`."""
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        log.info("stopping" if not stop.is_set() else "stopping at once", signal=number.name)
        (hurry if stop.is_set() else stop).set()

    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


async def _keep(
    role: Role,
    stop: asyncio.Event,
    waits: Waits,
    refused: list[ConfigurationError],
    board: health.Board,
) -> None:
    loop = asyncio.get_running_loop()
    clock, subject = loop.time, f"role {role.name}"
    failures = starts = 0
    since = datetime.now(UTC)
    board.stops[role.name] += 0  # told from the start: what begins with 3 has not risen
    while not stop.is_set():
        began, starts = clock(), starts + 1
        error: BaseException | None = None
        steady = loop.call_later(waits.steady, board.clear, subject)
        try:
            await role.run(stop)
            if stop.is_set():
                return
        # uvicorn leaves a failed start by SystemExit, which would take the whole process along.
        except (Exception, SystemExit) as failure:
            error = failure
        finally:
            steady.cancel()
        if isinstance(error, ConfigurationError) and starts == 1:
            refused.append(error)
            stop.set()
            return
        failures = 1 if clock() - began >= waits.steady else failures + 1
        wait, now = waits.wait(failures), datetime.now(UTC)
        _tell(role, error, failures, wait)
        if role.ready is not None:
            role.ready.set()
        if not stop.is_set():
            board.stops[role.name] += 1
            since = now if failures == 1 else since
            again = now + timedelta(seconds=wait)
            board.report(health.role(role.name, since, failures, _why(error), again))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)


def _tell(role: Role, error: BaseException | None, failures: int, wait: float) -> None:
    """One line about a role that ended, and when it starts again."""
    then = {"failures": failures, "starts_again_in_seconds": wait}
    if error is None:
        log.error("role ended unasked", role=role.name, **then)
    elif said := errors.words(error):
        log.error("role stopped", role=role.name, error=said, **then)
    else:
        log.error("role failed", role=role.name, exc_info=error, **then)


async def _announce(
    roles: Sequence[Role], stop: asyncio.Event, status: Callable[[], str] | None
) -> None:
    """Tell systemd when all roles serve, and when they end."""
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    served: asyncio.Future[Any] = asyncio.ensure_future(_served(roles))
    try:
        await asyncio.wait([stopped, served], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            log.info("ready", roles=", ".join(role.name for role in roles))
            systemd.ready(status() if status is not None else running(roles))
        await stopped
        systemd.stopping()
    finally:
        stopped.cancel()
        served.cancel()


def _why(error: BaseException | None) -> str:
    """What ended a role, in one line; of several that are none of ours the first."""
    if error is None:
        return "it ended"
    if said := errors.words(error):
        return said
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


async def _end(
    tasks: Sequence[asyncio.Task[None]], stop: asyncio.Event, grace: float, hurry: asyncio.Event
) -> None:
    """After `stop`: wait for the roles, then cancel those that did not return."""
    await stop.wait()
    hurried: asyncio.Future[Any] = asyncio.ensure_future(hurry.wait())
    everyone: asyncio.Future[Any] = asyncio.ensure_future(_ended(tasks))
    try:
        await asyncio.wait([everyone, hurried], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurried.cancel()
        everyone.cancel()
    for task in tasks:
        if not task.done():
            log.warning("role did not stop in time", role=task.get_name())
            task.cancel()


async def _served(roles: Iterable[Role]) -> None:
    for role in roles:
        if role.ready is not None:
            await role.ready.wait()


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        await asyncio.wait(
            [task]
        )  # unlike `await task`, leaves it alone when this wait is given up
