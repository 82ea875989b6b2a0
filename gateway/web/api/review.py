"""Routes of what waits for a person, for administrators: the same as `invite-gateway review`.

`/decisions` is what waits for the owners; here it is looked into, judged anew, and whose address it
is is learned and forgotten.
"""

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gateway.actions import review, review_rows, reviewing
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text, Word
from gateway.actions.reviewing import Matching
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.model import REVIEW, Outcome
from gateway.store import codec
from gateway.web.api import cursors, filtering, models
from gateway.web.api.asking import Asking, Json, Listing, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes

routes = Routes("review")

Number = Annotated[int, Path(alias="message", ge=1, le=2**53)]
Asked = Annotated[int, Path(alias="proposal", ge=1, le=2**53)]
FollowUp = Annotated[str | None, Query(max_length=1000, description="About this follow-up only.")]
Words = Annotated[Text, Field(max_length=500)]


class ClaimShape(BaseModel):
    """What a message says. `reply`: null where it is something else."""

    reply: str | None
    instance: str | None
    comment: str


class AskedShape(BaseModel):
    """What waits for a person. About what is private to others all but the first four is null."""

    arrived: str
    outcome: str | None
    follow_up: str | None
    reason: str | None
    participant: str | None
    sender: str | None = Field(alias="from")
    claims: list[ClaimShape] | None
    question: str | None
    subject: str | None


class WaitingShape(AskedShape):
    """A message."""

    number: int
    invited: str | None


class RequestShape(AskedShape):
    """A request for another time. `number`: p and its own; `message`: the one it came in."""

    number: str
    proposed_start: str | None
    proposed_end: str | None
    location: str | None
    message: int | None


class MessageShape(WaitingShape):
    """A message that waits, or waited. `now`: what applying it would come to; `steps`: what can be
    done, likeliest first.
    """

    unlearnable: str | None
    waits: bool | None
    rules: list[dict[str, str]] | None
    history: list[dict[str, Any]] | None
    headers: dict[str, list[str]] | None
    text: str | None
    now: dict[str, str] | None
    steps: list[dict[str, str]] | None


class SettledShape(BaseModel):
    """What became of a message. `done`: it waits no longer."""

    number: int
    before: str
    after: str
    done: bool
    reason: str
    repeated: bool
    answers: list[dict[str, Any]]


class SettledManyShape(BaseModel):
    """`left`: so many more match, for the next time."""

    settled: list[dict[str, Any]]
    left: int


class DecidedShape(BaseModel):
    """What became of a request for another time."""

    number: str
    follow_up: str
    state: str
    proposed_start: str
    repeated: bool


class KnownShape(BaseModel):
    """Whether an address is known as that of a participant now, and whether that is news."""

    address: str
    participant: str
    is_known: bool
    is_news: bool


class LearnedShape(BaseModel):
    """A learned address. `participant`: whose: a person's key, or FOLLOW_UP/KEY."""

    address: str
    participant: str
    source: str
    learned_at: str
    learned_by: str
    message: int | None


class Applying(Entry):
    """`participant`: whose answer it is, whatever trust says: a key, an address, or FOLLOW_UP/KEY.
    `add`: it is nobody's who was invited; invite the sender, and take their answer.
    """

    participant: Text = ""
    add: bool = False


class ApplyingAll(Entry):
    """Which: all that fit everything that is said."""

    follow_up: Text | None = None
    outcome: Word = ""
    reason: Words = ""


class Rejecting(Entry):
    reason: Words = ""


class Learning(Entry):
    """`participant`: whose, where the message says it of none."""

    participant: Text = ""


class Address(Entry):
    """An address, and the participant whose it is: a person's key, or FOLLOW_UP/KEY."""

    address: Text
    participant: Text


@routes.get("/review", Verb.OPERATE, On.SITE, answer=models.page_of(WaitingShape))
async def every(asked: Pages, follow_up: FollowUp = None) -> Response:
    """Messages that wait for a person, oldest first"""

    def look(desk: Desk) -> Listing:
        after = None
        if position := asked.position(str, int):
            at, number = position
            after = cursors.instant(at), int(number)
        waiting = reviewing.waiting(desk, after, asked.limit + 1, follow_up)
        page = waiting[: asked.limit]
        last = None
        if len(waiting) > asked.limit:
            last = codec.moment(page[-1].arrived), page[-1].number
        return Listing(reviewing.shown(desk, page), last)

    return await asked.read(look)


@routes.get("/review/proposals", Verb.OPERATE, On.SITE, answer=models.page_of(RequestShape))
async def proposals(asked: Pages, follow_up: FollowUp = None) -> Response:
    """Requests for another time that nobody decided on, oldest first"""

    def look(desk: Desk) -> Listing:
        after = filtering.number_place(asked)
        rows = reviewing.requests(desk, after, asked.limit + 1, follow_up)
        page = rows[: asked.limit]
        more = len(rows) > asked.limit
        return Listing(page, (int(page[-1]["number"][1:]),) if more else None)

    return await asked.read(look)


@routes.get("/review/known", Verb.OPERATE, On.SITE, answer=models.page_of(LearnedShape))
async def known(asked: Pages) -> Response:
    """The learned addresses: whose, since when, by whom; oldest first"""

    def look(desk: Desk) -> Listing:
        rows = reviewing.learned(desk, filtering.number_place(asked), asked.limit + 1)
        return filtering.numbered(
            asked, rows, lambda page: [review_rows.learned(alias) for alias in page]
        )

    return await asked.read(look)


EXAMPLE = {"address": "ola@home.example", "participant": "ola"}


@routes.post("/review/known", Verb.OPERATE, On.SITE, answer=KnownShape, example=EXAMPLE)
async def learn(said: Address, asked: Posting) -> Response:
    """Record an address as the same person"""
    judge = await _judge(asked)

    def command(desk: Desk) -> Json:
        news = reviewing.learn(desk, said.address, said.participant, judge)
        return {**said.model_dump(), "is_known": True, "is_news": news}

    return await asked.write(command)


@routes.post("/review/known/forget", Verb.OPERATE, On.SITE, answer=KnownShape, example=EXAMPLE)
async def forget(said: Address, asked: Posting) -> Response:
    """Revoke a learned address: it is somebody unknown again"""
    judge = await _judge(asked)

    def command(desk: Desk) -> Json:
        news = reviewing.forget(desk, said.address, said.participant, judge)
        return {**said.model_dump(), "is_known": False, "is_news": news}

    return await asked.write(command)


@routes.post(
    "/review/apply",
    Verb.OPERATE,
    On.SITE,
    answer=SettledManyShape,
    example={"outcome": "held"},
)
async def apply_all(said: ApplyingAll, asked: Posting) -> Response:
    """Judge everything anew that waits and matches; trust is not overridden"""
    judge = await _judge(asked)
    if said.outcome and said.outcome not in REVIEW:
        raise InputError(f"outcome: is one of {', '.join(sorted(REVIEW))}")
    outcome = Outcome(said.outcome) if said.outcome else None
    matching = Matching(said.follow_up, outcome, said.reason)

    def command(desk: Desk) -> Json:
        rows, remaining = reviewing.apply_all(desk, matching, judge)
        return {"settled": rows, "left": remaining}

    return await asked.write(command)


@routes.post("/review/proposals/{proposal}/apply", Verb.OPERATE, On.SITE, answer=DecidedShape)
async def accept(number: Asked, asked: Posting) -> Response:
    """Accept the proposed time, which moves the follow-up and asks everybody again"""
    return await _decide(asked, number, accept=True)


@routes.post("/review/proposals/{proposal}/reject", Verb.OPERATE, On.SITE, answer=DecidedShape)
async def decline(number: Asked, asked: Posting) -> Response:
    """Decline the proposed time, and tell the invitee"""
    return await _decide(asked, number, accept=False)


async def _decide(asked: Asking, number: int, *, accept: bool) -> Response:
    def command(desk: Desk) -> Json:
        proposal, is_news = reviewing.decide(desk, number, accept=accept)
        return review_rows.decided(proposal, "accepted" if accept else "declined", is_news=is_news)

    return await asked.write(command)


@routes.get("/review/messages/{message}", Verb.OPERATE, On.SITE, answer=MessageShape)
async def one(number: Number, asked: Reading) -> Response:
    """One message: the rules in order, its headers and text, what it claims, what can be done"""
    judge = await _judge(asked)
    site, actor = asked.site, asked.actor
    bench = review.Desk(site.store, site.settings, judge, actor.by, site.clock())
    now = await site.run(lambda: review.foretell(bench, number))
    return await asked.read(lambda desk: reviewing.message(desk, number, judge, now))


@routes.post(
    "/review/messages/{message}/apply", Verb.OPERATE, On.SITE, answer=SettledShape, example={}
)
async def apply(number: Number, said: Applying, asked: Posting) -> Response:
    """Judge it anew by the rules of today, or say whose answer it is"""
    judge = await _judge(asked)
    if said.participant and said.add:
        raise InputError("add: participant says that they were invited, add that they were not")

    def command(desk: Desk) -> Json:
        return review_rows.settled(
            reviewing.apply(desk, number, judge, named=said.participant, add=said.add)
        )

    return await asked.write(command)


@routes.post(
    "/review/messages/{message}/reject",
    Verb.OPERATE,
    On.SITE,
    answer=SettledShape,
    example={"reason": "Spam"},
)
async def reject(number: Number, said: Rejecting, asked: Posting) -> Response:
    """Set it aside: it changes nothing, and waits no longer"""
    judge = await _judge(asked)
    return await asked.write(
        lambda desk: review_rows.settled(reviewing.reject(desk, number, judge, said.reason))
    )


@routes.post(
    "/review/messages/{message}/learn", Verb.OPERATE, On.SITE, answer=SettledShape, example={}
)
async def learn_from(number: Number, said: Learning, asked: Posting) -> Response:
    """Whoever wrote it is the invitee: learn their address, then judge it by the normal rules"""
    judge = await _judge(asked)
    return await asked.write(
        lambda desk: review_rows.settled(
            reviewing.learn_from(desk, number, judge, said.participant)
        )
    )


async def _judge(asked: Asking) -> review.Judge:
    """For nobody who may not."""
    permission.require(asked.actor, Verb.OPERATE)
    return await asked.site.run(asked.site.judge)
