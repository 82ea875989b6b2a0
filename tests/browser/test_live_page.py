"""The page in a real browser: an answer shows without reloading, at every width, in both colour
schemes, and accessibly.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from gateway import settings
from gateway.health import Condition
from gateway.model import Actor, Kind, Reply, Role
from gateway.store import engine, journal
from gateway.web import app, feed, page, serve
from gateway.web.api.site import Site as Api
from tests.rig import chromium
from tests.web import signing

pytestmark = pytest.mark.browser

DEADLINE = 60.0
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
LONG = "somebody.with.a.rather.long.address@a-rather-long-domain-name.example"


@dataclass
class Site:
    """A site whose one follow-up is held here; the journal, the feed and the sockets are the real
    ones.
    """

    store: engine.Store
    rows: tuple[page.Participant, ...]
    url: str = ""

    def shown(self, most: int, actor: Actor) -> app.Shown:
        with self.store.read() as connection:
            card = page.FollowUp(
                "m1",
                "Kick-off: nytt kundesenter",
                Kind.MEETING,
                "Kari Nordmann",
                NOW,
                NOW,
                "Europe/Oslo",
                "Møterom Fjord",
                participants=self.rows,
            )
            return app.Shown([card][:most], journal.newest(connection))

    def answer(self, *rows: page.Participant) -> None:
        self.rows = rows
        with self.store.write() as connection:
            journal.write(
                connection, [journal.Entry("answered", follow_up="m1")], datetime.now(UTC)
            )


def row(
    code: int, reply: Reply = Reply.NEEDS_ACTION, comment: str = "", name: str = "Ola Hansen"
) -> page.Participant:
    return page.Participant(name, name, LONG, Role.INVITED, code, reply, comment, email_invite=True)


async def no_checks() -> list[Condition]:
    return []


@pytest.fixture
async def site(store: engine.Store) -> AsyncIterator[Site]:
    made = Site(store, (row(5), row(1, Reply.ACCEPTED, name="Eva Lind")))
    live = feed.Feed(store)
    api = Api(store, settings.load())
    bound = serve.listen(settings.load(overrides={"web": {"listen": "127.0.0.1:0"}}))
    stop, up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        serve.serve(bound, live, app.create(live, made.shown, no_checks, list, api), stop, up)
    )
    async with asyncio.timeout(DEADLINE):
        await up.wait()
    made.url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    yield made
    stop.set()
    async with asyncio.timeout(DEADLINE):
        await running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(**chromium.launch_options())
        yield launched
        await launched.close()


async def opened(
    browser: Browser, site: Site, *, width: int = 900, scheme: str = "light"
) -> tuple[Page, list[str]]:
    """The page, live, and everything its console complains of from now on."""
    tab = await browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    [(name, secret)] = signing.session(site.store).items()
    await tab.context.add_cookies([{"name": name, "value": secret, "url": site.url}])
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    await tab.goto(site.url)
    await expect(tab.locator("#live")).to_have_attribute(
        "data-state", "on", timeout=DEADLINE * 1000
    )
    return tab, complaints


async def test_an_answer_shows_without_reloading(site, browser):
    tab, complaints = await opened(browser, site)
    ola = tab.locator(".row", has_text="Ola Hansen")
    await expect(ola).to_contain_text("Not answered")
    await expect(ola.locator("svg")).to_have_count(0)
    await tab.evaluate("window.untouched = true")
    site.answer(
        row(9, Reply.DECLINED, "På reise <b>da</b>"), row(1, Reply.ACCEPTED, name="Eva Lind")
    )
    await expect(ola).to_contain_text("Declined", timeout=DEADLINE * 1000)
    await expect(ola).to_have_class("row cross changed")
    await expect(ola.locator("use")).to_have_attribute("href", "#cross")
    await expect(ola.locator(".comment")).to_have_text("På reise <b>da</b>")
    await expect(tab.locator(".totals .declined dd")).to_have_text("1")
    await expect(tab.get_by_role("status")).to_have_text("Ola Hansen: Declined")
    # Nothing else was marked, and the document is still the first one.
    await expect(tab.locator(".changed")).to_have_count(1)
    assert await tab.evaluate("window.untouched")
    assert not complaints


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (320, "dark"), (1600, "dark")])
async def test_it_fits_every_width_in_both_schemes(site, browser, width, scheme):
    tab, complaints = await opened(browser, site, width=width, scheme=scheme)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = (
        sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")) / 3
    )
    assert (brightness < 128) is (scheme == "dark")
    assert not complaints


CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const words = "h1, h2, .when, .where, .name, .address, .status, .delivery, .comment, dt, dd, #live-text, .tag";
  for (const node of document.querySelectorAll(words)) {
    const pair = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(node.className + " " + node.tagName + " " + ratio.toFixed(2));
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_the_contrast_that_wcag_asks_for(site, browser, scheme):
    site.rows = (
        row(1, Reply.ACCEPTED),
        row(9, Reply.DECLINED, "c", "b"),
        row(7, Reply.TENTATIVE, name="d"),
        row(5, name="e"),
        row(10, name="f"),
    )
    tab, _ = await opened(browser, site, scheme=scheme)
    assert await tab.evaluate(CONTRAST) == []  # WCAG 2.2, 1.4.3
