"""A change is planned when it is committed, whoever writes it; without hints the planner looks by
itself.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from gateway import settings as configuration
from gateway.actions import load
from gateway.outbound import planner
from gateway.store import hint
from gateway.store.engine import Store
from tests.store.conftest import Program

NEVER = 86_400.0
INVITE = (
    "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', '{}@ext.example', TRUE)"
)
DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"}],
    "follow_ups": [
        {"key": "m1", "owner": "kari", "title": "Kick-off", "start": "2040-05-09T09:00:00Z"}
    ],
}
LISTENING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def settings(poll_seconds: float) -> configuration.Settings:
    loaded = configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example", "name": "Firma AS"},
            "outbound": {"coalesce_seconds": 0},
        }
    )
    store = loaded.store.model_copy(update={"poll_seconds": poll_seconds})
    return loaded.model_copy(update={"store": store})


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Nothing but a hint makes the planner look, unless a test says otherwise."""
    monkeypatch.setattr(planner, "POSTGRES_SECONDS", NEVER)
    monkeypatch.setattr(planner, "AGAIN_SECONDS", 0.05)
    with store.write() as connection:
        load.load(connection, DOCUMENT, settings(NEVER), datetime.now(UTC))


@asynccontextmanager
async def planning(store: Store, poll_seconds: float = NEVER) -> AsyncIterator[asyncio.Event]:
    """The planner at work, and the event by which it tells of letters."""
    stop, planned = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(planner.run(store, settings(poll_seconds), stop, [planned]))
        yield planned
        stop.set()


async def invite(program: Program, who: str, planned: asyncio.Event) -> None:
    planned.clear()
    await asyncio.to_thread(program, INVITE.format(who))
    await planned.wait()


async def test_a_change_by_another_program_is_planned_at_once(
    store: Store, program: Program
) -> None:
    async with planning(store) as planned:
        for who in ("ola", "eva", "per"):
            await invite(program, who, planned)
    assert not [one for one in threading.enumerate() if one.name == "hints"]
    if not store.is_sqlite:
        assert program(LISTENING) == "0"


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
async def test_one_that_listened_and_was_cut_off_listens_again(
    store: Store, program: Program
) -> None:
    async with planning(store) as planned:
        await invite(program, "ola", planned)
        ended = LISTENING.replace("count(*)", "count(pg_terminate_backend(pid))")
        assert await asyncio.to_thread(program, ended) == "1"
        await invite(program, "eva", planned)


async def test_a_commit_without_a_mark_is_no_hint(store: Store, program: Program) -> None:
    over = threading.Event()
    hints = hint.marks(store, over)
    next(hints)
    program("UPDATE company SET name = 'x'; INSERT INTO company (key) VALUES ('acme')")
    waiting = asyncio.ensure_future(asyncio.to_thread(next, hints, None))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    over.set()
    await waiting


async def test_without_hints_the_store_is_looked_at(
    store: Store, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.is_sqlite:
        monkeypatch.setattr(hint, "LOOK_SECONDS", NEVER)
    else:
        program("ALTER TABLE change_mark DISABLE TRIGGER mark_notify")
    async with planning(store, 0.1) as planned:
        await invite(program, "ola", planned)
        await invite(program, "eva", planned)
