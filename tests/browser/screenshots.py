"""`make screenshots`: every page in each of its states, and every kind of letter, as Chromium shows
it, for people to look at: var/screenshots/index.html.

Pages 1280 and 360 px wide, light and dark, in Norwegian, the chief ones in English, too (`scenes`).
Letters in both languages, 320 and 600 px wide. What passes somebody's words on is plain text and
shown as such. Nothing is judged here; test_scenes.py and test_letter_html.py do that.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import html
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from gateway.model import Guest, Letter, Remarks, Reply
from gateway.store.engine import Store
from gateway.writing import render
from tests import stores
from tests.browser import scenes
from tests.browser.scenes import Scene, Stage
from tests.core import specimens
from tests.rig import chromium

WIDTHS = (320, 600)
FOLDER = Path("var/screenshots")
PLAIN = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><style>body { margin: 12px } pre { white-space: pre-wrap;
overflow-wrap: anywhere; font: 14px/1.5 monospace }</style><pre>%s</pre>"""
"""What a mail program makes of plain text."""


def letters() -> Iterator[tuple[str, Letter]]:
    """Name and letter: all that can be told of a meeting, and every kind of follow-up in the letter
    that shows most of it.
    """
    for change in specimens.CHANGES:
        yield f"meeting-{change}", specimens.changed("meeting", change)
    shown = (
        ("rich", "moved"),
        ("listed", "updated"),
        ("all-day", "moved"),
        ("over-midnight", "invitation"),
        ("task", "moved"),
        ("planned-call", "invitation"),
        ("call", "cancelled"),
        ("series", "invitation"),
        ("series-with-dates", "updated"),
        ("series-with-dates", "moved"),
        ("answer-by", "invitation"),
        ("answer-by", "cancelled"),
        ("answer-by", "reminder"),
        ("rich", "cancelled"),
        ("task", "reminder"),
        ("all-day-series", "proposal_declined"),
        ("dates", "invitation"),
        ("one-date", "moved"),
        ("one-date", "cancelled"),
        ("one-date", "asked_again"),
    )
    for kind, change in shown:
        yield f"{kind}-{change}", specimens.changed(kind, change)
    task = specimens.changed("task", "moved")
    yield (
        "task-new_deadline",
        replace(task, before=replace(task.edition, deadline=date(2026, 11, 27))),
    )
    yield "meeting-passed_on_to_you", specimens.delegated()
    yield "meeting-passed_on_by_you", specimens.passed_on()
    moved = specimens.changed("meeting", "moved")
    before = replace(
        specimens.SINGLE,
        start=specimens.START - specimens.WEEK,
        end=specimens.START - specimens.WEEK + specimens.HOUR,
    )
    yield "meeting-moved-elsewhere", replace(moved, before=before, timezone="America/New_York")
    yield (
        "words-with_answer",
        specimens.words("Jeg blir nok litt sen, men kommer.\n\nHilsen Ola", reply=Reply.ACCEPTED),
    )
    yield (
        "words-of_a_stranger",
        specimens.words(
            "Can I come instead?",
            remarks=Remarks(
                words="Can I come instead?",
                writer=Guest("Eva Lund", "eva@other.example"),
                row=Guest("Hansen, Ola", "ola@ext.example"),
                reply_to="eva@other.example",
            ),
        ),
    )


def page(one: Letter) -> str:
    """The HTML of a letter, or its plain text as a page."""
    message = email.message_from_bytes(
        render.render(one, specimens.MAIL, specimens.SECRET), policy=email.policy.default
    )
    if (body := message.get_body(("html",))) is not None:
        content: str = body.get_content()
        return content
    return PLAIN % html.escape(f"{message['Subject']}\n\n{message.get_content()}")


async def take(folder: Path, wanted: str = "") -> list[Path]:
    """Write the pictures of all pages and letters whose name contains `wanted`, and the page that
    shows them; returns their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**chromium.launch_options())
        taken = await _take_pages(folder, wanted, browser)
        taken += await _take_letters(folder, wanted, browser)
        await browser.close()
    (folder / "index.html").write_text(_index(taken), encoding="utf-8")
    return taken


async def _take_pages(folder: Path, wanted: str, browser: Browser) -> list[Path]:
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/store.db"
        stores.upgraded(url)
        with closing(Store(url)) as store:
            async with scenes.stage(store, browser) as stage:
                taken = await _in_language(folder, wanted, stage, "nb")
                with store.write() as connection:
                    connection.exec_driver_sql("UPDATE associate SET language = 'en'")
                return taken + await _in_language(folder, wanted, stage, "en")


async def _in_language(folder: Path, wanted: str, stage: Stage, language: str) -> list[Path]:
    taken = []
    for who, shown in scenes.by_person():
        context = await stage.context(who, language)
        for scene in shown:
            if wanted in f"page-{scene.name}" and (scene.chief or language == "nb"):
                tab = await context.new_page()
                await stage.show(tab, scene)
                taken += await _sizes(folder, tab, scene, language)
                await tab.close()
        await context.close()
    return taken


async def _sizes(folder: Path, tab: Page, scene: Scene, language: str) -> list[Path]:
    taken = []
    for width in scenes.WIDTHS:
        await tab.set_viewport_size({"width": width, "height": scenes.HEIGHT})
        # As high as the page, so that what sticks to the bottom covers nothing.
        height = await tab.evaluate("document.documentElement.scrollHeight")
        await tab.set_viewport_size({"width": width, "height": height})
        for scheme in scenes.SCHEMES:
            await tab.emulate_media(color_scheme=scheme)
            taken.append(folder / f"page-{scene.name}-{language}-{width}-{scheme}.png")
            await tab.screenshot(path=taken[-1])
    return taken


async def _take_letters(folder: Path, wanted: str, browser: Browser) -> list[Path]:
    taken = []
    for width in WIDTHS:
        for scheme in scenes.SCHEMES:
            context = await browser.new_context(
                viewport={"width": width, "height": 400}, color_scheme=scheme
            )
            tab = await context.new_page()
            for name, one in letters():
                for language in specimens.LANGUAGES if wanted in name else ():
                    await tab.set_content(page(replace(one, language=language)))
                    taken.append(folder / f"{name}-{language}-{width}-{scheme}.png")
                    await tab.screenshot(path=taken[-1], full_page=True)
            await context.close()
    return sorted(taken)


def _index(taken: list[Path]) -> str:
    """All pictures on one page, those of one thing and language side by side."""
    groups: dict[str, list[str]] = {}
    for path in taken:
        groups.setdefault(path.stem.rsplit("-", 2)[0], []).append(path.name)
    rows = (
        f"<h2>{name}</h2><p>" + "".join(f'<img src="{file}" alt="{file}"> ' for file in files)
        for name, files in groups.items()
    )
    return (
        '<!DOCTYPE html><meta charset="utf-8"><title>Pages and letters</title>'
        "<style>body { background: #888; font-family: sans-serif } img { vertical-align: top }</style>"
        + "\n".join(rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every page and kind of letter.")
    parser.add_argument(
        "wanted", nargs="?", default="", help="only what has a name that contains this"
    )
    taken = asyncio.run(take(FOLDER, parser.parse_args().wanted))
    print(f"{len(taken)} pictures: {FOLDER / 'index.html'}")


if __name__ == "__main__":
    main()
