"""`invite-gateway letters`: what is owed, as a list and as the mails that would leave."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import ConfigurationError, GatewayError, InputError

if TYPE_CHECKING:
    from gateway.actions.letters import Listing
    from gateway.mail.dkim import Signer
    from gateway.settings import Mail, Settings
    from gateway.store.outbox import Queued


def letters(
    ctx: typer.Context,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only those that have not left yet.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each as the exact .eml that would leave."),
    ] = None,
) -> None:
    """Plan what is owed, list the outbox, and send nothing."""
    from gateway.actions import letters as actions

    effective = context.settings(ctx)
    with closing(context.store(effective, create=True)) as store:
        listing = actions.owed(store, effective, datetime.now(UTC), pending=pending)
    rows = [_row(one, listing) for one in listing.letters]
    refused: list[GatewayError] = []
    if write is not None:
        files, refused = _written(write, listing, effective)
        for one, row in zip(listing.letters, rows, strict=True):
            row["file"] = files.get(one.id)
    output.objects(rows, as_json=context.invocation(ctx).json)
    if refused:
        raise type(refused[0])("; ".join(map(str, refused)))


def _row(one: Queued, listing: Listing) -> dict[str, Any]:
    from gateway.store import codec

    letter = one.letter
    return {
        "letter": one.id,
        "follow_up": one.follow_up,
        "participant": listing.keys.get(one.participant, letter.address),
        "to": letter.address,
        "method": letter.method.value,
        "sequence": letter.sequence,
        "instance": codec.moment(letter.date) or None,
        "state": one.state.value,
        "note": one.note,
    }


def _written(
    folder: Path, listing: Listing, effective: Settings
) -> tuple[dict[int, str], list[GatewayError]]:
    """Where each letter was written, by number, and why others were not: what is wrong with one, or
    with an account's key, keeps no other from it.
    """
    from gateway.outbound import render

    files, refused = dict[int, str](), list[GatewayError]()
    for name, letters in groupby(sorted(listing.letters, key=_account), key=_account):
        try:
            mail, signer = _sender(name, effective)
        except ConfigurationError as error:
            refused.append(ConfigurationError(f"{error}; no letter of account {name} was written"))
            continue
        for one in letters:
            try:
                content = render.render(
                    one.letter,
                    mail,
                    listing.secret,
                    receipt=effective.outbound.request_receipt,
                    signer=signer,
                )
            except InputError as error:
                refused.append(
                    InputError(f"letter {one.id} to {one.letter.address} was not written: {error}")
                )
                continue
            files[one.id] = _write(folder, one, content)
    return files, refused


def _account(one: Queued) -> str:
    return one.letter.account


def _sender(name: str, effective: Settings) -> tuple[Mail, Signer | None]:
    from gateway import accounts

    account = accounts.configured(effective).get(name)
    if account is None:
        raise ConfigurationError(
            f"{accounts.section(name)}mail.address: not set, but letters are to leave from there"
        )
    return account.mail, accounts.signer(name, account)


def _write(folder: Path, one: Queued, content: bytes) -> str:
    file = folder / f"{one.id:06}-{one.letter.method.value.lower() or 'words'}.eml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever reads the token in it can answer for the invitee.
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
    return str(file)
