"""What the planner compares and what comes of it: rows, what was sent to them, and letters. Values
only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway import status
from gateway.followups import editions, limits, recurrence
from gateway.ical import preflight
from gateway.model import (
    NO_REMARKS,
    Edition,
    Effect,
    Guest,
    GuestList,
    Letter,
    Method,
    Moment,
    Occasion,
    Remarks,
    Reply,
    Role,
    Standing,
)

SECOND = timedelta(seconds=1)
OVER = "the follow-up is over: no letter"
DATE_OVER = "a date that was changed is over: no letter"
LINE = 90
"""Octets of a guest's line in a calendar object, beside name and address."""
CODED = 2 * 1.43
"""The object stands twice in a letter, folded and in base64."""
ROOM = preflight.MOST_BYTES * 4 // 5
"""Of a letter, for its list of guests."""


@dataclass(frozen=True, slots=True)
class Invitee:
    """A participant row as the store has it now. `participant`: its number; below zero it is one
    date of a row, which only a plan knows (`apart.Origin`). `address` is "" where there is none
    that mail can go to; `unreachable` says why, where it is not for want of a valid address.

    `date`: the one date of a series that they are invited to; what they answer to it is the
    standing of their row. `other`: the row stood for another person until now, or for another
    follow-up, and its standings do, too. `begins`: what was said in it is not said of what it is
    for now. `begun`: a command of ours gave it to another person, and what stands there was said
    since. `set_status`: a status written by hand (1, 5 or 9), to be taken as a toggle.
    `delegated_from`, `delegated_to`: who passed the invitation on to them, and to whom they did.
    `apart`: each date of what the row is for is an invitation by itself; with `date` it is that
    date. `assigner`: who assigned the follow-up to them, by name. `who`: which person they are, by
    a name that outlives the row.
    """

    participant: int
    role: Role
    name: str
    address: str
    language: str
    timezone: str
    email_invite: bool
    removed: bool
    standings: Mapping[Moment | None, Standing]
    date: Moment | None = None
    token: str | None = None
    set_status: int | None = None
    delegated_from: Guest | None = None
    delegated_to: Guest | None = None
    assigner: str = ""
    other: bool = False
    begins: bool = False
    begun: bool = False
    who: str = ""
    unreachable: str = ""
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """A letter in the outbox that has not left: it may still be replaced. `tries`: how often a
    server turned it away.

    `instance`: the one date of a series that it is about; None: all of it. `reply`: what it shows
    as the invitee's answer. `sequence`: of what it is about. `braked`: the brake holds it.
    """

    letter: int
    method: Method
    edition: Edition
    before: Edition | None
    tries: int
    instance: Moment | None = None
    reply: Reply = Reply.NEEDS_ACTION
    sequence: int = -1
    braked: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """What an invitee may hold as well as what they were last sent, because nobody knows whether a
    letter arrived. `method`, `edition`: as in `Copy`.
    """

    method: Method | None
    edition: Edition | None


@dataclass(frozen=True, slots=True)
class Copy:
    """An invitation: one participant at one address, and what that address holds as far as we know:
    what it was last sent.

    `method` None: never sent anything; a CANCEL of one date leaves it a REQUEST. `top_sequence`:
    highest that ever left for it, -1 before any; `top_dtstamp`: highest ever planned for it.
    `refused`: its last letter did not arrive, so nothing is to be taken back there; `tried`: what
    the invitee would hold by that letter, where it was to give them something. `again`: they are to
    have their REQUEST once more, `because` they answered an old time or asked for it; where it is
    about one date of the series, `again_instance`. `doubts`: what they may hold instead, where no
    letter waits that will settle it; `besides`: dates that they may hold although they are to hold
    another. `date`: the one date of what its row is for that it invites to, where each is an
    invitation by itself. `counts`: of the row's invitations it is the one that says where the
    invitee is invited. `deferred`: their answer to what they hold, which came while a move of it
    waited. `perhaps`: every edition that they may hold beside this one, also where a letter that is
    under way decides. `above`: the SEQUENCE of a CANCEL that would take away what is sent with no
    higher one (`overtaking`).
    """

    invitation: int
    participant: int
    address: str
    method: Method | None
    edition: Edition | None
    top_sequence: int
    top_dtstamp: datetime | None
    refused: bool
    again: bool = False
    queued: Sequence[Queued] = ()
    because: Occasion = Occasion.PLANNED
    again_instance: Moment | None = None
    tried: Edition | None = None
    doubts: Sequence[Doubt] = ()
    besides: Sequence[Edition] = ()
    counts: bool = True
    deferred: Effect | None = None
    perhaps: Sequence[Edition] = ()
    date: Moment | None = None
    above: int = -1

    @property
    def may_hold(self) -> list[Edition]:
        """What may have to be taken back, newest first, each entry of a calendar once. Nothing of
        what was refused, unless another letter about it may have arrived.
        """
        may_hold: list[tuple[Method | None, Edition | None]] = []
        if not self.refused:
            may_hold.append((self.method, self.edition))
        may_hold += [(doubt.method, doubt.edition) for doubt in self.doubts]
        may_hold += [(Method.REQUEST, edition) for edition in self.besides]
        entries = dict[tuple[str, Moment | None], Edition]()
        for method, edition in may_hold:
            if method is Method.REQUEST and edition is not None:
                entries.setdefault((edition.uid, edition.recurrence_id), edition)
        return list(entries.values())


@dataclass(frozen=True, slots=True)
class Owed:
    """A letter to be put into the outbox. `invitation` None: to be made first, for `invitee` at its
    present address.

    `instance`: the one date of a series that it is about; `edition` and `before` then differ in
    this date only.
    """

    method: Method
    participant: int
    invitation: int | None
    invitee: Invitee | None
    edition: Edition
    before: Edition | None
    sequence: int
    dtstamp: datetime
    reply: Reply
    withdrawn: bool = False
    instance: Moment | None = None
    remarks: Remarks = NO_REMARKS


def uncrowded(edition: Edition | None, invitees: Sequence[Invitee]) -> Edition | None:
    """An edition with a private list, where a public one would make its letters larger than any
    client reads.
    """
    if edition is None or not edition.guest_list_public:
        return edition
    texts = [f"{invitee.name}{invitee.address}" for invitee in _guests(invitees)]
    lines = sum(LINE + len(text.encode()) for text in texts)
    entries = 1 + len(edition.dates)
    if edition.recurrence is not None and not edition.recurrence.rrule:
        entries += len(edition.recurrence.rdates)
    return replace(edition, guest_list_public=lines * entries * CODED <= ROOM)


def listed(edition: Edition, invitees: Sequence[Invitee]) -> Edition:
    """An edition with the guests and their answers as they stand, for all who may see them; no
    guests where the list is private.
    """
    if not edition.guest_list_public:
        return edition
    single = {invitee.date for invitee in invitees if invitee.date is not None}
    is_list = edition.recurrence is not None and not edition.recurrence.rrule
    if is_list and edition.start is not None:
        single.add(edition.start)  # of a list, which may be an invitation by itself
    dates = sorted(editions.named_dates(edition) | single, key=str)
    guests = tuple(_guest(invitee, dates) for invitee in _guests(invitees))
    return replace(edition, guests=guests)


def warned(edition: Edition | None, invitees: Sequence[Invitee]) -> dict[int, str]:
    """By row, that a list which should be public is not; and for rows that are invited to all of a
    series, what Outlook cannot hold of it. Their letters leave.
    """
    if edition is None or edition.cancelled:
        return {}
    invited = [invitee for invitee in invitees if invitee.email_invite and not invitee.removed]
    is_private = edition.guest_list is GuestList.PUBLIC and not edition.guest_list_public
    to_whole = any(invitee.date is None for invitee in invited)
    of_whole = limits.warning(edition) if to_whole else ""
    warnings = dict[int, str]()
    for invitee in invited:
        reasons = list[str]()
        if of_whole and invitee.date is None:
            reasons.append(of_whole)
        if is_private:
            reasons.append(limits.CROWD)
        if reasons:
            warnings[invitee.participant] = "; ".join(reasons)
    return warnings


def _guests(invitees: Iterable[Invitee]) -> list[Invitee]:
    """Those whom a public list names."""
    return [
        invitee
        for invitee in invitees
        if not invitee.removed and invitee.role not in status.FIXED and invitee.address
    ]


def _guest(invitee: Invitee, dates: Sequence[Moment]) -> Guest:
    series = invitee.standings.get(None, Standing()).reply
    own = ((date, invitee.standings[date].reply) for date in dates if date in invitee.standings)
    return Guest(
        invitee.name,
        invitee.address,
        series,
        invitee.date,
        tuple((date, reply) for date, reply in own if reply is not series),
    )


def assigned(letter: Owed) -> Owed:
    """An invitee who is asked because a follow-up was assigned to them hears that from the person
    who assigned it: its owner is the invitee.
    """
    if letter.invitee is None or not letter.invitee.assigner:
        return letter
    assigner = letter.invitee.assigner
    before = letter.before
    if before is not None:
        before = replace(before, organizer=assigner)
    return replace(letter, edition=replace(letter.edition, organizer=assigner), before=before)


def pointless(letter: Owed | Letter, now: datetime) -> bool:
    """Whether a letter is about the past only: over both as it is and as last sent (itip.md §2)."""
    instance = letter.instance
    views = [edition for edition in (letter.edition, letter.before) if edition is not None]
    if instance is not None:
        views = [edition for edition in views if editions.takes_place(edition, instance)]
    return all(recurrence.over(edition, now, instance) for edition in views)


def why_not(instance: Moment | None) -> str:
    """What a row says whose letter is pointless."""
    return DATE_OVER if instance is not None else OVER


def with_dates(
    edition_held: Edition | None, dates: Iterable[tuple[Moment | None, Edition]]
) -> Edition | None:
    """What an invitee holds who held this and was then sent these dates of a series, each as an
    edition has it; nothing else of that edition.
    """
    for date, edition in dates:
        if (
            edition_held is None
            or edition_held.recurrence is None
            or edition.recurrence is None
            or date is None
        ):
            # A date alone of what they were never sent: as if they had it, to be taken back.
            edition_held = edition
        else:
            edition_held = editions.with_date(
                edition_held,
                replace(
                    edition_held,
                    recurrence=replace(edition.recurrence, rrule=edition_held.recurrence.rrule),
                    dates=edition.dates,
                    date_sequences=edition.date_sequences,
                ),
                date,
            )
    return edition_held


def lacks(holds: Edition | None, edition: Edition) -> bool:
    """Whether something of this edition is missing in what an invitee holds."""
    return holds is None or editions.differs(holds, edition)


def next_dtstamp(last: datetime | None, now: datetime) -> datetime:
    """New in every letter, later than the last one to that row, whole seconds (P13, RFC 5545
    §3.8.7.2).
    """
    now = now.replace(microsecond=0)
    return max(now, last + SECOND) if last is not None else now
