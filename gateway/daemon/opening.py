"""The start: waits until the store can be used, then the roles begin.

A database that comes up a minute, or an hour, after the gateway is waited for, with growing waits
and one line in the log whenever the reason is another one. Under systemd the start counts as over
with the first failure (READY, and the reason as STATUS): a boot is not held up by it, `systemctl
start` returns and `systemctl status` says what is missing, no TimeoutStartSec is run into, and the
watchdog guards the wait. It is no different from a store that goes away a second after the start.
While an attempt goes on, which may be a long migration, the time of the start is extended instead.
The web role answers meanwhile: `/healthz` is well, `/readyz` says what is waited for.

On failure: a store of another schema, and settings that do not fit it, are a `ConfigurationError`,
for no waiting mends them; all else is waited for. A stop ends the wait at once: what an attempt has
begun is one transaction, and goes with the process.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from gateway.daemon import supervise, systemd
from gateway.errors import ConfigurationError, StoreError, UnfitStore

log = structlog.get_logger(__name__)

WAITS = supervise.Waits(first=1.0, longest=30.0)
EXTEND_SECONDS = 30.0
"""What systemd is asked for while an attempt goes on, three times as often as needed."""


async def opened(
    prepare: Callable[[], None],
    stop: asyncio.Event,
    *,
    waits: supervise.Waits = WAITS,
    meanwhile: Sequence[supervise.Role] = (),
) -> bool:
    """Do `prepare` in a thread until it raises no `StoreError`. False: `stop` was set before.
    `meanwhile`: roles that run from the first failure until then.

    Raises `ConfigurationError` for a store of another schema, and what else `prepare` raises.
    """
    guard = asyncio.create_task(systemd.keep_alive(stop))
    over, beside = asyncio.Event(), list[asyncio.Task[None]]()
    clock = asyncio.get_running_loop().time
    began, failures, reason = clock(), 0, ""
    try:
        while not stop.is_set():
            try:
                done = await _attempt(prepare, stop)
            except UnfitStore as error:
                raise ConfigurationError(str(error)) from error
            except StoreError as error:
                failures += 1
                if not beside:
                    beside = [asyncio.create_task(_beside(role, over)) for role in meanwhile]
                wait = waits.wait(failures)
                if str(error) != reason:
                    reason = str(error)
                    log.warning("waiting for the store", reason=reason, next_try_in_seconds=wait)
                    systemd.ready(f"waiting for the store: {reason}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait)
                continue
            if done and failures:
                log.info("the store can be used", waited_seconds=round(clock() - began, 1))
            return done
        return False
    finally:
        guard.cancel()
        over.set()
        await asyncio.gather(*beside)


async def _beside(role: supervise.Role, over: asyncio.Event) -> None:
    """One try: what cannot begin now begins with the others, once the store can be used."""
    try:
        await role.run(over)
    except (Exception, SystemExit) as error:
        log.warning("not served while the store is waited for", role=role.name, error=str(error))


async def _attempt(prepare: Callable[[], None], stop: asyncio.Event) -> bool:
    """Whether `prepare` was done before `stop`. Raises what it raises.

    Its thread is a daemon: a database that does not answer must not hold up the end of the process.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if result.cancelled():
            return
        if error is None:
            result.set_result(None)
        else:
            result.set_exception(error)

    def work() -> None:
        error: Exception | None = None
        try:
            prepare()
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=work, name="store", daemon=True).start()
    stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    either: tuple[asyncio.Future[Any], ...] = (stopped, result)
    try:
        while not (stopped.done() or result.done()):
            systemd.extend(EXTEND_SECONDS)
            await asyncio.wait(
                either, timeout=EXTEND_SECONDS / 3, return_when=asyncio.FIRST_COMPLETED
            )
        if not result.done():
            return False
        result.result()
        return True
    finally:
        stopped.cancel()
        result.cancel()
