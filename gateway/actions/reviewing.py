"""What waits for a person, in an administrator's hands over HTTP: `review`, each verb in the one
transaction of the desk, so that it can be tried (`dry_run`) and asked twice.

Security: what is about a follow-up that is private to others is for its owner to decide; an
administrator sees when it came and what it is about, and no more (docs/api.md, "Who may"). Trust is
overridden for one message at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway import accounts
from gateway.actions import case as cases
from gateway.actions import proposals, review, review_rows
from gateway.actions.desk import Desk
from gateway.actions.review import Bench, Judge, Request, Settled
from gateway.actions.review_rows import Row
from gateway.errors import Forbidden, NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Outcome, ProposalState
from gateway.store import engine, followups, known, marks, visible
from gateway.store import proposals as kept_proposals
from gateway.store import review as messages
from gateway.store.proposals import Proposal
from gateway.store.review import Kept

MOST = 200
"""So many messages are judged anew by one command; the next ones by the next."""
PRIVATE = marked("it is about what is private; its owner decides")


@dataclass(frozen=True, slots=True)
class Matching:
    """Which messages: all that fit everything that is said. `reason`: words that stand in it."""

    follow_up: str | None = None
    outcome: Outcome | None = None
    reason: str = ""


def waiting(
    desk: Desk, after: tuple[datetime, int] | None, limit: int, follow_up: str | None = None
) -> list[Kept]:
    """So many messages that wait, oldest first, beyond the arrival and number of `after`."""
    permission.require(desk.actor, Verb.OPERATE)
    return messages.page(desk.connection, after, limit, follow_up)


def shown(desk: Desk, listed: Sequence[Kept]) -> list[Row]:
    """Each in a row."""
    seen = seen_by(desk, [entry.follow_up for entry in listed])
    rows = [review_rows.message(case) for case in cases.of(desk.connection, listed)]
    return [_told(desk, row, seen) for row in rows]


def message(desk: Desk, number: int, judge: Judge, now: Settled | None) -> Row:
    """All of one message. `now`: what applying it would come to (`review.foretell`)."""
    permission.require(desk.actor, Verb.OPERATE)
    case = review.look(desk.connection, number, _bench(desk, judge))
    row = review_rows.whole(case, now)
    steps = list[dict[str, object]]()
    if case.kept.waits:
        settles = now is not None and now.done
        for step in cases.steps(case, settles=settles):
            steps.append({"verb": step.verb.value, "participant": step.participant})
    row["steps"] = steps
    return _told(desk, row, seen_by(desk, [case.kept.follow_up]))


def requests(desk: Desk, after: int, limit: int, follow_up: str | None = None) -> list[Row]:
    """So many requests for another time that nobody decided on, beyond number `after`."""
    permission.require(desk.actor, Verb.OPERATE)
    open_proposals = kept_proposals.open(desk.connection, follow_up, after, limit)
    rows = sorted({proposal.participant for proposal in open_proposals})
    members = {member.id: member.key for member in followups.members(desk.connection, ids=rows)}
    seen = seen_by(desk, [proposal.follow_up for proposal in open_proposals])
    listed = [
        review_rows.request(Request(proposal, members.get(proposal.participant, proposal.address)))
        for proposal in open_proposals
    ]
    return [_told(desk, row, seen) for row in listed]


def apply(desk: Desk, number: int, judge: Judge, *, named: str = "", add: bool = False) -> Settled:
    """`review.apply` of one message."""
    _require(desk, number)
    began = marks.newest_number(desk.connection)
    bench = _bench(desk, judge)
    settled = review.judge_again(desk.connection, number, bench, named=named, add=add)
    desk.touch_since(began)
    return settled


def apply_all(desk: Desk, matching: Matching, judge: Judge) -> tuple[list[Row], int]:
    """`review.apply_all` of the oldest `MOST`; one on which this program fails stays as it was.
    Returns what became of each, and how many more there are.
    """
    permission.require(desk.actor, Verb.OPERATE)
    began = marks.newest_number(desk.connection)
    matching_messages = messages.waiting(
        desk.connection,
        follow_up=matching.follow_up,
        outcome=matching.outcome,
        reason=matching.reason,
    )
    seen = seen_by(desk, [entry.follow_up for entry in matching_messages])
    mine = [entry for entry in matching_messages if is_seen(entry.follow_up, seen)]
    rows = [_again(desk, entry, judge) for entry in mine[:MOST]]
    desk.touch_since(began)
    return rows, len(mine[MOST:])


def _again(desk: Desk, entry: Kept, judge: Judge) -> Row:
    try:
        with desk.connection.begin_nested():
            bench = _bench(desk, judge)
            return review_rows.settled(review.judge_again(desk.connection, entry.number, bench))
    except Exception as error:
        if engine.outage(error):
            raise  # it would be so for every other message, too
        return review_rows.failed(entry, error)


def reject(desk: Desk, number: int, judge: Judge, reason: str = "") -> Settled:
    """`review.reject` of one message."""
    _require(desk, number)
    return review.turn_away(desk.connection, number, _bench(desk, judge), reason)


def learn_from(desk: Desk, number: int, judge: Judge, named: str = "") -> Settled:
    """`review.learn_from` of one message."""
    _require(desk, number)
    began = marks.newest_number(desk.connection)
    settled = review.teach(desk.connection, number, _bench(desk, judge), named=named)
    desk.touch_since(began)
    return settled


def decide(desk: Desk, number: int, *, accept: bool) -> tuple[Proposal, bool]:
    """`review.decide` of one request for another time. With whether that is news."""
    permission.require(desk.actor, Verb.OPERATE)
    proposal = kept_proposals.get(desk.connection, number)
    if proposal is None:
        raise NotFound(marked("there is no proposal %(number)s"), number=number)
    _require_seen(desk, proposal.follow_up)
    followups.lock(desk.connection, proposal.follow_up)
    state = ProposalState.ACCEPTED if accept else ProposalState.DECLINED
    if proposal.state is state:
        return proposal, False
    said = desk.connection, number, desk.settings, desk.now, desk.actor.by
    if accept:
        desk.touch(proposal.follow_up)
        return proposals.accept(*said), True
    settled, letters = proposals.turn_down(*said)
    desk.queue(letters)
    desk.noted.add(proposal.follow_up)
    return settled, True


def learned(desk: Desk, after: int, limit: int) -> list[known.Learned]:
    """So many learned addresses that count, beyond number `after`."""
    permission.require(desk.actor, Verb.OPERATE)
    return known.learned(desk.connection, after=after, limit=limit)


def learn(desk: Desk, value: str, participant: str, judge: Judge) -> bool:
    """`review.learn`."""
    permission.require(desk.actor, Verb.OPERATE)
    return review.remember(desk.connection, value, participant, _bench(desk, judge))


def forget(desk: Desk, value: str, participant: str, judge: Judge) -> bool:
    """`review.forget`."""
    permission.require(desk.actor, Verb.OPERATE)
    return review.revoke(desk.connection, value, participant, _bench(desk, judge))


def seen_by(desk: Desk, about: Sequence[str | None]) -> frozenset[str]:
    """Those of the follow-ups that messages are about that are not private to others."""
    return visible.keys(desk.connection, desk.actor, {key for key in about if key})


def is_seen(about: str | None, seen: Collection[str]) -> bool:
    """Whether more is told of a message than when it came and what it is `about`."""
    return about is None or about in seen


def _bench(desk: Desk, judge: Judge) -> Bench:
    return Bench(desk.settings, judge, desk.actor.by, desk.now)


def _require(desk: Desk, number: int) -> None:
    """Raises `Forbidden` for what is about something private, `NotFound` for no message."""
    permission.require(desk.actor, Verb.OPERATE)
    entry = messages.get(desk.connection, number)
    if entry is None:
        raise NotFound(marked("there is no message %(number)s"), number=number)
    _require_seen(desk, entry.follow_up)


def _require_seen(desk: Desk, key: str | None) -> None:
    if not is_seen(key, seen_by(desk, [key])):
        raise Forbidden(PRIVATE)


def _told(desk: Desk, row: Row, seen: Collection[str]) -> Row:
    """Without the tokens of our addresses, and without what is private."""
    shown = row if is_seen(row["follow_up"], seen) else review_rows.hidden(row)
    redacted: Row = cases.without_tokens(shown, accounts.mailboxes(desk.settings))
    return redacted
