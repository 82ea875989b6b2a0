"""What the pages cost: the first view in kB, the time of the server, and how soon a change shows.

    python -m benchmarks.pages [--follow-ups 20000] [--participants 100000] [--rounds 40]

On the store of `benchmarks.diaries`, with follow-ups of 200 and of 1 000 participants in it. The
server's time is that of a request on loopback, wall beside CPU, of client and server together; the
naive row is a page that reads nothing. The time of a change is from the commit of another program
to the row that differs in Chromium, where the page is open.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import re
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from playwright.async_api import async_playwright

from benchmarks import diaries
from gateway.actions import answering, desk
from gateway.actions.answering import Said
from gateway.model import Access, Actor, Reply
from gateway.store import followups, migrate, users
from gateway.store.engine import Store
from gateway.store.users import User
from tests.browser import serving
from tests.rig import chromium

CROWDS = {"f200": 200, "f1000": 1_000}
WHO, BUSY = "a1", "a51"
FIFTY = "&".join(f"of=associate:a{number}" for number in range(1, 51))
PAGES = {
    "(alive)": "healthz",
    "waiting for me": "",
    "follow-up, 200 participants": "follow-ups/f200",
    "  its rows": "follow-ups/f200/rows",
    "follow-up, 1000 participants": "follow-ups/f1000",
    "diary, a week of one": "diary",
    "diary, a week of 200 entries": f"diary?of=associate:{BUSY}",
    "diary, a month": "diary?view=month",
    "diary, what comes": "diary?view=next",
    "diary, a week of fifty": f"diary?{FIFTY}",
    "diaries, fifty side by side": f"diary?view=group&{FIFTY}",
    "invitations": "invitations",
    "follow-ups": "follow-ups",
    "follow-ups of one owner": "follow-ups?owner=a7",
    "follow-ups, found by title": "follow-ups?q=Meeting%2019",
}
GIVE = f"""UPDATE diary_entry SET who = 'associate:{BUSY}',
  start_at = datetime('now', 'start of day', '-6 days', 'weekday 1', '+' || (id % 5) || ' days',
    '+' || (7 + id * 7 % 9) || ' hours'),
  end_at = datetime('now', 'start of day', '-6 days', 'weekday 1', '+' || (id % 5) || ' days',
    '+' || (8 + id * 7 % 9) || ' hours')
  WHERE id IN (SELECT min(id) FROM diary_entry WHERE instance = '' GROUP BY follow_up LIMIT 200)"""
"""Two hundred entries of one week, which overlap."""
LINKED = re.compile(r'(?:src|href)="(/static/[^"#?]+)')
CHANGES = 20
MARK = """key => {
  const row = [...document.querySelectorAll(".row")].find((one) => one.textContent.includes(key));
  window.changed = new Promise((done) => new MutationObserver(() => done(Date.now()))
    .observe(row, {subtree: true, childList: true, attributes: true, characterData: true}));
}"""


@dataclass(frozen=True)
class Reader:
    """Somebody who is signed in, with a client that asks the application or a socket."""

    client: httpx.AsyncClient
    session: str

    async def get(self, path: str) -> httpx.Response:
        headers = {"Cookie": f"session={self.session}", "Accept": "text/html"}
        answer = await self.client.get(f"/{path}", headers=headers, follow_redirects=True)
        answer.raise_for_status()
        return answer


def crowded(store: Store) -> None:
    """Follow-ups with many participants, an hour each, tomorrow; and a week with many entries."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    end = start + timedelta(hours=1)
    facts = {"start": f"{start:%Y-%m-%d %H:%M:%S}", "end": f"{end:%Y-%m-%d %H:%M:%S}", "who": WHO}
    with store.write() as connection:
        for key, number in CROWDS.items():
            connection.exec_driver_sql(
                "UPDATE follow_up SET owner = :who, start_at = :start, end_at = :end"
                " WHERE key = :key",
                facts | {"key": key},
            )
            connection.exec_driver_sql("DELETE FROM participant WHERE follow_up = ?", (key,))
            connection.exec_driver_sql(
                f"INSERT INTO participant (follow_up, person, email_invite, code)"
                f" SELECT '{key}', key, TRUE, 5 FROM person LIMIT {number}"
            )
        connection.exec_driver_sql(GIVE)
        connection.exec_driver_sql("DELETE FROM change_mark")


def signed_in(store: Store) -> str:
    now = datetime.now(UTC)
    with store.write() as connection:
        number = users.add(connection, User(0, "reader", Access.USER, WHO, now, "benchmark"), "")
        assert number is not None
        return users.begin_session(connection, number, now)


@contextlib.asynccontextmanager
async def reading(url: str, session: str) -> AsyncIterator[Reader]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield Reader(client, session)


async def first_views(reader: Reader) -> None:
    """What a browser loads that has been there never before."""
    print(f"{'first view':36}{'kB':>9}{'gzip':>9}")
    for name, path in PAGES.items():
        if name.startswith(" "):
            continue
        page = await reader.get(path)
        linked = dict.fromkeys(LINKED.findall(page.text))
        others = [await reader.get(one.removeprefix("/")) for one in linked]
        parts = [page.content, *(one.content for one in others)]
        plain = sum(map(len, parts)) / 1000
        packed = sum(len(gzip.compress(part, 6)) for part in parts) / 1000
        print(f"{name:36}{plain:9.1f}{packed:9.1f}", flush=True)


async def server_times(reader: Reader, rounds: int) -> None:
    print(f"{'milliseconds':36}{'p50':>9}{'p95':>9}{'CPU p50':>9}{'CPU p95':>9}")
    for name, path in PAGES.items():
        await reader.get(path)
        walls, processors = [], []
        for _ in range(rounds):
            wall, processor = time.perf_counter(), time.process_time()
            await reader.get(path)
            walls.append((time.perf_counter() - wall) * 1000)
            processors.append((time.process_time() - processor) * 1000)
        cells = [diaries.at(part, spent) for spent in (walls, processors) for part in (0.5, 0.95)]
        print(f"{name:36}{''.join(f'{cell:9.1f}' for cell in cells)}", flush=True)


async def changes(store: Store, url: str, session: str) -> None:
    """From a commit to what one sees."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium.launch_options())
        for key in CROWDS:
            context = await browser.new_context(reduced_motion="reduce")
            await context.add_cookies([{"name": "session", "value": session, "url": url}])
            tab = await context.new_page()
            await tab.goto(f"{url}follow-ups/{key}")
            await tab.locator("#live[data-state=on]").wait_for()
            with store.read() as connection:
                rows = followups.members(connection, key)[:CHANGES]
            spent = []
            for row in rows:
                await tab.evaluate(MARK, row.name or row.key)
                await asyncio.to_thread(_answer, store, row.id)
                committed = time.time() * 1000
                spent.append(await tab.evaluate("window.changed") - committed)
            cells = (diaries.at(0.5, spent), diaries.at(0.95, spent))
            print(
                f"{f'a change shows, {CROWDS[key]} participants':36}{cells[0]:9.0f}{cells[1]:9.0f}"
            )
        await browser.close()


def _answer(store: Store, number: int) -> None:
    """Another program commits: the page's own process is told nothing."""
    actor, now = Actor(Access.USER, WHO, WHO), datetime.now(UTC)
    said = Said(Reply.ACCEPTED, "I come.")
    desk.perform(
        store, diaries.SETTINGS, now, actor, lambda here: answering.answer(here, number, said)
    )


async def measured(store: Store, rounds: int) -> None:
    session = signed_in(store)
    async with serving.serving(store) as url:
        async with reading(url, session) as reader:
            await first_views(reader)
            await server_times(reader, rounds)
        await changes(store, url, session)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--follow-ups", type=int, default=20_000)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Store(f"sqlite:///{Path(folder) / 'store.db'}")) as store,
    ):
        migrate.upgrade(store)
        diaries.filled(store, chosen.follow_ups, chosen.participants)
        crowded(store)
        print(f"{chosen.follow_ups} follow-ups, {chosen.participants} participants")
        asyncio.run(measured(store, chosen.rounds))


if __name__ == "__main__":
    main()
