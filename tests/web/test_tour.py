"""What docs/api.md shows is sent, in its order, and answered as it says; and the commands of
docs/connect.md.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gateway.web.api import table
from tests.web.world import Office

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
CONNECT = PAGE.with_name("connect.md")
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


async def test_the_commands_of_connect_are_answered(office: Office) -> None:
    commands = re.findall(r"(?m)^curl (.*?)\n(?:```|\n)", CONNECT.read_text("utf-8"), re.DOTALL)
    assert len(commands) == 2
    for command in (shlex.split(one.replace("\\\n", " ")) for one in commands):
        options = dict(pairs(command))
        headers = dict(one.split(": ", 1) for flag, one in pairs(command) if flag == "-H")
        assert headers.pop("Authorization") == "Bearer $TOKEN"
        address = next(one for one in command if one.startswith("https://invites.example/api/v1"))
        path = address.removeprefix("https://invites.example/api/v1")
        answer = await office.ask(options["-X"], path, headers=headers, content=options["-d"])
        assert answer.status_code == 201, answer.text
    assert answer.json()["secret"].startswith("whsec_")


def pairs(command: list[str]) -> list[tuple[str, str]]:
    """Each word with the one after it."""
    return list(pairwise(command))


def documented() -> set[tuple[str, str]]:
    """Methods and routes of the table. `…/x` is beside the route before it; `/{key}` alone is below
    each route of its row, or of the row before.
    """
    text = PAGE.read_text(encoding="utf-8").partition("\n## Routes\n")[2]
    found, above = set[tuple[str, str]](), list[str]()
    for cell, methods in re.findall(r"(?m)^\| (.*?`) \| (.*?) \|", text):
        routes = list[str]()
        for name in re.findall(r"`([^`]+)`", cell):
            if name.startswith("…"):
                routes.append(routes[-1].rpartition("/")[0] + name.removeprefix("…"))
            elif name.startswith("/{"):
                routes += [f"{route}{name}" for route in routes or above]
            else:
                routes.append(name)
        above = routes
        words = "GET, PUT, PATCH, DELETE" if methods == "the same" else methods
        found |= {(one, route) for one in re.findall(r"[A-Z]{3,}", words) for route in routes}
    return found


def test_the_table_has_every_route() -> None:
    """And none that is not there; `/events` is the page's, too."""
    rights = {(one.method, one.path.removeprefix("/api/v1")) for one in table.rights()}
    missing = sorted(rights - documented())
    assert not missing, f"docs/api.md, Routes, has not {missing}"
    known = {route for _, route in rights} | {"/events"}
    unknown = sorted({route for _, route in documented()} - known)
    assert not unknown, f"docs/api.md, Routes, has {unknown}, which are not there"
