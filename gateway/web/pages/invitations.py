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

from gateway.actions import answering, asked
from gateway.actions.answering import Said
from gateway.actions.asked import Switches
from gateway.actions.desk import Desk
from gateway.errors import InputError
from gateway.i18n import marked
from gateway.model import Moment, Reply
from gateway.status import Status
from gateway.store import cards, codec
from gateway.web.keys import path
from gateway.web.pages import exchange, words
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

ANSWERS = {"yes": Reply.ACCEPTED, "maybe": Reply.TENTATIVE, "no": Reply.DECLINED}


@dataclass(frozen=True, slots=True)
class Shown:
    """The switches, as they stand in the address."""

    responses: str = ""
    declined: str = ""
    repetitions: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One invitation, or somebody's decline. `instance`: the date, "" for all of it; `day`: on
    which it begins, "" if it has no time.
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
    is_response: bool
    name: str
    comment: str
    standing: words.Standing

    @property
    def name_of(self) -> str:
        """The same each time, for this row or date."""
        return re.sub(r"\W", "", f"{self.participant}{self.instance}")


@router.get("/invitations")
async def invitations(here: Visiting, shown: Annotated[Shown, Depends()]) -> Response:
    """What I am asked"""
    return await here.page("pages/invitations.html", lambda desk: _facts(here, desk, shown))


@router.get("/invitations/list")
async def listed(here: Visiting, shown: Annotated[Shown, Depends()], seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _facts(here, desk, shown))
    return here.exchange(facts, seen, "pages/invitations_list.html", "pages/changed_asked.html")


@router.post("/invitations/{number}")
async def answer(
    here: Visiting,
    number: int,
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
        return "/invitations"

    return await here.write(command, "answered")


def _facts(here: Visit, desk: Desk, shown: Shown) -> Facts:
    switches = Switches(bool(shown.responses), bool(shown.declined), bool(shown.repetitions))
    people = cards.associates(desk.connection)
    items = [_item(here, invitation, people) for invitation in asked.invitations(desk, switches)]
    said = {name: value for name, value in asdict(shown).items() if value}
    return {
        "items": items,
        "digests": exchange.digests(shown, [(item.name_of, item) for item in items]),
        "shown": shown,
        "here": path("invitations", "list", **said),
    }


def _item(here: Visit, invitation: dict[str, Any], people: Mapping[str, str]) -> Item:
    standing = words.BY_CODE[Status(invitation["code"])]
    day = _day(here, _moment(invitation["start"]))
    instance = codec.moment(_moment(invitation["instance"])) if invitation["instance"] else ""
    whose = invitation["assigned_by"] or invitation["owner"] or ""
    response = {name: invitation.get(name, "") for name in ("name", "comment")}
    return Item(
        participant=invitation["participant"],
        key=invitation["follow_up"],
        title=invitation["title"] or "",
        when=_when(here, invitation),
        day=day,
        location=invitation["location"] or "",
        owner=people.get(whose, whose),
        instance=instance,
        conflict=bool(invitation.get("conflict")),
        is_response=invitation["response"],
        standing=standing,
        **response,
    )


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
