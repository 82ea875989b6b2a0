"""`invite-gateway journal`: what happened, newest last (contract.md §2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.store.engine import Store
    from gateway.store.journal import Entry

PAGE = 1_000
COLUMNS = (
    "at",
    "event",
    "follow_up",
    "participant",
    "instance",
    "before",
    "after",
    "by",
    "channel",
    "detail",
)
FIELDS = ("id", *COLUMNS[:-1], "letter", "message", "detail")


def journal(
    ctx: typer.Context,
    follow_up: Annotated[
        str | None, typer.Argument(metavar="FOLLOW_UP", help="Its key; without one, all.")
    ] = None,
) -> None:
    """Every event of a follow-up, or of all:
    what, from where to where, by whom, through which channel.
    """
    from gateway import accounts
    from gateway.actions import case

    as_json, effective = context.invocation(ctx).json, context.settings(ctx)
    mailboxes = accounts.mailboxes(effective)
    with closing(context.store(effective)) as store:
        if follow_up is not None:
            _known(store, follow_up)
        told = (case.without_tokens(row, mailboxes) for row in rows(store, follow_up))
        output.objects(told, as_json=as_json, columns=COLUMNS, otherwise="nothing has happened")


def _known(store: Store, follow_up: str) -> None:
    """A misspelt key is not a follow-up to which nothing happened;
    one that was deleted still has its history.
    """
    from gateway.store import journal, views

    with store.read() as connection:
        if not views.known(connection, follow_up) and not journal.after(
            connection, 0, 1, follow_up
        ):
            raise NotFound(f"there is no follow-up {follow_up!r}")


def rows(store: Store, follow_up: str | None) -> Iterator[dict[str, Any]]:
    """Page by page, so that a long history neither fills memory nor holds a transaction open."""
    from gateway.store import followups, invitations, journal

    last, keys = 0, dict[int, str]()
    while True:
        with store.read() as connection:
            entries = journal.after(connection, last, PAGE, follow_up)
            unknown = {
                one.participant for one in entries if one.participant is not None
            } - keys.keys()
            keys |= (
                {one.id: one.key for one in followups.members(connection, ids=sorted(unknown))}
                if unknown
                else {}
            )
            if gone := sorted(
                unknown - keys.keys()
            ):  # a row that was deleted is known by where its letters went
                keys |= {
                    number: sent.address
                    for number, sent in invitations.deliveries(connection, gone).items()
                }
        for entry in entries:
            last = entry.id
            yield _row(entry, keys)
        if len(entries) < PAGE:
            return


def _row(entry: Entry, keys: Mapping[int, str]) -> dict[str, Any]:
    from gateway.store import codec

    present = keys.get(entry.participant or 0, entry.participant)
    told = asdict(entry) | {
        "at": codec.moment(entry.at),
        "participant": entry.who.partition(":")[2] or present,
        "instance": codec.moment(entry.instance) or None,
        "channel": entry.channel.value if entry.channel else None,
    }
    return {name: told[name] for name in FIELDS}
