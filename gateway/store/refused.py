"""Letters that were refused for good: which of an account were refused in a row, and putting back
those that were not refused for themselves.
"""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail.refusals import Refusal, Said
from gateway.model import PLANNED, Delivery, LetterState, Method
from gateway.store import chunks, doubts, invitations, marks, outbox
from gateway.store.schema import participant
from gateway.store.schema_letters import attempt, invitation
from gateway.store.schema_letters import outbox as letters

SENT, REFUSED, ACCOUNT = "sent", "refused", "account"
"""Verdicts of `outbound.retry`."""
AT_MOST = 500
"""So many refusals in a row are looked at."""


def others_taken(connection: Connection, account: str) -> bool:
    """Whether the last letter of the account that came to a decision was taken."""
    query = (
        sa.select(attempt.c.verdict)
        .join(letters, letters.c.id == attempt.c.letter)
        .where(letters.c.account == account, attempt.c.verdict.in_((SENT, REFUSED, ACCOUNT)))
        .order_by(attempt.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() == SENT


def since_taken(connection: Connection, account: str, since: datetime) -> list[Refusal]:
    """The account's refusals after the last letter that was taken, oldest first. `since`: no older
    ones.
    """
    last_taken = _last_taken(connection, account)
    query = (
        _refusals()
        .where(
            letters.c.account == account,
            attempt.c.id > last_taken,
            attempt.c.started_at >= since,
        )
        .order_by(attempt.c.id.desc())
        .limit(AT_MOST)
    )
    return _read(connection, query)[::-1]


def before(connection: Connection, account: str, numbers: Collection[int]) -> list[Refusal]:
    """Refusals of these letters from before the account's last letter that was taken."""
    last_taken = _last_taken(connection, account)
    query = _refusals().where(attempt.c.letter.in_(numbers), attempt.c.id < last_taken)
    return _read(connection, query) if numbers else []


def put_back(
    connection: Connection, numbers: Collection[int], note: str, now: datetime
) -> list[int]:
    """Have letters that were refused wait again, as if they had not been tried. Returns those that
    do.

    The invitations are locked first (`invitations.lock`). A letter is left alone if a newer one has
    taken its place, or if whom it asks has been removed since. Its follow-up is planned again: what
    changed meanwhile may make it needless.
    """
    concerned = sa.select(letters.c.invitation).where(letters.c.id.in_(numbers))
    invitations.lock(connection, connection.execute(concerned).scalars(), wait=True)
    rows = connection.execute(
        sa.select(letters)
        .where(letters.c.id.in_(numbers), letters.c.state == LetterState.REFUSED, ~_asks_nobody())
        .order_by(letters.c.id)
        .with_for_update()
    ).all()
    overtaken = outbox.overtaken(connection, [row.id for row in rows], [row.id for row in rows])
    rows = [row for row in rows if row.id not in overtaken]
    waiting = [row.id for row in rows]
    if not waiting:
        return []
    connection.execute(
        sa.update(letters)
        .where(letters.c.id.in_(waiting))
        .values(state=LetterState.WAITING, note=note, due_at=now, settled_at=None)
    )
    for row in reversed(rows):  # the oldest last: what the invitee held before all of them
        if row.method in PLANNED:
            _as_before(connection, row, note)
    marks.mark(connection, sorted({row.follow_up for row in rows}), now)
    return waiting


def taken_since(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Of these letters the invitations of those that were refused, where the same address took a
    newer letter of another invitation of the row since: it takes mail again.
    """
    newer, other = letters.alias("newer"), invitation.alias("other")
    is_newer = sa.and_(
        newer.c.id > letters.c.id,
        newer.c.settled_at >= letters.c.settled_at,
        newer.c.address_key == letters.c.address_key,
    )
    was_taken = sa.exists().where(
        other.c.participant == letters.c.participant,
        other.c.id != letters.c.invitation,
        ~other.c.refused,
        newer.c.invitation == other.c.id,
        newer.c.state == LetterState.SENT,
        is_newer,
    )
    is_refused = letters.c.state == LetterState.REFUSED
    query = sa.select(letters.c.invitation).where(is_refused, was_taken)
    taking = set[int]()
    for part in chunks.parts(numbers, invitations.MOST_NUMBERS):
        taking.update(connection.execute(query.where(letters.c.id.in_(part))).scalars())
    return taking


def recently(connection: Connection, account: str, since: datetime) -> list[tuple[str, str]]:
    """Recipient and words of the account's letters that were refused since then."""
    query = (
        sa.select(letters.c.address, letters.c.note)
        .where(
            letters.c.account == account,
            letters.c.state == LetterState.REFUSED,
            letters.c.settled_at >= sa.literal(since, letters.c.settled_at.type),
        )
        .limit(AT_MOST)
    )
    return [(row.address, row.note) for row in connection.execute(query)]


def _as_before(connection: Connection, row: sa.Row[tuple[object, ...]], note: str) -> None:
    """The invitation of a letter that waits again."""
    facts = doubts.back_before(connection, row)
    facts |= {"delivery": Delivery.QUEUED, "delivery_text": note, "refused": False}
    connection.execute(sa.update(invitation).where(invitation.c.id == row.invitation).values(facts))


def _asks_nobody() -> sa.ColumnElement[bool]:
    return (letters.c.method == Method.REQUEST) & sa.exists().where(
        participant.c.id == letters.c.participant,
        participant.c.removed | ~participant.c.email_invite,
    )


def _last_taken(connection: Connection, account: str) -> int:
    """The number of the attempt."""
    query = (
        sa.select(attempt.c.id)
        .join(letters, letters.c.id == attempt.c.letter)
        .where(letters.c.account == account, attempt.c.verdict == SENT)
        .order_by(attempt.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def _refusals() -> sa.Select[tuple[int, int, str, str, int | None, str, str]]:
    return (
        sa.select(
            attempt.c.id,
            attempt.c.letter,
            letters.c.address,
            attempt.c.step,
            attempt.c.code,
            attempt.c.enhanced,
            attempt.c.text,
        )
        .join(letters, letters.c.id == attempt.c.letter)
        .where(attempt.c.verdict == REFUSED)
    )


def _read(
    connection: Connection, query: sa.Select[tuple[int, int, str, str, int | None, str, str]]
) -> list[Refusal]:
    return [
        Refusal(row.id, row.letter, row.address, Said(row.step, row.code, row.enhanced, row.text))
        for row in connection.execute(query)
    ]
