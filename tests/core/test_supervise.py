"""Roles side by side: none dies in silence, one's failure is not another's, and the end comes when
it is asked for.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from gateway.daemon import supervise
from gateway.daemon.supervise import Role, Waits
from gateway.errors import ConfigurationError, StoreError, words
from gateway.health import Board

DEADLINE = 60.0
AT_ONCE = Waits(first=0.0, longest=0.0)


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def within(work: Awaitable[object]) -> None:
    async with asyncio.timeout(DEADLINE):
        await work


def failing(
    error: BaseException | None, times: int, then: asyncio.Event
) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """A role that ends badly so many times (None: it just returns), and then sets `then` and
    works.
    """
    starts = 0

    async def run(stop: asyncio.Event) -> None:
        nonlocal starts
        starts += 1
        if starts <= times:
            if error is not None:
                raise error
            return
        then.set()
        await stop.wait()

    return run


@pytest.mark.parametrize(
    "error", [OSError("refused"), SystemExit(1), None], ids=["error", "exit", "return"]
)
async def test_a_role_that_ends_is_started_again_and_the_others_go_on(
    error: BaseException | None, stop: asyncio.Event
) -> None:
    again, starts_of_other, board = asyncio.Event(), 0, Board()

    async def other(asked: asyncio.Event) -> None:
        nonlocal starts_of_other
        starts_of_other += 1
        await asked.wait()

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                supervise.supervise(
                    [Role("bad", failing(error, 3, again)), Role("good", other)],
                    stop,
                    waits=AT_ONCE,
                    board=board,
                )
            )
            await again.wait()
            stop.set()

    await within(story())
    assert starts_of_other == 1
    assert board.stops == {"bad": 3, "good": 0}
    assert set(board.stops) == {"bad", "good"}, "told before it happens, or no rise is seen"


async def test_a_failure_is_told(stop: asyncio.Event, capfd: pytest.CaptureFixture[str]) -> None:
    again = asyncio.Event()

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                supervise.supervise(
                    [Role("inbound", failing(OSError("line cut"), 1, again))], stop, waits=AT_ONCE
                )
            )
            await again.wait()
            stop.set()

    await within(story())
    told = "".join(capfd.readouterr())
    assert "role failed" in told
    assert "inbound" in told
    assert "line cut" in told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreError("store x: database is locked"), "store x: database is locked"),
        (
            ExceptionGroup(
                "a role",
                [
                    StoreError("store x: full"),
                    ExceptionGroup("in it", [StoreError("store x: full"), StoreError("gone")]),
                ],
            ),
            "store x: full; gone",
        ),
        (StoreError(), "StoreError"),
        (ExceptionGroup("a role", [StoreError("store x: full"), OSError("refused")]), ""),
        (OSError("refused"), ""),
    ],
    ids=["ours", "ours in groups", "ours without words", "also another", "another"],
)
async def test_an_error_of_ours_is_one_line_and_any_other_keeps_its_traceback(
    error: Exception, said: str, stop: asyncio.Event, capfd: pytest.CaptureFixture[str]
) -> None:
    assert words(error) == said
    again = asyncio.Event()

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                supervise.supervise(
                    [Role("inbound", failing(error, 1, again))], stop, waits=AT_ONCE
                )
            )
            await again.wait()
            stop.set()

    await within(story())
    (line,) = [
        one for one in "".join(capfd.readouterr()).splitlines() if "starts_again_in_seconds" in one
    ]
    if said:
        assert "role stopped" in line
        assert said in line
    assert ("role failed" in line) is (not said)


async def test_nobody_waits_for_a_role_that_failed(stop: asyncio.Event) -> None:
    """A page whose port is taken does not keep the others from being ready."""
    failed = asyncio.Event()

    async def refuse(_: asyncio.Event) -> None:
        failed.set()
        raise StoreError("store x: database is locked")

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            ready = asyncio.Event()
            group.create_task(
                supervise.supervise([Role("web", refuse, ready)], stop, waits=Waits(1000.0, 1000.0))
            )
            await failed.wait()
            await ready.wait()
            stop.set()

    await within(story())


async def test_a_wrong_configuration_ends_everything(stop: asyncio.Event) -> None:
    async def refuse(_: asyncio.Event) -> None:
        raise ConfigurationError("smtp.password_file: cannot be read")

    async def work(asked: asyncio.Event) -> None:
        await asked.wait()

    with pytest.raises(ConfigurationError, match=r"smtp\.password_file"):
        await within(supervise.supervise([Role("outbound", refuse), Role("web", work)], stop))


async def test_a_configuration_that_becomes_unreadable_later_is_waited_for(
    stop: asyncio.Event,
) -> None:
    starts, recovered = 0, asyncio.Event()

    async def run(asked: asyncio.Event) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise OSError("connection lost")
        if starts == 2:
            raise ConfigurationError("imap.password_file: cannot be read")
        recovered.set()
        await asked.wait()

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervise.supervise([Role("inbound", run)], stop, waits=AT_ONCE))
            await recovered.wait()
            stop.set()

    await within(story())


async def test_the_stop_waits_for_work_under_way(stop: asyncio.Event) -> None:
    begun, asked_to_stop, finish, finished = (
        asyncio.Event(),
        asyncio.Event(),
        asyncio.Event(),
        False,
    )

    async def run(asked: asyncio.Event) -> None:
        nonlocal finished
        begun.set()
        await asked.wait()
        asked_to_stop.set()
        await finish.wait()
        finished = True

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervise.supervise([Role("outbound", run)], stop))
            await begun.wait()
            stop.set()
            await asked_to_stop.wait()
            finish.set()

    await within(story())
    assert finished


@pytest.mark.parametrize("hurried", [False, True], ids=["grace over", "hurried"])
async def test_who_does_not_stop_is_cancelled(hurried: bool, stop: asyncio.Event) -> None:
    cancelled, begun, hurry = False, asyncio.Event(), asyncio.Event()

    async def run(_: asyncio.Event) -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                supervise.supervise(
                    [Role("stuck", run)],
                    stop,
                    hurry=hurry,
                    waits=Waits(grace=DEADLINE * 10 if hurried else 0.01),
                )
            )
            await begun.wait()
            stop.set()
            if hurried:
                hurry.set()

    await within(story())
    assert cancelled


async def test_the_stop_ends_a_wait_for_the_next_start(stop: asyncio.Event) -> None:
    failed = asyncio.Event()

    async def run(_: asyncio.Event) -> None:
        failed.set()
        raise OSError("refused")

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                supervise.supervise(
                    [Role("web", run)], stop, waits=Waits(first=1000.0, longest=1000.0)
                )
            )
            await failed.wait()
            stop.set()

    await within(story())


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = Waits(first=1.0, longest=60.0)
    assert [waits.wait(failures) for failures in (1, 2, 3, 6, 7, 8, 10_000)] == [
        1,
        2,
        4,
        32,
        60,
        60,
        60,
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_ask_for_the_stop_and_then_for_haste(
    number: signal.Signals, stop: asyncio.Event
) -> None:
    hurry = asyncio.Event()
    with supervise.signals(stop, hurry):
        os.kill(os.getpid(), number)
        await within(stop.wait())
        assert not hurry.is_set()
        os.kill(os.getpid(), number)
        await within(hurry.wait())
