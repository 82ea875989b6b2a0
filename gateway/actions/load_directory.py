"""The directory of a document (contract.md §3), and what an administrator defines (domain.md §11):
everything but the follow-ups. Part of `load`; the document has been checked.
"""

import json
from collections.abc import Sequence

from gateway.actions import load_format, load_report
from gateway.actions.load_format import Document
from gateway.actions.load_report import Report
from gateway.mail import syntax
from gateway.store import directory, preferences
from gateway.store.engine import Connection


def write(connection: Connection, entries: Document, report: Report) -> None:
    """Those whom others refer to come first."""
    _write_definitions(connection, entries, report)
    _write_associates(connection, entries, report)
    _write_preferences(connection, entries, report)
    _write_companies(connection, entries, report)
    _write_sales(connection, entries, report)
    _write_persons(connection, entries, report)
    _write_resources(connection, entries, report)
    _write_members(connection, "projects", "project", entries.projects, report)
    _write_members(connection, "selections", "selection", entries.selections, report)
    _note_unused_addresses("associates", [[row.email] for row in entries.associates], report)
    _note_unused_addresses("persons", [row.emails or [] for row in entries.persons], report)


def _write_definitions(connection: Connection, entries: Document, report: Report) -> None:
    fields = [
        field.model_dump() | {"choices": json.dumps(field.choices, ensure_ascii=False)}
        for field in entries.fields
    ]
    for section, table, rows in (
        ("types", "follow_up_type", [type_entry.model_dump() for type_entry in entries.types]),
        ("fields", "field_definition", fields),
        ("groups", "user_group", [group.model_dump() for group in entries.groups]),
        (
            "resource_groups",
            "resource_group",
            [group.model_dump() for group in entries.resource_groups],
        ),
    ):
        load_report.count(report, section, directory.merge(connection, table, ("key",), rows))


def _write_preferences(connection: Connection, entries: Document, report: Report) -> None:
    """Of the site, and of the associates of whom the document says any."""
    if entries.preferences is not None:
        stated = entries.preferences.stated()
        is_changed = preferences.state(connection, preferences.SITE, stated)
        report.add("preferences", [], ["site"] * is_changed, ["site"] * (not is_changed))
    said = {
        associate.key: associate.preferences
        for associate in entries.associates
        if associate.preferences is not None
    }
    changed = {key for key, own in said.items() if preferences.state(connection, key, own.stated())}
    report.change("associates", changed)


def _write_associates(connection: Connection, entries: Document, report: Report) -> None:
    rows = [
        {
            "key": associate.key,
            "name": associate.name,
            "email": associate.email,
            "user_group": associate.group,
            "timezone": associate.timezone,
            "language": associate.language,
            "invitable": associate.invitable,
        }
        for associate in entries.associates
    ]
    load_report.count(
        report, "associates", directory.merge(connection, "associate", ("key",), rows)
    )


def _write_companies(connection: Connection, entries: Document, report: Report) -> None:
    rows = [company.model_dump() for company in entries.companies]
    load_report.count(report, "companies", directory.merge(connection, "company", ("key",), rows))


def _write_sales(connection: Connection, entries: Document, report: Report) -> None:
    rows = [sale.model_dump() for sale in entries.sales]
    load_report.count(report, "sales", directory.merge(connection, "sale", ("key",), rows))


def _write_persons(connection: Connection, entries: Document, report: Report) -> None:
    named = {"key", "name", "company", "timezone", "language"}
    rows = [person.model_dump(include=named) for person in entries.persons]
    merged = directory.merge(connection, "person", ("key",), rows)
    listed = {row.key: row.emails for row in entries.persons if row.emails is not None}
    emails = [
        {"person": key, "position": position, "address": address}
        for key, addresses in listed.items()
        for position, address in enumerate(addresses)
    ]
    inner = directory.merge(
        connection, "person_email", ("person", "position"), emails, prune=listed
    )
    load_report.count(report, "persons", merged, inner)


def _write_resources(connection: Connection, entries: Document, report: Report) -> None:
    rows = [
        {
            "key": resource.key,
            "name": resource.name,
            "kind": resource.kind,
            "resource_group": resource.group,
            "invitable": resource.invitable,
        }
        for resource in entries.resources
    ]
    load_report.count(report, "resources", directory.merge(connection, "resource", ("key",), rows))


def _write_members(
    connection: Connection,
    section: str,
    table: str,
    groups: Sequence[load_format.Members],
    report: Report,
) -> None:
    """Projects or selections, with their members where the document lists them."""
    rows = [{"key": group.key, "name": group.name} for group in groups]
    merged = directory.merge(connection, table, ("key",), rows)
    listed = {group.key: group.members for group in groups if group.members is not None}
    members = [
        {table: key, "person": person} for key, people in listed.items() for person in people
    ]
    inner = directory.merge(connection, f"{table}_member", (table, "person"), members, prune=listed)
    load_report.count(report, section, merged, inner)


def _note_unused_addresses(section: str, rows: Sequence[Sequence[str]], report: Report) -> None:
    for number, addresses in enumerate(rows):
        report.notes.extend(
            f"{section}[{number}]: {address!r} is not used: {reason}"
            for address in addresses
            if address and (reason := syntax.problem(address))
        )
