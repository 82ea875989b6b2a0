"""What received messages do: effects on standings, marks on deliveries, the journal, and the one
outcome of each message.

Everything here is part of the caller's transaction, together with the mailbox cursor: a crash
repeats nothing and loses nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from gateway.actions import deliveries, joining, proposals
from gateway.itip import answered, facts, plan
from gateway.model import Channel, Delivery, Outcome
from gateway.store import braked, followups, invitations, journal, marks, reports
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


def carry_out(
    connection: Connection, told: Sequence[facts.Told], message: int, now: datetime
) -> None:
    """Apply what the answers of a message do and journal each.
    `message`: its number in the inbox.
    """
    for one in told:
        row, decision = one.answer.row, one.answer.decision
        if row is None or one.participant is None:
            continue
        if one.standing is not None:
            code = one.code if decision.instance is plan.SERIES else None
            followups.write_standing(
                connection, row.participant, decision.instance, one.standing, code
            )
        _heard(connection, one, row.participant)
        _deliveries(connection, row.participant, decision, now)
        effect = decision.effect
        if (
            effect is not None
            and effect.reply is not None
            and invitations.waiting_shows_other(connection, row.participant, effect.reply)
        ):  # what is to leave anyway must not ask him again
            marks.mark(connection, [row.follow_up], now)
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
        marks.mark(connection, [row.follow_up], now)
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


def _heard(connection: Connection, told: facts.Told, participant: int) -> None:
    """What he says now makes doubtful what he said before, for the case that the brake holds news
    of his which are undone.
    """
    decision = told.answer.decision
    if told.standing is not None or decision.ask_again:
        braked.void(connection, participant)
    elif decision.outcome is Outcome.CLOSED and decision.instance is plan.SERIES:
        braked.close(connection, participant)


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
