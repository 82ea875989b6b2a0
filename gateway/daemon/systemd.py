"""Telling systemd how the daemon is doing: ready, stopping, still alive.

Standards: sd_notify(3), sd_watchdog_enabled(3); a datagram to the Unix socket named by
NOTIFY_SOCKET. On failure: a notification that cannot be delivered is logged and nothing else
happens; without NOTIFY_SOCKET (a terminal, a container) every call is silent. Security: the
socket's address comes from the service manager's environment alone; texts carry no secrets. Limits:
only what `Type=notify` and `WatchdogSec=` need; file descriptors are not passed.
"""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

LONGEST_STATUS = 2_000


def ready(status: str = "") -> None:
    """The start is over and work goes on (`READY=1`)."""
    _notify("READY=1", status)


def status(text: str) -> None:
    """What `systemctl status` shows (`STATUS=`)."""
    _notify("", text)


def extend(seconds: float) -> None:
    """The start needs time, and is given up unless there is news within `seconds`
    (`EXTEND_TIMEOUT_USEC=`).
    """
    _notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}", "")


def stopping() -> None:
    """A graceful stop has begun (`STOPPING=1`)."""
    _notify("STOPPING=1", "")


def watchdog_seconds() -> float | None:
    """How often systemd wants a sign of life (`WatchdogSec=`), in seconds; None when it wants none
    from this process.
    """
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
        process = int(os.environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 and process == os.getpid() else None


def state_directory() -> Path | None:
    """The folder that was made for this service (`StateDirectory=`, systemd.exec(5)), the first of
    several; None outside of one.
    """
    first = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(first) if first else None


async def keep_alive(stop: asyncio.Event) -> None:
    """Give the sign of life until `stop`, twice per watchdog period: a loop that hangs is noticed
    and restarted.
    """
    period = watchdog_seconds()
    if period is None:
        return
    while not stop.is_set():
        _notify("WATCHDOG=1", "")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), period / 2)


def _one_line(status: str) -> str:
    words = " ".join(status.split())
    return f"STATUS={words[:LONGEST_STATUS]}" if words else ""


def _notify(state: str, status: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    text = "\n".join(filter(None, [state, _one_line(status)]))
    # A leading @ stands for the null byte of the abstract namespace (unix(7)).
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(1.0)
        try:
            sender.sendto(text.encode(), name)
        except OSError as error:
            log.warning("systemd did not take the notification", state=state, error=str(error))
