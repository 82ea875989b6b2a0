"""The public answer page, on its own listener: an invitee answers without signing in.

Standards: HTTP (RFC 9110), CSP level 3. The link is the right: it stands for one invitation. GET
and HEAD write nothing but that an address has tried, so link scanners and prefetching browsers do
no harm (P5). A form must say what only the page tells, and choose something; a field that people do
not see must be empty, which programs that fill in every form do not know.

On failure: a page that says so. Security: a link that is none of ours and one that is over get the
same answer, in `NOTHING_SECONDS` from when it was asked; `answer.tries_per_minute` for each
address, over all processes; no cookies, no script, nothing from elsewhere, no Referer, no search
engine.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway import accounts, i18n
from gateway.actions import answer_page
from gateway.actions.answer_page import Done, Link, Shown
from gateway.answer.page import Said
from gateway.errors import GatewayError, InputError
from gateway.followups import texts
from gateway.i18n import Catalogue, marked
from gateway.ical import ics, zones
from gateway.mail import links
from gateway.model import Moment, Reply
from gateway.web import door, problems, rendering, serving
from gateway.web.api import gate
from gateway.web.api.quotas import Quotas
from gateway.web.api.site import Site
from gateway.writing import wording

MOST_BYTES = 32_000
NOTHING_SECONDS = 0.3
RETRY_SECONDS = 60
SHARES = 4
"""Of an address' tries in a minute a process takes so many parts (`quotas`)."""
TRAP = "website"
"""The field that people do not see."""
YEARS = range(1900, 3000)
"""Those that the store keeps."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}

CHOOSE = marked("Choose yes, maybe or no, write a message, or propose another time.")
ONCE_MORE = marked("Nothing is recorded yet. Please send it once more.")
MOVED = marked("This was changed after you opened the page. Please look at it again.")
PAST = marked("The new time must be complete, and must lie ahead.")
BACKWARDS = marked("The new end must lie after the new start.")
LONG = marked("The message is too long.")
THANKS = marked("Thank you. %(name)s sees what you have said.")

NOTHING = (
    marked("There is nothing to answer here"),
    marked("The link is not complete, or what it was about is over. You can reply to the letter."),
)
TOO_OFTEN = (
    marked("Too many tries"),
    marked("Wait a minute, then load the page again."),
)
AWAY = (
    marked("This page cannot be shown now"),
    marked("Try again in a few minutes."),
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said above the page. `typed`: what stands in the form again."""

    words: str = ""
    is_wrong: bool = False
    typed: Mapping[str, str] | None = None


def create(site: Site) -> FastAPI:
    """The application."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.site = site
    tries = Quotas(site.settings.answer.tries_per_minute, "answer page", SHARES)
    app.mount("/static", serving.Files(), name="static")

    async def show(request: Request, token: str, date: str = "") -> Response:
        began = monotonic()
        if wait := await _wait(site, tries, request):
            return _too_often(request, wait)
        done = request.query_params.get("done", "")
        shown = await _look(site, Link(token, date, done))
        if shown is None:
            return await _nothing(request, began)
        return _page(site, shown, Notice(THANKS if shown.is_heard else ""))

    async def answer(request: Request, token: str, date: str = "") -> Response:
        began = monotonic()
        if wait := await _wait(site, tries, request):
            return _too_often(request, wait)
        typed = door.fields(await gate.body(request.receive, MOST_BYTES))
        link = Link(token, date)
        shown = await _look(site, link)
        if shown is None:
            return await _nothing(request, began)
        words = await _carry_out(site, link, shown, typed)
        if words is None:
            return await _nothing(request, began)
        if not words:
            done = urlencode({"done": typed[door.FIELD]})
            return RedirectResponse(f"{request.url.path}?{done}", HTTPStatus.SEE_OTHER, HEADERS)
        again = await _look(site, link) if words == MOVED else shown
        notice = Notice(words, is_wrong=True, typed=typed)
        return _page(site, again or shown, notice, HTTPStatus.UNPROCESSABLE_ENTITY)

    for path in ("/a/{token}", "/a/{token}/{date}"):
        app.add_api_route(path, show, methods=["GET", "HEAD"])
        app.add_api_route(path, answer, methods=["POST"])
    _faults(app)
    return app


async def _wait(site: Site, tries: Quotas, request: Request) -> int:
    """One try of an address; for how many seconds it has none left."""
    address = door.address(request.scope)
    quota = await site.run(lambda: tries.take(site.store, address, site.clock()))
    return quota.seconds if quota is not None and quota.is_over else 0


async def _look(site: Site, link: Link) -> Shown | None:
    return await site.run(lambda: answer_page.look(site.store, site.settings, site.clock(), link))


async def _carry_out(site: Site, link: Link, shown: Shown, typed: Mapping[str, str]) -> str | None:
    """What was wrong with a form, "" where it was heard; None where there is nothing to answer."""
    form = typed.get(door.FIELD, "")
    if typed.get(TRAP):
        return ONCE_MORE
    try:
        said = _said(shown, typed, site.clock())
    except InputError as error:
        return str(error)
    done = await site.run(
        lambda: answer_page.answer(site.store, site.settings, site.clock(), link, said, form)
    )
    if done is None:
        return None
    return {Done.HEARD: "", Done.MOVED: MOVED, Done.UNKNOWN: ONCE_MORE}[done]


def _said(shown: Shown, typed: Mapping[str, str], now: datetime) -> Said:
    """What a form says. Raises `InputError` in words for the invitee."""
    comment = texts.text(typed.get("comment", ""))
    if len(comment) > answer_page.LONGEST_COMMENT:
        raise InputError(LONG)
    start, end = _wish(shown, typed, "start", now), _wish(shown, typed, "end", now)
    if start is None and end is not None:
        raise InputError(PAST)
    if start is not None and end is not None and _order(end) <= _order(start):
        raise InputError(BACKWARDS)
    said = Said(links.ANSWERS.get(typed.get("reply", "")), comment, start, end)
    if said.is_empty:
        raise InputError(CHOOSE)
    return said


def _wish(shown: Shown, typed: Mapping[str, str], name: str, now: datetime) -> Moment | None:
    text = typed.get(name, "").strip()
    if not text or shown.letter.edition.start is None:
        return None
    zone = zones.zone(shown.letter.timezone)
    try:
        day = date.fromisoformat(text) if _is_day(shown) else None
        moment: Moment = day or datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(PAST) from None
    today = now.astimezone(zone).date() if _is_day(shown) else now
    if moment.year not in YEARS or _order(moment) < _order(today):
        raise InputError(PAST)
    return moment


def _order(moment: Moment) -> str:
    """Both are days, or both instants of UTC."""
    return moment.isoformat()


def _is_day(shown: Shown) -> bool:
    return not isinstance(shown.letter.edition.start, datetime)


def _page(site: Site, shown: Shown, notice: Notice, status: int = HTTPStatus.OK) -> Response:
    letter, settings = shown.letter, site.settings
    language = i18n.choose((letter.language, settings.mail.language))
    account = accounts.configured(settings).get(letter.account)
    organisation = texts.line(account.mail.name) if account is not None else ""
    teller = wording.Teller(letter, i18n.catalogue(language), organisation)
    facts = {
        **_invitation(teller),
        "form": shown.form,
        "trap": TRAP,
        "answer": wording.STANDINGS.get(shown.standing.reply, ""),
        "chosen": _chosen(shown, notice),
        "notice": notice,
        "typed": notice.typed or {"comment": shown.standing.comment},
        "is_day": _is_day(shown),
        "zone": _zone(shown, teller.words),
    }
    return HTMLResponse(rendering.render("answer/page.html", language, **facts), status, HEADERS)


def _invitation(teller: wording.Teller) -> dict[str, Any]:
    """What the page says of what somebody is invited to."""
    edition, letter = ics.facts(teller.letter), teller.letter
    return {
        "teller": teller,
        "address": letter.address,
        "is_series": letter.instance is None and edition.recurrence is not None,
        "agenda": texts.text(edition.agenda),
        "video": texts.web_link(edition.video_url),
        "may_propose": edition.start is not None,
    }


def _chosen(shown: Shown, notice: Notice) -> str:
    """The word of the answer that is marked: what was typed, else what stands."""
    if notice.typed is not None:
        return notice.typed.get("reply", "")
    standing: Reply = shown.standing.reply
    return links.WORDS.get(standing, "")


def _zone(shown: Shown, words: Catalogue) -> str:
    start = shown.letter.edition.start
    if not isinstance(start, datetime):
        return ""
    return zones.display_name(shown.letter.timezone, start, str(words.locale))


async def _nothing(request: Request, began: float) -> Response:
    """The one answer to every link that leads to nothing, always as late."""
    await asyncio.sleep(max(0.0, began + NOTHING_SECONDS - monotonic()))
    return _plain(request, NOTHING, HTTPStatus.NOT_FOUND)


def _too_often(request: Request, wait: int) -> Response:
    after = {"Retry-After": str(wait)}
    return _plain(request, TOO_OFTEN, HTTPStatus.TOO_MANY_REQUESTS, after)


def _plain(
    request: Request,
    words: tuple[str, str],
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page that knows nobody: in the language of the browser."""
    accepted = request.headers.get("accept-language", "").split(",")
    language = i18n.choose(part.partition(";")[0] for part in accepted)
    heading, text = words
    html = rendering.render("answer/nothing.html", language, heading=heading, text=text)
    return HTMLResponse(html, status, {**HEADERS, **(headers or {})})


def _faults(app: FastAPI) -> None:
    """What goes wrong is said on a page, too."""

    async def http(request: Request, error: Any) -> Response:
        return _plain(request, NOTHING, error.status_code, error.headers)

    async def ours(request: Request, error: Exception) -> Response:
        problem = problems.response(error)  # which the log hears of
        return _plain(request, AWAY, problem.status_code, {"Retry-After": str(RETRY_SECONDS)})

    async def broken(request: Request, error: Exception) -> Response:
        return _plain(request, AWAY, HTTPStatus.INTERNAL_SERVER_ERROR)

    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        app.add_exception_handler(status, http)
    app.add_exception_handler(GatewayError, ours)
    app.add_exception_handler(Exception, broken)
