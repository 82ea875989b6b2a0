"""Outlook's winmail.dat as a value: the message properties of a TNEF stream, within bounds (itip.md
§7).

Standards: MS-OXTNEF (the stream), MS-OXCDATA §2.11 (property types), MS-OXPROPS (their names). What
a meeting response means is read in `ical.outlook`. tnefparse is not used: it believes every count
that it reads (corpus tnef/007: 53 octets that ask for 872 million values), copies the rest of the
stream for each attribute, and opens messages inside messages without end; none of that can be
stopped from outside.

On failure: `errors.Unreadable` with the reason, for every length or count that the octets do not
bear out. Security: everything in it is hostile. Lengths are compared before anything is taken;
nothing is decompressed. Limits: 10 MiB, 1 000 attributes, 10 000 values, texts of 100 000 octets.
Attachments stand last and end the reading, so messages inside attachments are not seen. Checksums
are not verified: they protect from no one, and some writers err.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.errors import Unreadable
from gateway.mail import header

SIGNATURE = b"\x78\x9f\x3e\x22"
LARGEST = 10 * 2**20
ATTRIBUTES = 1_000
VALUES = 10_000
TEXT = 100_000

# MS-OXTNEF §2.1.3: attributes of the message, and the property that each stands for.
MESSAGE_LEVEL = 1
OEM_CODEPAGE, PROPERTIES = 0x00069007, 0x00069003
ALONE = {0x00078008: 0x001A, 0x0002800C: 0x1000}  # attMessageClass, attBody

# MS-OXCDATA §2.11.1
SHORT, LONG, BOOLEAN, INT64, STRING8, UNICODE, TIME, BINARY = (
    0x02,
    0x03,
    0x0B,
    0x14,
    0x1E,
    0x1F,
    0x40,
    0x0102,
)
SEVERAL = 0x1000
SIZES = {
    SHORT: 2,
    LONG: 4,
    0x04: 4,
    0x05: 8,
    0x06: 8,
    0x07: 8,
    0x0A: 4,
    BOOLEAN: 2,
    INT64: 8,
    TIME: 8,
    0x48: 16,
}
VARIABLE = frozenset({0x00, 0x0D, STRING8, UNICODE, BINARY})
FIRST_NAMED = 0x8000

INTERNET_CODEPAGE = 0x3FDE
CODECS = {
    65001: "utf-8",
    20127: "us-ascii",
    20866: "koi8-r",
    21866: "koi8-u",
    50220: "iso-2022-jp",
    51932: "euc-jp",
    54936: "gb18030",
    1200: "utf-16-le",
    **{28590 + part: f"iso-8859-{part}" for part in range(1, 16)},
}
"""Windows code pages that Python does not call `cpN`."""
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
NEVER = 4500
"""Outlook's "no date" lies in the year 4501."""

Key = tuple[bytes, int]
"""A property: (b"", tag) for one with a tag, (GUID of its set as it is written, number) for a named
one.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """The properties of a message, each as it was written: (type, octets). Of several values the
    first counts.
    """

    values: Mapping[Key, tuple[int, bytes]]
    codepage: int

    def text(self, key: Key) -> str:
        """A text, cut, without control characters; "" where there is none. Octets (HTML) are in the
        internet code page.
        """
        kind, data = self.values.get(key, (UNICODE, b""))
        if kind == UNICODE:
            return header.clean(data[:TEXT].decode("utf-16-le", "replace")).strip()
        if kind not in (STRING8, BINARY):
            return ""
        codepage = (
            self.number((b"", INTERNET_CODEPAGE)) if kind == BINARY else None
        ) or self.codepage
        return header.clean(
            header.decode(data[:TEXT], CODECS.get(codepage, f"cp{codepage}"))
        ).strip()

    def octets(self, key: Key) -> bytes:
        kind, data = self.values.get(key, (BINARY, b""))
        return data if kind == BINARY else b""

    def number(self, key: Key) -> int | None:
        """A number or a truth value; None where there is none."""
        kind, data = self.values.get(key, (UNICODE, b""))
        return (
            int.from_bytes(data, "little", signed=True)
            if kind in (SHORT, LONG, BOOLEAN, INT64)
            else None
        )

    def moment(self, key: Key) -> datetime | None:
        """An instant in UTC; None where there is none, or one of those that stand for none."""
        kind, data = self.values.get(key, (TIME, b""))
        ticks = int.from_bytes(data, "little") if kind == TIME else 0  # of 100 ns
        try:
            moment = EPOCH + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return None
        return moment if ticks and moment.year < NEVER else None


def read(data: bytes) -> Message:
    """The message in a TNEF stream. Raises `Unreadable`."""
    if len(data) > LARGEST:
        raise Unreadable(f"winmail.dat has more than {LARGEST} octets")
    stream = _Octets(memoryview(data))
    if stream.take(4) != SIGNATURE:
        raise Unreadable("winmail.dat does not begin like one (TNEF)")
    stream.take(2)
    codepage, values = 1252, dict[Key, tuple[int, bytes]]()
    alone = dict[Key, tuple[int, bytes]]()
    for identifier, content in _attributes(stream):
        if identifier == OEM_CODEPAGE:
            codepage = int.from_bytes(content[:4], "little")
        elif identifier == PROPERTIES:
            for key, kind, value in _properties(_Octets(content)):
                values.setdefault(key, (kind, value))
        elif identifier in ALONE:
            alone.setdefault((b"", ALONE[identifier]), (STRING8, bytes(content[:TEXT])))
    return Message(alone | values, codepage)


class _Octets:
    """Octets that are taken from the front, never more than there are."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise Unreadable(f"winmail.dat ends where {size} octets should follow")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def padded(self, size: int) -> memoryview:
        """As many octets, and those that fill them up to a multiple of four; the last may be
        missing.
        """
        octets = self.take(size)
        self.at += min(-size % 4, self.left)
        return octets


def _attributes(stream: _Octets) -> Iterator[tuple[int, memoryview]]:
    """Attributes of the message itself, up to the first attachment or to anything else that stands
    behind them.
    """
    for count in range(ATTRIBUTES + 1):
        if stream.left < 9 or stream.number(1) != MESSAGE_LEVEL:
            return
        if count == ATTRIBUTES:
            raise Unreadable(f"winmail.dat has more than {ATTRIBUTES} attributes")
        identifier = stream.number(4)
        yield identifier, stream.take(stream.number(4))
        stream.at += min(2, stream.left)  # the checksum


def _properties(stream: _Octets) -> Iterator[tuple[Key, int, bytes]]:
    values = 0
    for _ in range(stream.number(4)):
        kind, tag = stream.number(2), stream.number(2)
        key: Key | None = (b"", tag)
        if tag >= FIRST_NAMED:
            key = _name(stream)
        count, value = _value(stream, kind)
        values += count + 1
        if values > VALUES:
            raise Unreadable(f"winmail.dat has more than {VALUES} values")
        if key is not None:
            yield key, kind & ~SEVERAL, value


def _name(stream: _Octets) -> Key | None:
    """The set and number of a named property; None for a property that has a text for a name, of
    which we know none.
    """
    property_set = bytes(stream.take(16))
    kind, number = stream.number(4), stream.number(4)
    if kind == 0:
        return property_set, number
    stream.padded(number)
    return None


def _value(stream: _Octets, kind: int) -> tuple[int, bytes]:
    """How many values a property has, and the first of them."""
    several, kind = bool(kind & SEVERAL), kind & ~SEVERAL
    if kind in SIZES:
        count = stream.number(4) if several else 1
        return count, bytes(stream.padded(count * SIZES[kind])[: SIZES[kind]])
    if kind not in VARIABLE:
        raise Unreadable(f"winmail.dat has a property of unknown type {kind:#06x}")
    count = stream.number(4)
    if count > VALUES:
        raise Unreadable(f"winmail.dat has more than {VALUES} values")
    values = [stream.padded(stream.number(4)) for _ in range(count)]
    return count, bytes(values[0]) if values else b""
