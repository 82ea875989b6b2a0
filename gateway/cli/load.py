"""`invite-gateway load`: import people,
lists and follow-ups from a JSON document (contract.md §3).
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import InputError

if TYPE_CHECKING:
    from gateway.actions.load_report import Report


def load(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.json", help="The document; - for standard input.")
    ],
) -> None:
    """Create and change what the document says. Nothing is written when any of it is wrong."""
    from gateway.actions import load as actions

    document = _read(file)
    effective = context.settings(ctx)
    with closing(context.store(effective, create=True)) as store, store.write() as connection:
        report = actions.load(connection, document, effective, datetime.now(UTC))
    if context.invocation(ctx).json:
        output.objects([asdict(report)], as_json=True)
        return
    sections = dict.fromkeys([*report.created, *report.changed, *report.left])
    output.table([_counted(report, section) for section in sections])
    for note in report.notes:
        output.line(note)


def _counted(report: Report, section: str) -> dict[str, Any]:
    return {
        "": section.replace("_", " "),
        "created": len(report.created.get(section, ())),
        "changed": len(report.changed.get(section, ())),
        "left": len(report.left.get(section, ())),
    }


def _read(file: Path) -> Any:
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return json.loads(text, parse_constant=_no_number)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not valid JSON: {error}") from error


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")
