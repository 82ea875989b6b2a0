"""Mail inside S/MIME: what was signed without being readable beside it ("opaque"), or compressed,
is opened; what is encrypted is told from it.

Standards: RFC 5652 (CMS), RFC 8551 §3.5 (signed mail), RFC 3274 (compressed). ITU-T X.690: BER, for
Java and OpenSSL write lengths that are not known in advance and octets in pieces. By hand, because
`cryptography` reads certificates out of such a message, and not the message. On failure:
`errors.Unreadable` with the reason. Security: no signature is checked and no certificate is looked
at: what is inside counts no more than the same mail unsigned (itip.md §5). Every length is held
against what is there; depth, pieces and what decompression may make of it are bounded.
"""

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import Unreadable

TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
NAMES = (".p7m", ".p7z")
SIGNED = bytes.fromhex("2a864886f70d010702")
ENVELOPED = bytes.fromhex("2a864886f70d010703")
ENCRYPTED = bytes.fromhex("2a864886f70d010706")
AUTHENTICATED = bytes.fromhex("2a864886f70d0109100117")  # RFC 5083: enveloped and authenticated
COMPRESSED = bytes.fromhex("2a864886f70d0109100109")
SECRET = frozenset({ENVELOPED, ENCRYPTED, AUTHENTICATED})

DEPTH = 16
"""Elements inside each other; CMS needs six on the way to the content."""
PIECES = 20_000
"""Elements that are looked at; a mail of 5 MiB in pieces of 1 000 octets has 5 000."""
GROWTH = 20
"""How many times its own size a compressed mail may have, see `LARGEST`."""
LARGEST = 8 * 1024 * 1024

OCTETS, OBJECT, SEQUENCE = 0x04, 0x06, 0x30
OCTETS_IN_PIECES, INNER = 0x24, 0xA0
ARMOUR = re.compile(rb"\s*-----BEGIN (?:PKCS7|CMS)-----\s+([A-Za-z0-9+/=\s]*)-----END", re.ASCII)


class Sealed(Unreadable):
    """It is encrypted: nobody here can read it."""


@dataclass(frozen=True, slots=True)
class _Element:
    """One element: its identifier octet, and where its content lies. `end` None: up to an
    end-of-contents mark (X.690 §8.1.3.6).
    """

    tag: int
    start: int
    end: int | None


def content(data: bytes) -> bytes:
    """The mail that was signed or compressed: headers and body. Raises `Sealed` where it is
    encrypted, `Unreadable` where it is no such thing or holds no mail (a signature alone).
    """
    if armour := ARMOUR.match(data):
        data = _decoded(armour[1])
    return _Reader(data).content()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pieces = 0

    def content(self) -> bytes:
        """ContentInfo (RFC 5652 §3): what kind it is, and what it holds."""
        whole = self._element(0, len(self._data))
        kind, inner = self._typed(whole)
        if kind in SECRET:
            raise Sealed("it is encrypted")
        if kind not in (SIGNED, COMPRESSED) or inner is None:
            raise Unreadable("it is neither signed, nor compressed, nor encrypted mail")
        body = next(self._members(inner, 2), None)
        if body is None or body.tag != SEQUENCE:
            raise Unreadable("its content cannot be read")
        # SignedData: version, algorithms, the content. CompressedData: version, algorithm, content.
        for part in self._members(body, 3):
            if part.tag == SEQUENCE and (octets := self._encapsulated(part)) is not None:
                return _decompressed(octets) if kind == COMPRESSED else octets
        raise Unreadable("it holds a signature without what was signed")

    def _typed(self, element: _Element) -> tuple[bytes, _Element | None]:
        """ContentInfo and EncapsulatedContentInfo are alike: an object identifier and [0]."""
        if element.tag != SEQUENCE:
            raise Unreadable("it is no CMS object")
        kind, inner = b"", None
        for part in self._members(element, 2):
            if part.tag == OBJECT and part.end is not None:
                kind = self._data[part.start : part.end]
            elif part.tag == INNER:
                inner = part
        return kind, inner

    def _encapsulated(self, element: _Element) -> bytes | None:
        """The octets of EncapsulatedContentInfo (RFC 5652 §5.2), None where it is another one."""
        kind, inner = self._typed(element)
        octets = next(self._members(inner, 3), None) if kind and inner is not None else None
        return b"".join(self._octets(octets, 4)) if octets is not None else None

    def _octets(self, element: _Element, depth: int) -> Iterator[bytes]:
        """An OCTET STRING in one piece or in several (X.690 §8.7)."""
        if element.tag == OCTETS and element.end is not None:
            yield self._data[element.start : element.end]
        elif element.tag == OCTETS_IN_PIECES:
            for piece in self._members(element, depth):
                yield from self._octets(piece, depth + 1)
        else:
            raise Unreadable("what was signed is no text")

    def _members(self, element: _Element, depth: int) -> Iterator[_Element]:
        at, limit = element.start, len(self._data) if element.end is None else element.end
        while at < limit:
            member = self._element(at, limit)
            if member.tag == 0 and element.end is None:
                return
            yield member
            at = self._behind(member, limit, depth)

    def _behind(self, element: _Element, limit: int, depth: int) -> int:
        """Where the next element begins. Without a length one has to walk through it."""
        if element.end is not None:
            return element.end
        if depth > DEPTH:
            raise Unreadable(f"elements nested deeper than {DEPTH}")
        at = element.start
        while at < limit:
            member = self._element(at, limit)
            if member.tag == 0:
                return at + 2
            at = self._behind(member, limit, depth + 1)
        raise Unreadable("it is cut off")

    def _element(self, at: int, limit: int) -> _Element:
        self._pieces += 1
        if self._pieces > PIECES:
            raise Unreadable(f"more than {PIECES} elements")
        if at + 2 > limit:
            raise Unreadable("it is cut off")
        tag, length = self._data[at], self._data[at + 1]
        if tag & 0x1F == 0x1F:
            raise Unreadable("it has a tag that no mail has")
        start = at + 2
        if length == 0x80:
            return _Element(tag, start, None)
        if length > 0x80:
            count = length - 0x80
            if count > 4 or start + count > limit:
                raise Unreadable("it is cut off")
            length, start = int.from_bytes(self._data[start : start + count]), start + count
        if start + length > limit:
            raise Unreadable("it is cut off")
        return _Element(tag, start, start + length)


def _decoded(armour: bytes) -> bytes:
    try:
        return binascii.a2b_base64(armour)
    except binascii.Error as error:
        raise Unreadable("its base64 is broken") from error


def _decompressed(data: bytes) -> bytes:
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(data, min(LARGEST, GROWTH * len(data) + 1_000))
    except zlib.error as error:
        raise Unreadable("what is compressed cannot be read") from error
    if not machine.eof:
        raise Unreadable("what is compressed is cut off, or far larger than it says")
    return content
