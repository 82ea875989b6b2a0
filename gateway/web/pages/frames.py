"""What stands around every page: the menu with its counts, who is signed in, and what a form
did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.actions import asked, decisions
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.store import cards, journal, schema, undos
from gateway.web.pages import words

if TYPE_CHECKING:
    from gateway.web.pages.visit import Visit

MOST_SHOWN = 99
CARDS = ("/persons", "/companies", "/projects", "/sales")
"""Pages of one of those under People and companies."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What can be taken back. `seconds`: until its letters leave."""

    id: int
    letters: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Frame:
    """`at`: the entry of the menu that the page belongs to; `newest`: the journal entry up to which
    the page tells; `waiting`, `asked`: how many decisions and invitations wait; `owed`: how many
    letters the form that led here owes; `undo`: what can be taken back.
    """

    at: str
    name: str
    newest: int
    waiting: int = 0
    asked: int = 0
    creates: bool = False
    done: str = ""
    owed: int = 0
    undo: Bar | None = None
    query: str = ""


def read(desk: Desk, visit: Visit) -> Frame:
    """The frame of the page that is asked for."""
    said = visit.request.query_params
    creates = permission.may(desk.actor, Verb.CREATE) is Answer.YES
    newest = journal.newest(desk.connection)
    own = [desk.actor.associate] if desk.actor.associate else []
    names = cards.names(desk.connection, schema.associate, own)
    done = words.DONE.get(said.get("done", ""), "")
    waiting, invited = min(decisions.count(desk), MOST_SHOWN), asked.count(desk, MOST_SHOWN)
    return Frame(
        at=_menu(visit.request.url.path),
        name=names.get(desk.actor.associate, visit.user.name),
        newest=newest,
        waiting=waiting,
        asked=invited,
        creates=creates,
        done=done,
        owed=_number(said.get("letters", "")),
        undo=_bar(desk),
        query=said.get("q", "")[:200],
    )


def _bar(desk: Desk) -> Bar | None:
    save = undos.newest(desk.connection, desk.actor.by, desk.now)
    if save is None or not undos.waits(desk.connection, save):
        return None
    seconds = math.ceil((save.leaves_at - desk.now).total_seconds())
    return Bar(save.id, save.letters, max(1, seconds))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _menu(path: str) -> str:
    """The entry of the menu to which a page belongs."""
    first = "/" + path.split("/")[1]
    return "/people" if first in CARDS else first
