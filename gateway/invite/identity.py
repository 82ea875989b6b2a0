"""What names a follow-up and an invitee in the world: UID, token and Message-ID (itip.md §1).

Pure. All three are keyed hashes of the site secret, so nobody can guess one, and a store that was
restored from a copy makes those again that it made before: the invitee keeps one entry, and an
answer to a letter that the copy does not know finds its row. What is hashed is therefore nothing
that counts up in the store (a row's number is another one after a restore).

Standards: RFC 5545 §3.8.4.7 (UID), RFC 5322 §3.6.4 (Message-ID). Limits: 96 bits of a UID, 130 of a
token, 160 of a Message-ID.
"""

import base64
import hashlib
import hmac
import json

LONGEST_UID = 74
"""Octets; some clients fold longer lines badly."""
NO_DOMAIN = "invite-gateway"
"""Stands in the UID of a follow-up that was planned without a mail account."""


def uid(secret: bytes, key: str, incarnation: int, domain: str) -> str:
    """The UID of a follow-up. `incarnation`: how many of its UIDs are used up, by follow-ups that
    had this key before (0 for the first).
    """
    name = _digest(secret, "uid", key, str(incarnation))[:12].hex()
    full = f"{name}@{domain or NO_DOMAIN}"
    return full if len(full.encode()) <= LONGEST_UID else name


def token(
    secret: bytes, uid: str, invitee: str, address: str, date: str = "", number: int = 0
) -> str:
    """The token of an invitee at an address: lower-case base32, valid when a relay upper-cases it.

    `invitee`: who it is, by a name that outlives the row (`followups.Member.who`). `date`: the one
    date of the series that they are invited to, "" for all of it. `number`: how many rows of just
    this invitee have used theirs up, because they were deleted and made anew.
    """
    facts = ("token", uid, invitee, address.lower(), date, str(number))
    return base64.b32encode(_digest(secret, *facts)).decode().lower()[:26]


def message_id(secret: bytes, letter: tuple[str, ...], domain: str) -> str:
    """The Message-ID of a letter, without angle brackets. `letter`: what it is known by; a repeat
    has the same, a new letter never.
    """
    name = base64.b32encode(_digest(secret, "message-id", *letter)[:20]).decode().lower()
    return f"{name}@{domain}"


def _digest(secret: bytes, *facts: str) -> bytes:
    """JSON, because keys are others' and may contain any separator."""
    return hmac.digest(secret, json.dumps(facts).encode(), hashlib.sha256)
