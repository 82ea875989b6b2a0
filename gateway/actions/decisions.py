"""What waits for a person, in that person's hands: seen, listed, and decided (domain.md §9).

A choice does what the command of the same meaning does, in one transaction with closing the
decision: moving a follow-up, teaching an address, removing a participant. Whatever such a command
refuses is refused here, with the same words, and nothing is closed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway import errors, shapes
from gateway.actions import (
    answering,
    assigning,
    deciding,
    inviting,
    moving,
    one_follow_up,
    planning,
    proposals,
    queue,
    review,
    webhooks,
)
from gateway.actions.answering import Said
from gateway.actions.context import Context
from gateway.actions.desk import Desk
from gateway.actions.moving import When
from gateway.errors import NotFound, Refused
from gateway.followups import decisions
from gateway.followups.decisions import Choice, Decision, DecisionKind
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Access, Actor, Reply
from gateway.store import (
    braked,
    chunks,
    codec,
    deleted,
    followups,
    journal,
    parties,
    questions,
    records,
    rewriting,
)
from gateway.store import decisions as kept
from gateway.store.decisions import Filter, Verdict


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice, and what it needs: `start` (and `end`) to reschedule, `to` to assign again,
    `address` to correct one.
    """

    choice: str
    comment: str = ""
    start: str = ""
    end: str = ""
    to: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    """A decision that is being made."""

    desk: Desk
    decision: Decision
    chosen: Chosen
    judge: review.Judge

    @property
    def follow_up(self) -> str:
        assert self.decision.cause.follow_up is not None
        return self.decision.cause.follow_up

    @property
    def participant(self) -> int:
        assert self.decision.cause.participant is not None
        return self.decision.cause.participant

    @property
    def bench(self) -> review.Bench:
        desk = self.desk
        return review.Bench(desk.settings, self.judge, desk.actor.by, desk.now)

    @property
    def messages(self) -> list[int]:
        """All that wait of who is asked about."""
        return questions.of_speaker(self.desk.connection, self.decision.cause)

    def need(self, field: str) -> str:
        """What the choice cannot do without."""
        said: str = getattr(self.chosen, field)
        if not said:
            raise errors.wrong(field, marked("is needed to %(choice)s"), choice=self.chosen.choice)
        return said


def mine(desk: Desk, selection: Filter, limit: int, before: int | None = None) -> list[Decision]:
    """The open decisions that this actor sees, newest first. `before`: only those of a lower
    number.
    """
    scope = _scope(desk.actor, selection)
    return kept.page(desk.connection, scope, limit, before) if scope is not None else []


def count(desk: Desk) -> int:
    """How many wait for this actor."""
    scope = _scope(desk.actor, Filter())
    return kept.count(desk.connection, scope) if scope is not None else 0


def _scope(actor: Actor, selection: Filter) -> Filter | None:
    """None: nothing ever waits for them."""
    if actor.is_whole_crm:
        return replace(selection, associate=None, administrators=False)
    is_admin = actor.access is Access.ADMIN
    if actor.access is Access.READ or not (actor.associate or is_admin):
        return None
    return replace(selection, associate=actor.associate, administrators=is_admin)


def get(desk: Desk, number: int) -> Decision:
    """Raises `NotFound` for one that is not there, or not for this actor."""
    return _seen(desk, kept.get(desk.connection, number), number)


def shown(desk: Desk, listed: Sequence[Decision]) -> list[shapes.Json]:
    """As API, events and webhooks show them."""
    return [
        shapes.decision(replace(kept.view(decision), detail=detail(desk, decision)))
        for decision in listed
    ]


def detail(desk: Desk, decision: Decision) -> Mapping[str, Any]:
    """What it says: of the brake how much it holds now, of a private follow-up that nobody owns
    nothing to an administrator.
    """
    if decision.kind is DecisionKind.BRAKE and decision.closed_at is None:
        summary = braked.summary(desk.connection)
        if summary is None:
            return {}
        since = codec.moment(summary.since) or None
        return {"letters": summary.letters, "follow_ups": summary.follow_ups, "since": since}
    if desk.actor.access is Access.ADMIN and decision.cause.follow_up is not None:
        concerned = parties.of(desk.connection, decision.cause.follow_up)
        is_private = concerned is not None and concerned.private
        if concerned and is_private and not concerned.concerns(desk.actor.associate):
            return {}
    return kept.said(decision)


def decide(desk: Desk, number: int, chosen: Chosen, judge: review.Judge) -> Decision:
    """Close a decision with a choice, and do what it says.

    Raises `NotFound` as `get`; `InputError` for a choice of another kind, or one that lacks what it
    needs; `Refused` where it is closed already, or where what it says cannot be done.
    """
    asked = get(desk, number)
    key = asked.cause.follow_up
    if key is not None:
        desk.watch(key, _settled(desk, asked, chosen))  # before it is closed
        followups.lock(desk.connection, key)
    decision = _seen(desk, kept.get(desk.connection, number, lock=True), number)
    if decision.closed_at is not None:
        raise _closed(decision, decision.closed_at)
    if chosen.choice not in decision.choices:
        words = ", ".join(decision.choices)
        raise errors.wrong(
            "choice", marked("is none of this decision's: there are %(words)s"), words=words
        )
    choice = Choice(chosen.choice)
    # Closed before it is done, so that what does it finds nothing to close by itself.
    verdict = Verdict(desk.actor.by, choice, decision.cause.about, chosen.comment)
    kept.close(desk.connection, [decision], desk.now, verdict)
    DOES[decision.kind, choice](_Case(desk, decision, chosen, judge))
    if key is not None:
        desk.touch(key)
    return get(desk, number)


def _settled(desk: Desk, decision: Decision, chosen: Chosen) -> list[int]:
    """The messages that a choice settles and taking it back lets wait again."""
    if decision.kind is not DecisionKind.PARTY_CRASHER or chosen.choice != Choice.ADD:
        return []
    return questions.of_speaker(desk.connection, decision.cause)


def _seen(desk: Desk, decision: Decision | None, number: int) -> Decision:
    if decision is None or not decisions.visible(
        desk.actor, decision.kind, decision.cause.associate
    ):
        raise NotFound(marked("there is no decision %(number)s"), number=number)
    return decision


def _closed(decision: Decision, at: datetime) -> Refused:
    time = codec.moment(at.replace(microsecond=0))
    if not decision.choice:
        words = marked("it closed by itself at %(time)s: nothing waits any more")
        return Refused(words, time=time)
    words = marked("%(by)s decided it at %(time)s: %(choice)s")
    return Refused(words, by=decision.closed_by, time=time, choice=decision.choice)


# --- what each choice does ---


def _move(case: _Case) -> None:
    desk, number = case.desk, case.decision.cause.proposal
    assert number is not None
    desk.edit(case.follow_up)
    proposals.accept(desk.connection, number, desk.settings, desk.now, desk.actor.by)
    desk.changed(case.follow_up)


def _keep(case: _Case) -> None:
    desk, number = case.desk, case.decision.cause.proposal
    assert number is not None
    desk.require(Verb.EDIT, case.follow_up)
    _, letters = proposals.turn_down(
        desk.connection, number, desk.settings, desk.now, desk.actor.by
    )
    desk.queue(letters)


def _same(case: _Case) -> None:
    case.desk.require(Verb.EDIT, case.follow_up)
    review.same_person(case.desk.connection, case.messages, case.bench)


def _set_aside(case: _Case) -> None:
    case.desk.require(Verb.EDIT, case.follow_up)
    messages, comment = case.messages, case.chosen.comment
    review.set_aside(case.desk.connection, messages, comment, case.bench)


def _add(case: _Case) -> None:
    case.desk.edit(case.follow_up)
    review.admit(case.desk.connection, case.messages, case.bench)
    case.desk.changed(case.follow_up)


def _record(case: _Case) -> None:
    detail, instance = case.decision.cause.detail, case.decision.cause.instance
    words = detail["text"][: answering.LONGEST_COMMENT]
    said = Said(Reply(detail["suggestion"]), words, instance)
    answering.record(case.desk, case.participant, said)


def _read(case: _Case) -> None:
    case.desk.require(Verb.EDIT, case.follow_up)


def _acknowledge(case: _Case) -> None:
    desk, cause = case.desk, case.decision.cause
    desk.require(Verb.EDIT, case.follow_up)
    entry = journal.Entry("acknowledged", cause.follow_up, cause.participant, cause.instance)
    desk.note(entry)


def _reschedule(case: _Case) -> None:
    instance = codec.moment(case.decision.cause.instance)
    when = When(case.need("start"), case.chosen.end, instance)
    moving.reschedule(case.desk, case.follow_up, when)


def _assign(case: _Case) -> None:
    assigning.assign(case.desk, case.follow_up, case.need("to"))


def _keep_it(case: _Case) -> None:
    """Who assigned it does it."""
    assigning.assign(case.desk, case.follow_up, case.decision.cause.associate)


def _correct(case: _Case) -> None:
    inviting.readdress(case.desk, case.participant, case.need("address"))


def _remove(case: _Case) -> None:
    inviting.remove(case.desk, case.participant)


def _release(case: _Case) -> None:
    desk = case.desk
    queue.end_brake(desk.connection, queue.Verb.RELEASE, desk.now, desk.actor.by)


def _put_back(case: _Case) -> None:
    """The record says again what was told of it, and what was deleted stands again, so that nothing
    is owed. What cannot be put back goes on being held.
    """
    desk = case.desk
    context = Context.read(desk.connection, desk.settings, desk.now)
    braked_ones = rewriting.braked_follow_ups(desk.connection)
    keys = [key for key in braked_ones if _stands_again(desk, key, context)]
    for part in chunks.parts(keys, planning.BATCH):
        batch = planning.loaded(desk.connection, part)
        for key in part:
            one_follow_up.attempt(desk.connection, key, context, batch.get(key))
    deciding.follow_brake(desk.connection, desk.now)


def _stands_again(desk: Desk, key: str, context: Context) -> bool:
    """Whether a follow-up is there, and says again what was told of it."""
    followups.lock(desk.connection, key)
    was_gone = deleted.bring_back(desk.connection, key)
    if not records.exists(desk.connection, key):
        return False
    rewriting.write_back(desk.connection, key, context.site, anew=was_gone)
    desk.note(journal.Entry("reinstated" if was_gone else "changed", key))
    return True


def _drop(case: _Case) -> None:
    desk = case.desk
    queue.end_brake(desk.connection, queue.Verb.DROP, desk.now, desk.actor.by)


def _on(case: _Case) -> None:
    webhooks.change(case.desk, case.decision.cause.detail["webhook"], active=True)


def _off(case: _Case) -> None:
    webhooks.change(case.desk, case.decision.cause.detail["webhook"], active=False)


DOES: Mapping[tuple[DecisionKind, Choice], Callable[[_Case], None]] = {
    (DecisionKind.PROPOSAL, Choice.MOVE): _move,
    (DecisionKind.PROPOSAL, Choice.KEEP): _keep,
    (DecisionKind.SAME_PERSON, Choice.SAME): _same,
    (DecisionKind.SAME_PERSON, Choice.OTHER): _set_aside,
    (DecisionKind.PARTY_CRASHER, Choice.ADD): _add,
    (DecisionKind.PARTY_CRASHER, Choice.REFUSE): _set_aside,
    (DecisionKind.WORDS, Choice.RECORD): _record,
    (DecisionKind.WORDS, Choice.READ): _read,
    (DecisionKind.DECLINED, Choice.ACKNOWLEDGE): _acknowledge,
    (DecisionKind.DECLINED, Choice.RESCHEDULE): _reschedule,
    (DecisionKind.ASSIGNMENT_DECLINED, Choice.ASSIGN): _assign,
    (DecisionKind.ASSIGNMENT_DECLINED, Choice.KEEP): _keep_it,
    (DecisionKind.UNDELIVERABLE, Choice.CORRECT): _correct,
    (DecisionKind.UNDELIVERABLE, Choice.REMOVE): _remove,
    (DecisionKind.BRAKE, Choice.RELEASE): _release,
    (DecisionKind.BRAKE, Choice.PUT_BACK): _put_back,
    (DecisionKind.BRAKE, Choice.DROP): _drop,
    (DecisionKind.WEBHOOK, Choice.ON): _on,
    (DecisionKind.WEBHOOK, Choice.OFF): _off,
}
