"""Names of whom and what a follow-up is linked with, as a page shows them."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway import shapes
from gateway.mail import address
from gateway.model import Delivery
from gateway.store import chunks
from gateway.store.picks import Pick
from gateway.store.schema import associate, company, participant, person, project, resource
from gateway.store.schema_domain import follow_up_type, sale
from gateway.store.schema_letters import invitation


def associates(connection: Connection) -> dict[str, str]:
    """The name of each associate by key."""
    query = sa.select(associate.c.key, associate.c.name)
    return {row.key: row.name or row.key for row in connection.execute(query)}


def resources(connection: Connection) -> dict[str, str]:
    """The name of each resource by key."""
    query = sa.select(resource.c.key, resource.c.name)
    return {row.key: row.name or row.key for row in connection.execute(query)}


def types(connection: Connection, language: str) -> list[tuple[str, str]]:
    """Key and name of each type, in their order."""
    query = sa.select(follow_up_type).order_by(follow_up_type.c.position, follow_up_type.c.key)
    name = "name_nb" if language == "nb" else "name_en"
    rows = connection.execute(query).mappings()
    return [(row["key"], row[name] or row["name_en"] or row["key"]) for row in rows]


def names(connection: Connection, table: sa.Table, keys: Collection[str]) -> dict[str, str]:
    """Names by key, of those that are there."""
    query = sa.select(table.c.key, table.c.name)
    rows = chunks.rows(connection, query, table.c.key, keys)
    return {row["key"]: row["name"] or row["key"] for row in rows}


def people_of(connection: Connection, key: str, limit: int) -> list[Pick]:
    """Who belongs to a company."""
    query = sa.select(person.c.key, person.c.name).where(person.c.company == key)
    rows = connection.execute(query.order_by(person.c.name, person.c.key).limit(limit))
    return [Pick(row.key, row.name or row.key) for row in rows]


def sales_to(connection: Connection, key: str, limit: int) -> list[Pick]:
    """The sales to a company."""
    query = sa.select(sale.c.key, sale.c.name).where(sale.c.company == key)
    rows = connection.execute(query.order_by(sale.c.key).limit(limit))
    return [Pick(row.key, row.name or row.key) for row in rows]


def not_reached(connection: Connection, key: str) -> dict[str, str]:
    """The addresses at which letters to a person do not arrive, spelled alike (`address.key`), and
    what servers said of the last one.
    """
    query = (
        sa.select(invitation.c.address, invitation.c.delivery_text)
        .join(participant, participant.c.id == invitation.c.participant)
        .where(
            participant.c.person == key,
            invitation.c.counts,
            invitation.c.delivery == Delivery.UNDELIVERABLE,
        )
        .order_by(invitation.c.id)
    )
    return {address.key(row.address): row.delivery_text for row in connection.execute(query)}


LINKED = {
    "owner": (associate, "owner"),
    "assigner": (associate, "assigned_by"),
    "company": (company, "company"),
    "person": (person, "person"),
    "project": (project, "project"),
    "sale": (sale, "sale"),
}
"""What a follow-up is linked with: the table, and the field that has its key."""


def beside(connection: Connection, rows: Sequence[shapes.Participant]) -> dict[int, str]:
    """What stands beside the names of participants: the company of a person, the kind of a
    resource.
    """
    persons = {row.key for row in rows if row.invitee == "person"}
    resources = {row.key for row in rows if row.invitee == "resource"}
    employed = sa.select(person.c.key, company.c.name).join(
        company, person.c.company == company.c.key
    )
    kinds = sa.select(resource.c.key, resource.c.kind)
    beside_name = {
        ("person", row.key): row.name for row in _named(connection, employed, person, persons)
    }
    beside_name |= {
        ("resource", row.key): row.kind for row in _named(connection, kinds, resource, resources)
    }
    return {row.id: beside_name.get((row.invitee, row.key), "") for row in rows}


def _named(
    connection: Connection, query: sa.Select[Any], table: sa.Table, keys: Collection[str]
) -> Sequence[Any]:
    return connection.execute(query.where(table.c.key.in_(keys))).all() if keys else []


def of(connection: Connection, view: shapes.FollowUp, language: str) -> dict[str, Any]:
    """Names of owner, assigner, company, person, project and sale ("" where there is none), and the
    type's name and colour.
    """
    query = sa.select(follow_up_type).where(follow_up_type.c.key == view.type)
    kind = connection.execute(query).one_or_none()
    names = {
        name: _name(connection, table, getattr(view, column))
        for name, (table, column) in LINKED.items()
    }
    if kind is None:
        return {**names, "type": view.type, "colour": ""}
    named = (kind.name_nb if language == "nb" else kind.name_en) or kind.name_en
    return {**names, "type": named or view.type, "colour": kind.colour}


def _name(connection: Connection, table: sa.Table, key: str | None) -> str:
    if not key:
        return ""
    name: str | None = connection.execute(
        sa.select(table.c.name).where(table.c.key == key)
    ).scalar_one_or_none()
    return name or key
