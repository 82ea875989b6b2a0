"""The page in a real browser: an answer shows without reloading, at every width, in both colour
schemes. What axe finds is tests/browser/test_scenes.py's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from playwright.async_api import Browser, Page, expect

from gateway import settings
from gateway.actions import answering, desk, moving, planning, queue, recording
from gateway.actions.answering import Said
from gateway.actions.desk import Desk
from gateway.actions.moving import When
from gateway.health import Condition
from gateway.model import Access, Actor, Reply
from gateway.store import engine, followups, users
from gateway.store.outbox import Selection
from gateway.store.users import User
from gateway.web import app, feed, serve
from gateway.web.api.site import Site as Api
from tests.browser.scenes import Scheme
from tests.store import rows
from tests.web import signing

pytestmark = pytest.mark.browser

DEADLINE = 60.0
SETTINGS = settings.load(overrides={"mail": {"address": "invites@crm.example"}})
LONG = "somebody.with.a.rather.long.address@a-rather-long-domain-name.example"


@dataclass
class Site:
    """A site with one follow-up, to which Ola, Per and somebody with a long address are invited."""

    store: engine.Store
    url: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def answer(self, reply: Reply, comment: str = "") -> None:
        """Per answers in another window."""
        with self.store.read() as connection:
            members = followups.members(connection, "m1")
        number = next(one.id for one in members if one.key == "per")
        self.perform("per", lambda here: answering.answer(here, number, Said(reply, comment)))

    def move(self, key: str) -> None:
        """Kari moves a follow-up in another window."""
        when = When("2037-12-04T09:00:00")
        self.perform("kari", lambda here: moving.reschedule(here, key, when))

    def retitle(self, title: str) -> None:
        """Kari gives the second one another title there."""
        hours = {"start": "2037-12-02T09:00:00", "end": "2037-12-02T10:00:00"}
        said = {"kind": "meeting", "owner": "kari", "title": title, "timezone": "Europe/Oslo"}
        self.perform("kari", lambda here: recording.put(here, "m2", {**said, **hours}))

    def hold(self, number: int) -> None:
        """An administrator holds a letter."""
        chosen = Selection(numbers=(number,))
        chief = Actor(Access.ADMIN, name="chief")
        self.perform(chief, lambda here: queue.take(here, queue.Verb.HOLD, chosen))

    def perform(self, who: str | Actor, command: Callable[[Desk], object]) -> None:
        actor = who if isinstance(who, Actor) else Actor(Access.USER, who)
        desk.perform(self.store, SETTINGS, rows.NOW, actor, command)

    def plan(self) -> None:
        planning.plan_due(self.store, SETTINGS, rows.NOW, everything=True)


async def no_checks() -> list[Condition]:
    return []


@pytest.fixture
async def site(store: engine.Store) -> AsyncIterator[Site]:
    rows.begin(store)
    rows.run(
        store,
        "UPDATE follow_up SET title = 'Kick-off: nytt kundesenter', location = 'Møterom Fjord'",
        # Neither is over when the tests are run.
        "UPDATE follow_up SET start_at = '2037-12-01 08:00:00', end_at = '2037-12-01 09:00:00'"
        " WHERE key = 'm1'",
        "UPDATE follow_up SET start_at = '2037-12-02 08:00:00', end_at = '2037-12-02 09:00:00'"
        " WHERE key = 'm2'",
        f"INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', '{LONG}', TRUE)",
    )
    made = Site(store)
    live = feed.Feed(store)
    api = Api(store, settings.load(), clock=lambda: rows.NOW)
    bound = serve.listen(settings.load(overrides={"web": {"listen": "127.0.0.1:0"}}))
    stop, up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        serve.serve(bound, live, app.create(live, no_checks, list, api), stop, up)
    )
    async with asyncio.timeout(DEADLINE):
        await up.wait()
    made.cookies = signing.session(store)
    made.url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    yield made
    stop.set()
    async with asyncio.timeout(DEADLINE):
        await running


async def opened(
    browser: Browser,
    site: Site,
    *,
    path: str = "follow-ups/m1",
    width: int = 900,
    scheme: Scheme = "light",
) -> tuple[Page, list[str]]:
    """The page, live, and everything its console complains of from now on."""
    tab = await browser.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
    [(name, secret)] = site.cookies.items()
    await tab.context.add_cookies([{"name": name, "value": secret, "url": site.url}])
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    await tab.goto(site.url + path)
    await expect(tab.locator("#live")).to_have_attribute(
        "data-state", "on", timeout=DEADLINE * 1000
    )
    return tab, complaints


async def test_an_answer_shows_without_reloading(site: Site, browser: Browser) -> None:
    tab, complaints = await opened(browser, site)
    per = tab.locator(".row", has_text="Per")
    await expect(per).to_contain_text("Not answered")
    await tab.evaluate("window.untouched = true")
    await tab.locator("#q").fill("half a word")
    site.answer(Reply.DECLINED, "På reise <b>da</b>")
    await expect(per).to_contain_text("Does not come", timeout=DEADLINE * 1000)
    await expect(per).to_have_class("row changed")
    await expect(per.locator(".disc use")).to_have_attribute("href", "/static/vendor/icons.svg#x")
    await expect(per.locator(".said")).to_have_text("På reise <b>da</b>")
    await expect(tab.locator(".sum")).to_contain_text("1 does not come")
    await expect(tab.locator("#news")).to_contain_text("Per: Does not come")
    # Nothing else was marked, the document is still the first one, and what is typed stays.
    await expect(tab.locator(".changed")).to_have_count(1)
    assert await tab.evaluate("window.untouched")
    await expect(tab.locator("#q")).to_have_value("half a word")
    assert await tab.evaluate("document.activeElement.id") == "q"
    assert not complaints


async def watched(tab: Page, rows: str) -> None:
    """Which rows are written into from now on, as `window.touched`."""
    await tab.evaluate(
        """(rows) => {
          window.touched = new Set();
          new MutationObserver((all) => {
            for (const one of all) {
              const row = one.target.closest && one.target.closest(rows);
              if (row) window.touched.add(row.id);
            }
          }).observe(document.querySelector("main"),
            {subtree: true, childList: true, attributes: true, characterData: true});
        }""",
        rows,
    )


async def test_one_row_is_exchanged_and_those_beside_it_are_not(
    site: Site, browser: Browser
) -> None:
    tab, complaints = await opened(browser, site)
    await watched(tab, ".row")
    per = tab.locator(".row", has_text="Per")
    async with tab.expect_response("**/rows?seen=*", timeout=DEADLINE * 1000) as asked:
        site.answer(Reply.DECLINED, "På reise")
    told = await (await asked.value).text()
    assert told.count('<li class="row"') == 1
    assert "<h1" not in told
    await expect(per).to_contain_text("Does not come", timeout=DEADLINE * 1000)
    await expect(per).to_have_class("row", timeout=DEADLINE * 1000)  # its mark is over
    assert await tab.evaluate("[...window.touched]") == [await per.get_attribute("id")]

    # What is said next is compared with that, and what concerns another page changes nothing.
    async with tab.expect_response("**/rows?seen=*", timeout=DEADLINE * 1000) as asked:
        site.answer(Reply.ACCEPTED)
    assert (await (await asked.value).text()).count('<li class="row"') == 1
    await expect(tab.locator(".sum")).to_contain_text("1 comes", timeout=DEADLINE * 1000)
    async with tab.expect_response("**/rows?seen=*", timeout=DEADLINE * 1000) as asked:
        site.move("m2")
    assert (await asked.value).status == 204

    # What stands around the rows, and a row that comes, exchange the whole.
    site.move("m1")
    await expect(tab.locator("#when")).to_contain_text("4 December", timeout=DEADLINE * 1000)
    await expect(per).to_contain_text("Comes")
    assert not complaints


LISTS = {
    "follow-ups": "#listed .card",
    "persons/eva": "#card .card",
    "diary?view=week&date=2037-12-01&of=kari&of=per": "#diary .entry",
    "diary?view=next&date=2037-12-01&of=kari": "#diary .entry",
}
"""Lists of follow-ups, with what their rows are."""


@pytest.mark.parametrize("path", LISTS)
async def test_of_every_list_one_row_is_exchanged(site: Site, browser: Browser, path: str) -> None:
    rows.run(
        site.store,
        "UPDATE follow_up SET title = 'Review', end_at = '2037-12-02 09:00:00' WHERE key = 'm2'",
        "INSERT INTO participant (follow_up, person) VALUES ('m1', 'eva')",
    )
    site.plan()
    tab, complaints = await opened(browser, site, path=path)
    shown, beside = (tab.locator(LISTS[path], has_text=one) for one in ("Review", "Kick-off"))
    await shown.locator("a").focus()
    await tab.evaluate("window.scrollTo(0, 40)")
    await beside.evaluate("(row) => getSelection().selectAllChildren(row)")
    kept = "[document.activeElement.href, String(getSelection()), scrollY]"
    before = await tab.evaluate(kept)
    await watched(tab, LISTS[path])
    site.retitle("Looked at again")
    changed = tab.locator(LISTS[path], has_text="Looked at again")
    await expect(changed).to_have_count(1, timeout=DEADLINE * 1000)
    # Who reads with the keyboard stands on that row, and what is chosen in another stays chosen.
    assert await tab.evaluate(kept) == before
    assert before[1]
    assert await tab.evaluate("[...window.touched]") == [await changed.get_attribute("id")]
    assert not complaints


async def test_letters_stay_ticked_while_one_of_them_changes(site: Site, browser: Browser) -> None:
    rows.run(site.store, "UPDATE participant SET email_invite = TRUE")
    site.plan()
    site.cookies = signing.session(site.store, "chief", Access.ADMIN)
    tab, complaints = await opened(browser, site, path="admin/letters")
    letters = tab.locator(".letter-row")
    first, second = letters.nth(0), letters.nth(1)
    for row in (first, second):
        await row.locator("input").check()
    await second.locator("input").focus()
    await watched(tab, ".letter-row")
    site.hold(int(await second.locator("input").input_value()))
    await expect(second).to_contain_text("Held", timeout=DEADLINE * 1000)
    assert await tab.evaluate("[...window.touched]") == [await second.get_attribute("id")]
    for row in (first, second):
        await expect(row.locator("input")).to_be_checked()
    await expect(second.locator("input")).to_be_focused()
    assert not complaints


@pytest.mark.parametrize("width", [320, 360, 412])
async def test_the_menu_of_an_administrator_stands_in_one_line_on_a_phone(
    site: Site, browser: Browser, width: int
) -> None:
    """With their own invitations it has six entries; none is cut, broken or covers another."""
    with site.store.write() as connection:
        user = User(0, "boss", Access.ADMIN, "kari", rows.NOW, "test")
        number = users.add(connection, user, "")
        assert number is not None
        secret = users.begin_session(connection, number, rows.NOW)
        connection.exec_driver_sql("UPDATE associate SET language = 'nb' WHERE key = 'kari'")
    site.cookies = {"session": secret}
    tab, complaints = await opened(browser, site, path="admin", width=width)
    boxes = await tab.evaluate(
        """() => [...document.querySelectorAll(".side li a")].map((one) => {
          const word = one.querySelector(".brief");
          const box = word.getBoundingClientRect();
          const line = parseFloat(getComputedStyle(word).lineHeight);
          return [box.left, box.right, Math.round(box.height / line), one.textContent];
        })"""
    )
    assert len(boxes) == 6
    assert all(lines == 1 for _, _, lines, _ in boxes), boxes
    assert boxes[0][0] >= 0
    assert boxes[-1][1] <= width
    assert all(one[1] < other[0] for one, other in pairwise(boxes)), boxes
    assert not complaints


async def test_a_part_that_cannot_be_had_leaves_the_page_as_it_is(
    site: Site, browser: Browser
) -> None:
    tab, _ = await opened(browser, site)
    await tab.context.clear_cookies()
    async with tab.expect_response("**/rows?seen=*", timeout=DEADLINE * 1000) as asked:
        site.answer(Reply.DECLINED)
    assert (await asked.value).status == 401
    await tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    await expect(tab.locator(".row", has_text="Per")).to_contain_text("Not answered")
    await expect(tab.locator("body")).not_to_contain_text("sign in first")


PAGES = ("", "follow-ups", "follow-ups/m1", "diary?of=kari")


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (320, "dark"), (1600, "dark")])
async def test_it_fits_every_width_in_both_schemes(
    site: Site, browser: Browser, width: int, scheme: Scheme
) -> None:
    for path in PAGES:
        tab, complaints = await opened(browser, site, path=path, width=width, scheme=scheme)
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        ground = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        parts = ground.removeprefix("rgb(").removesuffix(")").split(",")
        brightness = sum(int(part) for part in parts) / 3
        assert (brightness < 128) is (scheme == "dark")
        assert not complaints
        await tab.context.close()
