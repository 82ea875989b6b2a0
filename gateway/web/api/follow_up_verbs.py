"""Routes that make, change, move, assign and cancel follow-ups (docs/api.md).

What may be done, and by whom, is in `actions`: `recording`, `cancelling`, `moving`, `assigning`,
`carrying`, `reminders`. Here stands only how it is written. A date of a series is named by its
original start; times without offset are those of the follow-up's zone.
"""

from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, create_model

from gateway import shapes
from gateway.actions import (
    assigning,
    cancelling,
    carrying,
    load_format,
    moving,
    recording,
    reminders,
    series,
)
from gateway.actions.desk import Desk
from gateway.actions.load_format import Count, Entry, Reason, Text
from gateway.errors import Refused
from gateway.followups.permission import Verb
from gateway.store import columns, followups, records
from gateway.web.api import asking, documents, models, shown
from gateway.web.api.asking import Changing, Json, Made, Posting, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key

routes = Routes("follow-ups")

Time = Annotated[Text, Field(min_length=1, max_length=40)]
Instance = Annotated[str, Path(min_length=1, max_length=40, description="Its original start.")]
Day = Annotated[str, Query(min_length=1, max_length=40)]
Patch = dict[str, Any]
ONCE: Any = Annotated[Any, Field(json_schema_extra={"readOnly": True})]
READ_ONLY: dict[str, Any] = dict.fromkeys(shapes.FOLLOW_UP_READ_ONLY, (ONCE, None))
Body = create_model(
    "FollowUpBody",
    __base__=load_format.FollowUp,
    key=(load_format.Key | None, None),
    participants=(list[dict[str, Any]], []),
    **READ_ONLY,
)
"""What POST and PUT take: an entry of `load`; what GET shows beside it is left alone."""
EXAMPLE = {
    "title": "Lunch",
    "start": "2026-12-03T12:00:00",
    "end": "2026-12-03T13:00:00",
    "timezone": "Europe/Oslo",
}


class Cancelled(Entry):
    reason: Reason = ""
    instance: Text = ""


class Reinstated(Entry):
    instance: Text = ""


class When(Entry):
    """`instance`: of one date; `from`: of this and all future."""

    start: Time
    end: Text = ""
    instance: Text = ""
    since: Annotated[Text, Field(alias="from")] = ""


class Stopped(Entry):
    after: Time


class Split(Entry):
    """What is another from that date on."""

    since: Annotated[Time, Field(alias="from")]
    title: Text | None = None
    location: Text | None = None
    agenda: Text | None = None
    start: Time | None = None
    end: Time | None = None
    rrule: Text | None = None


class Date(Entry):
    start: Text = ""
    end: Text = ""


class Assigned(Entry):
    to: load_format.Key


class Completed(Entry):
    completed: bool = True


class Carried(Entry):
    start: Text = ""
    minutes: Count | None = None


class RemindedShape(BaseModel):
    """`reminded`: the numbers of the rows."""

    reminded: list[int]


class OneDateShape(BaseModel):
    """A date of a series, by its own times; `instance` is null where it does not recur."""

    instance: str | None
    start: str | None
    end: str | None
    cancelled: bool
    cancel_reason: str


class DatesShape(BaseModel):
    items: list[OneDateShape]


@routes.post(
    "/follow-ups", Verb.CREATE, On.SITE, status=201, example=EXAMPLE, answer=models.FollowUpShape
)
async def create(said: Body, asked: Posting) -> Response:
    """Make a follow-up; a key is made where none is given"""

    def command(desk: Desk) -> Made:
        key = recording.create(desk, _document(said))
        return Made(shown.follow_up(desk, key), asking.path("follow-ups", key))

    return await asked.write(command)


@routes.put(
    "/follow-ups/{key}", Verb.EDIT, On.FOLLOW_UP, example=EXAMPLE, answer=models.FollowUpShape
)
async def put(key: Key, said: Body, asked: Changing) -> Response:
    """Make a follow-up of this key, or say anew all that it is"""

    def command(desk: Desk) -> Json | Made:
        is_there = records.exists(desk.connection, key)
        asked.match(_matched(desk, key) if is_there else None)
        recording.put(desk, key, _document(said))
        shape = shown.follow_up(desk, key)
        return shape if is_there else Made(shape, asking.path("follow-ups", key))

    return await asked.write(command)


@routes.patch(
    "/follow-ups/{key}",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"title": "Long lunch"},
    answer=models.FollowUpShape,
)
async def change(key: Key, said: Patch, asked: Changing) -> Response:
    """Change what is said of a follow-up (JSON merge patch)"""

    def command(desk: Desk) -> Json:
        before = _matched(desk, key)
        asked.match(before)
        if fault := before["fault"]:
            raise Refused(f"the record cannot be read ({fault}); say all of it with PUT")
        document = documents.patched(shapes.writable(before), said)
        recording.put(desk, key, shapes.writable(document))
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.delete("/follow-ups/{key}", Verb.EDIT, On.FOLLOW_UP, answer=models.FollowUpShape)
async def delete(key: Key, asked: Changing) -> Response:
    """Cancel it; it is gone once everybody was told"""

    def command(desk: Desk) -> Json:
        before = _matched(desk, key)
        asked.match(before)
        recording.delete(desk, key)
        return shown.follow_up(desk, key) if records.exists(desk.connection, key) else before

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/cancel",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"reason": "Illness"},
    answer=models.FollowUpShape,
)
async def cancel(key: Key, asked: Posting, said: Cancelled | None = None) -> Response:
    """Cancel all of it, or one date, with a reason"""
    cancelled = said or Cancelled()

    def command(desk: Desk) -> Json:
        cancelling.cancel(desk, key, cancelled.reason, cancelled.instance)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/reinstate", Verb.EDIT, On.FOLLOW_UP, example={}, answer=models.FollowUpShape
)
async def reinstate(key: Key, asked: Posting, said: Reinstated | None = None) -> Response:
    """Let it, or one date of it, take place again: a fresh invitation"""
    instance = said.instance if said is not None else ""

    def command(desk: Desk) -> Json:
        cancelling.reinstate(desk, key, instance)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/reschedule",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"start": "2026-12-02T09:00:00"},
    answer=models.FollowUpShape,
)
async def reschedule(key: Key, said: When, asked: Posting) -> Response:
    """Give all of it, one date, or this and all future other times: everybody is asked again"""
    when = moving.When(said.start, said.end, said.instance, said.since)

    def command(desk: Desk) -> Json | Made:
        moved = moving.reschedule(desk, key, when)
        shape = shown.follow_up(desk, moved)
        return shape if moved == key else Made(shape, asking.path("follow-ups", moved))

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/stop",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"after": "2026-12-31"},
    answer=models.FollowUpShape,
)
async def stop(key: Key, said: Stopped, asked: Posting) -> Response:
    """Let a series have no dates after this one; answers stay"""

    def command(desk: Desk) -> Json:
        moving.stop(desk, key, said.after)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/split",
    Verb.EDIT,
    On.FOLLOW_UP,
    status=201,
    example={"from": "2026-12-08T09:00:00", "title": "From now on"},
    answer=models.FollowUpShape,
)
async def split(key: Key, said: Split, asked: Posting) -> Response:
    """Let a series be another one from this date on; answers with that one"""

    def command(desk: Desk) -> Made:
        desk.edit(key)
        continued = moving.split(desk, key, said.since, _changes(desk, key, said))
        return Made(shown.follow_up(desk, continued.key), asking.path("follow-ups", continued.key))

    return await asked.write(command)


@routes.get(
    "/follow-ups/{key}/dates",
    Verb.SEE,
    On.FOLLOW_UP,
    sample={"from": "2026-12-01", "to": "2026-12-31"},
    answer=DatesShape,
)
async def dates(
    key: Key, asked: Reading, since: Annotated[Day, Query(alias="from")], to: Day
) -> Response:
    """The dates of a series between two times, cancelled ones too; at most 400"""

    def look(desk: Desk) -> Json:
        series = moving.dates(desk, key, since, to)
        return {"items": [_date(date, series.zone) for date in series.dates]}

    return await asked.read(look)


@routes.put(
    "/follow-ups/{key}/dates/{instance}",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"start": "2026-12-02T12:00:00"},
    sample={"instance": "2026-12-01T09:00:00"},
    answer=models.FollowUpShape,
)
async def put_date(key: Key, instance: Instance, said: Date, asked: Changing) -> Response:
    """Move a date of a series, add one, or give one back its own times"""

    def command(desk: Desk) -> Json:
        asked.match(_matched(desk, key))
        moving.put_date(desk, key, instance, said.start, said.end)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.delete(
    "/follow-ups/{key}/dates/{instance}",
    Verb.EDIT,
    On.FOLLOW_UP,
    sample={"instance": "2026-12-01T09:00:00"},
    answer=models.FollowUpShape,
)
async def drop_date(key: Key, instance: Instance, asked: Changing) -> Response:
    """Take a date out of a series"""

    def command(desk: Desk) -> Json:
        asked.match(_matched(desk, key))
        moving.drop_date(desk, key, instance)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/assign",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"to": "per"},
    answer=models.FollowUpShape,
)
async def assign(key: Key, said: Assigned, asked: Posting) -> Response:
    """Give it to another associate, who is asked to accept it; also again, after a decline"""

    def command(desk: Desk) -> Json:
        assigning.assign(desk, key, said.to)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/complete",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"completed": True},
    answer=models.FollowUpShape,
)
async def complete(key: Key, asked: Posting, said: Completed | None = None) -> Response:
    """Tick it off, or take that back: what is completed refuses edits"""
    completed = said is None or said.completed

    def command(desk: Desk) -> Json:
        carrying.complete(desk, key, completed=completed)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post(
    "/follow-ups/{key}/carry-out",
    Verb.EDIT,
    On.FOLLOW_UP,
    example={"minutes": 10},
    answer=models.FollowUpShape,
)
async def carry_out(key: Key, asked: Posting, said: Carried | None = None) -> Response:
    """Carry a planned call out: it begins now, or when one says"""
    carried = said or Carried()

    def command(desk: Desk) -> Json:
        carrying.carry_out(desk, key, carried.start, carried.minutes)
        return shown.follow_up(desk, key)

    return await asked.write(command)


@routes.post("/follow-ups/{key}/remind", Verb.EDIT, On.FOLLOW_UP, answer=RemindedShape)
async def remind(key: Key, asked: Posting) -> Response:
    """Remind those who have not answered, once a day"""

    def command(desk: Desk) -> Json:
        return {"reminded": reminders.ask(desk, key)}

    return await asked.write(command)


def _document(said: Any) -> Json:
    return shapes.writable(said.model_dump(exclude_unset=True))


def _matched(desk: Desk, key: str) -> Json:
    """What is there, for those who may change it; nobody else writes to it meanwhile."""
    followups.lock(desk.connection, key)
    records.hold(desk.connection, key)
    desk.require(Verb.EDIT, key)
    return shown.follow_up(desk, key)


def _changes(desk: Desk, key: str, said: Split) -> dict[str, Any]:
    """The columns that are another from then on."""
    changes: dict[str, Any] = {
        "title": said.title,
        "location": said.location,
        "agenda": said.agenda,
        "rrule": said.rrule,
    }
    whole = series.of(desk.connection, key, desk.settings)
    for column, field, text in (("start_at", "start", said.start), ("end_at", "end", said.end)):
        if text is not None:
            changes[column] = columns.instant(moving.read(whole, field, text))
    return {name: value for name, value in changes.items() if value is not None}


def _date(date: moving.Date, zone: str) -> Json:
    return {
        "instance": shapes.moment(date.original, zone),
        "start": shapes.moment(date.start, zone),
        "end": shapes.moment(date.end, zone),
        "cancelled": date.cancelled,
        "cancel_reason": date.cancel_reason,
    }
