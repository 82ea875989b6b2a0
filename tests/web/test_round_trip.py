"""Import → GET → PUT of everything, over HTTP: nothing changes, and nobody gets a letter (docs/api.md).
`tests/store/test_round_trip.py` has the same by `load`, on both databases.
"""

from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as profile

from gateway.store import entries, schema
from tests.examples import examples
from tests.store.documents import documents
from tests.store.test_load_everything import EVERYTHING
from tests.store.test_reading import FOLLOW_UPS
from tests.web.world import Office


def document() -> dict[str, Any]:
    """Whatever a document can say, and the follow-ups of every shape."""
    persons = [
        {"key": "ola", "name": "Ola", "company": "acme", "emails": ["ola@ext.example"]},
        {"key": "eva b/ø", "name": "Eva"},
    ]
    staff = [*EVERYTHING["associates"], {"key": "lise", "name": "Lise"}]
    return {
        **EVERYTHING,
        "types": [*EVERYTHING["types"], {"key": "Meeting (external)"}],
        "fields": [
            {"key": "region", "type": "choice", "choices": ["north", "south"]},
            {"key": "value", "type": "number"},
            {"key": "budget", "type": "number"},
            {"key": "note"},
        ],
        "sales": [*EVERYTHING["sales"], {"key": "4711"}],
        "associates": staff,
        "persons": [*persons, {"key": "eva", "name": "Eva", "company": "acme"}],
        "follow_ups": [*EVERYTHING["follow_ups"], *FOLLOW_UPS],
    }


def _addresses(section: str, keys: list[str]) -> list[str]:
    path = section.replace("_", "-")
    return [f"/{path}/*?key={quote(key, safe='')}" for key in keys]


async def test_everything_may_be_put_back(office: Office) -> None:
    assert await loaded(office, document()) > 0
    await put_back(office, document())


@given(made=documents())
@profile(
    max_examples=examples(10),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_document_may_be_put_back(office: Office, made: dict[str, Any]) -> None:
    """Import → GET → PUT of whatever can be loaded: nothing changes, no letter."""
    with office.store.write() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name not in ("meta", "api_token"):
                connection.execute(sa.delete(table))
        connection.execute(sa.delete(schema.change_mark))
    await loaded(office, made)
    await put_back(office, made)


async def loaded(office: Office, said: dict[str, Any]) -> int:
    """How many letters are owed for what was imported."""
    answer = await office.ask("POST", "/import", json=said)
    assert answer.status_code == 200, answer.text
    return office.plan()


async def put_back(office: Office, said: dict[str, Any]) -> None:
    keys = {section: [one["key"] for one in said.get(section, ())] for section in entries.SECTIONS}
    keys["follow-ups"] = [one["key"] for one in said["follow_ups"]]
    for section, named in keys.items():
        for address in _addresses(section, named):
            shown = await office.ask("GET", address)
            assert shown.status_code == 200, (address, shown.text)
            tag = {"If-Match": shown.headers["etag"]}
            put = await office.ask("PUT", address, "crm", tag, json=shown.json())
            assert put.status_code == 200, (address, put.text)
            letters = put.json().pop("letters")
            assert (letters["request"], letters["cancel"]) == (0, 0), address
            again = await office.ask("GET", address)
            assert again.json() == shown.json(), address
            assert again.headers["etag"] == shown.headers["etag"]
    with office.store.read() as connection:
        assert connection.execute(sa.select(schema.change_mark)).all() == []
    assert office.plan() == 0
