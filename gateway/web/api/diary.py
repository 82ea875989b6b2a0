"""Routes of diaries, of free times and of who is busy (docs/api.md, domain.md §5, §8)."""

from typing import Annotated, Any, Self

from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, model_validator

from gateway.actions import asked as answers
from gateway.actions import diaries, diary_views, directory
from gateway.actions.asked import Switches
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Key
from gateway.errors import InputError
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.store.diary_views import View
from gateway.web.api import models, times
from gateway.web.api.asking import Changing, Json, Listing, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.api.times import At

routes = Routes("diary")


From = Annotated[At, Query(alias="from", description=f"From then on: {times.DESCRIBED}.")]
To = Annotated[At, Query(alias="to", description="Before this, at most 92 days later.")]
Of = Annotated[
    str,
    Query(
        min_length=1,
        max_length=10_000,
        description="Keys of associates and resources, with commas; KIND:KEY where both have one.",
    ),
]


class Shape(BaseModel):
    """What somebody is occupied by, and what they are to do."""

    diaries: list[dict[str, Any]]


class Views(BaseModel):
    """Saved groups of diaries."""

    views: list[dict[str, Any]]


class SaidView(Entry):
    """One of them. `of`: KIND:KEY, or keys of associates and resources, in their order."""

    name: str
    of: Annotated[list[str], Field(max_length=diaries.MOST_DIARIES)]


class SaidViews(Entry):
    views: Annotated[list[SaidView], Field(max_length=diary_views.MOST)]


class Slots(BaseModel):
    """At most three times, in their order."""

    slots: list[dict[str, str]]


class Marks(BaseModel):
    """Who of those that were asked for is busy, and who is not."""

    busy: list[dict[str, str]]
    free: list[dict[str, str]]


class Somebody(Entry):
    """Who is to be free: exactly one of them. People outside the house do not count."""

    associate: Key | None = None
    resource: Key | None = None
    person: Key | None = None
    email: Key | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in self.model_dump().values()) != 1:
            raise ValueError("says exactly one of associate, resource, person, email")
        return self


class Search(Entry):
    """Which time is looked for. `within`: working hours in the place of everybody's own, like
    {"monday": ["08:00", "16:00"]}. `except`: a follow-up that is to be moved, and does not count.
    """

    participants: Annotated[list[Somebody], Field(min_length=1, max_length=2_000)]
    minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)]
    not_before: At | None = None
    until: At | None = None
    within: dict[str, list[str]] | None = None
    without: Annotated[str, Field(alias="except", max_length=1000)] = ""

    @property
    def names(self) -> list[str]:
        ours = [
            f"associate:{participant.associate}"
            for participant in self.participants
            if participant.associate
        ]
        return ours + [
            f"resource:{participant.resource}"
            for participant in self.participants
            if participant.resource
        ]


@routes.get(
    "/diary",
    Verb.SEE,
    On.LIST,
    answer=Shape,
    sample={"of": "nils,room1", "from": "2026-12-01T00:00:00Z", "to": "2026-12-08T00:00:00Z"},
)
async def shown(of: Of, since: From, until: To, asked: Reading) -> Response:
    """Diaries of associates and resources, with every date of series and the tasks of associates"""

    def look(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.SEE)
        return diaries.shown(desk, _names(of), (times.at(desk, since), times.at(desk, until)))

    return await asked.read(look)


@routes.get("/diary-views", Verb.SEE, On.OWN, answer=Views)
async def views(asked: Reading) -> Response:
    """Your saved groups of diaries"""
    return await asked.read(lambda desk: diary_views.shown(_own_views(desk)))


@routes.put(
    "/diary-views",
    Verb.SEE,
    On.OWN,
    answer=Views,
    example={"views": [{"name": "Sales and the large room", "of": ["kari", "per", "room1"]}]},
)
async def state(said: SaidViews, asked: Changing) -> Response:
    """Say all of them anew"""

    def command(desk: Desk) -> Json:
        asked.match(diary_views.shown(_own_views(desk)))
        views = [View(view.name, tuple(view.of)) for view in said.views]
        return diary_views.shown(diary_views.state(desk, views))

    return await asked.write(command)


def _own_views(desk: Desk) -> list[View]:
    directory.own(desk)
    return diary_views.every(desk)


@routes.get(
    "/busy",
    Verb.SEE,
    On.LIST,
    answer=Marks,
    sample={"of": "nils,room1", "from": "2026-12-01T08:00:00Z", "to": "2026-12-01T09:00:00Z"},
)
async def busy(
    of: Of,
    since: From,
    until: To,
    asked: Reading,
    without: Annotated[
        str, Query(alias="except", max_length=1000, description="A follow-up that does not count.")
    ] = "",
) -> Response:
    """Which of these are busy at that time, for a picker"""

    def look(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.SEE)
        period = times.at(desk, since), times.at(desk, until)
        return diaries.busy(desk, _names(of), period, without)

    return await asked.read(look)


@routes.get("/invitations", Verb.SEE, On.OWN, answer=models.page_of(models.InvitationShape))
async def invitations(
    asked: Pages,
    responses: Annotated[bool, Query(description="What those you asked have declined.")] = False,
    declined: Annotated[bool, Query(description="What you have declined.")] = False,
    repetitions: Annotated[bool, Query(description="Series date by date.")] = False,
) -> Response:
    """What you are asked and have not answered, in the order of time"""

    def look(desk: Desk) -> Listing:
        switches = Switches(responses, declined, repetitions)
        items = answers.invitations(desk, switches)
        after = asked.position(str, int, str)
        if after is not None:
            items = [item for item in items if answers.place(item) > after]
        shown = items[: asked.limit]
        more = len(items) > asked.limit
        return Listing(shown, answers.place(shown[-1]) if more else None)

    return await asked.read(look)


@routes.post(
    "/first-available",
    Verb.SEE,
    On.SITE,
    answer=Slots,
    example={
        "participants": [{"associate": "kari"}, {"associate": "per"}, {"resource": "room1"}],
        "minutes": 60,
        "not_before": "2026-12-01T08:00:00Z",
    },
)
async def first_available(said: Search, asked: Posting) -> Response:
    """The first three times at which all of these are free, within their working hours"""

    def look(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.SEE)
        return diaries.first_available(
            desk,
            _few("participants", said.names),
            said.minutes,
            (times.instant(desk, said.not_before), times.instant(desk, said.until)),
            said.within,
            said.without,
        )

    return await asked.read(look)


def _names(of: str) -> list[str]:
    names = [name for part in of.split(",") if (name := part.strip())]
    if not names:
        raise InputError("of: names nobody")
    return _few("of", names)


def _few(field: str, names: list[str]) -> list[str]:
    if len(names) > diaries.MOST_DIARIES:
        raise InputError(f"{field}: at most {diaries.MOST_DIARIES} diaries at a time")
    return names
