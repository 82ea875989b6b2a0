"""The directory over HTTP: each entry as `load` has it, by the same way (docs/api.md; domain.md
§11)."""

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.actions import desk
from gateway.store import schema
from gateway.web.api import directory
from tests.store import rows
from tests.web.world import Office

SECTIONS = {section.name: section for section in directory.SECTIONS}
ANY = {"If-Match": "*"}
COUNTED = ("request", "cancel")


async def read(office: Office, path: str, by: str = "crm") -> Any:
    answer = await office.ask("GET", path, by)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("name", SECTIONS)
async def test_what_get_answers_is_what_put_takes(office: Office, name: str) -> None:
    """And putting it back changes nothing: no mark, no other ETag."""
    section = SECTIONS[name]
    path = f"/{section.path}/{section.example['key']}"
    made = await office.ask("PUT", path, "crm", ANY, json=dict(section.example))
    assert made.status_code == 200
    answer = await office.ask("GET", path, "kari")
    entry, tag = answer.json(), answer.headers["etag"]
    assert {**entry, **section.example} == entry
    rows.run(office.store, "DELETE FROM change_mark")
    again = await office.ask("PUT", path, "crm", {"If-Match": tag}, json=entry)
    assert (again.status_code, again.headers["etag"]) == (200, tag)
    with office.store.read() as connection:
        assert connection.execute(sa.select(schema.change_mark)).all() == []


@pytest.mark.parametrize("name", SECTIONS)
async def test_an_entry_is_made_changed_found_and_deleted(office: Office, name: str) -> None:
    section = SECTIONS[name]
    path = f"/{section.path}/new.one"
    entry = {**section.example, "key": "new.one"}
    made = await office.ask("PUT", path, "crm", {"If-None-Match": "*"}, json=entry)
    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1{path}")
    assert (
        await office.ask("PUT", path, "crm", {"If-None-Match": "*"}, json=entry)
    ).status_code == 412
    assert (await office.ask("PUT", path, "crm", json=entry)).status_code == 428
    named = "name_nb" if name in ("types", "fields") else "name"
    changed = await office.ask("PATCH", path, "crm", ANY, json={named: "Øyvinds ting"})
    assert changed.json()[named] == "Øyvinds ting"
    assert changed.json() == {
        **made.json(),
        named: "Øyvinds ting",
        "letters": changed.json()["letters"],
    }
    for q in ("øyvind", "ØYVINDS", "new.o"):
        found = await read(office, f"/{section.path}?q={q}", "read")
        assert [one["key"] for one in found["items"]] == ["new.one"]
    stale = {"If-Match": made.headers["etag"]}
    assert (await office.ask("DELETE", path, "crm", stale)).status_code == 412
    assert (
        await office.ask("DELETE", path, "crm", ANY, params={"dry_run": True})
    ).status_code == 200
    assert (await office.ask("DELETE", path, "crm", ANY)).status_code == 200
    assert (await office.ask("GET", path)).status_code == 404
    assert (await office.ask("PATCH", path, "crm", ANY, json={})).status_code == 404
    assert (await read(office, f"/{section.path}?q=new.one"))["items"] == []


async def test_a_key_that_no_path_holds_is_said_beside_it(office: Office) -> None:
    odd = {"key": "a b/ø?"}
    made = await office.ask("PUT", "/companies/*", params=odd, json={"name": "Odd"})
    where = made.headers["location"].removeprefix("/api/v1")
    assert where.startswith("/companies/*?key=")
    assert (await read(office, where))["key"] == "a b/ø?"
    changed = await office.ask("PATCH", where, "crm", ANY, json={"name": "Odder"})
    assert changed.json()["name"] == "Odder"
    assert (await office.ask("DELETE", where, "crm", ANY)).status_code == 200


async def test_a_list_goes_on_by_key(office: Office) -> None:
    for number in range(5):
        await office.ask("PUT", f"/persons/p{number}", json={"name": f"Person {number}"})
    first = await office.ask("GET", "/persons?limit=4")
    assert [one["key"] for one in first.json()["items"]] == ["ola", "p0", "p1", "p2"]
    follow = first.headers["link"].partition(">")[0].removeprefix("</api/v1")
    second = await read(office, follow)
    assert [one["key"] for one in second["items"]] == ["p3", "p4"]
    assert second["next"] is None
    assert second["items"][0]["emails"] == []


async def test_a_search_looks_at_so_many_and_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.entries.LOOK", 3)
    for number in range(7):
        await office.ask(
            "PUT", f"/companies/c{number}", json={"name": "Same" if number > 4 else "Other"}
        )
    cursor: str | None = ""
    found, pages = list[str](), 0
    while cursor is not None:
        page = await read(office, f"/companies?q=same&limit=2&cursor={cursor}")
        found += [one["key"] for one in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert found == ["c5", "c6"]
    assert pages > 1


async def test_a_whole_address_finds_its_person(office: Office) -> None:
    found = await read(office, "/persons?q=OLA@ext.example")
    assert [one["key"] for one in found["items"]] == ["ola"]
    assert found["items"][0]["emails"] == ["ola@ext.example"]
    assert (await read(office, "/persons?q=%25"))["items"] == []


@pytest.mark.parametrize(
    ("path", "body", "pointer", "words"),
    [
        ("/associates/per", {"nmae": "Per"}, "/nmae", "no such field"),
        (
            "/associates/per",
            {"preferences": {"call_minutes": 0}},
            "/preferences/call_minutes",
            "1 to 1440",
        ),
        ("/associates/per", {"group": "board"}, "/group", "there is no group 'board'"),
        ("/associates/per", {"key": "per2"}, "/key", "a key stays as it is"),
        ("/persons/ola", {"company": "nobody"}, "/company", "there is no company 'nobody'"),
        ("/projects/p1", {"members": ["ola", "x"]}, "/members/1", "there is no person 'x'"),
        ("/fields/region", {"type": "choice"}, "", "needs choices"),
        ("/types/external", {"colour": "red"}, "/colour", "is a colour, like #1f7a3d"),
    ],
)
async def test_what_is_wrong_is_named(
    office: Office, path: str, body: Any, pointer: str, words: str
) -> None:
    answer = await office.ask("PUT", path, "crm", ANY, json=body)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/associates/nils", "2 follow-ups that they own"),
        ("/associates/per", "3 follow-ups in which they take part"),
        ("/persons/ola", "3 follow-ups in which they take part"),
        ("/groups/sales", "1 associates who are in it"),
        ("/companies/acme", "1 persons who belong to it, 1 sales to it"),
        ("/sales/chairs", "1 follow-ups of it"),
        ("/projects/p1", "1 follow-ups of it"),
    ],
)
async def test_what_is_named_elsewhere_is_not_deleted(
    office: Office, path: str, words: str
) -> None:
    rows.run(
        office.store,
        "UPDATE associate SET user_group = 'sales' WHERE key = 'per'",
        "UPDATE person SET company = 'acme'",
        "UPDATE sale SET company = 'acme'",
        "UPDATE follow_up SET sale = 'chairs', project = 'p1', type = 'external' WHERE key = 'own'",
    )
    answer = await office.ask("DELETE", path, "crm", ANY)
    assert answer.status_code == 409
    assert words in answer.json()["detail"]
    assert (await office.ask("GET", path)).status_code == 200
    # Follow-ups keep a type that is defined no more.
    assert (await office.ask("DELETE", "/types/external", "admin", ANY)).status_code == 200


async def test_an_administrator_defines_and_writes_no_people(office: Office) -> None:
    defined = await office.ask("PATCH", "/types/external", "admin", ANY, json={"kind": "call"})
    assert defined.json()["kind"] == "call"
    assert (await office.ask("PUT", "/persons/ola", "admin", ANY, json={})).status_code == 403
    assert (await office.ask("PUT", "/types/new", "kari", json={})).status_code == 403


async def test_another_address_owes_letters(office: Office) -> None:
    """A card is named by follow-ups, whose letters the answer counts: what leaves is planned after
    the window, with whatever comes meanwhile."""
    body = {"emails": ["ola@new.example"]}
    tried = await office.ask(
        "PATCH", "/persons/ola", "crm", ANY, json=body, params={"dry_run": True}
    )
    assert {one["to"] for one in tried.json()["letters"]["owed"]} >= {"ola@new.example"}
    assert (await read(office, "/persons/ola"))["emails"] == ["ola@ext.example"]
    rows.run(office.store, "DELETE FROM change_mark")
    done = await office.ask("PATCH", "/persons/ola", "crm", ANY, json=body)
    assert done.json()["emails"] == ["ola@new.example"]
    letters = done.json()["letters"]
    assert [letters[name] for name in COUNTED] == [
        tried.json()["letters"][name] for name in COUNTED
    ]
    with office.store.read() as connection:
        marks = connection.execute(sa.select(schema.change_mark)).all()
    assert {one.follow_up for one in marks} == {"own", "foreign", "private"}
    assert all(one.single for one in marks)  # no business of the brake (domain.md §10)


async def test_of_many_follow_ups_only_some_are_planned_for_the_answer(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST_FORETOLD", 2)
    done = await office.ask("PATCH", "/persons/ola", "crm", ANY, json={"emails": ["o@new.example"]})
    letters = done.json()["letters"]
    # Per and Ola in each of two; those of the third are made later like any other.
    assert (letters["request"], letters["uncounted_follow_ups"]) == (4, 1)


async def test_a_follow_up_that_cannot_be_planned_keeps_no_card_from_being_written(
    office: Office,
) -> None:
    rows.run(office.store, "UPDATE follow_up SET timezone = 'Mars/Olympus' WHERE key = 'own'")
    body = {"emails": ["ola@new.example"]}
    done = await office.ask("PATCH", "/persons/ola", "crm", ANY, json=body)
    assert done.status_code == 200
    assert done.json()["letters"]["request"] == 4  # Per and Ola in the two others


async def test_ones_own_preferences(office: Office) -> None:
    before = await office.ask("GET", "/preferences", "kari")
    assert before.json() == {
        "meeting_minutes": 60,
        "call_minutes": 15,
        "task_minutes": 60,
        "working_hours": {
            day: ["08:00", "16:00"]
            for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
        },
        "first_weekday": "monday",
        "alarm_minutes": "off",
        "timezone": office.site.settings.mail.timezone,
        "language": "en",
        "stated": [],
    }
    site = {"call_minutes": 30, "alarm_minutes": 15, "language": "de"}
    assert (
        await office.ask("PATCH", "/site/preferences", "admin", ANY, json=site)
    ).status_code == 200
    tag = {"If-Match": before.headers["etag"]}
    said = {"call_minutes": 20, "language": "nb"}
    assert (await office.ask("PATCH", "/preferences", "kari", tag, json=said)).status_code == 412
    changed = await office.ask("PATCH", "/preferences", "kari", ANY, json=said)
    shown = changed.json()
    assert (shown["call_minutes"], shown["alarm_minutes"], shown["language"]) == (20, 15, "nb")
    assert shown["stated"] == ["call_minutes", "language"]
    assert (await read(office, "/associates/kari"))["language"] == "nb"
    back = await office.ask("PATCH", "/preferences", "kari", ANY, json={"call_minutes": None})
    assert (back.json()["call_minutes"], back.json()["stated"]) == (30, ["language"])
    assert (await read(office, "/preferences", "per"))["call_minutes"] == 30


async def test_preferences_are_somebodys(office: Office) -> None:
    assert (await office.ask("GET", "/preferences", "crm")).status_code == 403
    behalf = await office.ask("GET", "/preferences", "crm", {"On-Behalf-Of": "kari"})
    assert behalf.status_code == 200
    wrong = await office.ask(
        "PATCH", "/preferences", "kari", ANY, json={"working_hours": {"mon": []}}
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"].startswith("/working_hours")
