"""The journal as it is shown: with whose row each entry is about, and what of it an actor sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway import shapes
from gateway.model import Actor
from gateway.store import followups, invitations, journal, reading, visible
from gateway.store.engine import Connection

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """Entries that an actor sees, and how far the journal was read: what they do not see is
    behind them, too.
    """

    entries: Sequence[shapes.Entry]
    last: int


def entries(connection: Connection, after: int, limit: int, follow_up: str) -> list[shapes.Entry]:
    """Of one follow-up, beyond number `after`."""
    return _named(connection, journal.after(connection, after, limit, follow_up))


def seen(connection: Connection, actor: Actor, after: int, limit: int) -> Seen:
    """Of everything, beyond number `after`; at most so many are read, and of these the visible."""
    rows = journal.after(connection, after, limit)
    return Seen(of(connection, actor, rows), rows[-1].id if rows else after)


def of(connection: Connection, actor: Actor, rows: Sequence[journal.Entry]) -> list[shapes.Entry]:
    """Those of these entries that an actor sees."""
    keys = {entry.follow_up for entry in rows if entry.follow_up is not None}
    shown = visible.keys(connection, actor, keys)
    return _named(connection, [entry for entry in rows if _is_seen(entry, shown, actor)])


def _is_seen(entry: journal.Entry, shown: frozenset[str], actor: Actor) -> bool:
    """What is about no follow-up is the operation's; what is gone, the CRM's."""
    if entry.follow_up is None:
        return visible.sees_operation(actor)
    return entry.follow_up in shown or actor.is_whole_crm


def _named(connection: Connection, rows: Sequence[journal.Entry]) -> list[shapes.Entry]:
    numbers = sorted({entry.participant for entry in rows if entry.participant is not None})
    keys = {member.id: member.key for member in followups.members(connection, ids=numbers)}
    if gone := [number for number in numbers if number not in keys]:
        # A row that was deleted is known by where its letters went.
        letters = invitations.deliveries(connection, gone)
        keys |= {number: letter.address for number, letter in letters.items()}
    return [view(entry, keys.get(entry.participant or 0, "")) for entry in rows]


def view(entry: journal.Entry, key: str) -> shapes.Entry:
    """`key`: of whose row it is now; who had it then is named by the entry."""
    _, _, who = entry.who.partition(":")
    return shapes.Entry(
        entry.id,
        entry.at or LONG_AGO,
        entry.event,
        entry.follow_up,
        entry.participant,
        who or key,
        entry.instance,
        entry.before,
        entry.after,
        entry.by,
        entry.channel,
        entry.letter,
        entry.message,
        entry.detail,
        entry.decision,
    )


def now(
    connection: Connection, rows: Sequence[shapes.Entry], zone: str
) -> Mapping[int, shapes.Json]:
    """What each entry is about, as GET shows it now; what is gone is missing."""
    numbers = sorted({entry.participant for entry in rows if entry.participant is not None})
    keys = sorted({entry.follow_up for entry in rows if entry.follow_up is not None})
    people = {row.id: shapes.participant(row) for row in reading.rows_of(connection, numbers, zone)}
    whole = {record.key: record for record in reading.follow_ups(connection, keys, zone)}
    shown = dict[int, shapes.Json]()
    for entry in rows:
        follow_up = whole.get(entry.follow_up or "")
        if entry.participant is not None:
            if entry.participant in people:
                shown[entry.id] = people[entry.participant]
        elif follow_up is not None:
            shown[entry.id] = shapes.follow_up(follow_up)
    return shown
