"""What kind of mail a message is: the order of itip.md §3, the first that fits. Whose it is, is
decided later.

The one thing that needs the store (is this UID ours?) is left open in `NotAnAnswer`, which carries
both readings.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from gateway.errors import Unreadable
from gateway.ical import outlook, read
from gateway.mail import address, automatic, bounce, header, links, parse, prose, quoting, unread
from gateway.model import Method, Reply

ANSWERS = (Method.REPLY, Method.COUNTER, Method.REFRESH)


@dataclass(frozen=True, slots=True)
class Ours:
    """The mailboxes of all our accounts, former addresses included: mail for one may come by way of
    another.
    """

    mailboxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """iTIP objects that speak to an organizer: REPLY, COUNTER, REFRESH. Equal ones are one.

    offsets: what their VTIMEZONEs say, as a hint. remark: the human's own text beside the object.
    automatic: a machine sent it, so nothing is asked again in reply. fingerprint: the same for the
    same objects, whatever mail carries them.
    """

    method: Method
    components: tuple[read.Component, ...]
    offsets: Mapping[str, tuple[timedelta, ...]] = field(default_factory=dict, compare=False)
    remark: str = ""
    automatic: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An MDN. displayed: it says that the mail was shown to a person (RFC 8098 §3.2.6.2).
    recipients: whose it says to be.
    """

    displayed: bool
    message_ids: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Complaint:
    """An abuse report (RFC 5965): somebody pressed "this is spam". Nobody's words."""


@dataclass(frozen=True, slots=True)
class AutoReply:
    """No person wrote this. evidence: what gave it away. until: the day up to which somebody is
    away, where it names a day.
    """

    evidence: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class HumanText:
    """A person's own words. suggestion: what the first sentence seems to say; never applied by
    itself (P23). notice: they are a machine's, but the owner should see them.
    """

    text: str
    suggestion: Reply | None = None
    notice: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing that can be understood: ignored, and kept. Where it ties to a row, a person has to
    see it. subject: its words, which may say what the mail does not (`quoting.subject_words`).
    """

    reason: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """An answer link's bracket in a Subject. Where its CHECK does not hold, the mail is
    `otherwise`.
    """

    tag: links.Tag
    otherwise: HumanText | Nothing


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report about a letter, one entry per recipient that it names. organizers: of the calendar
    objects that came back.

    otherwise: what a report in words is where it may not count as one; None where a machine calls
    it a report (`bounce.is_report`).
    """

    reports: tuple[bounce.Report, ...]
    message_ids: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    organizers: tuple[str, ...] = ()
    otherwise: AutoReply | LinkAnswer | HumanText | Nothing | None = None


@dataclass(frozen=True, slots=True)
class NotAnAnswer:
    """An iTIP object that is no answer to us. Where it is an object of ours (`returned`: our
    ORGANIZER; or a UID that the store knows) in an automatic message or in one to a token address,
    the mail is `otherwise` instead (itip.md §3, 3).
    """

    reason: str
    uids: tuple[str, ...] = ()
    returned: bool = False
    otherwise: "Bounce | AutoReply | LinkAnswer | HumanText | Nothing | None" = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A calendar object that cannot be understood."""

    reason: str


Finding = (
    Answer
    | Bounce
    | Receipt
    | Complaint
    | AutoReply
    | LinkAnswer
    | HumanText
    | NotAnAnswer
    | Malformed
    | Nothing
)


def classify(message: parse.Message, ours: Ours, today: date) -> Finding:
    """What a message is. `today`: the day on which it reached the mailbox, for days without a year
    in an auto-reply.
    """
    if bounce.is_complaint(message):
        return Complaint()
    if bounce.is_report(message):
        return _bounce(message, None)
    receipt = _receipt(message)
    if receipt is not None:
        return receipt
    if unread.is_substitute(message):
        return Malformed(
            "the mail server gave this out in the place of a message that it could not deliver: an"
            " answer may be in it; look for it in the mailbox with another program"
        )
    calendars = _calendar(message, ours, today)
    if calendars is not None:
        return calendars
    closed = unread.encrypted(message)
    return Nothing(closed) if closed else _text(message, ours, today)


def _bounce(
    message: parse.Message, otherwise: AutoReply | LinkAnswer | HumanText | Nothing | None
) -> Bounce:
    parts = (part for part in message.parts if part.is_calendar)
    calendars = (calendar for part in parts for calendar in _try(part))
    components = [component for calendar in calendars for component in calendar.components]
    organizers = dict.fromkeys(component.organizer for component in components)
    organizers.pop("", None)
    return Bounce(
        bounce.read(message),
        bounce.message_ids(message),
        _uids(components),
        tuple(organizers),
        otherwise,
    )


def _receipt(message: parse.Message) -> Receipt | None:
    fields, kind = bounce.disposition(message)
    if fields is None:
        return None
    returned = [value for head in message.returned_headers for value in head.get("message-id", ())]
    message_ids = header.message_ids(fields.get("original-message-id", ""), *returned)
    return Receipt(kind == "displayed", message_ids, bounce.recipients(fields))


def _calendar(message: parse.Message, ours: Ours, today: date) -> Finding | None:
    """The iTIP objects in every hiding place; None where there are none. A directly attached object
    beats a forwarded one.
    """
    calendars, reasons = _objects((part for part in message.parts if part.is_calendar), _icalendar)
    answer = _chosen(message, calendars, quoting.remark(message.text))
    if answer is not None:
        return answer  # Outlook's copy of it would say nothing new
    copies, troubles = _objects((part for part in message.parts if part.is_tnef), _winmail)
    # Outlook adds no sentence of its own to these: all words beside one are the answerer's.
    answer = _chosen(message, copies, _words(message)) if copies else None
    if answer is not None:
        return answer
    if calendars or copies:
        return _not_an_answer(message, [*calendars, *copies], ours, today)
    return Malformed("; ".join([*reasons, *troubles])) if reasons or troubles else None


def _objects(
    parts: Iterable[parse.Part], reader: Callable[[parse.Part], tuple[read.Calendar, ...]]
) -> tuple[list[read.Calendar], list[str]]:
    """What the parts hold, and why others could not be read. All of them together are kept to the
    bounds of one.
    """
    calendars = list[read.Calendar]()
    reasons = list[str]()
    components = set[read.Component]()
    attendees = 0
    for part in _nearest(parts):
        try:
            objects = reader(part)
        except Unreadable as error:
            reasons.append(str(error))
            continue
        of_part = {component for calendar in objects for component in calendar.components}
        fresh = of_part - components
        components |= fresh
        attendees += sum(len(component.attendees) for component in fresh)
        if len(components) > read.COMPONENTS or attendees > read.ATTENDEES:
            reasons.append(
                f"more than {read.COMPONENTS} calendar components or {read.ATTENDEES} attendees in"
                " all parts"
            )
            return [], reasons
        calendars += objects
    return calendars, reasons


def _icalendar(part: parse.Part) -> tuple[read.Calendar, ...]:
    return read.read(part.payload, part.charset)


def _winmail(part: parse.Part) -> tuple[read.Calendar, ...]:
    calendar = outlook.calendar(part.payload)
    return (calendar,) if calendar is not None else ()


def _nearest(parts: Iterable[parse.Part]) -> list[parse.Part]:
    """The parts that are attached directly; only where there are none, those inside forwarded or
    returned mails.
    """
    candidates = list(parts)
    attached = [part for part in candidates if not part.returned]
    return attached or candidates


def _chosen(message: parse.Message, calendars: list[read.Calendar], remark: str) -> Finding | None:
    """The answer among some objects, whatever else is there; the body's METHOD counts, whatever the
    MIME parameter says.
    """
    for method in ANSWERS:
        of_method = [calendar for calendar in calendars if calendar.method == method]
        if of_method:
            return _answer(message, method, of_method, remark)
    return None


def _answer(
    message: parse.Message, method: Method, calendars: list[read.Calendar], remark: str
) -> Finding:
    components = tuple(
        dict.fromkeys(component for calendar in calendars for component in calendar.components)
    )
    if not components:
        return Malformed(f"{method} without any component")
    if all(component.kind != "VEVENT" for component in components):
        return NotAnAnswer(
            f"a {method} of {components[0].kind}: we ask about events only", _uids(components)
        )
    offsets = {
        name: zone_offsets
        for calendar in calendars
        for name, zone_offsets in calendar.offsets.items()
    }
    fingerprint = hashlib.sha256(repr((method, components)).encode("utf-8", "replace")).hexdigest()
    return Answer(method, components, offsets, remark, automatic.is_automatic(message), fingerprint)


def _not_an_answer(
    message: parse.Message, calendars: list[read.Calendar], ours: Ours, today: date
) -> NotAnAnswer:
    components = [component for calendar in calendars for component in calendar.components]
    method = next((calendar.method for calendar in calendars if calendar.method), "")
    reason = "a calendar object without METHOD"
    if method:
        reason = f"METHOD {method}: an invitation or a notice, not an answer"
    uids = _uids(components)
    if method not in (Method.REQUEST, Method.CANCEL):
        return NotAnAnswer(reason, uids)
    returned = any(address.is_ours(component.organizer, ours.mailboxes) for component in components)
    to_token = any(
        address.split_subaddress(recipient, ours.mailboxes) for recipient in message.recipients
    )
    may_be_text = to_token or automatic.evidence(message) != ""
    otherwise = _text(message, ours, today) if may_be_text else None
    return NotAnAnswer(reason, uids, returned, otherwise)


def _text(
    message: parse.Message, ours: Ours, today: date
) -> Bounce | AutoReply | LinkAnswer | HumanText | Nothing:
    """Steps 4 to 7. A report in words comes before `Auto-Submitted`, which many mail systems write
    into theirs (1&1, Mail.ru, MailEnable, old Exim and Sendmail); a vacation subject before both.
    """
    daemon = bounce.from_daemon(message)
    may_report = daemon or (_at_bounce_mark(message, ours) and not _by_hand(message))
    is_certain = bounce.is_named_daemon(message) or not automatic.reply_evidence(message)
    if may_report and not _is_away(message) and prose.verdict(message, loosely=is_certain):
        return _bounce(message, _said(message, today, notice=daemon))
    return _said(message, today)


def _is_away(message: parse.Message) -> bool:
    """Whether somebody is away, and no server reports."""
    if automatic.says_away(message):
        return True
    by_server = bounce.is_named_daemon(message) or prose.quotes_a_server(message)
    return automatic.is_away(message) and not by_server


def _said(
    message: parse.Message, today: date, *, notice: bool = False
) -> AutoReply | LinkAnswer | HumanText | Nothing:
    """Automatic replies before anything that a person might have meant. `notice`: a report that may
    not count as one.
    """
    evidence = automatic.reply_evidence(message)
    if evidence:
        return AutoReply(evidence, automatic.until(message, today))
    words = _words(message)
    notice = notice or automatic.evidence(message) != ""
    human: HumanText | Nothing
    if words:
        suggestion = None if notice else quoting.suggestion(words)
        human = HumanText(words, suggestion, notice)
    else:
        human = Nothing(_silence(message), message.subject)
    tag = links.parse(message.subject)
    return LinkAnswer(tag, human) if tag is not None else human


def _words(message: parse.Message) -> str:
    """A person's own words, from the text or, where it has no words, from the HTML beside it."""
    return quoting.own_words(message.text) or quoting.own_words(message.html)


def _silence(message: parse.Message) -> str:
    """What there is instead of words."""
    kinds = {
        part.content_type.partition("/")[0]
        for part in message.parts
        if not part.returned and not part.content_type.startswith("text/")
    }
    if "image" in kinds:
        return "a picture and no words of its sender's own"
    if kinds:
        return "an attachment and no words of its sender's own"
    return "no words of its sender's own" if message.text else "neither a calendar object nor text"


def _at_bounce_mark(message: parse.Message, ours: Ours) -> bool:
    marks = (
        address.split_subaddress(recipient, ours.mailboxes) for recipient in message.recipients
    )
    return any(mark is not None and mark.bounce for mark in marks)


def _by_hand(message: parse.Message) -> bool:
    """Whether a person answers a mail by themselves: no mail system refers to what it reports on as
    to a mail that it answers, and a person may complain of a mail that did not arrive.
    """
    return bool(message.in_reply_to) and not automatic.is_automatic(message)


def _try(part: parse.Part) -> tuple[read.Calendar, ...]:
    """What came back in a report only helps to find the letter: what is unreadable does not."""
    try:
        return _icalendar(part)
    except Unreadable:
        return ()


def _uids(components: "list[read.Component] | tuple[read.Component, ...]") -> tuple[str, ...]:
    return tuple(dict.fromkeys(component.uid for component in components if component.uid))
