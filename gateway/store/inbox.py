"""What came in: one row per message with its one outcome, and how far each mailbox has been read.

The row, its effect and the mailbox cursor are written in one transaction, so a crash repeats
nothing and loses nothing. The raw message is kept only while it waits for a person.
"""

import json
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.answer import facts
from gateway.model import EFFECTIVE, Moment, Outcome
from gateway.store import codec, upsert
from gateway.store.schema import UNSETTLED, inbox, journal, mailbox

TAKEN_BACK = "taken_back"
"""The event of the journal when a save is taken back; of a message, where that let it have its
effect.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lay: account, folder, UIDVALIDITY, UID (RFC 3501 §2.3.1.1)."""

    account: str
    folder: str
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a message. `outcome` None: our own failure, to be tried again. `raw` only for
    what is under review.
    """

    digest: str
    size: int
    arrived_at: datetime
    outcome: Outcome | None
    reason: str
    place: Place | None = None
    message_id: str = ""
    object: str = ""
    from_address: str = ""
    subject: str = ""
    follow_up: str | None = None
    participant: int | None = None
    instance: Moment | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    destination: str = ""


def record(connection: Connection, message: Record, at: datetime) -> int:
    """Write the outcome of a message; one that failed before at the same place is replaced.
    Returns its number.
    """
    values = _values(message) | {"recorded_at": at}
    number = _number(connection, message.place)
    if number is None:
        inserted: int = connection.execute(
            sa.insert(inbox).values(values).returning(inbox.c.id)
        ).scalar_one()
        return inserted
    connection.execute(
        sa.update(inbox).where(inbox.c.id == number, inbox.c.outcome.is_(None)).values(values)
    )
    return number


def record_all(
    connection: Connection,
    records: Sequence[Record],
    at: datetime,
    places: Container[Place] = (),
) -> list[int]:
    """`record` for many. `known`: places at which something is recorded already."""
    numbers = dict[Place | None, int]()
    fresh = [
        message for message in records if message.place is not None and message.place not in places
    ]
    if fresh:
        values = [_values(message) | {"recorded_at": at} for message in fresh]
        for row in connection.execute(RECORD, values):
            numbers[Place(row.account, row.folder, row.uidvalidity, row.uid)] = row.id
    return [
        numbers[message.place] if message.place in numbers else record(connection, message, at)
        for message in records
    ]


def recorded(connection: Connection, places: Collection[Place]) -> dict[Place, bool]:
    """The places at which a message was recorded, and whether it has its outcome."""
    has_outcome = dict[Place, bool]()
    by_folder = dict[tuple[str, str, int], list[Place]]()
    for place in places:
        named = place.account, place.folder, place.uidvalidity
        by_folder.setdefault(named, []).append(place)
    for (account, folder, uidvalidity), of_folder in by_folder.items():
        values = {
            "account": account,
            "folder": folder,
            "uidvalidity": uidvalidity,
            "uids": [place.uid for place in of_folder],
        }
        for row in connection.execute(RECORDED, values):
            place = Place(account, folder, uidvalidity, row.uid)
            has_outcome[place] = row.outcome is not None
    return has_outcome


def rewrite(connection: Connection, number: int, message: Record) -> None:
    """Judge a message anew: everything but where it lay, when it came and when it was recorded
    first.

    A message that was not moved yet goes to the folder of its new outcome; one that was stays where
    it is.
    """
    unchanged = {"account", "folder", "uidvalidity", "uid", "arrived_at", "size", "destination"}
    values = {name: value for name, value in _values(message).items() if name not in unchanged}
    values["destination"] = sa.case(
        (inbox.c.moved | (inbox.c.destination == ""), inbox.c.destination),
        else_=message.destination,
    )
    connection.execute(sa.update(inbox).where(inbox.c.id == number).values(values))


def fail(connection: Connection, message: Record, at: datetime) -> int:
    """Count a failure of ours on a message. Returns how often it has failed."""
    number = record(connection, message, at)
    tries: int = connection.execute(
        sa.update(inbox)
        .where(inbox.c.id == number)
        .values(tries=inbox.c.tries + 1)
        .returning(inbox.c.tries)
    ).scalar_one()
    return tries


def done(connection: Connection, place: Place) -> bool:
    """Whether the message at that place has its outcome already."""
    return (
        connection.execute(
            sa.select(inbox.c.id).where(_at(place), inbox.c.outcome.is_not(None))
        ).first()
        is not None
    )


RECORD = sa.insert(inbox).returning(
    inbox.c.id, inbox.c.account, inbox.c.folder, inbox.c.uidvalidity, inbox.c.uid
)
RECORDED = sa.select(inbox.c.uid, inbox.c.outcome).where(
    inbox.c.account == sa.bindparam("account"),
    inbox.c.folder == sa.bindparam("folder"),
    inbox.c.uidvalidity == sa.bindparam("uidvalidity"),
    inbox.c.uid.in_(sa.bindparam("uids", expanding=True)),
)
COPIES = sa.select(inbox.c.digest, inbox.c.outcome, inbox.c.arrived_at).where(
    inbox.c.digest.in_(sa.bindparam("digests", expanding=True)),
    inbox.c.outcome.in_(sorted(EFFECTIVE)),
)
BACK = journal.alias("back")
IS_BACK = sa.exists().where(
    BACK.c.follow_up == journal.c.follow_up,
    BACK.c.event == TAKEN_BACK,
    BACK.c.message == journal.c.message,
    BACK.c.id > journal.c.id,
)
"""The effect of the message was taken back by the one who let it have it (`actions.undoing`)."""
TRACES = (
    sa.select(
        inbox.c.id,
        journal.c.participant,
        journal.c.instance,
        inbox.c.message_id,
        inbox.c.object,
        inbox.c.arrived_at,
    )
    .join(journal, journal.c.message == inbox.c.id)
    .where(
        journal.c.participant.in_(sa.bindparam("participants", expanding=True)),
        journal.c.event.in_(sorted(EFFECTIVE)),
        ~IS_BACK,
        inbox.c.object.in_(sa.bindparam("objects", expanding=True))
        | (inbox.c.id == sa.bindparam("number")),
        (inbox.c.object != "")
        | inbox.c.message_id.in_(sa.bindparam("message_ids", expanding=True))
        | (inbox.c.id == sa.bindparam("number")),
    )
    .order_by(journal.c.id)
)


def copies(connection: Connection, digests: Collection[str]) -> dict[str, list[facts.Copy]]:
    """Messages of these bytes that had an effect already, by digest: a mailbox that is read anew
    from its start.
    """
    by_digest = dict[str, list[facts.Copy]]()
    if digests:
        for row in connection.execute(COPIES, {"digests": list(digests)}):
            copy = facts.Copy(Outcome(row.outcome), row.arrived_at)
            by_digest.setdefault(row.digest, []).append(copy)
    return by_digest


def has_beginning(connection: Connection, participant: int, half: str) -> bool:
    """Whether there is a message about a row whose digest begins so (`actions.answer_page`)."""
    there = sa.exists().where(
        inbox.c.participant == participant, inbox.c.digest.startswith(half, autoescape=True)
    )
    return bool(connection.execute(sa.select(there)).scalar())


def traces(
    connection: Connection,
    participants: Collection[int],
    asked: Collection[facts.Keys],
    number: int | None = None,
) -> dict[int, list[facts.Trace]]:
    """What messages with the objects of these keys did to the rows, by row. The journal tells it:
    one message may be about several rows, and its own row names but one.

    `number`: of a message that is judged anew; with all that it did itself.
    """
    by_row = dict[int, list[facts.Trace]]()
    if not participants:
        return by_row
    values = {
        "participants": list(participants),
        "objects": list({keys.object for keys in asked}),
        "message_ids": list({keys.message_id for keys in asked}),
        "number": number,
    }
    for row in connection.execute(TRACES, values):
        trace = facts.Trace(
            row.id,
            row.participant,
            codec.parse_moment(row.instance),
            row.message_id,
            row.object,
            row.arrived_at,
        )
        by_row.setdefault(row.participant, []).append(trace)
    return by_row


def cursor(connection: Connection, account: str, folder: str) -> tuple[int, int] | None:
    """(UIDVALIDITY, UID) up to which the folder has been read, None before the first time."""
    row = connection.execute(
        sa.select(mailbox).where(mailbox.c.account == account, mailbox.c.folder == folder)
    ).one_or_none()
    return (row.uidvalidity, row.uid) if row is not None else None


def is_begun(connection: Connection) -> bool:
    """Whether any folder has been read, and its old mail perhaps left alone."""
    return connection.execute(sa.select(mailbox.c.folder).limit(1)).first() is not None


def advance(connection: Connection, account: str, folder: str, uidvalidity: int, uid: int) -> None:
    """Everything up to `uid` has been looked at; what failed is among `leftovers`."""
    upsert.one(
        connection,
        mailbox,
        {"account": account, "folder": folder},
        {"uidvalidity": uidvalidity, "uid": uid},
    )


def leftovers(connection: Connection, account: str, folder: str, uidvalidity: int) -> list[int]:
    """UIDs behind the cursor that have no outcome yet."""
    query = (
        sa.select(inbox.c.uid)
        .where(
            inbox.c.account == account,
            inbox.c.folder == folder,
            inbox.c.uidvalidity == uidvalidity,
            UNSETTLED,
            ~inbox.c.moved,
        )
        .order_by(inbox.c.uid)
    )
    return [row.uid for row in connection.execute(query)]


def unmoved(connection: Connection, account: str, folder: str) -> list[tuple[int, int, str]]:
    """(UIDVALIDITY, UID, destination) of messages that were dealt with and not moved yet."""
    query = (
        sa.select(inbox.c.uidvalidity, inbox.c.uid, inbox.c.destination)
        .where(
            inbox.c.account == account,
            inbox.c.folder == folder,
            ~inbox.c.moved,
            inbox.c.destination != "",
        )
        .order_by(inbox.c.uid)
    )
    return [(row.uidvalidity, row.uid, row.destination) for row in connection.execute(query)]


def moved(
    connection: Connection, account: str, folder: str, uidvalidity: int, uids: Sequence[int]
) -> None:
    connection.execute(
        sa.update(inbox)
        .where(
            inbox.c.account == account,
            inbox.c.folder == folder,
            inbox.c.uidvalidity == uidvalidity,
            inbox.c.uid.in_(uids),
        )
        .values(moved=True)
    )


def _values(message: Record) -> dict[str, Any]:
    place = message.place
    facts = {name: getattr(message, name) for name in _AS_IT_STANDS}
    return facts | {
        "account": place.account if place else "",
        "folder": place.folder if place else "",
        "uidvalidity": place.uidvalidity if place else None,
        "uid": place.uid if place else None,
        "instance": codec.moment(message.instance),
        "detail": json.dumps(message.detail, ensure_ascii=False),
    }


_AS_IT_STANDS = (
    "arrived_at",
    "message_id",
    "digest",
    "object",
    "from_address",
    "subject",
    "size",
    "outcome",
    "reason",
    "follow_up",
    "participant",
    "raw",
    "destination",
)
"""Facts of a record that have columns of the same names."""


def _at(place: Place) -> sa.ColumnElement[bool]:
    return sa.and_(
        inbox.c.account == place.account,
        inbox.c.folder == place.folder,
        inbox.c.uidvalidity == place.uidvalidity,
        inbox.c.uid == place.uid,
    )


def _number(connection: Connection, place: Place | None) -> int | None:
    return (
        None
        if place is None
        else connection.execute(sa.select(inbox.c.id).where(_at(place))).scalar_one_or_none()
    )
