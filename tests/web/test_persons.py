"""What is known of one person, by the API (docs/api.md)."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.web.world import Office

DOCUMENT: Mapping[str, Any] = {
    "persons": [{"key": "eva", "name": "Eva Lind", "emails": ["eva@other.example"]}],
    "follow_ups": [
        {
            "key": "about-eva",
            "title": "Kick-off",
            "owner": "kari",
            "start": "2027-03-01T09:00:00",
            "end": "2027-03-01T10:00:00",
            "timezone": "Europe/Oslo",
            "participants": [{"person": "eva", "email_invite": True}],
        }
    ],
}


def sent(office: Office) -> None:
    """Every letter that is owed has left."""
    office.plan()
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state = 'sent'")
        connection.exec_driver_sql(
            "UPDATE invitation SET delivery = 'sent', sent_edition = (SELECT max(edition) FROM"
            " outbox WHERE invitation = invitation.id), sent_method = (SELECT method FROM outbox"
            " WHERE id = (SELECT max(id) FROM outbox WHERE invitation = invitation.id))"
        )


@pytest.mark.parametrize("name", ["eva", "eva@other.example"])
async def test_a_person_is_told_withdrawn_and_erased(office: Office, name: str) -> None:
    assert (await office.ask("POST", "/import", "crm", json=DOCUMENT)).status_code == 200
    sent(office)
    told = await office.ask("GET", f"/persons/{name}/export", "admin")
    tables = told.json()["tables"]
    assert [row["name"] for row in tables["person"]] == ["Eva Lind"]
    assert [row["follow_up"] for row in tables["participant"]] == ["about-eva"]
    refused = await office.ask("POST", f"/persons/{name}/erase", "admin")
    assert (refused.status_code, "about-eva" in refused.json()["detail"]) == (409, True)
    withdrawn = await office.ask("POST", f"/persons/{name}/withdraw", "admin")
    said = withdrawn.json()
    assert (said["withdrawn"], said["letters"]["cancel"]) == (1, 1)
    sent(office)
    dry = {"dry_run": "true"}
    assert (await office.ask("POST", f"/persons/{name}/erase", "admin", params=dry)).is_success
    erased = await office.ask("POST", f"/persons/{name}/erase", "admin")
    assert erased.status_code == 200, erased.text
    assert erased.json()["taken"]["person"] == 1
    assert "the mailbox: messages in its folders" in erased.json()["remains"]
    for path in ("/persons/eva/export", "/persons/eva@other.example/export", "/persons/eva"):
        assert (await office.ask("GET", path, "admin")).status_code == 404
    whole = await office.ask("GET", "/follow-ups/about-eva", "crm")
    assert "Eva" not in whole.text


async def test_nobody_but_an_administrator_is_told(office: Office) -> None:
    for who in ("crm", "read"):
        assert (await office.ask("GET", "/persons/ola/export", who)).status_code == 403
        assert (await office.ask("POST", "/persons/ola/erase", who)).status_code == 403
