"""`invite-gateway db`: make, migrate and verify the store."""

from __future__ import annotations

import shlex
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, output
from gateway.errors import StoreError

if TYPE_CHECKING:
    from gateway.store.engine import Store

app = typer.Typer(no_args_is_help=True, help="The store: create, migrate, verify, copy.")


@app.command()
def upgrade(
    ctx: typer.Context,
    copy: Annotated[
        bool, typer.Option(help="Copy a SQLite store beside it before it is migrated.")
    ] = True,
) -> None:
    """Create the store, or bring it to this program's schema; put back triggers that are gone."""
    from gateway.store import engine, migrate

    with closing(engine.Store.configured(context.settings(ctx))) as store:
        with output.bar() as progress:
            progress("migrating the store", 0, 0)
            before = migrate.revision(store)
            applied = migrate.upgrade(store, copy=copy)
        path = store.path
    aside = migrate.kept(path, before) if path and before and applied and copy else None
    if context.invocation(ctx).json:
        output.objects([{"applied": applied, "copy": aside and str(aside)}], as_json=True)
        return
    output.line(f"migrated: {', '.join(applied)}" if applied else "nothing to migrate")
    if aside is not None:
        output.line(f"as it was: {aside} (remove it when all is well)")


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the copy is to lie; nothing is there yet.")],
) -> None:
    """Copy a SQLite store in use into FILE, and look the copy through. PostgreSQL has its own
    program for that, which is named.
    """
    from gateway.store import backup, engine, migrate

    with closing(engine.Store.configured(context.settings(ctx))) as store:
        if not store.is_sqlite:
            raise StoreError(f"PostgreSQL makes its own: {_pg_dump(store, file)}")
        migrate.require(store)
        with output.bar() as progress:
            size = backup.make(store, file, progress)
    if context.invocation(ctx).json:
        output.objects([{"file": str(file), "bytes": size}], as_json=True)
    else:
        output.line(f"{file}: {size} bytes, sound. It holds addresses and the site's secret")


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A copy that `db backup` made.")],
) -> None:
    """Put a copy of a SQLite store back, with what `db restored` does. The gateway must not run;
    the store that is there is laid aside.
    """
    from gateway.actions import restoring
    from gateway.store import engine

    with closing(engine.Store.configured(context.settings(ctx))) as store:
        put_back = restoring.restore(store, file, datetime.now(UTC))
    if context.invocation(ctx).json:
        aside = put_back.aside and str(put_back.aside)
        output.objects([{"aside": aside, "sequence": put_back.sequence}], as_json=True)
        return
    if put_back.aside is not None:
        output.line(f"what was there lies at {put_back.aside}")
    output.line(f"put back; letters have SEQUENCE {put_back.sequence} or above from now on")
    output.line("next: load what the CRM wrote since; then docs/operations.md, Backup")


@app.command()
def copy(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="Where to: postgresql://user@host/name")],
) -> None:
    """Copy the store into an empty database, with everything in it: from SQLite to PostgreSQL, say.
    The gateway must not run. Nothing is sent for it; afterwards `store.url` is to name the new one.
    """
    from gateway.store import copying, engine

    with (
        closing(engine.Store.configured(context.settings(ctx))) as source,
        closing(engine.Store(url)) as target,
        output.bar() as progress,
    ):
        copied = copying.copy(source, target, datetime.now(UTC), progress)
    for words in copied.mended:
        context.complain(f"not as it was: {words}")
    if context.invocation(ctx).json:
        output.objects([{"rows": copied.rows, "mended": list(copied.mended)}], as_json=True)
        return
    output.line(f"copied: {sum(copied.rows.values())} rows of {len(copied.rows)} tables")
    output.line("next: set store.url to the new one, and start the gateway on it alone")


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


def _pg_dump(store: Store, file: Path) -> str:
    """The command, without the password: pg_dump asks for it, or finds it in a passfile."""
    url = store.url.set(drivername="postgresql", password=None)
    named = url.difference_update_query(("password", "sslpassword")).render_as_string()
    return shlex.join(["pg_dump", "--format=custom", f"--file={file}", named])
