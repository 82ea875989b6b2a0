"""The invitations view of an associate and its three switches (domain.md §7, help page 002)."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.actions import load
from tests.store.conftest import emptied, store  # noqa: F401 - on both databases
from tests.web.world import Office

SERIES = {
    "key": "weekly",
    "kind": "meeting",
    "owner": "kari",
    "title": "Weekly",
    "start": "2026-11-24T09:00:00",
    "end": "2026-11-24T09:30:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=3"},
    "participants": [{"associate": "per"}],
}
TASK = {"key": "call", "kind": "task", "title": "Call Ola", "deadline": "2026-11-10"}


def add(office: Office, *follow_ups: dict[str, Any]) -> None:
    with office.store.write() as connection:
        load.load(connection, {"follow_ups": list(follow_ups)}, office.site.settings, office.now)
    office.plan()


async def asked(office: Office, by: str = "per", **params: Any) -> list[dict[str, Any]]:
    answer = await office.ask("GET", "/invitations", by, params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def listed(office: Office, by: str = "per", **params: Any) -> list[tuple[str, str]]:
    return [(one["follow_up"], one["status"]) for one in await asked(office, by, **params)]


async def answer(office: Office, follow_up: str, by: str = "per", **said: Any) -> None:
    number = office.row(follow_up, by)
    done = await office.ask("POST", f"/participants/{number}/answer", by, json=said)
    assert done.status_code == 200, done.text


async def test_what_is_accepted_leaves_the_list(office: Office) -> None:
    """domain.md §7: and stands in the diary."""
    office.plan()
    names = [key for key, _ in await listed(office)]
    assert sorted(names) == ["foreign", "own", "private"]
    await answer(office, "own", reply="accepted")
    await answer(office, "foreign", reply="tentative")
    assert sorted(await listed(office)) == [("foreign", "seen"), ("private", "invitation")]
    assert await listed(office, "kari") == []


async def test_a_decline_is_shown_to_who_said_it_and_to_who_asked(office: Office) -> None:
    """domain.md §7: the switches "show declined" and "show responses", and the next step."""
    office.plan()
    await answer(office, "own", reply="declined", comment="Travelling")
    assert ("own", "declined") not in await listed(office)
    assert ("own", "declined") in await listed(office, declined=True)
    [response] = await asked(office, "kari", responses=True)
    assert {name: response[name] for name in ("follow_up", "key", "comment", "status", "next")} == {
        "follow_up": "own",
        "key": "per",
        "comment": "Travelling",
        "status": "declined",
        "next": "reschedule",
    }
    assert await asked(office, "nils", responses=True) == []


async def test_what_was_declined_stays_until_the_day_after(office: Office) -> None:
    """domain.md §4; what nobody has answered by then is asked of nobody any more."""
    office.plan()
    await answer(office, "own", reply="declined")
    office.now += timedelta(days=12)  # 2 December; it took place on the first
    assert ("own", "declined") in await listed(office, declined=True)
    assert await listed(office, "kari", responses=True) == [("own", "declined")]
    office.now += timedelta(days=1)
    assert await listed(office, declined=True) == []
    assert await listed(office, "kari", responses=True) == []


async def test_an_assignment_is_asked_and_may_be_assigned_again(office: Office) -> None:
    """domain.md §4, §7: 11, and 13 with the assigner; a task has no time, and stays."""
    task = {**TASK, "owner": "per", "assigned_by": "kari", "participants": [{"associate": "per"}]}
    add(office, task)
    assert ("call", "assigned") in await listed(office)
    assert (await asked(office))[0]["deadline"] == "2026-11-10"
    await answer(office, "call", reply="declined")
    assert "call" not in [key for key, _ in await listed(office)]
    [response] = await asked(office, "kari", responses=True)
    assert (response["status"], response["next"]) == ("assignment_declined", "assign")


async def test_a_date_that_somebody_declines_is_told_who_asked(office: Office) -> None:
    """domain.md §6, §7: the answer to the date stands over that to the series."""
    add(office, SERIES)
    await answer(office, "weekly", reply="accepted")
    first, second = "2026-11-24T09:00:00+01:00", "2026-12-01T09:00:00+01:00"
    await answer(office, "weekly", reply="declined", comment="Travelling", instance=second)
    [response] = await asked(office, "kari", responses=True)
    shown = [response[name] for name in ("follow_up", "instance", "start", "status", "comment")]
    assert shown == ["weekly", second, second, "declined", "Travelling"]
    assert response["next"] == "reschedule"
    await answer(office, "weekly", reply="declined", instance=first)
    dates = [one["instance"] for one in await asked(office, "kari", responses=True)]
    assert dates == [first, second]
    office.later(days=6)  # 26 November: the first was two days ago
    assert [one["instance"] for one in await asked(office, "kari", responses=True)] == [second]
    cancel = {"instance": second}
    done = await office.ask("POST", "/follow-ups/weekly/cancel", json=cancel)
    assert done.status_code == 200, done.text
    office.plan()
    assert await asked(office, "kari", responses=True) == []
    await answer(office, "weekly", reply="declined")
    [whole] = await asked(office, "kari", responses=True)
    assert whole["instance"] is None, "who declines all of it is told once"


async def test_repetitions_are_the_dates_of_a_series(office: Office) -> None:
    """domain.md §6, §7: a date that was answered by itself is not asked again."""
    add(office, SERIES)
    assert ("weekly", "invitation") in await listed(office)
    await answer(office, "weekly", reply="accepted", instance="2026-12-01T09:00:00+01:00")
    dates = [
        one["instance"]
        for one in await asked(office, repetitions=True)
        if one["follow_up"] == "weekly"
    ]
    assert dates == ["2026-11-24T09:00:00+01:00", "2026-12-08T09:00:00+01:00"]
    await answer(office, "weekly", reply="accepted")
    await answer(office, "weekly", reply="declined", instance="2026-12-08T09:00:00+01:00")
    assert "weekly" not in [key for key, _ in await listed(office, repetitions=True)]
    assert ("weekly", "declined") in await listed(office, declined=True)


async def test_pages_of_the_list_go_on_where_the_last_one_ended(office: Office) -> None:
    office.plan()
    seen = list[str]()
    params: dict[str, Any] = {"limit": 2}
    for _ in range(2):
        page = (await office.ask("GET", "/invitations", "per", params=params)).json()
        seen += [one["follow_up"] for one in page["items"]]
        params["cursor"] = page["next"]
    assert sorted(seen) == ["foreign", "own", "private"]
    assert page["next"] is None


@pytest.mark.parametrize("by", ["read", "crm", "admin"])
async def test_who_is_no_associate_has_no_invitations(office: Office, by: str) -> None:
    assert (await office.ask("GET", "/invitations", by)).status_code == 403
