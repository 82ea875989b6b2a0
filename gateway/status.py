"""The status of a participant row: one integer, a pure function of the row's facts, and the events
that change them.

Source: domain.md §4 (the enumeration 1-13, the transition table). `code` is the only place where a
status comes from; the functions below change facts, never codes. Each returns the new standing, or
raises `Refused` where the table says so.
"""

from dataclasses import replace
from enum import IntEnum

from gateway.errors import Refused
from gateway.i18n import marked
from gateway.model import Channel, Effect, Progress, Reply, Role, Standing


class Status(IntEnum):
    """The published enumeration; names as `status --json` prints them, in lower case."""

    NOT_STARTED = 1
    STARTED = 2
    COMPLETED = 3
    INVITATION = 5
    MOVED = 6
    SEEN = 7
    MOVED_SEEN = 8
    DECLINED = 9
    CANCELLED = 10
    ASSIGNED = 11
    ASSIGNED_SEEN = 12
    ASSIGNMENT_DECLINED = 13

    @property
    def word(self) -> str:
        """The name in the store's spelling: `moved_seen`."""
        return self.name.lower()


class Icon(IntEnum):
    """What the owner sees beside the name (help page 000)."""

    NONE = 0
    TICK = 1
    CROSS = 2
    EYE = 3
    STRUCK = 4


ICONS = {
    Status.NOT_STARTED: Icon.TICK,
    Status.STARTED: Icon.TICK,
    Status.COMPLETED: Icon.TICK,
    Status.INVITATION: Icon.NONE,
    Status.MOVED: Icon.NONE,
    Status.SEEN: Icon.EYE,
    Status.MOVED_SEEN: Icon.EYE,
    Status.DECLINED: Icon.CROSS,
    Status.CANCELLED: Icon.STRUCK,
    Status.ASSIGNED: Icon.NONE,
    Status.ASSIGNED_SEEN: Icon.EYE,
    Status.ASSIGNMENT_DECLINED: Icon.CROSS,
}

ACCEPTED = {
    Progress.NOT_STARTED: Status.NOT_STARTED,
    Progress.STARTED: Status.STARTED,
    Progress.COMPLETED: Status.COMPLETED,
}
AFTER_A_CLICK = {
    Reply.ACCEPTED: Reply.DECLINED,
    Reply.DECLINED: Reply.NEEDS_ACTION,
    Reply.DELEGATED: Reply.NEEDS_ACTION,
}
"""What a click on the status by hand leads to; accepted from everything else (help page 001)."""
FIXED = frozenset({Role.OWNER, Role.RESOURCE})
"""Rows that are never asked: 1 from the start, and 10 with the follow-up."""
NOT_ASKED = {
    Role.RESOURCE: marked("a resource cannot answer; its row stands booked"),
    Role.OWNER: marked("the owner's own row is never asked"),
}
"""Why nobody says anything for them."""


def code(role: Role, standing: Standing) -> Status:
    """The status of a row, or of one date of it, from its facts (domain.md §4)."""
    if standing.cancelled:
        return Status.CANCELLED
    if role in FIXED or standing.reply is Reply.ACCEPTED:
        return ACCEPTED[standing.progress]
    declined = standing.reply in (Reply.DECLINED, Reply.DELEGATED)
    is_seen = standing.seen or standing.reply is Reply.TENTATIVE
    if role is Role.ASSIGNED:
        return (
            Status.ASSIGNMENT_DECLINED
            if declined
            else Status.ASSIGNED_SEEN
            if is_seen
            else Status.ASSIGNED
        )
    if declined:
        return Status.DECLINED
    if is_seen:
        return Status.MOVED_SEEN if standing.moved else Status.SEEN
    return Status.MOVED if standing.moved else Status.INVITATION


def see(standing: Standing) -> Standing:
    """The invitation was displayed: an MDN, a COUNTER, a closed dialog. A standing answer stays, a
    cancellation, too.
    """
    return (
        standing
        if standing.cancelled or standing.reply is not Reply.NEEDS_ACTION
        else replace(standing, seen=True)
    )


def answer(standing: Standing, reply: Reply) -> Standing:
    """The invitee's own word. NEEDS-ACTION from an invitee changes nothing (itip.md §5)."""
    _open(standing)
    return standing if reply is Reply.NEEDS_ACTION else replace(standing, reply=reply, seen=True)


def apply(standing: Standing, effect: Effect) -> Standing:
    """The standing after an effect. Raises `Refused` on a cancelled one, which no decision leads
    to.
    """
    if effect.reply is None:
        return see(standing)
    return replace(
        answer(standing, effect.reply),
        comment=effect.comment,
        channel=effect.channel,
        address=effect.address,
        replied_at=effect.arrived,
        sequence=effect.sequence,
        dtstamp=effect.dtstamp,
        arrived=effect.arrived,
    )


def of_date(series: Standing, own: Standing | None) -> Standing:
    """The standing on one date of a series. One without an answer of its own is open, and shares
    the fate of the series.
    """
    return own or Standing(moved=series.moved, cancelled=series.cancelled)


def clicked(reply: Reply) -> Reply:
    """The next reply when the owner clicks: none → accepted → declined → none."""
    return AFTER_A_CLICK.get(reply, Reply.ACCEPTED)


def advance(standing: Standing, progress: Progress) -> Standing:
    """How far the invitee has come, which is theirs to say once they accepted (domain.md §3)."""
    _open(standing)
    if standing.reply is not Reply.ACCEPTED:
        raise Refused(marked("only who has accepted has a progress; accept it first"))
    return replace(standing, progress=progress)


def toggle(standing: Standing, reply: Reply) -> Standing:
    """By hand, on somebody's behalf (help page 001): `needs-action` takes the answer back, unseen.
    The order of answers stays as it is; how this one came is said.
    """
    _open(standing)
    is_seen = reply is not Reply.NEEDS_ACTION
    return replace(standing, reply=reply, seen=is_seen, channel=Channel.HAND)


def move(role: Role, standing: Standing) -> Standing:
    """Time, place or recurrence changed: an invitee who saw or answered is asked again (P6); others
    still have it before them.
    """
    _open(standing)
    if role in FIXED:
        return standing
    moved = standing.moved or standing.seen or standing.reply is not Reply.NEEDS_ACTION
    return replace(
        standing,
        reply=Reply.NEEDS_ACTION,
        seen=False,
        moved=moved,
        comment="",
        progress=Progress.NOT_STARTED,
    )


def cancel(standing: Standing) -> Standing:
    return replace(standing, cancelled=True)


def reinstate(standing: Standing) -> Standing:
    """Back from cancelled: a fresh invitation. A row that is not cancelled has nothing to come back
    from.
    """
    return _fresh(standing) if standing.cancelled else standing


def _fresh(standing: Standing) -> Standing:
    return replace(
        standing,
        cancelled=False,
        reply=Reply.NEEDS_ACTION,
        seen=False,
        moved=False,
        comment="",
        progress=Progress.NOT_STARTED,
    )


def _open(standing: Standing) -> None:
    if standing.cancelled:
        raise Refused(marked("the meeting is cancelled; reinstate it first"))
