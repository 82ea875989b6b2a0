"""What delivery reports say of letters that left: which letter a report is about, and what becomes
of it and of its invitation (itip.md §3, "Bounces").

A report is news of the address only where it is about the newest letter that left for it. About an
older one it says that that letter did not arrive, and what the newer one tells stays told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail import address as addresses
from gateway.mail import bounce
from gateway.model import Delivery, LetterState, Method
from gateway.store import invitations
from gateway.store.invitations import Invitation
from gateway.store.schema_letters import invitation, outbox


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report is about. `letter`: its number, None where none left; `newest`: no newer one
    has left for that address.
    """

    invitation: Invitation
    letter: int | None
    newest: bool


def about(connection: Connection, participant: int, report: bounce.Report) -> Returned | None:
    """The letter that a report names by its Message-ID; else the last one of the invitation whose
    bounce address it came to, or that was sent to the address it names, or that counts.
    """
    query = (
        sa.select(outbox.c.id, outbox.c.invitation)
        .where(
            outbox.c.participant == participant,
            outbox.c.message_id.in_(report.letters),
            outbox.c.method != Method.NONE,
        )
        .order_by(outbox.c.id.desc())
    )
    named = connection.execute(query).first() if report.letters else None
    rows = connection.execute(
        sa.select(invitation)
        .where(invitation.c.participant == participant)
        .order_by(invitation.c.counts.desc(), invitation.c.id.desc())
    ).all()
    of_row = [invitations.from_row(row) for row in rows]
    if named is not None:
        to = next((sent for sent in of_row if sent.id == named.invitation), None)
    else:
        to = _invited(of_row, report.token, report.recipients)
    if to is None:
        return None
    letters = [row.id for row in invitations.left(connection, [to.id]).get(to.id, ())]
    letter = named.id if named is not None else next(reversed(letters), None)
    return Returned(to, letter, not letters or letter == letters[-1])


def _invited(
    of_row: Iterable[Invitation], token: str, recipients: Iterable[str]
) -> Invitation | None:
    candidates, named = list(of_row), tuple(recipients)
    by_token = (sent for sent in candidates if token and sent.token.lower() == token)
    by_address = (sent for sent in candidates if addresses.among(sent.address, named))
    return next(by_token, None) or next(by_address, None) or next(iter(candidates), None)


def mark(
    connection: Connection, returned: Returned, delivery: Delivery, text: str, now: datetime
) -> None:
    """What a report says of a letter and its address.

    An address that is said to refuse mail is marked `refused` and gets no CANCEL (itip.md §3). A
    report of delay is no news of an address that has refused since, nor of one whose letter
    arrived.
    """
    if not returned.newest:
        if delivery is Delivery.UNDELIVERABLE:
            _refused(connection, returned, text, now)
        return
    conditions = [invitation.c.id == returned.invitation.id]
    if delivery is Delivery.DEFERRED:
        conditions.append(invitation.c.delivery.in_((Delivery.SENT, Delivery.DEFERRED)))
    connection.execute(
        sa.update(invitation)
        .where(*conditions)
        .values(delivery=delivery, delivery_text=text, refused=delivery is Delivery.UNDELIVERABLE)
    )


def blame_account(connection: Connection, returned: Returned, words: str, now: datetime) -> None:
    """A report says that a letter was refused for the account's sake: it counts as refused, and its
    address does not.
    """
    _refused(connection, returned, words, now)
    if returned.newest:
        connection.execute(
            sa.update(invitation)
            .where(invitation.c.id == returned.invitation.id)
            .values(delivery=Delivery.DEFERRED, delivery_text=words)
        )


def _refused(connection: Connection, returned: Returned, words: str, now: datetime) -> None:
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id == returned.letter, outbox.c.state == LetterState.SENT)
        .values(state=LetterState.REFUSED, note=words, settled_at=now)
    )
