"""MIME, by hand: one letter as the bytes that leave.

Standards: RFC 5322, 2045-2047, 2231, 6047 (iMIP), 3834 (Auto-Submitted), 8098 §2.1. The layout is
that of itip.md §2. On failure: an address or Message-ID that cannot stand in a header raises
`InputError`; nothing is cut or guessed. Security: text from outside reaches a header only through
`_unstructured` or `_phrase`, which drop every control character. Limits: 7-bit only, so that no
relay has to re-encode what may be signed; local parts must be ASCII (no SMTPUTF8). By hand because
`EmailMessage` costs 2.5 ms a letter; `email.policy.strict` is the judge in the tests.
"""

import base64
import binascii
import hashlib
import quopri
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from gateway.errors import InputError
from gateway.mail.address import ascii_domain

CRLF = b"\r\n"
LINE = 76
"""Longest line we write; RFC 5322 §2.1.1 recommends 78, RFC 2045 §6.7 demands 76 in a body."""
WORD = 39
"""Octets of text in one encoded word: 52 base64 letters,
`=?utf-8?b??=` and "Subject: " fit in RFC 2047's 76.
"""
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9._-]+"
)  # dot-atom, RFC 5322 §3.4.1
QUOTED = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
MESSAGE_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name and an address; the name may be empty and may hold anything."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a letter says, three times over. `text` and `html` are `quoted`; `calendar` is a
    VCALENDAR of this iTIP `method`; `language` a tag for RFC 3282.
    """

    subject: str
    text: bytes
    html: bytes
    calendar: bytes
    method: str
    language: str
    attach: bool = True


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom. `sender`: who really submits, where that is not `author`. `message_id`
    has no angle brackets.

    `receipt_to`: where a read receipt is asked to go (RFC 8098 §2.1), "" for none.
    """

    author: Mailbox
    recipient: Mailbox
    reply_to: str
    message_id: str
    date: datetime
    sender: str = ""
    receipt_to: str = ""


def message(envelope: Envelope, content: Content) -> bytes:
    """The whole message: 7-bit, CRLF, the same bytes for the same arguments. Raises `InputError`
    for an impossible address.
    """
    mark = boundary(envelope.message_id)
    return b"".join((headers(envelope, content.subject, mark), CRLF, body(content, mark)))


def boundary(message_id: str) -> str:
    """The boundary of a message, from its Message-ID. `=_` occurs in no quoted-printable or base64
    line (RFC 2045 §6.7).
    """
    return "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:28]


def note(envelope: Envelope, subject: str, text: str, language: str) -> bytes:
    """A message of plain text alone, under the same promises as `message`."""
    kind = f"Content-Type: text/plain; charset=utf-8\r\nContent-Language: {language}\r\n"
    return b"".join((_headers(envelope, subject, kind), QUOTED, quoted(text)))


def quoted(text: str) -> bytes:
    """A text in quoted-printable: it stays readable in the raw mail, and no filter suspects base64
    text.
    """
    return quoted_lines(unix(text).rstrip("\n"))


def quoted_lines(lines: str) -> bytes:
    """Lines of a text, which are encoded alike wherever they stand (RFC 2045 §6.7): what is put
    together of them is the whole text, encoded.
    """
    encoded = binascii.b2a_qp(f"{lines}\n".encode("utf-8", "replace"), istext=True)
    return encoded.replace(b"\n", CRLF)


def read(octets: bytes) -> str:
    """What a reader sees of a text that was `quoted`: its lines end in LF, and the last line end is
    that of the boundary behind it (RFC 2046 §5.1.1).
    """
    return unix(quopri.decodestring(octets).decode()).removesuffix("\n")


def unix(text: str) -> str:
    """A text whose lines end in LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def headers(envelope: Envelope, subject: str, mark: str) -> bytes:
    """All header fields, without the empty line."""
    return _headers(envelope, subject, f'Content-Type: multipart/mixed;\r\n boundary="{mark}"\r\n')


def _headers(envelope: Envelope, subject: str, content_type: str) -> bytes:
    if not MESSAGE_ID.fullmatch(envelope.message_id):
        raise InputError(f"not a Message-ID: {envelope.message_id!r}")
    fields = [
        _date(envelope.date),
        _mailbox("From", envelope.author),
        _sender(envelope),
        _field("Reply-To", _address(envelope.reply_to)),
        _mailbox("To", envelope.recipient),
        _unstructured("Subject", subject),
        f"Message-ID: <{envelope.message_id}>\r\n",
        _field("Auto-Submitted", "auto-generated"),
        _receipt_to(envelope),
        _field("MIME-Version", "1.0"),
        content_type,
    ]
    return "".join(fields).encode("ascii")


def _sender(envelope: Envelope) -> str:
    """Only where it is another than From."""
    if not envelope.sender:
        return ""
    sender = _address(envelope.sender)
    return _field("Sender", sender) if sender != _address(envelope.author.address) else ""


def _receipt_to(envelope: Envelope) -> str:
    """RFC 8098 §2.1: where somebody who reads it may say so."""
    if not envelope.receipt_to:
        return ""
    return _field("Disposition-Notification-To", _address(envelope.receipt_to))


def body(content: Content, mark: str) -> bytes:
    """multipart/mixed { alternative { plain, html, calendar }, invite.ics }: everything after the
    header (P16).
    """
    outer, inner = f"--{mark}".encode(), f"--{mark}.1".encode()
    language = f"Content-Language: {content.language}\r\n".encode("ascii")
    calendar = _base64(content.calendar)
    parts = [
        outer,
        CRLF,
        f'Content-Type: multipart/alternative;\r\n boundary="{mark}.1"\r\n\r\n'.encode(),
        inner,
        CRLF,
        b"Content-Type: text/plain; charset=utf-8\r\n",
        language,
        QUOTED,
        content.text,
        inner,
        CRLF,
        b"Content-Type: text/html; charset=utf-8\r\n",
        language,
        QUOTED,
        content.html,
        # Last and without disposition: Gmail and Outlook show buttons for the last alternative only
        # (P16).
        inner,
        CRLF,
        f"Content-Type: text/calendar; charset=utf-8; method={content.method}\r\n".encode("ascii"),
        calendar,
        inner,
        b"--",
        CRLF,
    ]
    if content.attach:
        parts += [
            outer,
            CRLF,
            b'Content-Type: application/ics; name="invite.ics"\r\n',
            b'Content-Disposition: attachment; filename="invite.ics"\r\n',
            calendar,
        ]
    parts += [outer, b"--", CRLF]
    return b"".join(parts)


def _base64(data: bytes) -> bytes:
    """A part from its transfer encoding on; base64 keeps every CRLF and fold of a calendar object
    as it is.
    """
    letters = binascii.b2a_base64(data, newline=False)
    lines = [letters[at : at + LINE] for at in range(0, len(letters), LINE)]
    return b"Content-Transfer-Encoding: base64\r\n\r\n" + CRLF.join([*lines, b""])


def _field(name: str, value: str) -> str:
    """A short field of our own making."""
    return (
        f"{name}: {value}\r\n" if len(name) + len(value) + 2 <= LINE else f"{name}:\r\n {value}\r\n"
    )


# What follows is cached because of what the letters of one batch have in common.


@lru_cache(maxsize=64)
def _date(moment: datetime) -> str:
    return _field("Date", format_datetime(moment.astimezone(UTC)))


@lru_cache(maxsize=256)
def _mailbox(name: str, mailbox: Mailbox) -> str:
    address = f"<{_address(mailbox.address)}>"
    words = _phrase(mailbox.name)
    if not words:
        return _field(name, address)
    line = f"{name}: {words[0]}"
    for word in (*words[1:], address):
        line += (
            f" {word}"
            if len(line.rsplit("\r\n", 1)[-1]) + len(word) + 1 <= LINE
            else f"\r\n {word}"
        )
    return line + "\r\n"


def _phrase(name: str) -> list[str]:
    """A display name as one quoted string, or as encoded words where that cannot say it (RFC 5322
    §3.2.5, RFC 2047 §5).
    """
    clean = _clean(name)
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", clean) + '"'
    return (
        [quoted]
        if clean and clean.isascii() and len(quoted) < LINE - 20 and "=?" not in clean
        else _encoded(clean)
    )


@lru_cache(maxsize=64)
def _unstructured(name: str, value: str) -> str:
    clean = _clean(value)
    if clean.isascii() and len(name) + len(clean) + 2 <= LINE and "=?" not in clean:
        return f"{name}: {clean}\r\n"
    return f"{name}: " + "\r\n ".join(_encoded(clean)) + "\r\n"


def _encoded(clean: str) -> list[str]:
    """RFC 2047 encoded words; no character is split between two of them (§5), and rather a space
    than a word.
    """
    words: list[str] = []
    while clean:
        room, end = WORD, 0
        while end < len(clean) and (room := room - len(clean[end].encode("utf-8", "replace"))) >= 0:
            end += 1
        if end < len(clean) and (space := clean.rfind(" ", 1, end)) > 0:
            end = space + 1
        encoded = base64.b64encode(clean[:end].encode("utf-8", "replace")).decode("ascii")
        words.append(f"=?utf-8?b?{encoded}?=")
        clean = clean[end:]
    return words


def _clean(value: str) -> str:
    return " ".join(CONTROLS.sub(" ", value).split())


def _address(address: str) -> str:
    """An address as it may stand in a header: dot-atom local part, domain in ASCII (RFC 5890)."""
    local, _, domain = address.rpartition("@")
    plain = f"{local}@{ascii_domain(domain)}"
    if (
        not ADDRESS.fullmatch(plain)
        or len(plain) > 320
        or plain.startswith(".")
        or ".." in plain
        or ".@" in plain
    ):
        raise InputError(f"cannot stand in a mail header: {address!r}")
    return plain
