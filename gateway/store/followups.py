"""Participants of follow-ups as the planner and the page need them, and what planning keeps of
both; what follow-ups say is `stated`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import status
from gateway.invite import plan
from gateway.mail import syntax
from gateway.model import (
    Channel,
    Moment,
    Progress,
    Reply,
    Role,
    Standing,
)
from gateway.store import chunks, codec, columns, engine, faults, timing, upsert
from gateway.store.schema import (
    INVITEE,
    associate,
    follow_up,
    follow_up_date,
    participant,
    person,
    person_email,
    resource,
    standing,
)
from gateway.store.schema_letters import invitation

_ASSIGNER = associate.alias()
_MEMBERS = (
    sa.select(
        participant,
        follow_up.c.owner,
        follow_up.c.assigned_by,
        follow_up.c.cancelled,
        follow_up.c.all_day,
        follow_up.c.timezone,
        person.c.name.label("person_name"),
        person.c.language.label("person_language"),
        person.c.timezone.label("person_zone"),
        associate.c.name.label("associate_name"),
        associate.c.email.label("associate_email"),
        associate.c.language.label("associate_language"),
        associate.c.timezone.label("associate_zone"),
        _ASSIGNER.c.name.label("assigner_name"),
        resource.c.name.label("resource_name"),
    )
    .join(follow_up, follow_up.c.key == participant.c.follow_up)
    .join(person, person.c.key == participant.c.person, isouter=True)
    .join(associate, associate.c.key == participant.c.associate, isouter=True)
    .join(_ASSIGNER, _ASSIGNER.c.key == follow_up.c.assigned_by, isouter=True)
    .join(resource, resource.c.key == participant.c.resource, isouter=True)
    .order_by(participant.c.follow_up, participant.c.id)
)
_ADDRESSES = sa.select(person_email).order_by(person_email.c.person, person_email.c.position)
_LOCK_ALL = sa.text(
    "SELECT pg_advisory_xact_lock(hashtextextended(key, 7403)) FROM"
    " unnest(CAST(:keys AS text[])) WITH ORDINALITY AS one (key, place) ORDER BY place"
)
"""Sorted first, then locked one by one."""
_LOCK_FREE = sa.text(
    "SELECT key FROM unnest(CAST(:keys AS text[])) AS one (key)"
    " WHERE pg_try_advisory_xact_lock(hashtextextended(key, 7403))"
)
_ROW = participant.c.id == sa.bindparam("number")
_WRITE_CODE = sa.update(participant).where(_ROW).values(code=sa.bindparam("status"))
_ANNOTATE = sa.update(participant).where(_ROW).values(note=sa.bindparam("words"))
_DROP_STANDING = sa.delete(standing).where(
    standing.c.participant == sa.bindparam("of"),
    standing.c.instance == sa.bindparam("date"),
)


_FACTS = [field.name for field in fields(Standing)]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose follow-up it is. `address` may be "" or none that mail can go to; `group` is their user
    group.
    """

    key: str
    group: str
    name: str
    address: str
    language: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Member:
    """A participant row with the name and the addresses of the invitee it stands for, the preferred
    address first.

    `who`: kind and key of the invitee, or their bare address in lower case; it outlives the row.
    `planned_for`: the same when the row was planned last, "" before that. `date`: the one date of
    the follow-up that it is for; None: all of it. `assigner`: the name of who assigned it to them.
    `fault`: what of it, or of the invitee, cannot be read. `announced`: the journal says that it
    takes part.
    """

    id: int
    follow_up: str
    key: str
    role: Role
    name: str
    addresses: tuple[str, ...]
    language: str
    timezone: str
    email_invite: bool
    removed: bool
    set_status: int | None
    given_token: str | None
    code: int | None
    note: str
    conflict: bool
    standings: Mapping[Moment | None, Standing]
    date: Moment | None = None
    assigner: str = ""
    who: str = ""
    fault: str = ""
    planned_for: str = ""
    announced: bool = False

    @property
    def address(self) -> str:
        """Where mail goes: the first address that is one, else ""."""
        return next((address for address in self.addresses if not syntax.problem(address)), "")

    @property
    def shown_note(self) -> str:
        """Why no letter is owed, whether or not the planner has been there."""
        return f"{plan.UNREADABLE}{self.fault}" if self.fault else self.note

    @property
    def is_associate(self) -> bool:
        """Whether the row stands for somebody of the house."""
        return self.who.startswith("associate:")

    def stands(self, cancelled: bool, dates: Mapping[Moment, bool]) -> Standing:
        """What is shown of it. `cancelled`: the follow-up is; `dates`: its `timing.changed`. What
        was cancelled a moment ago is so for everybody, whether or not the planner has been there.
        """
        series = self.standings[None]
        is_cancelled = cancelled or (self.date is not None and dates.get(self.date, False))
        return replace(series, cancelled=series.cancelled or is_cancelled)

    def stands_by_date(
        self, cancelled: bool, dates: Mapping[Moment, bool]
    ) -> Iterator[tuple[Moment, Standing]]:
        """The same of each date that differs, in their order; one without an answer of its own has
        the series'.
        """
        if self.date is not None:
            return
        own = {moment for moment in self.standings if moment is not None}
        for moment in sorted(own | dates.keys(), key=codec.moment):
            standing = self.standings.get(moment, self.standings[None])
            is_cancelled = standing.cancelled or cancelled or dates.get(moment, False)
            yield moment, replace(standing, cancelled=is_cancelled)

    @property
    def suspended(self) -> str:
        """Why the switch has no effect though it is on: `no_address`, `no_account`, or "" where it
        has (domain.md §3).
        """
        if not self.email_invite or self.removed or self.role in status.FIXED:
            return ""
        if not self.address or self.fault or plan.suspends(self.note):
            return "no_address"
        return "no_account" if self.note == plan.NO_ACCOUNT else ""


def lock(connection: Connection, key: str) -> None:
    """Serialise planning and answers of one follow-up on PostgreSQL; SQLite has one writer
    anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7403))"), {"key": key}
        )


def lock_free(connection: Connection, keys: Iterable[str]) -> list[str]:
    """`lock` those that nobody else has; returns them, sorted. A caller that takes many in an order
    of its own takes them so: it never waits in a circle.
    """
    free = list(keys)
    if connection.dialect.name != "sqlite" and free:
        free = list(connection.execute(_LOCK_FREE, {"keys": free}).scalars())
    return sorted(free)


def lock_rows(connection: Connection, numbers: Collection[int]) -> None:
    """`lock` the follow-ups of these participants, gone ones too, in the order of their keys as
    bytes: all who take several take them so, and nobody waits in a circle.
    """
    if connection.dialect.name != "sqlite" and numbers:
        of_rows = sa.select(participant.c.follow_up).where(participant.c.id.in_(numbers))
        invited = sa.select(invitation.c.follow_up).where(invitation.c.participant.in_(numbers))
        keys = sorted(connection.execute(sa.union(of_rows, invited)).scalars())
        connection.execute(_LOCK_ALL, {"keys": keys})


def following(connection: Connection, after: str, limit: int) -> list[str]:
    """The keys that come after this one."""
    query = sa.select(follow_up.c.key).where(follow_up.c.key > after)
    return list(connection.execute(query.order_by(follow_up.c.key).limit(limit)).scalars())

    # Somebody who takes part is a member of a project or a selection.


def owner(connection: Connection, key: str) -> Owner | None:
    """The associate who owns a follow-up; None where it is gone or nobody's."""
    row = owners(connection, [key]).get(key)
    return owner_of(row) if row is not None else None


def owners(connection: Connection, keys: Collection[str]) -> dict[str, Any]:
    """The rows of the associates who own these follow-ups, by follow-up."""
    query = (
        sa.select(associate, follow_up.c.key.label("follow_up"))
        .join(follow_up, follow_up.c.owner == associate.c.key)
        .where(follow_up.c.key.in_(keys))
    )
    return {row.follow_up: row for row in connection.execute(query)}


def owner_of(row: Any) -> Owner:
    """The owner that one of `owners` is."""
    return Owner(
        row.key,
        row.user_group,
        row.name,
        row.email,
        row.language,
        columns.zone(row.timezone, row.key),
    )


def add_guest(
    connection: Connection, key: str, address: str, name: str, date: Moment | None = None
) -> int:
    """A further participant with the switch on, who is known by their address alone. `date`: of one
    date only. Returns the number.
    """
    number: int = connection.execute(
        sa.insert(participant)
        .values(
            follow_up=key,
            email=address,
            name=name,
            email_invite=True,
            original_start=columns.optional(date),
        )
        .returning(participant.c.id)
    ).scalar_one()
    return number


def reschedule(connection: Connection, key: str, changes: Mapping[str, Any]) -> None:
    """Write new times or another place into the record, by its columns; what follows from it is the
    planner's.
    """
    connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(dict(changes)))


def redate(connection: Connection, number: int, date: Moment) -> None:
    """Invite somebody who is invited to one date to another one of the series."""
    connection.execute(
        sa.update(participant)
        .where(participant.c.id == number)
        .values(original_start=columns.instant(date))
    )


def forget(connection: Connection, key: str) -> None:
    """Delete what a follow-up that is gone left behind: SQLite's own program deletes without its
    foreign keys.
    """
    for table in (follow_up_date, participant):
        connection.execute(sa.delete(table).where(table.c.follow_up == key))


def known_edition(connection: Connection, key: str) -> int | None:
    """The number of the edition that the planner saw last."""
    return connection.execute(
        sa.select(follow_up.c.edition).where(follow_up.c.key == key)
    ).scalar_one_or_none()


def settle(connection: Connection, key: str, *, uid: str, edition: int, sequence: int) -> None:
    """Keep what the planner decided of a follow-up."""
    connection.execute(
        sa.update(follow_up)
        .where(follow_up.c.key == key)
        .values(uid=uid, edition=edition, sequence=sequence)
    )


def members(
    connection: Connection, key: str | None = None, ids: Sequence[int] | None = None
) -> list[Member]:
    """The participant rows of a follow-up, removed ones too, or those with the given numbers, or
    all.
    """
    if key is None and ids is None:
        return [member for part in every_member(connection) for member in part]
    query = _MEMBERS
    if key is not None:
        query = query.where(participant.c.follow_up == key)
    if ids is not None:
        query = query.where(participant.c.id.in_(ids))
    return _members(connection, connection.execute(query).all())


def members_of(connection: Connection, keys: Collection[str]) -> dict[str, list[Member]]:
    """The participant rows of several follow-ups, removed ones too."""
    by_follow_up: dict[str, list[Member]] = {key: [] for key in keys}
    for part in chunks.parts(sorted(keys)):
        by_follow_up |= {key: rows.members() for key, rows in rows_of(connection, part).items()}
    return by_follow_up


@dataclass(frozen=True, slots=True)
class Rows:
    """What is written of who takes part in a follow-up, as it stands there."""

    participants: Sequence[Any]
    standings: Sequence[Any]
    addresses: Sequence[Any]

    def members(self) -> list[Member]:
        answers, addresses = _by_participant(self.standings), _by_person(self.addresses)
        return [
            _member(row, answers.get(row.id, {}), addresses.get(row.person, ()))
            for row in self.participants
        ]


def rows_of(connection: Connection, keys: Collection[str]) -> dict[str, Rows]:
    """The participant rows of each of these follow-ups, with three statements however many."""
    present = participant.c.follow_up.in_(keys)
    answers = (
        sa.select(standing, participant.c.follow_up)
        .join(participant, participant.c.id == standing.c.participant)
        .where(present)
    )
    people = sa.select(participant.c.person).where(present, participant.c.person.is_not(None))
    rows = _grouped(connection.execute(_MEMBERS.where(present)))
    answers_by_key = _grouped(connection.execute(answers))
    addresses = dict[str, list[Any]]()
    for address_row in connection.execute(_ADDRESSES.where(person_email.c.person.in_(people))):
        addresses.setdefault(address_row.person, []).append(address_row)
    loaded = dict[str, Rows]()
    for key in keys:
        of_key = rows.get(key, ())
        persons = {row.person for row in of_key}
        spelled = [address_row for person in persons for address_row in addresses.get(person, ())]
        loaded[key] = Rows(of_key, answers_by_key.get(key, ()), spelled)
    return loaded


def _grouped(rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Rows by their follow-up."""
    by_follow_up = dict[str, list[Any]]()
    for row in rows:
        by_follow_up.setdefault(row.follow_up, []).append(row)
    return by_follow_up


def every_member(connection: Connection) -> Iterator[list[Member]]:
    """All participant rows by follow-up, removed ones too, some at a time: a store has more of them
    than memory.
    """
    for rows in engine.parts(connection, _MEMBERS):
        yield _members(connection, rows)


def _members(connection: Connection, rows: Sequence[Any]) -> list[Member]:
    answers = standings(connection, [row.id for row in rows])
    people = {row.person for row in rows if row.person is not None}
    addresses = _addresses(connection, people)
    return [_member(row, answers.get(row.id, {}), addresses.get(row.person, ())) for row in rows]


def write_standing(
    connection: Connection, number: int, instance: Moment | None, value: Standing, code: int | None
) -> None:
    """Keep a standing; `code` is the row's status for readers of the table, given with the series'
    standing only.
    """
    write_standings(connection, {(number, instance): value})
    if code is not None:
        write_codes(connection, {number: code})


def write_standings(
    connection: Connection, standings: Mapping[tuple[int, Moment | None], Standing]
) -> None:
    """Keep standings, by participant and date."""
    rows = list[dict[str, Any]]()
    for (number, instance), value in standings.items():
        row: dict[str, Any] = {name: getattr(value, name) for name in _FACTS}
        row["channel"] = value.channel.value if value.channel else None
        row["participant"] = number
        row["instance"] = codec.moment(instance)
        rows.append(row)
    upsert.many(connection, standing, ("participant", "instance"), rows)


def drop_standings(connection: Connection, names: Iterable[tuple[int, Moment | None]]) -> None:
    """Forget what was said of dates that are none any more, by participant and date."""
    rows = [{"of": number, "date": codec.moment(instance)} for number, instance in names]
    if rows:
        connection.execute(_DROP_STANDING, rows)


def write_codes(connection: Connection, codes: Mapping[int, int]) -> None:
    """Fill in the status of rows whose standings did not change (new rows, a new owner)."""
    rows = [{"number": number, "status": code} for number, code in codes.items()]
    if rows:
        connection.execute(_WRITE_CODE, rows)


def annotate(connection: Connection, notes: Mapping[int, str]) -> None:
    """What the row says of why no letter is owed."""
    rows = [{"number": number, "words": note} for number, note in notes.items()]
    if rows:
        connection.execute(_ANNOTATE, rows)


def annotate_all(connection: Connection, key: str, note: str) -> None:
    """The same for every row of a follow-up with the switch on, whatever else they hold."""
    connection.execute(
        sa.update(participant)
        .where(
            participant.c.follow_up == key, participant.c.email_invite, participant.c.note != note
        )
        .values(note=note)
    )


def hand_taken(connection: Connection, numbers: Collection[int]) -> None:
    """What was written by hand into these rows has become their standing."""
    if numbers:
        connection.execute(
            sa.update(participant).where(participant.c.id.in_(numbers)).values(set_status=None)
        )


def role(row: Any) -> Role:
    """What the row is to its follow-up (domain.md §4)."""
    if row.resource is not None:
        return Role.RESOURCE
    if row.associate is not None and row.associate == row.owner:
        return (
            Role.ASSIGNED
            if row.assigned_by is not None and row.assigned_by != row.owner
            else Role.OWNER
        )
    return Role.INVITED


def _member(
    row: Any, standings: Mapping[Moment | None, Standing], addresses: tuple[str, ...]
) -> Member:
    bare = row.email or row.associate_email or ""
    addresses = addresses or ((bare,) if bare else ())
    part = role(row)
    assigner = row.assigner_name if part is Role.ASSIGNED else None
    facts = {name: getattr(row, name) for name in _AS_IT_STANDS}
    return Member(
        **facts,
        key=_key(row),
        role=part,
        assigner=assigner or "",
        name=_name(row),
        addresses=addresses,
        language=_language(row),
        timezone=_zone(row),
        standings={plan.SERIES: Standing(), **standings},
        date=timing.date_of(row),
        who=who(row),
        fault=faults.of_participant(row, addresses),
    )


_AS_IT_STANDS = (
    "id",
    "follow_up",
    "email_invite",
    "removed",
    "set_status",
    "given_token",
    "code",
    "note",
    "conflict",
    "planned_for",
    "announced",
)
"""Columns of a row that a member has by the same names."""


def _key(row: Any) -> str:
    return row.person or row.associate or row.resource or row.email  # type: ignore[no-any-return]


def _language(row: Any) -> str:
    return row.person_language or row.associate_language or ""


def _name(row: Any) -> str:
    return row.name or row.person_name or row.associate_name or row.resource_name or ""


def _zone(row: Any) -> str:
    zone = row.person_zone if row.person_zone is not None else row.associate_zone
    return columns.zone("" if zone is None else zone, row.person or row.associate or "")


def who(row: Any) -> str:
    """Whoever a row stands for, as `Member.who`."""
    kind = next(kind for kind in INVITEE if getattr(row, kind) is not None)
    name = getattr(row, kind)
    return f"{kind}:{name.lower() if kind == 'email' else name}"


def standings(
    connection: Connection, ids: Sequence[int]
) -> dict[int, dict[Moment | None, Standing]]:
    """What stands of these participants, by date; None: all of the follow-up."""
    return _by_participant(
        connection.execute(sa.select(standing).where(standing.c.participant.in_(ids)))
    )


def _by_participant(rows: Iterable[Any]) -> dict[int, dict[Moment | None, Standing]]:
    by_participant: dict[int, dict[Moment | None, Standing]] = {}
    for row in rows:
        by_participant.setdefault(row.participant, {})[codec.parse_moment(row.instance)] = (
            _standing(row)
        )
    return by_participant


def _standing(row: Any) -> Standing:
    return Standing(
        Reply(row.reply),
        row.seen,
        row.moved,
        row.cancelled,
        Progress(row.progress),
        row.comment,
        Channel(row.channel) if row.channel else None,
        row.address,
        row.replied_at,
        row.sequence,
        row.dtstamp,
        row.arrived,
        row.asked,
    )


def _addresses(
    connection: Connection, people: Collection[str]
) -> dict[str | None, tuple[str, ...]]:
    return _by_person(connection.execute(_ADDRESSES.where(person_email.c.person.in_(people))))


def _by_person(rows: Iterable[Any]) -> dict[str | None, tuple[str, ...]]:
    by_person: dict[str | None, tuple[str, ...]] = {}
    for row in rows:
        by_person[row.person] = (*by_person.get(row.person, ()), row.address)
    return by_person
