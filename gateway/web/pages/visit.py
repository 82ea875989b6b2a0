"""One visit to a page: who looks, in which language and zone, and what comes of a form.

A page is a view of one moment of the store, rendered by a template; a form is a command
(`actions.desk`) and leads on to a page, which says what was done. Everything works without
JavaScript. On failure: a form that was refused leads to a page that says why, and nothing was
written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from babel import Locale, dates
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway import i18n
from gateway.actions import desk as desks
from gateway.actions import undoing
from gateway.actions.desk import Desk, Letters, Outcome
from gateway.errors import GatewayError
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.followups.preferences import Preferences
from gateway.health import Condition
from gateway.i18n import Catalogue
from gateway.ical import zones
from gateway.model import Actor, Moment
from gateway.store import preferences
from gateway.store.users import User
from gateway.web import door, problems, rendering
from gateway.web.api.gate import site_of
from gateway.web.api.site import Site
from gateway.web.pages import exchange, frames, refusals

T = TypeVar("T")
Facts = Mapping[str, Any]

NEAR_DAYS = 14
"""So far away a page says in how many days something is."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`zone`: the reader's own; `now`: when the page was asked for."""

    request: Request
    site: Site
    user: User
    texts: Catalogue
    preferences: Preferences
    zone: str
    now: datetime

    @property
    def actor(self) -> Actor:
        return self.user.actor

    @property
    def is_admin(self) -> bool:
        """Whether the pages of administrators are theirs."""
        return permission.may(self.actor, Verb.OPERATE) is Answer.YES

    @property
    def troubles(self) -> Sequence[Condition]:
        """What is wrong with the installation, for those who can do something about it."""
        conditions: Sequence[Condition] = self.request.app.state.troubles() if self.is_admin else ()
        return conditions

    @property
    def form(self) -> str:
        """What every form of ours says, so that no other site can send it."""
        return door.form_token(self.request.state.session)

    async def fetch(self, look: Callable[[Desk], T]) -> T:
        """What `look` reads in one consistent view; nothing may be written through it."""

        def work() -> T:
            with self.site.store.read() as connection:
                return look(Desk(connection, self.site.settings, self.now, self.actor))

        return await self.site.run(work)

    async def page(self, template: str, look: Callable[[Desk], Facts]) -> Response:
        """A page of what `look` reads. What is not there, or not to be seen, is told."""

        def whole(desk: Desk) -> Facts:
            return {"frame": frames.read(desk, self), **look(desk)}

        try:
            facts = await self.fetch(whole)
        except GatewayError as error:
            return await self.problem(error)
        return self.render(template, facts)

    async def perform(
        self, command: Callable[[Desk], T], *, dry_run: bool = False, final: bool = False
    ) -> Outcome[T]:
        """Carry a command out, or see what it would do (`actions.desk`). It can be taken back
        (`actions.undoing`) except where it is `final`.
        """
        about = (self.site.store, self.site.settings, self.now, self.actor, command)
        if dry_run or final:
            return await self.site.run(lambda: desks.perform(*about, dry_run=dry_run))
        return await self.site.run(lambda: undoing.perform(*about))

    async def write(
        self, command: Callable[[Desk], str], done: str, *, final: bool = False
    ) -> Response:
        """Carry a form's command out, and go on to the page that it names. `done`: what that page
        says (`words.DONE`); `final`: it cannot be taken back.
        """
        try:
            outcome = await self.perform(command, final=final)
        except GatewayError as error:
            return await self.problem(error)
        return self.lead(outcome.answer, done, outcome.letters)

    async def carry(self, work: Callable[[], str], done: str) -> Response:
        """The same for an action that opens its transactions itself."""
        try:
            to = await self.site.run(work)
        except GatewayError as error:
            return await self.problem(error)
        return self.lead(to, done)

    def lead(self, to: str, done: str, letters: Letters | None = None) -> Response:
        """On to a page, which says what was done and how many letters go."""
        said = {"done": done}
        if letters is not None and letters.queued:
            said["letters"] = str(len(letters.queued))
        joint = "&" if "?" in to else "?"
        return RedirectResponse(f"{to}{joint}{urlencode(said)}", HTTPStatus.SEE_OTHER)

    async def problem(self, error: GatewayError) -> Response:
        """What was refused, and why."""

        def look(desk: Desk) -> Facts:
            return {"frame": frames.read(desk, self), "problem": refusals.said(self, desk, error)}

        facts = await self.fetch(look)
        return self.render("pages/problem.html", facts, problems.status(error))

    def exchange(self, facts: Facts, seen: str, whole: str, rows: str) -> Response:
        """What of a live list differs from what its page has seen: nothing, rows of it, or all.
        `whole`, `rows`: the templates; `facts` have its `digests` (`exchange`).
        """
        changed = exchange.changed(facts["digests"], seen) if seen else None
        if changed is None:
            return self.render(whole, facts)
        if not changed:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return self.render(rows, {**facts, "changed": changed})

    def render(self, template: str, facts: Facts, code: int = 200) -> Response:
        html = rendering.render(template, self.texts.language, visit=self, **facts)
        return HTMLResponse(html, code)

    def language(self, code: str) -> str:
        """What a language is called, in the reader's own."""
        return Locale.parse(code).get_display_name(self.texts.locale) or code

    # How a reader sees times

    @property
    def today(self) -> date:
        return self.local(self.now).date()

    def local(self, moment: datetime) -> datetime:
        """On the reader's clock."""
        return moment.astimezone(zones.zone(self.zone))

    def day(self, moment: Moment) -> str:
        """ "tirsdag 1. desember", with the year where it is another than now."""
        day = self.local(moment).date() if isinstance(moment, datetime) else moment
        pattern = self.texts.pgettext("CLDR pattern", "EEEE, d MMMM y")
        if day.year == self.local(self.now).year:
            pattern = pattern.replace(" y", "").rstrip(", ")
        return dates.format_date(day, pattern, locale=self.texts.locale)

    def clock(self, moment: datetime) -> str:
        """ "09.00"."""
        return self.texts.clock(self.local(moment))

    def when(self, start: Moment | None, end: Moment | None) -> str:
        """A time from start to end, in the reader's zone."""
        if start is None:
            return ""
        if not isinstance(start, datetime):
            last = end - timedelta(days=1) if isinstance(end, date) else start
            return self.day(start) if last <= start else f"{self.day(start)} – {self.day(last)}"
        if not isinstance(end, datetime):
            return f"{self.day(start)}, {self.clock(start)}"
        if self.local(start).date() == self.local(end).date():
            return f"{self.day(start)}, {self.clock(start)}–{self.clock(end)}"
        return f"{self.day(start)}, {self.clock(start)} – {self.day(end)}, {self.clock(end)}"

    def hours(self, start: datetime, end: datetime) -> str:
        """ "09.00–10.00"."""
        return f"{self.clock(start)}–{self.clock(end)}"

    def distance(self, moment: datetime) -> str:
        """ "om 2 dager", for what is at most two weeks away."""
        days = (self.local(moment).date() - self.today).days
        if abs(days) > NEAR_DAYS:
            return ""
        if days in (0, 1):
            return self.texts.gettext("today") if days == 0 else self.texts.gettext("tomorrow")
        if days < 0:
            words = self.texts.ngettext("%(num)d day ago", "%(num)d days ago", -days)
        else:
            words = self.texts.ngettext("in %(num)d day", "in %(num)d days", days)
        return words % {"num": abs(days)}

    def ago(self, moment: datetime | None, *, seconds: bool = False) -> str:
        """ "i dag 10.19": when something was, seen from now."""
        if moment is None:
            return ""
        clock = self.clock(moment)
        if seconds:
            clock += f"{clock[2:3]}{self.local(moment):%S}"
        days = (self.today - self.local(moment).date()).days
        if days in (0, 1):
            word = self.texts.gettext("today") if days == 0 else self.texts.gettext("yesterday")
            return f"{word} {clock}"
        return f"{self.texts.short_day(self.local(moment).date())} {clock}"


def visit(request: Request) -> Visit:
    """The dependency of every page."""
    site = site_of(request.scope)
    user = door.user(request.scope)
    now = site.clock()
    with site.store.read() as connection:
        preferred = preferences.of(connection, user.associate)
    accepted = request.headers.get("accept-language", "")
    language = rendering.language(accepted, preferred.language)
    zone = preferred.timezone or site.settings.mail.timezone
    return Visit(request, site, user, i18n.catalogue(language), preferred, zone, now)


Visiting = Annotated[Visit, Depends(visit)]
