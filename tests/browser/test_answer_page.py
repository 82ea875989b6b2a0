"""The answer page as an invitee meets it: from the letter by its link to the status in the store, in
a real browser without JavaScript, and for everybody.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, Page, expect

from gateway import settings as configuration
from gateway.actions import letters, planning
from gateway.sandbox import seed
from gateway.store import engine, followups, outbox
from tests.browser import serving
from tests.browser.test_scenes import looked_at
from tests.store import rows

pytestmark = pytest.mark.browser

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@dataclass
class Post:
    """What lies in Ola's mailbox, and what the store knows of Ola."""

    store: engine.Store
    html: str

    def status(self) -> tuple[str, str, str]:
        with self.store.read() as connection:
            members = followups.members(connection, "m1")
        standing = next(one for one in members if one.key == "ola").standings[None]
        return standing.reply.value, standing.comment, str(standing.channel)


@pytest.fixture
async def post(store: engine.Store) -> AsyncIterator[Post]:
    rows.begin(store)
    rows.run(
        store,
        "UPDATE follow_up SET title = 'Oppstart: nytt kundesenter <1>', location = 'Fjord'",
        "UPDATE person SET language = 'nb'",
    )
    async with serving.answering(store, lambda: NOW) as url:
        answer = {"listen": "127.0.0.1:1", "public_url": url.rstrip("/")}
        mail = {"address": "invites@crm.example", "name": seed.ORGANISATION}
        settings = configuration.load(overrides={"mail": mail, "answer": answer})
        planning.plan_due(store, settings, NOW, everything=True)
        with store.read() as connection:
            found = outbox.find(connection, outbox.Selection(follow_up="m1"))
            [letter] = [one.letter for one in found if one.letter.address == "ola@ext.example"]
            html = letters.Writer.at(connection, settings).words(letter).html
        yield Post(store, html)


async def opened(
    browser: Browser, post: Post, width: int, *, javascript: bool = False
) -> tuple[Page, list[str]]:
    """The letter, and everything that the console complains of from now on."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, java_script_enabled=javascript
    )
    tab, complaints = await context.new_page(), list[str]()
    tab.on("console", lambda message: complaints.append(message.text))
    await tab.set_content(post.html)
    return tab, complaints


async def test_from_the_letter_to_the_status(post: Post, browser: Browser) -> None:
    tab, complaints = await opened(browser, post, 360)
    await tab.get_by_role("link", name="Svar på en nettside").click()
    await expect(tab).to_have_title("Oppstart: nytt kundesenter <1>")
    await expect(
        tab.get_by_text(f"Kari, {seed.ORGANISATION}, inviterer deg til et møte.")
    ).to_be_visible()
    await expect(tab.get_by_text("gjelder for ola@ext.example")).to_be_visible()
    assert post.status()[0] == "needs-action"
    await tab.get_by_role("button", name="Send svaret").click()
    await expect(tab.get_by_role("alert")).to_contain_text("Velg ja, kanskje eller nei")
    await tab.get_by_label("Nei").check()
    await tab.get_by_label("Melding til Kari").fill("Er på reise")
    await tab.locator("summary").click()
    await tab.get_by_label("Ny start").fill("2026-12-02T13:00")
    await tab.get_by_role("button", name="Send svaret").click()
    await expect(tab.get_by_role("status")).to_contain_text("Takk. Kari ser hva du har svart.")
    await expect(tab.get_by_label("Nei")).to_be_checked()
    await expect(tab.get_by_text("onsdag 2. desember 2026")).to_be_visible()
    assert post.status() == ("declined", "Er på reise", "page")
    assert not [one for one in complaints if "Failed to load resource" not in one]
    await tab.context.close()


async def test_it_can_be_used_by_everybody(post: Post, browser: Browser) -> None:
    """By axe's rules, at a desk and on a phone, light and dark."""
    tab, complaints = await opened(browser, post, 320, javascript=True)
    await tab.get_by_role("link", name="Svar på en nettside").click()
    await tab.get_by_label("Kanskje").check()
    await tab.locator("summary").click()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 320
    assert await looked_at(tab) == []
    await tab.get_by_label("Ny start").fill("2026-01-01T13:00")
    await tab.get_by_role("button", name="Send svaret").click()
    await expect(tab.get_by_role("alert")).to_contain_text("må ligge fram i tid")
    assert await looked_at(tab) == []
    await tab.goto(tab.url[:-3])
    await expect(tab.get_by_role("heading")).to_have_text("There is nothing to answer here")
    assert await looked_at(tab) == []
    assert not [one for one in complaints if "Failed to load resource" not in one]
    await tab.context.close()
