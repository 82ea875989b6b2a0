"""People, companies, projects and sales on the page: found by name, with their addresses and the
activities of all kinds that the reader may see (help pages 000 and 003, domain.md §8).
"""

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.actions import load
from gateway.model import Access
from gateway.store import journal, known
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office

TASK = {"kind": "task", "owner": "kari", "timezone": "Europe/Oslo"}
HOSTILE = "<script>alert(1)</script>\"'&"
SECRET = "Title of private"


def filled(office: Office) -> None:
    document: dict[str, Any] = {
        "companies": [{"key": "acme", "name": f"Acme {HOSTILE}"}],
        "persons": [
            {
                "key": "ola",
                "name": f"Ola {HOSTILE}",
                "company": "acme",
                "emails": ["ola@ext.example", "not an address"],
                "language": "nb",
            },
            {"key": "typo", "name": "Tina Typo", "emails": ["tina@@ext.example"]},
        ],
        "projects": [{"key": "p1", "name": "Launch", "members": ["ola"]}],
        "sales": [{"key": "chairs", "name": "Hundred chairs", "company": "acme"}],
        "follow_ups": [
            {**TASK, "key": "t1", "title": "Late", "company": "acme", "deadline": "2026-11-10"},
            {**TASK, "key": "t2", "title": "Done", "person": "ola", "deadline": "2026-11-12"},
            {**TASK, "key": "t3", "title": "Ship", "project": "p1", "deadline": "2026-12-24"},
            {**TASK, "key": "t4", "title": "Offer", "sale": "chairs", "deadline": "2026-12-24"},
        ],
    }
    document["follow_ups"][1]["completed"] = True
    with office.store.write() as connection:
        load.load(connection, document, office.site.settings, office.now)
    office.plan()
    office.now = datetime(2026, 11, 20, 12, tzinfo=UTC)


def learn(office: Office, value: str, by: str) -> None:
    with office.store.write() as connection:
        holder = known.Holder(person="ola")
        at = office.now
        known.learn(connection, holder, value, known.Origin("review", by, None, at))


@pytest.fixture
def kari(office: Office) -> Reader:
    filled(office)
    return signed_in(office, "kari")


async def test_they_are_found_by_name_and_address(kari: Reader) -> None:
    page = await kari.get("/people")
    assert "Tina Typo" in page.text
    assert "tina@@ext.example" in page.text
    assert page.text.count(">Invalid<") == 1
    assert 'href="/persons/ola"' in page.text
    by_address = await kari.get("/people?name=ola@ext.example")
    assert 'href="/persons/ola"' in by_address.text
    assert "Tina Typo" not in by_address.text
    for kind, name in (("companies", "acme"), ("projects", "aunch"), ("sales", "chairs")):
        found = await kari.get(f"/people?kind={kind}&name={name}")
        assert f'class="whole" href="/{kind}/' in found.text
    assert "Nobody and nothing of that name." in (await kari.get("/people?name=zzz")).text
    assert 'aria-current="page"' in page.text


async def test_a_card_has_every_activity_that_may_be_seen(office: Office, kari: Reader) -> None:
    """help page 003: overdue and completed ones, too; private ones of others are not there."""
    company = await kari.get("/companies/acme")
    order = [company.text.index(f">{title}<") for title in ("Title of own", "Done", "Late")]
    assert order == sorted(order), "the latest first"
    assert "Overdue" in company.text
    assert "Completed" in company.text
    assert 'href="/persons/ola"' in company.text
    assert 'href="/sales/chairs"' in company.text
    person = await kari.get("/persons/ola")
    assert "Done" in person.text
    assert "Late" not in person.text
    assert 'href="/companies/acme"' in person.text
    project = await kari.get("/projects/p1")
    assert "Ship" in project.text
    assert 'href="/persons/ola"' in project.text
    assert "Offer" in (await kari.get("/sales/chairs")).text
    nils = signed_in(office, "nils")
    for path in ("/companies/acme", "/persons/ola", "/persons/ola/part"):
        assert SECRET not in (await kari.get(path)).text
        assert SECRET in (await nils.get(path)).text
    for path in ("/companies/nothing", "/persons/nothing", "/projects/x", "/sales/x"):
        assert (await kari.get(path)).status_code == 404


async def test_activities_go_on_where_the_last_page_ended(
    kari: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.pages.people.PAGE", 2)
    page, seen = await kari.get("/companies/acme"), ""
    for _ in range(5):
        seen += page.text
        if 'rel="next"' not in page.text:
            break
        there = page.text.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        page = await kari.get(there.replace("&amp;", "&"))
    assert [seen.count(f">{title}<") for title in ("Title of own", "Done", "Late")] == [1, 1, 1]
    assert (await kari.get("/companies/acme?after=soon")).status_code == 422


async def test_addresses_say_what_is_wrong_with_them(office: Office, kari: Reader) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE invitation SET delivery = 'undeliverable', delivery_text = '550 no such user'"
            " WHERE address = 'ola@ext.example'"
        )
    page = await kari.get("/persons/ola")
    assert page.text.count(">Invalid<") == 1
    assert page.text.count(">Not reached<") == 1
    assert "550 no such user" in page.text


async def test_a_learned_address_is_taken_back_by_who_taught_it(
    office: Office, kari: Reader
) -> None:
    learn(office, "o.hansen@privat.example", "kari via kari-page")
    learn(office, "ola.h@club.example", "nils via nils-page")
    page = await kari.get("/persons/ola")
    assert "o.hansen@privat.example" in page.text
    assert page.text.count("Not the same person") == 1
    refused = await kari.post("/persons/ola/forget", address="ola.h@club.example")
    assert refused.status_code == 403
    done = await kari.post("/persons/ola/forget", address="o.hansen@privat.example")
    assert done.headers["location"] == "/persons/ola?done=unlearned"
    assert "o.hansen@privat.example" not in (await kari.get("/persons/ola")).text
    again = await kari.post("/persons/ola/forget", address="o.hansen@privat.example")
    assert again.status_code == 404
    with office.store.read() as connection:
        [entry] = [one for one in journal.after(connection, 0) if one.event == "address_forgotten"]
    assert entry.by.startswith("kari")
    chief = signed_in(office, "chief", Access.ADMIN)
    done = await chief.post("/persons/ola/forget", address="ola.h@club.example")
    assert done.status_code == 303, done.text


async def test_names_of_others_stay_text_and_norwegian_is_norwegian(kari: Reader) -> None:
    kari.language = "nb"
    for path in ("/people", "/people?kind=companies", "/persons/ola", "/companies/acme"):
        page = await kari.get(path)
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
        assert '<html lang="nb">' in page.text
    assert "Forfalt" in page.text
    assert "Aktiviteter" in page.text
    assert "norsk bokmål" in (await kari.get("/persons/ola")).text


async def test_a_follow_up_leads_to_the_cards(kari: Reader) -> None:
    page = await kari.get("/follow-ups/own")
    assert 'href="/persons/ola"' in page.text
    assert 'href="/people"' in page.text
    assert 'href="/companies/acme"' in (await kari.get("/follow-ups/t1")).text
    assert 'href="/sales/chairs"' in (await kari.get("/follow-ups/t4/links")).text


async def test_the_list_goes_by_names_page_by_page(office: Office, kari: Reader) -> None:
    people = [{"key": f"k{99 - one}", "name": f"Zoe {one:02}"} for one in range(30)]
    document = {"persons": [*people, {"key": "zz", "name": "anna"}]}
    with office.store.write() as connection:
        load.load(connection, document, office.site.settings, office.now)
    first = (await kari.get("/people")).text
    names = re.findall(r'class="title">([^<]*)<', first)
    assert names[0] == "anna"
    assert names == sorted(names, key=str.lower)
    more = re.search(r'href="([^"]*)" rel="next"', first)
    assert more is not None
    rest = re.findall(r'class="title">([^<]*)<', (await kari.get(html.unescape(more[1]))).text)
    assert rest == [f"Zoe {one:02}" for one in range(22, 30)]
    found = (await kari.get("/people?name=zoe%2029")).text
    assert re.findall(r'class="title">([^<]*)<', found) == ["Zoe 29"]
