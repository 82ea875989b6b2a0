"""The map of the program, docs/modules.md: every module with what it holds, which is the first
sentence of its head. `make map` writes it; tests/core/test_papers.py compares.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ROOT / "gateway"
PAGE = ROOT / "docs" / "modules.md"
HEAD = """# Modules

Every module of `gateway/` with the first sentence of its head; `make map` writes this page. [architecture.md](architecture.md) §2 has the
main ones in the order of the data, and which folder may import which.
"""


def modules() -> Iterator[tuple[str, str]]:
    """(folder, module) in order; migrations are named for themselves, and packages hold nothing."""
    paths = [
        path
        for path in PRODUCT.rglob("*.py")
        if path.name != "__init__.py" and path.parent.name != "versions"
    ]
    for path in sorted(paths, key=lambda path: (path.parent.as_posix(), path.stem)):
        folder = path.parent.relative_to(ROOT).as_posix()
        yield f"{folder}/", path.stem


def sentence(folder: str, module: str) -> str:
    """What a module says first of itself."""
    source = (ROOT / folder / f"{module}.py").read_text(encoding="utf-8")
    paragraph = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
    first, *_ = re.split(r"(?<=[\w)`\"][.])\s+(?=[A-Z`])", " ".join(paragraph.split()))
    return first.removesuffix(".").replace("|", r"\|")


def page() -> str:
    """The whole page, as it should be."""
    text = HEAD
    for folder, several in groupby(modules(), key=lambda named: named[0]):
        text += f"\n## {folder}\n\n| Module | What it holds |\n|---|---|\n"
        for _, module in several:
            text += f"| `{module}` | {sentence(folder, module)} |\n"
    return text


def listed(text: str) -> list[tuple[str, str]]:
    """(folder, module) of every line of the page."""
    lines = list[tuple[str, str]]()
    folder = ""
    for line in text.splitlines():
        folder = line.removeprefix("## ") if line.startswith("## ") else folder
        if named := re.match(r"\| `(\w+)` \|", line):
            lines.append((folder, named[1]))
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
