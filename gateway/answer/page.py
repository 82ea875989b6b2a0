"""What an invitee says on the public answer page, as one pure function.

It is decided like an answer by link: for the row whose page it is, of the SEQUENCE that the page
showed, in the order of arrival (itip.md §5). Another time beside an answer is kept with it; alone
it is a COUNTER, and words alone are words by mail.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from gateway.answer import facts, reply
from gateway.model import Channel, Moment, Outcome, Reply


@dataclass(frozen=True, slots=True)
class Said:
    """`reply` None: no answer. `start` None: no other time is wished; `end` None: as long as now.
    `sequence`: that of what the page showed.
    """

    reply: Reply | None
    comment: str
    start: Moment | None
    end: Moment | None
    sequence: int = 0

    @property
    def is_empty(self) -> bool:
        return self.reply is None and not self.comment and self.start is None


def decide(
    row: facts.Row, said: Said, instance: Moment | None, now: datetime, *, repeated: bool
) -> facts.Answer:
    """`repeated`: the same form has said the same before, so that nobody is told it twice."""
    about = facts.Circumstances(_no_earlier(row, instance, now), row.address, channel=Channel.PAGE)
    conclusion = _conclusion(row, said, instance, about)
    if repeated and conclusion.outcome in (Outcome.COMMENT, Outcome.PROPOSAL):
        rule = facts.Rule("repeat", "the same form was sent before")
        conclusion = facts.Conclusion(Outcome.DUPLICATE, rule.text, (rule,), instance)
    elif repeated:
        conclusion = replace(conclusion, proposal=None)
    return facts.Answer(row, conclusion, row.address, row.follow_up)


def _conclusion(
    row: facts.Row, said: Said, instance: Moment | None, about: facts.Circumstances
) -> facts.Conclusion:
    wish = facts.Proposal(said.start, said.end, said.comment, sequence=said.sequence)
    if said.reply is None and said.start is not None:
        return reply.decide_wish(row, wish, instance, about)
    if said.reply is None:
        return reply.decide_words(row, said.comment, instance, about)
    conclusion = reply.decide_direct(row, said.reply, instance, said.sequence, about, said.comment)
    is_heard = conclusion.outcome in (Outcome.APPLIED, Outcome.UNCHANGED)
    if said.start is None or not is_heard:
        return conclusion
    return replace(conclusion, proposal=wish)


def _no_earlier(row: facts.Row, instance: Moment | None, now: datetime) -> datetime:
    """An invitee who answers here sees what it is about: no answer that was applied before is
    newer, whatever the clock of their mail program says.
    """
    standing = reply.standing_of(row, instance)
    return max(now, standing.dtstamp or now, standing.arrived or now)
