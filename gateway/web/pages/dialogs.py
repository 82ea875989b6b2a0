"""Dialogs: a new follow-up, editing, moving, assigning, cancelling, inviting. Each is a page of its
own with one form; "See the letters" is a dry run of the very command, which keeps nothing.

On failure: the form again, as it was filled in, with what is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import assigning, cancelling, inviting, moving, recording
from gateway.actions import desk as desks
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, InputError, NotFound, Refused
from gateway.followups.invitees import Entry, Source
from gateway.followups.permission import Verb
from gateway.ical import zones
from gateway.model import Kind
from gateway.store import cards, reading
from gateway.web.api import letters
from gateway.web.keys import Key, path
from gateway.web.pages import frames
from gateway.web.pages.follow_ups import KINDS
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

TEXTS = ("title", "type", "location", "agenda", "notes", "video_url", "priority")
EXTERNAL = "email"
MOST_OTHERS = 50
"""As many as diaries can be open."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in."""

    values: Mapping[str, str]
    chosen: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    @classmethod
    async def read(cls, request: Request) -> "Filled":
        form = await request.form()
        values = {name: value for name, value in form.items() if isinstance(value, str)}
        chosen = tuple(one for one in form.getlist("who") if isinstance(one, str))
        return cls(values, chosen)


@dataclass(frozen=True, slots=True)
class Dialog:
    """`look`: what the form shows beside what was filled in; `command`: what it does, and the page
    that shows it then; `start` and `chosen`: what is filled in at first.
    """

    template: str
    look: Callable[[Desk], Facts]
    command: Callable[[Desk, Filled], str]
    done: str
    start: Callable[[Desk], Mapping[str, str]] = field(default=lambda _: {})
    chosen: tuple[str, ...] = ()


async def show(here: Visit, dialog: Dialog) -> Response:
    """The form as it is at first."""

    def look(desk: Desk) -> Facts:
        return {
            **dialog.look(desk),
            "said": Filled(dialog.start(desk), dialog.chosen),
            "letters": None,
            "problem": "",
        }

    return await here.page(f"pages/{dialog.template}.html", look)


async def take(here: Visit, dialog: Dialog) -> Response:
    """What was filled in: done, tried, or shown again with what is wrong."""
    said = await Filled.read(here.request)
    preview = bool(said["preview"])

    def command(desk: Desk) -> tuple[str, list[Any]]:
        to = dialog.command(desk, said)
        owed = desks.settle(desk).queued if preview else ()
        return to, letters.listed(desk, owed, False)

    try:
        outcome = await here.perform(command, dry_run=preview)
    except (InputError, Refused) as error:
        return await _again(here, dialog, said, None, str(error))
    except (NotFound, Forbidden) as error:
        return await here.problem(error)
    to, owed = outcome.answer
    if preview:
        return await _again(here, dialog, said, owed, "")
    return here.lead(to, dialog.done, outcome.letters)


async def _again(
    here: Visit, dialog: Dialog, said: Filled, owed: list[Any] | None, problem: str
) -> Response:
    def look(desk: Desk) -> Facts:
        return {
            "frame": frames.read(desk, here),
            **dialog.look(desk),
            "said": said,
            "letters": owed,
            "problem": problem,
        }

    facts = await here.fetch(look)
    return here.render(f"pages/{dialog.template}.html", facts, 422 if problem else 200)


# --- a new one, and editing ---


def _edit(here: Visit, key: str | None) -> Dialog:
    others = here.request.query_params.getlist("who")[:MOST_OTHERS] if key is None else []

    def look(desk: Desk) -> Facts:
        return {
            "others": _names(desk, others),
            "view": None if key is None else _view(here, desk, key),
            "kinds": [(kind.value, here.texts.gettext(word)) for kind, word in KINDS.items()],
            "types": cards.types(desk.connection, here.texts.language),
        }

    def start(desk: Desk) -> Mapping[str, str]:
        if key is None:
            return {**_times_at_first(here), "kind": Kind.MEETING.value, "letters": "yes"}
        return _as_form(here, _view(here, desk, key))

    def command(desk: Desk, said: Filled) -> str:
        if key is None:
            made = recording.create(desk, _document(here, said))
            _invite_all(desk, made, [_entry(one) for one in said.chosen], bool(said["letters"]))
            return path("follow-ups", made)
        before = shapes.writable(shapes.follow_up(_view(here, desk, key)))
        before.pop("participants", None)
        recording.put(desk, key, {**before, **_document(here, said)})
        return path("follow-ups", key)

    return Dialog("edit", look, command, "saved", start, tuple(others))


def _names(desk: Desk, others: Sequence[str]) -> list[tuple[str, str]]:
    """Those of the house that are to take part in a new follow-up, as the form has them."""
    if not others:
        return []
    names = {f"associate:{key}": name for key, name in cards.associates(desk.connection).items()}
    names |= {f"resource:{key}": name for key, name in cards.resources(desk.connection).items()}
    return [(one, names[one]) for one in dict.fromkeys(others) if one in names]


@router.get("/follow-ups/new")
async def ask_new(here: Visiting) -> Response:
    """A new follow-up"""
    return await show(here, _edit(here, None))


@router.post("/follow-ups/new")
async def make(here: Visiting) -> Response:
    """Make it"""
    return await take(here, _edit(here, None))


@router.get("/follow-ups/{key}/edit")
async def ask_edit(here: Visiting, key: Key) -> Response:
    """What it is"""
    return await show(here, _edit(here, key))


@router.post("/follow-ups/{key}/edit")
async def edit(here: Visiting, key: Key) -> Response:
    """Change it"""
    return await take(here, _edit(here, key))


# --- moving ---


def _move(here: Visit, key: str) -> Dialog:
    def start(desk: Desk) -> Mapping[str, str]:
        return _as_form(here, _view(here, desk, key))

    def command(desk: Desk, said: Filled) -> str:
        when = moving.When(_offset(here, said["start"]), _offset(here, said["end"]))
        return path("follow-ups", moving.reschedule(desk, key, when))

    return Dialog("move", lambda desk: {"view": _view(here, desk, key)}, command, "moved", start)


@router.get("/follow-ups/{key}/move")
async def ask_move(here: Visiting, key: Key) -> Response:
    """Another time"""
    return await show(here, _move(here, key))


@router.post("/follow-ups/{key}/move")
async def move(here: Visiting, key: Key) -> Response:
    """Move it"""
    return await take(here, _move(here, key))


# --- assigning ---


def _assign(here: Visit, key: str) -> Dialog:
    def look(desk: Desk) -> Facts:
        people = sorted(cards.associates(desk.connection).items(), key=lambda one: one[1])
        return {"view": _view(here, desk, key), "people": people}

    def command(desk: Desk, said: Filled) -> str:
        assigning.assign(desk, key, said["to"])
        return path("follow-ups", key)

    return Dialog("assign", look, command, "assigned")


@router.get("/follow-ups/{key}/assign")
async def ask_assign(here: Visiting, key: Key) -> Response:
    """To whom"""
    return await show(here, _assign(here, key))


@router.post("/follow-ups/{key}/assign")
async def assign(here: Visiting, key: Key) -> Response:
    """Assign it"""
    return await take(here, _assign(here, key))


# --- cancelling ---


def _cancel(here: Visit, key: str) -> Dialog:
    def command(desk: Desk, said: Filled) -> str:
        cancelling.cancel(desk, key, said["reason"])
        return path("follow-ups", key)

    return Dialog("cancel", lambda desk: {"view": _view(here, desk, key)}, command, "cancelled")


@router.get("/follow-ups/{key}/cancel")
async def ask_cancel(here: Visiting, key: Key) -> Response:
    """Why"""
    return await show(here, _cancel(here, key))


@router.post("/follow-ups/{key}/cancel")
async def cancel(here: Visiting, key: Key) -> Response:
    """Cancel it"""
    return await take(here, _cancel(here, key))


# --- inviting ---


def _invite(here: Visit, key: str) -> Dialog:
    query = here.request.query_params.get("q", "")[:100]

    def look(desk: Desk) -> Facts:
        return {
            "view": _view(here, desk, key),
            "query": query,
            "groups": cards.pickable(desk.connection, query),
        }

    def command(desk: Desk, said: Filled) -> str:
        entries = [_entry(one) for one in said.chosen]
        if said[EXTERNAL].strip():
            entries.append(Entry(Source.EMAIL, said[EXTERNAL].strip(), said["name"].strip()))
        if not entries:
            raise InputError(here.texts.gettext("Choose somebody, or write an e-mail address."))
        _invite_all(desk, key, entries, bool(said["letters"]))
        return path("follow-ups", key)

    return Dialog("invite", look, command, "added", lambda _: {"letters": "yes"})


@router.get("/follow-ups/{key}/invite")
async def ask_invite(here: Visiting, key: Key) -> Response:
    """Whom"""
    return await show(here, _invite(here, key))


@router.post("/follow-ups/{key}/invite")
async def invite(here: Visiting, key: Key) -> Response:
    """Invite them"""
    return await take(here, _invite(here, key))


def _invite_all(desk: Desk, key: str, entries: Sequence[Entry], letters: bool) -> None:
    """All of them, or nobody."""
    if not entries:
        return
    added = inviting.add(desk, key, entries, email_invite=letters)
    refused = [one for one in added if one.result.value == "refused"]
    if refused:
        raise InputError("; ".join(f"{one.who or '?'}: {one.reason.value}" for one in refused))


def _entry(text: str) -> Entry:
    """ "associate:kari", as the form has it."""
    source, _, key = text.partition(":")
    if source not in list(Source):
        raise InputError(f"who: {text!r} names nobody")
    return Entry(Source(source), key)


# --- values of forms ---


def _view(here: Visit, desk: Desk, key: str) -> shapes.FollowUp:
    desk.require(Verb.EDIT, key)
    [view] = reading.follow_ups(desk.connection, [key], here.site.settings.mail.timezone)
    return view


def _times_at_first(here: Visit) -> dict[str, str]:
    """The start that the address names, else the next full hour; and the usual length from
    there.
    """
    soon = here.local(here.now) + timedelta(hours=1)
    start = soon.replace(minute=0, second=0, microsecond=0)
    if said := here.request.query_params.get("start", "")[:40]:
        try:
            start = datetime.fromisoformat(said)
        except ValueError:
            raise InputError(f"start: {said!r} is no time, as 2026-12-01T09:00 is") from None
    end = start + here.preferences.length(Kind.MEETING)
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "end": f"{end:%Y-%m-%dT%H:%M}"}


def _as_form(here: Visit, view: shapes.FollowUp) -> dict[str, str]:
    texts = {name: str(getattr(view, name) or "") for name in TEXTS}
    times = {"start": view.start, "end": view.end, "deadline": view.deadline}
    alarm = "" if view.alarm_minutes is None else str(view.alarm_minutes)
    flags = {name: "yes" if getattr(view, name) else "" for name in ("private", "all_day")}
    free = {"free": "yes" if view.availability == "free" else ""}
    shown = {name: _field(here, value) for name, value in times.items()}
    return {**texts, **shown, **flags, **free, "kind": view.kind.value, "alarm": alarm}


def _field(here: Visit, moment: Any) -> str:
    if isinstance(moment, datetime):
        return f"{here.local(moment):%Y-%m-%dT%H:%M}"
    return "" if moment is None else f"{moment:%Y-%m-%d}T00:00"


def _offset(here: Visit, text: str) -> str:
    """A time of a form, which is on the reader's clock, with its offset."""
    if not text:
        return ""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no time, as 2026-12-01T09:00 is") from None
    if local.tzinfo is None:
        local = local.replace(tzinfo=zones.zone(here.zone))
    return local.isoformat()


def _document(here: Visit, said: Filled) -> dict[str, Any]:
    """What a form says, as an entry of `load`."""
    texts = {name: said[name].replace("\r\n", "\n") for name in TEXTS}
    return {
        **texts,
        **_times(here, said),
        "kind": said["kind"],
        "alarm_minutes": _alarm(said["alarm"].strip()),
        "private": bool(said["private"]),
        "availability": "free" if said["free"] else "busy",
    }


def _times(here: Visit, said: Filled) -> dict[str, Any]:
    is_day = bool(said["all_day"])
    return {
        "start": _time(here, said["start"], is_day),
        "end": _time(here, said["end"], is_day),
        "deadline": _time(here, said["deadline"], False),
        "all_day": is_day,
        "timezone": said["timezone"] or here.zone,
    }


def _alarm(text: str) -> int | None:
    if text and not text.isdecimal():
        raise InputError("alarm_minutes: a number of minutes, as 15")
    return int(text) if text else None


def _time(here: Visit, text: str, is_day: bool) -> str | None:
    if not text:
        return None
    return text[:10] if is_day else _offset(here, text)
