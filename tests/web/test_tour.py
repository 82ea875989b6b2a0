"""What docs/api.md shows is sent, in its order, and answered as it says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.web.world import Office

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.compile(r"```http\n(.*?)```\n+```answer\n(\d+)\n(.*?)```", re.DOTALL)
NUMBERS = {"id", "participant", "after", "newest"}
"""Members whose values the store gives: the page's stand for these from then on."""


@dataclass(frozen=True)
class Example:
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    shown: Any


def examples() -> Iterator[Example]:
    for request, status, shown in BLOCKS.findall(PAGE.read_text(encoding="utf-8")):
        head, _, body = request.partition("\n\n")
        first, *headers = head.strip().split("\n")
        method, path = first.split(" ")
        named = dict(line.split(": ", 1) for line in headers)
        yield Example(method, path, named, body.strip(), int(status), json.loads(shown))


def compare(shown: Any, said: Any, numbers: dict[str, str], place: str = "") -> None:
    """What is shown stands in the answer; lists are as long as they are shown."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            here = f"{place}/{name}"
            assert name in said, here
            if name in NUMBERS and isinstance(value, int):
                assert numbers.setdefault(str(value), str(said[name])) == str(said[name]), here
            else:
                compare(value, said[name], numbers, here)
    elif isinstance(shown, list):
        assert len(shown) == len(said), f"{place}: {said}"
        for position, (one, other) in enumerate(zip(shown, said, strict=True)):
            compare(one, other, numbers, f"{place}/{position}")
    else:
        assert shown == said, place


async def test_the_tour_is_sent_and_answered_as_it_says(office: Office) -> None:
    numbers, sent = dict[str, str](), 0
    for example in examples():
        path = re.sub(r"\d+", lambda found: numbers.get(found[0], found[0]), example.path)
        body = {"json": json.loads(example.body)} if example.body else {}
        answer = await office.ask(example.method, path, headers=example.headers, **body)
        assert answer.status_code == example.status, f"{example.path}: {answer.text}"
        compare(example.shown, answer.json(), numbers, example.path)
        sent += 1
    assert sent == PAGE.read_text(encoding="utf-8").count("```http\n") > 10
