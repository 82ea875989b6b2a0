"""Who holds what: editions of follow-ups, and per participant and address the token and what it was
last sent.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import owing
from gateway.model import (
    PLANNED,
    Delivery,
    Edition,
    Effect,
    LetterState,
    Method,
    Moment,
    Occasion,
    Remarks,
    Reply,
)
from gateway.store import chunks, codec
from gateway.store.schema import follow_up, participant
from gateway.store.schema_letters import attempt, edition, invitation, outbox

REPLACEABLE = (LetterState.WAITING, LetterState.HELD)
UNDER_WAY = (*REPLACEABLE, LetterState.SENDING)
MOST_NUMBERS = 10_000
"""So many are asked for with one statement."""
REFRESH_EVERY = timedelta(hours=1)
"""How often a REFRESH of one row is answered (itip.md §4)."""


NUMBERS: sa.BindParameter[int] = sa.bindparam("numbers", expanding=True)
WAITING = sa.select(outbox.c.participant, outbox.c.reply).where(
    outbox.c.participant.in_(NUMBERS),
    outbox.c.method == Method.REQUEST,
    # Written out, not bound: else no database sees that a partial index holds the rows.
    outbox.c.state == sa.literal_column(f"'{LetterState.WAITING.value}'"),
    outbox.c.tries == 0,
)
DOUBTED = sa.select(invitation.c.participant).where(
    invitation.c.participant.in_(NUMBERS),
    invitation.c.counts,
    sa.or_(
        invitation.c.refused,
        invitation.c.delivery == Delivery.UNDELIVERABLE,
        sa.exists().where(
            outbox.c.invitation == invitation.c.id, outbox.c.state == LetterState.REFUSED
        ),
    ),
)
"""Those of whom it was said that their mail does not arrive."""

_OWN = (
    "participant",
    "follow_up",
    "uid",
    "token",
    "account",
    "address",
    "name",
    "organizer_address",
    "bounce_address",
    "language",
    "timezone",
)
"""Columns of a new invitation that are what it says."""
_CREATE = sa.insert(invitation).returning(invitation.c.id, sort_by_parameter_order=True)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One participant at one address, for life: account, ORGANIZER address and token never
    change.

    bounce_address: the envelope sender of the last letter, "" before the first one from here.
    date: the one date of what the row is for that it invites to; None: to all of that.
    """

    id: int
    participant: int
    follow_up: str
    uid: str
    token: str
    account: str
    address: str
    name: str
    organizer_address: str
    bounce_address: str
    language: str = ""
    timezone: str = ""
    delivery: Delivery = Delivery.NONE
    delivery_text: str = ""
    top_dtstamp: datetime | None = None
    date: Moment | None = None


def keep_edition(
    connection: Connection, follow_up: str, value: Edition, last: int | None, at: datetime
) -> int:
    """The number of this edition: that of the last one where nothing differs, else of a new one."""
    text = codec.edition(value)
    if last is not None and facts(connection, [last]).get(last) == text:
        return last
    return add_edition(connection, follow_up, text, at)


def add_edition(connection: Connection, follow_up: str, text: str, at: datetime) -> int:
    """The number of a new edition that says this (`codec.edition`)."""
    number: int = connection.execute(
        sa.insert(edition)
        .values(follow_up=follow_up, facts=text, created_at=at)
        .returning(edition.c.id)
    ).scalar_one()
    return number


def editions(connection: Connection, numbers: Iterable[int | None]) -> dict[int | None, Edition]:
    """Editions by number."""
    texts = facts(connection, numbers)
    return {number: codec.parse_edition(text) for number, text in texts.items()}


def facts(connection: Connection, numbers: Iterable[int | None]) -> dict[int, str]:
    """What editions say, as it stands there, by number."""
    listed = {number for number in numbers if number is not None}
    texts = dict[int, str]()
    for part in chunks.parts(sorted(listed), MOST_NUMBERS):
        query = sa.select(edition.c.id, edition.c.facts).where(edition.c.id.in_(part))
        texts |= {row.id: row.facts for row in connection.execute(query)}
    return texts


def earlier(connection: Connection, key: str, limit: int) -> Iterator[tuple[int, Edition]]:
    """The last editions of a follow-up with their numbers, the newest first."""
    query = (
        sa.select(edition.c.id, edition.c.facts)
        .where(edition.c.follow_up == key)
        .order_by(edition.c.id.desc())
        .limit(limit)
    )
    for row in connection.execute(query).all():
        yield row.id, codec.parse_edition(row.facts)


def create(connection: Connection, created: Sequence[Invitation], at: datetime) -> list[int]:
    """New invitations, which count from now on; their `id` is ignored. Returns their numbers, in
    their order.
    """
    if not created:
        return []
    last = _last(created)
    for date in sorted({date for _, date in last}):
        participants = [number for number, name in last if name == date]
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.participant.in_(participants), invitation.c.date == date)
            .values(counts=False)
        )
    counting = set(last.values())
    rows = [_row(new, at, counts=place in counting) for place, new in enumerate(created)]
    return list(connection.execute(_CREATE, rows).scalars())


def _row(new: Invitation, at: datetime, *, counts: bool) -> dict[str, object]:
    named = {name: getattr(new, name) for name in _OWN}
    return {**named, "date": codec.moment(new.date), "created_at": at, "counts": counts}


def _last(created: Sequence[Invitation]) -> dict[tuple[int, str], int]:
    """The place of the last one of each participant, and of each date that is by itself."""
    return {(new.participant, codec.moment(new.date)): place for place, new in enumerate(created)}


def first(connection: Connection) -> datetime | None:
    """When the first invitation of this store was made, None where there is none."""
    first_made: datetime | None = connection.execute(
        sa.select(sa.func.min(invitation.c.created_at))
    ).scalar_one()
    return first_made


def count(connection: Connection, copies: Iterable[owing.Copy]) -> None:
    """Of the invitations of their participants, to the same, these count from now on: at the
    address that the invitee has now.
    """
    for copy in copies:
        connection.execute(
            sa.update(invitation)
            .where(
                invitation.c.participant == copy.participant,
                invitation.c.date == codec.moment(copy.date),
            )
            .values(counts=invitation.c.id == copy.invitation)
        )


def adopt(
    connection: Connection, number: int, edition_number: int, sequence: int, at: datetime
) -> None:
    """An earlier system sent this invitation already (`"sent": true` of the load format)."""
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.id == number)
        .values(
            sent_edition=edition_number,
            sent_method=Method.REQUEST,
            sent_sequence=sequence,
            sent_at=at,
            top_sequence=sequence,
            delivery=Delivery.SENT,
        )
    )


def get(connection: Connection, numbers: Iterable[int]) -> dict[int, Invitation]:
    rows = connection.execute(sa.select(invitation).where(invitation.c.id.in_(set(numbers))))
    return {row.id: from_row(row) for row in rows}


def rehome(connection: Connection, key: str) -> set[int]:
    """Follow rows to the new key of a renamed follow-up, so that nobody is owed a CANCEL for the
    old name, nor a REQUEST for the new.

    `key`: either; which of the two is planned first is a matter of the alphabet. Returns the rows
    of `key` that came from a follow-up of another UID: what they hold is its, and is taken back
    there.
    """
    away = _of_either(connection, _AWAY, [key])
    for row in sorted(away, key=lambda row: row.id):
        if row.renamed:
            new = {"follow_up": row.follow_up}
            of_row = invitation.c.id == row.id
            connection.execute(sa.update(invitation).where(of_row).values(new))
            letters = outbox.c.invitation == row.id
            connection.execute(sa.update(outbox).where(letters).values(new))
    return {row.participant for row in away if not row.renamed and row.follow_up == key}


def moved(connection: Connection, keys: Collection[str]) -> set[str]:
    """The follow-ups from which, and to which, a row has gone that was ever invited; `keys`:
    either.
    """
    query = (
        sa.select(invitation.c.follow_up, participant.c.follow_up.label("present"))
        .join(participant, participant.c.id == invitation.c.participant)
        .where(participant.c.follow_up != invitation.c.follow_up)
        .distinct()
    )
    return {key for row in _of_either(connection, query, keys) for key in row}


def _of_either(connection: Connection, query: sa.Select[Any], keys: Collection[str]) -> list[Any]:
    """Of invitations and their participants: those made for one of these follow-ups, and those of
    rows that are in one now.
    """
    # Two queries, each with an index to go by: no database finds one for both at once.
    return [
        row
        for this in (invitation.c.follow_up.in_(keys), participant.c.follow_up.in_(keys))
        for row in connection.execute(query.where(this))
    ]


_AWAY = (
    sa.select(
        invitation.c.id,
        invitation.c.participant,
        participant.c.follow_up,
        (follow_up.c.uid == invitation.c.uid).label("renamed"),
    )
    .join(participant, participant.c.id == invitation.c.participant)
    .join(follow_up, follow_up.c.key == participant.c.follow_up)
    .where(participant.c.follow_up != invitation.c.follow_up)
)
"""Invitations of rows that are in another follow-up now."""


def left(
    connection: Connection, numbers: Sequence[int] | sa.Select[tuple[int]]
) -> dict[int, list[Any]]:
    """The letters of these invitations that left, may have left or are leaving, oldest first."""
    states = (LetterState.SENT, LetterState.REFUSED, LetterState.SENDING)
    by_invitation: dict[int, list[Any]] = {}
    for row in connection.execute(
        sa.select(outbox)
        .where(
            outbox.c.invitation.in_(numbers),
            outbox.c.state.in_(states) | outbox.c.doubtful,
            outbox.c.method != Method.NONE,
        )
        .order_by(outbox.c.id)
    ):
        by_invitation.setdefault(row.invitation, []).append(row)
    return by_invitation


def held_by(edition: Edition | None) -> Method | None:
    """By which method an invitee holds what they were last sent: a letter that reinstates goes out
    after a CANCEL.
    """
    if edition is None:
        return None
    return Method.CANCEL if edition.cancelled else Method.REQUEST


def let_go(connection: Connection, copy: owing.Copy, edition_number: int | None) -> None:
    """An invitation that holds something else from now on, though no letter left
    (`plan.Plan.let_go`).
    """
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.id == copy.invitation)
        .values(sent_edition=edition_number, sent_method=copy.method, doubts="")
    )


def lock(connection: Connection, numbers: Iterable[int], *, wait: bool) -> set[int]:
    """Lock invitations in the order of all: by follow-up (as bytes), then number. Returns those
    that are locked; without `wait`, others' are left out. Before letters and invitations are
    written, the invitations are locked.
    """
    listed = set(numbers)
    if connection.dialect.name == "sqlite":
        return listed  # one writer at a time
    query = sa.select(invitation.c.id).where(invitation.c.id.in_(listed)).order_by(*_IN_ORDER)
    return set(connection.execute(query.with_for_update(skip_locked=not wait)).scalars())


_IN_ORDER = (sa.collate(invitation.c.follow_up, "C"), invitation.c.id)


def locked(connection: Connection, keys: Collection[str]) -> dict[str, list[Any]]:
    """The rows of all invitations ever made for these follow-ups, by follow-up and the oldest
    first, locked as by `lock`.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    query = sa.select(invitation).where(invitation.c.follow_up.in_(keys)).with_for_update()
    rows = dict[str, list[Any]]()
    for row in connection.execute(query.order_by(*_IN_ORDER[is_sqlite:])):
        rows.setdefault(row.follow_up, []).append(row)
    return rows


def accounts_of(connection: Connection, key: str) -> list[str]:
    """The accounts that a follow-up's invitations were sent from, the first one first."""
    query = sa.select(invitation.c.account).where(invitation.c.follow_up == key)
    return list(connection.execute(query.order_by(invitation.c.id)).scalars())


def accounts_named(connection: Connection) -> set[str]:
    """Every account that an invitation was ever made for: from one name to the next in the index,
    not row by row.
    """
    names, query = set[str](), sa.select(sa.func.min(invitation.c.account))
    name = connection.execute(query).scalar_one()
    while name is not None:
        names.add(name)
        name = connection.execute(query.where(invitation.c.account > name)).scalar_one()
    return names


def standing(connection: Connection, account: str) -> Iterator[tuple[str, Edition]]:
    """Follow-ups to which somebody holds an invitation from this account, with what they were last
    sent; the newest first.
    """
    query = (
        sa.select(invitation.c.follow_up, edition.c.facts)
        .join(edition, edition.c.id == invitation.c.sent_edition)
        .where(invitation.c.account == account, invitation.c.sent_method == Method.REQUEST)
        .order_by(invitation.c.id.desc())
    )
    for row in connection.execute(query):
        yield row.follow_up, codec.parse_edition(row.facts)


def uids_taken(connection: Connection, uids: Collection[str]) -> set[str]:
    """Those of these UIDs under which anybody was ever invited, or which a follow-up has: one that
    is called by another key now, too.
    """
    used = sa.select(invitation.c.uid).where(invitation.c.uid.in_(uids))
    present = sa.select(follow_up.c.uid).where(follow_up.c.uid.in_(uids))
    return set(connection.execute(used.union(present)).scalars())


def tokens_taken(connection: Connection, tokens: Collection[str]) -> set[str]:
    """Which of these tokens somebody has."""
    if not tokens:
        return set()
    query = sa.select(invitation.c.token).where(invitation.c.token.in_(tokens))
    return set(connection.execute(query).scalars())


def of_participants(connection: Connection, participants: Collection[int]) -> list[Any]:
    """The rows of every invitation of these participants, the oldest first."""
    if not participants:
        return []
    query = sa.select(invitation).where(invitation.c.participant.in_(participants))
    return list(connection.execute(query.order_by(invitation.c.id)))


def deliveries(
    connection: Connection, participants: Sequence[int] | None
) -> Mapping[int, Invitation]:
    """The invitation of each participant that counts; of those to its dates one that does not
    arrive, where there is one, else the last.
    """
    is_lost = sa.case((invitation.c.delivery == Delivery.UNDELIVERABLE, 1), else_=0)
    query = sa.select(invitation).where(invitation.c.counts).order_by(is_lost, invitation.c.id)
    if participants is not None:
        query = query.where(invitation.c.participant.in_(participants))
    return {row.participant: from_row(row) for row in connection.execute(query)}


def ask_again(
    connection: Connection, participant_number: int, instance: Moment | None, sequence: int
) -> bool:
    """The invitee answered an old time, of one date or of all: owe the REQUEST of that once more,
    once per SEQUENCE. Returns whether it is owed now.

    `sequence`: of what they answer, as last sent to them. A letter that is under way anyway asks
    them already.
    """
    date = codec.moment(instance)
    # Another date as well: then all of it is sent. So it is where each date has its invitation.
    is_another = invitation.c.again & (invitation.c.again_instance != date)
    about = sa.case((is_another | (invitation.c.date != ""), ""), else_=date)
    done = connection.execute(
        sa.update(invitation)
        .where(*_holding(participant_number), _is_for(instance), ~_is_asked(date, sequence))
        .values(again=True, again_because=Occasion.OLD_ANSWER, again_instance=about)
    )
    return bool(done.rowcount)


def ask_anew(connection: Connection, participant_number: int) -> None:
    """He answered what was not there for a while: owe his REQUEST once more."""
    connection.execute(
        sa.update(invitation)
        .where(*_counting(participant_number), invitation.c.sent_method == Method.REQUEST)
        .values(again=True, again_because=Occasion.OLD_ANSWER, again_instance="")
    )


def _is_asked(date: str, sequence: int) -> sa.ColumnElement[bool]:
    """Whether the invitee was asked again for this SEQUENCE of a date, or for all of it."""
    of_date = (outbox.c.instance == date) & (outbox.c.sequence == sequence)
    of_all = (outbox.c.instance == "") & (outbox.c.edition == invitation.c.sent_edition)
    words = codec.remarks(Remarks(Occasion.OLD_ANSWER)).strip("{}")
    return sa.exists().where(
        outbox.c.invitation == invitation.c.id,
        sa.or_(of_date, of_all),
        outbox.c.remarks.contains(words, autoescape=True),
        outbox.c.state != LetterState.SUPERSEDED,
    )


def defer(connection: Connection, answer: Effect) -> None:
    """Keep an answer to what the invitee holds while a move of it waits; the newest one."""
    row = connection.execute(
        sa.select(invitation.c.id, invitation.c.deferred).where(
            *_counting(answer.participant), invitation.c.date == ""
        )
    ).one_or_none()
    if row is None:
        return
    former = codec.parse_effect(row.deferred)
    if former is None or former.key < answer.key:
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.id == row.id)
            .values(deferred=codec.effect(answer))
        )


def refresh(
    connection: Connection,
    participant_number: int,
    now: datetime,
    instance: Moment | None = None,
) -> bool:
    """The invitee asked for the invitation, or for that to one date: owe the REQUEST once more, at
    most once an hour. Returns whether it is owed now. A last time that lies further ahead than that
    is of a clock that was set back.
    """
    last = invitation.c.refreshed_at
    due = last.is_(None) | (last <= now - REFRESH_EVERY) | (last > now + REFRESH_EVERY)
    done = connection.execute(
        sa.update(invitation)
        .where(
            *_holding(participant_number),
            sa.true() if instance is None else _is_for(instance),
            due,
        )
        .values(again=True, again_because=Occasion.REFRESH, again_instance="", refreshed_at=now)
    )
    return bool(done.rowcount)


def refreshed_at(connection: Connection, participant_number: int) -> datetime | None:
    """When the participant's invitation, or one to a date, was last sent again on request."""
    column = invitation.c.refreshed_at
    query = sa.select(sa.func.max(column, type_=column.type)).where(*_counting(participant_number))
    last: datetime | None = connection.execute(query).scalar_one()
    return last


def _holding(participant_number: int) -> tuple[sa.ColumnElement[bool], ...]:
    """The invitation of a participant that counts, where it holds a REQUEST and nothing new is
    under way to it.
    """
    under_way = sa.exists().where(
        outbox.c.invitation == invitation.c.id,
        outbox.c.state.in_(UNDER_WAY),
        outbox.c.method.in_(PLANNED),
    )
    return (
        *_counting(participant_number),
        invitation.c.sent_method == Method.REQUEST,
        ~under_way,
    )


def answered(
    connection: Connection, participant_number: int, instance: Moment | None
) -> Edition | None:
    """What an answer of the participant, to all of it or to this date, is about by mail: what they
    were last sent of that.
    """
    query = (
        sa.select(edition.c.facts)
        .join(invitation, invitation.c.sent_edition == edition.c.id)
        .where(*_counting(participant_number), _is_for(instance))
        .order_by(invitation.c.date.desc())
        .limit(1)
    )
    facts = connection.execute(query).scalar_one_or_none()
    return codec.parse_edition(facts) if facts is not None else None


def _is_for(instance: Moment | None) -> sa.ColumnElement[bool]:
    """Whether an invitation is to this date, by itself or among others."""
    return invitation.c.date.in_({"", codec.moment(instance)})


def waiting_replies(connection: Connection, numbers: Collection[int]) -> dict[int, list[Reply]]:
    """The answers of these participants that REQUESTs show which wait and were never tried."""
    by_participant = dict[int, list[Reply]]()
    if numbers:
        for row in connection.execute(WAITING, {"numbers": list(numbers)}):
            by_participant.setdefault(row.participant, []).append(Reply(row.reply))
    return by_participant


def holding(
    connection: Connection, participant_number: int, instance: Moment | None = None
) -> Invitation | None:
    """The participant's invitation to this date, or to all of it, that holds a REQUEST at an
    address where mail arrives; None where there is none.
    """
    row = connection.execute(
        sa.select(invitation)
        .where(
            *_counting(participant_number),
            _is_for(instance),
            invitation.c.sent_method == Method.REQUEST,
            ~invitation.c.refused,
        )
        .order_by(invitation.c.date.desc())
    ).first()
    return from_row(row) if row is not None else None


def counting(connection: Connection, participant_number: int) -> Invitation | None:
    """The participant's invitation that counts, whatever became of it; of those to its dates the
    last one.
    """
    row = connection.execute(
        sa.select(invitation)
        .where(*_counting(participant_number))
        .order_by(invitation.c.id.desc())
        .limit(1)
    ).first()
    return from_row(row) if row is not None else None


def by_token(connection: Connection, token: str) -> Invitation | None:
    """The invitation of this token, if it is the one that counts of its participant, and was not
    taken back.
    """
    query = sa.select(invitation).where(
        invitation.c.token == token,
        ~invitation.c.former,
        invitation.c.counts,
        invitation.c.sent_method.is_distinct_from(Method.CANCEL),
    )
    row = connection.execute(query).one_or_none()
    return from_row(row) if row is not None else None


def mark_read(connection: Connection, numbers: Collection[int]) -> None:
    """These participants answer from there: the address that counts is not refused any more, and
    what a report said of its last letter was not so.
    """
    if numbers:
        doubted = connection.execute(DOUBTED, {"numbers": list(numbers)}).scalars().all()
        for number in doubted:
            _mark_read(connection, number)


def _mark_read(connection: Connection, participant_number: int) -> None:
    arrived = _arrived_after_all(connection, participant_number)
    lost = invitation.c.delivery == Delivery.UNDELIVERABLE
    doubted = sa.or_(invitation.c.refused, lost, invitation.c.id.in_(arrived))
    query = sa.select(invitation.c.id, invitation.c.refused)
    every_marked = connection.execute(
        query.where(*_counting(participant_number), doubted)
        .order_by(invitation.c.id)
        .with_for_update()
    ).all()
    delivery = sa.case(
        (lost | invitation.c.id.in_(arrived), Delivery.SENT.value), else_=invitation.c.delivery
    )
    for marked in every_marked:
        is_news = marked.refused or marked.id in arrived
        facts = _last_sent(connection, marked.id) if is_news else {}
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.id == marked.id)
            .values(refused=False, delivery_text="", **facts, delivery=delivery)
        )


def _last_sent(connection: Connection, number: int) -> dict[str, object]:
    """What an invitation holds if its last letter arrived after all; nothing if it was let go."""
    letters = left(connection, [number]).get(number)
    if not letters:
        return {}
    letter = letters[-1]
    if letter.state != LetterState.SENT or letter.method not in PLANNED:
        return {}
    return {
        "sent_edition": letter.edition,
        "sent_method": Method.REQUEST if letter.instance else letter.method,
    }


def _arrived_after_all(connection: Connection, participant_number: int) -> set[int]:
    """Letters that our server took and a report said to have come back for the account's sake
    (`store.refused`): they count as sent again. Returns their invitation, if there is any.
    """
    was_taken = sa.exists().where(attempt.c.letter == outbox.c.id, attempt.c.verdict == "sent")
    counting = sa.select(invitation.c.id).where(*_counting(participant_number))
    refused = outbox.c.state == LetterState.REFUSED
    rows = connection.execute(
        sa.update(outbox)
        .where(outbox.c.invitation.in_(counting), refused, was_taken)
        .values(state=LetterState.SENT, note="")
        .returning(outbox.c.invitation)
    )
    return {row.invitation for row in rows}


def _counting(participant_number: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Of a participant's invitations the one that counts: that of the address at which they are
    invited, or were last. An address that was changed and changed back has the older one again.
    """
    return invitation.c.participant == participant_number, invitation.c.counts


def from_row(row: Any) -> Invitation:
    return Invitation(
        row.id,
        row.participant,
        row.follow_up,
        row.uid,
        row.token,
        row.account,
        row.address,
        row.name,
        row.organizer_address,
        row.bounce_address,
        row.language,
        row.timezone,
        Delivery(row.delivery),
        row.delivery_text,
        row.top_dtstamp,
        codec.parse_moment(row.date),
    )
