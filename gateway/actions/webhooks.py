"""Webhooks: who is told, what they are still to be told, and what became of it.

The journal is the outbox: an entry is written in the transaction of its cause. `announce` turns
what came since into deliveries, together with how far the journal was read; `outbound.webhooks`
sends them. A body is made once and repeated to the letter.

Rights: a connection of the CRM has webhooks of its own, administrators have all.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

from gateway import settings as configuration
from gateway import shapes
from gateway.actions import deciding, histories
from gateway.actions.desk import Desk
from gateway.errors import NotFound, Refused
from gateway.followups import permission
from gateway.followups import webhooks as rules
from gateway.followups.decisions import visible
from gateway.followups.permission import Verb
from gateway.followups.webhooks import EventType, Response
from gateway.i18n import marked
from gateway.model import Access, Actor
from gateway.store import decisions, journal, leases, webhooks
from gateway.store.engine import Connection, Store
from gateway.store.webhooks import Delivery, DeliveryState, New, Webhook

LEASE = "webhooks"
"""The lease of the one gateway that tells them."""
BATCH = 200
"""Journal entries that are turned into deliveries in one transaction."""
MOST = 100
"""Webhooks that a store may have."""
KEPT = timedelta(days=30)
"""So long what became of a delivery can be read."""


def name(delivery: Delivery) -> str:
    """The `webhook-id`, by which a receiver knows what it had already."""
    return f"evt_{delivery.event}" if delivery.event is not None else f"evt_test_{delivery.id}"


def register(desk: Desk, url: str, types: Collection[str]) -> tuple[Webhook, str]:
    """A new webhook for what happens from now on, and its secret, which is shown once."""
    permission.require(desk.actor, Verb.WEBHOOKS)
    rules.check(url, desk.settings.webhooks.hosts)
    rules.check_types(types)
    if len(webhooks.find(desk.connection, desk.now)) >= MOST:
        raise Refused(marked("there are %(most)s webhooks already; remove one first"), most=MOST)
    secret = _secret()
    number = webhooks.create(desk.connection, url, types, secret, desk.actor, desk.now)
    return get(desk, number), secret


def listing(desk: Desk) -> list[Webhook]:
    """Those of this connection; all for administrators."""
    permission.require(desk.actor, Verb.WEBHOOKS)
    return [hook for hook in webhooks.find(desk.connection, desk.now) if _is_theirs(desk, hook)]


def get(desk: Desk, number: int) -> Webhook:
    """Raises `NotFound` for one that is not there, or another connection's."""
    permission.require(desk.actor, Verb.WEBHOOKS)
    hooks = webhooks.find(desk.connection, desk.now, number)
    if not hooks or not _is_theirs(desk, hooks[0]):
        raise NotFound(marked("there is no webhook %(number)s"), number=number)
    return hooks[0]


def change(
    desk: Desk,
    number: int,
    *,
    url: str | None = None,
    types: Collection[str] | None = None,
    active: bool | None = None,
) -> Webhook:
    """Another address, other types, on or off. Switched on again, it is told what it missed."""
    get(desk, number)
    if url is not None:
        rules.check(url, desk.settings.webhooks.hosts)
        webhooks.change(desk.connection, number, url=url)
    if types is not None:
        rules.check_types(types)
        webhooks.change(desk.connection, number, types=types)
    if active is not None:
        webhooks.change(desk.connection, number, active=active)
    if url is not None or active:
        _works_again(desk.connection, number)
    if url is not None or active is not None:
        deciding.webhook_settled(desk.connection, number, desk.now)
    return get(desk, number)


def rotate(desk: Desk, number: int) -> str:
    """A new secret, shown once. For a day the former one signs beside it."""
    get(desk, number)
    secret = _secret()
    webhooks.rotate(desk.connection, number, secret, desk.now + rules.ROTATION)
    return secret


def remove(desk: Desk, number: int) -> None:
    """Forget a webhook, and what it was still to be told."""
    get(desk, number)
    webhooks.remove(desk.connection, number)
    deciding.webhook_settled(desk.connection, number, desk.now)


def trial(desk: Desk, number: int) -> None:
    """Send it an event that means nothing."""
    hook = get(desk, number)
    if not hook.active:
        raise Refused(marked("the webhook is switched off; switch it on first"))
    body = _body(EventType.TEST, shapes.utc(desk.now), {"webhook": number})
    webhooks.announce(
        desk.connection, [New(number, None, "", EventType.TEST.value, body)], desk.now
    )
    webhooks.change(desk.connection, number, rest_until=None)


def again(desk: Desk, number: int, delivery: int) -> None:
    """Have an event sent once more, whatever became of it."""
    get(desk, number)
    if not webhooks.again(desk.connection, number, delivery, desk.now):
        raise NotFound(
            marked("there is no delivery %(delivery)s of webhook %(number)s"),
            delivery=delivery,
            number=number,
        )
    webhooks.change(desk.connection, number, rest_until=None)


def deliveries(desk: Desk, number: int, before: int | None, limit: int) -> list[Delivery]:
    """What it was told, or is to be, the newest first, those below number `before`."""
    get(desk, number)
    return webhooks.deliveries(desk.connection, number, before, limit)


def shape(desk: Desk, hook: Webhook) -> shapes.Json:
    """A webhook as it is shown; never its secret."""
    facts = {column: getattr(hook, column) for column in ("id", "url", "active", "created_by")}
    times = {
        "failing_since": hook.failing_since,
        "next_try_at": hook.rest_until,
        "created_at": hook.created_at,
    }
    return {
        **facts,
        **{column: shapes.utc(value) for column, value in times.items()},
        "types": list(hook.types),
        "waiting": webhooks.waiting(desk.connection, hook.id),
        "trouble": hook.trouble or None,
    }


def delivery_shape(delivery: Delivery) -> shapes.Json:
    """A delivery as it is shown."""
    facts = {column: getattr(delivery, column) for column in ("type", "tries", "code")}
    is_waiting = delivery.state is DeliveryState.WAITING
    times = {
        "created_at": delivery.created_at,
        "due": delivery.due_at if is_waiting else None,
        "settled_at": delivery.settled_at,
    }
    return {
        "delivery": delivery.id,
        "id": name(delivery),
        **facts,
        "follow_up": delivery.follow_up or None,
        "state": delivery.state.value,
        "words": delivery.words or None,
        **{column: shapes.utc(value) for column, value in times.items()},
    }


def is_wanted(store: Store) -> bool:
    """Whether anybody is to be told anything."""
    with store.read() as connection:
        return webhooks.any_active(connection)


def take_turn(store: Store, holder: str, now: datetime) -> leases.Held | None:
    """By which lease this gateway is the one that tells them, from now on for `leases.LIFE`."""
    with store.write() as connection:
        fence = leases.take(connection, LEASE, holder, now)
    return leases.Held(LEASE, holder, fence) if fence is not None else None


def announce(
    store: Store,
    settings: configuration.Settings,
    now: datetime,
    lease: leases.Held | None = None,
) -> int:
    """Turn what the journal has had since into deliveries. Returns how many are new.

    `lease`: under which; raises `LeaseLost` where another gateway has it, which may have made them
    already.
    """
    written = 0
    while True:
        with store.read() as connection:
            hooks = [hook for hook in webhooks.find(connection, now) if hook.active]
            newest = journal.newest(connection)
        behind = [hook for hook in hooks if hook.after != newest]
        if not behind:
            return written
        with store.write() as connection:
            if lease is not None:
                leases.require(connection, lease)
            written += sum(_announce(connection, hook, settings, now) for hook in behind)


def due(
    store: Store, under_way: Collection[tuple[int, str]], at_once: int, now: datetime
) -> list[tuple[Webhook, Delivery]]:
    """What may be sent now beside what is `under_way` (webhook and follow-up)."""
    ready = list[tuple[Webhook, Delivery]]()
    with store.read() as connection:
        for hook in webhooks.find(connection, now):
            busy = {key for number, key in under_way if number == hook.id}
            if not hook.active or _rests(hook, now) or len(busy) >= at_once:
                continue
            oldest = webhooks.due(connection, hook.id, now, at_once - len(busy), busy)
            ready += [(hook, delivery) for delivery in oldest]
    return ready


def settle(
    store: Store,
    hook: Webhook,
    delivery: Delivery,
    response: Response,
    now: datetime,
    lease: leases.Held | None = None,
) -> None:
    """Keep what came of a try, and when the next one is. `lease`: as in `announce`."""
    with store.write() as connection:
        if lease is not None:
            leases.require(connection, lease)
        if response.is_success:
            _delivered(connection, hook, delivery, response, now)
            return
        since = hook.failing_since or now
        webhooks.change(connection, hook.id, trouble=response.trouble, failing_since=since)
        if response.code == HTTPStatus.GONE:
            webhooks.change(connection, hook.id, active=False)
            webhooks.failed(connection, delivery, response.code, response.trouble, now)
            _tell(connection, "webhook_off", hook, response.trouble, now)
            return
        again_at = rules.next_try(delivery.tries + 1, delivery.created_at, now)
        if again_at is None:
            _give_up(connection, hook, delivery, response, now)
            return
        again_at = max(again_at, now + response.pause)
        webhooks.failed(connection, delivery, response.code, response.trouble, again_at)
        if response.is_about_receiver:
            webhooks.change(connection, hook.id, rest_until=again_at)


def forget(store: Store, now: datetime) -> None:
    """Forget what became of deliveries long ago."""
    with store.write() as connection:
        webhooks.forget(connection, now - KEPT)


def _delivered(
    connection: Connection, hook: Webhook, delivery: Delivery, response: Response, now: datetime
) -> None:
    assert response.code is not None
    webhooks.delivered(connection, delivery, response.code, now)
    if hook.trouble:
        _works_again(connection, hook.id)
        deciding.webhook_settled(connection, hook.id, now)


def _works_again(connection: Connection, number: int) -> None:
    webhooks.change(connection, number, trouble="", failing_since=None, rest_until=None)


def _give_up(
    connection: Connection, hook: Webhook, delivery: Delivery, response: Response, now: datetime
) -> None:
    """Nobody took it for three days; nor, where nobody answers there, all that is as old."""
    lost = webhooks.give_up(connection, delivery, response.code, response.trouble, now)
    if response.is_about_receiver:
        lost += webhooks.give_up_older(connection, hook.id, now - rules.GIVEN_UP, now)
        webhooks.change(connection, hook.id, rest_until=now + rules.WAITS[-1])
    if lost:
        reason = f"{lost} events: {response.trouble}"
        _tell(connection, "webhook_given_up", hook, reason, now)
        deciding.webhook_given_up(connection, hook.id, {"url": hook.url, "reason": reason}, now)


def _tell(connection: Connection, event: str, hook: Webhook, words: str, now: datetime) -> None:
    detail = f"webhook {hook.id} ({hook.url}): {words}"
    journal.write(connection, [journal.Entry(event, detail=detail)], now)


def _rests(hook: Webhook, now: datetime) -> bool:
    return hook.rest_until is not None and now < hook.rest_until


def _secret() -> str:
    return rules.new_secret(secrets.token_bytes(rules.SECRET_OCTETS))


def _is_theirs(desk: Desk, hook: Webhook) -> bool:
    return desk.actor.access is Access.ADMIN or hook.created_by == desk.actor.name


def _announce(
    connection: Connection, hook: Webhook, settings: configuration.Settings, now: datetime
) -> int:
    """What whose webhook it is sees of the journal, as far as they asked for it."""
    actor = Actor(hook.access, name=hook.created_by)
    seen = histories.seen(connection, actor, hook.after, BATCH)
    typed = [(entry, kind) for entry in seen.entries if (kind := _type(entry, hook)) is not None]
    entries = [entry for entry, _ in typed]
    data = {
        **histories.now(connection, entries, settings.mail.timezone),
        **_waits(connection, actor, entries),
    }
    news = [
        New(hook.id, entry.id, entry.follow_up or "", kind.value, _told(entry, kind, data))
        for entry, kind in typed
    ]
    webhooks.announce(connection, news, now)
    webhooks.change(connection, hook.id, after=seen.last)
    return len(news)


def _type(entry: shapes.Entry, hook: Webhook) -> EventType | None:
    kind = rules.event_type(
        entry.event,
        follow_up=entry.follow_up is not None,
        participant=entry.participant is not None,
        letter=entry.letter is not None,
    )
    return kind if not hook.types or kind in hook.types else None


def _waits(
    connection: Connection, actor: Actor, entries: Sequence[shapes.Entry]
) -> dict[int, shapes.Json]:
    """Of entries about decisions what waits, or waited, where they see that."""
    numbers = {entry.decision for entry in entries if entry.decision is not None}
    shown = {
        decision.id: shapes.decision(decisions.view(decision))
        for decision in decisions.find(connection, numbers)
        if visible(actor, decision.kind, decision.cause.associate)
    }
    return {entry.id: shown[entry.decision] for entry in entries if entry.decision in shown}


def _told(entry: shapes.Entry, kind: EventType, data: Mapping[int, shapes.Json]) -> str:
    """The body. Of what is gone, or is not to be seen, the keys."""
    gone = {"follow_up": entry.follow_up, "id": entry.participant}
    shown = data.get(entry.id, gone)
    return _body(kind, shapes.utc(entry.at), shown, change=shapes.entry(entry))


def _body(kind: EventType, at: str | None, data: shapes.Json, **more: shapes.Json) -> str:
    document = {"type": kind.value, "timestamp": at, "data": data, **more}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
