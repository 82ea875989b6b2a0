"""The pages of CRM users, without JavaScript: each is read, and each form does what it says (page.md
§2).
"""

import html
import json
import re
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy as sa

from gateway.model import Access
from gateway.store import schema, schema_domain, users
from gateway.store.users import User
from tests.web.test_matrix import every_route
from tests.web.world import Office

OURS = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Reader:
    """Somebody who is signed in, with a browser without JavaScript."""

    office: Office
    session: str
    language: str = "en"

    async def get(self, path: str) -> httpx.Response:
        return await self.office.client.get(path, headers=self.headers())

    async def post(self, path: str, **fields: object) -> httpx.Response:
        """A form of the page at this address is sent, as a browser does it."""
        token = re.search(r'name="form" value="([^"]+)"', (await self.get("/follow-ups")).text)
        assert token is not None
        data = {"form": token[1], **fields}
        headers = self.headers() | OURS
        answer = await self.office.client.post(path, data=data, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer

    def headers(self) -> dict[str, str]:
        return {
            "Cookie": f"session={self.session}",
            "Accept": "text/html",
            "Accept-Language": self.language,
        }


def signed_in(office: Office, name: str, role: Access = Access.USER) -> Reader:
    now = office.site.clock()
    with office.store.write() as connection:
        user = User(0, f"{name}-page", role, name if role is Access.USER else "", now, "test")
        number = users.add(connection, user, "")
        assert number is not None
        return Reader(office, users.begin_session(connection, number, now))


@pytest.fixture
def kari(office: Office) -> Reader:
    return signed_in(office, "kari")


async def test_the_list_shows_what_one_may_see(office: Office, kari: Reader) -> None:
    page = await kari.get("/follow-ups")
    assert page.status_code == 200
    assert "Title of own" in page.text
    assert "Title of foreign" in page.text
    assert "Title of private" not in page.text
    nils = signed_in(office, "nils")
    assert "Title of private" in (await nils.get("/follow-ups")).text


async def test_the_list_is_filtered_and_searched(kari: Reader) -> None:
    owned = await kari.get("/follow-ups?owner=kari")
    assert "Title of own" in owned.text
    assert "Title of foreign" not in owned.text
    found = await kari.get("/follow-ups?q=title%20of%20for")
    assert "Title of foreign" in found.text
    assert "Title of own" not in found.text
    later = await kari.get("/follow-ups?since=2027-01-01")
    assert "Nothing fits" in later.text
    wrong = await kari.get("/follow-ups?since=soon")
    assert wrong.status_code == 422
    assert "From: 'soon' is no day" in wrong.text.replace("&#39;", "'")


async def test_the_list_shows_where_somebody_has_not_answered(office: Office, kari: Reader) -> None:
    office.plan()
    silent = "/follow-ups?silent=yes"
    assert "Title of own" in (await kari.get(silent)).text
    for key, who in (("own", "per"), ("own", "ola")):
        row = office.row(key, who)
        while (await office.ask("GET", f"/participants/{row}")).json()["reply"] == "needs-action":
            await kari.post(f"/participants/{row}/toggle")
    shown = (await kari.get(silent)).text
    assert "Title of own" not in shown
    assert "Title of foreign" in shown


async def test_the_list_shows_what_is_done_and_what_is_not(office: Office) -> None:
    for key, verb in (("own", "complete"), ("foreign", "cancel")):
        await office.ask("POST", f"/follow-ups/{key}/{verb}")
    nils = signed_in(office, "nils")
    shown = {}
    for status in ("", "completed", "cancelled", "all"):
        page = (await nils.get(f"/follow-ups?status={status}")).text
        shown[status] = re.findall(r"Title of (\w+)", page)
    assert shown == {
        "": ["private"],
        "completed": ["own"],
        "cancelled": ["foreign"],
        "all": ["foreign", "own", "private"],
    }


async def test_the_list_says_from_which_day_on_it_shows(office: Office, kari: Reader) -> None:
    today = f'name="since" value="{office.now:%Y-%m-%d}"'
    assert today in (await kari.get("/follow-ups")).text
    found = (await kari.get("/follow-ups?q=title")).text
    assert today not in found
    assert 'href="/people?name=title"' in found


async def test_a_follow_up_says_who_comes(kari: Reader) -> None:
    page = await kari.get("/follow-ups/own")
    assert "Ola Hansen" in page.text
    assert "Not answered" in page.text
    assert "Tuesday, 1 December, 09:00–10:00" in page.text
    assert "/follow-ups/own/edit" in page.text


async def test_those_of_the_house_are_shown_side_by_side(office: Office, kari: Reader) -> None:
    page = html.unescape((await kari.get("/follow-ups/own")).text)
    [there] = re.findall(r'href="(/diary\?view=group[^"]*)"', page)
    assert there == "/diary?view=group&date=2026-12-01&of=associate:kari&of=associate:per"
    assert (await kari.get(there)).status_code == 200
    row = office.row("own", "per")
    await kari.post(f"/participants/{row}/remove")
    assert "/diary?view=group" not in (await kari.get("/follow-ups/own")).text


async def test_a_video_meeting_is_a_link_where_it_is_one(office: Office, kari: Reader) -> None:
    for url, is_link in (("https://meet.example/1", True), ("javascript:alert(1)", False)):
        with office.store.write() as connection:
            connection.execute(sa.update(schema.follow_up).values(video_url=url))
        for page in ("/follow-ups/own", "/follow-ups/own/details"):
            assert (f'href="{url}"' in (await kari.get(page)).text) is is_link


async def test_what_is_not_mine_is_shown_without_what_only_its_owner_does(kari: Reader) -> None:
    page = await kari.get("/follow-ups/foreign")
    assert "Title of foreign" in page.text
    assert "/follow-ups/foreign/edit" not in page.text
    hidden = await kari.get("/follow-ups/private")
    assert hidden.status_code == 404
    assert "Title of private" not in hidden.text
    refused = await kari.post("/follow-ups/foreign/cancel", reason="no")
    assert refused.status_code == 403


FAULTS = (
    (
        {"timezone": "Mars/Olympus"},
        "follow_up 'own', timezone: ukjent tidssone Mars/Olympus; navnene er IANAs",
    ),
    (
        {"end_at": sa.text("'9999-12-31 23:59:59'")},
        "follow_up 'own', end_at: '9999-12-31 23:59:59' er ikke et tidspunkt i årene 1900 til 2999",
    ),
)


@pytest.mark.parametrize(("columns", "words"), FAULTS)
async def test_what_another_program_wrote_wrong_is_said_in_norwegian(
    office: Office, kari: Reader, columns: dict[str, object], words: str
) -> None:
    with office.store.write() as connection:
        connection.execute(sa.update(schema.associate).values(language="nb"))
        record = sa.update(schema.follow_up).where(schema.follow_up.c.key == "own")
        connection.execute(record.values(**columns))
    page = html.unescape((await kari.get("/follow-ups/own")).text)
    assert f"Ingenting av den sendes på e-post: {words}" in page


async def test_what_strangers_wrote_stays_text(office: Office, kari: Reader) -> None:
    hostile = "<script>alert(1)</script>\"'&"
    await kari.post(
        "/follow-ups/own/edit",
        title=hostile,
        kind="meeting",
        start="2026-12-01T09:00",
        end="2026-12-01T10:00",
    )
    for path in ("/follow-ups", "/follow-ups/own", "/follow-ups/own/edit"):
        text = (await kari.get(path)).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_toggle_switch_and_remove(office: Office, kari: Reader) -> None:
    ola = office.row("own", "ola")
    for verb, fields, words in (
        ("toggle", {}, "Comes"),
        ("toggle", {}, "Does not come"),
        ("switch", {"on": "no"}, "Changed who gets letters."),
        ("remove", {}, "Removed from the meeting."),
    ):
        done = await kari.post(f"/participants/{ola}/{verb}", **fields)
        assert done.status_code == 303, done.text
        shown = await kari.get(done.headers["location"])
        assert words in shown.text
    assert "Ola Hansen" not in shown.text


async def test_move_says_first_who_gets_which_letter_and_then_does_it(
    office: Office, kari: Reader
) -> None:
    times = {"start": "2026-12-02T09:00", "end": "2026-12-02T10:00"}
    tried = await kari.post("/follow-ups/own/move", preview="yes", **times)
    assert tried.status_code == 200
    assert "2 letters go when you save" in tried.text
    assert "ola@ext.example" in tried.text
    assert "Tuesday, 1 December" in (await kari.get("/follow-ups/own")).text
    done = await kari.post("/follow-ups/own/move", **times)
    assert done.headers["location"].startswith("/follow-ups/own?done=moved&letters=2")
    assert "Wednesday, 2 December" in (await kari.get("/follow-ups/own")).text


async def test_a_form_with_a_fault_is_shown_again_as_it_was(kari: Reader) -> None:
    wrong = await kari.post(
        "/follow-ups/own/edit",
        title="Another",
        kind="meeting",
        start="2026-12-02T09:00",
        end="2026-12-02T08:00",
    )
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    assert 'value="Another"' in wrong.text
    assert "Title of own" in (await kari.get("/follow-ups/own")).text


async def test_a_new_one_with_people(office: Office, kari: Reader) -> None:
    made = await kari.post(
        "/follow-ups/new",
        title="Lunch",
        kind="meeting",
        start="2026-12-03T12:00",
        end="2026-12-03T13:00",
    )
    assert made.status_code == 303, made.text
    there = made.headers["location"].partition("?")[0]
    added = await kari.post(
        f"{there}/invite", who="person:ola", email="eva@other.example", name="Eva", save="yes"
    )
    assert added.status_code == 303, added.text
    page = await kari.get(there)
    assert "Ola Hansen" in page.text
    assert "eva@other.example" in page.text
    assert "12:00–13:00" in page.text
    nobody = await kari.post(f"{there}/invite", save="yes")
    assert nobody.status_code == 422
    assert "Choose somebody" in nobody.text


async def test_assign_cancel_and_take_place_after_all(office: Office, kari: Reader) -> None:
    done = await kari.post("/follow-ups/own/cancel", reason="The speaker is ill")
    assert done.status_code == 303, done.text
    assert "The speaker is ill" in (await kari.get("/follow-ups/own")).text
    await kari.post("/follow-ups/own/reinstate")
    assert "Take place after all" not in (await kari.get("/follow-ups/own")).text
    done = await kari.post("/follow-ups/own/assign", to="nils")
    assert done.status_code == 303, done.text
    assert "assigned by Kari Nordmann" in (await kari.get("/follow-ups/own")).text


async def test_of_a_private_one_that_nobody_owns_an_administrator_sees_no_more_than_that(
    office: Office,
) -> None:
    """As `GET /decisions` answers them (domain.md §9)."""
    with office.store.write() as connection:
        for change in (
            "UPDATE follow_up SET owner = NULL WHERE key = 'private'",
            "UPDATE decision SET associate = '' WHERE follow_up = 'private'",
        ):
            connection.exec_driver_sql(change)
    page = await signed_in(office, "chief", Access.ADMIN).get("/")
    assert f'id="decision-{office.decision("private").id}"' in page.text
    assert "Title of private" not in page.text
    assert "Ola Hansen" not in page.text
    assert "2 December" not in page.text


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "There is no such page"),
        ("GET", "/follow-ups/*", 422, "key: is missing"),
        ("GET", "/diary?date=much-too-long", 422, "Date: string should have at most 10"),
        ("POST", "/decisions/x", 403, "the form is of another session"),
        ("DELETE", "/follow-ups/own", 403, "the form is of another session"),
    ],
)
async def test_what_goes_wrong_is_said_on_a_page(
    kari: Reader, method: str, path: str, status: int, words: str
) -> None:
    headers = kari.headers() | OURS
    answer = await kari.office.client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "That did not work" in answer.text
    assert words.lower() in answer.text.lower()


async def test_a_form_that_comes_too_late_is_answered_by_a_page(kari: Reader) -> None:
    gone = Reader(kari.office, "gone")
    answer = await kari.office.client.post("/follow-ups/own/cancel", headers=gone.headers() | OURS)
    assert answer.status_code == 401
    assert "Sign in first." in answer.text
    assert 'href="/"' in answer.text


async def test_a_part_of_a_page_is_not_led_to_the_sign_in(kari: Reader) -> None:
    """It would be exchanged for the form in the midst of the page."""
    headers = Reader(kari.office, "gone").headers() | {"HX-Request": "true"}
    assert (await kari.office.client.get("/waiting", headers=headers)).status_code == 401


async def test_a_form_of_another_site_does_nothing(office: Office, kari: Reader) -> None:
    headers = {"Cookie": f"session={kari.session}", "Origin": "https://elsewhere.example"}
    foreign = await office.client.post(
        "/follow-ups/own/cancel", data={"reason": "x"}, headers=headers
    )
    assert foreign.status_code == 403
    assert "Cancelled" not in (await kari.get("/follow-ups/own")).text


async def test_the_menu_offers_what_its_reader_may(office: Office) -> None:
    """Who is no associate is invited to nothing."""
    own = 'href="/invitations"'
    assert own in (await signed_in(office, "per").get("/")).text
    assert own not in (await signed_in(office, "chief", Access.ADMIN).get("/")).text


async def test_the_menu_counts_the_invitations_that_wait(office: Office) -> None:
    office.plan()
    per = signed_in(office, "per")
    listed = (await per.get("/invitations")).text.count('<li class="card choice"')
    assert listed > 0
    shown = f'id="asked-count">{listed}<'
    for path in ("/", "/diary", "/follow-ups/own", "/undo"):
        assert shown in (await per.get(path)).text.replace(' hx-swap-oob="true"', "")
    await per.post(f"/invitations/{office.row('foreign', 'per')}", reply="yes")
    assert f'id="asked-count">{listed - 1 or ""}<' in (await per.get("/")).text.replace(
        " hidden", ""
    )
    nobody = signed_in(office, "chief", Access.ADMIN)
    assert "asked-count" not in (await nobody.get("/undo")).text


async def test_my_invitations_are_answered_there(office: Office) -> None:
    office.plan()
    per = signed_in(office, "per")
    page = await per.get("/invitations")
    assert "Title of foreign" in page.text
    assert 'href="/diary?view=day&amp;date=2026-12-01">See the day' in page.text
    row = office.row("foreign", "per")
    done = await per.post(f"/invitations/{row}", reply="no", comment="På reise")
    assert done.headers["location"].startswith("/invitations?done=answered")
    assert "Title of foreign" not in (await per.get("/invitations")).text
    assert "Title of foreign" in (await per.get("/invitations?declined=yes")).text
    nils = signed_in(office, "nils")
    told = await nils.get("/invitations?responses=yes")
    assert "Per Hansen: Does not come" in told.text
    assert "På reise" in told.text
    wrong = await per.post(f"/invitations/{row}", reply="never")
    assert wrong.status_code == 422


async def test_one_of_my_invitations_is_shown_whole(office: Office) -> None:
    follow_up = schema.follow_up.c.key
    with office.store.write() as connection:
        change = sa.update(schema.follow_up)
        connection.execute(change.where(follow_up == "own").values(agenda="Prices, then lunch"))
        connection.execute(change.where(follow_up == "foreign").values(agenda="Who sells where"))
    office.plan()
    per = signed_in(office, "per")
    await per.post(f"/invitations/{office.row('own', 'per')}", reply="yes")
    office.plan()
    listed = (await per.get("/invitations?repetitions=yes")).text
    links = re.findall(r'href="(/invitations\?[^"#]*)#asked-one"', html.unescape(listed))
    shown = [html.unescape((await per.get(link)).text) for link in links]
    assert [re.findall(r'id="asked-title"><a [^>]*>(.*?)</a>', page) for page in shown] == [
        ["Title of foreign"],
        ["Title of private"],
    ]
    assert "Who sells where" in shown[0]
    assert "Who sells where" not in shown[1]
    others = "“Title of own” 09:00–10:00 and “Title of private” 09:00–10:00"
    assert f"You have {others} then." in shown[0]
    assert 'href="/diary?view=day&date=2026-12-01"' in shown[0]
    form = re.search(r'action="(/invitations/[^"]*)"', shown[0])
    assert form is not None
    done = await per.post(form[1], reply="no")
    assert done.headers["location"].startswith("/invitations?repetitions=yes&done=answered")


async def test_a_decline_leads_to_the_next_step(office: Office, kari: Reader) -> None:
    office.plan()
    per = signed_in(office, "per")
    await per.post(f"/invitations/{office.row('own', 'per')}", reply="no", comment="På reise")
    page = (await kari.get("/invitations?responses=yes")).text
    assert re.search(r'href="/follow-ups/own/move" data-dialog>Reschedule</a>', page)
    assert "På reise" in page
    assert "/invitations/" not in page.partition('id="asked-one"')[2]


async def test_the_diary_has_the_week_and_nobodys_secrets(office: Office, kari: Reader) -> None:
    office.plan()
    week = await kari.get("/diary?date=2026-12-01")
    assert "Title of own" in week.text
    assert "09:00–10:00" in week.text
    theirs = await kari.get("/diary?date=2026-12-01&of=nils")
    assert "Title of foreign" in theirs.text
    assert "Title of private" not in theirs.text
    assert "Occupied" in theirs.text
    assert (await kari.get("/diary?date=soon")).status_code == 422
    assert (await kari.get("/diary?of=nobody")).status_code == 404


FEED = "/diary-feed/{secret:path}"
SIGN_IN = {"/sign-in", "/sign-in/link", "/sign-in/openid", "/sign-in/openid/back"}
OPEN = {"/healthz", "/metrics", "/readyz", FEED} | SIGN_IN
"""What answers without a session, beside static files."""


async def test_no_page_answers_without_sign_in(office: Office) -> None:
    """docs/api.md, "Sign-in"."""
    pages = [route for route in every_route(office.application.routes) if route.path not in OPEN]
    asked = {route.path for route in pages if not route.path.startswith("/api")}
    assert {"/", "/follow-ups", "/follow-ups/{key}/move", "/participants/{number}/{verb}"} <= asked
    for route in pages:
        if route.path.startswith("/api"):
            continue
        path = re.sub(r"{[^}]+}", "1", route.path)
        for method in route.methods or ():
            answer = await office.client.request(
                method, path, headers={"Accept": "text/html", **OURS}
            )
            is_led = answer.headers.get("location", "").startswith("/sign-in")
            assert answer.status_code in (401, 403) or is_led, (method, path, answer.status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/people?name=a%00b",
        "/follow-ups?q=%00",
        "/follow-ups/own%00",
        "/follow-ups/new?start=9999-12-31T23:59",
    ],
)
async def test_what_no_database_takes_is_refused(kari: Reader, path: str) -> None:
    answer = await kari.office.client.get(path, headers=kari.headers() | OURS)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("path", ["/undo/{}", "/decisions/{}"])
async def test_no_row_has_such_a_number(kari: Reader, path: str) -> None:
    answer = await kari.post(path.format(10**30), choice="keep")
    assert answer.status_code == 422, answer.text


async def test_a_form_with_a_nul_reaches_no_database(office: Office) -> None:
    form = {"name": "kari\0", "password": "x"}
    assert (await office.client.post("/sign-in", data=form, headers=OURS)).status_code == 422


async def test_pages_go_out_small_and_their_files_once(office: Office, kari: Reader) -> None:
    """Not what programs read, whose ETag names bytes."""
    answer = await office.client.get("/follow-ups", headers=kari.headers())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-store"
    style = await office.client.get("/static/page.css")
    assert style.headers["cache-control"] == "no-cache"
    same = {"If-None-Match": style.headers["etag"]}
    assert (await office.client.get("/static/page.css", headers=same)).status_code == 304
    asked = await office.ask("GET", "/follow-ups/own")
    assert "content-encoding" not in asked.headers


async def test_a_proposal_says_who_is_free_then_and_who_is_asked_again(
    office: Office, kari: Reader
) -> None:
    """Of each by itself, though they are read together."""
    waits = office.decision("own")
    later = {**waits.cause.detail, "end": "2026-12-02T09:00:00Z"}
    with office.store.write() as connection:
        decision = schema_domain.decision
        of_own = sa.update(decision).where(decision.c.id == waits.id)
        connection.execute(of_own.values(detail=json.dumps(later)))
    office.plan()
    page = (await kari.get("/")).text
    assert "Per Hansen is free then." in page
    assert "If you move it, 1 other is asked again." in page
    with office.store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE follow_up SET start_at = '2026-12-02 08:30:00',"
            " end_at = '2026-12-02 09:30:00' WHERE key = 'foreign'"
        )
    office.plan()
    assert "Per Hansen is taken then." in (await kari.get("/")).text
