"""What there is to see: every page in each of its states, by its address. Pictures are made of
them, and they are looked at for accessibility; a page that is not here fails the suite.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from fastapi import FastAPI
from fastapi.routing import APIRoute
from playwright.async_api import Browser, BrowserContext, Page
from starlette.routing import Match

from gateway.model import Access
from gateway.store.engine import Store
from gateway.web import sign_in
from gateway.web.pages import people, table
from tests.browser import day, serving
from tests.web.test_matrix import every_route

WIDTHS = (1280, 360)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HEIGHT = 800
DEADLINE = 60_000.0
FRAGMENTS = frozenset(
    {
        "/waiting",
        "/diary/part",
        "/invitations/list",
        "/listed",
        "/follow-ups/{key}/head",
        "/follow-ups/{key}/rows",
        "/troubles",
        "/undo",
        "/admin/overview",
        "/admin/letters/list",
        "/admin/letters/{number}/html",
        "/admin/brake/list",
        "/admin/review/list",
        "/suggestions/{kind}",
        *(f"/{section}/{{key}}/part" for section in people.SECTIONS),
        "/follow-ups/{key}/invite/offers",
    }
)
"""Parts of pages, which they exchange: looked at in their pages."""
NEWS = "/news"
"""How the addresses end at which dialogs ask what became of their follow-up."""
NOT_PAGES = frozenset({"/sign-in/link", "/sign-in/openid", "/sign-in/openid/back"})
"""They lead on."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One page in one state. `who`: "" for somebody who is not signed in; `sends`: what is written
    into the form before it is sent, by label; `chief`: in English, too. `invitee`: whose answer page
    it is, by the address; "nobody" for a link that leads to nothing.
    """

    name: str
    path: str
    who: str = "kari"
    sends: tuple[tuple[str, str], ...] = ()
    chief: bool = False
    invitee: str = ""


SCENES = (
    Scene("waiting", "/", chief=True),
    Scene("waiting-empty", "/", "nina"),
    Scene("diary", "/diary", chief=True),
    Scene("diary-day", "/diary?view=day"),
    Scene("diary-month", "/diary?view=month"),
    Scene("diary-next", "/diary?view=next"),
    Scene("diary-group", "/diary?view=group&of=associate:kari&of=associate:per&of=resource:fjord"),
    Scene("diary-empty", "/diary?date=2027-03-01"),
    Scene("me", "/me", chief=True),
    Scene("me-without-a-diary", "/me", "reader"),
    Scene("invitations", "/invitations", chief=True),
    Scene("invitations-empty", "/invitations", "reader"),
    Scene("follow-ups", "/follow-ups", chief=True),
    Scene("follow-ups-empty", "/follow-ups?since=2027-06-01"),
    Scene("follow-up", "/follow-ups/kickoff", chief=True),
    Scene("follow-up-demo-day", "/follow-ups/demo-day"),
    Scene("follow-up-series", "/follow-ups/weekly"),
    Scene("follow-up-task", "/follow-ups/offer"),
    Scene("follow-up-cancelled", "/follow-ups/lunch"),
    Scene("follow-up-of-others", "/follow-ups/review"),
    Scene("people", "/people", chief=True),
    Scene("people-none", "/people?kind=companies&name=zzz"),
    Scene("person", "/persons/ola", chief=True),
    Scene("person-not-reached", "/persons/ivar"),
    Scene("company", "/companies/nordlys"),
    Scene("project", "/projects/centre"),
    Scene("sale", "/sales/phones"),
    Scene("new", "/follow-ups/new", chief=True),
    Scene("new-error", "/follow-ups/new", sends=(("title", "Uten tid"), ("start", ""))),
    Scene("edit", "/follow-ups/kickoff/edit"),
    Scene("move", "/follow-ups/kickoff/move"),
    Scene("assign", "/follow-ups/offer/assign"),
    Scene("cancel", "/follow-ups/kickoff/cancel"),
    Scene("invite", "/follow-ups/kickoff/invite", chief=True),
    Scene("follow-up-details", "/follow-ups/kickoff/details", chief=True),
    Scene("follow-up-dates", "/follow-ups/weekly/dates"),
    Scene("follow-up-agenda", "/follow-ups/kickoff/agenda"),
    Scene("follow-up-notes", "/follow-ups/kickoff/notes"),
    Scene("follow-up-links", "/follow-ups/kickoff/links"),
    Scene("follow-up-more", "/follow-ups/kickoff/more"),
    Scene("follow-up-journal", "/follow-ups/kickoff/journal", chief=True),
    Scene("edit-agenda", "/follow-ups/kickoff/edit-agenda"),
    Scene("edit-notes", "/follow-ups/kickoff/edit-notes"),
    Scene("edit-links", "/follow-ups/kickoff/edit-links"),
    Scene("edit-more", "/follow-ups/kickoff/edit-more"),
    Scene("move-of-series", "/follow-ups/weekly/move"),
    Scene("repeat", "/follow-ups/weekly/repeat", chief=True),
    Scene("add-date", "/follow-ups/weekly/add-date"),
    Scene("drop-date", "/follow-ups/weekly/drop-date"),
    Scene("stop", "/follow-ups/weekly/stop"),
    Scene("split", "/follow-ups/weekly/split"),
    Scene("carry-out", "/follow-ups/kickoff/carry-out"),
    Scene("reinstate", "/follow-ups/lunch/reinstate"),
    Scene("complete", "/follow-ups/offer/complete"),
    Scene("remind", "/follow-ups/kickoff/remind"),
    Scene("take-out", "/follow-ups/kickoff/take-out"),
    Scene("problem-absent", "/follow-ups/nowhere"),
    Scene("admin", "/admin", "admin", chief=True),
    Scene("admin-letters", "/admin/letters?view=all", "admin", chief=True),
    Scene("admin-letters-empty", "/admin/letters?view=rests", "admin"),
    Scene("admin-letter", "/admin/letters/17", "admin"),
    Scene("admin-letters-retry", "/admin/queue/retry?n=17", "admin"),
    Scene("admin-review", "/admin/review", "admin"),
    Scene("admin-message", "/admin/review/8", "admin"),
    Scene("admin-brake", "/admin/brake", "admin"),
    Scene("admin-brake-put-back", "/admin/brake/put-back", "admin"),
    Scene("admin-connections", "/admin/connections", "admin"),
    Scene("admin-token-revoke", "/admin/tokens/1/revoke", "admin"),
    Scene("admin-webhook", "/admin/webhooks/1", "admin"),
    Scene("admin-webhook-off", "/admin/webhooks/1/off", "admin"),
    Scene("admin-users", "/admin/users", "admin"),
    Scene("admin-user-off", "/admin/users/off?name=kari", "admin"),
    Scene("admin-pause", "/admin/sending/pause", "admin"),
    Scene("admin-settings", "/admin/settings", "admin", chief=True),
    Scene("admin-preferences", "/admin/settings/preferences", "admin"),
    Scene("admin-configuration", "/admin/settings/configuration", "admin"),
    Scene("admin-type-new", "/admin/settings/types/new", "admin"),
    Scene("admin-type-new-error", "/admin/settings/types/new", "admin", (("key", ""),)),
    Scene("admin-field", "/admin/settings/fields/region", "admin"),
    Scene("admin-field-delete", "/admin/settings/fields/region/delete", "admin"),
    Scene("answer", "", "", invitee="dan@silent.example"),
    Scene("answer-answered", "", "", invitee="grete@holm.example"),
    Scene("answer-nothing", "", "", invitee="nobody"),
    Scene("sign-in", "/sign-in", ""),
    Scene("sign-in-error", "/sign-in", "", (("name", "kari"), ("password", "wrong"))),
)


def every() -> list[APIRoute]:
    """The routes of pages that are read, in their order."""
    app = FastAPI()
    for module in table.MODULES:
        app.include_router(module.router)
    sign_in.install(app)
    return [
        route
        for route in every_route(app.routes)
        if "GET" in (route.methods or ())
        and not route.include_in_schema
        and not route.path.endswith(NEWS)
    ]


def route_of(path: str) -> str:
    """The route that answers this address."""
    scope = {"type": "http", "method": "GET", "path": path.partition("?")[0], "headers": []}
    return next((one.path for one in every() if one.matches(scope)[0] is Match.FULL), "")


@dataclass
class Stage:
    """A browser at a site on which the day stands. `violations`: of the content security policy,
    and everything else that consoles complain of. `answers`: addresses of answer pages, by invitee.
    """

    browser: Browser
    url: str
    sessions: dict[str, str]
    answers: dict[str, str]
    violations: list[str] = field(default_factory=list)

    async def context(self, who: str, language: str = "nb") -> BrowserContext:
        """Somebody's browser."""
        locale = "nb-NO" if language == "nb" else "en-GB"
        context = await self.browser.new_context(
            viewport={"width": WIDTHS[0], "height": HEIGHT},
            locale=locale,
            reduced_motion="reduce",
        )
        if who:
            secret = self.sessions[who]
            await context.add_cookies([{"name": "session", "value": secret, "url": self.url}])
        return context

    async def show(self, tab: Page, scene: Scene) -> None:
        """Bring the page into the state of the scene."""
        own = self.url + scene.path.removeprefix("/")
        await tab.goto(self.answers.get(scene.invitee, own), wait_until="load")
        for name, text in scene.sends:
            await tab.locator(f"main [name={name}]").fill(text)
        if scene.sends:
            # A browser would not send what it finds wrong itself.
            await tab.locator("main form").first.evaluate("form => form.noValidate = true")
            async with tab.expect_navigation():
                await tab.locator("main form button[type=submit]").last.click()

    def watch(self, tab: Page, name: str) -> None:
        """Note what its console says."""
        tab.on("pageerror", lambda error: self.violations.append(f"{name}: {error}"))
        tab.on("console", lambda said: self._note(name, said.text))

    def _note(self, name: str, text: str) -> None:
        # The browser itself says of every answer with 4xx that it failed.
        if not text.startswith("Failed to load resource"):
            self.violations.append(f"{name}: {text}")


@asynccontextmanager
async def stage(store: Store, browser: Browser) -> AsyncIterator[Stage]:
    """The day in this store, on a socket, with everybody signed in."""
    day.begin(store)
    day.operate(store)
    people = {scene.who for scene in SCENES if scene.who}
    roles = {"admin": Access.ADMIN, "reader": Access.READ}
    sessions = {who: day.session(store, who, roles.get(who, Access.USER)) for who in people}
    async with (
        serving.serving(store, clock=lambda: day.NOW) as url,
        serving.answering(store, lambda: day.NOW) as site,
    ):
        links = {
            scene.invitee: f"{site}a/{day.page_token(store, scene.invitee)}"
            for scene in SCENES
            if scene.invitee
        }
        yield Stage(browser, url, sessions, links)


def by_person() -> Iterator[tuple[str, list[Scene]]]:
    """The scenes of each person, so that one browser context does for them."""
    for who in dict.fromkeys(scene.who for scene in SCENES):
        yield who, [scene for scene in SCENES if scene.who == who]
