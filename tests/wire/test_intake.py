"""The first look at a mailbox, through the role that reads it: what may be an answer is read."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway import settings as configuration
from gateway.actions import load, load_participants, planning
from gateway.inbound import intake
from gateway.model import Reply
from gateway.store import followups
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


def record(store: Store, settings: configuration.Settings, *, sent: bool) -> load.Report:
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
