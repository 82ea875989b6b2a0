"""What commands print: JSON, one object per line, for programs; aligned columns for people.

Security: titles, names and comments come from strangers, so control characters are escaped before a
terminal sees them. JSON escapes those below U+0020 itself; the others, DEL, C1 and the marks that
change the direction of text, are written as \\u escapes: the same value to every reader.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from gateway.cli import drawing

BLOCK = 500
"""So many rows are drawn at a time."""


def objects(
    rows: Iterable[Mapping[str, Any]],
    *,
    as_json: bool,
    columns: Sequence[str] = (),
    otherwise: str = "",
) -> None:
    """Print rows: as JSON all members, one object per line; as a table the `columns` (all members
    of the first row). `otherwise`: said to people where there is no row.
    """
    if as_json:
        for row in rows:
            print(json_text(row))
        sys.stdout.flush()
        return
    is_any = False
    for part in _parts(rows):
        is_any = True
        table(part, columns)
    if otherwise and not is_any:
        line(otherwise)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Rows in aligned columns with a heading, in two lines each where a terminal is too narrow."""
    if not rows:
        return
    names = list(columns or rows[0])
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    cells = [[text(row.get(name)) for name in names] for row in rows]
    for drawn in drawing.lines(names, cells, width):
        print(drawn)


def _parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Some rows at a time, each with a heading of its own: there may be more than memory."""
    iterator = iter(rows)
    while part := list(islice(iterator, BLOCK)):
        yield part


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show on a terminal how far long work has come; away from one, nothing. Called with what is
    done, how much of it is, and of how much (0: nobody knows).
    """
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    shown = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
    with shown:
        tasks: dict[str, Any] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(text(what), total=total or None)
            shown.update(tasks[what], completed=done, total=total or None)

        yield told


def line(message: str) -> None:
    """One line for people."""
    print(text(message))


def text(value: Any) -> str:
    """A value as one line that may be shown on a terminal."""
    from gateway.daemon import logs

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return logs.escape(shown)


def escaped(shown: str) -> str:
    """JSON of several lines that may be shown on a terminal."""
    from gateway.daemon import logs

    return logs.CONTROL.sub(
        lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", shown
    )


def json_text(value: object) -> str:
    """A value as JSON that may be shown on a terminal."""

    return escaped(json.dumps(value, ensure_ascii=False, default=str, separators=(", ", ": ")))
