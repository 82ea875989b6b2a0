"""Role x route x own, foreign and private: what each route answers is what `permission.may` says
(docs/api.md, "Who may"). Generated from the table of routes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from gateway.followups import decisions, permission
from gateway.followups.decisions import DecisionKind
from gateway.followups.permission import Answer, Verb
from gateway.model import Access, Actor
from gateway.store import parties
from gateway.web.api import table
from gateway.web.api.routes import On, Right
from tests.web.world import ABOUT_ONE, ROLES, Office

API = "/api/v1/"
EVENTS = "/api/v1/events"
"""Has tests of its own. What is no part of the API, `test_pages` asks."""
FOLLOW_UPS = ("own", "foreign", "private")
RIGHTS = table.rights()
READS = ("GET", "HEAD")
OF_A_PERSON = ("/api/v1/persons/{key}/export",)
"""What is known of a person is told them whole, what is private to others included."""
HIDDEN_TITLE = "Title of private"


def callers() -> Iterator[tuple[str, str]]:
    """A token, and on whose behalf."""
    for name in ROLES:
        yield name, ""
    yield "crm", "kari"


def _named(right: Right) -> str:
    return f"{right.method} {right.path}"


def every_route(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Those of included routers, too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from every_route(route.original_router.routes)


def test_every_route_has_its_line(office: Office) -> None:
    lines = {(right.method, right.path) for right in RIGHTS}
    asked = [
        (method, route.path)
        for route in every_route(office.application.routes)
        for method in route.methods or ()
        if route.path.startswith(API) and route.path != EVENTS
    ]
    assert len(asked) == len(lines)
    assert set(asked) == lines


def test_no_line_is_there_twice() -> None:
    names = [_named(right) for right in RIGHTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("right", RIGHTS, ids=_named)
async def test_every_role_gets_what_its_right_says(office: Office, right: Right) -> None:
    for name, behalf in callers():
        access, associate = ROLES[name]
        actor = Actor(access, behalf or associate, name)
        for follow_up in FOLLOW_UPS if right.on in ABOUT_ONE else ("",):
            answer = await asked(office, right, name, behalf, follow_up)
            case = f"{_named(right)} by {actor.by} of {follow_up or 'nothing'}: {answer.text[:300]}"
            assert answer.status_code in expected(office, right, actor, follow_up), case
            if not sees_private(actor) and right.path not in OF_A_PERSON:
                assert HIDDEN_TITLE not in answer.text, case


async def asked(
    office: Office, right: Right, name: str, behalf: str, follow_up: str
) -> httpx.Response:
    """One request of the route, as its example says it, which keeps nothing."""
    path = right.path.removeprefix("/api/v1")
    said = office.parameters(right, follow_up)
    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", said.pop(parameter))
    headers = {"On-Behalf-Of": behalf} if behalf else {}
    if right.method not in READS:
        said["dry_run"] = "true"
    if right.method not in (*READS, "POST"):
        headers["If-Match"] = "*"
    body = {"json": right.example} if right.example is not None else {}
    return await office.ask(right.method, path, name, headers, params=said, **body)


def expected(office: Office, right: Right, actor: Actor, follow_up: str) -> set[int]:
    if right.on is On.OWN:
        return {200, 201, 409} if actor.associate else {200, 201, 403, 409}
    if right.on is On.DECISION:
        associate = office.decision(follow_up).cause.associate
        is_seen = decisions.visible(actor, DecisionKind.PROPOSAL, associate)
        return {200} if is_seen else {404}
    whom = None
    if follow_up:
        with office.store.read() as connection:
            whom = parties.of(connection, follow_up)
    row = "per" if right.on is On.OWN_ROW else ""
    return {
        Answer.YES: {200, 201, 409},
        Answer.FORBIDDEN: {403},
        Answer.HIDDEN: {404},
    }[permission.may(actor, right.verb, whom, row)]


def sees_private(actor: Actor) -> bool:
    return actor.associate in ("nils", "per") or (
        actor.access is Access.CRM and not actor.associate
    )


def test_the_table_knows_what_is_asked_for() -> None:
    """A right to one follow-up without a follow-up in the path would be asked of nothing."""
    for right in RIGHTS:
        if right.on in ABOUT_ONE:
            assert ("{key}" if right.on is On.FOLLOW_UP else "{id}") in right.path
        if right.verb in (Verb.OPERATE, Verb.DEFINE, Verb.IMPORT, Verb.DIRECTORY, Verb.CREATE):
            assert right.on is On.SITE
