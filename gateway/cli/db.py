"""`invite-gateway db`: make, migrate and verify the store."""

from __future__ import annotations

from contextlib import closing

import typer

from gateway.cli import context, output

app = typer.Typer(no_args_is_help=True, help="The store: create, migrate, verify.")


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Create the store, or bring it to this program's schema; put back triggers that are gone."""
    from gateway.store import engine, migrate

    with closing(engine.Store(context.settings(ctx).store.url)) as store:
        applied = migrate.upgrade(store)
    if context.invocation(ctx).json:
        output.objects([{"applied": applied}], as_json=True)
    else:
        output.line(f"migrated: {', '.join(applied)}" if applied else "nothing to migrate")


@app.command()
def check(ctx: typer.Context) -> None:
    """Verify the store: integrity, schema, triggers. Exit 1 when something is wrong."""
    from gateway.store import engine, migrate

    with closing(engine.Store(context.settings(ctx).store.url)) as store:
        problems = migrate.check(store)
    if context.invocation(ctx).json:
        output.objects([{"ok": not problems, "problems": problems}], as_json=True)
    else:
        for problem in problems or ["ok"]:
            output.line(problem)
    if problems:
        raise typer.Exit(1)
