"""A meeting response of Outlook or Exchange that comes as MAPI properties (winmail.dat) instead of
iCalendar.

It becomes the same value as a calendar object of iTIP, so nothing behind it knows the difference.
Exchange sends such answers to whom it takes for another Exchange ("rich text", corpus tnef/001,
2015).

Standards: MS-OXOCAL (meetings as properties), MS-OXCICAL §2.1.3 (which property is which of
iCalendar). On failure: `errors.Unreadable` from `mail.tnef`. A property that is missing or
senseless counts as missing. Security: the addresses in it are claims, like an ATTENDEE; who may
answer is decided in `answer.correlate`.
"""

from datetime import date, datetime, timedelta

from gateway.ical import read
from gateway.mail import address, header, markup, quoting, tnef
from gateway.model import Method

CLASSES = {
    "ipm.schedule.meeting.resp.pos": (Method.REPLY, "ACCEPTED"),
    "ipm.microsoft schedule.mtgrespp": (Method.REPLY, "ACCEPTED"),
    "ipm.schedule.meeting.resp.neg": (Method.REPLY, "DECLINED"),
    "ipm.microsoft schedule.mtgrespn": (Method.REPLY, "DECLINED"),
    "ipm.schedule.meeting.resp.tent": (Method.REPLY, "TENTATIVE"),
    "ipm.microsoft schedule.mtgrespa": (Method.REPLY, "TENTATIVE"),
    "ipm.schedule.meeting.request": (Method.REQUEST, ""),
    "ipm.microsoft schedule.mtgreq": (Method.REQUEST, ""),
    "ipm.schedule.meeting.canceled": (Method.CANCEL, ""),
    "ipm.microsoft schedule.mtgcncl": (Method.CANCEL, ""),
}
"""Message classes (MS-OXOCAL), and their names in the attribute that older programs read
(MS-OXTNEF, attMessageClass).
"""

MEETING = bytes.fromhex("90dad86e0b451b1098da00aa003f1305")  # PSETID_Meeting
APPOINTMENT = bytes.fromhex("0220060000000000c000000000000046")  # PSETID_Appointment

MESSAGE_CLASS, SUBMITTED, BODY, HTML = (b"", 0x001A), (b"", 0x0039), (b"", 0x1000), (b"", 0x1013)
REPRESENTED_SMTP, REPRESENTED, REPRESENTED_TYPE = (b"", 0x5D02), (b"", 0x0065), (b"", 0x0064)
SENDER_SMTP, SENDER, SENDER_TYPE = (b"", 0x5D01), (b"", 0x0C1F), (b"", 0x0C1E)
REPRESENTED_NAME, START, END = (b"", 0x0042), (b"", 0x0060), (b"", 0x0061)
ANSWERED_AT, OBJECT_ID, CLEAN_OBJECT_ID = (MEETING, 0x0001), (MEETING, 0x0003), (MEETING, 0x0023)
SEQUENCE, START_WHOLE, END_WHOLE = (
    (APPOINTMENT, 0x8201),
    (APPOINTMENT, 0x820D),
    (APPOINTMENT, 0x820E),
)
REPLACED, PROPOSED_START, PROPOSED_END, PROPOSES = (
    (APPOINTMENT, 0x8228),
    (APPOINTMENT, 0x8250),
    (APPOINTMENT, 0x8251),
    (APPOINTMENT, 0x8257),
)

FOREIGN_UID = b"vCal-Uid\x01\x00\x00\x00"
LONGEST_ID = 500  # octets; read.Component keeps 1 000 characters of a UID


def calendar(data: bytes) -> read.Calendar | None:
    """The calendar object that a winmail.dat amounts to; None where it is no meeting. Raises
    `Unreadable`.
    """
    message = tnef.read(data)
    # A class may be made narrower by anybody: "IPM.Schedule.Meeting.Resp.Pos.Acme".
    name = message.text(MESSAGE_CLASS).lower()
    meanings = (
        meaning for prefix, meaning in CLASSES.items() if f"{name}.".startswith(f"{prefix}.")
    )
    method, partstat = next(meanings, (None, ""))
    if method is None:
        return None
    email = _address(message)
    if not partstat:
        return read.Calendar(method, (_component(message, organizer=email),))
    proposed = _utc(message.moment(PROPOSED_START)) if message.number(PROPOSES) else None
    attendee = read.Attendee(
        email, partstat, message.text(REPRESENTED_NAME)[:200], proposed=proposed
    )
    if proposed is None or partstat != "TENTATIVE":
        return read.Calendar(method, (_component(message, attendee),))
    # MS-OXCICAL §2.1.3.1.1.1: "tentative, and propose another time" is what iTIP calls a COUNTER.
    return read.Calendar(
        Method.COUNTER,
        (_component(message, attendee, proposed, _utc(message.moment(PROPOSED_END))),),
    )


def _component(
    message: tnef.Message,
    attendee: read.Attendee | None = None,
    start: read.When | None = None,
    end: read.When | None = None,
    organizer: str = "",
) -> read.Component:
    identifier = message.octets(OBJECT_ID)
    recurrence_id, recurrence_text = _recurrence_id(identifier, message.moment(REPLACED))
    if start is None:
        start = _utc(message.moment(START_WHOLE) or message.moment(START))
        end = _utc(message.moment(END_WHOLE) or message.moment(END))
    sequence = message.number(SEQUENCE)
    # Only what stands above Outlook's copy of the appointment is the answerer's own.
    words = quoting.own_words(message.text(BODY) or markup.text(message.text(HTML)))
    return read.Component(
        "VEVENT",
        _uid(message.octets(CLEAN_OBJECT_ID) or identifier),
        recurrence_id,
        recurrence_text,
        sequence=max(0, sequence) if sequence is not None else None,
        dtstamp=_stamp(message),
        dtstart=start,
        dtend=end,
        organizer=organizer,
        attendees=(attendee,) if attendee is not None else (),
        comments=(words,) if words else (),
    )


def _stamp(message: tnef.Message) -> datetime | None:
    """In seconds, as in the iCalendar object that Exchange makes of the same answer for others."""
    stamp = message.moment(ANSWERED_AT) or message.moment(SUBMITTED)
    return stamp.replace(microsecond=0) if stamp is not None else None


def _address(message: tnef.Message) -> str:
    """Who answers: the person represented, before the secretary who sent it; "" where only an
    Exchange name is known.
    """
    for smtp, native, kind in (
        (REPRESENTED_SMTP, REPRESENTED, REPRESENTED_TYPE),
        (SENDER_SMTP, SENDER, SENDER_TYPE),
    ):
        email = message.text(smtp) or (
            message.text(native) if message.text(kind).upper() == "SMTP" else ""
        )
        if plain := address.normal(email):
            return plain
    return ""


def _uid(identifier: bytes) -> str:
    """The UID in a Global Object ID (MS-OXCICAL §2.1.3.1.1.20.26): a foreign one wrapped,
    Exchange's own in hexadecimal.
    """
    size = int.from_bytes(identifier[36:40], "little")
    inner = identifier[40 : 40 + min(size, LONGEST_ID)]
    if inner.startswith(FOREIGN_UID):
        return header.clean(
            header.decode(inner[len(FOREIGN_UID) :].split(b"\0")[0], "utf-8")
        ).strip()
    # All dates of a series have one UID, so the date within the identifier does not count.
    return (
        (identifier[:16] + bytes(4) + identifier[20:LONGEST_ID]).hex().upper()
        if len(identifier) >= 40
        else ""
    )


def _recurrence_id(identifier: bytes, replaced: datetime | None) -> tuple[read.When | None, str]:
    """Which date of a series is answered: the day within the identifier (MS-OXOCAL §2.2.1.27), to
    the minute where told.
    """
    written = identifier[16:20]
    if len(written) < 4 or not any(written):
        return None, ""
    try:
        day = date(int.from_bytes(written[:2], "big"), written[2], written[3])
    except ValueError:
        return None, written.hex()  # read.Component tells an unreadable date from none
    # The time is believed where it can be of that day, in whichever zone.
    if replaced is not None and abs(replaced.date() - day) <= timedelta(days=1):
        return _utc(replaced), f"{replaced:%Y%m%dT%H%M%SZ}"
    return read.When(read.Form.DATE, day), f"{day:%Y%m%d}"


def _utc(when: datetime | None) -> read.When | None:
    return (
        read.When(read.Form.UTC, when.date(), when.replace(tzinfo=None))
        if when is not None
        else None
    )
