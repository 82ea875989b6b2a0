"""My invitations: what I am asked and have not answered, with the three switches of help page 002
(domain.md §7).
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response

from gateway.actions import answering, asked, diaries
from gateway.actions.answering import Said
from gateway.actions.asked import Switches
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.i18n import marked
from gateway.model import Moment, Reply, Role
from gateway.status import Status
from gateway.store import cards, codec, reading
from gateway.web.keys import path
from gateway.web.pages import exchange, words
from gateway.web.pages.follow_up import repeating
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

DIALOGS = {asked.REASSIGN: "assign", asked.RESCHEDULE: "move"}
"""What is the next step after a decline, by the dialog that it takes."""
TEXTS = ("title", "location", "name", "comment")
"""What is shown as it is."""
WHOLE = "one"
"""What the one that is shown whole is called among the rows."""
ANSWERS = {"yes": Reply.ACCEPTED, "maybe": Reply.TENTATIVE, "no": Reply.DECLINED}


@dataclass(frozen=True, slots=True)
class Shown:
    """The switches, as they stand in the address."""

    responses: str = ""
    declined: str = ""
    repetitions: str = ""

    @property
    def said(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Item:
    """One invitation, or somebody's decline. `instance`: of which date, "" for all of it; `day`: on
    which it begins, "" where it has no time; `is_assigned`: to do it, not to come; `then`: the
    dialog that is the next step after a decline.
    """

    participant: int
    key: str
    title: str
    when: str
    day: str
    location: str
    owner: str
    instance: str
    conflict: bool
    span: tuple[datetime, datetime] | None
    is_response: bool
    is_assigned: bool
    then: str
    name: str
    comment: str
    standing: words.Standing

    @property
    def name_of(self) -> str:
        """The same each time, for this row or date."""
        return re.sub(r"\W", "", f"{self.participant}{self.instance}")


@dataclass(frozen=True, slots=True)
class Detail:
    """All there is to know of one of them. `clash`: what else the reader has then, in words;
    `repeats`: the rule in words.
    """

    item: Item
    agenda: str = ""
    repeats: str = ""
    clash: str = ""


Switched = Annotated[Shown, Depends()]


@router.get("/invitations")
async def invitations(here: Visiting, shown: Switched, one: str = "") -> Response:
    """What I am asked. `one`: which of them is shown whole"""
    return await here.page("pages/invitations.html", lambda desk: _facts(here, desk, shown, one))


@router.get("/invitations/list")
async def listed(here: Visiting, shown: Switched, one: str = "", seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _facts(here, desk, shown, one))
    return here.exchange(facts, seen, "pages/invitations_list.html", "pages/changed_asked.html")


@router.post("/invitations/{number}")
async def answer(
    here: Visiting,
    number: int,
    shown: Switched,
    reply: Annotated[str, Form(max_length=10)],
    comment: Annotated[str, Form(max_length=4000)] = "",
    instance: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """My answer"""
    if reply not in ANSWERS and reply != "seen":
        return await here.problem(InputError(marked("reply: yes, maybe, no or seen")))
    date_of = codec.parse_moment(instance) if instance else None

    def command(desk: Desk) -> str:
        if reply == "seen":
            answering.see(desk, number, date_of)
        else:
            answering.answer(desk, number, Said(ANSWERS[reply], comment.strip(), date_of))
        return path("invitations", **shown.said)

    return await here.write(command, "answered")


def _facts(here: Visit, desk: Desk, shown: Shown, one: str) -> Facts:
    switches = Switches(bool(shown.responses), bool(shown.declined), bool(shown.repetitions))
    people = cards.associates(desk.connection)
    items = [_item(here, invitation, people) for invitation in asked.invitations(desk, switches)]
    chosen = next((item for item in items if item.name_of == one), next(iter(items), None))
    detail = _detail(here, desk, chosen) if chosen is not None else None
    rows = [(WHOLE, detail), *((item.name_of, item) for item in items)]
    kept = {"one": one} if one else {}
    return {
        "items": items,
        "detail": detail,
        "digests": exchange.digests(shown, rows),
        "shown": shown,
        "here": path("invitations", "list", **shown.said, **kept),
    }


def _detail(here: Visit, desk: Desk, item: Item) -> Detail:
    zone = here.site.settings.mail.timezone
    found = reading.follow_ups(desk.connection, [item.key], zone)
    if not found:
        return Detail(item)
    [view] = found
    clash = _clash(here, desk, item) if item.conflict else ""
    return Detail(item, view.agenda or "", repeating(here, view), clash)


def _clash(here: Visit, desk: Desk, item: Item) -> str:
    """What of the reader's diary lies at the same time, by its title and hours."""
    if item.span is None:
        return ""
    [mine] = diaries.of(desk, [f"associate:{desk.actor.associate}"], item.span)
    text = here.texts.gettext("“%(title)s” %(hours)s")
    others = [
        text % {"title": line.record.title, "hours": here.hours(line.entry.start, line.entry.end)}
        for line in mine.lines
        if line.record is not None and line.entry.busy and line.entry.follow_up != item.key
    ]
    return here.texts.listed(others) if others else ""


def _item(here: Visit, invitation: dict[str, Any], people: Mapping[str, str]) -> Item:
    start, end = _moment(invitation["start"]), _moment(invitation["end"])
    return Item(
        **_plain(invitation, people),
        when=_when(here, invitation),
        day=_day(here, start),
        span=_span(start, end),
        instance=codec.moment(_moment(invitation["instance"])) if invitation["instance"] else "",
        standing=words.BY_CODE[Status(invitation["code"])],
    )


def _plain(invitation: dict[str, Any], people: Mapping[str, str]) -> dict[str, Any]:
    """What is shown of it as it is."""
    whose = invitation["assigned_by"] or invitation["owner"] or ""
    texts = {name: invitation.get(name) or "" for name in TEXTS}
    return {
        **texts,
        "participant": invitation["participant"],
        "key": invitation["follow_up"],
        "owner": people.get(whose, whose),
        "conflict": bool(invitation.get("conflict")),
        "is_response": invitation["response"],
        "is_assigned": invitation["role"] == Role.ASSIGNED,
        "then": DIALOGS.get(invitation.get("next", ""), ""),
    }


def _span(start: Moment | None, end: Moment | None) -> tuple[datetime, datetime] | None:
    """When somebody is occupied by it; None where that is no time of day."""
    if isinstance(start, datetime) and isinstance(end, datetime) and start < end:
        return start, end
    return None


def _when(here: Visit, invitation: dict[str, Any]) -> str:
    if invitation["start"] is None and invitation["deadline"] is not None:
        day = here.day(date.fromisoformat(invitation["deadline"]))
        return here.texts.gettext("by %(day)s") % {"day": day}
    return here.when(_moment(invitation["start"]), _moment(invitation["end"]))


def _day(here: Visit, start: Moment | None) -> str:
    if start is None:
        return ""
    return (here.local(start).date() if isinstance(start, datetime) else start).isoformat()


def _moment(text: str | None) -> Moment | None:
    """A moment as shapes write it."""
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
