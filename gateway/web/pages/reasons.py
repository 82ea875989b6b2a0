"""Why a letter did not arrive, in words: the classes of `mail.refusals` as a reader understands
them. The server's own words stand behind "Show". Pure.
"""

import re

from gateway.i18n import marked
from gateway.mail import refusals
from gateway.mail.refusals import Fault, Said

STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
"""A status code among a server's words (RFC 3463 §2)."""
NO_DOMAIN = ("1.2", "1.10")
"""Of a status code without its class: the domain is not there, or takes no mail (RFC 3463 §3.2)."""
BY_RULE = {
    "recipient": marked("The address does not exist"),
    "full": marked("The mailbox is full"),
    "recipient's rules": marked("The recipient's own rules refuse it"),
    "recipient's limit": marked("The recipient takes no more for now"),
    "content": marked("Refused by policy: it was taken for spam"),
    "letter": marked("The letter itself is not taken"),
    "too big or unsafe": marked("The letter is too big, or was taken for unsafe"),
    "quota": marked("Our account has sent too much"),
    "sender": marked("Our address is not accepted as sender"),
    "reputation": marked("Our server or domain is not trusted there"),
    "suspended": marked("Our account is suspended"),
    "relaying": marked("The server does not pass letters on for us"),
    "sign-in": marked("The sign-in was refused"),
}
BY_FAULT = {
    Fault.TEMPORARY: marked("Not now; it is tried again"),
    Fault.CONNECTIONS: marked("Too many connections are open"),
    Fault.LIMIT: marked("Our account has sent too much"),
    Fault.ACCOUNT: marked("Our account is not accepted"),
    Fault.RECIPIENT: marked("The recipient does not take it"),
    Fault.LETTER: marked("The letter itself is not taken"),
    Fault.DOUBTFUL: marked("Refused by policy"),
    Fault.UNKNOWN: marked("Refused, without a reason that is known"),
}
DOMAIN_UNKNOWN = marked("The domain does not exist, or takes no mail")
NOT_REACHED = marked("The server was not reached")


def of(said: Said) -> str:
    """A key of the catalogue."""
    if said.enhanced.partition(".")[2] in NO_DOMAIN:
        return DOMAIN_UNKNOWN
    if said.code is None and said.step in ("connect", "greeting"):
        return NOT_REACHED
    rule = refusals.rule(said)
    return BY_RULE[rule.name] if rule is not None else BY_FAULT[refusals.fault(said)]


def of_words(text: str) -> str:
    """Of a refusal if only the server's words are kept; a key of the catalogue."""
    status = STATUS.search(text)
    return of(refusals.reported(status[0] if status else "", text))
