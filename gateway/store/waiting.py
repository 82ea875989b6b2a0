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
    written = [one for one in waiting if one.kind is DecisionKind.WORDS]
    if not rows and not written:
        return []
    concerned = {one.follow_up for one in rows} | {one.cause.follow_up or "" for one in written}
    heads = signs.heads(connection, concerned, now)
    standing_still = [one for one in rows if _is_on(heads.get(one.follow_up), one)]
    open_now = {(one.kind, one.cause.about) for one in waiting}
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
    found = list[Cause]()
    for one in rows:
        if one.what != "declined":
            continue
        head = heads[one.follow_up]
        is_assigned = head.is_role_assigned(one.said)
        kind = DecisionKind.ASSIGNMENT_DECLINED if is_assigned else DecisionKind.DECLINED
        about = f"answer {one.participant}/{one.instance}/{codec.moment(one.at)}"
        associate = head.assigner if is_assigned else head.owner
        found.append(Cause(kind, about, one.follow_up, one.participant, one.date, associate))
    fresh = [one for one in found if (one.kind, one.about) not in waiting]
    details = _answers(connection, {one.participant for one in fresh if one.participant})
    return [
        replace(one, detail=details.get((one.participant or 0, codec.moment(one.instance)), {}))
        if one in fresh
        else one
        for one in found
    ]


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
    found = [one for one in rows if one.what == "proposal"]
    kind = DecisionKind.PROPOSAL
    names = {one.number: decisions.of_proposal(one.number) for one in found}
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
            decisions.of_proposal(one.number),
            one.follow_up,
            one.participant,
            one.date,
            heads[one.follow_up].owner,
            message=details.get(one.number, {}).pop("message", None),
            proposal=one.number,
            detail=details.get(one.number, {}),
        )
        for one in found
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
    found = [one for one in rows if one.what == "undeliverable"]
    members = signs.members(connection, {one.participant for one in found})
    found = [
        one
        for one in found
        if (member := members.get(one.participant or 0)) is not None
        and address.equal(member.address, one.said)
    ]
    newest_first = sorted(found, key=lambda one: -one.number)
    found = list({one.participant: one for one in newest_first}.values())
    kind = DecisionKind.UNDELIVERABLE
    fresh = {one.number for one in found if (kind, f"invitation {one.number}") not in waiting}
    said = dict[int, str]()
    if fresh:
        reasons = sa.select(invitation.c.id, invitation.c.delivery_text)
        answers = connection.execute(reasons.where(invitation.c.id.in_(fresh)))
        said = {row.id: row.delivery_text for row in answers}
    return [
        Cause(
            kind,
            f"invitation {one.number}",
            one.follow_up,
            one.participant,
            None,
            heads[one.follow_up].owner,
            detail={"address": one.said, "reason": said.get(one.number, "")},
        )
        for one in found
    ]
