"""What is known of the people whom somebody picks for a follow-up (domain.md §3): one query for
each list that is named, and one for each kind of people, however many there are.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import errors
from gateway.followups.invitees import MOST, Candidate, Entry, Source
from gateway.i18n import marked
from gateway.store import sources
from gateway.store.schema import associate, person, person_email, resource
from gateway.store.sources import Pick

Facts = tuple[str, tuple[str, ...], bool]
"""Name, addresses, and whether somebody is invitable."""


def candidates(
    connection: Connection, entries: Sequence[Entry]
) -> tuple[list[Candidate], set[int]]:
    """Whom the entries name, in their order, and the positions of those that name nothing there
    is. Raises `InputError` where they are more than anybody picks.
    """
    lists = {entry: _listed(connection, entry) for entry in entries}
    facts = _facts(connection, _people(lists.values()))
    picked, unknown = list[Candidate](), set[int]()
    for position, entry in enumerate(entries):
        if entry.source is Source.EMAIL:
            picked.append(Candidate(position, "email", entry.key, entry.name))
            continue
        picks = lists[entry]
        present = [pick for pick in picks or () if pick.key in facts[pick.kind]]
        if picks is None or (picks and not present):
            unknown.add(position)
        for pick in present:
            picked.append(Candidate(position, pick.kind, pick.key, *facts[pick.kind][pick.key]))
    return picked, unknown


def _people(lists: Collection[Sequence[Pick] | None]) -> dict[str, set[str]]:
    """The keys of everybody, by kind."""
    picks = [pick for listed in lists for pick in listed or ()]
    if len(picks) > MOST:
        words = marked("names more than %(most)s people; add them in steps")
        raise errors.wrong("add", words, most=MOST)
    people = dict[str, set[str]]()
    for pick in picks:
        people.setdefault(pick.kind, set()).add(pick.key)
    return people


def _listed(connection: Connection, entry: Entry) -> Sequence[Pick] | None:
    """Whom an entry gives, whether or not they are there; None where there is no such list."""
    if entry.source in sources.KINDS:
        return sources.picks(connection, entry.source, entry.key)
    return [Pick(entry.source, entry.key)] if entry.source is not Source.EMAIL else []


def _facts(
    connection: Connection, people: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Facts]]:
    """What is known of everybody, by kind and key."""
    facts = {"person": dict(_persons(connection, people.get("person", ())))}
    for kind, table in (("associate", associate), ("resource", resource)):
        rows = _rows(connection, table, people.get(kind, ()))
        facts[kind] = {row.key: (row.name, _address(row), bool(row.invitable)) for row in rows}
    return facts


def _address(row: Any) -> tuple[str, ...]:
    """Of an associate, who has one at most; a resource has none."""
    email = getattr(row, "email", "")
    return (email,) if email else ()


def _persons(connection: Connection, keys: Collection[str]) -> Iterator[tuple[str, Facts]]:
    addresses: dict[str, tuple[str, ...]] = {}
    if keys:
        query = (
            sa.select(person_email.c.person, person_email.c.address)
            .where(person_email.c.person.in_(keys))
            .order_by(person_email.c.person, person_email.c.position)
        )
        for key, value in connection.execute(query):
            addresses[key] = (*addresses.get(key, ()), value)
    for row in _rows(connection, person, keys):
        yield row.key, (row.name, addresses.get(row.key, ()), True)


def _rows(connection: Connection, table: sa.Table, keys: Collection[str]) -> Sequence[Any]:
    if not keys:
        return []
    return connection.execute(sa.select(table).where(table.c.key.in_(keys))).all()
