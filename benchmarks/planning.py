"""What planning costs: CPU and statements per letter, the longest time a writer is kept out, and a
write that changes nothing visible.

    python -m benchmarks.planning [--letters 2000] [--rounds 3] [--postgresql]

Follow-ups of 200 participants, of 50, and of 5, each planned for the first time and once more after
all of them moved. The naive row inserts as many rows of the outbox by themselves, one statement
each, in one transaction: the least that a row at a time costs. Rounds are interleaved, the median
counts.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import event

from benchmarks import ground
from benchmarks.outbound import document
from gateway import sections
from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.store import migrate
from gateway.store.engine import Store
from gateway.store.pace import Room
from tests.store.test_growth import GATEWAY, settled

SIZES = (200, 50, 5)
"""Participants of a follow-up."""
SETTINGS = configuration.Settings(
    mail=sections.Mail(address="invites@crm.example", name="Firma AS"),
    outbound=sections.Outbound(brake_follow_ups=0, per_day=0),
)


@dataclass
class Meter:
    """What happens on a store while something is done to it."""

    statements: int = 0
    longest: float = 0.0
    """Seconds of the longest transaction that writes."""
    began: float = field(default=0.0, repr=False)

    def watch(self, store: Store) -> None:
        event.listen(store.engine, "begin", self._begin)
        event.listen(store.engine, "commit", self._end)
        event.listen(store.engine, "before_cursor_execute", self._execute)

    def reset(self) -> None:
        self.statements, self.longest = 0, 0.0

    def _begin(self, connection: sa.Connection) -> None:
        self.began = time.monotonic()

    def _end(self, connection: sa.Connection) -> None:
        self.longest = max(self.longest, time.monotonic() - self.began)

    def _execute(self, *_: object) -> None:
        self.statements += 1


@dataclass(frozen=True)
class Cost:
    """Of one thing done, over `letters` letters."""

    letters: int
    cpu: float
    wall: float
    statements: int
    longest: float


def plan(store: Store, letters: int) -> None:
    planned = planning.plan_due(store, SETTINGS, datetime.now(UTC), everything=True)
    if planned != letters:
        sys.exit(f"{planned} letters were planned instead of {letters}")


def send(store: Store) -> None:
    """Every letter leaves, so that the next plan has something to compare with."""
    now = datetime.now(UTC)
    while claimed := deliveries.claim(store, GATEWAY, now, Room(500)):
        deliveries.settle(store, GATEWAY, [settled(letter, now) for letter in claimed], now)


def move(store: Store) -> None:
    with store.write() as connection:
        connection.execute(sa.text("UPDATE follow_up SET location = location || '!'"))


def touch(store: Store) -> None:
    with store.write() as connection:
        connection.execute(sa.text("UPDATE participant SET name = name"))
    plan(store, 0)


def measured(meter: Meter, letters: int, work: Callable[[], None]) -> Cost:
    meter.reset()
    cpu, wall = time.process_time(), time.monotonic()
    work()
    return Cost(
        letters,
        time.process_time() - cpu,
        time.monotonic() - wall,
        meter.statements,
        meter.longest,
    )


def naive(store: Store, letters: int) -> None:
    with store.write() as connection:
        connection.execute(sa.text("CREATE TABLE naive (id INTEGER PRIMARY KEY, body TEXT)"))
        for number in range(letters):
            connection.execute(
                sa.text("INSERT INTO naive (id, body) VALUES (:id, :body)"),
                {"id": number, "body": "x" * 500},
            )
        connection.execute(sa.text("DROP TABLE naive"))


def played(url: str, size: int, letters: int) -> dict[str, Cost]:
    """A store of its own: everybody is invited, then every follow-up changes, then nothing does."""
    meter = Meter()
    with contextlib.closing(Store(url)) as store:
        migrate.upgrade(store)
        with store.write() as connection:
            load.load(connection, document(letters, size), SETTINGS, datetime.now(UTC))
        meter.watch(store)
        invited = measured(meter, letters, lambda: plan(store, letters))
        send(store)
        move(store)
        changed = measured(meter, letters, lambda: plan(store, letters))
        send(store)
        touched = measured(meter, letters, lambda: touch(store))
        least = measured(meter, letters, lambda: naive(store, letters))
        return {"invited": invited, "changed": changed, "touched": touched, "(rows alone)": least}


def main() -> None:
    parser = ground.options(__doc__)
    parser.add_argument("--letters", type=int, default=2_000)
    chosen = parser.parse_args()
    ground.quiet(logging.ERROR)
    costs: dict[tuple[int, str], list[Cost]] = {}
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        for _ in range(chosen.rounds):
            for size in SIZES:
                letters = ground.whole(chosen.letters, size)
                for what, cost in played(database(), size, letters).items():
                    costs.setdefault((size, what), []).append(cost)
    print(f"{ground.kind(postgresql=chosen.postgresql)}, {chosen.rounds} rounds, medians")
    titles = ("CPU ms", "wall ms", "statements", "letters/s", "longest ms")
    print(f"{'per letter':32}{''.join(f'{title:>12}' for title in titles)}")
    for (size, what), row in costs.items():
        cells = (
            1000 * middle(cost.cpu / cost.letters for cost in row),
            1000 * middle(cost.wall / cost.letters for cost in row),
            middle(cost.statements / cost.letters for cost in row),
            middle(cost.letters / cost.wall for cost in row),
            1000 * middle(cost.longest for cost in row),
        )
        print(f"{f'{size} a follow-up, {what}':32}{''.join(f'{cell:12.2f}' for cell in cells)}")


def middle(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
