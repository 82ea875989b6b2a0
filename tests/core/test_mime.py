"""What is cut by `mail.mime` is what the library's parser makes of it: the corpora, what mail
programs write, and all that with faults.
"""

import email
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import mime
from tests.corpus import playing

NOW = datetime(2040, 5, 1, 8, tzinfo=UTC)
TWO = (
    b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\nnot shown\r\n"
    b'--out\r\nContent-Type: multipart/alternative;\r\n\tboundary="in"\r\n\r\n'
    b"--in\r\nContent-Type: text/plain\r\n\r\nYes\r\n\r\n--in\r\n\r\nno fields\r\n--in--\r\n\r\n"
    b"--out\r\nContent-Type: application/ics\r\nX-A: b\r\n c\r\n\r\n\r\n--out--\r\nnot shown\r\n"
)


def mails() -> Iterator[bytes]:
    folders = [playing.FOLDER]
    if named := os.environ.get("GATEWAY_CORPUS"):
        folders.append(Path(named))
    for folder in folders:
        for file in sorted(folder.rglob("*.eml")):
            raw = file.read_bytes()
            yield raw
            yield raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


MAILS = [TWO, *mails()]


def shape(tree: Message) -> Any:
    """All that can be asked of a tree."""
    about = list(tree.raw_items()), tree.get_content_type(), tree.is_multipart()
    if not tree.is_multipart():
        return about, tree.get_payload(decode=True)  # else it is decoded by any charset
    return about, [shape(one) for one in tree.get_payload() if isinstance(one, Message)]


def agrees(raw: bytes) -> bool:
    """Whether it is plainly written; then the library reads the same."""
    tree = mime.plain(raw, Message)
    if tree is not None:
        assert shape(tree) == shape(email.message_from_bytes(raw))
    return tree is not None


def test_the_corpora_are_read_alike() -> None:
    plainly = sum(map(agrees, MAILS))
    assert plainly > len(MAILS) // 4, f"{plainly} of {len(MAILS)}"


def parts(tree: Message) -> list[Message]:
    return [part for part in tree.get_payload() if isinstance(part, Message)]


def test_parts_within_parts() -> None:
    tree = mime.plain(TWO, Message)
    assert tree is not None
    inner, attachment = parts(tree)
    assert [one.get_payload() for one in parts(inner)] == ["Yes\r\n", "no fields"]
    assert (attachment["X-A"], attachment.get_payload()) == ("b\r\n c", "")


@pytest.mark.parametrize(
    "fault",
    [
        TWO.replace(b"\r\nnot shown\r\n--out\r\n", b"\nnot shown\r\n--out\r\n"),
        TWO.replace(b"--in--", b"--in-"),
        TWO.replace(b"--in--\r\n", b""),
        TWO.replace(b"--in\r\n", b"--in \r\n"),
        TWO.replace(b"--in\r\n", b"--inner\r\n", 1),
        TWO.replace(b"--out--", b"--out\r\n--out--"),
        TWO.replace(b"; boundary=out", b""),
        TWO.replace(b"X-A:", b"X A"),
        TWO.replace(b"Content-Type: application/ics\r\nX-A: b\r\n", b""),
        TWO.replace(b"multipart/mixed", b"multipart/digest"),
        TWO.replace(b"text/plain", b"message/rfc822"),
        b"From - Mon\r\n" + TWO,
        b"From: a@b.example\r\n",
        b"",
    ],
)
def test_the_library_is_asked_where_there_is_a_doubt(fault: bytes) -> None:
    assert not agrees(fault)


PIECES = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"--out",
    b"--in",
    b"--",
    b" ",
    b"\t",
    b":",
    b"X: y\r\n",
    b"From x\r\n",
    b"\r\n--out\r\n",
    b"\r\n--in\r\n",
    b"\r\n--in--\r\n",
    b"\r\n--out--\r\n",
    b"Content-Type: multipart/mixed; boundary=in\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"\x0c\x85\xff",
)


@given(
    st.sampled_from(MAILS),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(PIECES)),
        min_size=1,
        max_size=4,
    ),
)
def test_mails_with_faults_are_read_alike(
    raw: bytes, faults: list[tuple[float, int, bytes]]
) -> None:
    for place, length, piece in faults:
        at = int(place * len(raw))
        raw = raw[:at] + piece + raw[at + length :]
    agrees(raw)


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_sequence_of_pieces_is_read_alike(pieces: list[bytes]) -> None:
    head = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n"
    agrees(head + b"".join(pieces))
