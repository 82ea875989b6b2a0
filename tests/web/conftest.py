"""The API over a small office."""

from collections.abc import AsyncIterator

import pytest

from gateway.store.engine import Store
from tests.web.world import Office


@pytest.fixture
async def office(store: Store) -> AsyncIterator[Office]:
    made = Office(store).begin()
    yield made
    await made.client.aclose()
