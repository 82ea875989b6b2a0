"""Values at the ends of every scale, in rules, in times and in mail: refused in words or read, and
never more than a bounded number of steps.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError, Unreadable
from gateway.followups import limits, recurrence, rules
from gateway.model import Edition, Kind, Moment, Recurrence
from tests.examples import examples
from tests.faults import fuzz_target

ENDS = [
    datetime.min.replace(tzinfo=UTC),
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 30, tzinfo=UTC),
    datetime.max.replace(microsecond=0, tzinfo=UTC),
]
MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
MANY = ",".join(map(str, range(100, 340)))
CLOCK = ",".join(map(str, range(24)))


def series(rule: str, start: Moment = MONDAY, zone: str = "UTC") -> Edition:
    return Edition(
        "",
        Kind.MEETING,
        "",
        start,
        start + timedelta(days=1),
        zone,
        "",
        all_day=not isinstance(start, datetime),
        recurrence=Recurrence(rule),
    )


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYSETPOS=2;BYHOUR=9",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=WEEKLY;BYMONTH=2;BYSETPOS=5;BYDAY=MO",
        "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=YEARLY;BYDAY=MO;BYMONTH=5;BYSETPOS=300",
        f"FREQ=YEARLY;BYSETPOS={MANY};BYDAY=MO;BYMONTH=5",
        f"FREQ=DAILY;BYSETPOS={MANY};BYHOUR=9,10",
    ],
)
def test_a_rule_that_never_matches_is_refused_by_name(rule: str) -> None:
    """dateutil would go on until the year 9999: up to ten minutes for the last one. Each of these
    takes a fraction of a second.
    """
    with pytest.raises(InputError, match=r"^recurrence rule 'FREQ=.* gives no date in \d+ steps$"):
        rules.proper(series(rule))


@pytest.mark.parametrize(
    ("rule", "dates"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", [2044, 2072, 2112]),
        ("FREQ=WEEKLY;BYMONTH=2;BYDAY=MO;INTERVAL=52", [2248, 2249, 2250]),
        ("FREQ=MONTHLY;BYMONTHDAY=29;BYMONTH=2;INTERVAL=3", [2028, 2032, 2036]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=100", [2400]),
    ],
)
def test_a_rule_that_seldom_matches_is_none_of_them(rule: str, dates: list[int]) -> None:
    start = MONDAY if "INTERVAL=100" not in rule else MONDAY.replace(year=2000)
    start = start.replace(month=11, day=29) if "MONTHLY" in rule else start
    found = recurrence.instances(series(rule, start), None, None, 3)
    assert [one.year for one in found] == dates


def test_a_rule_of_every_second_of_a_day_is_refused() -> None:
    minutes = ",".join(map(str, range(60)))
    with pytest.raises(InputError, match="more than 100 times of a day"):
        recurrence.check(f"FREQ=DAILY;BYHOUR={CLOCK};BYMINUTE={minutes}")
    recurrence.check(f"FREQ=DAILY;BYHOUR={CLOCK};BYMINUTE=0,30")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("all_day", [False, True])
@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY", "FREQ=YEARLY;INTERVAL=2147483647", "FREQ=MONTHLY;COUNT=3"]
)
def test_where_time_ends_nothing_overflows(zone: str, all_day: bool, rule: str) -> None:
    starts = (
        datetime(1900, 1, 1, tzinfo=UTC),
        MONDAY,
        datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC),
    )
    for start in starts:
        one = series(rule, start.date() if all_day else start, zone)
        assert limits.warning(one) is not None
        for end in ENDS:
            moment: Moment = end.date() if all_day else end
            assert not recurrence.is_instance(one, moment)
            assert recurrence.on_day(one, end.date()) == ()
            assert list(recurrence.occurrences(one, end, end)) == []
            past = end.year == 1
            assert bool(list(recurrence.instances(one, moment, None, 1))) == past
            assert bool(list(recurrence.instances(one, None, moment, 1))) != past
            assert (rules.last_before(one, moment) is None) <= (past or "DAILY" in rule)
            recurrence.over(one, end)


NUMBERS = st.sampled_from(
    ["0", "1", "-1", "2147483648", "18446744073709551616", "9" * 5_000, "0x10", "1e9", ""]
)
TIMES = st.sampled_from(
    [
        "00000000T000000Z",
        "00010101T000000Z",
        "99991231T235959Z",
        "99991231T235959",
        "29991231T235959Z",
        "16010101T000000",
        "20261208T080000Z",
        "20261301T256199Z",
    ]
)
DURATIONS = st.sampled_from(["P9999W", "-P9999W", "P99999DT99999H", "PT9999999S", "P0D", "P"])
ZONES = st.sampled_from(["", ";TZID=Europe/Oslo", ";TZID=Pacific/Kiritimati", ";VALUE=DATE"])
FREQUENCIES = st.sampled_from(["DAILY", "SECONDLY", "YEARLY"])


@settings(max_examples=examples(60))
@given(
    method=st.sampled_from(["REPLY", "COUNTER", "REFRESH"]),
    sequence=NUMBERS,
    count=NUMBERS,
    times=st.tuples(TIMES, TIMES, TIMES),
    zone=ZONES,
    duration=DURATIONS,
    frequency=FREQUENCIES,
)
def test_mail_with_numbers_beyond_everything(
    method: str,
    sequence: str,
    count: str,
    times: tuple[str, str, str],
    zone: str,
    duration: str,
    frequency: str,
) -> None:
    lines = [
        "BEGIN:VCALENDAR",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        "UID:own-1@crm.example",
        f"SEQUENCE:{sequence}",
        f"DTSTAMP:{times[0]}",
        f"RECURRENCE-ID{zone}:{times[1]}",
        f"DTSTART{zone}:{times[2]}",
        f"DURATION:{duration}",
        f"RRULE:FREQ={frequency};INTERVAL={count};COUNT={count};BYSETPOS={count}",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ola@ext.example",
        f"COMMENT:&#{count};",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    kind = f"Content-Type: text/calendar; method={method}\r\n\r\n"
    raw = fuzz_target.HEAD + (kind + "\r\n".join(lines)).encode()
    with suppress(Unreadable):  # anything else that is raised is a fault of ours
        fuzz_target.meaning(raw)


@settings(max_examples=examples(30))
@given(NUMBERS, TIMES)
def test_headers_and_pages_with_numbers_beyond_everything(number: str, time: str) -> None:
    raw = (
        f"Received: from x by y; Fri, 31 Dec 9999 23:59:59 -1400\r\nFrom: ola@ext.example\r\n"
        f"To: invites+{fuzz_target.TOKEN}@crm.example\r\nDate: Mon, 1 Jan 0001 00:00:00 +1400\r\n"
        f"Subject: away until {time} {number}.{number}.{number}\r\nAuto-Submitted: auto-replied\r\n"
        f"Content-Type: text/html\r\n\r\n<p>&#{number}; &#x{number};</p>"
    ).encode()
    with suppress(Unreadable):  # anything else that is raised is a fault of ours
        fuzz_target.meaning(raw)
