"""aerc as an invitee: reads INBOX by IMAP, answers the newest invitation by SMTP with its own code.

It has a screen and no batch mode, so it gets a terminal and the keys that its user would press.
What aerc's answers look like: mixed(alternative(text, calendar)), In-Reply-To set, DTSTAMP of now,
an instance's RECURRENCE-ID kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from tests import rig
from tests.rig import mailbox, postfix, process, terminal

COMMANDS = {"accept": ":accept", "decline": ":decline", "tentative": ":accept-tentative"}
ACTIONS = tuple(COMMANDS)

_VISIBLE = 30
"""Messages that the screen surely shows at once; one further back cannot be answered."""

_ACCOUNT = """[invitee]
source = imap+insecure://{user}:{password}@{invitee.host}:{invitee.port}
outgoing = smtp+none://127.0.0.1:{via.port}
smtp-starttls = no
default = INBOX
from = "{invitee.name}" <{invitee.address}>
check-mail = 0
cache-headers = false
"""
_SETTINGS = """[general]
log-file = {home}/aerc.log
[ui]
timestamp-format = 2006-01-02 15:04
index-format = %D %-20.20n %s
new-message-bell = false
spinner = .
dirlist-delay = 0s
[viewer]
pager = cat
[compose]
editor = true
empty-subject-warning = false
no-attachment-warning =
[filters]
text/plain = cat
text/calendar = cat
"""
_KEYS = """[messages]
[view]
[compose]
$noinherit = true
[compose::editor]
$noinherit = true
[compose::review]
y = :send<Enter>
"""
_COMPLAINT = r"(?i)(?:no invitation|error|failed|refused|unknown|invalid)[^\n]*\Z"
"""In the status line, which is the last one of its screen."""


def answer(invitee: mailbox.Mailbox, via: postfix.Server, action: str) -> None:
    """Answer the newest invitation in the invitee's INBOX with `action`, one of ACTIONS, sending
    through `via`.

    Returns when the answer is handed over. Raises process.StartError with aerc's screen if there is
    no invitation or anything else goes wrong.
    """
    program = rig.need("aerc", "aerc")
    messages = [mailbox.parse(raw) for raw in invitee.raw_messages()]
    newest = next(
        (
            back
            for back, message in enumerate(reversed(messages))
            if "\nMETHOD:REQUEST\n" in mailbox.calendar_of(message)
        ),
        None,
    )
    if newest is None:
        raise process.StartError(f"no invitation in the INBOX of {invitee.username}")
    with process.private_directory("aerc") as home:
        _configure(home, invitee, via)
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home),
            "LANG": "C.UTF-8",
            "TZ": "Europe/Oslo",
        }
        with terminal.running([program], what=f"aerc ({action})", env=env, cwd=home) as screen:
            screen.wait(
                rf"(?:\d{{4}}-\d\d-\d\d [^\n]*\n[^\n]*){{{min(len(messages), _VISIBLE)}}}",
                failing=_COMPLAINT,
            )
            screen.press(f":select {newest}\r{COMMANDS[action]}\r")
            screen.wait(r"Send this email\?", failing=_COMPLAINT)
            screen.press("y")
            # Of a server that refuses the answer, aerc 0.14 says nothing and waits for ever.
            screen.wait(r"Message sent\.", failing=_COMPLAINT, seconds=60)
            screen.press(":quit\r")
            if (code := screen.ended()) != 0:
                raise process.StartError(f"aerc ({action}): exit code {code}")


def _configure(home: Path, invitee: mailbox.Mailbox, via: postfix.Server) -> None:
    folder = home / "config" / "aerc"
    folder.mkdir(parents=True)
    user, password = quote(invitee.username, safe=""), quote(invitee.password, safe="")
    account = folder / "accounts.conf"
    account.write_text(_ACCOUNT.format(user=user, password=password, invitee=invitee, via=via))
    account.chmod(0o600)  # aerc refuses it otherwise
    (folder / "aerc.conf").write_text(_SETTINGS.format(home=home))
    (folder / "binds.conf").write_text(_KEYS)
