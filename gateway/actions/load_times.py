"""The times of a loaded follow-up: from what its system wrote to the instants that the store keeps.
Pure.

Times without offset are in the follow-up's zone. All-day follow-ups have plain dates with an
exclusive end (RFC 5545 §3.6.1), kept as midnight UTC of the date; the same start and end mean one
day. Instants have whole seconds.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.actions import load_format
from gateway.errors import InputError, Steps
from gateway.followups import kinds, recurrence, rules
from gateway.followups.preferences import BUILT_IN
from gateway.ical import zones
from gateway.model import Edition, Kind, Moment, Recurrence

YEARS = range(recurrence.FIRST_YEAR, recurrence.LAST_YEAR + 1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DateTimes:
    """One date of a series that the file names: excluded, added, moved or cancelled."""

    original: Moment
    start: Moment | None = None
    end: Moment | None = None
    cancelled: bool = False
    cancel_reason: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """When a follow-up takes place. `deadline` is an instant, also for a day (its local midnight);
    so is `answer_by`.

    `participants`: for each of the file's, the one date that they are invited to.
    """

    start: Moment | None = None
    end: Moment | None = None
    deadline: datetime | None = None
    rrule: str = ""
    dates: tuple[DateTimes, ...] = ()
    answer_by: datetime | None = None
    participants: tuple[Moment | None, ...] = ()


@dataclass(slots=True)
class Reader:
    """Reads the times of one follow-up; what is wrong gathers in `problems` as (place within the
    follow-up, reason).
    """

    follow_up: load_format.FollowUp
    zone: ZoneInfo
    problems: list[tuple[Steps, str]] = field(default_factory=list)

    def times(self) -> Times:
        follow_up = self.follow_up
        start = self._moment(follow_up.start, ("start",))
        end = self._moment(follow_up.end, ("end",), is_end=True)
        deadline, answer_by = self._deadline(), self._answer_by()
        self._reasons()
        if self.problems:
            return Times()
        if start is None:
            self._without_start(end, deadline)
            return Times(
                deadline=deadline, answer_by=answer_by, participants=self._participants(None)
            )
        if end is not None and end < start:
            self._wrong(("end",), "is before the start")
            return Times()
        if end == start and follow_up.all_day:
            end = start + DAY
        rule, dates = self._series(start, end)
        whole = Edition(
            uid="",
            kind=Kind(follow_up.kind),
            title="",
            start=start,
            end=kinds.end(start, end, BUILT_IN.length(Kind(follow_up.kind))),
            timezone=self.zone.key,
            organizer="",
            all_day=follow_up.all_day,
            recurrence=Recurrence(rule, rdates=tuple(date.original for date in dates)),
        )
        return Times(
            start,
            end,
            deadline,
            rule,
            dates,
            answer_by,
            self._participants(whole if rule or dates else None),
        )

    def _participants(self, series: Edition | None) -> tuple[Moment | None, ...]:
        dates = list[Moment | None]()
        for number, participant in enumerate(self.follow_up.participants):
            place: Steps = ("participants", number, "original_start")
            date = self._moment(participant.original_start, place)
            if participant.removed:
                pass  # they may have been invited to a date that is gone
            elif date is not None and series is None:
                self._wrong(place, "needs a recurrence")
            elif (
                date is not None
                and series is not None
                and not self.problems
                and not recurrence.is_instance(series, date)
            ):
                self._wrong(place, f"no date of the series begins at {participant.original_start}")
            dates.append(date)
        return tuple(dates)

    def _wrong(self, place: Steps, reason: str) -> None:
        self.problems.append((place, reason))

    def _without_start(self, end: Moment | None, deadline: datetime | None) -> None:
        facts = {
            "end": end,
            "deadline": deadline,
            "recurrence": self.follow_up.recurrence,
            "instances": self.follow_up.instances or None,
        }
        said = {name for name, value in facts.items() if value is not None}
        for place, reason in kinds.lacking(Kind(self.follow_up.kind), said):
            self._wrong((place,), reason)

    def _moment(self, text: str | None, place: Steps, *, is_end: bool = False) -> Moment | None:
        """An instant in UTC, or the date where the follow-up is all-day; None where nothing, or
        nothing right, is said.
        """
        if text is None:
            return None
        read = self._parsed(text, place)
        if read is None or not self.follow_up.all_day:
            if read is not None and not isinstance(read, datetime):
                self._wrong(place, f'{text!r} is a plain date, which needs "all_day": true')
                return None
            return read
        if not isinstance(read, datetime):
            return read
        local = read.astimezone(self.zone)
        return local.date() + DAY if is_end and local.time() != time() else local.date()

    def _parsed(self, text: str, place: Steps) -> Moment | None:
        try:
            if len(text) == 10:
                moment: Moment = date.fromisoformat(text)
            else:
                clock = datetime.fromisoformat(text)
                moment = (
                    (clock if clock.tzinfo else clock.replace(tzinfo=self.zone))
                    .astimezone(UTC)
                    .replace(microsecond=0)
                )
        except (ValueError, OverflowError):
            self._wrong(
                place,
                f"{text[:60]!r} is no time like 2026-12-01T09:00:00 and no date like 2026-12-01",
            )
            return None
        if moment.year not in YEARS:
            self._wrong(place, f"{text!r} is out of reach (years {YEARS[0]} to {YEARS[-1]})")
            return None
        return moment

    def _deadline(self) -> datetime | None:
        if self.follow_up.deadline is None:
            return None
        read = self._parsed(self.follow_up.deadline, ("deadline",))
        if read is None or isinstance(read, datetime):
            return read
        return datetime.combine(read, time(), self.zone).astimezone(UTC)

    def _answer_by(self) -> datetime | None:
        if self.follow_up.answer_by is None:
            return None
        read = self._parsed(self.follow_up.answer_by, ("answer_by",))
        if read is None or isinstance(read, datetime):
            return read
        self._wrong(
            ("answer_by",), f"{self.follow_up.answer_by!r} is a plain date; by when on that day?"
        )
        return None

    def _reasons(self) -> None:
        said: list[tuple[Steps, load_format.FollowUp | load_format.Instance]] = [
            ((), self.follow_up)
        ]
        said += [
            (("instances", number), instance)
            for number, instance in enumerate(self.follow_up.instances)
        ]
        for place, entry in said:
            if entry.cancel_reason and not entry.cancelled:
                self._wrong((*place, "cancel_reason"), 'goes with "cancelled": true only')

    def _series(self, start: Moment, end: Moment | None) -> tuple[str, tuple[DateTimes, ...]]:
        given = self.follow_up.recurrence or load_format.Recurrence()
        if not given.rrule and not given.rdates:
            if self.follow_up.instances:
                self._wrong(("instances",), "need a recurrence")
            return "", ()
        dates = dict[Moment, DateTimes]()
        for number, text in enumerate(given.rdates):
            self._add(dates, ("recurrence", "rdates", number), text)
        series = Edition(
            uid="",
            kind=Kind(self.follow_up.kind),
            title="",
            start=start,
            end=kinds.end(start, end, BUILT_IN.length(Kind(self.follow_up.kind))),
            timezone=self.zone.key,
            organizer="",
            all_day=self.follow_up.all_day,
            recurrence=Recurrence(given.rrule, rdates=tuple(dates)),
        )
        try:
            if given.rrule:
                recurrence.check(given.rrule)
                rules.begins_with_it(series)
            for number, text in enumerate(given.exdates):
                self._add(dates, ("recurrence", "exdates", number), text, cancelled=True)
            for number, instance in enumerate(self.follow_up.instances):
                self._instance(dates, ("instances", number), instance, series)
        except InputError as error:
            self._wrong(("recurrence", "rrule"), str(error))
        return given.rrule, tuple(dates.values())

    def _add(
        self, dates: dict[Moment, DateTimes], place: Steps, text: str, *, cancelled: bool = False
    ) -> None:
        original = self._moment(text, place)
        if original is None:
            return
        if original in dates and (cancelled or dates[original].cancelled):
            self._wrong(place, f"{text} is named twice")
        dates[original] = DateTimes(original, cancelled=cancelled)

    def _instance(
        self,
        dates: dict[Moment, DateTimes],
        place: Steps,
        instance: load_format.Instance,
        series: Edition,
    ) -> None:
        original = self._moment(instance.original_start, (*place, "original_start"))
        start, end = (
            self._moment(instance.start, (*place, "start")),
            self._moment(instance.end, (*place, "end"), is_end=True),
        )
        if original is None:
            return
        named = dates.get(original)
        if named is not None and (
            named.cancelled or named.start is not None or named.end is not None
        ):
            self._wrong((*place, "original_start"), f"{instance.original_start} is named twice")
        elif not recurrence.is_instance(series, original):
            self._wrong(
                (*place, "original_start"),
                f"no date of the series begins at {instance.original_start}",
            )
        if end is not None and end < (start or original):
            self._wrong((*place, "end"), "is before the start")
        if named is None and not (instance.cancelled or start or end):
            return  # it is what the rule says already
        dates[original] = (
            DateTimes(original, cancelled=True, cancel_reason=instance.cancel_reason)
            if instance.cancelled
            else DateTimes(original, start, end)
        )


def read(follow_up: load_format.FollowUp, site_zone: str) -> tuple[Times, list[tuple[Steps, str]]]:
    """The times of a follow-up, and what is wrong with them: (place within the follow-up, reason),
    empty when all is well.
    """
    reader = Reader(follow_up, zones.zone(follow_up.timezone or site_zone))
    return reader.times(), reader.problems
