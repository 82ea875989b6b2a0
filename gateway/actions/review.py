"""What waits for a person: looking at it, judging it anew, setting it aside, and learning that an
address is the same person.

A message is judged by the rules of today (itip.md §3-§7) as of the moment when it arrived: after a
fix, a setting or a learned address they may say something else. Trust is overridden for one message
at a time and by name, never for many. Each verb is one transaction; done twice it changes nothing
the second time. What was said before stays in the message's history.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gateway import accounts
from gateway import settings as configuration
from gateway.actions import answers, case, deciding, proposals
from gateway.actions.case import Case
from gateway.answer import facts, reply
from gateway.errors import NotFound, Refused, StoreError
from gateway.followups import decisions
from gateway.followups.decisions import Choice
from gateway.i18n import Phrase, marked
from gateway.mail import address, automatic, parse, syntax
from gateway.model import REVIEW, Channel, Outcome, ProposalState
from gateway.store import codec, followups, inbox, journal, known, participants, review
from gateway.store import proposals as kept_proposals
from gateway.store.decisions import Verdict
from gateway.store.engine import Connection, Store
from gateway.store.known import Holder
from gateway.store.proposals import Proposal
from gateway.store.review import Kept

APPLY, REJECT, LEARN = "apply", "reject", "learn"
EVENTS = {APPLY: "review_applied", REJECT: "review_rejected"}
LEARNED, FORGOTTEN = "address_learned", "address_forgotten"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A message judged anew: what its row of the inbox would say, what it does to whom,
    and the rules in order.
    """

    record: inbox.Record
    answers: tuple[facts.Answer, ...]
    rules: tuple[facts.Rule, ...]


Judge = Callable[[Connection, Kept, int | None], Ruling]
"""`inbound.process.Processor.again`, which locks the follow-ups that it turns out to be about. The
number: of a participant whose answer it is by a person's word.
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Who decides on messages, when, and by which rules.
    `by`: their name, as the journal is to keep it.
    """

    settings: configuration.Settings
    judge: Judge
    by: str
    now: datetime

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """The addresses of every account: nobody's but ours."""
        return accounts.mailboxes(self.settings)


@dataclass(frozen=True, slots=True)
class Desk:
    """The same, and the store in which they do."""

    store: Store
    settings: configuration.Settings
    judge: Judge
    by: str
    now: datetime

    @property
    def bench(self) -> Bench:
        return Bench(self.settings, self.judge, self.by, self.now)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a verb made of a message. `done`: it waits no longer. `consequences`: its answers as
    they were carried out.

    `repeated`: somebody had done the same before, and nothing changed now.
    """

    number: int
    before: Outcome
    after: Outcome
    reason: str
    done: bool
    consequences: tuple[facts.Consequence, ...] = ()
    rules: tuple[facts.Rule, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Another time that an invitee asked for, and that the owner has not decided on.
    `participant`: the row's key.
    """

    proposal: Proposal
    participant: str


def waiting(store: Store, follow_up: str | None = None) -> list[Case]:
    """Every message that waits, oldest first."""
    with store.read() as connection:
        return case.of(connection, review.waiting(connection, follow_up=follow_up))


def requests(store: Store, follow_up: str | None = None) -> list[Request]:
    """Every open proposal, oldest first."""
    with store.read() as connection:
        open_proposals = kept_proposals.open(connection, follow_up)
        numbers = sorted({proposal.participant for proposal in open_proposals})
        members = followups.members(connection, ids=numbers)
    keys = {member.id: member.key for member in members}
    return [
        Request(proposal, keys.get(proposal.participant, proposal.address))
        for proposal in open_proposals
    ]


def show(desk: Desk, number: int) -> Case:
    """One message, with its bytes while it waits."""
    with desk.store.read() as connection:
        return look(connection, number, desk.bench)


def look(connection: Connection, number: int, bench: Bench) -> Case:
    """`show` in the caller's view."""
    message = _get(connection, number)
    holder = (
        known.holder(connection, message.participant) if message.participant is not None else None
    )
    [shown] = case.of(connection, [message])
    if holder is None:
        return shown
    return replace(shown, unlearnable=_unlearnable(connection, holder, message.from_address, bench))


def foretell(desk: Desk, number: int) -> Settled | None:
    """What `apply` would make of a message that waits, None where it does not; writes nothing."""
    with (
        desk.store.write() as connection,
        connection.begin_nested() as trial,
    ):  # somebody may be invited on trial
        message = _get(connection, number)
        if not message.waits or message.outcome is None:
            return None
        ruling = desk.judge(connection, message, None)
        foretold = reply.foretell(ruling.answers)
        trial.rollback()
    after = ruling.record.outcome or message.outcome
    return Settled(
        number,
        message.outcome,
        after,
        ruling.record.reason,
        ruling.record.raw is None,
        foretold,
        ruling.rules,
    )


def apply(desk: Desk, number: int, *, named: str = "", add: bool = False) -> Settled:
    """Judge a message anew and carry out what the rules say.

    `named`: the participant (key or address) whose answer it is, whatever trust says. `add`: it is
    nobody's who was invited; invite the sender, and take their answer.
    """
    with desk.store.write() as connection:
        return judge_again(connection, number, desk.bench, named=named, add=add)


def judge_again(
    connection: Connection, number: int, bench: Bench, *, named: str = "", add: bool = False
) -> Settled:
    """`apply` in the caller's transaction."""
    message = _get(connection, number, lock=True)
    if not message.waits:
        return _settled_before(message, APPLY)
    who, how = None, APPLY
    if add:
        who, how = _added(connection, message, bench), f"{APPLY} --add"
    elif named:
        who, how = _participant(connection, message.follow_up, named), f"{APPLY} --as {named}"
    return _apply(connection, message, who, how, bench)


def apply_all(
    desk: Desk, *, follow_up: str | None = None, outcome: Outcome | None = None, reason: str = ""
) -> Iterator[Settled | tuple[Kept, Exception]]:
    """Judge everything anew that waits and matches, oldest first, each in a transaction of its own;
    never overrides trust.

    A message on which this program fails is handed back with the error and stays as it was; the
    next ones go on.
    """
    with desk.store.read() as connection:
        matching = review.waiting(connection, follow_up=follow_up, outcome=outcome, reason=reason)
    for message in matching:
        try:
            yield apply(desk, message.number)
        except StoreError:
            raise  # it would be so for every other message, too
        except Exception as error:
            yield message, error


def reject(desk: Desk, number: int, *, reason: str = "") -> Settled:
    """Set a message aside: it changes nothing, and waits no longer. Not the same person, then: a
    party crasher (itip.md §5).
    """
    with desk.store.write() as connection:
        return turn_away(connection, number, desk.bench, reason)


def turn_away(connection: Connection, number: int, bench: Bench, reason: str = "") -> Settled:
    """`reject` in the caller's transaction."""
    message = _get(connection, number, lock=True)
    if not message.waits:
        return _settled_before(message, REJECT)
    return _reject(connection, message, reason, bench)


def same_person(connection: Connection, numbers: Sequence[int], bench: Bench) -> None:
    """Who wrote these messages is the invitee, by a person's word: their address is learned, and
    what they said counts, in its order, whatever trust says.
    """
    for message in _waiting(connection, numbers):
        holder = known.holder(connection, message.participant) if message.participant else None
        if holder is None or not message.from_address:
            raise Refused(
                marked("message %(number)s names nobody who could be learned"),
                number=message.number,
            )
        entry = journal.Entry(
            LEARNED, message.follow_up, message.participant, message=message.number
        )
        _learn(connection, holder, message.from_address, entry, bench)
        _apply(connection, message, message.participant, LEARN, bench)


def admit(connection: Connection, numbers: Sequence[int], bench: Bench) -> None:
    """Who wrote these messages was not invited, and takes part from now on, with what they said."""
    who: int | None = None
    for message in _waiting(connection, numbers):
        who = who or _added(connection, message, bench)
        _apply(connection, message, who, f"{APPLY} --add", bench)


def set_aside(connection: Connection, numbers: Sequence[int], reason: str, bench: Bench) -> None:
    """`reject` for each of these messages, in the caller's transaction."""
    for message in _waiting(connection, numbers):
        _reject(connection, message, reason, bench)


def decide(desk: Desk, number: int, *, accept: bool) -> tuple[Proposal, bool]:
    """Accept a proposal, which moves the follow-up, or decline it, which tells the invitee. With
    whether anything changed.

    Raises `Refused` where the other was decided before, or where it can no longer be accepted.
    """
    state = ProposalState.ACCEPTED if accept else ProposalState.DECLINED
    with desk.store.write() as connection:
        proposal = kept_proposals.get(connection, number)
        if proposal is not None and proposal.state is state:
            return proposal, False
        verb = proposals.accept if accept else proposals.decline
        return verb(connection, number, desk.settings, desk.now, desk.by), True


def learn_from(desk: Desk, number: int, *, named: str = "") -> Settled:
    """The writer of this message is the invitee: learn their From address, then apply the message
    by the normal rules.

    `named`: the participant, where the message ties to none. Raises `Refused` where the address may
    not be learned.
    """
    with desk.store.write() as connection:
        return teach(connection, number, desk.bench, named=named)


def teach(connection: Connection, number: int, bench: Bench, *, named: str = "") -> Settled:
    """`learn_from` in the caller's transaction."""
    message = _get(connection, number, lock=True)
    if not message.waits:
        return _settled_before(message, LEARN)
    if not message.from_address:
        raise Refused(
            marked("message %(number)s names no sender that could be learned"), number=number
        )
    who = _participant(connection, message.follow_up, named) if named else message.participant
    holder = known.holder(connection, who) if who is not None else None
    if holder is None:
        raise Refused(
            marked(
                "message %(number)s ties to no participant; say whose it is: review learn"
                " %(number)s PARTICIPANT"
            ),
            number=number,
        )
    entry = journal.Entry(LEARNED, message.follow_up, who, message=number)
    _learn(connection, holder, message.from_address, entry, bench)
    return _apply(connection, message, None, LEARN, bench)


def learn(desk: Desk, value: str, participant: str) -> bool:
    """Record an address as the same person. False where it was known.
    Raises `Refused` where it may not be learned.
    """
    with desk.store.write() as connection:
        return remember(connection, value, participant, desk.bench)


def remember(connection: Connection, value: str, participant: str, bench: Bench) -> bool:
    """`learn` in the caller's transaction."""
    holder, follow_up, number = _holder(connection, participant)
    entry = journal.Entry(LEARNED, follow_up, number)
    return _learn(connection, holder, value, entry, bench)


def forget(desk: Desk, value: str, participant: str) -> bool:
    """Revoke a learned address: from now on it is somebody unknown again.
    False where it was not a learned one.
    """
    with desk.store.write() as connection:
        return revoke(connection, value, participant, desk.bench)


def revoke(connection: Connection, value: str, participant: str, bench: Bench) -> bool:
    """`forget` in the caller's transaction."""
    holder, follow_up, number = _holder(connection, participant)
    for key in known.follow_ups_of(connection, holder):
        followups.lock(connection, key)
    if not known.forget(connection, holder, value, by=bench.by, at=bench.now):
        return False
    entry = journal.Entry(
        FORGOTTEN,
        follow_up,
        number,
        by=bench.by,
        channel=Channel.HAND,
        detail=f"{value} is no longer known as {participant}",
    )
    journal.write(connection, [entry], bench.now)
    return True


def shrink(connection: Connection, settings: configuration.Settings, now: datetime) -> int:
    """Keep what waits within its bounds (`inbound.review_megabytes`). Returns of how many only the
    header is left.
    """
    most = settings.inbound.review_megabytes * 1_000_000
    patience = timedelta(days=settings.retention.review_days)
    return review.shrink(connection, most, now - patience)


def _waiting(connection: Connection, numbers: Sequence[int]) -> Iterator[Kept]:
    """Those that wait still, oldest first."""
    for number in sorted(numbers):
        message = _get(connection, number, lock=True)
        if message.waits:
            yield message


def _reject(connection: Connection, message: Kept, reason: str, bench: Bench) -> Settled:
    assert message.outcome is not None
    after = Outcome.PARTY_CRASHER if _is_stranger(connection, message) else Outcome.IGNORED
    why = f"rejected by {bench.by}" + (f": {reason}" if reason else "")
    detail = {**message.detail, **_history(message, REJECT, bench)}
    record = replace(
        _record(message), outcome=after, reason=why, detail=detail, destination="ignored"
    )
    inbox.rewrite(connection, message.number, record)
    _journal(connection, message, REJECT, after, reason, bench)
    choice = Choice.REFUSE if message.outcome is Outcome.PARTY_CRASHER else Choice.OTHER
    _follow(connection, message, _verdict(message, choice, bench), bench)
    return Settled(message.number, message.outcome, after, why, done=True)


def _apply(
    connection: Connection, message: Kept, who: int | None, how: str, bench: Bench
) -> Settled:
    """By the rules of today, or by a person's word: whose answer it is (`who`), or that they may
    speak for the invitee (`how`).
    """
    assert message.outcome is not None
    added = Choice.ADD if message.outcome is Outcome.PARTY_CRASHER else Choice.SAME
    verdict = _verdict(message, added, bench) if who is not None or how == LEARN else None
    ruling = bench.judge(connection, message, who)
    after = ruling.record.outcome
    assert after is not None
    record = replace(
        ruling.record, detail={**ruling.record.detail, **_history(message, how, bench)}
    )
    done = record.raw is None
    settled = [
        answer
        for answer in ruling.answers
        if done or answer.conclusion.outcome not in (*REVIEW, Outcome.DUPLICATE)
    ]
    if (
        done or settled or (after, record.reason) != (message.outcome, message.reason)
    ):  # it may wait on for another reason, or another part
        inbox.rewrite(connection, message.number, record)
    consequences = reply.foretell(settled)
    effects = [answers.Effects(message.number, consequences)]
    answers.carry_out(connection, effects, bench.settings, bench.now, verdict)
    _follow(connection, message, verdict, bench)
    if done or settled:
        named = (
            replace(message, follow_up=record.follow_up, participant=record.participant)
            if done
            else message
        )
        _journal(connection, named, APPLY, after, how, bench)
    return Settled(
        message.number, message.outcome, after, record.reason, done, consequences, ruling.rules
    )


def _verdict(message: Kept, choice: Choice, bench: Bench) -> Verdict:
    return Verdict(bench.by, choice, decisions.of_message(message.number))


def _follow(connection: Connection, message: Kept, verdict: Verdict | None, bench: Bench) -> None:
    """A message may wait no longer, or for another reason."""
    keys = [message.follow_up] if message.follow_up else []
    rows = [message.participant] if message.participant else []
    deciding.follow(connection, keys, bench.now, rows, verdict)


def _added(connection: Connection, waiting_message: Kept, bench: Bench) -> int:
    """The number of the sender who was not invited, and is a participant now."""
    ruling = bench.judge(connection, waiting_message, None)
    crasher = next(
        (
            answer
            for answer in ruling.answers
            if answer.conclusion.outcome in (Outcome.PARTY_CRASHER, Outcome.HELD)
            and answer.follow_up
        ),
        None,
    )
    if crasher is None:
        raise Refused(
            marked("message %(number)s is not of somebody uninvited: %(outcome)s (%(reason)s)"),
            number=waiting_message.number,
            outcome=ruling.record.outcome,
            reason=ruling.record.reason,
        )
    followups.lock(connection, crasher.follow_up)
    rows = followups.members(connection, crasher.follow_up) if crasher.row is not None else []
    is_there = any(address.among(crasher.address, row.addresses) for row in rows if not row.removed)
    if is_there:
        reason = marked("he is a participant already; see --as")
    elif address.is_ours(crasher.address, bench.mailboxes):
        reason = marked("it is a mailbox of this gateway")
    else:
        reason = syntax.problem(crasher.address)
    if reason:
        raise Refused(
            marked("%(address)s cannot be added to %(follow_up)s: %(reason)s"),
            address=crasher.address or "he",
            follow_up=crasher.follow_up,
            reason=reason,
        )
    assert waiting_message.raw is not None
    message = parse.read(waiting_message.raw)
    name = message.from_name if address.among(crasher.address, message.from_addresses) else ""
    number = participants.join(connection, crasher.follow_up, crasher.address, name)
    journal.write(
        connection,
        [
            journal.Entry(
                "invited",
                crasher.follow_up,
                number,
                by=bench.by,
                channel=Channel.HAND,
                message=waiting_message.number,
                detail=f"{crasher.address} answered without having been invited",
            )
        ],
        bench.now,
    )
    return number


def _is_stranger(connection: Connection, message: Kept) -> bool:
    """Whether the sender was not invited: neither the invitee as they are known nor another
    participant.
    """
    if (
        message.outcome is not Outcome.HELD
        or message.follow_up is None
        or message.participant is None
    ):
        return message.outcome is Outcome.PARTY_CRASHER
    [shown] = case.of(connection, [message])
    return (
        shown.speaker != ""
        and participants.number_of(connection, message.follow_up, shown.speaker) is None
    )


def _learn(
    connection: Connection, holder: Holder, value: str, entry: journal.Entry, bench: Bench
) -> bool:
    """`entry`: what the journal is to say of it, except the address and who taught it."""
    for key in known.follow_ups_of(connection, holder):
        followups.lock(connection, key)
    if reason := _unlearnable(connection, holder, value, bench):
        raise Refused(marked("%(value)s cannot be learned: %(reason)s"), value=value, reason=reason)
    origin = known.Origin(known.REVIEW, bench.by, entry.message, bench.now)
    if address.among(value, known.own(connection, holder)) or not known.learn(
        connection, holder, value, origin
    ):
        return False
    journal.write(
        connection,
        [replace(entry, by=bench.by, channel=Channel.HAND, detail=f"{value} is the same person")],
        bench.now,
    )
    return True


def _unlearnable(connection: Connection, holder: Holder, value: str, bench: Bench) -> str:
    """Why an address must not speak for somebody: it already speaks for somebody else, or for
    nobody in particular.
    """
    if reason := syntax.problem(value):
        return reason
    if address.is_ours(value, bench.mailboxes):
        return marked("it is a mailbox of this gateway")
    if address.among(value, known.staff(connection)):
        return marked("it is the address of an associate")
    if automatic.is_robot(value):
        return marked("it is a robot, which sends for many people")
    clash = next(
        (
            key
            for key, theirs in known.companions(connection, holder)
            if address.same(value, theirs)
        ),
        None,
    )
    if clash is None:
        return ""
    words = marked("it is the address of another participant of %(follow_up)s")
    return Phrase(words, follow_up=clash)


def _holder(connection: Connection, name: str) -> tuple[Holder, str | None, int | None]:
    """Who is meant by PARTICIPANT: a person's key, or a row as FOLLOW_UP/KEY. With the follow-up
    and row, where one was named.
    """
    if known.person_exists(connection, name):
        return Holder(person=name), None, None
    follow_up, _, key = name.partition("/")
    number = participants.number_of(connection, follow_up, key) if key else None
    holder = known.holder(connection, number) if number is not None else None
    if holder is None:
        raise NotFound(
            marked(
                "there is neither a person %(name)r nor a participant of that name (as"
                " FOLLOW_UP/KEY)"
            ),
            name=name,
        )
    return holder, follow_up, number


def _participant(connection: Connection, follow_up: str | None, name: str) -> int:
    """A participant by key or address in the message's follow-up, or as FOLLOW_UP/KEY."""
    number = participants.number_of(connection, follow_up, name) if follow_up is not None else None
    if number is None:
        key, _, rest = name.partition("/")
        number = participants.number_of(connection, key, rest) if rest else None
    if number is None:
        where = (
            f"in {follow_up}"
            if follow_up is not None
            else "of that name; name him as FOLLOW_UP/KEY"
        )
        raise NotFound(marked("there is no participant %(name)r %(where)s"), name=name, where=where)
    return number


def _get(connection: Connection, number: int, *, lock: bool = False) -> Kept:
    message = review.get(connection, number, lock=lock)
    if message is None:
        raise NotFound(marked("there is no message %(number)s"), number=number)
    return message


def _settled_before(message: Kept, verb: str) -> Settled:
    """The same verb again is no mistake; another one comes too late."""
    last = next(reversed(message.detail.get("history", [])), None)
    outcome = message.outcome.value if message.outcome is not None else "not dealt with yet"
    if last is None or message.outcome is None or last["verb"].split()[0] != verb:
        raise Refused(
            marked("message %(number)s does not wait: %(outcome)s (%(reason)s)"),
            number=message.number,
            outcome=outcome,
            reason=message.reason,
        )
    return Settled(
        message.number,
        Outcome(last["outcome"]),
        message.outcome,
        message.reason,
        done=True,
        repeated=True,
    )


def _record(message: Kept) -> inbox.Record:
    return inbox.Record(
        message.digest,
        message.size,
        message.arrived,
        message.outcome,
        message.reason,
        message_id=message.message_id,
        object=message.object,
        from_address=message.from_address,
        subject=message.subject,
        follow_up=message.follow_up,
        participant=message.participant,
        instance=codec.parse_moment(message.instance),
        detail=message.detail,
    )


def _history(message: Kept, verb: str, bench: Bench) -> dict[str, Any]:
    """The judgements that stood before, oldest first, each with who asked for another and how."""
    assert message.outcome is not None
    step = {
        "outcome": message.outcome.value,
        "reason": message.reason,
        "verb": verb,
        "by": bench.by,
        "at": codec.moment(bench.now),
    }
    return {"history": [*message.detail.get("history", []), step]}


def _journal(
    connection: Connection, message: Kept, verb: str, after: Outcome, detail: str, bench: Bench
) -> None:
    assert message.outcome is not None
    words = f"{message.outcome.value} → {after.value}" + (f": {detail}" if detail else "")
    journal.write(
        connection,
        [
            journal.Entry(
                EVENTS[verb],
                message.follow_up,
                message.participant,
                codec.parse_moment(message.instance),
                by=bench.by,
                channel=Channel.HAND,
                message=message.number,
                detail=words,
            )
        ],
        bench.now,
    )
