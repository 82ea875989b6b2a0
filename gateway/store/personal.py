"""What the store holds about one person, and how that is taken out of it (docs/operations.md, "What
is kept of one person").

A person is a record of the directory with its addresses, or a bare address. What is taken out is
replaced by a name that says nothing, so that everything else goes on: which row answered what,
which message was a duplicate, how many letters left.
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail import address
from gateway.model import Method
from gateway.store import chunks, codec, deleted, undos
from gateway.store.outbox import OPEN, stands
from gateway.store.schema import (
    delegation,
    follow_up,
    former_standing,
    inbox,
    journal,
    known_address,
    participant,
    person,
    person_email,
    project_member,
    proposal,
    selection_member,
    standing,
)
from gateway.store.schema_domain import decision
from gateway.store.schema_letters import attempt, edition, invitation, outbox
from gateway.store.schema_webhooks import webhook_delivery

DOMAIN = "erased.invalid"
"""Where no mail goes (RFC 2606 §2)."""
ERASED = "erased"
SECRETS = frozenset({"token", "given_token", "organizer_address", "bounce_address"})
"""Columns that would let somebody answer in their place."""
BY_KEY: Mapping[sa.Table, sa.Column[str]] = {
    person: person.c.key,
    person_email: person_email.c.person,
    project_member: project_member.c.person,
    selection_member: selection_member.c.person,
}
BY_ROW = (
    standing.c.participant,
    former_standing.c.participant,
    proposal.c.participant,
    delegation.c.participant,
    invitation.c.participant,
    outbox.c.participant,
    journal.c.participant,
    decision.c.participant,
    participant.c.id,
)
"""Columns of tables whose rows are about a row of theirs."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data it is. `key`: of the directory, "" for a bare address; `rows`: participants."""

    key: str
    addresses: frozenset[str]
    rows: tuple[int, ...]

    @property
    def who(self) -> frozenset[str]:
        """As the journal and `planned_for` name them."""
        bare = {f"email:{spelling}" for spelling in self.addresses}
        return frozenset({f"person:{self.key}", *bare} if self.key else bare)


def find(connection: Connection, name: str) -> Person | None:
    """By key, else by address: all rows that stand for the bare address are theirs."""
    person_row = connection.execute(sa.select(person.c.key).where(person.c.key == name)).first()
    if person_row is None and "@" in name:
        query = sa.select(person_email.c.person)
        lowered = sa.func.lower(person_email.c.address) == name.lower()
        person_row = connection.execute(query.where(lowered)).first()
    key = person_row[0] if person_row is not None else ""
    spellings = {name} if "@" in name else set[str]()
    if key:
        own = sa.select(person_email.c.address).where(person_email.c.person == key)
        learned = sa.select(known_address.c.address).where(known_address.c.person == key)
        spellings.update(connection.execute(own).scalars())
        spellings.update(connection.execute(learned).scalars())
    addresses = {spelling.lower() for spelling in spellings}
    is_theirs = sa.or_(
        participant.c.person == key,
        sa.func.lower(participant.c.email).in_(addresses),
    )
    rows = set(connection.execute(sa.select(participant.c.id).where(is_theirs)).scalars())
    # Rows that were deleted are known by where their letters went. The addresses are not: a row may
    # have been somebody else's before.
    is_there = sa.exists().where(participant.c.id == invitation.c.participant)
    of_deleted_rows = sa.select(invitation.c.participant).where(
        sa.func.lower(invitation.c.address).in_(addresses), ~is_there
    )
    rows |= set(connection.execute(of_deleted_rows).scalars())
    subject = Person(key, frozenset(addresses), tuple(sorted(rows)))
    return subject if key or rows or _messages(connection, subject) else None


def export(connection: Connection, subject: Person) -> dict[str, list[dict[str, Any]]]:
    """Every row about them by its table; without what would let somebody answer in their place."""
    columns = (follow_up.c.key, follow_up.c.title, follow_up.c.start_at, follow_up.c.owner)
    keys = sorted(_follow_ups(connection, subject))
    tables = {
        column.table.name: _shown(chunks.rows(connection, sa.select(column.table), column, values))
        for column, values in _about(connection, subject)
    }
    tables["follow_up"] = _shown(
        chunks.rows(connection, sa.select(*columns), follow_up.c.key, keys)
    )
    return {name: listed for name, listed in tables.items() if listed}


def _about(
    connection: Connection, subject: Person
) -> Iterator[tuple[sa.Column[Any], Collection[Any]]]:
    """By which column of each table, and by which values of it, rows are about them."""
    for column in BY_KEY.values():
        yield column, [subject.key]
    for column in BY_ROW:
        yield column, subject.rows
    yield known_address.c.id, _known(connection, subject)
    yield inbox.c.id, _messages(connection, subject)
    yield attempt.c.letter, _letters(connection, subject.rows)


def held(connection: Connection, subject: Person) -> list[tuple[int, str, str | None]]:
    """Their rows that hold an invitation, with the follow-up and the facts that were sent last."""
    query = (
        sa.select(invitation.c.participant, invitation.c.follow_up, edition.c.facts)
        .join(edition, edition.c.id == invitation.c.sent_edition, isouter=True)
        .where(invitation.c.sent_method == Method.REQUEST)
    )
    rows = chunks.rows(connection, query, invitation.c.participant, subject.rows)
    return [(row["participant"], row["follow_up"], row["facts"]) for row in rows]


def under_way(connection: Connection, subject: Person) -> int:
    """How many letters to them have not come to their end."""
    query = sa.select(outbox.c.id).where(stands(outbox, *OPEN))
    return len(list(chunks.rows(connection, query, outbox.c.participant, subject.rows)))


def follow_ups(connection: Connection, subject: Person) -> list[str]:
    """Those in which they have a row, or had an invitation."""
    return sorted(_follow_ups(connection, subject))


def erase(connection: Connection, subject: Person, secret: bytes) -> tuple[str, Counter[str]]:
    """Take them out of every table. Returns by what they are called now, and of how many rows in
    which table something was taken.
    """
    named = subject.key or min(subject.addresses)
    name = f"{ERASED}-{hmac.new(secret, named.encode(), hashlib.sha256).hexdigest()[:16]}"
    counts = Counter[str]()
    keys, messages = _follow_ups(connection, subject), _messages(connection, subject)
    counts["edition"] = _out_of_editions(connection, keys, subject, name)
    counts["undo"] = undos.drop(connection, keys)
    counts["deleted_participant"] = deleted.forget_person(
        connection, subject.key, subject.addresses, subject.rows
    )
    _out_of_history(connection, subject, name, messages, counts)
    _out_of_letters(connection, subject, name, counts)
    for part in chunks.parts(sorted(keys)):
        is_told = webhook_delivery.c.follow_up.in_(part) & (webhook_delivery.c.state != "waiting")
        deleted_rows = connection.execute(sa.delete(webhook_delivery).where(is_told))
        counts["webhook_delivery"] += deleted_rows.rowcount
    _out_of_rows(connection, subject, name, counts)
    _out_of_directory(connection, subject, name, counts)
    return name, +counts


def _out_of_editions(
    connection: Connection, keys: Collection[str], subject: Person, name: str
) -> int:
    """Public guest lists name them in what others were sent."""
    changed = 0
    query = sa.select(edition.c.id, edition.c.facts).order_by(edition.c.id)
    for row in chunks.rows(connection, query, edition.c.follow_up, keys):
        facts = json.loads(row["facts"])
        guests = [
            guest for guest in facts["guests"] if guest["address"].lower() in subject.addresses
        ]
        for guest in guests:
            guest |= {"name": "", "address": f"{name}@{DOMAIN}"}
        if guests:
            written = codec.edition(codec.parse_edition(json.dumps(facts)))
            where = edition.c.id == row["id"]
            connection.execute(sa.update(edition).where(where).values(facts=written))
            changed += 1
    return changed


def _out_of_history(
    connection: Connection,
    subject: Person,
    name: str,
    messages: Collection[int],
    counts: Counter[str],
) -> None:
    values = {
        "from_address": "",
        "subject": "",
        "detail": "{}",
        "reason": ERASED,
        "raw": None,
    }
    _update(connection, inbox.c.id, messages, values, counts)
    about = _numbers(
        connection,
        journal,
        (journal.c.participant, subject.rows),
        (journal.c.message, messages),
    )
    _update(connection, journal.c.id, about, {"by": "", "detail": ""}, counts)
    _update(connection, journal.c.who, subject.who, {"who": f"person:{name}"}, counts)
    _update(connection, decision.c.participant, subject.rows, {"detail": "{}"}, counts)


def _out_of_letters(
    connection: Connection, subject: Person, name: str, counts: Counter[str]
) -> None:
    nowhere = f"{name}@{DOMAIN}"
    # A row that is somebody else's now was theirs when letters went to them.
    letters = _letters(connection, subject.rows, subject.addresses)
    values = {"text": "", "enhanced": ""}
    _update(connection, attempt.c.letter, letters, values, counts)
    addressee = {"address": nowhere, "address_key": address.key(nowhere), "address_name": ""}
    values = {**addressee, "domain": DOMAIN, "note": "", "remarks": "{}"}
    _update(connection, outbox.c.id, letters, values, counts)
    of_rows, sent_to = invitation.c.participant, sa.func.lower(invitation.c.address)
    of_person = _numbers(
        connection, invitation, (of_rows, subject.rows), (sent_to, subject.addresses)
    )
    values = {"address": nowhere, "name": "", "delivery_text": ""}
    _update(connection, invitation.c.id, of_person, values, counts)


def _out_of_rows(connection: Connection, subject: Person, name: str, counts: Counter[str]) -> None:
    words = {"comment": "", "address": ""}
    for table in (standing, former_standing):
        _update(connection, table.c.participant, subject.rows, words, counts)
    words_and_place = {**words, "location": ""}
    _update(connection, proposal.c.participant, subject.rows, words_and_place, counts)
    nowhere = f"{name}@{DOMAIN}"
    values = {"name": "", "note": "", "email_invite": False}
    _update(connection, participant.c.id, subject.rows, values, counts)
    bare = {"email": nowhere, "planned_for": f"email:{nowhere}"}
    for part in chunks.parts(subject.rows):
        rows = sa.update(participant).where(participant.c.id.in_(part))
        connection.execute(rows.where(participant.c.email.is_not(None)).values(bare))
        of_person = rows.where(participant.c.person.is_not(None))
        connection.execute(of_person.values(planned_for=f"person:{name}"))


def _out_of_directory(
    connection: Connection, subject: Person, name: str, counts: Counter[str]
) -> None:
    for part in chunks.parts(_known(connection, subject)):
        statement = sa.delete(known_address).where(known_address.c.id.in_(part))
        counts["known_address"] += connection.execute(statement).rowcount
    for table in (person_email, project_member, selection_member):
        statement = sa.delete(table).where(BY_KEY[table] == subject.key)
        counts[table.name] += connection.execute(statement).rowcount
    values = {"key": name, "name": ERASED, "company": None, "language": "", "timezone": ""}
    _update(connection, person.c.key, [subject.key], values, counts)


def _update(
    connection: Connection,
    column: sa.Column[Any],
    which: Collection[Any],
    values: Mapping[str, object],
    counts: Counter[str],
) -> None:
    """Rows of a table with one of these in a column."""
    for part in chunks.parts(which):
        query = sa.update(column.table).where(column.in_(part)).values(**values)
        counts[column.table.name] += connection.execute(query).rowcount


def _numbers(
    connection: Connection,
    table: sa.Table,
    *ways: tuple[sa.ColumnElement[Any], Collection[Any]],
) -> list[int]:
    """Rows of a table that are theirs in one way or another."""
    query = sa.select(table.c.id)
    return sorted(
        {
            row["id"]
            for column, values in ways
            for row in chunks.rows(connection, query, column, values)
        }
    )


def _known(connection: Connection, subject: Person) -> list[int]:
    row = known_address.c
    ways = (
        (row.person, [subject.key]),
        (row.participant, subject.rows),
        (sa.func.lower(row.address), subject.addresses),
    )
    return _numbers(connection, known_address, *ways)


def _follow_ups(connection: Connection, subject: Person) -> set[str]:
    return {
        row["follow_up"]
        for column in (participant.c.id, invitation.c.participant)
        for row in chunks.rows(
            connection, sa.select(column.table.c.follow_up), column, subject.rows
        )
    }


def _letters(
    connection: Connection, rows: Collection[int], addresses: Collection[str] = ()
) -> list[int]:
    """To these rows, or to these addresses."""
    sent_to = sa.func.lower(outbox.c.address)
    return _numbers(connection, outbox, (outbox.c.participant, rows), (sent_to, addresses))


def _messages(connection: Connection, subject: Person) -> list[int]:
    """What came in for a row of theirs, or from an address of theirs."""
    sender = sa.func.lower(inbox.c.from_address)
    return _numbers(
        connection, inbox, (inbox.c.participant, subject.rows), (sender, subject.addresses)
    )


def _shown(rows: Iterable[sa.RowMapping]) -> list[dict[str, Any]]:
    return [
        {name: _plain(value) for name, value in row.items() if name not in SECRETS} for row in rows
    ]


def _plain(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return codec.moment(value) if isinstance(value, datetime | date) else value
