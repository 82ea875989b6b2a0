"""What a plan makes of the rows of a follow-up, and what the journal says of that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway import status
from gateway.followups import limits
from gateway.invite import plan
from gateway.invite.changes import Change
from gateway.model import Channel, Moment, Standing
from gateway.store import braked, followups, journal, participants, records
from gateway.store.engine import Connection
from gateway.store.followups import Member

TAKEN_AWAY = frozenset({"moved", "cancelled", "added"})
"""Events of a follow-up that change what somebody said of it, or of a date."""


def announce(
    connection: Connection,
    key: str,
    members: Sequence[Member],
    others: Collection[int],
    now: datetime,
) -> None:
    """Say in the journal who takes part now and who does not any more, once, where nobody has
    (domain.md §3: added associates get a live notice). `others`: rows that were given to somebody
    else.
    """
    entries = [
        journal.Entry(event, key, member.id, member.date, channel=Channel.STORE, detail=member.who)
        for member in members
        if (event := _news(member, given=member.id in others))
    ]
    journal.write(connection, entries, now)
    participants.stand_for(connection, members)


def _news(member: Member, *, given: bool) -> str:
    """What the journal does not say yet of a row; "" where it says all."""
    if member.removed:
        return "removed" if member.announced else ""
    is_given = given and member.planned_for not in ("", member.who)
    return "added" if is_given or not member.announced else ""


def keep(
    connection: Connection,
    key: str,
    members: Sequence[Member],
    planned: plan.Plan,
    now: datetime,
    by: str = "",
) -> None:
    """Write standings, codes and notes of the rows, and what the journal says of them. `by`: who
    changed the follow-up.
    """
    changed = _keep_standings(connection, key, members, planned.changes)
    entries = [replace(entry, by=_author(entry, by)) for entry in changed]
    by_hand = [member.id for member in members if member.set_status is not None]
    followups.hand_taken(connection, by_hand)
    entries += _keep_notes(connection, key, members, planned.notes)
    journal.write(connection, entries, now)


def _author(entry: journal.Entry, by: str) -> str:
    """Only another program asks for a toggle by a column (`set_status`)."""
    return records.BY_SQL if entry.channel is Channel.HAND else by


def _keep_standings(
    connection: Connection, key: str, members: Sequence[Member], changes: Sequence[Change]
) -> list[journal.Entry]:
    by_id = {member.id: member for member in members}
    standings = dict[tuple[int, Moment | None], Standing]()
    dropped, entries = list[tuple[int, Moment | None]](), list[journal.Entry]()
    for change in changes:
        member, name = by_id[change.participant], (change.participant, change.instance)
        before = standings.get(name, member.standings.get(change.instance, Standing()))
        if change.standing is None:
            standings.pop(name, None)
            dropped.append(name)
            entries.append(_dropped(key, member, change, before))
        else:
            standings[name] = change.standing
            entries.append(_changed(key, member, change, before, change.standing))
    followups.drop_standings(connection, dropped)
    followups.write_standings(connection, standings)
    _write_codes(connection, members, standings)
    return entries


def _dropped(key: str, member: Member, change: Change, before: Standing) -> journal.Entry:
    word = status.code(member.role, before).word
    return journal.Entry(change.event, key, member.id, change.instance, word, channel=Channel.STORE)


def _changed(
    key: str, member: Member, change: Change, before: Standing, after: Standing
) -> journal.Entry:
    event, _, detail = change.event.partition(": ")
    return journal.Entry(
        event.partition(":")[0],
        key,
        member.id,
        change.instance or member.date,
        status.code(member.role, before).word,
        status.code(member.role, after).word,
        channel=Channel.HAND if event.startswith("toggle") else Channel.STORE,
        detail=detail,
    )


def _write_codes(
    connection: Connection,
    members: Sequence[Member],
    standings: Mapping[tuple[int, Moment | None], Standing],
) -> None:
    """The status of rows for readers of the table: also where their standing did not change (new
    rows, a new owner).
    """
    codes = {}
    for member in members:
        standing = standings.get((member.id, plan.SERIES), member.standings[plan.SERIES])
        code = status.code(member.role, standing)
        if code != member.code:
            codes[member.id] = code
    followups.write_codes(connection, codes)


def _keep_notes(
    connection: Connection, key: str, members: Sequence[Member], notes: Mapping[int, str]
) -> list[journal.Entry]:
    changed, entries = dict[int, str](), list[journal.Entry]()
    for member in members:
        note = notes.get(member.id, "")
        # A switch that could not be turned on says so until there is an address.
        stays = member.note == plan.NO_ADDRESS and not member.address and not member.email_invite
        if note == member.note or stays:
            continue
        changed[member.id] = note
        if (event := _noted(member.note, note)) is not None:
            entries.append(journal.Entry(event, key, member.id, channel=Channel.STORE, detail=note))
    followups.annotate(connection, changed)
    warnings = {note for note in changed.values() if limits.is_warning(note)}
    entries += [journal.Entry("warning", key, detail=warning) for warning in sorted(warnings)]
    return entries


def remember(
    connection: Connection,
    planned: plan.Plan,
    edition: int | None,
    standings: Sequence[Any] | None,
) -> None:
    """Keep the answers that this change takes away, for the case that the record is put back before
    anybody was told. `edition`: the one they were given to; `standings`: their rows, where they
    were loaded and nothing is kept yet.
    """
    taken = [
        (change.participant, change.instance)
        for change in planned.changes
        if change.event in TAKEN_AWAY
    ]
    braked.keep_former(connection, taken, edition, standings)


def _noted(before: str, note: str) -> str | None:
    """What the journal calls a change of a row's note; None: it is no matter of record."""
    if note == plan.TWICE:
        return "not_invited"
    if plan.suspends(note):
        return "suspended"
    return "resumed" if plan.suspends(before) else None
