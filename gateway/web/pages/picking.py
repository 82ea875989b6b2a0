"""The dialog that invites: from which source, whom, and who of them gets letters (page.md §2).

The chosen ones stand in the form until it is saved; every step in between is a dry run of the very
command, so the foot says which letters go. On failure: the form as it was, with what is wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import desk as desks
from gateway.actions import diaries, inviting
from gateway.actions.desk import Desk
from gateway.actions.inviting import Added
from gateway.errors import Forbidden, GatewayError, InputError, NotFound, Refused
from gateway.followups.invitees import Entry, Reason, Result, Source
from gateway.i18n import marked
from gateway.ical import zones
from gateway.mail import syntax
from gateway.store import picks
from gateway.store.picks import Pick
from gateway.web.api import letters
from gateway.web.keys import Key, path
from gateway.web.pages import forms, frames, refusals, timing
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

PILLS = {
    "associate": marked("Colleagues"),
    "person": marked("Company/person"),
    "project": marked("Project"),
    "selection": marked("Selection"),
    "resource": marked("Resource"),
    "email": marked("E-mail"),
}
REASONS = {
    Reason.NOT_INVITABLE: marked("An administrator says that they are not invited."),
    Reason.NO_ADDRESS: marked("No valid e-mail address. Correct it on their card."),
    Reason.UNKNOWN: marked("This is not there any more."),
    Reason.OWNER: marked("The owner is never mailed."),
    Reason.RESOURCE: marked("A resource gets no letter."),
}
PRESENT = marked("Takes part already.")
MOST = 80
"""Chosen at a time; a list counts as one."""


@dataclass(frozen=True, slots=True)
class Picked:
    """What was chosen so far. `silent`: those of them who get no letter; `source`, `query` and
    `group`: what is looked at.
    """

    who: tuple[str, ...] = ()
    silent: frozenset[str] = frozenset()
    source: str = "associate"
    query: str = ""
    group: str = ""

    def added(self, *who: str) -> "Picked":
        return replace(self, who=tuple(dict.fromkeys([*self.who, *filter(None, who)])))


@dataclass(frozen=True, slots=True)
class Offer:
    """A row of what was found. `busy`: when they are occupied, in words; `note`: who or what that
    is.
    """

    who: str
    name: str
    note: str
    busy: str
    taken: str = ""
    """Why it is not offered, in words: it is chosen, or takes part."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row of those who are chosen. `letter`: whether one goes to them; `reason`: why none can."""

    who: str
    name: str
    note: str
    letter: bool
    reason: str
    busy: str


# --- the steps of the form ---


@router.get("/follow-ups/{key}/invite")
async def ask(
    here: Visiting,
    key: Key,
    source: Annotated[str, Query(max_length=20)] = "associate",
    q: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Whom"""
    picked = Picked(source=source if source in PILLS else "associate", query=q)
    return await _shown(here, key, picked)


@router.post("/follow-ups/{key}/invite")
async def step(here: Visiting, key: Key) -> Response:
    """Look for somebody, choose them, or save"""
    try:
        said = await Filled.read(here.request)
        picked = _picked(said)
        if not said["save"]:
            return await _shown(here, key, picked)
        if not picked.who:
            raise InputError(NOBODY)
    except InputError as error:
        return await _shown(here, key, _picked(said, lenient=True), error)

    def command(desk: Desk) -> str:
        _require(here, desk, key, _add(desk, key, picked), picked)
        return path("follow-ups", key)

    try:
        outcome = await here.perform(command)
    except (InputError, Refused) as error:
        return await _shown(here, key, picked, error)
    except (NotFound, Forbidden) as error:
        return await here.problem(error)
    return here.lead(outcome.answer, "added", outcome.letters)


NOBODY = marked("Choose somebody, or write an e-mail address.")


@router.get("/follow-ups/{key}/invite/offers")
async def offers(
    here: Visiting,
    key: Key,
    source: Annotated[str, Query(max_length=20)] = "associate",
    q: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The same while somebody types"""

    def look(desk: Desk) -> Facts:
        shown = forms.view(here, desk, key)
        return {"offers": _offers(here, desk, shown, Picked(source=source, query=q))[:10]}

    try:
        facts = await here.fetch(look)
    except GatewayError as error:
        return await here.problem(error)
    return here.render("pages/offers.html", facts)


def _picked(said: Filled, *, lenient: bool = False) -> Picked:
    """What the form says, after the button that was pressed. Raises `InputError` for what cannot be
    chosen; `lenient`: leaves it out.
    """
    source = said["source"] or said["current"]
    picked = Picked(
        said.chosen,
        frozenset(said.lists.get("silent", ())) & {*said.chosen},
        source if source in PILLS else "associate",
        said["q"][:100],
        said["group"],
    )
    if said["drop"]:
        picked = replace(
            picked, who=tuple(chosen for chosen in picked.who if chosen != said["drop"])
        )
    if said["envelope"]:
        picked = replace(picked, silent=picked.silent ^ {said["envelope"]})
    if said["all"]:
        silent = frozenset[str]() if said["all"] == "yes" else frozenset(picked.who)
        picked = replace(picked, silent=silent)
    if lenient:
        return replace(
            picked, who=tuple(chosen for chosen in picked.who if _is_entry(chosen))[:MOST]
        )
    address = said["email"].strip()
    bare = f"email:{address}|{said['name'].strip()}" if address else ""
    picked = picked.added(said["add"], bare)
    for chosen in picked.who:
        entry(chosen)
    if len(picked.who) > MOST:
        raise InputError(marked("at most %(most)s at a time; save these first"), most=MOST)
    return picked


def entry(text: str) -> Entry:
    """ "associate:kari", as forms have it; of an address with the name behind it."""
    source, _, key = text.partition(":")
    if source not in list(Source) or not key:
        raise InputError(marked("who: %(text)r names nobody"), text=text)
    key, _, name = key.partition("|") if source == Source.EMAIL else (key, "", "")
    return Entry(Source(source), key, name)


def _is_entry(text: str) -> bool:
    try:
        entry(text)
    except InputError:
        return False
    return True


def invite_all(here: Visit, desk: Desk, key: str, entries: Sequence[str], *, letters: bool) -> None:
    """All of them, or nobody."""
    silent = frozenset[str]() if letters else frozenset(entries)
    picked = Picked(tuple(entries), silent)
    if entries:
        _require(here, desk, key, _add(desk, key, picked), picked)


def _add(desk: Desk, key: str, picked: Picked) -> dict[str, list[Added]]:
    """Add those who are chosen: what became of each."""
    by_choice = dict[str, list[Added]]()
    for letter in (True, False):
        who = [chosen for chosen in picked.who if (chosen not in picked.silent) is letter]
        if not who:
            continue
        for addition in inviting.add(
            desk, key, [entry(chosen) for chosen in who], email_invite=letter
        ):
            by_choice.setdefault(who[addition.entry], []).append(addition)
    return by_choice


def _require(
    here: Visit, desk: Desk, key: str, added: dict[str, list[Added]], picked: Picked
) -> None:
    """Raises `InputError` that names those who cannot be added."""
    names = picks.named(desk.connection, picked.who)
    wrong = [
        f"{_name(who, names)}: {_refusal(here, who, addition.reason)}"
        for who, additions in added.items()
        for addition in additions
        if addition.result is Result.REFUSED
    ]
    if wrong:
        raise InputError("%(lines)s", lines=" ".join(dict.fromkeys(wrong)))


def _refusal(here: Visit, who: str, reason: Reason) -> str:
    """Why somebody cannot be added; what is wrong with an address that was typed here."""
    kind, _, typed = who.partition(":")
    problem = syntax.problem(typed.partition("|")[0]) if kind == Source.EMAIL else ""
    return refusals.plain(here.texts, problem or REASONS[reason])


def _name(who: str, names: dict[str, Pick]) -> str:
    if who in names:
        return names[who].name
    _, _, key = who.partition(":")
    address, _, name = key.partition("|")
    return name or address


# --- what it shows ---


async def _shown(
    here: Visit, key: str, picked: Picked, problem: GatewayError | None = None
) -> Response:
    """The form, with what would happen now: nothing of it is kept."""

    def trial(desk: Desk) -> dict[str, Any]:
        facts = _facts(here, desk, key, picked)
        frame = frames.read(desk, here)
        added = _add(desk, key, picked) if picked.who else {}
        owed = letters.listed(desk, desks.settle(desk).queued, True) if added else []
        chosen = _chosen(here, desk, facts["view"], picked, added)
        called = {entry(person.who).key: person.name for person in chosen}
        why = refusals.said(here, desk, problem) if problem is not None else ""
        return {
            **facts,
            "frame": frame,
            "chosen": chosen,
            "called": called,
            "letters": owed,
            "problem": why,
        }

    try:
        outcome = await here.perform(trial, dry_run=True)
    except GatewayError as error:
        return await here.problem(error)
    code = 422 if problem is not None else 200
    fixed = {"pills": PILLS, "most": picks.MOST}
    return here.render("pages/invite.html", {**outcome.answer, **fixed}, code)


def _facts(here: Visit, desk: Desk, key: str, picked: Picked) -> dict[str, Any]:
    shown = forms.view(here, desk, key)
    groups = picks.groups(desk.connection, picked.source)
    return {
        "view": shown,
        "picked": picked,
        "heading": timing.titled(here, marked("Invite to “%(title)s”"), shown),
        "groups": [(group.key, group.name) for group in groups],
        "everybody": _everybody(picked),
        "offers": _offers(here, desk, shown, picked),
    }


def _everybody(picked: Picked) -> str:
    """How all that is shown of the house is picked at once; "" for people outside."""
    if picked.source not in picks.GROUPS:
        return ""
    _, _, kind, everybody = picks.GROUPS[picked.source]
    return f"{kind}:{picked.group}" if picked.group else everybody


def _offers(here: Visit, desk: Desk, shown: shapes.FollowUp, picked: Picked) -> list[Offer]:
    listed = picks.listed(desk.connection, picked.source, picked.query, picked.group)
    say = here.texts.gettext
    there = dict.fromkeys(picks.present(desk.connection, shown.key), say(PRESENT))
    there |= dict.fromkeys(picked.who, say("Chosen"))
    busy = _busy(here, desk, shown, [pick.who for pick in listed])
    return [
        Offer(
            pick.who, pick.name, _note(here, pick), busy.get(pick.who, ""), there.get(pick.who, "")
        )
        for pick in listed
    ]


def _note(here: Visit, pick: Pick) -> str:
    if pick.count is None:
        return pick.beside
    words = here.texts.ngettext("%(num)d person", "%(num)d people", pick.count)
    return words % {"num": pick.count}


def _chosen(
    here: Visit,
    desk: Desk,
    shown: shapes.FollowUp,
    picked: Picked,
    added: dict[str, list[Added]],
) -> list[Chosen]:
    names = picks.named(desk.connection, picked.who)
    busy = _busy(here, desk, shown, picked.who)
    return [
        Chosen(
            who,
            _name(who, names),
            _beside(here, who, names),
            letter=who not in picked.silent,
            reason=_reason(here, added.get(who, ())),
            busy=busy.get(who, ""),
        )
        for who in picked.who
    ]


def _beside(here: Visit, who: str, names: dict[str, Pick]) -> str:
    return _note(here, names[who]) if who in names else entry(who).key


def _reason(here: Visit, added: Iterable[Added]) -> str:
    """Why no letter goes, or nothing happens; "" where one does to somebody of them."""
    words = [
        PRESENT if addition.result is Result.PRESENT else REASONS.get(addition.reason, "")
        for addition in added
    ]
    return here.texts.gettext(words[0]) if words and all(words) else ""


def _busy(here: Visit, desk: Desk, shown: shapes.FollowUp, who: Sequence[str]) -> dict[str, str]:
    """When those of the house are occupied while it takes place: of a series, on its next date."""
    names = [name for name in who if name.partition(":")[0] in picks.GROUPS]
    period = _period(here, desk, shown)
    if not names or period is None:
        return {}
    taken = diaries.taken(desk, names, period, shown.key)
    return {
        name: here.texts.listed([here.hours(*span) for span in spans])
        for name, spans in taken.items()
        if spans
    }


def _period(here: Visit, desk: Desk, shown: shapes.FollowUp) -> tuple[datetime, datetime] | None:
    start, end = shown.start, shown.end
    if timing.is_series(shown):
        ahead = [date for date in timing.dates(here, desk, shown.key) if not date.cancelled]
        if ahead:
            start, end = ahead[0].start, ahead[0].end
    if start is None or end is None:
        return None
    moments = [
        moment
        if isinstance(moment, datetime)
        else datetime.combine(moment, time(), zones.zone(shown.zone))
        for moment in (start, end)
    ]
    return moments[0], max(moments[1], moments[0] + timedelta(minutes=1))
