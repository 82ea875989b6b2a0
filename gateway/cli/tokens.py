"""`invite-gateway token`: the bearer tokens of programs that use the API."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, output
from gateway.model import Access

if TYPE_CHECKING:
    from gateway.actions.desk import Desk
    from gateway.store.tokens import Token

app = typer.Typer(no_args_is_help=True, help="Tokens of programs that use the API.")


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the journal calls it.")],
    role: Annotated[
        Access,
        typer.Option(
            help="crm: the CRM's own connection; user: of an associate; read: reads what is not"
            " private; admin: tokens, users, settings of the site."
        ),
    ],
    associate: Annotated[
        str, typer.Option(metavar="KEY", help="Whose it is, with --role user.")
    ] = "",
) -> None:
    """Make a token. It is shown now and never again: the store keeps a hash of it."""
    from gateway.actions import access

    def command(desk: Desk) -> tuple[Token, str]:
        return access.make_token(desk, access.Wanted(name, role, associate))

    token, secret = context.perform(ctx, command)
    if context.invocation(ctx).json:
        output.objects([{**access.shown(token), "token": secret}], as_json=True)
    else:
        output.line(secret)


@app.command(name="list")
def every(ctx: typer.Context) -> None:
    """All tokens, without the tokens themselves."""
    from gateway.actions import access
    from gateway.store import tokens

    with closing(context.store(context.settings(ctx))) as store, store.read() as connection:
        rows = [access.shown(token) for token in tokens.every(connection)]
    output.objects(rows, as_json=context.invocation(ctx).json, otherwise="There is no token.")


@app.command()
def revoke(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="Its id, as `token list` shows it.")],
) -> None:
    """It lets nobody in from now on."""
    from gateway.actions import access

    token = context.perform(ctx, lambda desk: access.revoke_token(desk, number))
    output.objects([access.shown(token)], as_json=context.invocation(ctx).json)
