"""`invite-gateway webhook`: where CRMs hear of events, and what became of what they were told."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli import context, output

app = typer.Typer(
    no_args_is_help=True, help="Webhooks: programs that are told of every answer, signed."
)

Number = Annotated[int, typer.Argument(metavar="N", help="The webhook's number.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Events of this type; again for more. None: all."),
]
COLUMNS = ("webhook", "url", "active", "types", "waiting", "trouble", "failing_since")
DELIVERIES = ("delivery", "id", "type", "follow_up", "state", "tries", "code", "words", "due")


@app.command()
def create(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="https://…; where events are sent.")],
    types: Types = None,
) -> None:
    """Tell a program what happens from now on. Prints the secret that signs it, this once."""
    from gateway.actions import webhooks

    hook, secret = context.perform(ctx, lambda desk: webhooks.register(desk, url, types or ()))
    row = {"webhook": hook.id, "url": hook.url, "secret": secret}
    output.objects([row], as_json=context.invocation(ctx).json)


@app.command("list")
def listing(ctx: typer.Context) -> None:
    """All webhooks, how many events each is still to be told, and what is wrong."""
    from gateway.actions import webhooks

    rows = context.perform(
        ctx, lambda desk: [webhooks.shape(desk, hook) for hook in webhooks.listing(desk)]
    )
    rows = [{"webhook": row.pop("id"), **row} for row in rows]
    output.objects(
        rows, as_json=context.invocation(ctx).json, columns=COLUMNS, otherwise="no webhook"
    )


@app.command()
def change(
    ctx: typer.Context,
    number: Number,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Another address.")] = None,
    types: Types = None,
    active: Annotated[
        bool | None,
        typer.Option("--on/--off", help="On again, it is told what it missed."),
    ] = None,
) -> None:
    """Another address, other types, on or off."""
    from gateway.actions import webhooks

    context.perform(
        ctx, lambda desk: webhooks.change(desk, number, url=url, types=types, active=active)
    )


@app.command()
def rotate(ctx: typer.Context, number: Number) -> None:
    """A new secret, printed this once. For a day the former one signs beside it."""
    from gateway.actions import webhooks

    secret = context.perform(ctx, lambda desk: webhooks.rotate(desk, number))
    output.objects([{"webhook": number, "secret": secret}], as_json=context.invocation(ctx).json)


@app.command()
def remove(ctx: typer.Context, number: Number) -> None:
    """Forget a webhook, and what it was still to be told."""
    from gateway.actions import webhooks

    context.perform(ctx, lambda desk: webhooks.remove(desk, number))


@app.command()
def test(ctx: typer.Context, number: Number) -> None:
    """Send it an event that means nothing; `deliveries` shows what became of it."""
    from gateway.actions import webhooks

    context.perform(ctx, lambda desk: webhooks.trial(desk, number))


@app.command()
def deliveries(
    ctx: typer.Context,
    number: Number,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many, the newest first.")] = 50,
) -> None:
    """What it was told, and what it answered."""
    from gateway.actions import webhooks

    rows = context.perform(
        ctx,
        lambda desk: [
            webhooks.delivery_shape(delivery)
            for delivery in webhooks.deliveries(desk, number, None, limit)
        ],
    )
    output.objects(
        rows, as_json=context.invocation(ctx).json, columns=DELIVERIES, otherwise="nothing yet"
    )


@app.command()
def again(
    ctx: typer.Context,
    number: Number,
    delivery: Annotated[int, typer.Argument(metavar="DELIVERY", help="Its number.")],
) -> None:
    """Send an event once more, whatever became of it."""
    from gateway.actions import webhooks

    context.perform(ctx, lambda desk: webhooks.again(desk, number, delivery))
