"""The first look at a mailbox, through the role that reads it: what may be an answer is read."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway import settings as configuration
from gateway.actions import load, load_participants, planning
from gateway.actions.load_report import Report
from gateway.inbound import intake
from gateway.model import Reply
from gateway.store import followups, leases
from gateway.store.engine import Store
from tests.wire import imap_peer

SECONDS = 60
TOKEN = "k7f2q3mzx5b4w6y2n7c3d4e5fa"
ANSWER = (
    f"From: ola@ext.example\r\nTo: invites+{TOKEN}@crm.example\r\nSubject: Accepted\r\n"
    "Message-ID: <old@ext.example>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n"
    "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:m1@old.example\r\nSEQUENCE:3\r\n"
    "DTSTAMP:20261001T080000Z\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


def effective(port: int) -> configuration.Settings:
    return configuration.load(
        None,
        {
            "mail": {"address": "invites@crm.example"},
            "imap": {
                "host": "127.0.0.1",
                "port": port,
                "security": "none",
                "username": "invites",
                "password": 'sec"ret',
            },
        },
    )


def record(store: Store, settings: configuration.Settings, *, sent: bool) -> Report:
    """A meeting of an earlier system, whose invitation it has sent, or not."""
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2040-05-09T09:00:00",
                "uid": "m1@old.example",
                "sequence": 3,
                "participants": [
                    {
                        "email": "ola@ext.example",
                        "email_invite": True,
                        "token": TOKEN,
                        "sent": sent,
                    }
                ],
            }
        ],
    }
    now = datetime.now(UTC)
    with store.write() as connection:
        report = load.load(connection, document, settings, now)
    planning.plan_due(store, settings, now, everything=True)
    return report


async def read(
    store: Store, settings: configuration.Settings, peer: imap_peer.Peer, done: Callable[[], object]
) -> None:
    """Until the peer has seen what is waited for, and all that is there was read."""
    stop = asyncio.Event()
    role = intake.Intake(store, settings, "one", asyncio.Event())
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(role.run(stop))
        await peer.until(peer.idling)
        await peer.until(done)
        stop.set()


def said(store: Store) -> list[Reply]:
    with store.read() as connection:
        [member] = followups.members(connection, "m1")
    return [one.reply for one in member.standings.values()]


def days_ago(days: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%d-%b-%Y %H:%M:%S} +0000"


@pytest.mark.parametrize(("sent", "reply"), [(True, Reply.ACCEPTED), (False, Reply.NEEDS_ACTION)])
async def test_answers_to_adopted_invitations_are_read_however_old(
    store: Store, *, sent: bool, reply: Reply
) -> None:
    async with imap_peer.running() as peer:
        settings = effective(peer.port)
        assert record(store, settings, sent=sent).notes == []
        uid = peer.add(ANSWER.encode(), date=days_ago(40))
        await read(store, settings, peer, lambda: sent is (uid not in peer.messages))
        assert said(store) == [reply]


async def test_who_adopts_later_is_told_of_what_was_left_alone(store: Store) -> None:
    async with imap_peer.running() as peer:
        settings = effective(peer.port)
        peer.add(ANSWER.encode(), date=days_ago(40))
        await read(store, settings, peer, lambda: True)
        assert record(store, settings, sent=True).notes == [load_participants.LATE]
        assert record(store, settings, sent=True).notes == []


async def test_who_was_taken_over_records_nothing_and_stops_reading(store: Store) -> None:
    """It was held up for longer than its lease and does not know it yet: the new mail goes to
    whoever reads now.
    """
    async with imap_peer.running() as peer:
        settings = effective(peer.port)
        record(store, settings, sent=True)
        stop, told = asyncio.Event(), asyncio.Event()
        role = intake.Intake(store, settings, "host-a/boot/1:10:aaaa", told)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            running = group.create_task(role.run(stop))
            await peer.until(peer.idling)
            later = datetime.now(UTC) + leases.LIFE
            with store.write() as connection:
                name = f"{leases.MAILBOX}default:INBOX"
                assert leases.take(connection, name, "host-b/boot/1:10:bbbb", later) == 2
            uid = peer.add(ANSWER.encode())
            await peer.until(lambda: not peer.connections)
            assert not running.done()
            stop.set()
    assert said(store) == [Reply.NEEDS_ACTION]
    assert uid in peer.messages
    assert not told.is_set()


STRANGERS = {
    "a letter of people": b"From: per@else.example\r\nTo: invites@crm.example\r\nSubject: Lunch?\r\n\r\nAt noon?\r\n",
    "one with a large attachment": b"From: per@else.example\r\nSubject: Plans\r\n\r\n"
    + b"x" * 20_000,
    "one that cannot be read": b"Content-Type: text/calendar; method=REPLY\r\n\r\nBEGIN:VCALENDAR\r\n",
    "an answer to an invitation of theirs": ANSWER.replace(TOKEN, "")
    .replace("m1@", "m2@")
    .encode(),
}


@pytest.mark.parametrize("shared", [True, False])
async def test_in_a_shared_mailbox_what_is_not_ours_stays_as_it_is(
    store: Store, *, shared: bool
) -> None:
    async with imap_peer.running() as peer:
        plain = effective(peer.port)
        settings = plain.model_copy(
            update={
                "imap": plain.imap.model_copy(update={"shared": shared}),
                "inbound": plain.inbound.model_copy(update={"max_bytes": 10_000}),
            }
        )
        record(store, settings, sent=True)
        foreign = {peer.add(raw) for raw in STRANGERS.values()}
        ours = peer.add(ANSWER.encode())
        await read(store, settings, peer, lambda: ours not in peer.messages)
        assert said(store) == [Reply.ACCEPTED]
        assert peer.messages.keys() == (foreign if shared else set())
        assert not [line for line in peer.heard if "STORE" in line]
        # Nothing is left to be done about them at the next start.
        asked = len(peer.heard)
        await read(store, settings, peer, lambda: True)
        assert not [line for line in peer.heard[asked:] if "MOVE" in line or "FETCH" in line]
