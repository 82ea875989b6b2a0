"""Letters put into the outbox, in sets: a statement for all of them, not one for each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.invite import owing
from gateway.mail import address
from gateway.model import PLANNED, Delivery, Method
from gateway.store import codec
from gateway.store.invitations import Invitation
from gateway.store.schema_letters import invitation, outbox

_INSERT = sa.insert(outbox).returning(outbox.c.id, sort_by_parameter_order=True)
_NUMBER = invitation.c.id == sa.bindparam("number")
_ANNOUNCED = (
    sa.update(invitation)
    .where(_NUMBER)
    .values(
        top_dtstamp=sa.bindparam("dtstamp"),
        bounce_address=sa.bindparam("bounce"),
    )
)
_PLANNED = _ANNOUNCED.values(
    delivery=Delivery.QUEUED,
    delivery_text="",
    name=sa.bindparam("addressee"),
    language=sa.bindparam("speaks"),
    timezone=sa.bindparam("zone"),
    again=False,
    again_because="",
    again_instance="",
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to leave. `to` has the invitee's present name and language; `edition`, `before`: the
    numbers of what it is about and of what the invitee knew; `timezone`: the one it is written in.
    """

    owed: owing.Owed
    to: Invitation
    edition: int
    before: int | None
    message_id: str
    timezone: str


def put(connection: Connection, letters: Sequence[Letter], at: datetime) -> list[int]:
    """Queue letters, due at once. Returns their numbers, in their order."""
    if not letters:
        return []
    rows = [_row(letter, at) for letter in letters]
    numbers = list(connection.execute(_INSERT, rows).scalars())
    _write(connection, _PLANNED, (letter for letter in letters if letter.owed.method in PLANNED))
    # Words that are passed on to the owner leave the invitation alone.
    others = (letter for letter in letters if letter.owed.method not in PLANNED | {Method.NONE})
    _write(connection, _ANNOUNCED, others)
    return numbers


def _row(letter: Letter, at: datetime) -> dict[str, Any]:
    owed = letter.owed
    content = {
        "method": owed.method,
        "sequence": owed.sequence,
        "instance": codec.moment(owed.instance),
        "entry": codec.moment(owed.edition.recurrence_id),
        "withdrawn": owed.withdrawn,
        "dtstamp": owed.dtstamp,
        "reply": owed.reply,
        "remarks": codec.remarks(owed.remarks),
    }
    frozen = {
        "edition": letter.edition,
        "before": letter.before,
        "message_id": letter.message_id,
        "timezone": letter.timezone,
    }
    return {**_addressee(letter.to), **content, **frozen, "due_at": at, "created_at": at}


def _addressee(to: Invitation) -> dict[str, Any]:
    return {
        "invitation": to.id,
        "participant": to.participant,
        "follow_up": to.follow_up,
        "account": to.account,
        "address": to.address,
        "address_key": address.key(to.address),
        "domain": address.domain(to.address),
        "address_name": to.name,
        "organizer_address": to.organizer_address,
        "bounce_address": to.bounce_address,
        "language": to.language,
        "token": to.token,
    }


def _write(connection: Connection, statement: sa.Update, letters: Iterable[Letter]) -> None:
    """What the invitations of these letters are told from now on."""
    is_planned = statement is _PLANNED
    rows = [
        {
            "number": letter.to.id,
            "dtstamp": letter.owed.dtstamp,
            "bounce": letter.to.bounce_address,
        }
        | (
            {
                "addressee": letter.to.name,
                "speaks": letter.to.language,
                "zone": letter.to.timezone,
            }
            if is_planned
            else {}
        )
        for letter in letters
    ]
    if rows:
        connection.execute(statement, rows)
