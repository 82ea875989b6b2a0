"""What an administrator defined (domain.md §11), for the checks of what is written; and what stood
there before.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups.definitions import Field, FieldType, Type
from gateway.model import Kind
from gateway.store import chunks
from gateway.store.schema import follow_up, metadata
from gateway.store.schema_domain import field_definition, follow_up_type


@dataclass(frozen=True, slots=True)
class Said:
    """What a follow-up says of what can be defined."""

    type: str
    sale: str
    fields: Mapping[str, object]


def types(connection: Connection) -> dict[str, Type]:
    query = sa.select(follow_up_type.c.key, follow_up_type.c.kind)
    return {row.key: Type(row.key, Kind(row.kind)) for row in connection.execute(query)}


def fields(connection: Connection) -> dict[str, Field]:
    by_key = dict[str, Field]()
    for row in connection.execute(sa.select(field_definition)):
        choices = tuple(choices_of(row.choices))
        by_key[row.key] = Field(row.key, FieldType(row.type), row.required, choices)
    return by_key


def names(connection: Connection, language: str) -> dict[str, str]:
    """What each field is called, in their order."""
    query = sa.select(field_definition).order_by(
        field_definition.c.position, field_definition.c.key
    )
    name = "name_nb" if language == "nb" else "name_en"
    rows = connection.execute(query).mappings()
    return {row["key"]: row[name] or row["name_en"] or row["key"] for row in rows}


def choices_of(text: str) -> list[str]:
    """The choices as they stand in the column; none where that is not to be read."""
    return [choice for choice in _json(text, list) if isinstance(choice, str)]


def values_of(text: str) -> dict[str, object]:
    """The fields of a follow-up as they stand in the column; none where that is not to be read."""
    read: dict[str, object] = _json(text, dict)
    return read


def any_there(connection: Connection, table: str) -> bool:
    """Whether anything of that sort is defined."""
    key = metadata.tables[table].c.key
    return connection.execute(sa.select(key).limit(1)).first() is not None


def said(connection: Connection, keys: Collection[str]) -> dict[str, Said]:
    """What these follow-ups say now, by key."""
    query = sa.select(follow_up.c.key, follow_up.c.type, follow_up.c.sale, follow_up.c.fields)
    rows = chunks.rows(connection, query, follow_up.c.key, keys)
    return {row["key"]: Said(row["type"], row["sale"], values_of(row["fields"])) for row in rows}


def column(connection: Connection, table: str, name: str, keys: Collection[str]) -> dict[str, Any]:
    """What a column of a table of keys holds, by key."""
    target = metadata.tables[table]
    query = sa.select(target.c.key, target.c[name])
    return {row["key"]: row[name] for row in chunks.rows(connection, query, target.c.key, keys)}


def _json(text: str, kind: type[Any]) -> Any:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return read if isinstance(read, kind) else kind()
