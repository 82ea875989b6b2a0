"""The nouns: follow-ups, those who take part, editions, invitations, standings. Who knows this
module, `status` and `actions` knows the product.

follow-up    a meeting, task or call of the CRM, with one UID for life
participant  one row: this follow-up (or one date of it), this invitee; its answers are standings,
             one for the series and one per answered date
edition      what could be seen of a follow-up at one moment, frozen; letters are made from
             editions, never from live rows
invitation   one participant at one address: the token, and the edition that this address was last
             sent
letter       one mail that is owed to one invitation: the outbox row; its facts are frozen when it
             is planned
message      one mail that came in; it ends in exactly one outcome

Instants are aware UTC datetimes; days of all-day follow-ups are plain dates. An *instance* is named
by its original start.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

Moment = datetime | date
"""An aware UTC instant, or the plain date of an all-day follow-up."""


class Kind(StrEnum):
    MEETING = "meeting"
    TASK = "task"
    CALL = "call"


class Role(StrEnum):
    """What a participant row is to its follow-up (domain.md §4)."""

    INVITED = "invited"
    ASSIGNED = "assigned"
    OWNER = "owner"
    RESOURCE = "resource"


class Reply(StrEnum):
    """The invitee's own word, in the spelling of the store;
    `PARTSTAT` in upper case (RFC 5545 §3.2.12).
    """

    NEEDS_ACTION = "needs-action"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"
    DELEGATED = "delegated"


class Progress(StrEnum):
    """How far an accepted follow-up has come (statuses 1, 2 and 3)."""

    NOT_STARTED = "not_started"
    STARTED = "started"
    COMPLETED = "completed"


class Access(StrEnum):
    """What a connection is for (docs/domain.md, "Who may")."""

    USER = "user"
    """An associate."""
    READ = "read"
    CRM = "crm"
    """The CRM's own connection."""
    ADMIN = "admin"


class Channel(StrEnum):
    """The way an answer or a change came."""

    MAIL = "mail"
    LINK = "link"
    PAGE = "page"
    API = "api"
    HAND = "hand"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something. `associate`: the key of the associate who is signed in, or on whose
    behalf the CRM asks; "" where there is none. `name`: of the connection or user. `channel`: the
    way they came.
    """

    access: Access
    associate: str = ""
    name: str = ""
    channel: Channel = Channel.API

    @property
    def is_whole_crm(self) -> bool:
        """The CRM itself; on an associate's behalf it is that associate."""
        return self.access is Access.CRM and not self.associate

    @property
    def by(self) -> str:
        """As the journal names them: "kari", "kari via NAME", "NAME"."""
        if self.associate and self.name and self.associate != self.name:
            return f"{self.associate} via {self.name}"
        return self.associate or self.name


class GuestList(StrEnum):
    AUTO = "auto"
    PUBLIC = "public"
    PRIVATE = "private"


class Availability(StrEnum):
    """Whether a follow-up keeps those who take part in it from anything else at that time."""

    BUSY = "busy"
    FREE = "free"


class Method(StrEnum):
    """iTIP methods (RFC 5546 §1.4). NONE: a letter without a calendar object, which passes
    somebody's words on.
    """

    NONE = ""
    PUBLISH = "PUBLISH"
    REQUEST = "REQUEST"
    REPLY = "REPLY"
    ADD = "ADD"
    CANCEL = "CANCEL"
    REFRESH = "REFRESH"
    COUNTER = "COUNTER"
    DECLINECOUNTER = "DECLINECOUNTER"


PLANNED = frozenset({Method.REQUEST, Method.CANCEL})
"""Methods of the letters that the planner owes: they alone change what an invitee holds."""


class Occasion(StrEnum):
    """Why a letter is written, where its method and its editions do not say so."""

    PLANNED = "planned"
    OLD_ANSWER = "old_answer"
    REFRESH = "refresh"
    REMINDER = "reminder"


class ProposalState(StrEnum):
    """open → accepted or declined by the owner,
    → overtaken by a move or by the invitee's next proposal.
    """

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    OVERTAKEN = "overtaken"


class LetterState(StrEnum):
    """Where a letter of the outbox stands.

    waiting → sending → sent; sending → waiting again after a temporary failure, → refused after a
    final one. held: by an administrator or by preflight. superseded: a newer letter replaced it
    before it was ever tried. dropped: given up, with the reason in `note` (over, gave up after
    three days, by hand).
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    HELD = "held"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"


class Delivery(StrEnum):
    """What the row says of its latest letter (contract.md §2, `status`)."""

    NONE = "none"
    QUEUED = "queued"
    SENT = "sent"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"


class Outcome(StrEnum):
    """What came of a received message: exactly one of these (itip.md §6)."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    OLD_ANSWER = "old_answer"
    SEEN = "seen"
    PROPOSAL = "proposal"
    DELEGATED = "delegated"
    REFRESHED = "refreshed"
    AWAY = "away"
    COMMENT = "comment"
    BOUNCED = "bounced"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    HELD = "held"
    PARTY_CRASHER = "party_crasher"
    UNKNOWN_INVITATION = "unknown_invitation"
    CLOSED = "closed"
    NOT_AN_ANSWER = "not_an_answer"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    IGNORED = "ignored"


REVIEW = frozenset(
    {
        Outcome.HELD,
        Outcome.PARTY_CRASHER,
        Outcome.UNKNOWN_INVITATION,
        Outcome.NOT_AN_ANSWER,
        Outcome.MALFORMED,
        Outcome.TOO_LARGE,
    }
)
"""Outcomes that wait for a person: the raw message is kept and the mail is moved to the review
folder.
"""


EFFECTIVE = frozenset(
    {
        Outcome.APPLIED,
        Outcome.UNCHANGED,
        Outcome.SEEN,
        Outcome.PROPOSAL,
        Outcome.DELEGATED,
        Outcome.REFRESHED,
        Outcome.OLD_ANSWER,
        Outcome.CLOSED,
        Outcome.COMMENT,
        Outcome.AWAY,
        Outcome.BOUNCED,
        Outcome.DELAYED,
        Outcome.DELIVERED,
    }
)
"""Outcomes after which the same message again is a duplicate. One that was held may come again and
be judged again.
"""


class PartyCrasher(StrEnum):
    """What becomes of an answer by somebody who was not invited (P3)."""

    ASK = "ask"
    ADD = "add"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is believed, as the administrator decided (the settings' section `policy`)."""

    require_authentication: bool = True
    # An answer without a token counts only if our own mail server authenticated its From.
    authserv_id: str = ""
    # The name in the Authentication-Results that our server writes; "" if it writes none.
    party_crasher: PartyCrasher = PartyCrasher.ASK


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one participant stands on the series (or single meeting), or on one date of it.

    `sequence`, `dtstamp`: order key of the last applied answer (itip.md §5); None before any.
    `arrived`: when that answer reached the mailbox; breaks ties of equal keys. `asked`: the
    SEQUENCE of what last took the invitee's answer away, of all of it or of the one date that they
    are invited to.
    """

    reply: Reply = Reply.NEEDS_ACTION
    seen: bool = False
    moved: bool = False
    cancelled: bool = False
    progress: Progress = Progress.NOT_STARTED
    comment: str = ""
    channel: Channel | None = None
    address: str = ""
    replied_at: datetime | None = None
    sequence: int | None = None
    dtstamp: datetime | None = None
    arrived: datetime | None = None
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes on one row (instance None) or on one date of it. The only thing that touches a
    standing.

    reply None: seen, nothing answered. sequence, dtstamp, arrived: the bounded order key, kept with
    the standing.
    """

    participant: int
    instance: Moment | None
    reply: Reply | None
    comment: str
    sequence: int
    dtstamp: datetime
    arrived: datetime
    channel: Channel
    address: str

    @property
    def key(self) -> tuple[int, datetime, datetime]:
        """The order of answers (itip.md §5)."""
        return self.sequence, self.dtstamp, self.arrived


@dataclass(frozen=True, slots=True)
class DateChange:
    """One date of a series that has data of its own: moved, added or cancelled. `original` is its
    RECURRENCE-ID.

    `cancel_reason`: "" where it takes place.
    """

    original: Moment
    start: Moment | None = None
    end: Moment | None = None
    cancelled: bool = False
    cancel_reason: str = ""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Rule and single dates of a series (RFC 5545 §3.8.5); `rrule` without the property name, ""
    for a list of dates.
    """

    rrule: str = ""
    exdates: tuple[Moment, ...] = ()
    rdates: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """A line of a public guest list, as frozen into an edition. `date`: the one date of a series
    that they are invited to.

    `date_replies`: their answers to dates that a letter may speak of by themselves, where they are
    not the series'.
    """

    name: str
    address: str
    reply: Reply = Reply.NEEDS_ACTION
    date: Moment | None = None
    date_replies: tuple[tuple[Moment, Reply], ...] = ()


@dataclass(frozen=True, slots=True)
class Edition:
    """What could be seen of a follow-up when a letter was planned; the pure renderer needs nothing
    else but the letter.

    `start`/`end` are UTC instants (dates when `all_day`) to be shown in `timezone` (IANA). A task
    or a planned call has a `deadline` instead and goes out as an all-day event (itip.md §2).
    `cancel_reason`: "" where it is not cancelled. `answer_by`: the instant by which an answer is
    wanted. `sequence`: the value of the series' component; `significant`: its value at the last
    change that asks everybody again. `date_sequences`: the same pair per date of its own.
    `recurrence_id`: this is but one date of a series, as somebody sees it who is invited to that
    date alone (`editions.seen`).
    """

    uid: str
    kind: Kind
    title: str
    start: Moment | None
    end: Moment | None
    timezone: str
    organizer: str
    all_day: bool = False
    deadline: date | None = None
    agenda: str = ""
    location: str = ""
    video_url: str = ""
    cancelled: bool = False
    recurrence: Recurrence | None = None
    dates: tuple[DateChange, ...] = ()
    guests: tuple[Guest, ...] = ()
    guest_list: GuestList = GuestList.AUTO
    guest_list_public: bool = False
    sequence: int = 0
    significant: int = 0
    date_sequences: tuple[tuple[Moment, int, int], ...] = ()
    cancel_reason: str = ""
    answer_by: datetime | None = None
    recurrence_id: Moment | None = None
    availability: Availability = Availability.BUSY


@dataclass(frozen=True, slots=True)
class Remarks:
    """What a letter says beside its editions, frozen with it; nothing of it makes a letter owed.

    `delegated_from`: who passed the invitation on to the recipient; `delegated_to`: to whom the
    recipient passed it on. `start`, `end`: of the proposal that a DECLINECOUNTER turns down.
    `words`, `writer`, `reply_to`: of a text that is passed on to the owner; `row`: the invitee
    whose row it came to, where that is not the writer. `date_replies`: answers to dates that go
    with a series, where they are not the series'.
    """

    occasion: Occasion = Occasion.PLANNED
    delegated_from: Guest | None = None
    delegated_to: Guest | None = None
    start: Moment | None = None
    end: Moment | None = None
    words: str = ""
    writer: Guest | None = None
    row: Guest | None = None
    reply_to: str = ""
    date_replies: tuple[tuple[Moment, Reply], ...] = ()


NO_REMARKS = Remarks()


@dataclass(frozen=True, slots=True)
class Letter:
    """The frozen facts of one mail that is owed: with its editions, all that rendering depends on.

    `edition`: what the invitee will hold afterwards; `before`: what they were last sent, None for a
    first invitation. `withdrawn`: a CANCEL for this invitee alone (removed, switched off, address
    changed), the meeting itself stands. `address_name`: the CN. `reply`: the PARTSTAT that the
    letter shows, or the answer that words which are passed on suggest. `message_id` has no angle
    brackets.
    """

    method: Method
    edition: Edition
    before: Edition | None
    sequence: int
    dtstamp: datetime
    message_id: str
    account: str
    address: str
    address_name: str
    organizer_address: str
    bounce_address: str
    language: str
    timezone: str
    token: str
    reply: Reply = Reply.NEEDS_ACTION
    instance: Moment | None = None
    withdrawn: bool = False
    remarks: Remarks = NO_REMARKS

    @property
    def date(self) -> Moment | None:
        """The one date of a series that it is about, whether or not its reader holds the others;
        None: all of it.
        """
        return self.instance if self.instance is not None else self.edition.recurrence_id
