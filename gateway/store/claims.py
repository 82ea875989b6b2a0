"""Letters in the hands of a gateway: claimed by it, settled by what the server said, given back
where it stopped.

Nothing is lost when a gateway dies: its claims are free again as soon as its lease is (leases.py),
and a repeat carries the same Message-ID. At claim the invitation counts as sent, because from then
on the letter may have left; when a server says that it did not take it, `settle` takes that back,
but not of a letter that may have arrived by an earlier try (`doubtful`).

A claim costs the same however many letters wait for one destination: where the oldest ones go to
destinations without room, the others are found from one domain to the next in an index. Statements
are built once.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.accounts import DEFAULT
from gateway.model import PLANNED, Delivery, LetterState, Method, Occasion
from gateway.store import doubts, invitations, leases, marks, reminders
from gateway.store.outbox import (
    OPEN,
    Attempt,
    Queued,
    Settlement,
    overlap,
    queued,
    stands,
    supersede,
)
from gateway.store.pace import Room
from gateway.store.schema_letters import attempt, invitation, outbox

DOMAINS = 1_000
"""How many destinations are looked at where the oldest letters go to some without room."""
NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
NOW = sa.bindparam("now", type_=outbox.c.due_at.type)


def _waits(letters: sa.FromClause) -> sa.ColumnElement[bool]:
    account = letters.c.account == sa.bindparam("account")
    return sa.and_(account, stands(letters, LetterState.WAITING))


def _is_blocked() -> sa.ColumnElement[bool]:
    """Whether an older letter goes first."""
    return sa.or_(_is_behind_own(), _is_behind_another())


def _is_open_before(letter: sa.FromClause, later: sa.FromClause) -> sa.ColumnElement[bool]:
    is_alike = (letter.c.method == Method.NONE) == (later.c.method == Method.NONE)
    return sa.and_(letter.c.id < later.c.id, stands(letter, *OPEN), is_alike)


def _is_behind_own() -> sa.ColumnElement[bool]:
    """Behind another letter of the same row."""
    older, first = outbox.alias("older"), outbox.alias("first")

    def ahead(letter: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
        return letter.c.participant == outbox.c.participant, _is_open_before(letter, outbox)

    # What is taken back at an old address goes first, for both may end in one calendar. Where that
    # has to wait, the new address does not wait for it (P20): its letter is the newer one by
    # SEQUENCE and DTSTAMP, whichever comes first.
    put_off = sa.exists().where(
        *ahead(first),
        first.c.invitation == older.c.invitation,
        first.c.id <= older.c.id,
        first.c.tries > 0,
    )
    is_first = sa.and_(overlap(older, outbox), ~put_off)
    return sa.exists().where(
        *ahead(older), sa.or_(older.c.invitation == outbox.c.invitation, is_first)
    )


def _is_behind_another() -> sa.ColumnElement[bool]:
    """Behind a letter of another invitation to the same address and the same follow-up: it ends in
    the same calendar. A date that is taken back there after the series came is taken out of the
    series, whatever its SEQUENCE says. The address is one, so what keeps the first letter waiting
    mostly does so with both.

    Nobody waits for what is held, or stands behind that, nor for an account with its own troubles.
    """
    earlier, held_letter = outbox.alias("earlier"), outbox.alias("held")
    is_stopped = sa.exists().where(
        held_letter.c.participant == earlier.c.participant,
        held_letter.c.id <= earlier.c.id,
        stands(held_letter, LetterState.HELD),
        overlap(held_letter, earlier),
    )
    alike = ("follow_up", "address_key", "account")
    return sa.exists().where(
        *(earlier.c[name] == outbox.c[name] for name in alike),
        earlier.c.invitation != outbox.c.invitation,
        overlap(earlier, outbox),
        _is_open_before(earlier, outbox),
        ~is_stopped,
    )


def _due() -> sa.Select[tuple[int, int, str]]:
    """The letters of an account that may be claimed, the oldest first."""
    is_left = outbox.c.follow_up.in_(sa.bindparam("last", expanding=True))
    return (
        sa.select(outbox.c.id, outbox.c.invitation, outbox.c.domain)
        .where(
            _waits(outbox),
            outbox.c.due_at <= NOW,
            ~_is_blocked(),
            ~is_left,
        )
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )


DUE = _due()
DUE_TO = DUE.where(outbox.c.domain == sa.bindparam("domain"))


def _destinations() -> sa.Select[tuple[str, datetime | None]]:
    """The domains behind `behind` to which letters wait, and since when the oldest is due."""
    beyond, head = outbox.alias("beyond"), outbox.alias("head")
    least = sa.select(sa.func.min(beyond.c.domain).label("domain")).where(_waits(beyond))
    walk = least.where(beyond.c.domain > sa.bindparam("behind")).cte("walk", recursive=True)
    following = least.where(beyond.c.domain > walk.c.domain).scalar_subquery()
    walk = walk.union_all(sa.select(following).where(walk.c.domain.is_not(None)))
    oldest = (
        sa.select(sa.func.min(head.c.due_at, type_=head.c.due_at.type))
        .where(
            _waits(head),
            head.c.domain == walk.c.domain,
            head.c.due_at <= NOW,
        )
        .scalar_subquery()
    )
    return (
        sa.select(walk.c.domain, oldest.label("due_at"))
        .where(walk.c.domain.is_not(None))
        .limit(DOMAINS)
    )


DESTINATIONS = _destinations()
TAKE = (
    sa.update(outbox)
    .where(outbox.c.id.in_(NUMBERS))
    .values(state=LetterState.SENDING, claimed_by=sa.bindparam("holder"))
    .returning(outbox)
)
COUNTS_AS_SENT = (
    sa.update(invitation)
    .where(
        outbox.c.id.in_(NUMBERS),
        outbox.c.method.in_([method.value for method in PLANNED]),
        invitation.c.id == outbox.c.invitation,
    )
    .values(
        sent_edition=outbox.c.edition,
        # An invitee who is told that one date is cancelled holds the series all the same.
        sent_method=sa.case((outbox.c.instance != "", Method.REQUEST.value), else_=outbox.c.method),
        sent_sequence=outbox.c.sequence,
        sent_at=NOW,
        doubts=sa.case((outbox.c.doubtful, invitation.c.doubts), else_=doubts.claimed()),
        # A date may have been raised above its series.
        top_sequence=sa.case(
            (invitation.c.top_sequence > outbox.c.sequence, invitation.c.top_sequence),
            else_=outbox.c.sequence,
        ),
    )
)
INVITATIONS = sa.select(outbox.c.invitation).where(outbox.c.id.in_(NUMBERS))
TRIED = sa.insert(attempt)
NOTED = sa.select(attempt.c.letter, attempt.c.started_at).where(attempt.c.letter.in_(NUMBERS))
SETTLED = [
    outbox.c[name]
    for name in (
        "id",
        "invitation",
        "follow_up",
        "method",
        "instance",
        "edition",
        "before",
        "state",
        "doubtful",
    )
]
"""What decides what a settled letter means for its invitation."""


def take(
    connection: Connection,
    holder: str,
    now: datetime,
    limit: int,
    *,
    account: str = DEFAULT,
    room: Room | None = None,
) -> list[Queued]:
    """Take up to `limit` due letters of an account for this gateway, oldest first, never one before
    an older open one of its invitation, nor of its participant's others until that was put off,
    nor of another row with its address.
    Letters to a domain that has no `room` are passed over: they keep nobody waiting.
    """
    room = room or Room(limit)
    numbers = _choose(connection, account, now, limit, room, room.last)
    if not numbers and room.last:
        numbers = _choose(connection, account, now, limit, room, ())
    if not numbers:
        return []
    rows = connection.execute(TAKE, {"numbers": numbers, "holder": holder}).all()
    connection.execute(COUNTS_AS_SENT, {"numbers": numbers, "now": now})
    letters = queued(connection, sorted(rows, key=lambda row: row.id))
    return _with_answers(connection, letters, now)


def found(
    connection: Connection, holder: str, in_hand: Collection[int], now: datetime
) -> list[Queued]:
    """What this gateway claimed and has not in hand."""
    claimed = sa.and_(stands(outbox, LetterState.SENDING), outbox.c.claimed_by == holder)
    rows = connection.execute(sa.select(outbox).where(claimed).order_by(outbox.c.id)).all()
    letters = queued(connection, [row for row in rows if row.id not in in_hand])
    return _with_answers(connection, letters, now)


def _with_answers(connection: Connection, letters: list[Queued], now: datetime) -> list[Queued]:
    """A reminder may have waited for long."""
    asking = {
        letter.id: (letter.participant, letter.letter.edition)
        for letter in letters
        if letter.letter.remarks.occasion is Occasion.REMINDER
    }
    if not asking:
        return letters
    heard = reminders.heard(connection, asking, now)
    return [replace(letter, answered=letter.id in heard) for letter in letters]


def _choose(
    connection: Connection,
    account: str,
    now: datetime,
    limit: int,
    room: Room,
    last: Iterable[str],
) -> list[int]:
    """Letters that may be claimed and have room: the oldest of all or, where some of those have
    none, the oldest to each other destination.
    """
    most = min(limit, room.letters)
    if most < 1 or not room.each:
        return []
    facts = {"account": account, "now": now, "last": list(last)}
    chosen, by_domain = list[int](), Counter[str]()

    def add(rows: Sequence[Row[tuple[int, int, str]]]) -> None:
        # What is being planned is left for later.
        free = invitations.lock(connection, [row.invitation for row in rows], wait=False)
        for row in rows:
            has_room = len(chosen) < most and by_domain[row.domain] < room.of(row.domain)
            if has_room and row.invitation in free and row.id not in chosen:
                by_domain[row.domain] += 1
                chosen.append(row.id)

    oldest = connection.execute(DUE, {**facts, "most": most}).all()
    add(oldest)
    if len(oldest) < most:
        return chosen
    for domain in _destined(connection, account, now) if len(chosen) < most else ():
        if len(chosen) < most and by_domain[domain] < room.of(domain):
            there = {**facts, "domain": domain, "most": min(most, room.of(domain))}
            add(connection.execute(DUE_TO, there).all())
    return chosen


def _destined(connection: Connection, account: str, now: datetime) -> list[str]:
    """Domains to which letters are due, the one that waits longest first. Where there are many, a
    part of them that is another one from moment to moment: nobody shall wait for those before.
    """
    facts = {"account": account, "now": now}
    behind = chr(ord("a") + now.microsecond % 26)
    rows = connection.execute(DESTINATIONS, {**facts, "behind": behind}).all()
    if len(rows) < DOMAINS:
        rows = connection.execute(DESTINATIONS, {**facts, "behind": ""}).all()
    due = [row for row in rows if row.due_at is not None]
    return [row.domain for row in sorted(due, key=lambda row: row.due_at)]


def settle(
    connection: Connection,
    settlements: Sequence[Settlement],
    attempts: Sequence[Attempt],
    holder: str,
    now: datetime,
) -> set[int]:
    """Write what came of claimed letters. Returns those that were still ours; the others are left
    to the gateway that took them over.
    """
    numbers = connection.execute(
        INVITATIONS, {"numbers": [settlement.letter for settlement in settlements]}
    )
    concerned = set(numbers.scalars())
    invitations.lock(connection, concerned, wait=True)
    may_hold = doubts.may_hold(connection, concerned)
    ours, by_facts = set[int](), dict[_Facts, list[int]]()
    for alike in _alike(settlements):  # most say the same: that they were sent
        settlement = alike[0]
        values = _values(settlement, now)
        letters = [other.letter for other in alike]
        update = _settling(tuple(values), counts=settlement.counts)
        for row in connection.execute(update, {**values, "numbers": letters, "holder": holder}):
            ours.add(row.id)
            text = may_hold.get(row.invitation, "")
            if (facts := _facts(connection, settlement, row, text, now)) is not None:
                by_facts.setdefault(facts, []).append(row.invitation)
    for facts, about in by_facts.items():
        values = {f"new_{name}": value for name, value in facts}
        update = _saying(tuple(name for name, _ in facts))
        connection.execute(update, {**values, "numbers": about})
    needless, again = doubts.unsettled(connection, ours)
    supersede(connection, needless, now)
    marks.mark(connection, sorted(again), now)
    if len(ours) < len(settlements):
        attempts = _unknown(connection, attempts)
    if attempts:
        connection.execute(TRIED, [_tried(tried) for tried in attempts])
    return ours


def _unknown(connection: Connection, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that are not noted: all of it may be, where the answer to that was lost."""
    rows = connection.execute(NOTED, {"numbers": [tried.letter for tried in attempts]})
    noted = {(row.letter, row.started_at) for row in rows}
    return [tried for tried in attempts if (tried.letter, tried.started_at) not in noted]


def _values(settlement: Settlement, now: datetime) -> dict[str, object]:
    """The columns of a letter that its settlement sets, by the names of their parameters."""
    values: dict[str, object] = {"new_state": settlement.state, "new_note": settlement.note}
    if settlement.due_at is not None:
        values["new_due_at"] = settlement.due_at
    if settlement.state not in OPEN:
        values["new_settled_at"] = now
    if settlement.arrived is None:
        values["new_doubtful"] = True
    return values


@lru_cache(maxsize=64)
def _settling(parameters: tuple[str, ...], *, counts: bool) -> sa.Update:
    """The statement that settles letters of this gateway."""
    columns = [outbox.c[parameter.removeprefix("new_")] for parameter in parameters]
    values = _bound(columns)
    if counts:
        values["tries"] = outbox.c.tries + 1
    is_ours = outbox.c.claimed_by == sa.bindparam("holder")
    return (
        sa.update(outbox)
        .where(outbox.c.id.in_(NUMBERS), stands(outbox, LetterState.SENDING), is_ours)
        .values(claimed_by=None, **values)
        .returning(*SETTLED)
    )


@lru_cache(maxsize=64)
def _saying(names: tuple[str, ...]) -> sa.Update:
    """The statement that sets these columns of invitations."""
    values = _bound([invitation.c[name] for name in names])
    return sa.update(invitation).where(invitation.c.id.in_(NUMBERS)).values(values)


def _bound(columns: Iterable[sa.Column[object]]) -> dict[str, sa.ColumnElement[object]]:
    return {
        column.name: sa.bindparam(f"new_{column.name}", type_=column.type) for column in columns
    }


def _tried(tried: Attempt) -> dict[str, object]:
    return {
        "letter": tried.letter,
        "started_at": tried.started_at,
        "seconds": tried.seconds,
        "verdict": tried.verdict,
        "step": tried.step,
        "code": tried.code,
        "enhanced": tried.enhanced,
        "text": tried.text,
        "host": tried.host,
    }


_Facts = tuple[tuple[str, object], ...]


def _alike(settlements: Sequence[Settlement]) -> Iterable[list[Settlement]]:
    """Settlements that differ by nothing but their letter."""
    groups = dict[Settlement, list[Settlement]]()
    for settlement in settlements:
        groups.setdefault(replace(settlement, letter=0), []).append(settlement)
    return groups.values()


def _facts(
    connection: Connection,
    settlement: Settlement,
    row: Row[tuple[object, ...]],
    text: str,
    now: datetime,
) -> _Facts | None:
    """What the invitation of a settled letter says from now on; None: it is as it was."""
    planned = row.method in PLANNED
    if not planned and (
        row.method == Method.NONE
        or settlement.delivery not in (Delivery.SENT, Delivery.UNDELIVERABLE)
    ):
        return None
    facts: dict[str, object] = {"delivery": settlement.delivery, "delivery_text": settlement.note}
    if planned:
        facts |= doubts.settled(connection, row, settlement.arrived, text, now)
    if settlement.state is LetterState.REFUSED:
        facts["refused"] = True
    elif settlement.arrived is not False:
        # What was only given up leaves the invitee with what they had, to be taken back if need be.
        facts["refused"] = False
    return tuple(facts.items())


def stranded(connection: Connection, holder: str) -> bool:
    """Whether another gateway has claims, which may be a dead one's."""
    query = (
        sa.select(outbox.c.id)
        .where(stands(outbox, LetterState.SENDING), outbox.c.claimed_by != holder)
        .limit(1)
    )
    return connection.execute(query).first() is not None


def free_dead(connection: Connection, now: datetime) -> int:
    """Give back the claims of gateways that no longer live. Returns how many letters will be
    repeated.
    """
    holders = [
        row.claimed_by
        for row in connection.execute(
            sa.select(outbox.c.claimed_by).where(stands(outbox, LetterState.SENDING)).distinct()
        )
    ]
    dead = leases.bury(connection, holders, now)
    if not dead:
        return 0
    done = connection.execute(
        sa.update(outbox)
        .where(stands(outbox, LetterState.SENDING), outbox.c.claimed_by.in_(dead))
        .values(
            state=LetterState.WAITING,
            claimed_by=None,
            tries=outbox.c.tries + 1,
            doubtful=True,
            note="taken over from a gateway that stopped",
        )
    )
    return done.rowcount


def release(connection: Connection, holder: str) -> None:
    """Give back what a stopping gateway claimed and did not settle. Like a dead one's, these
    letters may have left.
    """
    connection.execute(
        sa.update(outbox)
        .where(stands(outbox, LetterState.SENDING), outbox.c.claimed_by == holder)
        .values(state=LetterState.WAITING, claimed_by=None, tries=outbox.c.tries + 1, doubtful=True)
    )
