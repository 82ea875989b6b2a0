"""A record as an earlier edition of it says: what letters can say, and nothing else, for nothing
else was kept (domain.md §10).
"""

from collections.abc import Collection, Iterator
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.model import DateChange, Edition, Method
from gateway.store import braked, columns, followups, invitations, stated
from gateway.store.schema import follow_up, follow_up_date, participant
from gateway.store.schema_letters import invitation
from gateway.store.schema_letters import outbox as letters
from gateway.store.stated import Site

PLAIN = (
    "title",
    "agenda",
    "location",
    "video_url",
    "timezone",
    "guest_list",
    "availability",
    "cancelled",
    "cancel_reason",
    "answer_by",
)
"""Columns that an edition has as they are."""


def braked_follow_ups(connection: Connection) -> list[str]:
    """The follow-ups whose letters the brake holds."""
    query = sa.select(letters.c.follow_up).where(braked.is_braked()).distinct()
    return sorted(connection.execute(query).scalars())


def write_back(connection: Connection, key: str, site: Site, *, anew: bool) -> None:
    """Let a record whose letters the brake holds say again what was told of it last, if it says
    something else since. `anew`: it was deleted, and stands again without its dates.
    """
    last_told = sa.select(sa.func.max(invitation.c.sent_edition)).join(
        letters, letters.c.invitation == invitation.c.id
    )
    number = connection.execute(
        last_told.where(letters.c.follow_up == key, braked.is_braked())
    ).scalar_one()
    before = invitations.editions(connection, [number]).get(number)
    now = _stated(connection, key, site)
    if before is None or now is None:
        return
    changed = dict(_columns(before, now))
    if changed:
        connection.execute(sa.update(follow_up).where(follow_up.c.key == key).values(changed))
    if anew or (before.recurrence, before.dates) != (now.recurrence, now.dates):
        _write_dates(connection, key, before)
    if not before.cancelled:
        _invite_again(connection, key)


def _stated(connection: Connection, key: str, site: Site) -> Edition | None:
    """What it says now; where that cannot be read, what it said when it was planned last."""
    try:
        return stated.edition(connection, key, site, [])
    except (InputError, ZoneInfoNotFoundError):
        number = followups.known_edition(connection, key)
        return invitations.editions(connection, [number]).get(number)


def _columns(before: Edition, now: Edition) -> Iterator[tuple[str, Any]]:
    """What stands in columns now that did not: as it was."""
    for name in PLAIN:
        value = getattr(before, name)
        if value != getattr(now, name):
            yield name, getattr(value, "value", value)
    if before.deadline != now.deadline:
        yield "deadline", columns.optional(before.deadline)
    if (before.start, before.end, before.all_day) != (now.start, now.end, now.all_day):
        yield "start_at", columns.optional(before.start)
        yield "end_at", columns.optional(before.end)
        yield "all_day", before.all_day
    rules = [
        edition.recurrence.rrule if edition.recurrence is not None else ""
        for edition in (before, now)
    ]
    if rules[0] != rules[1]:
        yield "rrule", rules[0]


def _write_dates(connection: Connection, key: str, edition: Edition) -> None:
    """What is said of single dates, all of it."""
    connection.execute(sa.delete(follow_up_date).where(follow_up_date.c.follow_up == key))
    series = edition.recurrence
    own = {change.original: change for change in edition.dates}
    for original in series.rdates if series is not None else ():
        own.setdefault(original, DateChange(original))
    for original in series.exdates if series is not None else ():
        own.setdefault(original, DateChange(original, cancelled=True))
    rows = [
        {
            "follow_up": key,
            "original_start": columns.instant(original),
            "start_at": columns.optional(change.start),
            "end_at": columns.optional(change.end),
            "cancelled": change.cancelled,
            "cancel_reason": change.cancel_reason,
        }
        for original, change in own.items()
    ]
    if rows:
        connection.execute(sa.insert(follow_up_date), rows)


def _invite_again(connection: Connection, key: str) -> None:
    """Who was to lose it takes part again."""
    lost: Collection[int] = set(
        connection.execute(
            sa.select(letters.c.participant).where(
                letters.c.follow_up == key, letters.c.method == Method.CANCEL, braked.is_braked()
            )
        ).scalars()
    )
    connection.execute(
        sa.update(participant)
        .where(
            participant.c.id.in_(lost),
            sa.or_(participant.c.removed, ~participant.c.email_invite),
        )
        .values(removed=False, email_invite=True)
    )
