"""Further processes that send, where one has not enough of a processor (`outbound.processes`).

Each has a sender for each account, as this process has, and a share of the account's connections;
claims keep them out of each other's way, as they do on several machines. A pipe leads to each: a
word in it says that there are new letters, its end says that they shall stop, and it ends with this
process, however that dies. What comes back says that the process goes on, and when the certificates
end that servers showed it. On failure: a process that ends unasked ends its role, which the
supervisor starts again after a growing wait and reports; what it had in hand is free again at once,
because a dead process of this machine is recognised by its number. One that says nothing for a
minute hangs, and is killed. One that is killed loses nothing.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from gateway import accounts, errors, metrics, waiting
from gateway.daemon import logs
from gateway.errors import GatewayError
from gateway.outbound import worker
from gateway.settings import Settings
from gateway.store import leases, meta
from gateway.store.engine import Store

log = structlog.get_logger(__name__)

NEWS = b"letters"
BEAT_SECONDS = 2.0
BEATS_MISSED = 30
"""So many looks in a row at which nothing had come. Looks are counted, not seconds: after both
processes stood still none of them hangs.
"""
LEAVE_SECONDS = 2.0
"""So long a process that was told to stop at once may give back what it has in hand."""


class ProcessEnded(GatewayError):
    """A process of senders ended, and nobody had asked it to."""


async def keep(settings: Settings, planned: asyncio.Event, stop: asyncio.Event) -> None:
    """Run a process of senders until `stop`; `planned` tells of new letters.

    Raises `ProcessEnded` where it ends before.
    """
    child, here = await asyncio.to_thread(_started, settings)
    loop = asyncio.get_running_loop()
    ended, hangs, heard = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop.add_reader(child.sentinel, ended.set)
    loop.add_reader(here.fileno(), _hearer(here, heard))
    watching = asyncio.create_task(_watch(heard, hangs))
    try:
        while not (stop.is_set() or ended.is_set() or hangs.is_set()):
            await waiting.first(stop, ended, hangs, planned, seconds=BEAT_SECONDS)
            if planned.is_set():
                planned.clear()
                # It has ended, which is seen at once; or it hangs, and has news enough.
                with suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
                    here.send_bytes(NEWS)
        if hangs.is_set():
            child.kill()
        _close(here)
        await ended.wait()
    except asyncio.CancelledError:
        child.terminate()
        child.join(LEAVE_SECONDS)
        child.kill()
        raise
    finally:
        watching.cancel()
        loop.remove_reader(child.sentinel)
        _close(here)
    child.join()
    if hangs.is_set():
        seconds = BEATS_MISSED * BEAT_SECONDS
        raise ProcessEnded(f"a process of senders hung: it said nothing for {seconds:g} s")
    if not stop.is_set():
        raise ProcessEnded(f"a process of senders ended: exit status {child.exitcode}")


def _started(settings: Settings) -> tuple[SpawnProcess, Connection]:
    """A process, and this end of the pipe to it. Nobody waits for the other: it may hang."""
    context = multiprocessing.get_context("spawn")
    # Loaded settings are of a class that knows whence they came; another process cannot have that.
    plain = Settings.model_construct(**dict(settings))
    here, there = context.Pipe()
    os.set_blocking(here.fileno(), False)
    child = context.Process(target=_serve, args=(plain, there), name="senders", daemon=True)
    child.start()
    there.close()
    return child, here


def _close(pipe: Connection) -> None:
    if not pipe.closed:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        pipe.close()


def _hearer(pipe: Connection, heard: asyncio.Event) -> Callable[[], None]:
    """Takes what a process of senders says. Each word is short enough to come whole."""

    def hear() -> None:
        try:
            certificates = json.loads(pipe.recv_bytes())
        except BlockingIOError:
            return
        except (EOFError, OSError):  # it has ended
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            return
        heard.set()
        for server, end in certificates.items():
            metrics.CERTIFICATES[server] = datetime.fromisoformat(end)

    return hear


async def _watch(heard: asyncio.Event, hangs: asyncio.Event) -> None:
    """Say when nothing comes any more."""
    missed = 0
    while missed < BEATS_MISSED:
        heard.clear()
        await asyncio.sleep(BEAT_SECONDS)
        missed = 0 if heard.is_set() else missed + 1
    hangs.set()


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
    os.set_blocking(pipe.fileno(), False)
    loop.add_reader(pipe.fileno(), _listener(pipe, stop, list(due.values())))
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(_beat(pipe))
        secret = await asyncio.to_thread(meta.secret_of, store)
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
        await asyncio.wait(tasks)
        beating.cancel()


async def _beat(pipe: Connection) -> None:
    """Say again and again that this process goes on, and what certificates it has seen."""
    while True:
        seen = {server: end.isoformat() for server, end in metrics.CERTIFICATES.items()}
        # Nobody reads where the other process hangs, or is gone.
        with suppress(OSError):
            pipe.send_bytes(json.dumps(seen).encode())
        await asyncio.sleep(BEAT_SECONDS)


def _listener(
    pipe: Connection, stop: asyncio.Event, due: list[asyncio.Event]
) -> Callable[[], None]:
    def hear() -> None:
        try:
            pipe.recv_bytes()
        except BlockingIOError:
            return
        except (EOFError, OSError):  # the process that has started this one stops, or is gone
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            stop.set()
            return
        for event in due:
            event.set()

    return hear
