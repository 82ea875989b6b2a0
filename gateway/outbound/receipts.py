"""What is handed to a mail server and what came of it. Values only;
`smtp` makes receipts, `retry` judges them.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

TEXT_LENGTH = 500

# RFC 2034 §4 puts it first. IronPort writes "#5.1.0 …", qmail "… (#5.1.1)".
_ENHANCED = re.compile(
    r"#?([245]\.\d{1,3}\.\d{1,3})(?=[\s:;,-]|$)|.*\(#([245]\.\d{1,3}\.\d{1,3})\)", re.DOTALL
)


class Step(StrEnum):
    """How far an attempt came: the step that succeeded last of all (BODY with 2xx)
    or the one that failed.
    """

    CONNECT = "connect"
    """Name resolution, TCP and, with security = "tls", the handshake."""
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """The DATA command; nothing of the letter was written yet."""
    BODY = "body"
    """The letter was written; whether the server took it is known only from its answer."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One letter for one recipient. `sender`: envelope sender, "" for <>. `content`: the message
    with CRLF line ends.

    Raises `ValueError` for content with other line ends: a bare LF before a dot ends the letter
    early at some servers.
    """

    sender: str
    recipient: str
    content: bytes

    def __post_init__(self) -> None:
        lines = self.content.count(b"\r\n")
        if not (
            lines == self.content.count(b"\n") == self.content.count(b"\r")
        ) or not self.content.endswith(b"\r\n"):
            raise ValueError("a letter must have CRLF line ends, also at its end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How one attempt ended.

    `code`: the server's answer at `step`; None where there was none that could be believed, or
    where we never asked. `text`: the server's words, or ours where `code` is None; one printable
    line of at most 500 characters. `enhanced`: status code of RFC 3463 from the server's words, or
    our own for what we found out ourselves. `host`: `name[address]:port`. `started`, `ended`: aware
    UTC; the wait for a free connection is not included.
    """

    step: Step
    code: int | None
    text: str
    enhanced: str = ""
    host: str = ""
    started: datetime
    ended: datetime

    @property
    def accepted(self) -> bool:
        """Whether the server took responsibility for the letter (RFC 5321 §4.2.5)."""
        return self.step is Step.BODY and self.code is not None and 200 <= self.code <= 299


def enhanced(text: str) -> str:
    """The status code of RFC 3463 in a server's words, "" if they have none."""
    code = _ENHANCED.match(text)
    return (code[1] or code[2]) if code else ""


def one_line(text: str) -> str:
    """The server's words for a person: lines joined, a repeated status code said once,
    nothing a terminal obeys.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    code = enhanced(lines[0])
    further = (line.removeprefix(code).strip() for line in lines[1:])
    joined = " ".join([lines[0], *further])
    printable = "".join(map(_printable, joined[: TEXT_LENGTH + 1]))
    if len(printable) <= TEXT_LENGTH:
        return printable
    return printable[: TEXT_LENGTH - 1] + "…"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
