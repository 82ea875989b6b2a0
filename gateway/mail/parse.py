"""One received mail as a value: its headers, its text and its parts, within bounds (itip.md §7).

Standards: RFC 5322 (messages), 2045-2047 and 2231 (MIME), 2046 §5.2.1 (message/rfc822). The
compat32 policy of the standard library is used throughout: it is eight times as fast as the default
one and does not raise on hostile headers. Its parser reads what is not plainly written (`mime`).

On failure: `errors.Unreadable` with the reason, for what exceeds a bound and for whatever the
library trips over. Security: everything in it is hostile. Values are cut, never trusted; nothing is
fetched, nothing is executed.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.feedparser import BytesFeedParser
from email.message import Message as Tree
from email.parser import BytesHeaderParser
from email.policy import Compat32, compat32
from email.utils import collapse_rfc2231_value, parsedate_to_datetime
from typing import Any

from gateway.errors import Unreadable
from gateway.mail import cms, header, markup, mime

RECIPIENT_HEADERS = (
    "to",
    "cc",
    "bcc",
    "delivered-to",
    "x-delivered-to",
    "x-original-to",
    "x-original-delivered-to",
    "envelope-to",
    "x-envelope-to",
    "x-rcpt-to",
    "x-real-to",
    "x-forwarded-to",
    "apparently-to",
    "original-recipient",
    "resent-to",
    "resent-cc",
    "resent-bcc",
)
Headers = Mapping[str, tuple[str, ...]]
"""Values by lower-case name."""

CALENDAR_TYPES = frozenset(
    {
        "text/calendar",
        "text/x-vcalendar",
        "application/ics",
        "application/calendar",
        "text/ics",
        "application/x-ics",
        "application/vnd.ms-outlook.ics",
    }
)
TNEF_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
CALENDAR_NAMES = (".ics", ".ical", ".vcs", ".ifb", ".icalendar")
REFERENCES = 100
YEARS = range(1970, 3000)
"""Those of mails."""
HEADER = 100_000
"""Octets in which the fields of a mail's header are looked for before it is read."""
OPENED = 10
"""S/MIME parts of one mail that are opened; together they may hold `cms.LARGEST`."""
NULL_SENDER = re.compile(r"<>|<?mailer-daemon(?:@[^\s<>]*)?>?", re.IGNORECASE)
"""How delivering servers write the empty reverse path; sendmail and qmail put a name there."""
LOST_BOUNDARY = re.compile(rb'\A\s*boundary="?([^"\r\n]{1,70})"?[ \t]*\r?\n')
"""A parameter of Content-Type on a line of its own that is not indented (Verizon's gateway): the
parser takes it for the first line of the text.
"""
RECEIVED_FOR = re.compile(r"\bfor\s+<([^<>\s]{3,320})>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one message; the size in bytes is the caller's, who need not read what is too
    large.
    """

    depth: int = 20
    parts: int = 200
    header_length: int = 16_000
    headers: int = 1_000
    text_length: int = 200_000


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of the MIME tree, its transfer encoding undone; `payload` is empty for kinds that
    can hold no answer.

    content_type: `type/subtype` in lower case. returned: it lies inside a message/rfc822 (a
    forwarded or returned mail). fields: of message/delivery-status and
    message/disposition-notification, their groups of headers by lower-case name. closed: why the
    mail inside it cannot be read (encrypted, or broken S/MIME).
    """

    content_type: str
    payload: bytes = b""
    charset: str = ""
    disposition: str = ""
    filename: str = ""
    returned: bool = False
    fields: tuple[Mapping[str, str], ...] = ()
    closed: str = ""

    @property
    def is_calendar(self) -> bool:
        return self.content_type in CALENDAR_TYPES or self.filename.lower().endswith(CALENDAR_NAMES)

    @property
    def is_tnef(self) -> bool:
        return self.content_type in TNEF_TYPES or self.filename.lower() == "winmail.dat"

    @property
    def is_smime(self) -> bool:
        """A whole mail may be inside. Gateways lose the type and leave the name."""
        return self.content_type in cms.TYPES or (
            self.content_type == "application/octet-stream"
            and self.filename.lower().endswith(cms.NAMES)
        )

    @property
    def text(self) -> str:
        return header.clean(header.decode(self.payload, self.charset))


@dataclass(frozen=True, slots=True)
class Message:
    """A received mail. Addresses are in `address.normal` form; header values are cut and without
    line breaks.

    author: the one sender that From names; "" where it names several, stands there twice, or cannot
    be read. recipients: of every header that can name one, and of "for" in Received. null_sender:
    the envelope says "<>", or MAILER-DAEMON. received: the topmost Received header. headers: every
    value by lower-case name, as written, without line breaks. authentication_results: (Received
    headers above it, value), topmost first. returned_headers: of mails inside this one. text: the
    human-readable body, of HTML where there is nothing else. digest: of the bytes, to tell the same
    mail again where it has no Message-ID.
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
    authentication_results: tuple[tuple[int, str], ...]
    text: str
    parts: tuple[Part, ...]
    returned_headers: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    digest: str = ""
    author: str = ""

    def header(self, name: str) -> str:
        """The first value of a header, "" where there is none."""
        return self.headers.get(name, ("",))[0]

    @property
    def senders(self) -> tuple[str, ...]:
        """Everybody in the header who may have sent it: to look up, not to believe."""
        return (*self.from_addresses, *self.sender_addresses, *self.reply_to_addresses)

    @property
    def html(self) -> str:
        """What the HTML parts say, beside `text` of the plain ones."""
        return _html(self.parts)[: Limits().text_length]


def read(raw: bytes, limits: Limits = Limits()) -> Message:
    """A message from its bytes, whatever its line ends, with or without an mbox line. Raises
    `Unreadable`.
    """
    try:
        return _message(_tree(raw.lstrip(b"\xef\xbb\xbf\r\n"), _Bounded(limits)), raw, limits)
    except Unreadable:
        raise
    # Whatever the library trips over is the message's fault, not ours to die of; the list is what
    # it was seen to raise.
    except (
        MessageError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
        AssertionError,
    ) as error:
        raise Unreadable(
            f"the message cannot be parsed: {type(error).__name__}: {str(error)[:200]}"
        ) from error


def _tree(raw: bytes, bounds: "_Bounded") -> Tree:
    before = bounds.count
    try:
        tree = mime.plain(raw, bounds)
    except Unreadable:
        tree = None  # too much of something: in which words, the library's order says
    if tree is not None:
        return tree
    bounds.count = before
    parser = BytesFeedParser(bounds)
    parser.feed(raw)
    return parser.close()


class _Bounded:
    """Makes the nodes of one message's tree and stops when there are too many or too deep ones.
    `depth`: of the first node, in a mail inside S/MIME.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        self.opened = 0
        self.inside = 0
        self.depth = 1

    def __call__(self, policy: Compat32 = compat32) -> "_Node":
        self.count += 1
        if self.count > 2 * self.limits.parts:  # leaves and their containers
            raise Unreadable(f"more than {self.limits.parts} parts")
        return _Node(policy, self)


class _Node(Tree):
    """A tree node that knows its depth and cuts its headers before the library looks into them.

    The library's parameter parser takes quadratic time in the length of a header.
    """

    def __init__(self, policy: Compat32, bounds: _Bounded) -> None:
        super().__init__(policy)
        self.depth = bounds.depth
        self.bounds = bounds
        self.limits = bounds.limits
        self.header_count = 0

    def attach(self, payload: Tree) -> None:  # type: ignore[override]  # the parser attaches nodes only
        assert isinstance(payload, _Node)
        payload.depth = self.depth + 1
        if payload.depth > self.limits.depth:
            raise Unreadable(f"parts nested deeper than {self.limits.depth}")
        super().attach(payload)

    def set_raw(self, name: str, value: str) -> None:
        self.header_count += 1
        if self.header_count <= self.limits.headers:
            super().set_raw(name[:200], value[: self.limits.header_length])
        elif self.depth == self.bounds.depth:  # whose the mail is may stand in what is left out
            raise Unreadable(f"more than {self.limits.headers} header fields")


def _message(tree: Tree, raw: bytes, limits: Limits) -> Message:
    headers = _headers(tree)
    leaves, returned = list[Part](), list[Headers]()
    _walk(tree, False, leaves, returned)
    if len(leaves) > limits.parts:
        raise Unreadable(f"more than {limits.parts} parts")
    senders = header.mailboxes(*headers.get("from", ()))
    from_name = senders[0].name if senders else ""
    author = header.author(headers.get("from", ()))
    subject = header.words(headers.get("subject", ("",))[0])
    date = moment(headers["date"][0]) if "date" in headers else None
    report_type = _parameters(tree, "content-type").get("report-type", "").lower()
    results = tuple(_authentication_results(tree))
    text = _text(leaves)[: limits.text_length]
    digest = hashlib.sha256(raw).hexdigest()
    return Message(
        _message_id(headers),
        subject,
        _addresses(headers, "from"),
        from_name,
        _addresses(headers, "sender"),
        _addresses(headers, "reply-to"),
        _recipients(headers),
        _references(headers),
        _is_null_sender(headers),
        _received(headers),
        date,
        tree.get_content_type(),
        report_type,
        headers,
        results,
        text,
        tuple(leaves),
        tuple(returned),
        digest,
        author,
    )


def _message_id(headers: Headers) -> str:
    return next(iter(header.message_ids(*headers.get("message-id", ())[:1])), "")


def _addresses(headers: Headers, name: str) -> tuple[str, ...]:
    return tuple(mailbox.address for mailbox in header.mailboxes(*headers.get(name, ())))


def _recipients(headers: Headers) -> tuple[str, ...]:
    values = [value for name in RECIPIENT_HEADERS for value in headers.get(name, ())]
    received = headers.get("received", ())
    values += [address for value in received for address in RECEIVED_FOR.findall(value)]
    return header.any_addresses(*values)


def _references(headers: Headers) -> tuple[str, ...]:
    values = [*headers.get("in-reply-to", ()), *headers.get("references", ())]
    return header.message_ids(" ".join(values))[:REFERENCES]


def _is_null_sender(headers: Headers) -> bool:
    envelope = (headers.get(name, ())[:1] for name in ("return-path", "x-envelope-from"))
    return any(NULL_SENDER.fullmatch(value.strip()) for values in envelope for value in values)


def _received(headers: Headers) -> datetime | None:
    """The time of the topmost Received header."""
    values = headers.get("received", ())
    return moment(values[0].rpartition(";")[2]) if values else None


def moment(text: str) -> datetime | None:
    """A date of RFC 5322 §3.3 as a UTC instant, or None, also where no mail can be of that year.
    "-0000" says UTC of an unknown place.
    """
    try:
        moment = parsedate_to_datetime(text.strip()[:100])
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return utc if utc.year in YEARS else None
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def received(raw: bytes) -> datetime | None:
    """The time of the topmost Received header, None where there is none that can be read."""
    value = str(BytesHeaderParser().parsebytes(raw[:HEADER]).get("Received", ""))
    return moment(header.unfold(value).rpartition(";")[2])


def is_whole(raw: bytes) -> bool:
    """Whether a mail has a body that nothing seems to be missing of: it ends with a line, and where
    it has parts, with their last boundary (RFC 2046 §5.1.1).
    """
    head = BytesHeaderParser().parsebytes(raw[:HEADER])
    body = re.search(rb"\r?\n\r?\n", raw)
    if body is None or not raw.endswith(b"\n"):
        return False
    boundary = _parameters(head, "content-type").get("boundary", "")
    if head.get_content_maintype() != "multipart" or not boundary:
        return True
    return b"\n--" + boundary.encode("utf-8", "replace") + b"--" in raw[body.start() :]


def _headers(tree: Tree) -> dict[str, tuple[str, ...]]:
    fields = dict[str, list[str]]()
    for name, value in tree.raw_items():
        fields.setdefault(name.lower(), []).append(header.unfold(str(value)))
    return {name: tuple(values) for name, values in fields.items()}


def _authentication_results(tree: Tree) -> Iterator[tuple[int, str]]:
    hops = 0
    for name, value in tree.raw_items():
        hops += name.lower() == "received"
        if name.lower() == "authentication-results":
            yield hops, header.unfold(str(value))


def _walk(tree: Tree, returned: bool, leaves: list[Part], heads: list[Headers]) -> None:
    """Leaves in the order of the message. Its depth is bounded by then."""
    kind, content = tree.get_content_type(), _content(tree)
    if kind == "message/rfc822" and content is not None:
        for inner in content:
            heads.append(_headers(inner))
            _walk(inner, True, leaves, heads)
    elif kind.startswith("message/") and content is not None:
        leaves.append(_leaf(tree, kind, returned))  # delivery-status and the like: groups of fields
    elif content is not None:
        for inner in content:
            _walk(inner, returned, leaves, heads)
    elif kind.startswith("multipart/") and (mended := _mended(tree, kind)) is not None:
        _walk(mended, returned, leaves, heads)
    else:
        _take_leaf(tree, kind, returned, leaves, heads)


def _content(tree: Tree) -> list[Tree] | None:
    """The parts of a node; None of a leaf, which would be decoded, by whatever charset."""
    content = tree.get_payload() if tree.is_multipart() else None
    if not isinstance(content, list):
        return None
    return [inner for inner in content if isinstance(inner, Tree)]


def _take_leaf(
    tree: Tree,
    kind: str,
    returned: bool,
    leaves: list[Part],
    heads: list[Headers],
) -> None:
    """A leaf; of S/MIME the mail inside it, where that can be read."""
    part = _leaf(tree, kind, returned)
    if part.is_smime and isinstance(tree, _Node):
        opened = _opened(tree, part)
        if isinstance(opened, Tree):
            _walk(opened, returned, leaves, heads)
            return
        part = opened
    leaves.append(part)
    if kind in ("text/rfc822-headers", "message/rfc822-headers"):
        parser = BytesFeedParser(_Bounded(Limits()))
        parser.feed(part.payload)
        heads.append(_headers(parser.close()))


def _mended(tree: Tree, kind: str) -> Tree | None:
    """The parts of a multipart whose boundary stands where its text should begin; None where there
    is none.
    """
    payload = tree.get_payload(decode=True)
    match = LOST_BOUNDARY.match(payload) if isinstance(payload, bytes) else None
    if match is None or not isinstance(payload, bytes) or not isinstance(tree, _Node):
        return None
    parser = BytesFeedParser(_Bounded(replace(tree.limits, depth=tree.limits.depth - tree.depth)))
    parser.feed(b'Content-Type: %s; boundary="%s"\r\n\r\n' % (kind.encode(), match[1]))
    parser.feed(payload[match.end() :])
    mended = parser.close()
    # A text that says "boundary" and has none is a text; what is mended is not mended again.
    return mended if mended.is_multipart() else None


def _groups(nodes: Sequence[Tree]) -> tuple[Mapping[str, str], ...]:
    """Groups of fields, those that say something."""
    groups = ({name: values[0] for name, values in _headers(node).items()} for node in nodes)
    return tuple(group for group in groups if group)


def _leaf(tree: Tree, kind: str, returned: bool) -> Part:
    content, disposition = (
        _parameters(tree, "content-type"),
        _parameters(tree, "content-disposition"),
    )
    filename = header.words(disposition.get("filename", "") or content.get("name", ""))[:255]
    part = Part(
        content_type=kind,
        charset=content.get("charset", ""),
        filename=filename,
        returned=returned,
        disposition=(tree.get_content_disposition() or "").lower() if disposition else "",
    )
    if (nodes := _content(tree)) is not None:
        return replace(part, fields=_groups(nodes))
    payload = tree.get_payload(decode=True) if _may_speak(part) else b""
    assert isinstance(payload, bytes | None)
    if kind == "message/disposition-notification":
        return replace(part, payload=payload or b"", fields=_fields(payload or b""))
    return replace(part, payload=payload or b"")


def _opened(tree: "_Node", part: Part) -> Tree | Part:
    """The mail inside an S/MIME part as a tree, within the bounds of the whole; the part itself,
    closed, where it cannot be read.
    """
    tree.bounds.opened += 1
    if tree.bounds.opened > OPENED:
        raise Unreadable(f"more than {OPENED} mails inside S/MIME")
    if tree.depth >= tree.limits.depth:
        raise Unreadable(f"parts nested deeper than {tree.limits.depth}")
    try:
        inside = cms.content(part.payload)
    except cms.Sealed:
        return replace(part, closed="the mail is encrypted (S/MIME), and nobody here has the key")
    except Unreadable as error:
        if part.content_type not in cms.TYPES:
            return part  # a file that is only called so
        return replace(part, closed=f"the mail is inside S/MIME that cannot be opened: {error}")
    tree.bounds.inside += len(inside)
    if tree.bounds.inside > cms.LARGEST:
        raise Unreadable(f"more than {cms.LARGEST} octets inside S/MIME")
    tree.bounds.depth = tree.depth + 1
    return _tree(inside, tree.bounds)


def _fields(payload: bytes) -> tuple[Mapping[str, str], ...]:
    parser = BytesFeedParser(_Bounded(Limits()))
    parser.feed(payload.lstrip(b"\r\n"))
    return ({name: values[0] for name, values in _headers(parser.close()).items()},)


def _may_speak(part: Part) -> bool:
    """Whether a part can carry an answer, a report or a text; pictures and the like need not be
    decoded.
    """
    return (
        part.content_type.startswith(("text/", "message/"))
        or part.is_calendar
        or part.is_tnef
        or part.is_smime
    )


def _parameters(tree: Tree, name: str) -> dict[str, str]:
    """The parameters of a structured header, first of each, decoded (RFC 2231). Its own value
    stands under its own name.
    """
    parameters = dict[str, str]()
    values: list[tuple[str, Any]] = tree.get_params([], name)  # text, or (charset, language, text)
    for key, value in values:
        text = collapse_rfc2231_value(value) if isinstance(value, tuple) else value
        parameters.setdefault(key.lower(), header.clean(str(text or "")).strip()[:1_000])
    return parameters


def _text(parts: Sequence[Part]) -> str:
    """What a person reads: the plain parts, else what the HTML ones say. Returned mails do not
    count.
    """
    plain = "\n".join(
        part.text
        for part in _bodies(parts)
        if part.content_type == "text/plain" and not part.is_calendar
    ).strip()
    return plain or _html(parts)


def _html(parts: Sequence[Part]) -> str:
    return "\n".join(
        header.clean(markup.text(part.text))
        for part in _bodies(parts)
        if part.content_type == "text/html"
    ).strip()


def _bodies(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not part.returned and part.disposition != "attachment"]
