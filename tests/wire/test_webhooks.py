"""Webhooks on the wire: a receiver that is slow, down, lying, redirecting or not public loses
nothing, and events of one follow-up come in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import standardwebhooks
import trustme

from gateway import model
from gateway import settings as configuration
from gateway.actions import deliveries, desk, planning, webhooks
from gateway.actions.desk import Desk
from gateway.errors import InputError, LeaseLost
from gateway.followups import webhooks as rules
from gateway.model import Access, Actor, Channel, LetterState
from gateway.outbound import webhooks as sending
from gateway.settings import Settings
from gateway.store import journal, leases
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from gateway.store.pace import Room
from gateway.store.schema_webhooks import webhook, webhook_delivery
from gateway.store.webhooks import Delivery, Webhook
from tests import waiting
from tests.store import rows
from tests.wire import hook_receiver
from tests.wire.gateway_process import Gateway
from tests.wire.hook_receiver import Receiver, Request

CRM = Actor(Access.CRM, name="crm")
SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
SOON = tuple(timedelta(seconds=seconds) for seconds in (0.05, 0.1, 0.2, 0.4, 0.8))
WAIT_SECONDS = 60.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with hook_receiver.listening() as listening:
        yield listening


@pytest.fixture
def told(sqlite_store: Store) -> Store:
    """A store with two follow-ups and three participants: 1 and 2 of m1, 3 of m2."""
    rows.begin(sqlite_store)
    return sqlite_store


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "WAITS", SOON)
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(sending, "IDLE_SECONDS", 0.1)


def at_desk(store: Store, command: Callable[[Desk], Any]) -> Any:
    return desk.perform(store, SETTINGS, datetime.now(UTC), CRM, command).answer


def register(store: Store, url: str, *types: str) -> tuple[Webhook, str]:
    made: tuple[Webhook, str] = at_desk(store, lambda one: webhooks.register(one, url, types))
    return made


def happened(store: Store, *events: tuple[str, str, int | None]) -> None:
    with store.write() as connection:
        journal.write(
            connection,
            [
                journal.Entry(
                    event,
                    key,
                    row,
                    before="seen",
                    after="declined",
                    by="ola@ext.example",
                    channel=Channel.MAIL,
                )
                for event, key, row in events
            ],
            datetime.now(UTC),
        )


@contextlib.asynccontextmanager
async def sending_to(store: Store, settings: Settings = SETTINGS) -> AsyncIterator[None]:
    stop = asyncio.Event()
    sender = sending.Sender(store, settings, leases.identity())
    task = asyncio.create_task(sender.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT_SECONDS)


async def arrived(receiver: Receiver, count: int) -> list[Request]:
    return await asyncio.to_thread(receiver.wait, count)


async def until(store: Store, query: sa.Select[Any], wanted: Callable[[Any], bool]) -> Any:
    """The first row, as soon as it is as wanted."""

    def look() -> Any:
        with store.read() as connection:
            return connection.execute(query).first()

    return await waiting.until(look, wanted)


def of_delivery(number: int) -> sa.Select[Any]:
    return sa.select(webhook_delivery).where(webhook_delivery.c.id == number)


async def test_an_event_is_signed_and_says_the_row_as_get_shows_it(
    told: Store, receiver: Receiver
) -> None:
    hook, secret = register(told, f"http://127.0.0.1:{receiver.port}/hook?a=1")
    happened(told, ("applied", "m1", 1), ("queued", "m1", 1), ("cancelled", "m2", None))
    async with sending_to(told):
        first, second = sorted(await arrived(receiver, 2), key=lambda one: one.name)
    assert first.path == "/hook?a=1"
    assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
    for request in (first, second):
        assert standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))
    event = first.event
    assert event["type"] == "participant.answered"
    assert (event["data"]["id"], event["data"]["follow_up"]) == (1, "m1")
    assert (event["change"]["before"], event["change"]["after"]) == ("seen", "declined")
    assert first.name == f"evt_{event['change']['id']}"
    assert second.event["type"] == "follow_up.cancelled"
    assert second.event["data"]["key"] == "m2"
    assert hook.types == ()


async def test_only_types_that_were_asked_for_come(told: Store, receiver: Receiver) -> None:
    register(told, f"http://127.0.0.1:{receiver.port}/", "participant.seen")
    happened(told, ("applied", "m1", 1), ("seen", "m1", 2), ("seen", "m2", 3))
    async with sending_to(told):
        came = await arrived(receiver, 2)
    assert {one.event["type"] for one in came} == {"participant.seen"}


async def test_an_administrator_is_told_nothing_of_what_is_private(
    told: Store, receiver: Receiver
) -> None:
    """As `/changes`: neither the row nor what was said of it in the journal."""
    rows.run(told, "UPDATE follow_up SET private = TRUE WHERE key = 'm1'")
    admin = Actor(Access.ADMIN, name="root")
    desk.perform(
        told,
        SETTINGS,
        datetime.now(UTC),
        admin,
        lambda one: webhooks.register(one, f"http://127.0.0.1:{receiver.port}/", ()),
    )
    happened(told, ("applied", "m1", 1), ("seen", "m2", 3))
    async with sending_to(told):
        [only] = await arrived(receiver, 1)
    assert only.event["data"]["follow_up"] == "m2"
    with told.read() as connection:
        assert connection.execute(sa.select(sa.func.count(webhook_delivery.c.id))).scalar() == 1


@pytest.mark.parametrize("state", [LetterState.REFUSED, LetterState.DROPPED])
def test_a_letter_that_cannot_be_delivered_is_told_of(told: Store, state: LetterState) -> None:
    """Refused by the invitee's server, or tried for three days: the row is `undeliverable`."""
    register(told, "http://127.0.0.1:9/", "participant.undeliverable")
    now = rows.NOW
    rows.run(told, "UPDATE follow_up SET title = 'The plan' WHERE key = 'm1'")
    planning.plan_due(told, SETTINGS, now, everything=True)
    [letter] = deliveries.claim(told, "a", now, Room(10))
    lost = Settlement(
        letter.id, state, False, model.Delivery.UNDELIVERABLE, note="550 no such user"
    )
    deliveries.settle(told, "a", [(letter, lost, None)], now)
    webhooks.announce(told, SETTINGS, now)
    with told.read() as connection:
        [row] = connection.execute(sa.select(webhook_delivery)).all()
    body = json.loads(row.body)
    assert (body["type"], body["data"]["delivery"]) == (
        "participant.undeliverable",
        "undeliverable",
    )
    assert body["data"]["id"] == letter.participant


def test_who_was_taken_over_writes_neither_events_nor_what_came_of_them(told: Store) -> None:
    """Else every event would be told twice under two names, or one that was taken tried again."""
    register(told, "http://127.0.0.1:9/")
    happened(told, ("applied", "m1", 1))
    held = webhooks.take_turn(told, "host-a/boot/1:10:aaaa", rows.NOW)
    assert held is not None
    later = rows.NOW + leases.LIFE
    other = webhooks.take_turn(told, "host-b/boot/1:10:bbbb", later)
    with pytest.raises(LeaseLost):
        webhooks.announce(told, SETTINGS, later, held)
    assert webhooks.due(told, (), 8, later) == []
    assert webhooks.announce(told, SETTINGS, later, other) == 1
    [(hook, delivery)] = webhooks.due(told, (), 8, later)
    webhooks.settle(told, hook, delivery, rules.Response(200, ""), later, other)
    with pytest.raises(LeaseLost):
        webhooks.settle(told, hook, delivery, rules.Response(None, "no answer"), later, held)
    with told.read() as connection:
        assert connection.execute(sa.select(webhook_delivery.c.state)).scalar() == "delivered"


async def test_what_happened_before_it_was_registered_is_not_told(
    told: Store, receiver: Receiver
) -> None:
    happened(told, ("applied", "m1", 1))
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 2))
    async with sending_to(told):
        [only] = await arrived(receiver, 1)
    assert only.event["type"] == "participant.seen"


async def test_a_failing_event_holds_up_its_follow_up_and_no_other(
    told: Store, receiver: Receiver
) -> None:
    refusals = iter([500, 500])

    def answer(request: Request) -> tuple[int, Mapping[str, str], bytes]:
        stuck = request.event["type"] == "participant.answered"
        return (next(refusals, 204) if stuck else 204), {}, b"no, thank you\nreally"

    receiver.answer = answer
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("applied", "m1", 1), ("seen", "m1", 2), ("seen", "m2", 3))
    async with sending_to(told):
        came = await arrived(receiver, 5)
        row = await until(told, of_delivery(1), lambda one: one.state == "delivered")
    of_m1 = [one.event["type"] for one in came if one.event["data"]["follow_up"] == "m1"]
    assert of_m1 == ["participant.answered"] * 3 + ["participant.seen"]
    assert row.tries == 3
    bodies = {one.body for one in came if one.event["type"] == "participant.answered"}
    assert len(bodies) == 1


async def test_a_receiver_that_is_down_is_left_alone_and_told_everything_later(
    told: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "WAITS", (timedelta(seconds=1),))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    hook, _ = register(told, f"http://127.0.0.1:{port}/")
    happened(told, *[("seen", key, row) for key, row in (("m1", 1), ("m2", 3))] * 20)
    async with sending_to(told):
        row = await until(told, sa.select(webhook), lambda one: one.rest_until is not None)
        assert "onnect" in row.trouble
        assert row.failing_since is not None
        with told.read() as connection:
            tries = connection.execute(sa.select(sa.func.sum(webhook_delivery.c.tries))).scalar()
        assert tries is not None
        assert tries <= 2, "each follow-up's first event, and nothing else"
        with hook_receiver.listening() as receiver:
            at_desk(
                told,
                lambda one: webhooks.change(one, hook.id, url=f"http://127.0.0.1:{receiver.port}/"),
            )
            came = await arrived(receiver, 40)
        await until(told, sa.select(webhook), lambda one: one.trouble == "")
    for key in ("m1", "m2"):
        numbers = [
            one.event["change"]["id"] for one in came if one.event["data"]["follow_up"] == key
        ]
        assert numbers == sorted(numbers)


async def test_a_slow_receiver_is_not_waited_for_any_longer(
    told: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    receiver.answer = hook_receiver.slow(1.0)
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
    assert (row.state, row.code) == ("waiting", None)
    assert row.words == "no answer within 0.3 s"


async def test_an_answer_without_an_end_is_not_read_to_the_end(
    told: Store, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (500, {}, b"\x1b[31mred " + b"x" * 10_000_000)
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
    assert row.code == 500
    assert row.words == "[31mred " + "x" * (sending.LONGEST_WORDS - 8)


LIES = {
    "nothing": b"",
    "no HTTP": b"220 mx.example ESMTP\r\n",
    "half a header": b"HTTP/1.1 204 No Cont",
    "a status that is none": b"HTTP/1.1 two hundred\r\n\r\n",
    "less than it promised": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ntaken",
    "no chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nall of it",
    "a header without an end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
}


@pytest.mark.parametrize("lie", LIES)
async def test_what_a_lying_receiver_says_is_no_answer(
    told: Store, receiver: Receiver, lie: str
) -> None:
    """The event waits, and comes again under its name; another webhook is told meanwhile."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(LIES[lie])
        with contextlib.suppress(OSError):  # who does not believe it hangs up
            await writer.drain()
        writer.close()

    liar = await asyncio.start_server(say, "127.0.0.1", 0)
    port = liar.sockets[0].getsockname()[1]
    hook, secret = register(told, f"http://127.0.0.1:{port}/")
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1), ("applied", "m1", 2))
    async with liar, sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
        assert (row.webhook, row.state) == (hook.id, "waiting")
        assert len(await arrived(receiver, 2)) == 2
        at_desk(
            told,
            lambda one: webhooks.change(one, hook.id, url=f"http://127.0.0.1:{receiver.port}/"),
        )
        came = [one for one in await arrived(receiver, 4) if verified(one, secret)]
    assert [one.event["type"] for one in came] == ["participant.seen", "participant.answered"]


def verified(request: Request, secret: str) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(request.body, dict(request.headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


async def test_a_byte_now_and_then_keeps_nobody_for_longer(
    told: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them comes in time, the whole answer never."""
    monkeypatch.setattr(sending, "SECONDS", 0.5)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(0.05)

    slow = await asyncio.start_server(drip, "127.0.0.1", 0)
    register(told, f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}/")
    happened(told, ("seen", "m1", 1))
    async with slow, sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
    assert (row.state, row.words) == ("waiting", "no answer within 0.5 s")


async def test_redirects_are_not_followed(told: Store, receiver: Receiver) -> None:
    receiver.answer = lambda _: (307, {"Location": f"http://127.0.0.1:{receiver.port}/other"}, b"")
    register(told, f"http://127.0.0.1:{receiver.port}/hook")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 1)
    assert row.words.startswith("redirects are not followed")
    assert {one.path for one in receiver.requests} == {"/hook"}


@pytest.mark.parametrize("host", ["a..crm.example", "a" * 64 + ".example"])
async def test_a_host_that_cannot_be_looked_up_keeps_nobody_else_waiting(
    told: Store, receiver: Receiver, host: str
) -> None:
    broken, _ = register(told, f"https://{host}/hook")
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
        await arrived(receiver, 1)
    assert (row.webhook, row.state, row.code) == (broken.id, "waiting", None)
    assert "label" in row.words


async def test_a_pause_of_thousands_of_digits_is_a_day(told: Store, receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {"Retry-After": "9" * 5_000}, b"")
    register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
    assert row.code == 503
    assert row.due_at > datetime.now(UTC) + timedelta(hours=23)


def test_an_address_that_is_not_public_is_refused_at_once(told: Store) -> None:
    with pytest.raises(InputError, match=r"10\.11\.12\.13 is not public.*webhooks\.hosts"):
        register(told, "https://10.11.12.13/hook")


@pytest.mark.parametrize("places", [["10.11.12.13"], ["::1"], ["93.184.216.34", "192.168.1.7"]])
async def test_nothing_goes_to_a_name_that_leads_to_such_an_address(
    told: Store, monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    """Nor where it is one of several: which one is taken would be the name's choice."""
    family = {True: socket.AF_INET6, False: socket.AF_INET}
    found = [(family[":" in place], socket.SOCK_STREAM, 6, "", (place, 443)) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    register(told, "https://crm.example/hook")
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        row = await until(told, of_delivery(1), lambda one: one is not None and one.tries > 0)
    assert (row.state, row.code) == ("waiting", None)
    assert f"crm.example is at {places[-1]}, which is no public address" in row.words


async def test_gone_switches_it_off(told: Store, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {}, b"")
    hook, _ = register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1), ("seen", "m1", 2))
    async with sending_to(told):
        await until(told, sa.select(webhook), lambda one: not one.active)
        query = (
            sa.select(sa.text("event")).select_from(sa.text("journal")).order_by(sa.text("id DESC"))
        )
        [event] = await until(told, query, lambda one: True)
        assert event == "webhook_off"
        receiver.answer = lambda _: (204, {}, b"")
        at_desk(told, lambda one: webhooks.change(one, hook.id, active=True))
        came = await arrived(receiver, 3)
    assert [one.event["data"]["id"] for one in came] == [1, 1, 2]


async def test_what_nobody_took_for_three_days_is_given_up_and_may_be_sent_again(
    told: Store, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (503, {}, b"down")
    hook, _ = register(told, f"http://127.0.0.1:{receiver.port}/")
    happened(told, ("seen", "m1", 1), ("seen", "m2", 3))
    webhooks.announce(told, SETTINGS, datetime.now(UTC) - timedelta(days=4))
    async with sending_to(told):
        for number in (1, 2):
            await until(told, of_delivery(number), lambda one: one.state == "given_up")
        receiver.answer = lambda _: (204, {}, b"")
        before = len(receiver.requests)
        at_desk(told, lambda one: webhooks.again(one, hook.id, 2))
        await arrived(receiver, before + 1)
        await until(told, of_delivery(2), lambda one: one.state == "delivered")
    with told.read() as connection:
        entries = journal.after(connection, 0)
    lost = [one.detail for one in entries if one.event == "webhook_given_up"]
    counts = [re.findall(r"(\d+) events: down$", one) for one in lost]
    assert sum(int(count) for [count] in counts) == 2


async def test_https_goes_to_who_has_the_name(told: Store, tmp_path: Any) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings = configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example"},
            "webhooks": {"ca_file": str(tmp_path / "ca.pem")},
        }
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with hook_receiver.listening(context) as receiver:
        register(told, f"https://localhost:{receiver.port}/")
        register(told, f"https://127.0.0.1:{receiver.port}/")
        happened(told, ("seen", "m1", 1))
        async with sending_to(told, settings):
            await until(
                told, of_delivery(1), lambda one: one is not None and one.state == "delivered"
            )
            row = await until(told, of_delivery(2), lambda one: one is not None and one.tries > 0)
    assert "certificate" in row.words.lower()
    assert len(receiver.requests) == 1


async def test_a_name_of_which_one_address_leads_nowhere_is_reached_by_another(
    told: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a name has an address of IPv6, and this machine no way there."""
    resolve = socket.getaddrinfo

    def two(host: str, port: int, *more: Any, **options: Any) -> Any:
        if host != "hook.crm.example":
            return resolve(host, port, *more, **options)
        places = ("127.0.0.2", "127.0.0.1")  # the receiver listens at one of them
        return [found for place in places for found in resolve(place, port, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hook.crm.example").configure_cert(context)
    settings = configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example"},
            "webhooks": {"hosts": ["hook.crm.example"], "ca_file": str(tmp_path / "ca.pem")},
        }
    )
    with hook_receiver.listening(context) as receiver:
        register(told, f"https://hook.crm.example:{receiver.port}/")
        happened(told, ("seen", "m1", 1))
        async with sending_to(told, settings):
            [request] = await arrived(receiver, 1)
            await until(
                told, of_delivery(1), lambda one: one is not None and one.state == "delivered"
            )
    assert request.headers["host"] == f"hook.crm.example:{receiver.port}"


async def test_a_new_secret_signs_beside_the_former_one(told: Store, receiver: Receiver) -> None:
    hook, former = register(told, f"http://127.0.0.1:{receiver.port}/")
    secret = at_desk(told, lambda one: webhooks.rotate(one, hook.id))
    happened(told, ("seen", "m1", 1))
    async with sending_to(told):
        [request] = await arrived(receiver, 1)
    for one in (secret, former):
        assert standardwebhooks.Webhook(one).verify(request.body, dict(request.headers))


def test_a_daemon_that_is_killed_between_commit_and_send_loses_nothing(
    told: Store, receiver: Receiver
) -> None:
    register(told, f"http://127.0.0.1:{receiver.port}/")
    assert told.path is not None
    gateway = Gateway(
        {
            "PATH": "/usr/bin:/bin",
            "GATEWAY_STORE__URL": f"sqlite:///{told.path}",
            "GATEWAY_LOG__FORMAT": "json",
        }
    )
    receiver.answer = hook_receiver.slow(0.2)
    sent = 0
    try:
        for _ in range(3):
            gateway.start("jobs")
            happened(told, *[("seen", "m1", 1), ("applied", "m1", 2), ("seen", "m2", 3)] * 2)
            sent += 6
            receiver.wait(len(receiver.requests) + 1)
            gateway.kill()
        receiver.answer = lambda _: (204, {}, b"")
        gateway.start("jobs")
        wanted = {f"evt_{number}" for number in range(1, sent + 1)}
        gateway.wait_for(
            lambda: {one.name for one in receiver.requests},
            lambda names: names >= wanted,
            what="all events",
        )
    finally:
        gateway.end()
    for key in ("m1", "m2"):
        first = dict.fromkeys(
            one.name for one in receiver.requests if one.event["data"]["follow_up"] == key
        )
        numbers = [int(name.removeprefix("evt_")) for name in first]
        assert numbers == sorted(numbers)


def test_a_test_event_needs_no_cause(told: Store) -> None:
    hook, _ = register(told, "https://crm.example/")
    at_desk(told, lambda one: webhooks.trial(one, hook.id))
    [delivery] = at_desk(told, lambda one: webhooks.deliveries(one, hook.id, None, 10))
    assert isinstance(delivery, Delivery)
    assert (delivery.type, webhooks.name(delivery)) == ("webhook.test", "evt_test_1")


async def test_the_receiver_of_the_documentation(told: Store, tmp_path: Path) -> None:
    """docs/connect.md has a whole one."""
    text = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")
    [program] = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    assert len(program.splitlines()) <= 36
    (tmp_path / "receiver.py").write_text(program)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    _, secret = register(told, f"http://127.0.0.1:{port}/")
    happened(told, ("applied", "m1", 1), ("cancelled", "m2", None))
    receiver = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        str(tmp_path / "receiver.py"),
        env={"WEBHOOK_SECRET": secret, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert receiver.stdout is not None
        async with sending_to(told):
            lines = [
                (await asyncio.wait_for(receiver.stdout.readline(), WAIT_SECONDS)).decode().split()
                for _ in range(2)
            ]
            for number in (1, 2):
                await until(told, of_delivery(number), lambda one: one.state == "delivered")
    finally:
        receiver.kill()
        await receiver.wait()
    assert sorted(line[:3] for line in lines) == [
        ["follow_up.cancelled", "m2", "m2"],
        ["participant.answered", "m1", "ola"],
    ]
