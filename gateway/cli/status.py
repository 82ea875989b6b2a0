"""`invite-gateway status`: who stands where (contract.md §2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.store.engine import Connection

COLUMNS = (
    "follow_up",
    "key",
    "original_start",
    "name",
    "address",
    "email_invite",
    "suspended",
    "code",
    "status",
    "reply",
    "delivery",
    "comment",
    "note",
)

EMPTY = ("original_start", "suspended")
"""Columns that most installations never fill: they are shown where they say something."""


def status(
    ctx: typer.Context,
    follow_up: Annotated[
        str | None, typer.Argument(metavar="FOLLOW_UP", help="Its key; without one, all.")
    ] = None,
    trouble: Annotated[
        bool,
        typer.Option(
            "--trouble",
            help="Only rows that somebody must look at: of whom something is noted, or whose mail"
            " does not arrive, where it is not over.",
        ),
    ] = False,
    limit: context.Limit = None,
) -> None:
    """Participants with their status, their own words, and what became of their letter. Without a
    follow-up, what is wrong with the gateway comes first, on standard error.
    """
    from gateway.store import views

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        if follow_up is None:
            context.tell_troubles(store, effective)
        with store.read() as connection:
            if follow_up is not None and not views.known(connection, follow_up):
                raise NotFound(f"there is no follow-up {follow_up!r}")
            rows = islice(_rows(connection, follow_up, trouble=trouble), limit)
            if context.invocation(ctx).json:
                output.objects(rows, as_json=True)
            else:
                _table(rows, "no participant needs a look" if trouble else "no participants")


def _rows(
    connection: Connection, follow_up: str | None, *, trouble: bool
) -> Iterator[dict[str, Any]]:
    from gateway import shapes
    from gateway.store import views

    if trouble:
        rows = views.troubled_rows(connection, datetime.now(UTC))
        return (shapes.status(row) for row in rows if follow_up in (None, row.follow_up))
    if follow_up is None:
        return map(shapes.status, views.every_status_row(connection))
    return map(shapes.status, views.status_rows(connection, follow_up))


def _table(rows: Iterator[dict[str, Any]], otherwise: str) -> None:
    first = list(islice(rows, output.BLOCK))
    columns = [column for column in COLUMNS if column not in EMPTY or _says(first, column)]
    output.objects(chain(first, rows), as_json=False, columns=columns, otherwise=otherwise)


def _says(rows: list[dict[str, Any]], column: str) -> bool:
    return any(row[column] for row in rows)
