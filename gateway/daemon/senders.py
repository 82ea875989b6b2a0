"""Further processes that send, where one has not enough of a processor (`outbound.processes`).

Each has a sender for each account, as this process has, and a share of the account's connections;
claims keep them out of each other's way, as they do on several machines. A pipe leads to each: a
word in it says that there are new letters, its end says that they shall stop, and it ends with this
process, however that dies. On failure: a process that ends unasked ends its role, which the
supervisor starts again after a growing wait and reports; what it had in hand is free again at once,
because a dead process of this machine is recognised by its number. One that is killed loses
nothing.
"""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import structlog

from gateway import accounts, errors, waiting
from gateway.daemon import logs
from gateway.errors import GatewayError
from gateway.outbound import worker
from gateway.settings import Settings
from gateway.store import leases, meta
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

NEWS = b"letters"
LOOK_SECONDS = 60.0
LEAVE_SECONDS = 2.0
"""So long a process that was told to stop at once may give back what it has in hand."""


class ProcessEnded(GatewayError):
    """A process of senders ended, and nobody had asked it to."""


async def keep(settings: Settings, planned: asyncio.Event, stop: asyncio.Event) -> None:
    """Run a process of senders until `stop`; `planned` tells of new letters.

    Raises `ProcessEnded` where it ends before.
    """
    context = multiprocessing.get_context("spawn")
    # Loaded settings are of a class that knows whence they came; another process cannot have that.
    plain = Settings.model_construct(**dict(settings))
    here, there = context.Pipe()
    child = context.Process(target=_serve, args=(plain, there), name="senders", daemon=True)
    await asyncio.to_thread(child.start)
    there.close()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(child.sentinel, ended.set)
    try:
        while not (stop.is_set() or ended.is_set()):
            await waiting.first(stop, ended, planned, seconds=LOOK_SECONDS)
            if planned.is_set():
                planned.clear()
                with suppress(BrokenPipeError):  # it has ended, which is seen at once
                    here.send_bytes(NEWS)
        here.close()
        await ended.wait()
    except asyncio.CancelledError:
        child.terminate()
        child.join(LEAVE_SECONDS)
        child.kill()
        raise
    finally:
        loop.remove_reader(child.sentinel)
        here.close()
    child.join()
    if not stop.is_set():
        raise ProcessEnded(f"a process of senders ended: exit status {child.exitcode}")


def _serve(settings: Settings, pipe: Connection) -> None:
    """What such a process does."""
    logs.configure(settings.log)
    # Ctrl-C reaches the whole group; the end of the pipe tells when it is time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = Store.configured(settings)
    try:
        asyncio.run(_send(settings, store, pipe))
    except BaseExceptionGroup as failures:
        said = errors.words(failures)
        log.error("senders failed", error=said, exc_info=None if said else failures)
        sys.exit(1)
    finally:
        store.close()


async def _send(settings: Settings, store: Store, pipe: Connection) -> None:
    names = list(accounts.configured(settings))
    stop, due = asyncio.Event(), {name: asyncio.Event() for name in names}
    loop = asyncio.get_running_loop()
    secret = meta.secret_of(store)
    loop.add_reader(pipe.fileno(), _listener(pipe, stop, list(due.values())))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                worker.Worker(store, settings, secret, leases.identity(), event, name).run(stop)
            )
            for name, event in due.items()
        ]

        def asked() -> None:
            """To stop; for the second time at once."""
            for task in tasks if stop.is_set() else ():
                task.cancel()
            stop.set()

        loop.add_signal_handler(signal.SIGTERM, asked)
        await stop.wait()


def _listener(
    pipe: Connection, stop: asyncio.Event, due: list[asyncio.Event]
) -> Callable[[], None]:
    def hear() -> None:
        try:
            pipe.recv_bytes()
        except (EOFError, OSError):  # the process that has started this one stops, or is gone
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            stop.set()
            return
        for event in due:
            event.set()

    return hear
