"""How long it takes from a record that another program commits to the 250 to DATA of its letter.

    python -m benchmarks.waking [--rounds 5] [--letters 20] [--postgresql]

The daemon runs as a process of its own (`--only outbound`, coalescing off), with hints of changes
and without; rows are written one by one
over a connection of another program, at moments that have nothing to do with the daemon's. The
clock is the same for both ends: the sink (aiosmtpd; there is one letter at a time) notes when it
has answered. Rounds are interleaved; CPU time is the daemon's, over all of its round.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiosmtpd.controller import Controller

from benchmarks import role
from gateway import settings as configuration
from gateway.actions import load
from gateway.store import hint, migrate
from gateway.store.engine import Store
from tests.rig import postgres, process

PATIENCE_SECONDS = 60.0
INVITE = "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', :address, TRUE)"
DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"}],
    "follow_ups": [
        {"key": "m1", "owner": "kari", "title": "Kick-off", "start": "2040-05-09T09:00:00Z"}
    ],
}


class Sink:
    """Takes every letter, and notes when."""

    def __init__(self) -> None:
        self.taken = queue.Queue[float]()

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.taken.put(time.monotonic())
        return "250 OK"


@dataclass
class Row:
    """One way to be woken: seconds of each letter, CPU seconds and wall seconds of the daemon."""

    letters: list[float] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0


@contextlib.contextmanager
def daemon(file: Path, *, hints: bool) -> Iterator[int]:
    """The gateway's sender at work; its process number."""
    command = [sys.executable, "-m", "benchmarks.waking", "--daemon", str(file)]
    running = subprocess.Popen(
        [*command, *([] if hints else ["--no-hints"])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE_SECONDS)


def serve(file: Path, *, hints: bool) -> None:
    """What the daemon's process does."""
    from gateway.daemon import run

    if not hints:
        hint.marks = _nothing
    settings = configuration.load(file)
    store = Store(settings.store.url)
    run.run(settings, store, ["outbound"])
    store.close()


def _nothing(store: Store, over: threading.Event) -> Iterator[None]:
    over.wait()
    yield from ()


def measure(row: Row, url: str, folder: Path, letters: int, *, hints: bool) -> None:
    """One round on a store of its own."""
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=process.free_port())
    controller.start()
    file = folder / "gateway.toml"
    file.write_text(
        f'[store]\nurl = "{url}"\n[mail]\naddress = "invites@crm.example"\nname = "Firma AS"\n'
        f'[smtp]\nhost = "127.0.0.1"\nport = {controller.port}\nsecurity = "none"\n'
        "[outbound]\ncoalesce_seconds = 0\n"
    )
    store = Store(url)
    try:
        migrate.upgrade(store)
        with store.write() as connection:
            load.load(connection, DOCUMENT, configuration.load(file), datetime.now(UTC))
        with daemon(file, hints=hints) as number:
            invite(store, sink, "first")  # it is up, and has its connection
            before, began = role.cpu(number), time.monotonic()
            for one in range(letters):
                time.sleep(random.uniform(0.2, 2.2))
                row.letters.append(invite(store, sink, f"p{one}"))
            row.cpu += role.cpu(number) - before
            row.wall += time.monotonic() - began
    finally:
        store.close()
        controller.stop()


def invite(store: Store, sink: Sink, who: str) -> float:
    """Seconds from the commit to the answer of the sink."""
    with store.write() as connection:
        connection.execute(sa.text(INVITE), {"address": f"{who}@ext.example"})
    committed = time.monotonic()
    try:
        return sink.taken.get(timeout=PATIENCE_SECONDS) - committed
    except queue.Empty:
        sys.exit(f"no letter within {PATIENCE_SECONDS:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--letters", type=int, default=20, help="of each round")
    parser.add_argument("--postgresql", action="store_true", help="instead of a SQLite file")
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-hints", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.daemon:
        serve(chosen.daemon, hints=not chosen.no_hints)
        return
    rows = {"polling alone": Row(), "with hints": Row()}
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.running()) if chosen.postgresql else None
        for _ in range(chosen.rounds):
            for name, row in rows.items():
                with tempfile.TemporaryDirectory() as folder:
                    url = cluster.create_database() if cluster else f"sqlite:///{folder}/store.db"
                    measure(row, url, Path(folder), chosen.letters, hints=name == "with hints")
    print(
        f"record committed → 250 to DATA, {'PostgreSQL' if cluster else 'SQLite'},"
        f" {chosen.rounds} rounds of {chosen.letters} letters"
    )
    print(f"{'':20}{'p50 ms':>10}{'p99 ms':>10}{'slowest':>10}{'CPU ms/letter':>16}{'CPU':>8}")
    for name, row in rows.items():
        letters = sorted(row.letters)
        print(
            f"{name:20}{statistics.median(letters) * 1000:10.0f}"
            f"{letters[int(len(letters) * 0.99)] * 1000:10.0f}{letters[-1] * 1000:10.0f}"
            f"{row.cpu / len(letters) * 1000:16.1f}{row.cpu / row.wall:8.1%}"
        )


if __name__ == "__main__":
    main()
