"""How an outsider's mail program reads an invitation: the bytes of a letter in, plain facts out.

This deliberately shares no code with the gateway's own iCalendar and mail dialects: a mistake there
must not be understood here by the same mistake. It reads what it needs and no more (RFC 5545 §3.1
unfolding and content lines). On failure: a letter without calendar object reads as an invitation
without `event`.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from urllib.parse import parse_qs, unquote
from zoneinfo import ZoneInfo

TAG = re.compile(r"\[(yes|maybe|no) [^\[\]]*\]\s*$")
LINK = re.compile(r"mailto:[^\s\"'<>)]+")
CONTENT_LINE = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?P<params>(?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:])*)*):(?P<value>.*)',
    re.DOTALL,
)
PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^";:]*)')


@dataclass(frozen=True, slots=True)
class Line:
    """One content line of an iCalendar object; `raw` is the unfolded original."""

    name: str
    params: dict[str, str]
    value: str
    raw: str

    @property
    def address(self) -> str:
        """The address of an ORGANIZER or ATTENDEE."""
        return re.sub("^mailto:", "", self.value, flags=re.IGNORECASE)

    @property
    def moment(self) -> datetime | date:
        """The value of DTSTART and the like: an aware instant, or a date."""
        if len(self.value) == 8:
            return date.fromisoformat(self.value)
        if self.value.endswith("Z"):
            return datetime.strptime(self.value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.strptime(self.value, "%Y%m%dT%H%M%S").replace(
            tzinfo=ZoneInfo(self.params["TZID"])
        )


@dataclass(frozen=True, slots=True)
class Event:
    """The first VEVENT of a calendar object,
    and the object's METHOD and VTIMEZONEs as they stand.
    """

    method: str
    lines: tuple[Line, ...]
    timezones: str

    def line(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)

    def value(self, name: str) -> str:
        line = self.line(name)
        return line.value if line else ""

    @property
    def sequence(self) -> int:
        return int(self.value("SEQUENCE") or 0)


@dataclass(frozen=True, slots=True)
class Link:
    """One of the Yes / Maybe / No links of a letter:
    a mail to `address` with exactly this Subject.
    """

    address: str
    subject: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a letter says to its reader. `reply_to`: where a plain reply goes.
    `links`: by `yes`, `maybe`, `no`.
    """

    message_id: str
    subject: str
    reply_to: str
    text: str
    event: Event | None
    links: dict[str, Link] = field(default_factory=dict)


def read(content: bytes) -> Invitation:
    """Read one letter."""
    message = message_from_bytes(content, policy=policy.default)
    texts = {part.get_content_type(): part for part in message.walk() if not part.is_multipart()}
    plain = _text(texts.get("text/plain"))
    page = unescape(_text(texts.get("text/html")))
    calendar = _text(texts.get("text/calendar"))
    reply_to = str(message["Reply-To"] or message["From"] or "")
    return Invitation(
        message_id=str(message["Message-ID"] or "").strip(),
        subject=str(message["Subject"] or ""),
        reply_to=_address(reply_to),
        text=plain,
        event=event(calendar) if calendar else None,
        links=_links(page) | _links(plain),
    )


def event(calendar: str) -> Event:
    """The first VEVENT of an iCalendar object. Raises ValueError where there is none."""
    unfolded = re.sub(r"\r?\n[ \t]", "", calendar).splitlines()
    body = re.search(
        r"^BEGIN:VEVENT$(.*?)^END:VEVENT$", "\n".join(unfolded), re.MULTILINE | re.DOTALL
    )
    if body is None:
        raise ValueError("a calendar object without VEVENT")
    # Alarms have properties of the same names.
    inner = re.sub(r"^BEGIN:VALARM$.*?^END:VALARM$", "", body[1], flags=re.MULTILINE | re.DOTALL)
    lines = tuple(_line(text) for text in inner.split("\n") if text)
    method = next((text[7:] for text in unfolded if text.upper().startswith("METHOD:")), "")
    zones = re.findall(
        r"^BEGIN:VTIMEZONE\r?$.*?^END:VTIMEZONE\r?$", calendar, re.MULTILINE | re.DOTALL
    )
    return Event(method.upper(), lines, "\n".join(zones).replace("\r", ""))


def text_value(value: str) -> str:
    """The text of a TEXT value (RFC 5545 §3.3.11)."""
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] in "nN" else escaped[1], value)


def _line(text: str) -> Line:
    match = CONTENT_LINE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a content line: {text!r}")
    params = {name.upper(): value.strip('"') for name, value in PARAMETER.findall(match["params"])}
    return Line(match["name"].upper(), params, match["value"], text)


def _text(part: EmailMessage | None) -> str:
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    return (
        payload.decode(part.get_content_charset("utf-8"), "replace")
        if isinstance(payload, bytes)
        else ""
    )


def _address(header: str) -> str:
    bracketed = re.search(r"<([^<>]+)>\s*$", header)
    return bracketed[1] if bracketed else header.strip()


def _links(text: str) -> dict[str, Link]:
    links = {}
    for uri in LINK.findall(text):
        address, _, query = uri.removeprefix("mailto:").partition("?")
        # RFC 6068 §5: "+" stands for itself, it is no blank here.
        subject = parse_qs(query.replace("+", "%2B")).get("subject", [""])[0]
        tag = TAG.search(subject)
        if tag:
            links[tag[1]] = Link(unquote(address), subject)
    return links
