"""Answers in the shapes that real mail programs give them; pure functions from an invitation to the
bytes of a mail.

The shapes follow captures of Exchange 2016 and Outlook, Google Calendar, Apple Mail on iOS, and
Thunderbird 128 and newer; every quirk that a reader must bear is kept and named where it is
written. The words and all data are this project's own. Message bytes leave with CRLF (RFC 5322
§2.1).
"""

import base64
import quopri
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.header import Header
from email.utils import format_datetime, formataddr
from enum import StrEnum
from html import escape
from zoneinfo import ZoneInfo

from gateway.sandbox import reading


class Word(StrEnum):
    """What an invitee can say."""

    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    TENTATIVE = "TENTATIVE"


@dataclass(frozen=True, slots=True)
class Invitee:
    """Who answers: display name and address."""

    name: str
    address: str

    @property
    def mailbox(self) -> str:
        return formataddr((self.name, self.address))


@dataclass(frozen=True, slots=True)
class Answer:
    """A mail ready to be sent: envelope sender, one recipient, content."""

    sender: str
    recipient: str
    content: bytes


Client = Callable[[reading.Invitation, Invitee, Word, str, datetime], Answer]
"""A mail program: (invitation, who, what, comment, now) → the answer.
ValueError where it finds no way to answer.
"""

VERB = {
    Word.ACCEPTED: "accepted",
    Word.DECLINED: "declined",
    Word.TENTATIVE: "tentatively accepted",
}
TITLE = {Word.ACCEPTED: "Accepted", Word.DECLINED: "Declined", Word.TENTATIVE: "Tentative"}
PROPOSED = "New Time Proposed"
LINK = {Word.ACCEPTED: "yes", Word.DECLINED: "no", Word.TENTATIVE: "maybe"}

# As Exchange writes it: rules from 1601, the zone under Windows' own name.
WINDOWS_ZONE = """BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE"""


OUTLOOK_HEAD = (
    "PRODID:Microsoft Exchange Server 2010",
    "VERSION:2.0",
    *WINDOWS_ZONE.split("\n"),
    "BEGIN:VEVENT",
)
OUTLOOK_TAIL = (
    "X-MICROSOFT-CDO-BUSYSTATUS:BUSY",
    "X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY",
    "X-MICROSOFT-CDO-ALLDAYEVENT:FALSE",
    "X-MICROSOFT-CDO-IMPORTANCE:1",
    "X-MICROSOFT-CDO-INSTTYPE:0",
    "X-MICROSOFT-DISALLOW-COUNTER:FALSE",
    "END:VEVENT",
)
GMAIL_HEAD = (
    "PRODID:-//Google Inc//Google Calendar 70.9054//EN",
    "VERSION:2.0",
    "CALSCALE:GREGORIAN",
    "METHOD:REPLY",
    "BEGIN:VEVENT",
)


def outlook(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """Exchange: no ORGANIZER (P1), Windows zone name, base64 calendar, a COMMENT that is never
    empty, MAILTO: capitals.
    """
    event = _event(invitation)
    calendar = _outlook_calendar(event, who, word, comment, now)
    return _outlook_mail(invitation, who, TITLE[word], _outlook_body(calendar, comment), now)


def proposing(later: timedelta) -> Client:
    """Outlook's "Propose New Time": a COUNTER (RFC 5546 §3.2.7) for so much later."""

    def outlook_proposal(
        invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
    ) -> Answer:
        event = _event(invitation)
        calendar = _outlook_calendar(event, who, word, comment, now, later)
        body = _outlook_body(calendar, comment, "COUNTER")
        return _outlook_mail(invitation, who, PROPOSED, body, now)

    return outlook_proposal


def uninvited(mailbox: str) -> Client:
    """Outlook, from a copy of the invitation that names `mailbox` alone, as a shared calendar shows
    it: an answer from there has nobody's sub-address.
    """

    def outlook_copy(
        invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
    ) -> Answer:
        answer = outlook(invitation, who, word, comment, now)
        content = answer.content.replace(answer.recipient.encode(), mailbox.encode())
        return replace(answer, recipient=mailbox, content=content)

    return outlook_copy


def _outlook_mail(
    invitation: reading.Invitation, who: Invitee, verdict: str, body: str, now: datetime
) -> Answer:
    event = _event(invitation)
    title = reading.text_value(event.value("SUMMARY"))
    organizer = _organizer(event)
    index = base64.b64encode(secrets.token_bytes(22)).decode()
    headers = {
        "From": who.mailbox,
        "To": organizer,
        "Subject": f"{verdict}: {title}",
        "Thread-Topic": title,
        "Thread-Index": index,
        "Date": format_datetime(now),
        "Message-ID": f"<{secrets.token_hex(16)}@{_domain(who.address)}>",
        "In-Reply-To": invitation.message_id,
        "References": invitation.message_id,
        "Accept-Language": "nb-NO, en-US",
        "Content-Language": "en-US",
        "X-MS-Has-Attach": "",
        "X-MS-TNEF-Correlator": "",
    }
    return Answer(who.address, organizer, _mail(headers, body, mime_last=True))


def _outlook_calendar(
    event: reading.Event,
    who: Invitee,
    word: Word,
    comment: str,
    now: datetime,
    later: timedelta | None = None,
) -> str:
    """`later`: another time is proposed, that much later."""
    title = reading.text_value(event.value("SUMMARY"))
    verdict = TITLE[word] if later is None else PROPOSED
    times = [
        f"{name}{_windows(line.moment + (later or timedelta()))}"
        for name in ("DTSTART", "DTEND")
        if (line := event.line(name))
    ]
    if later is not None:
        times += [
            f"{name}{_windows(line.moment)}"
            for name, standing in (
                ("X-MS-OLK-ORIGINALSTART", "DTSTART"),
                ("X-MS-OLK-ORIGINALEND", "DTEND"),
            )
            if (line := event.line(standing))
        ]
    said = [
        f"ATTENDEE;PARTSTAT={word};CN={who.name}:MAILTO:{who.address}",
        f"COMMENT;LANGUAGE=en-US:{_escape(comment)}\\n",
        f"UID:{event.value('UID')}",
        f"SUMMARY;LANGUAGE=en-US:{verdict}: {_escape(title)}",
        *times,
        *_kept(event, "RECURRENCE-ID"),
    ]
    marks = [
        "CLASS:PUBLIC",
        "PRIORITY:5",
        f"DTSTAMP:{_stamp(now)}",
        "TRANSP:OPAQUE",
        "STATUS:CONFIRMED",
        f"SEQUENCE:{event.sequence}",
        f"X-MICROSOFT-CDO-APPT-SEQUENCE:{event.sequence}",
    ]
    method = "REPLY" if later is None else "COUNTER"
    return _calendar([f"METHOD:{method}", *OUTLOOK_HEAD, *said, *marks, *OUTLOOK_TAIL])


def _outlook_body(calendar: str, comment: str, method: str = "REPLY") -> str:
    latin, page = "iso-8859-1", f"<html><body><p>{escape(comment)}</p></body></html>\n"
    return _multipart(
        "alternative",
        [
            _part(f'text/plain; charset="{latin}"', "quoted-printable", comment + "\n", latin),
            _part(f'text/html; charset="{latin}"', "quoted-printable", page, latin),
            _part(f'text/calendar; charset="utf-8"; method={method}', "base64", calendar),
        ],
    )


def gmail(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """Google Calendar: says Auto-Submitted although a human pressed the button, and carries the
    object twice.

    Times are in UTC, the comment stands only in an ATTENDEE parameter, the envelope sender is a
    robot's.
    """
    event = _event(invitation)
    title = reading.text_value(event.value("SUMMARY"))
    organizer = _organizer(event)
    headers = {
        "Reply-To": who.mailbox,
        "Sender": "Google Calendar <calendar-notification@google.com>",
        "Auto-Submitted": "auto-generated",
        "Message-ID": f"<calendar-{secrets.token_hex(16)}@google.com>",
        "Date": format_datetime(now),
        "From": who.mailbox,
        "To": organizer,
        "Subject": f"{TITLE[word]}: {title} ({who.name})",
    }
    sentence = f"{who.name} has {VERB[word]} this invitation."
    body = _gmail_body(_gmail_calendar(event, who, word, comment, now), sentence, comment)
    envelope_sender = f"{secrets.token_hex(12)}@calendar-server.bounces.google.com"
    return Answer(envelope_sender, organizer, _mail(headers, body))


def _gmail_calendar(
    event: reading.Event, who: Invitee, word: Word, comment: str, now: datetime
) -> str:
    note = f';X-RESPONSE-COMMENT="{comment.replace(chr(34), chr(39))}"' if comment else ""
    attendee = (
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT={word};CN={who.name}"
        f";X-NUM-GUESTS=0{note}:mailto:{who.address}"
    )
    times = [
        f"{name}{_utc(line.moment)}" for name in ("DTSTART", "DTEND") if (line := event.line(name))
    ]
    stamp = _stamp(now)
    lines = [
        *times,
        f"DTSTAMP:{stamp}",
        *_kept(event, "ORGANIZER", "UID"),
        attendee,
        *_kept(event, "RECURRENCE-ID"),
        f"CREATED:{stamp}",
        f"DESCRIPTION:{event.value('DESCRIPTION')}",
        f"LAST-MODIFIED:{stamp}",
        f"LOCATION:{event.value('LOCATION')}",
        f"SEQUENCE:{event.sequence}",
        "STATUS:CONFIRMED",
        f"SUMMARY:{event.value('SUMMARY')}",
        "TRANSP:OPAQUE",
        "END:VEVENT",
    ]
    return _calendar([*GMAIL_HEAD, *lines])


def _gmail_body(calendar: str, sentence: str, comment: str) -> str:
    plain = _part(
        'text/plain; charset="UTF-8"; format=flowed; delsp=yes',
        "base64",
        f"{sentence}\n\n{comment}\n",
    )
    page = _part(
        'text/html; charset="UTF-8"',
        "quoted-printable",
        f"<div><b>{escape(sentence)}</b><p>{escape(comment)}</p></div>\n",
    )
    encoding = "7bit" if calendar.isascii() else "base64"
    inline = _part("text/calendar; charset=UTF-8; method=REPLY", encoding, calendar)
    attached = _part(
        'application/ics; name="invite.ics"',
        "base64",
        calendar,
        disposition='attachment; filename="invite.ics"',
    )
    return _multipart("mixed", [_multipart("alternative", [plain, page, inline]), attached])


def apple(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """Apple Mail: quoted-printable calendar with soft breaks inside folded lines, the remark in a
    private property.
    """
    event = _event(invitation)
    title = reading.text_value(event.value("SUMMARY"))
    organizer = _organizer(event)
    calendar = _apple_calendar(event, who, word, comment, now)
    body = _multipart(
        "alternative",
        [
            _part("text/plain;\tcharset=utf-8", "quoted-printable", f"\n{comment}\n\n"),
            _part(
                "text/calendar;\tcharset=utf-8;\tname=meeting.ics;\tmethod=REPLY",
                "quoted-printable",
                calendar,
            ),
        ],
    )
    headers = {
        "Message-Id": f"<{secrets.token_hex(16).upper()}@{_domain(who.address)}>",
        "Date": format_datetime(now),
        "Subject": f"{TITLE[word]}: {title}",
        "Mime-Version": "1.0 (1.0)",
        "To": organizer,
        "From": who.mailbox,
    }
    return Answer(who.address, organizer, _mail(headers, body, version=False))


def _apple_calendar(
    event: reading.Event, who: Invitee, word: Word, comment: str, now: datetime
) -> str:
    stamp = _stamp(now)
    attendee = (
        f'ATTENDEE;CN="{who.name}";CUTYPE=INDIVIDUAL;PARTSTAT={word}'
        f";ROLE=REQ-PARTICIPANT:mailto:{who.address}"
    )
    remark = [f"X-CALENDARSERVER-PRIVATE-COMMENT:{_escape(comment)}\\n"] if comment else []
    lines = [
        "BEGIN:VEVENT",
        attendee,
        f"CREATED:{stamp}",
        *_kept(event, "DTEND"),
        f"DTSTAMP:{stamp}",
        *_kept(event, "DTSTART"),
        f"LAST-MODIFIED:{stamp}",
        *_kept(event, "ORGANIZER", "RECURRENCE-ID"),
        f"SEQUENCE:{event.sequence}",
        "STATUS:CONFIRMED",
        *_kept(event, "SUMMARY"),
        "TRANSP:OPAQUE",
        *_kept(event, "UID"),
        *remark,
        "END:VEVENT",
    ]
    head = [
        "CALSCALE:GREGORIAN",
        "METHOD:REPLY",
        "PRODID:-//Apple Inc.//macOS 15.1//EN",
        "VERSION:2.0",
    ]
    return _calendar([*head, *_zones(event), *lines])


def thunderbird(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """Thunderbird: everything the invitation said comes back, 8-bit,
    the object twice, no In-Reply-To.
    """
    event = _event(invitation)
    title = reading.text_value(event.value("SUMMARY"))
    organizer = _organizer(event)
    calendar = _thunderbird_calendar(event, who, word, comment, now)
    sentence = f"{who.mailbox} has {VERB[word]} your event invitation."
    readable = [
        _part("text/plain; charset=UTF-8", "8bit", f"{sentence}\n"),
        _part("text/calendar; method=REPLY; charset=UTF-8", "8bit", calendar),
    ]
    attached = _part(
        "application/ics; name=invite.ics",
        "8bit",
        calendar,
        disposition="attachment; filename=invite.ics",
    )
    body = _multipart("mixed", [_multipart("alternative", readable), attached])
    headers = {
        "From": who.mailbox,
        "Message-ID": f"<{secrets.token_hex(16)}@{_domain(who.address)}>",
        "To": organizer,
        "Date": format_datetime(now),
        "Subject": f"{TITLE[word]}: {title}",
    }
    return Answer(who.address, organizer, _mail(headers, body))


def _thunderbird_calendar(
    event: reading.Event, who: Invitee, word: Word, comment: str, now: datetime
) -> str:
    stamp = _stamp(now)
    attendee = (
        f"ATTENDEE;CN={who.name};PARTSTAT={word};CUTYPE=INDIVIDUAL"
        f";ROLE=REQ-PARTICIPANT:mailto:{who.address}"
    )
    times = _kept(event, "RECURRENCE-ID", "DTSTART", "DTEND")
    head = [
        "PRODID:-//Mozilla.org/NONSGML Mozilla Calendar V1.1//EN",
        "VERSION:2.0",
        "METHOD:REPLY",
    ]
    lines = [
        "BEGIN:VEVENT",
        f"CREATED:{stamp}",
        f"LAST-MODIFIED:{stamp}",
        f"DTSTAMP:{stamp}",
        *_kept(event, "UID", "SUMMARY", "STATUS", "ORGANIZER"),
        attendee,
        *times,
        *_kept(event, "SEQUENCE", "DESCRIPTION", "LOCATION", "TRANSP"),
        *([f"COMMENT:{_escape(comment)}"] if comment else []),
        "END:VEVENT",
    ]
    return _calendar([*head, *_zones(event), *lines])


def link(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """A mail program that knows nothing of calendars: somebody clicked Yes, Maybe or No in the
    letter, then Send.
    """
    chosen = invitation.links.get(LINK[word])
    if chosen is None:
        raise ValueError(f"the letter has no {LINK[word]} link")
    headers = {
        "From": who.mailbox,
        "To": chosen.address,
        "Subject": chosen.subject,
        "Date": format_datetime(now),
        "Message-ID": f"<{secrets.token_hex(10)}@{_domain(who.address)}>",
    }
    body = _part("text/plain; charset=utf-8; format=flowed", "8bit", f"{comment}\n")
    return Answer(who.address, chosen.address, _mail(headers, body))


def by_hand(
    invitation: reading.Invitation, who: Invitee, word: Word, comment: str, now: datetime
) -> Answer:
    """A human who just writes back: words above a quotation. `word` is what they mean, and it
    stands nowhere.
    """
    quoted = "\n".join(f"> {line}" for line in invitation.text.strip().splitlines()[:12])
    text = (
        f"{comment}\n\n{who.name.split()[0]}\n\nDen {now:%d.%m.%Y %H:%M}, skrev"
        f" {invitation.reply_to}:\n{quoted}\n"
    )
    headers = {
        "From": who.mailbox,
        "To": invitation.reply_to,
        "Subject": f"Re: {invitation.subject}",
        "Date": format_datetime(now),
        "Message-ID": f"<{secrets.token_hex(10)}@{_domain(who.address)}>",
        "In-Reply-To": invitation.message_id,
        "References": invitation.message_id,
    }
    return Answer(
        who.address,
        invitation.reply_to,
        _mail(headers, _part("text/plain; charset=utf-8", "8bit", text)),
    )


def _event(invitation: reading.Invitation) -> reading.Event:
    if invitation.event is None:
        raise ValueError("the letter carries no calendar object")
    return invitation.event


def _organizer(event: reading.Event) -> str:
    organizer = event.line("ORGANIZER")
    if organizer is None:
        raise ValueError("the invitation names no organizer")
    return organizer.address


def _kept(event: reading.Event, *names: str) -> list[str]:
    return [line.raw for name in names if (line := event.line(name))]


def _zones(event: reading.Event) -> list[str]:
    return event.timezones.split("\n") if event.timezones else []


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _utc(moment: datetime | date) -> str:
    return f":{_stamp(moment)}" if isinstance(moment, datetime) else f";VALUE=DATE:{moment:%Y%m%d}"


def _windows(moment: datetime | date) -> str:
    if not isinstance(moment, datetime):
        return f";VALUE=DATE:{moment:%Y%m%d}"
    return (
        ";TZID=W. Europe Standard"
        f" Time:{moment.astimezone(ZoneInfo('Europe/Berlin')):%Y%m%dT%H%M%S}"
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _calendar(lines: list[str]) -> str:
    return "".join(f"{_fold(line)}\n" for line in ["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"])


def _fold(line: str) -> str:
    """Lines of at most 75 octets (RFC 5545 §3.1), never broken inside a character."""
    pieces, length = [""], 0
    for character in line:
        size = len(character.encode())
        if length + size > 74:
            pieces.append("")
            length = 1
        pieces[-1] += character
        length += size
    return "\n ".join(pieces)


def _part(
    content_type: str, encoding: str, text: str, charset: str = "utf-8", disposition: str = ""
) -> str:
    raw = text.replace("\n", "\r\n").encode(charset, "replace")
    if encoding == "base64":
        body = base64.encodebytes(raw).decode("ascii")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(raw.replace(b"\r\n", b"\n")).decode("ascii")
    else:
        body = text
    placed = f"Content-Disposition: {disposition}\n" if disposition else ""
    return f"Content-Type: {content_type}\n{placed}Content-Transfer-Encoding: {encoding}\n\n{body}"


def _multipart(subtype: str, parts: list[str]) -> str:
    boundary = f"=_{secrets.token_hex(12)}"
    inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n\n{inner}--{boundary}--\n'


def _mail(
    headers: dict[str, str], body: str, *, version: bool = True, mime_last: bool = False
) -> bytes:
    lines = [f"{name}: {_header(name, value)}" for name, value in headers.items()]
    mime = ["MIME-Version: 1.0"] if version else []
    head = [*lines, *mime] if mime_last else [*mime, *lines]
    return ("\n".join(head) + "\n" + body).replace("\n", "\r\n").encode()


def _header(name: str, value: str) -> str:
    """ASCII as it is, anything else as encoded words (RFC 2047), folded."""
    return value if value.isascii() else Header(value, "utf-8", header_name=name).encode()
