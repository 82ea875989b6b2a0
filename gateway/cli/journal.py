"""`invite-gateway journal`: what happened, newest last (contract.md §2)."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import NotFound

if TYPE_CHECKING:
    from gateway.store.engine import Connection, Store
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
AGO = re.compile(r"(\d{1,6})([mhd])")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
FIELDS = ("id", *COLUMNS[:-1], "letter", "message", "detail")


def journal(
    ctx: typer.Context,
    follow_up: Annotated[
        str | None, typer.Argument(metavar="FOLLOW_UP", help="Its key; without one, all.")
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="From then on: 30m, 12h, 7d, or 2026-12-01T08:00:00Z."
        ),
    ] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="The newest N.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")
    ] = False,
) -> None:
    """Every event of a follow-up, or of all:
    what, from where to where, by whom, through which channel.
    """
    from gateway import accounts
    from gateway.actions import case

    as_json, effective = context.invocation(ctx).json, context.settings(ctx)
    begin = moment(since, datetime.now(UTC))
    mailboxes = accounts.mailboxes(effective)
    with closing(context.store(effective)) as store:
        if follow_up is not None:
            _known(store, follow_up)
        reader = _Reader(store, follow_up, _first(store, follow_up, begin, limit))
        rows = (case.without_tokens(row, mailboxes) for row in reader.rows())
        words = "" if follow else "nothing has happened"
        output.objects(rows, as_json=as_json, columns=COLUMNS, otherwise=words)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(effective.store.poll_seconds)
                rows = (case.without_tokens(row, mailboxes) for row in reader.rows())
                output.objects(rows, as_json=as_json, columns=COLUMNS)
                sys.stdout.flush()


def moment(text: str, now: datetime) -> datetime | None:
    """A time as people say it: so long ago, or an instant (UTC where no zone is said)."""
    if not text:
        return None
    if ago := AGO.fullmatch(text):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        said = datetime.fromisoformat(text)
        return (said if said.tzinfo is not None else said.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither like 12h nor like 2026-12-01T08:00:00Z", param_hint="--since"
        ) from None


def _first(store: Store, follow_up: str | None, since: datetime | None, limit: int | None) -> int:
    """The number of the entry behind which it begins; of two limits the nearer one."""
    from gateway.store import journal

    with store.read() as connection:
        start = journal.before(connection, since) if since is not None else 0
        return max(start, journal.back(connection, limit, follow_up) if limit else 0)


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


class _Reader:
    """Goes on where it stopped. Page by page, so that a long history neither fills memory nor holds
    a transaction open.
    """

    def __init__(self, store: Store, follow_up: str | None, last: int) -> None:
        self._store, self._follow_up, self._last = store, follow_up, last
        self._keys = dict[int, str]()

    def rows(self) -> Iterator[dict[str, Any]]:
        """What there is now beyond what was read."""
        from gateway.store import journal

        while True:
            with self._store.read() as connection:
                entries = journal.after(connection, self._last, PAGE, self._follow_up)
                self._learn(connection, entries)
            for entry in entries:
                self._last = entry.id
                yield _row(entry, self._keys)
            if len(entries) < PAGE:
                return

    def _learn(self, connection: Connection, entries: Sequence[Entry]) -> None:
        from gateway.store import followups, invitations

        named = {entry.participant for entry in entries if entry.participant is not None}
        unknown = named - self._keys.keys()
        if unknown:
            members = followups.members(connection, ids=sorted(unknown))
            self._keys |= {member.id: member.key for member in members}
        # A row that was deleted is known by where its letters went.
        if gone := sorted(unknown - self._keys.keys()):
            letters = invitations.deliveries(connection, gone)
            self._keys |= {number: sent.address for number, sent in letters.items()}


def _row(entry: Entry, keys: Mapping[int, str]) -> dict[str, Any]:
    from gateway.store import codec

    present = keys.get(entry.participant or 0, entry.participant)
    facts = asdict(entry) | {
        "at": codec.moment(entry.at),
        "participant": entry.who.partition(":")[2] or present,
        "instance": codec.moment(entry.instance) or None,
        "channel": entry.channel.value if entry.channel else None,
    }
    return {name: facts[name] for name in FIELDS}
