"""`invite-gateway db`: make, migrate and verify the store."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import typer

from gateway.cli import context, output

app = typer.Typer(no_args_is_help=True, help="The store: create, migrate, verify.")


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Create the store, or bring it to this program's schema; put back triggers that are gone."""
    from gateway.store import engine, migrate

    with closing(engine.Store.configured(context.settings(ctx))) as store:
        applied = migrate.upgrade(store)
    if context.invocation(ctx).json:
        output.objects([{"applied": applied}], as_json=True)
    else:
        output.line(f"migrated: {', '.join(applied)}" if applied else "nothing to migrate")


@app.command()
def restored(ctx: typer.Context) -> None:
    """After a copy was put back: from now on letters have a SEQUENCE above all that may have left
    since the copy was made, which calendars would take for the newer ones. Nothing is sent for it.
    """
    from gateway.invite import numbering
    from gateway.store import meta

    with closing(context.store(context.settings(ctx))) as store, store.write() as connection:
        floor = meta.raise_sequence_floor(connection, numbering.floor(datetime.now(UTC)))
    if context.invocation(ctx).json:
        output.objects([{"sequence": floor}], as_json=True)
    else:
        output.line(f"letters have SEQUENCE {floor} or above from now on")


@app.command()
def check(ctx: typer.Context) -> None:
    """Verify the store: integrity, schema, triggers. Exit 1 when something is wrong."""
    from gateway.store import engine, migrate

    with closing(engine.Store.configured(context.settings(ctx))) as store:
        problems = migrate.check(store)
    if context.invocation(ctx).json:
        output.objects([{"ok": not problems, "problems": problems}], as_json=True)
    else:
        for problem in problems or ["ok"]:
            output.line(problem)
    if problems:
        raise typer.Exit(1)
