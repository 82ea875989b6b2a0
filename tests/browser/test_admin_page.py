"""A morning of an administrator in a real browser: a refused letter, a held answer, a program and
a colleague that are to come in (docs/page.md §7).
"""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from gateway.actions import queue
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from tests.browser import day, scenes

pytestmark = pytest.mark.browser

REFUSED = 17
"""The letter to Ivar, whose address does not exist."""
HELD = 8
"""Ola's answer from another address."""


async def test_a_morning_of_an_administrator(store: Store, stage: scenes.Stage) -> None:
    context = await stage.context("admin", "en")
    context.set_default_timeout(scenes.DEADLINE)
    tab = await context.new_page()
    stage.watch(tab, "admin")
    await tab.goto(stage.url)
    await tab.get_by_role("link", name="Admin", exact=True).press("Enter")
    await tab.get_by_role("link", name="1 letters were refused").press("Enter")
    await a_refused_letter(tab)
    await what_another_does_shows_at_once(tab, store, stage)
    await a_held_answer(tab, stage)
    await a_program_and_a_colleague(tab, stage)
    await context.close()
    [blocked] = stage.violations
    assert "Framing '' violates" in blocked, "the answer link of the framed letter"


async def a_refused_letter(tab: Page) -> None:
    """Why, in the server's words too, as the invitee would have seen it; and once more."""
    row = tab.locator(f"#letter-{REFUSED}")
    await expect(row).to_contain_text("The address does not exist")
    await expect(row.locator("pre")).to_be_hidden()
    await row.get_by_text("Show").press("Enter")
    await expect(row.locator("pre")).to_contain_text("User unknown")
    await row.get_by_role("link", name="bounced@gone.example").click()
    framed = tab.frame_locator("iframe.mail")
    await expect(framed.locator("h1")).to_have_text("Demodag for partnere")
    # Nothing in the frame leads away, nor can it reach the page around it.
    await framed.get_by_text("Ja", exact=True).click()
    await expect(tab).to_have_url(f"{tab.url.partition('/admin')[0]}/admin/letters/{REFUSED}")
    await tab.get_by_role("link", name="Try now").click()
    await expect(tab.locator("main")).to_contain_text("one letter of it goes first")
    await tab.get_by_role("button", name="Try now").press("Enter")
    await expect(tab.get_by_role("status").first).to_contain_text("Tried now.")
    await expect(tab.locator("main")).to_contain_text("It leaves within seconds")


async def what_another_does_shows_at_once(tab: Page, store: Store, stage: scenes.Stage) -> None:
    await tab.goto(f"{stage.url}admin/letters?view=held")
    await expect(tab.locator("#live")).to_have_attribute("data-state", "on")
    await expect(tab.locator("#letters")).to_contain_text("No letter is there.")
    await tab.get_by_label("Domain").fill("half a w")
    held = Selection(numbers=(REFUSED,))
    queue.change(store, queue.Verb.HOLD, held, day.NOW, "root")
    await expect(tab.locator(f"#letter-{REFUSED}")).to_contain_text("An administrator holds it")
    await expect(tab.get_by_label("Domain")).to_have_value("half a w")


async def a_held_answer(tab: Page, stage: scenes.Stage) -> None:
    await tab.get_by_role("link", name="Review", exact=True).click()
    question = "o.hansen@privat.example answered for ola.hansen@nordlys.example"
    await tab.get_by_role("link", name=question).click()
    steps = tab.locator("ol.steps li")
    await expect(steps.last).to_contain_text("The token, but an address that is not known")
    await tab.get_by_role("button", name="The same person").press("Enter")
    await expect(tab.get_by_role("status").first).to_contain_text("it waits no longer")
    await expect(tab.locator("main")).to_contain_text("What was decided before")


async def a_program_and_a_colleague(tab: Page, stage: scenes.Stage) -> None:
    """Both secrets are shown once; the link lets its bearer in."""
    await tab.get_by_role("link", name="Connections", exact=True).click()
    await tab.get_by_text("New token").click()
    token = tab.locator("form[action='/admin/tokens']")
    await token.get_by_label("Name").fill("Espo")
    await token.get_by_role("button").click()
    secret = await tab.locator(".secret").inner_text()
    assert secret.startswith("igt_")
    await tab.get_by_role("link", name="I have kept it").click()
    await expect(tab.locator("main")).to_contain_text("Espo")
    assert secret not in await tab.content()
    await tab.get_by_role("link", name="Users", exact=True).click()
    await tab.get_by_text("New user").click()
    user = tab.locator("form[action='/admin/users']")
    await user.get_by_label("Name to sign in with").fill("liv")
    await user.get_by_label("What they may").select_option("read")
    await user.get_by_role("button").click()
    link = await tab.locator(".secret").inner_text()
    theirs = await stage.context("", "en")
    other = await theirs.new_page()
    await other.goto(stage.url.rstrip("/") + link[link.index("/sign-in/link") :])
    await expect(other.locator(".who")).to_contain_text("liv")
    await expect(other.get_by_role("link", name="Admin", exact=True)).to_have_count(0)
    await theirs.close()
