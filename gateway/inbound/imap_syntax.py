"""What IMAP servers write, read without trust: folder names, message sets, FETCH, SEARCH, NAMESPACE
and LIST lines.

Standards: RFC 3501 (§5.1.3 folder names, §7.4.2 FETCH, §2.3.3 INTERNALDATE), RFC 2342 (NAMESPACE).
On failure: what cannot be read is absent from the result; nothing here raises on a server's words.
Security: a literal (the mail itself) is never searched for syntax, so a mail cannot pose as a
response. Limits: literals inside LIST and NAMESPACE are not read (no server in use sends them); the
defaults of `Layout` stand then.

Lines come as aioimaplib hands them over: `bytes` for lines, `bytearray` for literals, the tagged
text as the last line.
"""

import base64
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

from gateway.mail import parse

Lines = Sequence[bytes | bytearray]

_MONTHS = {
    name: number
    for number, name in enumerate(
        (
            b"jan",
            b"feb",
            b"mar",
            b"apr",
            b"may",
            b"jun",
            b"jul",
            b"aug",
            b"sep",
            b"oct",
            b"nov",
            b"dec",
        ),
        start=1,
    )
}
_DATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_FETCH = re.compile(rb"\d+ FETCH \(", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)", re.IGNORECASE)
_ARRIVED = re.compile(rb'\bINTERNALDATE "([^"]*)"', re.IGNORECASE)
_BODY = re.compile(
    rb'\bBODY\[[A-Z]*\](?:<\d+>)? (?:\{\d+\}$|NIL|("(?:[^"\\]|\\.)*"))', re.IGNORECASE | re.DOTALL
)
_NUMBERS = re.compile(rb"[\d ]*")
_CODE_VALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]", re.IGNORECASE)
_CODE_NEXT = re.compile(rb"\[UIDNEXT (\d+)\]", re.IGNORECASE)
_CODE_APPENDED = re.compile(rb"\[APPENDUID \d+ (\d+)\]", re.IGNORECASE)
_PERSONAL = re.compile(rb'\(\("((?:[^"\\]|\\.)*)" (?:"(\\?.)"|NIL)', re.IGNORECASE)
_LISTED = re.compile(rb'\(([^)]*)\) (?:"(\\?.)"|NIL) ', re.IGNORECASE)
_UNUSABLE = (b"\\nonexistent", b"\\noselect")


@dataclass(frozen=True, slots=True)
class Item:
    """What FETCH said of one message; None where it said nothing, or NIL.
    `size` in octets, `arrived` aware UTC.
    """

    size: int | None = None
    arrived: datetime | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """How this server names folders: all of ours begin with `prefix` ("INBOX." at some), levels are
    parted by `delimiter`.
    """

    prefix: str = ""
    delimiter: str = "/"
    certain: bool = False

    def place(self, name: str) -> str:
        """The server's name of a configured folder, in which "/" parts levels whatever the server
        uses.
        """
        if name.upper() == "INBOX" or (self.prefix and name.startswith(self.prefix)):
            return name
        return self.prefix + (name.replace("/", self.delimiter) if self.delimiter else name)


def mailbox(name: str) -> str:
    """A folder name as an argument of a command: modified UTF-7 (RFC 3501 §5.1.3), quoted."""
    parts = []
    for printable, run in itertools.groupby(name, key=lambda character: " " <= character <= "~"):
        text = "".join(run)
        if printable:
            parts.append(text.replace("&", "&-"))
        else:
            code = base64.b64encode(text.encode("utf-16-be", "replace")).decode("ascii")
            parts.append("&" + code.rstrip("=").replace("/", ",") + "-")
    return '"' + "".join(parts).replace("\\", "\\\\").replace('"', '\\"') + '"'


def message_set(uids: Iterable[int]) -> str:
    """Exactly these numbers, runs of them as `first:last` (RFC 3501 §9): lines stay short enough
    for every server.
    """
    runs: list[list[int]] = []
    for uid in sorted(set(uids)):
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    texts = (str(first) if first == last else f"{first}:{last}" for first, last in runs)
    return ",".join(texts)


def numbers(lines: Lines) -> list[int]:
    """The numbers of a SEARCH answer, ascending and without repetition."""
    uids: set[int] = set()
    for line in lines[:-1]:
        if match := _NUMBERS.match(line):  # a MODSEQ in brackets may follow (RFC 7162 §3.1.5)
            uids.update(map(int, match[0].split()))
    return sorted(uids)


def items(lines: Lines) -> dict[int, Item]:
    """UID → what was said of it. Responses without a UID (another program changed flags) are left
    out.
    """
    groups: list[list[bytes | bytearray]] = []
    for line in lines[:-1]:
        if not isinstance(line, bytearray) and _FETCH.match(line):
            groups.append([])
        if groups:
            groups[-1].append(line)
    items_by_uid: dict[int, Item] = {}
    for group in groups:
        text = b"".join(part for part in group if not isinstance(part, bytearray))
        uid = _UID.search(_QUOTED.sub(b'""', text))
        if uid is None:
            continue
        number = int(uid[1])
        before = items_by_uid.get(number, Item())
        bare = _BODY.sub(
            b"", text
        )  # a body may come as a quoted string; its words are no attributes
        size, date = _SIZE.search(bare), _ARRIVED.search(bare)
        body = _body(group)
        items_by_uid[number] = Item(
            size=int(size[1]) if size else before.size,
            arrived=internal_date(date[1]) if date else before.arrived,
            body=before.body if body is None else body,
        )
    return items_by_uid


def _body(group: Lines) -> bytes | None:
    for index, part in enumerate(group):
        match = None if isinstance(part, bytearray) else _BODY.search(part)
        if match is None:
            continue
        if match[0].endswith(b"}"):
            literal = group[index + 1] if index + 1 < len(group) else None
            return bytes(literal) if isinstance(literal, bytearray) else None
        return _ESCAPED.sub(rb"\1", match[1][1:-1]) if match[1] else None
    return None


def internal_date(text: bytes) -> datetime | None:
    """`17-Jul-1996 02:44:25 -0700` → aware UTC; None where it is no date, or none of a mail.
    Month names are English in every locale.
    """
    match = _DATE.fullmatch(text)
    if match is None or match[2].lower() not in _MONTHS or int(match[3]) not in parse.YEARS:
        return None
    day, _, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1)
    try:
        return datetime(
            int(year),
            _MONTHS[match[2].lower()],
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),
            tzinfo=timezone(offset),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def uidvalidity(lines: Lines) -> int | None:
    """From the answer to SELECT."""
    return _code(_CODE_VALIDITY, lines)


def uidnext(lines: Lines) -> int | None:
    """From the answer to SELECT: what the next message will have at least."""
    return _code(_CODE_NEXT, lines)


def appended(lines: Lines) -> int | None:
    """From the answer to APPEND: the UID of the new message (RFC 4315 §3)."""
    return _code(_CODE_APPENDED, lines)


def _code(pattern: re.Pattern[bytes], lines: Lines) -> int | None:
    return next((int(match[1]) for line in lines if (match := pattern.search(line))), None)


def day(when: date) -> str:
    """A day as SEARCH wants it (RFC 3501 §9, `date`); the names of months are English."""
    month = next(name for name, number in _MONTHS.items() if number == when.month)
    return f"{when.day}-{month.decode().capitalize()}-{when.year:04}"


def namespace(lines: Lines) -> Layout | None:
    """The personal namespace, from the answer to NAMESPACE (RFC 2342 §5)."""
    match = _PERSONAL.match(lines[0]) if lines else None
    return Layout(_name(match[1]), _name(match[2] or b""), certain=True) if match else None


def delimiter(lines: Lines) -> Layout | None:
    """The hierarchy separator, from the answer to LIST "" "" (RFC 3501 §6.3.8)."""
    match = _LISTED.match(lines[0]) if lines else None
    return Layout("", _name(match[2] or b"")) if match else None


def exists(lines: Lines) -> bool:
    """Whether the answer to LIST "" NAME shows a folder that can hold messages."""
    listed = [match for line in lines[:-1] if (match := _LISTED.match(line))]
    return any(not any(flag in match[1].lower() for flag in _UNUSABLE) for match in listed)


def _name(raw: bytes) -> str:
    return _ESCAPED.sub(rb"\1", raw).decode("ascii", "replace")
