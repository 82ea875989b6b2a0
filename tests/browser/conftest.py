"""A browser, and the site of the scenes in it. How long a page may take to show what is expected: the
machine may be busy with others.
"""

from collections.abc import AsyncIterator

import pytest
from playwright import async_api, sync_api
from playwright.async_api import Browser, async_playwright

from gateway.store.engine import Store
from tests.browser import scenes
from tests.rig import chromium

for one in (async_api, sync_api):
    one.expect.set_options(timeout=60_000.0)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(**chromium.launch_options())
        yield launched
        await launched.close()


@pytest.fixture
async def stage(store: Store, browser: Browser) -> AsyncIterator[scenes.Stage]:
    async with scenes.stage(store, browser) as made:
        yield made
