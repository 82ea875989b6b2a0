"""What nobody wrote: automatic replies and other mail of machines (RFC 3834; vendors' headers;
vacation subjects).
"""

import re
from datetime import date, timedelta

from gateway.mail import address, freemail, parse, prose

STRONG = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-autoresponse",
    "x-vacation",
    "x-mail-autoreply",
    "x-apple-action",
    "x-ms-exchange-inbox-rules-loop",
    "x-auto-reply-from",
    "x-fc-machinegenerated",
)
"""Headers that only automatic replies carry; x-apple-action with VACATION (iCloud), the loop mark
of Exchange's rules.
"""

SUBJECT = re.compile(
    r"""^\s*(?:
        (?:automatic|auto)[\ -]?(?:reply|response|replied)|auto(?:matisk)?\s?svar
        |automatiskt\ svar
        |automatisch(?:e|es)?\ (?:antwort|antwoord)|autom\.\ antwort|autosvar|auto:
        |out\ of\ (?:the\ )?office|fraværsmelding|fravær|frånvaro|ikke\ på\ kontoret
        |ikke\ til\ stede|inte\ på\ kontoret|abwesenheits|abwesend
        |réponse\ automatique|message\ d'absence
        |absence\ (?:du\ bureau|de)|afwezig|niet\ aanwezig|respuesta\ automática
        |fuera\ de\ (?:la\ )?oficina|risposta\ automatica|fuori\ (?:sede|ufficio)
        |resposta\ automática|automaattinen\ vastaus|poissaolo|odpowiedź\ automatyczna
        |autoodpowiedź|automatická\ odpověď|автоматический\ ответ|автоответ|autoreply
        |away\ (?:until|from)|on\ (?:vacation|holiday|leave)|vacation\ (?:reply|response))""",
    re.IGNORECASE | re.VERBOSE,
)
AWAY = re.compile(
    r"""\b(?:
        out\ of\ (?:the\ |my\ )?office|on\ (?:annual\ |parental\ |sick\ |maternity\ )?leave|vacation
        |on\ holidays?|away\ (?:until|from|till)|am\ away|back\ (?:on|in\ the\ office)
        |limited\ access\ to\ (?:my\ )?e?-?mail|på\ ferie|ferien?\b|permisjon|fravær\w*
        |borte\ (?:til|fra)|tilbake\ (?:på|den|mandag|igjen)|ikke\ på\ kontoret|ikke\ til\ stede
        |semester|frånvar\w*|inte\ på\ kontoret|kontoret\ igen|urlaub|abwesen\w*
        |nicht\ im\ (?:büro|haus)|en\ congés?|absente?\b|en\ vacances|vakantie|afwezig\w*
        |niet\ aanwezig|lomalla|poissa\b|palaan|vacaciones|ausente|fuera\ de\ la\ oficina|assente
        |fuori\ (?:sede|ufficio)|férias|urlop\w*|nieobecn\w*|отпуск\w*)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Words of somebody who is not there, anywhere in the text."""
NOTICES = frozenset({"auto-generated", "auto-notified"})
"""Values of Auto-Submitted that say no more than that a machine wrote (RFC 3834 §5, RFC 5436
§2.7).
"""
BULK = frozenset({"bulk", "junk", "auto_reply", "list"})
ROBOT = re.compile(
    r"(?:no-?_?\.?reply|do-?_?\.?not-?_?\.?reply|calendar-?(?:notification|server|robot)?|mailer-daemon|"
    r"noresponse|notifications?|invitations?|autom(?:at(?:ed|ic))?)(?:[-+_.][^@]*)?@",
    re.IGNORECASE,
)

MONTHS = {
    name: at
    for at, names in enumerate(
        (
            ("jan",),
            ("feb",),
            ("mar", "mär", "mars"),
            ("apr",),
            ("may", "mai", "maj"),
            ("jun",),
            ("jul",),
            ("aug",),
            ("sep",),
            ("oct", "okt"),
            ("nov",),
            ("dec", "des", "dez"),
        ),
        1,
    )
    for name in names
}
UNTIL = re.compile(
    r"\b(?:until|till|through|back (?:on|in the office on)|return(?:ing)? on|til og"
    r" med|t\.?o\.?m\.?|frem til|inntil|til|"
    r"tilbake|bis(?: zum| einschließlich)?)\b[\s:]*(?:\w{2,9}day|\w{2,6}dag|den|the)?[\s,]*"
    r"(?:(\d{4})-(\d\d)-(\d\d)|(\d{1,2})[./](\d{1,2})[./]?(\d{4}|\d\d)?|"
    r"(\d{1,2})(?:st|nd|rd|th|\.)?\s+([a-zä]{3,9})\.?(?:,?\s+(\d{4}))?|([a-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?)",
    re.IGNORECASE,
)
LOOKED_AT = 3_000


def evidence(message: parse.Message) -> str:
    """What shows that nobody wrote this, as a phrase; "" where nothing does."""
    submitted = _submitted(message)
    if submitted and submitted != "no":  # RFC 3834 §5
        return f"Auto-Submitted: {submitted[:40]}"
    return _reply(message)


def reply_evidence(message: parse.Message) -> str:
    """What shows that this is an automatic *reply*, as a phrase; "" for anything else that a
    machine wrote: a notice is a person's words, too.
    """
    if _submitted(message) not in NOTICES:
        return evidence(message)
    reply_header = _reply(message)
    if reply_header:
        return reply_header
    away = AWAY.search(prose.above(message.text))
    return f"the words {away[0][:40]!r}" if away is not None else ""


def says_away(message: parse.Message) -> bool:
    """Whether the Subject is that of a vacation reply: it beats whatever else the mail says."""
    return SUBJECT.match(message.subject) is not None


def is_away(message: parse.Message) -> bool:
    """Whether a person's own machine says that they are away: by a header and by words."""
    return evidence(message) != "" and AWAY.search(prose.above(message.text)) is not None


def _submitted(message: parse.Message) -> str:
    return message.header("auto-submitted").split(";")[0].split("(")[0].strip().lower()


def _reply(message: parse.Message) -> str:
    for name in STRONG:
        if name in message.headers and (
            name != "x-apple-action" or "VACATION" in message.header(name).upper()
        ):
            return f"header {name}"
    if message.header("precedence").strip().lower() == "auto_reply":
        return "Precedence: auto_reply"
    if says_away(message):
        return f"subject {message.subject[:60]!r}"
    if message.null_sender and "x-auto-response-suppress" in message.headers:
        return "header x-auto-response-suppress with the null sender"
    return ""


def is_automatic(message: parse.Message) -> bool:
    """Whether to keep from answering this: wider than `evidence`, because a loop costs more than a
    missing letter.
    """
    return bool(
        message.null_sender
        or evidence(message)
        or message.header("precedence").strip().lower() in BULK
        or "list-id" in message.headers
    )


def is_robot(sender: str) -> bool:
    """Whether an address is one from which no human writes: no-reply, calendar-notification, ..."""
    return ROBOT.match(sender) is not None


def is_robot_for(sender: str, invitee: str) -> bool:
    """Whether `sender` is a robot that sends for the organisation of `invitee`.

    Where anybody gets an address nobody is a robot by its name or domain: only the provider's own
    senders are (itip.md §5).
    """
    theirs, domain = address.normal(sender), address.domain(invitee)
    if freemail.is_robot_for(theirs, domain):
        return True
    if freemail.is_public(domain) or freemail.is_public(address.domain(theirs)):
        return False
    return is_robot(theirs) and address.related(address.domain(theirs), domain)


def until(message: parse.Message, today: date) -> date | None:
    """The day up to which somebody says to be away (Norwegian, English, German); None where no day
    is found.

    `today` says which year a day without one means: the next such day.
    """
    for text in (message.subject, message.text[:LOOKED_AT]):
        for match in UNTIL.finditer(text):
            if (day := _day(match.groups(""), today)) is not None:
                return day
    return None


def _day(groups: tuple[str, ...], today: date) -> date | None:
    iso_year, iso_month, iso_day, day1, month1, year1, day2, name2, year2, name3, day3, year3 = (
        groups
    )
    # One of the four ways to write a day has matched; what belongs to the others is "".
    year = iso_year + year1 + year2 + year3
    month = int(iso_month + month1 or 0) or _month(name2 + name3)
    day = int(iso_day + day1 + day2 + day3)
    try:
        if year:
            return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
        this_year = date(today.year, month, day)
        return (
            this_year
            if this_year >= today - timedelta(days=31)
            else this_year.replace(year=today.year + 1)
        )
    except ValueError:
        return None


def _month(name: str) -> int:
    """By its first letters; 0 where it is none."""
    return MONTHS.get(name[:4].lower(), MONTHS.get(name[:3].lower(), 0))
