"""The list of follow-ups, by filters."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from gateway.store import cards, filters, reading
from gateway.web.keys import path
from gateway.web.pages import agenda, words
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

PAGE = 25


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
            "kinds": [(kind.value, here.texts.gettext(word)) for kind, word in words.KINDS.items()],
        }

    return await here.page("pages/follow_ups.html", look)


def when(here: Visit, view: shapes.FollowUp) -> str:
    if view.start is None and view.deadline is not None:
        day = view.deadline.astimezone(zones.zone(view.zone)).date()
        return here.texts.gettext("by %(day)s") % {"day": here.day(day)}
    return here.when(view.start, view.end) or here.texts.gettext("No time yet")


def _item(here: Visit, view: shapes.FollowUp, owners: Mapping[str, str]) -> Item:
    owner = owners.get(view.owner or "", view.owner or "")
    return Item(view, when(here, view), owner, words.summed(view.participants or ()))


def _wanted(here: Visit, said: Said) -> filters.FollowUps:
    kind = Kind(said.kind) if said.kind in list(Kind) else None
    since, until = _midnight(here, "since", said.since), _midnight(here, "until", said.until)
    if not said.q and since is None and until is None:
        since = agenda.midnight(here, here.today)
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
    kept = {
        name: getattr(said, name) for name in ("q", "kind", "owner", "since", "until", "closed")
    }
    return path(
        "follow-ups", **{**{one: text for one, text in kept.items() if text}, "after": after}
    )
