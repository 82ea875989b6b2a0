"""Horde (the iTIP library of Horde, IMP and Kolab) as an invitee: answers the newest invitation in
INBOX by SMTP.

The PHP is in horde.php; only fetching the message is ours. What Horde's answers look like:
multipart/alternative with the calendar as an attachment, no In-Reply-To, DTSTART shifted, an
instance's RECURRENCE-ID lost.
"""

from __future__ import annotations

from pathlib import Path

from tests import rig
from tests.rig import mailbox, postfix, process

_SCRIPT = Path(__file__).with_suffix(".php")
ACTIONS = ("accept", "decline", "tentative")


def answer(invitee: mailbox.Mailbox, via: postfix.Server, action: str) -> None:
    """Answer the newest invitation in the invitee's INBOX with `action`, one of ACTIONS, sending
    through `via`.

    Returns when the answer is handed over. Raises process.StartError if there is no invitation or
    anything else goes wrong, with what PHP printed.
    """
    assert action in ACTIONS, action
    php = rig.need("php", "php-cli")
    rig.need("/usr/share/php/Horde/Itip.php", "php-horde-itip")
    rig.need("/usr/share/php/Horde/Mail/Transport.php", "php-horde-mail")
    rig.need("/usr/share/php/Horde/Smtp.php", "php-horde-smtp")
    rig.need("/usr/share/php/Horde/Socket/Client.php", "php-horde-socket-client")
    rig.need("/usr/share/php/Horde/Autoloader.php", "php-horde-autoloader")
    invitations = [
        raw
        for raw in invitee.raw_messages()
        if "\nMETHOD:REQUEST\n" in mailbox.calendar_of(mailbox.parse(raw))
    ]
    if not invitations:
        raise process.StartError(f"no invitation in the INBOX of {invitee.username}")
    process.run(
        [php, str(_SCRIPT), str(via.port), invitee.address, invitee.name, action],
        what=f"Horde ({action})",
        stdin=invitations[-1],
    )
