"""Keys of the CRM in addresses (docs/api.md): whatever a key is, the address that is said for it
leads there, in the API and on the page.
"""

from urllib.parse import urlsplit

import pytest

from gateway.model import Access
from gateway.web import keys
from gateway.web.api.site import PREFIX
from tests.web.test_pages import signed_in
from tests.web.world import Office

KEYS = ("plain", "a.b@c:d~e-f", "*", ".", "..", "new", "own.ics", "with space", "a/b", "ø&of=x")
MEETING = {
    "kind": "meeting",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T10:00:00",
    "timezone": "Europe/Oslo",
}


@pytest.mark.parametrize("key", KEYS)
async def test_the_address_of_a_key_leads_there(office: Office, key: str) -> None:
    said = {**MEETING, "key": key, "title": f"Called {key!r}", "owner": "kari"}
    made = await office.ask("POST", "/follow-ups", json=said)
    assert made.status_code == 201, made.text
    there = made.headers["location"].removeprefix(PREFIX)
    shown = await office.ask("GET", there)
    assert shown.status_code == 200, (there, shown.text)
    assert shown.json()["key"] == key
    page = await signed_in(office, "kari", Access.USER).get(keys.path("follow-ups", key, "edit"))
    assert page.status_code == 200, page.text
    assert "Called" in page.text


def test_a_key_stands_in_the_path_where_it_can() -> None:
    assert keys.path("follow-ups", "m1", "edit") == "/follow-ups/m1/edit"
    assert keys.path("follow-ups", "a b", "edit", q="c") == "/follow-ups/*/edit?key=a+b&q=c"
    for key in KEYS[2:]:
        assert urlsplit(keys.path("follow-ups", key)).path == "/follow-ups/*"


@pytest.mark.parametrize("name", ["new", "kari+page@crm.example", "a.ics"])
async def test_the_address_of_a_user_leads_there(office: Office, name: str) -> None:
    """Their names are no keys, and always stand in the path."""
    made = await office.ask("POST", "/users", "admin", json={"name": name, "role": "admin"})
    there = made.headers["location"].removeprefix(PREFIX)
    shown = await office.ask("GET", there, "admin")
    assert shown.status_code == 200, (there, shown.text)
    assert shown.json()["name"] == name
