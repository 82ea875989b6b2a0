"""Invitees for the fault runs: they read what Dovecot delivered to them and answer it, in the
shapes of real mail programs.

A reader and writer of iCalendar of its own, line by line; shares nothing with the gateway or with
the demonstration's robots. The shapes follow what clients were seen to send (In-Reply-To, DTSTAMP,
SEQUENCE, times that are wrong, objects sent twice).
"""

from __future__ import annotations

import base64
import email.message
import email.policy
import random
import re
import smtplib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.rig import dovecot, postfix

REPLIES = ("ACCEPTED", "DECLINED", "TENTATIVE")
LOOK_SECONDS = 0.05
MARK = re.compile(r"\(answer (\d+)\)$")
"""The end of the Subject, which tells the checker which answer a message is,
in a mailbox and in the store.
"""


@dataclass(frozen=True)
class Invitation:
    """What an invitee's mail program reads in a letter."""

    message_id: str
    method: str
    uid: str
    sequence: int
    organizer: str
    summary: str
    dtstamp: datetime
    times: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """An answer to the invitation with this SEQUENCE: `copies` times the very same message.

    `second`: the invitee had answered the same otherwise before.
    """

    number: int
    address: str
    sequence: int
    reply: str
    shape: str
    copies: int
    second: bool


def read(raw: bytes) -> Invitation:
    """The invitation in a letter. Raises ValueError if there is none."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    part = next((one for one in message.walk() if one.get_content_type() == "text/calendar"), None)
    if part is None:
        raise ValueError(f"no text/calendar in the letter: {raw[:4000].decode(errors='replace')}")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    lines = re.sub(r"\n[ \t]", "", payload.decode().replace("\r\n", "\n")).split("\n")
    event = lines[lines.index("BEGIN:VEVENT") : lines.index("END:VEVENT")]

    def value(name: str, among: list[str]) -> str:
        return next((line.split(":", 1)[1] for line in among if re.match(rf"{name}[;:]", line)), "")

    organizer = (
        next(line for line in event if line.startswith("ORGANIZER")).lower().split("mailto:")[1]
    )
    return Invitation(
        str(message["Message-ID"]),
        value("METHOD", lines),
        value("UID", event),
        int(value("SEQUENCE", event)),
        organizer,
        value("SUMMARY", event),
        datetime.strptime(value("DTSTAMP", event), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
        tuple(line for line in event if re.match(r"DT(START|END)[;:]", line)),
    )


def start(invitation: Invitation) -> datetime:
    """When it begins, in UTC."""
    zone, value = re.fullmatch(r"DTSTART;TZID=([^:]+):(.*)", invitation.times[0]).groups()  # type: ignore[union-attr]
    return datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


# The shapes: (invitation, address, reply, DTSTAMP) → headers, and the body with its MIME headers in
# front.

Shape = Callable[[Invitation, str, str, datetime], tuple[dict[str, str], bytes]]


def gnus(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """alternative of an empty text and the calendar; In-Reply-To set."""
    event = _event(invitation, address, reply, _utc(now), invitation.times)
    return {"In-Reply-To": invitation.message_id}, _multipart(
        "alternative", _text(""), _calendar(event)
    )


def thunderbird(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """The same object twice in one mail: as alternative and as attachment."""
    event = _event(invitation, address, reply, _utc(now), invitation.times)
    inner = _multipart("alternative", _text("answered"), _calendar(event))
    attached = (
        b'Content-Type: application/ics; name="invite.ics"\r\nContent-Disposition: attachment; filename="invite.ics"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(event).replace(b"\n", b"\r\n")
    )
    return {}, _multipart("mixed", inner, attached)


def outlook(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """No ORGANIZER, calendar in base64, MAILTO: in capitals."""
    event = _event(invitation, address, reply, _utc(now), invitation.times)
    event = re.sub(rb"ORGANIZER:.*\r\n", b"", event).replace(b":mailto:", b":MAILTO:")
    return {"In-Reply-To": invitation.message_id}, _multipart(
        "alternative", _text("\n"), _calendar(event, encode=True)
    )


def google(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """Says that nobody wrote it, times in UTC, twice the same object."""
    event = _event(invitation, address, reply, _utc(now), ())
    attached = b"Content-Type: application/ics; name=invite.ics\r\n\r\n" + event
    return (
        {"Auto-Submitted": "auto-generated", "Sender": "calendar-notification@google.com"},
        _multipart(
            "mixed", _multipart("alternative", _text("has replied"), _calendar(event)), attached
        ),
    )


def horde(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """The calendar as an attachment, with times that are wrong."""
    wrong = tuple(re.sub(r"\d{2}(\d{4})$", r"03\1", line) for line in invitation.times)
    event = _event(invitation, address, reply, _utc(now), wrong)
    attached = b"Content-Disposition: attachment; filename=event-reply.ics\r\n" + _calendar(event)
    return {}, _multipart("alternative", _text("has replied"), attached)


def evolution(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """A single part; an empty COMMENT always."""
    event = _event(invitation, address, reply, _utc(now), invitation.times)
    return {}, _calendar(event.replace(b"END:VEVENT", b"COMMENT:\r\nEND:VEVENT"))


def claws(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """DTSTAMP in the year 0000, times without a zone."""
    floating = tuple(re.sub(r";TZID=[^:]*", "", line) for line in invitation.times)
    return {}, _calendar(_event(invitation, address, reply, "00000000T000000Z", floating))


def kmail(
    invitation: Invitation, address: str, reply: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """No Message-ID, SEQUENCE only above 0, the calendar as an attachment beside the text."""
    event = _event(invitation, address, reply, _utc(now), ())
    return {"Message-ID": ""}, _multipart(
        "mixed", _text("answered"), _calendar(event.replace(b"SEQUENCE:0\r\n", b""))
    )


SHAPES: Mapping[str, Shape] = {
    shape.__name__: shape
    for shape in (gnus, thunderbird, outlook, google, horde, evolution, claws, kmail)
}
WITHOUT_CLOCK = frozenset({"claws"})
"""Their answers are told apart by arrival alone, so nobody who uses them has second thoughts here.
"""


def answer(
    number: int, invitation: Invitation, address: str, reply: str, shape: str, now: datetime
) -> bytes:
    """The whole mail of an answer."""
    more, body = SHAPES[shape](invitation, address, reply, now)
    headers = {
        "From": f"{address.split('@')[0].capitalize()} <{address}>",
        "To": invitation.organizer,
        "Subject": f"{reply.capitalize()}: {invitation.summary} (answer {number})",
        "Date": format_datetime(now),
        "Message-ID": f"<answer-{number}.{shape}@{address.split('@')[1]}>",
        "MIME-Version": "1.0",
        **more,
    }
    return (
        "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value).encode() + body
    )


def _event(
    invitation: Invitation, address: str, reply: str, dtstamp: str, times: tuple[str, ...]
) -> bytes:
    lines = [
        "BEGIN:VCALENDAR",
        "PRODID:-//Fault run//EN",
        "VERSION:2.0",
        "METHOD:REPLY",
        "BEGIN:VEVENT",
        f"UID:{invitation.uid}",
        f"DTSTAMP:{dtstamp}",
        f"SEQUENCE:{invitation.sequence}",
        *times,
        f"ORGANIZER:mailto:{invitation.organizer}",
        f"ATTENDEE;PARTSTAT={reply}:mailto:{address}",
        f"SUMMARY:{invitation.summary}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines).encode()


def _utc(value: datetime) -> str:
    return f"{value:%Y%m%dT%H%M%SZ}"


def _text(text: str) -> bytes:
    return b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n"


def _calendar(event: bytes, *, encode: bool = False) -> bytes:
    head = (
        b"Content-Type: text/calendar; charset=utf-8; method=REPLY\r\nContent-Transfer-Encoding: "
    )
    if encode:
        return head + b"base64\r\n\r\n" + base64.encodebytes(event).replace(b"\n", b"\r\n")
    return head + b"8bit\r\n\r\n" + event


def _multipart(kind: str, *parts: bytes) -> bytes:
    boundary = f"=_{kind}_of_the_fault_run".encode()
    inner = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        f'Content-Type: multipart/{kind}; boundary="'.encode()
        + boundary
        + b'"\r\n\r\n'
        + inner
        + b"--"
        + boundary
        + b"--\r\n"
    )


@dataclass
class Crowd:
    """Everybody who may be invited, answering in a thread until `finish`.

    Each SEQUENCE is answered once, however often it arrives; some answers are sent twice, some
    invitees answer a second time and otherwise. Who answers what, and in which shape, follows from
    `seed` alone; the order of arrival does not.
    """

    mail: dovecot.Server
    relay: postfix.Server
    seed: int
    given: list[Given] = field(default_factory=list)
    sent: int = 0
    """Copies of answers that are on their way."""
    second_thoughts: float = 0.1
    """How many answer a second time, and otherwise."""
    failure: BaseException | None = None
    _addresses: list[str] = field(default_factory=list)
    _read: set[Path] = field(default_factory=set)
    _answered: set[tuple[str, int]] = field(default_factory=set)
    _handled: int = 0
    _later: list[tuple[str, str, bytes]] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._order = random.Random(self.seed)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._live, name="invitees")
        self._thread.start()

    def expect(self, address: str) -> None:
        """From now on the owner of this address looks into his mailbox."""
        self._addresses.append(address)

    def up_to_date(self) -> bool:
        """Whether every letter that lies in a mailbox at this moment has been read, and `given`
        says what is said to it.
        """
        return self._handled == sum(
            len(arrived(self.mail, address)) for address in list(self._addresses)
        )

    def finish(self) -> None:
        """No more answers. Raises what went wrong."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(60)
        if self.failure is not None:
            raise self.failure

    def _live(self) -> None:
        try:
            while not self._end.wait(LOOK_SECONDS):
                for address in list(self._addresses):
                    for raw in self._new_mail(address):
                        self._react(address, read(raw))
                        self._handled += 1
                while self._later and self._order.random() < 0.5:
                    self._send(*self._later.pop(self._order.randrange(len(self._later))))
        except BaseException as error:  # handed to the thread that waits
            self.failure = error

    def _new_mail(self, address: str) -> list[bytes]:
        found = []
        for path in arrived(self.mail, address):
            if path not in self._read:
                self._read.add(path)
                found.append(path.read_bytes())
        return found

    def _react(self, address: str, invitation: Invitation) -> None:
        if invitation.method != "REQUEST" or (address, invitation.sequence) in self._answered:
            return
        self._answered.add((address, invitation.sequence))
        chance = random.Random(f"{self.seed} {address} {invitation.sequence}")
        shape = chance.choice(list(SHAPES))
        replies = chance.sample(
            REPLIES,
            2 if shape not in WITHOUT_CLOCK and chance.random() < self.second_thoughts else 1,
        )
        for turn, reply in enumerate(replies):
            # Clocks ahead of ours, so that no DTSTAMP is by chance one of our own.
            stamp = invitation.dtstamp + timedelta(seconds=60 * (turn + 1))
            copies = 2 if chance.random() < 0.15 else 1
            self.given.append(
                Given(len(self.given), address, invitation.sequence, reply, shape, copies, turn > 0)
            )
            raw = answer(len(self.given) - 1, invitation, address, reply, shape, stamp)
            sendings = [(address, invitation.organizer, raw)] * copies
            if turn == 0:
                self._send(*sendings.pop())
            self._later += sendings

    def _send(self, sender: str, recipient: str, raw: bytes) -> None:
        if self._order.random() < 0.5:
            self.relay.send(sender, [recipient], raw)
        else:
            with smtplib.LMTP(
                "127.0.0.1", self.mail.lmtp_port, local_hostname="localhost", timeout=30
            ) as connection:
                connection.sendmail(sender, [recipient], raw, mail_options=["BODY=8BITMIME"])
        self.sent += 1


def arrived(mail: dovecot.Server, address: str) -> list[Path]:
    """The messages in the INBOX of this address, where Dovecot keeps them."""
    maildir = mail.home(address.split("@")[0]) / "Maildir"
    return sorted(
        path
        for folder in ("new", "cur")
        if (maildir / folder).is_dir()
        for path in (maildir / folder).iterdir()
    )
