"""Reminding whoever has not answered by when an answer is wanted (`outbound.reminder_hours`): once for each row and SEQUENCE.

The invitation is marked, planned and journalled in one transaction, under the follow-up's lock: an answer that comes at that moment
is either seen, or finds the letter waiting, which the sender then drops.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import structlog

from gateway import settings as configuration
from gateway.actions import planning
from gateway.errors import InputError
from gateway.itip import reminders as rules
from gateway.store import engine, followups, invitations, journal, leases, reminders
from gateway.store.engine import Connection, Store

log = structlog.get_logger(__name__)

LEASE = "reminders"
PAGE = 100
"""Follow-ups found at a time."""
MOST = 1000
"""Letters after which the others wait for the next look."""


def remind(store: Store, settings: configuration.Settings, holder: str, now: datetime) -> int:
    """Queue the reminders that are due, the nearest deadline first. `holder`: this process; where another is at it, that one goes on
    alone. Returns how many are reminded."""
    ahead, done, last = timedelta(hours=settings.outbound.reminder_hours), 0, None
    while ahead:
        with store.read() as connection:
            page = reminders.near(connection, now, ahead, last, PAGE)
        for place in page:
            with store.write() as connection:
                if leases.take(connection, LEASE, holder, now) is None:
                    return done
                done += _remind(connection, place.key, planning.context(connection, settings, now), ahead)
            if done >= MOST:
                return done
        if len(page) < PAGE:
            break
        last = page[-1]
    return done


def _remind(connection: Connection, key: str, context: planning.Context, ahead: timedelta) -> int:
    try:
        with connection.begin_nested():
            return _mark_and_plan(connection, key, context, ahead)
    except (InputError, ZoneInfoNotFoundError) as error:  # the rows say so since it was planned
        log.warning("nobody is reminded: the follow-up cannot be planned", follow_up=key, reason=str(error))
    except Exception as error:
        if engine.outage(error):
            raise
        log.exception("nobody is reminded", follow_up=key)
    return 0


def _mark_and_plan(connection: Connection, key: str, context: planning.Context, ahead: timedelta) -> int:
    followups.lock(connection, key)
    found = reminders.silent(connection, key, context.now - ahead)
    held = invitations.editions(connection, {one.edition for one in found})
    due = [one for one in found if rules.due(held[one.edition], context.now, ahead) and one.reminded != held[one.edition].sequence]
    if not due:
        return 0
    for sequence in sorted({held[one.edition].sequence for one in due}):
        reminders.remind(connection, [one.invitation for one in due if held[one.edition].sequence == sequence], sequence)
    journal.write(connection, [journal.Entry("reminded", key, one.participant) for one in due], context.now)
    planning.plan_one(connection, key, context)
    return len(due)
