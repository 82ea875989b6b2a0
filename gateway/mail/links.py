"""The answer links of a letter: brackets in a Subject, `[yes INSTANCE SEQUENCE CHECK]`
(itip.md §2, §3).

The check proves that the answer comes from a letter of ours: a keyed hash over token, instance and
SEQUENCE. It does not say who pressed the link; the token address and the sender decide that
(itip.md §5).
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from gateway.model import Moment, Reply

WORDS = {Reply.ACCEPTED: "yes", Reply.TENTATIVE: "maybe", Reply.DECLINED: "no"}
ANSWERS = {word: reply for reply, word in WORDS.items()}
WHOLE = "all"
"""The name of the whole meeting or series in a tag."""
CHECK_BYTES = 10
"""80 bits, 16 letters: guessing is hopeless over mail, and the Subject stays readable."""
LONGEST = 2000
"""Characters of a Subject that are looked at; a longer one cannot be ours (itip.md §7)."""
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


def _moment(name: str) -> Moment | None:
    if name == WHOLE:
        return None
    if "T" in name:
        return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return date(int(name[:4]), int(name[4:6]), int(name[6:]))
