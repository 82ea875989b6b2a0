"""The table of itip.md §2 for series, line by line: what each change owes, and what becomes of the
answers to each date (P9, P11).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway import i18n, status
from gateway.followups import editions
from gateway.ical import ics, preflight
from gateway.invite import owing, plan
from gateway.model import Edition, Kind, Moment, Recurrence, Reply, Role, Standing
from gateway.writing import news, render, wording
from tests.core.invitees import Letter
from tests.core.specimens import MAIL, SECRET
from tests.core.test_attendee_model import DAY, HOUR, WEEK, Office, Record, written

START = datetime(2027, 3, 2, 8, tzinfo=UTC)
N = [START + WEEK * number - (HOUR if number > 3 else timedelta()) for number in range(8)]
"""Names of the dates: nine o'clock in Oslo, over the change of summer time on 28 March."""
EXTRA = START + 3 * DAY
LETTERS = list[tuple[int, str, int, Moment | None]]


def agreed(rrule: str = "FREQ=WEEKLY;COUNT=6") -> Office:
    """A weekly series that 1 and 2 hold and have accepted."""
    office = Office(record=Record(START, HOUR, rrule))
    for number in (1, 2):
        office.invite(number)
    office.plan()
    office.deliver()
    for number in (1, 2):
        office.answer(number, Reply.ACCEPTED)
    office.arrived.clear()
    return office


def owed(office: Office) -> LETTERS:
    before = len(office.letters)
    office.plan()
    return [
        (one.participant, one.owed.method.value, one.owed.sequence, one.owed.instance)
        for one in office.letters[before:]
    ]


def both(method: str, sequence: int, instance: Moment | None = None) -> LETTERS:
    return [(1, method, sequence, instance), (2, method, sequence, instance)]


def date_code(office: Office, number: int, instance: Moment) -> int | None:
    """The status of one date; None where it shares the row's."""
    row = office.rows[number]
    return (
        int(status.code(row.role, row.standings[instance])) if instance in row.standings else None
    )


def put(**dates: Moment | None) -> Callable[[Office], None]:
    """Change single dates: `n1=...` a time, or None for cancelled."""
    named: dict[Moment, Moment | None]
    named = {EXTRA if name == "extra" else N[int(name[1:])]: times for name, times in dates.items()}
    return lambda office: office.record.own.update(named)


def set_record(**values: object) -> Callable[[Office], None]:
    def change(office: Office) -> None:
        for name, value in values.items():
            setattr(office.record, name, value)

    return change


def all_of(*changes: Callable[[Office], None]) -> Callable[[Office], None]:
    def change(office: Office) -> None:
        for one in changes:
            one(office)

    return change


@dataclass(frozen=True)
class Line:
    """A change, the letters it owes, and the statuses afterwards: of both rows, and of the dates
    that have one of their own.
    """

    change: Callable[[Office], None]
    letters: LETTERS
    rows: int = 1
    dates: dict[Moment, int] = field(default_factory=dict)


LINES = {
    "nothing": Line(lambda office: None, []),
    "one date moved": Line(put(n1=N[1] + HOUR), both("REQUEST", 1, N[1]), 1, {N[1]: 6}),
    "one date cancelled": Line(put(n1=None), both("CANCEL", 1, N[1]), 1, {N[1]: 10}),
    "a date added": Line(put(extra=EXTRA), both("REQUEST", 1, EXTRA), 1, {EXTRA: 5}),
    "a date added at a time of its own": Line(
        put(extra=EXTRA + HOUR), both("REQUEST", 1, EXTRA), 1, {EXTRA: 5}
    ),
    "two dates moved": Line(
        put(n1=N[1] + HOUR, n4=N[4] + DAY),
        [
            (1, "REQUEST", 1, N[1]),
            (1, "REQUEST", 2, N[4]),
            (2, "REQUEST", 1, N[1]),
            (2, "REQUEST", 2, N[4]),
        ],
        1,
        {N[1]: 6, N[4]: 6},
    ),
    "one moved, one cancelled": Line(
        put(n1=N[1] + HOUR, n4=None),
        [
            (1, "CANCEL", 1, N[4]),
            (1, "REQUEST", 2, N[1]),
            (2, "CANCEL", 1, N[4]),
            (2, "REQUEST", 2, N[1]),
        ],
        1,
        {N[1]: 6, N[4]: 10},
    ),
    "title": Line(set_record(title="Another"), both("REQUEST", 0)),
    "title, and one date moved": Line(
        all_of(set_record(title="Another"), put(n1=N[1] + HOUR)), both("REQUEST", 0), 1, {N[1]: 6}
    ),
    "title, and one date cancelled": Line(
        all_of(set_record(title="Another"), put(n1=None)), both("REQUEST", 0), 1, {N[1]: 10}
    ),
    "place": Line(set_record(location="Fjord"), both("REQUEST", 1), 6),
    "start": Line(set_record(start=START + HOUR), both("REQUEST", 1), 6),
    "time zone": Line(set_record(timezone="Europe/London"), both("REQUEST", 1), 6),
    "another rule": Line(set_record(rrule="FREQ=WEEKLY;COUNT=6;INTERVAL=2"), both("REQUEST", 1), 6),
    "the same rule in other words": Line(set_record(rrule="COUNT=6;INTERVAL=1;FREQ=WEEKLY"), []),
    "more dates": Line(set_record(rrule="FREQ=WEEKLY;COUNT=7"), both("REQUEST", 1), 6),
    "without end": Line(set_record(rrule="FREQ=WEEKLY"), both("REQUEST", 1), 6),
    "fewer dates": Line(set_record(rrule="FREQ=WEEKLY;COUNT=5"), both("REQUEST", 1)),
    "stopped on a day": Line(set_record(rrule="FREQ=WEEKLY;UNTIL=20270320"), both("REQUEST", 1)),
    "stopped on a day beyond the count": Line(
        set_record(rrule="FREQ=WEEKLY;UNTIL=20270501"), both("REQUEST", 1), 6
    ),
    "fewer dates at another place": Line(
        set_record(rrule="FREQ=WEEKLY;COUNT=5", location="Fjord"), both("REQUEST", 1), 6
    ),
    "fewer dates, and one moved": Line(
        all_of(set_record(rrule="FREQ=WEEKLY;COUNT=5"), put(n1=N[1] + HOUR)),
        both("REQUEST", 1),
        1,
        {N[1]: 6},
    ),
    "another pattern": Line(set_record(rrule="FREQ=DAILY;COUNT=6"), both("REQUEST", 1), 6),
    "cancelled": Line(set_record(cancelled=True), both("CANCEL", 1), 10),
    "cancelled, and one date moved": Line(
        all_of(set_record(cancelled=True), put(n1=N[1] + HOUR)), both("CANCEL", 1), 10
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_what_a_change_of_a_series_owes(name: str) -> None:
    office, line = agreed(), LINES[name]
    line.change(office)
    assert owed(office) == line.letters
    assert {office.code(number) for number in (1, 2)} == {line.rows}
    for number in (1, 2):
        assert {
            date: date_code(office, number, date)
            for date in office.rows[number].standings
            if date is not None
        } == line.dates
    assert owed(office) == []
    office.deliver()
    assert owed(office) == []


def test_a_first_invitation_is_one_letter_with_every_date_of_its_own() -> None:
    office = Office(
        record=Record(START, HOUR, "FREQ=WEEKLY;COUNT=6", own={N[1]: N[1] + HOUR, N[2]: None})
    )
    office.invite(1)
    assert owed(office) == [(1, "REQUEST", 0, None)]
    content = ics.calendar(written(office.letters[0]))
    assert content.count(b"BEGIN:VEVENT") == 2
    assert b"EXDATE;TZID=Europe/Oslo:20270316T090000" in content


def test_single_dates_go_only_to_those_who_hold_the_series() -> None:
    office = agreed()
    office.invite(3)
    office.record.own[N[1]] = N[1] + HOUR
    assert owed(office) == [(3, "REQUEST", 0, None), *both("REQUEST", 1, N[1])]
    assert office.code(3) == 5


def test_moved_and_moved_back_asks_again_because_the_answer_is_gone() -> None:
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    owed(office)
    del office.record.own[N[1]]
    assert owed(office) == both("REQUEST", 2, N[1])
    assert [one.state for one in office.letters[2:]] == ["superseded"] * 2 + ["waiting"] * 2
    office.deliver()
    office.record.title = "Another"
    owed(office)
    own = [
        one
        for one in ics.calendar(written(office.letters[-1])).split(b"BEGIN:VEVENT")[1:]
        if b"RECURRENCE-ID" in one
    ]
    assert len(own) == 1, "whoever keeps what he was told once is told anew"
    assert b"SEQUENCE:2" in own[0]
    assert b"PARTSTAT=NEEDS-ACTION" in own[0]


def test_a_cancelled_date_that_takes_place_after_all() -> None:
    office = agreed()
    office.record.own[N[1]] = None
    owed(office)
    office.deliver()
    del office.record.own[N[1]]
    assert owed(office) == both("REQUEST", 2, N[1])
    assert [date_code(office, number, N[1]) for number in (1, 2)] == [5, 5]
    assert news.of(written(office.letters[-1])) is news.Change.REINSTATED


def test_letters_about_one_date_say_what_became_of_it() -> None:
    office = agreed()
    told = dict[str, news.Change]()
    for name, times in (("moved", N[1] + HOUR), ("cancelled", None)):
        office.record.own[N[1]] = times
        owed(office)
        office.deliver()
        told[name] = news.of(written(office.letters[-1]))
    office.record.own[EXTRA] = EXTRA
    owed(office)
    told["added"] = news.of(written(office.letters[-1]))
    assert told == {
        "moved": news.Change.MOVED,
        "cancelled": news.Change.CANCELLED,
        "added": news.Change.INVITATION,
    }
    teller = wording.Teller(written(office.letters[-1]), i18n.catalogue("en"))
    assert teller.scope() == "This applies only to this one date in a series."
    assert "5 Mar 2027" in teller.subject()


def test_a_follow_up_that_takes_place_after_all_says_so_and_is_above_its_cancellation() -> None:
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    office.record.cancelled = True
    assert owed(office) == both("CANCEL", 1)
    office.deliver()
    office.record.cancelled = False
    assert owed(office) == both("REQUEST", 2)
    assert news.of(written(office.letters[-1])) is news.Change.REINSTATED
    letter = _claimed(office, 1)
    office.settle(letter, "later")
    assert owed(office) == [], "still cancelled for him, and the letter waits"
    office.record.cancelled = True
    assert owed(office) == [], "nothing to take back"
    assert [one.state for one in office.letters[-2:]] == ["superseded"] * 2


def test_a_cancelled_date_stays_cancelled_when_the_series_is_reinstated() -> None:
    office = agreed()
    office.record.own[N[1]] = None
    owed(office)
    for cancelled in (True, False):
        office.record.cancelled = cancelled
        owed(office)
    assert [date_code(office, 1, N[1]), office.code(1)] == [10, 5]


def test_the_answer_to_one_date_goes_with_the_series() -> None:
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    owed(office)
    office.deliver()
    office.answer(1, Reply.DECLINED, N[1])
    office.record.title = "Another"
    assert owed(office) == both("REQUEST", 0)
    assert [one.owed.remarks.date_replies for one in office.letters[-2:]] == [
        ((N[1], Reply.DECLINED),),
        ((N[1], Reply.NEEDS_ACTION),),
    ]
    content = ics.calendar(written(office.letters[-2])).replace(b"\r\n ", b"")
    assert [b"PARTSTAT=DECLINED" in one for one in content.split(b"BEGIN:VEVENT")[1:]] == [
        False,
        True,
    ]


def test_dates_that_the_series_has_no_more_lose_their_data_and_answers() -> None:
    office = agreed()
    office.record.own |= {N[1]: N[1] + HOUR, N[2]: None, EXTRA: EXTRA}
    owed(office)
    office.deliver()
    office.answer(1, Reply.DECLINED, N[1])
    office.answer(1, Reply.DECLINED, N[3])
    office.record.start = START + HOUR
    letters = owed(office)
    assert letters == both("REQUEST", 4)
    assert office.record.own == {EXTRA: EXTRA}, "a date that was added stays where it is"
    assert sorted(office.events[-7:]) == [(1, "date_dropped")] * 3 + [(1, "moved")] + [
        (2, "date_dropped")
    ] * 2 + [(2, "moved")]
    assert set(office.rows[1].standings) == {plan.SERIES, EXTRA}
    assert office.known is not None
    assert [one for one, *_ in office.known.date_sequences] == [EXTRA]


def test_a_stop_keeps_answers_and_drops_what_comes_after() -> None:
    office = agreed("FREQ=WEEKLY")
    office.record.own |= {N[1]: N[1] + HOUR, N[5]: N[5] + HOUR}
    owed(office)
    office.deliver()
    for date in (N[1], N[5]):
        office.answer(1, Reply.DECLINED, date)
    office.record.rrule = "FREQ=WEEKLY;COUNT=3"
    assert owed(office) == both("REQUEST", 3)
    assert [office.code(1), date_code(office, 1, N[1]), date_code(office, 1, N[5])] == [1, 9, None]
    assert office.record.own == {N[1]: N[1] + HOUR}
    assert news.of(written(office.letters[-1])) is news.Change.UPDATED


def test_removed_after_letters_about_dates_is_withdrawn_above_them_and_invited_again_above_that() -> (
    None
):
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    owed(office)
    office.deliver()
    office.change(1, removed=True)
    assert owed(office) == [(1, "CANCEL", 2, None)]
    office.deliver()
    office.change(1, removed=False)
    assert owed(office) == [(1, "REQUEST", 3, None)]
    content = ics.calendar(written(office.letters[-1]))
    assert content.count(b"SEQUENCE:3") == 2, "no component of it is below what was taken back"
    office.deliver()
    office.record.own[N[2]] = None
    assert owed(office) == both("CANCEL", 4, N[2])


def test_a_waiting_letter_about_a_date_goes_up_in_one_about_the_series() -> None:
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    owed(office)
    office.record.location = "Fjord"
    assert owed(office) == both("REQUEST", 2)
    assert [one.state for one in office.letters[2:]] == ["superseded"] * 2 + ["waiting"] * 2


def test_a_letter_about_a_date_whose_fate_is_unknown_is_repeated_before_one_about_another() -> None:
    office = agreed()
    office.record.own[N[3]] = N[3] + HOUR
    owed(office)
    first = _claimed(office, 1)
    office.settle(first, "lost")
    office.record.own[N[1]] = N[1] + HOUR
    assert [one for one in owed(office) if one[0] == 1] == [(1, "REQUEST", 2, N[1])]
    assert first.state == "waiting"
    office.deliver()
    assert [one.instance for number, one in office.arrived if number == 1] == [N[3], N[1]]


def test_a_date_that_is_over_both_ways_is_not_written_about_and_the_row_says_so() -> None:
    office = agreed()
    office.now = N[1] + 3 * HOUR
    office.record.own[N[1]] = N[1] - HOUR
    assert owed(office) == []
    assert office.notes == {1: owing.DATE_OVER, 2: owing.DATE_OVER}
    office.record.own[N[2]] = None
    assert owed(office) == both("CANCEL", 2, N[2])
    office.deliver()
    assert owed(office) == []


def test_a_series_without_a_date_is_cancelled_until_one_takes_place_after_all() -> None:
    office = agreed("FREQ=WEEKLY;COUNT=2")
    office.record.own |= {N[0]: None, N[1]: None}
    assert owed(office) == both("CANCEL", 1)
    office.deliver()
    office.invite(3)
    assert owed(office) == []
    office.record.own[N[1]] = N[1] + HOUR
    assert {(number, method) for number, method, *_ in owed(office)} == {
        (1, "REQUEST"),
        (2, "REQUEST"),
        (3, "REQUEST"),
    }


def test_a_series_that_changes_and_has_no_date_left_is_taken_back() -> None:
    """No program shows an invitation to nothing; who may hold dates of it would keep them."""
    office = agreed("FREQ=WEEKLY;COUNT=1")
    all_of(put(n0=None), set_record(location="Fjord"))(office)
    assert owed(office) == both("CANCEL", 1)


def test_a_date_that_is_over_only_as_it_was_is_written_about() -> None:
    office = agreed()
    office.now = N[1] + 3 * HOUR
    office.record.own[N[1]] = N[1] + DAY
    assert owed(office) == both("REQUEST", 1, N[1])


def test_whoever_had_not_answered_has_a_moved_date_still_before_him_with_the_series() -> None:
    office = Office(record=Record(START, HOUR, "FREQ=WEEKLY;COUNT=6"))
    office.invite(1)
    office.plan()
    office.deliver()
    office.record.own[N[1]] = N[1] + HOUR
    assert owed(office) == [(1, "REQUEST", 1, N[1])]
    assert office.rows[1].standings == {plan.SERIES: Standing()}


def test_asked_again_tells_each_date_as_it_is() -> None:
    office = agreed()
    office.record.own[N[1]] = N[1] + HOUR
    owed(office)
    office.deliver()
    office.held[0].again = True
    assert owed(office) == [(1, "REQUEST", 0, None)]
    assert office.letters[-1].owed.remarks.date_replies == ((N[1], Reply.NEEDS_ACTION),)


def test_the_counter_of_a_uid_is_one_for_all_its_components() -> None:
    office = agreed()
    for number, date in enumerate((N[1], N[2], N[1]), 1):
        office.record.own[date] = date + number * HOUR
        owed(office)
    office.record.location = "Fjord"
    assert owed(office) == both("REQUEST", 4)
    assert office.known is not None
    assert office.known.date_sequences == ((N[1], 4, 4), (N[2], 4, 4))
    assert editions.counter(office.known) == 4


def _claimed(office: Office, number: int) -> Letter:
    letter = office.claim(number)
    assert letter is not None
    return letter


def test_letters_about_dates_pass_the_last_look() -> None:
    office = agreed()
    seen = set[tuple[str, bool]]()
    for number, times in enumerate((N[1] + HOUR, N[1] + HOUR, None, None, N[1])):
        office.record.own[N[1]], office.record.title = times, f"Title {number // 3}"
        owed(office)
        for letter in office.letters[-2:]:
            mail = written(letter)
            assert preflight.check(render.render(mail, MAIL, SECRET), mail, MAIL.address) == []
            seen.add((mail.method.value, mail.instance is not None))
        office.deliver()
    assert seen == {("REQUEST", True), ("REQUEST", False), ("CANCEL", True)}


def test_what_is_let_go_of_one_date_is_told_of_its_row() -> None:
    """Two dates on one day, each an invitation by itself, were refused; one is left."""
    edition = Edition(
        "u@crm.example",
        Kind.MEETING,
        "Workshop",
        START,
        START + HOUR,
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence(rdates=(START + 5 * HOUR,)),
    )
    ola = owing.Invitee(
        7, Role.INVITED, "Ola", "ola@ext.example", "en", "", True, False, {None: Standing()}
    )
    sending = plan.Sending(START - WEEK, account=True)
    first = plan.plan(edition, None, [ola], [], sending)
    assert [one.participant for one in first.owed] == [7, 7]
    assert first.edition is not None
    copies = [
        owing.Copy(
            number,
            7,
            ola.address,
            None,
            None,
            0,
            START - WEEK,
            refused=True,
            tried=one.edition,
            date=one.edition.recurrence_id,
        )
        for number, one in enumerate(first.owed, 1)
    ]
    without = replace(edition, recurrence=Recurrence(exdates=(START,), rdates=(START + 5 * HOUR,)))
    made = plan.plan(without, first.edition, [ola], copies, sending)
    assert [one.participant for one in made.let_go] == [7, 7]
