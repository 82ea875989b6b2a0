"""Every page in each of its states: accessible by axe's rules, within its width, and without a word
of complaint from the browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from gateway.sandbox import seed
from tests.browser import day, scenes
from tests.web.test_troubles import ENGLISH

OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose answer another colour scheme can change."""

READ = """() => {
  const page = document.body.cloneNode(true);
  for (const one of page.querySelectorAll("[lang=en], q, code, pre, script, style, iframe")) {
    one.remove();
  }
  const said = [...page.querySelectorAll("[title], [aria-label], [placeholder]")]
    .flatMap((one) => ["title", "aria-label", "placeholder"].map((name) => one.getAttribute(name)));
  return [page.textContent, ...said].join(" \\n ");
}"""
"""What a page says, what can be heard or appears when a mouse rests included."""
AT_REST = "() => Promise.all(document.getAnimations().map((one) => one.finished))"
"""Colours fade into each other."""


def test_every_page_has_its_scene() -> None:
    shown = {scenes.route_of(scene.path) for scene in scenes.SCENES if not scene.invitee}
    routes = {route.path for route in scenes.every()}
    apart = scenes.FRAGMENTS | scenes.NOT_PAGES
    assert len(routes) > 10
    assert sorted(routes - apart - shown) == []
    assert sorted(apart - routes) == []
    assert sorted(shown - routes) == []
    names = [scene.name for scene in scenes.SCENES]
    assert len(set(names)) == len(names)


@pytest.mark.browser
async def test_every_scene_can_be_used_by_everybody(stage: scenes.Stage) -> None:
    complaints = list[str]()
    for who, shown in scenes.by_person():
        context = await stage.context(who)
        for scene in shown:
            tab = await context.new_page()
            stage.watch(tab, scene.name)
            await stage.show(tab, scene)
            complaints += [f"{scene.name} {found}" for found in await looked_at(tab)]
            complaints += [f"{scene.name} says {word}" for word in await english(tab)]
            await tab.close()
        await context.close()
    assert complaints == []
    assert stage.violations == []


async def looked_at(tab: Page) -> list[str]:
    """What is wrong with a page, at each width and in each colour scheme."""
    wrong = list[str]()
    await tab.evaluate(Axe().axe_script)
    for width in scenes.WIDTHS:
        await tab.set_viewport_size({"width": width, "height": scenes.HEIGHT})
        if (wide := await tab.evaluate("document.documentElement.scrollWidth")) > width:
            wrong.append(f"{width}: is {wide} wide")
        for scheme in scenes.SCHEMES:
            await tab.emulate_media(color_scheme=scheme)
            await tab.evaluate(AT_REST)
            rules = None if scheme == "light" else OF_COLOURS
            wrong += [f"{width} {scheme}: {found}" for found in await _axe(tab, rules)]
    return wrong


async def english(tab: Page) -> set[str]:
    """English words that a page says in Norwegian: what is marked as English, code, and what
    people wrote left out.
    """
    if await tab.evaluate("document.documentElement.lang") != "nb":
        return set()
    told = await tab.evaluate(READ)
    for text in texts(seed.document(day.NOW.date())):
        told = told.replace(text, " ")
    return (
        set(re.findall(r"[a-zæøå]+", re.sub(r"\[\S*\]|\S*[._@/]\S*", " ", told.lower()))) & ENGLISH
    )


def texts(said: object) -> list[str]:
    """The longest first, so that none is cut by another."""
    if isinstance(said, Mapping):
        said = list(said.values())
    if isinstance(said, list | tuple):
        return sorted({text for one in said for text in texts(one)}, key=len, reverse=True)
    return [said] if isinstance(said, str) and len(said) > 3 else []


async def _axe(tab: Page, rules: list[str] | None) -> list[str]:
    """Findings of any impact. `rules`: only these."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = {"type": "rule", "values": rules}
    answer = await tab.evaluate("options => axe.run(document, options)", options)
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in answer["violations"]
        for node in one["nodes"][:3]
    ]
