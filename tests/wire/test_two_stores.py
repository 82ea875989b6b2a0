"""Two gateways with different stores on one mailbox, a trial beside the real one: neither takes the
other's answers, and both say so (docs/operations.md, "Several gateways").
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.mail import probe
from gateway.store import meta
from gateway.store.engine import Store
from tests import stores
from tests.rig import mailbox
from tests.rig import postfix as postfix_server
from tests.wire import gateway_process

pytestmark = pytest.mark.real

START = (datetime.now(UTC) + timedelta(days=30)).replace(hour=9, minute=0, second=0, microsecond=0)
DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
    "follow_ups": [
        {
            "key": "theirs",
            "owner": "kari",
            "title": "Of the other store",
            "uid": "theirs@crm.example",
            "start": f"{START:%Y-%m-%dT%H:%M:%S}",
            "end": f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}",
            "timezone": "UTC",
            "participants": [
                {
                    "email": "ola@ext.example",
                    "email_invite": True,
                    "sent": True,
                    "token": "theirola",
                }
            ],
        }
    ],
}


def put(box: mailbox.Mailbox, raw: bytes) -> None:
    """As the server delivers it."""
    with box.connect() as connection:
        assert connection.append("INBOX", "", "", raw)[0] == "OK"


def answer(box: mailbox.Mailbox) -> bytes:
    to = box.sub_address("theirola")
    lines = [
        "From: ola@ext.example",
        f"To: {to}",
        "Subject: Accepted",
        "Message-ID: <1@mail.ext.example>",
        "MIME-Version: 1.0",
        "Content-Type: text/calendar; charset=utf-8; method=REPLY",
        "",
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Example//EN",
        "METHOD:REPLY",
        "BEGIN:VEVENT",
        "UID:theirs@crm.example",
        f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        f"ORGANIZER:mailto:{to}",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example",
        "SEQUENCE:0",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines).encode()


def test_neither_takes_the_others_answers(
    tmp_path: Path, invites: mailbox.Mailbox, postfix: postfix_server.Server
) -> None:
    ours, theirs = (f"sqlite:///{tmp_path / name}.db" for name in ("ours", "theirs"))
    for url in (ours, theirs):
        stores.upgraded(url)
    with closing(Store(theirs)) as store, store.write() as connection:
        now = datetime.now(UTC)
        mark = probe.mark(meta.site_secret(connection), now)
    to = probe.recipient(invites.address, mark, plain=False)
    here = gateway_process.environment(ours, invites, postfix)
    with gateway_process.running(here, "inbound") as gateway:
        put(invites, probe.letter(invites.address, to, mark, now))
        [told] = gateway.wait_log("trouble")
        assert told["subject"] == "another gateway"
        put(invites, answer(invites))
        gateway.wait_for(
            lambda: [line for line in gateway.log if line.get("outcome") == "unknown_invitation"],
            bool,
            what="the answer",
        )
        document = tmp_path / "document.json"
        document.write_text(json.dumps(DOCUMENT), encoding="utf-8")
        other = gateway_process.Gateway(gateway_process.environment(theirs, invites, postfix))
        other.command("load", str(document))
        try:
            other.start("inbound")
            other.wait_status("theirs", {"ola@ext.example": {"reply": "accepted"}})
            [line] = [one for one in other.log if one.get("outcome") == "applied"]
            told = {name: line[name] for name in ("follow_up", "participant", "before", "after")}
            masked = "o***@ext.example"
            assert told == {
                "follow_up": "theirs",
                "participant": masked,
                "before": "invitation",
                "after": "not_started",
            }
            assert line["message_id"] == "1@mail.ext.example"
        finally:
            other.end()
        [moved] = invites.wait_for(lambda one: one["Subject"] == "Accepted", folder="Processed")
        assert moved["From"] == "ola@ext.example"
        assert invites.messages("Review") == []
