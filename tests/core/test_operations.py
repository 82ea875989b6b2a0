"""docs/operations.md has every line of the log that somebody has to read: what it means, what to do."""

import ast
import re
from pathlib import Path

from gateway.doctor import examination

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


def subjects(source: str) -> set[str]:
    """What `Condition(…)` and `subject(…)` begin with: the literal part of their first argument."""
    found = set()
    for call in ast.walk(ast.parse(source)):
        name = call.func if isinstance(call, ast.Call) else None
        word = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
        if not isinstance(call, ast.Call) or word not in ("Condition", "subject"):
            continue
        first = call.args[0] if call.args else None
        parts = first.values if isinstance(first, ast.JoinedStr) else [first]
        if parts and isinstance(parts[0], ast.Constant) and isinstance(parts[0].value, str):
            found.add(parts[0].value.strip())
    return found


def test_subjects_are_found() -> None:
    source = 'Condition("a", x); Condition(health.subject("b", n)); Condition(f"c {d}"); other("e")'
    assert subjects(source) == {"a", "b", "c"}


def test_every_subject_of_trouble_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("## Is it well?")[2].partition("\n## ")[0]
    explained = [
        subject
        for row in re.findall(r"(?m)^\| (`.*?) \|", table)
        for subject in re.findall(r"`([^`]+)`", row)
    ]
    told = subjects((ROOT / "gateway" / "health.py").read_text(encoding="utf-8"))
    assert len(told) > 10
    missing = sorted(
        subject for subject in told if not any(row.startswith(subject) for row in explained)
    )
    assert not missing, f"docs/operations.md, Is it well?, does not explain: {missing}"


def test_every_check_of_doctor_is_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("## What doctor says")[2].partition("\n## ")[0]
    explained = {
        check
        for row in re.findall(r"(?m)^\| (`.*?) \|", table)
        for check in re.findall(r"`([^`]+)`", row)
    }
    checks = [check.__name__ for check in (*examination.SITE, *examination.ACCOUNT)]
    named = {"disk": "disk of the store", "authserv_id": "authserv_id"}
    subjects = {named.get(check, check.replace("_", " ")) for check in checks}
    assert len(subjects) > 20
    assert not subjects - explained
