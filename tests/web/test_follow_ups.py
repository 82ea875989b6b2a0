"""What GET answers: follow-ups, participants, letters, journal and changes (docs/api.md, "Routes")."""

import asyncio
import email
import email.policy
from typing import Any

import icalendar
import pytest

from gateway import shapes
from gateway.actions import load_format
from gateway.model import Channel
from gateway.store import journal
from gateway.web.api import models
from tests.web.world import Office

FOLLOW_UP, PARTICIPANT = models.FollowUpShape, models.ParticipantShape
WRITE_ONLY = {"token", "sent", "group", "resource_group", "company", "project", "selection", "all"}
"""What `load` takes of a participant and nobody is shown."""


async def got(office: Office, path: str, by: str = "crm", **params: Any) -> Any:
    answer = await office.ask("GET", path, by, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_follow_up_is_what_put_takes_with_all_that_is_known(office: Office) -> None:
    shape = await got(office, "/follow-ups/own")
    load_format.read({"follow_ups": [shapes.writable(shape)]})
    assert shape["start"] == "2026-12-01T09:00:00+01:00"
    assert [row["key"] for row in shape["participants"]] == ["per", "ola"]
    assert shape.keys() == FOLLOW_UP.model_fields.keys()
    invitees = {"person", "associate", "resource", "email"}
    [per, _] = shape["participants"]
    assert per.keys() == PARTICIPANT.model_fields.keys() - WRITE_ONLY - invitees | {"associate"}


async def test_its_etag_is_good_until_something_changes(office: Office) -> None:
    first = await office.ask("GET", "/follow-ups/own")
    known = {"If-None-Match": first.headers["etag"]}
    assert (await office.ask("GET", "/follow-ups/own", headers=known)).status_code == 304
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET title = 'Other' WHERE key = 'own'")
    assert (await office.ask("GET", "/follow-ups/own", headers=known)).status_code == 200


async def test_a_list_is_read_page_by_page(office: Office) -> None:
    whole = await got(office, "/follow-ups")
    assert [one["key"] for one in whole["items"]] == ["foreign", "own", "private"]
    assert "participants" not in whole["items"][0]
    page, keys = await got(office, "/follow-ups", limit=2), list[str]()
    while True:
        keys += [one["key"] for one in page["items"]]
        if page["next"] is None:
            break
        page = await got(office, "/follow-ups", limit=2, cursor=page["next"])
    assert keys == ["foreign", "own", "private"]


@pytest.mark.parametrize(
    ("params", "keys"),
    [
        ({"owner": "kari"}, ["own"]),
        ({"participant": "OLA@ext.example"}, ["foreign", "own", "private"]),
        ({"participant": "per@crm.example", "owner": "kari"}, ["own"]),
        ({"participant": "nobody@ext.example"}, []),
        ({"participant": "ola", "owner": "kari"}, ["own"]),
        ({"from": "2026-12-01T09:00:00+01:00", "owner": "nils"}, ["foreign", "private"]),
        ({"to": "2026-12-01T08:00:00Z"}, []),
        ({"q": "title of F"}, ["foreign"]),
        ({"open": "true", "cancelled": "false", "kind": "meeting", "owner": "kari"}, ["own"]),
        ({"kind": "task"}, []),
    ],
)
async def test_filters_say_which(office: Office, params: dict[str, str], keys: list[str]) -> None:
    page = await got(office, "/follow-ups", **params)
    assert [one["key"] for one in page["items"]] == keys
    first = await got(office, "/follow-ups", **params, limit=1)
    if len(keys) > 1:
        rest = await got(office, "/follow-ups", **params, cursor=first["next"])
        assert [one["key"] for one in rest["items"]] == keys[1:]


@pytest.mark.parametrize(
    ("path", "params", "word"),
    [
        ("/follow-ups", {"form": "2026"}, "no such parameter"),
        ("/follow-ups", {"from": "tomorrow"}, "from"),
        ("/follow-ups", {"from": "2026-12-01T00:00:00"}, "from"),
        ("/follow-ups", {"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ("/follow-ups", {"kind": "party"}, "kind"),
        ("/follow-ups", {"cursor": "x"}, "cursor"),
        ("/follow-ups", {"limit": "201"}, "limit"),
        ("/participants", {"status": "happy"}, "there are not_started"),
        ("/participants", {"status": "4"}, "there are not_started"),
        ("/participants", {"reply": "yes"}, "reply"),
        ("/changes", {"wait": "31"}, "wait"),
    ],
)
async def test_what_is_no_filter_is_said(
    office: Office, path: str, params: dict[str, str], word: str
) -> None:
    answer = await office.ask("GET", path, params=params)
    assert answer.status_code == 422
    assert word in answer.text


async def test_expand_shows_the_participants(office: Office) -> None:
    page = await got(office, "/follow-ups", expand="participants")
    assert [len(one["participants"]) for one in page["items"]] == [2, 2, 2]


async def test_participants_are_found_by_what_they_said(office: Office) -> None:
    office.plan()
    page = await got(office, "/follow-ups/own/participants")
    rows = {row["key"]: row["id"] for row in page["items"]}
    said = await office.ask(
        "POST", f"/participants/{rows['per']}/answer", "per", json={"reply": "declined"}
    )
    assert said.status_code == 200, said.text
    for params in ({"status": "declined"}, {"status": "9"}, {"reply": "declined"}):
        page = await got(office, "/participants", **params)
        assert [row["id"] for row in page["items"]] == [rows["per"]]
    shape = await got(office, f"/participants/{rows['per']}")
    assert (shape["code"], shape["status"], shape["channel"]) == (9, "declined", "api")
    follow_up = await got(office, "/follow-ups/own")
    assert follow_up["reject_count"] == 1


async def test_letters_say_where_they_went_and_what_they_say(office: Office) -> None:
    office.plan()
    page = await got(office, "/follow-ups/own/letters", by="kari")
    assert [(one["key"], one["to"], one["state"]) for one in page["items"]] == [
        ("per", "per@crm.example", "waiting"),
        ("ola", "ola@ext.example", "waiting"),
    ]
    letter = page["items"][1]
    assert letter.keys() == models.LetterShape.model_fields.keys()
    answer = await office.ask("GET", f"/letters/{letter['id']}", "kari")
    assert answer.headers["content-type"] == "message/rfc822"
    mail = email.message_from_bytes(answer.content, policy=email.policy.default)
    assert (mail["To"], mail["Subject"]) == ("Ola Hansen <ola@ext.example>", letter["subject"])


async def test_whoever_sees_a_follow_up_does_not_see_the_answer_links_of_others(
    office: Office,
) -> None:
    office.plan()
    page = await got(office, "/follow-ups/own/letters", by="read")
    assert "mailto" not in str(page)
    letter = page["items"][0]["id"]
    assert (await office.ask("GET", f"/letters/{letter}", "read")).status_code == 403
    assert (await office.ask("GET", "/letters/4711", "crm")).status_code == 404


async def test_the_journal_says_what_happened_and_to_whom(office: Office) -> None:
    office.plan()
    row = office.row("own", "per")
    await office.ask("POST", f"/participants/{row}/answer", "per", json={"reply": "accepted"})
    page = await got(office, "/follow-ups/own/journal", by="read")
    assert page["items"][0].keys() == models.EntryShape.model_fields.keys()
    last = page["items"][-1]
    assert (last["key"], last["after"], last["by"]) == ("per", "not_started", "per")
    first = await got(office, "/follow-ups/own/journal", limit=1)
    rest = await got(office, "/follow-ups/own/journal", cursor=first["next"])
    assert first["items"] + rest["items"] == page["items"]


async def test_a_calendar_object_asks_nobody(office: Office) -> None:
    assert (await office.ask("GET", "/follow-ups/own.ics")).status_code == 409
    office.plan()
    answer = await office.ask("GET", "/follow-ups/own.ics", "read")
    assert answer.headers["content-type"].startswith("text/calendar")
    calendar = icalendar.Calendar.from_ical(answer.content)
    [event] = calendar.walk("VEVENT")
    uid = (await got(office, "/follow-ups/own"))["uid"]
    assert (calendar["METHOD"], event["UID"], event["STATUS"]) == ("PUBLISH", uid, "CONFIRMED")
    assert event["ORGANIZER"] == "mailto:kari@crm.example"
    assert "ATTENDEE" not in event


async def test_changes_come_with_the_row_as_it_is_now(office: Office) -> None:
    office.plan()
    start = (await got(office, "/changes", limit=1))["newest"]
    row = office.row("own", "per")
    await office.ask("POST", f"/participants/{row}/answer", "per", json={"reply": "accepted"})
    changes = await got(office, "/changes", after=start)
    [entry] = [one for one in changes["items"] if one["participant"] == row]
    assert entry.keys() == models.ChangeShape.model_fields.keys()
    assert (entry["before"], entry["after"]) == ("invitation", "not_started")
    assert entry["now"] == await got(office, f"/participants/{row}")
    assert changes["after"] == changes["newest"] == changes["items"][-1]["id"]
    assert (await got(office, "/changes", after=changes["after"]))["items"] == []


async def test_changes_are_those_that_the_actor_sees(office: Office) -> None:
    office.plan()
    for by, sees in (("nils", True), ("per", True), ("kari", False), ("read", False)):
        changes = await got(office, "/changes", by=by, limit=500)
        shown = {one["follow_up"] for one in changes["items"]}
        assert ("private" in shown) is sees, by
        assert {"own", "foreign"} <= shown
        assert changes["after"] == changes["newest"]


async def test_a_number_that_the_journal_does_not_hold_is_gone(office: Office) -> None:
    answer = await office.ask("GET", "/changes", params={"after": 4711})
    assert answer.status_code == 410


async def test_changes_wait_for_what_happens(office: Office) -> None:
    feed = office.site.feed
    assert feed is not None
    stop = asyncio.Event()
    running = asyncio.create_task(feed.run(stop))
    newest = (await got(office, "/changes", limit=1))["newest"]
    waiting = asyncio.create_task(got(office, "/changes", after=newest, wait=30))
    while not feed.streams:
        await asyncio.sleep(0)
    with office.store.write() as connection:
        entry = journal.Entry("changed", "own", by="kari", channel=Channel.API)
        journal.write(connection, [entry], office.now)
    feed.look()
    async with asyncio.timeout(60):
        changes = await waiting
    stop.set()
    await running
    assert [(one["event"], one["by"]) for one in changes["items"]] == [("changed", "kari")]


async def test_what_is_in_the_way_says_the_first_time_that_is_free(office: Office) -> None:
    """Help page 000: a resource conflict shows the first available time."""
    room = {"add": [{"resource": "room1"}]}
    for key in ("own", "foreign"):
        added = await office.ask("POST", f"/follow-ups/{key}/participants", json=room)
        assert added.status_code == 200, added.text
    office.plan()
    shape = await got(office, "/follow-ups/own")
    assert shape["conflict"] is True
    assert shape["first_available"] == "2026-12-01T10:00:00+01:00"
    [room1] = [row for row in shape["participants"] if row["key"] == "room1"]
    assert room1["conflict"] is True
    listed = await got(office, "/follow-ups", owner="kari")
    assert [(one["conflict"], one["first_available"]) for one in listed["items"]] == [(True, None)]


async def test_api_1_of_a_private_one_administrators_are_told_key_times_and_delivery(
    office: Office,
) -> None:
    office.plan()
    answer = await office.ask("GET", "/follow-ups/private", "admin")
    outline = answer.json()
    assert outline.pop("created_at")
    rows = [{"id": office.row("private", who)} for who in ("per", "ola")]
    assert outline == {
        "key": "private",
        "private": True,
        "start": "2026-12-01T09:00:00+01:00",
        "end": "2026-12-01T10:00:00+01:00",
        "all_day": False,
        "timezone": "Europe/Oslo",
        "deadline": None,
        "answer_by": None,
        "changed_at": outline["changed_at"],
        "participants": [{**row, "delivery": "queued", "delivery_at": None} for row in rows],
    }
    known = {"If-None-Match": answer.headers["etag"]}
    again = await office.ask("GET", "/follow-ups/private", "admin", known)
    assert again.status_code == 304
    page = await got(office, "/follow-ups", by="admin")
    assert "private" not in [one["key"] for one in page["items"]]
    for more in ("/participants", "/letters", "/journal", ".ics"):
        hidden = await office.ask("GET", f"/follow-ups/private{more}", "admin")
        assert hidden.status_code == 404
