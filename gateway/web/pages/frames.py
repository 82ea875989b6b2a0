"""What stands around every page: the menu with its counts, who is signed in, and what a form
did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.actions import decisions
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.store import journal
from gateway.web.pages import words

if TYPE_CHECKING:
    from gateway.web.pages.visit import Visit

MOST_SHOWN = 99


@dataclass(frozen=True, slots=True)
class Frame:
    """`at`: the entry of the menu that the page belongs to; `newest`: the journal entry up to which
    the page tells; `owed`: how many letters the form that led here owes.
    """

    at: str
    name: str
    newest: int
    waiting: int = 0
    creates: bool = False
    done: str = ""
    owed: int = 0
    query: str = ""


def read(desk: Desk, visit: Visit) -> Frame:
    """The frame of the page that is asked for."""
    said = visit.request.query_params
    creates = permission.may(desk.actor, Verb.CREATE) is Answer.YES
    waiting = min(decisions.count(desk), MOST_SHOWN)
    newest = journal.newest(desk.connection)
    done = words.DONE.get(said.get("done", ""), "")
    return Frame(
        at=_menu(visit.request.url.path),
        name=visit.user.name,
        newest=newest,
        waiting=waiting,
        creates=creates,
        done=done,
        owed=_number(said.get("letters", "")),
        query=said.get("q", "")[:200],
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _menu(path: str) -> str:
    """The entry of the menu to which a page belongs."""
    return "/" + path.split("/")[1]
