"""`invite-gateway letters`: what is owed, as a list and as the mails that would leave."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from gateway.actions.letters import Listing
    from gateway.mail.dkim import Signer
    from gateway.settings import Settings
    from gateway.store.outbox import Queued


def letters(
    ctx: typer.Context,
    pending: Annotated[bool, typer.Option("--pending", help="Only those that have not left yet.")] = False,
    write: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each as the exact .eml that would leave.")] = None,
) -> None:
    """Plan what is owed, list the outbox, and send nothing."""
    from gateway import accounts
    from gateway.actions import letters as actions

    effective = context.settings(ctx)
    with closing(context.store(effective, create=True)) as store:
        listing = actions.owed(store, effective, datetime.now(UTC), pending=pending)
    rows = [_row(one, listing) for one in listing.letters]
    if write is not None:
        signers = {name: accounts.signer(name, account) for name, account in accounts.configured(effective).items()}
        for one, row in zip(listing.letters, rows, strict=True):
            row["file"] = _write(write, one, listing, effective, signers)
    output.objects(rows, as_json=context.invocation(ctx).json)


def _row(one: Queued, listing: Listing) -> dict[str, Any]:
    from gateway.store import codec

    letter = one.letter
    return {"letter": one.id, "follow_up": one.follow_up, "participant": listing.keys.get(one.participant, letter.address),
            "to": letter.address, "method": letter.method.value, "sequence": letter.sequence,
            "instance": codec.moment(letter.date) or None, "state": one.state.value, "note": one.note}


def _write(folder: Path, one: Queued, listing: Listing, effective: Settings, signers: Mapping[str, Signer | None]) -> str:
    from gateway import accounts
    from gateway.outbound import render

    account = accounts.configured(effective).get(one.letter.account)
    if account is None:
        raise ConfigurationError(f"{accounts.section(one.letter.account)}mail.address: not set, but letter {one.id} is to leave from there")
    content = render.render(one.letter, account.mail, listing.secret, receipt=effective.outbound.request_receipt,
                            signer=signers[one.letter.account])
    file = folder / f"{one.id:06}-{one.letter.method.value.lower() or 'words'}.eml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
    return str(file)
