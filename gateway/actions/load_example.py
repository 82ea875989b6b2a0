"""A document of `load` to begin with: whom and what it is about, one meeting, one series."""

import json
from datetime import date, timedelta
from typing import Any

from gateway.actions import load_format

PEOPLE: dict[str, Any] = {
    "associates": [
        {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example", "group": "Sales"}
    ],
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "persons": [
        {"key": "ola", "name": "Ola Hansen", "company": "acme", "emails": ["ola@ext.example"]}
    ],
    "resources": [{"key": "room1", "name": "Fjord", "kind": "place"}],
}
MEETING: dict[str, Any] = {
    "key": "m1",
    "owner": "kari",
    "title": "Kick-off",
    "agenda": "Who does what until the summer.",
    "timezone": "Europe/Oslo",
    "location": "Fjord",
    "participants": [
        {"associate": "kari"},
        {"resource": "room1"},
        {"person": "ola", "email_invite": True},
        {"email": "eva@other.example", "name": "Eva Lind", "email_invite": True},
    ],
}
SERIES: dict[str, Any] = {
    "key": "s1",
    "owner": "kari",
    "title": "Weekly status",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=5"},
    "participants": [{"person": "ola", "email_invite": True}],
}


def document(today: date) -> dict[str, Any]:
    """Follow-ups of the week after next, so that what is loaded can be invited to."""
    day = today + timedelta(days=14 - today.weekday())
    meeting = {**MEETING, "start": f"{day}T09:00:00", "end": f"{day}T10:00:00"}
    series = {**SERIES, "start": f"{day}T13:00:00", "end": f"{day}T13:30:00"}
    return {**PEOPLE, "follow_ups": [meeting, series]}


def schema() -> dict[str, Any]:
    """The format as JSON Schema (2020-12), from the same models that read a document."""
    json_schema = load_format.Document.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **json_schema,
        "title": "A document of invite-gateway load",
    }


def text(value: Any) -> str:
    """For a file: indented, as it is."""
    return json.dumps(value, ensure_ascii=False, indent=2)
