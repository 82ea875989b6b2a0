"""What a plan makes of the rows of a follow-up, and what the journal says of that."""

from collections.abc import Sequence
from datetime import datetime

from gateway import status
from gateway.followups import limits
from gateway.itip import plan
from gateway.model import Channel, Standing
from gateway.store import braked, followups, journal
from gateway.store.engine import Connection
from gateway.store.followups import Member

TAKEN_AWAY = frozenset({"moved", "cancelled", "added"})
"""Events of a follow-up that change what somebody said of it, or of a date."""


def keep(
    connection: Connection, key: str, members: Sequence[Member], made: plan.Plan, now: datetime
) -> None:
    """Write standings, codes and notes of the rows, and what the journal says of them."""
    entries, changed = list[journal.Entry](), dict[tuple[int, object], Standing]()
    by_id, warnings = {one.id: one for one in members}, set[str]()
    for change in made.changes:
        member = by_id[change.participant]
        before = changed.get(
            (member.id, change.instance), member.standings.get(change.instance, Standing())
        )
        if change.standing is None:
            followups.drop_standing(connection, member.id, change.instance)
            entries.append(
                journal.Entry(
                    change.event,
                    key,
                    member.id,
                    change.instance,
                    status.code(member.role, before).word,
                    channel=Channel.STORE,
                )
            )
            continue
        changed[member.id, change.instance] = change.standing
        codes = status.code(member.role, before), status.code(member.role, change.standing)
        followups.write_standing(
            connection,
            member.id,
            change.instance,
            change.standing,
            codes[1] if change.instance is plan.SERIES else None,
        )
        hand = change.event.startswith("toggle")
        entries.append(
            journal.Entry(
                change.event.partition(":")[0],
                key,
                member.id,
                change.instance or member.date,
                codes[0].word,
                codes[1].word,
                channel=Channel.HAND if hand else Channel.STORE,
                detail=change.event.partition(": ")[2],
            )
        )
    for member in members:
        if member.set_status is not None:
            followups.hand_taken(connection, member.id)
        note = made.notes.get(member.id, "")
        # A switch that could not be turned on says so until there is an address.
        stays = member.note == plan.NO_ADDRESS and not member.address and not member.email_invite
        if note == member.note or stays:
            continue
        followups.annotate(connection, {member.id: note})
        if note.startswith(limits.PREFIX):
            warnings.add(note)
        if (event := _noted(member.note, note)) is not None:
            entries.append(journal.Entry(event, key, member.id, channel=Channel.STORE, detail=note))
    touched = {number for number, instance in changed if instance is plan.SERIES}
    followups.write_codes(
        connection,
        {
            one.id: status.code(one.role, one.standings[plan.SERIES])
            for one in members
            if one.id not in touched
            and one.code != status.code(one.role, one.standings[plan.SERIES])
        },
    )
    entries += [journal.Entry("warning", key, detail=one) for one in sorted(warnings)]
    journal.write(connection, entries, now)


def remember(connection: Connection, made: plan.Plan, edition: int | None) -> None:
    """Keep the answers that this change takes away, for the case that the record is put back before
    anybody was told. `edition`: the one they were given to.
    """
    for change in made.changes:
        if change.event in TAKEN_AWAY:
            braked.keep_former(connection, change.participant, change.instance, edition)


def _noted(before: str, note: str) -> str | None:
    """What the journal calls a change of a row's note; None: it is no matter of record."""
    if note == plan.TWICE:
        return "not_invited"
    if plan.suspends(note):
        return "suspended"
    return "resumed" if plan.suspends(before) else None
