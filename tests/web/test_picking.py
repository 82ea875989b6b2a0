"""The dialog that invites, without JavaScript: sources, who is busy, who gets a letter and why not,
and what goes when it is saved (page.md §2; help page 001).
"""

import html
import re

import pytest

from gateway.actions import load
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office

INVITE = "/follow-ups/own/invite"
PEOPLE = {
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "persons": [
        {"key": "eva", "name": "Eva Lind", "company": "acme", "emails": ["eva@acme.example"]},
        {"key": "mute", "name": "Mute Person", "company": "acme"},
    ],
    "projects": [{"key": "p1", "name": "Launch", "members": ["eva", "mute"]}],
    "associates": [
        {"key": "siv", "name": "Siv Dahl", "email": "siv@crm.example", "group": "sales"}
    ],
}


@pytest.fixture
def kari(office: Office) -> Reader:
    with office.store.write() as connection:
        load.load(connection, PEOPLE, office.site.settings, office.now)
    office.plan()
    return signed_in(office, "kari")


def rows(page: str, part: str) -> str:
    """What stands in one of the two lists."""
    _, _, rest = page.partition(f'aria-labelledby="{part}"')
    return html.unescape(re.sub(r"<[^>]+>", " ", rest.partition("</section>")[0]))


async def step(reader: Reader, **fields: object) -> str:
    answer = await reader.post(INVITE, **fields)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_colleagues_and_rooms_say_in_words_when_they_are_busy(
    office: Office, kari: Reader
) -> None:
    page = (await kari.get(INVITE)).text
    offered = rows(page, "found")
    assert re.search(r"Nils Berg\s+Busy 09:00–10:00 and 09:00–10:00", offered)
    assert re.search(r'class="no">Nils Berg', page)
    assert "Siv Dahl" in offered
    assert re.search(r"Per Hansen\s.*Takes part already", offered, re.DOTALL)
    only = rows(await step(kari, current="associate", group="sales"), "found")
    assert "Siv Dahl" in only
    assert "Nils Berg" not in only
    assert "Fjord" in rows(await step(kari, source="resource"), "found")


async def test_people_outside_are_found_by_their_name_or_company(kari: Reader) -> None:
    assert "Write a part of the name" in await step(kari, source="person")
    found = rows(await step(kari, current="person", q="acme"), "found")
    for name in ("Eva Lind", "Mute Person", "Acme AS"):
        assert name in found
    assert re.search(
        r"Launch\s+2 people", rows(await step(kari, current="project", q="lau"), "found")
    )
    assert "Partners" in rows(await step(kari, current="selection", q="part"), "found")
    offered = await kari.get(f"{INVITE}/offers?source=person&q=eva")
    assert 'data-who="person:eva"' in offered.text
    assert "<html" not in offered.text


async def test_the_foot_says_who_gets_which_letter_and_nothing_is_saved_before(
    office: Office, kari: Reader
) -> None:
    chosen = ["person:eva", "person:mute", "resource:room1", "person:ola"]
    page = await step(kari, current="email", who=chosen, email="new@other.example", name="New")
    picked = rows(page, "chosen")
    assert re.search(r"Mute Person\s+No valid e-mail address", picked)
    assert re.search(r"Fjord\s+A resource gets no letter", picked)
    assert re.search(r"Ola Hansen\s+Takes part already", picked)
    words = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert "2 letters go when you save: Eva Lind (English), New (English)" in words
    assert "Kari Nordmann invites you to a meeting." in words
    assert "eva@acme.example" not in (await kari.get("/follow-ups/own")).text
    silent = await step(kari, who=chosen, envelope="person:eva")
    assert "No letter goes when you save" in silent
    assert 'name="silent" value="person:eva"' in silent
    fewer = rows(await step(kari, who=chosen, drop="person:mute"), "chosen")
    assert "Mute Person" not in fewer


async def test_saving_adds_all_with_the_envelopes_as_they_stand(
    office: Office, kari: Reader
) -> None:
    saved = await kari.post(
        INVITE, who=["project:p1", "associate:siv"], silent="associate:siv", save="yes"
    )
    assert saved.headers["location"].startswith("/follow-ups/own?done=added&letters=1")
    switches = {
        key: f'formaction="/participants/{office.row("own", key)}/switch" name="on" value="{value}"'
        for key, value in (("eva", "no"), ("siv", "yes"))
    }
    page = (await kari.get("/follow-ups/own")).text
    for words in switches.values():
        assert words in page
    nobody = await kari.post(INVITE, save="yes")
    assert nobody.status_code == 422
    assert "Choose somebody" in nobody.text
    wrong = await kari.post(INVITE, who="email:no-address", save="yes")
    assert wrong.status_code == 422
    assert "No valid e-mail address" in wrong.text
    assert (await kari.post(INVITE, who="thing:x")).status_code == 422
