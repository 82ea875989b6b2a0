"""What the pages of the diary cost the server: p50 and p95 of whole requests, wall beside CPU, with
the size of the answer.

    python -m benchmarks.diary_pages [--follow-ups 20000] [--participants 100000] [--rounds 40]

The store is that of `benchmarks.diaries`; the week of two hundred entries is that of one associate,
to whom they are given. A request goes through all of the application, without a socket. The naive
row is the page of what waits, which shows nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from benchmarks import diaries
from gateway.model import Access
from gateway.store import migrate, users
from gateway.store.engine import Store
from gateway.store.users import User
from gateway.web import app, feed
from gateway.web.api.site import Site

BUSY = "a1"
MOST = 200
ENTRY = b'<li class="entry'
GIVE = f"""UPDATE diary_entry SET who = 'associate:{BUSY}' WHERE id IN (SELECT id FROM diary_entry
  WHERE start_at BETWEEN datetime('now', 'start of day', 'weekday 1', '-7 days')
  AND datetime('now', 'start of day', 'weekday 1', '-1 minute') GROUP BY follow_up LIMIT {MOST})"""


def paths(chance: random.Random) -> dict[str, Callable[[], str]]:
    """What is asked for, each time of others."""

    def several(view: str, number: int) -> Callable[[], str]:
        def path() -> str:
            whose = diaries.some(chance, "a", diaries.ASSOCIATES, number)
            return f"/diary?view={view}" + "".join(f"&of=associate:{who}" for who in whose)

        return path

    return {
        "a week of one, 200 entries": lambda: f"/diary?view=week&of=associate:{BUSY}",
        "a week of one": several("week", 1),
        "a week of fifty": several("week", 50),
        "a group of ten": several("group", 10),
        "a group of fifty": several("group", 50),
        "a month of one": several("month", 1),
        "what comes, of one": several("next", 1),
        "(what waits)": lambda: "/",
    }


async def measured(store: Store, rounds: int) -> None:
    with store.write() as connection:
        connection.exec_driver_sql(GIVE)
        user = User(0, "reader", Access.USER, "a2", datetime.now(UTC), "benchmark")
        number = users.add(connection, user, "")
        assert number is not None
        session = users.begin_session(connection, number, datetime.now(UTC))
    site = Site(store, diaries.SETTINGS)
    application = app.create(feed.Feed(store), _nothing, list, site)
    headers = {"Cookie": f"session={session}", "Accept": "text/html", "Accept-Language": "nb"}
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://127.0.0.1", headers=headers
    )
    print(
        f"{'':30}{'p50':>9}{'p95':>9}{'CPU p50':>9}{'CPU p95':>9}{'kB':>8}{'gzip':>8}{'entries':>9}"
    )
    async with client:
        for name, path in paths(random.Random(1)).items():
            await timed(client, name, path, rounds)


async def timed(client: httpx.AsyncClient, name: str, path: Callable[[], str], rounds: int) -> None:
    walls, cpus, page = list[float](), list[float](), b""
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = await client.get(path())
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
        assert answer.status_code == 200, answer.text
        page = answer.content
    del walls[0], cpus[0]  # the first one compiles the templates
    cells = [diaries.at(part, values) for values in (walls, cpus) for part in (0.5, 0.95)]
    sizes = len(page) / 1000, len(gzip.compress(page)) / 1000
    numbers = f"{sizes[0]:8.0f}{sizes[1]:8.1f}{page.count(ENTRY):9}"
    print(f"{name:30}{''.join(f'{cell:9.1f}' for cell in cells)}{numbers}", flush=True)


async def _nothing() -> list[object]:
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--follow-ups", type=int, default=20_000)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        store = stack.enter_context(contextlib.closing(Store(f"sqlite:///{folder}/store.db")))
        migrate.upgrade(store)
        diaries.filled(store, chosen.follow_ups, chosen.participants)
        asyncio.run(measured(store, chosen.rounds))


if __name__ == "__main__":
    main()
