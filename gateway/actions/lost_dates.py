"""Dates that a series has no more since it was changed, and who was invited to one of them."""

from collections.abc import Sequence
from datetime import datetime

from gateway.actions.context import Context
from gateway.followups import editions, recurrence
from gateway.ical import zones
from gateway.model import Channel, Edition
from gateway.store import followups, journal, timing
from gateway.store.engine import Connection
from gateway.store.followups import Member


def drop(
    connection: Connection,
    key: str,
    current: Edition | None,
    planned: Edition | None,
    context: Context,
    members: list[Member],
) -> bool:
    """Dates that the series has no more lose their own data, or the old name of a moved date would
    be read as an added one. Returns whether anything was written.

    Somebody who is invited to such a date alone is invited to the one that the series has on that
    day now.
    """
    if current is None or planned is None:
        return False
    single = {member.date for member in members if member.date is not None}
    named = editions.named_dates(planned) | editions.named_dates(current) | single
    lost = editions.lost(planned, current, named)
    invited = [member for member in members if member.date in lost and not member.removed]
    renamed = [
        _renamed(connection, member, planned, current, members, context) for member in invited
    ]
    if not timing.drop_dates(connection, key, lost) and not any(renamed):
        return False
    answered = {date for member in members for date in member.standings}
    entries = [
        journal.Entry("date_dropped", key, instance=date, channel=Channel.STORE)
        for date in sorted(lost - answered - single, key=str)
    ]
    journal.write(connection, entries, context.now)
    return True


def _renamed(
    connection: Connection,
    member: Member,
    planned: Edition,
    current: Edition,
    members: Sequence[Member],
    context: Context,
) -> bool:
    assert member.date is not None
    zone = zones.zone(planned.timezone)
    day = member.date.astimezone(zone).date() if isinstance(member.date, datetime) else member.date
    to = next(iter(recurrence.on_day(current, day)), None)
    if to is None or any((other.key, other.date) == (member.key, to) for other in members):
        return False
    followups.redate(connection, member.id, to)
    journal.write(
        connection,
        [
            journal.Entry(
                "date_renamed",
                member.follow_up,
                member.id,
                member.date,
                channel=Channel.STORE,
                detail=f"the series has {to:%Y-%m-%d %H:%M} on that day now",
            )
        ],
        context.now,
    )
    return True
