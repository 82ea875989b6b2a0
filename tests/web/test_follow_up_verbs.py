"""The routes that make, change, move, assign and cancel follow-ups (docs/api.md)."""

from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store import schema
from tests.web.world import Office

SERIES = {
    "title": "Weekly",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T10:00:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=3"},
}
SECOND = "2026-12-08T09:00:00"


async def said(office: Office, path: str, body: Any = None, by: str = "kari") -> Any:
    answer = await office.ask("POST", path, by, json=body if body is not None else {})
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def begin(office: Office) -> str:
    """Kari's series."""
    key: str = (await said(office, "/follow-ups", SERIES))["key"]
    return f"/follow-ups/{key}"


async def test_a_follow_up_is_made_and_says_where_it_is(office: Office) -> None:
    answer = await office.ask("POST", "/follow-ups", "kari", json=SERIES)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/follow-ups/{made['key']}"
    assert (made["owner"], made["created_by"]) == ("kari", "kari")
    again = await office.ask("POST", "/follow-ups", "kari", json=SERIES | {"key": made["key"]})
    assert again.status_code == 409


async def test_a_mistake_names_its_place_in_the_body(office: Office) -> None:
    for body, pointer in (
        (SERIES | {"titel": "x"}, "/titel"),
        (SERIES | {"company": "nowhere"}, "/company"),
        (SERIES | {"participants": [{"person": "ola", "emial": "x"}]}, "/participants/0/emial"),
        (SERIES | {"end": "2026-11-01T09:00:00"}, "/end"),
    ):
        answer = await office.ask("POST", "/follow-ups", "kari", json=body)
        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_what_is_shown_may_be_put_back(office: Office) -> None:
    path = await begin(office)
    await said(office, f"{path}/cancel", {"instance": SECOND, "reason": "Snow"})
    for by in ("kari", "crm"):
        for one in (path, "/follow-ups/own"):
            answer = await office.ask("GET", one, by)
            tag = {"If-Match": answer.headers["ETag"]}
            again = await office.ask("PUT", one, by, tag, json=answer.json())
            assert again.status_code == 200, again.text
            assert {**again.json(), "letters": None} == {**answer.json(), "letters": None}
            assert again.headers["ETag"] == answer.headers["ETag"]


async def test_what_is_an_invitees_own_is_not_the_owners_to_put(office: Office) -> None:
    """domain.md §3: priority, alarm and progress belong to the participant row."""
    ask: Any = {"headers": {"If-Match": "*"}}
    for by, priority in (("kari", ""), ("crm", "high")):
        shown = (await office.ask("GET", "/follow-ups/own", by)).json()
        for row in shown["participants"]:
            row["priority"] = "high"
        answer = await office.ask("PUT", "/follow-ups/own", by, json=shown, **ask)
        assert answer.status_code == 200, answer.text
        assert {row["priority"] for row in answer.json()["participants"]} == {priority}


async def test_a_put_makes_what_is_not_there(office: Office) -> None:
    answer = await office.ask("PUT", "/follow-ups/new", "kari", json=SERIES)
    assert answer.status_code == 201, answer.text
    only = {"If-None-Match": "*"}
    answer = await office.ask("PUT", "/follow-ups/new", "kari", only, json=SERIES)
    assert answer.status_code == 412
    answer = await office.ask("PUT", "/follow-ups/new", "kari", json=SERIES)
    assert answer.status_code == 428


async def test_plain_sql_between_get_and_put_makes_the_put_stale(office: Office) -> None:
    """docs/api.md: two writers."""
    answer = await office.ask("GET", "/follow-ups/own", "kari")
    tag = {"If-Match": answer.headers["ETag"]}
    with office.store.write() as connection:
        by_sql = sa.update(schema.follow_up).values(notes="By SQL")
        connection.execute(by_sql.where(schema.follow_up.c.key == "own"))
    for method in ("PUT", "PATCH", "DELETE"):
        body = {} if method == "DELETE" else {"json": {"title": "Mine"}}
        answer = await office.ask(method, "/follow-ups/own", "kari", tag, **body)
        assert answer.status_code == 412, answer.text
    tag = {"If-Match": answer.headers["ETag"]}
    answer = await office.ask("PATCH", "/follow-ups/own", "kari", tag, json={"title": "Mine"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["title"], answer.json()["notes"]) == ("Mine", "By SQL")


async def test_a_patch_changes_what_it_names_and_null_takes_away(office: Office) -> None:
    """RFC 7396. Alarm, priority, private, availability and fields are written so."""
    changes = {
        "alarm_minutes": 10,
        "priority": "high",
        "private": True,
        "availability": "free",
        "fields": {"region": "north"},
    }
    ask: Any = {"by": "kari", "headers": {"If-Match": "*"}}
    answer = await office.ask("PATCH", "/follow-ups/own", json=changes, **ask)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert {name: shown[name] for name in changes} == changes
    answer = await office.ask(
        "PATCH", "/follow-ups/own", json={"alarm_minutes": None, "fields": {"region": None}}, **ask
    )
    shown = answer.json()
    assert (shown["alarm_minutes"], shown["fields"], shown["title"]) == (None, {}, "Title of own")
    wrong = {"fields": {"region": "east"}}
    answer = await office.ask("PATCH", "/follow-ups/own", json=wrong, **ask)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/fields/region")


async def test_what_cannot_be_read_is_not_patched_but_put_or_deleted(office: Office) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET timezone = 'Mars' WHERE key = 'own'")
    ask: Any = {"by": "crm", "headers": {"If-Match": "*"}}
    answer = await office.ask("PATCH", "/follow-ups/own", json={"title": "Mine"}, **ask)
    assert answer.status_code == 409
    assert "say all of it with PUT" in answer.json()["detail"]
    answer = await office.ask("PUT", "/follow-ups/own", json=SERIES, **ask)
    assert answer.status_code == 200, answer.text
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET timezone = 'Mars' WHERE key = 'own'")
    answer = await office.ask("DELETE", "/follow-ups/own", **ask)
    assert answer.status_code == 200, answer.text


async def test_cancelled_with_a_reason_and_back(office: Office) -> None:
    shown = await said(office, "/follow-ups/own/cancel", {"reason": "Ill"})
    assert (shown["cancelled"], shown["cancel_reason"]) == (True, "Ill")
    shown = await said(office, "/follow-ups/own/reinstate")
    assert (shown["cancelled"], shown["cancel_reason"]) == (False, "")


async def test_rescheduled_stopped_and_split(office: Office) -> None:
    path = await begin(office)
    moved = await said(office, f"{path}/reschedule", {"start": "2026-12-01T11:00:00"})
    assert (moved["start"], moved["end"]) == (
        "2026-12-01T11:00:00+01:00",
        "2026-12-01T12:00:00+01:00",
    )
    since = {"start": "2026-12-08T14:00:00", "from": "2026-12-08T11:00:00"}
    rest = await said(office, f"{path}/reschedule", since)
    assert rest["key"] != moved["key"]
    assert rest["start"] == "2026-12-08T14:00:00+01:00"
    other = f"/follow-ups/{rest['key']}"
    body = {"from": "2026-12-15T14:00:00", "title": "From now on", "start": "2026-12-15T15:00:00"}
    last = await said(office, f"{other}/split", body)
    assert (last["title"], last["start"]) == ("From now on", "2026-12-15T15:00:00+01:00")
    stopped = await said(office, f"{path}/stop", {"after": "2026-12-01"})
    assert "UNTIL=" in stopped["recurrence"]["rrule"]


async def test_single_dates_are_shown_moved_added_and_taken_out(office: Office) -> None:
    """domain.md §6."""
    path = await begin(office)
    ask: Any = {"by": "kari", "headers": {"If-Match": "*"}}
    moved = {"start": "2026-12-09T12:00:00"}
    answer = await office.ask("PUT", f"{path}/dates/{SECOND}", json=moved, **ask)
    assert answer.status_code == 200, answer.text
    added = "2026-12-24T10:00:00"
    await office.ask("PUT", f"{path}/dates/{added}", json={}, **ask)
    third = f"{path}/dates/2026-12-15T09:00:00"
    answer = await office.ask("DELETE", third, **ask)
    assert answer.status_code == 200, answer.text
    window = {"from": "2026-12-01", "to": "2027-01-01"}
    answer = await office.ask("GET", f"{path}/dates", "read", params=window)
    shown = [(one["start"][:16], one["cancelled"]) for one in answer.json()["items"]]
    assert shown == [
        ("2026-12-01T09:00", False),
        ("2026-12-09T12:00", False),
        ("2026-12-15T09:00", True),
        ("2026-12-24T10:00", False),
    ]
    assert answer.json()["items"][1]["instance"] == "2026-12-08T09:00:00+01:00"


async def test_assigned_completed_carried_out(office: Office) -> None:
    """domain.md §2-§4."""
    shown = await said(office, "/follow-ups/own/assign", {"to": "per"})
    assert (shown["owner"], shown["assigned_by"]) == ("per", "kari")
    assert (await said(office, "/follow-ups/own/complete"))["completed"]
    refused = await office.ask("POST", "/follow-ups/own/cancel", "kari", json={})
    assert (refused.status_code, "undo that first" in refused.text) == (409, True)
    shown = await said(office, "/follow-ups/own/complete", {"completed": False})
    assert not shown["completed"]
    call = {"kind": "call", "title": "Ring Ola", "deadline": "2026-12-01"}
    key = (await said(office, "/follow-ups", call))["key"]
    shown = await said(office, f"/follow-ups/{key}/carry-out")
    assert shown["start"][:16] == "2026-11-20T09:00"


@pytest.mark.parametrize("mailed", [True, False])
async def test_domain_4_assigned_declined_assigned_again_and_accepted(
    office: Office, mailed: bool
) -> None:
    """11, 13, 11, 1, and the journal names whoever it was."""
    task = {"key": "t1", "kind": "task", "title": "Offer", "deadline": "2026-12-04"}
    await said(office, "/follow-ups", task)
    codes, row = list[int](), 0
    steps = [
        ("kari", "assign", {"to": "per"}),
        ("per", "declined", {"reply": "declined", "comment": "Ill"}),
        ("kari", "assign", {"to": "nils"}),
        ("nils", "accepted", {"reply": "accepted"}),
    ]
    for by, verb, body in steps:
        path = "/follow-ups/t1/assign" if verb == "assign" else f"/participants/{row}/answer"
        await said(office, path, body, by)
        shown = (await office.ask("GET", "/follow-ups/t1", by)).json()
        [one] = [one for one in shown["participants"] if one["role"] == "assigned"]
        row = one["id"]
        codes.append(one["code"])
        if mailed and not one["email_invite"]:
            changed = {"email_invite": True}
            await office.ask(
                "PATCH", f"/participants/{row}", "crm", {"If-Match": "*"}, json=changed
            )
        office.plan()
        office.later(hours=1)
    assert codes == [11, 13, 11, 1]
    entries = (await office.ask("GET", "/follow-ups/t1/journal", "kari")).json()["items"]
    told = [(one["event"], one["by"], one["after"]) for one in entries]
    assert [one for one in told if one[0] in ("assigned", "applied", "given")] == [
        ("assigned", "kari", "assigned"),
        ("applied", "per", "assignment_declined"),
        ("assigned", "kari", "assigned"),
        ("given", "", ""),
        ("applied", "nils", "not_started"),
    ]


async def test_those_who_have_not_answered_are_reminded(office: Office) -> None:
    answer = await office.ask("POST", "/follow-ups/own/remind", "kari")
    assert answer.status_code == 409
    assert "nobody is to be reminded" in answer.json()["detail"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_dry_run_keeps_nothing_and_lists_the_letters(office: Office, dry_run: bool) -> None:
    answer = await office.ask(
        "POST", "/follow-ups/own/cancel", "kari", json={}, params={"dry_run": dry_run}
    )
    assert answer.json()["cancelled"]
    with office.store.read() as connection:
        query = sa.select(schema.follow_up.c.cancelled).where(schema.follow_up.c.key == "own")
        assert connection.execute(query).scalar_one() is not dry_run


async def test_who_is_not_named_stays_and_removed_takes_off(office: Office) -> None:
    match = {"If-Match": "*"}
    for method, path in (("PATCH", "/follow-ups/own"), ("PUT", "/follow-ups/own")):
        body = {**(await office.ask("GET", path)).json(), "participants": [{"associate": "per"}]}
        answer = await office.ask(method, path, headers=match, json=body)
        assert [row["key"] for row in answer.json()["participants"]] == ["per", "ola"]
        assert answer.json()["letters"]["cancel"] == 0
    body["participants"] = [{"person": "ola", "removed": True}]
    answer = await office.ask("PUT", "/follow-ups/own", headers=match, json=body)
    assert [row["key"] for row in answer.json()["participants"]] == ["per"]
