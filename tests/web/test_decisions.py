"""What waits for a person, by the API (domain.md §9): seen by whom it is for, decided once."""

import pytest

from tests.web.world import Office


async def test_each_sees_what_is_theirs(office: Office) -> None:
    """domain.md §9"""
    mine = (await office.ask("GET", "/decisions", "kari")).json()
    assert [(one["kind"], one["follow_up"]) for one in mine["items"]] == [("proposal", "own")]
    [one] = mine["items"]
    assert one["choices"] == ["move", "keep"]
    assert one["detail"]["start"] == "2026-12-02T08:00:00Z"
    assert (one["closed_at"], one["closed_by"], one["choice"]) == (None, "", "")
    alone = await office.ask("GET", f"/decisions/{one['id']}", "kari")
    assert alone.json() == one
    assert (await office.ask("GET", "/decisions", "read")).json()["items"] == []
    assert (await office.ask("GET", "/decisions", "admin")).json()["items"] == []


async def test_a_list_goes_on_where_it_ended(office: Office) -> None:
    """domain.md §9"""
    first = (await office.ask("GET", "/decisions?limit=2")).json()
    rest = (
        await office.ask("GET", "/decisions", params={"limit": 2, "cursor": first["next"]})
    ).json()
    numbers = [one["id"] for one in (*first["items"], *rest["items"])]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), rest["next"]) == (3, None)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("kind=proposal", ["private", "own", "foreign"]),
        ("kind=words", []),
        ("follow_up=own", ["own"]),
        ("follow_up=nothing", []),
    ],
)
async def test_a_list_is_of_what_is_asked_for(office: Office, query: str, keys: list[str]) -> None:
    """domain.md §9"""
    items = (await office.ask("GET", f"/decisions?{query}")).json()["items"]
    assert sorted(one["follow_up"] for one in items) == sorted(keys)


async def test_a_decision_is_made_once(office: Office) -> None:
    """domain.md §9"""
    path = f"/decisions/{office.decision('own').id}"
    done = await office.ask("POST", path, "kari", json={"choice": "move", "comment": "Fine"})
    assert (done.status_code, done.json()["choice"], done.json()["closed_by"]) == (
        200,
        "move",
        "kari",
    )
    assert "letters" in done.json()
    again = await office.ask("POST", path, "kari", json={"choice": "keep"})
    assert again.status_code == 409
    assert again.json()["detail"].startswith("kari decided it at 2026-11-20T08:00:00Z: move")
    assert (await office.ask("GET", "/decisions", "kari")).json()["items"] == []


async def test_a_dry_run_decides_nothing(office: Office) -> None:
    """domain.md §9"""
    path = f"/decisions/{office.decision('own').id}"
    tried = await office.ask("POST", f"{path}?dry_run=true", "kari", json={"choice": "move"})
    assert tried.json()["choice"] == "move"
    assert (await office.ask("GET", path, "kari")).json()["closed_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"choice": "same"}, "/choice"),
        ({"choice": ""}, "/choice"),
        ({}, "/choice"),
        ({"choice": "keep", "reason": "?"}, "/reason"),
    ],
)
async def test_what_is_no_choice_of_it_says_which_there_are(
    office: Office, body: dict[str, str], pointer: str
) -> None:
    """domain.md §9"""
    path = f"/decisions/{office.decision('own').id}"
    answer = await office.ask("POST", path, "kari", json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    if body.get("choice") == "same":
        assert "there are move, keep" in answer.json()["detail"]
