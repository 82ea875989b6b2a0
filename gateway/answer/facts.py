"""What the inbound decisions get from the store, and what they hand back to it: values only, no
behaviour.

keys        what a message offers to find its row by; the store looks them up in one go
lookup      what the store knows under those keys: rows, and which UIDs are ours at all
row         one participant as decisions need them: what they are now, and what they were last sent
trace       what an earlier message did, by which a repeat is known
conclusion  what one VEVENT (or link, or page) does to one row; `effect` is the only part that
            changes anything
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from gateway.mail import bounce, trust
from gateway.model import Channel, Edition, Effect, Moment, Outcome, Reply, Role, Standing
from gateway.status import Status


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the store looks (itip.md §5). All in the spelling of `address.normal` or lower case;
    UIDs as they stand.

    tokens: of every recipient header, ORGANIZER and returned letter, best first. addresses: From,
    Sender, Reply-To, ATTENDEEs and failed recipients, in `address.plain` form. message_ids:
    In-Reply-To, References, and those that a report names; without brackets. marks: (token, CHECK)
    of the bounce-marked addresses among them, not yet believed; CHECK is "" in old ones. dates:
    whether an answer names one.
    """

    tokens: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    marks: frozenset[tuple[str, str]] = frozenset()
    dates: bool = False
    message_id: str = ""
    # The message's own.
    object: str = ""
    # The fingerprint of its calendar objects; "" if it is no answer.
    digest: str = ""
    # Of its bytes; "" if they cannot be read.


@dataclass(frozen=True, slots=True)
class Row:
    """One participant, as the store has them when the message is decided.

    address: where they were invited. known: every known address of that person with the
    invited and learned ones, any spelling. tokens: of all their invitations, any case. marked:
    letters to them have an envelope sender with a CHECK, so a report about them comes to that.
    holding: one of them was not taken back. current: the follow-up as it is; sent: what this
    invitee was last sent, None when nothing ever left; a REQUEST that waits counts as sent, and
    held is what left before it. sent_dtstamps: DTSTAMPs of letters to them (ours; some clients
    echo them). message_ids: of those letters to them that `Keys.message_ids` asked for;
    latest_message_id: of the last that left. single_dates: original starts that went to them as
    VEVENTs of their own; apart: each of their dates is an invitation by itself. date_standings:
    their answers to single dates. earlier: what the last letters said of a series, where an answer
    names a date. An invitee of one date alone has `recurrence_id` in `current` and `sent`, and that
    date's answer is their `standing`.
    """

    participant: int
    follow_up: str
    uid: str
    address: str
    current: Edition
    role: Role = Role.INVITED
    known: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    marked: bool = False
    removed: bool = False
    holding: bool = True
    email_invite: bool = True
    sent: Edition | None = None
    held: Edition | None = None
    sent_dtstamps: frozenset[datetime] = frozenset()
    message_ids: frozenset[str] = frozenset()
    latest_message_id: str = ""
    single_dates: frozenset[Moment] = frozenset()
    apart: bool = False
    earlier: tuple[Edition, ...] = ()
    standing: Standing = Standing()
    date_standings: Mapping[Moment, Standing] = field(default_factory=dict)
    key: str | None = None
    # What people call it; None: the row is gone altogether, and nothing can be done to it.
    former: Mapping[str, datetime | None] = field(default_factory=dict)
    # Addresses where they were invited and are no more, and when that was taken back, if known.

    def as_of(self, arrived: datetime) -> "Row":
        """The row for a message that reached the mailbox then: what was on its way when the address
        changed is theirs.
        """
        on_its_way = [
            email for email, end in self.former.items() if end is not None and arrived <= end
        ]
        return replace(self, known=self.known.union(on_its_way)) if on_its_way else self

    @property
    def live(self) -> bool:
        """Whether this is a participant who holds their invitation."""
        return self.holding and not self.removed


@dataclass(frozen=True, slots=True)
class Copy:
    """An earlier message of the same bytes, which had an effect."""

    outcome: Outcome
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Trace:
    """The effect of an earlier message on a row, or on one date of it, as the journal has it."""

    message: int
    # The number of the message in the inbox.
    participant: int
    instance: Moment | None
    message_id: str
    object: str
    # The fingerprint of its calendar objects.
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the store knows under some `Keys`, and what our mail server says of the sender.

    rows: of a token; or of a UID together with one of the addresses (compared by `address.plain`,
    known addresses included); or of a Message-ID. Removed rows too: an answer of theirs is
    `closed`, not unknown. uids: those of `Keys.uids` that name a follow-up of ours, with any
    invitees; `follow_ups`: UID → its key. statement: of policy.authserv_id. server_writes:
    whether our probe came back with a field of that name; None: nobody knows.
    """

    rows: tuple[Row, ...] = ()
    uids: frozenset[str] = frozenset()
    follow_ups: Mapping[str, str] = field(default_factory=dict)
    statement: trust.Statement = trust.Statement()
    server_writes: bool | None = None
    copies: tuple[Copy, ...] = ()
    # Of `Keys.digest`.
    traces: tuple[Trace, ...] = ()
    # On these rows, of `Keys.object`; with the message's own, if it is judged anew.

    @property
    def vouched(self) -> str:
        """How our mail server authenticated From, as a phrase; "" where it did not."""
        return self.statement.vouched(self.server_writes)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is true of the whole message. arrived: when it reached the mailbox. speaker: the address
    that answers.

    senders: From, Sender and Reply-To. mailboxes: ours, never to be invited. offsets: hints of the
    objects' VTIMEZONEs.
    """

    arrived: datetime
    speaker: str = ""
    senders: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    offsets: Mapping[str, tuple[timedelta, ...]] = field(default_factory=dict)
    remark: str = ""
    automatic: bool = False
    channel: Channel = Channel.MAIL


@dataclass(frozen=True, slots=True)
class Rule:
    """One step that led to a conclusion: `name` for tables and tests, `text` for the person who
    runs `explain`.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Another time or place that the invitee asks for; stored beside the answer, never believed.

    sequence: that of the COUNTER, which a DECLINECOUNTER repeats (RFC 5546 §3.2.8), bounded by the
    one last sent.
    """

    start: Moment | None
    end: Moment | None
    comment: str = ""
    location: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What one answer does. `reason` is a sentence for the person who reads the journal.

    instance: the date it speaks of. claimed: what it said, also where nothing is applied.
    ask_again: the row should get its REQUEST again (how often, the store knows). delegates:
    addresses to invite. report: what a bounce said of this row. until: how long somebody says to be
    away. pass_on: a person's words that the owner should have in their own mailbox.
    deferred: what it does if the move that it does not know is undone before it leaves.
    """

    outcome: Outcome
    reason: str
    rules: tuple[Rule, ...] = ()
    instance: Moment | None = None
    effect: Effect | None = None
    claimed: Reply | None = None
    comment: str = ""
    ask_again: bool = False
    proposal: Proposal | None = None
    delegates: tuple[str, ...] = ()
    report: bounce.Report | None = None
    until: date | None = None
    pass_on: bool = False
    deferred: Effect | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part of a message (a date, a recipient of a report) means for one row; row None
    where it is nobody's.

    address: who spoke. follow_up: its key, also where no row is known (a party crasher).
    """

    row: Row | None
    conclusion: Conclusion
    address: str = ""
    follow_up: str = ""

    @property
    def date(self) -> Moment | None:
        """The one date of a series that it speaks of: of the row, where that is for one date alone;
        None: all of it.
        """
        if self.conclusion.instance is not None or self.row is None:
            return self.conclusion.instance
        return self.row.current.recurrence_id


@dataclass(frozen=True, slots=True)
class Consequence:
    """An answer and what it does. `participant`: the row's key; `before`, `after`: status words of
    the row or the date.

    `standing`: the row's, or the date's, afterwards; None where nothing changes. `code`: its
    status.
    """

    answer: Answer
    participant: str | None = None
    before: str = ""
    after: str = ""
    standing: Standing | None = None
    code: Status | None = None
