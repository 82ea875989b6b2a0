"""docs/operations.md has every line of the log that somebody has to read: what it means, what to do."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = frozenset({"warning", "warn", "error", "exception", "critical", "fatal", "log"})


def events(source: str) -> list[str]:
    """First arguments of everything that is logged as a warning or worse."""
    return [
        event.value if isinstance(event, ast.Constant) and isinstance(event.value, str) else "?"
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and _warns(call.func)
        for event in call.args[:1]
    ]


def _warns(function: ast.expr) -> bool:
    """`log.error`, and `(log.error if worse else log.info)`."""
    return any(
        isinstance(part, ast.Attribute)
        and part.attr in LEVELS
        and isinstance(part.value, ast.Name)
        and part.value.id in ("log", "logging", "logger", "structlog")
        for part in ast.walk(function)
        if not isinstance(function, ast.Attribute) or part is function
    )


def test_what_warns_is_found() -> None:
    source = """
log.warning("one", a=1)
(log.error if bad else log.info)("two")
log.info("three")
log.exception("four")
log.error("five").bind(log.warning("six"))
log.error(f"{seven}")
"""
    assert sorted(events(source)) == ["?", "five", "four", "one", "six", "two"]


def test_every_event_that_warns_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    explained = {
        event
        for row in re.findall(r"(?m)^\| (`.*?) \|", text)
        for event in re.findall(r"`([^`]+)`", row)
    }
    told = {
        event
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        for event in events(path.read_text(encoding="utf-8"))
    }
    assert "?" not in told, "an event is a constant, or it cannot be looked up"
    assert len(told) > 20
    missing = sorted(told - explained)
    assert not missing, f"docs/operations.md does not say what these mean: {missing}"
