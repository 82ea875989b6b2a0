"""The list of follow-ups, one follow-up with its participants, and what its owner does there by one
click.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import answering, cancelling, carrying, decisions, inviting
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Answer, Parties, Verb
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Kind
from gateway.store import cards, filters, journal, reading
from gateway.store.decisions import Filter
from gateway.web.keys import Key, path
from gateway.web.pages import waiting, words
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

PAGE = 25
MOST_WAITING = 200
ENTRIES = 50
"""Journal entries on a follow-up's page, the newest."""
KINDS = {
    Kind.MEETING: marked("Meeting"),
    Kind.TASK: marked("Task"),
    Kind.CALL: marked("Call"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the list was asked for."""

    q: str = ""
    kind: str = ""
    owner: str = ""
    since: str = ""
    until: str = ""
    closed: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One follow-up of the list. `owner`: a name."""

    view: shapes.FollowUp
    when: str
    owner: str
    sum: words.Sum


@router.get("/follow-ups")
async def listing(here: Visiting, said: Annotated[Said, Depends()]) -> Response:
    """Follow-ups, the next one first; those that are over by the filter."""

    def look(desk: Desk) -> Facts:
        wanted, place = _wanted(here, said), _place(said.after)
        page = filters.follow_ups(desk.connection, desk.actor, wanted, PAGE, place)
        zone = here.site.settings.mail.timezone
        views = reading.follow_ups(desk.connection, page.names, zone, participants=True)
        owners = cards.associates(desk.connection)
        return {
            "items": [_item(here, view, owners) for view in views],
            "next": _next(said, page.next),
            "said": said,
            "owners": sorted(owners.items(), key=lambda one: one[1]),
            "kinds": [(kind.value, here.texts.gettext(word)) for kind, word in KINDS.items()],
        }

    return await here.page("pages/follow_ups.html", look)


@router.get("/follow-ups/{key}")
async def one(here: Visiting, key: Key) -> Response:
    """A follow-up: what it is, who comes, what happened."""
    return await here.page(
        "pages/follow_up.html", lambda desk: {**_rows(here, desk, key), **_whole(here, desk, key)}
    )


@router.get("/follow-ups/{key}/rows")
async def rows(here: Visiting, key: Key) -> Response:
    """The part of it that changes by itself."""
    facts = await here.fetch(lambda desk: _rows(here, desk, key))
    return here.render("pages/live_rows.html", facts)


@router.post("/follow-ups/{key}/email-invitation")
async def letters(here: Visiting, key: Key, on: Annotated[str, Form()]) -> Response:
    """Letters to everybody but the owner, or to nobody"""
    return await _do(
        here, key, "switched", lambda desk: inviting.switch_all(desk, key, on=on == "yes")
    )


@router.post("/follow-ups/{key}/complete")
async def complete(here: Visiting, key: Key, completed: Annotated[str, Form()]) -> Response:
    """Completed, or open again"""
    return await _do(
        here, key, "saved", lambda desk: carrying.complete(desk, key, completed=completed == "yes")
    )


@router.post("/follow-ups/{key}/reinstate")
async def reinstate(here: Visiting, key: Key) -> Response:
    """It takes place after all"""
    return await _do(here, key, "reinstated", lambda desk: cancelling.reinstate(desk, key))


def _switch(desk: Desk, number: int, said: str) -> None:
    inviting.switch(desk, number, on=said == "yes")


VERBS: Mapping[str, tuple[str, Callable[[Desk, int, str], Any]]] = {
    "toggle": ("toggled", lambda desk, number, _: answering.toggle(desk, number)),
    "switch": ("switched", _switch),
    "resend": ("sent", lambda desk, number, _: inviting.resend(desk, number)),
    "remove": ("removed", lambda desk, number, _: inviting.remove(desk, number)),
    "restore": ("restored", lambda desk, number, _: inviting.restore(desk, number)),
}
"""What one click does to a participant, and what the page says then."""


@router.post("/participants/{number}/{verb}")
async def row(here: Visiting, number: int, verb: str, on: Annotated[str, Form()] = "") -> Response:
    """What is done to one participant."""
    if verb not in VERBS:
        return await here.problem(InputError(f"there is no {verb}"))
    done, work = VERBS[verb]

    def command(desk: Desk) -> str:
        key = desk.participant(number, Verb.SEE).follow_up
        work(desk, number, on)
        return path("follow-ups", key)

    return await here.write(command, done)


async def _do(here: Visit, key: str, done: str, work: Callable[[Desk], Any]) -> Response:
    """Something done to a follow-up, and back to its page."""

    def command(desk: Desk) -> str:
        work(desk)
        return path("follow-ups", key)

    return await here.write(command, done)


def _rows(here: Visit, desk: Desk, key: str) -> dict[str, Any]:
    concerned = desk.require(Verb.SEE, key)
    zone = here.site.settings.mail.timezone
    [view] = reading.follow_ups(desk.connection, [key], zone, participants=True)
    people = view.participants or ()
    return {
        "view": view,
        "rows": people,
        "sum": words.summed(people),
        "edits": _edits(desk, concerned),
        "waiting": _waiting(here, desk, key),
    }


def _waiting(here: Visit, desk: Desk, key: str) -> dict[int, list[waiting.Card]]:
    """What a person has to decide here, by row; 0: of nobody's row."""
    listed = decisions.mine(desk, Filter(follow_up=key), MOST_WAITING)
    found = dict[int, list[waiting.Card]]()
    for one, card in zip(listed, waiting.cards(here, desk, listed), strict=True):
        found.setdefault(one.cause.participant or 0, []).append(card)
    return found


def _edits(desk: Desk, concerned: Parties) -> bool:
    return permission.may(desk.actor, Verb.EDIT, concerned) is Answer.YES


def _whole(here: Visit, desk: Desk, key: str) -> dict[str, Any]:
    """What stands beside the rows."""
    zone = here.site.settings.mail.timezone
    [view] = reading.follow_ups(desk.connection, [key], zone)
    card = cards.of(desk.connection, view)
    concerned = desk.require(Verb.SEE, key)
    entries = journal.newest_of(desk.connection, key, ENTRIES)
    other = view.zone != here.zone and isinstance(view.start, datetime)
    kind = here.texts.gettext(KINDS[view.kind])
    reads_notes = concerned.concerns(desk.actor.associate) or _edits(desk, concerned)
    return {
        "when": _when(here, view),
        "elsewhere": _elsewhere(view) if other else "",
        "repeats": view.rrule,
        "kind": kind,
        "notes": reads_notes,
        "fields": sorted((view.fields or {}).items()),
        "journal": entries,
        **card,
    }


def _when(here: Visit, view: shapes.FollowUp) -> str:
    if view.start is None and view.deadline is not None:
        day = view.deadline.astimezone(zones.zone(view.zone)).date()
        return here.texts.gettext("by %(day)s") % {"day": here.day(day)}
    return here.when(view.start, view.end) or here.texts.gettext("No time yet")


def _elsewhere(view: shapes.FollowUp) -> str:
    """The same start on the clock of the follow-up's own zone."""
    assert isinstance(view.start, datetime)
    return f"{view.start.astimezone(zones.zone(view.zone)):%H:%M} {view.zone}"


def _item(here: Visit, view: shapes.FollowUp, owners: Mapping[str, str]) -> Item:
    owner = owners.get(view.owner or "", view.owner or "")
    return Item(view, _when(here, view), owner, words.summed(view.participants or ()))


def _wanted(here: Visit, said: Said) -> filters.FollowUps:
    kind = Kind(said.kind) if said.kind in list(Kind) else None
    since, until = _midnight(here, "since", said.since), _midnight(here, "until", said.until)
    if not said.q and since is None and until is None:
        today = here.local(here.now).date()
        since = _start(here, today)
    return filters.FollowUps(
        owner=said.owner or None,
        kind=kind,
        since=since,
        until=until + timedelta(days=1) if until is not None else None,
        open=None if said.closed else True,
        q=said.q[:200],
    )


def _midnight(here: Visit, name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return _start(here, date.fromisoformat(text))
    except ValueError:
        raise InputError(f"{name}: {text!r} is no day, as 2026-12-01 is") from None


def _start(here: Visit, day: date) -> datetime:
    return datetime.combine(day, time(), zones.zone(here.zone))


def _place(text: str) -> tuple[Any, ...] | None:
    """Where the list goes on, as `_next` has written it."""
    if not text:
        return None
    head, _, key = text.partition("|")
    try:
        return (datetime.fromisoformat(head), key)
    except ValueError:
        return (head, key)


def _next(said: Said, place: tuple[Any, ...] | None) -> str:
    if place is None:
        return ""
    first, key = place
    after = f"{first.isoformat() if isinstance(first, datetime) else first}|{key}"
    kept = {
        name: getattr(said, name) for name in ("q", "kind", "owner", "since", "until", "closed")
    }
    return path(
        "follow-ups", **{**{one: text for one, text in kept.items() if text}, "after": after}
    )
