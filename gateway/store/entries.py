"""The directory, and what an administrator defines, as `load` would say it: one entry or a page of
them (contract.md §3).

A page goes by key. A search looks at `LOOK` keys at a time, so a page of it may have few rows, or
none, and still go on.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import chunks, definitions, preferences, schema, schema_domain
from gateway.store.schema import follow_up, metadata, participant, person_email

LOOK = 50_000
"""So many keys a search looks at for one page."""
MOST_COUNTED = 1_000

Row = sa.RowMapping
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """A list of a document. `columns`: by the names of the entry's fields; `searched`: columns in
    which a search looks; `inner`: reads the fields that are rows of other tables, by key.
    `users`: columns of others that name one, which keep it from being deleted, in words.
    """

    table: str
    columns: Mapping[str, str]
    searched: Sequence[str]
    users: Sequence[tuple[sa.Column[Any], str]] = ()
    inner: Callable[[Connection, Collection[str]], Mapping[str, Entry]] | None = None
    is_long: bool = False
    """What is `inner` may be too much for a list."""


@dataclass(frozen=True, slots=True)
class Page:
    """`last`: the key after which the next page goes on; None: there is no more."""

    entries: list[Entry]
    last: str | None


def one(connection: Connection, section: str, key: str) -> Entry | None:
    """None where there is no such entry."""
    kind = SECTIONS[section]
    table = metadata.tables[kind.table]
    row = connection.execute(sa.select(table).where(table.c.key == key)).mappings().one_or_none()
    return None if row is None else _entries(connection, kind, [row], whole=True)[0]


def lock(connection: Connection, section: str, key: str) -> None:
    """Nobody else who locks it makes, changes or deletes this entry before this transaction ends,
    and no other program an entry that is there; SQLite has one writer anyway. It may be named
    meanwhile: who invites it would wait for us, and we for the follow-up.
    """
    if connection.dialect.name == "sqlite":
        return
    named = {"name": f"{section}/{key}"}
    connection.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7404))"), named
    )
    table = metadata.tables[SECTIONS[section].table]
    row = sa.select(table.c.key).where(table.c.key == key)
    connection.execute(row.with_for_update(key_share=True))


def page(connection: Connection, section: str, after: str, limit: int, q: str = "") -> Page:
    """The entries that come after a key, without lists that may be long."""
    kind = SECTIONS[section]
    table = metadata.tables[kind.table]
    further = sa.select(table).where(table.c.key > after).order_by(table.c.key)
    if not q:
        rows = connection.execute(further.limit(limit + 1)).mappings().all()
        last = rows[limit - 1]["key"] if len(rows) > limit else None
        return Page(_entries(connection, kind, rows[:limit]), last)
    looked = further.limit(LOOK).subquery()
    query = sa.select(looked).where(_contains(kind, looked, q)).order_by(looked.c.key)
    rows = connection.execute(query.limit(limit + 1)).mappings().all()
    if len(rows) > limit:
        return Page(_entries(connection, kind, rows[:limit]), rows[limit - 1]["key"])
    keys = sa.select(table.c.key).where(table.c.key > after).order_by(table.c.key)
    last_looked = keys.offset(LOOK - 1).limit(1)
    last = connection.execute(last_looked).scalar_one_or_none()
    return Page(_entries(connection, kind, rows), last)


def by_name(connection: Connection, section: str, after: str, limit: int, q: str = "") -> Page:
    """The same in the order of their names. `after`: the key of the last one that was shown."""
    kind = SECTIONS[section]
    table = metadata.tables[kind.table]
    name = sa.func.lower(table.c.name)
    query = sa.select(table).order_by(name, table.c.key).limit(limit + 1)
    if q:
        query = query.where(_contains(kind, table, q))
    if after:
        last = sa.select(name).where(table.c.key == after).scalar_subquery()
        query = query.where((name > last) | ((name == last) & (table.c.key > after)))
    rows = connection.execute(query).mappings().all()
    further = rows[limit - 1]["key"] if len(rows) > limit else None
    return Page(_entries(connection, kind, rows[:limit]), further)


def number(connection: Connection, section: str) -> int:
    """How many entries there are."""
    table = metadata.tables[SECTIONS[section].table]
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def uses(connection: Connection, section: str, key: str) -> dict[str, int]:
    """What names this entry, in words, and how often (`MOST_COUNTED` is so often, or more)."""
    counts = dict[str, int]()
    for column, words in SECTIONS[section].users:
        named = sa.select(sa.literal(1)).where(column == key)
        if column is follow_up.c.sale:
            named = named.where(schema.SOLD)
        users = named.limit(MOST_COUNTED).subquery()
        number = connection.execute(sa.select(sa.func.count()).select_from(users)).scalar_one()
        if number:
            counts[words] = number
    return counts


def delete(connection: Connection, section: str, key: str) -> None:
    table = metadata.tables[SECTIONS[section].table]
    connection.execute(sa.delete(table).where(table.c.key == key))
    if section == "associates":
        preferences.forget(connection, key)


def contains(column: sa.ColumnElement[str], q: str) -> sa.ColumnElement[bool]:
    """Whether these words stand there, in capitals or not. SQLite knows of upper and lower case in
    ASCII only.
    """
    spelled = sorted({q, q.lower(), q.upper(), q.title()})
    return sa.or_(*(column.icontains(text, autoescape=True) for text in spelled))


def _contains(kind: Section, looked: sa.FromClause, q: str) -> sa.ColumnElement[bool]:
    ways = [contains(looked.c[column], q) for column in kind.searched]
    if kind.table == "person" and "@" in q:
        holders = sa.select(person_email.c.person).where(
            sa.func.lower(person_email.c.address) == q.lower()
        )
        ways.append(looked.c.key.in_(holders))
    return sa.or_(*ways)


def _entries(
    connection: Connection, kind: Section, rows: Sequence[Row], *, whole: bool = False
) -> list[Entry]:
    keys = [row["key"] for row in rows]
    is_read = kind.inner is not None and (whole or not kind.is_long)
    inner = kind.inner(connection, keys) if kind.inner is not None and is_read else {}
    entries = list[Entry]()
    for row in rows:
        entry: Entry = {"key": row["key"]}
        for name, column in kind.columns.items():
            entry[name] = _VALUES.get(name, _as_it_is)(row[column])
        entries.append(entry | inner.get(row["key"], {}))
    return entries


def _as_it_is(value: Any) -> Any:
    return value


_VALUES: Mapping[str, Callable[[Any], Any]] = {"choices": definitions.choices_of}


def _preferences(connection: Connection, keys: Collection[str]) -> dict[str, Entry]:
    by_associate = dict[str, Entry]()
    for who, stated in preferences.stated(connection, keys).items():
        own = {name: stated[name] for name in stated if name not in preferences.OWN_COLUMNS}
        by_associate[who] = {"preferences": own}
    return by_associate


def _emails(connection: Connection, keys: Collection[str]) -> dict[str, Entry]:
    query = sa.select(person_email).order_by(person_email.c.person, person_email.c.position)
    by_person: dict[str, Entry] = {key: {"emails": []} for key in keys}
    for row in chunks.rows(connection, query, person_email.c.person, keys):
        by_person[row["person"]]["emails"].append(row["address"])
    return by_person


def _members(table: sa.Table) -> Callable[[Connection, Collection[str]], dict[str, Entry]]:
    owner, member = table.primary_key.columns

    def read(connection: Connection, keys: Collection[str]) -> dict[str, Entry]:
        by_list: dict[str, Entry] = {key: {"members": []} for key in keys}
        query = sa.select(owner.label("list"), member.label("member")).order_by(owner, member)
        for row in chunks.rows(connection, query, owner, keys):
            by_list[row["list"]]["members"].append(row["member"])
        return by_list

    return read


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_DEFINED = ("key", "name_nb", "name_en")
_CALLED = ("key", "name")

SECTIONS: Mapping[str, Section] = {
    "types": Section(
        "follow_up_type", _same("name_nb", "name_en", "kind", "colour", "position"), _DEFINED
    ),
    "fields": Section(
        "field_definition",
        _same("name_nb", "name_en", "type", "required", "choices", "position"),
        _DEFINED,
    ),
    "groups": Section(
        "user_group",
        _same("name"),
        _CALLED,
        [(schema.associate.c.user_group, "associates who are in it")],
    ),
    "resource_groups": Section(
        "resource_group",
        _same("name"),
        _CALLED,
        [(schema.resource.c.resource_group, "resources that are in it")],
    ),
    "associates": Section(
        "associate",
        _same("name", "email")
        | {"group": "user_group"}
        | _same("timezone", "language", "invitable"),
        (*_CALLED, "email"),
        [
            (follow_up.c.owner, "follow-ups that they own"),
            (follow_up.c.assigned_by, "follow-ups that they assigned"),
            (participant.c.associate, "follow-ups in which they take part"),
        ],
        _preferences,
    ),
    "companies": Section(
        "company",
        _same("name"),
        _CALLED,
        [
            (schema.person.c.company, "persons who belong to it"),
            (follow_up.c.company, "follow-ups with it"),
            (schema_domain.sale.c.company, "sales to it"),
        ],
    ),
    "persons": Section(
        "person",
        _same("name", "company", "timezone", "language"),
        _CALLED,
        [
            (follow_up.c.person, "follow-ups with them"),
            (participant.c.person, "follow-ups in which they take part"),
        ],
        _emails,
    ),
    "resources": Section(
        "resource",
        _same("name", "kind") | {"group": "resource_group"} | _same("invitable"),
        _CALLED,
        [(participant.c.resource, "follow-ups that use it")],
    ),
    "projects": Section(
        "project",
        _same("name"),
        _CALLED,
        [(follow_up.c.project, "follow-ups of it")],
        _members(schema.project_member),
        is_long=True,
    ),
    "selections": Section(
        "selection",
        _same("name"),
        _CALLED,
        inner=_members(schema.selection_member),
        is_long=True,
    ),
    "sales": Section(
        "sale", _same("name", "company"), _CALLED, [(follow_up.c.sale, "follow-ups of it")]
    ),
}
