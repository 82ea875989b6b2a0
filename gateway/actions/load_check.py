"""What is wrong with a document before any of it is written: names that are there twice or nowhere,
times that cannot be, identities that belong to others.

On failure: `InputError` that names each place in the document, in its order of checks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.actions import load_definitions, load_format, load_times
from gateway.actions.load_format import Document, FollowUp, Participant
from gateway.actions.load_times import Times
from gateway.errors import Steps
from gateway.mail import syntax
from gateway.store import columns, directory, sources
from gateway.store.engine import Connection

Place = tuple[Steps, str]
"""Steps to a place of the document, and what stands there or is wrong there."""
Problems = list[Place]
TABLES = {
    "types": "follow_up_type",
    "fields": "field_definition",
    "groups": "user_group",
    "resource_groups": "resource_group",
    "associates": "associate",
    "companies": "company",
    "persons": "person",
    "resources": "resource",
    "projects": "project",
    "selections": "selection",
    "sales": "sale",
}
"""The sections of a document that are lists of keys, and where they are kept."""
REFERENCES = (
    ("associate", "owner"),
    ("associate", "assigned_by"),
    ("company", "company"),
    ("person", "person"),
    ("project", "project"),
)
"""What a follow-up refers to: the table, and the field."""
MEMBERS = ("person", "associate", "resource", "company", "project", "selection")
"""What a participant refers to, by the name of the table."""
OF_ONE = frozenset({"name", "removed", "priority", "alarm_minutes", "progress", "token", "sent"})
"""Fields of a participant who is somebody."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a sound document says beyond its words.

    `times`: of each follow-up. `renamed`: follow-ups that are known by their UID under another key,
    old key → new key. `planned`: keys of those whose UID the gateway owns.
    """

    times: Sequence[Times]
    renamed: Mapping[str, str]
    planned: frozenset[str]


@dataclass(frozen=True, slots=True)
class Invited:
    """One participant, where it stands in the document, and the one date that it is for."""

    place: Steps
    follow_up: str
    row: Participant
    date: datetime | None

    @property
    def source(self) -> tuple[str, str] | None:
        """Kind and key of the source that it names; None: it is somebody."""
        named = ((kind, getattr(self.row, kind)) for kind in sources.KINDS)
        return next(((kind, key) for kind, key in named if key is not None), None)

    @property
    def identity(self) -> tuple[str | datetime | None, ...]:
        """As `directory.participants` names a row."""
        return (self.follow_up, *_invitee(self.row), self.date)


def check(connection: Connection, entries: Document, site_zone: str) -> Checked:
    """Raises `InputError` for all that is wrong."""
    problems: Problems = []
    _unique(entries, problems)
    _invitees(entries, problems)
    _references(connection, entries, problems)
    times = _times(entries, site_zone, problems)
    _invited_twice(entries, times, problems)
    renamed, planned = _identities(connection, entries, problems)
    _tokens(connection, invited(entries, times), renamed, problems)
    problems += load_definitions.faults(connection, entries, renamed)
    if problems:
        raise load_format.refusal(problems)
    return Checked(times, renamed, planned)


def invited(entries: Document, times: Sequence[Times]) -> list[Invited]:
    """All participants of a document, in its order."""
    everybody = list[Invited]()
    for number, (follow_up, when) in enumerate(zip(entries.follow_ups, times, strict=True)):
        # Where something is wrong with the times nothing will be written.
        dates = when.participants or [None] * len(follow_up.participants)
        for (place, row), date in zip(_participants(number, follow_up), dates, strict=False):
            everybody.append(Invited(place, follow_up.key, row, columns.optional(date)))
    return everybody


def _unique(entries: Document, problems: Problems) -> None:
    for section in (*TABLES, "follow_ups"):
        keys = [entry.key for entry in getattr(entries, section)]
        _twice([((section, number, "key"), key) for number, key in enumerate(keys)], problems)
    uids = [
        (("follow_ups", number, "uid"), follow_up.uid)
        for number, follow_up in enumerate(entries.follow_ups)
        if follow_up.uid
    ]
    _twice(uids, problems)
    tokens = [((*place, "token"), row.token.lower()) for place, row in _all(entries) if row.token]
    _twice(tokens, problems)


def _invitees(entries: Document, problems: Problems) -> None:
    """Each participant is exactly one somebody, who can be what the row says."""
    for place, row in _all(entries):
        everything = (*directory.INVITEE, *sources.KINDS)
        kinds = [name for name in everything if getattr(row, name) is not None]
        if len(kinds) != 1:
            named, kinds_there_are = " and ".join(kinds), ", ".join(everything)
            reason = f"names {named or 'nobody'}; exactly one of {kinds_there_are} is expected"
            problems.append((place, reason))
        elif kinds[0] in sources.KINDS:
            problems += [
                ((*place, name), "goes with one invitee, not with a source of them")
                for name in OF_ONE & row.model_fields_set
            ]
        elif row.email is not None and (fault := syntax.problem(row.email)):
            problems.append(((*place, "email"), f"{row.email!r}: {fault}"))
        if row.sent and (not row.email_invite or row.removed):
            reason = "says that the invitation has reached somebody who is not to have it"
            problems.append(((*place, "sent"), reason))
        if row.resource is not None and row.token is not None:
            problems.append(((*place, "token"), "a resource has no mail address"))


def _invited_twice(entries: Document, times: Sequence[Times], problems: Problems) -> None:
    """Once to all of a follow-up, or once to each of some dates."""
    for number, (follow_up, when) in enumerate(zip(entries.follow_ups, times, strict=True)):
        rows = [
            (place, _spelt(row), row, date)
            for (place, row), date in zip(
                _participants(number, follow_up), when.participants, strict=False
            )
            if any(_invitee(row))
        ]
        entries_of_all = [
            (place, name if date is None else f"{name} for {date.isoformat()}")
            for place, name, _, date in rows
        ]
        _twice(entries_of_all, problems)
        whole = {name for _, name, row, date in rows if date is None and not row.removed}
        problems += [
            (place, f"{name} is invited to the whole series")
            for place, name, row, date in rows
            if date is not None and not row.removed and name in whole
        ]


def _twice(values: Iterable[Place], problems: Problems) -> None:
    seen = set[str]()
    for place, value in values:
        if value in seen:
            problems.append((place, f"{value} is there twice"))
        seen.add(value)


class _References:
    """Keys that a document names, by table, each with its place."""

    def __init__(self) -> None:
        self.named: dict[str, list[Place]] = {table: [] for table in TABLES.values()}

    def add(self, table: str, place: Steps, key: str | None) -> None:
        if key is not None:
            self.named[table].append((place, key))

    def missing(self, connection: Connection, entries: Document) -> Iterator[Place]:
        """Those that are neither in the document nor in the store."""
        for section, table in TABLES.items():
            here = {entry.key for entry in getattr(entries, section)}
            asked = {key for _, key in self.named[table]} - here
            present = here | directory.existing(connection, table, asked)
            for place, key in self.named[table]:
                if key not in present:
                    yield place, f"there is no {table} {key!r}"


def _references(connection: Connection, entries: Document, problems: Problems) -> None:
    """Everybody who is named must be in the document or in the store."""
    references = _References()
    for number, person in enumerate(entries.persons):
        references.add("company", ("persons", number, "company"), person.company)
    for number, sale in enumerate(entries.sales):
        references.add("company", ("sales", number, "company"), sale.company)
    for section in ("projects", "selections"):
        for number, group in enumerate(getattr(entries, section)):
            members: list[Place] = [
                ((section, number, "members", position), key)
                for position, key in enumerate(group.members or ())
            ]
            for place, key in members:
                references.add("person", place, key)
            _twice(members, problems)
    for number, follow_up in enumerate(entries.follow_ups):
        for table, column in REFERENCES:
            references.add(table, ("follow_ups", number, column), getattr(follow_up, column))
    for place, row in _all(entries):
        for table in MEMBERS:
            references.add(table, (*place, table), getattr(row, table))
    problems += references.missing(connection, entries)


def _times(entries: Document, site_zone: str, problems: Problems) -> list[Times]:
    all_times = []
    for number, follow_up in enumerate(entries.follow_ups):
        times, wrong = load_times.read(follow_up, site_zone)
        problems += [(("follow_ups", number, *place), reason) for place, reason in wrong]
        all_times.append(times)
    return all_times


def _identities(
    connection: Connection, entries: Document, problems: Problems
) -> tuple[dict[str, str], frozenset[str]]:
    """`renamed` and `planned` of `Checked`."""
    keys = {follow_up.key for follow_up in entries.follow_ups}
    uids = {follow_up.uid for follow_up in entries.follow_ups if follow_up.uid}
    stored = directory.identified(connection, keys, uids)
    by_key, by_uid = {row.key: row for row in stored}, {row.uid: row for row in stored}
    renamed = dict[str, str]()
    for number, follow_up in enumerate(entries.follow_ups):
        place: Steps = ("follow_ups", number)
        present, same = (
            by_key.get(follow_up.key),
            by_uid.get(follow_up.uid) if follow_up.uid else None,
        )
        if same is not None and same.key != follow_up.key:
            if present is not None or same.key in keys:
                reason = f"{follow_up.uid} is the UID of follow-up {same.key!r}"
                problems.append(((*place, "uid"), reason))
            renamed[same.key] = follow_up.key
        else:
            _check_uid(place, follow_up, present, problems)
        _check_sequence(place, follow_up, same or present, problems)
    planned = {renamed.get(row.key, row.key) for row in stored if row.planned}
    return renamed, frozenset(planned)


def _check_uid(
    place: Steps, follow_up: FollowUp, present: directory.Identified | None, problems: Problems
) -> None:
    if present is None or not follow_up.uid:
        return
    if present.uid not in ("", follow_up.uid):
        reason = f"the follow-up has another one for life: {present.uid}"
        problems.append(((*place, "uid"), reason))


def _check_sequence(
    place: Steps, follow_up: FollowUp, present: directory.Identified | None, problems: Problems
) -> None:
    """A file that is loaded again names the value it began with; the gateway has raised its own
    since.
    """
    if present is None or not present.planned:
        return
    if (follow_up.sequence or 0) > present.sequence:
        reason = f"is the gateway's own by now, and stands at {present.sequence}"
        problems.append(((*place, "sequence"), reason))


def _tokens(
    connection: Connection,
    entries: Sequence[Invited],
    renamed: Mapping[str, str],
    problems: Problems,
) -> None:
    """A token belongs to one participant, for life."""
    old_keys = {new: old for old, new in renamed.items()}
    given = [
        (entry, old_keys.get(entry.follow_up, entry.follow_up), entry.row.token.lower())
        for entry in entries
        if entry.row.token
    ]
    rows = directory.participants(connection, {key for _, key, _ in given})
    holders = directory.token_holders(connection, {token for *_, token in given})
    for entry, key, token in given:
        row = rows.get((key, *entry.identity[1:]))
        if token in holders and (row is None or holders[token] != row.id):
            problems.append(((*entry.place, "token"), "belongs to another participant"))
        elif row is not None and row.given_token != token and row.invited:
            problems.append(((*entry.place, "token"), "the invitation has another one for life"))


def _all(entries: Document) -> Iterator[tuple[Steps, Participant]]:
    for number, follow_up in enumerate(entries.follow_ups):
        yield from _participants(number, follow_up)


def _participants(number: int, follow_up: FollowUp) -> Iterator[tuple[Steps, Participant]]:
    """Each with its place in the document."""
    for position, row in enumerate(follow_up.participants):
        yield ("follow_ups", number, "participants", position), row


def _spelt(row: Participant) -> str:
    """For people: `person 'ola'`."""
    names = zip(directory.INVITEE, _invitee(row), strict=True)
    return " and ".join(f"{kind} {value!r}" for kind, value in names if value)


def _invitee(row: Participant) -> tuple[str | None, ...]:
    return row.person, row.associate, row.resource, row.email.lower() if row.email else None
