"""`invite-gateway read-now`: have the mailbox looked into at once."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

SECONDS = 60.0
"""So long a look is waited for: a server may be slow, and a mailbox full."""


def read_now(
    ctx: typer.Context,
    account: Annotated[
        str, typer.Option("--account", metavar="NAME", help="Its mailbox only; else all.")
    ] = "",
) -> None:
    """Have the running gateway look into the mailbox at once, and wait until it has. Exit 1 where
    none does.
    """
    from gateway.actions import reading

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        wishes = reading.ask(store, effective, account, datetime.now(UTC))
        until = time.monotonic() + SECONDS
        while (unmet := reading.unmet(store, wishes)) and time.monotonic() < until:
            time.sleep(0.2)
        if unmet:
            context.tell_troubles(store, effective)
            raise GatewayError(
                f"not looked into within {SECONDS:g} s: {', '.join(unmet)} (is invite-gateway run"
                " there? doctor says whether the mailbox can be read)"
            )
    if context.invocation(ctx).json:
        output.objects(({"account": name} for name in wishes), as_json=True)
    else:
        output.line(f"looked into: {', '.join(wishes)}")
