"""Role x page: who is shown a page, and whose form is taken, is what `permission.may` says.
Generated from the table of pages: a route without its line here fails.

Those who may not are asked first, so that nothing has changed when those come who may.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import httpx
import pytest
from fastapi import FastAPI

from gateway.followups import decisions, permission
from gateway.followups.decisions import DecisionKind
from gateway.followups.permission import Answer, Verb
from gateway.model import Access, Actor
from gateway.store import parties
from gateway.web import door
from gateway.web.pages import table
from tests.web.test_matrix import every_route
from tests.web.test_pages import OURS, Reader, signed_in
from tests.web.world import Office

ROLES = {
    "kari": Access.USER,
    "per": Access.USER,
    "nils": Access.USER,
    "read": Access.READ,
    "admin": Access.ADMIN,
}
FOLLOW_UPS = ("own", "foreign", "private")


class On(Enum):
    """What a page is about."""

    ANYBODY = "whoever is signed in"
    ASSOCIATE = "an associate's own"
    SITE = "no follow-up"
    FOLLOW_UP = "the follow-up in the path"
    OLA = "the row of somebody outside"
    PER = "the row of an associate"
    DECISION = "what waits there"
    SAVE = "a save of nobody who asks"
    CARD = "somebody or something of the directory"
    ALIAS = "an address that was not learned"


@dataclass(frozen=True)
class Line:
    """What a route is about, who may, and what its form says, `{key}` for the follow-up's. `key`:
    of whom a card is.
    """

    on: On
    verb: Verb = Verb.SEE
    form: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    key: str = ""


ABOUT_NONE = (On.ANYBODY, On.ASSOCIATE, On.SITE, On.SAVE, On.CARD, On.ALIAS)
ANYBODY = Line(On.ANYBODY)
SEE = Line(On.FOLLOW_UP, Verb.SEE)
TIMES = {"start": "2026-12-03T09:00", "end": "2026-12-03T10:00"}
NEW = {"title": "Another", "kind": "meeting", **TIMES}
CARDS = {"persons": "ola", "companies": "acme", "projects": "p1", "sales": "chairs"}
PARTS = ("agenda", "dates", "details", "head", "journal", "links", "more", "notes", "rows")
"""Of the page of a follow-up."""
DIALOGS: Mapping[str, tuple[Verb, Mapping[str, str]]] = {
    "add-date": (Verb.EDIT, TIMES),
    "assign": (Verb.EDIT, {"to": "per"}),
    "cancel": (Verb.EDIT, {}),
    "carry-out": (Verb.EDIT, TIMES),
    "complete": (Verb.EDIT, {"completed": "yes"}),
    "drop-date": (Verb.EDIT, {"date": "2026-12-01T08:00:00Z"}),
    "edit": (Verb.EDIT, NEW),
    "edit-agenda": (Verb.EDIT, {"agenda": "First"}),
    "edit-links": (Verb.EDIT, {}),
    "edit-more": (Verb.EDIT, {}),
    "edit-notes": (Verb.EDIT, {"notes": "Ours"}),
    "invite": (Verb.EDIT, {"email": "eva@other.example", "save": "yes"}),
    "move": (Verb.EDIT, TIMES),
    "reinstate": (Verb.EDIT, {}),
    "remind": (Verb.EDIT, {}),
    "repeat": (Verb.EDIT, {"pattern": "weekly", "every": "1"}),
    "split": (Verb.EDIT, {"date": "2026-12-01T08:00:00Z"}),
    "stop": (Verb.EDIT, {"date": "2026-12-01T08:00:00Z"}),
    "take-out": (Verb.OWN, {}),
}
"""What can be done to a follow-up: each is a page with a form, and what is news beside it."""


BESIDE = {"invite": "offers"}
"""What a dialog asks for while it is open, where that is not what is news."""


def lines() -> Iterator[tuple[str, Line]]:
    yield from SINGLE.items()
    for part in PARTS:
        yield f"GET /follow-ups/{{key}}/{part}", SEE
    for dialog, (verb, form) in DIALOGS.items():
        yield f"GET /follow-ups/{{key}}/{dialog}", Line(On.FOLLOW_UP, verb)
        beside = BESIDE.get(dialog, "news")
        yield f"GET /follow-ups/{{key}}/{dialog}/{beside}", Line(On.FOLLOW_UP, verb)
        yield f"POST /follow-ups/{{key}}/{dialog}", Line(On.FOLLOW_UP, verb, form)


SINGLE: Mapping[str, Line] = {
    "GET /people": ANYBODY,
    **{f"GET /{section}/{{key}}": Line(On.CARD, key=key) for section, key in CARDS.items()},
    **{f"GET /{section}/{{key}}/part": Line(On.CARD, key=key) for section, key in CARDS.items()},
    "POST /persons/{key}/forget": Line(On.ALIAS, form={"address": "x@ext.example"}, key="ola"),
    "GET /": ANYBODY,
    "GET /waiting": ANYBODY,
    "GET /troubles": ANYBODY,
    "GET /diary": ANYBODY,
    "GET /diary/part": ANYBODY,
    "GET /undo": ANYBODY,
    "GET /me": ANYBODY,
    "GET /suggestions/{kind}": ANYBODY,
    "GET /invitations": Line(On.ASSOCIATE),
    "GET /invitations/list": Line(On.ASSOCIATE),
    "GET /follow-ups": ANYBODY,
    "GET /listed": ANYBODY,
    "GET /follow-ups/new": Line(On.SITE, Verb.CREATE),
    "GET /follow-ups/{key}": SEE,
    "POST /decisions/{number}": Line(On.DECISION, form={"choice": "keep"}),
    "POST /diary/tick": Line(On.FOLLOW_UP, Verb.EDIT, {"task": "{key}", "completed": "yes"}),
    "POST /diary/views": Line(On.ASSOCIATE, form={"name": "Us"}, query="?of=associate:kari"),
    "POST /diary/views/drop": Line(On.ASSOCIATE, form={"name": "Us"}),
    "POST /me/preferences": Line(On.ASSOCIATE, form={"call_minutes": "20"}),
    "POST /me/sessions/end": Line(On.ANYBODY, form={"session": "0" * 16}),
    "POST /me/feed": Line(On.ASSOCIATE),
    "POST /me/feed/revoke": ANYBODY,
    "POST /undo/{number}": Line(On.SAVE),
    "POST /follow-ups/new": Line(On.SITE, Verb.CREATE, NEW),
    "POST /follow-ups/{key}/email-invitation": Line(On.FOLLOW_UP, Verb.EDIT, {"on": "no"}),
    "POST /invitations/{number}": Line(On.PER, Verb.ANSWER, {"reply": "yes"}),
    "POST /participants/{number}/{verb}": Line(On.OLA, Verb.EDIT),
}
LINES = dict(lines())
SHOW = frozenset({"POST /me/feed"})
"""Forms whose answer is a page: it shows a secret once."""
SAMPLES = {"verb": "toggle", "number": "1", "kind": "person"}
"""For other parameters of a path."""
ANYTHING = {"number": "1", "verb": "off", "section": "types", "key": "external"}
"""The same for administrators."""


def routes() -> list[str]:
    """Every route of the pages."""
    application = FastAPI()
    for module in table.MODULES:
        application.include_router(module.router)
    return sorted(
        f"{method} {route.path}"
        for route in every_route(application.routes)
        for method in route.methods or ()
    )


def is_admins(name: str) -> bool:
    return name.partition(" ")[2].startswith("/admin")


OTHERS = [name for name in routes() if not is_admins(name)]
FORMS = [name for name in OTHERS if name.startswith("POST") and name in LINES]


def test_every_page_has_its_line() -> None:
    assert sorted(set(OTHERS) ^ set(LINES)) == []


async def test_who_may_see_a_page_sees_it(office: Office) -> None:
    readers = {name: signed_in(office, name, role) for name, role in ROLES.items()}
    for name in OTHERS:
        if name.startswith("GET") and name in LINES:
            await ask(office, readers, name, LINES[name])


@pytest.mark.parametrize("name", FORMS)
async def test_whose_form_is_taken(office: Office, name: str) -> None:
    readers = {name: signed_in(office, name, role) for name, role in ROLES.items()}
    await ask(office, readers, name, LINES[name])


async def test_the_pages_of_administrators_are_for_nobody_else(office: Office) -> None:
    """Whatever is said in the address: it is not even read."""
    readers = {name: signed_in(office, name, role) for name, role in ROLES.items()}
    asked = [name for name in routes() if is_admins(name)]
    assert len(asked) > 20
    for name in asked:
        for role, reader in readers.items():
            answer = await request(reader, name, ANYTHING, {})
            case = f"{name} by {role}: {answer.status_code}"
            assert (answer.status_code == 403) is (role != "admin"), case


async def ask(office: Office, readers: Mapping[str, Reader], name: str, line: Line) -> None:
    """One route, by everybody, about each follow-up: who may is asked last."""
    is_about_one = line.on not in ABOUT_NONE
    for follow_up in FOLLOW_UPS if is_about_one else ("",):
        answers = [(role, may(office, line, role, follow_up)) for role in ROLES]
        for role, allowed in sorted(answers, key=lambda one: one[1] is Answer.YES):
            said = {**SAMPLES, **place(office, line, follow_up)}
            form = {field: value.format(**said) for field, value in line.form.items()}
            answer = await request(readers[role], f"{name}{line.query}", said, form)
            case = f"{name} of {follow_up or 'nothing'} by {role}: {answer.text[-2000:]}"
            assert answer.status_code in expected(name, line, allowed), case


def may(office: Office, line: Line, role: str, follow_up: str) -> Answer:
    actor = Actor(ROLES[role], role if ROLES[role] is Access.USER else "", role)
    if line.on is On.ANYBODY:
        return Answer.YES
    if line.on is On.ASSOCIATE:
        return Answer.YES if actor.associate else Answer.FORBIDDEN
    if line.on in (On.SAVE, On.ALIAS):
        return Answer.HIDDEN
    if line.on in (On.SITE, On.CARD):
        return permission.may(actor, line.verb)
    if line.on is On.DECISION:
        associate = office.decision(follow_up).cause.associate
        is_seen = decisions.visible(actor, DecisionKind.PROPOSAL, associate)
        return Answer.YES if is_seen else Answer.HIDDEN
    with office.store.read() as connection:
        whom = parties.of(connection, follow_up)
    is_pers = line.on is On.PER or line.verb is Verb.OWN
    return permission.may(actor, line.verb, whom, "per" if is_pers else "")


def place(office: Office, line: Line, follow_up: str) -> dict[str, str]:
    """What stands in the path."""
    if line.key:
        return {"key": line.key}
    if line.on is On.FOLLOW_UP:
        return {"key": follow_up}
    if line.on in (On.OLA, On.PER):
        return {"number": str(office.row(follow_up, line.on.name.lower()))}
    if line.on is On.DECISION:
        return {"number": str(office.decision(follow_up).id)}
    return {}


async def request(
    reader: Reader, name: str, said: Mapping[str, str], form: Mapping[str, str]
) -> httpx.Response:
    method, path = name.split(" ")
    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", said[parameter])
    if method == "GET":
        return await reader.get(path)
    data = {"form": door.form_token(reader.session), **form}
    headers = reader.headers() | OURS
    return await reader.office.client.request(method, path, data=data, headers=headers)


def expected(name: str, line: Line, allowed: Answer) -> set[int]:
    """A form is shown to whom it is taken from; there may be nothing to take out of a diary."""
    if allowed is Answer.HIDDEN:
        return {404}
    if allowed is Answer.FORBIDDEN:
        return {403}
    if name.startswith("GET"):
        return {200, 409} if line.verb is Verb.OWN else {200}
    return {200} if name in SHOW else {303, 409, 422}
