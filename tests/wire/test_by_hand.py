"""What an administrator does beside a gateway that runs: ask whether it lives, pause and resume
sending, have the mailbox read at once, send an invitation to oneself.
"""

import email.policy
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.sandbox import clients, reading
from tests import command, warm
from tests.rig import mailbox, process
from tests.rig import postfix as postfix_server
from tests.wire import gateway_process

FOREIGN = b"From: ola@ext.example\r\nTo: x\r\nSubject: Hei\r\n\r\nHei\r\n"


@pytest.mark.real
def test_by_hand(
    tmp_path: Path,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    invitee: mailbox.Mailbox,
) -> None:
    environment = gateway_process.environment(
        f"sqlite:///{tmp_path / 'store.db'}",
        invites,
        postfix,
        WEB__LISTEN=f"127.0.0.1:{process.free_port()}",
        IMAP__IDLE="false",
        IMAP__POLL_SECONDS="3600",
    )
    document = {
        "follow_ups": [
            {
                "key": "m1",
                "title": "Kick-off",
                "start": "2099-12-01T09:00:00",
                "participants": [{"email": invitee.address, "email_invite": True}],
            }
        ]
    }
    (tmp_path / "m1.json").write_text(json.dumps(document))
    with gateway_process.running(environment) as gateway:
        assert gateway.command("healthcheck") == "ok\n"
        assert gateway.command("healthcheck", "--ready") == "ok\n"

        assert gateway.command("queue", "pause") == "sending is paused\n"
        assert gateway.command("queue", "pause") == "sending was paused already\n"
        gateway.command("load", str(tmp_path / "m1.json"))
        gateway.wait_for(
            lambda: gateway.objects("queue", "list"), lambda rows: len(rows) == 1, what="a letter"
        )
        assert gateway.lives(2.5)  # two looks of the sender
        [letter] = gateway.objects("queue", "list")
        assert (letter["state"], letter["tries"]) == ("waiting", 0)
        assert invitee.messages() == []
        told = command.run("status", environment=environment).stderr
        assert "sending is paused since" in told
        assert "invite-gateway queue resume" in told
        assert gateway.command("queue", "resume") == "letters leave again\n"
        assert gateway.command("queue", "resume") == "sending was not paused\n"
        invitee.wait_for(lambda _: True)
        events = [row["event"] for row in gateway.objects("journal")]
        assert [one for one in events if one.startswith("sending_")] == [
            "sending_paused",
            "sending_resumed",
        ]

        # Nobody tells of new mail here, and the next look is an hour away.
        invites.append(FOREIGN)
        assert gateway.command("read-now") == "looked into: default\n"
        assert len(invites.messages("Ignored")) == 1
        done = command.run("read-now", "--account", "sales", environment=environment)
        assert done.returncode == 1
        assert "there are default" in done.stderr
        assert gateway.stop() == 0
        done = command.run("healthcheck", environment=environment)
        assert (done.returncode, "nobody answers on 127.0.0.1:" in done.stderr) == (1, True)


@pytest.mark.real
def test_a_gateway_whose_settings_say_so_sends_nothing_and_says_why(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    environment = gateway_process.environment(
        f"sqlite:///{tmp_path / 'store.db'}", invites, postfix, OUTBOUND__PAUSED="true"
    )
    with gateway_process.running(environment) as gateway:
        assert "outbound.paused" in command.run("status", environment=environment).stderr
        assert "the settings say outbound.paused" in gateway.command("queue", "resume")
        assert gateway.stop() == 0


def answered(
    invitee: mailbox.Mailbox, via: postfix_server.Server, client: clients.Client, word: clients.Word
) -> None:
    """As the invitee's program does, when the invitation is there."""
    [letter] = invitee.wait_for(lambda _: True)
    made = client(
        reading.read(letter.as_bytes(policy=email.policy.SMTP)),
        clients.Invitee(invitee.name, invitee.address),
        word,
        "See you",
        datetime.now(UTC),
    )
    via.send(made.sender, [made.recipient], made.content)


@pytest.mark.real
def test_a_real_invitation_to_oneself_is_answered_and_withdrawn(
    tmp_path: Path,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    invitee: mailbox.Mailbox,
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    environment = gateway_process.environment(url, invites, postfix)
    assert command.run("db", "upgrade", environment=environment).returncode == 0
    done = command.run("send-test", invitee.address, environment=environment)
    assert (done.returncode, "no gateway runs on this store" in done.stderr) == (1, True)
    with gateway_process.running(environment) as gateway:
        assert "'nobody'" in command.run("send-test", "nobody", environment=environment).stderr
        testing = subprocess.Popen(
            [*warm.command(gateway_process.PROGRAM), "send-test", invitee.address],
            env=gateway.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        answered(invitee, postfix, clients.outlook, clients.Word.ACCEPTED)
        told, _ = testing.communicate(timeout=120)
        assert testing.returncode == 0, told
        assert "delivery: " in told
        assert "answered: accepted (See you)" in told
        assert "the invitation is withdrawn, and nothing is left" in told
        invitee.wait_for(lambda letter: "METHOD:CANCEL" in mailbox.calendar_of(letter))
        assert gateway.objects("status") == []

        # Nobody can answer what is refused; and it is withdrawn all the same.
        done = command.run("send-test", "x@refused.example", "--json", environment=environment)
        row = json.loads(done.stdout)
        assert (done.returncode, row["answered"], row["delivery"]) == (1, False, "undeliverable")
        assert (row["withdrawn"], "no answer came" in done.stderr) == (True, True)
        assert gateway.objects("status") == []
        assert gateway.stop() == 0
