"""Calling a follow-up off, or one date of it, and taking that back (domain.md §4, §6).

Nothing of the record is read but what every record says, so that one which cannot be planned may
still be cancelled: those who hold it are told. What is taken back within the coalescing window
sends nothing.
"""

from gateway.actions import series
from gateway.actions.desk import Desk
from gateway.errors import Refused
from gateway.followups import recurrence, rules
from gateway.model import Edition, Moment
from gateway.store import journal, records
from gateway.store import series as dates


def cancel(desk: Desk, key: str, reason: str = "", instance: str = "") -> bool:
    """Cancel all of it, or the date that is called `instance`. Returns whether that changes
    anything.

    Raises as `Desk.edit`; `NotFound` for no date of the series, `Refused` for the date of a
    follow-up that is cancelled or does not recur.
    """
    desk.edit(key)
    if instance:
        return _cancel_date(desk, key, instance, reason)
    columns = {"cancelled": True, "cancel_reason": reason}
    return _change(desk, key, journal.Entry("cancelled", key, detail=reason), columns)


def reinstate(desk: Desk, key: str, instance: str = "") -> bool:
    """Let it take place again, all of it or one date. Returns whether that changes anything.

    Raises as `cancel`.
    """
    desk.edit(key)
    if instance:
        return _reinstate_date(desk, key, instance)
    columns = {"cancelled": False, "cancel_reason": "", "forgotten": False}
    return _change(desk, key, journal.Entry("reinstated", key), columns)


def _change(desk: Desk, key: str, entry: journal.Entry, columns: dict[str, object]) -> bool:
    state = records.state(desk.connection, key)
    assert state is not None
    if state.cancelled == columns["cancelled"]:
        return False
    records.change(desk.connection, key, columns)
    desk.changed(key, entry)
    return True


def _cancel_date(desk: Desk, key: str, text: str, reason: str) -> bool:
    whole = series.of(desk.connection, key, desk.settings)
    instance = series.read(whole, text)
    if is_off(whole, instance):
        return False
    if not recurrence.is_instance(whole, instance):
        raise series.no_date(key, text)
    dates.cancel_date(desk.connection, key, instance, reason)
    require_dates(desk, key)
    entry = journal.Entry("date_cancelled", key, instance=instance, detail=reason)
    desk.changed(key, entry)
    return True


def _reinstate_date(desk: Desk, key: str, text: str) -> bool:
    whole = series.of(desk.connection, key, desk.settings)
    instance = series.read(whole, text)
    if not is_off(whole, instance):
        if not recurrence.is_instance(whole, instance):
            raise series.no_date(key, text)
        return False
    ruled = rules.ruled(whole, instance)
    dates.restore_date(desk.connection, key, instance, ruled=ruled)
    desk.changed(key, journal.Entry("date_reinstated", key, instance=instance))
    return True


def is_off(whole: Edition, instance: Moment) -> bool:
    """Whether this date of the series is cancelled, or left out of it."""
    assert whole.recurrence is not None
    cancelled = (change.original for change in whole.dates if change.cancelled)
    return instance in whole.recurrence.exdates or instance in cancelled


def require_dates(desk: Desk, key: str) -> None:
    """Raises `Refused` where no date of the series is left."""
    whole = series.of(desk.connection, key, desk.settings)
    assert whole.recurrence is not None
    off = {change.original for change in whole.dates if change.cancelled}
    dates_left = (date for date in recurrence.instances(whole) if date not in off)
    if next(dates_left, None) is None:
        raise Refused(series.NO_DATE_LEFT)
