"""What happened, newest last: the history of every row, and the stream that pages and the CRM
follow.

Numbers are given before a transaction commits. On PostgreSQL, where several commit at a time,
readers therefore go by the transaction (`tx`) and by the number within it, and see only what is
older than every open transaction: an entry that commits late, with a lower number than one that was
read, would else be stepped over. On SQLite, which has one writer, `tx` is always 0.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Channel, Moment
from gateway.store import chunks, codec
from gateway.store.schema import journal, participant

IN_ORDER = (journal.c.tx, journal.c.id)
MOST_SELECTS = 100
"""So many are put together into one; SQLite takes 500."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `before` and `after` are status words where a status changed; `by` a person,
    address or program. `who`: whose the row was then, where it was given to somebody else since.
    `decision`: which one was opened or closed.
    """

    event: str
    follow_up: str | None = None
    participant: int | None = None
    instance: Moment | None = None
    before: str = ""
    after: str = ""
    by: str = ""
    channel: Channel | None = None
    letter: int | None = None
    message: int | None = None
    detail: str = ""
    at: datetime | None = None
    id: int = 0
    who: str = ""
    decision: int | None = None


def write(connection: Connection, entries: list[Entry], at: datetime) -> None:
    """Append in order. `at`: the moment of the transaction, the same for all."""
    statement = sa.insert(journal)
    if connection.dialect.name != "sqlite":
        statement = statement.values(tx=sa.literal_column("pg_current_xact_id()::text::bigint"))
    if entries:
        connection.execute(statement, [_values(entry, at) for entry in entries])


def name(connection: Connection, former: Mapping[int, str]) -> None:
    """These rows are given to somebody else: what happened to them so far happened to those who had
    them (participant → who).
    """
    for number, who in former.items():
        connection.execute(
            sa.update(journal)
            .where(journal.c.participant == number, journal.c.who == "")
            .values(who=who)
        )


def after(
    connection: Connection, last: int, limit: int = 500, follow_up: str | None = None
) -> list[Entry]:
    """Entries that come after number `last`, oldest first; all of them where it is 0 or not (or no
    longer) in the journal.
    """
    reached = connection.execute(sa.select(*IN_ORDER).where(journal.c.id == last)).first() or (0, 0)
    if connection.dialect.name == "sqlite":
        # Of a pair SQLite compares but the first by an index, and would walk through the journal.
        query = sa.select(journal).where(journal.c.id > reached[1]).order_by(journal.c.id)
    else:
        beyond = sa.tuple_(*IN_ORDER) > sa.tuple_(*reached)
        query = sa.select(journal).where(beyond, _committed()).order_by(*IN_ORDER)
    query = query.limit(limit)
    if follow_up is not None:
        query = query.where(journal.c.follow_up == follow_up)
    return [_entry(row) for row in connection.execute(query)]


def newest_of(
    connection: Connection,
    follow_up: str,
    limit: int,
    *,
    row: int | None = None,
    before: int | None = None,
) -> list[Entry]:
    """The last entries about a follow-up, newest first. `row`: about this participant alone;
    `before`: before the entry of this number.
    """
    query = sa.select(journal).where(journal.c.follow_up == follow_up)
    if row is not None:
        query = query.where(journal.c.participant == row)
    if before is not None:
        place_of = sa.select(*IN_ORDER).where(journal.c.id == before)
        place = connection.execute(place_of).first() or (0, 0)
        query = query.where(sa.tuple_(*IN_ORDER) < sa.tuple_(*place))
    newest_first = [column.desc() for column in IN_ORDER]
    rows = connection.execute(query.order_by(*newest_first).limit(limit))
    return [_entry(entry_row) for entry_row in rows]


def newest(connection: Connection) -> int:
    """The number of the last entry, 0 before any."""
    if connection.dialect.name == "sqlite":
        return connection.execute(sa.select(sa.func.max(journal.c.id))).scalar() or 0
    query = (
        sa.select(journal.c.id)
        .where(_committed())
        .order_by(*(column.desc() for column in IN_ORDER))
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def holds(connection: Connection, number: int) -> bool:
    """Whether there is an entry of this number."""
    return (
        connection.execute(sa.select(journal.c.id).where(journal.c.id == number)).first()
        is not None
    )


def before(connection: Connection, moment: datetime) -> int:
    """The number of the last entry from before then, 0 where there is none."""
    query = (
        sa.select(journal.c.id)
        .where(journal.c.at < sa.literal(moment, journal.c.at.type))
        .order_by(journal.c.at.desc(), journal.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def back(connection: Connection, number: int, follow_up: str | None = None) -> int:
    """The number of the entry behind which there are so many more, 0 where there are fewer."""
    query = sa.select(journal.c.id).order_by(*(column.desc() for column in IN_ORDER))
    if follow_up is not None:
        query = query.where(journal.c.follow_up == follow_up)
    return connection.execute(query.offset(number).limit(1)).scalar() or 0


def told_of_account(connection: Connection, event: str, account: str, since: datetime) -> bool:
    """Whether this was said of a mail account since then."""
    query = (
        sa.select(journal.c.id)
        .where(
            journal.c.follow_up.is_(None),
            journal.c.event == event,
            journal.c.detail.startswith(f"{account}: ", autoescape=True),
            journal.c.at >= sa.literal(since, journal.c.at.type),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def said_of(connection: Connection, participant: int, event: str, since: datetime | None) -> bool:
    """Whether this was said of a row since then, or ever."""
    query = sa.select(journal.c.id).where(
        journal.c.participant == participant, journal.c.event == event
    )
    if since is not None:
        query = query.where(journal.c.at >= sa.literal(since, journal.c.at.type))
    return connection.execute(query.limit(1)).first() is not None


def last_of(connection: Connection, keys: Iterable[str], events: Collection[str]) -> dict[str, str]:
    """Which of these events of each follow-up itself came last, where one did."""
    events_by_key = dict[str, str]()
    for part in chunks.parts(keys, MOST_SELECTS):
        last = sa.union_all(*(_last_of(key, events) for key in part))
        events_by_key |= {row.follow_up: row.event for row in connection.execute(last)}
    return events_by_key


def _last_of(follow_up: str, events: Collection[str]) -> sa.Select[Any]:
    query = (
        sa.select(journal.c.follow_up, journal.c.event)
        .where(
            journal.c.follow_up == follow_up,
            journal.c.participant.is_(None),
            journal.c.event.in_(events),
        )
        .order_by(*(column.desc() for column in IN_ORDER))
        .limit(1)
    )
    return sa.select(query.subquery())


def gone(connection: Connection, keys: Collection[str]) -> dict[str, list[Entry]]:
    """That somebody takes part no more whose row is not there any more, and of whom nobody has said
    so; for each of them, by follow-up.
    """
    later = journal.alias("later")
    is_there = sa.exists().where(
        participant.c.id == journal.c.participant,
        participant.c.follow_up == journal.c.follow_up,
    )
    is_told = sa.exists().where(
        later.c.participant == journal.c.participant,
        later.c.event.in_(("added", "removed")),
        later.c.id > journal.c.id,
    )
    columns = ("follow_up", "participant", "instance", "detail")
    added = sa.select(*(journal.c[name] for name in columns)).where(
        journal.c.follow_up.in_(keys), journal.c.event == "added"
    )
    by_follow_up = dict[str, list[Entry]]()
    for row in connection.execute(added.where(~is_there, ~is_told).order_by(journal.c.participant)):
        date = codec.parse_moment(row.instance)
        entry = Entry("removed", row.follow_up, row.participant, date, detail=row.detail)
        by_follow_up.setdefault(row.follow_up, []).append(entry)
    return by_follow_up


def adopt(connection: Connection) -> None:
    """Make a journal that was restored into another PostgreSQL readable: there its transactions
    seem to lie ahead.
    """
    if connection.dialect.name == "sqlite":
        return
    ahead = sa.select(
        sa.func.max(journal.c.tx)
        >= sa.literal_column("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    )
    if connection.execute(ahead).scalar():
        connection.execute(sa.update(journal).values(tx=0))


def _committed() -> sa.ColumnElement[bool]:
    """PostgreSQL: by a transaction that is older than every open one."""
    return journal.c.tx < sa.literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def _values(entry: Entry, at: datetime) -> dict[str, Any]:
    about = {
        "follow_up": entry.follow_up,
        "participant": entry.participant,
        "instance": codec.moment(entry.instance),
        "letter": entry.letter,
        "message": entry.message,
        "decision": entry.decision,
    }
    return about | {
        "at": entry.at or at,
        "event": entry.event,
        "before": entry.before,
        "after": entry.after,
        "by": entry.by,
        "channel": entry.channel.value if entry.channel else "",
        "detail": entry.detail,
    }


def _entry(row: Any) -> Entry:
    return Entry(
        row.event,
        row.follow_up,
        row.participant,
        codec.parse_moment(row.instance),
        row.before,
        row.after,
        row.by,
        Channel(row.channel) if row.channel else None,
        row.letter,
        row.message,
        row.detail,
        row.at,
        row.id,
        row.who,
        row.decision,
    )
