"""`invite-gateway dkim`: the DNS records by which others verify our letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gateway.cli import context, output
from gateway.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from gateway.mail.dkim import Signer

STRING = 255
"""Most octets in one string of a TXT record (RFC 1035 §3.3.14);
several are read as one (RFC 6376 §3.6.2.2).
"""


def dkim(ctx: typer.Context) -> None:
    """Print the DNS record to publish for each account that signs its letters."""
    from gateway import accounts

    signers: dict[str, Signer] = {}
    refused: list[str] = []
    for name, account in accounts.configured(context.settings(ctx)).items():
        try:
            if (made := accounts.signer(name, account)) is not None:
                signers[name] = made
        except ConfigurationError as error:
            refused.append(str(error))
    if not signers and not refused:
        raise InputError(
            "no account signs its letters: mail.dkim_selector and mail.dkim_key_file are not set"
        )
    if context.invocation(ctx).json:
        output.objects(
            [
                {"account": name, "name": made.name, "type": "TXT", "value": made.record}
                for name, made in signers.items()
            ],
            as_json=True,
        )
    else:
        for name, made in signers.items():  # as a zone file has it, remarks included
            strings = " ".join(
                f'"{made.record[start : start + STRING]}"'
                for start in range(0, len(made.record), STRING)
            )
            output.line(f"; account {name}: {made.algorithm}, {made.bits} bits")
            output.line(f"{made.name}. IN TXT {strings}")
    if refused:
        raise ConfigurationError("; ".join(refused))
