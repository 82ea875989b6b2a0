"""The probe: a letter of the gateway to its own mailbox, which shows whether answers can arrive.

What: answers go to sub-addresses of the mailbox (RFC 5233). Where our own server refuses those,
every answer is lost and nobody is told. So the gateway writes to a sub-address itself and waits for
the letter. What comes back also shows which authserv-id our server writes (RFC 8601).

Standards: RFC 3834 §5 (Auto-Submitted, so that no program answers), RFC 3464 (the report, where the
probe is refused later). The envelope sender is the bare mailbox: a report to a sub-address would be
lost by the same fault that it is about.

On failure: a message that is not surely ours is an ordinary message. Security: a mark is keyed with
the site secret, so nobody else can make one. A probe holds no calendar object and is from us; a
message that only repeats a mark is no probe. What a mark may still say is decided by the store,
once for each mark. Limits: a mark survives in Subject, Message-ID or the recipient; a server that
rewrites all three hides the probe.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.mail import address, bounce, compose, header, parse, prose, trust

PREFIX = "probe-"
MARK = re.compile(r"probe-([0-9a-f]{6,14})-([a-z2-7]{16})", re.ASCII | re.IGNORECASE)
CHECK_BYTES = 10
"""80 bits, as in answer links: guessing is hopeless over mail, and a local part stays short."""
LONGEST = 2_000
"""Characters of one field in which a mark is looked for."""
TEXT = """\
This message was sent by invite-gateway to its own mailbox, to see whether answers of invitees
arrive. It needs no answer and may be deleted.
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A probe, or a report about one.

    mark: which probe it is.
    refused: None for the probe itself; "" for a report that it is late or delivered; else why our
    server gave it up.
    writers: of the probe itself, the authserv-ids in its Authentication-Results, topmost first.
    """

    mark: str
    refused: str | None = None
    writers: tuple[str, ...] = ()


def mark(secret: bytes, issued: datetime) -> str:
    """The mark of a probe that begins at `issued`; each millisecond has its own."""
    number = f"{int(issued.timestamp() * 1000):x}"
    return f"{PREFIX}{number}-{_check(secret, number)}"


def recipient(mailbox: str, mark_: str, *, plain: bool) -> str:
    """Where the probe goes: a sub-address, or the bare mailbox where invitees write to that."""
    return mailbox if plain else address.token_address(mailbox, mark_)


def letter(mailbox: str, to: str, mark_: str, at: datetime) -> bytes:
    """The probe as it leaves."""
    envelope = compose.Envelope(
        author=compose.Mailbox("invite-gateway", mailbox),
        recipient=compose.Mailbox("", to),
        reply_to=mailbox,
        message_id=f"{mark_}@{address.domain(mailbox)}",
        date=at.astimezone(UTC),
    )
    return compose.note(envelope, f"invite-gateway delivery test [{mark_}]", TEXT, "en")


def without_marks(words: str) -> str:
    """A server's words that are the same for each probe, which it may have named."""
    return MARK.sub("…", " ".join(words.split()))


def read(message: parse.Message, secret: bytes, mailboxes: Iterable[str]) -> Sighting | None:
    """The probe that a message is, or reports on; None for every other message."""
    mark = _valid(_places(message, mailboxes), secret)
    if mark is None:
        return None
    if _is_report(message):
        return Sighting(mark, refused=_refused(message))
    writers = (trust.writer(value) for _, value in message.authentication_results)
    return Sighting(mark, writers=tuple(dict.fromkeys(name for name in writers if name)))


def of_another(message: parse.Message, mailboxes: Iterable[str]) -> bool:
    """Whether a message that is no probe of ours has the looks of one: a gateway with another store
    may read this mailbox, too, and waits for it.
    """
    return any(MARK.search(value[:LONGEST]) for value in _places(message, mailboxes))


def issued(mark_: str) -> int:
    """When a mark of ours was made, in milliseconds."""
    match = MARK.fullmatch(mark_)
    return int(match[1], 16) if match is not None else 0


def _is_report(message: parse.Message) -> bool:
    return bounce.is_report(message) or bool(message.null_sender and prose.verdict(message))


def _places(message: parse.Message, mailboxes: Iterable[str]) -> tuple[str, ...]:
    """Where a mark may stand in a message that may be a probe, or a report about one."""
    if _is_report(message):
        subjects = (
            header.words(value)
            for head in message.returned_headers
            for value in head.get("subject", ())[:1]
        )
        recipients = (
            recipient for report in bounce.read(message) for recipient in report.recipients
        )
        return (*bounce.message_ids(message), *subjects, *recipients)
    own = tuple(mailboxes)
    from_us = len(message.from_addresses) == 1 and address.is_ours(message.from_addresses[0], own)
    bare = all(part.content_type.startswith("text/") for part in message.parts)
    if not from_us or not bare or any(part.is_calendar for part in message.parts):
        return ()
    return (message.subject, message.message_id, *message.recipients)


def _refused(message: parse.Message) -> str:
    """Why a report gives a probe up; "" where it does not."""
    reports = bounce.read(message)
    failed = next((report for report in reports if report.action == "failed"), None)
    if failed is None:
        return ""
    return failed.diagnostic or failed.status or "no reason was given"


def _valid(values: Iterable[str], secret: bytes) -> str | None:
    """The first mark of ours. Relays turn local parts into upper case (itip.md §1)."""
    for value in values:
        for match in MARK.finditer(value[:LONGEST]):
            number, check = match[1].lower(), match[2].lower()
            if hmac.compare_digest(check, _check(secret, number)):
                return f"{PREFIX}{number}-{check}"
    return None


def _check(secret: bytes, number: str) -> str:
    digest = hmac.digest(secret, f"probe\0{number}".encode(), hashlib.sha256)
    return base64.b32encode(digest[:CHECK_BYTES]).decode("ascii").lower()
