"""A series ends early, or goes on from one of its dates as another: "stop" and "this and all
future" (domain.md §6).

RANGE=THISANDFUTURE is never sent: half the clients ignore it. The old series gets an UNTIL, which
asks nobody again; the rest is a follow-up of its own, with a UID of its own and the same people
(itip.md §2). What is owed of it is the planner's. Everything here is part of the caller's
transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway import settings as configuration
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import fields, recurrence, rules
from gateway.i18n import marked
from gateway.ical import zones
from gateway.model import Edition, Moment, Recurrence
from gateway.store import columns, followups, journal, marks, records, series, stated
from gateway.store.engine import Connection
from gateway.store.followups import Member
from gateway.store.series import DateRow

CHANGEABLE = frozenset(
    column.removeprefix("follow_up.")
    for column in fields.CONTINUED
    if column.startswith("follow_up.")
)
"""Columns of a follow-up that may be another from one date on."""
CANCELLED = marked("the follow-up is cancelled; reinstate it first")
NO_DATE_LEFT = marked("no date would be left; cancel the follow-up instead")


@dataclass(frozen=True, slots=True)
class From:
    """From which date on a series is another, and what is another then: columns of the
    follow-up.
    """

    at: Moment
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Continued:
    """The series that goes on, by its key. `lost`: who was invited to one date alone that it does
    not have; each gets a CANCEL.
    """

    key: str
    lost: tuple[Member, ...]


def moment(
    connection: Connection,
    key: str,
    text: str,
    settings: configuration.Settings,
    *,
    day: bool = False,
) -> Moment:
    """A time as people write it, of this series: in its zone where it has no offset. `day`: a plain
    day will do for one of hours.

    Raises `NotFound` and `Refused` as `stop` does, `InputError` for a text that is not a time.
    """
    return read(of(connection, key, settings), text, day=day)


def read(whole: Edition, text: str, *, day: bool = False) -> Moment:
    """A time as people write it, of this follow-up. Raises `InputError` for what is none."""
    moment = _read(whole, text, day=day)
    first, last = recurrence.FIRST_YEAR, recurrence.LAST_YEAR
    if not first <= moment.year <= last:
        raise InputError(
            marked("%(text)r is out of reach (years %(first)s to %(last)s)"),
            text=text,
            first=first,
            last=last,
        )
    return moment


def _read(whole: Edition, text: str, *, day: bool) -> Moment:
    try:
        plain = date.fromisoformat(text)
    except ValueError:
        plain = None
    if plain is not None and not (day or whole.all_day):
        raise InputError(marked("%(text)r has no hour, and the follow-up has"), text=text)
    if plain is not None:
        return plain
    try:
        clock = datetime.fromisoformat(text)
        local = clock if clock.tzinfo else clock.replace(tzinfo=zones.zone(whole.timezone))
        # A calendar has no fractions of a second (RFC 5545 §3.3.5), nor has a column.
        instant = local.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise InputError(
            marked("%(text)r is no time like 2026-12-01T09:00:00 and no date like 2026-12-01"),
            text=text,
        ) from error
    return instant.astimezone(zones.zone(whole.timezone)).date() if whole.all_day else instant


def stop(
    connection: Connection,
    key: str,
    after: Moment,
    settings: configuration.Settings,
    now: datetime,
    by: str = "",
) -> bool:
    """No dates after this one, by their names; a plain day counts to its end. Answers stay, and
    everybody is told. Returns whether that changes anything; otherwise it ends by then anyway.

    Raises `NotFound` where there is no such follow-up, `Refused` where it does not recur, is
    cancelled, or no date would be left.
    """
    whole = of(connection, key, settings)
    following = _following(whole, after)
    if following is None:
        return False
    since = marks.newest_number(connection)
    _shorten(connection, key, whole, following)
    marks.single_since(connection, since)
    records.stamp(connection, [key], now, by)
    journal.write(connection, [journal.Entry("stopped", key, instance=following, by=by)], now)
    return True


def split(
    connection: Connection,
    key: str,
    part: From,
    settings: configuration.Settings,
    now: datetime,
    by: str = "",
) -> Continued:
    """Let a series be another one from this date on.

    Raises `NotFound` where there is no such follow-up or date; `Refused` for the first date, which
    is the series itself, for a date that was added to the rule, and for a new start that the rule
    does not give or that lies among the dates that stay; `InputError` for what cannot be changed.
    """
    if unknown := part.changes.keys() - CHANGEABLE:
        raise InputError(
            marked("%(unknown)s cannot be changed from one date on"),
            unknown=", ".join(sorted(unknown)),
        )
    whole = of(connection, key, settings)
    at = _first(key, whole, part.at)
    fresh = _rest(whole, at, part.changes)
    since = marks.newest_number(connection)
    continued_by = series.copy(
        connection,
        key,
        f"{key}-{recurrence.day_of(whole, at):%Y%m%d}",
        {**part.changes, **_times(fresh), "cancelled": False},
        _carried(whole, fresh, at, series.dates(connection, key, at)),
        _single(connection, key, whole, fresh, at),
    )
    _shorten(connection, key, whole, at)
    marks.single_since(connection, since)
    records.stamp(connection, [key], now, by)
    records.sign(connection, [continued_by], now, by)
    entries = [
        journal.Entry("split", key, instance=at, by=by, detail=continued_by),
        journal.Entry("created", continued_by, by=by, detail=f"goes on from {key}"),
    ]
    journal.write(connection, entries, now)
    remaining = [member for member in followups.members(connection, key) if not member.removed]
    lost = [member for member in remaining if member.date is not None and member.date >= at]
    return Continued(continued_by, tuple(lost))


def no_date(key: str, text: str) -> NotFound:
    """A series has no date of that name."""
    words = marked(
        "follow-up %(key)s has no date that begins at %(time)s; a moved date is called by the time"
        " that it had before"
    )
    return NotFound(words, key=key, time=text)


def _first(key: str, whole: Edition, at: Moment) -> Moment:
    """The date from which a series goes on as another, by its name."""
    assert whole.recurrence is not None
    if not isinstance(at, datetime) and not whole.all_day:
        at = next(iter(recurrence.on_day(whole, at)), at)
    if isinstance(at, datetime) == whole.all_day or not recurrence.is_instance(whole, at):
        raise no_date(key, _typed(whole, at))
    if whole.recurrence.rrule and not rules.ruled(whole, at):
        raise Refused(marked("this date was added to the series; nothing goes on from it"))
    if next(recurrence.instances(whole, limit=1)) >= at:
        raise Refused(marked("from its first date on this is the whole series; change that"))
    return at


def _times(fresh: Edition) -> dict[str, Any]:
    """The columns that say when a series takes place."""
    assert fresh.recurrence is not None
    assert fresh.start is not None
    assert fresh.end is not None
    return {
        "start_at": columns.instant(fresh.start),
        "end_at": columns.instant(fresh.end),
        "rrule": fresh.recurrence.rrule,
    }


def of(connection: Connection, key: str, settings: configuration.Settings) -> Edition:
    """The series as it stands, which nobody else plans meanwhile.

    Raises `NotFound`, and `Refused` where it does not recur or is cancelled.
    """
    whole = standing(connection, key, settings)
    if whole.recurrence is None or whole.start is None:
        raise Refused(marked("the follow-up does not recur"))
    if whole.cancelled:
        raise Refused(CANCELLED)
    return whole


def standing(connection: Connection, key: str, settings: configuration.Settings) -> Edition:
    """The follow-up as it stands, which nobody else plans meanwhile. Raises `NotFound`."""
    followups.lock(connection, key)
    site = stated.Site(settings.mail.timezone, settings.mail.language)
    whole = stated.edition(connection, key, site, followups.members(connection, key))
    if whole is None:
        raise NotFound(marked("there is no follow-up %(key)s"), key=key)
    return whole


def _following(whole: Edition, after: Moment) -> Moment | None:
    """The first date that is later, cancelled ones too: they are not to come back."""
    assert whole.recurrence is not None
    whole = replace(whole, recurrence=replace(whole.recurrence, exdates=()))
    if whole.all_day:
        day = recurrence.day_of(whole, after)
        return next(recurrence.instances(whole, day + timedelta(days=1), limit=1), None)
    if not isinstance(after, datetime):
        after = datetime.combine(after, time.max, ZoneInfo(whole.timezone)).astimezone(UTC)
    return next(recurrence.instances(whole, after + timedelta(microseconds=1), limit=1), None)


def _shorten(connection: Connection, key: str, whole: Edition, at: Moment) -> None:
    assert whole.recurrence is not None
    rule = rules.ended_before(whole, at) if whole.recurrence.rrule else ""
    if rule is None or next(recurrence.instances(whole, None, at, 1), None) is None:
        raise Refused(NO_DATE_LEFT)
    series.shorten(connection, key, rule, at)


def _rest(whole: Edition, at: Moment, changes: Mapping[str, Any]) -> Edition:
    """The series that goes on, with its times and its rule."""
    assert whole.start is not None
    assert whole.end is not None
    assert whole.recurrence is not None
    zone = changes.get("timezone") or whole.timezone
    zones.zone(zone)
    start = columns.moment(changes["start_at"], whole.all_day) if "start_at" in changes else at
    end = (
        columns.moment(changes["end_at"], whole.all_day)
        if "end_at" in changes
        else start + (whole.end - whole.start)
    )
    if end < start:
        raise InputError(marked("the end is before the start"))
    if whole.all_day and end == start:
        end = start + timedelta(days=1)  # the same day twice is one day, as in the load format
    if (stays := next(recurrence.instances(whole, start, at, 1), None)) is not None:
        raise Refused(
            marked(
                "the new start lies before dates that stay, the next one at %(time)s; let the"
                " series go on from an earlier date"
            ),
            time=_typed(whole, stays),
        )
    given = changes.get("rrule")
    rule = given.removeprefix("RRULE:") if given is not None else rules.continued_at(whole, at)
    if rule:
        recurrence.check(rule)
    fresh = replace(
        whole, start=start, end=end, timezone=zone, recurrence=Recurrence(rule), dates=()
    )
    if not rules.ruled(fresh, start):
        raise Refused(
            marked("the rule of the series does not give the new start; change the rule as well")
        )
    return fresh


def _carried(
    whole: Edition, fresh: Edition, at: Moment, own: list[tuple[Moment, DateRow]]
) -> list[DateRow]:
    """What is said of single dates and still fits: of a series at other times only that days are
    left out, and what was added.
    """
    assert fresh.start is not None
    rows = dict[datetime, DateRow]()
    for name, row in own:
        if name < fresh.start or (name == at and fresh.start != at):
            continue  # the date from which it goes on is told by the new start
        if rules.ruled(fresh, name) or not (rules.ruled(whole, name) or row.cancelled):
            rows[row.original_start] = row
        elif row.cancelled and rules.ruled(whole, name):
            for moved in recurrence.on_day(fresh, recurrence.day_of(whole, name)):
                rows.setdefault(
                    columns.instant(moved), replace(row, original_start=columns.instant(moved))
                )
    return list(rows.values())


def _single(
    connection: Connection, key: str, whole: Edition, fresh: Edition, at: Moment
) -> dict[datetime, datetime]:
    """What the dates that somebody is invited to alone are called in the series that goes on: by
    their time, else by their day.
    """
    assert fresh.start is not None
    names = dict[datetime, datetime]()
    for start, name in series.single_dates(connection, key, at).items():
        if name == at:
            same = [fresh.start]
        elif rules.ruled(fresh, name):
            same = [name]
        else:
            same = list(recurrence.on_day(fresh, recurrence.day_of(whole, name)))
        if same and (to := columns.instant(same[0])) not in names.values():
            names[start] = to
    return names


def _typed(edition: Edition, moment: Moment) -> str:
    """A moment as people type it: on the clock of the series."""
    clock = (
        moment.astimezone(ZoneInfo(edition.timezone)).replace(tzinfo=None)
        if isinstance(moment, datetime)
        else moment
    )
    return clock.isoformat()
