"""`invite-gateway run`: the daemon, in the foreground; `invite-gateway demo`: the same in a small
world of its own.
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from gateway.cli import context
from gateway.errors import ConfigurationError


def run(
    ctx: typer.Context,
    only: Annotated[
        str,
        typer.Option(metavar="ROLES", help="Only these, with commas: outbound,inbound,web,jobs."),
    ] = "",
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    effective = context.settings(ctx)  # a wrong one is told before everything is imported

    from gateway.daemon import run as daemon
    from gateway.store import engine

    roles = frozenset(name.strip() for name in only.split(",") if name.strip())
    unknown = roles - frozenset(daemon.ROLES)
    if unknown:
        raise typer.BadParameter(
            f"no such role: {', '.join(sorted(unknown))}; there are {', '.join(daemon.ROLES)}",
            param_hint="--only",
        )
    # The daemon brings it to our schema itself, for it may have to wait for it.
    with closing(engine.Store.configured(effective)) as store:
        daemon.run(effective, store, roles or frozenset(daemon.ROLES))


def demo() -> None:
    """Show the main job with nothing else installed: mail server, invitees that answer, a live
    page.
    """
    try:
        from gateway.sandbox import demo
    except ModuleNotFoundError as error:
        if str(error.name).startswith("gateway"):
            raise
        raise ConfigurationError(
            f"the demonstration needs {error.name}, which comes with invite-gateway[demo]"
        ) from error
    raise typer.Exit(demo.main())
