"""Whose fault a refusal is, by what the server says; and which refusals in a row are the account's
although each of them blames somebody else.

Standards: RFC 5321 §4.2 (reply codes), RFC 3463 and 2034 (status codes). Servers use both so
differently that the words decide first (`refusal_words.RULES`), then the status code, then the
step. On failure: words that no rule knows are `UNKNOWN`, after 4xx `TEMPORARY`. Security: the words
are compared, never obeyed. Limits: only the first `LONGEST` characters are read.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.mail import address
from gateway.mail.refusal_words import CONNECTIONS, RULES, Fault, Rule

__all__ = ["Fault", "Refusal", "Said", "blamed", "fault", "for_long", "reported", "rule"]

LONGEST = 600
REPORT = "report"
"""The step of what a delivery report says."""
SIGN_IN = frozenset({525, 530, 534, 535, 538})
"""Codes that speak of who signed in, whatever the words (RFC 4954 §6, RFC 5248 §2.2)."""
_AFTER_DATA = frozenset({"data", "body", REPORT})

IN_A_ROW = 3
"""So many different recipients refused with the same words, none taken between, are the account's.
"""
IN_A_ROW_BY_NAME = 6
"""The same where the words name the recipient, and where they are of two domains at least: three
people who left one company are no fault of ours.
"""
ROUNDS: Mapping[Fault, int] = {Fault.UNKNOWN: 3, Fault.DOUBTFUL: 1, Fault.RECIPIENT: 1}
"""How often a letter is put back before others were taken and it is refused again: then it is
refused for itself.
"""

TRIES = 5
"""So often a letter meets what looks like the account's fault before it is its own."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a letter. `step`: as in `outbound.receipts`, or `REPORT`. `code`: None for a
    finding of our own, whose text is ours. `enhanced`: the status code, "" where there is none.
    """

    step: str
    code: int | None
    enhanced: str
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final refusal of one letter. `number`: later ones have greater ones."""

    number: int
    letter: int
    recipient: str
    said: Said


def fault(said: Said) -> Fault:
    """Whose fault it is that the letter was not taken."""
    if said.code is not None and said.code < 400:
        return Fault.TEMPORARY  # a server that is out of step
    if said.code is not None and CONNECTIONS.search(said.text[:LONGEST]):
        return Fault.CONNECTIONS
    fits = rule(said)
    if _temporary(said):
        limited = fits is not None and fits.fault is Fault.ACCOUNT
        return Fault.LIMIT if limited else Fault.TEMPORARY
    if said.code in SIGN_IN:
        return Fault.ACCOUNT
    if fits is not None:
        return fits.fault
    return _by_step(said)


def for_long(tries: int, age: timedelta, give_up: timedelta) -> bool:
    """Whether a letter has been refused so often, and for as long as any is tried, that what looked
    like the account's fault is the letter's.
    """
    return tries >= TRIES and age >= give_up


def rule(said: Said) -> Rule | None:
    """The rule that knows these words or this code; None: no rule does."""
    text = said.text[:LONGEST] if said.code is not None or said.step == REPORT else ""
    for candidate in RULES:
        if candidate.codes.fullmatch(said.enhanced) or candidate.phrases.search(text):
            return candidate
    return None


def reported(status: str, diagnostic: str) -> Said:
    """What a delivery report says for good, by its Status and Diagnostic-Code (RFC 3464 §2.3)."""
    code = re.search(r"\b(5\d\d)\b", diagnostic)
    return Said(REPORT, int(code[1]) if code else 550, status, diagnostic)


def _same_words(refusal: Refusal) -> str:
    """The words without what differs from letter to letter: addresses, hosts, numbers, times and
    ids.
    """
    said = refusal.said
    local, _, _ = refusal.recipient.rpartition("@")
    plain = re.sub(r"<[^>]*>|https?:\S+", " ", said.text[:LONGEST])
    same = [str(said.code), said.enhanced]
    for text in plain.split():
        word = text.strip(".,;:!?()[]\"'")
        if not _varies(word) and word.lower() != local.lower():
            same.append(word.lower())
    return " ".join(same)


def blamed(
    since_taken: Sequence[Refusal], before: Collection[Refusal]
) -> tuple[tuple[Refusal, ...], ...]:
    """The refusals that are the account's although each blames another, by the words they share.

    `since_taken`: of one account, since it last had a letter taken. `before`: earlier refusals of
    the same letters. Refusals that are the letter's own are not among them, and neither is a letter
    that was refused like this in rounds before, while others were taken.
    """
    rows: dict[str, list[Refusal]] = {}
    rounds: dict[tuple[int, str], int] = {}
    for refusal in before:
        key = refusal.letter, _same_words(refusal)
        rounds[key] = rounds.get(key, 0) + 1
    for refusal in since_taken:
        words = _same_words(refusal)
        most = ROUNDS.get(fault(refusal.said), 0)
        if rounds.get((refusal.letter, words), 0) < most:
            rows.setdefault(words, []).append(refusal)
    return tuple(tuple(row) for row in rows.values() if _accounts_own(row))


def _accounts_own(row: Sequence[Refusal]) -> bool:
    """Whether refusals with the same words, none taken between, are too many to be the
    recipients'.
    """
    recipients = {refusal.recipient.lower() for refusal in row}
    if not any(fault(refusal.said) is Fault.RECIPIENT for refusal in row):
        return len(recipients) >= IN_A_ROW
    domains = {address.domain(recipient) for recipient in recipients}
    return len(recipients) >= IN_A_ROW_BY_NAME and len(domains) > 1


def _temporary(said: Said) -> bool:
    """RFC 5321 §4.2.1: 4yz. A finding of our own says it by its class."""
    if said.code is None:
        return not said.enhanced.startswith("5.")
    return not 500 <= said.code <= 599


def _by_step(said: Said) -> Fault:
    """A refusal in words that no rule knows. After DATA: 7 security or policy, 3 mail system (RFC
    3463 §3): the sender is not trusted, or the letter.
    """
    subject = said.enhanced.split(".")[1] if said.enhanced.count(".") == 2 else ""
    if said.step in _AFTER_DATA and subject in ("3", "7"):
        return Fault.DOUBTFUL
    if said.code == 552 and said.enhanced in ("", "5.0.0"):  # RFC 1870 §6.1
        return Fault.LETTER
    return Fault.UNKNOWN


def _varies(word: str) -> bool:
    """An address, a host, a number, a time or an id."""
    return bool(re.search(r"[\d@]|\w\.\w|[a-z][A-Z]", word)) or not word
