"""What answers look like, for the document that describes the API (`/api/openapi.json`): what
`load` takes, and what is read-only beside it. `gateway.shapes` makes them; a test holds both
together.
"""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from gateway.actions import load_format


class Shape(BaseModel):
    """Of an answer."""


class ProposalShape(Shape):
    """Another time that an invitee asked for."""

    id: int
    start: str
    end: str | None
    comment: str
    location: str
    instance: str | None
    address: str
    state: str


class WordsShape(Shape):
    """What an invitee wrote. `suggestion`: what it seems to say, which nobody has applied."""

    at: str
    text: str
    suggestion: str | None


class HeldShape(Shape):
    """A message that is held for a person. `message`: its number for `review`."""

    message: int
    at: str
    address: str
    outcome: str
    reason: str


class DateShape(Shape):
    """One date of a series with an answer or a change of its own."""

    instance: str
    code: int
    status: str
    reply: str
    comment: str
    replied_at: str | None


class ParticipantShape(load_format.Participant):
    """A participant, as `load` takes it, and what is known of it."""

    id: int
    follow_up: str
    key: str
    shown_name: str
    address: str
    role: str
    code: int
    status: str
    reply: str
    comment: str
    replied_at: str | None
    channel: str | None
    answered_by: str
    conflict: bool
    suspended: str
    delivery: str
    delivery_reason: str
    delivery_at: str | None
    asked_at: str | None
    seen_at: str | None
    proposal: ProposalShape | None
    words: list[WordsShape]
    held: list[HeldShape]
    instances: list[DateShape]


class FollowUpShape(load_format.FollowUp):
    """A follow-up, as `load` takes it, and what is known of it."""

    participants: list[ParticipantShape] = Field([])  # type: ignore[assignment]
    version: str
    reject_count: int
    conflict: bool
    first_available: str | None
    fault: str
    created_at: str
    created_by: str
    changed_at: str | None
    changed_by: str


class DeliveredShape(Shape):
    """A participant, of whom only this is told."""

    id: int
    delivery: str
    delivery_at: str | None


class OutlineShape(Shape):
    """What administrators see of a private follow-up: key, times and delivery."""

    key: str
    private: Literal[True]
    start: str | None
    end: str | None
    all_day: bool
    timezone: str
    deadline: str | None
    answer_by: str | None
    created_at: str
    changed_at: str | None
    participants: list[DeliveredShape]


class AttemptShape(Shape):
    """One try to hand a letter over, with the server's words."""

    at: str
    verdict: str
    step: str
    code: int | None
    enhanced: str
    text: str
    host: str


class LetterShape(Shape):
    """A letter that left or waits. `participant`: the row's number; `key`: who it stands for."""

    id: int
    follow_up: str
    participant: int
    key: str
    to: str
    language: str
    method: str
    instance: str | None
    subject: str | None
    sequence: int
    state: str
    note: str
    tries: int
    created_at: str | None
    due_at: str | None
    settled_at: str | None
    attempts: list[AttemptShape]


class EntryShape(Shape):
    """An entry of the journal. `key`: whose row it is, or was then."""

    id: int
    at: str
    event: str
    follow_up: str | None
    participant: int | None
    key: str
    instance: str | None
    before: str
    after: str
    by: str
    channel: str | None
    letter: int | None
    message: int | None
    detail: str
    decision: int | None


class ChangeShape(EntryShape):
    """An entry with the row as it is now, or the follow-up where it is about no row; None where
    that is gone.
    """

    now: dict[str, Any] | None


class InvitationShape(Shape):
    """What somebody is asked, or with `response` who declined what they had asked: then it says
    who, and what could be done next. `instance`: the date of a series that it is about; `begins`:
    what lists are in the order of.
    """

    participant: int
    follow_up: str
    kind: str
    title: str
    location: str
    owner: str | None
    assigned_by: str | None
    all_day: bool
    series: bool
    instance: str | None
    start: str | None
    end: str | None
    deadline: str | None
    begins: str | None
    response: bool
    role: str
    code: int
    status: str
    conflict: bool | None = None
    key: str | None = None
    name: str | None = None
    comment: str | None = None
    replied_at: str | None = None
    next: Literal["assign", "reschedule"] | None = None


class ActivityShape(FollowUpShape):
    """A follow-up without its participants. `overdue`: it is past its deadline and not done."""

    overdue: bool


@cache
def page_of(shape: type[BaseModel]) -> type[BaseModel]:
    """A page of a list; `next`: the cursor of the next page."""
    name = f"{shape.__name__.removesuffix('Shape')}Page"
    items: Any = list[shape]  # type: ignore[valid-type]
    return create_model(name, __base__=Shape, items=(items, ...), next=(str | None, ...))


class Changes(Shape):
    """`after`: where to go on; `newest`: how far the journal has come."""

    items: list[ChangeShape]
    after: int
    newest: int
