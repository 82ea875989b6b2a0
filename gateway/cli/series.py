"""`invite-gateway series`: ending a series early, and letting it go on as another from one of its
dates (domain.md §6).
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.cli import context, output

app = typer.Typer(
    no_args_is_help=True, help="Series: stop them early, or change them from one date on."
)

Key = Annotated[str, typer.Argument(metavar="FOLLOW_UP", help="Its key.")]
TIME = "2026-12-08T09:00:00, in the series' zone where it has no offset; 2026-12-08 for a day"


@app.command()
def stop(
    ctx: typer.Context,
    key: Key,
    after: Annotated[
        str,
        typer.Option(metavar="TIME", help=f"The last date, or the last day, that stays: {TIME}."),
    ],
) -> None:
    """Have no dates after this one. Answers stay; everybody who holds the series is told."""
    from gateway.actions import series

    effective = context.settings(ctx)
    with closing(context.store(effective)) as store, store.write() as connection:
        last = series.moment(connection, key, after, effective, day=True)
        changed = series.stop(connection, key, last, effective, datetime.now(UTC), context.user())
    output.objects(
        [{"follow_up": key, "stopped_after": after, "changed": changed}],
        as_json=context.invocation(ctx).json,
    )


@app.command()
def split(
    ctx: typer.Context,
    key: Key,
    at: Annotated[
        str, typer.Option("--from", metavar="TIME", help=f"The first date that is another: {TIME}.")
    ],
    title: Annotated[str | None, typer.Option(help="From then on.")] = None,
    location: Annotated[str | None, typer.Option(help="From then on.")] = None,
    agenda: Annotated[str | None, typer.Option(help="From then on.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="When that date begins now.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(metavar="TIME", help="When that date ends now.")
    ] = None,
    rrule: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="The rule from then on, as FREQ=WEEKLY;BYDAY=WE."),
    ] = None,
) -> None:
    """This and all future dates: end the series before a date and begin another there, with the
    same people. Prints its key, and whose one date it does not have: their invitations are
    cancelled.
    """
    from gateway.actions import series
    from gateway.store import codec, columns

    effective, as_json = context.settings(ctx), context.invocation(ctx).json
    words = {"title": title, "location": location, "agenda": agenda, "rrule": rrule}
    changes: dict[str, Any] = {name: text for name, text in words.items() if text is not None}
    with closing(context.store(effective)) as store, store.write() as connection:
        for column, text in (("start_at", start), ("end_at", end)):
            if text is not None:
                changes[column] = columns.instant(series.moment(connection, key, text, effective))
        first = series.moment(connection, key, at, effective, day=True)
        divided = series.split(
            connection,
            key,
            series.From(first, changes),
            effective,
            datetime.now(UTC),
            context.user(),
        )
    lost = [
        {"key": lost_date.key, "date": codec.moment(lost_date.date)} for lost_date in divided.lost
    ]
    output.objects(
        [{"follow_up": key, "continued_by": divided.key, "lost": lost}],
        as_json=as_json,
        columns=("follow_up", "continued_by"),
    )
    for row in () if as_json else lost:
        context.complain(
            f"{row['key']} was invited to {row['date']} alone, which {divided.key} does not have:"
            " that is cancelled"
        )
