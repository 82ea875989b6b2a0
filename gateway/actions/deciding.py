"""Decisions follow what the record says: opened where something begins to wait for a person, closed
where it does not any more (domain.md §9).

Code that changes what may wait calls `follow` in the same transaction. It compares what stands with
what is open, so it does not matter what changed, or how often it is called: also what other
programs wrote comes right at the next look, and at `sweep` at the latest.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from gateway.answer import facts
from gateway.followups import decisions
from gateway.followups.decisions import Cause, DecisionKind
from gateway.model import Outcome
from gateway.store import braked, followups, meta, waiting, words
from gateway.store import decisions as kept
from gateway.store.decisions import Verdict
from gateway.store.engine import Connection, Store

BRAKE = "brake"
"""What the decision about the brake is about: there is one brake."""
PAGE = 200
"""Follow-ups, or decisions, that are looked at in one transaction."""


def follow(
    connection: Connection,
    keys: Collection[str],
    now: datetime,
    participants: Collection[int] | None = None,
    verdict: Verdict | None = None,
) -> None:
    """Open and close what waits on these follow-ups. `participants`: only on these rows of them,
    and on what is nobody's; `verdict`: whose choice it was that something waits no longer.
    """
    ordered = sorted(keys)
    for start in range(0, len(ordered), PAGE):
        _follow(connection, ordered[start : start + PAGE], now, participants, verdict)


def _follow(
    connection: Connection,
    keys: Collection[str],
    now: datetime,
    participants: Collection[int] | None,
    verdict: Verdict | None,
) -> None:
    there = kept.open_of(connection, keys, participants)
    causes = waiting.causes(connection, keys, there, now, participants)
    changes = decisions.difference(there, causes)
    kept.close(connection, changes.ended, now, verdict)
    for decision, associate in changes.moved:
        kept.give(connection, decision.id, associate)
    before = kept.chosen(connection, changes.begun)
    kept.put(
        connection,
        [cause for cause in changes.begun if (cause.kind, cause.about) not in before],
        now,
    )


def wrote(
    connection: Connection, answers: Sequence[tuple[int, facts.Answer]], now: datetime
) -> None:
    """People wrote to their owners: (message, answer). What a machine may have sent is no word."""
    written = dict[tuple[int, int], Cause]()
    for message, answer in answers:
        row, conclusion = answer.row, answer.conclusion
        if row is None or conclusion.outcome is not Outcome.COMMENT or not conclusion.pass_on:
            continue
        suggestion = conclusion.claimed.value if conclusion.claimed is not None else None
        detail = {"text": conclusion.comment, "suggestion": suggestion, "address": answer.address}
        written[message, row.participant] = Cause(
            DecisionKind.WORDS,
            "",
            row.follow_up,
            row.participant,
            answer.date,
            message=message,
            detail=detail,
        )
    if written:
        kept.put(connection, words.opened(connection, written, now), now)


def follow_brake(connection: Connection, now: datetime, verdict: Verdict | None = None) -> None:
    """One decision as long as the brake holds anything."""
    there = kept.open_about(connection, DecisionKind.BRAKE, BRAKE)
    summary = braked.summary(connection)
    if summary is None and there is not None:
        kept.close(connection, [there], now, verdict)
    if summary is not None and there is None:
        kept.put(connection, [Cause(DecisionKind.BRAKE, BRAKE)], now)


def webhook_given_up(
    connection: Connection, number: int, detail: Mapping[str, str], now: datetime
) -> None:
    """Nobody took what a webhook was to be told: on with it, or off?"""
    cause = Cause(DecisionKind.WEBHOOK, of_webhook(number), detail={"webhook": number, **detail})
    kept.put(connection, [cause], now)


def webhook_settled(
    connection: Connection, number: int, now: datetime, verdict: Verdict | None = None
) -> None:
    """It takes events again, was changed, or is gone."""
    there = kept.open_about(connection, DecisionKind.WEBHOOK, of_webhook(number))
    if there is not None:
        kept.close(connection, [there], now, verdict)


def of_webhook(number: int) -> str:
    """What a decision on this webhook is about."""
    return f"webhook {number}"


def sweep(store: Store, now: datetime, after: int = 0) -> int:
    """Look again at the next open decisions: time alone ends some, and people may have written into
    the store. Returns the number to go on behind; 0 after the last.
    """
    with store.read() as connection:
        keys, reached = kept.follow_ups(connection, after, PAGE)
    if keys:
        with store.write() as connection:
            follow(connection, followups.lock_free(connection, keys), now)
    return reached


def catch_up(store: Store, now: datetime) -> bool:
    """Open decisions for what waited before there were any, some follow-ups at a time. Returns
    whether there are more.
    """
    with store.read() as connection:
        after = meta.decided_up_to(connection)
    if after is None:
        return False
    with store.write() as connection:
        keys = followups.following(connection, after, PAGE)
        follow(connection, followups.lock_free(connection, keys), now)
        follow_brake(connection, now)
        meta.decide_up_to(connection, keys[-1] if keys else None)
    return bool(keys)
