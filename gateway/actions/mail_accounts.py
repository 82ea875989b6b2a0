"""Mail accounts that are configured now and were not before, or are not any more."""

from datetime import datetime

from gateway import accounts
from gateway import settings as configuration
from gateway.errors import ConfigurationError
from gateway.followups import recurrence
from gateway.invite import plan
from gateway.store import invitations, marks, outbox
from gateway.store.engine import Store


def revive(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """A mail account has been configured: have the rows looked at that got no letter for want of
    one.
    """
    if accounts.configured(settings):
        with store.write() as connection:
            marks.mark_noted(connection, plan.NO_ACCOUNT, now)


def require(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """Refuse to begin without an account that an invitation still needs, for it keeps its account
    for life (contract.md §2).

    Raises `ConfigurationError`. An invitation needs it while a letter of its waits, and while it
    stands and is not over.
    """
    present = accounts.configured(settings)
    with store.read() as connection:
        for name in sorted(invitations.accounts_named(connection) - present.keys()):
            standing = (
                key
                for key, sent in invitations.standing(connection, name)
                if not recurrence.over(sent, now)
            )
            key = next(iter(outbox.follow_ups_waiting(connection, name)), None) or next(
                standing, None
            )
            if key is not None:
                raise ConfigurationError(
                    f"{accounts.section(name)}mail.address: not set, but the account {name!r} is"
                    f" needed by invitations that still stand, to the follow-up {key!r} for one;"
                    " keep it until they are over"
                )
