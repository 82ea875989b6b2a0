"""What kind of mail a message is: the order of itip.md §3, the first that fits."""

from dataclasses import dataclass
from datetime import date

from gateway.itip import read
from gateway.mail import bounce
from gateway.model import Method, Moment, Reply


@dataclass(frozen=True, slots=True)
class Ours:
    """What makes an address ours: the mailboxes of the account that received it, former addresses included."""

    mailboxes: tuple[str, ...]
    authserv_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """iTIP objects that speak to an organizer: REPLY, COUNTER, REFRESH. Equal ones are one. remark: the human's own text.

    automatic: sent by a machine (never asked again in reply to it). fingerprint: the same for the same objects.
    """

    method: Method
    components: tuple[read.Component, ...]
    offsets: tuple[tuple[str, tuple[int, ...]], ...] = ()
    remark: str = ""
    automatic: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report about a letter of ours, one entry per recipient that it names."""

    reports: tuple[bounce.Report, ...]
    message_ids: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """An MDN: `displayed` or another disposition (RFC 8098 §3.2.6.2)."""

    disposition: str
    message_ids: tuple[str, ...] = ()
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class AutoReply:
    """Nobody wrote this. until: the day it names, where it names one. evidence: what gave it away."""

    evidence: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """The bracketed end of a Subject that one of our mailto: links wrote. Its CHECK is still to be verified."""

    reply: Reply
    instance: Moment | None
    sequence: int
    check: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class HumanText:
    """Somebody's own words. suggestion: what the first sentence seems to say; never applied by itself (P23)."""

    text: str
    suggestion: Reply | None = None


@dataclass(frozen=True, slots=True)
class NotAnAnswer:
    """An iTIP object that is no answer to us. When it turns out to be ours (`uids` known to the store, or our ORGANIZER:
    `returned`), a message to a token address or an automatic one means `otherwise` instead (itip.md §3, 3)."""

    reason: str
    uids: tuple[str, ...] = ()
    returned: bool = False
    otherwise: "Finding | None" = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A calendar object or report that cannot be understood."""

    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing for us: ignored, and kept."""

    reason: str


Finding = Answer | Bounce | Receipt | AutoReply | LinkAnswer | HumanText | NotAnAnswer | Malformed | Nothing
