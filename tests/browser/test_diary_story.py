"""A story at the diary: Kari opens her week, sees two meetings side by side, clicks a free slot, and
what she makes there appears in her other window; then the month, the group, and a telephone.
"""

import pytest
from playwright.async_api import BrowserContext, FloatRect, Locator, Page, expect

from tests.browser import scenes

pytestmark = pytest.mark.browser

DEADLINE = scenes.DEADLINE
SLOT = "2026-12-03T09:30"


async def test_a_week_at_the_diary(stage: scenes.Stage) -> None:
    context = await stage.context("kari")
    context.set_default_timeout(DEADLINE)
    tab, other = await opened(stage, context), await opened(stage, context)

    # What overlaps stands side by side, and says that it conflicts.
    clashes = tab.locator(".timed .entry.clash")
    first, second = [await box(clashes.nth(number)) for number in (0, 1)]
    assert first["y"] < second["y"] + second["height"]
    assert second["y"] < first["y"] + first["height"]
    assert first["x"] + first["width"] <= second["x"]
    await expect(clashes.first).to_contain_text("Konflikt")

    # Every day has a button for a new one, which the keyboard reaches.
    await tab.locator("#c4 .add").focus()
    await tab.keyboard.press("Enter")
    await expect(tab.locator("main input[name=start]")).to_have_value("2026-12-03T08:00")
    await tab.go_back()

    # A click on a free time makes a follow-up then; the other window shows it by itself.
    await other.evaluate("window.untouched = true")
    slot = await box(tab.locator(f".slots [value='{SLOT}']"))
    await tab.mouse.click(slot["x"] + slot["width"] / 2, slot["y"] + slot["height"] / 2)
    await expect(tab.locator("main input[name=start]")).to_have_value(SLOT)
    await tab.locator("main [name=title]").fill("Made by a click")
    async with tab.expect_navigation():
        await tab.get_by_role("button", name="Lagre", exact=True).click()
    made = other.locator(".timed .entry", has_text="Made by a click")
    await expect(made).to_have_class("entry h9 m6 d1 q0 changed")
    await expect(made).to_contain_text("09.30–10.30")
    assert await other.evaluate("window.untouched")
    there = await box(made)
    at = await box(other.locator(f".slots [value='{SLOT}']"))
    assert abs(there["y"] - at["y"]) < 1
    assert abs(there["height"] - 2 * at["height"]) < 1

    # The month, and the group with who is free when.
    views = other.get_by_role("navigation", name="Visninger")
    await views.get_by_role("link", name="Måned").click()
    cell = other.locator(".cell", has=other.locator("#d2026-12-03"))
    await expect(cell).to_contain_text("Made by a click")
    await other.goto(f"{stage.url}diary?view=group&date=2026-12-03&of=kari&of=per&of=fjord")
    await expect(other.locator(".sum-column")).to_contain_text("2 av 3 ledige")
    await expect(other.locator(".sum-column")).to_contain_text("Opptatt: Kari Nordmann")

    # A telephone shows the same as a list.
    await other.set_viewport_size({"width": 360, "height": 740})
    await expect(other.locator(".slots").first).to_be_hidden()
    await expect(other.locator(".entry", has_text="Made by a click")).to_be_visible()
    assert await other.evaluate("document.documentElement.scrollWidth") == 360
    assert stage.violations == []


async def opened(stage: scenes.Stage, context: BrowserContext) -> Page:
    """The week, live."""
    tab: Page = await context.new_page()
    stage.watch(tab, "diary")
    await tab.goto(f"{stage.url}diary")
    await expect(tab.locator("#live")).to_have_attribute("data-state", "on", timeout=DEADLINE)
    return tab


async def box(shown: Locator) -> FloatRect:
    await shown.scroll_into_view_if_needed()
    found = await shown.bounding_box()
    assert found is not None
    return found
