"""The clock: jobs tick at once and again, a failing one goes on, and the stop waits for a tick
under way.
"""

import asyncio

import pytest

from gateway import health
from gateway.daemon import jobs

DEADLINE = 60.0


async def test_a_job_ticks_at_once_and_again() -> None:
    stop, ticks, thrice = asyncio.Event(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            thrice.set()

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(jobs.run([jobs.Job("count", 0.01, work)], stop))
        await thrice.wait()
        stop.set()


async def test_a_failing_job_is_told_and_ticks_again(capfd: pytest.CaptureFixture[str]) -> None:
    stop, ticks, again = asyncio.Event(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            raise OSError("disk full")
        again.set()

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(jobs.run([jobs.Job("sweep", 0.01, work)], stop))
        await again.wait()
        stop.set()
    told = "".join(capfd.readouterr())
    assert "job failed" in told
    assert "sweep" in told
    assert "disk full" in told


async def test_a_job_of_every_hour_that_failed_is_not_waited_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "AGAIN_SECONDS", 0.01)
    stop, again, board = asyncio.Event(), asyncio.Event(), health.Board()
    ticks = 0

    async def work() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 1:
            raise OSError("disk full")
        again.set()

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(jobs.run([jobs.Job("tidy", 3600.0, work)], stop, board))
        await again.wait()
        stop.set()
    assert board.conditions() == []


async def test_the_stop_waits_for_the_tick_under_way_and_begins_no_other() -> None:
    stop, begun, finish, ended = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    async def slow() -> None:
        begun.set()
        await finish.wait()
        ended.append("slow")

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        running = group.create_task(jobs.run([jobs.Job("slow", 0.001, slow)], stop))
        await begun.wait()
        stop.set()
        done, _ = await asyncio.wait([running], timeout=0.05)
        assert not done
        finish.set()
    assert ended == ["slow"]
