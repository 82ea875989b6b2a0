"""One follow-up: its head, the sum line, and a tab for each thing there is to know of it. A tab is
an address of its own, so everything works without JavaScript.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import answering, decisions, diaries, inviting
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.i18n import marked
from gateway.ical import zones
from gateway.store import cards, definitions, reading
from gateway.store.decisions import Filter
from gateway.web.keys import Key, Number, path
from gateway.web.pages import exchange, history, settling, timing, waiting, words
from gateway.web.pages.follow_ups import when
from gateway.web.pages.looking import Look
from gateway.web.pages.visit import Facts, Visit, Visiting
from gateway.writing import repeats

router = APIRouter(include_in_schema=False)

MOST_WAITING = 200
ROWS = 200
"""Participants on a page."""
TABS = {
    "": marked("Participants"),
    "details": marked("Details"),
    "dates": marked("Dates"),
    "agenda": marked("Agenda"),
    "notes": marked("Internal notes"),
    "links": marked("Links"),
    "more": marked("More"),
    "journal": marked("Journal"),
}


BY_ROW = frozenset({"view", "page", "beside", "waiting", "sum"})
"""Facts that each row has its part of."""
UNSEEN: Facts = {
    "changed_at": None,
    "changed_by": "",
    "first_available": None,
    "reject_count": 0,
}
"""What answers change of a record, and what nobody sees beside its rows."""


@dataclass(frozen=True, slots=True)
class Tab:
    """`has`: there is something in it; `count`: how many, where that says something."""

    name: str
    word: str
    to: str
    has: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class Clash:
    """What is double booked, and the first time at which it is not. `first`: "" for none, `date`:
    the date of a series.
    """

    names: str
    others: str
    when: str
    first: str
    last: str
    date: str


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows a page shows. `earlier`, `later`: addresses, "" where there are none."""

    rows: Sequence[shapes.Participant]
    first: int
    count: int
    earlier: str = ""
    later: str = ""


@router.get("/follow-ups/{key}")
async def participants(here: Visiting, key: Key, page: int = 1) -> Response:
    """Who takes part, and how they stand"""
    return await here.page("pages/follow_up.html", lambda desk: _people(here, desk, key, page))


@router.get("/follow-ups/{key}/rows")
async def live(here: Visiting, key: Key, page: int = 1, seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _people(here, desk, key, page))
    return here.exchange(facts, seen, "pages/live_rows.html", "pages/changed_rows.html")


@router.get("/follow-ups/{key}/head")
async def head(here: Visiting, key: Key) -> Response:
    """What stands above the tabs"""
    facts = await here.fetch(lambda desk: _facts(here, desk, key, "", _nothing))
    return here.render("pages/live_head.html", facts)


def _tab(name: str, look: Callable[[Visit, Desk, shapes.FollowUp], Facts]) -> None:
    """The route of a tab."""

    async def shown(here: Visiting, key: Key) -> Response:
        def read(desk: Desk) -> Facts:
            return _facts(here, desk, key, name, look)

        return await here.page("pages/follow_up.html", read)

    router.add_api_route(f"/follow-ups/{{key}}/{name}", shown, methods=["GET"])


# --- what one click does ---


@router.post("/follow-ups/{key}/email-invitation")
async def letters(here: Visiting, key: Key, on: Annotated[str, Form()]) -> Response:
    """Letters to everybody but the owner, or to nobody"""

    def command(desk: Desk) -> str:
        inviting.switch_all(desk, key, on=on == "yes")
        return path("follow-ups", key)

    return await here.write(command, "switched")


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
async def row(
    here: Visiting, number: Number, verb: str, on: Annotated[str, Form()] = ""
) -> Response:
    """What is done to one participant."""
    if verb not in VERBS:
        return await here.problem(InputError(marked("there is no %(verb)s"), verb=verb))
    done, work = VERBS[verb]

    def command(desk: Desk) -> str:
        key = desk.participant(number, Verb.SEE).follow_up
        work(desk, number, on)
        return path("follow-ups", key)

    return await here.write(command, done)


# --- what the page shows ---


def _facts(
    here: Visit,
    desk: Desk,
    key: str,
    tab: str,
    look: Callable[[Visit, Desk, shapes.FollowUp], Facts],
) -> dict[str, Any]:
    concerned = desk.require(Verb.SEE, key)
    zone = here.site.settings.mail.timezone
    [view] = reading.follow_ups(desk.connection, [key], zone, participants=True)
    edits = permission.may(desk.actor, Verb.EDIT, concerned) is Answer.YES
    reads_notes = edits or concerned.concerns(desk.actor.associate)
    return {
        "view": view,
        "tab": tab,
        "tab_word": here.texts.gettext(TABS[tab]),
        "tabs": _tabs(here, view, reads_notes=reads_notes),
        "edits": edits,
        "open": edits and not view.cancelled and not view.completed,
        "reads_notes": reads_notes,
        **_head(here, desk, view),
        **look(here, desk, view),
    }


def _head(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    """What stands above the tabs."""
    return {
        **_times(here, view),
        "own": settling.accepted(desk, view) is not None,
        "sum": words.summed(view.participants or ()),
        "names": cards.of(desk.connection, view, here.texts.language),
        "kind": here.texts.gettext(words.KINDS[view.kind]),
    }


def _times(here: Visit, view: shapes.FollowUp) -> Facts:
    return {
        "when": when(here, view),
        "distance": _distance(here, view),
        "elsewhere": _elsewhere(here, view),
        "repeats": repeating(here, view),
    }


def _tabs(here: Visit, view: shapes.FollowUp, *, reads_notes: bool) -> list[Tab]:
    content = {
        "agenda": bool(view.agenda),
        "notes": bool(view.notes) and reads_notes,
        "links": any((view.company, view.person, view.project, view.sale)),
        "more": bool(view.fields),
    }
    left_out = set() if timing.is_series(view) else {"dates"}
    left_out |= set() if reads_notes else {"notes"}
    return [
        Tab(
            name,
            here.texts.gettext(word),
            path("follow-ups", view.key, name) if name else path("follow-ups", view.key),
            content.get(name, False),
            len(view.participants or ()) if not name else 0,
        )
        for name, word in TABS.items()
        if name not in left_out
    ]


def _distance(here: Visit, view: shapes.FollowUp) -> str:
    """ "om 2 dager"; "" for what lies far away, or has no hours."""
    if not isinstance(view.start, datetime) or timing.is_series(view):
        return ""
    return here.distance(view.start)


def _elsewhere(here: Visit, view: shapes.FollowUp) -> str:
    """The same start on the clock of the follow-up's own zone, where that is another."""
    if view.zone == here.zone or not isinstance(view.start, datetime):
        return ""
    there = view.start.astimezone(zones.zone(view.zone))
    if there.utcoffset() == here.local(view.start).utcoffset():
        return ""
    return f"{here.texts.clock(there)} {view.zone}"


def repeating(here: Visit, view: shapes.FollowUp) -> str:
    """The rule in words; "" for what takes place once."""
    if not timing.is_series(view):
        return ""
    if not view.rrule:
        return here.texts.gettext("single dates")
    return repeats.said(timing.series(view, view.rrule), here.texts)


# --- the tabs ---


def _people(here: Visit, desk: Desk, key: str, number: int) -> Facts:
    """A page of the participants, with what of it is exchanged by itself."""
    facts = _facts(here, desk, key, "", _rows(number))
    return {**facts, "digests": _digests(here, facts)}


def _digests(here: Visit, facts: Facts) -> exchange.Digests:
    """Of the sum and of each row; around them, of everything else."""
    page = facts["page"]
    beside = facts["beside"]
    waits = facts["waiting"]
    rows = list[tuple[str | int, object]]([("sum", facts["sum"])])
    for row in page.rows:
        rows.append((row.id, (row, beside[row.id], waits.get(row.id))))
    others = {name: fact for name, fact in facts.items() if name not in BY_ROW}
    record = replace(facts["view"], participants=None, **UNSEEN)
    around = (here.today, record, page.first, page.count, waits.get(0), others)
    return exchange.digests(around, rows)


def _rows(number: int) -> Callable[[Visit, Desk, shapes.FollowUp], Facts]:
    def look(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
        page = _page(view, max(1, number))
        return {
            "page": page,
            "waiting": _waiting(here, desk, view.key),
            "beside": cards.beside(desk.connection, page.rows),
            "clash": _clash(here, desk, view),
            "group": _group(here, view),
            "all_letters": _all_letters(view),
        }

    return look


def _page(view: shapes.FollowUp, number: int) -> Page:
    people = view.participants or ()
    first = (number - 1) * ROWS
    end = first + ROWS
    earlier = later = ""
    if first:
        earlier = path("follow-ups", view.key, page=str(number - 1))
    if end < len(people):
        later = path("follow-ups", view.key, page=str(number + 1))
    return Page(people[first:end], first + 1, len(people), earlier, later)


def _all_letters(view: shapes.FollowUp) -> bool:
    """Whether everybody who could get letters does."""
    switches = [
        participant.email_invite
        for participant in view.participants or ()
        if words.has_switch(participant)
    ]
    return bool(switches) and all(switches)


def _waiting(here: Visit, desk: Desk, key: str) -> dict[int, list[waiting.Card]]:
    """What a person has to decide here, by row; 0: of nobody's row."""
    listed = decisions.mine(desk, Filter(follow_up=key), MOST_WAITING)
    by_row = dict[int, list[waiting.Card]]()
    for decision, card in zip(listed, waiting.cards(here, desk, listed), strict=True):
        by_row.setdefault(decision.cause.participant or 0, []).append(card)
    return by_row


def _clash(here: Visit, desk: Desk, view: shapes.FollowUp) -> Clash | None:
    double = diaries.first_double(desk, view.key) if view.conflict else None
    if double is None:
        return None
    names = {
        f"{participant.invitee}:{participant.key}": participant.shown_name
        for participant in view.participants or ()
    }
    who = [names.get(attendee) or attendee.partition(":")[2] for attendee in double.who]
    hours = [here.hours(*span) for span in double.spans]
    date = double.instance if timing.is_series(view) else ""
    slot = double.slot
    first = last = ""
    if slot is not None:
        first, last = slot.start.isoformat(), slot.end.isoformat()
    time = here.when(slot.start, slot.end) if slot is not None else ""
    return Clash(here.texts.listed(who), here.texts.listed(hours), time, first, last, date)


def _group(here: Visit, view: shapes.FollowUp) -> str:
    """The diaries of that day of whoever is of the house, side by side; "" for one alone."""
    house = [one for one in view.participants or () if one.invitee in ("associate", "resource")]
    whose = [f"associate:{view.owner}"] if view.owner else []
    whose += [f"{one.invitee}:{one.key}" for one in house]
    first = tuple(dict.fromkeys(whose))[: diaries.MOST_DIARIES]
    if len(first) < 2 or view.start is None:
        return ""
    start = view.start
    day = here.local(start).date() if isinstance(start, datetime) else start
    return Look("group", day, first, "").to()


def _details(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    by, at = view.changed_by, view.changed_at
    people = cards.associates(desk.connection)
    return {"changed": history.doer(here, by, people), "changed_at": here.ago(at)}


def _dates(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    listed = timing.dates(here, desk, view.key)
    moved = {date.original for date in view.dates if date.start is not None and date.ruled}
    return {
        "dates": [
            (timing.name(date), here.when(date.start, date.end), date, date.original in moved)
            for date in listed
        ],
        "most": timing.OFFERED,
    }


def _fields(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    names = definitions.names(desk.connection, here.texts.language)
    values = view.fields or {}
    shown = [(names.get(key, key), _said(here, value)) for key, value in values.items()]
    return {"fields": sorted(shown), "defined": bool(names)}


def _said(here: Visit, value: object) -> str:
    if isinstance(value, bool):
        return here.texts.gettext("Yes") if value else here.texts.gettext("No")
    return str(value)


def _nothing(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    return {}


def _journal(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    return history.shown(here, desk, view)


_tab("details", _details)
_tab("dates", _dates)
_tab("agenda", _nothing)
_tab("notes", _nothing)
_tab("links", _nothing)
_tab("more", _fields)
_tab("journal", _journal)
