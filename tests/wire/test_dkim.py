"""Signed letters on their way: out of the daemon, through Postfix into Dovecot, and there before
foreign verifiers.

Two accounts, an RSA key in a file and an Ed25519 key in the environment; what DNS would say is what
`invite-gateway dkim` prints.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.core import signing
from tests.rig import mail_dkim, mailbox
from tests.rig import postfix as postfix_server
from tests.rig.fixtures import NewInvitee
from tests.wire import gateway_process

pytestmark = pytest.mark.real

START = (datetime.now(UTC) + timedelta(days=30)).replace(hour=9, minute=0, second=0, microsecond=0)


def meeting(key: str, owner: str, *invitees: mailbox.Mailbox) -> dict[str, object]:
    return {
        "key": key,
        "owner": owner,
        "title": f"Økonomi, {key}",
        "agenda": "Vi går gjennom alt.\n.\nFrom then on.  \n\n",
        "start": f"{START:%Y-%m-%dT%H:%M:%SZ}",
        "participants": [
            {"email": box.address, "name": box.name, "email_invite": True} for box in invitees
        ],
    }


def test_a_signed_letter_arrives_as_it_was_signed(
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    new_invitee: NewInvitee,
    tmp_path: Path,
) -> None:
    kari, ola = (
        new_invitee("kari", "Kari Nordmann"),
        new_invitee("ola", "Ola Blåbær", "other.example"),
    )
    key = tmp_path / "key.pem"
    key.write_text(signing.pem("rsa"), encoding="ascii")
    settings = gateway_process.environment(
        f"sqlite:///{tmp_path / 'store.db'}",
        invites,
        postfix,
        MAIL__DKIM_SELECTOR="s1",
        MAIL__DKIM_KEY_FILE=str(key),
        ACCOUNTS__SALES__GROUPS='["Sales"]',
        ACCOUNTS__SALES__MAIL__ADDRESS="sales@team.crm.example",
        ACCOUNTS__SALES__MAIL__DKIM_SELECTOR="s2",
        ACCOUNTS__SALES__MAIL__DKIM_DOMAIN="crm.example",
        ACCOUNTS__SALES__MAIL__DKIM_KEY=signing.pem("ed25519"),
        ACCOUNTS__SALES__SMTP__HOST="127.0.0.1",
        ACCOUNTS__SALES__SMTP__PORT=str(postfix.port),
        ACCOUNTS__SALES__SMTP__SECURITY="none",
    )
    export = tmp_path / "export.json"
    export.write_text(
        json.dumps(
            {
                "associates": [
                    {"key": "per", "name": "Per Eier"},
                    {"key": "eva", "name": "Eva Bø", "group": "Sales"},
                ],
                "follow_ups": [meeting("m1", "per", kari, ola), meeting("m2", "eva", kari)],
            }
        )
    )
    with gateway_process.running(settings, only="outbound") as gateway:
        gateway.command("load", str(export))
        for follow_up, boxes in (("m1", (kari, ola)), ("m2", (kari,))):
            gateway.wait_status(follow_up, {box.address: {"delivery": "sent"} for box in boxes})
        kari.wait_for(lambda message: True, 2)
        ola.wait_for(lambda message: True, 1)
        assert gateway.stop() == 0
        assert gateway.complaints() == []
    arrived = [*kari.raw_messages(), *ola.raw_messages()]

    # What was written is what has left: nothing on the way has touched it, and only lines about the
    # way stand before it.
    written = [
        Path(row["file"]).read_bytes()
        for row in gateway.objects("letters", "--write", str(tmp_path / "letters"))
    ]
    assert len(written) == len(arrived) == 3
    assert {sum(mail.endswith(letter) for letter in written) for mail in arrived} == {1}
    assert {mail.partition(b":")[0] for mail in arrived} == {b"Return-Path"}

    records = {row["name"]: row["value"] for row in gateway.objects("dkim")}
    assert records.keys() == {
        f"s1._domainkey.{postfix_server.OURS}",
        f"s2._domainkey.{postfix_server.OURS}",
    }
    by_rsa, by_ed25519 = (
        [mail for mail in arrived if f"a={kind}-sha256".encode() in mail] for kind in signing.KINDS
    )
    assert (len(by_rsa), len(by_ed25519)) == (2, 1)
    for selector, mails in (("s1", by_rsa), ("s2", by_ed25519)):
        name = f"{selector}._domainkey.{postfix_server.OURS}"
        for mail in mails:
            assert signing.verifies(mail, records[name], name)
            assert not signing.verifies(
                mail.replace(b"Date: ", b"Date:  Mon, "), records[name], name
            )
    assert mail_dkim.verdicts(by_rsa, gateway.command("dkim")) == ["pass", "pass"]
