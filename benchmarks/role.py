"""A gateway with some of its roles, as a process of its own: what benchmarks measure from outside.

python -m benchmarks.role FILE outbound [--no-hints]
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway import settings as configuration
from gateway.daemon import run
from gateway.store import hint
from gateway.store.engine import Store

PATIENCE_SECONDS = 120.0
NO_HINTS = "--no-hints"
"""It does not hear of changes, and looks by the clock alone."""


def configured(folder: Path, url: str, more: str) -> Path:
    """The file of a gateway on this store, which logs only troubles; `more`: further sections."""
    file = folder / "gateway.toml"
    account = '[mail]\naddress = "invites@crm.example"\nname = "Firma AS"\n'
    text = f'[store]\nurl = "{url}"\n{account}[log]\nlevel = "warning"\n{more}'
    file.write_text(text, encoding="utf-8")
    return file


@contextlib.contextmanager
def running(file: Path, role: str, *options: str) -> Iterator[int]:
    """The gateway at work; its process number."""
    command = [sys.executable, "-m", "benchmarks.role", str(file), role, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def cpu(number: int) -> float:
    """CPU seconds so far of a process and of those that it has started."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    ticks: float = int(fields[11]) + int(fields[12])
    tasks = Path(f"/proc/{number}/task").glob("*/children")  # by the thread that started them
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(cpu, children))


def until(done: Callable[[], bool], seconds: float = 0.02) -> None:
    """Look again and again until it is so; end the run if that takes too long."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > give_up:
            sys.exit(f"not done within {PATIENCE_SECONDS:g} s")
        time.sleep(seconds)


def _nothing(store: Store, over: threading.Event) -> Iterator[None]:
    over.wait()
    yield from ()


def main() -> None:
    file, role, *options = sys.argv[1:]
    if NO_HINTS in options:
        hint.marks = _nothing
    settings = configuration.load(Path(file))
    store = Store.configured(settings)
    run.run(settings, store, [role])
    store.close()


if __name__ == "__main__":
    main()
