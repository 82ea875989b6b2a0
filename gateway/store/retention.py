"""What may go after its time (docs/operations.md, "How long data is kept"), a page of a table at a
time, in the order of its numbers.

What is needed stays, however old it is: the record, who holds which invitation (`invitation`, the
editions that it and letters name, `standing`), what messages were (`inbox.digest`, Message-ID,
outcome), which answer counted for which row (the journal's entries of answers), and every letter
that may still matter: one that waits, was refused, may have arrived, or took an invitation back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import EFFECTIVE, Edition, LetterState, Method
from gateway.store import codec, doubts
from gateway.store.outbox import OPEN, stands
from gateway.store.schema import (
    change_mark,
    follow_up,
    former_standing,
    inbox,
    journal,
    participant,
    proposal,
)
from gateway.store.schema_access import api_token
from gateway.store.schema_domain import decision
from gateway.store.schema_letters import attempt, edition, invitation, outbox
from gateway.store.schema_webhooks import webhook

PAGE = 200
"""So many rows are looked at in one transaction."""
ENDED = (LetterState.SENT, LetterState.DROPPED, LetterState.SUPERSEDED)
NEEDED = EFFECTIVE | {"assigned", "given", "begun"}
"""Entries that say which answer counted, and whose a row was when: they lose their words alone."""
LATEST = 100
"""So many of the newest journal entries stay, so that a reader who is up to date finds their place.
"""
GONE = "purged"
"""The reason of a message whose words are gone."""

KEYS: sa.BindParameter[str] = sa.bindparam("keys", expanding=True)
OF_ROW = participant.c.follow_up
BUSY: Mapping[sa.Column[Any], sa.ColumnElement[bool]] = {
    outbox.c.follow_up: stands(outbox, *OPEN),
    change_mark.c.follow_up: sa.true(),
    decision.c.follow_up: decision.c.closed_at.is_(None),
    inbox.c.follow_up: inbox.c.raw.is_not(None) | inbox.c.outcome.is_(None),
    invitation.c.follow_up: (invitation.c.deferred != "") | invitation.c.again,
}
"""What says of a follow-up that something is to be done with it."""
BUSY_ROWS: Mapping[sa.Table, sa.ColumnElement[bool]] = {
    former_standing: sa.true(),
    proposal: proposal.c.state == "open",
}
"""The same of one of its rows."""


@dataclass(frozen=True, slots=True)
class Old:
    """One row that is old enough. `follow_up`: what it is about, None where that is nothing;
    `needed`: it stays, without its words.
    """

    id: int
    follow_up: str | None
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that may go if their follow-up is over. `last`: the number up to which rows were looked
    at; None: there are no further old ones.
    """

    rows: Sequence[Old]
    last: int | None


def letters(connection: Connection, after: int, before: datetime) -> Page:
    """Letters that came to their end before then."""
    refused = outbox.alias("refused")
    is_refused = sa.exists().where(
        refused.c.invitation == outbox.c.invitation, refused.c.state == LetterState.REFUSED
    )
    is_doubted = sa.exists().where(
        invitation.c.id == outbox.c.invitation, invitation.c.doubts != ""
    )
    takes_back = (outbox.c.method == Method.CANCEL) & (outbox.c.instance == "")
    matters = sa.or_(outbox.c.doubtful, takes_back, is_refused, is_doubted)
    may_go = outbox.c.state.in_(ENDED) & ~matters
    columns = (
        outbox.c.id,
        outbox.c.follow_up,
        outbox.c.created_at.label("at"),
        outbox.c.settled_at,
        may_go.label("may_go"),
    )
    rows = _page(connection, columns, outbox.c.id, after)
    old = [
        Old(row.id, row.follow_up)
        for row in rows
        if row.may_go and row.settled_at is not None and row.settled_at < before
    ]
    return _cut(rows, old, before)


def editions(connection: Connection, after: int, before: datetime) -> Page:
    """What was planned before then, except what was planned last, what somebody holds or may hold,
    and what a letter says or takes the place of.
    """
    columns = (
        edition.c.id,
        edition.c.follow_up,
        edition.c.created_at.label("at"),
        (_is_followed() & ~_is_planned() & ~_is_held() & ~_is_told()).label("may_go"),
    )
    rows = _page(connection, columns, edition.c.id, after)
    old = [Old(row.id, row.follow_up) for row in rows if row.may_go and row.at < before]
    return _cut(rows, old, before)


def _is_followed() -> sa.ColumnElement[bool]:
    """Whether there is a later edition of the same follow-up."""
    later = edition.alias("later")
    return sa.exists().where(later.c.follow_up == edition.c.follow_up, later.c.id > edition.c.id)


def _is_planned() -> sa.ColumnElement[bool]:
    return sa.exists().where(follow_up.c.edition == edition.c.id)


def _is_held() -> sa.ColumnElement[bool]:
    """Whether somebody holds it or may hold it."""
    return sa.exists().where(
        invitation.c.follow_up == edition.c.follow_up,
        (invitation.c.sent_edition == edition.c.id) | doubts.names(edition.c.id),
    )


def _is_told() -> sa.ColumnElement[bool]:
    """Whether a letter says it, or takes the place of it."""
    return sa.exists().where(
        outbox.c.follow_up == edition.c.follow_up,
        (outbox.c.edition == edition.c.id) | (outbox.c.before == edition.c.id),
    )


def attempts(connection: Connection, after: int, before: datetime) -> Page:
    """Tries of letters that came to their end, made before then."""
    of_letter = sa.select(outbox.c.state).where(outbox.c.id == attempt.c.letter)
    columns = (
        attempt.c.id,
        attempt.c.started_at.label("at"),
        of_letter.scalar_subquery().label("state"),
    )
    rows = _page(connection, columns, attempt.c.id, after)
    old = [Old(row.id, None) for row in rows if row.at < before and row.state not in OPEN]
    return _cut(rows, old, before)


def entries(connection: Connection, after: int, before: datetime) -> Page:
    """Journal entries from before then that every webhook was told of."""
    newest = sa.select(sa.func.max(journal.c.id))
    least_told = sa.select(sa.func.min(webhook.c.after))
    floor = connection.execute(newest).scalar_one() or 0
    first_untold = connection.execute(least_told).scalar_one()
    end = floor - LATEST
    if first_untold is not None:
        end = min(end, first_untold - 1)
    columns = (
        journal.c.id,
        journal.c.follow_up,
        journal.c.at,
        journal.c.event,
    )
    page = _page(connection, columns, journal.c.id, after)
    rows = [row for row in page if row.id <= end]
    old = [Old(row.id, row.follow_up, row.event in NEEDED) for row in rows if row.at < before]
    return _cut(rows, old, before)


def messages(connection: Connection, after: int, before: datetime) -> Page:
    """Messages that were dealt with before then, and have words left."""
    columns = (
        inbox.c.id,
        inbox.c.follow_up,
        inbox.c.recorded_at.label("at"),
        sa.and_(inbox.c.outcome.is_not(None), inbox.c.raw.is_(None), inbox.c.reason != GONE).label(
            "may_go"
        ),
    )
    rows = _page(connection, columns, inbox.c.id, after)
    old = [Old(row.id, row.follow_up) for row in rows if row.may_go and row.at < before]
    return _cut(rows, old, before)


def tokens(connection: Connection, after: int, before: datetime) -> Page:
    """Tokens of programs that were revoked before then."""
    columns = api_token.c.id, api_token.c.created_at.label("at"), api_token.c.revoked_at
    rows = _page(connection, columns, api_token.c.id, after)
    old = [
        Old(row.id, None) for row in rows if row.revoked_at is not None and row.revoked_at < before
    ]
    return _cut(rows, old, before)


def delete_letters(connection: Connection, numbers: Collection[int]) -> int:
    connection.execute(sa.delete(attempt).where(attempt.c.letter.in_(numbers)))
    return connection.execute(sa.delete(outbox).where(outbox.c.id.in_(numbers))).rowcount


def delete_editions(connection: Connection, numbers: Collection[int]) -> int:
    return connection.execute(sa.delete(edition).where(edition.c.id.in_(numbers))).rowcount


def delete_attempts(connection: Connection, numbers: Collection[int]) -> int:
    return connection.execute(sa.delete(attempt).where(attempt.c.id.in_(numbers))).rowcount


def delete_entries(connection: Connection, numbers: Collection[int]) -> int:
    return connection.execute(sa.delete(journal).where(journal.c.id.in_(numbers))).rowcount


def silence_entries(connection: Connection, numbers: Collection[int]) -> int:
    """Take the words out of entries that are needed."""
    query = sa.update(journal).where(
        journal.c.id.in_(numbers), (journal.c.by != "") | (journal.c.detail != "")
    )
    return connection.execute(query.values(by="", detail="")).rowcount


def silence_messages(connection: Connection, numbers: Collection[int]) -> int:
    """Take out of messages who wrote them and what is in them."""
    query = sa.update(inbox).where(inbox.c.id.in_(numbers))
    return connection.execute(
        query.values(from_address="", subject="", detail="{}", reason=GONE)
    ).rowcount


def delete_tokens(connection: Connection, numbers: Collection[int]) -> int:
    return connection.execute(sa.delete(api_token).where(api_token.c.id.in_(numbers))).rowcount


def busy(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the follow-ups with which something is still to be done."""
    queries = [sa.select(column).where(column.in_(KEYS), waits) for column, waits in BUSY.items()]
    queries += [
        sa.select(OF_ROW).join(table).where(OF_ROW.in_(KEYS), waits)
        for table, waits in BUSY_ROWS.items()
    ]
    values = {"keys": list(keys)}
    return {key for query in queries for key in connection.execute(query, values).scalars()}


def planned(connection: Connection, keys: Collection[str]) -> Mapping[str, Edition | None]:
    """What was planned last of each follow-up that is there; None: nothing yet."""
    query = (
        sa.select(follow_up.c.key, edition.c.facts)
        .join(edition, edition.c.id == follow_up.c.edition, isouter=True)
        .where(follow_up.c.key.in_(keys))
    )
    return {
        row.key: codec.parse_edition(row.facts) if row.facts else None
        for row in connection.execute(query)
    }


def held(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the follow-ups that somebody holds an invitation to, which was not taken back."""
    query = sa.select(invitation.c.follow_up).where(
        invitation.c.follow_up.in_(keys), invitation.c.sent_method == Method.REQUEST
    )
    return set(connection.execute(query).scalars())


def _page(
    connection: Connection, columns: Sequence[Any], number: sa.Column[int], after: int
) -> Sequence[Any]:
    query = sa.select(*columns).where(number > after).order_by(number).limit(PAGE)
    return connection.execute(query).all()


def _cut(rows: Sequence[Any], old: Sequence[Old], before: datetime) -> Page:
    """Numbers grow with time, so behind a page that ends too young there is nothing old."""
    is_last = len(rows) < PAGE or rows[-1].at >= before
    return Page(old, None if is_last else rows[-1].id)
