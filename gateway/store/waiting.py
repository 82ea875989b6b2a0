"""What is to wait for a person, as the record says it: open proposals, held messages, declines,
letters that do not arrive (domain.md §9). In sets: a fixed number of statements for any number of
follow-ups.

Words that somebody wrote leave nothing in the record that waits: they begin with the message
(`opened`), and go on as long as nothing else is heard.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import decisions, recurrence
from gateway.followups.decisions import ADMINISTRATORS, Cause, Decision, DecisionKind
from gateway.mail import address
from gateway.model import Channel, Delivery, Edition, Moment, Outcome, Reply
from gateway.status import Status
from gateway.store import codec, followups, invitations, review
from gateway.store.followups import Member
from gateway.store.review import Kept
from gateway.store.schema import follow_up, inbox, invitation, participant, proposal, standing

DAY = timedelta(days=1)
"""So long after its end a follow-up is over for whoever has to decide (domain.md §4)."""
KEYS: sa.BindParameter[str] = sa.bindparam("keys", expanding=True)
NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
NOTHING: sa.ColumnElement[str] = sa.literal_column("''")

_PRESENT = sa.and_(
    participant.c.follow_up.in_(KEYS),
    ~participant.c.removed,
    sa.func.coalesce(participant.c.code, 0) != int(Status.CANCELLED),
)
_ANSWERED_SINCE = sa.exists().where(
    standing.c.participant == inbox.c.participant,
    standing.c.instance.in_((NOTHING, inbox.c.instance)),
    standing.c.arrived > inbox.c.arrived_at,
)
_IS_CRASHER = inbox.c.outcome == Outcome.PARTY_CRASHER
_HELD = (
    sa.select(
        sa.literal_column("'held'").label("what"),
        inbox.c.follow_up,
        inbox.c.participant,
        inbox.c.instance,
        inbox.c.id.label("number"),
        inbox.c.arrived_at.label("at"),
        inbox.c.outcome.label("said"),
    )
    .join(participant, participant.c.id == inbox.c.participant, isouter=True)
    .where(
        inbox.c.follow_up.in_(KEYS),
        inbox.c.raw.is_not(None),
        _IS_CRASHER
        | sa.and_(
            inbox.c.outcome == Outcome.HELD,
            participant.c.follow_up == inbox.c.follow_up,
            ~participant.c.removed,
            ~_ANSWERED_SINCE,
        ),
    )
)
_PROPOSED = (
    sa.select(
        sa.literal_column("'proposal'"),
        participant.c.follow_up,
        participant.c.id,
        proposal.c.instance,
        proposal.c.id,
        proposal.c.created_at,
        NOTHING,
    )
    .join(participant, participant.c.id == proposal.c.participant)
    # Written out, not bound: else no database sees that a partial index holds the rows.
    .where(_PRESENT, proposal.c.state == sa.literal_column("'open'"))
)
_DECLINED = (
    sa.select(
        sa.literal_column("'declined'"),
        participant.c.follow_up,
        participant.c.id,
        standing.c.instance,
        participant.c.id,
        standing.c.arrived,
        sa.func.coalesce(participant.c.associate, NOTHING),
    )
    .join(standing, standing.c.participant == participant.c.id)
    .where(
        _PRESENT,
        standing.c.reply == Reply.DECLINED,
        ~standing.c.cancelled,
        # What was said by hand the owner knows.
        standing.c.channel != Channel.HAND,
    )
)
_UNDELIVERABLE = (
    sa.select(
        sa.literal_column("'undeliverable'"),
        participant.c.follow_up,
        participant.c.id,
        NOTHING,
        invitation.c.id,
        invitation.c.created_at,
        invitation.c.address,
    )
    .join(participant, participant.c.id == invitation.c.participant)
    .where(
        _PRESENT,
        participant.c.email_invite,
        invitation.c.counts,
        invitation.c.delivery == Delivery.UNDELIVERABLE,
    )
)
_HEADS = sa.select(
    follow_up.c.key,
    follow_up.c.kind,
    follow_up.c.owner,
    follow_up.c.assigned_by,
    follow_up.c.cancelled,
    follow_up.c.completed,
    follow_up.c.start_at,
    follow_up.c.end_at,
    follow_up.c.deadline,
    follow_up.c.rrule,
    follow_up.c.location,
    follow_up.c.edition,
).where(follow_up.c.key.in_(KEYS))
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
    .where(participant.c.id.in_(NUMBERS))
)


def _of(participants: bool) -> sa.CompoundSelect[Any]:
    parts = [_HELD, _PROPOSED, _DECLINED, _UNDELIVERABLE]
    if participants:
        is_theirs = inbox.c.participant.in_(NUMBERS) | inbox.c.participant.is_(None)
        parts = [
            _HELD.where(is_theirs),
            *(p.where(participant.c.id.in_(NUMBERS)) for p in parts[1:]),
        ]
    return sa.union_all(*parts)


_WAITS = {participants: _of(participants) for participants in (False, True)}


@dataclass(frozen=True, slots=True)
class _Sign:
    """Something that may wait: a row of the record."""

    what: str
    follow_up: str
    participant: int | None
    instance: str
    number: int
    at: datetime | None
    said: str

    @property
    def date(self) -> Moment | None:
        return codec.parse_moment(self.instance)


@dataclass(frozen=True, slots=True)
class _Head:
    """What of a follow-up matters to whoever has to decide on it."""

    row: Any
    edition: Edition | None
    now: datetime

    @property
    def owner(self) -> str:
        return self.row.owner or ADMINISTRATORS

    @property
    def assigner(self) -> str:
        return self.row.assigned_by or self.owner

    @property
    def stands(self) -> bool:
        return not (self.row.cancelled or self.row.completed)

    @property
    def times(self) -> str:
        """When and where it takes place, as a short word: another one after a move."""
        row = self.row
        said = row.start_at, row.end_at, row.deadline, row.rrule, row.location
        return hashlib.sha256(repr(said).encode()).hexdigest()[:12]

    def is_role_assigned(self, associate: str) -> bool:
        """Whether the row of this associate is that of whom it was assigned to (domain.md §4)."""
        row = self.row
        return (
            bool(associate) and associate == row.owner and row.assigned_by not in (None, associate)
        )

    def is_over(self, instance: Moment | None) -> bool:
        """Whether it, or this date of it, was over a day ago. What is only to be done by a deadline
        never is.
        """
        ends = _ends(self.row)
        if ends is None or ends + DAY > self.now:
            return False
        if self.edition is None:
            return instance is None and not self.row.rrule
        if instance is not None and not recurrence.is_instance(self.edition, instance):
            instance = None
        return recurrence.over(self.edition, self.now - DAY, instance)


def _ends(row: Any) -> datetime | None:
    """When a single follow-up, or the first date of a series, ends by its columns."""
    if row.start_at is None:
        return None
    ends: datetime = max(row.start_at, row.end_at or row.start_at)
    return ends


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
    signs = _signs(connection, keys, participants)
    words = [one for one in waiting if one.kind is DecisionKind.WORDS]
    if not signs and not words:
        return []
    concerned = {one.follow_up for one in signs} | {one.cause.follow_up or "" for one in words}
    heads = _heads(connection, concerned, now)
    standing_still = [one for one in signs if _is_on(heads.get(one.follow_up), one)]
    open_now = {(one.kind, one.cause.about) for one in waiting}
    return [
        *_declined(connection, standing_still, heads, open_now),
        *_proposed(connection, standing_still, heads, open_now),
        *_undeliverable(connection, standing_still, heads, open_now),
        *_held(connection, standing_still, heads),
        *_unanswered(connection, words, heads),
    ]


def opened(
    connection: Connection, written: Mapping[tuple[int, int], Cause], now: datetime
) -> list[Cause]:
    """Causes of words that somebody wrote, by message and participant, with what tells later that
    they are out of date.
    """
    keys = {one.follow_up for one in written.values() if one.follow_up is not None}
    heads = _heads(connection, keys, now)
    replies = _replies(connection, {number for _, number in written})
    arrivals = review.find(connection, {message for message, _ in written})
    found = list[Cause]()
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
        found.append(replace(cause, about=about, associate=head.owner, detail=detail))
    return found


def of_speaker(connection: Connection, cause: Cause) -> list[int]:
    """The messages that wait of who is asked about, oldest first."""
    query = sa.select(inbox.c.id).where(
        inbox.c.follow_up == cause.follow_up, inbox.c.raw.is_not(None)
    )
    messages = review.find(connection, list(connection.execute(query).scalars()))
    speaker = str(cause.detail["address"]).lower()
    return sorted(
        one.number
        for one in messages.values()
        if one.participant == cause.participant
        and one.speaker.lower() == speaker
        and (one.asks_who or one.outcome is Outcome.PARTY_CRASHER)
    )


def next_follow_ups(connection: Connection, after: str, limit: int) -> list[str]:
    """The keys that come after this one."""
    query = sa.select(follow_up.c.key).where(follow_up.c.key > after)
    return list(connection.execute(query.order_by(follow_up.c.key).limit(limit)).scalars())


def _signs(
    connection: Connection, keys: Collection[str], participants: Collection[int] | None
) -> list[_Sign]:
    values: dict[str, object] = {"keys": sorted(keys)}
    if participants is not None:
        values["numbers"] = sorted(participants)
    rows = connection.execute(_WAITS[participants is not None], values)
    return [_Sign(*row) for row in rows]


def _heads(connection: Connection, keys: Collection[str], now: datetime) -> dict[str, _Head]:
    rows = connection.execute(_HEADS, {"keys": sorted(keys)}).all()
    past = [row for row in rows if (ends := _ends(row)) is not None and ends + DAY <= now]
    editions = invitations.editions(connection, [row.edition for row in past]) if past else {}
    return {row.key: _Head(row, editions.get(row.edition), now) for row in rows}


def _is_on(head: _Head | None, sign: _Sign) -> bool:
    if head is None or not head.stands:
        return False
    assigned = sign.what == "declined" and head.is_role_assigned(sign.said)
    return assigned or not head.is_over(sign.date)


def _declined(
    connection: Connection,
    signs: Iterable[_Sign],
    heads: Mapping[str, _Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    found = list[Cause]()
    for one in signs:
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
    signs: Iterable[_Sign],
    heads: Mapping[str, _Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    found = [one for one in signs if one.what == "proposal"]
    kind = DecisionKind.PROPOSAL
    names = {one.number: decisions.of_proposal(one.number) for one in found}
    fresh = [number for number, name in names.items() if (kind, name) not in waiting]
    details = dict[int, Any]()
    if fresh:
        rows = connection.execute(sa.select(proposal).where(proposal.c.id.in_(fresh)))
        details = {
            row.id: {
                "start": row.proposed_start,
                "end": row.proposed_end,
                "location": row.location,
                "comment": row.comment,
                "address": row.address,
                "message": row.message,
            }
            for row in rows
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
    signs: Iterable[_Sign],
    heads: Mapping[str, _Head],
    waiting: Collection[tuple[DecisionKind, str]],
) -> list[Cause]:
    """Where the address is still the one that does not take mail: once for each row, which may have
    an invitation to each of its dates.
    """
    found = [one for one in signs if one.what == "undeliverable"]
    members = _members(connection, {one.participant for one in found})
    found = [
        one
        for one in found
        if (member := members.get(one.participant or 0)) is not None
        and address.key(member.address) == address.key(one.said)
    ]
    newest_first = sorted(found, key=lambda one: -one.number)
    found = list({one.participant: one for one in newest_first}.values())
    kind = DecisionKind.UNDELIVERABLE
    fresh = {one.number for one in found if (kind, f"invitation {one.number}") not in waiting}
    words = dict[int, str]()
    if fresh:
        reasons = sa.select(invitation.c.id, invitation.c.delivery_text)
        rows = connection.execute(reasons.where(invitation.c.id.in_(fresh)))
        words = {row.id: row.delivery_text for row in rows}
    return [
        Cause(
            kind,
            f"invitation {one.number}",
            one.follow_up,
            one.participant,
            None,
            heads[one.follow_up].owner,
            detail={"address": one.said, "reason": words.get(one.number, "")},
        )
        for one in found
    ]


def _held(
    connection: Connection, signs: Iterable[_Sign], heads: Mapping[str, _Head]
) -> list[Cause]:
    """Messages that ask who somebody is. Others wait for an administrator (`review list`)."""
    found = [one for one in signs if one.what == "held"]
    if not found:
        return []
    messages = review.find(connection, [one.number for one in found])
    crashed = {one.follow_up for one in found if one.said == Outcome.PARTY_CRASHER}
    there = {key: followups.members(connection, key) for key in sorted(crashed)}
    members = _members(connection, {one.participant for one in found})
    # Who wrote more than once is asked about once, by the newest message.
    newest = dict[tuple[object, ...], Cause]()
    for one in sorted(found, key=lambda one: one.number):
        message = messages[one.number]
        is_crasher = one.said == Outcome.PARTY_CRASHER
        if is_crasher and not _has_joined(message.speaker, there[one.follow_up]):
            cause = _asking(DecisionKind.PARTY_CRASHER, message, heads, None)
        elif not is_crasher and message.asks_who:
            member = members.get(one.participant or 0)
            cause = _asking(DecisionKind.SAME_PERSON, message, heads, member)
        else:
            continue
        newest[cause.kind, cause.follow_up, cause.participant, message.speaker.lower()] = cause
    return list(newest.values())


def _asking(
    kind: DecisionKind, message: Kept, heads: Mapping[str, _Head], member: Member | None
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
    if member is not None:
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
    present = (one for one in members if not one.removed)
    return any(address.among(speaker, one.addresses) for one in present)


def _members(connection: Connection, numbers: Collection[int | None]) -> dict[int, Member]:
    ids = sorted(number for number in numbers if number is not None)
    return {one.id: one for one in followups.members(connection, ids=ids)} if ids else {}


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
    found = dict[int, tuple[str, dict[str, tuple[str, datetime | None, bool]]]]()
    if not numbers:
        return {}
    for row in connection.execute(_STANDINGS, {"numbers": sorted(numbers)}):
        if row.removed:
            continue
        _, answers = found.setdefault(row.id, (row.follow_up, {}))
        if row.reply is not None:
            answers[row.instance] = row.reply, row.arrived, row.cancelled
    return {number: _Heard(key, answers) for number, (key, answers) in found.items()}


def _unanswered(
    connection: Connection, waiting: Iterable[Decision], heads: Mapping[str, _Head]
) -> list[Cause]:
    """Words that nothing has overtaken: neither another answer of theirs, nor a move."""
    open_words = list(waiting)
    replies = _replies(
        connection, {one.cause.participant for one in open_words if one.cause.participant}
    )
    found = list[Cause]()
    for one in open_words:
        cause = one.cause
        head, heard = heads.get(cause.follow_up or ""), replies.get(cause.participant or 0)
        if head is None or heard is None or heard.follow_up != cause.follow_up:
            continue
        is_over = not head.stands or head.is_over(cause.instance)
        if not is_over and not _is_overtaken(cause, head, heard):
            found.append(replace(cause, associate=head.owner))
    return found


def _is_overtaken(cause: Cause, head: _Head, heard: _Heard) -> bool:
    arrived = codec.parse_moment(cause.detail["at"])
    assert isinstance(arrived, datetime)
    return (
        heard.is_cancelled(cause.instance)
        or heard.of(cause.instance) != cause.detail["reply"]
        or heard.is_heard_since(arrived + timedelta(seconds=1))
        or head.times != cause.detail["times"]
    )
