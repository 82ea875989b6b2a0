"""`invite-gateway letters`: what is owed, as a list and as the mails that would leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import ConfigurationError, GatewayError, InputError

if TYPE_CHECKING:
    from gateway.actions.letters import Listing
    from gateway.mail.dkim import Signer
    from gateway.sections import Mail
    from gateway.settings import Settings
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
    refused: list[GatewayError] = []
    with closing(context.store(effective, create=True)) as store:
        actions.plan(store, effective, datetime.now(UTC))
        listings = actions.listings(store, pending=pending)
        rows = _rows(listings, _Writer(write, effective, refused) if write else None)
        as_json = context.invocation(ctx).json
        output.objects(rows, as_json=as_json, otherwise="no letters")
    if refused:
        raise type(refused[0])("; ".join(map(str, refused)))


def _rows(listings: Iterable[Listing], writer: _Writer | None) -> Iterator[dict[str, Any]]:
    for listing in listings:
        for letter in listing.letters:
            row = _row(letter, listing)
            if writer is not None:
                row["file"] = writer.write(letter, listing.secret)
            yield row


def _row(queued: Queued, listing: Listing) -> dict[str, Any]:
    from gateway.store import codec

    letter = queued.letter
    return {
        "letter": queued.id,
        "follow_up": queued.follow_up,
        "participant": listing.keys.get(queued.participant, letter.address),
        "to": letter.address,
        "method": letter.method.value,
        "sequence": letter.sequence,
        "instance": codec.moment(letter.date) or None,
        "state": queued.state.value,
        "note": queued.note,
    }


class _Writer:
    """Letters as files. What is wrong with one, or with an account's key, keeps no other from it;
    it is added to `refused`.
    """

    def __init__(self, folder: Path, effective: Settings, refused: list[GatewayError]) -> None:
        self._folder, self._effective, self._refused = folder, effective, refused
        self._senders: dict[str, tuple[Mail, Signer | None] | None] = {}

    def write(self, letter: Queued, secret: bytes) -> str | None:
        """Where the letter was written; None where it was not."""
        from gateway.writing import render

        sender = self._sender(letter.letter.account)
        if sender is None:
            return None
        mail, signer = sender
        receipt = self._effective.outbound.request_receipt
        try:
            content = render.render(
                letter.letter,
                mail,
                secret,
                receipt=receipt,
                signer=signer,
                page=self._effective.answer.site,
            )
        except InputError as error:
            place = f"letter {letter.id} to {letter.letter.address}"
            self._refused.append(InputError(f"{place} was not written: {error}"))
            return None
        return _write(self._folder, letter, content)

    def _sender(self, account: str) -> tuple[Mail, Signer | None] | None:
        if account not in self._senders:
            try:
                self._senders[account] = _sender(account, self._effective)
            except ConfigurationError as error:
                self._refused.append(
                    ConfigurationError(f"{error}; no letter of account {account} was written")
                )
                self._senders[account] = None
        return self._senders[account]


def _sender(name: str, effective: Settings) -> tuple[Mail, Signer | None]:
    from gateway import accounts

    account = accounts.configured(effective).get(name)
    if account is None:
        raise ConfigurationError(
            f"{accounts.section(name)}mail.address: not set, but letters are to leave from there"
        )
    return account.mail, accounts.signer(name, account)


def _write(folder: Path, queued: Queued, content: bytes) -> str:
    file = folder / f"{queued.id:06}-{queued.letter.method.value.lower() or 'words'}.eml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Somebody who reads the token in it can answer for the invitee.
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
    return str(file)
