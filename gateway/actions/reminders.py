"""Reminding those who have not answered by when an answer is wanted (`outbound.reminder_hours`):
once for each row and question.

What is due is decided while reading, and once more where something is: the invitation is marked,
planned and journalled in one transaction, under the follow-up's lock. An answer that comes at that
moment is either seen, or finds the letter waiting, which the sender then drops.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

import structlog

from gateway import settings as configuration
from gateway.actions import one_follow_up
from gateway.actions.context import Context
from gateway.actions.desk import Desk
from gateway.errors import InputError, Refused
from gateway.followups import recurrence
from gateway.i18n import marked
from gateway.invite import reminders as rules
from gateway.model import Edition
from gateway.store import engine, followups, journal, leases, marks, reminders
from gateway.store.engine import Connection, Store
from gateway.store.reminders import Place, Silent

log = structlog.get_logger(__name__)

LEASE = "reminders"
PAGE = 100
"""Follow-ups found at a time."""
MOST = 1000
"""Letters after which the others wait for the next look."""
A_DAY = timedelta(days=1)
NOBODY = marked(
    "nobody is to be reminded: everybody has answered, takes no mail, or was written to within a"
    " day or is about to be"
)


def remind(
    store: Store, settings: configuration.Settings, holder: str, clock: Callable[[], datetime]
) -> int:
    """Queue the reminders that are due, the nearest deadline first. `holder`: this process; where
    another is at it, that one goes on alone. `clock`: the present instant, for a look may take
    minutes. Returns how many are reminded.
    """
    ahead, began, done, last = timedelta(hours=settings.outbound.reminder_hours), clock(), 0, None
    while ahead:
        page, waiting, over = _look(store, began, ahead, last)
        for place in over:
            with store.write() as connection:
                reminders.forgo(connection, place.key)
        for place in waiting:
            now = clock()
            with store.write() as connection:
                if leases.take(connection, LEASE, holder, now) is None:
                    return done
                with _alone(place.key), connection.begin_nested():
                    done += _mark_and_plan(
                        connection, place.key, Context.read(connection, settings, now), ahead
                    )
            if done >= MOST:
                return done
        if len(page) < PAGE:
            break
        last = page[-1]
    return done


def ask(desk: Desk, key: str) -> list[int]:
    """Remind those who have not answered, at once. Nobody is written to twice within a day; one
    day later they may be reminded once more. Returns the rows, each once, though it may have an
    invitation to each of its dates.

    Raises as `Desk.edit`, and `Refused` where nobody is to be reminded.
    """
    desk.edit(key)
    reminders.lock(desk.connection, key)
    silent = [
        invitation
        for invitation in reminders.silent(desk.connection, key, desk.now, A_DAY, again=True)
        if not invitation.edition.cancelled and not recurrence.over(invitation.edition, desk.now)
    ]
    if not silent:
        raise Refused(NOBODY)
    for sequence in sorted({invitation.edition.sequence for invitation in silent}):
        asked = [
            invitation.invitation
            for invitation in silent
            if invitation.edition.sequence == sequence
        ]
        reminders.remind(desk.connection, asked, sequence)
    marks.mark(desk.connection, [key], desk.now)
    desk.note(*(_reminded(key, invitation) for invitation in silent))
    desk.touch(key)
    return list(dict.fromkeys(invitation.participant for invitation in silent))


def _reminded(key: str, invitation: Silent) -> journal.Entry:
    return journal.Entry("reminded", key, invitation.participant, invitation.edition.recurrence_id)


def _look(
    store: Store, now: datetime, ahead: timedelta, after: Place | None
) -> tuple[list[Place], list[Place], list[Place]]:
    """The next follow-ups that may have somebody to be reminded, those that do, and those that are
    over for all who hold them.
    """
    with store.read() as connection:
        page, waiting, over = (
            reminders.near(connection, now, ahead, after, PAGE),
            list[Place](),
            list[Place](),
        )
        for place in page:
            with _alone(place.key):
                silent = reminders.silent(connection, place.key, now, ahead)
                if _due(silent, now, ahead):
                    waiting.append(place)
                elif silent and all(recurrence.over(edition, now) for edition in _held(silent)):
                    over.append(place)
    return page, waiting, over


@contextmanager
def _alone(key: str) -> Iterator[None]:
    """What one follow-up fails on keeps no other waiting."""
    try:
        yield
    except (InputError, ZoneInfoNotFoundError) as error:  # the rows say so since it was planned
        log.warning(
            "nobody is reminded: the follow-up cannot be planned", follow_up=key, reason=str(error)
        )
    except Exception as error:
        if engine.outage(error):
            raise
        log.exception("nobody is reminded", follow_up=key)


def _due(silent: Sequence[Silent], now: datetime, ahead: timedelta) -> list[Silent]:
    fresh = [
        invitation for invitation in silent if rules.is_new(invitation.edition, invitation.reminded)
    ]
    due = {id(edition) for edition in _held(fresh) if rules.due(edition, now, ahead)}
    return [invitation for invitation in fresh if id(invitation.edition) in due]


def _held(silent: Sequence[Silent]) -> Collection[Edition]:
    """The editions that they hold: one for many, mostly."""
    return {id(invitation.edition): invitation.edition for invitation in silent}.values()


def _mark_and_plan(connection: Connection, key: str, context: Context, ahead: timedelta) -> int:
    followups.lock(connection, key)
    reminders.lock(connection, key)
    if not context.of(connection, key).account:
        return 0  # the letter would never come; who has none now is reminded once there is one
    due = _due(reminders.silent(connection, key, context.now, ahead), context.now, ahead)
    for sequence in sorted({invitation.edition.sequence for invitation in due}):
        reminders.remind(
            connection,
            [
                invitation.invitation
                for invitation in due
                if invitation.edition.sequence == sequence
            ],
            sequence,
        )
    journal.write(
        connection,
        [_reminded(key, invitation) for invitation in due],
        context.now,
    )
    if due:
        one_follow_up.update(connection, key, context)
    return len(due)
