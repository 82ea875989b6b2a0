"""Work by the clock: what has to be done every so often, whatever else goes on.

The scheduler is a clock and nothing more: it keeps nothing, and a tick that was missed because the
process slept, was stopped or was busy is made up for by the next one, once. What a tick does must
therefore depend on the store, never on the tick.

On failure: a job that raises is logged and ticks again after `AGAIN_SECONDS`, or at its next time
where that comes first.
Limits: one run of a job at a time in this process; between processes the store's leases decide.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway import errors, health

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 15.0
"""A job that failed because the store was away for a moment is not in trouble for an hour."""


@dataclass(frozen=True, slots=True)
class Job:
    """`work` is done at the start and then every `seconds`."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[None]]


async def run(jobs: Sequence[Job], stop: asyncio.Event, board: health.Board | None = None) -> None:
    """Let the jobs tick until `stop` is set; returns when the ticks under way have ended. `board`:
    told of jobs whose last run failed.
    """
    own_board = board or health.Board()
    # Without misfire_grace_time=None, APScheduler 3 skips a tick after the loop was held up for
    # more than a second.
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    ticks = [_Tick(job, stop, own_board, scheduler) for job in jobs]
    for tick in ticks:
        scheduler.add_job(
            tick.run,
            "interval",
            seconds=tick.job.seconds,
            id=tick.job.name,
            name=tick.job.name,
            next_run_time=datetime.now(UTC),
        )
    scheduler.start()
    try:
        await stop.wait()
        # shutdown() cancels what is running (whatever `wait` says), so it comes after the last
        # tick.
        for tick in ticks:
            async with tick.under_way:
                pass
    finally:
        scheduler.shutdown(wait=False)


class _Tick:
    """A job with the lock that is held while it runs."""

    def __init__(
        self, job: Job, stop: asyncio.Event, board: health.Board, scheduler: AsyncIOScheduler
    ) -> None:
        self.job = job
        self.stop = stop
        self.board = board
        self.failing_since: datetime | None = None
        self.scheduler = scheduler
        self.under_way = asyncio.Lock()

    async def run(self) -> None:
        if self.stop.is_set():
            return
        async with self.under_way:
            try:
                await self.job.work()
            except Exception as error:
                said = errors.words(error)
                if said:
                    log.error("job stopped", job=self.job.name, error=said)
                else:
                    log.exception("job failed", job=self.job.name)
                self.failing_since = self.failing_since or datetime.now(UTC)
                why = said or str(error) or type(error).__name__
                self.board.report(health.job(self.job.name, self.failing_since, why))
                soon = timedelta(seconds=min(AGAIN_SECONDS, self.job.seconds))
                self.scheduler.modify_job(self.job.name, next_run_time=datetime.now(UTC) + soon)
            else:
                self.failing_since = None
                self.board.clear(f"job {self.job.name}")
