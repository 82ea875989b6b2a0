"""What invitees, their programs, robots and forgers send back: real bytes (RFC 5322, 5545, 5546,
3464, 8098), from a script's line.

`Mail` has one field for each thing that an option changes; without options it is what a good client
sends.
"""

import re
from base64 import encodebytes
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.utils import format_datetime, make_msgid
from zoneinfo import ZoneInfo

from gateway.model import Moment
from gateway.sandbox import reading
from tests.dialogues import language, winmail
from tests.dialogues.world import AUTHSERV, MAILBOX, Sent

NOTICES = ("REQUEST", "PUBLISH", "ADD", "CANCEL", "DECLINECOUNTER")
"""Methods that speak as an organizer."""
OURS = "the letter's own"
COMMON = "Received: from mx.outside.example by mail.crm.example; {arrived}\r\n"


@dataclass
class Mail:
    """A mail to be sent. `kind`: first word of the script's line; `words`: what follows it. None:
    as the letter has it.
    """

    sender: str
    kind: str
    words: str
    letter: Sent | None
    now: datetime
    name: str = ""
    to: str | None = None
    token: bool = True
    organizer: bool = True
    uid: str = OURS
    sequence: int | str | None = OURS
    dtstamp: str | None = OURS
    start: Moment | str | None = OURS
    dates: list[tuple[Moment, str]] = field(default_factory=list)
    recurrence_text: str = ""
    this_and_future: bool = False
    form: str = "utc"
    attendees: list[str] | None = None
    attendee_parameters: str = ""
    delegated_to: str = ""
    proposed: str = ""
    comment: str = ""
    remark: str = ""
    subject: str = ""
    headers: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)
    message_id: str = ""
    method_parameter: str | None = OURS
    wrapped: str = ""
    component: str = "VEVENT"
    recipient: str = ""
    returning: str = "headers"
    returned_uid: str = ""
    bounce_address: bool = False
    quoting: bool = False

    @property
    def event(self) -> reading.Event | None:
        return self.letter.invitation.event if self.letter else None

    def build(self) -> bytes:
        """The message."""
        maker = {
            "REPLY": self._itip,
            "COUNTER": self._itip,
            "REFRESH": self._itip,
            "REQUEST": self._itip,
            "PUBLISH": self._itip,
            "CANCEL": self._itip,
            "ADD": self._itip,
            "DECLINECOUNTER": self._itip,
            "text": self._text,
            "vacation": self._vacation,
            "link": self._link,
            "DSN": self._dsn,
            "prose": self._prose,
            "MDN": self._mdn,
            "bytes": self._bytes,
        }[self.kind]
        content_type, body = maker()
        head = "".join(f"{line}\r\n" for line in self.top) + COMMON.format(
            arrived=format_datetime(self.now)
        )
        fields = {
            "From": f"{self.name} <{self.sender}>" if self.name else self.sender,
            "To": self._recipient(),
            "Subject": self.subject or self.kind,
            "Date": format_datetime(self.now),
            "Message-ID": self.message_id or make_msgid(domain="ext.example"),
            "MIME-Version": "1.0",
        }
        own = {line.partition(":")[0].lower() for line in self.headers}
        head += "".join(
            f"{name}: {value}\r\n" for name, value in fields.items() if name.lower() not in own
        )
        head += "".join(f"{line}\r\n" for line in self.headers)
        if self.quoting and self.letter is not None:
            content_type, body = self._with_our_object(content_type, body, self.letter)
        if self.wrapped:
            inner = head + f"Content-Type: {content_type}\r\n\r\n{body}"
            content_type, body = self._wrap(content_type, body, inner)
        return (head + f"Content-Type: {content_type}\r\n\r\n{body}").encode()

    def _wrap(self, content_type: str, body: str, inner: str) -> tuple[str, str]:
        if self.wrapped == "attachment":
            part = (
                f"Content-Type: application/octet-stream; name=invite.ics\r\n"
                f"Content-Disposition: attachment; filename=invite.ics\r\n\r\n{body}"
            )
        elif self.wrapped == "winmail":
            number = self.event.sequence if self.event else 0
            stream = winmail.response(
                self.event.value("UID") if self.event else "",
                self.words.split(" ")[0],
                self.sender,
                number,
                self.now,
            )
            part = (
                "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                + encodebytes(stream).decode().replace("\n", "\r\n")
            )
        elif self.wrapped == "forwarded":
            part = f"Content-Type: message/rfc822\r\n\r\n{inner}"
        else:
            part = f"Content-Type: {content_type}\r\n\r\n{body}"
        twice = f"--b\r\n{part}\r\n" if self.wrapped == "twice" else ""
        kind = (
            'multipart/signed; protocol="application/pgp-signature"'
            if self.wrapped == "signed"
            else "multipart/mixed"
        )
        signature = (
            "--b\r\nContent-Type: application/pgp-signature; name=signature.asc\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n"
            if self.wrapped == "signed"
            else ""
        )
        return f"{kind}; boundary=b", (
            f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee below.\r\n{twice}--b\r\n{part}\r\n"
            f"{signature}--b--\r\n"
        )

    def _with_our_object(self, content_type: str, body: str, letter: Sent) -> tuple[str, str]:
        """Some programs send the invitation back with whatever they say."""
        calendar = next(
            part
            for part in message_from_bytes(letter.content).walk()
            if part.get_content_type() == "text/calendar"
        )
        payload = calendar.get_payload(decode=True)
        assert isinstance(payload, bytes)
        return "multipart/mixed; boundary=q", (
            f"--q\r\nContent-Type: {content_type}\r\n\r\n{body}\r\n--q\r\n"
            f"Content-Type: text/calendar; method=REQUEST\r\n\r\n{payload.decode()}\r\n--q--\r\n"
        )

    def _recipient(self) -> str:
        if self.to is not None:
            return self.to
        if self.letter is None or not self.token:
            return MAILBOX
        return (
            self.letter.letter.bounce_address
            if self.bounce_address
            else self.letter.letter.organizer_address
        )

    # Calendar objects

    def _itip(self) -> tuple[str, str]:
        method = self.kind
        parameter = (
            f"; method={method if self.method_parameter == OURS else self.method_parameter}"
            if self.method_parameter
            else ""
        )
        lines = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Outside//Client 1.0//EN",
            f"METHOD:{method}",
        ]
        words = self.words.split(" ")[0].upper()
        if all(
            answer for _, answer in self.dates
        ):  # dates that each have an answer of their own stand beside the series
            lines += self._component(None, words)
        for when, said in self.dates:
            lines += self._component(when, said or words)
        calendar = "\r\n".join([*lines, "END:VCALENDAR", ""])
        kind = f"text/calendar; charset=utf-8{parameter}"
        if not self.remark:
            return kind, calendar
        return "multipart/alternative; boundary=a", (
            f"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{self.remark}\r\n-----Original Appointment-----\r\nFrom: Kari\r\n"
            f"--a\r\nContent-Type: {kind}\r\n\r\n{calendar}--a--\r\n"
        )

    def _component(self, when: Moment | None, said: str) -> list[str]:
        outside = self.kind in NOTICES and self.uid != "ours"
        uid = self.uid if self.uid not in (OURS, "ours") else "outside-1@ext.example"
        if self.event and not outside and self.uid in (OURS, "ours"):
            uid = self.event.value("UID")
        organizer = (
            (f"mailto:{self._organizer()}" if not outside else f"mailto:{self.sender}")
            if self.organizer
            else ""
        )
        lines = [
            f"BEGIN:{self.component}",
            f"UID:{uid}",
            *self._stamp(),
            *self._sequence(),
            *([f"ORGANIZER:{organizer}"] if organizer else []),
            *self._recurrence(when),
            *self._times(when),
        ]
        lines += [f"COMMENT:{escaped(self.comment)}"] if self.comment else []
        return [*lines, *self._people(said), f"END:{self.component}"]

    def _organizer(self) -> str:
        return self.letter.letter.organizer_address if self.letter and self.token else MAILBOX

    def _stamp(self) -> list[str]:
        if self.dtstamp is None:
            return []
        if self.dtstamp == "echoed":
            return [f"DTSTAMP:{self.event.value('DTSTAMP')}"] if self.event else []
        return [f"DTSTAMP:{_utc(self.now) if self.dtstamp == OURS else self.dtstamp}"]

    def _sequence(self) -> list[str]:
        if self.sequence is None:
            return []
        own = self.event.sequence if self.event else 0
        return [f"SEQUENCE:{own if self.sequence == OURS else self.sequence}"]

    def _recurrence(self, when: Moment | None) -> list[str]:
        if self.recurrence_text:
            return [f"RECURRENCE-ID:{self.recurrence_text}"]
        if when is None:
            return []
        following = ";RANGE=THISANDFUTURE" if self.this_and_future else ""
        return ["RECURRENCE-ID" + following + _moment(when, self.form)]

    def _times(self, when: Moment | None) -> list[str]:
        if self.kind == "COUNTER":
            start, end = language.span(self.words)
            return [f"DTSTART{_moment(_at(start), 'utc')}", f"DTEND{_moment(_at(end), 'utc')}"]
        if isinstance(self.start, datetime | date):
            return ["DTSTART" + _moment(self.start, "tzid")]
        if self.start is None:
            return []
        if when is not None:
            return ["DTSTART" + _moment(when, self.form)]
        line = self.event.line("DTSTART") if self.event else None
        return [line.raw] if line else [f"DTSTART:{_utc(self.now + timedelta(days=7))}"]

    def _people(self, said: str) -> list[str]:
        if self.kind in NOTICES:
            return ["ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:" + (self.to or MAILBOX)]
        answer = f";PARTSTAT={said}" if self.kind == "REPLY" and said and said != "NOTHING" else ""
        answer += f';DELEGATED-TO="mailto:{self.delegated_to}"' if self.delegated_to else ""
        answer += (
            f';TO-ALL-PROPOSED-NEW-TIME="DTSTART:{self.proposed};STATUS:NEEDS-ACTION"'
            if self.proposed
            else ""
        )
        answer += self.attendee_parameters
        people = self.attendees
        if people is None:
            people = [self.letter.letter.address if self.letter else self.sender]
        lines = [
            f"ATTENDEE{answer}:" + ("" if one == "nobody" else f"mailto:{one}")
            for one in people[:1]
        ]
        # Whoever lists everybody (KMail, OBM) gives the others' answers as well: none of them may
        # count.
        lines += [f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{one}" for one in people[1:]]
        if self.delegated_to:
            lines.append(
                f'ATTENDEE;PARTSTAT=NEEDS-ACTION;DELEGATED-FROM="mailto:{people[0]}":mailto:{self.delegated_to}'
            )
        return lines

    # Everything else

    def _text(self) -> tuple[str, str]:
        self.subject = self.subject or "Re: invitation"
        return "text/plain; charset=utf-8", language.quoted(self.words).replace(
            "\n", "\r\n"
        ) + "\r\n"

    def _vacation(self) -> tuple[str, str]:
        self.headers += ["Auto-Submitted: auto-replied", "Return-Path: <>"]
        self.subject = self.subject or "Automatic reply: Kick-off"
        return self._text()

    def _link(self) -> tuple[str, str]:
        assert self.letter is not None
        link = self.letter.invitation.links[self.words.split(" ")[0]]
        self.subject = self.subject or link.subject
        self.to = self.to or link.address
        return "text/plain; charset=utf-8", f"{self.remark}\r\n"

    def _dsn(self) -> tuple[str, str]:
        action, status, *_ = [
            *self.words.split(" "),
            "5.1.1" if self.words.startswith("failed") else "4.4.1",
        ]
        self.headers += ["Return-Path: <>", "Auto-Submitted: auto-replied"]
        letter = self.letter
        recipient = self.recipient or (letter.letter.address if letter else self.sender)
        returned = ""
        if letter and self.returning == "letter":
            returned = "--d\r\nContent-Type: message/rfc822\r\n\r\n" + letter.content.decode()
        elif letter and self.returning == "headers":
            returned = f"--d\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {letter.invitation.message_id}\r\n"
        elif self.returning == "uid":
            returned = (
                "--d\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
                f"UID:{self.event.value('UID') if self.event else ''}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            )
        return "multipart/report; report-type=delivery-status; boundary=d", (
            "--d\r\nContent-Type: text/plain\r\n\r\nThis is the mail system.\r\n"
            "--d\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.ext.example\r\n\r\n"
            f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
            f"Diagnostic-Code: smtp; 550 {status} no such user here\r\n\r\n{returned}\r\n--d--\r\n"
        )

    def _prose(self) -> tuple[str, str]:
        self.headers += ["Return-Path: <>"]
        self.subject = self.subject or "Undeliverable: Kick-off"
        return self._text()

    def _mdn(self) -> tuple[str, str]:
        self.headers += ["Auto-Submitted: auto-replied"]
        return "multipart/report; report-type=disposition-notification; boundary=m", (
            "--m\r\nContent-Type: text/plain\r\n\r\nYour message was displayed.\r\n"
            "--m\r\nContent-Type: message/disposition-notification\r\n\r\n"
            f"Final-Recipient: rfc822; {self.sender}\r\n{self._original()}"
            f"Disposition: manual-action/MDN-sent-manually; {self.words.split(' ')[0]}\r\n\r\n--m--\r\n"
        )

    def _original(self) -> str:
        return (
            f"Original-Message-ID: {self.letter.invitation.message_id}\r\n"
            if self.letter and self.returning != "nothing"
            else ""
        )

    def _bytes(self) -> tuple[str, str]:
        """What breaks readers: many bytes, deep nesting, nonsense where an object should be."""
        if self.words.startswith("large"):
            return "text/plain", ("x" * 998 + "\r\n") * 6_000
        if self.words.startswith("deep"):
            return "multipart/mixed; boundary=b0", "".join(
                f"--b{at}\r\nContent-Type: multipart/mixed; boundary=b{at + 1}\r\n\r\n"
                for at in range(40)
            )
        return "text/calendar; method=REPLY", "this is no calendar object \x00\x01\r\n"


def escaped(text: str) -> str:
    """RFC 5545 §3.3.11."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def change(mail: Mail, wanted: str, line: language.Line) -> None:
    """Change the mail as one option of its line says."""
    for pattern, apply in OPTIONS:
        if found := re.fullmatch(pattern, wanted):
            apply(mail, found)
            return
    raise line.error(f"no such option: {wanted}")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=language.ZONE).astimezone(UTC)


def _utc(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _moment(when: Moment, form: str) -> str:
    """Parameters and value of a date property in one of the forms
    that clients write (RFC 5545 §3.3.5).
    """
    if not isinstance(when, datetime):
        return f";VALUE=DATE:{when:%Y%m%d}"
    local = when.astimezone(ZoneInfo("Europe/Oslo"))
    return {
        "utc": f":{_utc(when)}",
        "tzid": f";TZID=Europe/Oslo:{local:%Y%m%dT%H%M%S}",
        "windows": f";TZID=W. Europe Standard Time:{local:%Y%m%dT%H%M%S}",
        "date": f";VALUE=DATE:{local:%Y%m%d}",
        "floating": f":{local:%Y%m%dT%H%M%S}",
    }[form]


def _flag(name: str, value: object):  # type: ignore[no-untyped-def]
    return lambda mail, found: setattr(mail, name, value)


def _add(name: str, make):  # type: ignore[no-untyped-def]
    return lambda mail, found: getattr(mail, name).append(make(mail, found))


def _set(name: str, make):  # type: ignore[no-untyped-def]
    return lambda mail, found: setattr(mail, name, make(mail, found))


def _domain(mail: Mail) -> str:
    return mail.sender.rpartition("@")[2]


OPTIONS = (
    (r"sequence (\d+)", _set("sequence", lambda m, f: int(f[1]))),
    (r"no sequence", _flag("sequence", None)),
    (r"no dtstamp", _flag("dtstamp", None)),
    (r"dtstamp echoed from our letter", _flag("dtstamp", "echoed")),
    (r"dtstamp year 0000", _flag("dtstamp", "00001120T090000Z")),
    (
        r"dtstamp (\d{4}-\d\d-\d\d \d\d:\d\d|\d\d:\d\d(?::\d\d)?)",
        _set("dtstamp", lambda m, f: _utc(language.instant(f[1], m.now))),
    ),
    (rf"date ({language.WHEN})", _add("dates", lambda m, f: (language.moment(f[1]), ""))),
    (
        rf"and date ({language.WHEN}) ([A-Z-]+)",
        _add("dates", lambda m, f: (language.moment(f[1]), f[2])),
    ),
    (r"recurrence-id as (utc|tzid|windows|date|floating)", _set("form", lambda m, f: f[1])),
    (r"this and all future dates", _flag("this_and_future", True)),
    (r"no recurrence-id", _set("dates", lambda m, f: [])),
    (rf"start ({language.WHEN})", _set("start", lambda m, f: language.moment(f[1]))),
    (r"no start", _flag("start", None)),
    (r"no token", _flag("token", False)),
    (r"without ORGANIZER", _flag("organizer", False)),
    (r"without ATTENDEE", _flag("attendees", [])),
    (r"ATTENDEE without an address", _flag("attendees", ["nobody"])),
    (r"ATTENDEES? (\S+@.+)", _set("attendees", lambda m, f: f[1].split(" "))),
    (r"delegated to (\S+)", _set("delegated_to", lambda m, f: f[1])),
    (
        r"proposing ([\d-]+ [\d:]+)",
        _set("proposed", lambda m, f: _utc(language.instant(f[1], m.now))),
    ),
    (r'comment (".*")', _set("comment", lambda m, f: language.quoted(f[1]))),
    (r'remark (".*")', _set("remark", lambda m, f: language.quoted(f[1]))),
    (r'subject (".*")', _set("subject", lambda m, f: language.quoted(f[1]))),
    (r"uid (\S+)", _set("uid", lambda m, f: f[1])),
    (r"our own object", _flag("uid", "ours")),
    (r"to (\S+@\S+)", _set("to", lambda m, f: f[1])),
    (
        r"to the token in capitals",
        _set("to", lambda m, f: m.letter.letter.organizer_address.upper()),
    ),
    (r"to the mailbox", _flag("to", MAILBOX)),
    (r"to the bounce address", _flag("bounce_address", True)),
    (
        r"in reply to our letter",
        _add("headers", lambda m, f: f"In-Reply-To: {m.letter.invitation.message_id}"),
    ),
    (r"automatic", _add("headers", lambda m, f: "Auto-Submitted: auto-replied")),
    (r"null sender", _add("headers", lambda m, f: "Return-Path: <>")),
    (
        r"authenticated",
        _add(
            "top",
            lambda m, f: f"Authentication-Results: {AUTHSERV}; dmarc=pass header.from={_domain(m)}",
        ),
    ),
    (
        r"signed by (\S+)",
        _add("top", lambda m, f: f"Authentication-Results: {AUTHSERV}; dkim=pass header.d={f[1]}"),
    ),
    (
        r"not authenticated",
        _add(
            "top",
            lambda m, f: f"Authentication-Results: {AUTHSERV}; dmarc=fail header.from={_domain(m)}",
        ),
    ),
    (
        r"forged authentication",
        lambda m, f: m.headers.extend(
            [
                f"Authentication-Results: {AUTHSERV}; dmarc=pass header.from={_domain(m)}",
                f"Authentication-Results: mx.forged.example; dmarc=pass header.from={_domain(m)}",
            ]
        ),
    ),
    (
        r"authenticated by another server",
        _add(
            "top",
            lambda m, f: (
                f"Authentication-Results: mx.else.example; dmarc=pass header.from={_domain(m)}"
            ),
        ),
    ),
    (r"message-id (\S+)", _set("message_id", lambda m, f: f"<{f[1]}@ext.example>")),
    (r"no message-id", lambda m, f: m.headers.append("Message-ID: ")),
    (r"without method parameter", _flag("method_parameter", None)),
    (r"method parameter (\w+)", _set("method_parameter", lambda m, f: f[1])),
    (r"with our invitation attached", _flag("quoting", True)),
    (
        r'response comment (".*")',
        _set("attendee_parameters", lambda m, f: f';X-RESPONSE-COMMENT="{language.quoted(f[1])}"'),
    ),
    (r"as attachment", _flag("wrapped", "attachment")),
    (r"forwarded as attachment", _flag("wrapped", "forwarded")),
    (r"as winmail.dat", _flag("wrapped", "winmail")),
    (r"signed", _flag("wrapped", "signed")),
    (r"the object twice", _flag("wrapped", "twice")),
    (r"as (VTODO|VFREEBUSY)", _set("component", lambda m, f: f[1])),
    (r"for (\S+@\S+)", _set("recipient", lambda m, f: f[1])),
    (r"nothing named", _flag("returning", "nothing")),
    (r"returning (nothing|headers|letter|uid)", _set("returning", lambda m, f: f[1])),
    (r'header (".*")', _add("headers", lambda m, f: language.quoted(f[1]))),
    (r'name (".*")', _set("name", lambda m, f: language.quoted(f[1]))),
)
"""What may stand behind a comma, and what it changes."""
