"""Routes that change who takes part in a follow-up, and what they said (docs/api.md).

What may be done, and by whom, is in `actions.inviting` and `actions.answering`; here stands only
how it is written. A date of a series is named by its original start, as in the rest of the API.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from fastapi import Path
from fastapi.responses import Response
from pydantic import BaseModel, Field, model_validator

from gateway.actions import answering, inviting, moving, series
from gateway.actions.answering import Own, Said
from gateway.actions.desk import Desk
from gateway.actions.inviting import Added, Switched
from gateway.actions.load_format import Count, Entry, Key, Text, Word
from gateway.followups import invitees
from gateway.followups.invitees import Source
from gateway.followups.permission import Verb
from gateway.model import Moment, Progress, Reply
from gateway.web.api import models, shown
from gateway.web.api.asking import Changing, Json, Posting
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key as FollowUpKey

routes = Routes("participants")

Number = Annotated[int, Path(alias="id", ge=1, le=2**53)]
SOURCES = tuple(source.value for source in Source)


class Pick(Entry):
    """One source of participants: exactly one of them. `name`: of a bare address."""

    person: Key | None = None
    associate: Key | None = None
    resource: Key | None = None
    email: Key | None = None
    group: Key | None = None
    resource_group: Key | None = None
    company: Key | None = None
    project: Key | None = None
    selection: Key | None = None
    all: Literal["associates", "resources"] | None = None
    name: Text = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(getattr(self, source) is not None for source in SOURCES) != 1:
            raise ValueError(f"says exactly one of {', '.join(SOURCES)}")
        return self

    @property
    def entry(self) -> invitees.Entry:
        source = next(kind for kind in Source if getattr(self, kind.value) is not None)
        return invitees.Entry(source, getattr(self, source.value), self.name)


class Picks(Entry):
    add: Annotated[list[Pick], Field(min_length=1, max_length=invitees.MOST)]
    email_invite: bool = False


class Switch(Entry):
    on: bool


class Answer(Entry):
    reply: Literal["accepted", "declined", "tentative"]
    comment: Annotated[Text, Field(max_length=answering.LONGEST_COMMENT)] = ""
    instance: Text | None = None


class Instance(Entry):
    instance: Text | None = None


class Changes(Entry):
    """What a patch of a row may say. What it leaves out stays."""

    email_invite: bool = False
    removed: bool = False
    address: Text = ""
    priority: Word | None = None
    alarm_minutes: Count | None = None
    progress: Literal["not_started", "started", "completed"] = "not_started"


class PickShape(BaseModel):
    """What became of one who was picked. `entry`: the number in `add`; who it is stands in the
    member of that name.
    """

    entry: int
    person: str | None = None
    associate: str | None = None
    resource: str | None = None
    email: str | None = None
    result: str
    reason: str
    participant: models.ParticipantShape | None


class PickedShape(BaseModel):
    results: list[PickShape]


class SwitchShape(BaseModel):
    """A row's switch as it is then; `reason`: why it is not as it was asked for."""

    on: bool
    reason: str
    participant: models.ParticipantShape


class SwitchedShape(BaseModel):
    on: bool
    results: list[SwitchShape]


@routes.post(
    "/follow-ups/{key}/participants",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"add": [{"person": "ola"}, {"all": "resources"}], "email_invite": True},
    answer=PickedShape,
)
async def add(key: FollowUpKey, said: Picks, asked: Posting) -> Response:
    """Add participants from every source; each is added, present or refused"""

    def command(desk: Desk) -> Json:
        entries = [pick.entry for pick in said.add]
        added = inviting.add(desk, key, entries, email_invite=said.email_invite)
        rows = _rows(desk, [addition.row for addition in added if addition.row is not None])
        return {"results": [_added(addition, rows) for addition in added]}

    return await asked.write(command)


@routes.put(
    "/follow-ups/{key}/email-invitation",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"on": True},
    answer=SwitchedShape,
)
async def switch_all(key: FollowUpKey, said: Switch, asked: Changing) -> Response:
    """Turn the e-mail invitation of everybody but the owner and the resources on or off"""

    def command(desk: Desk) -> Json:
        desk.edit(key)
        asked.match(shown.follow_up(desk, key))
        switched = inviting.switch_all(desk, key, on=said.on)
        rows = _rows(desk, [row.row for row in switched])
        return {"on": said.on, "results": [_switched(row, rows) for row in switched]}

    return await asked.write(command)


@routes.patch(
    "/participants/{id}",
    Verb.ANSWER,
    On.OWN_ROW,
    example={"priority": "high"},
    answer=models.ParticipantShape,
)
async def change(number: Number, said: Changes, asked: Changing) -> Response:
    """Change a row: the switch, whether it takes part, its address, or what is the invitee's own"""

    def command(desk: Desk) -> Json:
        desk.participant(number, Verb.ANSWER)
        asked.match(shown.participant(desk, number))
        _change(desk, number, said)
        return shown.participant(desk, number)

    return await asked.write(command)


@routes.post(
    "/participants/{id}/answer",
    Verb.ANSWER,
    On.OWN_ROW,
    example={"reply": "accepted"},
    answer=models.ParticipantShape,
)
async def answer(number: Number, said: Answer, asked: Posting) -> Response:
    """Accept, decline, or say maybe, to all of it or to one date"""

    def command(desk: Desk) -> Json:
        instance = _instance(desk, number, said.instance, Verb.ANSWER)
        answering.answer(desk, number, Said(Reply(said.reply), said.comment, instance))
        return shown.participant(desk, number)

    return await asked.write(command)


@routes.post(
    "/participants/{id}/seen", Verb.OWN, On.OWN_ROW, example={}, answer=models.ParticipantShape
)
async def see(number: Number, asked: Posting, said: Instance | None = None) -> Response:
    """The invitation was opened, and closed without an answer"""

    def command(desk: Desk) -> Json:
        instance = _instance(desk, number, said.instance if said else None, Verb.OWN)
        answering.see(desk, number, instance)
        return shown.participant(desk, number)

    return await asked.write(command)


@routes.post(
    "/participants/{id}/toggle",
    Verb.EDIT,
    On.PARTICIPANT,
    example={},
    answer=models.ParticipantShape,
)
async def toggle(number: Number, asked: Posting, said: Instance | None = None) -> Response:
    """Set the status by hand, on somebody's behalf: none, accepted, declined, none"""

    def command(desk: Desk) -> Json:
        instance = _instance(desk, number, said.instance if said else None, Verb.EDIT)
        answering.toggle(desk, number, instance)
        return shown.participant(desk, number)

    return await asked.write(command)


@routes.post(
    "/participants/{id}/acknowledge", Verb.EDIT, On.PARTICIPANT, answer=models.ParticipantShape
)
async def acknowledge(number: Number, asked: Posting) -> Response:
    """Take note of a decline: it waits for nobody any more"""

    def command(desk: Desk) -> Json:
        answering.acknowledge(desk, number)
        return shown.participant(desk, number)

    return await asked.write(command)


@routes.post("/participants/{id}/resend", Verb.EDIT, On.PARTICIPANT, answer=models.ParticipantShape)
async def resend(number: Number, asked: Posting) -> Response:
    """Send the invitation once more, once an hour"""

    def command(desk: Desk) -> Json:
        inviting.resend(desk, number)
        return shown.participant(desk, number)

    return await asked.write(command)


def _change(desk: Desk, number: int, said: Changes) -> None:
    named = said.model_fields_set
    if "removed" in named and not said.removed:
        inviting.restore(desk, number)
    if "address" in named:
        inviting.readdress(desk, number, said.address)
    if "email_invite" in named:
        inviting.switch(desk, number, on=said.email_invite)
    if named & {"priority", "alarm_minutes", "progress"}:
        answering.adjust(desk, number, _own(said))
    if "removed" in named and said.removed:
        inviting.remove(desk, number)


def _own(said: Changes) -> Own:
    """Null takes a priority or an alarm away (RFC 7396)."""
    named, own = said.model_fields_set, Own()
    if "priority" in named:
        own = Own(said.priority or "", own.alarm_minutes, own.progress)
    if "alarm_minutes" in named:
        minutes = -1 if said.alarm_minutes is None else said.alarm_minutes
        own = Own(own.priority, minutes, own.progress)
    if "progress" in named:
        own = Own(own.priority, own.alarm_minutes, Progress(said.progress))
    return own


def _instance(desk: Desk, number: int, text: str | None, verb: Verb) -> Moment | None:
    """The date that is named, once it is clear that the actor may ask."""
    row = desk.participant(number, verb)
    if text is None:
        return None
    whole = series.of(desk.connection, row.follow_up, desk.settings)
    return moving.read(whole, "instance", text)


def _rows(desk: Desk, numbers: Sequence[int]) -> dict[int, Json]:
    return {row["id"]: row for row in shown.rows(desk, numbers)}


def _added(addition: Added, rows: dict[int, Json]) -> Json:
    kind, _, key = addition.who.partition(":")
    named: Json = {"entry": addition.entry, **({kind: key} if kind else {})}
    row = rows.get(addition.row) if addition.row is not None else None
    return {
        **named,
        "result": addition.result.value,
        "reason": addition.reason.value,
        "participant": row,
    }


def _switched(switched: Switched, rows: dict[int, Json]) -> Json:
    return {"on": switched.on, "reason": switched.reason.value, "participant": rows[switched.row]}
