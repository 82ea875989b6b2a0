"""Routes of what waits for a person (docs/api.md; domain.md §9)."""

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gateway.actions import decisions
from gateway.actions.decisions import Chosen
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Key, Text, Word
from gateway.followups.decisions import DecisionKind
from gateway.followups.permission import Verb
from gateway.store.decisions import Filter
from gateway.web.api import filtering, models
from gateway.web.api.asking import Json, Listing, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes

routes = Routes("decisions")

Number = Annotated[int, Path(alias="id", ge=1, le=2**53)]
LONGEST_COMMENT = 1_000


class Choosing(Entry):
    """What is chosen. `start` and `end`: to reschedule; `to`: the associate it is assigned to;
    `address`: the corrected one.
    """

    choice: Word
    comment: Annotated[Text, Field(max_length=LONGEST_COMMENT)] = ""
    start: Text = ""
    end: Text = ""
    to: Key = ""
    address: Text = ""


class DecisionShape(BaseModel):
    """What waits for a person, or waited."""

    id: int
    kind: DecisionKind
    follow_up: str | None
    participant: int | None
    instance: str | None
    associate: str
    subject: str
    message: int | None
    proposal: int | None
    detail: dict[str, Any]
    choices: list[str]
    opened_at: str
    closed_at: str | None
    closed_by: str
    choice: str


@routes.get("/decisions", Verb.SEE, On.OWN, answer=models.page_of(DecisionShape))
async def every(
    asked: Pages,
    kind: Annotated[DecisionKind | None, Query(description="Of this kind only.")] = None,
    follow_up: Annotated[str | None, Query(max_length=1000, description="Of this only.")] = None,
) -> Response:
    """What waits for whoever asks, newest first"""

    def look(desk: Desk) -> Listing:
        kinds = frozenset() if kind is None else frozenset({kind})
        selection = Filter(kinds=kinds, follow_up=follow_up)
        before = filtering.number_place(asked) or None
        rows = decisions.mine(desk, selection, asked.limit + 1, before)
        return filtering.numbered(asked, rows, lambda page: decisions.shown(desk, page))

    return await asked.read(look)


@routes.get("/decisions/{id}", Verb.SEE, On.DECISION, answer=DecisionShape)
async def one(number: Number, asked: Reading) -> Response:
    """One decision, open or closed"""

    def look(desk: Desk) -> Json:
        [shown] = decisions.shown(desk, [decisions.get(desk, number)])
        return shown

    return await asked.read(look)


@routes.post(
    "/decisions/{id}", Verb.SEE, On.DECISION, answer=DecisionShape, example={"choice": "keep"}
)
async def decide(number: Number, said: Choosing, asked: Posting) -> Response:
    """Close a decision with one of its choices, and do what that says"""
    judge = await asked.site.run(asked.site.judge)
    chosen = Chosen(**said.model_dump())

    def command(desk: Desk) -> Json:
        [shown] = decisions.shown(desk, [decisions.decide(desk, number, chosen, judge)])
        return shown

    return await asked.write(command)
