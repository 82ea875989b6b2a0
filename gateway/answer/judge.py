"""The whole decision about a received message, as one pure function.

`read` takes the bytes as far as they go without the store: parse, classify, and what the store is
to be asked (`Reading.asked`). The caller looks that up (`facts.Lookup`), and `judge` says what the
message means, which rows it changes, and how they stand afterwards. The processor, `explain`, the
review and the tests decide by these two alone.

Standards: itip.md §3-§7. On failure: what cannot be read is a `Reading` without a message, with the
reason. Security: everything here is bounded by `mail.parse` and `ical.read`. Nothing is asked of a
clock, a setting or a database.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.answer import account, classify, facts, interpret, keys, reply
from gateway.errors import Unreadable
from gateway.mail import parse, probe, trust
from gateway.model import EFFECTIVE, REVIEW, Outcome, PartyCrasher, Policy

REQUEST_COUNTS = timedelta(days=1)
"""Within this time the same request for the invitation is one request, whichever way it came."""


NO_KEYS = facts.Keys()


@dataclass(frozen=True, slots=True)
class Installation:
    """What decisions know of this gateway."""

    ours: classify.Ours
    policy: Policy
    secret: bytes
    # Of the marks and the answer links' CHECK.


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be said of a message before the store is asked."""

    arrived: datetime
    # When it reached the mailbox.
    finding: classify.Finding
    message: parse.Message | None = None
    # None: it was not read, or cannot be.
    asked: facts.Keys = NO_KEYS
    statement: trust.Statement = trust.Statement()
    # Of our mail server, on the sender.
    outcome: Outcome | None = None
    # Of a message that was not read.
    number: int | None = None
    # Its own in the inbox, if it is judged anew.
    named: int | None = None
    # The participant whose answer it is by a person's word, which overrides trust and nothing else.
    sighting: probe.Sighting | None = None
    # It is a probe of ours, or a report about one.


@dataclass(frozen=True, slots=True)
class Judgement:
    """The one outcome of a message, what its answers do, and the rules that led there."""

    outcome: Outcome
    reason: str
    consequences: tuple[facts.Consequence, ...] = ()
    rules: tuple[facts.Rule, ...] = ()
    invite: str = ""
    # The address of a party crasher whom policy lets in: they join, then it is judged again.
    anothers: bool = False
    # It looks like the probe of another store, which will look for it where it lies.

    @property
    def answers(self) -> tuple[facts.Answer, ...]:
        return tuple(consequence.answer for consequence in self.consequences)

    @property
    def rows(self) -> tuple[facts.Row, ...]:
        """The rows that it may change."""
        return tuple(answer.row for answer in self.answers if answer.row is not None)

    @property
    def chief(self) -> facts.Answer | None:
        """The answer that names the message."""
        return interpret.chief(self.answers) if self.consequences else None


def read(raw: bytes, arrived: datetime, here: Installation) -> Reading:
    """A message from its bytes."""
    try:
        return understood(parse.read(raw), arrived, here)
    except Unreadable as error:
        return unread(arrived, str(error))


def understood(message: parse.Message, arrived: datetime, here: Installation) -> Reading:
    """What kind of mail it is, and what the store has to be asked. Raises `Unreadable`."""
    sighting = probe.read(message, here.secret, here.ours.mailboxes)
    if sighting is not None:
        nothing = classify.Nothing("a probe of ours")
        return Reading(arrived, nothing, message, sighting=sighting)
    finding = classify.classify(message, here.ours, arrived.date())
    offered = keys.of(message, finding, here.ours)
    statement = trust.statement(message, here.policy.authserv_id)
    return Reading(arrived, finding, message, offered, statement)


def unread(arrived: datetime, reason: str, outcome: Outcome = Outcome.MALFORMED) -> Reading:
    """A message of which nothing but this reason is known."""
    return Reading(arrived, classify.Malformed(reason), outcome=outcome)


def judge(reading: Reading, lookup: facts.Lookup, here: Installation) -> Judgement:
    """What a message means and does. `lookup`: what the store knows under `reading.asked`."""
    rows = tuple(row.as_of(reading.arrived) for row in lookup.rows)
    lookup = replace(lookup, rows=rows, statement=reading.statement)
    meaning = _meaning(reading, lookup, here)
    answers = tuple(_unless_repeated(answer, reading, lookup) for answer in meaning.answers)
    consequences = reply.foretell(answers)
    rules = meaning.rules
    if answers == meaning.answers:
        anothers = _is_anothers(reading, meaning, here)
        return Judgement(
            meaning.outcome, meaning.reason, consequences, rules, meaning.invite, anothers
        )
    conclusion = interpret.chief(answers).conclusion
    if conclusion.outcome is Outcome.DUPLICATE:
        rules = conclusion.rules
    return Judgement(conclusion.outcome, conclusion.reason, consequences, rules, meaning.invite)


def after_joining(before: Judgement, after: Judgement) -> Judgement:
    """`after`, of the same message once somebody was let in because of `before`."""
    return replace(after, rules=(*before.rules, *after.rules))


def account_of(
    reading: Reading, lookup: facts.Lookup, judgement: Judgement, policy: Policy
) -> tuple[facts.Rule, ...]:
    """The rules in order, from the first look at the message, for a person who asks why."""
    if reading.message is None:
        return judgement.rules
    lookup = replace(lookup, statement=reading.statement)
    steps = account.first_steps(reading.message, reading.finding, reading.asked, lookup, policy)
    return (*steps, *judgement.rules)


def waits(judgement: Judgement, policy: Policy) -> bool:
    """Whether a person has to look at the message."""
    refused = (
        judgement.outcome is Outcome.PARTY_CRASHER and policy.party_crasher is PartyCrasher.REFUSE
    )
    return judgement.outcome in REVIEW and not refused


def _meaning(reading: Reading, lookup: facts.Lookup, here: Installation) -> interpret.Meaning:
    if reading.message is None:
        assert isinstance(reading.finding, classify.Malformed)
        outcome = reading.outcome or Outcome.MALFORMED
        reason = reading.finding.reason
        return interpret.Meaning(outcome, reason, (), (facts.Rule(outcome.value, reason),))
    for copy in lookup.copies:
        if _counts(copy.outcome, copy.arrived, reading.arrived):
            reason = "the very same message had its effect before"
            rule = facts.Rule("same_bytes", reason)
            return interpret.Meaning(Outcome.DUPLICATE, reason, (), (rule,))
    context = interpret.Context(here.ours, here.policy, reading.arrived, here.secret, reading.named)
    return interpret.interpret(reading.message, reading.finding, reading.asked, lookup, context)


def _is_anothers(reading: Reading, meaning: interpret.Meaning, here: Installation) -> bool:
    return (
        meaning.outcome is Outcome.IGNORED
        and reading.message is not None
        and probe.of_another(reading.message, here.ours.mailboxes)
    )


def _counts(outcome: Outcome, earlier: datetime, arrived: datetime) -> bool:
    """Whether a message is a repeat of an earlier one that had this outcome. A request for the
    invitation that arrives once more later is a new request.
    """
    return outcome is not Outcome.REFRESHED or earlier > arrived - REQUEST_COUNTS


def _unless_repeated(answer: facts.Answer, reading: Reading, lookup: facts.Lookup) -> facts.Answer:
    """The answer as a repeat, if this row had this message, or this same object, before. The parts
    of a message judged anew that had their effect wait no longer.
    """
    repeated = _repeated(answer, reading, lookup)
    if not repeated:
        return answer
    rule = facts.Rule("repeat", f"the same {repeated} had its effect on this row before")
    conclusion = replace(
        answer.conclusion,
        outcome=Outcome.DUPLICATE,
        reason=rule.text,
        rules=(*answer.conclusion.rules, rule),
        effect=None,
        ask_again=False,
        proposal=None,
        delegates=(),
    )
    return replace(answer, conclusion=conclusion)


def _repeated(answer: facts.Answer, reading: Reading, lookup: facts.Lookup) -> str:
    """What makes an answer a repeat for its row: "message", "Message-ID", "object" or ""."""
    row, conclusion = answer.row, answer.conclusion
    if row is None:
        return ""
    traces = [trace for trace in lookup.traces if trace.participant == row.participant]
    own = [trace for trace in traces if trace.message == reading.number]
    if any(trace.instance == answer.date for trace in own):
        return "message"
    if conclusion.outcome not in EFFECTIVE:
        return ""
    of_others = [trace for trace in traces if trace not in own]
    return _by_others(of_others, conclusion, reading)


def _by_others(traces: list[facts.Trace], conclusion: facts.Conclusion, reading: Reading) -> str:
    """What makes it a repeat of other messages: "Message-ID", "object" or ""."""
    own = reading.asked
    same_object = [trace for trace in traces if trace.object == own.object]
    if conclusion.outcome is Outcome.REFRESHED:
        same_object = [
            trace
            for trace in same_object
            if _counts(Outcome.REFRESHED, trace.arrived, reading.arrived)
        ]
    # A Message-ID is anybody's to write, and some programs use one twice: with another calendar
    # object it is another answer.
    message_ids = {trace.message_id for trace in same_object}
    if own.message_id and own.message_id in message_ids:
        return "Message-ID"
    # The same object may count again if its DTSTAMP tells nothing: accept, decline, accept.
    counts_again = not own.object or conclusion.outcome is Outcome.APPLIED
    return "object" if same_object and not counts_again else ""
