"""What came in the place of words or of an answer, and says nothing to us: encrypted mail, and what
a mail server gives out instead of a message that it cannot deliver.

Standards: RFC 8551 (S/MIME), RFC 3156 and RFC 4880 §6.2 (OpenPGP). A mail with a token of ours may
be an answer, so a person has to see it (itip.md §3).
"""

import re

from gateway.mail import parse

PGP_TYPES = frozenset({"application/pgp-encrypted", "multipart/encrypted"})
RIGHTS_TYPES = frozenset({"application/x-microsoft-rpmsg-message"})
PGP_MESSAGE = re.compile(r"^-----BEGIN PGP MESSAGE-----\s*$", re.MULTILINE)
FAILED_RETRIEVAL = re.compile(r"\b(?:IMAP4?|POP3?)\b.*\d+\s*$", re.IGNORECASE)
"""The Subject of Exchange's substitute, in every language: the protocol and the message's number
("Retrieval using the IMAP4 protocol failed for the following message: 522"; 2007 to 2019, Exchange
Online).
"""
EXCHANGE = "microsoft exchange"


def encrypted(message: parse.Message) -> str:
    """Why nobody here can read the mail itself, "" where one can."""
    for part in message.parts:
        if part.returned:
            continue
        if part.closed:
            return part.closed
        if part.content_type in RIGHTS_TYPES or part.filename.lower().endswith(".rpmsg"):
            return (
                "the mail is encrypted (Microsoft's rights management), and nobody here has the key"
            )
    types = {message.content_type, *(part.content_type for part in message.parts)}
    if types & PGP_TYPES or PGP_MESSAGE.search(message.text):
        return "the mail is encrypted (OpenPGP), and nobody here has the key"
    return ""


def is_substitute(message: parse.Message) -> bool:
    """Whether Exchange wrote this in the place of a message that it could not convert for IMAP. Its
    From names the product and no address.
    """
    by_exchange = message.header("from").strip().strip('"').lower().startswith(EXCHANGE)
    return (by_exchange or not message.from_addresses) and bool(
        FAILED_RETRIEVAL.search(message.subject)
    )


def never_travelled(message: parse.Message) -> bool:
    """Whether a sender without an address wrote this, and no server transported it: From names no
    mailbox, and there is neither Message-ID nor Received. A server made it up where it lies.
    """
    names_no_mailbox = message.header("from") and not message.from_addresses
    return bool(names_no_mailbox) and not any(
        name in message.headers for name in ("message-id", "received", "return-path")
    )
