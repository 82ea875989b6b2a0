"""What waits for a person, by the API (domain.md §9): seen by whom it is for, decided once."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.actions import webhooks
from gateway.followups.webhooks import Response
from gateway.store import schema_webhooks
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


async def test_a_decline_in_the_crm_waits_for_the_owner(office: Office) -> None:
    """domain.md §9"""
    row = office.row("own", "per")
    said = {"reply": "declined", "comment": "On holiday"}
    await office.ask("POST", f"/participants/{row}/answer", "per", json=said)
    [newest, _] = (await office.ask("GET", "/decisions", "kari")).json()["items"]
    assert (newest["kind"], newest["participant"]) == ("declined", row)
    assert newest["detail"]["comment"] == "On holiday"
    await office.ask("POST", f"/participants/{row}/acknowledge", "kari")
    closed = (await office.ask("GET", f"/decisions/{newest['id']}", "kari")).json()
    assert (closed["closed_by"], closed["choice"]) == ("kari", "acknowledge")


async def test_what_the_owner_set_by_hand_waits_for_nobody(office: Office) -> None:
    """domain.md §9"""
    row = office.row("own", "per")
    said = {"reply": "declined"}
    await office.ask("POST", f"/participants/{row}/answer", "kari", json=said)
    kinds = [one["kind"] for one in (await office.ask("GET", "/decisions", "kari")).json()["items"]]
    assert kinds == ["proposal"]


async def test_a_cancellation_ends_what_waits_and_undoing_it_asks_again(office: Office) -> None:
    """domain.md §9"""
    before = office.decision("own")
    headers = {"If-Match": "*"}
    await office.ask("POST", "/follow-ups/own/cancel", "kari", headers, json={})
    assert (await office.ask("GET", "/decisions", "kari")).json()["items"] == []
    await office.ask("POST", "/follow-ups/own/reinstate", "kari", headers, json={})
    [again] = (await office.ask("GET", "/decisions", "kari")).json()["items"]
    assert (again["kind"], again["proposal"]) == ("proposal", before.cause.proposal)


def given_up(office: Office) -> None:
    """Nobody took what the CRM's webhook was to be told, for four days."""
    [(hook, delivery)] = webhooks.due(office.store, (), 1, office.now)
    office.later(days=4)
    nobody = Response(None, "connection refused")
    webhooks.settle(office.store, hook, delivery, nobody, office.now)


@pytest.mark.parametrize(("choice", "active"), [("on", True), ("off", False)])
async def test_a_webhook_that_was_given_up_is_for_administrators(
    office: Office, choice: str, active: bool
) -> None:
    """domain.md §9"""
    given_up(office)
    [one] = (await office.ask("GET", "/decisions", "admin")).json()["items"]
    assert (one["kind"], one["choices"], one["follow_up"]) == ("webhook", ["on", "off"], None)
    assert one["detail"]["url"] == "https://crm.example/invites"
    assert (await office.ask("GET", f"/decisions/{one['id']}", "crm")).status_code == 404
    path = f"/decisions/{one['id']}"
    done = await office.ask("POST", path, "admin", json={"choice": choice})
    assert (done.status_code, done.json()["closed_by"]) == (200, "admin")
    hook = (await office.ask("GET", "/webhooks/1", "admin")).json()
    assert hook["active"] is active


@pytest.mark.parametrize("ending", ["taken", "removed", "changed"])
async def test_a_webhook_that_works_again_closes_its_decision(office: Office, ending: str) -> None:
    """domain.md §9"""
    given_up(office)
    headers = {"If-Match": "*"}
    if ending == "removed":
        await office.ask("DELETE", "/webhooks/1", "admin", headers)
    elif ending == "changed":
        url = {"url": "https://crm.example/other"}
        await office.ask("PATCH", "/webhooks/1", "admin", headers, json=url)
    else:
        office.later(days=2)
        await office.ask("POST", "/webhooks/1/test", "admin")
        [(hook, delivery)] = webhooks.due(office.store, (), 1, office.now)
        taken = Response(200)
        webhooks.settle(office.store, hook, delivery, taken, office.now)
    assert (await office.ask("GET", "/decisions", "admin")).json()["items"] == []


async def test_a_webhook_is_told_of_decisions_as_get_shows_them(office: Office) -> None:
    """domain.md §9"""
    number = office.decision("own").id
    await office.ask("POST", f"/decisions/{number}", "kari", json={"choice": "keep"})
    webhooks.announce(office.store, office.site.settings, office.now + timedelta(hours=1))
    with office.store.read() as connection:
        table = schema_webhooks.webhook_delivery
        query = sa.select(table.c.body).where(table.c.type == "decision.closed")
        [body] = connection.execute(query).scalars()
    shown = (await office.ask("GET", f"/decisions/{number}")).json()
    assert json.loads(body)["data"] == shown
