"""The list of follow-ups, by filters."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from gateway import shapes
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Kind
from gateway.store import cards, filters, reading, schema
from gateway.web.api.activities import is_overdue
from gateway.web.keys import path
from gateway.web.pages import agenda, exchange, words
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

PAGE = 25
STATUSES = {
    "": marked("Open"),
    "completed": marked("Completed"),
    "cancelled": marked("Cancelled"),
    "all": marked("All of them"),
}
STATUS: Mapping[str, tuple[bool | None, bool | None]] = {
    "completed": (False, False),
    "cancelled": (None, True),
    "all": (None, None),
}
"""What each filters by, `open` and `cancelled`; any other word shows those that are open."""
ICONS = {Kind.MEETING: "calendar-blank", Kind.TASK: "check-square", Kind.CALL: "phone"}


@dataclass(frozen=True, slots=True)
class Said:
    """What the list was asked for."""

    q: str = ""
    kind: str = ""
    owner: str = ""
    since: str = ""
    until: str = ""
    status: str = ""
    silent: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One of a list. `kind`: a word; `owner`: a name; `sum`: of those whom its view has."""

    view: shapes.FollowUp
    when: str
    kind: str
    owner: str
    is_overdue: bool
    sum: words.Sum

    @property
    def name(self) -> str:
        """The same each time."""
        return exchange.name(self.view.key)

    @property
    def icon(self) -> str:
        return ICONS[self.view.kind]

    @property
    def said(self) -> tuple[object, ...]:
        """What a list says of it."""
        view = replace(self.view, participants=None)
        return view, self.when, self.kind, self.owner, self.is_overdue, self.sum


@router.get("/follow-ups")
async def listing(here: Visiting, said: Annotated[Said, Depends()]) -> Response:
    """Follow-ups, the next one first; those that are over by the filter."""

    def look(desk: Desk) -> Facts:
        return {**_facts(here, desk, said), **_filters(here, desk, said)}

    return await here.page("pages/follow_ups.html", look)


def _filters(here: Visit, desk: Desk, said: Said) -> Facts:
    """What can be chosen, and what was."""
    say = here.texts.gettext
    owners = sorted(cards.associates(desk.connection).items(), key=lambda one: one[1])
    return {
        "said": said,
        "since": _since(here, said),
        "kinds": [(kind.value, say(word)) for kind, word in words.KINDS.items()],
        "statuses": [(name, say(word)) for name, word in STATUSES.items()],
        "owners": owners,
    }


@router.get("/listed")
async def listed(here: Visiting, said: Annotated[Said, Depends()], seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _facts(here, desk, said))
    return here.exchange(facts, seen, "pages/listed.html", "pages/changed_listed.html")


def _facts(here: Visit, desk: Desk, said: Said) -> Facts:
    criteria, place = _wanted(here, said), _place(said.after)
    page = filters.follow_ups(desk.connection, desk.actor, criteria, PAGE, place)
    shown = items(here, desk, page.names, participants=True)
    more = _next(said, page.next)
    filled = {name: text for name, text in asdict(said).items() if text}
    return {
        "items": shown,
        "next": more,
        "here": path("listed", **filled),
        "digests": exchange.digests(more, rows(shown)),
    }


def items(
    here: Visit, desk: Desk, keys: Sequence[str], *, participants: bool = False
) -> list[Item]:
    """Follow-ups as lists show them, in that order."""
    zone = here.site.settings.mail.timezone
    views = reading.follow_ups(desk.connection, keys, zone, participants=participants)
    named = {view.owner for view in views if view.owner}
    owners = cards.names(desk.connection, schema.associate, named)
    return [
        Item(
            view,
            when(here, view),
            here.texts.gettext(words.KINDS[view.kind]),
            owners.get(view.owner or "", view.owner or ""),
            is_overdue(view, desk.now),
            words.summed(view.participants or ()),
        )
        for view in views
    ]


def rows(shown: Sequence[Item]) -> list[tuple[str, object]]:
    """What a list says, for its digests."""
    return [(item.name, item.said) for item in shown]


def when(here: Visit, view: shapes.FollowUp) -> str:
    if view.start is None and view.deadline is not None:
        day = view.deadline.astimezone(zones.zone(view.zone)).date()
        return here.texts.gettext("by %(day)s") % {"day": here.day(day)}
    return here.when(view.start, view.end) or here.texts.gettext("No time yet")


def _wanted(here: Visit, said: Said) -> filters.FollowUps:
    kind = Kind(said.kind) if said.kind in list(Kind) else None
    since = _midnight(here, "since", _since(here, said))
    until = _midnight(here, "until", said.until)
    is_open, is_cancelled = STATUS.get(said.status, (True, None))
    return filters.FollowUps(
        owner=said.owner or None,
        kind=kind,
        since=since,
        until=until + timedelta(days=1) if until is not None else None,
        silent=bool(said.silent),
        q=said.q[:200],
        open=is_open,
        cancelled=is_cancelled,
    )


def _since(here: Visit, said: Said) -> str:
    """From today on, where neither words nor a period were asked for."""
    return said.since or ("" if said.q or said.until else here.today.isoformat())


def _midnight(here: Visit, name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return agenda.midnight(here, date.fromisoformat(text))
    except ValueError:
        raise InputError(
            marked("%(place)s: %(text)r is no day, as 2026-12-01 is"), place=name, text=text
        ) from None


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
    kept = {name: text for name, text in asdict(said).items() if text}
    return path("follow-ups", **{**kept, "after": after})
