"""What waits for a person: which kinds of decisions there are, what can be chosen, for whom each
is, and what ends it without anybody's choice (domain.md §9).

Pure. A decision is open as long as its cause stands, and nobody has chosen. What stands is read
from the record (`store.waiting`) and compared here with what is open: so it comes right for
every writer of the record, and however often it is looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.model import Access, Actor, Moment, Reply


class DecisionKind(StrEnum):
    """Of what a decision is."""

    PROPOSAL = "proposal"
    """The invitee asks for another time."""
    SAME_PERSON = "same_person"
    """An answer is held, because another person's address gave it."""
    PARTY_CRASHER = "party_crasher"
    """Somebody answered who is not invited."""
    WORDS = "words"
    """The invitee wrote to the owner."""
    DECLINED = "declined"
    ASSIGNMENT_DECLINED = "assignment_declined"
    UNDELIVERABLE = "undeliverable"
    """The invitation does not arrive."""
    BRAKE = "brake"
    """Letters are held, because too much changed at once (domain.md §10)."""
    WEBHOOK = "webhook"
    """A webhook was given up."""


class Choice(StrEnum):
    """With what a person closes a decision."""

    MOVE = "move"
    KEEP = "keep"
    SAME = "same"
    OTHER = "other"
    ADD = "add"
    REFUSE = "refuse"
    RECORD = "record"
    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    RESCHEDULE = "reschedule"
    ASSIGN = "assign"
    CORRECT = "correct"
    REMOVE = "remove"
    RELEASE = "release"
    PUT_BACK = "put_back"
    DROP = "drop"
    ON = "on"
    OFF = "off"


class Ending(StrEnum):
    """What closes a decision without a choice."""

    ANSWERED = "answered"
    """The invitee has said something else since."""
    REMOVED = "removed"
    """The invitee no longer takes part, or the row is another person's."""
    CANCELLED = "cancelled"
    """The follow-up is cancelled, completed, or gone."""
    OVER = "over"
    """It is over since yesterday."""
    MOVED = "moved"
    """The follow-up takes place at another time: everybody is asked again."""
    SETTLED = "settled"
    """The message, the proposal or the letters were dealt with by another way."""
    JOINED = "joined"
    """Who answered is a participant by now."""
    CORRECTED = "corrected"
    """The invitee has another address."""
    ARRIVED = "arrived"
    """A later letter was taken."""


CHOICES: Mapping[DecisionKind, tuple[Choice, ...]] = {
    DecisionKind.PROPOSAL: (Choice.MOVE, Choice.KEEP),
    DecisionKind.SAME_PERSON: (Choice.SAME, Choice.OTHER),
    DecisionKind.PARTY_CRASHER: (Choice.ADD, Choice.REFUSE),
    DecisionKind.WORDS: (Choice.RECORD, Choice.READ),
    DecisionKind.DECLINED: (Choice.ACKNOWLEDGE, Choice.RESCHEDULE),
    DecisionKind.ASSIGNMENT_DECLINED: (Choice.ASSIGN, Choice.KEEP),
    DecisionKind.UNDELIVERABLE: (Choice.CORRECT, Choice.REMOVE),
    DecisionKind.BRAKE: (Choice.RELEASE, Choice.PUT_BACK, Choice.DROP),
    DecisionKind.WEBHOOK: (Choice.ON, Choice.OFF),
}
"""What can be chosen, the first one in front."""

_GONE = frozenset({Ending.REMOVED, Ending.CANCELLED, Ending.OVER})
ENDINGS: Mapping[DecisionKind, frozenset[Ending]] = {
    DecisionKind.PROPOSAL: _GONE | {Ending.MOVED, Ending.SETTLED},
    DecisionKind.SAME_PERSON: _GONE | {Ending.ANSWERED, Ending.SETTLED},
    DecisionKind.PARTY_CRASHER: frozenset(
        {Ending.CANCELLED, Ending.OVER, Ending.SETTLED, Ending.JOINED}
    ),
    DecisionKind.WORDS: _GONE | {Ending.ANSWERED, Ending.MOVED},
    DecisionKind.DECLINED: _GONE | {Ending.ANSWERED, Ending.MOVED},
    DecisionKind.ASSIGNMENT_DECLINED: frozenset(
        {Ending.REMOVED, Ending.CANCELLED, Ending.ANSWERED, Ending.MOVED}
    ),
    DecisionKind.UNDELIVERABLE: _GONE | {Ending.CORRECTED, Ending.ARRIVED},
    DecisionKind.BRAKE: frozenset({Ending.SETTLED}),
    DecisionKind.WEBHOOK: frozenset({Ending.SETTLED}),
}
"""What ends each without a choice. An assignment that was declined waits also when its time is
over: nobody has done it.
"""

RECORDED = frozenset({Reply.ACCEPTED.value, Reply.DECLINED.value, Reply.TENTATIVE.value})
"""What words may seem to say that can be set for the invitee."""
OF_ADMINISTRATORS = frozenset({DecisionKind.BRAKE, DecisionKind.WEBHOOK})
ADMINISTRATORS = ""
"""For whom a decision is that is no associate's: of these kinds, and of follow-ups that nobody
owns.
"""


def of_proposal(number: int) -> str:
    """What a decision on this proposal is about."""
    return f"proposal {number}"


def of_message(number: int) -> str:
    """What a decision on this message is about."""
    return f"message {number}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a decision is to be open. `about`: by what the same one is known again; `associate`: for
    whom it is; `detail`: what it says, as the shape shows it.
    """

    kind: DecisionKind
    about: str
    follow_up: str | None = None
    participant: int | None = None
    instance: Moment | None = None
    associate: str = ADMINISTRATORS
    message: int | None = None
    proposal: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What waits, or waited. `closed_by` and `choice` are "" where it closed by itself."""

    id: int
    cause: Cause
    opened_at: datetime
    closed_at: datetime | None = None
    closed_by: str = ""
    choice: str = ""

    @property
    def kind(self) -> DecisionKind:
        return self.cause.kind

    @property
    def is_administrators(self) -> bool:
        """Whether none but administrators see it."""
        return self.kind in OF_ADMINISTRATORS

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What can be chosen here. Words that seem to answer nothing can but be read."""
        suggestion = self.cause.detail.get("suggestion")
        if self.kind is DecisionKind.WORDS and suggestion not in RECORDED:
            return (Choice.READ,)
        return CHOICES[self.kind]


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be done so that what is open is what stands. `moved`: open ones that are for
    another associate now.
    """

    ended: tuple[Decision, ...] = ()
    begun: tuple[Cause, ...] = ()
    moved: tuple[tuple[Decision, str], ...] = ()


def difference(waiting: Iterable[Decision], standing: Iterable[Cause]) -> Difference:
    """Compare what is open with the causes that stand."""
    causes = {(cause.kind, cause.about): cause for cause in standing}
    ended = list[Decision]()
    moved = list[tuple[Decision, str]]()
    for decision in waiting:
        cause = causes.pop((decision.kind, decision.cause.about), None)
        if cause is None:
            ended.append(decision)
        elif cause.associate != decision.cause.associate:
            moved.append((decision, cause.associate))
    return Difference(tuple(ended), tuple(causes.values()), tuple(moved))


def visible(actor: Actor, kind: DecisionKind, associate: str) -> bool:
    """Whether an actor sees a decision, and so may take it. The CRM's own connection sees what is
    of the domain, an administrator what is nobody's, everybody else what is theirs.
    """
    if actor.is_whole_crm:
        return kind not in OF_ADMINISTRATORS
    if associate == ADMINISTRATORS:
        return actor.access is Access.ADMIN
    return actor.access in (Access.USER, Access.CRM, Access.ADMIN) and actor.associate == associate
