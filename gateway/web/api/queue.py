"""Routes of the outbox, for administrators: the same as `invite-gateway queue`."""

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gateway.actions import queue, queue_rows
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text
from gateway.errors import InputError, NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.store.outbox import Selection
from gateway.web.api import filtering, models
from gateway.web.api.asking import Asking, Json, Listing, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes

routes = Routes("queue")

Number = Annotated[int, Path(alias="letter", ge=1, le=2**53)]
FollowUp = Annotated[str, Query(max_length=1000, description="Those of a follow-up.")]
Domain = Annotated[str, Query(max_length=320, description="Those to a domain.")]
Account = Annotated[str, Query(max_length=320, description="Those of a mail account.")]
Brake = Annotated[bool, Query(description="Those that the brake holds.")]
MOST = 1_000


class Choosing(Entry):
    """Which letters: by number, or all that fit everything else that is said."""

    letters: (
        Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(max_length=MOST)] | None
    ) = None
    follow_up: Text = ""
    to_domain: Text = ""
    account: Text = ""
    brake: bool = False


class QueuedShape(BaseModel):
    """A letter of the queue. Of a private follow-up `to`, `participant` and `note` are null."""

    letter: int
    state: str
    to: str | None
    follow_up: str
    participant: str | None
    method: str
    sequence: int | None
    instance: str | None
    account: str
    tries: int
    created: str
    due: str
    account_rests_until: str | None
    note: str | None


class LetterInQueueShape(QueuedShape):
    """With what servers said, which is null of a private follow-up."""

    attempts: list[dict[str, Any]] | None


class DoneShape(BaseModel):
    """The letters that it was done to, as they are now."""

    changed: list[dict[str, Any]]


class SendingShape(BaseModel):
    """Whether letters leave at all."""

    paused: bool


class QueueShape(BaseModel):
    """How old the letters are that have not left, by destination, and the accounts that rest."""

    paused: bool
    destinations: list[dict[str, Any]]
    resting: list[dict[str, Any]]


@routes.get("/queue", Verb.OPERATE, On.SITE, answer=models.page_of(QueuedShape))
async def every(
    asked: Pages,
    follow_up: FollowUp = "",
    to_domain: Domain = "",
    account: Account = "",
    brake: Brake = False,
    ended: Annotated[bool, Query(alias="all", description="Also those that have ended.")] = False,
) -> Response:
    """Letters that have not come to an end, and those that were refused; oldest first"""
    said = Choosing(follow_up=follow_up, to_domain=to_domain, account=account, brake=brake)

    def look(desk: Desk) -> Listing:
        chosen = _selection(said)
        after = filtering.number_place(asked)
        selection = chosen if ended else queue.unfinished(chosen, desk.now)
        page = queue.page(desk, selection, after, asked.limit)
        return Listing(queue_rows.of(page), (page.last,) if page.last else None)

    return await asked.read(look)


@routes.get("/queue/shape", Verb.OPERATE, On.SITE, answer=QueueShape)
async def shape(asked: Reading) -> Response:
    """How old the letters are that have not left, by the domain they go to"""

    def look(desk: Desk) -> Json:
        destinations, resting, paused = queue.shape_at(desk)
        return {
            "paused": paused,
            "destinations": queue_rows.destinations(destinations),
            "resting": queue_rows.rests(resting),
        }

    return await asked.read(look)


@routes.get("/queue/letters/{letter}", Verb.OPERATE, On.SITE, answer=LetterInQueueShape)
async def one(number: Number, asked: Reading) -> Response:
    """One letter, and every try to send it with the server's words"""

    def look(desk: Desk) -> Json:
        page = queue.page(desk, Selection(numbers=(number,)), 0, 1)
        if not page.listing.letters:
            raise NotFound(f"there is no letter {number}")
        [row] = queue_rows.of(page)
        tries = queue_rows.tries(page.tries.get(number, ()))
        return {**row, "attempts": tries if row["follow_up"] in page.seen else None}

    return await asked.read(look)


@routes.post("/queue/pause", Verb.OPERATE, On.SITE, answer=SendingShape)
async def pause(asked: Posting) -> Response:
    """Let no letter leave: they are planned, and wait"""
    return await asked.write(lambda desk: _leave(desk, on=False))


@routes.post("/queue/resume", Verb.OPERATE, On.SITE, answer=SendingShape)
async def resume(asked: Posting) -> Response:
    """Let letters leave again"""
    return await asked.write(lambda desk: _leave(desk, on=True))


def _leave(desk: Desk, *, on: bool) -> Json:
    queue.let_leave(desk, on=on)
    return {"paused": not on or desk.settings.outbound.paused}


EXAMPLE = {"follow_up": "own"}


@routes.post("/queue/hold", Verb.OPERATE, On.SITE, answer=DoneShape, example=EXAMPLE)
async def hold(said: Choosing, asked: Posting) -> Response:
    """Keep waiting letters from leaving, and whatever takes their place, until they are released"""
    return await _change(asked, queue.Verb.HOLD, said)


@routes.post("/queue/release", Verb.OPERATE, On.SITE, answer=DoneShape, example=EXAMPLE)
async def release(said: Choosing, asked: Posting) -> Response:
    """Let held letters leave"""
    return await _change(asked, queue.Verb.RELEASE, said)


@routes.post("/queue/retry", Verb.OPERATE, On.SITE, answer=DoneShape, example=EXAMPLE)
async def retry(said: Choosing, asked: Posting) -> Response:
    """Try letters now, those that were refused or given up, too; an account that rests tries one"""
    return await _change(asked, queue.Verb.RETRY, said)


@routes.post("/queue/drop", Verb.OPERATE, On.SITE, answer=DoneShape, example=EXAMPLE)
async def drop(said: Choosing, asked: Posting) -> Response:
    """Never send these letters; the next change owes what the invitee then lacks"""
    return await _change(asked, queue.Verb.DROP, said)


async def _change(asked: Asking, verb: queue.Verb, said: Choosing) -> Response:
    def command(desk: Desk) -> Json:
        numbers = tuple(letter.id for letter in queue.take(desk, verb, _selection(said)))
        if not numbers:
            return {"changed": []}
        page = queue.page(desk, Selection(numbers=numbers), 0, len(numbers))
        return {"changed": queue_rows.of(page)}

    permission.require(asked.actor, Verb.OPERATE)
    if said == Choosing():
        raise InputError("say which letters: letters, follow_up, to_domain, account or brake")
    return await asked.write(command)


def _selection(said: Choosing) -> Selection:
    return Selection(
        numbers=tuple(said.letters or ()),
        follow_up=said.follow_up,
        domain=queue.domain(said.to_domain),
        account=said.account,
        braked=said.brake,
    )
