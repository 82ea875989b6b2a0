"""`invite-gateway queue`: what waits in the outbox and why; holding, releasing, trying again and
dropping it (contract.md §2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output

if TYPE_CHECKING:
    from gateway.actions.queue import Listing, Verb
    from gateway.store.outbox import Selection
    from gateway.store.pace import Rest

app = typer.Typer(
    no_args_is_help=True, help="The outbox: letters that wait, why, and what to do about them."
)

COLUMNS = (
    "letter",
    "state",
    "to",
    "follow_up",
    "participant",
    "method",
    "sequence",
    "account",
    "tries",
    "due",
    "note",
)

Numbers = Annotated[list[int] | None, typer.Argument(metavar="N", help="Letters by number.")]
FollowUp = Annotated[str, typer.Option("--follow-up", metavar="KEY", help="Those of a follow-up.")]
ToDomain = Annotated[str, typer.Option("--to-domain", metavar="DOMAIN", help="Those to a domain.")]
Account = Annotated[str, typer.Option("--account", metavar="NAME", help="Those of a mail account.")]
Brake = Annotated[bool, typer.Option("--brake", help="Those that the brake holds.")]


@app.command("list")
def listing(
    ctx: typer.Context,
    follow_up: FollowUp = "",
    to_domain: ToDomain = "",
    account: Account = "",
    brake: Brake = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that have come to an end.")
    ] = False,
    limit: context.Limit = None,
) -> None:
    """Letters that have not come to an end, and those that were refused; oldest first."""
    from gateway.actions import queue, queue_rows

    chosen = _selection(None, follow_up, to_domain, account, braked=brake)
    if not every:
        chosen = queue.unfinished(chosen, datetime.now(UTC))
    with closing(context.store(context.settings(ctx))) as store:
        as_json = context.invocation(ctx).json
        resting: dict[str, Rest] = {}
        listings = _told(queue.listings(store, chosen), resting)
        rows = islice((row for part in listings for row in queue_rows.letters(part)), limit)
        output.objects(rows, as_json=as_json, columns=COLUMNS, otherwise="no letter waits")
    if not as_json:
        _tell(resting.values())


def _told(listings: Iterator[Listing], resting: dict[str, Rest]) -> Iterator[Listing]:
    """The listings as they come; `resting` learns of the accounts that rest."""
    for part in listings:
        resting.update(part.resting)
        yield part


@app.command()
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="The letter's number.")],
) -> None:
    """One letter, and every try to send it with the server's words."""
    from gateway.actions import queue, queue_rows
    from gateway.store.outbox import Selection

    with closing(context.store(context.settings(ctx))) as store:
        listings = queue.listed(store, Selection(numbers=(number,)))
        attempts = queue_rows.tries(queue.history(store, number))
    [row] = queue_rows.letters(listings)
    if context.invocation(ctx).json:
        output.objects([row | {"attempts": attempts}], as_json=True)
        return
    for key, value in row.items():
        output.line(f"{key}: {output.text(value)}")
    output.table(attempts)


@app.command()
def shape(ctx: typer.Context) -> None:
    """How old the letters are that have not left, by the domain they go to. What is wrong with the
    gateway comes first, on standard error.
    """
    from gateway.actions import queue, queue_rows

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        context.tell_troubles(store, effective)
        destinations, resting = queue.shape(store, datetime.now(UTC))
    as_json = context.invocation(ctx).json
    rows = queue_rows.destinations(destinations)
    if as_json:
        rows += queue_rows.rests(resting)
    else:
        for row in rows:
            row.update(row.pop("ages"))
    output.objects(rows, as_json=as_json, otherwise="no letter waits")


@app.command()
def hold(
    ctx: typer.Context,
    numbers: Numbers = None,
    follow_up: FollowUp = "",
    to_domain: ToDomain = "",
    account: Account = "",
) -> None:
    """Keep waiting letters from leaving, and whatever takes their place,
    until they are released.
    """
    _change(ctx, "hold", _chosen(numbers, follow_up, to_domain, account))


@app.command()
def release(
    ctx: typer.Context,
    numbers: Numbers = None,
    follow_up: FollowUp = "",
    to_domain: ToDomain = "",
    account: Account = "",
    brake: Brake = False,
) -> None:
    """Let held letters leave."""
    _change(ctx, "release", _chosen(numbers, follow_up, to_domain, account, brake))


@app.command()
def retry(
    ctx: typer.Context,
    numbers: Numbers = None,
    follow_up: FollowUp = "",
    to_domain: ToDomain = "",
    account: Account = "",
) -> None:
    """Try letters now: those that wait, and those that were refused or given up; by number also
    dropped ones. An account that rests tries one letter at once.
    """
    _change(ctx, "retry", _chosen(numbers, follow_up, to_domain, account))


@app.command()
def drop(
    ctx: typer.Context,
    numbers: Numbers = None,
    follow_up: FollowUp = "",
    to_domain: ToDomain = "",
    account: Account = "",
    brake: Brake = False,
) -> None:
    """Never send these letters.
    The next change of the follow-up owes what the invitee then lacks.
    """
    _change(ctx, "drop", _chosen(numbers, follow_up, to_domain, account, brake))


@app.command()
def pause(ctx: typer.Context) -> None:
    """Let no letter leave until `queue resume`: letters are planned, and wait."""
    from gateway.actions import queue

    with closing(context.store(context.settings(ctx))) as store:
        is_news = queue.pause(store, datetime.now(UTC), context.user())
    _say(ctx, paused=True, words="sending is paused" if is_news else "sending was paused already")


@app.command()
def resume(ctx: typer.Context) -> None:
    """Let letters leave again."""
    from gateway.actions import queue

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store:
        is_news = queue.resume(store, datetime.now(UTC), context.user())
    words = "letters leave again" if is_news else "sending was not paused"
    if effective.outbound.paused:
        words += ", but the settings say outbound.paused"
    _say(ctx, paused=effective.outbound.paused, words=words)


def _say(ctx: typer.Context, *, paused: bool, words: str) -> None:
    if context.invocation(ctx).json:
        output.objects([{"paused": paused}], as_json=True)
    else:
        output.line(words)


def _chosen(
    numbers: list[int] | None, follow_up: str, to_domain: str, account: str, brake: bool = False
) -> Selection:
    if not (numbers or follow_up or to_domain or account or brake):
        raise typer.BadParameter(
            "say which letters: numbers, --follow-up, --to-domain, --account or --brake"
        )
    return _selection(numbers, follow_up, to_domain, account, braked=brake)


def _change(ctx: typer.Context, word: str, selection: Selection) -> None:
    from gateway.actions import queue

    verb: Verb = queue.Verb(word)
    with closing(context.store(context.settings(ctx))) as store:
        changed = queue.change(
            store,
            verb,
            selection,
            datetime.now(UTC),
            context.user(),
        )
    rows = [
        {
            "letter": queued.id,
            "to": queued.letter.address,
            "follow_up": queued.follow_up,
            "state": queued.state.value,
        }
        for queued in changed
    ]
    output.objects(rows, as_json=context.invocation(ctx).json)
    if not context.invocation(ctx).json:
        output.line(f"{len(rows)} letter{'' if len(rows) == 1 else 's'}")


def _selection(
    numbers: list[int] | None, follow_up: str, to_domain: str, account: str, **more: Any
) -> Selection:
    from gateway.actions import queue
    from gateway.store.outbox import Selection

    return Selection(
        numbers=tuple(numbers or ()),
        follow_up=follow_up,
        domain=queue.domain(to_domain),
        account=account,
        **more,
    )


def _tell(resting: Any) -> None:
    for account_rest in resting:
        until = account_rest.until.isoformat(timespec="seconds")
        since = account_rest.since.isoformat(timespec="seconds")
        output.line(
            f"account {account_rest.account} rests until {until}, since {since}"
            f" and {account_rest.failures} tries: {account_rest.words}"
        )
