"""Who holds what: editions of follow-ups, and per participant and address the token and what it was
last sent.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.itip import facts, owing
from gateway.mail import address as addresses
from gateway.model import (
    PLANNED,
    Delivery,
    Edition,
    LetterState,
    Method,
    Moment,
    Occasion,
    Remarks,
    Reply,
)
from gateway.store import codec, doubts
from gateway.store.schema import attempt, edition, follow_up, invitation, outbox, participant

REPLACEABLE = (LetterState.WAITING, LetterState.HELD)
UNDER_WAY = (*REPLACEABLE, LetterState.SENDING)
REFRESH_EVERY = timedelta(hours=1)
"""How often a REFRESH of one row is answered (itip.md §4)."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """One participant at one address, for life: account, ORGANIZER address and token never
    change.

    bounce_address: the envelope sender of the last letter, "" before the first one from here.
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


def keep_edition(
    connection: Connection, follow_up: str, value: Edition, last: int | None, at: datetime
) -> int:
    """The number of this edition: that of the last one where nothing differs, else of a new one."""
    facts = codec.edition(value)
    if (
        last is not None
        and connection.execute(
            sa.select(edition.c.facts).where(edition.c.id == last)
        ).scalar_one_or_none()
        == facts
    ):
        return last
    made: int = connection.execute(
        sa.insert(edition)
        .values(follow_up=follow_up, facts=facts, created_at=at)
        .returning(edition.c.id)
    ).scalar_one()
    return made


def editions(connection: Connection, numbers: Iterable[int | None]) -> dict[int | None, Edition]:
    """Editions by number."""
    wanted = {number for number in numbers if number is not None}
    rows = connection.execute(
        sa.select(edition.c.id, edition.c.facts).where(edition.c.id.in_(wanted))
    )
    return {row.id: codec.parse_edition(row.facts) for row in rows}


def create(connection: Connection, made: Invitation, at: datetime) -> int:
    """A new invitation, which counts from now on; its `id` is ignored. Returns the number."""
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.participant == made.participant)
        .values(counts=False)
    )
    number: int = connection.execute(
        sa.insert(invitation)
        .values(
            participant=made.participant,
            follow_up=made.follow_up,
            uid=made.uid,
            token=made.token,
            account=made.account,
            address=made.address,
            name=made.name,
            organizer_address=made.organizer_address,
            bounce_address=made.bounce_address,
            language=made.language,
            timezone=made.timezone,
            created_at=at,
        )
        .returning(invitation.c.id)
    ).scalar_one()
    return number


def first(connection: Connection) -> datetime | None:
    """When the first invitation of this store was made, None where there is none."""
    made: datetime | None = connection.execute(
        sa.select(sa.func.min(invitation.c.created_at))
    ).scalar_one()
    return made


def count(connection: Connection, participants: Mapping[int, int]) -> None:
    """Of the invitations of these participants these count from now on (participant → invitation):
    at the address that he has now.
    """
    for participant_number, number in participants.items():
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.participant == participant_number)
            .values(counts=invitation.c.id == number)
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
    renamed = (follow_up.c.uid == invitation.c.uid).label("renamed")
    query = (
        sa.select(invitation.c.id, invitation.c.participant, participant.c.follow_up, renamed)
        .join(participant, participant.c.id == invitation.c.participant)
        .join(follow_up, follow_up.c.key == participant.c.follow_up)
        .where(participant.c.follow_up != invitation.c.follow_up)
    )
    # Two queries, each with an index to go by: no database finds one for both at once.
    away = sorted(
        (
            row
            for this in (invitation.c.follow_up == key, participant.c.follow_up == key)
            for row in connection.execute(query.where(this))
        ),
        key=lambda row: row.id,
    )
    for row in away:
        if row.renamed:
            connection.execute(
                sa.update(invitation)
                .where(invitation.c.id == row.id)
                .values(follow_up=row.follow_up)
            )
            connection.execute(
                sa.update(outbox)
                .where(outbox.c.invitation == row.id)
                .values(follow_up=row.follow_up)
            )
    return {row.participant for row in away if not row.renamed and row.follow_up == key}


def copies(connection: Connection, key: str) -> tuple[list[owing.Copy], dict[Edition, int]]:
    """Every invitation ever made for a follow-up, with what it holds and what waits for it; and the
    editions' numbers.
    """
    rows = connection.execute(
        sa.select(invitation)
        .where(  # locked first: a letter that is being claimed counts as sent
            invitation.c.follow_up == key
        )
        .order_by(invitation.c.id)
        .with_for_update()
    ).all()
    waiting = connection.execute(
        sa.select(outbox)
        .where(
            outbox.c.follow_up == key, outbox.c.state.in_(REPLACEABLE), outbox.c.method.in_(PLANNED)
        )
        .order_by(outbox.c.id)
        .with_for_update()
    ).all()
    returned = sa.exists().where(
        outbox.c.invitation == invitation.c.id, outbox.c.state == LetterState.REFUSED
    )
    left = _left(
        connection,
        sa.select(invitation.c.id).where(
            invitation.c.follow_up == key,
            sa.or_(invitation.c.refused, returned, invitation.c.doubts != ""),
        ),
    )
    leaving = {number for number, letters in left.items() if _may_arrive(letters[-1])}
    doubted = {row.id: _doubted(row, left.get(row.id, ())) for row in rows if row.doubts}
    untold = {row.id: letters for row in rows if (letters := _untold(row, left.get(row.id, ())))}
    known = editions(
        connection,
        [
            number
            for row in (*waiting, *(letter for run in untold.values() for letter, _ in run))
            for number in (row.edition, row.before)
        ]
        + [row.sent_edition for row in rows]
        + [one.edition for held in doubted.values() for one in held],
    )
    queued: dict[int, list[owing.Queued]] = {}
    for row in waiting:
        queued.setdefault(row.invitation, []).append(
            owing.Queued(
                row.id,
                Method(row.method),
                known[row.edition],
                known.get(row.before),
                row.tries,
                codec.parse_moment(row.instance),
                Reply(row.reply),
                row.sequence,
            )
        )
    found = [
        owing.Copy(
            row.id,
            row.participant,
            row.address,
            Method(row.sent_method) if row.sent_method else None,
            known.get(row.sent_edition),
            -1 if row.top_sequence is None else row.top_sequence,
            row.top_dtstamp,
            row.refused and row.id not in leaving,
            row.again,
            tuple(queued.get(row.id, ())),
            Occasion(row.again_because or Occasion.PLANNED),
            codec.parse_moment(row.again_instance),
            counts=row.counts,
            deferred=codec.parse_effect(row.deferred),
            doubts=tuple(
                owing.Doubt(one.method, known.get(one.edition)) for one in doubted.get(row.id, ())
            ),
        )
        for row in rows
    ]
    found = [
        _without(one, untold[one.invitation], known) if one.invitation in untold else _kept(one)
        for one in found
    ]
    return found, {value: number for number, value in known.items() if number is not None}


def _left(
    connection: Connection, numbers: Sequence[int] | sa.Select[tuple[int]]
) -> dict[int, list[Any]]:
    """The letters of these invitations that left, may have left or are leaving, oldest first."""
    states = (LetterState.SENT, LetterState.REFUSED, LetterState.SENDING)
    found: dict[int, list[Any]] = {}
    for row in connection.execute(
        sa.select(outbox)
        .where(
            outbox.c.invitation.in_(numbers),
            outbox.c.state.in_(states) | outbox.c.doubtful,
            outbox.c.method != Method.NONE,
        )
        .order_by(outbox.c.id)
    ):
        found.setdefault(row.invitation, []).append(row)
    return found


def _may_arrive(letter: Any) -> bool:
    """Whether nobody has said of a letter that it was refused, and it may have left."""
    return letter.method in PLANNED and (
        letter.state == LetterState.SENDING
        or (letter.doubtful and letter.state not in (LetterState.SENT, LetterState.REFUSED))
    )


def _is_open(letter: Any) -> bool:
    """Whether a letter that counts as sent is on its way, or will be repeated."""
    return letter.method in PLANNED and (
        letter.state == LetterState.SENDING or (letter.state in REPLACEABLE and letter.doubtful)
    )


def _doubted(held: Any, letters: Sequence[Any]) -> list[doubts.Held]:
    """What he may hold beside what his invitation counts as sent. While the newest letter is on its
    way, or will be repeated, it decides; nothing else is owed for the doubt.
    """
    planned = [one for one in letters if one.method in PLANNED]
    may = doubts.read(held.doubts)
    if not planned or _is_open(planned[-1]):
        return []
    if planned[-1].state != LetterState.REFUSED:
        return may
    if planned[-1].doubtful:
        return [doubts.Held(held.sent_edition, Method(held.sent_method)), *may]
    return may if len(may) > 1 else []  # one alone is what he certainly holds


def _kept(copy: owing.Copy) -> owing.Copy:
    """Of somebody from whom one date was taken back: the other that he holds, or may hold."""
    if copy.method is not Method.CANCEL or copy.edition is None:
        return copy
    for doubt in copy.doubts:
        if doubt.method is Method.REQUEST and doubt.edition is not None:
            if _entry(doubt.edition) == _entry(copy.edition):
                return copy
            others = tuple(one for one in copy.doubts if one is not doubt)
            return replace(copy, method=doubt.method, edition=doubt.edition, doubts=others)
    return copy


_Told = tuple[Any, bool]
"""A letter, and whether it arrived, as far as we know."""


def _untold(held: Any, letters: Sequence[Any]) -> list[_Told]:
    """The letters from the first one that did not arrive, where nothing told all of it since.
    `held`: the row of the invitation, of which nothing else may have been written since the last of
    them.
    """
    planned = [one for one in letters if one.method in PLANNED]
    if not planned or planned[-1].edition != held.sent_edition:
        return []
    run, last = list[_Told](), letters[-1]
    for one in planned:
        # A report says that the last one did not arrive, and nobody can tell it from those about
        # other dates that left with it.
        together = one is last or (
            one.instance and last.instance and one.created_at == last.created_at
        )
        bounced = held.refused and last.state == LetterState.SENT and together
        if one.state != LetterState.REFUSED and not bounced:
            run = [*run, (one, True)] if run and one.instance else []
        else:
            run = [*run, (one, False)] if run and not _takes_back(run[-1][0]) else [(one, False)]
    return run


def _takes_back(letter: Any) -> bool:
    return bool(letter.method == Method.CANCEL and not letter.instance)


def _without(
    copy: owing.Copy, run: Sequence[_Told], known: Mapping[int | None, Edition]
) -> owing.Copy:
    """The copy as it is without those of its last letters that did not arrive."""
    last, arrived = run[-1]
    dates = [
        (codec.parse_moment(letter.instance), known[letter.edition]) for letter, told in run if told
    ]
    held = owing.with_dates(known.get(run[0][0].before), dates)
    if arrived and not owing.lacks(held, known[last.edition]):
        return copy  # what did not arrive was told again
    if _takes_back(last):
        return replace(copy, edition=held)  # he was not told, and is invited anew if he is again
    return replace(copy, edition=held, method=held_by(held), tried=known[last.edition])


def held_by(edition: Edition | None) -> Method | None:
    """By which method an invitee holds what he was last sent: a letter that reinstates goes out
    after a CANCEL.
    """
    if edition is None:
        return None
    return Method.CANCEL if edition.cancelled else Method.REQUEST


def may_hold(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """The column `doubts` of these invitations."""
    query = sa.select(invitation.c.id, invitation.c.doubts).where(
        invitation.c.id.in_(set(numbers)), invitation.c.doubts != ""
    )
    return {row.id: row.doubts for row in connection.execute(query)}


def settled(
    connection: Connection, letter: Any, arrived: bool | None, text: str, at: datetime
) -> dict[str, object]:
    """What the invitation of a REQUEST or CANCEL says he holds, or may hold, now that the letter's
    try has ended. `letter`: its row as it is now; `arrived`: as `outbox.Settlement` has it; `text`:
    what the invitation has as `doubts`.
    """
    held = doubts.read(text)
    if arrived and letter.instance:
        return {"doubts": doubts.write(_with_date(connection, letter, held[1:], at))}
    if arrived:
        return {"doubts": doubts.write(_of_others(connection, letter, held)), "deferred": ""}
    if letter.doubtful:
        return {}
    if letter.state == LetterState.REFUSED:
        return {"doubts": doubts.NOT_ARRIVED + text}
    return taken_back(connection, letter, held)


def _of_others(
    connection: Connection, letter: Any, held: Sequence[doubts.Held]
) -> list[doubts.Held]:
    """What he may hold besides: entries of his calendar that a letter says nothing of, because it
    is about another date.
    """
    others = [
        one
        for one in dict.fromkeys(held)
        if one.method is Method.REQUEST and one.edition != letter.before
    ]
    if not others:
        return []
    known = editions(connection, [letter.edition, *(one.edition for one in others)])
    about = _entry(known[letter.edition])
    return [one for one in others if _entry(known[one.edition]) != about]


def _entry(value: Edition) -> tuple[str, Moment | None]:
    return value.uid, value.recurrence_id


def taken_back(
    connection: Connection, letter: Any, held: Sequence[doubts.Held]
) -> dict[str, object]:
    """What the invitation says again: this letter certainly did not arrive. `held`: what he held,
    or may have held, before it.
    """
    if not held:
        edition = editions(connection, [letter.before]).get(letter.before)
        return {"sent_edition": letter.before, "sent_method": held_by(edition), "doubts": ""}
    return {
        "sent_edition": held[0].edition,
        "sent_method": held[0].method,
        "doubts": doubts.write(held[1:]),
    }


def back_before(connection: Connection, letter: Any) -> dict[str, object]:
    """What the invitation of a letter says that was refused and waits again."""
    if letter.doubtful:
        return {}
    text = connection.execute(
        sa.select(invitation.c.doubts).where(invitation.c.id == letter.invitation)
    ).scalar_one()
    held = doubts.read(text)
    if held and not text.startswith(doubts.NOT_ARRIVED):
        return {}  # of several letters that wait again the newest has told it
    return taken_back(connection, letter, held)


def _with_date(
    connection: Connection, letter: Any, held: Sequence[doubts.Held], at: datetime
) -> list[doubts.Held]:
    """What he may hold after a letter about one date has arrived; nothing that is as it says."""
    known = editions(connection, [letter.edition, *(one.edition for one in held)])
    date, told = codec.parse_moment(letter.instance), known[letter.edition]
    kept = list[doubts.Held]()
    for one in held:
        edition = known.get(one.edition) if one.method is Method.REQUEST else None
        if edition is None or edition.recurrence is None:
            kept.append(one)
        elif owing.lacks(after := owing.with_dates(edition, [(date, told)]), told):
            assert after is not None
            number = keep_edition(connection, letter.follow_up, after, None, at)
            kept.append(doubts.Held(number, one.method))
    return kept


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
    that are locked; without `wait`, others' are left out. Whoever writes letters and invitations
    locks the invitations first.
    """
    wanted = set(numbers)
    if connection.dialect.name == "sqlite":
        return wanted  # one writer at a time
    query = (
        sa.select(invitation.c.id)
        .where(invitation.c.id.in_(wanted))
        .order_by(sa.collate(invitation.c.follow_up, "C"), invitation.c.id)
        .with_for_update(skip_locked=not wait)
    )
    return set(connection.execute(query).scalars())


def accounts_of(connection: Connection, key: str) -> list[str]:
    """The accounts that a follow-up's invitations were sent from, the first one first."""
    rows = connection.execute(
        sa.select(invitation.c.account)
        .where(invitation.c.follow_up == key)
        .order_by(invitation.c.id)
    )
    return list(dict.fromkeys(rows.scalars()))


def accounts_named(connection: Connection) -> set[str]:
    """Every account that an invitation was ever made for: from one name to the next in the index,
    not row by row.
    """
    found, query = set[str](), sa.select(sa.func.min(invitation.c.account))
    name = connection.execute(query).scalar_one()
    while name is not None:
        found.add(name)
        name = connection.execute(query.where(invitation.c.account > name)).scalar_one()
    return found


def standing(connection: Connection, account: str) -> Iterator[tuple[str, Edition]]:
    """Follow-ups to which somebody holds an invitation from this account, with what he was last
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


def uid_taken(connection: Connection, uid: str) -> bool:
    """Whether anybody was ever invited under this UID, or a follow-up has it: one that is called by
    another key now, too.
    """
    used = sa.select(invitation.c.id).where(invitation.c.uid == uid).exists()
    present = sa.select(follow_up.c.key).where(follow_up.c.uid == uid).exists()
    return bool(connection.execute(sa.select(sa.or_(used, present))).scalar_one())


def token_taken(connection: Connection, value: str) -> bool:
    return (
        connection.execute(sa.select(invitation.c.id).where(invitation.c.token == value)).first()
        is not None
    )


def of_address(connection: Connection, number: int, address: str, uid: str) -> Invitation | None:
    """The invitation of a participant at an address: removed and added again is the same row and
    token.
    """
    rows = connection.execute(
        sa.select(invitation).where(invitation.c.participant == number, invitation.c.uid == uid)
    )
    wanted = addresses.key(address)
    return next((from_row(row) for row in rows if addresses.key(row.address) == wanted), None)


def deliveries(
    connection: Connection, participants: Sequence[int] | None
) -> Mapping[int, Invitation]:
    """The invitation of each participant that counts."""
    query = sa.select(invitation).where(invitation.c.counts).order_by(invitation.c.id)
    if participants is not None:
        query = query.where(invitation.c.participant.in_(participants))
    return {row.participant: from_row(row) for row in connection.execute(query)}


def ask_again(
    connection: Connection, participant_number: int, instance: Moment | None, sequence: int
) -> bool:
    """He answered an old time, of one date or of all: owe the REQUEST of that once more, once per
    SEQUENCE. Returns whether it is owed now.

    `sequence`: of what he answers, as last sent to him. A letter that is under way anyway asks him
    already.
    """
    asked = sa.exists().where(
        outbox.c.invitation == invitation.c.id,
        sa.or_(
            (outbox.c.instance == codec.moment(instance)) & (outbox.c.sequence == sequence),
            (outbox.c.instance == "") & (outbox.c.edition == invitation.c.sent_edition),
        ),
        outbox.c.remarks.contains(
            codec.remarks(Remarks(Occasion.OLD_ANSWER)).strip("{}"), autoescape=True
        ),
        outbox.c.state != LetterState.SUPERSEDED,
    )
    # Another date as well: then all of it is sent.
    about = sa.case(
        (invitation.c.again & (invitation.c.again_instance != codec.moment(instance)), ""),
        else_=codec.moment(instance),
    )
    done = connection.execute(
        sa.update(invitation)
        .where(*_holding(participant_number), ~asked)
        .values(again=True, again_because=Occasion.OLD_ANSWER, again_instance=about)
    )
    return bool(done.rowcount)


def defer(connection: Connection, answer: facts.Effect) -> None:
    """Keep an answer to what the invitee holds while a move of it waits; the newest one."""
    row = connection.execute(
        sa.select(invitation.c.id, invitation.c.deferred).where(*_counting(answer.participant))
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


def forget_deferred(connection: Connection, numbers: Iterable[int]) -> None:
    """Answers that were deferred and count now."""
    connection.execute(
        sa.update(invitation).where(invitation.c.id.in_(list(numbers))).values(deferred="")
    )


def refresh(connection: Connection, participant_number: int, now: datetime) -> bool:
    """He asked for his invitation: owe the REQUEST once more, at most once an hour. Returns whether
    it is owed now.
    """
    done = connection.execute(
        sa.update(invitation)
        .where(
            *_holding(participant_number),
            sa.or_(
                invitation.c.refreshed_at.is_(None),
                invitation.c.refreshed_at <= now - REFRESH_EVERY,
            ),
        )
        .values(again=True, again_because=Occasion.REFRESH, again_instance="", refreshed_at=now)
    )
    return bool(done.rowcount)


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


def waiting_shows_other(connection: Connection, participant_number: int, reply: Reply) -> bool:
    """Whether a REQUEST waits for this row, never tried, that shows another answer than this as
    his.
    """
    query = sa.select(outbox.c.id).where(
        outbox.c.participant == participant_number,
        outbox.c.method == Method.REQUEST,
        # Written out, not bound: else no database sees that a partial index holds the rows.
        outbox.c.state == sa.literal_column(f"'{LetterState.WAITING.value}'"),
        outbox.c.tries == 0,
        outbox.c.reply != reply,
    )
    return connection.execute(query.limit(1)).first() is not None


def holding(connection: Connection, participant_number: int) -> Invitation | None:
    """The participant's invitation that holds a REQUEST at an address where mail arrives; None
    where there is none.
    """
    row = connection.execute(
        sa.select(invitation).where(
            *_counting(participant_number),
            invitation.c.sent_method == Method.REQUEST,
            ~invitation.c.refused,
        )
    ).one_or_none()
    return from_row(row) if row is not None else None


def counting(connection: Connection, participant_number: int) -> Invitation | None:
    """The participant's invitation that counts, whatever became of it."""
    row = connection.execute(
        sa.select(invitation).where(*_counting(participant_number))
    ).one_or_none()
    return from_row(row) if row is not None else None


def reported(
    connection: Connection, participant_number: int, recipients: Iterable[str]
) -> Invitation | None:
    """The invitation of a participant that a delivery report is about: at the address that it
    names, else the one that counts.
    """
    rows = connection.execute(
        sa.select(invitation)
        .where(invitation.c.participant == participant_number)
        .order_by(invitation.c.counts.desc(), invitation.c.id.desc())
    ).all()
    named = tuple(recipients)
    row = next((row for row in rows if addresses.among(row.address, named)), None)
    row = row or next(iter(rows), None)
    return from_row(row) if row is not None else None


def mark_reported(
    connection: Connection,
    participant_number: int,
    recipients: Iterable[str],
    delivery: Delivery,
    text: str,
) -> None:
    """What a delivery report says of a participant's letter: at the address that it names, else at
    the one that counts.

    An address that is said to refuse mail is marked `refused` and gets no CANCEL (itip.md §3). A
    report of delay is no news of an address that has refused since, nor of one whose letter
    arrived.
    """
    about = reported(connection, participant_number, recipients)
    wanted = [invitation.c.id == (about.id if about is not None else None)]
    if delivery is Delivery.DEFERRED:
        wanted.append(invitation.c.delivery.in_((Delivery.SENT, Delivery.DEFERRED)))
    connection.execute(
        sa.update(invitation)
        .where(*wanted)
        .values(delivery=delivery, delivery_text=text, refused=delivery is Delivery.UNDELIVERABLE)
    )


def mark_read(connection: Connection, participant_number: int) -> None:
    """Somebody answers from there: the address that counts is not refused any more, and what
    a report said of its last letter was not so.
    """
    arrived = _arrived_after_all(connection, participant_number)
    marked = connection.execute(
        sa.select(invitation.c.id, invitation.c.refused)
        .where(
            *_counting(participant_number),
            sa.or_(
                invitation.c.refused,
                invitation.c.delivery == Delivery.UNDELIVERABLE,
                invitation.c.id.in_(arrived),
            ),
        )
        .with_for_update()
    ).one_or_none()
    if marked is None:
        return
    facts: dict[str, object] = {}
    if (marked.refused or arrived) and (letters := _left(connection, [marked.id])):
        letter = letters[marked.id][-1]
        if letter.state == LetterState.SENT and letter.method in PLANNED:  # it may have been let go
            facts = {
                "sent_edition": letter.edition,
                "sent_method": Method.REQUEST if letter.instance else letter.method,
            }
    connection.execute(
        sa.update(invitation)
        .where(invitation.c.id == marked.id)
        .values(
            refused=False,
            delivery_text="",
            **facts,
            delivery=sa.case(
                (
                    (invitation.c.delivery == Delivery.UNDELIVERABLE)
                    | invitation.c.id.in_(arrived),
                    Delivery.SENT.value,
                ),
                else_=invitation.c.delivery,
            ),
        )
    )


def _arrived_after_all(connection: Connection, participant_number: int) -> set[int]:
    """Letters that our server took and a report said to have come back for the account's sake
    (`store.refused`): they count as sent again. Returns their invitation, if there is any.
    """
    taken = sa.exists().where(attempt.c.letter == outbox.c.id, attempt.c.verdict == "sent")
    rows = connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.invitation.in_(
                sa.select(invitation.c.id).where(*_counting(participant_number))
            ),
            outbox.c.state == LetterState.REFUSED,
            taken,
        )
        .values(state=LetterState.SENT, note="")
        .returning(outbox.c.invitation)
    )
    return {row.invitation for row in rows}


def _counting(participant_number: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Of a participant's invitations the one that counts: that of the address at which he is
    invited, or was last. An address that was changed and changed back has the older one again.
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
    )
