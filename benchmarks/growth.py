"""What one look, answer, event, plan and page cost on a small store and on one of years.

    python -m benchmarks.growth [--small 1000] [--large 200000] [--rounds 5] [--postgresql]

Rows are participants, each with a letter, an answer, a message and a journal entry, all of it over
(`tests.store.crowd`). Both stores are there at once and rounds are interleaved; CPU time is this
process's (SQLite works inside it), wall time stands beside it for PostgreSQL, which works
elsewhere. The naive row counts the outbox by a condition that has no index.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from benchmarks import ground
from gateway.actions import planning
from gateway.answer import facts
from gateway.model import Access, Actor
from gateway.store import filters, inbox, journal, migrate, reading, rows
from gateway.store.engine import Store
from gateway.store.stated import Site
from tests.store import crowd
from tests.store.test_growth import SETTINGS, prepare, send

SITE = Site("Europe/Oslo", "en")
TIMES = 20
"""So often each thing is done in a round."""


def look(store: Store) -> None:
    """What the reader asks of the store at each look at its mailbox."""
    with store.read() as connection:
        inbox.cursor(connection, "default", "INBOX")
        inbox.leftovers(connection, "default", "INBOX", 1)
        inbox.unmoved(connection, "default", "INBOX")


def event(store: Store) -> None:
    with store.read() as connection:
        assert len(journal.after(connection, journal.newest(connection) - 1)) <= 1


def answer(store: Store) -> None:
    keys = facts.Keys(
        uids=("m1@crm.example",), tokens=("olatoken",), addresses=("ola@ext.example",)
    )
    with store.write() as connection:
        assert len(rows.find(connection, [keys], SITE)[0].rows) == 1


def plan(store: Store) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("INSERT INTO change_mark (follow_up) VALUES ('m1')")
    planning.plan_due(store, SETTINGS, datetime.now(UTC), everything=True)


def page(store: Store) -> None:
    ahead = filters.FollowUps(since=datetime.now(UTC), open=True)
    with store.read() as connection:
        shown = filters.follow_ups(connection, Actor(Access.CRM, name="crm"), ahead, 20)
        reading.follow_ups(connection, shown.names, SITE.timezone, participants=True)


def naive(store: Store) -> None:
    with store.read() as connection:
        connection.execute(sa.text("SELECT count(*) FROM outbox WHERE note = 'x'")).scalar_one()


WORK: dict[str, Callable[[Store], None]] = {
    "a look at the mailbox": look,
    "an event read": event,
    "an answer's rows": answer,
    "a follow-up planned": plan,
    "the page": page,
    "(a scan)": naive,
}


def filled(url: str, number: int) -> Store:
    store = Store(url)
    migrate.upgrade(store)
    crowd.fill(store, number)
    prepare(store, datetime.now(UTC))
    send(store, datetime.now(UTC))
    return store


def main() -> None:
    parser = ground.options(__doc__, rounds=5)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=200_000)
    chosen = parser.parse_args()
    ground.quiet(logging.ERROR)
    sizes = (chosen.small, chosen.large)
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(ground.databases(postgresql=chosen.postgresql))
        stores = {
            size: stack.enter_context(contextlib.closing(filled(database(), size)))
            for size in sizes
        }
        for number in range(chosen.rounds + 1):
            for name, work in WORK.items():
                for size, store in stores.items():
                    cpu, wall = time.process_time(), time.perf_counter()
                    for _ in range(TIMES):
                        work(store)
                    if number:  # the first one fills the caches
                        taken.setdefault((name, size), []).append(
                            (time.process_time() - cpu, time.perf_counter() - wall)
                        )
    print(f"{ground.kind(postgresql=chosen.postgresql)}, {chosen.rounds} rounds, medians in ms")
    head = [f"{what} {size}" for size in sizes for what in ("CPU", "wall")]
    print(f"{'':24}{''.join(f'{one:>14}' for one in head)}{'CPU ratio':>12}{'wall':>8}")
    for name in WORK:
        medians = [
            statistics.median(one[which] for one in taken[name, size]) / TIMES * 1000
            for size in sizes
            for which in (0, 1)
        ]
        print(
            f"{name:24}{''.join(f'{one:14.2f}' for one in medians)}"
            f"{medians[2] / medians[0]:12.2f}{medians[3] / medians[1]:8.2f}"
        )


if __name__ == "__main__":
    main()
