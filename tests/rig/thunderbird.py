"""Thunderbird as an invitee: reads INBOX by IMAP, answers by SMTP when the buttons of its
invitation bar are pressed.

It runs without a screen and is driven through Marionette (length-prefixed JSON over TCP), which is
how its makers test it; the script that presses the button is thunderbird.js. 325 MB, so it is left
out of the default run. What its answers look like: mixed(alternative(text, calendar), .ics), the
same object twice; no In-Reply-To, an instance's RECURRENCE-ID kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import rig
from tests.rig import mailbox, postfix, process

_SCRIPT = Path(__file__).with_suffix(".js")
_SECONDS = 120
"""For each step: the first start of a profile takes several seconds, most of them of one processor.
"""
ACTIONS = ("accept", "decline", "tentative")
SENT = "Sent"


def answer(invitee: mailbox.Mailbox, via: postfix.Server, action: str) -> None:
    """Answer the newest invitation in the invitee's INBOX with `action`, one of ACTIONS, sending
    through `via`.

    Returns when the answer is handed over and kept in the folder SENT. Raises process.StartError if
    there is no invitation or anything else goes wrong, with what Thunderbird said.
    """
    assert action in ACTIONS, action
    program = rig.need("thunderbird", "thunderbird")
    newest = next(
        (
            message
            for message in reversed(invitee.messages())
            if "\nMETHOD:REQUEST\n" in mailbox.calendar_of(message)
        ),
        None,
    )
    if newest is None:
        raise process.StartError(f"no invitation in the INBOX of {invitee.username}")
    before = len(invitee.messages(SENT))
    with process.private_directory("thunderbird") as home:
        profile = home / "profile"
        profile.mkdir()
        (profile / "user.js").write_text(
            "".join(
                f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                for name, value in _preferences(invitee, via).items()
            )
        )
        daemon = process.Daemon(
            f"Thunderbird ({action})",
            [
                program,
                "--headless",
                "--marionette",
                "--remote-allow-system-access",
                "--no-remote",
                "--profile",
                str(profile),
            ],
            log=home / "log",
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "TZ": "Europe/Oslo",
                "MOZ_CRASHREPORTER_DISABLE": "1",
            },
        )
        port = profile / "MarionetteActivePort"
        daemon.start(lambda: port.is_file() and port.read_text().isdigit(), seconds=_SECONDS)
        try:
            with _session(int(port.read_text())) as call:
                call("Marionette:SetContext", value="chrome")
                call("WebDriver:SetTimeouts", script=_SECONDS * 1000)
                said = call(
                    "WebDriver:ExecuteAsyncScript",
                    script=_SCRIPT.read_text(),
                    args=[
                        action,
                        invitee.username,
                        invitee.password,
                        str(newest["Message-ID"]).strip("<>"),
                    ],
                )["value"]
                if said != "pressed":
                    raise process.StartError(f"Thunderbird ({action}): {said}\n{daemon.log_tail()}")
                invitee.wait_for(lambda _: True, before + 1, folder=SENT)
        finally:
            daemon.kill()


@contextlib.contextmanager
def _session(port: int) -> Iterator[Any]:
    """A Marionette session: call(command, parameter=value) gives the result, or raises
    process.StartError.
    """
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_SECONDS + 10) as connection,
        connection.makefile("rb") as stream,
    ):
        number = 0

        def receive() -> Any:
            length = b""
            while (octet := stream.read(1)) != b":":
                if not octet:
                    raise process.StartError("Thunderbird closed its Marionette connection")
                length += octet
            return json.loads(stream.read(int(length)))

        def call(command: str, **parameters: object) -> Any:
            nonlocal number
            number += 1
            data = json.dumps([0, number, command, parameters]).encode()
            connection.sendall(b"%d:%s" % (len(data), data))
            _, _, error, result = receive()
            if error is not None:
                raise process.StartError(
                    f"Thunderbird: {command}: {error.get('error')}: {error.get('message')}\n{error.get('stacktrace', '')[:1000]}"
                )
            return result

        receive()  # its greeting
        call("WebDriver:NewSession", capabilities={})
        yield call


def _preferences(invitee: mailbox.Mailbox, via: postfix.Server) -> dict[str, object]:
    folder = f"imap://{invitee.username}@{invitee.host}"
    return {
        "marionette.port": 0,
        "mail.accountmanager.accounts": "account1",
        "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1",
        "mail.account.account1.identities": "id1",
        "mail.server.server1.type": "imap",
        "mail.server.server1.hostname": invitee.host,
        "mail.server.server1.port": invitee.port,
        "mail.server.server1.userName": invitee.username,
        "mail.server.server1.name": "invitee",
        "mail.server.server1.socketType": 0,
        "mail.server.server1.authMethod": 3,
        # Else it signs in before it has been given the password, and asks somebody who is not
        # there.
        "mail.server.server1.login_at_startup": False,
        "mail.server.server1.check_new_mail": False,
        "mail.identity.id1.useremail": invitee.address,
        "mail.identity.id1.fullName": invitee.name,
        "mail.identity.id1.valid": True,
        "mail.identity.id1.smtpServer": "smtp1",
        "mail.identity.id1.fcc": True,
        "mail.identity.id1.fcc_folder": f"{folder}/{SENT}",
        "mail.identity.id1.fcc_folder_picker_mode": "1",
        "mail.smtpservers": "smtp1",
        "mail.smtp.defaultserver": "smtp1",
        "mail.smtpserver.smtp1.type": "smtp",
        "mail.smtpserver.smtp1.hostname": "127.0.0.1",
        "mail.smtpserver.smtp1.port": via.port,
        "mail.smtpserver.smtp1.try_ssl": 0,
        "mail.smtpserver.smtp1.authMethod": 1,
        # One calendar of its own, whose invitations are answered as this identity.
        "calendar.registry.rig.type": "storage",
        "calendar.registry.rig.uri": "moz-storage-calendar://",
        "calendar.registry.rig.name": "Home",
        "calendar.registry.rig.imip.identity.key": "id1",
        "calendar.timezone.local": "Europe/Oslo",
        "calendar.timezone.useSystemTimezone": False,
        # Nothing leaves the machine, and nothing asks.
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": 9,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": 9,
        "network.proxy.no_proxies_on": "",
        "app.update.enabled": False,
        "app.donation.eoy.version.viewed": 999,
        "datareporting.policy.dataSubmissionEnabled": False,
        "toolkit.telemetry.enabled": False,
        "extensions.update.enabled": False,
        "app.normandy.enabled": False,
        "mail.provider.suppress_dialog_on_startup": True,
        "mail.spotlight.firstRunDone": True,
        "mail.rights.version": 1,
        "mailnews.start_page.enabled": False,
        "mailnews.start_page_override.mstone": "ignore",
        "mail.shell.checkDefaultClient": False,
        "mail.warn_on_send_accel_key": False,
        "mail.inappnotifications.enabled": False,
    }
