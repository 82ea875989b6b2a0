"""What was deleted and written anew before anybody was told that it went: it is what it was, with
UID, tokens, answers and history (domain.md §2, §3). So mirrors do it, each night.

It goes by the copies of what was deleted (`deleted`). Whose a row is tells the name that it was
planned for, as everywhere. Whom a CANCEL has reached begins anew.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.model import Method
from gateway.store import chunks, deleted, followups, invitations, records, stated, upsert
from gateway.store.schema import follow_up, journal, participant, standing
from gateway.store.schema_deleted import (
    HANGING,
    deleted_follow_up,
    deleted_participant,
    of_participant,
)
from gateway.store.schema_letters import invitation
from gateway.store.stated import Site

log = structlog.get_logger(__name__)

SAID = [column.name for column in follow_up.c if column.name not in {*records.OURS, "forgotten"}]
"""Columns of a follow-up that others write."""
KEPT = ("id", "code", "note", "conflict", "created_at", "planned_for")
"""Columns of a row that are ours, and are as they were."""
OWN = ("given_token", "priority", "alarm_minutes")
"""Columns of a row that are as they were where nothing else is said now."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back. `same`: follow-ups that say again what they said; `rows`: participants."""

    same: set[str] = field(default_factory=set)
    rows: set[int] = field(default_factory=set)


def take_up(connection: Connection, keys: Collection[str], site: Site) -> Returned:
    """Let what came back of these follow-ups, which the caller has locked, be what it was. What
    does not fit to what is there now begins anew, and keeps nobody else waiting.
    """
    returned = Returned()
    for key in _with_copies(connection, keys):
        try:
            with connection.begin_nested():
                again = _take_up(connection, key, site)
        except sa.exc.IntegrityError as error:
            log.warning("what came back begins anew", follow_up=key, error=str(error.orig))
            deleted.drop(connection, [key])
        else:
            returned.same.update(again.same)
            returned.rows.update(again.rows)
    return returned


def _with_copies(connection: Connection, keys: Collection[str]) -> list[str]:
    columns = deleted_follow_up.c.key, deleted_participant.c.follow_up
    found = set[str]()
    for part in chunks.parts(sorted(keys)):
        either = sa.union(*(sa.select(column).where(column.in_(part)) for column in columns))
        found |= set(connection.execute(either).scalars())
    return sorted(found)


def _take_up(connection: Connection, key: str, site: Site) -> Returned:
    records.hold(connection, key)  # who deletes it now waits until this is kept
    here = connection.execute(sa.select(follow_up).where(follow_up.c.key == key)).one_or_none()
    if here is None:
        return Returned()
    copy = _last_planned(connection, key)
    is_another = here.edition is None if copy is None else not _goes_on(connection, here, copy)
    if is_another:
        deleted.drop(connection, [key])
        return Returned()
    if copy is not None:
        ours = {name: copy._mapping[name] for name in records.OURS}
        connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(ours))
    uid, taken = here.uid if copy is None else copy.uid, list[int]()
    for row, former in _returned(connection, key):
        if here.cancelled or not _was_told(connection, uid, row, former):
            _be(connection, row, former)
            taken.append(former.id)
    deleted.hang_again(connection, taken)
    deleted.drop_present(connection, key)
    is_same = copy is not None and _says_the_same(connection, here, copy, site)
    return Returned({key} if is_same else set(), set(taken))


def _last_planned(connection: Connection, key: str) -> Any:
    copies = deleted_follow_up.c
    planned = sa.select(deleted_follow_up).where(copies.key == key, copies.edition.is_not(None))
    return connection.execute(planned.order_by(copies.number.desc()).limit(1)).one_or_none()


def _goes_on(connection: Connection, here: Any, copy: Any) -> bool:
    """Whether it is the follow-up that was deleted: not where everybody was told that it is off, or
    where it is another one.
    """
    others = sa.select(follow_up.c.key).where(follow_up.c.uid == copy.uid)
    is_another = here.edition is not None or here.uid not in (None, copy.uid)
    if copy.forgotten or is_another or connection.execute(others).first() is not None:
        return False
    if here.cancelled or copy.cancelled:
        return True
    rows = deleted_participant.c
    since = sa.literal(copy.deleted_at - deleted.TOGETHER, rows.deleted_at.type)
    went_with_it = sa.select(rows.id).where(
        rows.follow_up == here.key, rows.deleted_at >= since, rows.email_invite, ~rows.removed
    )
    return not _is_taken_back(connection, copy.uid, invitation.c.participant.in_(went_with_it))


def _is_taken_back(
    connection: Connection, uid: str | None, of_rows: sa.ColumnElement[bool]
) -> bool:
    """Whether these rows hold nothing any more of what they held, because a CANCEL has left."""
    sent = sa.select(invitation.c.sent_method).distinct()
    held = sent.where(invitation.c.uid == uid, invitation.c.counts, of_rows)
    methods = set(connection.execute(held).scalars())
    return Method.CANCEL in methods and Method.REQUEST not in methods


def _returned(connection: Connection, key: str) -> Iterator[tuple[Any, Any]]:
    """The rows that were not planned yet, and on which nothing hangs yet, each with the copy of
    what it was before. Of two rows of one invitee the first is what it was.
    """
    something_hangs = [
        sa.exists().where(table.c[name] == participant.c.id)
        for table in HANGING
        if table is not standing
        for name in of_participant(table)
    ]
    new = sa.select(participant).where(
        participant.c.follow_up == key,
        participant.c.planned_for == "",
        ~sa.or_(*something_hangs),
    )
    present = connection.execute(new.order_by(participant.c.id)).all()
    copies = deleted_participant.c
    is_there = sa.exists().where(participant.c.id == copies.id)
    gone = sa.select(deleted_participant).where(
        copies.follow_up == key, copies.planned_for != "", ~is_there
    )
    last = {
        (row.planned_for, row.original_start): row
        for row in connection.execute(gone.order_by(copies.number))
    }
    for row in present:
        former = last.pop((followups.who(row), row.original_start), None)
        if former is not None:
            yield row, former


def _was_told(connection: Connection, uid: str | None, row: Any, former: Any) -> bool:
    """Whether whoever was invited, and is so again, has got the CANCEL."""
    if not all(state.email_invite and not state.removed for state in (row, former)):
        return False
    return _is_taken_back(connection, uid, invitation.c.participant == former.id)


def _be(connection: Connection, row: Any, former: Any) -> None:
    """Let a row be the one that was deleted; what was said in it since counts."""
    of_new = sa.select(standing).where(standing.c.participant == row.id)
    answers_since = connection.execute(of_new).all()
    of_both = standing.c.participant.in_([row.id, former.id])
    connection.execute(sa.delete(standing).where(of_both))
    values = {name: former._mapping[name] for name in KEPT}
    for name in OWN:
        is_said = row._mapping[name] not in (None, "")
        values[name] = (row if is_said else former)._mapping[name]
    values["announced"] = former.announced and not _is_said_gone(connection, former.id)
    here = sa.update(participant).where(participant.c.id == row.id)
    connection.execute(here.values(values))
    deleted.answers(connection, former)
    since = [{**answer._mapping, "participant": former.id} for answer in answers_since]
    upsert.many(connection, standing, ("participant", "instance"), since)


def _is_said_gone(connection: Connection, number: int) -> bool:
    """Whether the journal says that a row takes part no more."""
    entries = sa.select(journal.c.event).where(
        journal.c.participant == number, journal.c.event.in_(("added", "removed"))
    )
    last = connection.execute(entries.order_by(journal.c.id.desc()).limit(1)).scalar()
    return last == "removed"


def _says_the_same(connection: Connection, here: Any, copy: Any, site: Site) -> bool:
    """Whether nothing of a record is another than it was when it was deleted. Of its dates no copy
    is kept: they are compared with what was planned.
    """
    if any(here._mapping[name] != copy._mapping[name] for name in SAID):
        return False
    try:
        now = stated.edition(connection, here.key, site, [])
    except (InputError, ZoneInfoNotFoundError):
        return False
    before = invitations.editions(connection, [copy.edition]).get(copy.edition)
    if now is None or before is None:
        return False
    return (now.recurrence, now.dates) == (before.recurrence, before.dates)
