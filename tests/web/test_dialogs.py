"""The dialogs of a follow-up, without JavaScript: each does one thing, says first which letters go,
and keeps what somebody else has changed meanwhile (page.md §2, §3).
"""

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.actions import load, load_format
from gateway.followups import fields
from gateway.store import reading
from tests.store import acting
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office

SERIES = {
    "key": "series",
    "kind": "meeting",
    "owner": "kari",
    "title": "Board",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T10:00:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=4"},
    "participants": [{"person": "ola", "email_invite": True}],
}
CALL = {"key": "call", "kind": "call", "owner": "kari", "title": "Ring", "deadline": "2026-12-01"}
SECOND = "2026-12-08T08:00:00Z"


@pytest.fixture
def kari(office: Office) -> Reader:
    with office.store.write() as connection:
        document = {"follow_ups": [SERIES, CALL]}
        load.load(connection, document, office.site.settings, office.now)
    office.plan()
    acting.send(office.store, office.now)
    return signed_in(office, "kari")


def shown(office: Office, key: str) -> Any:
    with office.store.read() as connection:
        [view] = reading.follow_ups(connection, [key], "Europe/Oslo", participants=True)
    return view


async def sent(reader: Reader, path: str, **fields: object) -> str:
    """Send the form as the browser shows it, with these fields; where that leads."""
    page = (await reader.get(path)).text
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    digests = {"seen": html.unescape(seen[1])} if seen else {}
    done = await reader.post(path, **digests, **fields)
    assert done.status_code == 303, done.text
    return done.headers["location"].partition("?")[0]


async def test_how_it_repeats(office: Office, kari: Reader) -> None:
    page = (await kari.get("/follow-ups/own/repeat")).text
    assert 'value="" checked' in page
    weekly = {"pattern": "weekly", "every": "2", "days": ["TU", "TH"], "count": "5"}
    tried = await kari.post("/follow-ups/own/repeat", preview="yes", **weekly)
    assert "2 letters go when you save" in tried.text
    await sent(kari, "/follow-ups/own/repeat", **weekly)
    assert shown(office, "own").rrule == "FREQ=WEEKLY;BYDAY=TU,TH;INTERVAL=2;COUNT=5"
    page = (await kari.get("/follow-ups/own")).text
    assert "every other week on Tuesday and Thursday, 5 times" in page
    filled = (await kari.get("/follow-ups/own/repeat")).text
    for value in ("weekly", "TU", "TH"):
        assert f'value="{value}" checked' in filled
    wrong = await kari.post(
        "/follow-ups/own/repeat", pattern="weekly", every="1", days="MO", count=""
    )
    assert wrong.status_code == 422
    assert "The start is no date of the rule" in wrong.text
    await sent(kari, "/follow-ups/own/repeat", pattern="", every="1")
    assert shown(office, "own").rrule == ""


async def test_what_is_refused_is_said_in_the_language_of_the_reader(
    office: Office, kari: Reader
) -> None:
    kari.language = "nb"
    on_monday = {"pattern": "weekly", "every": "1", "days": "MO"}
    wrong = await kari.post("/follow-ups/own/repeat", **on_monday)
    assert "Starten følger ikke av regelen" in wrong.text
    wrong = await kari.post(
        "/follow-ups/own/move", start="2026-12-01T10:00", end="2026-12-01T09:00"
    )
    assert "Slutt er før starten." in wrong.text
    wrong = await kari.post("/follow-ups/new", title="Uten tid", kind="meeting")
    assert "Start: mangler: et møte har en." in wrong.text
    wrong = await kari.post("/follow-ups/own/edit", title="Own", alarm="soon")
    assert "Alarm, minutter før: et helt tall, som 15." in wrong.text
    gone = await kari.get("/follow-ups/nowhere")
    assert "Det finnes ingen oppfølging nowhere." in gone.text
    forbidden = await kari.post("/follow-ups/foreign/cancel", reason="")
    assert forbidden.status_code == 403
    assert "Bare Nils Berg, som eier oppfølgingen, kan gjøre det." in forbidden.text


async def test_another_rule_from_a_date_on(office: Office, kari: Reader) -> None:
    rule = {"pattern": "weekly", "every": "2", "days": "TU", "until": "2027-02-01"}
    there = await sent(kari, "/follow-ups/series/repeat", scope="since", date=SECOND, **rule)
    assert there == "/follow-ups/series-20261208"
    assert shown(office, "series-20261208").rrule.startswith(
        "FREQ=WEEKLY;BYDAY=TU;INTERVAL=2;UNTIL"
    )
    assert shown(office, "series").rrule.startswith("FREQ=WEEKLY;UNTIL=20261201")


async def test_only_this_date_or_this_and_all_future_ones(office: Office, kari: Reader) -> None:
    times = {"start": "2026-12-09T12:00", "end": "2026-12-09T13:00"}
    path = f"/follow-ups/series/move?date={SECOND}"
    page = (await kari.get(path)).text
    assert 'value="2026-12-08T09:00"' in page
    assert 'value="this" checked' in page
    await sent(kari, path, scope="this", date=SECOND, **times)
    [date] = shown(office, "series").dates
    assert date.start.isoformat() == "2026-12-09T11:00:00+00:00"
    dates = (await kari.get("/follow-ups/series/dates")).text
    assert "Wednesday, 9 December, 12:00–13:00" in dates
    later = {"start": "2026-12-15T11:00", "end": "2026-12-15T12:00"}
    third = "2026-12-15T08:00:00Z"
    there = await sent(kari, "/follow-ups/series/move", scope="since", date=third, **later)
    assert there == "/follow-ups/series-20261215"


async def test_another_time_is_the_first_at_which_all_are_free(
    office: Office, kari: Reader
) -> None:
    """Now it is Friday, a little after 9 in the morning."""
    office.later(minutes=12)
    page = html.unescape((await kari.get("/follow-ups/own/move")).text)
    offered = re.findall(r'href="(/follow-ups/own/move\?start=[^"]*)"', page)
    assert len(offered) == 3
    assert "Friday, 20 November, 10:00–11:00" in page
    filled = (await kari.get(offered[0])).text
    assert 'value="2026-11-20T10:00"' in filled
    times = {"start": "2026-11-20T10:00", "end": "2026-11-20T11:00"}
    tried = await kari.post(offered[0], preview="yes", **times)
    assert "2 letters go when you save" in tried.text
    await sent(kari, offered[0], **times)
    assert shown(office, "own").start.isoformat() == "2026-11-20T09:00:00+00:00"


async def test_what_is_moved_takes_nobodys_time(office: Office) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM follow_up WHERE key <> 'own'")
    office.now = datetime(2026, 12, 1, 7, 30, tzinfo=UTC)
    office.plan()
    page = html.unescape((await signed_in(office, "kari").get("/follow-ups/own/move")).text)
    assert "Tuesday, 1 December, 09:00–10:00" in page.partition("start=")[2]


async def test_single_dates_come_and_go(office: Office, kari: Reader) -> None:
    await sent(kari, "/follow-ups/series/add-date", start="2026-12-10T09:00", end="")
    page = (await kari.get("/follow-ups/series/dates")).text
    assert "Thursday, 10 December" in page
    await sent(kari, "/follow-ups/series/drop-date", date="2026-12-10T08:00:00Z")
    assert "Thursday, 10 December" not in (await kari.get("/follow-ups/series/dates")).text
    await sent(kari, "/follow-ups/series/cancel", date=SECOND, reason="A holiday")
    page = (await kari.get("/follow-ups/series/dates")).text
    assert "A holiday" in page
    assert f"/reinstate?date={SECOND.replace(':', '%3A')}" in page
    await sent(kari, "/follow-ups/series/reinstate", date=SECOND)
    assert "A holiday" not in (await kari.get("/follow-ups/series/dates")).text


async def test_a_series_stops_or_goes_on_as_another_one(office: Office, kari: Reader) -> None:
    there = await sent(
        kari,
        "/follow-ups/series/split",
        date=SECOND,
        title="Board, new",
        location="Oslo",
        agenda="",
    )
    assert shown(office, there.rpartition("/")[2]).title == "Board, new"
    undo = re.search(r'action="(/undo/\d+)"', (await kari.get("/follow-ups")).text)
    assert undo is not None
    assert (await kari.post(undo[1])).headers["location"] == "/follow-ups/series?done=undone"
    assert (await kari.get(there)).status_code == 404
    assert shown(office, "series").rrule == "FREQ=WEEKLY;COUNT=4"
    await sent(kari, "/follow-ups/series/stop", date=SECOND)
    assert "UNTIL=20261208" in shown(office, "series").rrule


async def test_completed_and_opened_again_and_a_call_carried_out(
    office: Office, kari: Reader
) -> None:
    await sent(kari, "/follow-ups/own/complete", completed="yes")
    page = (await kari.get("/follow-ups/own")).text
    assert "/follow-ups/own/edit" not in page
    await sent(kari, "/follow-ups/own/complete", completed="no")
    assert "/follow-ups/own/edit" in (await kari.get("/follow-ups/own")).text
    assert "/follow-ups/call/carry-out" in (await kari.get("/follow-ups/call")).text
    await sent(kari, "/follow-ups/call/carry-out", start="2026-11-20T09:30", minutes="10")
    call = shown(office, "call")
    assert (call.end - call.start).total_seconds() == 600


async def test_what_i_accepted_is_taken_out_of_my_diary(office: Office, kari: Reader) -> None:
    per = signed_in(office, "per")
    assert (await per.post("/follow-ups/own/take-out")).status_code == 409
    await per.post(f"/invitations/{office.row('own', 'per')}", reply="yes")
    assert "/follow-ups/own/take-out" in (await per.get("/follow-ups/own")).text
    assert await sent(per, "/follow-ups/own/take-out") == "/diary"
    [row] = [one for one in shown(office, "own").participants if one.key == "per"]
    assert row.reply == "declined"


async def test_agenda_notes_links_and_fields(office: Office, kari: Reader) -> None:
    await sent(kari, "/follow-ups/own/edit-agenda", agenda="One\r\nTwo")
    await sent(kari, "/follow-ups/own/edit-notes", notes="Not for them")
    links = {"company": "Acme AS", "person": "ola", "project": "Launch", "sale": ""}
    await sent(kari, "/follow-ups/own/edit-links", **links)
    await sent(kari, "/follow-ups/own/edit-more", region="north")
    view = shown(office, "own")
    assert (view.agenda, view.notes) == ("One\nTwo", "Not for them")
    assert (view.company, view.person, view.project) == ("acme", "ola", "p1")
    assert view.fields == {"region": "north"}
    for tab, words in (
        ("agenda", "One\nTwo"),
        ("notes", "Not for them"),
        ("links", "Acme AS"),
        ("more", "north"),
        ("details", "Europe/Oslo"),
        ("journal", "Changed"),
    ):
        assert words in (await kari.get(f"/follow-ups/own/{tab}")).text
    wrong = await kari.post("/follow-ups/own/edit-links", company="Nobody", person="")
    assert wrong.status_code == 422
    assert "Company: nothing is called “Nobody”" in html.unescape(wrong.text)
    page = (await kari.get("/follow-ups/own")).text
    assert page.count("has content") == 4
    offered = (await kari.get("/suggestions/company?q=acm")).text
    assert 'data-autocomplete-value="Acme AS"' in offered
    assert (await kari.get("/suggestions/secrets?q=a")).status_code == 404


async def test_notes_are_for_those_whom_it_concerns(office: Office, kari: Reader) -> None:
    await sent(kari, "/follow-ups/own/edit-notes", notes="Not for them")
    nils = signed_in(office, "nils")
    assert "Not for them" not in (await nils.get("/follow-ups/own/notes")).text
    assert "/follow-ups/own/notes" not in (await nils.get("/follow-ups/own")).text


async def test_what_both_have_changed_is_shown_and_nothing_is_lost(
    office: Office, kari: Reader
) -> None:
    path = "/follow-ups/own/edit"
    form = (await kari.get(path)).text
    seen = html.unescape(re.search(r'name="seen" value="([^"]*)"', form)[1])  # type: ignore[index]
    whole = {"kind": "meeting", "start": "2026-12-01T09:00", "end": "2026-12-01T10:00"}
    whole |= {"timezone": "Europe/Oslo"}
    change = {"location": "Oslo", "agenda": "Theirs"}
    answer = await office.ask("PATCH", "/follow-ups/own", json=change, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    news = re.search(r'hx-get="([^"]*/edit/news[^"]*)"', form)
    assert news is not None
    line = (await kari.get(html.unescape(news[1]))).text
    assert "Changed by crm" in line
    assert "Theirs" in line
    mine = {**whole, "title": "My title", "location": "", "agenda": "Mine"}
    clash = await kari.post(path, seen=seen, **mine)
    assert clash.status_code == 409
    for words in ("Changed by crm", "Theirs", "Mine", 'value="My title"', 'value="Oslo"'):
        assert words in clash.text
    assert shown(office, "own").title == "Title of own"
    seen = html.unescape(re.search(r'name="seen" value="([^"]*)"', clash.text)[1])  # type: ignore[index]
    again = await kari.post(path, seen=seen, **{**mine, "location": "Oslo"})
    assert again.status_code == 303
    view = shown(office, "own")
    assert (view.title, view.agenda, view.location) == ("My title", "Mine", "Oslo")


async def test_what_only_they_have_changed_stays(office: Office, kari: Reader) -> None:
    path = "/follow-ups/own/edit-agenda"
    form = (await kari.get("/follow-ups/own/edit")).text
    seen = html.unescape(re.search(r'name="seen" value="([^"]*)"', form)[1])  # type: ignore[index]
    await sent(kari, path, agenda="Theirs")
    fields = {"kind": "meeting", "start": "2026-12-01T09:00", "end": "2026-12-01T10:00"}
    fields |= {"timezone": "Europe/Oslo", "title": "My title"}
    assert (await kari.post("/follow-ups/own/edit", seen=seen, **fields)).status_code == 303
    view = shown(office, "own")
    assert (view.title, view.agenda) == ("My title", "Theirs")


FORMS = ("new", *(f"own/{form}" for form in ("edit", "edit-agenda", "edit-notes", "edit-links")))
OTHER_NAMES = {"alarm": "alarm_minutes", "free": "availability"}
"""What forms call a field of the record otherwise."""
ELSEWHERE = {
    "key": "made by the page",
    "owner": "Assign: from the owner to the next",
    "assigned_by": "Assign: who did it",
    "recurrence": "Repeat: as people choose rules",
    "instances": "Move, Add a date, Take out",
    "cancelled": "Cancel, Take place after all",
    "cancel_reason": "Cancel: with its reason",
    "completed": "Completed, Open again",
    "participants": "Invite",
    "fields": "each by its own name, once defined",
    "answer_by": "by API, load and SQL alone: page.md §2 has it in no dialog",
    "guest_list": "by API, load and SQL alone: page.md §2 has it in no dialog",
    "uid": "said by whoever brings it from another system",
    "sequence": "said by whoever brings it from another system",
}
"""Why a field of the record stands in no form of a whole follow-up: which other dialog has it."""


async def test_every_field_of_the_record_has_its_form_or_says_why_not(kari: Reader) -> None:
    names = set[str]()
    for form in FORMS:
        page = await kari.get(f"/follow-ups/{form}")
        assert page.status_code == 200, form
        names |= set(re.findall(r'name="(\w+)"', page.text))
    filled_in = {OTHER_NAMES.get(name, name) for name in names}
    known = set(load_format.FollowUp.model_fields)
    assert not sorted(known - filled_in - ELSEWHERE.keys()), "gateway/web/pages/editing.py lacks it"
    assert not sorted(ELSEWHERE.keys() - known)


async def test_every_text_of_the_record_stands_on_its_page(office: Office, kari: Reader) -> None:
    texts = [field.load for field in fields.FIELDS if field.form is not None]
    said = {name: f"The {name} said" for name in texts if name != "cancel_reason"}
    record = {"key": "told", "owner": "kari", "start": "2026-12-01T09:00:00", **said}
    with office.store.write() as connection:
        load.load(connection, {"follow_ups": [record]}, office.site.settings, office.now)
    pages = [await kari.get(f"/follow-ups/told{tab}") for tab in ("", "/details", "/agenda")]
    text = "".join(page.text for page in pages)
    assert not [name for name, words in said.items() if words not in text], "templates/pages"


async def test_a_dialog_that_asks_for_nothing_says_at_once_who_gets_which_letter(
    kari: Reader,
) -> None:
    cancelled = (await kari.get("/follow-ups/series/cancel")).text
    assert "1 letter goes when you save" in cancelled
    assert "ola@ext.example" in cancelled
    assert 'class="button quiet close" href="/follow-ups/series" data-close' in cancelled
    assert "Nobody is written to." in (await kari.get("/follow-ups/call/complete")).text
    assert "when you save" not in (await kari.get("/follow-ups/series/move")).text
    done = await kari.get("/follow-ups/own/reinstate")
    assert done.status_code == 200
    assert "when you save" in done.text
