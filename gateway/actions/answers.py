"""What received messages do: effects on standings, marks on deliveries, the journal, and what
answers bring beside a status.

Many messages are saved at once, with a fixed number of statements for what nearly all of them do;
what few do (ask for the invitation again, propose another time, delegate, report a bounce, write to
the owner) is done one by one. Everything here is part of the caller's transaction, together with
the mailbox cursor: a crash repeats nothing and loses nothing.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway import settings as configuration
from gateway import status
from gateway.actions import deciding, deliveries, forwarding, joining, proposals
from gateway.answer import answered, facts
from gateway.followups import conflicts
from gateway.invite import plan
from gateway.mail import bounce
from gateway.model import Channel, Delivery, Outcome
from gateway.store import (
    braked,
    deleted,
    followups,
    invitations,
    journal,
    marks,
    participants,
    reports,
)
from gateway.store.decisions import Verdict
from gateway.store.engine import Connection

DELIVERIES = {
    Outcome.BOUNCED: Delivery.UNDELIVERABLE,
    Outcome.DELAYED: Delivery.DEFERRED,
    Outcome.DELIVERED: Delivery.DELIVERED,
}

NOT_REPEATED = {
    True: "the invitation was repeated within the hour, or is under way, or there is none",
    False: "asked again before, or the invitation is under way, or there is none",
}


@dataclass(frozen=True, slots=True)
class Effects:
    """What the answers of one message do."""

    number: int
    # Its number in the inbox.
    consequences: Sequence[facts.Consequence]


@dataclass(frozen=True, slots=True)
class _Applied:
    """An answer that is about a row which is there."""

    message: int
    row: facts.Row
    consequence: facts.Consequence

    @property
    def conclusion(self) -> facts.Conclusion:
        return self.consequence.answer.conclusion

    @property
    def is_heard(self) -> bool:
        """An invitee who answers, proposes or opens a letter reads there after all (itip.md §3)."""
        reports = self.conclusion.report is not None and self.conclusion.outcome in DELIVERIES
        return self.conclusion.effect is not None and not reports

    @property
    def comes_or_goes(self) -> bool:
        """Whether the answer changes that they come, or may."""
        if self.consequence.standing is None:
            return False
        instance, row = self.conclusion.instance, self.row
        before = row.standing
        if instance is not plan.SERIES:
            before = row.date_standings.get(instance, before)
        codes = (
            status.code(row.role, standing) for standing in (before, self.consequence.standing)
        )
        return len({code in conflicts.BLOCK_NOBODY for code in codes}) > 1


def reaches_further(consequences: Sequence[facts.Consequence]) -> bool:
    """Whether a message may change more than the rows that it is about: a report may be about the
    whole account, and a delegate may be another participant.
    """
    decisions = [consequence.answer.conclusion for consequence in consequences]
    return any(conclusion.report is not None or conclusion.delegates for conclusion in decisions)


def carry_out(
    connection: Connection,
    messages: Sequence[Effects],
    settings: configuration.Settings,
    now: datetime,
    verdict: Verdict | None = None,
) -> None:
    """Apply what messages do and journal each answer, in their order. No two of them are about the
    same row. `verdict`: of the person who has them carried out.
    """
    applied = [answer for message in messages for answer in _applied(message)]
    _write_standings(connection, applied)
    _hear(connection, applied)
    deleted.void(connection, _of_the_gone(messages))
    invitations.mark_read(
        connection, [answer.row.participant for answer in applied if answer.is_heard]
    )
    _look_again(connection, applied, now)
    entries = list[journal.Entry]()
    for message in messages:
        alone = any(
            _writes_more(consequence.answer.conclusion) for consequence in message.consequences
        )
        if alone:
            journal.write(connection, entries, now)
            entries = []
        for answer in _applied(message):
            entries += _besides(connection, answer, now)
        entries += [_entry(consequence, message.number) for consequence in message.consequences]
        if alone:
            journal.write(connection, entries, now)
            entries = []
            _bring(connection, message, settings, now)
    journal.write(connection, entries, now)
    _follow(connection, messages, now, verdict)


def _follow(
    connection: Connection,
    messages: Sequence[Effects],
    now: datetime,
    verdict: Verdict | None,
) -> None:
    """What waits for a person because of these answers, or does not any more."""
    answers = [
        (message.number, consequence.answer)
        for message in messages
        for consequence in message.consequences
    ]
    deciding.wrote(connection, answers, now)
    keys = {answer.follow_up for _, answer in answers if answer.follow_up}
    rows = {answer.row.participant for _, answer in answers if answer.row is not None}
    deciding.follow(connection, keys, now, rows, verdict)


def _applied(message: Effects) -> Iterator[_Applied]:
    for consequence in message.consequences:
        if consequence.answer.row is not None and consequence.participant is not None:
            yield _Applied(message.number, consequence.answer.row, consequence)


def _of_the_gone(messages: Sequence[Effects]) -> set[int]:
    """The rows that are not there any more, and to which somebody answers."""
    consequences = itertools.chain.from_iterable(message.consequences for message in messages)
    answers = [
        consequence.answer for consequence in consequences if consequence.participant is None
    ]
    return {
        answer.row.participant
        for answer in answers
        if answer.row is not None and answer.conclusion.outcome is Outcome.CLOSED
    }


def _writes_more(conclusion: facts.Conclusion) -> bool:
    """Whether an answer brings more than a status; what it brings has its own journal entries."""
    return (
        conclusion.report is not None
        or conclusion.proposal is not None
        or bool(conclusion.delegates)
        or conclusion.outcome is Outcome.COMMENT
    )


def _write_standings(connection: Connection, applied: Sequence[_Applied]) -> None:
    changed = {
        (answer.row.participant, answer.conclusion.instance): answer.consequence.standing
        for answer in applied
        if answer.consequence.standing is not None
    }
    followups.write_standings(connection, changed)
    codes = {
        answer.row.participant: answer.consequence.code
        for answer in applied
        if answer.consequence.standing is not None and answer.conclusion.instance is plan.SERIES
    }
    known_codes = {number: int(code) for number, code in codes.items() if code is not None}
    followups.write_codes(connection, known_codes)


def _hear(connection: Connection, applied: Sequence[_Applied]) -> None:
    """What somebody says now makes doubtful what they said before, for the case that the brake
    holds news of theirs which are undone. The last word of a message counts.
    """
    heard, closed = set[int](), set[int]()
    for answer in applied:
        number, conclusion = answer.row.participant, answer.conclusion
        if answer.consequence.standing is not None or conclusion.ask_again:
            heard.add(number)
        elif conclusion.outcome is Outcome.CLOSED and conclusion.instance is plan.SERIES:
            heard.discard(number)
            closed.add(number)
    braked.close(connection, closed)
    braked.void(connection, heard)


def _look_again(connection: Connection, applied: Sequence[_Applied], now: datetime) -> None:
    """What is to leave anyway must not ask again somebody who has answered; and diaries follow the
    answers of associates (domain.md §5).
    """
    replies = [
        (answer, answer.conclusion.effect.reply)
        for answer in applied
        if answer.conclusion.effect is not None and answer.conclusion.effect.reply is not None
    ]
    waiting = invitations.waiting_replies(
        connection, {answer.row.participant for answer, _ in replies}
    )
    stale = [
        answer.row.follow_up
        for answer, said in replies
        if any(shown is not said for shown in waiting.get(answer.row.participant, ()))
    ]
    turned = [answer.row.participant for answer in applied if answer.comes_or_goes]
    diaries = participants.of_the_house(connection, turned)
    marks.mark(connection, dict.fromkeys([*stale, *diaries]), now)


def _besides(connection: Connection, answer: _Applied, now: datetime) -> list[journal.Entry]:
    """What few answers do to their own row. Returns what the journal has to say before them."""
    conclusion = answer.conclusion
    if conclusion.report is not None and conclusion.outcome in DELIVERIES:
        _report(connection, answer.row.participant, conclusion, conclusion.report, now)
    if conclusion.deferred is not None:
        invitations.defer(connection, conclusion.deferred)
    return _repeat(connection, answer, now) if conclusion.ask_again else []


def _entry(consequence: facts.Consequence, message: int) -> journal.Entry:
    answer, conclusion = consequence.answer, consequence.answer.conclusion
    row, effect = answer.row, conclusion.effect
    return journal.Entry(
        conclusion.outcome.value,
        answer.follow_up or None,
        row.participant if row is not None else None,
        answer.date,
        consequence.before,
        consequence.after,
        by=answer.address,
        channel=effect.channel if effect is not None else Channel.MAIL,
        message=message,
        detail=conclusion.comment or conclusion.reason,
    )


def _bring(
    connection: Connection, message: Effects, settings: configuration.Settings, now: datetime
) -> None:
    for answer in _applied(message):
        proposals.keep(connection, answer.consequence.answer, message.number, now)
        joining.delegate(connection, answer.consequence.answer, message.number, now)
    answers = [consequence.answer for consequence in message.consequences]
    forwarding.forward(connection, answers, message.number, settings, now)


def _repeat(connection: Connection, answer: _Applied, now: datetime) -> list[journal.Entry]:
    """Have the planner send the invitation once more, as often as the rules allow."""
    row, conclusion = answer.row, answer.conclusion
    asked = conclusion.outcome is Outcome.REFRESHED
    if asked:
        owed = invitations.refresh(connection, row.participant, now, conclusion.instance)
    else:
        sequence = answered.asked_sequence(row, conclusion.instance)
        owed = invitations.ask_again(connection, row.participant, conclusion.instance, sequence)
    if owed:
        marks.mark(connection, [row.follow_up], now)
        return []
    return [
        journal.Entry(
            "not_repeated",
            row.follow_up,
            row.participant,
            conclusion.instance,
            message=answer.message,
            detail=NOT_REPEATED[asked],
        )
    ]


def _report(
    connection: Connection,
    participant: int,
    conclusion: facts.Conclusion,
    report: bounce.Report,
    now: datetime,
) -> None:
    """What a report says of a letter, or of our account."""
    returned = reports.about(connection, participant, report)
    if returned is None:
        return
    bounced = conclusion.outcome is Outcome.BOUNCED
    if bounced and deliveries.came_back(connection, returned, report, now):
        return
    reports.mark(connection, returned, DELIVERIES[conclusion.outcome], conclusion.reason, now)
