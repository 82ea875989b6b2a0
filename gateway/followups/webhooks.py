"""What a CRM is told by webhooks, when it is told again, how that is signed, and where it may go.

Standards: Standard Webhooks 1.0 (the three headers, HMAC-SHA256, `whsec_` secrets). The journal is
the one sequence: an entry that means something to a CRM is one event, and its number the event's.
Pure. Security: an address is judged after its name was resolved, and nothing but that address is
connected to; see `is_refused`.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from gateway.errors import InputError
from gateway.i18n import Phrase, Quote, marked
from gateway.model import Outcome

PREFIX = "whsec_"
SECRET_OCTETS = 32
LONGEST_URL = 2_000
PORTS = {"http": 80, "https": 443}
GIVEN_UP = timedelta(days=3)
"""An event that nobody took is given up by the first try that fails so long after it."""
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between one try and the next (Standard Webhooks, "Deliverability and Reliability")."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
ROTATION = timedelta(days=1)
"""So long a former secret signs beside the new one."""


BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What a receiver says that is not about the event."""


class EventType(StrEnum):
    """The types of events, as `types` of a webhook names them."""

    ANSWERED = "participant.answered"
    SEEN = "participant.seen"
    MOVED = "participant.moved"
    PROPOSED = "participant.proposed"
    WROTE = "participant.wrote"
    HELD = "participant.held"
    DELEGATED = "participant.delegated"
    AWAY = "participant.away"
    DELIVERED = "participant.delivered"
    UNDELIVERABLE = "participant.undeliverable"
    ADDED = "participant.added"
    REMOVED = "participant.removed"
    CREATED = "follow_up.created"
    CHANGED = "follow_up.changed"
    CANCELLED = "follow_up.cancelled"
    REINSTATED = "follow_up.reinstated"
    OPENED = "decision.opened"
    CLOSED = "decision.closed"
    TEST = "webhook.test"
    """What the administrator sends to try it; no webhook needs to name it."""


OF_PARTICIPANTS = {
    Outcome.APPLIED: EventType.ANSWERED,
    "toggled": EventType.ANSWERED,
    "counts_after_all": EventType.ANSWERED,
    Outcome.SEEN: EventType.SEEN,
    "moved": EventType.MOVED,
    Outcome.PROPOSAL: EventType.PROPOSED,
    Outcome.COMMENT: EventType.WROTE,
    Outcome.HELD: EventType.HELD,
    Outcome.PARTY_CRASHER: EventType.HELD,
    Outcome.DELEGATED: EventType.DELEGATED,
    Outcome.AWAY: EventType.AWAY,
    Outcome.DELIVERED: EventType.DELIVERED,
    Outcome.BOUNCED: EventType.UNDELIVERABLE,
    "undeliverable": EventType.UNDELIVERABLE,
    "added": EventType.ADDED,
    "removed": EventType.REMOVED,
}
"""By the event of a journal entry that is about a participant."""
CHANGES = (
    "changed",
    "rescheduled",
    "stopped",
    "split",
    "date_moved",
    "date_added",
    "date_removed",
    "date_cancelled",
    "date_reinstated",
    "completed",
    "reopened",
    "carried_out",
    "taken_back",
)
"""Events of the journal that say which change it was."""
OF_FOLLOW_UPS = {
    **dict.fromkeys(CHANGES, EventType.CHANGED),
    "created": EventType.CREATED,
    "cancelled": EventType.CANCELLED,
    "deleted": EventType.CANCELLED,
    "reinstated": EventType.REINSTATED,
    Outcome.PARTY_CRASHER: EventType.HELD,
}
"""The same of one that is about a follow-up alone."""
OF_DECISIONS = {"decision_opened": EventType.OPENED, "decision_closed": EventType.CLOSED}
OF_LETTERS_TOO = frozenset({EventType.UNDELIVERABLE, EventType.DELIVERED})
"""Types that a journal entry about a letter may have; of the others it is the letter's own affair
(`held` by the brake).
"""


def event_type(
    event: str, *, follow_up: bool, participant: bool, letter: bool = False
) -> EventType | None:
    """What a journal entry is to a CRM, by its event and by what it is about; None: nothing."""
    if event in OF_DECISIONS:
        return OF_DECISIONS[event]
    if not follow_up:
        return None
    subject = (OF_PARTICIPANTS if participant else OF_FOLLOW_UPS).get(event)
    return None if letter and subject not in OF_LETTERS_TOO else subject


def check_types(types: Collection[str]) -> None:
    """Raises `InputError` for a type that there is not."""
    names = [kind.value for kind in EventType if kind is not EventType.TEST]
    if unknown := sorted(set(types) - set(names)):
        raise InputError(
            marked("types: %(type)r is none; there are %(words)s"),
            type=unknown[0],
            words=", ".join(names),
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What came of a request. `code`: the HTTP status, None where no answer came; `words`: why it
    was no success; `pause`: for how long the receiver wants to be left alone (Retry-After).
    """

    code: int | None
    words: str = ""
    pause: timedelta = timedelta()

    @property
    def is_success(self) -> bool:
        return self.code is not None and 200 <= self.code < 300

    @property
    def is_about_receiver(self) -> bool:
        """Whether any other event would fare the same."""
        return self.code is None or self.code in BUSY

    @property
    def trouble(self) -> str:
        """What is wrong, for people."""
        return self.words or f"HTTP status {self.code}"


def next_try(tries: int, since: datetime, now: datetime) -> datetime | None:
    """When an event of the moment `since` is tried again that failed so often; None: it is given
    up.
    """
    if now - since > GIVEN_UP:
        return None
    return now + WAITS[min(tries, len(WAITS)) - 1]


def new_secret(random: bytes) -> str:
    """A secret from `SECRET_OCTETS` random octets, as it is shown once."""
    return PREFIX + base64.b64encode(random).decode("ascii")


def signatures(secrets: Collection[str], name: str, at: datetime, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret, the newest first."""
    signed = f"{name}.{int(at.timestamp())}.".encode() + body
    return " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes. `host` as it is resolved and named in the certificate."""

    scheme: str
    host: str
    port: int


def target(url: str) -> Target:
    """The parts of a webhook's URL. Raises `InputError` for what is none, and for http beyond this
    machine: the body tells who meets whom.
    """
    if len(url) > LONGEST_URL or not re.fullmatch(r"[!-~]+", url):
        words = marked("not an ASCII URL of at most %(most)s characters")
        raise _wrong(Phrase(words, most=LONGEST_URL))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(Quote(error)) from None
    if problem := _problem(parts):
        raise _wrong(problem)
    return Target(parts.scheme, parts.hostname or "", port or PORTS[parts.scheme])


def _wrong(problem: str) -> InputError:
    return InputError(marked("url: %(problem)s"), [(("url",), problem)], problem=problem)


def check(url: str, allowed: Collection[str]) -> None:
    """Raises `InputError` for what `target` refuses, and for an address in the URL itself to which
    nothing would ever be sent. What a name leads to is seen when it is sent.
    """
    host = target(url).host
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return
    if is_refused(host, address, allowed):
        words = marked("%(host)s is not public; an administrator names it in webhooks.hosts")
        raise _wrong(Phrase(words, host=host))


def _problem(parts: SplitResult) -> str:
    if parts.scheme not in PORTS or not parts.hostname:
        return marked("expected https://HOST/…")
    if parts.username is not None:
        return marked("a user name or password does not belong into it")
    if parts.fragment:
        return marked("what stands behind # is never sent")
    if parts.scheme == "http" and not is_here(parts.hostname):
        return marked("http goes to this machine only; use https")
    return ""


def is_here(host: str) -> bool:
    """Whether a URL names this machine itself, in so many words."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_refused(host: str, address: str, allowed: Collection[str]) -> bool:
    """Whether nothing is sent to this address of a webhook's host: one of this machine, of a local
    network, or any other that is not public. `allowed`: hosts for which an administrator said
    otherwise (`webhooks.hosts`). An administrator who names this machine itself means it.
    """
    if host.lower() in {name.lower() for name in allowed}:
        return False
    number = ipaddress.ip_address(address.partition("%")[0])
    inner = _inner(number)
    if inner is not None:
        return is_refused(host, str(inner), allowed)
    if number.is_loopback:
        return not is_here(host)
    return not number.is_global or number.is_multicast


def _inner(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which an IPv6 address leads (RFC 4291 §2.5.5, RFC 3056, RFC 4380,
    RFC 6052).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
