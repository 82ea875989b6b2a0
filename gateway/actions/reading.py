"""A look into a mailbox at once, by whichever gateway reads it."""

from collections.abc import Sequence
from datetime import datetime

from gateway import accounts
from gateway.errors import NotFound
from gateway.settings import Settings
from gateway.store import meta
from gateway.store.engine import Store


def ask(store: Store, settings: Settings, account: str, now: datetime) -> dict[str, str]:
    """Have the mailbox of an account looked into, or all where none is named. Returns what was
    wished, by account. Raises `NotFound`.
    """
    read = [
        name for name, configured in accounts.configured(settings).items() if configured.imap.host
    ]
    if account and account not in read:
        raise NotFound(
            f"there is no mailbox of an account {account!r}; there are {', '.join(read)}"
        )
    if not read:
        raise NotFound("no mailbox is read: imap.host is not set")
    with store.write() as connection:
        names = [account] if account else read
        return {name: meta.ask_to_read(connection, name, now) for name in names}


def unmet(store: Store, wishes: dict[str, str]) -> Sequence[str]:
    """The accounts whose mailboxes have not been looked into yet since that was wished."""
    with store.read() as connection:
        return [
            name for name, wish in wishes.items() if meta.asked_to_read(connection, name) == wish
        ]
