"""A gateway's sign of life: there before its first claim, renewed while it lives, gone when it leaves."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.daemon import presence
from gateway.store import engine, leases, migrate
from gateway.store.engine import Store

DEADLINE = 20.0
ELSEWHERE = "otherhost/boot/1:1:abcd"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(engine.Store(f"sqlite:///{tmp_path}/store.db")) as opened:
        migrate.upgrade(opened)
        yield opened


def alive(store: Store, holder: str, at: datetime | None = None) -> bool:
    with store.read() as connection:
        return holder in leases.alive(connection, [holder], at or datetime.now(UTC))


def test_a_gateway_lives_from_announce_to_leave(store: Store) -> None:
    holder = leases.identity()
    assert not alive(store, holder)
    presence.announce(store, holder)
    assert alive(store, holder)
    presence.leave(store, holder)
    assert not alive(store, holder)


def test_one_that_is_silent_for_too_long_is_taken_for_dead(store: Store) -> None:
    presence.announce(store, ELSEWHERE)
    assert alive(store, ELSEWHERE)
    assert not alive(store, ELSEWHERE, datetime.now(UTC) + leases.LIFE + timedelta(seconds=1))


def test_a_renewal_comes_long_before_the_lease_runs_out() -> None:
    assert leases.RENEWAL_SECONDS * 3 < leases.LIFE.total_seconds()


async def test_the_sign_of_life_is_renewed_until_the_stop(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.01)
    holder, stop = leases.identity(), asyncio.Event()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(presence.keep(store, holder, stop))
        for _ in range(2):
            while not await asyncio.to_thread(alive, store, holder):
                await asyncio.sleep(0)
            await asyncio.to_thread(presence.leave, store, holder)
        stop.set()


async def test_an_unreachable_store_is_told_and_tried_again(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                            capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.01)
    file, aside, stop, told = tmp_path / "store.db", tmp_path / "aside.db", asyncio.Event(), ""
    store.close()
    file.rename(aside)
    file.mkdir()  # in its place something that is no database
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(presence.keep(store, "host/boot/1:1:abcd", stop))
        while "sign of life could not be written" not in told:
            await asyncio.sleep(0)
            told += "".join(capfd.readouterr())
        file.rmdir()
        aside.rename(file)
        while not await asyncio.to_thread(alive, store, "host/boot/1:1:abcd"):
            await asyncio.sleep(0)
        stop.set()
