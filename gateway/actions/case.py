"""A message that waits for a person, as command line and page show it: what of it is shown, and
what can be done with it.

Security: it comes from strangers. What is shown is plain text within limits, without the tokens of
our addresses; whoever shows it escapes it for where it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.actions.review import Case, Question, Settled
from gateway.errors import Unreadable
from gateway.mail import address, parse
from gateway.model import Outcome

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


def steps(case: Case, now: Settled | None) -> list[Step]:
    """What can be done next, likeliest first. `now`: what applying it would come to."""
    listed = [Step(Verb.APPLY)] if now is not None and now.done else []
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
    hold the token of whoever it was sent to.
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
