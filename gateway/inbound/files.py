"""Messages from files, as if they had arrived: .eml, mbox and Maildir (`receive`, `explain`).

On failure: `InputError` names the file. Limits: an mbox is read message by message; nothing is
locked or changed.
"""

import mailbox
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from gateway.errors import InputError
from gateway.inbound.process import Received
from gateway.mail import parse


@dataclass(frozen=True, slots=True)
class Found:
    """A message and where it lay: the file, with its number within an mbox."""

    file: str
    received: Received


def read(path: Path, at: datetime | None, now: datetime) -> Iterator[Found]:
    """The messages of a file or Maildir. `at`: when they arrived; else their own topmost Received
    or Date header, else `now`.
    """
    try:
        if path.is_dir():
            for file in _maildir(path):
                yield Found(str(file), _received(file.read_bytes(), at, now))
        elif _is_mbox(path):
            for number, message in enumerate(mailbox.mbox(path, create=False), 1):
                yield Found(f"{path}:{number}", _received(message.as_bytes(), at, now))
        else:
            yield Found(str(path), _received(path.read_bytes(), at, now))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _maildir(path: Path) -> list[Path]:
    folders = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    if not folders:
        raise InputError(f"{path}: a directory without cur and new is no Maildir")
    return sorted(file for folder in folders for file in folder.iterdir() if file.is_file())


def _is_mbox(path: Path) -> bool:
    """A single mail may begin with a "From " line, too: one that is called .eml is one mail."""
    if path.suffix.lower() == ".eml":
        return False
    with path.open("rb") as file:
        return file.read(5) == b"From "


def _received(raw: bytes, at: datetime | None, now: datetime) -> Received:
    return Received(raw, at if at is not None else min(_arrival(raw) or now, now), len(raw))


def _arrival(raw: bytes) -> datetime | None:
    """The topmost Received header's time, else Date's; None where neither can be read."""
    head: Message = BytesHeaderParser().parsebytes(raw[: parse.HEADER])
    return parse.received(raw) or parse.moment(str(head.get("Date", "")))
