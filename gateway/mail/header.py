"""Header values of received mail: charsets, encoded words, addresses, message ids. Linear in their
length, never raising.

Standards: RFC 5322 §3.4 (addresses), §3.6.4 (message ids); RFC 2047 (encoded words); RFC 6532
(UTF-8 headers). The standard library's address parser is not used: it nests with the comments of
its input and, in the versions of Python that are in use, can be made to take an address out of a
display name (CVE-2023-27043).
"""

import binascii
import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mail import address

ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]{0,2000})\?=")
BETWEEN_WORDS = re.compile(r"(\?=)[ \t]+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
MESSAGE_ID = re.compile(r"<([^<>\s]{1,998})>")
LONGEST_ID = 998
"""Octets (RFC 5322 §2.1.1); what is longer is none, and no index of a database would take it."""
QUOTED_LOCAL = re.compile(r'"([^"\s@\\]{1,64})"@')
"""A local part that needs no quotes and has them."""
SEPARATORS = re.compile(r"[\s,;<>\"()\[\]]+")
STATEFUL = ("iso-2022", "utf-16", "utf-32", "utf-7", "hz-gb", "utf16", "utf32", "utf7", "csiso2022")
"""Charsets whose octets also pass for UTF-8 or whose text holds NULs: here the label is believed
first.
"""

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks (RFC 2781 §3.2); the longer ones first, which begin with a shorter one."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a header (`address.normal` form) and the name beside it."""

    address: str
    name: str = ""


def decode(data: bytes, charset: str) -> str:
    """Text from octets. UTF-8 wins over its label where it is valid: mislabelled UTF-8 is common,
    the reverse is not.

    A byte order mark, or a NUL beside each of the first letters, is UTF-16 or UTF-32 whatever the
    label says. Labels that no codec knows ("iso-4444-5", Exchange) and wrong ones fall back to
    ISO-8859-1, which maps every octet.
    """
    label = wide(data) or charset.strip().lower()
    candidates = (label, "utf-8") if label.startswith(STATEFUL) else ("utf-8", label)
    for candidate in (*candidates, "iso-8859-1"):
        try:
            text = data.decode(candidate or "utf-8")
        except (LookupError, ValueError):
            continue
        if isinstance(text, str):
            return text.removeprefix("\ufeff")
    return ""


def wide(data: bytes) -> str:
    """The codec of text in two or four octets a letter, by its byte order mark or by where its NULs
    are (RFC 2781 §3.3 and §4.3: a program may leave the mark out); "" for any other text.
    """
    head = data[:4]
    for mark, codec in MARKS:
        if head.startswith(mark):
            return codec
    nuls = [octet == 0 for octet in head]
    if nuls == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if nuls == [True, False, True, False] else ""


def clean(text: str) -> str:
    """Without control characters (databases refuse NUL, terminals obey the rest) and lone
    surrogates; line ends are LF.
    """
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def unfold(raw: str) -> str:
    """One line of a header value as the parser keeps it: folds undone, raw octets read as UTF-8 or
    ISO-8859-1.
    """
    if not raw.isascii():
        raw = decode(raw.encode("utf-8", "surrogateescape"), "")
    return clean(raw).replace("\n", "").strip()


def words(value: str) -> str:
    """A text header with its encoded words decoded. Neighbours of one charset are joined before
    decoding: a character may be split between them (against RFC 2047 §5, but common).
    """
    if "=?" not in value:
        return value
    pieces = list[str]()
    pending, pending_charset, position = b"", "", 0
    text = BETWEEN_WORDS.sub(r"\1", value)
    for match in ENCODED_WORD.finditer(text):
        charset = match[1].split("*")[0].lower()  # RFC 2231 §5: a language may follow
        if match.start() > position or charset != pending_charset:
            pieces.append(decode(pending, pending_charset))
            pending = b""
        pieces.append(text[position : match.start()])
        pending, pending_charset, position = (
            pending + _word(match[2], match[3]),
            charset,
            match.end(),
        )
    return clean("".join([*pieces, decode(pending, pending_charset), text[position:]])).replace(
        "\n", " "
    )


def mailboxes(*values: str) -> tuple[Mailbox, ...]:
    """The addresses of From, Sender or Reply-To. What is ambiguous (two addresses in one entry)
    names nobody.
    """
    return tuple(
        mailbox
        for value in values
        for entry in _entries(value)
        if (mailbox := _mailbox(entry)).address
    )


def author(values: Sequence[str]) -> str:
    """The one address that From names; "" where another one, or something that cannot be read,
    stands beside it: programs differ in which of them they show and check (RFC 7489 §6.6.1).
    """
    if len(values) != 1:
        return ""
    emails = [_mailbox(entry).address for entry in _entries(values[0]) if entry]
    return emails[0] if len(emails) == 1 else ""


def any_addresses(*values: str) -> tuple[str, ...]:
    """Whatever looks like an address in these values, each once, in `address.normal` form.

    Generous, because it serves to find a token of ours, which nobody can guess; never use it to
    tell who sent a mail.
    """
    emails = (
        address.normal(word)
        for value in values
        for word in SEPARATORS.split(QUOTED_LOCAL.sub(r"\1@", value).replace(":", " "))
        if "@" in word
    )
    return tuple(dict.fromkeys(email for email in emails if email))


def message_ids(*values: str) -> tuple[str, ...]:
    """The ids between angle brackets, each once and without them; else a bare word with an "@"
    (some clients omit them).
    """
    text = " ".join(values)
    ids = MESSAGE_ID.findall(text) or [
        word for word in text.split() if "@" in word and len(word) < 999
    ]
    return tuple(
        message_id
        for message_id in dict.fromkeys(ids)
        if len(message_id.encode("utf-8", "replace")) <= LONGEST_ID
    )


def _word(encoding: str, content: str) -> bytes:
    octets = content.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(octets, header=True)
    try:
        return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
    except binascii.Error:
        return octets


def _entries(value: str) -> list[list[tuple[str, str]]]:
    """A header value cut at its commas, each entry a list of (kind, text): "text", "quoted" or
    "angle". Comments are dropped.
    """
    entries: list[list[tuple[str, str]]] = [[]]
    kind, start, depth, at = "text", 0, 0, 0

    def close(end: int, following: str) -> None:
        nonlocal kind, start
        if kind != "comment" and value[start:end].strip():
            entries[-1].append((kind, value[start:end]))
        kind, start = following, end + 1

    while at < len(value):
        c = value[at]
        if c == "\\" and kind in ("quoted", "comment"):
            at += 1
        elif kind == "comment":
            depth += (c == "(") - (c == ")")
            if depth == 0:
                close(at, "text")
        elif kind == "quoted":
            if c == '"':
                close(at, "text")
        elif kind == "angle":
            if c == ">":
                close(at, "text")
        elif c in '"<(':
            close(at, {'"': "quoted", "<": "angle", "(": "comment"}[c])
            depth = int(c == "(")
        elif c in ",;":
            close(at, "text")
            entries.append([])
        at += 1
    close(len(value), "text")
    return entries


def _mailbox(entry: list[tuple[str, str]]) -> Mailbox:
    angles = [text for kind, text in entry if kind == "angle"]
    name = " ".join(words(text.strip()) for kind, text in entry if kind != "angle").strip()
    if len(angles) == 1:
        return Mailbox(
            address.normal(angles[0].rpartition(":")[2]), name
        )  # RFC 5321 §4.1.1.3: "@relay:user@host"
    if not angles and len(entry) == 1 and entry[0][0] == "text":
        bare = entry[0][1].rpartition(":")[2]  # a group's name stands before its first member
        return Mailbox(address.normal(bare))
    return Mailbox("")
