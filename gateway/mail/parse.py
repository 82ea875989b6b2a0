"""One received mail as a value: its headers, its text and its parts, within bounds (itip.md §7).

Standards: RFC 5322 (messages), 2045-2047 and 2231 (MIME), 2046 §5.2.1 (message/rfc822). The compat32 policy of the standard
library is used throughout: it is eight times as fast as the default one and does not raise on hostile headers.

On failure: `errors.Unreadable` with the reason, for what exceeds a bound and for whatever the library trips over.
Security: everything in it is hostile. Values are cut, never trusted; nothing is fetched, nothing is executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Limits:
    depth: int = 20
    parts: int = 200
    header_length: int = 16_000
    headers: int = 1_000
    text_length: int = 200_000


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree, its transfer encoding undone.

    content_type: `type/subtype` in lower case. returned: it lies inside a message/rfc822 (a forwarded or returned mail).
    fields: of message/delivery-status and similar, its groups of headers.
    """

    content_type: str
    payload: bytes = b""
    charset: str = ""
    disposition: str = ""
    filename: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    returned: bool = False
    fields: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A received mail. Addresses are in `address.normal` form; header values are decoded, cut and without line breaks.

    senders: From, Sender, Reply-To in that order, each as often as it names addresses; `from_addresses` the first alone.
    recipients: of every header that can name one. null_sender: Return-Path says "<>". received: the topmost Received header.
    headers: every value by lower-case name. authentication_results: topmost first. returned_headers: of mails inside it.
    digest: of the bytes, to tell the same mail again where it has no Message-ID.
    """

    message_id: str
    subject: str
    from_addresses: tuple[str, ...]
    from_name: str
    sender_addresses: tuple[str, ...]
    reply_to_addresses: tuple[str, ...]
    recipients: tuple[str, ...]
    in_reply_to: tuple[str, ...]
    null_sender: bool
    received: datetime | None
    date: datetime | None
    content_type: str
    report_type: str
    headers: Mapping[str, tuple[str, ...]]
    authentication_results: tuple[str, ...]
    text: str
    parts: tuple[Part, ...]
    returned_headers: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    digest: str = ""
