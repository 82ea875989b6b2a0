"""How a dialog works: a page of its own with one form, which is one command. "See the letters" is a
dry run of the very command, which keeps nothing.

Somebody else may change what a form is about while it is open: the form says so (live, and when it
is saved), keeps what was filled in, and shows both versions of what both have changed; what only
they changed is kept. On failure: the form again, as it was filled in, with what is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.actions import desk as desks
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, GatewayError, InputError, NotFound, Refused
from gateway.store import followups, records
from gateway.web.api import letters
from gateway.web.keys import Key, path
from gateway.web.pages import forms, frames, history, refusals
from gateway.web.pages.forms import SEEN, Field, Filled
from gateway.web.pages.visit import Facts, Visit, Visiting

KEPT = ("key", "date")
"""What the address of a dialog says of what it is about."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a form shows. `words`: what follows from it; `button`: what it does; `fields`: in their
    order; `more`: what its own template shows.
    """

    heading: str
    button: str
    fields: Sequence[Field] = ()
    words: str = ""
    more: Facts = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[str, list[Field]]]:
        """The fields below their headings."""
        by_group = dict[str, list[Field]]()
        for form_field in self.fields:
            by_group.setdefault(form_field.group, []).append(form_field)
        return list(by_group.items())


@dataclass(frozen=True, slots=True)
class Dialog:
    """`ask`: the form; `start`: what its fields say at first; `command`: what it does, and the page
    that shows it then; `done`: what that page says (`words.DONE`). `key`: the follow-up, "" where
    there is none yet. `tells`: it needs nothing to be filled in, so the form says at once which
    letters go.
    """

    key: str
    ask: Callable[[Desk], Ask]
    command: Callable[[Desk, Filled], str]
    done: str
    start: Callable[[Desk], Mapping[str, str]] = field(default=lambda _: {})
    template: str = "form"
    tells: bool = False

    @property
    def back(self) -> str:
        return path("follow-ups", self.key) if self.key else "/follow-ups"


@dataclass(frozen=True, slots=True)
class Both:
    """A field that somebody else has changed. `ours` None: it is theirs in the form, too."""

    label: str
    theirs: str
    ours: str | None = None


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What somebody else has changed since the form was opened."""

    name: str
    time: str
    fields: tuple[Both, ...]


class _Clash(Exception):
    """Somebody else has changed a field that was filled in."""

    def __init__(self, said: Filled) -> None:
        super().__init__()
        self.said = said


def add(router: APIRouter, name: str, make: Callable[[Visit, str], Dialog], title: str) -> None:
    """The routes of a dialog of one follow-up: the form, what it does, and what happens to the
    follow-up meanwhile.
    """
    there = f"/follow-ups/{{key}}/{name}"

    async def ask(here: Visiting, key: Key) -> Response:
        return await show(here, make(here, key))

    async def do(here: Visiting, key: Key) -> Response:
        return await take(here, make(here, key))

    async def news(here: Visiting, key: Key, seen: str = "") -> Response:
        return await _news(here, make(here, key), seen)

    for route, endpoint, method in ((there, ask, "GET"), (there, do, "POST")):
        router.add_api_route(route, endpoint, methods=[method], description=title)
    router.add_api_route(f"{there}/news", news, methods=["GET"], description=title)


async def show(here: Visit, dialog: Dialog) -> Response:
    """The form as it is at first."""
    owed = await _owed(here, dialog) if dialog.tells else None

    def look(desk: Desk) -> Facts:
        start = dialog.start(desk)
        return {**_facts(here, desk, dialog, start, Filled(start)), "letters": owed}

    return await here.page(f"pages/{dialog.template}.html", look)


async def _owed(here: Visit, dialog: Dialog) -> list[Any] | None:
    """The letters that go when nothing more is filled in; None where it cannot be done so."""

    def command(desk: Desk) -> list[Any]:
        dialog.command(desk, Filled(dialog.start(desk)))
        return letters.listed(desk, desks.settle(desk).queued, True)

    try:
        return (await here.perform(command, dry_run=True)).answer
    except GatewayError:
        return None


async def take(here: Visit, dialog: Dialog) -> Response:
    """What was filled in: done, tried, or shown again with what is wrong."""
    said = await Filled.read(here.request)
    preview = bool(said["preview"])

    def command(desk: Desk) -> tuple[str, list[Any]]:
        to = dialog.command(desk, _merged(desk, dialog, said))
        owed = desks.settle(desk).queued if preview else ()
        return to, letters.listed(desk, owed, True)

    try:
        outcome = await here.perform(command, dry_run=preview)
    except _Clash as clash:
        return await _again(here, dialog, said, clash=clash)
    except (InputError, Refused) as error:
        return await _again(here, dialog, said, problem=error)
    except (NotFound, Forbidden) as error:
        return await here.problem(error)
    to, owed = outcome.answer
    if preview:
        return await _again(here, dialog, said, owed=owed)
    return here.lead(to, dialog.done, outcome.letters)


def _merged(desk: Desk, dialog: Dialog, said: Filled) -> Filled:
    """What was filled in, with what somebody else has changed of the other fields. Raises `_Clash`
    where both have changed one.
    """
    if not dialog.key or not said[SEEN]:
        return said
    followups.lock(desk.connection, dialog.key)
    records.hold(desk.connection, dialog.key)
    now = dialog.start(desk)
    theirs = forms.changed(now, said[SEEN])
    filled = {name: said[name] for name in now}
    ours = forms.changed(filled, said[SEEN])
    merged = Filled({**said.values, **{name: now[name] for name in theirs - ours}}, said.lists)
    if any(now[name] != said[name] for name in theirs & ours):
        raise _Clash(merged)
    return merged


async def _again(
    here: Visit,
    dialog: Dialog,
    said: Filled,
    *,
    owed: list[Any] | None = None,
    problem: GatewayError | None = None,
    clash: _Clash | None = None,
) -> Response:
    """The form as it was filled in. After a clash, what it began with is what they have made."""

    def look(desk: Desk) -> Facts:
        start = dialog.start(desk)
        shown = clash.said if clash is not None else said
        facts = _facts(here, desk, dialog, start, shown)
        if clash is None:
            facts |= {SEEN: said[SEEN] or facts[SEEN]}
            facts |= {"news": _news_of(here, dialog, facts[SEEN])}
        meanwhile = _meanwhile(here, desk, dialog, said, start) if dialog.key else None
        frame = frames.read(desk, here)
        return {
            **facts,
            "frame": frame,
            "letters": owed,
            "problem": refusals.said(here, desk, problem) if problem is not None else "",
            "meanwhile": meanwhile,
            "clash": clash is not None,
        }

    facts = await here.fetch(look)
    code = HTTPStatus.OK
    if problem is not None or clash is not None:
        code = HTTPStatus.CONFLICT if clash is not None else HTTPStatus.UNPROCESSABLE_ENTITY
    return here.render(f"pages/{dialog.template}.html", facts, code)


def _facts(
    here: Visit, desk: Desk, dialog: Dialog, start: Mapping[str, str], said: Filled
) -> dict[str, Any]:
    ask = dialog.ask(desk)
    return {
        "ask": ask,
        "dialog": dialog,
        "said": said,
        SEEN: forms.seen(start) if dialog.key else "",
        "letters": None,
        "problem": "",
        "meanwhile": None,
        "clash": False,
        "news": _news_of(here, dialog, forms.seen(start)),
        **ask.more,
    }


async def _news(here: Visit, dialog: Dialog, seen: str) -> Response:
    """Whether somebody else has changed what the form is about, to be exchanged in place."""

    def look(desk: Desk) -> Facts:
        dialog.ask(desk)  # which asks for the right to do it
        start = dialog.start(desk)
        shown = Filled({**start, SEEN: seen})
        meanwhile = _meanwhile(here, desk, dialog, shown, start)
        news = _news_of(here, dialog, seen)
        return {"meanwhile": meanwhile, "news": news, "clash": False}

    return here.render("pages/meanwhile.html", await here.fetch(look))


def _news_of(here: Visit, dialog: Dialog, seen: str) -> str:
    """Where the form asks what became of the follow-up since; "" where there is none yet."""
    if not dialog.key or not seen:
        return ""
    url = here.request.url
    said = {name: value for name, value in here.request.query_params.items() if name in KEPT}
    return f"{url.path.removesuffix('/news')}/news?{urlencode({**said, SEEN: seen})}"


def _meanwhile(
    here: Visit, desk: Desk, dialog: Dialog, said: Filled, start: Mapping[str, str]
) -> Meanwhile | None:
    theirs = forms.changed(start, said[SEEN])
    if not theirs:
        return None
    ours = forms.changed({name: said[name] for name in start}, said[SEEN])
    both = []
    for form_field in dialog.ask(desk).fields:
        if form_field.name in theirs:
            mine = form_field.shown(said[form_field.name]) if form_field.name in ours else None
            both.append(Both(form_field.label, form_field.shown(start[form_field.name]), mine))
    by, at = records.last_change(desk.connection, dialog.key)
    return Meanwhile(history.changer(here, desk, by), here.ago(at), tuple(both))
