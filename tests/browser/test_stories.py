"""Whole stories at the page, with real mail: what somebody does there leaves as letters, and what
invitees answer by mail shows in every browser without reloading it (page.md §2 and §3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.sandbox import clients, reading
from gateway.sandbox.clients import Word
from gateway.web.pages.repeating import WEEKDAYS
from tests.browser.company import HOSTILE, START, Company, card, working
from tests.rig import chromium, dovecot, mailbox, postfix

pytestmark = [pytest.mark.browser, pytest.mark.real]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(**chromium.launch_options())
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, postfix: postfix.Server, dovecot: dovecot.Server
) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    with working(folder, postfix, dovecot, document) as made:
        yield made
        assert made.gateway.complaints() == []


@pytest.fixture(autouse=True)
def quiet(company: Company) -> Iterator[None]:
    """No browser complains, of the content security policy or anything else."""
    yield
    for context in company.browsers.values():
        context.close()
    company.browsers.clear()
    assert company.complaints == []


def document(company: Company) -> str:
    ola = company.invitee("Ola Hansen")
    colleagues = [("kari", "Kari Nordmann"), ("per", "Per Berg")]
    return json.dumps(
        {
            "associates": [
                {
                    "key": key,
                    "name": name,
                    "email": f"{key}@crm.example",
                    "group": "Salg",
                    "language": "nb",
                    "timezone": "UTC",
                }
                for key, name in colleagues
            ],
            "persons": [{"key": "ola", "name": ola.name, "emails": [ola.address]}],
            "resources": [{"key": "fjord", "name": HOSTILE, "group": "Rom"}],
        }
    )


def test_a_meeting_from_beginning_to_end(company: Company, browser: Browser) -> None:
    company.sign_in(browser, "kari")
    company.sign_in(browser, "kari", "elsewhere")
    company.sign_in(browser, "per")
    ola, eva = company.invitees["Ola Hansen"], company.invitee("Eva Lind", "other.example")

    key = create(company, title=f"Oppstart {HOSTILE}")
    invite(company, key, "group:Salg", "resource:fjord", "person:ola", address=eva.address)
    for box in (ola, eva):
        company.letter(box)

    # An answer shows in two browsers; what is being typed in a dialog of one stays.
    mine = company.open("kari", f"/follow-ups/{key}")
    theirs = company.open("per", f"/follow-ups/{key}")
    mine.locator("a[data-dialog]", has_text="Rediger").click()
    place = mine.locator("dialog.over [name=location]")
    place.fill("half a wo")
    company.answer(eva, clients.thunderbird, Word.ACCEPTED, HOSTILE)
    for tab in (mine, theirs):
        row = tab.locator(".row", has_text=eva.address)
        expect(row).to_contain_text("Kommer")
        expect(row.locator(".disc use")).to_have_attribute("href", re.compile("#check$"))
        expect(row.locator(".said")).to_have_text(HOSTILE)
    expect(place).to_be_focused()
    mine.keyboard.type("rd")
    expect(place).to_have_value("half a word")

    waiting = [company.open(name) for name in ("kari", "elsewhere")]
    _moves_where_it_is_wanted(company, waiting, ola, eva)
    _takes_note_of_a_decline(company, waiting, eva)
    _records_what_was_written(company, waiting, ola)
    _knows_somebody_again(company, waiting, ola)
    _lets_somebody_in(company, waiting, ola)
    _corrects_an_address(company, waiting, key)
    for tab in waiting:
        expect(tab.locator("main")).to_contain_text("Ingenting venter")
        expect(tab).to_have_title("Venter på deg")


def create(company: Company, title: str) -> str:
    """A new meeting, by its form; returns its key."""
    tab = company.open("kari", "/follow-ups/new")
    tab.locator("[name=title]").fill(title)
    tab.locator("[name=start]").fill(f"{START:%Y-%m-%dT%H:%M}")
    tab.locator("[name=end]").fill(f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    tab.locator("[name=location]").fill(HOSTILE)
    tab.get_by_role("button", name="Lagre").click()
    tab.wait_for_url(re.compile("/follow-ups/(?!new)"))
    expect(tab.locator("h1")).to_contain_text(title)
    key = tab.url.partition("/follow-ups/")[2].partition("?")[0]
    tab.close()
    return key


SHOWN_WITH = {"group": "associate"}


def invite(company: Company, key: str, *who: str, address: str = "") -> None:
    """People, groups and rooms by what each is found with, and a bare address; the foot says which
    letters go before anything is saved.
    """
    tab = company.open("kari", f"/follow-ups/{key}/invite")
    for number, one in enumerate(who, 1):
        source, _, name = one.partition(":")
        tab.locator(f"[name=source][value={SHOWN_WITH.get(source, source)}]").click()
        if source == "group":
            tab.locator("main [name=group]").select_option(label=name)
        else:
            tab.locator("main [name=q]").fill(name[:3] if source == "person" else "")
        tab.locator(".looking [name=look]").click()
        chosen = (
            f"[name=add][value^='{source}:']" if source == "group" else f"[name=add][value='{one}']"
        )
        tab.locator(chosen).first.click()
        expect(tab.locator(".picked [name=drop]")).to_have_count(number)
    if address:
        tab.locator("[name=source][value=email]").click()
        tab.locator("main [name=email]").fill(address)
        tab.locator("main [name=name]").fill(HOSTILE)
        tab.locator("main [name=look]:visible").last.click()
        expect(tab.locator(".picked [name=drop]")).to_have_count(len(who) + 1)
    expect(tab.locator(".owing")).to_contain_text("brev går når du lagrer")
    before = company.gateway.status(key).keys()
    assert address not in before, "nothing is saved before"
    tab.locator("main [name=save]").click()
    tab.wait_for_url(re.compile(rf"/follow-ups/{key}\?"))
    tab.close()


def _decide(tabs: list[Page], choice: str, words: str) -> None:
    """It shows in both; decided in one, it is gone in both."""
    for tab in tabs:
        expect(card(tab, choice)).to_contain_text(words)
    card(tabs[0], choice).locator(f"[value={choice}]").click()
    for tab in tabs:
        expect(card(tab, choice)).to_have_count(0)


def _moves_where_it_is_wanted(
    company: Company, tabs: list[Page], ola: mailbox.Mailbox, eva: mailbox.Mailbox
) -> None:
    later = clients.proposing(timedelta(hours=4))
    company.answer(ola, later, Word.TENTATIVE, HOSTILE)
    _decide(tabs, "move", "Ola Hansen foreslår")
    for box in (ola, eva):
        moved = reading.read(company.letter(box, sequence=1))
        start = moved.event.line("DTSTART") if moved.event is not None else None
        assert start is not None
        assert start.moment == START + timedelta(hours=4)


def _takes_note_of_a_decline(company: Company, tabs: list[Page], eva: mailbox.Mailbox) -> None:
    company.answer(eva, clients.gmail, Word.DECLINED, HOSTILE, sequence=1)
    for tab in tabs:
        quote = card(tab, "acknowledge").locator("q")
        expect(quote).to_have_text(HOSTILE.replace('"', "'"))  # no parameter has quotes (RFC 5545)
    _decide(tabs, "acknowledge", "kommer ikke")


def _records_what_was_written(company: Company, tabs: list[Page], ola: mailbox.Mailbox) -> None:
    words = f"Ja, jeg kommer. {HOSTILE}"
    company.answer(ola, clients.by_hand, Word.ACCEPTED, words, sequence=1)
    _decide(tabs, "record", words)
    status = next(row for row in company.gateway.objects("status") if row["address"] == ola.address)
    assert status["reply"] == "accepted"


def _knows_somebody_again(company: Company, tabs: list[Page], ola: mailbox.Mailbox) -> None:
    private = company.invitee("Ola", "other.example")
    company.answer(ola, clients.apple, Word.DECLINED, who=private, sequence=1)
    _decide(tabs, "same", private.address)
    _decide(tabs, "acknowledge", "Ola Hansen kommer ikke")


def _lets_somebody_in(company: Company, tabs: list[Page], ola: mailbox.Mailbox) -> None:
    sam = company.invitee("Sam", "other.example")
    client = clients.uninvited(company.invites.address)
    company.answer(ola, client, Word.ACCEPTED, who=sam, sequence=1)
    _decide(tabs, "add", sam.address)
    company.letter(sam)


def _corrects_an_address(company: Company, tabs: list[Page], key: str) -> None:
    ivar = company.invitee("Ivar")
    invite(company, key, address="ivar@refused.example")
    company.post()
    for each in tabs:
        expect(card(each, "correct")).to_contain_text("ivar@refused.example")
    card(tabs[0], "correct").locator("[name=address]").fill(ivar.address)
    _decide(tabs, "correct", "Det går ikke mer til")
    company.letter(ivar)


def test_what_is_taken_back_reaches_nobody(company: Company, browser: Browser) -> None:
    company.sign_in(browser, "kari")
    key, nobody = create(company, "Angret"), company.invitee("Nobody")
    before = company.post()
    invite(company, key, address=nobody.address)
    tab = company.open("kari", f"/follow-ups/{key}")
    expect(tab.locator(".row", has_text=nobody.address)).to_be_visible()
    tab.get_by_role("button", name="Angre").click()
    expect(tab.locator("main [role=status]").first).to_be_visible()
    expect(tab.locator(".row", has_text=nobody.address)).to_have_count(0)
    assert company.post() == before
    assert nobody.messages() == []


def test_a_time_is_kept_after_all_and_that_is_told_once(company: Company, browser: Browser) -> None:
    company.sign_in(browser, "kari")
    siri = company.invitee("Siri Moe", "other.example")
    key = create(company, "Ny tid")
    invite(company, key, address=siri.address)
    company.answer(siri, clients.proposing(timedelta(hours=4)), Word.TENTATIVE)
    tab, before = company.open("kari"), company.post()
    expect(card(tab, "keep")).to_contain_text("foreslår")
    card(tab, "keep").locator("[value=keep]").click()
    expect(card(tab, "keep")).to_have_count(0)
    assert len(company.post()) == len(before) + 1
    tab.get_by_role("button", name="Angre").click()
    tab.wait_for_url(re.compile(rf"/follow-ups/{key}\?done=undone"))
    assert company.post() == before
    tab = company.open("kari")
    card(tab, "keep").locator("[value=keep]").click()
    expect(card(tab, "keep")).to_have_count(0)
    company.gateway.command("queue", "retry", "--follow-up", key)  # it would wait for the undo
    company.letter(siri, "DECLINECOUNTER")
    told = [mailbox.calendar_of(one) for one in siri.messages()]
    assert sum("METHOD:DECLINECOUNTER" in one for one in told) == 1


def test_a_decline_leads_to_the_first_free_time_and_all_are_asked_again(
    company: Company, browser: Browser
) -> None:
    for name in ("kari", "elsewhere"):
        company.sign_in(browser, "kari", name)
    guests = [company.invitee(name, "other.example") for name in ("Siri Dal", "Tor Vik")]
    key = create(company, f"Omvisning {HOSTILE}")
    invite(company, key, "resource:fjord", address=guests[0].address)
    invite(company, key, address=guests[1].address)
    waiting = [company.open(name) for name in ("kari", "elsewhere")]
    company.answer(guests[0], clients.gmail, Word.DECLINED)
    _decide(waiting, "acknowledge", "kommer ikke")

    tabs = [company.open(name, f"/follow-ups/{key}") for name in ("kari", "elsewhere")]
    tabs[0].locator("a[data-dialog]", has_text="Flytt").click()
    over = tabs[0].locator("dialog.over")
    slot = over.locator(".slots a").first
    when = slot.inner_text()
    slot.click()
    expect(over.locator("[name=start]")).not_to_have_value(f"{START:%Y-%m-%dT%H:%M}")
    over.locator("button.first").click()
    for tab in tabs:
        expect(tab.locator("#when")).to_contain_text(when)
        expect(tab.locator(".row", has_text=guests[0].address)).to_contain_text("Spurt på nytt")
    for box in guests:
        moved = reading.read(company.letter(box, sequence=1)).event
        assert moved is not None
        start = moved.line("DTSTART")
        assert start is not None
        assert start.moment != START


def test_a_colleague_takes_one_date_of_a_series_and_not_another(
    company: Company, browser: Browser
) -> None:
    for who in ("kari", "per"):
        company.sign_in(browser, who)
    key = create(company, f"Serie {HOSTILE}")
    _repeat(company, key)
    invite(company, key, "associate:per")
    follow_up, waiting = company.open("kari", f"/follow-ups/{key}"), company.open("kari")
    asked = company.open("per")
    for left, reply, words in ((3, "yes", ""), (2, "no", HOSTILE)):
        asked.goto(f"{company.url}/invitations?repetitions=yes")
        dates = asked.locator(".card", has_text="Serie")
        expect(dates).to_have_count(left)
        dates.first.get_by_role("link").click()
        whole = asked.locator("#asked-one", has_text="Serie")
        whole.locator("[name=comment]").fill(words)
        whole.locator(f"[value={reply}]").click()
        asked.wait_for_url(re.compile("done=answered"))
    row = follow_up.locator(".row", has_text="Per Berg")
    said = row.locator(".dates li")
    expect(said).to_have_count(2)
    expect(said.first.locator("b")).to_have_text("Kommer")
    expect(said.last.locator("b")).to_have_text("Kommer ikke")
    expect(said.last.locator("q")).to_have_text(HOSTILE)
    expect(row.locator(".stands")).to_contain_text("Har ikke svart")
    _decide([waiting], "acknowledge", "Per Berg kommer ikke")


def _repeat(company: Company, key: str) -> None:
    """Every week, three times."""
    tab = company.open("kari", f"/follow-ups/{key}/repeat")
    tab.locator("[name=pattern][value=weekly]").check()
    tab.locator("[name=every]").fill("1")
    tab.locator(f"[name=days][value={WEEKDAYS[START.weekday()]}]").check()
    tab.locator("[name=count]").fill("3")
    tab.locator("main button.first").last.click()
    tab.wait_for_url(re.compile("done=saved"))
    tab.close()


def test_a_task_is_assigned_until_somebody_takes_it(company: Company, browser: Browser) -> None:
    for who in ("kari", "per"):
        company.sign_in(browser, who)
    waiting = company.open("kari")
    key = create(company, f"Ring {HOSTILE}")
    _assign(company.open("kari", f"/follow-ups/{key}/assign"))
    _say(company, "no", f"Ring {HOSTILE}", HOSTILE)
    expect(card(waiting, "acknowledge")).to_have_count(0)
    refused = waiting.locator(".decision", has_text="Per Berg tar ikke")
    expect(refused.locator("q")).to_have_text(HOSTILE)
    refused.get_by_role("link", name="Tilordne på nytt").click()
    _assign(waiting)
    waiting.goto(f"{company.url}/")
    expect(waiting.locator(".decision", has_text="Per Berg")).to_have_count(0)
    follow_up = company.open("kari", f"/follow-ups/{key}")
    _say(company, "yes", f"Ring {HOSTILE}", "")
    expect(follow_up.locator(".row", has_text="Per Berg").locator(".disc")).to_have_class(
        re.compile("yes|house")
    )


def _assign(tab: Page) -> None:
    tab.locator("main [name=to]").select_option("per")
    tab.locator("main button.first").last.click()
    tab.wait_for_url(re.compile(r"done="))


def _say(company: Company, reply: str, title: str, words: str) -> None:
    """Per answers what he is asked."""
    tab = company.open("per", "/invitations")
    tab.locator(".card", has_text=title).get_by_role("link").click()
    asked = tab.locator("#asked-one", has_text=title)
    asked.locator("[name=comment]").fill(words)
    asked.locator(f"[value={reply}]").click()
    expect(tab.locator(".card", has_text=title)).to_have_count(0)
    tab.close()


def by_keyboard(tab: Page, selector: str, key: str = "Enter") -> None:
    """Tab until it has the focus, which can be seen; then the key."""
    for _ in range(200):
        tab.keyboard.press("Tab")
        if tab.evaluate("s => document.activeElement.matches(s)", selector):
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", selector
            tab.keyboard.press(key)
            return
    raise AssertionError(f"no key leads to {selector}")


def by_touch(tab: Page, selector: str, key: str = "Enter") -> None:
    tab.locator(selector).first.click()


WAYS: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "keyboard": (by_keyboard, {"viewport": {"width": 1280, "height": 800}}),
    "touch": (by_touch, {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}),
    "without-javascript": (
        by_touch,
        {"viewport": {"width": 360, "height": 740}, "java_script_enabled": False},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_ways_lead_there_too(company: Company, browser: Browser, way: str) -> None:
    press, facts = WAYS[way]
    company.sign_in(browser, "kari", **facts)
    guest = company.invitee(f"{way.title()} Gjest")
    tab = company.open("kari")
    press(tab, "a[href='/follow-ups/new']")
    tab.wait_for_url(re.compile("/follow-ups/new"))
    press(tab, "main [name=title]", "End")
    tab.keyboard.type(way)
    press(tab, "main button.first[type=submit]")
    tab.wait_for_url(re.compile(r"/follow-ups/(?!new)"))
    press(tab, "a[href$='/invite']")
    expect(tab.locator("#dialog [name=save]")).to_be_visible()
    press(tab, "[name=add][value='associate:per']")
    expect(tab.locator(".picked [name=drop]")).to_have_count(1)
    press(tab, "[name=source][value=email]")
    press(tab, "#dialog [name=email]", "End")
    tab.keyboard.type(guest.address)
    tab.keyboard.press("Enter")
    expect(tab.locator(".picked [name=drop]")).to_have_count(2)
    press(tab, "[name=save]")
    expect(tab.locator(".row", has_text=guest.address)).to_be_visible()
    tab.wait_for_load_state()  # rows stand there before the style sheet does
    assert tab.evaluate("document.documentElement.scrollWidth") <= facts["viewport"]["width"]
    company.answer(guest, clients.link, Word.DECLINED, HOSTILE)
    key = tab.url.partition("/follow-ups/")[2].partition("?")[0]
    company.gateway.wait_status(key, {guest.address: {"reply": "declined"}})
    waiting = company.open("kari")
    press(waiting, "[value=acknowledge]")
    expect(card(waiting, "acknowledge")).to_have_count(0)
    expect(waiting.locator("main [role=status]").first).to_be_visible()
