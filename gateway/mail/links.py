"""The answer links of a letter: brackets in a Subject, `[yes INSTANCE SEQUENCE CHECK]` (itip.md §2,
§3), and the address of the public answer page.

The check proves that the answer comes from a letter of ours: a keyed hash over token, instance and
SEQUENCE. It does not say who pressed the link; the token address and the sender decide that
(itip.md §5).

The address of the page has a token of its own: the invitation's, encrypted under a key that is made
from the site secret (AES-SIV, RFC 5297: the same each time, and nobody can make one). Who has it
cannot write as the invitee to the mailbox, and who has the mail address of a letter cannot open the
page. Nothing is stored, so a store that was restored knows it again.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from gateway.model import Moment, Reply

WORDS = {Reply.ACCEPTED: "yes", Reply.TENTATIVE: "maybe", Reply.DECLINED: "no"}
ANSWERS = {word: reply for reply, word in WORDS.items()}
WHOLE = "all"
"""The name of the whole meeting or series in a tag."""
CHECK_BYTES = 10
"""80 bits, 16 letters: guessing is hopeless over mail, and the Subject stays readable."""
LONGEST = 2000
"""Characters of a Subject that are looked at; a longer one cannot be ours (itip.md §7)."""
NAME = re.compile(r"all|\d{8}(?:T\d{6}Z)?", re.ASCII)
FORM = re.compile(r"(\d{1,9})\.(\d{1,12})\.[a-z2-7]{16}", re.ASCII)
LONGEST_PAGE_TOKEN = 500
"""Ours have 68 characters; tokens of an earlier system may be longer."""
TAG = re.compile(
    r"\[\s*(yes|maybe|no)\s+(all|\d{8}(?:t\d{6}z)?)\s+(\d{1,9})\s+([a-z2-7]{16})\s*\]",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as it was read: not believed before `valid` says so.
    `instance` is the name in the tag, see `moment`.
    """

    answer: Reply
    instance: str
    sequence: int
    check: str

    @property
    def moment(self) -> Moment | None:
        """The instance that is answered; None for the whole meeting or series."""
        return _moment(self.instance)


def instance_name(instance: Moment | None) -> str:
    """How an instance is written in a tag: `all`, `20261208T080000Z` (UTC) or `20261208`."""
    if instance is None:
        return WHOLE
    if isinstance(instance, datetime):
        return instance.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return instance.strftime("%Y%m%d")


def check(secret: bytes, token: str, instance: str, sequence: int) -> str:
    """16 letters of lower-case base32 (80 bits) over token, instance name and SEQUENCE; letter case
    never matters.

    The parts cannot run into each other: none of them contains the separator (NUL).
    """
    facts = "\0".join(("answer-link", token.lower(), instance.lower(), str(sequence))).encode()
    return (
        base64.b32encode(hmac.digest(secret, facts, hashlib.sha256)[:CHECK_BYTES]).decode().lower()
    )


def valid(secret: bytes, token: str, tag: Tag) -> bool:
    """Whether the tag stood in a letter to this token. In constant time."""
    return hmac.compare_digest(tag.check, check(secret, token, tag.instance, tag.sequence))


def subject_tag(answer: Reply, instance: str, sequence: int, check: str) -> str:
    """`[yes all 3 abcdefghijklmnop]`; `answer` is ACCEPTED, TENTATIVE or DECLINED."""
    return f"[{WORDS[answer]} {instance} {sequence} {check}]"


def parse(subject: str) -> Tag | None:
    """The last tag in a Subject, wherever it stands: filters put tags of their own behind it.
    None where there is none or its date is no date. Never raises.
    """
    tags = TAG.findall(subject[-LONGEST:])
    if not tags:
        return None
    word, instance, sequence, proof = tags[-1]
    name = WHOLE if instance.lower() == WHOLE else instance.upper()
    try:
        _moment(name)
    except ValueError:
        return None
    return Tag(ANSWERS[word.lower()], name, int(sequence), proof.lower())


def defused(subject: str) -> str:
    """The same words without a tag: a title that holds one must make no answer of a plain reply."""
    return TAG.sub(lambda tag: f"({tag[0][1:-1]})", subject)


def page_token(secret: bytes, token: str) -> str:
    """What stands for an invitation in the address of the answer page: lower-case base32."""
    sealed = _cipher(secret).encrypt(token.encode(), None)
    return base64.b32encode(sealed).decode().rstrip("=").lower()


def of_page(secret: bytes, text: str) -> str:
    """The token of the invitation; "" where it is none that we wrote."""
    if not text.isascii() or len(text) > LONGEST_PAGE_TOKEN:
        return ""
    try:
        sealed = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        return _cipher(secret).decrypt(sealed, None).decode()
    except (binascii.Error, InvalidTag, ValueError):
        return ""


def form(secret: bytes, page: str, instance: str, sequence: int, issued: int) -> str:
    """What a form of the answer page says of itself, which only who was shown the page can know:
    the SEQUENCE of what it showed, and when that was (seconds).
    """
    facts = "\0".join(("answer-form", page.lower(), instance, str(sequence), str(issued))).encode()
    proof = base64.b32encode(hmac.digest(secret, facts, hashlib.sha256)[:CHECK_BYTES]).decode()
    return f"{sequence}.{issued}.{proof.lower()}"


def of_form(secret: bytes, page: str, instance: str, text: str) -> int | None:
    """The SEQUENCE of a form; None where it is none of this page."""
    parts = FORM.fullmatch(text)
    if parts is None:
        return None
    sequence, issued = int(parts[1]), int(parts[2])
    expected = form(secret, page, instance, sequence, issued)
    return sequence if hmac.compare_digest(expected, text) else None


@lru_cache(maxsize=8)
def _cipher(secret: bytes) -> AESSIV:
    return AESSIV(hmac.digest(secret, b"answer-page", hashlib.sha512))


def date_named(name: str) -> Moment | None:
    """The date that `instance_name` has named so; None for all of it. Raises `ValueError`."""
    if not NAME.fullmatch(name):
        raise ValueError(name)
    return _moment(name)


def _moment(name: str) -> Moment | None:
    if name == WHOLE:
        return None
    if "T" in name:
        return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return date(int(name[:4]), int(name[4:6]), int(name[6:]))
