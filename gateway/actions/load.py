"""Importing a document: directory, follow-ups, dates and participants, by key, in one transaction
(contract.md §3).

Loading writes the record only; the letters follow from the change marks, as for any other writer.
The exception is an invitation that an earlier system has sent already: it is adopted, so that
nothing is owed until something changes.

On failure: `InputError` that names each place in the document; the caller's transaction is to be
rolled back (nothing was written before everything had been checked).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway import settings as configuration
from gateway.actions import load_format, load_times, planning
from gateway.actions.load_format import Document, FollowUp, Participant
from gateway.actions.load_times import Times
from gateway.errors import InputError
from gateway.itip import plan
from gateway.mail import syntax
from gateway.model import Channel, Moment
from gateway.store import columns, directory, journal
from gateway.store.directory import Merged
from gateway.store.engine import Connection

Problems = list[tuple[str, str]]
TABLES = {
    "associates": "associate",
    "companies": "company",
    "persons": "person",
    "resources": "resource",
    "projects": "project",
    "selections": "selection",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Keys by section of the document (participants as `m1/ola`),
    and what was loaded otherwise than it says.
    """

    created: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(
        self, section: str, created: Iterable[str], changed: Iterable[str], left: Iterable[str]
    ) -> None:
        for where, keys in ((self.created, created), (self.changed, changed), (self.left, left)):
            if found := sorted(keys):
                where[section] = found


def load(
    connection: Connection, document: Any, settings: configuration.Settings, now: datetime
) -> Report:
    """Bring the store to what the document says.
    Loading the same document twice changes nothing the second time.
    """
    entries = load_format.read(document)
    problems: Problems = []
    _unique(entries, problems)
    _references(connection, entries, problems)
    times = _times(entries, settings.mail.timezone, problems)
    _invited_twice(entries, times, problems)
    renamed, planned = _identities(connection, entries, problems)
    _tokens(connection, entries, times, renamed, problems)
    if problems:
        raise InputError(load_format.complaint(problems))
    report = Report()
    _write_directory(connection, entries, report)
    for old, new in renamed.items():
        directory.rename_follow_up(connection, old, new)
        report.notes.append(f"follow-up {old} is called {new} now")
    _write_follow_ups(connection, entries, times, planned, report, now)
    _write_participants(connection, entries, times, settings, report, now)
    return report


def _unique(entries: Document, problems: Problems) -> None:
    for section in (*TABLES, "follow_ups"):
        _twice(
            [
                (f"{section}[{number}].key", one.key)
                for number, one in enumerate(getattr(entries, section))
            ],
            problems,
        )
    _twice(
        [
            (f"follow_ups[{number}].uid", one.uid)
            for number, one in enumerate(entries.follow_ups)
            if one.uid
        ],
        problems,
    )
    _twice(
        [
            (f"{place}.token", one.token.lower())
            for place, _, one in _participants(entries)
            if one.token
        ],
        problems,
    )
    for place, _, one in _participants(entries):
        kinds = [name for name in directory.INVITEE if getattr(one, name) is not None]
        if len(kinds) != 1:
            problems.append(
                (
                    place,
                    (
                        f"names {' and '.join(kinds) or 'nobody'}; exactly one of"
                        f" {', '.join(directory.INVITEE)} is expected"
                    ),
                )
            )
        elif one.email is not None and (reason := syntax.problem(one.email)):
            problems.append((f"{place}.email", f"{one.email!r}: {reason}"))
        if one.sent and (not one.email_invite or one.removed):
            problems.append(
                (
                    f"{place}.sent",
                    "says that the invitation has reached somebody who is not to have it",
                )
            )
        if one.resource is not None and one.token is not None:
            problems.append((f"{place}.token", "a resource has no mail address"))


def _invited_twice(entries: Document, times: Sequence[Times], problems: Problems) -> None:
    """Once to all of a follow-up, or once to each of some dates."""
    for number, (follow_up, when) in enumerate(zip(entries.follow_ups, times, strict=True)):
        rows = [
            (f"follow_ups[{number}].participants[{position}]", one, date)
            for position, (one, date) in enumerate(
                zip(follow_up.participants, when.participants, strict=False)
            )
            if any(_invitee(one))
        ]
        _twice(
            [
                (place, _spelt(one) + (f" for {date.isoformat()}" if date is not None else ""))
                for place, one, date in rows
            ],
            problems,
        )
        whole = {_spelt(one) for _, one, date in rows if date is None and not one.removed}
        problems += [
            (place, f"{_spelt(one)} is invited to the whole series")
            for place, one, date in rows
            if date is not None and not one.removed and _spelt(one) in whole
        ]


def _twice(named: Iterable[tuple[str, str]], problems: Problems) -> None:
    seen = set[str]()
    for place, value in named:
        if value in seen:
            problems.append((place, f"{value} is there twice"))
        seen.add(value)


def _references(connection: Connection, entries: Document, problems: Problems) -> None:
    """Whoever is named must be in the document or in the store."""
    named: dict[str, list[tuple[str, str]]] = {table: [] for table in TABLES.values()}
    for number, person in enumerate(entries.persons):
        _refer(named, "company", f"persons[{number}].company", person.company)
    for section in ("projects", "selections"):
        for number, group in enumerate(getattr(entries, section)):
            for position, key in enumerate(group.members or ()):
                _refer(named, "person", f"{section}[{number}].members[{position}]", key)
            _twice(
                [
                    (f"{section}[{number}].members[{position}]", key)
                    for position, key in enumerate(group.members or ())
                ],
                problems,
            )
    for number, one in enumerate(entries.follow_ups):
        for table, column in (
            ("associate", "owner"),
            ("company", "company"),
            ("person", "person"),
            ("project", "project"),
        ):
            _refer(named, table, f"follow_ups[{number}].{column}", getattr(one, column))
    for place, _, row in _participants(entries):
        for table in ("person", "associate", "resource"):
            _refer(named, table, f"{place}.{table}", getattr(row, table))
    for section, table in TABLES.items():
        here = {one.key for one in getattr(entries, section)}
        there = directory.existing(connection, table, {key for _, key in named[table]} - here)
        problems += [
            (place, f"there is no {table} {key!r}")
            for place, key in named[table]
            if key not in here | there
        ]


def _refer(
    named: dict[str, list[tuple[str, str]]], table: str, place: str, key: str | None
) -> None:
    if key is not None:
        named[table].append((place, key))


def _times(entries: Document, site_zone: str, problems: Problems) -> list[Times]:
    found = []
    for number, one in enumerate(entries.follow_ups):
        times, wrong = load_times.read(one, site_zone)
        problems += [(f"follow_ups[{number}].{place}", reason) for place, reason in wrong]
        found.append(times)
    return found


def _identities(
    connection: Connection, entries: Document, problems: Problems
) -> tuple[dict[str, str], set[str]]:
    """Follow-ups that are known by their UID under another key (old key → new key), and those whose
    UID the gateway owns.
    """
    known = directory.identified(
        connection,
        {one.key for one in entries.follow_ups},
        {one.uid for one in entries.follow_ups if one.uid},
    )
    by_key, by_uid = {one.key: one for one in known}, {one.uid: one for one in known if one.uid}
    renamed, keys = dict[str, str](), {one.key for one in entries.follow_ups}
    for number, one in enumerate(entries.follow_ups):
        place, present, same = (
            f"follow_ups[{number}]",
            by_key.get(one.key),
            by_uid.get(one.uid or ""),
        )
        if same is not None and same.key != one.key:
            if present is not None or same.key in keys:
                problems.append((f"{place}.uid", f"{one.uid} is the UID of follow-up {same.key!r}"))
            renamed[same.key] = one.key
        elif present is not None and one.uid and present.uid not in ("", one.uid):
            problems.append(
                (f"{place}.uid", f"the follow-up has another one for life: {present.uid}")
            )
        present = same or present
        # A file that is loaded again names the value it began with; the gateway has raised its own
        # since.
        if present is not None and present.planned and (one.sequence or 0) > present.sequence:
            problems.append(
                (
                    f"{place}.sequence",
                    f"is the gateway's own by now, and stands at {present.sequence}",
                )
            )
    return renamed, {renamed.get(one.key, one.key) for one in known if one.planned}


def _tokens(
    connection: Connection,
    entries: Document,
    times: Sequence[Times],
    renamed: Mapping[str, str],
    problems: Problems,
) -> None:
    old_keys = {new: old for old, new in renamed.items()}
    dates = dict(_dates(entries, times))
    given = [
        (
            place,
            old_keys.get(follow_up.key, follow_up.key),
            (*_invitee(one), dates.get(place)),
            one.token.lower(),
        )
        for place, follow_up, one in _participants(entries)
        if one.token
    ]
    rows = directory.participants(connection, {key for _, key, _, _ in given})
    holders = directory.token_holders(connection, {token for *_, token in given})
    for place, key, invitee, token in given:
        row = rows.get((key, *invitee))
        if token in holders and (row is None or holders[token] != row.id):
            problems.append((f"{place}.token", "belongs to another participant"))
        elif row is not None and row.given_token != token and row.invited:
            problems.append((f"{place}.token", "the invitation has another one for life"))


def _write_directory(connection: Connection, entries: Document, report: Report) -> None:
    """Whoever others refer to comes first."""
    merged = directory.merge(
        connection,
        "associate",
        ("key",),
        [
            {
                "key": one.key,
                "name": one.name,
                "email": one.email,
                "user_group": one.group,
                "timezone": one.timezone,
                "language": one.language,
                "invitable": one.invitable,
            }
            for one in entries.associates
        ],
    )
    _told(report, "associates", merged)
    _told(
        report,
        "companies",
        directory.merge(
            connection, "company", ("key",), [one.model_dump() for one in entries.companies]
        ),
    )
    merged = directory.merge(
        connection,
        "person",
        ("key",),
        [
            one.model_dump(include={"key", "name", "company", "timezone", "language"})
            for one in entries.persons
        ],
    )
    listed = {one.key: one.emails for one in entries.persons if one.emails is not None}
    _told(
        report,
        "persons",
        merged,
        directory.merge(
            connection,
            "person_email",
            ("person", "position"),
            [
                {"person": key, "position": position, "address": address}
                for key, emails in listed.items()
                for position, address in enumerate(emails)
            ],
            prune=listed,
        ),
    )
    _told(
        report,
        "resources",
        directory.merge(
            connection,
            "resource",
            ("key",),
            [
                {
                    "key": one.key,
                    "name": one.name,
                    "kind": one.kind,
                    "resource_group": one.group,
                    "invitable": one.invitable,
                }
                for one in entries.resources
            ],
        ),
    )
    for section, table in (("projects", "project"), ("selections", "selection")):
        groups = getattr(entries, section)
        merged = directory.merge(
            connection, table, ("key",), [{"key": one.key, "name": one.name} for one in groups]
        )
        members = {one.key: one.members for one in groups if one.members is not None}
        _told(
            report,
            section,
            merged,
            directory.merge(
                connection,
                f"{table}_member",
                (table, "person"),
                [
                    {table: key, "person": person}
                    for key, people in members.items()
                    for person in people
                ],
                prune=members,
            ),
        )
    for section in ("associates", "persons"):
        for number, one in enumerate(getattr(entries, section)):
            addresses = [one.email] if section == "associates" else one.emails or []
            report.notes.extend(
                f"{section}[{number}]: {address!r} is not used: {reason}"
                for address in addresses
                if address and (reason := syntax.problem(address))
            )


def _write_follow_ups(
    connection: Connection,
    entries: Document,
    times: Sequence[Times],
    planned: set[str],
    report: Report,
    now: datetime,
) -> None:
    rows = [
        _follow_up(one, when, one.key in planned)
        for one, when in zip(entries.follow_ups, times, strict=True)
    ]
    merged = directory.merge(connection, "follow_up", ("key",), rows)
    dates = [
        {
            "follow_up": one.key,
            "original_start": columns.instant(date.original),
            "start_at": _instant(date.start),
            "end_at": _instant(date.end),
            "cancelled": date.cancelled,
            "cancel_reason": date.cancel_reason,
        }
        for one, when in zip(entries.follow_ups, times, strict=True)
        for date in when.dates
    ]
    own = directory.merge(
        connection,
        "follow_up_date",
        ("follow_up", "original_start"),
        dates,
        prune={one.key for one in entries.follow_ups},
    )
    _told(report, "follow_ups", merged, own)
    journal.write(
        connection,
        [
            journal.Entry(event, key, by="load", channel=Channel.STORE)
            for event, keys in (("created", report.created), ("changed", report.changed))
            for key in keys.get("follow_ups", ())
        ],
        now,
    )


def _follow_up(one: FollowUp, times: Times, planned: bool) -> dict[str, Any]:
    row = one.model_dump(
        exclude={
            "start",
            "end",
            "deadline",
            "answer_by",
            "recurrence",
            "instances",
            "fields",
            "uid",
            "sequence",
            "participants",
        }
    )
    row |= {
        "start_at": _instant(times.start),
        "end_at": _instant(times.end),
        "deadline": times.deadline,
        "answer_by": times.answer_by,
        "rrule": times.rrule,
        "fields": json.dumps(one.fields, sort_keys=True),
    }
    # UID and counter of an earlier system count until the gateway has used them.
    kept = {} if planned else {"uid": one.uid, "sequence": one.sequence}
    return row | {column: value for column, value in kept.items() if value is not None}


def _instant(moment: Moment | None) -> datetime | None:
    return None if moment is None else columns.instant(moment)


def _write_participants(
    connection: Connection,
    entries: Document,
    times: Sequence[Times],
    settings: configuration.Settings,
    report: Report,
    now: datetime,
) -> None:
    rows, sent = list[dict[str, Any]](), dict[str, list[tuple[Any, ...]]]()
    reachable, dates = _reachable(connection, entries), dict(_dates(entries, times))
    before = directory.participants(connection, {one.key for one in entries.follow_ups})
    for place, follow_up, one in _participants(entries):
        row: dict[str, Any] = {
            "follow_up": follow_up.key,
            **{name: getattr(one, name) for name in directory.INVITEE},
            "original_start": dates[place],
            "name": one.name,
            "email_invite": one.email_invite,
            "removed": one.removed,
        }
        identity = (follow_up.key, *_invitee(one), dates[place])
        if one.email_invite and not reachable(one):
            if (row_before := before.get(identity)) is not None and row_before.email_invite:
                report.notes.append(f"{place}: email_invite is suspended: {plan.NO_ADDRESS}")
            else:
                row |= {"email_invite": False, "note": plan.NO_ADDRESS}
                report.notes.append(f"{place}: email_invite stays off: {plan.NO_ADDRESS}")
        elif one.sent:
            sent.setdefault(follow_up.key, []).append(identity)
        rows.append(row | ({"given_token": one.token.lower()} if one.token else {}))
    merged = directory.merge(connection, "participant", directory.PARTICIPANT, rows)
    report.add(
        "participants",
        *({_named(key) for key in keys} for keys in (merged.created, merged.changed, merged.left)),
    )
    present = directory.participants(connection, sent)
    for key, invitees in sent.items():
        if arrived := [present[one].id for one in invitees if not present[one].invited]:
            planning.adopt(connection, key, arrived, settings, now)


def _named(row: tuple[Any, ...]) -> str:
    follow_up, *invitee, date = row
    return f"{follow_up}/{next(filter(None, invitee))}" + (
        f" for {date:%Y-%m-%dT%H:%M:%SZ}" if date is not None else ""
    )


def _reachable(connection: Connection, entries: Document) -> Callable[[Participant], bool]:
    """Whether there is an address that mail can go to, as the store has it now."""
    rows = [one for _, _, one in _participants(entries)]
    known = {
        who
        for who, address in directory.addresses(
            connection,
            {one.person for one in rows if one.person is not None},
            {one.associate for one in rows if one.associate is not None},
        )
        if not syntax.problem(address)
    }
    return lambda one: (
        one.email is not None
        or ("person", one.person) in known
        or ("associate", one.associate) in known
    )


def _told(report: Report, section: str, merged: Merged, inner: Merged | None = None) -> None:
    """A row whose list of addresses, members or dates changed has changed."""
    within = (
        {key[0] for key in (*inner.created, *inner.changed, *inner.gone)}
        if inner is not None
        else set()
    )
    created = {key[0] for key in merged.created}
    changed = ({key[0] for key in merged.changed} | within) - created
    report.add(section, created, changed, {key[0] for key in merged.left} - changed)


def _participants(entries: Document) -> Iterable[tuple[str, FollowUp, Participant]]:
    for number, follow_up in enumerate(entries.follow_ups):
        for position, one in enumerate(follow_up.participants):
            yield f"follow_ups[{number}].participants[{position}]", follow_up, one


def _dates(entries: Document, times: Sequence[Times]) -> Iterable[tuple[str, datetime | None]]:
    """The one date that each participant is invited to, by his place in the document."""
    for number, (follow_up, when) in enumerate(zip(entries.follow_ups, times, strict=True)):
        # Where something is wrong with the times nothing will be written.
        for position, date in enumerate(when.participants or [None] * len(follow_up.participants)):
            yield f"follow_ups[{number}].participants[{position}]", _instant(date)


def _spelt(one: Participant) -> str:
    """For people: `person 'ola'`."""
    return " and ".join(
        f"{kind} {value!r}"
        for kind, value in zip(directory.INVITEE, _invitee(one), strict=True)
        if value
    )


def _invitee(one: Participant) -> tuple[str | None, ...]:
    return one.person, one.associate, one.resource, one.email.lower() if one.email else None
