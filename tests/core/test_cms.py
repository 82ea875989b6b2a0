"""Mail inside S/MIME: opened where it is only signed or compressed, told apart where it is
encrypted.
"""

import base64
import zlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unreadable
from gateway.mail import cms, parse

MAIL = b"Content-Type: text/plain\r\n\r\nJa, jeg kommer.\r\n"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ola@ext.example")])
KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(NAME)
    .issuer_name(NAME)
    .public_key(KEY.public_key())
    .serial_number(7)
    .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
    .sign(KEY, hashes.SHA256())
)


def signed(content: bytes, *options: pkcs7.PKCS7Options) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    return builder.add_signer(CERTIFICATE, KEY, hashes.SHA256()).sign(
        Encoding.DER, [pkcs7.PKCS7Options.Binary, *options]
    )


SIGNED = signed(MAIL)
ENCRYPTED = (
    pkcs7.PKCS7EnvelopeBuilder()
    .set_data(MAIL)
    .add_recipient(CERTIFICATE)
    .encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
)


def element(tag: int, *content: bytes) -> bytes:
    """With its length (X.690 §8.1.3.5)."""
    data = b"".join(content)
    size = len(data).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + data


def endless(tag: int, *content: bytes) -> bytes:
    """Without a length, up to the end-of-contents mark (X.690 §8.1.3.6)."""
    return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"


def oid(value: bytes) -> bytes:
    return element(cms.OBJECT, value)


DATA = oid(bytes.fromhex("2a864886f70d010701"))


def in_pieces(content: bytes, size: int = 7) -> bytes:
    """As Java and OpenSSL write a mail that they sign while they read it."""
    pieces = [element(cms.OCTETS, content[at : at + size]) for at in range(0, len(content), size)]
    inner = endless(cms.SEQUENCE, DATA, endless(cms.INNER, endless(cms.OCTETS_IN_PIECES, *pieces)))
    body = endless(cms.SEQUENCE, b"\x02\x01\x01", endless(0x31), inner, endless(0xA0), b"\x31\0")
    return endless(cms.SEQUENCE, oid(cms.SIGNED), endless(cms.INNER, body))


def compressed(content: bytes) -> bytes:
    packed = element(cms.OCTETS, zlib.compress(content))
    inner = element(cms.SEQUENCE, DATA, element(cms.INNER, packed))
    algorithm = element(cms.SEQUENCE, oid(bytes.fromhex("2a864886f70d0109100308")))
    body = element(cms.SEQUENCE, b"\x02\x01\0", algorithm, inner)
    return element(cms.SEQUENCE, oid(cms.COMPRESSED), element(cms.INNER, body))


@pytest.mark.parametrize(
    "data",
    [
        SIGNED,
        in_pieces(MAIL),
        in_pieces(MAIL, 1),
        compressed(MAIL),
        b"-----BEGIN PKCS7-----\n" + base64.encodebytes(SIGNED) + b"-----END PKCS7-----\n",
    ],
    ids=["der", "pieces", "octets", "compressed", "armour"],
)
def test_what_was_signed_is_read(data: bytes) -> None:
    assert cms.content(data) == MAIL


def test_what_is_encrypted_says_so() -> None:
    with pytest.raises(cms.Sealed):
        cms.content(ENCRYPTED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no object at all",
        signed(MAIL, pkcs7.PKCS7Options.DetachedSignature),
        compressed(bytes(50_000_000)),
        in_pieces(MAIL * 1_000, 1),
        endless(cms.SEQUENCE, oid(cms.SIGNED), b"\xa0\x80" * 5_000),
        element(cms.SEQUENCE, oid(cms.SIGNED), element(cms.INNER, b"\x30\x84\xff\xff\xff\xff")),
        b"-----BEGIN PKCS7-----\nMI=A=\n-----END PKCS7-----\n",
    ],
    ids=["empty", "text", "detached", "bomb", "pieces", "deep", "length", "base64"],
)
def test_what_holds_no_mail_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        cms.content(data)
    assert not isinstance(refused.value, cms.Sealed)


@pytest.mark.parametrize("whole", [SIGNED, in_pieces(MAIL), compressed(MAIL)])
def test_no_part_of_one_is_read_as_another_mail(whole: bytes) -> None:
    for size in range(len(whole)):
        try:
            assert cms.content(whole[:size]) == MAIL
        except Unreadable:
            continue


@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 20))
def test_any_octets(scrap: bytes, at: int, gone: int) -> None:
    for whole in (in_pieces(MAIL), compressed(MAIL), SIGNED):
        for data in (scrap, whole[:at] + scrap + whole[at + gone :]):
            try:
                assert isinstance(cms.content(data), bytes)
            except Unreadable:
                continue


def nested(depth: int) -> bytes:
    inner = MAIL
    for _ in range(depth):
        body = base64.encodebytes(in_pieces(inner, 500)).replace(b"\n", b"\r\n")
        inner = (
            b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + body
        )
    return b"From: ola@ext.example\r\n" + inner


def test_the_mail_inside_is_the_mail() -> None:
    message = parse.read(nested(2))
    assert (message.text, [part.content_type for part in message.parts]) == (
        "Ja, jeg kommer.",
        ["text/plain"],
    )


def test_mails_inside_mails_are_bounded() -> None:
    with pytest.raises(Unreadable, match="S/MIME"):
        parse.read(nested(parse.OPENED + 1))


def test_what_many_mails_inside_hold_together_is_bounded() -> None:
    """Packed, it costs its sender nothing: ten parts of a mail of 5 MiB would hold 80."""
    blank = b"Content-Type: text/plain\r\n\r\n" + b" " * (cms.LARGEST // 2)
    packed = zlib.compress(blank) + b"\0" * (cms.LARGEST // 40)
    algorithm = element(cms.SEQUENCE, oid(bytes.fromhex("2a864886f70d0109100308")))
    inner = element(cms.SEQUENCE, DATA, element(cms.INNER, element(cms.OCTETS, packed)))
    body = element(cms.SEQUENCE, b"\x02\x01\0", algorithm, inner)
    data = element(cms.SEQUENCE, oid(cms.COMPRESSED), element(cms.INNER, body))
    part = (
        b"--b\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data)
    )
    head = b"From: ola@ext.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert parse.read(head + part + b"--b--\r\n").parts
    with pytest.raises(Unreadable, match="octets inside S/MIME"):
        parse.read(head + part * 2 + b"--b--\r\n")
