"""Routes of webhooks: a connection of the CRM has its own, administrators see all."""

from typing import Annotated

from fastapi.responses import Response
from pydantic import BaseModel, Field

from gateway.actions import webhooks
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text
from gateway.followups.permission import Verb
from gateway.followups.webhooks import LONGEST_URL
from gateway.web.api import asking, filtering, models
from gateway.web.api.asking import Changing, Json, Listing, Made, Pages, Posting, Reading
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Number

routes = Routes("webhooks")

SAMPLE = {"number": "1"}


class NewWebhook(Entry):
    """Where events go. `types`: which; all where none is named."""

    url: Annotated[Text, Field(max_length=LONGEST_URL)]
    types: list[Text] | None = None


class ChangedWebhook(Entry):
    """What is another of a webhook; what is left out stays."""

    url: Annotated[Text, Field(max_length=LONGEST_URL)] | None = None
    types: list[Text] | None = None
    active: bool | None = None


class WebhookShape(BaseModel):
    """A webhook. `waiting`: how many events it is still to be told; `trouble`: what its receiver
    said last where that was no success; `secret`: where it was just made.
    """

    id: int
    url: str
    types: list[str]
    active: bool
    waiting: int
    trouble: str | None
    failing_since: str | None
    next_try_at: str | None
    created_by: str
    created_at: str
    secret: str = ""


class DeliveryShape(BaseModel):
    """An event that a webhook was told, or is to be. `id`: its webhook-id; `words`: what the
    receiver said last where that was no success.
    """

    delivery: int
    id: str
    type: str
    follow_up: str | None
    state: str
    tries: int
    code: int | None
    words: str | None
    created_at: str
    due: str | None
    settled_at: str | None


@routes.get("/webhooks", Verb.WEBHOOKS, On.SITE, answer=models.page_of(WebhookShape))
async def every(asked: Pages) -> Response:
    """Webhooks, without their secrets"""

    def look(desk: Desk) -> Listing:
        after = filtering.number_place(asked)
        rows = [hook for hook in webhooks.listing(desk) if hook.id > after]
        return filtering.numbered(
            asked, rows, lambda page: [webhooks.shape(desk, hook) for hook in page]
        )

    return await asked.read(look)


@routes.post(
    "/webhooks",
    Verb.WEBHOOKS,
    On.SITE,
    status=201,
    answer=WebhookShape,
    example={"url": "https://crm.example/invites", "types": ["participant.answered"]},
)
async def make(said: NewWebhook, asked: Posting) -> Response:
    """Make a webhook; this answer is the only one that shows its secret"""

    def command(desk: Desk) -> Made:
        hook, secret = webhooks.register(desk, said.url, said.types or ())
        shown = {**webhooks.shape(desk, hook), "secret": secret}
        return Made(shown, asking.path("webhooks", str(hook.id)))

    return await asked.write(command, once="secret")


@routes.get("/webhooks/{number}", Verb.WEBHOOKS, On.SITE, answer=WebhookShape, sample=SAMPLE)
async def one(number: Number, asked: Reading) -> Response:
    """One webhook"""
    return await asked.read(lambda desk: webhooks.shape(desk, webhooks.get(desk, number)))


@routes.patch(
    "/webhooks/{number}",
    Verb.WEBHOOKS,
    On.SITE,
    answer=WebhookShape,
    sample=SAMPLE,
    example={"active": True},
)
async def change(number: Number, said: ChangedWebhook, asked: Changing) -> Response:
    """Another address, other types, on or off; on again, it is told what it missed"""

    def command(desk: Desk) -> Json:
        asked.match(webhooks.shape(desk, webhooks.get(desk, number)))
        changed = webhooks.change(desk, number, url=said.url, types=said.types, active=said.active)
        return webhooks.shape(desk, changed)

    return await asked.write(command)


@routes.delete("/webhooks/{number}", Verb.WEBHOOKS, On.SITE, answer=WebhookShape, sample=SAMPLE)
async def remove(number: Number, asked: Changing) -> Response:
    """Forget a webhook, and what it was still to be told"""

    def command(desk: Desk) -> Json:
        shown = webhooks.shape(desk, webhooks.get(desk, number))
        asked.match(shown)
        webhooks.remove(desk, number)
        return shown

    return await asked.write(command)


@routes.post(
    "/webhooks/{number}/rotate", Verb.WEBHOOKS, On.SITE, sample=SAMPLE, answer=WebhookShape
)
async def rotate(number: Number, asked: Posting) -> Response:
    """A new secret, shown this once; for a day the former one signs beside it"""

    def command(desk: Desk) -> Json:
        secret = webhooks.rotate(desk, number)
        return {**webhooks.shape(desk, webhooks.get(desk, number)), "secret": secret}

    return await asked.write(command, once="secret")


@routes.post("/webhooks/{number}/test", Verb.WEBHOOKS, On.SITE, sample=SAMPLE, answer=WebhookShape)
async def test(number: Number, asked: Posting) -> Response:
    """Send it an event that means nothing"""

    def command(desk: Desk) -> Json:
        webhooks.trial(desk, number)
        return webhooks.shape(desk, webhooks.get(desk, number))

    return await asked.write(command)


@routes.get(
    "/webhooks/{number}/deliveries",
    Verb.WEBHOOKS,
    On.SITE,
    sample=SAMPLE,
    answer=models.page_of(DeliveryShape),
)
async def deliveries(number: Number, asked: Pages) -> Response:
    """What it was told, or is to be, and what it answered; the newest first"""

    def look(desk: Desk) -> Listing:
        before = filtering.number_place(asked) or None
        rows = webhooks.deliveries(desk, number, before, asked.limit + 1)
        return filtering.numbered(
            asked, rows, lambda page: [webhooks.delivery_shape(delivery) for delivery in page]
        )

    return await asked.read(look)


@routes.post(
    "/webhooks/{number}/deliveries/{delivery}/again",
    Verb.WEBHOOKS,
    On.SITE,
    sample={"number": "1", "delivery": "1"},
    answer=WebhookShape,
)
async def again(number: Number, delivery: Number, asked: Posting) -> Response:
    """Send an event once more, whatever became of it"""

    def command(desk: Desk) -> Json:
        webhooks.again(desk, number, delivery)
        return webhooks.shape(desk, webhooks.get(desk, number))

    return await asked.write(command)
