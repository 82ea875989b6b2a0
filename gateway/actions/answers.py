"""What received messages do: effects on standings, marks on deliveries, the journal, and the one outcome of each message.

Everything here is part of the caller's transaction, together with the mailbox cursor: a crash repeats nothing and loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway import status
from gateway.itip import facts, plan
from gateway.model import Channel, Delivery, Moment, Outcome, Standing
from gateway.store import followups, inbox, invitations, journal
from gateway.store.engine import Connection

DELIVERIES = {Outcome.BOUNCED: Delivery.UNDELIVERABLE, Outcome.DELAYED: Delivery.DEFERRED, Outcome.DELIVERED: Delivery.DELIVERED}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part of a message (a VEVENT, one recipient of a report) means for one row. `address`: who spoke."""

    row: facts.Row | None
    decision: facts.Decision
    address: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it was carried out. `before`, `after`: status words of the row or the date; `participant`: its key."""

    answer: Answer
    participant: str | None
    before: str
    after: str


def carry_out(connection: Connection, answers: Sequence[Answer], message: int, channel: Channel, now: datetime) -> list[Told]:
    """Apply the effects of a message's answers, in their order, and journal each. `message`: its number in the inbox."""
    numbers = sorted({one.row.participant for one in answers if one.row is not None})
    members = {one.id: one for one in followups.members(connection, ids=numbers)} if numbers else {}
    standings = {number: dict(member.standings) for number, member in members.items()}
    told, entries = list[Told](), list[journal.Entry]()
    for one in answers:
        row, decision = one.row, one.decision
        member = members.get(row.participant) if row is not None else None
        before = after = ""
        if row is not None and member is not None:
            known = standings[member.id]
            start = _standing(known, decision.instance)
            changed = _changed(start, decision.effect) if decision.effect is not None else start
            before, after = status.code(member.role, start).word, status.code(member.role, changed).word
            if decision.effect is not None and changed != start:
                known[decision.instance] = changed
                code = status.code(member.role, changed) if decision.instance is plan.SERIES else None
                followups.write_standing(connection, member.id, decision.instance, changed, code)
            _deliveries(connection, member.id, decision)
            if decision.ask_again and invitations.ask_again(connection, member.id):
                followups.mark(connection, [member.follow_up], now)
        told.append(Told(one, member.key if member is not None else None, before, after))
        entries.append(journal.Entry(
            decision.outcome.value, row.follow_up if row is not None else None, row.participant if row is not None else None,
            decision.instance, before, after, by=one.address, channel=channel, message=message,
            detail=decision.comment or decision.reason))
    journal.write(connection, entries, now)
    return told


def repeated(connection: Connection, answer: Answer, message_id: str, fingerprint: str) -> Answer:
    """The same answer seen as a repeat, where this row had this message, or this very object, before."""
    decision = answer.decision
    if answer.row is None or decision.outcome not in inbox.EFFECTIVE:
        return answer
    what = inbox.seen_before(connection, answer.row.participant, message_id, fingerprint)
    if what is None or (what == "object" and decision.outcome is Outcome.APPLIED):
        return answer  # the same object may count again where its DTSTAMP tells nothing: accept, decline, accept
    rule = facts.Rule("repeat", f"the same {what} had its effect on this row before")
    return replace(answer, decision=replace(decision, outcome=Outcome.DUPLICATE, reason=rule.text, rules=(*decision.rules, rule),
                                            effect=None, ask_again=False, proposal=None, delegates=()))


def _standing(known: dict[Moment | None, Standing], instance: Moment | None) -> Standing:
    """A row's standing on a date: its own, or an open one that shares what happened to the series."""
    series = known.get(plan.SERIES, Standing())
    return series if instance is plan.SERIES else known.get(instance, Standing(moved=series.moved, cancelled=series.cancelled))


def _changed(standing: Standing, effect: facts.Effect) -> Standing:
    if effect.reply is None:
        return status.see(standing)
    answered = status.answer(standing, effect.reply)
    return replace(answered, comment=effect.comment, channel=effect.channel, address=effect.address, replied_at=effect.arrived,
                   sequence=effect.sequence, dtstamp=effect.dtstamp, arrived=effect.arrived)


def _deliveries(connection: Connection, number: int, decision: facts.Decision) -> None:
    if decision.outcome in DELIVERIES:
        invitations.mark_row_delivery(connection, number, DELIVERIES[decision.outcome], decision.reason)
    elif decision.effect is not None and decision.effect.reply is not None:  # somebody reads there after all
        invitations.mark_row_delivery(connection, number, Delivery.SENT, "", only=Delivery.UNDELIVERABLE)
