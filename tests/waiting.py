"""Waiting in tests for what others do: it is looked at again and again, as long as a slow machine
may need. What announces itself is waited for where that is heard (`Peer.until`), and what a
gateway does while it lives by `Gateway.wait_for`.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SECONDS = 60.0
PAUSE_SECONDS = 0.02


def watch(
    look: Callable[[], T], wanted: Callable[[T], object] = bool, *, seconds: float = SECONDS
) -> T:
    """What `look` sees, as soon as it is `wanted`. Fails with what was seen last."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"never came; seen last: {seen!r}"
        pause.wait(PAUSE_SECONDS)
    return seen


async def until(
    look: Callable[[], T], wanted: Callable[[T], object] = bool, *, seconds: float = SECONDS
) -> T:
    """The same, while the loop goes on: it looks in a thread."""
    deadline = time.monotonic() + seconds
    while not wanted(seen := await asyncio.to_thread(look)):
        assert time.monotonic() < deadline, f"never came; seen last: {seen!r}"
        await asyncio.sleep(PAUSE_SECONDS)
    return seen
