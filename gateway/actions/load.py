"""Importing a document: directory, follow-ups, dates and participants, by key, in one transaction
(contract.md §3).

Loading writes the record only; the letters follow from the change marks, as for any other writer.
The exception is an invitation that an earlier system has sent already: it is adopted, so that
nothing is owed until something changes.

On failure: `InputError` that names each place in the document; the caller's transaction is to be
rolled back (nothing was written before everything had been checked).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway import settings as configuration
from gateway.actions import load_check, load_format, planning
from gateway.actions.load_format import Document, FollowUp, Participant
from gateway.actions.load_times import Times
from gateway.errors import Steps
from gateway.invite import plan
from gateway.mail import syntax
from gateway.model import Access, Actor, Channel, Moment
from gateway.store import columns, directory, inbox, journal, meta, records
from gateway.store.directory import Merged
from gateway.store.engine import Connection

IMPORT = Actor(Access.CRM, name="load", channel=Channel.STORE)
"""Who loads a document, where nobody else does."""
LATE = (
    "the mailbox has been read already: answers to invitations that an earlier system sent may have"
    " been left alone there (mailbox.old_mail_left_alone); move them out of the folder and in again"
)
"""Where a store adopts its first invitation after its first look at a folder."""


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
    connection: Connection,
    document: Any,
    settings: configuration.Settings,
    now: datetime,
    actor: Actor = IMPORT,
) -> Report:
    """Bring the store to what the document says, as `actor`'s doing.
    Loading the same document twice changes nothing the second time.
    """
    entries = load_format.read(document)
    checked = load_check.check(connection, entries, settings.mail.timezone)
    report = Report()
    _write_directory(connection, entries, report)
    for old, new in checked.renamed.items():
        directory.rename_follow_up(connection, old, new)
        report.notes.append(f"follow-up {old} is called {new} now")
    _write_follow_ups(connection, entries, checked, report)
    _sign_follow_ups(connection, report, actor, now)
    _write_participants(connection, entries, checked, settings, report, now)
    return report


def _write_directory(connection: Connection, entries: Document, report: Report) -> None:
    """Those whom others refer to come first."""
    _write_associates(connection, entries, report)
    _write_companies(connection, entries, report)
    _write_persons(connection, entries, report)
    _write_resources(connection, entries, report)
    _write_groups(connection, "projects", "project", entries.projects, report)
    _write_groups(connection, "selections", "selection", entries.selections, report)
    _note_unused_addresses("associates", [[row.email] for row in entries.associates], report)
    _note_unused_addresses("persons", [row.emails or [] for row in entries.persons], report)


def _write_associates(connection: Connection, entries: Document, report: Report) -> None:
    rows = [
        {
            "key": associate.key,
            "name": associate.name,
            "email": associate.email,
            "user_group": associate.group,
            "timezone": associate.timezone,
            "language": associate.language,
            "invitable": associate.invitable,
        }
        for associate in entries.associates
    ]
    _count(report, "associates", directory.merge(connection, "associate", ("key",), rows))


def _write_companies(connection: Connection, entries: Document, report: Report) -> None:
    rows = [company.model_dump() for company in entries.companies]
    _count(report, "companies", directory.merge(connection, "company", ("key",), rows))


def _write_persons(connection: Connection, entries: Document, report: Report) -> None:
    named = {"key", "name", "company", "timezone", "language"}
    rows = [person.model_dump(include=named) for person in entries.persons]
    merged = directory.merge(connection, "person", ("key",), rows)
    listed = {row.key: row.emails for row in entries.persons if row.emails is not None}
    emails = [
        {"person": key, "position": position, "address": address}
        for key, addresses in listed.items()
        for position, address in enumerate(addresses)
    ]
    inner = directory.merge(
        connection, "person_email", ("person", "position"), emails, prune=listed
    )
    _count(report, "persons", merged, inner)


def _write_resources(connection: Connection, entries: Document, report: Report) -> None:
    rows = [
        {
            "key": resource.key,
            "name": resource.name,
            "kind": resource.kind,
            "resource_group": resource.group,
            "invitable": resource.invitable,
        }
        for resource in entries.resources
    ]
    _count(report, "resources", directory.merge(connection, "resource", ("key",), rows))


def _write_groups(
    connection: Connection,
    section: str,
    table: str,
    groups: Sequence[load_format.Members],
    report: Report,
) -> None:
    """Projects or selections, with their members where the document lists them."""
    rows = [{"key": group.key, "name": group.name} for group in groups]
    merged = directory.merge(connection, table, ("key",), rows)
    listed = {group.key: group.members for group in groups if group.members is not None}
    members = [
        {table: key, "person": person} for key, people in listed.items() for person in people
    ]
    inner = directory.merge(connection, f"{table}_member", (table, "person"), members, prune=listed)
    _count(report, section, merged, inner)


def _note_unused_addresses(section: str, rows: Sequence[Sequence[str]], report: Report) -> None:
    for number, addresses in enumerate(rows):
        report.notes.extend(
            f"{section}[{number}]: {address!r} is not used: {reason}"
            for address in addresses
            if address and (reason := syntax.problem(address))
        )


def _write_follow_ups(
    connection: Connection,
    entries: Document,
    checked: load_check.Checked,
    report: Report,
) -> None:
    timed = list(zip(entries.follow_ups, checked.times, strict=True))
    rows = [
        _follow_up(follow_up, times, follow_up.key in checked.planned) for follow_up, times in timed
    ]
    merged = directory.merge(connection, "follow_up", ("key",), rows)
    dates = [
        {
            "follow_up": follow_up.key,
            "original_start": columns.instant(date.original),
            "start_at": _instant(date.start),
            "end_at": _instant(date.end),
            "cancelled": date.cancelled,
            "cancel_reason": date.cancel_reason,
        }
        for follow_up, times in timed
        for date in times.dates
    ]
    own = directory.merge(
        connection,
        "follow_up_date",
        ("follow_up", "original_start"),
        dates,
        prune={follow_up.key for follow_up in entries.follow_ups},
    )
    _count(report, "follow_ups", merged, own)


def _sign_follow_ups(connection: Connection, report: Report, actor: Actor, now: datetime) -> None:
    """Keep who made and changed them, and when."""
    created = report.created.get("follow_ups", ())
    changed = report.changed.get("follow_ups", ())
    records.sign(connection, created, now, actor.by)
    records.stamp(connection, changed, now, actor.by)
    entries = [
        journal.Entry(event, key, by=actor.by, channel=actor.channel)
        for event, keys in (("created", created), ("changed", changed))
        for key in keys
    ]
    journal.write(connection, entries, now)


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
    checked: load_check.Checked,
    settings: configuration.Settings,
    report: Report,
    now: datetime,
) -> None:
    invited = load_check.invited(entries, checked.times)
    mailless = _mailless(connection, entries, invited, report)
    rows = [_row(entry) | mailless.get(entry.place, {}) for entry in invited]
    merged = directory.merge(connection, "participant", directory.PARTICIPANT, rows)
    report.add(
        "participants",
        *({_named(key) for key in keys} for keys in (merged.created, merged.changed, merged.left)),
    )
    arrived = [entry for entry in invited if entry.row.sent and entry.place not in mailless]
    is_late = inbox.is_begun(connection) and not meta.has_adopted(connection)
    _adopt(connection, arrived, settings, now)
    if is_late and meta.has_adopted(connection):
        report.notes.append(LATE)


def _row(entry: load_check.Invited) -> dict[str, Any]:
    """The columns of a participant."""
    row = entry.row
    written = {
        "follow_up": entry.follow_up,
        **{name: getattr(row, name) for name in directory.INVITEE},
        "original_start": entry.date,
        "name": row.name,
        "email_invite": row.email_invite,
        "removed": row.removed,
    }
    return written | ({"given_token": row.token.lower()} if row.token else {})


def _mailless(
    connection: Connection,
    entries: Document,
    invited: Sequence[load_check.Invited],
    report: Report,
) -> dict[Steps, dict[str, Any]]:
    """Rows to be mailed that no mail can go to, by their place in the document, and what stands
    there instead: a new one is off, one that is on already keeps its wish (domain.md §3).
    """
    reachable = _reachable(connection, [entry.row for entry in invited])
    before = directory.participants(connection, {follow_up.key for follow_up in entries.follow_ups})
    mailless = dict[Steps, dict[str, Any]]()
    for entry in invited:
        if not entry.row.email_invite or reachable(entry.row):
            continue
        row, place = before.get(entry.identity), load_format.path(entry.place)
        if row is not None and row.email_invite:
            mailless[entry.place] = {}
            report.notes.append(f"{place}: email_invite is suspended: {plan.NO_ADDRESS}")
        else:
            mailless[entry.place] = {"email_invite": False, "note": plan.NO_ADDRESS}
            report.notes.append(f"{place}: email_invite stays off: {plan.NO_ADDRESS}")
    return mailless


def _adopt(
    connection: Connection,
    arrived: Sequence[load_check.Invited],
    settings: configuration.Settings,
    now: datetime,
) -> None:
    """Invitations that an earlier system has sent: nothing is owed for them."""
    by_follow_up = dict[str, list[load_check.Invited]]()
    for entry in arrived:
        by_follow_up.setdefault(entry.follow_up, []).append(entry)
    present = directory.participants(connection, by_follow_up)
    for key, entries in by_follow_up.items():
        rows = [present[entry.identity] for entry in entries]
        if uninvited := [row.id for row in rows if not row.invited]:
            planning.adopt(connection, key, uninvited, settings, now)


def _named(row: tuple[Any, ...]) -> str:
    follow_up, *invitee, date = row
    return f"{follow_up}/{next(filter(None, invitee))}" + (
        f" for {date:%Y-%m-%dT%H:%M:%SZ}" if date is not None else ""
    )


def _reachable(
    connection: Connection, rows: Sequence[Participant]
) -> Callable[[Participant], bool]:
    """Whether there is an address that mail can go to, as the store has it now."""
    persons = {row.person for row in rows if row.person is not None}
    associates = {row.associate for row in rows if row.associate is not None}
    reached = {
        who
        for who, address in directory.addresses(connection, persons, associates)
        if not syntax.problem(address)
    }
    return lambda row: (
        row.email is not None
        or ("person", row.person) in reached
        or ("associate", row.associate) in reached
    )


def _count(report: Report, section: str, merged: Merged, inner: Merged | None = None) -> None:
    """A row whose list of addresses, members or dates changed has changed."""
    within = (
        {key[0] for key in (*inner.created, *inner.changed, *inner.gone)}
        if inner is not None
        else set()
    )
    created = {key[0] for key in merged.created}
    changed = ({key[0] for key in merged.changed} | within) - created
    report.add(section, created, changed, {key[0] for key in merged.left} - changed)
