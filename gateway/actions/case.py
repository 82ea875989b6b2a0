"""A message that waits for a person, as command line and page show it: what of it is shown, what is
asked of it, and what can be done with it.

Security: it comes from strangers. What is shown is plain text within limits, without the tokens of
our addresses; those who show it escape it for where it stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.errors import Unreadable
from gateway.mail import address, parse
from gateway.model import Outcome
from gateway.store import codec, followups
from gateway.store.engine import Connection
from gateway.store.review import Kept

HEADERS = (
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "delivered-to",
    "x-original-to",
    "return-path",
    "date",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "authentication-results",
    "received",
)
"""The headers on which decisions rest.
Of `Received` the topmost is shown, which our own server wrote.
"""
MOST_OF_A_HEADER = 5
TEXT_LINES = 60
LONGEST = 500


class Question(StrEnum):
    """What a person is asked of a message."""

    ADD = "add"
    """Whether somebody who was not invited takes part from now on."""
    SAME_PERSON = "same_person"
    """Whether they are the invitee."""
    THEMSELVES = "themselves"
    """Whether the invitee wrote it, which nothing in the mail proves."""
    PASSED_ON = "passed_on"
    """Whether they answered for somebody else."""
    NONE = "none"
    """Nothing: only the reason can be told."""


@dataclass(frozen=True, slots=True)
class Case:
    """A message that waits, as a person decides on it. `participant`: the row's key, `invited`: the
    address that was invited.

    `asks`: what they are asked, and `question` the same in words. `claims`: what each part of it
    says. `unlearnable`: why its sender may not be learned as the participant; "" also where that
    was not asked.
    """

    kept: Kept
    participant: str | None
    invited: str
    speaker: str
    asks: Question
    question: str
    claims: tuple[Mapping[str, Any], ...]
    unlearnable: str = ""


class Verb(StrEnum):
    """What a person can do with a message."""

    APPLY = "apply"
    ADD = "add"
    LEARN = "learn"
    APPOINT = "as"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Step:
    """`participant`: whose answer it is then, where that is known; "" where somebody has to say
    it.
    """

    verb: Verb
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """`more`: so many lines of the text are not shown; `fault`: why nothing can be."""

    headers: dict[str, list[str]]
    lines: tuple[str, ...] = ()
    more: int = 0
    fault: str = ""


def of(connection: Connection, messages: Sequence[Kept]) -> list[Case]:
    """Messages, as a person decides on them."""
    numbers = sorted(
        {message.participant for message in messages if message.participant is not None}
    )
    members = (
        {member.id: member for member in followups.members(connection, ids=numbers)}
        if numbers
        else {}
    )
    return [_case(message, members.get(message.participant or 0)) for message in messages]


def _case(message: Kept, member: followups.Member | None) -> Case:
    claims = tuple(message.detail.get("answers", ()))
    invited = member.address if member is not None else ""
    name = None
    if member is not None:
        name = member.key if member.date is None else f"{member.key}/{codec.moment(member.date)}"
    asks = _asks(message, member)
    return Case(
        message, name, invited, message.speaker, asks, _words(message, member, asks), claims
    )


def _asks(message: Kept, member: followups.Member | None) -> Question:
    """What the owner is asked, where yes or no is an answer."""
    if message.outcome is Outcome.PARTY_CRASHER:
        return Question.ADD
    if member is None or not message.asks_who:
        return Question.NONE
    if message.is_passed_on:
        return Question.PASSED_ON
    is_known = message.speaker and address.among(message.speaker, member.addresses)
    return Question.THEMSELVES if is_known else Question.SAME_PERSON


def _words(message: Kept, member: followups.Member | None, asks: Question) -> str:
    who = message.speaker or "somebody"
    whom = (member.address or member.name or member.key) if member is not None else ""
    return {
        Question.ADD: f"{who} answered {message.follow_up} without having been invited: add him?",
        Question.SAME_PERSON: f"{who} answered for {whom}: the same person?",
        Question.THEMSELVES: f"did {who} write this himself? Nothing in the mail proves it",
        Question.PASSED_ON: message.reason,
        Question.NONE: "",
    }[asks]


def content(case: Case) -> Content:
    """Headers and text of the message, while its bytes are kept."""
    if case.kept.raw is None:
        return Content({})
    try:
        message = parse.read(case.kept.raw)
    except Unreadable as error:
        return Content({}, fault=str(error))
    headers = {
        name: [value[:LONGEST] for value in message.headers[name][: _most(name)]]
        for name in HEADERS
        if name in message.headers
    }
    lines = message.text.splitlines()
    shown = tuple(line[:LONGEST] for line in lines[:TEXT_LINES])
    return Content(headers, shown, max(0, len(lines) - TEXT_LINES))


def steps(case: Case, *, settles: bool) -> list[Step]:
    """What can be done next, likeliest first. `settles`: whether applying it would."""
    listed = [Step(Verb.APPLY)] if settles else []
    if case.kept.outcome is Outcome.PARTY_CRASHER:
        listed.append(Step(Verb.ADD))
    elif case.participant is not None:
        if case.asks is Question.SAME_PERSON and not case.unlearnable:
            listed += [Step(Verb.LEARN), Step(Verb.ADD)]
        listed.append(Step(Verb.APPOINT, case.participant))
    elif case.kept.outcome is Outcome.UNKNOWN_INVITATION:
        listed.append(Step(Verb.APPOINT))
    return [*listed, Step(Verb.REJECT)]


def without_tokens(shown: Any, mailboxes: Sequence[str]) -> Any:
    """A text, or a row or list of them, without the tokens of our addresses: texts of a mail may
    hold the token of the one it was sent to.
    """
    if isinstance(shown, str):
        return address.without_tokens(shown, mailboxes)
    if isinstance(shown, dict):
        return {name: without_tokens(value, mailboxes) for name, value in shown.items()}
    if isinstance(shown, list | tuple):
        return [without_tokens(value, mailboxes) for value in shown]
    return shown


def _most(name: str) -> int:
    return 1 if name == "received" else MOST_OF_A_HEADER
