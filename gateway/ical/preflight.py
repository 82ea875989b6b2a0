"""The last look at a letter before it is handed to SMTP: what makes clients refuse or misread an
invitation (P13-P19).

It reads the finished bytes and shares no code with the writer: a mistake in `ics` or in
`mail.compose` cannot hide itself. A problem is a bug of ours: the outbox row is held, and says
which rule is broken. Standards: RFC 5322 and RFC 2046 (the mail), RFC 6047 §2.4 (Content-Type); the
calendar object is `inspection`'s. Never raises on bytes.
"""

import binascii
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

from gateway.ical import inspection
from gateway.ical.inspection import Problem
from gateway.model import Letter, Method

MOST_BYTES = 1_000_000
"""Whole letter. Gmail and Exchange stop reading calendar parts of about this size; relays refuse
more than they do.
"""
MIME = re.compile(
    rb"^(?:Content-|MIME-)[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE
)
FIELD = re.compile(rb"([!-9;-~]+):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
MAILBOX = re.compile(
    r'(?:"(?:[^"\\]|\\.)*"|[^"<>@,;]*)[ \t]*<([^<>\s,;]+@[^<>\s,;]+)>|([^<>\s,;"]+@[^<>\s,;"]+)'
)
"""RFC 5322 §3.4 as far as we write it: a quoted or encoded name, and one address."""
BOUNDARY = re.compile(rb'boundary="([^"\r\n]*)"')


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A part that holds no others, without its content."""

    kind: str
    method: str | None
    encoding: str


def check(content: bytes, letter: Letter, account: str) -> list[Problem]:
    """Everything that is wrong with the finished mail of a letter; empty when it may leave.

    `account`: the address of the account that sends it. It need not be of the domain to which the
    invitee answers: an invitation keeps its ORGANIZER for life, an account may move.
    """
    problems = list(_bytes(content))
    fields, broken = _fields(content)
    problems += [*broken, *_headers(fields, letter, account)]
    if letter.method is Method.NONE:
        return list(dict.fromkeys([*problems, *_words(fields)]))
    skeleton, bodies = _opened(content)
    faults, leaves = _structure(skeleton)
    problems += faults
    if len(leaves) != len(bodies):
        problems.append(Problem("P15", "the parts of the mail cannot be told apart"))
    objects = dict[bytes, None]()
    for leaf, body in zip(leaves, bodies, strict=False):
        if leaf.kind == "text/calendar" and leaf.method != letter.method.value:
            problems.append(
                Problem(
                    "P15",
                    f"method={leaf.method} in Content-Type, the letter is a {letter.method.value}",
                )
            )
        if leaf.kind in ("text/calendar", "application/ics"):
            objects[_decoded(body, leaf.encoding)] = None
    for calendar in objects:
        problems += inspection.calendar(calendar, letter)
    if len(objects) > 1:
        problems.append(Problem("P16", "the attachment differs from the calendar part"))
    return list(dict.fromkeys(problems))


def _bytes(content: bytes) -> Iterator[Problem]:
    if len(content) > MOST_BYTES:
        yield Problem("P15", f"the letter has {len(content)} bytes, more than {MOST_BYTES}")
    if inspection.breaks_badly(content):
        yield Problem("P15", "a line of the mail does not end in CRLF")
    if max(map(len, content.split(b"\r\n"))) > 998:
        yield Problem("P15", "a line of the mail is longer than 998 octets (RFC 5322 §2.1.1)")
    if not content.isascii():
        yield Problem("P15", "the mail is not 7-bit")


def _opened(content: bytes) -> tuple[bytes, list[bytes]]:
    """The structure of the mail, the same for all mails built alike, and the contents of its leaves
    in their order.

    RFC 2046 §5.1.1: a delimiter is a line that begins with two hyphens and a boundary that a header
    field has named.
    """
    boundaries = sorted({*BOUNDARY.findall(content)}, key=len, reverse=True)
    first, *rest = content.split(b"\r\n--")
    pieces, bodies = [first], list[bytes]()
    for piece in rest:
        if piece.startswith(tuple(boundaries)):
            pieces.append(piece)
        else:
            pieces[-1] += b"\r\n--" + piece
    for number, piece in enumerate(pieces):
        fields, blank, body = piece.partition(b"\r\n\r\n")
        pieces[number] = (fields if number else b"".join(MIME.findall(fields + b"\r\n"))) + blank
        bodies += [body] if blank else []
    skeleton = b"\r\n--".join(pieces)
    for number, boundary in enumerate(boundaries):
        skeleton = skeleton.replace(boundary, b"boundary%d" % number)
    return skeleton, bodies


@lru_cache(maxsize=256)
def _structure(skeleton: bytes) -> tuple[tuple[Problem, ...], tuple[_Leaf, ...]]:
    message = email.message_from_bytes(skeleton, policy=email.policy.compat32)
    faults = [
        Problem("P15", f"defect of the MIME structure: {type(defect).__name__} {defect}".rstrip())
        for part in message.walk()
        for defect in part.defects
    ]
    leaves = [
        _Leaf(
            part.get_content_type(),
            str(part.get_param("method")),
            str(part.get("Content-Transfer-Encoding", "")).lower(),
        )
        for part in message.walk()
        if not part.is_multipart()
    ]
    return (*faults, *_layout(message)), tuple(leaves)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding != "base64":
        return binascii.a2b_qp(body) if encoding == "quoted-printable" else body
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return b""


def _fields(content: bytes) -> tuple[dict[str, list[str]], list[Problem]]:
    """The header fields by lower-case name, unfolded, and the lines that are no field.

    RFC 5322 §2.2: a name of printable characters, a colon, a value that ends in CRLF and goes on in
    lines that begin with white space. Our own grammar and not `email`: what that calls a defect
    differs between patch releases of Python, and here a defect holds a letter back.
    """
    block = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    fields, problems, position = dict[str, list[str]](), list[Problem](), 0
    while position < len(block):
        field = FIELD.match(block, position)
        if field is None:
            line = block[position:].partition(b"\r\n")[0]
            problems.append(Problem("P15", f"a line of the header is no field: {line[:60]!r}"))
            position += len(line) + 2
            continue
        value = field[2].replace(b"\r\n", b"").decode("ascii", "replace").strip()
        fields.setdefault(field[1].decode("ascii").lower(), []).append(value)
        position = field.end()
    return fields, problems


def _address(values: list[str]) -> str:
    """The one address of a field; "" where there is none, or more than one."""
    mailbox = MAILBOX.fullmatch(values[0]) if len(values) == 1 else None
    return (mailbox[1] or mailbox[2]) if mailbox else ""


def _headers(fields: dict[str, list[str]], letter: Letter, account: str) -> Iterator[Problem]:
    for name in ("From", "To", "Date", "Message-ID", "Subject", "Reply-To"):
        if len(fields.get(name.lower(), [])) != 1:
            yield Problem("P19", f"the header {name} does not stand there exactly once")
    author = _address(fields.get("from", []))
    if not inspection.same(author, account):
        yield Problem("P19", f"From is not the account's address: {author}")
    if inspection.same(author, letter.address):
        yield Problem("P19", "From is the recipient")
    answers_go_to = (
        letter.remarks.reply_to if letter.method is Method.NONE else letter.organizer_address
    )
    if _address(fields.get("reply-to", [])).casefold() != answers_go_to.casefold():
        yield Problem("P17", "Reply-To is not the address that is read for this letter")
    if not inspection.same(_address(fields.get("to", [])), letter.address):
        yield Problem("P19", "the letter is not addressed to its recipient alone")
    if fields.get("message-id") != [f"<{letter.message_id}>"]:
        yield Problem("P13", "Message-ID is not the one of the outbox row")


def _words(fields: dict[str, list[str]]) -> Iterator[Problem]:
    """P23: what is passed on is plain text, and says that a program sent it, so that no program
    answers.
    """
    kind = "".join(fields.get("content-type", [])).partition(";")[0].strip().lower()
    if kind != "text/plain":
        yield Problem("P23", f"words are passed on as {kind}")
    if fields.get("auto-submitted") != ["auto-generated"]:
        yield Problem("P23", "Auto-Submitted is not auto-generated (RFC 3834 §5)")


def _layout(message: Message) -> Iterator[Problem]:
    """P16: mixed { alternative { plain, html, calendar last and without disposition }, attachment
    }.
    """
    children = message.get_payload()
    first = children[0] if isinstance(children, list) and children else None
    if message.get_content_type() != "multipart/mixed" or not isinstance(first, Message):
        yield Problem("P16", "the mail is not multipart/mixed")
        return
    inner = first.get_payload()
    parts = [part for part in inner if isinstance(part, Message)] if isinstance(inner, list) else []
    kinds = [part.get_content_type() for part in parts]
    if first.get_content_type() != "multipart/alternative" or kinds != [
        "text/plain",
        "text/html",
        "text/calendar",
    ]:
        yield Problem(
            "P16", f"the alternatives are not text, HTML and calendar, in this order: {kinds}"
        )
        return
    if parts[-1].get("Content-Disposition") is not None:
        yield Problem("P16", "the calendar part has a disposition, which hides the buttons")
