"""A look into a mailbox for one probe, beside the reader, which may be away or behind.

What: one session, the newest messages of the folder, nothing moved and nothing marked. On failure:
`MailboxError`. Limits: `NEWEST` messages, and none larger than `LARGEST`: a probe is small, and a
report about it returns little more.
"""

import asyncio

from gateway import accounts
from gateway import settings as configuration
from gateway.errors import Unreadable
from gateway.inbound import imap
from gateway.mail import parse, probe
from gateway.sections import Account
from gateway.settings import Settings

NEWEST = imap.UIDS
LARGEST = 256 * 1024


async def look(settings: Settings, name: str, secret: bytes, mark: str) -> probe.Sighting | None:
    """The probe with that mark, or what a report says of it, if it lies in the account's folder.

    Raises `MailboxError`, and `ConfigurationError` where a secret or `ca_file` cannot be read.
    """
    account, mailboxes = accounts.configured(settings)[name], accounts.mailboxes(settings)
    async with session(name, account) as opened:
        uids = (await opened.search(0))[-NEWEST:]
        if not uids:
            return None
        sizes = await opened.fetch(uids, "UID RFC822.SIZE")
        small = [uid for uid in uids if uid in sizes and (sizes[uid].size or 0) <= LARGEST]
        for uid in reversed(small):
            item = (await opened.fetch([uid], "UID BODY.PEEK[]")).get(uid)
            sighting = _read(item.body if item is not None else None, secret, mailboxes)
            # A report that it is late says nothing yet.
            if sighting is not None and sighting.mark == mark and sighting.refused != "":
                return sighting
    return None


def session(name: str, account: Account) -> imap.Opening:
    """A session of its own with an account's folder open."""
    return imap.session(
        account.imap,
        password=configuration.secret(account.imap, f"{accounts.section(name)}imap"),
        context=imap.tls(account.imap),
        max_bytes=LARGEST,
        stop=asyncio.Event(),
        tokens=accounts.tokens(name, account),
    )


def _read(raw: bytes | None, secret: bytes, mailboxes: tuple[str, ...]) -> probe.Sighting | None:
    if not raw:
        return None
    try:
        return probe.read(parse.read(raw), secret, mailboxes)
    except Unreadable:
        return None  # the reader will say what is wrong with it
