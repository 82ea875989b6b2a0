"""`invite-gateway person`: what is known of one person, told or taken out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, output
from gateway.errors import Refused

if TYPE_CHECKING:
    from gateway.actions.desk import Desk

app = typer.Typer(no_args_is_help=True, help="Everything about one person: tell it, or erase it.")

Name = Annotated[str, typer.Argument(metavar="KEY", help="Of the directory, or an address.")]


@app.command()
def export(ctx: typer.Context, name: Name) -> None:
    """Print everything that the store holds about a person, as JSON by table."""
    from gateway.actions import persons

    tables = context.perform(ctx, lambda desk: persons.export(desk, name))
    if context.invocation(ctx).json:
        output.objects([tables], as_json=True)
    else:
        print(output.escaped(json.dumps(tables, ensure_ascii=False, indent=1)))


@app.command()
def erase(
    ctx: typer.Context,
    name: Name,
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw", help="First take them out of what they are invited to; then run it again."
        ),
    ] = False,
) -> None:
    """Take name, addresses, words and mails of a person out of the store, for good. Refused while
    they hold an invitation, or a letter to them has not left.
    """
    from gateway.actions import persons

    if withdraw:
        number = context.perform(ctx, lambda desk: persons.withdraw(desk, name))
        if number:
            raise Refused(f"{number} invitations are taken back; run it again when that has left")

    def command(desk: Desk) -> persons.Erased:
        return persons.erase(desk, name)

    erased = context.perform(ctx, command)
    if context.invocation(ctx).json:
        row = {"name": erased.name, "taken": erased.taken, "remains": persons.REMAINS}
        output.objects([row], as_json=True)
        return
    output.line(f"erased; their rows are called {erased.name}")
    output.table([{"table": table, "rows": number} for table, number in erased.taken.items()])
    output.line("What remains, and where:")
    for words in persons.REMAINS:
        output.line(f"  {words}")
