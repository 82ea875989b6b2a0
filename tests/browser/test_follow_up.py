"""A follow-up in real browsers: a dialog over its page, one person in two windows, and undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from gateway import settings
from gateway.actions import answering, desk, load, moving, planning
from gateway.actions.answering import Said
from gateway.actions.moving import When
from gateway.model import Access, Actor, Reply
from gateway.store import followups, outbox, users
from gateway.store.engine import Store
from gateway.store.users import User
from tests.browser import serving
from tests.store import acting

pytestmark = pytest.mark.browser

DEADLINE = 60_000.0
CONF = settings.load(overrides={"mail": {"address": "invites@crm.example"}})
CRM = Actor(Access.CRM, "", "crm")
DOCUMENT: dict[str, list[dict[str, Any]]] = {
    "associates": [
        {"key": key, "name": key.title(), "email": f"{key}@crm.example"}
        for key in ("kari", "per", "nina")
    ],
    "follow_ups": [
        {
            "key": "m1",
            "kind": "meeting",
            "owner": "kari",
            "title": "Kick-off",
            "start": "2030-05-02T09:00:00",
            "end": "2030-05-02T10:00:00",
            "timezone": "Europe/Oslo",
            "participants": [{"associate": "per", "email_invite": True}],
        }
    ],
}


@pytest.fixture
async def window(store: Store, browser: Browser) -> AsyncIterator[BrowserContext]:
    """Kari's browser, at a site where Per holds the invitation to `m1`."""
    now = datetime.now(UTC)
    with store.write() as connection:
        load.load(connection, DOCUMENT, CONF, now)
        number = users.add(connection, User(0, "kari", Access.USER, "kari", now, "test"), "")
        assert number is not None
        secret = users.begin_session(connection, number, now)
    leave(store)
    async with serving.serving(store) as url:
        context = await browser.new_context(base_url=url, reduced_motion="reduce")
        context.set_default_timeout(DEADLINE)
        await context.add_cookies([{"name": "session", "value": secret, "url": url}])
        yield context
        await context.close()


def leave(store: Store) -> None:
    """What is owed is planned, and leaves."""
    now = datetime.now(UTC)
    planning.plan_due(store, CONF, now, everything=True)
    acting.send(store, now)


def answer(store: Store, reply: Reply) -> None:
    """Per answers in another window."""
    with store.read() as connection:
        [per] = [one for one in followups.members(connection, "m1") if one.key == "per"]
    said = Said(reply, "")
    actor, now = Actor(Access.USER, "per"), datetime.now(UTC)
    desk.perform(store, CONF, now, actor, lambda here: answering.answer(here, per.id, said))


async def opened(window: BrowserContext, complaints: list[str]) -> Page:
    tab = await window.new_page()
    tab.on("console", lambda said: complaints.append(said.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    await tab.goto("/follow-ups/m1")
    await expect(tab.locator("#live")).to_have_attribute("data-state", "on", timeout=DEADLINE)
    return tab


async def test_a_dialog_stays_while_the_page_changes_and_a_save_is_undone_elsewhere(
    window: BrowserContext, store: Store
) -> None:
    complaints = list[str]()
    first, second = await opened(window, complaints), await opened(window, complaints)
    over = first.locator("dialog.over")

    # A dialog is opened by keyboard and filled in, while rows change behind it.
    await first.locator("a[data-dialog]", has_text="Edit").focus()
    await first.keyboard.press("Enter")
    place = over.locator("[name=location]")
    await place.fill("Half a pla")
    answer(store, Reply.DECLINED)
    for tab in (first, second):
        per = tab.locator(".row", has_text="Per")
        await expect(per).to_contain_text("Does not come", timeout=DEADLINE)
    await expect(place).to_have_value("Half a pla")
    await expect(place).to_be_focused()

    # Somebody else changes what is edited: a line says so, and what was typed stays.
    elsewhere = When("2030-05-03T09:00:00")
    now = datetime.now(UTC)
    desk.perform(store, CONF, now, CRM, lambda here: moving.reschedule(here, "m1", elsewhere))
    await expect(over.locator("#meanwhile")).to_contain_text("Changed by crm", timeout=DEADLINE)
    for tab in (first, second):
        await expect(tab.locator("#when")).to_contain_text("3 May", timeout=DEADLINE)
    await expect(place).to_have_value("Half a pla")
    await expect(place).to_be_focused()
    await first.keyboard.press("Escape")
    await expect(over).not_to_be_visible()
    leave(store)

    # A save is seen before it is done; another window takes it back, and nobody hears of it.
    await first.locator("a[data-dialog]", has_text="Move").click()
    await over.locator("[name=start]").fill("2030-05-04T14:00")
    await over.locator("[name=end]").fill("2030-05-04T15:00")
    await over.locator("[name=preview]").click()
    await expect(over).to_contain_text("1 letter goes when you save", timeout=DEADLINE)
    await over.locator("button.first").click()
    await expect(first.locator("main")).to_contain_text("4 May", timeout=DEADLINE)
    await expect(first.locator("#undo button")).to_be_visible()
    undo = second.locator("#undo button")
    await undo.click()
    await expect(second.locator("main")).to_contain_text("Taken back.", timeout=DEADLINE)
    await expect(second.locator("main")).to_contain_text("3 May")
    await expect(first.locator("#undo button")).to_have_count(0, timeout=DEADLINE)
    planning.plan_due(store, CONF, datetime.now(UTC), everything=True)
    with store.read() as connection:
        assert outbox.pending(connection) == []
    assert complaints == []


async def test_what_i_am_asked_shows_without_reloading(
    window: BrowserContext, store: Store
) -> None:
    tab = await window.new_page()
    await tab.goto("/invitations")
    await expect(tab.locator("#live")).to_have_attribute("data-state", "on", timeout=DEADLINE)
    await expect(tab.locator("#asked")).not_to_contain_text("Review")
    [first] = DOCUMENT["follow_ups"]
    asked = {**first, "key": "m2", "owner": "per", "title": "Review"}
    asked["participants"] = [{"associate": "kari"}]
    with store.write() as connection:
        load.load(connection, {"follow_ups": [asked]}, CONF, datetime.now(UTC))
    planning.plan_due(store, CONF, datetime.now(UTC), everything=True)
    await expect(tab.locator("#asked .card")).to_contain_text("Review", timeout=DEADLINE)
    count = tab.locator("nav #asked-count")
    await expect(count).to_have_text("1", timeout=DEADLINE)
    await tab.goto("/follow-ups/m1")
    await expect(count).to_have_text("1")
    await expect(tab.locator("#live")).to_have_attribute("data-state", "on", timeout=DEADLINE)
    with store.read() as connection:
        [kari] = [one for one in followups.members(connection, "m2") if one.key == "kari"]
    actor, now, said = Actor(Access.USER, "kari"), datetime.now(UTC), Said(Reply.ACCEPTED, "")
    desk.perform(store, CONF, now, actor, lambda here: answering.answer(here, kari.id, said))
    await expect(count).to_be_hidden(timeout=DEADLINE)
    await expect(count).to_have_text("")


async def test_somebody_is_chosen_while_typing(window: BrowserContext, store: Store) -> None:
    complaints = list[str]()
    tab = await opened(window, complaints)
    over = tab.locator("dialog.over")
    await tab.locator(".tools a.first").click()
    await over.locator("#look").press_sequentially("nin")
    offered = over.locator("#offered [role=option]")
    await expect(offered).to_contain_text("Nina", timeout=DEADLINE)
    await tab.keyboard.press("ArrowDown")
    await tab.keyboard.press("Enter")
    await expect(over.locator(".picked")).to_contain_text("Nina", timeout=DEADLINE)
    await over.locator("[name=save]").click()
    row = tab.locator(".row", has_text="Nina")
    await expect(row).to_be_visible(timeout=DEADLINE)
    assert complaints == []
