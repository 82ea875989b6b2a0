"""My settings: preferences, sessions, and the diary for calendar programs (page.md §2; docs/api.md,
"The diary for calendar programs").
"""

import re

import icalendar
import pytest

from gateway.actions import cancelling
from gateway.actions import users as actions
from gateway.model import Access
from gateway.store import preferences, users
from tests.web.test_diary import add
from tests.web.test_diary_page import DAY, meeting
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office


@pytest.fixture
def kari(office: Office) -> Reader:
    return signed_in(office, "kari")


def stated(office: Office) -> dict[str, object]:
    with office.store.read() as connection:
        return preferences.stated(connection, ["kari"])["kari"]


async def test_preferences_are_stated_and_taken_back(office: Office, kari: Reader) -> None:
    page = (await kari.get("/me")).text
    assert "As the site: 60" in page
    assert "As the site: Monday" in page
    hours = {"monday_from": "07:30", "monday_to": "15:00", "friday_from": "22:00"}
    done = await kari.post(
        "/me/preferences",
        language="nb",
        timezone="America/New_York",
        first_weekday="sunday",
        meeting_minutes="45",
        alarm_minutes="off",
        own_hours="yes",
        **hours,
        friday_to="00:00",
    )
    assert done.headers["location"].startswith("/me?done=saved")
    assert stated(office) == {
        "language": "nb",
        "timezone": "America/New_York",
        "first_weekday": "sunday",
        "meeting_minutes": 45,
        "alarm_minutes": "off",
        "working_hours": {"monday": ["07:30", "15:00"], "friday": ["22:00", "24:00"]},
    }
    page = (await kari.get("/me")).text
    assert "Mine innstillinger" in page
    assert 'name="friday_to" value="00:00"' in page
    assert 'value="sunday" selected' in page
    assert 'name="saturday_from" value=""' in page
    await kari.post("/me/preferences")
    assert stated(office) == {}


async def test_a_new_follow_up_begins_with_what_one_prefers(kari: Reader) -> None:
    form = (await kari.get("/follow-ups/new?start=2026-12-01T09:00")).text
    assert re.search('name="alarm"[^>]* value=""', form)
    await kari.post("/me/preferences", alarm_minutes="30", meeting_minutes="45")
    form = (await kari.get("/follow-ups/new?start=2026-12-01T09:00")).text
    assert re.search('name="alarm"[^>]* value="30"', form)
    assert re.search('name="end"[^>]* value="2026-12-01T09:45"', form)


@pytest.mark.parametrize(
    "fields",
    [
        {"meeting_minutes": "soon"},
        {"meeting_minutes": "0"},
        {"timezone": "Mars/Olympus"},
        {"own_hours": "yes", "monday_from": "08:00"},
        {"own_hours": "yes", "monday_from": "16:00", "monday_to": "08:00"},
    ],
)
async def test_what_cannot_be_preferred_is_refused_whole(
    office: Office, kari: Reader, fields: dict[str, str]
) -> None:
    refused = await kari.post("/me/preferences", **{"call_minutes": "20", **fields})
    assert refused.status_code == 422
    assert stated(office) == {}


async def test_sessions_are_listed_and_ended_one_by_one(office: Office, kari: Reader) -> None:
    with office.store.write() as connection:
        user = users.of(connection, "kari-page")
        assert user is not None
        other = Reader(office, users.begin_session(connection, user.id, office.now))
    nils = signed_in(office, "nils")
    page = (await kari.get("/me")).text
    [handle] = re.findall('name="session" value="(.*?)"', page)
    assert page.count('<li class="session">') == 2
    foreign = users.handle(nils.session)
    for name in (handle, foreign, "%"):
        assert (await kari.post("/me/sessions/end", session=name)).status_code == 303
    assert (await other.get("/me")).headers["location"].startswith("/sign-in")
    assert (await nils.get("/me")).status_code == 200, "of others nothing is ended"
    assert (await kari.get("/me")).text.count('<li class="session">') == 1


async def test_who_is_no_associate_has_sessions_only(office: Office) -> None:
    chief = signed_in(office, "chief", Access.ADMIN)
    page = (await chief.get("/me")).text
    assert "Where I am signed in" in page
    assert "What I prefer" not in page
    assert (await chief.post("/me/feed")).status_code == 403
    assert (await chief.post("/me/preferences", call_minutes="20")).status_code == 403


# --- the diary for calendar programs ---


async def link(reader: Reader) -> str:
    """The path of a new link, as the page shows it once."""
    page = await reader.post("/me/feed")
    found = re.search(
        r'<code class="secret">http://127.0.0.1:8025(/diary-feed/[\w-]+\.ics)<', page.text
    )
    assert found is not None, page.text
    return found[1]


async def test_a_calendar_program_reads_the_own_diary(office: Office) -> None:
    fair = meeting("fair", "nils", "2026-12-02", "2026-12-04", all_day=True, availability="free")
    series = meeting("weekly", "nils", "2026-11-24T12:00:00", "2026-11-24T13:00:00")
    series["recurrence"] = {"rrule": "FREQ=WEEKLY;COUNT=3"}
    off = meeting("off", "nils", "15:00", "16:00")
    nobody = meeting("others", "kari", "17:00", "18:00")
    asked = meeting("asked", "kari", "19:00", "20:00", location="Fjord; 2. etg")
    asked["participants"] = [{"associate": "nils"}]
    late = {
        "key": "late",
        "kind": "task",
        "owner": "nils",
        "title": "Offer",
        "deadline": "2026-09-01",
    }
    add(office, follow_ups=[fair, series, off, nobody, asked, late])
    office.perform(lambda desk: cancelling.cancel(desk, "off"), office.actor("nils"))
    office.plan()
    path = await link(signed_in(office, "nils"))
    answer = await office.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/calendar")
    calendar = icalendar.Calendar.from_ical(answer.content)
    assert not calendar.errors
    assert calendar["method"] == "PUBLISH"
    assert calendar["x-wr-calname"] == "Nils Berg"
    events = calendar.walk("VEVENT")
    assert not [event.errors for event in events if event.errors]
    shown = {
        str(event["summary"]): (event["class"], event["status"], event["transp"])
        for event in events
    }
    assert shown == {
        "Title of foreign": ("PUBLIC", "CONFIRMED", "OPAQUE"),
        "Title of private": ("PRIVATE", "CONFIRMED", "OPAQUE"),
        "Title of fair": ("PUBLIC", "CONFIRMED", "TRANSPARENT"),
        "Title of weekly": ("PUBLIC", "CONFIRMED", "OPAQUE"),
        "Title of asked": ("PUBLIC", "TENTATIVE", "OPAQUE"),
    }
    assert len(events) == 7, "three dates of the series"
    assert len({str(event["uid"]) for event in events}) == 7
    [whole] = [event for event in events if event["summary"] == "Title of fair"]
    assert str(whole.decoded("DTSTART")) == "2026-12-02"
    assert str(whole.decoded("DTEND")) == "2026-12-04"
    [todo] = calendar.walk("VTODO")
    assert (todo["summary"], todo["status"]) == ("Offer", "NEEDS-ACTION")
    assert str(todo.decoded("DUE")) == "2026-09-01"
    assert b"\r\nLOCATION:Fjord\\; 2. etg\r\n" in answer.content
    assert "attendee" not in answer.text.lower()
    assert "/follow-ups/foreign" in answer.text


async def test_what_is_unchanged_is_not_sent_again(office: Office, kari: Reader) -> None:
    office.plan()
    path = await link(kari)
    first = await office.client.get(path)
    office.later(minutes=5)
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}"):
        again = await office.client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    assert (await office.client.get(path)).content == first.content
    head = await office.client.head(path)
    assert (head.status_code, head.headers["etag"]) == (200, first.headers["etag"])
    add(office, follow_ups=[meeting("more", "kari", f"{DAY}T12:00:00", f"{DAY}T13:00:00")])
    changed = await office.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert "Title of more" in changed.text
    assert "Last read" in (await kari.get("/me")).text


async def test_a_link_that_is_none_tells_nothing(office: Office, kari: Reader) -> None:
    """Unknown, renewed, revoked, and of who may not sign in any more: the same bytes."""
    old = await link(kari)
    new = await link(kari)
    answers = [await office.client.get(path) for path in (old, "/diary-feed/", "/diary-feed/x.ics")]
    assert (await office.client.get(new)).status_code == 200
    assert new.removesuffix(".ics").rpartition("/")[2] not in dump(office)
    page = (await kari.get("/me")).text
    assert "/diary-feed/" not in page, "it is shown once"
    await kari.post("/me/feed/revoke")
    answers.append(await office.client.get(new))
    other = await link(kari)
    chief = office.actor("admin")
    office.perform(lambda desk: actions.disable(desk, "kari-page"), chief)
    answers.append(await office.client.get(other))
    told = {(one.status_code, one.content, str(sorted(one.headers.items()))) for one in answers}
    assert len(told) == 1
    assert answers[0].status_code == 404
    assert (await office.client.post(other)).status_code == 405


def dump(office: Office) -> str:
    """Everything that the store keeps of links."""
    with office.store.read() as connection:
        return str(connection.exec_driver_sql("SELECT * FROM diary_feed").all())
