"""Whom the house works with: companies, persons, projects and sales, found by name, and the card of
each with its activities (help pages 000 and 003).

Every kind has the same pages, which are made from one table. What is shown of follow-ups is what
the reader may see (`store.visible`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import babel
from fastapi import APIRouter, Form, Query
from fastapi.responses import Response

from gateway.actions import aliases, directory
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.mail import address, syntax
from gateway.store import activities, cards, entries, known, schema
from gateway.store.picks import Pick
from gateway.web.keys import Key, path
from gateway.web.pages import exchange, follow_ups
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

PAGE = 25
MOST_LISTED = 100
"""People of a company, members of a project."""
NOTHING: Facts = {
    "company": None,
    "speaks": "",
    "timezone": "",
    "people": (),
    "sales": (),
    "addresses": (),
    "aliases": (),
}
"""What a card has none of, unless its section says so."""
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """`wrong`: why no mail goes there; `refused`: what servers said of the last letter."""

    value: str
    wrong: str = ""
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that was learned as the same person's."""

    value: str
    when: str
    by: str
    may_forget: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One of the list. `beside`: the company."""

    key: str
    name: str
    beside: str
    address: str
    is_invalid: bool


def _of_person(here: Visit, desk: Desk, entry: Entry) -> Facts:
    refused = cards.not_reached(desk.connection, entry["key"])
    learned = known.learned(desk.connection, entry["key"])
    return {
        "addresses": [_address(value, refused) for value in entry["emails"]],
        "aliases": [_alias(here, desk, alias) for alias in learned],
        "speaks": _language(here, entry["language"]),
        "timezone": entry["timezone"] or "",
        "company": _pick(desk, entry["company"]),
    }


def _of_company(here: Visit, desk: Desk, entry: Entry) -> Facts:
    key = entry["key"]
    people = cards.people_of(desk.connection, key, MOST_LISTED + 1)
    return {"people": people, "sales": cards.sales_to(desk.connection, key, MOST_LISTED)}


def _of_project(here: Visit, desk: Desk, entry: Entry) -> Facts:
    members = entry["members"][: MOST_LISTED + 1]
    names = cards.names(desk.connection, schema.person, members)
    return {"people": [Pick(key, names.get(key, key)) for key in members]}


def _of_sale(here: Visit, desk: Desk, entry: Entry) -> Facts:
    return {"company": _pick(desk, entry["company"])}


@dataclass(frozen=True, slots=True)
class Section:
    """`link`: what a follow-up calls one; `word`: of many, `noun`: of one; `card`: what stands on
    the card beside the name and the activities.
    """

    link: str
    word: str
    noun: str
    icon: str
    card: Callable[[Visit, Desk, Entry], Facts]


SECTIONS: Mapping[str, Section] = {
    "persons": Section(
        "person", marked("People"), marked("Person"), "identification-card", _of_person
    ),
    "companies": Section(
        "company", marked("Companies"), marked("Company"), "buildings", _of_company
    ),
    "projects": Section(
        "project", marked("Projects"), marked("Project"), "clipboard-text", _of_project
    ),
    "sales": Section("sale", marked("Sales"), marked("Sale"), "note", _of_sale),
}


@router.get("/people")
async def listing(
    here: Visiting,
    kind: Annotated[str, Query(max_length=20)] = "persons",
    name: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Those of one kind, in the order of their names, found by a part of the name"""
    section = kind if kind in SECTIONS else "persons"

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.SEE)
        page = entries.by_name(desk.connection, section, after, PAGE, name.strip())
        more = {"kind": section, "name": name, "after": page.last or ""}
        return {
            "sections": SECTIONS,
            "section": section,
            "name": name,
            "items": _found(desk, page.entries),
            "next": path("people", **more) if page.last is not None else "",
        }

    return await here.page("pages/people.html", look)


@router.post("/persons/{key}/forget")
async def forget(here: Visiting, key: Key, address: Annotated[str, Form()]) -> Response:
    """An address is not this person's after all"""

    def command(desk: Desk) -> str:
        aliases.forget(desk, key, address)
        return path("persons", key)

    return await here.write(command, "unlearned")


After = Annotated[str, Query(max_length=1200)]


def _routes(section: str) -> None:
    async def card(here: Visiting, key: Key, after: After = "") -> Response:
        return await here.page(
            "pages/card.html", lambda desk: _card(here, desk, section, key, after)
        )

    async def part(here: Visiting, key: Key, after: After = "", seen: str = "") -> Response:
        facts = await here.fetch(lambda desk: _card(here, desk, section, key, after))
        return here.exchange(facts, seen, "pages/card_part.html", "pages/changed_card.html")

    card.__doc__, part.__doc__ = f"The card of one of {section}", "What of it changes by itself"
    router.get(f"/{section}/{{key}}")(card)
    router.get(f"/{section}/{{key}}/part")(part)


for _section in SECTIONS:
    _routes(_section)


def _card(here: Visit, desk: Desk, section: str, key: str, after: str) -> dict[str, Any]:
    permission.require(desk.actor, Verb.SEE)
    kind, entry = SECTIONS[section], directory.entry(desk, section, key)
    page = activities.page(desk.connection, desk.actor, kind.link, key, PAGE, _place(after))
    more = "" if page.after is None else path(section, key, after=_written(page.after))
    head = {
        "section": section,
        "key": key,
        "name": entry["name"] or key,
        "here": path(section, key, "part", **({"after": after} if after else {})),
        "is_first": not after,
        "next": more,
        **NOTHING,
        **kind.card(here, desk, entry),
    }
    activities_shown = follow_ups.items(here, desk, page.keys)
    digests = exchange.digests(head, follow_ups.rows(activities_shown))
    return {**head, "kind": kind, "activities": activities_shown, "digests": digests}


def _found(desk: Desk, items: list[Entry]) -> list[Found]:
    named = {item["company"] for item in items if item.get("company")}
    companies = cards.names(desk.connection, schema.company, named)
    rows = list[Found]()
    for item in items:
        first = next(iter(item.get("emails", ())), "")
        company = companies.get(item.get("company") or "", "")
        is_invalid = bool(first and syntax.problem(first))
        rows.append(Found(item["key"], item["name"] or item["key"], company, first, is_invalid))
    return rows


def _address(value: str, refused: Mapping[str, str]) -> Address:
    return Address(value, syntax.problem(value), refused.get(address.key(value)))


def _alias(here: Visit, desk: Desk, alias: known.Learned) -> Alias:
    may_forget = aliases.may_forget(desk, alias)
    return Alias(alias.address, here.ago(alias.learned_at), alias.learned_by, may_forget)


def _pick(desk: Desk, key: str | None) -> Pick | None:
    """The company that is named."""
    if not key:
        return None
    return Pick(key, cards.names(desk.connection, schema.company, [key]).get(key, key))


def _language(here: Visit, name: str | None) -> str:
    """ "norsk bokmål"; what Babel does not know stands as it is."""
    if not name:
        return ""
    try:
        known_name = babel.Locale.parse(name, sep="-" if "-" in name else "_")
    except (ValueError, babel.UnknownLocaleError):
        return name
    return known_name.get_display_name(str(here.texts.locale)) or name


def _written(place: activities.Place) -> str:
    return f"{place[0].isoformat()}|{place[1]}"


def _place(text: str) -> activities.Place | None:
    if not text:
        return None
    moment, _, key = text.partition("|")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), key
    except (ValueError, OverflowError):
        raise InputError(marked("after: is none of this list; begin without it")) from None
