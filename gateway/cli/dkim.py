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
            if (signer := accounts.signer(name, account)) is not None:
                signers[name] = signer
        except ConfigurationError as error:
            refused.append(str(error))
    if not signers and not refused:
        raise InputError(
            "no account signs its letters: mail.dkim_selector and mail.dkim_key_file are not set"
        )
    if context.invocation(ctx).json:
        output.objects(
            [
                {"account": name, "name": signer.name, "type": "TXT", "value": signer.record}
                for name, signer in signers.items()
            ],
            as_json=True,
        )
    else:
        for name, signer in signers.items():  # as a zone file has it, remarks included
            strings = " ".join(
                f'"{signer.record[start : start + STRING]}"'
                for start in range(0, len(signer.record), STRING)
            )
            output.line(f"; account {name}: {signer.algorithm}, {signer.bits} bits")
            output.line(f"{signer.name}. IN TXT {strings}")
    if refused:
        raise ConfigurationError("; ".join(refused))
