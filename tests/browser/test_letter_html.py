"""The HTML of letters in a real browser: no sideways scrolling, buttons that fingers hit, dark
mode, and no request out.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Request

from gateway import i18n
from tests.browser import screenshots
from tests.browser.scenes import SCHEMES, Scheme
from tests.core import specimens

pytestmark = pytest.mark.browser


def pages() -> list[str]:
    """The letters that are hardest to lay out, and one in every language: its buttons must fit a
    narrow screen, too.
    """
    found = []
    for kind, change in (
        ("rich", "moved"),
        ("series-with-dates", "updated"),
        ("listed", "cancelled"),
        ("rich", "cancelled"),
        ("answer-by", "reminder"),
    ):
        for language in i18n.available() if change == "moved" else specimens.LANGUAGES:
            one = replace(
                specimens.changed(kind, change), language=language, timezone="America/New_York"
            )
            one = replace(one, edition=replace(one.edition, location="x" * 200))
            found.append(screenshots.page(one))
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [320, 600, 1400])
async def test_letters_fit_every_screen(browser: Browser, width: int, scheme: Scheme) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page, requests = await context.new_page(), list[Request]()
    page.on("request", lambda request: requests.append(request))
    for html in pages():
        await page.set_content(html)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        card = await page.evaluate(
            "getComputedStyle(document.querySelector('.card')).backgroundColor"
        )
        assert card == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 27, 34)")
        boxes = [await link.bounding_box() for link in await page.query_selector_all("a.answer")]
        assert all(
            box is not None and box["height"] >= 44 and box["width"] >= 44 for box in boxes
        ), "WCAG 2.5.5"
        assert len({box["y"] for box in boxes if box}) <= 1, "yes, maybe, no stand in one row"
    assert requests == [], "nothing is loaded"
    await context.close()


HOURS = r"\d{1,2}[.:]\d{2}–\d{1,2}[.:]\d{2}"
LINES = """pattern => {
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node; (node = nodes.nextNode()); )
    for (const match of node.data.matchAll(new RegExp(pattern, "g"))) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      found.push([match[0], new Set([...range.getClientRects()].map(box => box.top)).size]);
    }
  return found;
}"""
"""Every range of hours on a page, and on how many lines it stands."""


async def test_a_range_of_hours_is_never_broken(browser: Browser) -> None:
    """Whatever stands before it: each width from that of a narrow telephone on breaks the lines
    elsewhere.
    """
    context = await browser.new_context(viewport={"width": 320, "height": 800})
    page = await context.new_page()
    for language in i18n.available():
        for kind, change in (
            ("meeting", "invitation"),
            ("series-with-dates", "invitation"),
            ("dates", "moved"),
        ):
            one = replace(
                specimens.changed(kind, change), language=language, timezone="America/New_York"
            )
            await page.set_content(screenshots.page(one))
            for width in range(320, 480, 8):
                await page.set_viewport_size({"width": width, "height": 800})
                ranges = await page.evaluate(LINES, HOURS)
                assert len(ranges) >= 2
                assert {lines for _, lines in ranges} == {1}, (language, width, ranges)
    await context.close()


async def test_pictures_of_letters_to_look_at(tmp_path: Path) -> None:
    """What `make screenshots` writes: each letter in each language, width and scheme,
    and a page that shows them.
    """
    name = "words-with_answer"
    pictures = {path.name: path.read_bytes() for path in await screenshots.take(tmp_path, name)}
    assert set(pictures) == {
        f"{name}-{language}-{width}-{scheme}.png"
        for language in specimens.LANGUAGES
        for width in (320, 600)
        for scheme in SCHEMES
    }
    assert all(
        int.from_bytes(content[16:20]) == int(file.split("-")[-2])
        for file, content in pictures.items()
    ), "PNG: the width"
    assert len(set(pictures.values())) == len(pictures), "no two look alike"
    assert all(file in (tmp_path / "index.html").read_text(encoding="utf-8") for file in pictures)
