"""`invite-gateway dkim`: the DNS records by which others verify our letters."""

from __future__ import annotations

import typer

from gateway.cli import context, output
from gateway.errors import InputError

STRING = 255
"""Most octets in one string of a TXT record (RFC 1035 §3.3.14); several are read as one (RFC 6376 §3.6.2.2)."""


def dkim(ctx: typer.Context) -> None:
    """Print the DNS record to publish for each account that signs its letters."""
    from gateway import accounts

    configured = accounts.configured(context.settings(ctx))
    signers = {name: made for name, account in configured.items() if (made := accounts.signer(name, account)) is not None}
    if not signers:
        raise InputError("no account signs its letters: mail.dkim_selector and mail.dkim_key_file are not set")
    if context.invocation(ctx).json:
        output.objects([{"account": name, "name": made.name, "type": "TXT", "value": made.record} for name, made in signers.items()],
                       as_json=True)
        return
    for name, made in signers.items():  # as a zone file has it, remarks included
        strings = " ".join(f'"{made.record[start:start + STRING]}"' for start in range(0, len(made.record), STRING))
        output.line(f"; account {name}: {made.algorithm}, {made.bits} bits")
        output.line(f"{made.name}. IN TXT {strings}")
