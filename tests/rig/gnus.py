"""Gnus (Emacs) as an invitee: reads INBOX by IMAP, answers the newest invitation by SMTP with its
own code.

The Lisp that presses the keys is in gnus.el. What Gnus' answers look like: multipart/alternative of
an empty text and the calendar, In-Reply-To set, DTSTAMP of now, SUMMARY prefixed with "Accepted: ".
"""

from __future__ import annotations

import os
from pathlib import Path

from tests import rig
from tests.rig import mailbox, postfix, process

_SCRIPT = Path(__file__).with_suffix(".el")
ACTIONS = ("accept", "decline", "tentative")


def answer(invitee: mailbox.Mailbox, via: postfix.Server, action: str) -> None:
    """Answer the newest invitation in the invitee's INBOX with `action`, one of ACTIONS, sending
    through `via`.

    Returns when the answer is handed over. Raises process.StartError with Emacs' output if there is
    no invitation or anything else goes wrong.
    """
    assert action in ACTIONS, action
    emacs = rig.need("emacs", "emacs-nox")
    with process.private_directory("gnus") as home:
        (home / ".authinfo").write_text(
            f"machine {invitee.host} port {invitee.port} login {invitee.username} password {invitee.password}\n"
        )
        (home / ".authinfo").chmod(0o600)
        process.run(
            [emacs, "--batch", "-Q", "-l", str(_SCRIPT)],
            what=f"Gnus ({action})",
            cwd=home,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "TZ": "Europe/Oslo",
                "RIG_IMAP_PORT": str(invitee.port),
                "RIG_SMTP_PORT": str(via.port),
                "RIG_USER": invitee.username,
                "RIG_ADDRESS": invitee.address,
                "RIG_NAME": invitee.name,
                "RIG_ACTION": action,
            },
        )
