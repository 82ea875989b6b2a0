"""The participants of a document (contract.md §3). Part of `load`: the document has been checked,
and its follow-ups stand in the store.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gateway import status
from gateway.actions import adopting, load_check, load_format
from gateway.actions.load_check import Invited
from gateway.actions.load_format import Participant
from gateway.actions.load_report import Loading
from gateway.errors import Refused, Steps
from gateway.invite import plan
from gateway.mail import syntax
from gateway.model import Progress
from gateway.store import directory, followups, inbox, journal, meta, sources
from gateway.store.engine import Connection

LATE = (
    "the mailbox has been read already: answers to invitations that an earlier system sent may have"
    " been left alone there (mailbox.old_mail_left_alone); move them out of the folder and in again"
)
"""Where a store adopts its first invitation after its first look at a folder."""


def write(here: Loading) -> None:
    """Bring the rows to what the document says; those it does not name stay."""
    named = load_check.invited(here.entries, here.checked.times)
    invited = [entry for entry in named if entry.source is None]
    invited += _picked(here, named)
    mailless = _mailless(here, invited)
    rows = [_row(entry) | mailless.get(entry.place, {}) for entry in invited]
    merged = directory.merge(here.connection, "participant", directory.PARTICIPANT, rows)
    here.report.add(
        "participants",
        *({_named(key) for key in keys} for keys in (merged.created, merged.changed, merged.left)),
    )
    _write_progress(here, invited)
    arrived = [entry for entry in invited if entry.row.sent and entry.place not in mailless]
    is_late = inbox.is_begun(here.connection) and not meta.has_adopted(here.connection)
    _adopt(here, arrived)
    if is_late and meta.has_adopted(here.connection):
        here.report.notes.append(LATE)


def _row(entry: Invited) -> dict[str, Any]:
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
    # Each invitee's own, which the document may leave alone.
    own = row.model_dump(include={"priority", "alarm_minutes"} & row.model_fields_set)
    if own.get("priority", "") is None:
        own["priority"] = ""
    return written | own | ({"given_token": row.token.lower()} if row.token else {})


def _mailless(here: Loading, invited: Sequence[Invited]) -> dict[Steps, dict[str, Any]]:
    """Rows to be mailed that no mail can go to, by their place in the document, and what stands
    there instead: a new one is off, one that is on already keeps its wish (domain.md §3).
    """
    reachable = _reachable(here.connection, [entry.row for entry in invited])
    keys = {follow_up.key for follow_up in here.entries.follow_ups}
    before = directory.participants(here.connection, keys)
    mailless = dict[Steps, dict[str, Any]]()
    for entry in invited:
        if not entry.row.email_invite or reachable(entry.row):
            continue
        row, place = before.get(entry.identity), load_format.path(entry.place)
        if row is not None and row.email_invite:
            mailless[entry.place] = {}
            here.report.notes.append(f"{place}: email_invite is suspended: {plan.NO_ADDRESS}")
        else:
            mailless[entry.place] = {"email_invite": False, "note": plan.NO_ADDRESS}
            here.report.notes.append(f"{place}: email_invite stays off: {plan.NO_ADDRESS}")
    return mailless


def _picked(here: Loading, named: Sequence[Invited]) -> list[Invited]:
    """Whom the sources of a document add: everybody who may be invited and is not there yet. Who
    was removed stays so.
    """
    asked = [entry for entry in named if entry.source is not None]
    if not asked:
        return []
    rows = [*directory.participants(here.connection, {entry.follow_up for entry in asked})]
    rows += [entry.identity for entry in named if entry.source is None]
    owners = {follow_up.key: follow_up.owner for follow_up in here.entries.follow_ups}
    rows += [(key, None, owner, None, None, None) for key, owner in owners.items() if owner]
    present = {row[:-1] for row in rows}
    added = list[Invited]()
    for entry, pick in _picks(here, asked):
        invited = _of_pick(entry, pick)
        if invited.identity[:-1] in present:
            continue
        present.add(invited.identity[:-1])
        if pick.invitable:
            added.append(invited)
        else:
            place = load_format.path(invited.place)
            here.report.notes.append(f"{place} is not invited: nobody may (invitable)")
    return added


def _picks(here: Loading, asked: Sequence[Invited]) -> Iterator[tuple[Invited, sources.Pick]]:
    for entry in asked:
        assert entry.source is not None
        for pick in sources.picks(here.connection, *entry.source) or ():
            yield entry, pick


def _of_pick(entry: Invited, pick: sources.Pick) -> Invited:
    row = Participant.model_validate(
        {
            pick.kind: pick.key,
            "email_invite": entry.row.email_invite and pick.kind != "resource",
        }
    )
    return replace(entry, place=(*entry.place, pick.key), row=row)


def _write_progress(here: Loading, invited: Sequence[Invited]) -> None:
    """How far invitees have come, where the document says it (domain.md §4: 1, 2 and 3)."""
    said = [entry for entry in invited if entry.row.progress is not None]
    if not said:
        return
    present = directory.participants(here.connection, {entry.follow_up for entry in said})
    by_number = {present[entry.identity].id: entry for entry in said}
    changed, entries = set[str](), list[journal.Entry]()
    for member in followups.members(here.connection, ids=list(by_number)):
        entry, before = by_number[member.id], member.standings[plan.SERIES]
        progress = Progress(entry.row.progress or "")
        if progress is before.progress:
            continue
        try:
            after = status.advance(before, progress)
        except Refused as refusal:
            here.report.notes.append(f"{load_format.path(entry.place)}.progress: {refusal}")
            continue
        code = status.code(member.role, after)
        followups.write_standing(here.connection, member.id, plan.SERIES, after, code)
        changed.add(_named(entry.identity))
        entries.append(
            journal.Entry(
                "progress",
                member.follow_up,
                member.id,
                before=status.code(member.role, before).name.lower(),
                after=code.name.lower(),
                by=here.actor.by,
                channel=here.actor.channel,
            )
        )
    journal.write(here.connection, entries, here.now)
    here.report.change("participants", changed)


def _adopt(here: Loading, arrived: Sequence[Invited]) -> None:
    """Invitations that an earlier system has sent: nothing is owed for them."""
    by_follow_up = dict[str, list[Invited]]()
    for entry in arrived:
        by_follow_up.setdefault(entry.follow_up, []).append(entry)
    present = directory.participants(here.connection, by_follow_up)
    for key, entries in by_follow_up.items():
        rows = [present[entry.identity] for entry in entries]
        if uninvited := [row.id for row in rows if not row.invited]:
            adopting.adopt(here.connection, key, uninvited, here.settings, here.now)


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
