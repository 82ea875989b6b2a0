"""The outbox: letters owed, in the order of each participant. Gateways claim and settle them by
`claims`.

Three kinds of letters go this way. REQUEST and CANCEL change what the invitee holds. A
DECLINECOUNTER does not, but whether it arrived says something of their address. Words that are
passed on (Method.NONE) go to the owner: they leave the invitation alone, and neither wait for the
invitee's letters nor keep them waiting.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from gateway.invite import brake
from gateway.model import PLANNED, Delivery, Edition, Letter, LetterState, Method, Reply
from gateway.store import codec, columns, engine, invitations
from gateway.store.schema_letters import RETURNED, attempt, invitation, outbox, rest

OPEN = (LetterState.WAITING, LetterState.SENDING, LetterState.HELD)
AGES = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
"""Steps in minutes by which the age of letters is told, as Postfix's qshape has them."""
BY_HAND = "held by hand"
"""The note of a letter that an administrator holds."""
TAKEN_BACK = "taken back"
"""The note of a letter that was called back, before it left, by the one who saved."""
GIVEN_UP = "given up: "
"""How the note of a letter begins that was put off for too long."""
LATEST = 20
"""So many of the newest letters that are held tell whether any passes preflight."""


@dataclass(frozen=True, slots=True)
class Queued:
    """An outbox row: the letter's frozen facts and where it stands. `answered`: what a reminder
    asks for had come when it was claimed.
    """

    id: int
    invitation: int
    participant: int
    follow_up: str
    state: LetterState
    tries: int
    due_at: datetime
    created_at: datetime
    note: str
    letter: Letter
    answered: bool = False
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to hand a letter to a server; `verdict` as in outbound.retry."""

    letter: int
    started_at: datetime
    seconds: float
    verdict: str
    step: str
    code: int | None
    enhanced: str
    text: str
    host: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a letter goes after an attempt. `arrived` False: the server certainly did not take it;
    None: nobody knows.
    """

    letter: int
    state: LetterState
    arrived: bool | None
    delivery: Delivery
    due_at: datetime | None = None
    note: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters: all that fit everything that is said. `returned_since`: beside those in
    `states` also those that were refused or given up since then, and that no newer letter has
    overtaken. `braked`: those that the brake holds; `resting`: those of accounts that rest.
    """

    numbers: tuple[int, ...] = ()
    follow_up: str = ""
    domain: str = ""
    account: str = ""
    states: tuple[LetterState, ...] = tuple(LetterState)
    returned_since: datetime | None = None
    braked: bool = False
    resting: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """The open letters to one domain. `held`: how many of them are; `ages`: how many are so many
    minutes old at most, and older than the step before.
    """

    domain: str
    letters: int
    held: int
    oldest: timedelta
    ages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Held:
    """Letters that wait because preflight refused them. `first`: the oldest one's number; `why`:
    its reason; `every`: since the latest of them none was found fit to be sent.
    """

    letters: int
    first: int
    why: str
    every: bool


def passed_on(connection: Connection, participant: int, since: datetime) -> int:
    """How many texts that came to this row have been queued for the owner since then."""
    number: int = connection.execute(
        sa.select(sa.func.count()).where(
            outbox.c.participant == participant,
            outbox.c.method == Method.NONE,
            outbox.c.created_at >= since,
        )
    ).scalar_one()
    return number


def supersede(connection: Connection, letters: Sequence[int], at: datetime) -> None:
    """A newer look at the follow-up made these letters needless before they left."""
    _end(connection, letters, LetterState.SUPERSEDED, at)


def change(
    connection: Connection,
    letters: Sequence[int],
    before: Collection[LetterState],
    after: LetterState,
    note: str,
    now: datetime,
) -> list[int]:
    """Hold, release, try again or drop letters that are in one of the states `before`. Returns
    those that were.

    The invitations are locked first (`invitations.lock`). A letter that is to wait is due at once.
    """
    if not letters:
        return []
    held_invitations = connection.execute(
        sa.select(outbox.c.invitation).where(outbox.c.id.in_(letters))
    ).scalars()
    invitations.lock(connection, held_invitations, wait=True)
    query = (
        sa.select(outbox.c.id)
        .where(outbox.c.id.in_(letters), outbox.c.state.in_(before))
        .order_by(outbox.c.id)
    )
    numbers = list(connection.execute(query.with_for_update()).scalars())
    if after not in OPEN:
        _end(connection, numbers, after, now)
    values: dict[str, object] = {"state": after, "note": note}
    values |= {"settled_at": None} if after in OPEN else {}
    if after is LetterState.WAITING:  # a person has seen it: the brake counts it no more
        values |= {"due_at": now, "changed_at": None}
    connection.execute(sa.update(outbox).where(outbox.c.id.in_(numbers)).values(values))
    if after is LetterState.WAITING:
        rows = sa.select(outbox.c.invitation).where(
            outbox.c.id.in_(numbers), outbox.c.method.in_(PLANNED)
        )
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.id.in_(rows))
            .values(delivery=Delivery.QUEUED, delivery_text="", refused=False)
        )
    return numbers


def held_by_hand(connection: Connection, letters: Sequence[int]) -> set[int]:
    """The invitations of those among the letters that an administrator holds: what replaces such a
    letter is held, too.
    """
    query = sa.select(outbox.c.invitation).where(
        outbox.c.id.in_(letters), outbox.c.state == LetterState.HELD, outbox.c.note == BY_HAND
    )
    return set(connection.execute(query).scalars()) if letters else set()


def _end(connection: Connection, letters: Sequence[int], state: LetterState, at: datetime) -> None:
    """Letters that will not leave; their invitations stand where they stood before."""
    if not letters:
        return
    connection.execute(
        sa.update(outbox).where(outbox.c.id.in_(letters)).values(state=state, settled_at=at)
    )
    rows = sa.select(outbox.c.invitation).where(
        outbox.c.id.in_(letters), outbox.c.method.in_(PLANNED)
    )
    waits = invitation.c.delivery.in_((Delivery.QUEUED, Delivery.DEFERRED))
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.id.in_(rows), waits)
        .values(
            delivery=sa.case(
                (invitation.c.refused, Delivery.UNDELIVERABLE.value),
                (invitation.c.sent_method.is_not(None), Delivery.SENT.value),
                else_=Delivery.NONE.value,
            )
        )
    )


def next_due(connection: Connection, account: str | None = None) -> datetime | None:
    """When the next waiting letter, of all or of one account, is due."""
    query = sa.select(sa.func.min(outbox.c.due_at, type_=outbox.c.due_at.type)).where(
        stands(outbox, LetterState.WAITING)
    )
    due: datetime | None = connection.execute(
        query if account is None else query.where(outbox.c.account == account)
    ).scalar_one()
    return due


def pending(connection: Connection, states: Iterable[LetterState] = OPEN) -> list[Queued]:
    """Letters in these states, oldest first."""
    return find(connection, Selection(states=tuple(states)))


def find(connection: Connection, selection: Selection) -> list[Queued]:
    """The letters that are selected, oldest first."""
    return [letter for part in each(connection, selection) for letter in part]


def each(connection: Connection, selection: Selection) -> Iterator[list[Queued]]:
    """The same, some at a time: an outbox has more of them than memory."""
    query = sa.select(outbox).where(*_selected(selection)).order_by(outbox.c.id)
    for rows in engine.parts(connection, query):
        yield queued(connection, rows)


def part(connection: Connection, selection: Selection, after: int, limit: int) -> list[Queued]:
    """So many of the letters that are selected, oldest first, beyond number `after`."""
    query = sa.select(outbox).where(*_selected(selection), outbox.c.id > after)
    return queued(connection, connection.execute(query.order_by(outbox.c.id).limit(limit)).all())


def count(connection: Connection, selection: Selection) -> int:
    """How many letters are selected."""
    query = sa.select(sa.func.count()).select_from(outbox).where(*_selected(selection))
    return connection.execute(query).scalar_one()


def _selected(selection: Selection) -> list[sa.ColumnElement[bool]]:
    chosen = stands(outbox, *selection.states) if selection.states else sa.false()
    if selection.returned_since is not None:
        # Both by an index of their own, for which a database does not look where they are one.
        open_letters = sa.select(outbox.c.id).where(chosen)
        returned = sa.select(outbox.c.id).where(_returned(selection.returned_since))
        chosen = outbox.c.id.in_(open_letters.union(returned))
    conditions = [chosen]
    conditions += [outbox.c.id.in_(selection.numbers)] if selection.numbers else []
    if selection.braked:
        conditions += [outbox.c.state == LetterState.HELD, outbox.c.note == brake.REASON]
    if selection.resting:
        conditions.append(outbox.c.account.in_(sa.select(rest.c.account)))
    conditions += [
        column == value
        for column, value in (
            (outbox.c.follow_up, selection.follow_up),
            (outbox.c.domain, selection.domain),
            (outbox.c.account, selection.account),
        )
        if value
    ]
    return conditions


def overtaken(
    connection: Connection, letters: Sequence[int], together: Sequence[int] = ()
) -> set[int]:
    """Those of the letters behind which the same invitation has a newer one of their kind, other
    than those `together` with which they go.
    """
    query = sa.select(outbox.c.id).where(outbox.c.id.in_(letters), _overtaken(together))
    return set(connection.execute(query).scalars()) if letters else set()


def held_elsewhere(connection: Connection, letters: Sequence[int]) -> set[int]:
    """Those of the letters that take back what another invitation brought to the same address
    since: by itself, or as a date of the series, or the series of such dates.
    """
    newer = outbox.alias("newer")
    may_hold = stands(newer, LetterState.SENT, LetterState.SENDING) | newer.c.doubtful
    is_same_place = sa.and_(
        *(newer.c[name] == outbox.c[name] for name in ("follow_up", "address_key")),
        newer.c.invitation != outbox.c.invitation,
    )
    is_newer = (newer.c.id > outbox.c.id) & (newer.c.method == Method.REQUEST)
    brought = sa.exists().where(is_same_place, is_newer, overlap(newer, outbox), may_hold)
    is_cancel = (outbox.c.method == Method.CANCEL) & (outbox.c.instance == "")
    query = sa.select(outbox.c.id).where(outbox.c.id.in_(letters), is_cancel, brought)
    return set(connection.execute(query).scalars()) if letters else set()


def _overtaken(together: Sequence[int] = ()) -> sa.ColumnElement[bool]:
    newer = outbox.alias("newer")
    return sa.exists().where(
        newer.c.invitation == outbox.c.invitation,
        newer.c.id > outbox.c.id,
        newer.c.id.not_in(together),
        (newer.c.method == Method.NONE) == (outbox.c.method == Method.NONE),
    )


def _returned(since: datetime) -> sa.ColumnElement[bool]:
    given_up = (outbox.c.state == LetterState.DROPPED) & outbox.c.note.startswith(GIVEN_UP)
    return sa.and_(
        RETURNED,
        (outbox.c.state == LetterState.REFUSED) | given_up,
        outbox.c.settled_at >= sa.literal(since, outbox.c.settled_at.type),
        ~_overtaken(),
    )


def destinations(connection: Connection, now: datetime) -> list[Destination]:
    """Where the open letters go and how long they have waited; the domain with the most letters
    first.
    """
    step = sa.case(
        *(
            (
                outbox.c.created_at
                > sa.literal(now - timedelta(minutes=most), outbox.c.created_at.type),
                most,
            )
            for most in AGES
        ),
        else_=0,
    )
    ages = [sa.func.sum(sa.case((step == most, 1), else_=0)) for most in (*AGES, 0)]
    names = [*(f"{most} min" for most in AGES), "more"]
    oldest = sa.func.min(outbox.c.created_at, type_=outbox.c.created_at.type)
    held_letters = sa.func.sum(sa.case((outbox.c.state == LetterState.HELD, 1), else_=0))
    query = (
        sa.select(outbox.c.domain, sa.func.count(), held_letters, oldest, *ages)
        .where(stands(outbox, *OPEN))
        .group_by(outbox.c.domain)
        .order_by(sa.func.count().desc(), outbox.c.domain)
    )
    return [
        Destination(row[0], row[1], row[2], now - row[3], dict(zip(names, row[4:], strict=True)))
        for row in connection.execute(query)
    ]


def preflight(connection: Connection) -> Held | None:
    """The letters that preflight holds, or that cannot be made; None where there are none."""
    by_rule = stands(outbox, LetterState.HELD) & outbox.c.note.not_in((BY_HAND, brake.REASON))
    letters, first = connection.execute(
        sa.select(sa.func.count(), sa.func.min(outbox.c.id)).where(by_rule)
    ).one()
    if not letters:
        return None
    newest = (
        sa.select(outbox.c.id).where(by_rule).order_by(outbox.c.id.desc()).limit(LATEST).subquery()
    )
    tried = sa.select(attempt.c.letter).order_by(attempt.c.id.desc()).limit(5 * LATEST).subquery()
    passed = sa.exists().where(
        tried.c.letter > sa.select(sa.func.min(newest.c.id)).scalar_subquery()
    )
    every = not connection.execute(sa.select(passed)).scalar_one()
    why = connection.execute(sa.select(outbox.c.note).where(outbox.c.id == first)).scalar_one()
    return Held(letters, first, why, every)


def attempts(connection: Connection, letter: int) -> list[Attempt]:
    """Every try of a letter, oldest first."""
    return tries(connection, [letter]).get(letter, [])


def tries(connection: Connection, letters: Sequence[int]) -> dict[int, list[Attempt]]:
    """The same of many, by letter."""
    rows = connection.execute(
        sa.select(attempt).where(attempt.c.letter.in_(letters)).order_by(attempt.c.id)
    )
    by_letter: dict[int, list[Attempt]] = {}
    for row in rows:
        tried = Attempt(
            row.letter,
            row.started_at,
            row.seconds,
            row.verdict,
            row.step,
            row.code,
            row.enhanced,
            row.text,
            row.host,
        )
        by_letter.setdefault(row.letter, []).append(tried)
    return by_letter


def page(connection: Connection, follow_up: str, after: int, limit: int) -> list[Queued]:
    """Letters of a follow-up beyond number `after`, oldest first, except superseded ones."""
    query = (
        sa.select(outbox)
        .where(
            outbox.c.follow_up == follow_up,
            outbox.c.id > after,
            outbox.c.state != LetterState.SUPERSEDED,
        )
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return queued(connection, connection.execute(query).all())


def newest_number(connection: Connection) -> int:
    """Letters of a higher number are newer."""
    return connection.execute(sa.select(sa.func.max(outbox.c.id))).scalar() or 0


def since(connection: Connection, number: int, keys: Collection[str]) -> list[int]:
    """The newer letters about these follow-ups."""
    query = sa.select(outbox.c.id).where(outbox.c.id > number, outbox.c.follow_up.in_(keys))
    return list(connection.execute(query.order_by(outbox.c.id)).scalars())


def delay(connection: Connection, letters: Sequence[int], until: datetime) -> None:
    """These letters, which nobody has claimed yet, leave no earlier."""
    waits = sa.and_(outbox.c.id.in_(letters), stands(outbox, LetterState.WAITING))
    connection.execute(sa.update(outbox).where(waits).values(due_at=until))


def are_waiting(connection: Connection, letters: Sequence[int]) -> bool:
    """Whether none of these was claimed, or came to an end."""
    waits = sa.and_(outbox.c.id.in_(letters), stands(outbox, LetterState.WAITING))
    query = sa.select(sa.func.count()).select_from(outbox).where(waits)
    return bool(connection.execute(query).scalar_one() == len(letters))


def follow_ups_waiting(connection: Connection, account: str) -> list[str]:
    """A follow-up with letters of this account that have not come to an end, if there is one."""
    query = (
        sa.select(outbox.c.follow_up)
        .where(outbox.c.account == account, stands(outbox, *OPEN))
        .limit(1)
    )
    return list(connection.execute(query).scalars())


def counts(connection: Connection) -> Mapping[LetterState, int]:
    rows = connection.execute(sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state))
    return {LetterState(state): number for state, number in rows}


def overlap(letter: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether both are about one entry of a calendar, or one of them about all of a series."""
    return sa.or_(letter.c.entry == other.c.entry, letter.c.entry == "", other.c.entry == "")


def stands(letters: sa.FromClause, *states: LetterState) -> sa.ColumnElement[bool]:
    """Whether they are in one of these states. Written out, not bound: else no database sees that a
    partial index holds the rows.
    """
    words: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{state.value}'") for state in states]
    return letters.c.state.in_(words) if len(words) > 1 else letters.c.state == words[0]


def queued(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> list[Queued]:
    editions = invitations.editions(
        connection, [*(row.edition for row in rows), *(row.before for row in rows)]
    )
    return [
        Queued(
            row.id,
            row.invitation,
            row.participant,
            row.follow_up,
            LetterState(row.state),
            row.tries,
            row.due_at,
            row.created_at,
            row.note,
            _letter(row, editions),
            settled_at=row.settled_at,
        )
        for row in rows
    ]


def _letter(row: Row[tuple[object, ...]], editions: Mapping[int | None, Edition]) -> Letter:
    values = row._mapping
    facts: dict[str, Any] = {name: values[name] for name in _AS_IT_STANDS}
    return Letter(
        **facts,
        method=Method(row.method),
        edition=editions[row.edition],
        before=editions.get(row.before),
        timezone=columns.zone(row.timezone, row.follow_up),
        reply=Reply(row.reply),
        instance=codec.parse_moment(row.instance),
        remarks=codec.parse_remarks(row.remarks),
    )


_AS_IT_STANDS = (
    "sequence",
    "dtstamp",
    "message_id",
    "account",
    "address",
    "address_name",
    "organizer_address",
    "bounce_address",
    "language",
    "token",
    "withdrawn",
)
"""Columns that a letter has by the same names."""
