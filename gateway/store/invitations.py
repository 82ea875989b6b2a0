"""Who holds what: editions of follow-ups, and per participant and address the token and what it was last sent."""

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.itip import plan
from gateway.model import Delivery, Edition, LetterState, Method
from gateway.store import codec
from gateway.store.schema import edition, invitation, outbox, participant

REPLACEABLE = (LetterState.WAITING, LetterState.HELD)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One participant at one address, for life: account, ORGANIZER address and token never change."""

    id: int
    participant: int
    follow_up: str
    uid: str
    token: str
    account: str
    address: str
    name: str
    organizer_address: str
    bounce_address: str
    language: str = ""
    timezone: str = ""
    delivery: Delivery = Delivery.NONE
    delivery_text: str = ""


def token() -> str:
    """130 random bits as lower-case base32, valid when a relay upper-cases it (itip.md §1)."""
    return base64.b32encode(secrets.token_bytes(17)).decode().lower()[:26]


def keep_edition(connection: Connection, follow_up: str, value: Edition, last: int | None, at: datetime) -> int:
    """The number of this edition: that of the last one where nothing differs, else of a new one."""
    facts = codec.edition(value)
    if last is not None and connection.execute(sa.select(edition.c.facts).where(edition.c.id == last)).scalar_one_or_none() == facts:
        return last
    made: int = connection.execute(sa.insert(edition).values(follow_up=follow_up, facts=facts, created_at=at)
                              .returning(edition.c.id)).scalar_one()
    return made


def editions(connection: Connection, numbers: Iterable[int | None]) -> dict[int | None, Edition]:
    """Editions by number."""
    wanted = {number for number in numbers if number is not None}
    rows = connection.execute(sa.select(edition.c.id, edition.c.facts).where(edition.c.id.in_(wanted)))
    return {row.id: codec.parse_edition(row.facts) for row in rows}


def create(connection: Connection, made: Invitation, at: datetime) -> int:
    """A new invitation; its `id` is ignored. Returns the number."""
    number: int = connection.execute(sa.insert(invitation).values(
        participant=made.participant, follow_up=made.follow_up, uid=made.uid, token=made.token, account=made.account,
        address=made.address, name=made.name, organizer_address=made.organizer_address, bounce_address=made.bounce_address,
        language=made.language, timezone=made.timezone, created_at=at).returning(invitation.c.id)).scalar_one()
    return number


def adopt(connection: Connection, number: int, edition_number: int, sequence: int, at: datetime) -> None:
    """An earlier system sent this invitation already (`"sent": true` of the load format)."""
    connection.execute(sa.update(invitation).where(invitation.c.id == number).values(
        sent_edition=edition_number, sent_method=Method.REQUEST, sent_sequence=sequence, sent_at=at, top_sequence=sequence,
        delivery=Delivery.SENT))


def get(connection: Connection, numbers: Iterable[int]) -> dict[int, Invitation]:
    rows = connection.execute(sa.select(invitation).where(invitation.c.id.in_(set(numbers))))
    return {row.id: from_row(row) for row in rows}


def rehome(connection: Connection, key: str) -> None:
    """Follow rows to the new key of a renamed follow-up, so that nobody is owed a CANCEL for the old name."""
    elsewhere = sa.select(participant.c.follow_up).where(participant.c.id == invitation.c.participant).scalar_subquery()
    moved = connection.execute(sa.update(invitation).where(invitation.c.follow_up == key, elsewhere != key)
                               .values(follow_up=elsewhere).returning(invitation.c.id, invitation.c.follow_up)).all()
    for row in moved:
        connection.execute(sa.update(outbox).where(outbox.c.invitation == row.id).values(follow_up=row.follow_up))


def copies(connection: Connection, key: str) -> tuple[list[plan.Copy], dict[Edition, int]]:
    """Every invitation ever made for a follow-up, with what it holds and what waits for it; and the editions' numbers."""
    waiting = connection.execute(sa.select(outbox).where(  # locked first: a letter that is being claimed counts as sent
        outbox.c.follow_up == key, outbox.c.state.in_(REPLACEABLE)).order_by(outbox.c.id).with_for_update()).all()
    rows = connection.execute(sa.select(invitation).where(invitation.c.follow_up == key).order_by(invitation.c.id)).all()
    known = editions(connection, [*(row.sent_edition for row in rows), *(row.edition for row in waiting), *(row.before for row in waiting)])
    queued: dict[int, list[plan.Queued]] = {}
    for row in waiting:
        queued.setdefault(row.invitation, []).append(
            plan.Queued(row.id, Method(row.method), known[row.edition], known.get(row.before), row.tries))
    found = [plan.Copy(row.id, row.participant, row.address, Method(row.sent_method) if row.sent_method else None,
                      known.get(row.sent_edition), -1 if row.top_sequence is None else row.top_sequence, row.top_dtstamp,
                      row.refused, row.again, tuple(queued.get(row.id, ()))) for row in rows]
    return found, {value: number for number, value in known.items() if number is not None}


def token_taken(connection: Connection, value: str) -> bool:
    return connection.execute(sa.select(invitation.c.id).where(invitation.c.token == value)).first() is not None


def of_address(connection: Connection, number: int, address: str) -> Invitation | None:
    """The invitation of a participant at an address: removed and added again is the same row and token."""
    row = connection.execute(sa.select(invitation).where(
        invitation.c.participant == number, sa.func.lower(invitation.c.address) == address.lower())).one_or_none()
    return from_row(row) if row is not None else None


def deliveries(connection: Connection, participants: Sequence[int] | None) -> Mapping[int, Invitation]:
    """The newest invitation of each participant."""
    query = sa.select(invitation).order_by(invitation.c.id)
    if participants is not None:
        query = query.where(invitation.c.participant.in_(participants))
    return {row.participant: from_row(row) for row in connection.execute(query)}


def ask_again(connection: Connection, participant_number: int) -> bool:
    """Owe the REQUEST once more at the same SEQUENCE, once per SEQUENCE. Returns whether it is owed now."""
    newest = sa.select(sa.func.max(invitation.c.id)).where(invitation.c.participant == participant_number).scalar_subquery()
    done = connection.execute(sa.update(invitation).where(
        invitation.c.id == newest, invitation.c.sent_method == Method.REQUEST,
        invitation.c.again_sequence.is_distinct_from(invitation.c.sent_sequence)).values(
            again=True, again_sequence=invitation.c.sent_sequence))
    return bool(done.rowcount)


def mark_row_delivery(connection: Connection, participant_number: int, delivery: Delivery, text: str,
                      only: Delivery | None = None) -> None:
    """What a report says of the newest letter to a participant; `only`: where the mark is this one so far."""
    newest = sa.select(sa.func.max(invitation.c.id)).where(invitation.c.participant == participant_number).scalar_subquery()
    wanted = [invitation.c.id == newest, *([invitation.c.delivery == only] if only is not None else [])]
    connection.execute(sa.update(invitation).where(*wanted).values(
        delivery=delivery, delivery_text=text, refused=delivery is Delivery.UNDELIVERABLE))


def from_row(row: Any) -> Invitation:
    return Invitation(row.id, row.participant, row.follow_up, row.uid, row.token, row.account, row.address, row.name,
                      row.organizer_address, row.bounce_address, row.language, row.timezone, Delivery(row.delivery), row.delivery_text)
