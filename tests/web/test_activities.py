"""The activities of a company, person, project or sale (domain.md §8, help pages 000 and 004)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.actions import load
from tests.store.conftest import emptied, store  # noqa: F401 - on both databases
from tests.web.world import Office

TASK = {"kind": "task", "owner": "kari", "timezone": "Europe/Oslo"}


def filled(office: Office) -> None:
    document = {
        "persons": [{"key": "ola", "name": "Ola Hansen", "company": "acme"}],
        "follow_ups": [
            {**TASK, "key": "t1", "company": "acme", "deadline": "2026-11-10", "sale": "chairs"},
            {**TASK, "key": "t2", "person": "ola", "deadline": "2026-11-12", "completed": True},
            {**TASK, "key": "t3", "project": "p1", "deadline": "2026-12-24"},
            {**TASK, "key": "t4", "kind": "call", "company": "acme", "deadline": "2026-11-20"},
        ],
    }
    with office.store.write() as connection:
        load.load(connection, document, office.site.settings, office.now)
    office.plan()


async def listed(office: Office, path: str, by: str = "kari", **params: Any) -> list[str]:
    answer = await office.ask("GET", f"{path}/activities", by, params=params)
    assert answer.status_code == 200, answer.text
    return [item["key"] for item in answer.json()["items"]]


async def test_a_follow_up_shows_where_it_belongs(office: Office) -> None:
    """help page 000: that of an external person stands with the company; overdue and completed
    ones, too; the latest first.
    """
    filled(office)
    office.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert await listed(office, "/companies/acme") == ["own", "foreign", "t4", "t2", "t1"]
    assert await listed(office, "/persons/ola") == ["own", "foreign", "t2"]
    assert await listed(office, "/projects/p1") == ["t3"]
    assert await listed(office, "/sales/chairs") == ["t1"]
    assert "private" in await listed(office, "/persons/ola", "nils")
    answer = await office.ask("GET", "/companies/acme/activities", "kari")
    overdue = [item["key"] for item in answer.json()["items"] if item["overdue"]]
    assert overdue == ["t1"], "what is due today is not overdue"


async def test_pages_of_activities(office: Office) -> None:
    filled(office)
    seen = list[str]()
    params: dict[str, Any] = {"limit": 2}
    for _ in range(3):
        page = (await office.ask("GET", "/companies/acme/activities", "kari", params=params)).json()
        seen += [item["key"] for item in page["items"]]
        params["cursor"] = page["next"]
    assert seen == ["own", "foreign", "t4", "t2", "t1"]
    assert page["next"] is None


@pytest.mark.parametrize("section", ["companies", "persons", "projects", "sales"])
async def test_what_the_directory_has_not_is_not_found(office: Office, section: str) -> None:
    assert (await office.ask("GET", f"/{section}/nothing/activities")).status_code == 404
