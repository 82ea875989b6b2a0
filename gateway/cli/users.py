"""`invite-gateway user`: who signs in to the page.

Passwords are never arguments, which every user of the machine could read: they are asked for, or
read from the first line of standard input with --password-stdin.
"""

from __future__ import annotations

import sys
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, output
from gateway.model import Access

if TYPE_CHECKING:
    from gateway.actions.desk import Desk
    from gateway.store.users import User

app = typer.Typer(no_args_is_help=True, help="Who signs in to the page.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As they sign in.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
ByLink = Annotated[
    bool, typer.Option("--link", help="Print a link that signs them in once, within a day.")
]


Whose = Annotated[
    str, typer.Option("--associate", metavar="KEY", help="Which associate they are, as user.")
]


class Role(StrEnum):
    USER = "user"
    READ = "read"
    ADMIN = "admin"


NewRole = Annotated[Role, typer.Argument(metavar="ROLE", help="user, read or admin.")]


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    role: Annotated[
        Role,
        typer.Option(
            help="user: an associate; read: reads what is not private; admin: users, tokens,"
            " settings of the site."
        ),
    ] = Role.USER,
    associate: Whose = "",
    password_stdin: FromInput = False,
    link: ByLink = False,
) -> None:
    """Make a user, with a password or a link."""
    from gateway.actions import access, users

    applied_for = access.Wanted(name, Access(role.value), associate)
    hashed = "" if link else _hashed(from_input=password_stdin)

    def command(desk: Desk) -> tuple[User, str]:
        user = users.create(desk, applied_for, hashed)
        return user, users.link(desk, name) if link else ""

    user, secret = context.perform(ctx, command)
    _answer(ctx, user, secret)


@app.command(name="list")
def every(ctx: typer.Context) -> None:
    """All users."""
    from gateway.actions import users
    from gateway.store import users as stored

    with closing(context.store(context.settings(ctx))) as store, store.read() as connection:
        rows = [users.shown(user) for user in stored.every(connection)]
    output.objects(rows, as_json=context.invocation(ctx).json, otherwise="There is no user.")


@app.command()
def password(
    ctx: typer.Context, name: Name, password_stdin: FromInput = False, link: ByLink = False
) -> None:
    """Give them another password, or a link; with a password they are signed out everywhere."""
    from gateway.actions import users

    hashed = "" if link else _hashed(from_input=password_stdin)

    def command(desk: Desk) -> tuple[User, str]:
        if link:
            return users.there(desk, name), users.link(desk, name)
        return users.set_password(desk, name, hashed), ""

    user, secret = context.perform(ctx, command)
    _answer(ctx, user, secret)


@app.command()
def disable(
    ctx: typer.Context,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Let them sign in again.")] = False,
) -> None:
    """Sign them out everywhere, and let them sign in no more."""
    from gateway.actions import users

    change = users.enable if undo else users.disable
    _answer(ctx, context.perform(ctx, lambda desk: change(desk, name)), "")


@app.command()
def role(ctx: typer.Context, name: Name, role: NewRole, associate: Whose = "") -> None:
    """Make them something else; it signs them out everywhere."""
    from gateway.actions import users

    new_role = Access(role.value)
    user = context.perform(ctx, lambda desk: users.set_role(desk, name, new_role, associate))
    _answer(ctx, user, "")


def _hashed(*, from_input: bool) -> str:
    from gateway.actions import passwords

    if from_input:
        text = sys.stdin.readline().rstrip("\r\n")
    else:
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return passwords.hashed(text)


def _answer(ctx: typer.Context, user: User, secret: str) -> None:
    """The user; or the link alone, which is what is wanted then."""
    from gateway.actions import users

    row = users.shown(user)
    if not secret:
        output.objects([row], as_json=context.invocation(ctx).json)
        return
    address = users.address(context.settings(ctx), secret)
    if context.invocation(ctx).json:
        output.objects([{**row, "link": address}], as_json=True)
    else:
        output.line(address)
