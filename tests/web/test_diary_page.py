"""The pages of the diary, without JavaScript: what each view shows, in words, and what a click makes
of a free slot (page.md §2, domain.md §8).
"""

import re
from functools import partial

import pytest

from gateway.actions import answering, cancelling, directory
from gateway.model import Reply
from gateway.web.pages import looking
from tests.web.test_diary import add
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office

DAY = "2026-12-01"


@pytest.fixture
def kari(office: Office) -> Reader:
    return signed_in(office, "kari")


def meeting(key: str, owner: str, start: str, end: str, **facts: object) -> dict[str, object]:
    """On 1 December, where no day is said."""
    times = {"start": start, "end": end}
    times = {name: said if "-" in said else f"{DAY}T{said}:00" for name, said in times.items()}
    zone = {"timezone": "Europe/Oslo", "kind": "meeting", "title": f"Title of {key}"}
    return {"key": key, "owner": owner, **times, **zone, **facts}


def entry(page: str, title: str, hours: str = "") -> str:
    """The entry of that title."""
    entries = re.findall(r'<li class="entry.*?</li>', page, re.DOTALL)
    [shown] = [one for one in entries if title in one and hours in one]
    return str(shown)


async def shown(reader: Reader, query: str) -> str:
    page = await reader.get(f"/diary?date={DAY}&{query}")
    assert page.status_code == 200, page.text
    return page.text


async def test_what_overlaps_stands_side_by_side_and_a_conflict_is_told_in_words(
    office: Office, kari: Reader
) -> None:
    add(office, follow_ups=[meeting("late", "kari", "09:30", "10:45")])
    page = await shown(kari, "view=week")
    own, late = entry(page, "Title of own"), entry(page, "Title of late")
    assert ' h9 m0 d1 q0 l0 k2"' in own
    assert ' h9 m6 d1 q3 l1 k2"' in late
    assert "Conflict" in own
    assert "Conflict" in late
    assert "09:30–10:45" in late
    assert "style=" not in page


async def test_what_was_to_be_done_before_stays_until_it_is_done(
    office: Office, kari: Reader
) -> None:
    late = {"key": "late", "kind": "task", "owner": "kari", "title": "Late offer"}
    done = {**late, "key": "done", "title": "Done before", "completed": True}
    add(office, follow_ups=[{**one, "deadline": "2026-09-01"} for one in (late, done)])
    now = (await kari.get("/diary")).text
    assert "Late offer" in now
    assert "Overdue" in now
    assert "Done before" not in now
    assert "Late offer" not in await shown(kari, "view=week"), "another week"


async def test_an_entry_of_mine_says_who_comes(office: Office, kari: Reader) -> None:
    ola = office.row("own", "ola")
    said = answering.Said(Reply.ACCEPTED)
    office.perform(lambda desk: answering.answer(desk, ola, said), office.actor("kari"))
    office.plan()
    mine = entry(await shown(kari, "view=week"), "Title of own")
    assert "1 of 2 come" in mine
    beside = await shown(kari, "view=week&of=associate:kari&of=associate:per")
    assert "1 of 2 come" not in beside
    per = await shown(signed_in(office, "per"), "view=week")
    assert "1 of 2 come" not in per


async def test_what_is_not_answered_or_cancelled_is_told_in_words(office: Office) -> None:
    series = meeting("weekly", "per", "2026-11-24T12:00:00", "2026-11-24T13:00:00")
    series["recurrence"] = {"rrule": "FREQ=WEEKLY"}
    gone = meeting("secret", "nils", "15:00", "16:00", private=True)
    add(office, follow_ups=[series, gone])
    for key, owner in (("own", "kari"), ("secret", "nils")):
        office.perform(partial(cancelling.cancel, key=key), office.actor(owner))
    date = f"{DAY}T12:00:00"
    office.perform(
        lambda desk: cancelling.cancel(desk, "weekly", instance=date), office.actor("per")
    )
    office.plan()
    per = signed_in(office, "per")
    page = await shown(per, "view=week")
    asked = entry(page, "Title of foreign")
    assert 'class="entry open' in asked
    assert "Not answered" in asked
    for title in ("Title of own", "Title of weekly"):
        off = entry(page, title)
        assert 'class="entry off' in off
        assert "Cancelled" in off
        assert "clash" not in off
    per.language = "nb"
    norwegian = await shown(per, "view=week")
    assert "Har ikke svart" in entry(norwegian, "Title of foreign")
    assert "Avlyst" in entry(norwegian, "Title of own")
    assert "Uke 49" in norwegian
    theirs = await shown(signed_in(office, "kari"), "view=week&of=nils")
    assert "Title of secret" not in theirs


async def test_days_begin_at_the_readers_midnight_and_weeks_on_their_weekday(
    office: Office, kari: Reader
) -> None:
    fair = meeting("fair", "kari", "2026-12-02", "2026-12-04", all_day=True)
    night = meeting("night", "kari", "22:00", "2026-12-02T01:00:00")
    add(office, follow_ups=[fair, night])
    page = await shown(kari, "view=week")
    assert len(re.findall("Title of fair", page)) == 2
    assert "from 22:00" in page
    assert "until 01:00" in page
    assert "Week 49" in page
    office.perform(
        lambda desk: directory.prefer(
            desk, "kari", {"timezone": "America/New_York", "first_weekday": "sunday"}
        ),
        office.actor("kari"),
    )
    page = await shown(kari, "view=week")
    first = re.search(r'<section class="column.*?id="c1">.*?class="full">(.*?)<', page, re.DOTALL)
    assert first is not None
    assert first[1] == "Sunday, 29 November"
    assert "03:00–04:00" in entry(page, "Title of own")
    assert "16:00–19:00" in entry(page, "Title of night")
    assert len(re.findall("Title of fair", page)) == 2, "a whole day is that day everywhere"


async def test_the_month_has_all_days_and_says_what_it_leaves_out(
    office: Office, kari: Reader
) -> None:
    hours = [(f"{hour:02}:00", f"{hour:02}:45") for hour in range(10, 15)]
    add(office, follow_ups=[meeting(f"m{at}", "kari", *span) for at, span in enumerate(hours)])
    page = await shown(kari, "view=month")
    assert "December 2026" in page
    assert page.count('<section class="cell') == 35
    assert "Title of m2" in page
    assert "Title of m3" not in page
    assert "2 more" in page
    assert "/diary?view=day&amp;date=2026-12-01" in page


async def test_what_comes_begins_now(office: Office, kari: Reader) -> None:
    soon = meeting("soon", "kari", "2026-11-20T09:15:00", "2026-11-20T09:45:00")
    add(office, follow_ups=[soon])
    page = (await kari.get("/diary?view=next")).text
    assert "Title of own" in page
    assert "Title of soon" in page
    office.later(minutes=45)
    page = (await kari.get("/diary?view=next")).text
    assert "Title of own" in page
    assert "Title of soon" not in page
    assert "Nothing comes" in (await kari.get("/diary?view=next&date=2027-02-01")).text


async def test_a_group_says_who_is_free_when(office: Office, kari: Reader) -> None:
    add(office, follow_ups=[meeting("late", "kari", "09:30", "11:00")])
    page = await shown(kari, "view=group&of=kari&of=nils&of=room1")
    assert page.count('<section class="column') == 4
    assert "Title of private" not in page
    assert "Occupied" in page
    part = r'<li class="free (\w+).*?<b>(.*?)</b> <span class="hours">(.*?)<'
    parts = re.findall(part, page, re.DOTALL)
    assert parts == [
        ("all", "All free", "07:00–09:00"),
        ("some", "1 of 3 free", "09:00–10:00"),
        ("some", "2 of 3 free", "10:00–11:00"),
        ("all", "All free", "11:00–17:00"),
    ]
    assert "Busy: Kari Nordmann and Nils Berg" in page
    assert '<button form="new" name="start" value="2026-12-01T11:00">' in page


async def test_a_slot_makes_a_follow_up_with_everybody_whose_diary_is_open(
    office: Office, kari: Reader
) -> None:
    page = await shown(kari, "view=day&of=associate:kari&of=associate:nils&of=resource:room1")
    assert '<button form="new" name="start" value="2026-12-01T13:30" class="h13 m6 d0 q6"' in page
    new = page.partition('<form id="new" action="/follow-ups/new">')[2].partition("</form>")[0]
    assert re.findall('name="who" value="(.*?)"', new) == ["associate:nils", "resource:room1"]
    slot = "/follow-ups/new?start=2026-12-01T13:30&who=associate:nils&who=resource:room1"
    form = (await kari.get(slot)).text
    assert 'value="2026-12-01T13:30"' in form
    assert 'value="2026-12-01T14:30"' in form
    assert re.search(r'value="associate:nils" checked> Nils Berg', form)
    times = {"start": "2026-12-01T13:30", "end": "2026-12-01T14:30"}
    fields = {"title": "Made here", "kind": "meeting", "who": ["associate:nils", "resource:room1"]}
    made = await kari.post(slot, **times, **fields)
    assert made.status_code == 303, made.text
    whole = (await kari.get(made.headers["location"])).text
    assert "Nils Berg" in whole
    assert "Fjord" in whole
    assert "13:30–14:30" in entry(await shown(kari, "view=day&of=room1"), "Made here")
    assert (await kari.get("/follow-ups/new?start=soon")).status_code == 422


@pytest.mark.parametrize("view", looking.VIEWS)
async def test_the_button_above_takes_along_whose_diary_is_open(
    office: Office, kari: Reader, view: str
) -> None:
    """domain.md §3 (help page 001); on every view, one without free slots included."""
    open_ones = f"view={view}&of=associate:kari&of=associate:nils&of=resource:room1"
    above = re.findall(
        '<a class="button first" href="(/follow-ups/new.*?)"', await shown(kari, open_ones)
    )
    assert above == ["/follow-ups/new?who=associate:nils&amp;who=resource:room1"]
    form = (await kari.get(above[0].replace("&amp;", "&"))).text
    assert re.findall(r'value="(.*?)" checked> (?:Nils|Fjord)', form) == [
        "associate:nils",
        "resource:room1",
    ]
    alone = await shown(kari, f"view={view}")
    assert '<a class="button first" href="/follow-ups/new"' in alone


async def test_a_task_is_ticked_off_there_by_whose_it_is(office: Office, kari: Reader) -> None:
    task = {"key": "t", "kind": "task", "owner": "kari", "title": "Send the offer"}
    add(office, follow_ups=[{**task, "deadline": DAY, "timezone": "Europe/Oslo"}])
    page = await shown(kari, "view=week")
    assert "Completed: Send the offer" in page
    done = await kari.post(f"/diary/tick?view=week&date={DAY}", task="t", completed="yes")
    assert done.headers["location"] == f"/diary?view=week&date={DAY}&done=saved"
    assert 'aria-pressed="true"' in (await kari.get(done.headers["location"])).text
    nils = signed_in(office, "nils")
    theirs = await shown(nils, "view=week&of=kari")
    assert "Send the offer" in theirs
    assert "Completed: Send the offer" not in theirs
    refused = await nils.post(f"/diary/tick?date={DAY}", task="t", completed="no")
    assert refused.status_code == 403


async def test_no_two_entries_have_one_name(office: Office, kari: Reader) -> None:
    """What is private to others, too, though only its time is known."""
    secrets = [meeting(f"s{at}", "nils", "12:00", "13:00", private=True) for at in range(3)]
    add(office, follow_ups=secrets)
    for view in ("week", "group"):
        page = await shown(kari, f"view={view}&of=nils&of=kari&of=room1")
        names = re.findall(r'<li class="entry[^>]* id="(.*?)"', page)
        assert len(names) >= 6
        assert len(set(names)) == len(names)


async def test_the_part_that_changes_is_that_of_the_page(office: Office, kari: Reader) -> None:
    office.plan()
    query = f"view=week&date={DAY}&of=nils"
    part = await kari.get(f"/diary/part?{query}")
    assert part.text.strip() in (await kari.get(f"/diary?{query}")).text
    assert "Title of private" not in part.text


@pytest.mark.parametrize("query", ["view=year", "date=soon", "date=9999-12-31", "date=0001-01-01"])
async def test_what_is_no_view_or_day_is_refused(kari: Reader, query: str) -> None:
    assert (await kari.get(f"/diary?{query}")).status_code == 422


async def test_more_at_once_than_a_grid_can_show_is_a_list(office: Office, kari: Reader) -> None:
    crowd = [meeting(f"x{at}", "kari", "12:00", "13:00") for at in range(41)]
    add(office, follow_ups=crowd)
    page = await shown(kari, "view=day")
    assert "this is a list" in page
    assert page.count('<li class="entry') == 42


async def test_a_group_is_saved_by_a_name_and_forgotten(office: Office, kari: Reader) -> None:
    query = f"view=group&date={DAY}&of=associate:kari&of=resource:room1"
    kept = await kari.post(f"/diary/views?{query}", name="Me and the room")
    assert kept.headers["location"] == f"/diary?{query}&done=kept"
    there = f'href="/diary?{query.replace("&", "&amp;")}"'
    assert there in await shown(kari, "view=group")
    assert "Me and the room" not in await shown(signed_in(office, "nils"), "view=group")
    empty = await kari.post(f"/diary/views?{query}", name=" ")
    assert empty.status_code == 422
    await kari.post(f"/diary/views/drop?{query}", name="Me and the room")
    assert "None yet." in await shown(kari, "view=group")


async def test_saved_groups_are_said_by_programs_too(office: Office) -> None:
    """docs/api.md."""
    views = [{"name": "Rooms", "of": ["room1"]}, {"name": "Both", "of": ["nils", "kari"]}]
    answer = await office.ask("GET", "/diary-views", "kari")
    tag = {"If-Match": answer.headers["etag"]}
    done = await office.ask("PUT", "/diary-views", "kari", tag, json={"views": views})
    assert done.json()["views"] == [
        {"name": "Both", "of": ["associate:nils", "associate:kari"]},
        {"name": "Rooms", "of": ["resource:room1"]},
    ]
    for wrong, status in (
        ([views[0], views[0]], 422),
        ([{"name": "", "of": ["kari"]}], 422),
        ([{"name": "Nobody", "of": []}], 422),
        ([{"name": "Gone", "of": ["gone"]}], 404),
    ):
        any_tag = {"If-Match": "*"}
        refused = await office.ask("PUT", "/diary-views", "kari", any_tag, json={"views": wrong})
        assert refused.status_code == status, refused.text
    assert (await office.ask("GET", "/diary-views", "kari")).json()["views"][0]["name"] == "Both"
    stale = await office.ask("PUT", "/diary-views", "kari", tag, json={"views": []})
    assert stale.status_code == 412
    assert (await office.ask("GET", "/diary-views", "nils")).json()["views"] == []
