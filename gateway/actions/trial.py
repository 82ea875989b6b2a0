"""A real invitation to oneself: the whole way of a letter and of its answer, and nothing left
behind.

What is invited to is a follow-up like any other, which nobody is kept busy by. In the end it is
deleted: its invitee gets a CANCEL, and it is gone when that has left; the journal remembers it.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta

from gateway.actions import importing, load_format, recording
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.mail import syntax
from gateway.model import Delivery, Reply
from gateway.store import leases, views
from gateway.store.engine import Store

AHEAD = timedelta(days=7)
TITLE = "Test of invite-gateway"
AGENDA = """\
This invitation was sent to see whether invitations and their answers arrive. Please answer it as
you would any other: accept it, decline it, or write some words. It is withdrawn afterwards.
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """How far it has come. `delivery`, `reply`, `comment`, `note`: as in `status`."""

    delivery: Delivery
    reply: Reply
    comment: str = ""
    note: str = ""

    @property
    def is_over(self) -> bool:
        """An answer came, or none can come."""
        return self.is_answered or self.delivery is Delivery.UNDELIVERABLE

    @property
    def is_answered(self) -> bool:
        return self.reply is not Reply.NEEDS_ACTION


def begin(desk: Desk, address: str, owner: str = "") -> str:
    """Invite this address, a week from now. Returns the follow-up's key. Raises `Refused` where no
    gateway runs that could send it, and `InputError` for a text that is not an address.
    """
    if reason := syntax.problem(address):
        raise Refused(f"{address!r}: {reason}")
    if not leases.held(desk.connection, leases.GATEWAY, desk.now):
        raise Refused("no gateway runs on this store; start it: invite-gateway run")
    start = (desk.now.astimezone(UTC) + AHEAD).replace(minute=0, second=0, microsecond=0)
    key = f"test-{desk.now:%Y%m%d-%H%M%S-%f}"
    follow_up = {
        "key": key,
        "title": TITLE,
        "agenda": AGENDA,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "availability": "free",
        "owner": owner or None,
        "participants": [{"email": address, "email_invite": True}],
    }
    importing.run(desk, load_format.read({"follow_ups": [follow_up]}))
    return key


def stand(store: Store, key: str) -> Stand:
    """How far the invitation has come."""
    with store.read() as connection:
        [row] = views.status_rows(connection, key)
    return Stand(row.delivery, row.reply, row.comment, row.note)


def end(desk: Desk, key: str) -> None:
    """Withdraw it, and forget it once the invitee was told."""
    recording.delete(desk, key)


def is_gone(store: Store, key: str) -> bool:
    """Whether the invitee was told, and nothing is left."""
    recording.forget(store)
    with store.read() as connection:
        return not views.known(connection, key)
