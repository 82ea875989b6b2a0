"""Diaries, who is busy, and the first available times, as the API answers (domain.md §5, §8)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.actions import diaries, load
from gateway.actions.desk import Desk
from tests.web.world import Office

WEEK = {"from": "2026-12-01T00:00:00+01:00", "to": "2026-12-08T00:00:00+01:00"}


def add(office: Office, **sections: Any) -> None:
    """More of a CRM, planned."""
    with office.store.write() as connection:
        load.load(connection, sections, office.site.settings, office.now)
    office.plan()


async def got(office: Office, path: str, by: str = "kari", **params: Any) -> Any:
    answer = await office.ask("GET", path, by, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def searched(office: Office, **said: Any) -> list[str]:
    answer = await office.ask("POST", "/first-available", "kari", json=said)
    assert answer.status_code == 200, answer.text
    return [slot["start"] for slot in answer.json()["slots"]]


def entries(document: Any, whose: int = 0) -> list[tuple[str, str]]:
    return [
        (one.get("follow_up", "-"), one["start"]) for one in document["diaries"][whose]["entries"]
    ]


async def test_a_diary_shows_its_own_and_only_the_time_of_what_is_private(office: Office) -> None:
    """domain.md §8; docs/api.md: free and busy only where private."""
    office.plan()
    seen = await got(office, "/diary", of="nils", **WEEK)
    assert entries(seen) == [
        ("foreign", "2026-12-01T09:00:00+01:00"),
        ("-", "2026-12-01T09:00:00+01:00"),
    ]
    assert seen["diaries"][0]["entries"][1] == {
        "start": "2026-12-01T09:00:00+01:00",
        "end": "2026-12-01T10:00:00+01:00",
        "busy": True,
        "conflict": True,
        "private": True,
    }
    own = await got(office, "/diary", "nils", of="nils,kari", **WEEK)
    assert {key for key, _ in entries(own)} == {"foreign", "private"}
    [mine] = own["diaries"][1]["entries"]
    assert (mine["title"], mine["status"], mine["conflict"]) == (
        "Title of own",
        "not_started",
        False,
    )


@pytest.mark.parametrize("year", [2026, 2029])
async def test_dates_of_a_series_are_there_however_far_ahead(office: Office, year: int) -> None:
    """domain.md §5, §6: kept near, and expanded beyond."""
    series = {
        "key": "weekly",
        "kind": "meeting",
        "owner": "kari",
        "title": "Weekly",
        "start": "2026-11-24T09:00:00",
        "end": "2026-11-24T09:30:00",
        "timezone": "Europe/Oslo",
        "recurrence": {"rrule": "FREQ=WEEKLY"},
        "participants": [{"associate": "per"}],
    }
    add(office, follow_ups=[series])
    period = {"from": f"{year}-12-10T00:00:00Z", "to": f"{year}-12-24T00:00:00Z"}
    seen = await got(office, "/diary", of="per", **period)
    dates = {2026: (15, 22), 2029: (11, 18)}[year]
    assert entries(seen) == [("weekly", f"{year}-12-{date:02}T09:00:00+01:00") for date in dates]


async def test_who_declined_has_it_no_longer_in_the_diary(office: Office) -> None:
    """domain.md §4: and is free then."""
    office.plan()

    def decline(here: Desk) -> None:
        here.connection.exec_driver_sql(
            "UPDATE participant SET set_status = 9 WHERE associate = 'per'"
        )

    office.perform(decline, office.actor("crm"))
    office.plan()
    assert entries(await got(office, "/diary", of="per", **WEEK)) == []
    at = {"from": "2026-12-01T09:30:00+01:00", "to": "2026-12-01T11:00:00+01:00"}
    marks = await got(office, "/busy", of="per,kari,room1", **at)
    assert marks == {
        "busy": [{"associate": "kari"}],
        "free": [{"associate": "per"}, {"resource": "room1"}],
    }
    assert (await got(office, "/busy", of="kari", **at, **{"except": "own"}))["busy"] == []


async def test_tasks_stand_in_the_list_of_their_day(office: Office) -> None:
    """domain.md §8: of the owner, carried out or not, and not what is private to others."""
    task = {"kind": "task", "owner": "kari", "timezone": "Europe/Oslo"}
    add(
        office,
        follow_ups=[
            {**task, "key": "t1", "title": "Call back", "deadline": "2026-12-03"},
            {**task, "key": "t2", "deadline": "2026-12-02", "completed": True},
            {**task, "key": "t3", "deadline": "2026-12-02", "private": True},
            {**task, "key": "t4", "deadline": "2026-12-12"},
        ],
    )
    office.now = datetime(2026, 12, 4, 8, tzinfo=UTC)
    seen = await got(office, "/diary", "kari", of="kari", **WEEK)
    assert [
        (one["follow_up"], one["deadline"], one["completed"], one["overdue"])
        for one in seen["diaries"][0]["tasks"]
    ] == [
        ("t2", "2026-12-02", True, False),
        ("t3", "2026-12-02", False, True),
        ("t1", "2026-12-03", False, True),
    ]
    others = await got(office, "/diary", "nils", of="kari", **WEEK)
    assert [one["follow_up"] for one in others["diaries"][0]["tasks"]] == ["t2", "t1"]


async def test_an_all_day_follow_up_is_shown_by_its_days(office: Office) -> None:
    """domain.md §2: the end of days is exclusive."""
    fair = {"key": "fair", "kind": "meeting", "owner": "kari", "title": "Fair", "all_day": True}
    add(office, follow_ups=[{**fair, "start": "2026-12-05", "end": "2026-12-07"}])
    seen = await got(office, "/diary", of="kari", **WEEK)
    assert entries(seen)[-1] == ("fair", "2026-12-05")
    assert seen["diaries"][0]["entries"][-1]["end"] == "2026-12-07"


async def test_the_first_available_times_of_all(office: Office) -> None:
    """domain.md §5: within working hours, past what is taken, three of them."""
    office.plan()
    together = [{"associate": "kari"}, {"associate": "per"}, {"resource": "room1"}]
    later = {"minutes": 90, "not_before": "2026-12-01T07:00:00+01:00"}
    assert await searched(office, participants=[*together, {"person": "ola"}], **later) == [
        "2026-12-01T10:00:00+01:00",
        "2026-12-01T11:30:00+01:00",
        "2026-12-01T13:00:00+01:00",
    ]
    evening = {"within": {"tuesday": ["18:00", "20:00"]}}
    assert await searched(office, participants=together, **later, **evening) == [
        "2026-12-01T18:00:00+01:00",
        "2026-12-08T18:00:00+01:00",
        "2026-12-15T18:00:00+01:00",
    ]
    moved = {"except": "own"}  # what is to be moved takes nobody's time; nils' meeting takes Per's
    assert await searched(office, participants=[{"associate": "kari"}], **later, **moved) == [
        "2026-12-01T08:00:00+01:00",
        "2026-12-01T09:30:00+01:00",
        "2026-12-01T11:00:00+01:00",
    ]
    soon = {"until": "2026-12-01T10:30:00+01:00"}
    assert await searched(office, participants=together, **later, **soon) == []


async def test_api_1_nobody_learns_whose_time_is_taken_by_leaving_a_follow_up_out(
    office: Office,
) -> None:
    """What is private to others takes time, and no more is told of it."""
    office.plan()
    time = {"from": "2026-12-01T09:00:00+01:00", "to": "2026-12-01T10:00:00+01:00"}
    search = {"participants": [{"associate": "nils"}], "minutes": 60}
    for left_out in ("private", "nothing"):
        said = {"of": "nils", **time, "except": left_out}
        assert (await office.ask("GET", "/busy", "kari", params=said)).status_code == 404
        search["except"] = left_out
        found = await office.ask("POST", "/first-available", "kari", json=search)
        assert found.status_code == 404
    mine = {"of": "nils", **time, "except": "private"}
    assert await got(office, "/busy", "nils", **mine)


async def test_a_double_booked_follow_up_knows_when_all_of_its_people_are_free(
    office: Office,
) -> None:
    """help page 000: the exclamation mark, and "Første ledige": past its own time, which others
    have, too.
    """
    room = {"key": "room", "kind": "meeting", "owner": "kari", "title": "Alone"}
    add(
        office,
        follow_ups=[{**room, "start": "2026-12-03T09:00:00", "participants": [{"person": "ola"}]}],
    )

    def first(here: Desk) -> list[datetime | None]:
        return [diaries.first_of(here, key) for key in ("private", "room", "nothing")]

    at_ten = datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert office.perform(first, office.actor("nils")) == [at_ten, None, None]


async def test_a_write_answers_with_the_conflict_that_it_makes(office: Office) -> None:
    """docs/api.md: with the representation that GET has, and so with its ETag."""
    office.plan()
    conflicts = list[bool]()
    for start in ("2026-12-03T09:00:00", "2026-12-01T09:30:00"):
        path, said = "/follow-ups/own/reschedule", {"start": start}
        written = await office.ask("POST", path, "kari", {"If-Match": "*"}, json=said)
        assert written.status_code == 200, written.text
        conflicts.append(written.json()["conflict"])
        read = await office.ask("GET", "/follow-ups/own", "kari")
        assert written.headers["ETag"] == read.headers["ETag"]
        assert written.json()["first_available"] == read.json()["first_available"]
    assert conflicts == [False, True]
    assert read.json()["first_available"] == "2026-12-01T10:00:00+01:00"


async def test_everybody_works_by_their_own_clock(office: Office) -> None:
    """domain.md §5, §11: eight to four in Oslo and in New York have two hours in common."""
    add(
        office,
        associates=[
            {"key": "eva", "name": "Eva", "timezone": "America/New_York"},
            {"key": "tom", "name": "Tom", "preferences": {"working_hours": {}}},
        ],
    )
    search = {"minutes": 60, "not_before": "2026-12-02T00:00:00Z"}
    both = [{"associate": "eva"}, {"associate": "kari"}]
    assert await searched(office, participants=both, **search) == [
        "2026-12-02T14:00:00+01:00",
        "2026-12-02T15:00:00+01:00",
        "2026-12-03T14:00:00+01:00",
    ]
    assert await searched(office, participants=[{"associate": "tom"}], **search) == []


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        ("/diary", {"of": "nobody", **WEEK}, 404, "no associate or resource nobody"),
        ("/diary", {"of": ",", **WEEK}, 422, "names nobody"),
        ("/diary", {"of": "kari", **WEEK, "to": "2027-12-01T00:00:00Z"}, 422, "92 days"),
        ("/diary", {"of": "kari", **WEEK, "to": WEEK["from"]}, 422, "not after from"),
        ("/diary", {"of": "kari", **WEEK, "to": "2026-12-01"}, 422, "to"),
        ("/busy", {"of": ",".join(["kari"] * 51), **WEEK}, 422, "at most 50 diaries"),
        ("/busy", {"of": "kari", **WEEK, "to": "9999-12-01T00:00:00Z"}, 422, "1900 to"),
    ],
)
async def test_what_is_asked_wrongly_is_told(
    office: Office, path: str, params: dict[str, str], status: int, words: str
) -> None:
    answer = await office.ask("GET", path, "kari", params=params)
    assert answer.status_code == status, answer.text
    assert words in answer.text


@pytest.mark.parametrize(
    "said",
    [
        {"participants": [{"associate": "kari", "resource": "room1"}], "minutes": 30},
        {"participants": [{"associate": "kari"}], "minutes": 0},
        {"participants": [], "minutes": 30},
        {"participants": [{"associate": "kari"}], "minutes": 30, "within": {"noday": ["1", "2"]}},
        {
            "participants": [{"associate": "kari"}],
            "minutes": 30,
            "not_before": "2026-12-02T00:00:00Z",
            "until": "2026-12-01T00:00:00Z",
        },
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(office: Office, said: Any) -> None:
    answer = await office.ask("POST", "/first-available", "kari", json=said)
    assert answer.status_code == 422, answer.text
