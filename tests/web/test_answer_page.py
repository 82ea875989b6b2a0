"""The public answer page: who may answer what, that looking writes nothing, and that nobody learns
what is there (page.md §2, itip.md §8 P5, quality.md §3).
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import cancelling, letters, load, moving
from gateway.daemon import run
from gateway.daemon.health import Monitor
from gateway.followups.decisions import DecisionKind
from gateway.mail import links
from gateway.model import Method
from gateway.store import decisions, followups, journal, meta, outbox
from gateway.store.engine import Store
from gateway.web import answer_page, app
from gateway.web.api.site import Site
from tests.web.world import Office

SITE = "https://answer.example"
LISTENS = {"listen": "127.0.0.1:8026", "public_url": SITE}


@dataclass
class Invitee:
    """Ola, who has the letter and a browser without JavaScript."""

    office: Office
    client: httpx.AsyncClient
    path: str
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.office.store

    async def get(self, path: str = "", **headers: str) -> httpx.Response:
        return await self.client.get(path or self.path, headers=headers)

    async def send(self, path: str = "", **fields: str) -> httpx.Response:
        """The form of the page, filled in."""
        path = path or self.path
        shown = await self.get(path)
        token = re.search(r'name="form" value="([^"]+)"', shown.text)
        assert token is not None, shown.text
        return await self.post(path, form=token[1], **fields)

    async def post(self, path: str = "", **fields: str) -> httpx.Response:
        return await self.client.post(path or self.path, data=fields)

    def row(self, follow_up: str = "own") -> followups.Member:
        with self.store.read() as connection:
            members = followups.members(connection, follow_up)
        return next(member for member in members if member.key == "ola")

    def reply(self, instance: datetime | None = None) -> str:
        return self.row().standings[instance].reply.value

    def events(self) -> list[journal.Entry]:
        with self.store.read() as connection:
            return journal.after(connection, 0, follow_up="own")

    def counts(self) -> dict[str, int]:
        """How much there is of everything."""
        with self.store.read() as connection:
            return {
                table: connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in ("journal", "inbox", "outbox", "standing", "proposal", "decision")
            }


def address(office: Office, follow_up: str = "own") -> str:
    """The link of the letter to Ola."""
    with office.store.read() as connection:
        selection = outbox.Selection(follow_up=follow_up)
        written = [one for one in outbox.find(connection, selection) if "ola" in one.letter.address]
        mail = letters.Writer.at(connection, office.site.settings).words(written[-1].letter)
    link = re.search(rf"{SITE}(/a/\S+)", mail.text)
    assert link is not None, mail.text
    assert f'href="{SITE}{link[1]}"' in mail.html
    return link[1]


@pytest.fixture
async def ola(office: Office, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Invitee]:
    settings = configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example", "language": "nb", "name": "Firma AS"},
            "answer": LISTENS,
        }
    )
    office.site = Site(office.store, settings, lambda: office.now)
    office.plan()
    monkeypatch.setattr(answer_page, "NOTHING_SECONDS", 0.0)
    client = client_of(office.site)
    yield Invitee(office, client, address(office))
    await client.aclose()


def client_of(site: Site) -> httpx.AsyncClient:
    """Of a process with a page of its own."""
    guard = app.Guard(answer_page.create(site), site.settings.answer)
    transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=SITE)


async def test_the_page_says_what_it_is_about_and_for_whom(ola: Invitee) -> None:
    page = await ola.get()
    assert page.status_code == 200
    for words in (
        '<html lang="nb">',
        "Kari Nordmann, Firma AS, inviterer deg til et møte.",
        "Title of own",
        "tirsdag 1. desember 2026",
        "gjelder for ola@ext.example",
        "Oslo, UTC+1",
        "Send svaret",
    ):
        assert words in page.text
    assert "Per Hansen" not in page.text, "who else is invited is nobody's business"
    assert "checked" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]
    assert page.headers["cache-control"] == "no-store"
    assert "script-src" not in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers
    assert "<script" not in page.text
    assert ola.row().standings[None].seen is False


async def test_an_answer_is_recorded_as_one_by_mail_is(ola: Invitee) -> None:
    done = await ola.send(reply="no", comment="På reise <b>da</b>")
    assert done.status_code == 303, done.text
    shown = await ola.get(done.headers["location"])
    assert "Takk. Kari Nordmann ser hva du har svart." in shown.text
    assert 'value="no" checked' in shown.text
    assert "På reise &lt;b&gt;da&lt;/b&gt;" in shown.text
    standing = ola.row().standings[None]
    assert (standing.reply.value, standing.comment) == ("declined", "På reise <b>da</b>")
    assert (standing.channel, standing.address) == ("page", "ola@ext.example")
    [entry] = [one for one in ola.events() if one.event == "applied"]
    assert (entry.channel, entry.by, entry.before, entry.after) == (
        "page",
        "ola@ext.example",
        "invitation",
        "declined",
    )
    with ola.store.read() as connection:
        kinds = {one.cause.kind for one in decisions.open_of(connection, ["own"])}
    assert DecisionKind.DECLINED in kinds


async def test_it_thanks_for_what_was_said_and_as_long_as_it_counts(ola: Invitee) -> None:
    """An address is kept, and opened again when everybody was asked anew."""
    assert "Takk" not in (await ola.get(f"{ola.path}?done=")).text
    done = (await ola.send(reply="yes")).headers["location"]
    assert "Takk" in (await ola.get(done)).text
    times = moving.When("2026-12-03T09:00:00", "2026-12-03T10:00:00")
    ola.office.perform(lambda desk: moving.reschedule(desk, "own", times), ola.office.actor("kari"))
    ola.office.later(minutes=1)
    ola.office.plan()
    moved = await ola.get(done)
    assert "torsdag 3. desember 2026" in moved.text
    assert "Takk" not in moved.text


async def test_it_thanks_for_nothing_that_somebody_typed_into_the_address(ola: Invitee) -> None:
    page = (await ola.get()).text
    form = re.search(r'name="form" value="([^"]+)"', page)
    assert form is not None
    for typed in (form[1], "yes", "1", "f" * 64):
        assert "Takk" not in (await ola.get(f"{ola.path}?done={typed}")).text
    ola.office.later(seconds=2)
    done = (await ola.send(reply="yes")).headers["location"]
    assert "Takk" in (await ola.get(done)).text
    assert "Takk" not in (await ola.get(f"{ola.path}?done={form[1]}")).text


async def test_the_second_answer_counts_and_the_same_once(ola: Invitee) -> None:
    """P8; and accept, decline, accept by the button that goes back."""
    first = re.search(r'name="form" value="([^"]+)"', (await ola.get()).text)
    assert first is not None
    for reply, word in (("yes", "accepted"), ("no", "declined"), ("yes", "accepted")):
        assert (await ola.post(form=first[1], reply=reply)).status_code == 303
        assert ola.reply() == word
    before = len([one for one in ola.events() if one.event == "applied"])
    await ola.post(form=first[1], reply="yes")
    assert len([one for one in ola.events() if one.event == "applied"]) == before == 3


async def test_another_time_is_a_proposal(ola: Invitee) -> None:
    """P4; times are those of the invitee's zone."""
    wish = {"start": "2026-12-02T13:00", "end": "2026-12-02T14:00", "comment": "Bedre?"}
    form = re.search(r'name="form" value="([^"]+)"', (await ola.get()).text)
    assert form is not None
    for _ in range(2):
        assert (await ola.post(form=form[1], **wish)).status_code == 303
    proposed = [one for one in ola.events() if one.event == "proposed"]
    assert len(proposed) == 1, "a form that is sent twice proposes once"
    assert "2026-12-02T12:00:00Z" in proposed[0].detail
    assert ola.reply() == "needs-action"
    assert ola.row().standings[None].seen
    page = await ola.get()
    assert "onsdag 2. desember 2026" in page.text
    assert "13.00" in page.text


async def test_words_alone_go_to_the_owner(ola: Invitee) -> None:
    done = await ola.send(comment="Hvor er det?")
    assert done.status_code == 303, done.text
    assert ola.reply() == "needs-action"
    assert [one.detail for one in ola.events() if one.event == "comment"] == ["Hvor er det?"]
    with ola.store.read() as connection:
        kinds = {one.cause.kind for one in decisions.open_of(connection, ["own"])}
        found = outbox.find(connection, outbox.Selection(follow_up="own"))
    assert DecisionKind.WORDS in kinds
    assert [one.letter.address for one in found if one.letter.method is Method.NONE] == [
        "kari@crm.example"
    ]


INCOMPLETE: list[tuple[dict[str, str], str]] = [
    ({}, "Velg ja, kanskje eller nei"),
    ({"reply": "perhaps"}, "Velg ja, kanskje eller nei"),
    ({"reply": "yes", "website": "https://spam.example"}, "Send det en gang til"),
    ({"start": "2026-11-01T09:00"}, "må ligge fram i tid"),
    ({"start": "tomorrow"}, "må ligge fram i tid"),
    ({"start": "9999-12-31T23:00"}, "må ligge fram i tid"),
    ({"end": "2026-12-02T09:00"}, "må ligge fram i tid"),
    ({"start": "2026-12-02T09:00", "end": "2026-12-02T08:00"}, "etter den nye starten"),
    ({"reply": "no", "comment": "x" * 4001}, "for lang"),
]


async def test_what_is_not_complete_is_asked_again(ola: Invitee) -> None:
    before = ola.counts()
    for fields, words in INCOMPLETE:
        answer = await ola.send(**fields)
        assert answer.status_code == 422, fields
        assert words in answer.text
        assert 'role="alert"' in answer.text
    assert ola.counts() == before


async def test_programs_that_follow_links_change_nothing(ola: Invitee) -> None:
    """P5: link scanners and browsers that fetch ahead; and programs that send what forms they find,
    without having read the page, or with something in each field.
    """
    before = ola.counts()
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
        await ola.client.request(method, ola.path, headers={"Sec-Purpose": "prefetch"})
    for fields in (
        {"reply": "yes"},
        {"reply": "yes", "form": "0.1.aaaaaaaaaaaaaaaa"},
        {"reply": "yes", "form": "x", "comment": "x", "website": "x"},
    ):
        answer = await ola.post(**fields)
        assert answer.status_code == 422
        assert "Send det en gang til" in answer.text
    assert (await ola.client.post(f"{ola.path}?reply=yes")).status_code == 422
    assert (await ola.client.post(ola.path, json={"reply": "yes"})).status_code == 422
    assert ola.counts() == before


async def test_the_form_of_one_page_does_nothing_on_another(ola: Invitee) -> None:
    page = await ola.get(address(ola.office, "foreign"))
    form = re.search(r'name="form" value="([^"]+)"', page.text)
    assert form is not None
    assert (await ola.post(form=form[1], reply="yes")).status_code == 422
    assert ola.reply() == "needs-action"


def cancel(office: Office) -> None:
    office.perform(lambda desk: cancelling.cancel(desk, "own"), office.actor("kari"))


def later(office: Office) -> None:
    office.now = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)  # it ends at 10 in Oslo


def remove(office: Office) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE participant SET removed = TRUE WHERE person = 'ola'")


def readdress(office: Office) -> None:
    """The letter to the old address is somebody else's now."""
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE person_email SET address = 'ola@new.example'")
    office.plan()


@pytest.mark.parametrize("over", [cancel, later, remove, readdress])
async def test_what_is_over_is_as_unknown(ola: Invitee, over: Any) -> None:
    form = re.search(r'name="form" value="([^"]+)"', (await ola.get()).text)
    assert form is not None
    over(ola.office)
    before = ola.counts()
    unknown = await ola.get("/a/" + "a" * 68)
    assert unknown.status_code == 404
    assert "There is nothing to answer here" in unknown.text
    for answer in (
        await ola.get(),
        await ola.get(ola.path + "/20261208T080000Z"),
        await ola.get("/a/x"),
        await ola.get("/"),
        await ola.post(form=form[1], reply="yes"),
    ):
        assert (answer.status_code, answer.text) == (404, unknown.text)
        assert answer.headers == unknown.headers
    assert ola.counts() == before


async def test_nothing_comes_as_late_whatever_the_reason(
    ola: Invitee, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured by what is waited for, not by a clock."""
    waits = list[float]()

    async def waited(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(answer_page, "NOTHING_SECONDS", 0.3)
    monkeypatch.setattr(answer_page, "monotonic", lambda: 7.0)
    monkeypatch.setattr(asyncio, "sleep", waited)
    cancel(ola.office)
    await ola.get()
    await ola.get("/a/" + "a" * 68)
    assert waits == pytest.approx([0.3, 0.3])


async def test_the_tokens_of_the_page_and_of_the_invitation_are_two(ola: Invitee) -> None:
    with ola.store.read() as connection:
        secret = meta.site_secret(connection)
        found = outbox.find(connection, outbox.Selection(follow_up="own"))
        [token] = {one.letter.token for one in found if one.letter.address == "ola@ext.example"}
    assert links.of_page(secret, ola.path.removeprefix("/a/")) == token
    assert token not in ola.path
    assert (await ola.get(f"/a/{token}")).status_code == 404


async def test_the_language_of_nothing_is_the_browsers(ola: Invitee) -> None:
    """That of the invitee would tell that there is one."""
    page = await ola.get("/a/x", **{"Accept-Language": "de-AT,en;q=0.5"})
    assert "Hier gibt es nichts zu beantworten" in page.text
    assert (await ola.get("/a/x")).text.count("There is nothing to answer here") == 2


async def test_a_move_after_the_page_was_opened_is_told(ola: Invitee) -> None:
    """P7: nobody answers a time that they did not see."""
    form = re.search(r'name="form" value="([^"]+)"', (await ola.get()).text)
    assert form is not None
    times = moving.When("2026-12-03T09:00:00", "2026-12-03T10:00:00")
    ola.office.perform(lambda desk: moving.reschedule(desk, "own", times), ola.office.actor("kari"))
    ola.office.plan()
    answer = await ola.post(form=form[1], reply="yes")
    assert answer.status_code == 422
    assert "endret etter at du åpnet siden" in answer.text
    assert "torsdag 3. desember 2026" in answer.text
    assert ola.reply() == "needs-action"
    assert (await ola.send(reply="yes")).status_code == 303
    assert ola.reply() == "accepted"


async def test_at_most_twenty_tries_a_minute_of_an_address_over_all_processes(
    ola: Invitee,
) -> None:
    other = replace(ola, client=client_of(ola.office.site))
    codes = [(await ola.get("/a/x" if turn % 2 else "")).status_code for turn in range(10)]
    codes += [(await other.get()).status_code for _ in range(10)]
    assert codes == [200, 404] * 5 + [200] * 10
    for one in (ola, other):
        refused = await one.get()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert "Too many tries" in refused.text
    ola.office.later(seconds=60)
    assert (await ola.get()).status_code == 200
    await other.client.aclose()


async def test_letters_have_a_link_only_where_there_is_a_page(ola: Invitee) -> None:
    with ola.store.read() as connection:
        [one, *_] = outbox.find(connection, outbox.Selection(follow_up="own"))
        there = letters.Writer.at(connection, ola.office.site.settings)
        without = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
        off = letters.Writer.at(connection, without)
    assert SITE.encode() in there.mail(one.letter)
    assert b"/a/" not in off.mail(one.letter)


async def test_another_host_is_not_ours(ola: Invitee) -> None:
    assert (await ola.get(Host="evil.example")).status_code == 421


async def test_a_store_that_is_away_is_said(ola: Invitee) -> None:
    path = ola.store.path
    assert path is not None
    ola.store.close()
    path.rename(path.with_suffix(".away"))
    with capture_logs() as lines:
        answers = (await ola.get(), await ola.post(reply="yes"))
    assert [line["event"] for line in lines] == ["the store cannot be used"] * 2
    for answer in answers:
        assert answer.status_code == 503
        assert "Try again in a few minutes" in answer.text
        assert answer.headers["retry-after"]
        assert str(path) not in answer.text
    path.with_suffix(".away").rename(path)


SERIES = {
    "key": "own",
    "kind": "meeting",
    "owner": "kari",
    "title": "Weekly",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T09:30:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=3"},
    "participants": [{"person": "ola", "email_invite": True}],
}


async def test_a_date_of_a_series_is_answered_by_itself(ola: Invitee) -> None:
    """P9"""
    ola.office.now += timedelta(minutes=5)
    with ola.store.write() as connection:
        load.load(connection, {"follow_ups": [SERIES]}, ola.office.site.settings, ola.office.now)
    ola.office.plan()
    page = await ola.get()
    assert "Svaret gjelder alle datoene i serien." in page.text
    when = moving.When("2026-12-08T11:00:00", instance="2026-12-08T09:00:00")
    ola.office.perform(lambda desk: moving.reschedule(desk, "own", when), ola.office.actor("kari"))
    ola.office.plan()
    path = f"{ola.path}/20261208T080000Z"
    page = await ola.get(path)
    assert "tirsdag 8. desember 2026" in page.text
    assert "11.00" in page.text
    assert (await ola.send(path, reply="no")).status_code == 303
    assert ola.reply() == "needs-action"
    assert ola.reply(datetime(2026, 12, 8, 8, tzinfo=UTC)) == "declined"
    for wrong in ("20261209T080000Z", "20261208", "all", "tomorrow", "20261399T080000Z"):
        expected = 200 if wrong == "all" else 404
        assert (await ola.get(f"{ola.path}/{wrong}")).status_code == expected


def test_the_daemon_listens_for_it_where_it_is_set(ola: Invitee) -> None:
    def roles(settings: configuration.Settings) -> list[str]:
        process = run.Process(settings, ola.store, "here")
        monitor = Monitor(ola.store, settings, "here", process.board)
        return [role.name for role in run.ROLES["web"](process, monitor)]

    assert roles(ola.office.site.settings) == ["web", "answer page"]
    assert roles(configuration.load()) == ["web"]


async def test_a_list_of_dates_that_goes_out_date_by_date_is_answered_so(ola: Invitee) -> None:
    """itip.md §2: no rule covers it, so each date is an invitation by itself, with its own link."""
    dates = ["2026-12-01T14:00:00", "2026-12-08T09:00:00"]  # twice on one day
    listed = {**SERIES, "key": "list", "recurrence": {"rdates": dates}}
    with ola.store.write() as connection:
        load.load(connection, {"follow_ups": [listed]}, ola.office.site.settings, ola.office.now)
    ola.office.plan()
    path = address(ola.office, "list")
    assert path.endswith("/20261208T080000Z")
    page = await ola.get(path)
    assert "tirsdag 8. desember 2026" in page.text
    assert "Svaret gjelder alle" not in page.text
    assert (await ola.send(path, reply="yes")).status_code == 303
    standings = ola.row("list").standings
    assert standings[None].reply.value == "needs-action"
    assert standings[datetime(2026, 12, 8, 8, tzinfo=UTC)].reply.value == "accepted"
