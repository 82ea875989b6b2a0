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
        Path | None, typer.Argument(metavar="FILE.json", help="The document; - for standard input.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would change and which letters would leave; keep nothing."
        ),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the format as JSON Schema, and end.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a document to begin with, and end.")
    ] = False,
) -> None:
    """Create and change what the document says. Nothing is written when any of it is wrong."""
    from gateway.actions import load_example

    if schema:
        print(load_example.text(load_example.schema()))
    elif example:
        print(load_example.text(load_example.document(datetime.now(UTC).date())))
    elif file is None:
        raise typer.BadParameter("say which document: FILE.json", param_hint="FILE.json")
    elif dry_run:
        _foretell(ctx, file)
    else:
        _load(ctx, file)


def _load(ctx: typer.Context, file: Path) -> None:
    from gateway.actions import load as actions

    document = _read(file)
    effective = context.settings(ctx)
    with (
        closing(context.store(effective, create=True)) as store,
        output.bar() as progress,
        store.write() as connection,
    ):
        progress("writing, in one transaction", 0, 0)
        report = actions.load(connection, document, effective, datetime.now(UTC))
    if context.invocation(ctx).json:
        output.objects([asdict(report)], as_json=True)
    else:
        _tell(report)


def _foretell(ctx: typer.Context, file: Path) -> None:
    """The same in a transaction that is taken back, with the letters that are owed then."""
    from gateway.actions import desk, importing, load, load_format

    document = load_format.read(_read(file))
    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        outcome = desk.perform(
            store,
            effective,
            datetime.now(UTC),
            load.IMPORT,
            lambda here: importing.run(here, document),
            dry_run=True,
        )
    letters = [
        {
            "follow_up": queued.follow_up,
            "to": queued.letter.address,
            "method": queued.letter.method.value,
            "account": queued.letter.account,
        }
        for queued in outcome.letters.queued
    ]
    uncounted = outcome.letters.uncounted
    if context.invocation(ctx).json:
        row = {**asdict(outcome.answer), "letters": letters, "uncounted": uncounted}
        output.objects([row], as_json=True)
        return
    _tell(outcome.answer)
    output.table(letters)
    output.line(_summary(len(letters), uncounted))


def _summary(letters: int, uncounted: int) -> str:
    words = f"{letters} letter{'' if letters == 1 else 's'} would leave"
    if uncounted:
        words += f", and those of {uncounted} more follow-ups, which are not counted"
    return f"{words}. Nothing was kept"


def _tell(report: Report) -> None:
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
