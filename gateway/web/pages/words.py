"""What a reader sees in the place of codes: words, a tone and an icon for how a row stands.

No meaning hangs on a colour or an icon alone (WCAG 1.4.1): each has its word. The owner has no
green tick, and an eye does not mean "maybe" (page.md §2). Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.i18n import marked
from gateway.model import Delivery, Kind, ProposalState, Reply, Role
from gateway.shapes import DateAnswer, Participant
from gateway.status import Status


class Tone(StrEnum):
    """How a row stands, as a class of the style sheet."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"
    WAITS = "waits"
    LOST = "lost"
    NEW_TIME = "newtime"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Standing:
    """`word` is a key of the catalogue; `icon` the name of a symbol."""

    word: str
    tone: Tone
    icon: str


OWNER = Standing(marked("Owner"), Tone.HOUSE, "user")
BOOKED = Standing(marked("Booked"), Tone.YES, "check")
COMES = Standing(marked("Comes"), Tone.YES, "check")
STARTED = Standing(marked("Comes, started"), Tone.YES, "check")
DONE_ROW = Standing(marked("Comes, done"), Tone.YES, "check")
MAYBE = Standing(marked("Maybe"), Tone.MAYBE, "question")
DECLINES = Standing(marked("Does not come"), Tone.NO, "x")
PASSED_ON = Standing(marked("Passed it on"), Tone.NO, "arrow-bend-up-right")
CANCELLED = Standing(marked("Cancelled"), Tone.NO, "prohibit")
SILENT = Standing(marked("Not answered"), Tone.WAITS, "circle-dashed")
SEEN = Standing(marked("Seen, not answered"), Tone.WAITS, "eye")
ASKED_AGAIN = Standing(marked("Asked again"), Tone.WAITS, "repeat")
NOT_REACHED = Standing(marked("Not reached"), Tone.LOST, "warning-circle")
NEW_TIME = Standing(marked("Wants another time"), Tone.NEW_TIME, "hand-waving")
ASSIGNED = Standing(marked("Assigned"), Tone.WAITS, "arrow-bend-up-right")
NOT_TAKEN = Standing(marked("Does not take it"), Tone.NO, "x")

BY_CODE = {
    Status.NOT_STARTED: COMES,
    Status.STARTED: STARTED,
    Status.COMPLETED: DONE_ROW,
    Status.INVITATION: SILENT,
    Status.MOVED: ASKED_AGAIN,
    Status.SEEN: SEEN,
    Status.MOVED_SEEN: ASKED_AGAIN,
    Status.DECLINED: DECLINES,
    Status.CANCELLED: CANCELLED,
    Status.ASSIGNED: ASSIGNED,
    Status.ASSIGNED_SEEN: SEEN,
    Status.ASSIGNMENT_DECLINED: NOT_TAKEN,
}

KINDS = {
    Kind.MEETING: marked("Meeting"),
    Kind.TASK: marked("Task"),
    Kind.CALL: marked("Call"),
}

SUSPENDED = {
    "no_address": marked("No letter: there is no valid address"),
    "no_account": marked("No letter: no mail account is set up"),
}

DONE = {
    "saved": marked("Saved."),
    "added": marked("Added."),
    "removed": marked("Removed from the meeting."),
    "restored": marked("Invited again."),
    "toggled": marked("Status changed by hand."),
    "switched": marked("Changed who gets letters."),
    "sent": marked("The letter goes once more."),
    "cancelled": marked("Cancelled."),
    "reinstated": marked("No longer cancelled."),
    "moved": marked("Moved."),
    "decided": marked("Done."),
    "answered": marked("Your answer is recorded."),
    "reminded": marked("A reminder goes to those who have not answered."),
    "assigned": marked("Assigned."),
    "ended": marked("Signed out there."),
    "revoked": marked("The link shows nothing any more."),
    "kept": marked("The group is saved."),
    "forgotten": marked("The group is forgotten; the diaries stay as they are."),
    "unlearned": marked("The address is not known any more."),
    "letters-hold": marked("Held."),
    "letters-release": marked("Released."),
    "letters-retry": marked("Tried now."),
    "letters-drop": marked("Dropped: they are not sent."),
    "review-done": marked("Decided: it waits no longer."),
    "review-waits": marked("It still waits; the rules say why."),
    "token-revoked": marked("Revoked: it lets nobody in any more."),
    "webhook-on": marked("Switched on; it is told what it missed."),
    "webhook-off": marked("Switched off."),
    "webhook-test": marked("An event that means nothing is sent there."),
    "webhook-again": marked("The event is sent once more."),
    "webhook-remove": marked("The webhook is forgotten."),
    "user-on": marked("They can sign in again."),
    "user-off": marked("They cannot sign in any more."),
    "user-role": marked("They have another role, and are signed out everywhere."),
    "user-sign-out": marked("Signed out everywhere."),
    "put-back": marked("The records say again what was told of them."),
    "undefined": marked("Deleted."),
    "sending-pause": marked("Paused: no letter leaves."),
    "sending-resume": marked("Letters leave again."),
    "letters-try": marked("The account tries one letter now."),
    "stopped": marked("The series ends there."),
    "carried": marked("Carried out."),
    "taken_out": marked("Taken out of your diary: you have declined."),
    "undone": marked("Taken back."),
}
"""What a page says after a form, by the name in its address."""

CHANNELS = {
    "mail": marked("by mail"),
    "link": marked("by a link"),
    "page": marked("here"),
    "api": marked("by the CRM"),
    "hand": marked("by hand"),
    "store": marked("by the CRM"),
}


def standing(row: Participant) -> Standing:
    """How a row stands, in the words of the owner."""
    if row.code is Status.CANCELLED:
        return CANCELLED
    if row.role is Role.OWNER:
        return OWNER
    if row.role is Role.RESOURCE:
        return BOOKED
    if _wants_another_time(row):
        return NEW_TIME
    if row.reply is Reply.TENTATIVE:
        return MAYBE
    if row.reply is Reply.DELEGATED:
        return PASSED_ON
    if row.reply is Reply.NEEDS_ACTION and row.delivery is Delivery.UNDELIVERABLE:
        return NOT_REACHED
    return BY_CODE[row.code]


def _wants_another_time(row: Participant) -> bool:
    """A standing yes or no counts as it is; the wish is told beside it (domain.md §4)."""
    is_open = row.proposal is not None and row.proposal.state is ProposalState.OPEN
    return is_open and row.reply in (Reply.NEEDS_ACTION, Reply.TENTATIVE)


@dataclass(frozen=True, slots=True)
class Sum:
    """How many of those who are asked come, may come, do not, have not answered, are not
    reached.
    """

    come: int = 0
    maybe: int = 0
    decline: int = 0
    silent: int = 0
    lost: int = 0

    @property
    def asked(self) -> int:
        return self.come + self.maybe + self.decline + self.silent + self.lost


def summed(rows: Iterable[Participant]) -> Sum:
    """The sum line of a follow-up."""
    tones = [standing(row).tone for row in rows if row.role not in (Role.OWNER, Role.RESOURCE)]
    return Sum(
        tones.count(Tone.YES),
        tones.count(Tone.MAYBE),
        tones.count(Tone.NO),
        tones.count(Tone.WAITS) + tones.count(Tone.NEW_TIME),
        tones.count(Tone.LOST),
    )


def differing(row: Participant) -> list[DateAnswer]:
    """The dates of a series on which a row stands otherwise than for all of it."""
    return [answer for answer in row.instances if answer.code is not row.code or answer.comment]


def person(by: str, people: Mapping[str, str]) -> str:
    """Who did something, by name: "kari via NAME" is Kari Nordmann, by NAME."""
    key, _, program = by.partition(" via ")
    name = people.get(key, key)
    return f"{name} ({program})" if program else name


def has_switch(row: Participant) -> bool:
    """Whether letters can go to a row at all."""
    return row.role not in (Role.OWNER, Role.RESOURCE)
