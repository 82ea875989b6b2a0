"""Whatever is edited, in whatever order letters are planned and sent: applying the letters in
order, an invitee's program ends with exactly the follow-up as the store has it, his dates, their
times, and nothing that is cancelled (issue of series; itip.md §2).
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.followups import covering, editions, recurrence, rules
from gateway.ical import ics
from gateway.invite import plan
from gateway.model import DateChange, Edition, Kind, Method, Moment, Recurrence, Reply
from gateway.model import Letter as Mail
from tests.core import attendee, libical
from tests.core.invitees import Letter, World
from tests.examples import examples

OSLO = ZoneInfo("Europe/Oslo")
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
GUEST = 3
"""The row of somebody who is invited to one date only."""
WINDOW = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 8, 1, tzinfo=UTC)


@dataclass
class Record:
    """A follow-up as its rows say it: the series, and of single dates their own times, or None
    where they are cancelled.
    """

    start: Moment = datetime(2027, 3, 2, 8, tzinfo=UTC)
    length: timedelta = HOUR
    rrule: str = "FREQ=WEEKLY"
    timezone: str = "Europe/Oslo"
    title: str = "Weekly"
    location: str = ""
    cancelled: bool = False
    own: dict[Moment, Moment | None] = field(default_factory=dict)

    def bare(self) -> Edition:
        return Edition(
            "m1@crm.example",
            Kind.MEETING,
            self.title,
            self.start,
            self.start + self.length,
            self.timezone,
            "Kari",
            all_day=not isinstance(self.start, datetime),
            location=self.location,
            cancelled=self.cancelled,
            recurrence=Recurrence(self.rrule),
        )

    def edition(self, known: Edition | None) -> Edition:
        """Read as the store reads it, after dates that the series has no more
        have lost their rows.
        """
        gone = (
            editions.lost(known, self._read(), editions.named_dates(known) | set(self.own))
            if known is not None
            else frozenset()
        )
        self.own = {name: times for name, times in self.own.items() if name not in gone}
        return self._read()

    def _read(self) -> Edition:
        series = self.bare()
        ruled = {name for name in self.own if rules.ruled(series, name)}
        order = sorted(self.own, key=str)
        return replace(
            series,
            recurrence=Recurrence(
                self.rrule,
                tuple(one for one in order if self.own[one] is None and one in ruled),
                tuple(one for one in order if self.own[one] is not None and one not in ruled),
            ),
            dates=tuple(
                DateChange(one, start, start + self.length)
                for one in order
                if (start := self.own[one]) is not None and start != one
            ),
        )

    def names(self) -> list[Moment]:
        """The dates of the rule that people can get at."""
        return list(recurrence.instances(self.bare(), limit=6))


@dataclass
class Office(World):
    """The world of the planner, with a record instead of an edition, and two kinds of calendar
    programs at each invitee.
    """

    record: Record = field(default_factory=Record)
    programs: dict[int, list[attendee.Calendar]] = field(default_factory=dict)

    def look(self) -> plan.Plan:
        self.wanted = self.record.edition(self.known)
        return super().look()

    def _arrive(self, letter: Letter) -> None:
        super()._arrive(letter)
        content = ics.calendar(written(letter))
        assert libical.problems(content) == []
        for program in self.programs.setdefault(
            letter.participant,
            [
                attendee.Calendar(keeps, alone=letter.participant == GUEST)
                for keeps in (True, False)
            ],
        ):
            program.take(content)


def written(letter: Letter) -> Mail:
    """The letter as the outbox has it."""
    owed = letter.owed
    return Mail(
        owed.method,
        owed.edition,
        owed.before,
        owed.sequence,
        owed.dtstamp,
        f"{letter.number}@crm.example",
        "default",
        f"p{letter.participant}@ext.example",
        "P",
        f"invites+t{letter.participant}@crm.example",
        "b@crm.example",
        "en",
        "Europe/Oslo",
        "t",
        owed.reply,
        owed.instance,
        owed.withdrawn,
        owed.remarks,
    )


def stored(edition: Edition) -> list[attendee.Shown]:
    return [
        attendee.Shown(one.original, one.start, one.end, edition.title, edition.location)
        for one in recurrence.occurrences(edition, *WINDOW)
    ]


def seen(program: attendee.Calendar) -> list[attendee.Shown]:
    return program.shows(*WINDOW)


# --- edits ---


def _nth(office: Office, number: int) -> Moment:
    names = office.record.names()
    return names[number % len(names)]


def _move_series(office: Office, number: int) -> None:
    office.record.start += (
        DAY * (number % 3 + 1)
        if not isinstance(office.record.start, datetime)
        else HOUR * (number % 3 + 1)
    )


def _shorten(office: Office, number: int) -> None:
    rule = rules.ended_before(office.record.bare(), _nth(office, number))
    office.record.rrule = rule or office.record.rrule


def _add(office: Office, number: int) -> None:
    office.record.own[office.record.start + DAY * 3 + WEEK * (number % 3)] = (
        office.record.start + DAY * 3 + WEEK * (number % 3)
    )


def _set(name: str, value: object) -> Callable[[Office, int], None]:
    return lambda office, number: setattr(office.record, name, value)


RULES = [
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;COUNT=8",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=DAILY;INTERVAL=7;COUNT=20",
    "FREQ=DAILY;UNTIL=20270420",
]
EDITS: dict[str, Callable[[Office, int], object]] = {
    "move a date": lambda office, number: office.record.own.__setitem__(
        _nth(office, number),
        _nth(office, number) + (2 * HOUR if isinstance(office.record.start, datetime) else DAY),
    ),
    "move it elsewhere": lambda office, number: office.record.own.__setitem__(
        _nth(office, number), _nth(office, number) + DAY
    ),
    "cancel a date": lambda office, number: office.record.own.__setitem__(
        _nth(office, number), None
    ),
    "as the rule says": lambda office, number: office.record.own.pop(_nth(office, number), None),
    "add a date": _add,
    "take an added date away": lambda office, number: office.record.own.pop(
        office.record.start + DAY * 3 + WEEK * (number % 3), None
    ),
    "move the series": _move_series,
    "another rule": lambda office, number: setattr(
        office.record, "rrule", RULES[number % len(RULES)]
    ),
    "stop": _shorten,
    "longer": lambda office, number: setattr(office.record, "length", office.record.length * 2),
    "title": lambda office, number: setattr(office.record, "title", f"Title {number}"),
    "place": lambda office, number: setattr(office.record, "location", f"Place {number}"),
    "cancel": _set("cancelled", value=True),
    "reinstate": _set("cancelled", value=False),
    "add": lambda office, number: (
        office.invite(number % 2 + 1) if number % 2 + 1 not in office.rows else None
    ),
    "remove": lambda office, number: (
        office.change(number % 2 + 1, removed=True) if number % 2 + 1 in office.rows else None
    ),
    "return": lambda office, number: (
        office.change(number % 2 + 1, removed=False) if number % 2 + 1 in office.rows else None
    ),
    "answer": lambda office, number: _answer(office, number, None),
    "answer of the guest": lambda office, number: _answer(office, number, None, GUEST),
    "another date for the guest": lambda office, number: office.change(
        GUEST, date=_nth(office, number)
    ),
    "all of it for the guest": lambda office, number: office.change(GUEST, date=None),
    "remove the guest": lambda office, number: office.change(GUEST, removed=number % 2 == 0),
    "answer a date": lambda office, number: _answer(office, number, _nth(office, number)),
}
FATES = ["taken", "taken", "later", "lost", "doubtful"]


def _answer(office: Office, number: int, instance: Moment | None, who: int = 0) -> None:
    row = office.rows.get(who or number % 2 + 1)
    if row is None or any(
        standing.cancelled for date, standing in row.standings.items() if date in (None, instance)
    ):
        return
    office.answer(
        row.participant, [Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE][number % 3], instance
    )


NUMBER = st.integers(0, 5)
OF_DATES = ["move a date", "as the rule says", "cancel a date", "add a date", "title"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(EDITS)), NUMBER),
        st.tuples(st.sampled_from(OF_DATES), st.integers(0, 1)),
        st.tuples(st.sampled_from(OF_DATES), st.integers(0, 1)),
        st.tuples(st.just("plan"), NUMBER),
        st.tuples(st.just("deliver"), NUMBER),
        st.tuples(st.just("deliver"), NUMBER),
        st.tuples(st.just("claim"), NUMBER),
        st.tuples(st.sampled_from(FATES), NUMBER),
    ),
    max_size=30,
)
RECORDS: dict[str, Callable[[], Record]] = {
    "weekly over a change of summer time": Record,
    "days": lambda: Record(date(2027, 3, 2), DAY, "FREQ=WEEKLY;COUNT=10"),
    "a list of dates": lambda: Record(
        rrule="", own={datetime(2027, 3, 5, 8, tzinfo=UTC): datetime(2027, 3, 5, 8, tzinfo=UTC)}
    ),
}


def _sayable(office: Office) -> bool:
    """Whether the dates are a series that Outlook can hold."""
    try:
        covering.told(office.record.edition(office.known))
    except InputError:
        return False
    return True


def play(record: Record, steps: list[tuple[str, int]]) -> Office:
    office, flying = Office(record=record), dict[int, Letter]()
    office.invite(1)
    office.invite(2)
    office.invite(GUEST, date=office.record.names()[-1])
    office.plan()
    office.deliver()
    for step, number in steps:
        who = number % 3 + 1
        if step in EDITS:
            if not (step in ("another rule", "stop") and office.record.rrule == ""):
                before = deepcopy(office.record)
                EDITS[step](office, number)
                if not _sayable(office):  # the planner would leave everything as it was
                    office.record = before
        elif step == "plan":
            office.now += timedelta(seconds=number)
            office.plan()
        elif step == "deliver":
            office.plan()
            if not flying:
                office.deliver()
        elif step == "claim":
            if who not in flying and (letter := office.claim(who)) is not None:
                flying[who] = letter
        elif who in flying:
            office.settle(flying.pop(who), step)
    for letter in flying.values():
        office.settle(letter, "lost")
    office.plan()
    office.deliver()
    return office


@pytest.mark.parametrize("record", RECORDS)
@settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_every_invitee_ends_with_the_follow_up_as_the_store_has_it(
    record: str, steps: list[tuple[str, int]]
) -> None:
    office = play(RECORDS[record](), steps)
    assert office.known is not None
    for number in office.rows:
        expected = stored(office.known) if office.should_hold(number) else []
        if (date := office.rows[number].date) is not None:
            expected = [one for one in expected if one.name == date]
        else:  # by the names that calendars have for them
            expected = [
                replace(one, name=covering.named(office.known, one.name))
                for one in expected
                if one.name is not None
            ]
        for program in office.programs.get(number, []):
            assert seen(program) == expected, (number, program.keeps)
    assert office.look().owed == ()
    only_up(office)


def only_up(office: Office) -> None:
    """The SEQUENCE of every component; a letter that is repeated is the same."""
    for number in office.rows:
        told = [owed for row, owed in office.arrived if row == number]
        highest, last = dict[Moment | None, tuple[int, datetime]](), -1
        for at, owed in enumerate(told):
            key, date = (owed.sequence, owed.dtstamp), owed.instance or owed.edition.recurrence_id
            assert (at and told[at - 1] is owed) or key > highest.get(date, (-1, owed.dtstamp)), (
                "newer for every program"
            )
            highest[date] = key
            if owed.method is Method.CANCEL and not (at and told[at - 1] is owed):
                assert owed.sequence > last, "a CANCEL is above everything sent to the row"
            last = max(last, owed.sequence)
