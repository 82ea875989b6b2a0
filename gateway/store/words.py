"""Words that somebody wrote to the owner. They leave nothing in the record that waits: they begin
with the message, and go on as long as nothing else is heard (domain.md §9).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups.decisions import Cause, Decision
from gateway.model import Moment, Reply
from gateway.store import codec, review, signs
from gateway.store.schema import (
    participant,
    standing,
)
from gateway.store.signs import Head

_STANDINGS = (
    sa.select(
        participant.c.id,
        participant.c.follow_up,
        participant.c.removed,
        standing.c.instance,
        standing.c.reply,
        standing.c.arrived,
        standing.c.cancelled,
    )
    .join(standing, standing.c.participant == participant.c.id, isouter=True)
    .where(participant.c.id.in_(signs.NUMBERS))
)


def opened(
    connection: Connection, written: Mapping[tuple[int, int], Cause], now: datetime
) -> list[Cause]:
    """Causes of words that somebody wrote, by message and participant, with what tells later that
    they are out of date.
    """
    keys = {cause.follow_up for cause in written.values() if cause.follow_up is not None}
    heads = signs.heads(connection, keys, now)
    replies = _replies(connection, {number for _, number in written})
    arrivals = review.find(connection, {message for message, _ in written})
    causes = list[Cause]()
    for (message, number), cause in written.items():
        head, reply = heads.get(cause.follow_up or ""), replies.get(number)
        if head is None or reply is None or not head.stands or head.is_over(cause.instance):
            continue
        detail = {
            **cause.detail,
            "at": codec.moment(arrivals[message].arrived),
            "reply": reply.of(cause.instance),
            "times": head.times,
        }
        about = f"message {message}/{number}"
        causes.append(replace(cause, about=about, associate=head.owner, detail=detail))
    return causes


@dataclass(frozen=True, slots=True)
class _Heard:
    """A row, and what was heard of it, by date."""

    follow_up: str
    answers: Mapping[str, tuple[str, datetime | None, bool]]

    def of(self, instance: Moment | None) -> str:
        return self._answer(instance)[0]

    def is_heard_since(self, at: datetime) -> bool:
        return any(arrived is not None and arrived > at for _, arrived, _ in self.answers.values())

    def is_cancelled(self, instance: Moment | None) -> bool:
        return self._answer(instance)[2]

    def _answer(self, instance: Moment | None) -> tuple[str, datetime | None, bool]:
        whole = self.answers.get("", (Reply.NEEDS_ACTION.value, None, False))
        return self.answers.get(codec.moment(instance), whole)


def _replies(connection: Connection, numbers: Collection[int]) -> dict[int, _Heard]:
    """Of rows that are there, and not removed."""
    by_row = dict[int, tuple[str, dict[str, tuple[str, datetime | None, bool]]]]()
    if not numbers:
        return {}
    for row in connection.execute(_STANDINGS, {"numbers": sorted(numbers)}):
        if row.removed:
            continue
        _, answers = by_row.setdefault(row.id, (row.follow_up, {}))
        if row.reply is not None:
            answers[row.instance] = row.reply, row.arrived, row.cancelled
    return {number: _Heard(key, answers) for number, (key, answers) in by_row.items()}


def unanswered(
    connection: Connection, waiting: Iterable[Decision], heads: Mapping[str, Head]
) -> list[Cause]:
    """Words that nothing has overtaken: neither another answer of theirs, nor a move."""
    open_words = list(waiting)
    replies = _replies(
        connection,
        {decision.cause.participant for decision in open_words if decision.cause.participant},
    )
    given_at = signs.given(connection, {decision.cause.participant for decision in open_words})
    causes = list[Cause]()
    for decision in open_words:
        cause = decision.cause
        head, heard = heads.get(cause.follow_up or ""), replies.get(cause.participant or 0)
        if head is None or heard is None or heard.follow_up != cause.follow_up:
            continue
        is_over = not head.stands or head.is_over(cause.instance)
        if not is_over and not _is_overtaken(cause, head, heard, given_at):
            causes.append(replace(cause, associate=head.owner))
    return causes


def _is_overtaken(
    cause: Cause, head: Head, heard: _Heard, given_at: Mapping[int, datetime]
) -> bool:
    arrived = codec.parse_moment(cause.detail["at"])
    assert isinstance(arrived, datetime)
    return (
        signs.is_anothers(arrived, cause.participant, given_at)
        or heard.is_cancelled(cause.instance)
        or heard.of(cause.instance) != cause.detail["reply"]
        or heard.is_heard_since(arrived + timedelta(seconds=1))
        or head.times != cause.detail["times"]
    )
