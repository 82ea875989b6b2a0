"""`invite-gateway doctor`: is everything right here, and what is to be done where it is not."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from gateway.cli import context, output


def doctor(
    ctx: typer.Context,
    roundtrip: Annotated[
        bool,
        typer.Option(
            "--roundtrip",
            help="Send a letter to a sub-address of our own mailbox, and wait for it.",
        ),
    ] = False,
) -> None:
    """Check settings, store, mail servers and mailbox. Exit 1 when something failed."""
    if not asyncio.run(_examine(ctx, roundtrip)):
        raise typer.Exit(1)


async def _examine(ctx: typer.Context, roundtrip: bool) -> bool:
    """Print each line as soon as it is there. Returns whether nothing failed."""
    from gateway.daemon import logs
    from gateway.doctor import examination
    from gateway.health import State

    effective = context.settings(ctx)
    # What the gateway's parts log by the way is said in the lines, in better words.
    logs.configure(effective.log.model_copy(update={"level": "error"}))
    invocation = context.invocation(ctx)
    file = context.config_file(invocation.config)
    well = True
    async for line in examination.examine(effective, file, roundtrip=roundtrip):
        well &= line.state is not State.FAILED
        if invocation.json:
            row = {"check": line.subject, "state": line.state.value, "text": line.words}
            output.objects([row], as_json=True)
        else:
            output.line(f"{line.state.value + ':':<9}{line.subject}: {line.words}")
    return well
