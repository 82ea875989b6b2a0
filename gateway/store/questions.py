"""Messages that are held, or of nobody who was invited: whose answer is that? A cause of a decision
for each person who wrote (domain.md §9). Other messages wait for an administrator (`review list`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import decisions
from gateway.followups.decisions import Cause, DecisionKind
from gateway.mail import address
from gateway.model import Outcome
from gateway.store import codec, followups, review, signs
from gateway.store.followups import Member
from gateway.store.review import Kept
from gateway.store.schema import (
    inbox,
)
from gateway.store.signs import Head, Sign


def find(connection: Connection, rows: Iterable[Sign], heads: Mapping[str, Head]) -> list[Cause]:
    """Messages that ask who somebody is. Others wait for an administrator (`review list`)."""
    asking = [sign for sign in rows if sign.what == "held"]
    if not asking:
        return []
    messages = review.find(connection, [sign.number for sign in asking])
    given_at = signs.given(connection, {sign.participant for sign in asking})
    crashed = {sign.follow_up for sign in asking if sign.said == Outcome.PARTY_CRASHER}
    there = {key: followups.members(connection, key) for key in sorted(crashed)}
    members = signs.members(connection, {sign.participant for sign in asking})
    # Who wrote more than once is asked about once, by the newest message.
    newest = dict[tuple[object, ...], Cause]()
    for sign in sorted(asking, key=lambda sign: sign.number):
        message = messages[sign.number]
        if sign.said == Outcome.PARTY_CRASHER:
            kind, is_moot = (
                DecisionKind.PARTY_CRASHER,
                _has_joined(message.speaker, there[sign.follow_up]),
            )
        else:
            is_former = signs.is_anothers(message.arrived, message.participant, given_at)
            kind, is_moot = DecisionKind.SAME_PERSON, is_former or not message.asks_who
        if not is_moot:
            cause = _asking(kind, message, heads, members.get(sign.participant or 0))
            newest[kind, cause.follow_up, cause.participant, message.speaker.lower()] = cause
    return list(newest.values())


def _asking(
    kind: DecisionKind, message: Kept, heads: Mapping[str, Head], member: Member | None
) -> Cause:
    assert message.follow_up is not None
    claim: Mapping[str, Any] = next(iter(message.detail.get("answers", ())), {})
    detail = {
        "address": message.speaker,
        "reply": claim.get("claimed"),
        "comment": claim.get("comment", ""),
        "reason": message.reason,
        "subject": message.subject,
        "at": codec.moment(message.arrived),
    }
    if member is not None and kind is DecisionKind.SAME_PERSON:
        detail["invited"] = member.address
    return Cause(
        kind,
        decisions.of_message(message.number),
        message.follow_up,
        message.participant,
        codec.parse_moment(message.instance),
        heads[message.follow_up].owner,
        message=message.number,
        detail=detail,
    )


def _has_joined(speaker: str, members: Iterable[Member]) -> bool:
    present = (member for member in members if not member.removed)
    return any(address.among(speaker, member.addresses) for member in present)


def of_speaker(connection: Connection, cause: Cause) -> list[int]:
    """The messages that wait of who is asked about, oldest first."""
    query = sa.select(inbox.c.id).where(
        inbox.c.follow_up == cause.follow_up, inbox.c.raw.is_not(None)
    )
    messages = review.find(connection, list(connection.execute(query).scalars()))
    speaker = str(cause.detail["address"]).lower()
    return sorted(
        message.number
        for message in messages.values()
        if message.participant == cause.participant
        and message.speaker.lower() == speaker
        and (message.asks_who or message.outcome is Outcome.PARTY_CRASHER)
    )
