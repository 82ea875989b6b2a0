"""One JSON for each noun, wherever it is shown: API, events, webhooks and `--json` (docs/api.md).

Views come in, made by `store.reading`; dicts of plain JSON values go out. Pure. A follow-up and its
participants are in the dialect that `load` takes, so that what GET answers may be PUT; what is
shown beside that is read-only, and `writable` drops it. Instants are RFC 3339 with the offset that
the follow-up's zone has then; days are plain dates.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import Enum
from typing import Any

from gateway.ical import zones
from gateway.model import (
    Channel,
    Delivery,
    Kind,
    LetterState,
    Moment,
    Progress,
    ProposalState,
    Reply,
    Role,
)
from gateway.status import Status

Json = dict[str, Any]

FOLLOW_UP_READ_ONLY = frozenset(
    {
        "version",
        "reject_count",
        "conflict",
        "first_available",
        "fault",
        "created_at",
        "created_by",
        "changed_at",
        "changed_by",
    }
)
"""What a follow-up shows and no writer says. `uid` and `sequence` are said by a writer who brings a
follow-up from an earlier system; of a follow-up that has them already they may be said again.
"""
PARTICIPANT_READ_ONLY = frozenset(
    {
        "id",
        "follow_up",
        "key",
        "shown_name",
        "address",
        "role",
        "code",
        "status",
        "reply",
        "comment",
        "replied_at",
        "channel",
        "answered_by",
        "conflict",
        "suspended",
        "delivery",
        "delivery_reason",
        "delivery_at",
        "asked_at",
        "seen_at",
        "proposal",
        "words",
        "held",
        "instances",
    }
)


@dataclass(frozen=True, slots=True)
class DateAnswer:
    """One date of a series with an answer or a change of its own."""

    instance: Moment
    code: Status
    reply: Reply
    comment: str = ""
    replied_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another time that an invitee asked for. `end` None keeps the duration; `location` "" the
    place.
    """

    id: int
    start: Moment
    end: Moment | None
    comment: str = ""
    location: str = ""
    instance: Moment | None = None
    address: str = ""
    state: ProposalState = ProposalState.OPEN


@dataclass(frozen=True, slots=True)
class Words:
    """What an invitee wrote; `suggestion`: what it seems to say, which nobody has applied."""

    at: datetime
    text: str
    suggestion: Reply | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A message that is held for a person. `message`: its number for `review`."""

    message: int
    at: datetime
    address: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Participant:
    """One row as it is shown. `invitee`: which of person, associate, resource and email it is;
    `key`: who. `name`: what the row itself says, "" mostly; `shown_name`: also their card's.

    `address`: where mail goes, or would go. `answered_by`: from which address the answer came.
    `delivery_reason`: why nothing leaves, or what the server said. `zone`: that of the follow-up.
    """

    id: int
    follow_up: str
    invitee: str
    key: str
    role: Role
    code: Status
    reply: Reply
    zone: str
    name: str = ""
    shown_name: str = ""
    address: str = ""
    date: Moment | None = None
    email_invite: bool = False
    removed: bool = False
    priority: str = ""
    alarm_minutes: int | None = None
    progress: Progress = Progress.NOT_STARTED
    comment: str = ""
    replied_at: datetime | None = None
    channel: Channel | None = None
    answered_by: str = ""
    conflict: bool = False
    suspended: str = ""
    delivery: Delivery = Delivery.NONE
    delivery_reason: str = ""
    delivery_at: datetime | None = None
    asked_at: datetime | None = None
    seen_at: datetime | None = None
    proposal: Proposal | None = None
    words: tuple[Words, ...] = ()
    held: tuple[Held, ...] = ()
    instances: tuple[DateAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class DateRecord:
    """What is said of one date of a series. `ruled`: the rule has it, too."""

    original: Moment
    start: Moment | None = None
    end: Moment | None = None
    cancelled: bool = False
    cancel_reason: str = ""
    ruled: bool = True


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A follow-up as its record says, and what the gateway knows of it. `timezone`: as it was
    said, "" for the site's; `zone`: the one that counts. `fault`: what of it cannot be read.

    `reject_count`: how many have declined; `conflict`: somebody or something of the house is
    occupied then, and `first_available` is when all of them are not. `participants`: None where
    they are not asked for.
    """

    key: str
    kind: Kind
    zone: str
    created_at: datetime
    type: str = ""
    owner: str | None = None
    assigned_by: str | None = None
    title: str = ""
    agenda: str = ""
    notes: str = ""
    location: str = ""
    video_url: str = ""
    start: Moment | None = None
    end: Moment | None = None
    deadline: datetime | None = None
    answer_by: datetime | None = None
    all_day: bool = False
    timezone: str = ""
    rrule: str = ""
    dates: tuple[DateRecord, ...] = ()
    guest_list: str = "auto"
    cancelled: bool = False
    cancel_reason: str = ""
    company: str | None = None
    person: str | None = None
    project: str | None = None
    sale: str = ""
    availability: str = "busy"
    alarm_minutes: int | None = None
    priority: str = ""
    completed: bool = False
    private: bool = False
    fields: Mapping[str, Any] | None = None
    uid: str | None = None
    sequence: int = 0
    reject_count: int = 0
    conflict: bool = False
    first_available: datetime | None = None
    created_by: str = ""
    changed_at: datetime | None = None
    changed_by: str = ""
    fault: str = ""
    participants: tuple[Participant, ...] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to hand a letter over, with the server's words."""

    at: datetime
    verdict: str
    step: str
    code: int | None
    enhanced: str
    text: str
    host: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter as it reads."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of the outbox, or one that would be owed. `participant`: the row's number, `key`:
    who it stands for. `mail`: None where nobody asked how it reads; `fault`: why it cannot be
    written.
    """

    id: int
    follow_up: str
    participant: int
    key: str
    to: str
    language: str
    method: str
    sequence: int
    instance: Moment | None
    state: LetterState
    note: str = ""
    tries: int = 0
    created_at: datetime | None = None
    due_at: datetime | None = None
    settled_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    mail: Mail | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the journal. `key`: whose row it is, or was then."""

    id: int
    at: datetime
    event: str
    follow_up: str | None = None
    participant: int | None = None
    key: str = ""
    instance: Moment | None = None
    before: str = ""
    after: str = ""
    by: str = ""
    channel: Channel | None = None
    letter: int | None = None
    message: int | None = None
    detail: str = ""
    decision: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What waits for a person, or waited."""

    id: int
    kind: str
    opened_at: datetime
    follow_up: str | None = None
    participant: int | None = None
    instance: Moment | None = None
    associate: str = ""
    subject: str = ""
    detail: Mapping[str, Any] | None = None
    message: int | None = None
    proposal: int | None = None
    choices: tuple[str, ...] = ()
    closed_at: datetime | None = None
    closed_by: str = ""
    choice: str = ""


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One date with an answer or a change of its own; `instance` is its original start, RFC 3339 in
    UTC or a plain date.
    """

    instance: str
    status: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One participant as `status` prints it. `address`: where mail goes, or would go; `suspended`:
    why a switch that is on has no effect; `note`: why no mail goes.

    `original_start`: the one date that they are invited to, RFC 3339 in UTC or a plain date; None:
    all of it.
    """

    follow_up: str
    key: str
    name: str
    address: str
    email_invite: bool
    code: int
    status: str
    reply: Reply
    comment: str
    delivery: Delivery
    conflict: bool
    instances: tuple[InstanceRow, ...]
    note: str = ""
    suspended: str = ""
    original_start: str | None = None


def moment(value: Moment | None, zone: str = "UTC") -> str | None:
    """RFC 3339 with the offset of the zone, or the plain date. Offsets that RFC 3339 cannot say
    (Amsterdam, until 1937) are left for UTC.
    """
    if not isinstance(value, datetime):
        return None if value is None else value.isoformat()
    local = value.astimezone(zones.zone(zone))
    offset = local.utcoffset()
    if offset is None or offset.seconds % 60:
        local = value.astimezone(UTC)
    return local.isoformat(timespec="seconds")


def utc(value: Moment | None) -> str | None:
    """RFC 3339 in UTC, or the plain date: how journal and command line say it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return None if value is None else value.isoformat()


KNOWN = ("reject_count", "conflict", "fault", "created_by", "changed_by")


def follow_up(view: FollowUp) -> Json:
    """In the `load` dialect, with what is read-only."""
    shape = _record(view) | _plain(view, KNOWN)
    shape |= _times(view, ("first_available", "created_at", "changed_at"), view.zone)
    if view.participants is not None:
        shape["participants"] = [participant(row) for row in view.participants]
    return shape | {"version": version(shape)}


OUTLINE = ("key", "private", "all_day", "timezone")
OUTLINE_TIMES = ("start", "end", "answer_by", "created_at", "changed_at")


def outline(view: FollowUp) -> Json:
    """Key, times and delivery: what administrators see of a private one. Why a letter did not
    arrive is not among it: servers like to name the recipient.
    """
    shape = _plain(view, OUTLINE) | _times(view, OUTLINE_TIMES, view.zone)
    shape["deadline"] = _deadline(view.deadline, view.zone)
    shape["participants"] = [
        _plain(row, ("id", "delivery")) | _times(row, ("delivery_at",), view.zone)
        for row in view.participants or ()
    ]
    return shape


def version(shape: Mapping[str, Any]) -> str:
    """The name of just this representation: another value anywhere makes another one."""
    text = json.dumps(shape, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


FOLLOW_UP = (
    "key",
    "kind",
    "type",
    "owner",
    "assigned_by",
    "title",
    "agenda",
    "notes",
    "location",
    "video_url",
    "all_day",
    "timezone",
    "guest_list",
    "cancelled",
    "cancel_reason",
    "company",
    "person",
    "project",
    "sale",
    "availability",
    "alarm_minutes",
    "priority",
    "completed",
    "private",
    "uid",
    "sequence",
)
"""What is shown of a follow-up as it is; the same of the other nouns below."""


def _plain(view: Any, names: Sequence[str]) -> Json:
    """These values as JSON has them: of an enumeration the value alone."""
    values = {name: getattr(view, name) for name in names}
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in values.items()
    }


def _times(view: Any, names: Sequence[str], zone: str) -> Json:
    return {name: moment(getattr(view, name), zone) for name in names}


def _record(view: FollowUp) -> Json:
    zone = view.zone
    shape = _plain(view, FOLLOW_UP) | _times(view, ("start", "end", "answer_by"), zone)
    shape["deadline"] = _deadline(view.deadline, zone)
    shape["recurrence"] = _recurrence(view)
    shape["instances"] = [_instance(date, zone) for date in view.dates if _has_own(date)]
    shape["fields"] = dict(view.fields or {})
    return shape


def _deadline(value: datetime | None, zone: str) -> str | None:
    """A day is kept as its midnight where the follow-up takes place, and shown as that day."""
    if value is None:
        return None
    local = value.astimezone(zones.zone(zone))
    return local.date().isoformat() if local.time() == time() else moment(value, zone)


def _recurrence(view: FollowUp) -> Json | None:
    """Dates beside the rule, and dates of it that do not take place; None for what takes place
    once.
    """
    if not view.rrule and not view.dates:
        return None
    return {
        "rrule": view.rrule,
        "exdates": [moment(date.original, view.zone) for date in view.dates if _is_excluded(date)],
        "rdates": [moment(date.original, view.zone) for date in view.dates if not date.ruled],
    }


def _is_excluded(date: DateRecord) -> bool:
    return date.ruled and date.cancelled and not date.cancel_reason


def _has_own(date: DateRecord) -> bool:
    """Whether more is to be said of a date than that it is there, or is not."""
    if date.cancelled:
        return not _is_excluded(date)
    return date.start is not None or date.end is not None


def _instance(date: DateRecord, zone: str) -> Json:
    original = {"original_start": moment(date.original, zone)}
    if date.cancelled:
        return original | {"cancelled": True, "cancel_reason": date.cancel_reason}
    return original | {"start": moment(date.start, zone), "end": moment(date.end, zone)}


ROW = ("name", "email_invite", "removed", "priority", "alarm_minutes", "progress")
OF_ROW = ("id", "follow_up", "key", "shown_name", "address", "role")
ANSWER = ("code", "reply", "comment", "channel", "answered_by")
DELIVERY = ("conflict", "suspended", "delivery", "delivery_reason")


def participant(view: Participant) -> Json:
    """In the `load` dialect, with what is read-only."""
    zone = view.zone
    shape: Json = {view.invitee: view.key}
    shape |= _plain(view, ROW)
    shape["original_start"] = moment(view.date, zone)
    shape |= _plain(view, OF_ROW)
    shape |= _plain(view, ANSWER)
    shape["status"] = view.code.word
    shape |= _plain(view, DELIVERY)
    shape |= _times(view, ("replied_at", "delivery_at", "asked_at", "seen_at"), zone)
    shape["proposal"] = proposal(view.proposal, zone)
    shape["words"] = [_words(line, zone) for line in view.words]
    shape["held"] = [_held(answer, zone) for answer in view.held]
    shape["instances"] = [_date_answer(answer, zone) for answer in view.instances]
    return shape


SWITCH = ("follow_up", "key", "name", "address", "email_invite")
STATUS = ("code", "status", "reply", "comment", "delivery", "conflict")
BESIDE = ("note", "suspended", "original_start")


def status(view: StatusRow) -> Json:
    """By the names that contract.md §2 fixes: `name` is what `participant` has as `shown_name`,
    instants are in UTC.
    """
    dates = [_plain(answer, ("instance", "status", "reply")) for answer in view.instances]
    shape = {**_plain(view, (*SWITCH, *STATUS)), "instances": dates}
    return shape | _plain(view, BESIDE)


def proposal(view: Proposal | None, zone: str) -> Json | None:
    """Another time that an invitee asked for."""
    if view is None:
        return None
    shape = _plain(view, ("id", "comment", "location", "address", "state"))
    return shape | _times(view, ("start", "end", "instance"), zone)


def _words(line: Words, zone: str) -> Json:
    suggestion = line.suggestion.value if line.suggestion else None
    return {"at": moment(line.at, zone), "text": line.text, "suggestion": suggestion}


def _held(answer: Held, zone: str) -> Json:
    shape = _plain(answer, ("message", "address", "outcome", "reason"))
    return shape | {"at": moment(answer.at, zone)}


def _date_answer(answer: DateAnswer, zone: str) -> Json:
    shape = _plain(answer, ("code", "reply", "comment")) | {"status": answer.code.word}
    return shape | _times(answer, ("instance", "replied_at"), zone)


LETTER = ("participant", "key", "to", "language", "method")
STAND = ("sequence", "state", "note", "tries")


def letter(view: Letter, *, bodies: bool = False) -> Json:
    """A letter that left or waits. `bodies`: with its text and HTML."""
    shape = {"id": view.id, **owed_letter(view, bodies=bodies), **_plain(view, STAND)}
    shape |= {name: utc(getattr(view, name)) for name in ("created_at", "due_at", "settled_at")}
    return shape | {"attempts": [_attempt(attempt) for attempt in view.attempts]}


def owed_letter(view: Letter, *, bodies: bool = False) -> Json:
    """A letter that would leave: as a dry run lists it, without what it has not got yet."""
    shape = {"follow_up": view.follow_up, **_plain(view, LETTER), "instance": utc(view.instance)}
    shape["subject"] = view.mail.subject if view.mail else None
    if view.fault:
        shape["fault"] = view.fault
    if bodies:
        shape["text"] = view.mail.text if view.mail else None
        shape["html"] = view.mail.html if view.mail else None
    return shape


def _attempt(attempt: Attempt) -> Json:
    shape = _plain(attempt, ("verdict", "step", "code", "enhanced", "text", "host"))
    return {"at": utc(attempt.at), **shape}


ENTRY = ("id", "event", "follow_up", "participant", "key", "before", "after", "by", "channel")
CAUSE = ("letter", "message", "detail", "decision")


def entry(view: Entry) -> Json:
    """An entry of the journal. Its number is the one sequence of events, changes and webhooks."""
    shape = _plain(view, ENTRY) | _plain(view, CAUSE)
    return shape | {"at": utc(view.at), "instance": utc(view.instance)}


DECISION = ("id", "kind", "follow_up", "participant", "associate", "subject")
CLOSED = ("message", "proposal", "closed_by", "choice")


def decision(view: Decision) -> Json:
    """What waits for a person."""
    shape = _plain(view, DECISION) | _plain(view, CLOSED)
    shape |= {name: utc(getattr(view, name)) for name in ("instance", "opened_at", "closed_at")}
    shape["detail"] = dict(view.detail or {})
    shape["choices"] = list(view.choices)
    return shape


def writable(document: Mapping[str, Any]) -> Json:
    """A follow-up without what only we say, as `load` takes it: what was shown may be written
    back.
    """
    fields = {name: value for name, value in document.items() if name not in FOLLOW_UP_READ_ONLY}
    rows = fields.get("participants")
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        fields["participants"] = [writable_participant(row) for row in rows]
    return fields


def writable_participant(document: Any) -> Any:
    """The same of one row. What is no object is left for `load` to complain about."""
    if not isinstance(document, Mapping):
        return document
    return {name: value for name, value in document.items() if name not in PARTICIPANT_READ_ONLY}
