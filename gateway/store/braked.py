"""What the brake counts and holds (`actions.brake`): letters with the moment at which the record
was changed, and the answers that such a change took away, for the case that it is put back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import brake
from gateway.model import LetterState, Method, Moment
from gateway.store import codec, invitations, outbox
from gateway.store.schema import follow_up, former_standing, participant, standing
from gateway.store.schema_letters import outbox as letters

VOID = 0
"""Instead of an edition: the invitee was heard since, and what they said before may be wrong."""
CLOSED = -1
"""The same if their answer counted for nothing, because they are not to hold it any more."""
FACTS = [column.name for column in standing.c]


@dataclass(frozen=True, slots=True)
class Braked:
    """A letter that the brake has just held."""

    letter: int
    follow_up: str
    participant: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of standings when a record was put back. `standings`: rows and dates that stand
    again as they stood; `unheard`: the other rows; `closed`: those among them that said something
    which did not count, and have said nothing now.
    """

    standings: list[tuple[int, Moment | None]]
    unheard: set[int]
    closed: set[int]


@dataclass(frozen=True, slots=True)
class Summary:
    """All letters that the brake holds. `since`: when the oldest of their changes was made."""

    letters: int
    follow_ups: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """What one program or person changed of what the brake holds. `by`: who, "" where nobody says.
    `first`, `last`: when the changes were made.
    """

    by: str
    method: Method
    letters: int
    follow_ups: int
    first: datetime | None
    last: datetime | None


def take_turns(connection: Connection) -> None:
    """One gateway counts at a time, until its transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7404)"))


def count(connection: Connection, numbers: Collection[int], at: datetime) -> None:
    """These letters count, by when their record was changed."""
    if numbers:
        connection.execute(
            sa.update(letters).where(letters.c.id.in_(numbers)).values(changed_at=at)
        )


def changes(connection: Connection, first: datetime, last: datetime) -> list[tuple[str, datetime]]:
    """Follow-ups that owe, or owed, letters that count, and when each was changed."""
    never_sent = (LetterState.SUPERSEDED, LetterState.DROPPED)
    query = sa.select(letters.c.follow_up, letters.c.changed_at).where(
        _is_changed(first, last), letters.c.state.not_in(never_sent)
    )
    return [(row.follow_up, row.changed_at) for row in connection.execute(query.distinct())]


def _is_changed(first: datetime, last: datetime) -> sa.ColumnElement[bool]:
    """Whether a letter is of a change between these times."""
    changed = letters.c.changed_at
    return sa.and_(
        changed >= sa.literal(first, changed.type), changed <= sa.literal(last, changed.type)
    )


def hold(
    connection: Connection, caught: Collection[tuple[str, datetime]], now: datetime
) -> list[Braked]:
    """Hold the letters of these changes that have not left. What another transaction has locked is
    being sent, or planned, which ends here too.
    """
    times = [at for _, at in caught]
    columns = ("id", "follow_up", "participant", "invitation", "changed_at")
    waiting = sa.select(*(letters.c[name] for name in columns)).where(
        letters.c.state == LetterState.WAITING, _is_changed(min(times), max(times))
    )
    rows = [row for row in connection.execute(waiting) if (row.follow_up, row.changed_at) in caught]
    free = invitations.lock(connection, {row.invitation for row in rows}, wait=False)
    unlocked = {
        row.id: Braked(row.id, row.follow_up, row.participant)
        for row in rows
        if row.invitation in free
    }
    held_numbers = outbox.change(
        connection, list(unlocked), (LetterState.WAITING,), LetterState.HELD, brake.REASON, now
    )
    return [unlocked[number] for number in held_numbers]


def held(connection: Connection, numbers: Collection[int]) -> set[int]:
    """The invitations of those among the letters that the brake holds."""
    if not numbers:
        return set()
    query = sa.select(letters.c.invitation).where(letters.c.id.in_(numbers), is_braked())
    return set(connection.execute(query).scalars())


def summary(connection: Connection) -> Summary | None:
    """What the brake holds; None where that is nothing."""
    since = sa.func.min(letters.c.changed_at, type_=letters.c.changed_at.type)
    number, follow_ups, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.count(sa.distinct(letters.c.follow_up)), since).where(
            is_braked()
        )
    ).one()
    return Summary(number, follow_ups, oldest) if number else None


def by_author(connection: Connection) -> list[Change]:
    """What the brake holds, by who changed it and how, the most first."""
    number = sa.func.count()
    at = letters.c.changed_at
    by = sa.func.coalesce(follow_up.c.changed_by, "")
    columns = (
        by,
        letters.c.method,
        number.label("letters"),
        sa.func.count(sa.distinct(letters.c.follow_up)),
        sa.func.min(at, type_=at.type),
        sa.func.max(at, type_=at.type),
    )
    query = (
        sa.select(*columns)
        .select_from(letters)
        .outerjoin(follow_up, follow_up.c.key == letters.c.follow_up)
        .where(is_braked())
        .group_by(by, letters.c.method)
        .order_by(number.desc(), by, letters.c.method)
    )
    return [
        Change(author, Method(method), *counted)
        for author, method, *counted in connection.execute(query)
    ]


def is_braked() -> sa.ColumnElement[bool]:
    """Whether the brake holds a letter."""
    # Written out, not bound: else no database sees that the partial index holds the rows.
    state: sa.ColumnElement[str] = sa.literal_column(f"'{LetterState.HELD.value}'")
    return (letters.c.state == state) & (letters.c.note == brake.REASON)


def keep_former(
    connection: Connection,
    names: Collection[tuple[int, Moment | None]],
    edition: int | None,
    standings: Sequence[Any] | None = None,
) -> None:
    """Remember standings, by participant and date, as they are before a change takes them away,
    except where earlier ones are remembered. `edition`: the one that they were given to;
    `standings`: their rows, where the caller has them and nothing is remembered yet.
    """
    remembered_names = {(number, codec.moment(instance)) for number, instance in names}
    numbers = sorted({number for number, _ in remembered_names})
    if standings is None:
        remembered_names -= _remembered(connection, numbers)
    if not remembered_names:
        return
    rows = _standings(connection, numbers) if standings is None else standings
    there = {(row.participant, row.instance): _facts(row) for row in rows}
    of_edition = edition or VOID
    present = [
        {**there[name], "edition": of_edition, "absent": False}
        for name in sorted(remembered_names & there.keys())
    ]
    absent = [
        {"participant": number, "instance": instance, "edition": of_edition, "absent": True}
        for number, instance in sorted(remembered_names - there.keys())
    ]
    for new_rows in (present, absent):
        if new_rows:
            connection.execute(sa.insert(former_standing), new_rows)


def _remembered(connection: Connection, numbers: Sequence[int]) -> set[tuple[int, str]]:
    columns = former_standing.c.participant, former_standing.c.instance
    query = sa.select(*columns).where(former_standing.c.participant.in_(numbers))
    return {(row.participant, row.instance) for row in connection.execute(query)}


def _standings(connection: Connection, numbers: Sequence[int]) -> Sequence[Any]:
    return connection.execute(sa.select(standing).where(standing.c.participant.in_(numbers))).all()


def _facts(row: Any) -> dict[str, Any]:
    return {name: row._mapping[name] for name in FACTS}


def void(connection: Connection, numbers: Collection[int]) -> None:
    """Something was heard of these participants: what they said before is not to come back."""
    if numbers:
        connection.execute(
            sa.update(former_standing)
            .where(former_standing.c.participant.in_(numbers))
            .values(edition=VOID)
        )


def close(connection: Connection, numbers: Collection[int]) -> None:
    """These participants answered what was taken back or cancelled. Whether they know of that is
    another matter where the brake holds the letter.
    """
    if not numbers:
        return
    former = former_standing.c
    connection.execute(
        sa.update(former_standing).where(former.participant.in_(numbers)).values(edition=CLOSED)
    )
    is_held = sa.exists().where(letters.c.participant == participant.c.id, is_braked())
    is_kept = sa.exists().where(former.participant == participant.c.id)
    marker = sa.select(participant.c.id, sa.literal(CLOSED), sa.true()).where(
        participant.c.id.in_(numbers), is_held, ~is_kept
    )
    connection.execute(
        sa.insert(former_standing).from_select(["participant", "edition", "absent"], marker)
    )


def forget(connection: Connection, key: str) -> None:
    """The change stands: nothing of a follow-up is to be put back."""
    connection.execute(
        sa.delete(former_standing).where(former_standing.c.participant.in_(_rows(key)))
    )


def remembering(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these follow-ups whose answers are remembered and could be put back."""
    query = (
        sa.select(participant.c.follow_up)
        .join(former_standing, former_standing.c.participant == participant.c.id)
        .where(participant.c.follow_up.in_(keys))
    )
    return set(connection.execute(query.distinct()).scalars())


def restore(connection: Connection, key: str, edition: int) -> Restored:
    """Let everybody stand again where they stood at this edition."""
    rows = connection.execute(
        sa.select(former_standing)
        .where(former_standing.c.participant.in_(_rows(key)))
        .order_by(former_standing.c.participant, former_standing.c.instance)
    ).all()
    unheard = {row.participant for row in rows if row.edition != edition}
    fit = [row for row in rows if row.participant not in unheard]
    for row in fit:
        connection.execute(
            sa.delete(standing).where(
                standing.c.participant == row.participant, standing.c.instance == row.instance
            )
        )
        if not row.absent:
            facts = {name: row._mapping[name] for name in FACTS}
            connection.execute(sa.insert(standing).values(facts))
    closed = {row.participant for row in rows if row.edition == CLOSED}
    connection.execute(sa.delete(standing).where(standing.c.participant.in_(closed)))
    forget(connection, key)
    restored = [(row.participant, codec.parse_moment(row.instance)) for row in fit]
    return Restored(restored, unheard, closed)


def _rows(key: str) -> sa.Select[tuple[int]]:
    return sa.select(participant.c.id).where(participant.c.follow_up == key)
