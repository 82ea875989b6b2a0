"""What an administrator sees first: whether all is well, and how much waits where. What is wrong
stands above it, in the words of `/readyz`.
"""

from dataclasses import dataclass

from fastapi.responses import Response

from gateway.actions import queue
from gateway.actions.desk import Desk
from gateway.i18n import marked
from gateway.model import LetterState
from gateway.store import braked, outbox, pace, review, webhooks
from gateway.store.outbox import Selection
from gateway.web.pages import exchange
from gateway.web.pages.admin import entrance
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, and where what it counts can be seen."""

    to: str
    word: str
    number: int

    @property
    def name(self) -> str:
        return exchange.name(self.to)

    @property
    def is_loud(self) -> bool:
        """Whether somebody is to look: letters that wait are nothing unusual."""
        return self.number > 0 and not self.to.endswith("waiting")


@router.get("")
async def overview(here: Visiting) -> Response:
    """How the gateway is"""
    return await here.page("pages/admin/overview.html", lambda desk: _tiles(here, desk))


@router.get("/overview")
async def part(here: Visiting, seen: str = "") -> Response:
    """The part of it that changes by itself"""
    facts = await here.fetch(lambda desk: _tiles(here, desk))
    return here.exchange(facts, seen, "pages/admin/tiles.html", "pages/admin/changed_tiles.html")


def _tiles(here: Visit, desk: Desk) -> Facts:
    rows = [*_letters(desk), *_others(desk)]
    say = here.texts.gettext
    tiles = [Tile(entrance.address(to), say(word), number) for to, word, number in rows]
    digests = exchange.digests("", [(tile.name, tile) for tile in tiles])
    return {"tiles": tiles, "digests": digests}


def _letters(desk: Desk) -> list[tuple[str, str, int]]:
    connection = desk.connection
    waiting, on_hold = (
        Selection(states=(state,)) for state in (LetterState.WAITING, LetterState.HELD)
    )
    refused = Selection(states=(), returned_since=desk.now - queue.RETURNED_WITHIN)
    word = marked("letters were refused within 30 days")
    return [
        ("/letters?view=waiting", marked("letters wait"), outbox.count(connection, waiting)),
        ("/letters?view=held", marked("letters are held"), outbox.count(connection, on_hold)),
        ("/letters?view=refused", word, outbox.count(connection, refused)),
        ("/letters?view=rests", marked("accounts rest"), len(pace.resting(connection))),
    ]


def _others(desk: Desk) -> list[tuple[str, str, int]]:
    connection = desk.connection
    braking = braked.summary(connection)
    troubled = sum(bool(hook.trouble) for hook in webhooks.find(connection, desk.now))
    number_held = braking.letters if braking is not None else 0
    return [
        ("/review", marked("messages wait for review"), review.count(connection)),
        ("/brake", marked("letters are held by the brake"), number_held),
        ("/connections", marked("webhooks are in trouble"), troubled),
    ]
