"""The outbox in the hands of administrators: what waits, is held or was refused, why, and to hold,
release, try again or drop it (`invite-gateway queue`). Each of these asks first, and says what
follows.

Security: the letter is shown as the invitee sees it in a frame of its own, which may run nothing,
load nothing and send nothing (docs/page.md §7).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Depends, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from gateway.actions import letters as written
from gateway.actions import queue
from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import LetterState
from gateway.store import meta, outbox
from gateway.store.outbox import Attempt, Selection
from gateway.store.pace import Rest
from gateway.web.keys import Number
from gateway.web.pages import exchange
from gateway.web.pages.admin import entrance, lines
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()

VIEWS = {
    "": marked("Everything that has not come to an end"),
    "waiting": marked("Waits"),
    "held": marked("Held"),
    "refused": marked("Refused or given up"),
    "rests": marked("The account rests"),
    "all": marked("All"),
}
WAITING = (LetterState.WAITING, LetterState.SENDING)
VERBS = {
    queue.Verb.HOLD: marked("Hold"),
    queue.Verb.RELEASE: marked("Release"),
    queue.Verb.RETRY: marked("Try now"),
    queue.Verb.DROP: marked("Drop"),
}
FOLLOWS = {
    queue.Verb.HOLD: marked(
        "They do not leave, nor does what takes their place, until somebody releases them."
    ),
    queue.Verb.RELEASE: marked("They leave within seconds, and nobody can call them back."),
    queue.Verb.RETRY: marked(
        "They are tried now, also where the account rests: one letter of it goes first."
    ),
    queue.Verb.DROP: marked(
        "They are never sent. What the invitees then lack is owed again when the follow-up changes"
        " next; until then they hold what they hold now."
    ),
}
FRAME_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
"""A letter has its styles inline, as mail programs want it; it stands in a document of its own that
may do nothing else.
"""

Text = Annotated[str, Query(max_length=320)]
LongText = Annotated[str, Query(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which letters a list or a command is about."""

    numbers: tuple[int, ...] = ()
    account: str = ""
    domain: str = ""
    follow_up: str = ""
    brake: str = ""

    @property
    def selection(self) -> Selection:
        return Selection(
            numbers=self.numbers,
            account=self.account,
            domain=queue.domain(self.domain),
            follow_up=self.follow_up,
            braked=bool(self.brake),
        )

    @property
    def is_any(self) -> bool:
        return bool(self.numbers or self.is_filter)

    @property
    def is_filter(self) -> bool:
        """Whether it names letters that a command may be about, other than by number."""
        return bool(self.account or self.domain or self.follow_up or self.brake)

    def address(self, path: str, **more: object) -> str:
        return entrance.address(
            path,
            n=self.numbers,
            account=self.account,
            domain=self.domain,
            follow_up=self.follow_up,
            brake=self.brake,
            **more,
        )


# --- lists ---


def _chosen(account: Text = "", domain: Text = "", follow_up: LongText = "") -> Chosen:
    """As the address says it, which may be typed."""
    return Chosen(account=account.strip(), domain=domain.strip(), follow_up=follow_up.strip())


Choosing = Annotated[Chosen, Depends(_chosen)]
View = Annotated[str, Query(max_length=20)]
Ticked = Annotated[int, Field(ge=1, le=2**53)]
After = Annotated[int, Query(ge=0, le=2**53)]


@router.get("/letters")
async def listed(here: Visiting, chosen: Choosing, view: View = "", after: After = 0) -> Response:
    """The queue"""
    return await here.page(
        "pages/admin/letters.html", lambda desk: _listed(here, desk, chosen, view, after)
    )


@router.get("/letters/list")
async def part(
    here: Visiting, chosen: Choosing, view: View = "", after: After = 0, seen: str = ""
) -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _listed(here, desk, chosen, view, after))
    whole, rows = "pages/admin/letters_list.html", "pages/admin/changed_letters.html"
    return here.exchange(facts, seen, whole, rows)


def _listed(here: Visit, desk: Desk, chosen: Chosen, view: str, after: int) -> Facts:
    if view not in VIEWS:
        raise InputError(marked("view: is one of %(views)s"), views=", ".join(filter(None, VIEWS)))
    page = queue.page(desk, _in_view(desk, chosen.selection, view), after, entrance.PAGE)
    more = chosen.address("/letters", view=view, after=page.last) if page.last else ""
    views = [(name, here.texts.gettext(word)) for name, word in VIEWS.items()]
    stopped, shown = _stopped(here, desk, page), lines.of(here, page)
    return {
        **stopped,
        "lines": shown,
        "digests": exchange.digests((stopped, more), lines.rows(shown)),
        "views": views,
        "view": view,
        "chosen": chosen,
        "next": more,
        "part": chosen.address("/letters/list", view=view, after=after),
        "verbs": verbs(here, chosen) if chosen.is_filter else [],
    }


def _stopped(here: Visit, desk: Desk, page: queue.Page) -> Facts:
    """Why letters do not leave, whatever is wrong with each of them."""
    paused = meta.paused(desk.connection)
    return {
        "paused": paused,
        "paused_since": here.ago(paused.since) if paused is not None else "",
        "rests": [
            _rest(here, desk, account_rest) for account_rest in page.listing.resting.values()
        ],
    }


def _in_view(desk: Desk, selection: Selection, view: str) -> Selection:
    if view == "waiting":
        return replace(selection, states=WAITING)
    if view == "held":
        return replace(selection, states=(LetterState.HELD,))
    if view == "rests":
        return replace(selection, states=WAITING, resting=True)
    if view == "all":
        return selection
    unfinished = queue.unfinished(selection, desk.now)
    return replace(unfinished, states=()) if view == "refused" else unfinished


@dataclass(frozen=True, slots=True)
class Resting:
    """An account that rests, as it is shown."""

    account: str
    since: str
    until: str
    failures: int
    words: str
    letters: int


def _rest(here: Visit, desk: Desk, rest: Rest) -> Resting:
    waiting = outbox.count(desk.connection, Selection(account=rest.account, states=WAITING))
    since, until = here.ago(rest.since), here.ago(rest.until)
    return Resting(rest.account, since, until, rest.failures, rest.words, waiting)


def verbs(here: Visit, chosen: Chosen, possible: Collection[str] = tuple(VERBS)) -> list[Facts]:
    """The pages that ask whether to do it to these."""
    return [
        {"to": chosen.address(f"/queue/{verb.value}"), "word": here.texts.gettext(word)}
        for verb, word in VERBS.items()
        if verb.value in possible
    ]


# --- one letter ---


@router.get("/letters/{number}")
async def one(here: Visiting, number: Number) -> Response:
    """One letter: as the invitee sees it, and every try to send it"""
    return await here.page("pages/admin/letter.html", lambda desk: _one(here, desk, number))


def _one(here: Visit, desk: Desk, number: int) -> Facts:
    page = queue.page(desk, Selection(numbers=(number,)), 0, 1)
    if not page.listing.letters:
        raise NotFound(marked("there is no letter %(number)s"), number=number)
    [letter], [line] = page.listing.letters, lines.of(here, page)
    tries = page.tries.get(number, ())
    [view] = written.shown(desk.connection, desk.settings, [letter], words=not line.hidden)
    shown = [_try(here, attempt, hidden=line.hidden) for attempt in tries]
    return {
        "line": line,
        "letter": letter.letter,
        "due": lines.moment(here, letter.due_at),
        "mail": view.mail,
        "fault": view.fault,
        "tries": shown,
        "verbs": verbs(here, Chosen((number,)), line.verbs),
    }


def _try(here: Visit, tried: Attempt, *, hidden: bool) -> Facts:
    verdict, why = lines.attempt(here, tried)
    return {
        "at": lines.moment(here, tried.started_at),
        "verdict": verdict,
        "why": why,
        "host": tried.host,
        "step": tried.step,
        "words": "" if hidden else lines.server_words(tried),
    }


@router.get("/letters/{number}/html")
async def framed(here: Visiting, number: Number) -> Response:
    """The HTML of a letter, for the frame"""

    def look(desk: Desk) -> str:
        page = queue.page(desk, Selection(numbers=(number,)), 0, 1)
        letters = [letter for letter in page.listing.letters if letter.follow_up in page.seen]
        shown = written.shown(desk.connection, desk.settings, letters, words=True)
        if not shown or shown[0].mail is None:
            raise NotFound(marked("there is no letter %(number)s to be seen"), number=number)
        return shown[0].mail.html

    return HTMLResponse(await here.fetch(look), headers=FRAME_HEADERS)


# --- what is done to them ---


@router.get("/queue/{verb}")
async def ask(
    here: Visiting,
    verb: queue.Verb,
    n: Annotated[list[Ticked] | None, Query()] = None,
    account: Text = "",
    domain: Text = "",
    follow_up: LongText = "",
    brake: Annotated[str, Query(max_length=3)] = "",
) -> Response:
    """What follows, before it is done"""
    chosen = Chosen(tuple(n or ())[: entrance.PAGE], account, domain, follow_up, brake)

    def look(desk: Desk) -> Facts:
        _require_any(chosen)
        selection = chosen.selection
        listed = selection if selection.numbers else queue.unfinished(selection, desk.now)
        page = queue.page(desk, listed, 0, entrance.PAGE)
        return {
            "verb": here.texts.gettext(VERBS[verb]),
            "follows": here.texts.gettext(FOLLOWS[verb]),
            "count": queue.number_of(desk, verb, selection),
            "lines": lines.of(here, page),
            "more": page.last is not None,
            "chosen": chosen,
            "back": _back(chosen),
        }

    return await here.page("pages/admin/queue_verb.html", look)


@router.post("/queue/{verb}")
async def act(
    here: Visiting,
    verb: queue.Verb,
    n: Annotated[list[Ticked] | None, Form()] = None,
    account: Annotated[str, Form(max_length=320)] = "",
    domain: Annotated[str, Form(max_length=320)] = "",
    follow_up: Annotated[str, Form(max_length=1000)] = "",
    brake: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Do it"""
    chosen = Chosen(tuple(n or ()), account, domain, follow_up, brake)
    site, by = here.site, here.actor.by

    def work() -> str:
        _require_any(chosen)
        queue.change(site.store, verb, chosen.selection, here.now, by)
        return _back(chosen)

    return await here.carry(work, f"letters-{verb.value}")


@router.post("/accounts/try")
async def try_now(here: Visiting, account: Annotated[str, Form(max_length=320)]) -> Response:
    """End the rest of an account"""

    def command(desk: Desk) -> str:
        queue.try_now(desk, account)
        return entrance.address("/letters")

    return await here.write(command, "letters-try")


@router.get("/sending/pause")
async def ask_pause(here: Visiting) -> Response:
    """What follows, before sending is paused"""

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.OPERATE)
        return {
            "title": here.texts.gettext("Pause sending?"),
            "follows": here.texts.gettext(
                "No letter leaves, of any account, until somebody lets it go on. Letters are"
                " written, and wait; those on their way at this moment arrive."
            ),
            "word": here.texts.gettext("Pause sending"),
            "back": entrance.address("/letters"),
            "fields": {},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/sending/{verb}")
async def pause(here: Visiting, verb: Literal["pause", "resume"]) -> Response:
    """Let no letter leave, or let them leave again"""
    does = queue.pause if verb == "pause" else queue.resume

    def work() -> str:
        does(here.site.store, here.now, here.actor.by)
        return entrance.address("/letters")

    return await here.carry(work, f"sending-{verb}")


def _require_any(chosen: Chosen) -> None:
    if not chosen.is_any:
        raise InputError(marked("choose letters first"))


def _back(chosen: Chosen) -> str:
    if len(chosen.numbers) == 1:
        return entrance.address(f"/letters/{chosen.numbers[0]}")
    if chosen.brake:
        return entrance.address("/brake")
    return replace(chosen, numbers=()).address("/letters")
