"""People, lists and follow-ups as an import writes them: many rows by key, touching only what
differs.

A row that is written again with the same values would leave a change mark on PostgreSQL and SQLite
alike (`UPDATE OF` asks which columns were named, not which changed), so only differing columns are
written.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks, marked, schema
from gateway.store.schema import (
    associate,
    follow_up,
    metadata,
    participant,
    person,
    person_email,
    resource,
)
from gateway.store.schema_letters import invitation

INVITEE = schema.INVITEE
PARTICIPANT = ("follow_up", *INVITEE, "original_start")
"""What tells one participant row from another."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the rows, by identity;
    `gone`: rows of the pruned parents that were not among them.
    """

    created: frozenset[tuple[Any, ...]]
    changed: frozenset[tuple[Any, ...]]
    left: frozenset[tuple[Any, ...]]
    gone: frozenset[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Identified:
    """A follow-up that exists: its UID ("" before the gateway gave one) and counter. `planned`:
    both belong to the gateway.
    """

    key: str
    uid: str
    sequence: int
    planned: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A participant row that exists, by its number.
    `invited`: it has an invitation, with a token for life. `email_invite`: its switch.
    """

    id: int
    given_token: str | None
    invited: bool
    email_invite: bool


def merge(
    connection: Connection,
    table: str,
    identity: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    prune: Collection[str] = (),
) -> Merged:
    """Make the table hold these rows, found by `identity`, whose first column names the parent or
    the row itself.

    A row that says nothing of a column leaves it. Rows of the parents in `prune` that are not given
    are deleted.
    """
    target, listed = metadata.tables[table], {_identity(row, identity): row for row in rows}
    parents = {*(key[0] for key in listed), *prune}
    column = target.c[identity[0]]
    there = chunks.rows(connection, sa.select(target), column, parents)
    present = {_identity(row, identity): row for row in there}
    changes = {
        key: values
        for key in listed.keys() & present.keys()
        if (values := _changes(listed[key], present[key], identity))
    }
    created = [key for key in listed if key not in present]
    gone = [key for key in present if key not in listed and key[0] in prune]
    _delete(connection, target, [present[key] for key in gone])
    _update(connection, target, [(present[key], changes[key]) for key in listed if key in changes])
    _insert(connection, target, [listed[key] for key in created])
    return Merged(
        frozenset(created),
        frozenset(changes),
        frozenset(listed.keys() - set(created) - changes.keys()),
        frozenset(gone),
    )


def _changes(
    row: Mapping[str, Any], before: sa.RowMapping, identity: Sequence[str]
) -> dict[str, Any]:
    """The columns that a row has otherwise, or that cannot be read."""
    return {
        column: value
        for column, value in row.items()
        if column not in identity
        and (before[column] != value or isinstance(before[column], marked.MARKED))
    }


def _delete(connection: Connection, target: sa.Table, rows: Sequence[sa.RowMapping]) -> None:
    if rows:
        statement = _with_key(target, sa.delete(target))
        connection.execute(statement, [_keyed(target, row) for row in rows])


def _update(
    connection: Connection,
    target: sa.Table,
    changed: Iterable[tuple[sa.RowMapping, Mapping[str, Any]]],
) -> None:
    """Rows as they are, and what becomes of them: a statement for those that change in the same
    columns.
    """
    alike = dict[tuple[str, ...], list[dict[str, Any]]]()
    for before, values in changed:
        fresh = {f"new_{column}": value for column, value in values.items()}
        alike.setdefault(tuple(values), []).append(_keyed(target, before) | fresh)
    for columns, rows in alike.items():
        parameters = {
            column: sa.bindparam(f"new_{column}", type_=target.c[column].type) for column in columns
        }
        connection.execute(_with_key(target, sa.update(target)).values(parameters), rows)


def _insert(connection: Connection, target: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """A statement for those that say something of the same columns."""
    alike = dict[tuple[str, ...], list[Mapping[str, Any]]]()
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    for same in alike.values():
        connection.execute(sa.insert(target), same)


def existing(connection: Connection, table: str, keys: Collection[str]) -> set[str]:
    """Which of these keys the table has."""
    column = metadata.tables[table].c.key
    return {row["key"] for row in chunks.rows(connection, sa.select(column), column, keys)}


def identified(
    connection: Connection, keys: Collection[str], uids: Collection[str]
) -> list[Identified]:
    """Follow-ups that have one of the keys or one of the UIDs."""
    query = sa.select(follow_up.c.key, follow_up.c.uid, follow_up.c.sequence, follow_up.c.edition)
    rows = [
        *chunks.rows(connection, query, follow_up.c.key, keys),
        *chunks.rows(connection, query, follow_up.c.uid, uids),
    ]
    by_key = {row["key"]: row for row in rows}
    return [
        Identified(key, row["uid"] or "", row["sequence"], row["edition"] is not None)
        for key, row in by_key.items()
    ]


def rename_follow_up(connection: Connection, old: str, new: str) -> None:
    """Give a follow-up another key; dates and participants follow."""
    connection.execute(sa.update(follow_up).where(follow_up.c.key == old).values(key=new))


def participants(connection: Connection, follow_ups: Collection[str]) -> dict[tuple[Any, ...], Row]:
    """Participant rows of these follow-ups by `PARTICIPANT`, the e-mail address in lower case."""
    invited = sa.exists().where(invitation.c.participant == participant.c.id).label("invited")
    query = sa.select(
        participant.c.id,
        *(participant.c[name] for name in PARTICIPANT),
        participant.c.given_token,
        participant.c.email_invite,
        invited,
    )
    return {
        _identity(row, PARTICIPANT): Row(
            row["id"], row["given_token"], bool(row["invited"]), bool(row["email_invite"])
        )
        for row in chunks.rows(connection, query, participant.c.follow_up, follow_ups)
    }


def addresses(
    connection: Connection, people: Collection[str], staff: Collection[str]
) -> Iterable[tuple[tuple[str, str], str]]:
    """Every address of these persons and associates,
    as ("person" or "associate", key) → address.
    """
    of_people = sa.select(person_email.c.person.label("key"), person_email.c.address)
    ours = sa.select(associate.c.key, associate.c.email.label("address"))
    for table, query, column, keys in (
        ("person", of_people, person_email.c.person, people),
        ("associate", ours, associate.c.key, staff),
    ):
        yield from (
            ((table, row["key"]), row["address"])
            for row in chunks.rows(connection, query, column, keys)
        )


def token_holders(connection: Connection, tokens: Collection[str]) -> dict[str, int]:
    """Tokens that are in use → the number of the participant they belong to."""
    given_tokens = sa.select(
        participant.c.given_token.label("token"), participant.c.id.label("holder")
    )
    issued = sa.select(invitation.c.token, invitation.c.participant.label("holder"))
    rows = [
        *chunks.rows(connection, given_tokens, participant.c.given_token, tokens),
        *chunks.rows(connection, issued, invitation.c.token, tokens),
    ]
    return {row["token"]: row["holder"] for row in rows}


def _identity(row: Mapping[Any, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    """Addresses compare without case: `Ola@ext.example` is no second invitee."""
    return tuple(
        row[name].lower() if name == "email" and row[name] else row[name] for name in columns
    )


def _keyed(target: sa.Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    return {f"key_{column.name}": row[column.name] for column in target.primary_key}


def _with_key(target: sa.Table, statement: Any) -> Any:
    return statement.where(
        *(
            column == sa.bindparam(f"key_{column.name}", type_=column.type)
            for column in target.primary_key
        )
    )


def names(connection: Connection, called: Collection[str]) -> dict[str, str]:
    """Names of the people, associates and resources that are there, by kind and key as
    `followups.Member.who` has them.
    """
    by_who = dict[str, str]()
    for table in (person, associate, resource):
        prefix = f"{table.name}:"
        keys = {who.removeprefix(prefix) for who in called if who.startswith(prefix)}
        if not keys:
            continue
        query = sa.select(table.c.key, table.c.name).where(table.c.key.in_(keys))
        for row in connection.execute(query):
            by_who[prefix + row.key] = row.name
    return by_who


def at(connection: Connection, addresses: Iterable[str]) -> dict[str, set[str]]:
    """By address in lower case: the keys of the people and associates who have it."""
    lowered, by_address = {address.lower() for address in addresses}, dict[str, set[str]]()
    if not lowered:
        return by_address
    spelled, email = sa.func.lower(person_email.c.address), sa.func.lower(associate.c.email)
    for key, address in connection.execute(
        sa.union_all(
            sa.select(person_email.c.person, spelled).where(spelled.in_(lowered)),
            sa.select(associate.c.key, email).where(email.in_(lowered)),
        )
    ):
        by_address.setdefault(address, set()).add(key)
    return by_address
