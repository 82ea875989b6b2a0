"""Follow-ups and participants as they are shown (`gateway.shapes`), in sets: so many statements
for a page, however many rows it has. Which ones, `store.filters` says; what an actor does not see
is not read.

A value that cannot be read hides nothing: it is shown as `marked` makes it, and `fault` says so.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import shapes, status
from gateway.errors import InputError
from gateway.followups import kinds, limits, recurrence
from gateway.followups.preferences import BUILT_IN
from gateway.mail import quoting
from gateway.model import Edition, Kind, Moment, Outcome, ProposalState, Recurrence, Standing
from gateway.status import Status
from gateway.store import chunks, codec, columns, diary, faults, followups, invitations, timing
from gateway.store.followups import Member
from gateway.store.invitations import Invitation
from gateway.store.schema import (
    follow_up,
    inbox,
    journal,
    participant,
    proposal,
)
from gateway.store.schema_letters import invitation, outbox

REFUSALS = (int(Status.DECLINED), int(Status.ASSIGNMENT_DECLINED))
SEEN, WROTE = Outcome.SEEN.value, Outcome.COMMENT.value

FLAGS = ("all_day", "cancelled", "completed", "private")
PLAIN = (
    "type",
    "owner",
    "assigned_by",
    "title",
    "agenda",
    "notes",
    "location",
    "video_url",
    "timezone",
    "rrule",
    "guest_list",
    "cancel_reason",
    "company",
    "person",
    "project",
    "sale",
    "availability",
    "priority",
    "uid",
    "sequence",
    "created_by",
    "changed_at",
    "changed_by",
)
"""Columns of a follow-up that are shown as they are."""


def follow_ups(
    connection: Connection, keys: Sequence[str], zone: str, *, participants: bool = False
) -> list[shapes.FollowUp]:
    """Those that are there, in the order of `keys`. `zone`: the site's; `participants`: with their
    rows, except removed ones.
    """
    query = sa.select(follow_up).where(follow_up.c.key.in_(keys))
    rows = {row.key: row for row in connection.execute(query)}
    dates, counts = timing.own_dates(connection, keys), _counts(connection, keys)
    conflicted = diary.conflicted(connection, keys)
    views = [
        replace(
            _follow_up(rows[key], dates.get(key, ()), zone),
            reject_count=counts.get(key, 0),
            conflict=key in conflicted,
        )
        for key in keys
        if key in rows
    ]
    if not participants:
        return views
    people: dict[str, list[shapes.Participant]] = {}
    for row in rows_of(connection, _present(connection, keys), zone):
        people.setdefault(row.follow_up, []).append(row)
    return [replace(view, participants=tuple(people.get(view.key, ()))) for view in views]


def _present(connection: Connection, keys: Sequence[str]) -> list[int]:
    query = (
        sa.select(participant.c.id)
        .where(participant.c.follow_up.in_(keys), ~participant.c.removed)
        .order_by(participant.c.id)
    )
    return list(connection.execute(query).scalars())


def _counts(connection: Connection, keys: Collection[str]) -> dict[str, int]:
    """By follow-up: how many have declined."""
    row = participant.c
    query = (
        sa.select(row.follow_up, sa.func.count())
        .where(row.follow_up.in_(keys), ~row.removed, row.code.in_(REFUSALS))
        .group_by(row.follow_up)
    )
    return {count[0]: count[1] for count in connection.execute(query)}


def _follow_up(row: Any, dates: Sequence[Any], site: str) -> shapes.FollowUp:
    zone, all_day = row.timezone or site, bool(row.all_day)
    start = columns.moment(row.start_at, all_day, zone) if row.start_at is not None else None
    end = None
    if row.end_at is not None:
        end = columns.end(row.end_at, row.start_at or row.end_at, all_day, zone)
    facts: dict[str, Any] = {name: row._mapping[name] for name in PLAIN}
    facts |= {name: bool(row._mapping[name]) for name in FLAGS}
    facts |= {name: _instant(row._mapping[name]) for name in ("deadline", "answer_by")}
    view = shapes.FollowUp(
        key=row.key, kind=Kind(row.kind), created_at=row.created_at, zone=zone, **facts
    )
    return replace(
        view,
        start=start,
        end=end,
        dates=tuple(_records(row, dates, start, end, zone)),
        alarm_minutes=_number(row.alarm_minutes),
        fields=_fields(row.fields),
        fault=next(filter(None, [faults.of_follow_up(row), *map(faults.of_date, dates)]), ""),
    )


def _instant(value: datetime | None) -> datetime | None:
    return value.replace(microsecond=0) if value is not None else None


def _number(value: Any) -> int | None:
    """SQLite takes any text for a number."""
    return value if type(value) is int else None


def _fields(text: str) -> dict[str, Any]:
    """Values of user-defined fields; what another program wrote there and is no object says
    nothing.
    """
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _records(
    row: Any, dates: Sequence[Any], start: Moment | None, end: Moment | None, zone: str
) -> Iterable[shapes.DateRecord]:
    """What is said of single dates, and whether the rule has each. Of two rows that name one day,
    each in its own way, the later one counts.
    """
    all_day = bool(row.all_day)
    ruled = _ruled(row, start, end, zone)
    for original, date_row in {
        columns.moment(date_row.original_start, all_day, zone): date_row for date_row in dates
    }.items():
        begins = date_row.start_at or date_row.original_start
        yield shapes.DateRecord(
            original,
            columns.moment(date_row.start_at, all_day, zone)
            if date_row.start_at is not None
            else None,
            columns.end(date_row.end_at, begins, all_day, zone)
            if date_row.end_at is not None
            else None,
            bool(date_row.cancelled),
            date_row.cancel_reason if date_row.cancelled else "",
            _has(ruled, original),
        )


def _ruled(row: Any, start: Moment | None, end: Moment | None, zone: str) -> Edition | None:
    """The series by its rule alone; None without one."""
    if not row.rrule or start is None:
        return None
    kind = Kind(row.kind)
    return Edition(
        uid="",
        kind=kind,
        title="",
        start=start,
        end=kinds.end(start, end, BUILT_IN.length(kind)),
        timezone=zone,
        organizer="",
        all_day=bool(row.all_day),
        recurrence=Recurrence(row.rrule),
    )


def _has(series: Edition | None, original: Moment) -> bool:
    try:
        return series is not None and recurrence.is_instance(series, original)
    except InputError:  # a rule that nobody can read: `fault` and the notes of the rows say so
        return True


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known of some participants beside their own rows, each by their number; dates by
    follow-up.
    """

    facts: Mapping[int, Any]
    dates: Mapping[str, Mapping[Moment, bool]]
    letters: Mapping[int, Invitation]
    handed: Mapping[int, datetime]
    asked: Mapping[int, datetime]
    seen: Mapping[int, datetime]
    words: Mapping[int, Sequence[shapes.Words]]
    proposals: Mapping[int, shapes.Proposal]
    held: Mapping[int, Sequence[shapes.Held]]


def rows_of(connection: Connection, numbers: Sequence[int], zone: str) -> list[shapes.Participant]:
    """Participants by their numbers, in that order, those that are there. `zone`: the site's."""
    views: dict[int, shapes.Participant] = {}
    for part in chunks.parts(numbers):
        members = followups.members(connection, ids=part)
        around = _around(connection, part, {member.follow_up for member in members})
        views |= {member.id: _participant(member, around, zone) for member in members}
    return [views[number] for number in numbers if number in views]


def _around(connection: Connection, part: Sequence[int], keys: Collection[str]) -> _Around:
    letters = invitations.deliveries(connection, part)
    seen, words = _said(connection, part)
    return _Around(
        _facts(connection, part),
        timing.changed(connection, keys),
        letters,
        _handed(connection, [letter.id for letter in letters.values()]),
        _asked(connection, part),
        seen,
        words,
        _proposals(connection, part),
        _held(connection, part),
    )


def _facts(connection: Connection, part: Sequence[int]) -> dict[int, Any]:
    query = (
        sa.select(
            participant.c.id,
            participant.c.name,
            participant.c.priority,
            participant.c.alarm_minutes,
            follow_up.c.cancelled,
            follow_up.c.timezone,
        )
        .join(follow_up, follow_up.c.key == participant.c.follow_up)
        .where(participant.c.id.in_(part))
    )
    return {row.id: row for row in connection.execute(query)}


def _handed(connection: Connection, numbers: Sequence[int]) -> dict[int, datetime]:
    """When the last letter of each invitation came to its end."""
    query = (
        sa.select(outbox.c.invitation, sa.func.max(outbox.c.settled_at).label("at"))
        .where(outbox.c.invitation.in_(numbers), outbox.c.settled_at.is_not(None))
        .group_by(outbox.c.invitation)
    )
    return {row.invitation: row.at for row in connection.execute(query)}


def _asked(connection: Connection, part: Sequence[int]) -> dict[int, datetime]:
    """When each row was last asked for an answer, to all of it or to one of the dates that are
    invitations by themselves: its newest REQUEST that left.
    """
    letter = outbox.c
    asked = (
        letter.participant.in_(part),
        letter.method == "REQUEST",
        letter.state == "sent",
        invitation.c.counts,
    )
    query = (
        sa.select(letter.participant, sa.func.max(letter.settled_at).label("at"))
        .join(invitation, invitation.c.id == letter.invitation)
        .where(*asked)
        .group_by(letter.participant)
    )
    return {row.participant: row.at for row in connection.execute(query)}


def _said(
    connection: Connection, part: Sequence[int]
) -> tuple[dict[int, datetime], dict[int, list[shapes.Words]]]:
    """From the journal: when each row was seen last, and what was written for it. What a row's
    former holder did is not theirs.
    """
    entry = journal.c
    query = (
        sa.select(entry.participant, entry.event, entry.at, entry.detail)
        .where(entry.participant.in_(part), entry.event.in_((SEEN, WROTE)), entry.who == "")
        .order_by(entry.id)
    )
    seen, words = dict[int, datetime](), dict[int, list[shapes.Words]]()
    for row in connection.execute(query):
        if row.event == SEEN:
            seen[row.participant] = row.at
        elif row.detail:
            written = shapes.Words(row.at, row.detail, quoting.suggestion(row.detail))
            words.setdefault(row.participant, []).append(written)
    return seen, words


def _proposals(connection: Connection, part: Sequence[int]) -> dict[int, shapes.Proposal]:
    """The newest open one of each row."""
    query = (
        sa.select(proposal)
        .where(proposal.c.participant.in_(part), proposal.c.state == ProposalState.OPEN)
        .order_by(proposal.c.id)
    )
    proposals: dict[int, shapes.Proposal] = {}
    for row in connection.execute(query):
        start = codec.parse_moment(row.proposed_start)
        if start is not None:
            proposals[row.participant] = shapes.Proposal(
                row.id,
                start,
                codec.parse_moment(row.proposed_end),
                row.comment,
                row.location,
                codec.parse_moment(row.instance),
                row.address,
            )
    return proposals


def _held(connection: Connection, part: Sequence[int]) -> dict[int, list[shapes.Held]]:
    """Messages about each row that wait for a person, the oldest first."""
    message = inbox.c
    query = (
        sa.select(
            message.id,
            message.participant,
            message.arrived_at,
            message.from_address,
            message.outcome,
            message.reason,
        )
        .where(
            message.participant.in_(part), message.raw.is_not(None), message.outcome.is_not(None)
        )
        .order_by(message.id)
    )
    held: dict[int, list[shapes.Held]] = {}
    for row in connection.execute(query):
        waiting = shapes.Held(row.id, row.arrived_at, row.from_address, row.outcome, row.reason)
        held.setdefault(row.participant, []).append(waiting)
    return held


def _participant(member: Member, around: _Around, site: str) -> shapes.Participant:
    facts, dates = around.facts[member.id], around.dates.get(member.follow_up, {})
    letter = around.letters.get(member.id)
    series = member.stands(bool(facts.cancelled), dates)
    facts_of_row = _of_invitee(member) | _of_row(member, facts) | _of_answer(series)
    facts_of_row |= _of_news(member, series, around) | _of_letter(member, letter, around)
    return shapes.Participant(
        code=status.code(member.role, series),
        zone=facts.timezone or site,
        instances=tuple(_instances(member, bool(facts.cancelled), dates)),
        **facts_of_row,
    )


def _of_invitee(member: Member) -> dict[str, Any]:
    return {
        "invitee": member.who.partition(":")[0],
        "key": member.key,
        "role": member.role,
        "shown_name": member.name,
        "address": member.address or next(iter(member.addresses), ""),
    }


def _of_row(member: Member, facts: Any) -> dict[str, Any]:
    return {
        "id": member.id,
        "follow_up": member.follow_up,
        "name": facts.name,
        "date": member.date,
        "email_invite": member.email_invite,
        "removed": member.removed,
        "priority": facts.priority,
        "alarm_minutes": _number(facts.alarm_minutes),
        "conflict": member.conflict,
        "suspended": member.suspended,
    }


def _of_answer(series: Standing) -> dict[str, Any]:
    return {
        "reply": series.reply,
        "progress": series.progress,
        "comment": series.comment,
        "replied_at": series.replied_at,
        "channel": series.channel,
        "answered_by": series.address,
    }


def _of_news(member: Member, series: Standing, around: _Around) -> dict[str, Any]:
    return {
        "seen_at": around.seen.get(member.id) if series.seen else None,
        "proposal": around.proposals.get(member.id),
        "words": tuple(around.words.get(member.id, ())),
        "held": tuple(around.held.get(member.id, ())),
    }


def _of_letter(member: Member, letter: Invitation | None, around: _Around) -> dict[str, Any]:
    if letter is None:
        return {"delivery_reason": member.shown_note}
    return {
        "delivery": letter.delivery,
        "delivery_reason": limits.shown(member.shown_note, letter.delivery_text),
        "delivery_at": around.handed.get(letter.id),
        "asked_at": around.asked.get(member.id),
    }


def _instances(
    member: Member, cancelled: bool, dates: Mapping[Moment, bool]
) -> Iterable[shapes.DateAnswer]:
    for moment, standing in member.stands_by_date(cancelled, dates):
        yield shapes.DateAnswer(
            moment,
            status.code(member.role, standing),
            standing.reply,
            standing.comment,
            standing.replied_at,
        )
