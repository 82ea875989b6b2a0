"""Rows as people read them: aligned columns, and where these do not fit a terminal, two lines for
each row, as `postqueue -p` has them: what fits in columns, and below it what else there is to say.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

GAP = "  "
INDENT = "    "
LEAST = 20
"""A terminal narrower than this is not believed."""


def lines(names: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """A heading and the rows, which have a text for each name. `width`: of the terminal, None where
    there is none: a script may look for whole words, and nothing is cut or wrapped.
    """
    widths = [max(map(_cells, column)) for column in zip(names, *rows, strict=True)]
    fits = _fitting(widths, width)
    yield _line(names[:fits], widths)
    yield _line(["─" * cells for cells in widths[:fits]], widths)
    for row in rows:
        yield _line(row[:fits], widths)
        yield from _below(names[fits:], row[fits:], width)


def _below(names: Sequence[str], row: Sequence[str], width: int | None) -> Iterator[str]:
    """What did not fit, with its names. A word is never broken: somebody may copy it."""
    said = "; ".join(f"{name}: {text}" for name, text in zip(names, row, strict=True) if text)
    if said and width is not None:
        wrapper = textwrap.TextWrapper(
            max(LEAST, width),
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from wrapper.wrap(said)


def _fitting(widths: Sequence[int], width: int | None) -> int:
    """How many columns fit; always one."""
    if width is None:
        return len(widths)
    used, room = 0, max(LEAST, width)
    for number, cells in enumerate(widths):
        used += cells + (len(GAP) if number else 0)
        if used > room:
            return max(1, number)
    return len(widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - _cells(cell)) for cell, width in zip(cells, widths, strict=False)
    ]
    return GAP.join(padded).rstrip()


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes: some characters take two, and marks none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
