"""Programs that come in and that are told: tokens and webhooks (`invite-gateway token`, `webhook`).

Security: a token and a secret are shown on the page that made them, and never again.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Form, Query
from fastapi.responses import Response

from gateway.actions import access, webhooks
from gateway.actions.desk import Desk
from gateway.errors import GatewayError, NotFound
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.followups.webhooks import LONGEST_URL, EventType
from gateway.i18n import marked
from gateway.model import Access
from gateway.store import cards, tokens
from gateway.store.tokens import Token
from gateway.store.webhooks import Delivery, DeliveryState, Webhook
from gateway.web.keys import Number
from gateway.web.pages.admin import entrance
from gateway.web.pages.visit import Facts, Visit, Visiting

router = entrance.router()

ROLES = {
    Access.CRM: marked("The CRM itself: everything of the domain"),
    Access.USER: marked("An associate: what they may do"),
    Access.READ: marked("Reads what is not private"),
    Access.ADMIN: marked("Administers: users, tokens, queue, review"),
}
STATES = {
    DeliveryState.WAITING: marked("Waits"),
    DeliveryState.DELIVERED: marked("Told"),
    DeliveryState.GIVEN_UP: marked("Given up"),
}
ASKED = {
    "off": (
        marked("Switch webhook %(number)s off?"),
        marked("Nothing is told there. When it is switched on again, it is told what it missed."),
        marked("Switch off"),
    ),
    "rotate": (
        marked("A new secret for webhook %(number)s?"),
        marked("For a day the former secret signs beside the new one."),
        marked("New secret"),
    ),
    "remove": (
        marked("Remove webhook %(number)s?"),
        marked("It is forgotten, with what it was still to be told."),
        marked("Remove"),
    ),
}
"""What is asked before something is done to a webhook: title, what follows, the button."""
TYPES = tuple(kind for kind in EventType if kind is not EventType.TEST)
Before = Annotated[int, Query(ge=0, le=2**53)]


@router.get("/connections")
async def listed(here: Visiting, after: Number = 0) -> Response:
    """Tokens and webhooks"""
    return await here.page("pages/admin/connections.html", lambda desk: _listed(here, desk, after))


def _listed(here: Visit, desk: Desk, after: int) -> Facts:
    permission.require(desk.actor, Verb.OPERATE)
    rows = tokens.every(desk.connection, after, entrance.PAGE + 1)
    shown = rows[: entrance.PAGE]
    is_more = len(rows) > entrance.PAGE
    more = entrance.address("/connections", after=shown[-1].id) if is_more else ""
    return {
        "tokens": [_token(here, token) for token in shown],
        "next": more,
        "hooks": [_hook(here, desk, hook) for hook in webhooks.listing(desk)],
        "roles": roles(here),
        "associates": list(cards.associates(desk.connection).items()),
        "types": [kind.value for kind in TYPES],
    }


def roles(here: Visit) -> list[tuple[str, str]]:
    return [(role.value, here.texts.gettext(word)) for role, word in ROLES.items()]


def _token(here: Visit, token: Token) -> Facts:
    return {
        "id": token.id,
        "name": token.name,
        "role": here.texts.gettext(ROLES[token.role]),
        "associate": token.associate,
        "by": token.created_by,
        "made": here.ago(token.created_at),
        "used": here.ago(token.used_at),
        "revoked": here.ago(token.revoked_at),
    }


# --- tokens ---


@router.post("/tokens")
async def make_token(
    here: Visiting,
    name: Annotated[str, Form(max_length=200)],
    role: Annotated[Literal["user", "read", "crm", "admin"], Form()],
    associate: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Make a token; this page is the only one that shows it"""
    applied_for = access.Wanted(name.strip(), Access(role), associate.strip())
    return await once(
        here,
        lambda desk: access.make_token(desk, applied_for)[1],
        marked("The token"),
        "/connections",
    )


@router.get("/tokens/{number}/revoke")
async def ask_revoke(here: Visiting, number: Number) -> Response:
    """What follows, before it is revoked"""

    def look(desk: Desk) -> Facts:
        token = tokens.one(desk.connection, number)
        if token is None:
            raise NotFound(marked("there is no token %(number)s"), number=number)
        return {
            "title": here.texts.gettext("Revoke the token %(name)s?") % {"name": token.name},
            "follows": here.texts.gettext(
                "It lets nobody in from then on. If it is the last one of its connection, nothing"
                " is told to its webhooks any more."
            ),
            "word": here.texts.gettext("Revoke"),
            "back": entrance.address("/connections"),
            "fields": {},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/tokens/{number}/revoke")
async def revoke(here: Visiting, number: Number) -> Response:
    """Let it in no more"""

    def command(desk: Desk) -> str:
        access.revoke_token(desk, number)
        return entrance.address("/connections")

    return await here.write(command, "token-revoked")


# --- webhooks ---


def _hook(here: Visit, desk: Desk, hook: Webhook) -> Facts:
    shape = webhooks.shape(desk, hook)
    return {
        "id": hook.id,
        "url": hook.url,
        "active": hook.active,
        "types": hook.types,
        "by": hook.created_by,
        "made": here.ago(hook.created_at),
        "trouble": hook.trouble,
        "since": here.ago(hook.failing_since),
        "again": here.ago(hook.rest_until),
        "waiting": shape["waiting"],
    }


@router.post("/webhooks")
async def register(
    here: Visiting,
    url: Annotated[str, Form(max_length=LONGEST_URL)],
    kind: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Tell a program from now on; this page is the only one that shows the secret"""
    return await once(
        here,
        lambda desk: webhooks.register(desk, url.strip(), kind or ())[1],
        marked("The secret of the webhook"),
        "/connections",
    )


@router.get("/webhooks/{number}")
async def one(here: Visiting, number: Number, before: Before = 0) -> Response:
    """One webhook, and what it was told"""

    def look(desk: Desk) -> Facts:
        hook = webhooks.get(desk, number)
        rows = webhooks.deliveries(desk, number, before or None, entrance.PAGE + 1)
        shown = rows[: entrance.PAGE]
        is_more = len(rows) > entrance.PAGE
        to = entrance.address(f"/webhooks/{number}", before=shown[-1].id) if is_more else ""
        return {
            "hook": _hook(here, desk, hook),
            "deliveries": [_delivery(here, delivery) for delivery in shown],
            "next": to,
            "types": [kind.value for kind in TYPES],
        }

    return await here.page("pages/admin/webhook.html", look)


def _delivery(here: Visit, delivery: Delivery) -> Facts:
    is_waiting = delivery.state is DeliveryState.WAITING
    return {
        "is": delivery,
        "name": webhooks.name(delivery),
        "state": here.texts.gettext(STATES[delivery.state]),
        "made": here.ago(delivery.created_at),
        "due": here.ago(delivery.due_at) if is_waiting else "",
    }


@router.post("/webhooks/{number}/change")
async def change(
    here: Visiting,
    number: Number,
    url: Annotated[str, Form(max_length=LONGEST_URL)],
    kind: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Another address, or other events"""

    def command(desk: Desk) -> str:
        webhooks.change(desk, number, url=url.strip(), types=kind or ())
        return entrance.address(f"/webhooks/{number}")

    return await here.write(command, "saved")


@router.get("/webhooks/{number}/{verb}")
async def ask(here: Visiting, number: Number, verb: Literal["off", "rotate", "remove"]) -> Response:
    """What follows, before it is done"""
    title, follows, word = map(here.texts.gettext, ASKED[verb])

    def look(desk: Desk) -> Facts:
        webhooks.get(desk, number)
        return {
            "title": title % {"number": number},
            "follows": follows,
            "word": word,
            "back": entrance.address(f"/webhooks/{number}"),
            "fields": {},
        }

    return await here.page("pages/admin/confirm.html", look)


@router.post("/webhooks/{number}/{verb}")
async def act(
    here: Visiting,
    number: Number,
    verb: Literal["on", "off", "test", "again", "rotate", "remove"],
    delivery: Annotated[int, Form()] = 0,
) -> Response:
    """Do it"""
    there = entrance.address(f"/webhooks/{number}")
    if verb == "rotate":
        word = marked("The secret of the webhook")
        return await once(
            here, lambda desk: webhooks.rotate(desk, number), word, f"/webhooks/{number}"
        )

    def command(desk: Desk) -> str:
        if verb in ("on", "off"):
            webhooks.change(desk, number, active=verb == "on")
        elif verb == "test":
            webhooks.trial(desk, number)
        elif verb == "again":
            webhooks.again(desk, number, delivery)
        else:
            webhooks.remove(desk, number)
            return entrance.address("/connections")
        return there

    return await here.write(command, f"webhook-{verb}")


async def once(here: Visit, make: Callable[[Desk], str], word: str, back: str) -> Response:
    """Make something whose secret is shown once: on this page, which no address leads to."""
    try:
        outcome = await here.perform(make)
    except GatewayError as error:
        return await here.problem(error)
    return await here.page(
        "pages/admin/secret.html",
        lambda _: {
            "secret": outcome.answer,
            "word": here.texts.gettext(word),
            "back": entrance.address(back),
        },
    )
