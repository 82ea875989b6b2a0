"""A list of dates as calendars are told it: the covering rule (itip.md §2, P15)."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answer import moments
from gateway.errors import InputError
from gateway.followups import covering, limits, recurrence
from gateway.ical import ics, inspection, read
from gateway.model import DateChange, Edition, Method, Moment, Recurrence
from tests.core import attendee
from tests.core.specimens import HOUR, SINGLE, letter

OSLO = ZoneInfo("Europe/Oslo")
YEARS = timedelta(days=366 * 12)


def at(day: date, hour: int = 9, zone: ZoneInfo = OSLO) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def listed(*dates: Moment, **facts: object) -> Edition:
    """A list of dates, of which the first is the start."""
    first = dates[0]
    days = not isinstance(first, datetime)
    length = timedelta(days=1) if days else HOUR
    return replace(
        SINGLE,
        start=first,
        end=first + length,
        all_day=days,
        recurrence=Recurrence(rdates=dates[1:]),
        **facts,  # type: ignore[arg-type]
    )


def days(*texts: str) -> tuple[date, ...]:
    return tuple(map(date.fromisoformat, texts))


IRREGULAR = days("2027-01-12", "2027-01-19", "2027-02-03", "2027-02-26", "2027-05-20", "2028-03-31")


def shown(edition: Edition) -> list[Moment]:
    """The starts that an invitee's calendar shows, by another reader of the same bytes."""
    window = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC) + 3 * YEARS
    return [one.start for one in attendee.expand(ics.calendar(letter(edition)), *window)]


def master(edition: Edition) -> icalendar.Event:
    return icalendar.Calendar.from_ical(ics.calendar(letter(edition))).events[0]


@pytest.mark.parametrize(
    ("dates", "rule"),
    [
        (("2027-03-02", "2027-03-09", "2027-03-16"), "FREQ=WEEKLY;BYDAY=TU;COUNT=3"),
        (("2027-03-02", "2027-03-09", "2027-03-23"), "FREQ=WEEKLY;BYDAY=TU;COUNT=4"),
        (("2027-03-02", "2027-03-30"), "FREQ=WEEKLY;INTERVAL=4;WKST=MO;BYDAY=TU;COUNT=2"),
        (("2027-03-02", "2027-03-04", "2027-03-09"), "FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3"),
        (("2027-03-02", "2027-03-09", "2027-03-20"), "FREQ=WEEKLY;BYDAY=TU,SA;COUNT=6"),
        (
            ("2027-03-07", "2027-03-15", "2027-03-21"),  # a week begins on Monday
            "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=MO,SU;COUNT=3",
        ),
        (("2027-03-02", "2027-03-03", "2027-03-04"), "FREQ=WEEKLY;BYDAY=TU,WE,TH;COUNT=3"),
        (
            ("2027-03-02", "2027-03-06", "2027-03-10", "2027-03-14"),
            "FREQ=DAILY;INTERVAL=4;COUNT=4",
        ),
        (("2027-01-15", "2027-02-15", "2027-04-15"), "FREQ=MONTHLY;BYMONTHDAY=15;COUNT=4"),
        (("2027-01-12", "2027-02-09", "2027-04-13"), "FREQ=MONTHLY;BYDAY=2TU;COUNT=4"),
        (("2027-01-29", "2027-02-26", "2027-04-30"), "FREQ=MONTHLY;BYDAY=-1FR;COUNT=4"),
        (
            ("2027-01-15", "2028-01-15", "2030-01-15"),
            "FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=15;COUNT=4",
        ),
        (("2027-03-02",), "FREQ=WEEKLY;BYDAY=TU;COUNT=1"),
    ],
)
def test_the_rule_with_the_fewest_other_dates(dates: tuple[str, ...], rule: str) -> None:
    assert covering.rules(days(*dates))[0] == rule
    for edition in (listed(*days(*dates)), listed(*map(at, days(*dates)))):
        found = master(edition)
        [said] = found.rrules
        assert said.to_ical().decode().split(";")[0] == rule.split(";")[0]
        assert "RDATE" not in found
        assert shown(edition) == [edition.start, *(edition.recurrence or Recurrence()).rdates]


def test_no_day_of_the_month_that_some_months_lack() -> None:
    found = covering.rules(days("2027-01-31", "2027-03-31", "2027-05-31"))
    assert not [one for one in found if "BYMONTHDAY" in one]


def test_an_occurrence_does_not_reach_into_the_next_where_a_rule_can_help_it() -> None:
    dates = days("2027-03-02", "2027-03-06", "2027-03-14")
    assert covering.rules(dates)[0] == "FREQ=DAILY;INTERVAL=4;COUNT=4"
    week = days("2027-03-02", "2027-03-09", "2027-03-17")
    assert "WEEKLY" in covering.rules(week)[0]
    long = covering.rules(week, timedelta(days=2))
    assert "FREQ=WEEKLY;BYDAY=TU,WE;COUNT=6" in long, "there is no better one"


SPREAD = st.one_of(
    st.lists(st.integers(0, 90), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(0, 40).map(lambda weeks: weeks * 7), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(0, 100), min_size=1, max_size=60, unique=True),
)
STARTS = st.dates(date(2024, 1, 1), date(2030, 12, 31))


@given(STARTS, SPREAD)
def test_days_are_expanded_to_just_these(first: date, spread: list[int]) -> None:
    dates = [first + timedelta(days=number) for number in sorted({0, *spread})]
    edition = listed(*dates)
    assert shown(edition) == dates
    said = covering.told(edition)
    again = replace(edition, recurrence=Recurrence(said.rrule, said.exdates))
    assert list(recurrence.instances(again)) == dates, "by our own expansion, too"
    assert not said.rdates
    assert len(said.exdates) <= covering.MOST_GAPS


@given(
    STARTS,
    SPREAD,
    st.sampled_from(["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.lists(st.sampled_from([9, 9, 9, 14]), min_size=70, max_size=70),
    st.sets(st.integers(0, 8), max_size=3),
)
def test_times_are_expanded_to_just_these(
    first: date, spread: list[int], name: str, hours: list[int], cancelled: set[int]
) -> None:
    """Over changes of summer time, at other hours than the first, and with dates cancelled."""
    zone = ZoneInfo(name)
    dates = [
        at(first + timedelta(days=number), hours[place], zone)
        for place, number in enumerate(sorted({0, *spread}))
    ]
    gone = {one for place, one in enumerate(dates) if place in cancelled}
    edition = listed(
        *dates,
        timezone=name,
        dates=tuple(DateChange(one, cancelled=True) for one in sorted(gone)),
    )
    assert shown(edition) == [one for one in dates if one not in gone]
    assert not list(inspection.calendar(ics.calendar(letter(edition)), letter(edition)))


def test_a_date_at_another_hour_is_an_exception_and_answers_to_it_are_understood() -> None:
    """Outlook and all others know an exception; the name that they answer with is the rule's."""
    first, other = at(date(2027, 3, 2)), at(date(2027, 3, 20), 14)
    edition = listed(first, at(date(2027, 3, 9)), other)
    top = icalendar.Calendar.from_ical(ics.calendar(letter(edition)))
    series, exception = top.events
    assert [one.day for one in series.exdates] == [6, 13, 16]
    assert exception.decoded("RECURRENCE-ID") == datetime(2027, 3, 20, 9, tzinfo=OSLO)
    assert exception.decoded("DTSTART") == datetime(2027, 3, 20, 14, tzinfo=OSLO)
    assert exception.decoded("DTEND") == datetime(2027, 3, 20, 15, tzinfo=OSLO)
    (alone,) = icalendar.Calendar.from_ical(ics.calendar(letter(edition, instance=other))).walk(
        "VEVENT"
    )
    assert alone["RECURRENCE-ID"] == exception["RECURRENCE-ID"]
    for clock in (datetime(2027, 3, 20, 8), datetime(2027, 3, 20, 13)):
        when = read.When(read.Form.UTC, clock.date(), clock)
        assert moments.instance(edition, when, {}) == other
    nothing = read.When(read.Form.UTC, date(2027, 3, 20), datetime(2027, 3, 20, 9))
    assert moments.instance(edition, nothing, {}) is None


def test_a_cancelled_date_at_another_hour_keeps_its_name() -> None:
    other = at(date(2027, 3, 20), 14)
    edition = listed(at(date(2027, 3, 2)), other, dates=(DateChange(other, cancelled=True),))
    when = read.When(read.Form.UTC, date(2027, 3, 20), datetime(2027, 3, 20, 8))
    assert moments.instance(edition, when, {}) == other


def test_a_date_before_the_start_is_the_first_of_the_rule() -> None:
    edition = listed(at(date(2027, 3, 16)), at(date(2027, 3, 9)))
    assert shown(edition) == [at(date(2027, 3, 9)), at(date(2027, 3, 16))]
    assert master(edition).decoded("DTEND") == datetime(2027, 3, 9, 10, tzinfo=OSLO)


def test_a_list_of_which_nothing_takes_place() -> None:
    first = at(date(2027, 3, 2))
    edition = replace(listed(first), recurrence=Recurrence(exdates=(first,)))
    assert shown(edition) == []


@pytest.mark.parametrize(
    ("dates", "reason"),
    [
        ((at(date(2027, 3, 2)), at(date(2027, 3, 2), 14)), "on one day"),
        (tuple(map(at, IRREGULAR)), "no series"),
    ],
)
def test_what_no_series_can_hold_is_not_written_and_can_be_taken_back(
    dates: tuple[datetime, ...], reason: str
) -> None:
    edition = listed(*dates)
    with pytest.raises(InputError, match=reason):
        ics.calendar(letter(edition))
    taken = letter(edition, method=Method.CANCEL, before=edition, sequence=1)
    assert b"RDATE" not in ics.calendar(taken)
    assert b"DTSTART;TZID=Europe/Oslo:2027" in ics.calendar(taken)


def test_a_rule_and_further_dates_at_its_hour_are_one_rule() -> None:
    """Outlook takes an RDATE beside a rule for a date that was moved (MS-OXCICAL)."""
    start = at(date(2027, 3, 2))
    wednesday = at(date(2027, 3, 10))
    edition = replace(
        listed(start), recurrence=Recurrence("FREQ=WEEKLY;COUNT=3;BYDAY=TU", (), (wednesday,))
    )
    found = master(edition)
    assert found["RRULE"].to_ical() == b"FREQ=WEEKLY;COUNT=5;BYDAY=TU,WE"
    assert "RDATE" not in found
    assert shown(edition) == [start, at(date(2027, 3, 9)), wednesday, at(date(2027, 3, 16))]


@pytest.mark.parametrize(
    ("rule", "further"),
    [
        ("FREQ=WEEKLY;BYDAY=TU", at(date(2027, 3, 10))),
        ("FREQ=WEEKLY;COUNT=3;BYDAY=TU", at(date(2027, 3, 10), 14)),
    ],
)
def test_further_dates_that_no_rule_covers_stand_beside_it(rule: str, further: datetime) -> None:
    edition = replace(listed(at(date(2027, 3, 2))), recurrence=Recurrence(rule, (), (further,)))
    found = master(edition)
    assert "RRULE" in found
    assert found.rdates == [(further, None)]


def test_dates_without_a_rule_are_found_before_they_leave() -> None:
    edition = listed(at(date(2027, 3, 2)), at(date(2027, 3, 9)))
    one = letter(edition)
    content = ics.calendar(one)
    rule = content.index(b"RRULE:FREQ=WEEKLY;")
    spoilt = (
        content[:rule]
        + b"RDATE;TZID=Europe/Oslo:20270309T090000"
        + content[content.index(b"\r\n", rule) :]
    )
    assert [(bad.rule, "RDATE" in bad.text) for bad in inspection.calendar(spoilt, one)] == [
        ("P15", True)
    ]


WEEKLY = "FREQ=WEEKLY;BYDAY=TU"
SECOND = at(date(2027, 3, 9))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (f"{WEEKLY};COUNT=1000", "counts 1000 dates"),
        ("FREQ=MONTHLY;BYDAY=1TU,3TU", "several weekdays by position"),
        ("FREQ=MONTHLY;BYMONTHDAY=2,16", "several days of the month"),
        ("FREQ=YEARLY;BYMONTH=3,9;BYMONTHDAY=2", "several months"),
        ("FREQ=YEARLY;BYYEARDAY=61", "it has BYYEARDAY"),
        ("FREQ=WEEKLY;INTERVAL=100", "its step is 100"),
        (f"{WEEKLY};COUNT=999", ""),
        ("FREQ=MONTHLY;BYDAY=1TU", ""),
        ("FREQ=WEEKLY;BYDAY=TU,TH", ""),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=2", ""),
    ],
)
def test_what_outlook_cannot_hold_of_a_rule(rule: str, words: str) -> None:
    found = limits.warning(replace(listed(at(date(2027, 3, 2))), recurrence=Recurrence(rule)))
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"end": at(date(2027, 3, 10))}, "longer than until the next one"),
        ({"end": at(date(2027, 3, 9), 8)}, ""),
        ({"dates": (DateChange(SECOND, at(date(2027, 3, 17))),)}, "of 2027-03-09 was moved"),
        ({"dates": (DateChange(SECOND, at(date(2027, 3, 16), 14)),)}, "of 2027-03-09 was moved"),
        ({"dates": (DateChange(SECOND, at(date(2027, 3, 1))),)}, "of 2027-03-09 was moved"),
        ({"dates": (DateChange(SECOND, at(date(2027, 3, 15))),)}, ""),
        (
            {
                "dates": (
                    DateChange(SECOND, at(date(2027, 3, 17))),
                    DateChange(at(date(2027, 3, 16)), at(date(2027, 3, 18))),
                )
            },
            "",
        ),
        (
            {
                "dates": (
                    DateChange(SECOND, at(date(2027, 3, 17))),
                    DateChange(at(date(2027, 3, 16)), cancelled=True),
                )
            },
            "",
        ),
        (
            {"recurrence": Recurrence(WEEKLY, (), (at(date(2027, 3, 10), 14),))},
            "dates beside its rule are missing there (2027-03-10)",
        ),
        ({"recurrence": Recurrence("", (), (SECOND, at(date(2027, 3, 20), 14)))}, ""),
    ],
)
def test_what_outlook_cannot_hold_of_dates(facts: dict[str, object], words: str) -> None:
    weekly = replace(listed(at(date(2027, 3, 2))), recurrence=Recurrence(WEEKLY))
    found = limits.warning(replace(weekly, **facts))  # type: ignore[arg-type]
    assert words in found
    assert bool(found) == bool(words)


def test_a_warning_hides_no_words_of_the_mail_server() -> None:
    warning = f"{limits.PREFIX}it has BYYEARDAY"
    assert limits.shown(warning, "550 no such user") == f"550 no such user; {warning}"
    assert limits.shown(warning, "") == warning
    assert limits.shown("no valid e-mail address", "550 no such user") == "no valid e-mail address"
    assert limits.shown("", "550 no such user") == "550 no such user"
