"""`invite-gateway decisions`: what waits for people, and to decide for them (domain.md §9).

Who runs this decides on everything, as with `review` and `queue`.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import context, output

if TYPE_CHECKING:
    from gateway.model import Actor

app = typer.Typer(no_args_is_help=True, help="What waits for people: list it, and decide.")

SHOWN = 200
COLUMNS = ("id", "kind", "associate", "follow_up", "opened_at", "choices", "detail")
Kind = Annotated[str, typer.Option(help="Of this kind only.")]
FollowUp = Annotated[str, typer.Option(metavar="KEY", help="Of this follow-up only.")]
Associate = Annotated[str, typer.Option("--of", metavar="KEY", help="Of this associate only.")]


@app.command("list")
def list_(
    ctx: typer.Context, kind: Kind = "", follow_up: FollowUp = "", of: Associate = ""
) -> None:
    """Everything that waits, newest first, at most 200."""
    from gateway.actions import decisions
    from gateway.actions.desk import Desk
    from gateway.errors import InputError
    from gateway.followups.decisions import DecisionKind
    from gateway.store import decisions as kept

    kinds = [known_kind.value for known_kind in DecisionKind]
    if kind and kind not in kinds:
        raise InputError(f"--kind {kind}: there are {', '.join(kinds)}")
    chosen = frozenset({DecisionKind(kind)}) if kind else frozenset[DecisionKind]()
    selection = kept.Filter(of or None, not of, chosen, follow_up or None)
    effective = context.settings(ctx)
    with closing(context.store(effective)) as store, store.read() as connection:
        here = Desk(connection, effective, datetime.now(UTC), _actor(is_administrators=False))
        shown = decisions.shown(here, kept.page(connection, selection, SHOWN))
    output.objects(
        shown,
        as_json=context.invocation(ctx).json,
        columns=COLUMNS,
        otherwise="nothing waits",
    )


@app.command()
def decide(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="N", help="Its number in the list.")],
    choice: Annotated[str, typer.Argument(metavar="CHOICE", help="One of its choices.")],
    comment: Annotated[str, typer.Option(help="For the journal.")] = "",
    start: Annotated[str, typer.Option(metavar="TIME", help="To reschedule.")] = "",
    end: Annotated[str, typer.Option(metavar="TIME", help="To reschedule.")] = "",
    to: Annotated[str, typer.Option(metavar="KEY", help="The associate to assign to.")] = "",
    address: Annotated[str, typer.Option(help="The corrected address.")] = "",
) -> None:
    """Close a decision with one of its choices, and do what that says."""
    from gateway import shapes
    from gateway.actions import decisions, desk
    from gateway.inbound.process import Processor
    from gateway.store import decisions as kept

    effective = context.settings(ctx)
    chosen = decisions.Chosen(choice, comment, start, end, to, address)
    with closing(context.store(effective)) as store:
        judge = Processor(store, effective).again
        with store.read() as connection:
            there = kept.get(connection, number)

        def command(here: desk.Desk) -> shapes.Json:
            closed = decisions.decide(here, number, chosen, judge)
            [shown] = decisions.shown(here, [closed])
            return shown

        actor = _actor(is_administrators=there is not None and there.is_administrators)
        done = desk.perform(store, effective, datetime.now(UTC), actor, command)
    columns = ("id", "kind", "follow_up", "choice", "closed_by")
    output.objects([done.answer], as_json=context.invocation(ctx).json, columns=columns)


def _actor(*, is_administrators: bool) -> Actor:
    """What is for administrators only they see, and of the domain the CRM's side sees all."""
    from gateway.model import Access, Actor

    access = Access.ADMIN if is_administrators else Access.CRM
    return Actor(access, name=context.user())
