"""Two programs that wait for each other in PostgreSQL: neither is told that the store is away."""

import asyncio
from contextlib import closing

import pytest

from gateway.store import migrate
from gateway.store.engine import Store
from tests.store.collisions import collide
from tests.web.world import Office


@pytest.mark.real
async def test_api_2_a_write_that_another_one_has_to_pass_is_done_anew(postgres_url: str) -> None:
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        office = Office(store).begin()
        loop = asyncio.get_running_loop()

        def cancel() -> int:
            asked = office.ask("POST", "/follow-ups/own/cancel", json={"reason": "Snow"})
            return asyncio.run_coroutine_threadsafe(asked, loop).result(60).status_code

        assert await asyncio.to_thread(collide, store, "own", cancel) == 200
        assert (await office.ask("GET", "/follow-ups/own")).json()["cancelled"] is True
        await office.client.aclose()
