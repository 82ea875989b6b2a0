"""What of a document must have been defined, in the store or in the same document: types, fields,
sales and groups (domain.md §11).

A sort that nothing is defined of is not asked for: a site that never made a list of its types goes
on as before. What stands in the store already may be said again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.actions.load_format import Document, FollowUp
from gateway.errors import Steps
from gateway.followups import definitions
from gateway.followups.definitions import Field, FieldType, Type
from gateway.i18n import Phrase, marked
from gateway.model import Kind
from gateway.store import definitions as stored
from gateway.store import directory, sources
from gateway.store.engine import Connection

GROUPED = (
    ("associates", "associate", "user_group", "groups", "user_group"),
    ("resources", "resource", "resource_group", "resource_groups", "resource_group"),
)
"""Who has a group: section, table and column; and where the groups are: section and table."""


def faults(
    connection: Connection, entries: Document, renamed: Mapping[str, str]
) -> list[tuple[Steps, str]]:
    """What is wrong, each with its place. `renamed`: follow-ups that get another key, old → new."""
    return [
        *_of_groups(connection, entries),
        *_of_sources(connection, entries),
        *_of_follow_ups(connection, entries, {new: old for old, new in renamed.items()}),
    ]


def types(connection: Connection, entries: Document) -> dict[str, Type]:
    """The types that there will be."""
    here = {
        definition.key: Type(definition.key, Kind(definition.kind)) for definition in entries.types
    }
    return stored.types(connection) | here


def fields(connection: Connection, entries: Document) -> dict[str, Field]:
    """The fields that there will be."""
    here = {
        definition.key: Field(
            definition.key,
            FieldType(definition.type),
            definition.required,
            tuple(definition.choices),
        )
        for definition in entries.fields
    }
    return stored.fields(connection) | here


def _of_groups(connection: Connection, entries: Document) -> Iterator[tuple[Steps, str]]:
    for section, table, column, groups, group_table in GROUPED:
        listed = getattr(entries, section)
        said = {entry.key: entry.group for entry in listed if entry.group}
        here = [group.key for group in getattr(entries, groups)]
        unknown = _undefined(connection, group_table, said.values(), here)
        if not unknown:
            continue
        before = stored.column(connection, table, column, said)
        for number, entry in enumerate(listed):
            is_new = before.get(entry.key) != entry.group
            if entry.group in unknown and is_new:
                yield (section, number, "group"), f"there is no group {entry.group!r}"


def _of_sources(connection: Connection, entries: Document) -> Iterator[tuple[Steps, str]]:
    """A group that is named as a source is defined, or somebody is in it."""
    for section, _, _, groups, _ in GROUPED:
        kind = groups.removesuffix("s")
        named = {
            ("follow_ups", number, "participants", position, kind): getattr(row, kind)
            for number, follow_up in enumerate(entries.follow_ups)
            for position, row in enumerate(follow_up.participants)
            if getattr(row, kind) is not None
        }
        here = {entry.group for entry in getattr(entries, section)}
        here |= {group.key for group in getattr(entries, groups)}
        there = {
            key: key in here or sources.picks(connection, kind, key) is not None
            for key in set(named.values())
        }
        for place, key in named.items():
            if not there[key]:
                yield place, f"there is no group {key!r}"


def _of_follow_ups(
    connection: Connection, entries: Document, old_keys: Mapping[str, str]
) -> Iterator[tuple[Steps, str]]:
    if not entries.follow_ups:
        return
    sales = [follow_up.sale for follow_up in entries.follow_ups if follow_up.sale]
    defined = _Defined(
        types(connection, entries),
        fields(connection, entries),
        _undefined(connection, "sale", sales, [sale.key for sale in entries.sales]),
    )
    keys = {old_keys.get(follow_up.key, follow_up.key) for follow_up in entries.follow_ups}
    said = stored.said(connection, keys) if defined.is_anything else {}
    for number, follow_up in enumerate(entries.follow_ups):
        before = said.get(old_keys.get(follow_up.key, follow_up.key))
        for steps, reason in defined.faults(follow_up, before):
            yield ("follow_ups", number, *steps), reason


@dataclass(frozen=True, slots=True)
class _Defined:
    """What follow-ups may say. `unsold`: sales that are named and not defined."""

    types: Mapping[str, Type]
    fields: Mapping[str, Field]
    unsold: Collection[str]

    @property
    def is_anything(self) -> bool:
        return bool(self.types or self.fields or self.unsold)

    def faults(
        self, follow_up: FollowUp, before: stored.Said | None
    ) -> Iterator[tuple[Steps, str]]:
        stood = (None, None, None) if before is None else (before.type, before.sale, before.fields)
        type_before, sale_before, fields_before = stood
        if reason := definitions.type_fault(
            self.types, follow_up.type, Kind(follow_up.kind), type_before
        ):
            yield ("type",), reason
        if follow_up.sale in self.unsold and follow_up.sale != sale_before:
            yield ("sale",), Phrase(marked("there is no sale %(key)r"), key=follow_up.sale)
        for key, reason in definitions.field_faults(self.fields, follow_up.fields, fields_before):
            yield ("fields", key), reason


def _undefined(
    connection: Connection, table: str, keys: Iterable[str], here: Iterable[str]
) -> set[str]:
    """Which of these keys are not defined, where anything of the sort is."""
    named = set(keys).difference(here)
    if not named or not (here or stored.any_there(connection, table)):
        return set()
    return named - directory.existing(connection, table, named)
