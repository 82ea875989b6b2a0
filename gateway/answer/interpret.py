"""From a classified message and what the store knows to what it means: one outcome, and what to do
to which row.

Pure: parse, classify and `keys.of` come before it, the store's transaction after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.answer import answered, classify, correlate, facts, reply
from gateway.ical import read
from gateway.mail import automatic, links, parse, quoting, unread
from gateway.model import Channel, Method, Outcome, Policy

VERDICTS = {
    correlate.Verdict.HOLD: Outcome.HELD,
    correlate.Verdict.PARTY_CRASHER: Outcome.PARTY_CRASHER,
    correlate.Verdict.UNKNOWN: Outcome.UNKNOWN_INVITATION,
}
REPORTED = {
    "failed": Outcome.BOUNCED,
    "delayed": Outcome.DELAYED,
    "delivered": Outcome.DELIVERED,
    "relayed": Outcome.DELIVERED,
    "expanded": Outcome.DELIVERED,
}
PRECEDENCE = (
    Outcome.HELD,
    Outcome.PARTY_CRASHER,
    Outcome.APPLIED,
    Outcome.DELEGATED,
    Outcome.PROPOSAL,
    Outcome.BOUNCED,
    Outcome.UNKNOWN_INVITATION,
    Outcome.MALFORMED,
    Outcome.NOT_AN_ANSWER,
    Outcome.DELAYED,
    Outcome.DELIVERED,
    Outcome.UNCHANGED,
    Outcome.OLD_ANSWER,
    Outcome.CLOSED,
    Outcome.SEEN,
    Outcome.REFRESHED,
    Outcome.AWAY,
    Outcome.COMMENT,
    Outcome.DUPLICATE,
)
"""Which of several answers names the message: first what a person is asked, because it would not
reach them otherwise; then what had an effect.
"""


@dataclass(frozen=True, slots=True)
class Context:
    """What is true beside the message. arrived: when it reached the mailbox. secret: of the answer
    links' CHECK.

    named: the participant whose answer it is by a person's word, which overrides trust and nothing
    else.
    """

    ours: classify.Ours
    policy: Policy
    arrived: datetime
    secret: bytes
    named: int | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """outcome and reason of the message; answers: one per row and date. invite: a party crasher
    whom policy lets in.
    """

    outcome: Outcome
    reason: str
    answers: tuple[facts.Answer, ...]
    rules: tuple[facts.Rule, ...] = ()
    invite: str = ""


def interpret(
    message: parse.Message,
    finding: classify.Finding,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    """What the message means. `keys`: those of `keys.of`; `lookup`: what the store knows under
    them.
    """
    match finding:
        case classify.Answer():
            return _answer(message, finding, keys, lookup, context)
        case classify.NotAnAnswer():
            is_ours = finding.returned or bool(set(finding.uids) & lookup.uids)
            if is_ours and finding.otherwise is not None:
                rule = facts.Rule(
                    "returned", "an object of ours came back with it, which does not count"
                )
                meaning = interpret(message, finding.otherwise, keys, lookup, context)
                is_untied = meaning.outcome is Outcome.IGNORED
                is_silent = isinstance(finding.otherwise, classify.Nothing)
                is_wordless = is_silent and meaning.outcome is Outcome.HELD
                # Tied to nothing or without a word, the object itself is what a person should see.
                if not is_untied and not is_wordless:
                    return replace(meaning, rules=(rule, *meaning.rules))
            return _simple(Outcome.NOT_AN_ANSWER, finding.reason)
        case classify.Malformed():
            return _simple(Outcome.MALFORMED, finding.reason)
        case classify.Bounce():
            return _bounce(message, finding, keys, lookup, context)
        case classify.Receipt():
            return _receipt(message, finding, keys, lookup, context)
        case classify.LinkAnswer():
            return _link(message, finding, keys, lookup, context)
        case classify.Nothing():
            return _silent(message, finding, keys, lookup, context)
        case classify.Complaint() | classify.AutoReply() | classify.HumanText():
            return _tied(message, finding, keys, lookup, context)


def _answer(
    message: parse.Message,
    finding: classify.Answer,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    answers = list[facts.Answer]()
    invite = ""
    for uid in dict.fromkeys(component.uid for component in finding.components):
        appointed = _named(finding, uid, lookup, context)
        if appointed is not None:
            choice = correlate.appointed(message, appointed)
        else:
            choice = correlate.choose(message, finding, uid, keys, lookup, context.policy)
        about = _about(message, finding, choice.speaker, context)
        components = [component for component in finding.components if component.uid == uid]
        if choice.verdict is correlate.Verdict.APPLY and choice.row is not None:
            for row, of_row in correlate.spread(choice.row, components, finding, lookup):
                for conclusion in _decide(row, finding.method, of_row, about):
                    answers.append(_answer_of(choice, row, conclusion))
            continue
        if choice.invite:
            invite = choice.speaker
        for conclusion in _waiting(choice, components, about):
            answers.append(_answer_of(choice, choice.row, conclusion))
    return _summary(answers, invite)


def _answer_of(
    choice: correlate.Choice, row: facts.Row | None, conclusion: facts.Conclusion
) -> facts.Answer:
    """What a conclusion means for a row, with the rules that led to the row."""
    complete = _because(choice.rules, conclusion)
    return facts.Answer(row, complete, choice.speaker, choice.follow_up)


def _decide(
    row: facts.Row, method: Method, components: Sequence[read.Component], about: facts.Circumstances
) -> tuple[facts.Conclusion, ...]:
    if method is Method.COUNTER:
        return reply.decide_counter(row, components, about)
    if method is Method.REFRESH:
        return (reply.decide_refresh(row, components, about),)
    return reply.decide_all(row, components, about)


def _named(
    finding: classify.Answer, uid: str, lookup: facts.Lookup, context: Context
) -> facts.Row | None:
    """The row that a person named. In a mail about several follow-ups they mean the row's own,
    unless its UID is not among them.
    """
    row = _appointed(lookup, context)
    if row is None or uid == row.uid:
        return row
    names_its_own = any(component.uid == row.uid for component in finding.components)
    return None if names_its_own else row


def _appointed(lookup: facts.Lookup, context: Context) -> facts.Row | None:
    """The row of the participant whose answer it is by a person's word."""
    return next((row for row in lookup.rows if row.participant == context.named), None)


def _waiting(
    choice: correlate.Choice, components: Sequence[read.Component], about: facts.Circumstances
) -> tuple[facts.Conclusion, ...]:
    """An answer that a person has to look at, with what it says of which date, so that they can
    decide.
    """
    conclusions = list[facts.Conclusion]()
    for component in components:
        instance = None
        if choice.row is not None:
            attendee = reply.attendee_of(choice.row, component, about.senders)
            instance = answered.named(choice.row.current, component, about)
        else:
            attendee = _line_of(choice.speaker, component)
        claimed, comment = None, ""
        if attendee is not None:
            claimed = reply.PARTSTATS.get(attendee.partstat)
            comment = reply.comment_of(component, attendee, about.remark)
        conclusions.append(
            facts.Conclusion(
                VERDICTS[choice.verdict],
                choice.reason,
                instance=instance,
                claimed=claimed,
                comment=comment,
            )
        )
    return tuple(dict.fromkeys(conclusions))


def _line_of(speaker: str, component: read.Component) -> read.Attendee | None:
    """The ATTENDEE line with exactly this address."""
    lines = (attendee for attendee in component.attendees if attendee.address == speaker)
    return next(lines, None)


def _link(
    message: parse.Message,
    finding: classify.LinkAnswer,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    choice = correlate.tie(message, keys, lookup)
    row = _appointed(lookup, context)
    if row is None and choice is not None:
        row = choice.row
    if row is None or not _is_for(finding.tag, row, context.secret):
        rule = facts.Rule(
            "link_check",
            "the bracket in the Subject is not from a letter to this row: only text",
        )
        meaning = interpret(message, finding.otherwise, keys, lookup, context)
        return replace(meaning, rules=(rule, *meaning.rules))
    if row.participant == context.named:
        allowed = correlate.appointed(message, row)
    else:
        allowed = correlate.may_answer(message, row, lookup)
    about = _about(message, None, allowed.speaker, context, Channel.LINK)
    words = finding.otherwise.text if isinstance(finding.otherwise, classify.HumanText) else ""
    tag = finding.tag
    if allowed.verdict is correlate.Verdict.APPLY:
        conclusion = reply.decide_direct(row, tag.answer, tag.moment, tag.sequence, about, words)
    else:
        conclusion = facts.Conclusion(
            Outcome.HELD,
            allowed.reason,
            instance=tag.moment,
            claimed=tag.answer,
            comment=words,
        )
    return _summary([_answer_of(allowed, row, conclusion)])


def _is_for(tag: links.Tag, row: facts.Row, secret: bytes) -> bool:
    """Whether an answer link comes from a letter to this row."""
    return any(links.valid(secret, token, tag) for token in row.tokens)


def _silent(
    message: parse.Message,
    finding: classify.Nothing,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    """What cannot be understood. Where it ties to a row, the words of its Subject count. Without
    such words a person has to see it: nothing that carries a token of ours is ignored (itip.md §3).
    """
    choice = correlate.tie(message, keys, lookup)
    if choice is None or choice.row is None:
        return _untied(message, _simple(Outcome.IGNORED, finding.reason))
    row = _appointed(lookup, context) or choice.row
    titles = [row.current.title]
    if row.sent is not None:
        titles.append(row.sent.title)
    words = quoting.subject_words(finding.subject, titles)
    if words:
        spoken = classify.HumanText(words, quoting.suggestion(words))
        return _tied(message, spoken, keys, lookup, context)
    rule = facts.Rule(
        "unread", f"{finding.reason}: what carries a token of ours is for a person to look at"
    )
    conclusion = facts.Conclusion(Outcome.HELD, finding.reason, (*choice.rules, rule))
    return _summary([facts.Answer(row, conclusion, choice.speaker, row.follow_up)])


def _untied(message: parse.Message, meaning: Meaning) -> Meaning:
    """What ties to nothing is ignored, except what a mail server put in the place of a message."""
    if not unread.never_travelled(message):
        return meaning
    reason = (
        "its sender has no address and it was never transported: perhaps a mail server gave it"
        " out in the place of a message"
    )
    return _simple(Outcome.MALFORMED, reason)


def _tied(
    message: parse.Message,
    finding: classify.Complaint | classify.AutoReply | classify.HumanText,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    """Complaints, automatic replies and texts count for the row they tie to; without a row they are
    not for us.
    """
    choice = correlate.tie(message, keys, lookup)
    row = _appointed(lookup, context)
    if row is not None:
        choice = correlate.appointed(message, row)
    if choice is None or choice.row is None:
        rule = facts.Rule(
            "untied",
            "a text or an automatic reply counts by a token or by the Message-ID of a letter of"
            " ours; it has neither",
        )
        return _untied(
            message, Meaning(Outcome.IGNORED, "it names no invitation of ours", (), (rule,))
        )
    match finding:
        case classify.Complaint():
            rule = facts.Rule("complaint", "an abuse report is nobody's words (RFC 5965)")
            conclusion = facts.Conclusion(Outcome.UNCHANGED, "reported as spam", (rule,))
        case classify.AutoReply():
            until = f" until {finding.until.isoformat()}" if finding.until else ""
            rule = facts.Rule(
                "auto_reply", f"an automatic reply changes no status (P24): {finding.evidence}"
            )
            conclusion = facts.Conclusion(
                Outcome.AWAY, f"away{until}", (rule,), until=finding.until
            )
        case classify.HumanText():
            if row is None:
                choice = correlate.unless_refused(choice, lookup)
            conclusion = _spoken(message, finding, choice)
    return _summary([_answer_of(choice, choice.row, conclusion)])


def _spoken(
    message: parse.Message, finding: classify.HumanText, choice: correlate.Choice
) -> facts.Conclusion:
    """A person's words are passed on in our name. Not if From is forged, because nobody would see
    that in the owner's mailbox.
    """
    rule = facts.Rule("text", "a person's own words never change a status by themselves (P23)")
    is_forged = choice.verdict is correlate.Verdict.HOLD
    return facts.Conclusion(
        Outcome.HELD if is_forged else Outcome.COMMENT,
        choice.reason if is_forged else "wrote a message",
        (rule,),
        claimed=finding.suggestion,
        comment=finding.text,
        pass_on=finding.notice or not automatic.is_automatic(message),
    )


def _receipt(
    message: parse.Message,
    finding: classify.Receipt,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    choice = correlate.receipt(message, finding, keys, lookup)
    if choice is None or choice.row is None:
        rule = facts.Rule(
            "receipt_untied",
            "a read receipt counts from a known address of the row, or with the Message-ID of a"
            " letter to it and as the invitee's own; never for the letter of another row (P25)",
        )
        return Meaning(Outcome.IGNORED, "a read receipt by nobody who was asked", (), (rule,))
    about = _about(message, None, choice.speaker, context)
    if finding.displayed:
        conclusion = reply.decide_seen(choice.row, finding.message_ids, about)
    else:
        reason = "a receipt that does not say the letter was displayed"
        conclusion = facts.Conclusion(Outcome.UNCHANGED, reason)
    return _summary([_answer_of(choice, choice.row, conclusion)])


def _bounce(
    message: parse.Message,
    finding: classify.Bounce,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    tied = correlate.failed(finding, keys, lookup, context.policy, context.secret)
    is_prose = finding.otherwise is not None
    by_invitee = any(correlate.speaks(message, row) for row, _, _ in tied)
    # A report in words may be the invitee's own words.
    if not tied or (is_prose and by_invitee):
        return _unproven(message, finding, keys, lookup, context)
    answers = list[facts.Answer]()
    for row, report, rule in tied:
        parts = (report.action, report.status, report.diagnostic)
        reason = " ".join(part for part in parts if part)
        about = replace(report, token=correlate.token_of(row, keys))
        conclusion = facts.Conclusion(REPORTED[report.action], reason, (rule,), report=about)
        answers.append(facts.Answer(row, conclusion, row.address, row.follow_up))
    return _summary(answers)


def _unproven(
    message: parse.Message,
    finding: classify.Bounce,
    keys: facts.Keys,
    lookup: facts.Lookup,
    context: Context,
) -> Meaning:
    """A report that marks nothing. Words are what they would be without their sender; what came to
    a token of ours is for a person to see.
    """
    if finding.otherwise is not None:
        rule = facts.Rule(
            "bounce_prose", "a report in words counts only at the bounce address of a letter (P25)"
        )
        meaning = interpret(message, finding.otherwise, keys, lookup, context)
        return replace(meaning, rules=(rule, *meaning.rules))
    rule = facts.Rule(
        "bounce_untied",
        "neither the bounce address nor the Message-ID of a letter of ours, nor a token with the"
        " row's address in a status part; the UID with that counts only where"
        " policy.require_authentication is off, an address alone never (P25)",
    )
    reason = "a delivery report that nothing ties to a letter of ours"
    has_token = any(correlate.token_of(row, keys) for row in lookup.rows)
    outcome = Outcome.NOT_AN_ANSWER if has_token else Outcome.IGNORED
    return Meaning(outcome, reason, (), (rule,))


def _about(
    message: parse.Message,
    finding: classify.Answer | None,
    speaker: str,
    context: Context,
    channel: Channel = Channel.MAIL,
) -> facts.Circumstances:
    whole = facts.Circumstances(
        arrived=context.arrived,
        speaker=speaker,
        senders=message.senders,
        mailboxes=context.ours.mailboxes,
        channel=channel,
    )
    if finding is None:
        return whole
    offsets, remark = finding.offsets, finding.remark
    return replace(whole, offsets=offsets, remark=remark, automatic=finding.automatic)


def _because(rules: tuple[facts.Rule, ...], conclusion: facts.Conclusion) -> facts.Conclusion:
    return replace(conclusion, rules=(*rules, *conclusion.rules))


def chief(answers: Sequence[facts.Answer]) -> facts.Answer:
    """The answer that names the message."""
    return min(answers, key=lambda answer: PRECEDENCE.index(answer.conclusion.outcome))


def _summary(answers: Sequence[facts.Answer], invite: str = "") -> Meaning:
    conclusion = chief(answers).conclusion
    rules = tuple(dict.fromkeys(rule for answer in answers for rule in answer.conclusion.rules))
    return Meaning(conclusion.outcome, conclusion.reason, tuple(answers), rules, invite)


def _simple(outcome: Outcome, reason: str) -> Meaning:
    return Meaning(outcome, reason, (), (facts.Rule(outcome.value, reason),))
