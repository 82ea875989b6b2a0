"""Times in addresses and bodies: an instant with its offset, or a plain day, which is its midnight
where whoever asks is at home (docs/api.md).
"""

from typing import Any

import pytest

from tests.web.world import Office

MIDNIGHT = "2026-11-30T23:00:00Z"
"""Of 1 December in Oslo, where the site is."""


async def told(office: Office, path: str, by: str = "crm", **params: str) -> Any:
    answer = await office.ask("GET", path, by, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_day_in_a_diary_is_its_midnight(office: Office) -> None:
    days = await told(office, "/diary", of="nils", **{"from": "2026-12-01"}, to="2026-12-02")
    at = {"from": MIDNIGHT, "to": "2026-12-01T23:00:00Z"}
    assert days == await told(office, "/diary", of="nils", **at)
    assert len(days["diaries"][0]["entries"]) == 2
    assert days["from"] == "2026-12-01T00:00:00+01:00"
    busy = await told(office, "/busy", of="nils", **{"from": "2026-12-01"}, to="2026-12-02")
    assert busy["busy"] == [{"associate": "nils"}]


async def test_a_day_is_that_of_whoever_asks(office: Office) -> None:
    at_home = {"timezone": "America/New_York"}
    match = {"If-Match": "*"}
    assert (
        await office.ask("PATCH", "/preferences", "kari", match, json=at_home)
    ).status_code == 200
    days = {"from": "2026-12-01", "to": "2026-12-02"}
    for by, begins in (("kari", "2026-12-01T06:00:00+01:00"), ("per", "2026-12-01T00:00:00+01:00")):
        assert (await told(office, "/diary", by, of="nils", **days))["from"] == begins


async def test_lists_take_days(office: Office) -> None:
    async def keys(**params: str) -> list[str]:
        return [one["key"] for one in (await told(office, "/follow-ups", **params))["items"]]

    everything = ["foreign", "own", "private"]
    assert await keys(**{"from": "2026-12-01"}) == everything
    assert await keys(**{"from": "2026-12-02"}) == []
    assert await keys(to="2026-12-01") == []
    assert await keys(to="2026-12-02") == everything
    assert await keys(changed_after="2026-11-20") == everything
    assert await keys(changed_after="2026-11-21") == []
    rows = await told(office, "/participants", changed_after="2026-11-21")
    assert rows["items"] == []


async def test_free_times_are_looked_for_between_days(office: Office) -> None:
    body = {"participants": [{"associate": "per"}], "minutes": 60}
    days = {"not_before": "2026-12-01", "until": "2026-12-02"}
    answer = await office.ask("POST", "/first-available", json={**body, **days})
    assert [slot["start"] for slot in answer.json()["slots"]] == [
        "2026-12-01T08:00:00+01:00",
        "2026-12-01T10:00:00+01:00",
        "2026-12-01T11:00:00+01:00",
    ]


async def test_dates_take_both(office: Office) -> None:
    days = await told(office, "/follow-ups/own/dates", **{"from": "2026-12-01"}, to="2026-12-02")
    at = {"from": MIDNIGHT, "to": "2026-12-01T23:00:00Z"}
    assert days == await told(office, "/follow-ups/own/dates", **at)
    assert len(days["items"]) == 1


WRONG = [
    ("2026-12-01T09:00:00", "has no offset from UTC"),
    ("2026-12-01T09:00:00 01:00", "a + in an address is written %2B"),
    ("2026-13-01", "is no time like 2026-12-01T09:00:00+01:00 and no day like 2026-12-01"),
    ("0", "is no time like"),
    ("20261201", "is no time like"),
    ("1600-01-01", "is not in the years"),
    ("9999-12-31T23:59:59-12:00", "is no"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
async def test_what_is_no_time_says_how_one_is_written(
    office: Office, text: str, words: str
) -> None:
    answer = await office.ask("GET", "/follow-ups", params={"from": text})
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["parameter"]) == (422, "from")
    assert words in error["detail"]


async def test_small_letters_are_a_time_too(office: Office) -> None:
    assert await told(office, "/follow-ups", **{"from": "2026-12-01t00:00:00z"})


async def test_the_document_says_both(office: Office) -> None:
    document = office.application.openapi()
    parameters = document["paths"]["/api/v1/diary"]["get"]["parameters"]
    [since] = [one for one in parameters if one["name"] == "from"]
    assert {one["format"] for one in since["schema"]["anyOf"]} == {"date-time", "date"}
    assert "midnight" in since["description"]
