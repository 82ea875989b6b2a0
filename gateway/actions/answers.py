"""What received messages do: effects on standings, marks on deliveries, the journal, and the one
outcome of each message.

Everything here is part of the caller's transaction, together with the mailbox cursor: a crash
repeats nothing and loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway import status
from gateway.actions import deliveries, joining, proposals
from gateway.itip import answered, facts, plan, reply
from gateway.model import Channel, Delivery, Outcome, Standing
from gateway.store import braked, followups, inbox, invitations, journal, reports
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
class Told:
    """An answer and what it does. `participant`: the row's key; `before`, `after`: status words of
    the row or the date.

    `standing`: the row's, or the date's, afterwards; None where nothing changes. `code`: its
    status.
    """

    answer: facts.Answer
    participant: str | None = None
    before: str = ""
    after: str = ""
    standing: Standing | None = None
    code: int = 0


def foretell(connection: Connection, answers: Sequence[facts.Answer]) -> list[Told]:
    """What the answers of a message do, in their order; writes nothing."""
    numbers = sorted({one.row.participant for one in answers if one.row is not None})
    members = {one.id: one for one in followups.members(connection, ids=numbers)} if numbers else {}
    standings = {number: dict(member.standings) for number, member in members.items()}
    told = list[Told]()
    for one in answers:
        row, decision = one.row, one.decision
        member = members.get(row.participant) if row is not None else None
        if row is None or member is None:
            told.append(Told(one))
            continue
        known = standings[member.id]
        start = known.get(decision.instance) or reply.standing_of(row, decision.instance)
        changed = reply.apply(start, decision.effect) if decision.effect is not None else start
        # A date that was not answered by itself has the status of the series.
        shown = known.get(decision.instance) or known.get(plan.SERIES) or start
        known[decision.instance] = changed
        before = status.code(member.role, shown)
        after = status.code(member.role, changed) if decision.effect is not None else before
        told.append(
            Told(
                one,
                member.key,
                before.word,
                after.word,
                changed if changed != start else None,
                after,
            )
        )
    return told


def carry_out(
    connection: Connection, answers: Sequence[facts.Answer], message: int, now: datetime
) -> list[Told]:
    """Apply what the answers of a message do and journal each.
    `message`: its number in the inbox.
    """
    told = foretell(connection, answers)
    for one in told:
        row, decision = one.answer.row, one.answer.decision
        if row is None or one.participant is None:
            continue
        if one.standing is not None:
            code = one.code if decision.instance is plan.SERIES else None
            followups.write_standing(
                connection, row.participant, decision.instance, one.standing, code
            )
        if one.standing is not None or decision.ask_again:
            braked.void(connection, row.participant)
        _deliveries(connection, row.participant, decision, now)
        effect = decision.effect
        if (
            effect is not None
            and effect.reply is not None
            and invitations.waiting_shows_other(connection, row.participant, effect.reply)
        ):  # what is to leave anyway must not ask him again
            followups.mark(connection, [row.follow_up], now)
        if decision.deferred is not None:
            invitations.defer(connection, decision.deferred)
        if decision.ask_again:
            _repeat(connection, row, decision, message, now)
    journal.write(
        connection,
        [
            journal.Entry(
                one.answer.decision.outcome.value,
                one.answer.follow_up or None,
                one.answer.row.participant if one.answer.row is not None else None,
                one.answer.date,
                one.before,
                one.after,
                by=one.answer.address,
                channel=_channel(one.answer.decision),
                message=message,
                detail=one.answer.decision.comment or one.answer.decision.reason,
            )
            for one in told
        ],
        now,
    )
    for one in told:
        if one.participant is not None:
            proposals.keep(connection, one.answer, message, now)
            joining.delegate(connection, one.answer, message, now)
    return told


def repeated(
    connection: Connection,
    answer: facts.Answer,
    message_id: str,
    fingerprint: str,
    number: int | None,
    arrived: datetime,
) -> facts.Answer:
    """The same answer seen as a repeat, where this row had this message, or this very object,
    before.

    `number`: the message's own in the inbox, where it is judged anew: the parts of it that had
    their effect wait no longer. `arrived`: a request for the invitation repeats another one only if
    it came soon after it.
    """
    row, decision = answer.row, answer.decision
    if row is None:
        return answer
    if number is not None and inbox.had_effect(connection, number, row.participant, answer.date):
        what: str | None = "message"
    elif decision.outcome in inbox.EFFECTIVE:
        again = decision.outcome is Outcome.REFRESHED
        since = arrived - inbox.REQUEST_COUNTS if again else None
        what = inbox.seen_before(
            connection, row.participant, message_id, fingerprint, number, since
        )
    else:
        return answer
    if what is None or (what == "object" and decision.outcome is Outcome.APPLIED):
        # the same object may count again where its DTSTAMP tells nothing: accept, decline, accept
        return answer
    rule = facts.Rule("repeat", f"the same {what} had its effect on this row before")
    return replace(
        answer,
        decision=replace(
            decision,
            outcome=Outcome.DUPLICATE,
            reason=rule.text,
            rules=(*decision.rules, rule),
            effect=None,
            ask_again=False,
            proposal=None,
            delegates=(),
        ),
    )


def _channel(decision: facts.Decision) -> Channel:
    return decision.effect.channel if decision.effect is not None else Channel.MAIL


def _repeat(
    connection: Connection, row: facts.Row, decision: facts.Decision, message: int, now: datetime
) -> None:
    """Have the planner send the invitation once more, as often as the rules allow."""
    asked = decision.outcome is Outcome.REFRESHED
    owed = (
        invitations.refresh(connection, row.participant, now)
        if asked
        else invitations.ask_again(
            connection,
            row.participant,
            decision.instance,
            answered.asked_sequence(row, decision.instance),
        )
    )
    if owed:
        followups.mark(connection, [row.follow_up], now)
    else:
        journal.write(
            connection,
            [
                journal.Entry(
                    "not_repeated",
                    row.follow_up,
                    row.participant,
                    decision.instance,
                    message=message,
                    detail=NOT_REPEATED[asked],
                )
            ],
            now,
        )


def _deliveries(
    connection: Connection, number: int, decision: facts.Decision, now: datetime
) -> None:
    """What a report says of a letter, or of our account. Whoever answers, proposes or opens a
    letter reads there after all (itip.md §3).
    """
    report = decision.report
    if report is None or decision.outcome not in DELIVERIES:
        if decision.effect is not None:
            invitations.mark_read(connection, number)
        return
    returned = reports.about(connection, number, report)
    if returned is None:
        return
    bounced = decision.outcome is Outcome.BOUNCED
    if bounced and deliveries.came_back(connection, returned, report, now):
        return
    reports.mark(connection, returned, DELIVERIES[decision.outcome], decision.reason, now)
