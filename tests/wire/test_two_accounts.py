"""The daemon with two mail accounts: letters leave through the owner's, answers come back to it,
and one that fails disturbs no other.
"""

import asyncio
import email
import email.policy
from datetime import UTC, datetime

from gateway import settings
from gateway.actions import load
from gateway.daemon import run
from gateway.daemon.health import Monitor
from gateway.store import inbox, leases, views
from gateway.store.engine import Store
from tests.wire import imap_peer, smtp_peer
from tests.wire.smtp_peer import Letter, Say

PASSWORD = 'sec"ret'
DEADLINE_SECONDS = 60.0


def answer(letter: Letter) -> bytes:
    """What a plain calendar program sends back."""
    message = email.message_from_bytes(letter.content, policy=email.policy.default)
    calendar = next(
        part.get_content() for part in message.walk() if part.get_content_type() == "text/calendar"
    )
    facts = dict(
        line.split(":", 1)
        for line in calendar.replace("\r\n ", "").splitlines()
        if line.startswith(("UID", "SEQUENCE", "ORGANIZER"))
    )
    organizer = next(value for key, value in facts.items() if key.startswith("ORGANIZER"))
    return "\r\n".join(
        [
            f"From: {message['To']}",
            f"To: {organizer.removeprefix('mailto:')}",
            "Subject: Accepted",
            "Message-ID: <answer@ext.example>",
            "MIME-Version: 1.0",
            "Content-Type: text/calendar; method=REPLY; charset=utf-8",
            "",
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//test//EN",
            "METHOD:REPLY",
            "BEGIN:VEVENT",
            f"UID:{facts['UID']}",
            f"SEQUENCE:{facts['SEQUENCE']}",
            f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
            f"ORGANIZER:{organizer}",
            f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{message['To'].addresses[0].addr_spec}",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    ).encode()


async def test_each_account_sends_and_reads_by_itself(store: Store) -> None:
    down = smtp_peer.Peer({"greeting": Say(b"554 5.3.2 no service\r\n")})
    async with (
        down.serving(),
        smtp_peer.Peer().serving() as up,
        imap_peer.running() as plain,
        imap_peer.running() as sales,
    ):

        def servers(smtp: smtp_peer.Peer, imap: imap_peer.Peer) -> dict[str, object]:
            return {
                "smtp": {"host": "127.0.0.1", "port": smtp.port, "security": "none"},
                "imap": {
                    "host": "127.0.0.1",
                    "port": imap.port,
                    "security": "none",
                    "username": "invites",
                    "password": PASSWORD,
                },
            }

        effective = settings.load(
            overrides={
                "store": {"url": str(store.url), "poll_seconds": 0.1},
                "outbound": {"coalesce_seconds": 0},
                "inbound": {"probe": False},
                "mail": {"address": "invites@crm.example"},
                **servers(down, plain),
                "accounts": {
                    "sales": {
                        "groups": ["Sales"],
                        "mail": {"address": "sales@crm.example"},
                        **servers(up, sales),
                    }
                },
            }
        )
        with store.write() as connection:
            load.load(
                connection,
                {
                    "associates": [
                        {"key": "kari", "name": "Kari", "group": "Sales"},
                        {"key": "per", "name": "Per"},
                    ],
                    "follow_ups": [
                        {
                            "key": key,
                            "owner": owner,
                            "title": key,
                            "start": "2099-12-01T09:00:00",
                            "participants": [{"email": f"{key}@ext.example", "email_invite": True}],
                        }
                        for key, owner in (("m1", "kari"), ("m2", "per"))
                    ],
                },
                effective,
                datetime.now(UTC),
            )
        process = run.Process(effective, store, leases.identity())
        monitor = Monitor(store, effective, process.holder, process.board)
        roles = [
            role for name in ("outbound", "inbound") for role in run.ROLES[name](process, monitor)
        ]
        assert [role.name for role in roles] == [
            "planner",
            "sender",
            "sender sales",
            "inbound",
            "inbound sales",
        ]
        stop = asyncio.Event()
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            for role in roles:
                group.create_task(role.run(stop))
            await up.until(lambda peer: len(peer.letters) == 1)
            await down.until(lambda peer: len(peer.sessions) >= 1)
            await sales.until(lambda: sales.idling())
            sales.add(answer(up.letters[0]))
            await sales.until(lambda: sales.folders.get("Processed"))
            stop.set()
    with store.read() as connection:
        found = {row.follow_up: (row.reply, row.delivery) for row in views.status_rows(connection)}
        assert found == {"m1": ("accepted", "sent"), "m2": ("needs-action", "queued")}
        assert inbox.cursor(connection, "sales", "INBOX") == (sales.uidvalidity, 1)
        assert inbox.cursor(connection, "default", "INBOX") is None
