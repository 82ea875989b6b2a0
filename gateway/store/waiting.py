"""What is to wait for a person, as the record says it: open proposals, held messages, declines,
letters that do not arrive, and words that nothing has overtaken (domain.md §9).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import decisions
from gateway.followups.decisions import Cause, Decision, DecisionKind
from gateway.mail import address
from gateway.store import codec, questions, signs, words
from gateway.store.schema import proposal, standing
from gateway.store.schema_letters import invitation
from gateway.store.signs import Head, Sign


def causes(
    connection: Connection,
    keys: Collection[str],
    waiting: Sequence[Decision],
    now: datetime,
    participants: Collection[int] | None = None,
) -> list[Cause]:
    """Why decisions are to be open on these follow-ups, or on these participants of them.
    `waiting`: what is open. Of what is open already the cause says no detail.
    """
    rows = signs.find(connection, keys, participants)
    written = [decision for decision in waiting if decision.kind is DecisionKind.WORDS]
    if not rows and not written:
        return []
    concerned = {sign.follow_up for sign in rows}
    concerned |= {decision.cause.follow_up or "" for decision in written}
    heads = signs.heads(connection, concerned, now)
    standing_still = [sign for sign in rows if _is_on(heads.get(sign.follow_up), sign)]
    open_now = {(decision.kind, decision.cause.about) for decision in waiting}
    return [
        *_declined(connection, standing_still, heads, open_now),
        *_proposed(connection, standing_still, heads, open_now),
        *_undeliverable(connection, standing_still, heads, open_now),
        *questions.find(connection, standing_still, heads),
        *words.unanswered(connection, written, heads),
    ]


def _is_on(head: Head | None, sign: Sign) -> bool:
    if head is None or not head.stands:
        return False
    assigned = sign.what == "declined" and head.is_role_assigned(sign.said)
    return assigned or not head.is_over(sign.date)


def _declined(
    connection: Connection,
    rows: Iterable[Sign],
    heads: Mapping[str, Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    declined = list[Cause]()
    for sign in rows:
        if sign.what != "declined":
            continue
        head = heads[sign.follow_up]
        is_assigned = head.is_role_assigned(sign.said)
        kind = DecisionKind.ASSIGNMENT_DECLINED if is_assigned else DecisionKind.DECLINED
        about = f"answer {sign.participant}/{sign.instance}/{codec.moment(sign.at)}"
        associate = head.assigner if is_assigned else head.owner
        declined.append(Cause(kind, about, sign.follow_up, sign.participant, sign.date, associate))
    fresh = [cause for cause in declined if (cause.kind, cause.about) not in waiting]
    answers = _answers(connection, {cause.participant for cause in fresh if cause.participant})
    causes = list[Cause]()
    for cause in declined:
        if cause in fresh:
            key = (cause.participant or 0, codec.moment(cause.instance))
            causes.append(replace(cause, detail=answers.get(key, {})))
        else:
            causes.append(cause)
    return causes


def _answers(connection: Connection, numbers: Collection[int]) -> dict[tuple[int, str], Any]:
    """What they said, by participant and date."""
    if not numbers:
        return {}
    rows = connection.execute(sa.select(standing).where(standing.c.participant.in_(numbers)))
    return {
        (row.participant, row.instance): {
            "reply": row.reply,
            "comment": row.comment,
            "address": row.address,
            "at": codec.moment(row.replied_at),
        }
        for row in rows
    }


def _proposed(
    connection: Connection,
    rows: Iterable[Sign],
    heads: Mapping[str, Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    proposed = [sign for sign in rows if sign.what == "proposal"]
    kind = DecisionKind.PROPOSAL
    names = {sign.number: decisions.of_proposal(sign.number) for sign in proposed}
    fresh = [number for number, name in names.items() if (kind, name) not in waiting]
    details = dict[int, Any]()
    if fresh:
        answers = connection.execute(sa.select(proposal).where(proposal.c.id.in_(fresh)))
        details = {
            row.id: {
                "start": row.proposed_start,
                "end": row.proposed_end,
                "location": row.location,
                "comment": row.comment,
                "address": row.address,
                "message": row.message,
            }
            for row in answers
        }
    return [
        Cause(
            kind,
            decisions.of_proposal(sign.number),
            sign.follow_up,
            sign.participant,
            sign.date,
            heads[sign.follow_up].owner,
            message=details.get(sign.number, {}).pop("message", None),
            proposal=sign.number,
            detail=details.get(sign.number, {}),
        )
        for sign in proposed
    ]


def _undeliverable(
    connection: Connection,
    rows: Iterable[Sign],
    heads: Mapping[str, Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    """Where the address is still the one that does not take mail: once for each row, which may have
    an invitation to each of its dates.
    """
    undeliverable = [sign for sign in rows if sign.what == "undeliverable"]
    members = signs.members(connection, {sign.participant for sign in undeliverable})
    by_participant = dict[int | None, Sign]()
    for sign in sorted(undeliverable, key=lambda sign: -sign.number):
        member = members.get(sign.participant or 0)
        if member is not None and address.equal(member.address, sign.said):
            by_participant[sign.participant] = sign
    oldest = list(by_participant.values())
    kind = DecisionKind.UNDELIVERABLE
    fresh = {sign.number for sign in oldest if (kind, f"invitation {sign.number}") not in waiting}
    reasons = _reasons(connection, fresh)
    return [
        Cause(
            kind,
            f"invitation {sign.number}",
            sign.follow_up,
            sign.participant,
            None,
            heads[sign.follow_up].owner,
            detail={"address": sign.said, "reason": reasons.get(sign.number, "")},
        )
        for sign in oldest
    ]


def _reasons(connection: Connection, invitation_numbers: Collection[int]) -> dict[int, str]:
    """By invitation: why it could not be delivered."""
    if not invitation_numbers:
        return {}
    query = sa.select(invitation.c.id, invitation.c.delivery_text)
    rows = connection.execute(query.where(invitation.c.id.in_(invitation_numbers)))
    return {row.id: row.delivery_text for row in rows}
