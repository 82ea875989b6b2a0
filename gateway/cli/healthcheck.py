"""`invite-gateway healthcheck`: does the gateway of this machine live, for containers and
monitors.
"""

from __future__ import annotations

import http.client
import json
from typing import Annotated

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

SECONDS = 10.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "::": "::1"}  # noqa: S104 - asked, not listened on


def healthcheck(
    ctx: typer.Context,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready", help="Also whether all is well: 1 where something needs a person (/readyz)."
        ),
    ] = False,
) -> None:
    """Ask the gateway that listens on web.listen whether it lives. Exit 0 if it does, else 1."""
    listen = context.settings(ctx).web.listen
    status, body = _ask(listen, "/readyz" if ready else "/healthz")
    said = _checks(body, listen) if ready else []
    if not ready and status != 200:
        raise GatewayError(f"{listen} answers {status}")
    _tell(ctx, status, said)
    if status != 200:
        raise typer.Exit(1)


def _ask(listen: str, path: str) -> tuple[int, bytes]:
    host, _, port = listen.rpartition(":")
    where = EVERYWHERE.get(host, host.strip("[]"))
    connection = http.client.HTTPConnection(where, int(port), timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
        raise GatewayError(f"nobody answers on {listen}: {why}") from error
    finally:
        connection.close()


def _checks(body: bytes, listen: str) -> list[dict[str, str]]:
    try:
        return [check for check in json.loads(body)["checks"] if check["state"] != "ok"]
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError(f"{listen} does not answer as an invite-gateway does") from error


def _tell(ctx: typer.Context, status: int, said: list[dict[str, str]]) -> None:
    if context.invocation(ctx).json:
        output.objects([{"well": status == 200, "checks": said}], as_json=True)
        return
    for check in said:
        output.line(f"{check['state']}: {check['words']}")
    if not said:
        output.line("ok")
