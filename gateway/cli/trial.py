"""`invite-gateway send-test`: a real invitation to oneself, and what came of it."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.actions.desk import Desk
    from gateway.actions.trial import Stand
    from gateway.settings import Settings
    from gateway.store.engine import Store

T = TypeVar("T")
LOOK_SECONDS = 0.5
WITHDRAWN_SECONDS = 60.0
"""So long the cancellation is waited for; the gateway sends it all the same."""


def send_test(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whom to invite: yourself.")],
    owner: Annotated[
        str, typer.Option("--owner", metavar="KEY", help="The associate who invites; else nobody.")
    ] = "",
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="How long an answer is waited for.")
    ] = 900.0,
) -> None:
    """Send a real invitation, wait for the answer and say what came. It is withdrawn afterwards,
    and nothing of it stays. Exit 1 where no answer came.
    """
    from gateway.actions import desk, trial
    from gateway.model import Access, Actor, Channel

    effective = context.settings(ctx)
    actor = Actor(Access.CRM, name=context.user(), channel=Channel.HAND)

    def perform(store: Store, command: Callable[[Desk], T]) -> T:
        return desk.perform(store, effective, datetime.now(UTC), actor, command).answer

    with closing(context.store(effective)) as store:
        key = perform(store, lambda here: trial.begin(here, address, owner))
        try:
            last = _follow(store, key, seconds, quiet=context.invocation(ctx).json)
        finally:
            perform(store, lambda here: trial.end(here, key))
            is_gone = _withdrawn(store, key)
        _tell(ctx, store, effective, last, is_gone=is_gone)


def _follow(store: Store, key: str, seconds: float, *, quiet: bool) -> Stand:
    """Say each step as it happens, until the answer or the end of the time."""
    from gateway.actions import trial

    began, said = time.monotonic(), None
    while True:
        now = trial.stand(store, key)
        if now != said and not quiet:
            output.line(f"{time.monotonic() - began:4.0f} s  {_words(now)}")
        said = now
        if now.is_over or time.monotonic() - began > seconds:
            return now
        time.sleep(LOOK_SECONDS)


def _words(stand: Stand) -> str:
    if stand.is_answered:
        return f"answered: {stand.reply}" + (f" ({stand.comment})" if stand.comment else "")
    return f"delivery: {stand.delivery}" + (f" ({stand.note})" if stand.note else "")


def _withdrawn(store: Store, key: str) -> bool:
    from gateway.actions import trial

    until = time.monotonic() + WITHDRAWN_SECONDS
    while not (is_gone := trial.is_gone(store, key)) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return is_gone


def _tell(
    ctx: typer.Context, store: Store, effective: Settings, last: Stand, *, is_gone: bool
) -> None:
    is_answered = last.is_answered
    if context.invocation(ctx).json:
        row = {
            "answered": is_answered,
            "delivery": last.delivery,
            "reply": last.reply,
            "comment": last.comment,
            "withdrawn": is_gone,
        }
        output.objects([row], as_json=True)
    else:
        end = "is withdrawn, and nothing is left" if is_gone else "will be withdrawn when it can"
        output.line(f"the invitation {end}")
    if not is_answered:
        context.tell_troubles(store, effective)
        raise GatewayError(
            f"no answer came; the letter is: {last.delivery}. If it was answered:"
            " invite-gateway doctor --roundtrip, and review list"
        )
