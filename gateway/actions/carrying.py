"""What becomes of a follow-up when its time has come: it is completed, and a call is carried out
(domain.md §2, §3).
"""

from datetime import datetime, timedelta

from gateway import errors
from gateway.actions import moving, series
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups import kinds
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.model import Kind
from gateway.store import codec, followups, journal, preferences, records

LONGEST_CALL = 24 * 60
"""Minutes."""


def complete(desk: Desk, key: str, *, completed: bool = True) -> bool:
    """Tick it off, or take that back: nothing else can be done to it before. Returns whether that
    changes anything.

    Raises as `Desk.require`; `Refused` where it is cancelled.
    """
    followups.lock(desk.connection, key)
    desk.require(Verb.EDIT, key)
    state = records.state(desk.connection, key)
    assert state is not None
    if state.completed == completed:
        return False
    if completed and state.cancelled:
        raise Refused(series.CANCELLED)
    records.change(desk.connection, key, {"completed": completed})
    desk.changed(key, journal.Entry("completed" if completed else "reopened", key))
    return True


def carry_out(desk: Desk, key: str, start: str = "", minutes: int | None = None) -> None:
    """A planned call takes place: it has a start, now where nothing is said, and lasts so many
    minutes, else as long as its owner prefers.

    Raises as `Desk.edit`; `Refused` for a follow-up that is not a call, or was carried out already.
    """
    concerned = desk.edit(key)
    state = records.state(desk.connection, key)
    assert state is not None
    if state.cancelled:
        raise Refused(series.CANCELLED)
    kinds.carried_out(state.kind, has_start=state.has_start)
    if minutes is not None and not 1 <= minutes <= LONGEST_CALL:
        raise errors.wrong("minutes", marked("is no number from 1 to %(most)s"), most=LONGEST_CALL)
    begins = _start(desk, key, start)
    own = preferences.of(desk.connection, concerned.owner).length(Kind.CALL)
    length = own if minutes is None else timedelta(minutes=minutes)
    times = {"start_at": begins, "end_at": begins + length, "all_day": False}
    records.change(desk.connection, key, times)
    detail = f"{codec.moment(begins)} – {codec.moment(begins + length)}"
    desk.changed(key, journal.Entry("carried_out", key, detail=detail))


def _start(desk: Desk, key: str, text: str) -> datetime:
    if not text:
        return desk.now.replace(microsecond=0)
    moment = moving.read(series.standing(desk.connection, key, desk.settings), "start", text)
    if not isinstance(moment, datetime):
        raise errors.wrong("start", marked("%(text)r is a plain date; at what time?"), text=text)
    return moment
