"""What planning needs to know of the site and of a follow-up's owner."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from gateway import accounts, sections
from gateway import settings as configuration
from gateway.invite import plan
from gateway.mail import address
from gateway.store import followups, invitations, meta
from gateway.store.engine import Connection
from gateway.store.stated import Site


@dataclass(frozen=True, slots=True)
class Context:
    """What planning needs to know of the site. `account`: where new invitations to the follow-up in
    hand go out from, "" where it has none. `floor`: the SEQUENCE below which nothing leaves
    (`meta.sequence_floor`). `mailboxes`: ours, of all accounts; `organizer`: the address of the
    follow-up's owner. `changed_at`: when another program changed it, where that counts for the
    brake. `author`: who changed it, "" where only people or participants did. `free_uids`: nobody
    was ever invited under these.
    """

    accounts: Mapping[str, sections.Account]
    site: Site
    secret: bytes
    now: datetime
    floor: int = 0
    mailboxes: Sequence[str] = ()
    account: str = ""
    organizer: str = ""
    changed_at: datetime | None = None
    author: str = ""
    free_uids: Set[str] = frozenset()

    @classmethod
    def read(
        cls, connection: Connection, settings: configuration.Settings, now: datetime
    ) -> "Context":
        """What stands in the store of it; the connection is a writing one."""
        return cls(
            accounts.configured(settings),
            Site(settings.mail.timezone, settings.mail.language),
            meta.site_secret(connection),
            now,
            meta.sequence_floor(connection),
            accounts.mailboxes(settings),
        )

    @property
    def mail(self) -> sections.Mail:
        """The mail settings of `account`."""
        return (
            self.accounts[self.account].mail
            if self.account
            else sections.Mail(language=self.site.language)
        )

    def unreachable(self, value: str, is_associate: bool) -> str:
        """Why no letter can go to this address of a participant ("": there is none), "" where one
        can: what we sent to ourselves would come back as an answer, and clients show the organizer
        no buttons (P17).
        """
        if not value:
            return plan.NO_ADDRESS
        if address.is_ours(value, self.mailboxes):
            return plan.OWN_MAILBOX
        # Associates may share one mailbox; anybody else with the owner's address is the owner.
        is_owner = address.equal(value, self.organizer)
        return plan.ORGANIZER if is_owner and not is_associate else ""

    def of(self, connection: Connection, key: str) -> "Context":
        """The same for one follow-up."""
        began = invitations.accounts_of(connection, key)
        return self.owned(followups.owner(connection, key), began)

    def owned(self, owner: followups.Owner | None, began: Iterable[str]) -> "Context":
        """The same for a follow-up of this owner. Where they have no account now, it goes on with
        the one that it began with: the first of these.
        """
        chosen = accounts.choose(
            self.accounts, owner.key if owner else "", owner.group if owner else ""
        )
        account = chosen or next((name for name in began if name in self.accounts), "")
        return replace(self, organizer=owner.address if owner else "", account=account)
