"""What an entry of the journal says beside what happened: how somebody stands now, another time, an
answer, a choice. Codes and moments are in the reader's words; what people and servers said is a
quotation. Pure.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.followups.decisions import DecisionKind, Ending
from gateway.i18n import marked
from gateway.model import Method, Moment, Outcome, Reply
from gateway.status import Status
from gateway.store import codec, journal
from gateway.web.pages import waiting, words
from gateway.web.pages.visit import Visit

METHODS = {
    Method.REQUEST.value: marked("invitation"),
    Method.CANCEL.value: marked("cancellation"),
    Method.DECLINECOUNTER.value: marked("no to the other time"),
    "to the owner": marked("to the owner"),
}
"""What a letter is (RFC 5546), where an entry says that."""
REPLIES = {
    Reply.ACCEPTED.value: marked("yes"),
    Reply.TENTATIVE.value: marked("maybe"),
    Reply.DECLINED.value: marked("no"),
}
SWITCH = {"on": marked("Gets letters"), "off": marked("Gets no letters")}
CAUSES = {
    DecisionKind.PROPOSAL: marked("another time"),
    DecisionKind.SAME_PERSON: marked("the same person?"),
    DecisionKind.PARTY_CRASHER: marked("somebody who is not invited"),
    DecisionKind.WORDS: marked("words for the owner"),
    DecisionKind.DECLINED: marked("a decline"),
    DecisionKind.ASSIGNMENT_DECLINED: marked("a task that is not taken"),
    DecisionKind.UNDELIVERABLE: marked("an address that is not reached"),
    DecisionKind.BRAKE: marked("letters that are held"),
    DecisionKind.WEBHOOK: marked("a program that does not take its events"),
}
"""Of what somebody has to decide."""
ENDINGS = {
    Ending.ANSWERED: marked("another answer came"),
    Ending.REMOVED: marked("takes no part any more"),
    Ending.CANCELLED: marked("cancelled or completed"),
    Ending.OVER: marked("it is over"),
    Ending.MOVED: marked("moved to another time"),
    Ending.SETTLED: marked("settled another way"),
    Ending.JOINED: marked("they take part now"),
    Ending.CORRECTED: marked("the address was corrected"),
    Ending.ARRIVED: marked("it arrived after all"),
}
CLOSED = {close.value: word for close, word in (*waiting.BUTTONS.items(), *ENDINGS.items())}
"""What closes a decision: what somebody chose, or what happened."""
SAID_BY_ITSELF = frozenset({"added", "removed"})
"""Events whose detail is whose row it is."""
SPANS = re.compile(r"proposed|proposal_\w+|rescheduled|date_moved|date_added|carried_out")
"""Events whose detail is a time, maybe with a place."""
ASSIGNED = re.compile(r"(?:assigned )?to (?P<to>.+), from (?P<by>.+)")
UNINVITED = " was not invited"
SEEN = frozenset({Status.SEEN.word, Status.MOVED_SEEN.word, Status.ASSIGNED_SEEN.word})
"""Statuses of those who have seen it, and of those who have said maybe (domain.md §4)."""
STATUSES = {status.word: words.BY_CODE[status].word for status in Status}


def change(here: Visit, entry: journal.Entry) -> str:
    """How a row stood before, and stands now; "" where what happened says it already."""
    if entry.before == entry.after:
        return ""
    if entry.event in (Outcome.SEEN.value, Outcome.PROPOSAL.value):
        return ""
    before = "" if entry.before in SEEN else STATUSES.get(entry.before, "")
    after = STATUSES.get(entry.after, "")
    if entry.after in SEEN and entry.event == Outcome.APPLIED.value:
        after = words.MAYBE.word
    return " → ".join(here.texts.gettext(word) for word in (before, after) if word)


def of(
    here: Visit, entry: journal.Entry, people: Mapping[str, str], *, names_row: bool
) -> tuple[str, str]:
    """What it says, and what it quotes. `names_row`: whose row it is, is said already."""
    say, text = here.texts.gettext, entry.detail
    if entry.event in SAID_BY_ITSELF and names_row:
        return "", ""
    if entry.event == "party_crasher" and text.endswith(UNINVITED):
        return "", ""
    if entry.event.startswith("decision_"):
        return _decided(say, text)
    if entry.event in ("assigned", "changed") and (said := ASSIGNED.fullmatch(text)):
        return f"{_name(here, said['by'], people)} → {_name(here, said['to'], people)}", ""
    if SPANS.fullmatch(entry.event) and (time := _time(here, text)):
        return time, ""
    phrases = SWITCH if entry.event == "switched" else {**METHODS, **REPLIES}
    return (say(phrases[text]), "") if text in phrases else ("", text)


def _decided(say: Callable[[str], str], text: str) -> tuple[str, str]:
    kind, _, rest = text.partition(": ")
    choice, _, comment = rest.partition(": ")
    says = [say(CAUSES[DecisionKind(kind)]) if kind in list(DecisionKind) else kind]
    if choice in CLOSED:
        says.append(say(CLOSED[choice]))
    else:
        comment = rest
    return ": ".join(says), comment


def _name(here: Visit, key: str, people: Mapping[str, str]) -> str:
    return here.texts.gettext(marked("nobody")) if key == "nobody" else words.person(key, people)


def _time(here: Visit, text: str) -> str:
    """On the reader's clock; "" where it is none."""
    span, _, place = text.partition(", ")
    try:
        start, end = _moments(span)
    except ValueError:
        return ""
    return ", ".join(filter(None, (here.when(start, end), place)))


def _moments(span: str) -> tuple[Moment | None, Moment | None]:
    begins, _, ends = span.partition(" – ")
    start, end = codec.parse_moment(begins), codec.parse_moment(ends)
    if end is not None and isinstance(start, datetime) is not isinstance(end, datetime):
        raise ValueError(span)
    return start, end
