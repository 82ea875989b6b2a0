"""`invite-gateway`: the commands, the options they share, and what becomes of their errors.

Exit codes (contract.md §2): 0 done; 1 the thing asked for failed; 2 wrong usage; 78 configuration
error. This is the one place where `gateway.errors` become exit codes; an error that is none of ours
keeps its traceback, for it is a fault of this program.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from gateway import __version__, zonedata
from gateway.cli import (
    config,
    context,
    daemon,
    db,
    decisions,
    dkim,
    doctor,
    healthcheck,
    journal,
    letters,
    load,
    person,
    queue,
    reading,
    receive,
    review,
    series,
    setup,
    status,
    tokens,
    trial,
    users,
    webhook,
)
from gateway.errors import ConfigurationError, GatewayError

EX_USAGE = 2
EX_CONFIG = 78  # sysexits.h

app = typer.Typer(
    name="invite-gateway",
    no_args_is_help=True,
    rich_markup_mode=None,
    # Locals in a traceback would show passwords and mails.
    pretty_exceptions_enable=False,
    epilog=(
        "--config and --json may stand anywhere. Every setting is also read from"
        " GATEWAY_SECTION__KEY."
    ),
)

app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")
app.add_typer(setup.app)
app.command()(daemon.run)
app.command()(daemon.demo)
app.command()(load.load)
app.command()(status.status)
app.command()(letters.letters)
app.command()(dkim.dkim)
app.command()(doctor.doctor)
app.command("send-test")(trial.send_test)
app.command("read-now")(reading.read_now)
app.command()(healthcheck.healthcheck)
app.command()(receive.receive)
app.command()(receive.explain)
app.add_typer(series.app, name="series")
app.add_typer(queue.app, name="queue")
app.add_typer(review.app, name="review")
app.add_typer(decisions.app, name="decisions")
app.add_typer(webhook.app, name="webhook")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.add_typer(person.app, name="person")
app.command()(journal.journal)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"invite-gateway {__version__} (time zones: {zonedata.CHOSEN})")
        raise typer.Exit


@app.callback()
def shared(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings, TOML; else GATEWAY_CONFIG, else /etc/invite-gateway/gateway.toml.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Machine-readable output: one object, or one per line.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Calendar invitations by e-mail for the follow-ups of a CRM, and the answers back into it."""
    ctx.obj = context.Invocation(config=config, json=as_json)


command = get_command(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    try:
        command(
            args=hoisted(sys.argv[1:] if arguments is None else arguments),
            prog_name="invite-gateway",
        )
    except typer.BadParameter as error:
        context.complain(error.message)
        sys.exit(EX_USAGE)
    except ConfigurationError as error:
        context.complain(str(error))
        sys.exit(EX_CONFIG)
    except GatewayError as error:
        context.complain(str(error))
        sys.exit(1)


def hoisted(arguments: Sequence[str]) -> list[str]:
    """`arguments` with the global options in front: they may stand behind the command, too (`status
    --json`). Raises `typer.BadParameter` for --config without a file.
    """
    front: list[str] = []
    rest: list[str] = []
    iterator = iter(arguments)
    for argument in iterator:
        if argument == "--":
            rest += [argument, *iterator]
        elif argument == "--json" or argument.startswith("--config="):
            front.append(argument)
        elif argument == "--config":
            value = next(iterator, "")
            if not value or value.startswith("--") or _is_command(value):
                raise typer.BadParameter("--config needs a file")
            front += [argument, value]
        else:
            rest.append(argument)
    return front + rest


def _is_command(value: str) -> bool:
    """Whether the command stands where a forgotten file should: `--config status`."""
    names = {_name(command) for command in app.registered_commands}
    for group in app.registered_groups:
        if group.name:
            names.add(group.name)
        elif group.typer_instance is not None:
            names.update(map(_name, group.typer_instance.registered_commands))
    return value in names and not Path(value).is_file()


def _name(command: Any) -> str:
    return str(command.name or command.callback.__name__)
