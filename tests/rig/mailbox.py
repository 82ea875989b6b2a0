"""A mailbox as its owner or a test sees it: by IMAP, with the standard library, sharing nothing
with the gateway.

Waiting is IDLE (RFC 2177): the server wakes us, and a time limit ends the wait with an error that
says what is there.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import imaplib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

WAIT_SECONDS = 60.0
"""How long to wait for mail before giving up; delivery takes a second at most on an idle machine.
"""


class NotArrived(AssertionError):
    """What was waited for did not come; the message lists what is in the folder."""


@dataclass(frozen=True)
class Mailbox:
    """Where to sign in, and as whom; `address` is the mailbox's own address without sub-address."""

    host: str
    port: int
    username: str
    password: str
    address: str
    name: str

    def sub_address(self, token: str) -> str:
        """The address with a sub-address (RFC 5233): `invites+token@…`."""
        local, domain = self.address.split("@")
        return f"{local}+{token}@{domain}"

    @contextlib.contextmanager
    def connect(self) -> Iterator[imaplib.IMAP4]:
        """A signed-in connection, no folder selected."""
        connection = imaplib.IMAP4(self.host, self.port, timeout=WAIT_SECONDS)
        try:
            connection.login(self.username, self.password)
            yield connection
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                connection.logout()

    def messages(self, folder: str = "INBOX") -> list[EmailMessage]:
        """All messages of a folder, oldest first; reading sets no flags. A folder that does not
        exist is empty.
        """
        return [parse(raw) for raw in self.raw_messages(folder)]

    def raw_messages(self, folder: str = "INBOX") -> list[bytes]:
        """The same as bytes, exactly as the server keeps them."""
        with self.connect() as connection:
            if not _select(connection, folder):
                return []
            return [raw for _, raw in _fetch(connection, 1)]

    def wait_for(
        self,
        wanted: Callable[[EmailMessage], bool],
        count: int = 1,
        *,
        folder: str = "INBOX",
        seconds: float = WAIT_SECONDS,
    ) -> list[EmailMessage]:
        """The messages for which `wanted` is true, as soon as there are `count` of them.

        Raises NotArrived after `seconds`.
        """
        deadline = time.monotonic() + seconds
        seen: list[EmailMessage] = []
        next_uid = 1
        with self.connect() as connection:
            connection.create(folder)  # refused if it exists, which is as good
            _select(connection, folder)
            while True:
                for uid, raw in _fetch(connection, next_uid):
                    seen.append(parse(raw))
                    next_uid = uid + 1
                found = [message for message in seen if wanted(message)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not idle(connection, left):
                    listing = (
                        "\n".join(f"  {m['From']} → {m['To']}: {m['Subject']}" for m in seen)
                        or "  nothing"
                    )
                    raise NotArrived(
                        f"{len(found)} of {count} messages within {seconds:g} s in {folder} of "
                        f"{self.username}; there is\n{listing}"
                    )

    def append(self, raw: bytes, folder: str = "INBOX") -> None:
        """Put a message into a folder as another mail program would; creates the folder."""
        with self.connect() as connection:
            connection.create(folder)
            _expect(connection.append(folder, "", "", raw))

    def folders(self) -> list[str]:
        """Names of all folders."""
        with self.connect() as connection:
            lines = _expect(connection.list())
        return sorted(
            line.decode().rsplit(' "/" ', 1)[1].strip('"')
            for line in lines
            if isinstance(line, bytes)
        )


def idle(connection: imaplib.IMAP4, seconds: float) -> bool:
    """Wait in IDLE until the selected folder changes: True; or until `seconds` are over: False.

    After False the connection is of no further use. (The standard library knows IDLE only from
    Python 3.14 on.)
    """
    connection.send(b"RIGIDLE IDLE\r\n")
    line = connection.readline()
    if not line.startswith(b"+"):
        raise imaplib.IMAP4.error(f"IDLE refused: {line!r}")
    connection.socket().settimeout(seconds)
    try:
        # Dovecot says "* OK Still here" from time to time; only a number is news.
        while not re.match(rb"\* \d+ ", line):
            line = connection.readline()
            if not line:
                raise imaplib.IMAP4.abort("connection closed while idling")
    except TimeoutError:
        return False
    connection.socket().settimeout(WAIT_SECONDS)
    connection.send(b"DONE\r\n")
    while not line.startswith(b"RIGIDLE "):
        line = connection.readline()
        if not line:
            raise imaplib.IMAP4.abort("connection closed while leaving IDLE")
    return True


def parse(raw: bytes) -> EmailMessage:
    """A message with today's interface of the standard library."""
    return email.message_from_bytes(raw, policy=email.policy.default)


def calendar_of(message: EmailMessage) -> str:
    """The unfolded text of the first text/calendar part, lines ended by LF; empty if there is
    none.
    """
    for part in message.walk():
        if part.get_content_type() == "text/calendar":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return re.sub(r"\r?\n[ \t]", "", payload.decode()).replace("\r\n", "\n")
    return ""


def _select(connection: imaplib.IMAP4, folder: str) -> bool:
    return connection.select(f'"{folder}"')[0] == "OK"


def _fetch(connection: imaplib.IMAP4, first_uid: int) -> Iterator[tuple[int, bytes]]:
    answer = _expect(connection.uid("FETCH", f"{first_uid}:*", "(UID BODY.PEEK[])"))
    for item in answer:
        if isinstance(item, tuple):
            match = re.search(rb"UID (\d+)", item[0])
            assert match is not None, item[0]
            # RFC 3501 §6.4.8: "n:*" always holds the last message, even below n.
            if int(match[1]) >= first_uid:
                yield int(match[1]), item[1]


def _expect(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{status} {data!r}")
    return data
