"""How long it takes from a record that another program commits to the 250 to DATA of its letter.

    python -m benchmarks.waking [--rounds 5] [--letters 20] [--postgresql]

The daemon runs as a process of its own (`--only outbound`, coalescing off), with hints of changes
and without; rows are written one by one over a connection of another program, at moments that have
nothing to do with the daemon's. The clock is the same for both ends: the sink (aiosmtpd; there is
one letter at a time) notes when it has answered. Rounds are interleaved; CPU time is the daemon's,
over all of its round.
"""

from __future__ import annotations

import contextlib
import queue
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiosmtpd.controller import Controller

from benchmarks import ground, role
from gateway import settings as configuration
from gateway.actions import load
from gateway.store import migrate
from gateway.store.engine import Store
from tests.rig import process

PATIENCE_SECONDS = 60.0
WAYS = {"polling alone": [role.NO_HINTS], "with hints": []}
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


def measure(row: Row, url: str, folder: Path, letters: int, *options: str) -> None:
    """One round on a store of its own. `options`: of the daemon."""
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=process.free_port())
    controller.start()
    section = f'[smtp]\nhost = "127.0.0.1"\nport = {controller.port}\nsecurity = "none"\n'
    file = role.configured(folder, url, f"{section}[outbound]\ncoalesce_seconds = 0\n")
    store = Store(url)
    try:
        migrate.upgrade(store)
        with store.write() as connection:
            load.load(connection, DOCUMENT, configuration.load(file), datetime.now(UTC))
        with role.running(file, "outbound", *options) as number:
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
    parser = ground.options(__doc__, rounds=5)
    parser.add_argument("--letters", type=int, default=20, help="of each round")
    chosen = parser.parse_args()
    rows = {name: Row() for name in WAYS}
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for _ in range(chosen.rounds):
            for name, row in rows.items():
                measure(row, database(), folder, chosen.letters, *WAYS[name])
    print(
        f"record committed → 250 to DATA, {ground.kind(postgresql=chosen.postgresql)},"
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
