"""The document of `load`: every mistake is named by its place,
and times mean what contract.md §3 says.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import load_format, load_times
from gateway.actions.load_times import DateTimes, Times
from gateway.errors import InputError, Steps

EXAMPLE: dict[str, Any] = {
    "associates": [
        {
            "key": "kari",
            "name": "Kari Nordmann",
            "email": "kari@crm.example",
            "group": "Sales",
            "timezone": "Europe/Oslo",
            "language": "nb",
        }
    ],
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "persons": [
        {
            "key": "ola",
            "name": "Ola Hansen",
            "company": "acme",
            "emails": ["ola@ext.example", "ola.hansen@ext.example"],
            "language": "nb",
        }
    ],
    "resources": [{"key": "room1", "name": "Fjord", "kind": "place", "group": "Rooms"}],
    "projects": [{"key": "p1", "name": "Launch", "members": ["ola"]}],
    "selections": [{"key": "s1", "name": "Partners", "members": ["ola"]}],
    "follow_ups": [
        {
            "key": "m1",
            "kind": "meeting",
            "type": "Meeting (external)",
            "owner": "kari",
            "title": "Kick-off",
            "agenda": "…",
            "start": "2026-12-01T09:00:00",
            "end": "2026-12-01T10:00:00",
            "timezone": "Europe/Oslo",
            "location": "Fjord",
            "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=5", "exdates": [], "rdates": []},
            "instances": [
                {
                    "original_start": "2026-12-08T09:00:00",
                    "start": "2026-12-08T11:00:00",
                    "end": "2026-12-08T12:00:00",
                },
                {"original_start": "2026-12-15T09:00:00", "cancelled": True},
            ],
            "uid": "keeps-the-uid-of-an-earlier-system@crm.example",
            "sequence": 3,
            "participants": [
                {
                    "person": "ola",
                    "email_invite": True,
                    "token": "optional-token-of-an-earlier-system",
                },
                {"associate": "per"},
                {"resource": "room1"},
                {"email": "eva@other.example", "name": "Eva", "email_invite": True},
            ],
        }
    ],
}
LASTING: dict[str, Any] = json.loads(json.dumps(EXAMPLE).replace("2026-", "2037-"))
"""The same in a year to come whose days have the same names: for tests with the real clock."""


def test_the_example_of_the_contract_is_read() -> None:
    document = load_format.read(EXAMPLE)
    assert document.follow_ups[0].participants[3].email == "eva@other.example"
    assert document.persons[0].emails == ["ola@ext.example", "ola.hansen@ext.example"]


def test_every_optional_field_of_the_contract_is_known() -> None:
    named = (
        "deadline all_day availability alarm_minutes priority completed private guest_list notes video_url company person project "
        "sale fields cancelled cancel_reason answer_by"
    )
    assert set(named.split()) <= set(load_format.FollowUp.model_fields)
    assert {"removed", "sent"} <= set(load_format.Participant.model_fields)


def test_the_uid_of_an_earlier_system_is_kept_as_it_is() -> None:
    uid = "040000008200E00074C5B7101A82E008" + "0" * 80
    assert load_format.read(follow_up(uid=uid)).follow_ups[0].uid == uid


def follow_up(**values: Any) -> dict[str, Any]:
    return {"follow_ups": [{"key": "m1", "start": "2026-12-01T09:00:00"} | values]}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"folow_ups": []}, "folow_ups: no such field"),
        ({"follow_ups": {}}, "follow_ups: "),
        ({"follow_ups": [{}]}, "follow_ups[0].key: is missing"),
        (
            {
                "follow_ups": [
                    {"key": "a"},
                    {"key": "b", "participants": [{}, {"emial": "x@y.example"}]},
                ]
            },
            "follow_ups[1].participants[1].emial: no such field",
        ),
        ({"persons": [{"key": "ola", "emails": "ola@ext.example"}]}, "persons[0].emails: "),
        ({"persons": [{"key": "ola", "emails": ["ola@ext.example", 7]}]}, "persons[0].emails[1]: "),
        ({"persons": [{"key": ""}]}, "persons[0].key: must not be empty"),
        (
            follow_up(cancelled=True, cancel_reason="x" * 501),
            "follow_ups[0].cancel_reason: string should have at most 500 characters",
        ),
        (
            {"persons": [{"key": "ola "}]},
            "persons[0].key: must not be empty, nor begin or end with a blank",
        ),
        ({"persons": [{"key": 7}]}, "persons[0].key: "),
        ({"associates": [{"key": "k", "name": "a\0b"}]}, "associates[0].name: has a NUL character"),
        (
            {"associates": [{"key": "k", "name": "a\ud800"}]},
            "associates[0].name: has half of a character",
        ),
        (follow_up(kind="party"), "follow_ups[0].kind: "),
        (
            follow_up(timezone="Europe/Olso"),
            "follow_ups[0].timezone: unknown time zone 'Europe/Olso'; did you mean Europe/Oslo?",
        ),
        (follow_up(timezone="../../etc/passwd"), "follow_ups[0].timezone: unknown time zone"),
        (
            {"persons": [{"key": "p", "timezone": "Mars/Base"}]},
            "persons[0].timezone: unknown time zone 'Mars/Base'",
        ),
        (follow_up(guest_list="none"), "follow_ups[0].guest_list: "),
        (follow_up(availability="away"), "follow_ups[0].availability: "),
        (follow_up(cancelled="no"), "follow_ups[0].cancelled: "),
        (follow_up(all_day=1), "follow_ups[0].all_day: "),
        (follow_up(alarm_minutes=-5), "follow_ups[0].alarm_minutes: "),
        (follow_up(sequence=2**31), "follow_ups[0].sequence: "),
        (follow_up(uid="x" * 203), "follow_ups[0].uid: has more than 202 octets"),
        (follow_up(uid="a\nb"), "follow_ups[0].uid: has a character that no line can hold"),
        (follow_up(sequence="3"), "follow_ups[0].sequence: "),
        (
            follow_up(recurrence={"rule": "FREQ=DAILY"}),
            "follow_ups[0].recurrence.rule: no such field",
        ),
        (
            follow_up(instances=[{"start": "2026-12-01T09:00:00"}]),
            "follow_ups[0].instances[0].original_start: is missing",
        ),
        (
            follow_up(participants=[{"email": "a@b.example", "token": "has space"}]),
            "follow_ups[0].participants[0].token: is no token",
        ),
        (
            follow_up(participants=[{"email": "a@b.example", "token": "b_reserved"[1:]}]),
            "follow_ups[0].participants[0].token: is no token",
        ),
        ([], ""),
        (None, ""),
        ("text", ""),
    ],
)
def test_a_mistake_is_named_by_its_place(document: Any, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        load_format.read(document)
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(load_format.path(caught.value.places[0][0]))


def test_a_zone_may_have_the_name_that_windows_gives_it() -> None:
    [one] = load_format.read(follow_up(timezone="W. Europe Standard Time")).follow_ups
    assert one.timezone == "Europe/Berlin"


def test_all_mistakes_are_told_at_once_but_not_thousands() -> None:
    with pytest.raises(InputError) as caught:
        load_format.read({"persons": [{"key": "a", "nickname": "x"}] * 25})
    assert str(caught.value).count("nickname: no such field") == 10
    assert str(caught.value).endswith("and 15 more")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "persons",
                        "follow_ups",
                        "key",
                        "participants",
                        "recurrence",
                        "start",
                        "emails",
                        "x",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_json_says_is_read_or_refused(document: Any) -> None:
    try:
        read = load_format.read(document)
    except InputError:
        return
    for one in read.follow_ups:
        times, problems = load_times.read(one, "Europe/Oslo")
        assert times == Times() or not problems or problems[0][1]


# --- times ---


def times(site_zone: str = "Europe/Oslo", **values: Any) -> tuple[Times, list[tuple[Steps, str]]]:
    return load_times.read(load_format.read(follow_up(**values)).follow_ups[0], site_zone)


def good(**values: Any) -> Times:
    found, problems = times(**values)
    assert problems == []
    return found


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-12-01T09:00:00", "Europe/Oslo", utc(2026, 12, 1, 8)),
        ("2026-07-01T09:00:00", "Europe/Oslo", utc(2026, 7, 1, 7)),
        ("2026-12-01T09:00", "America/New_York", utc(2026, 12, 1, 14)),
        ("2026-12-01 09:00:00", "", utc(2026, 12, 1, 8)),
        ("2026-12-01T09:00:00Z", "Europe/Oslo", utc(2026, 12, 1, 9)),
        ("2026-12-01T09:00:00+05:30", "Europe/Oslo", utc(2026, 12, 1, 3, 30)),
        ("2026-12-01T09:00:00.987654", "UTC", utc(2026, 12, 1, 9)),
        (
            "2026-03-29T02:30:00",
            "Europe/Oslo",
            utc(2026, 3, 29, 1, 30),
        ),  # skipped by the clock: read with the offset before
        (
            "2026-10-25T02:30:00",
            "Europe/Oslo",
            utc(2026, 10, 25, 0, 30),
        ),  # twice on the clock: the first
    ],
)
def test_times_without_offset_are_in_the_zone_of_the_follow_up(
    text: str, zone: str, expected: datetime
) -> None:
    assert good(start=text, timezone=zone).start == expected


def test_without_a_zone_of_its_own_the_sites_counts() -> None:
    found, problems = times("Asia/Tokyo", start="2026-12-01T09:00:00")
    assert (found.start, problems) == (utc(2026, 12, 1), [])


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-12-01", "2026-12-03", date(2026, 12, 1), date(2026, 12, 3)),
        ("2026-12-01", "2026-12-01", date(2026, 12, 1), date(2026, 12, 2)),
        ("2026-12-01", None, date(2026, 12, 1), None),
        ("2026-12-01T00:00:00", "2026-12-02T00:00:00", date(2026, 12, 1), date(2026, 12, 2)),
        ("2026-12-01T00:00:00", "2026-12-01T23:59:59", date(2026, 12, 1), date(2026, 12, 2)),
        ("2026-11-30T23:00:00Z", "2026-12-01T23:00:00Z", date(2026, 12, 1), date(2026, 12, 2)),
    ],
)
def test_all_day_follow_ups_have_dates_with_an_exclusive_end(
    start: str, end: str | None, first: date, last: date | None
) -> None:
    found = good(all_day=True, start=start, end=end)
    assert (found.start, found.end) == (first, last)
    assert not isinstance(found.start, datetime)


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [
        ("2026-12-01", utc(2026, 11, 30, 23)),
        ("2026-12-01T12:00:00", utc(2026, 12, 1, 11)),
        ("2026-12-01T12:00:00Z", utc(2026, 12, 1, 12)),
    ],
)
@pytest.mark.parametrize("all_day", [False, True])
def test_a_deadline_that_is_a_day_begins_with_it_where_the_follow_up_is(
    deadline: str, expected: datetime, all_day: bool
) -> None:
    assert good(kind="task", start=None, deadline=deadline, all_day=all_day).deadline == expected


@pytest.mark.parametrize(
    "text", ["2026-11-27T12:00:00", "2026-11-27T12:00:00+01:00", "2026-11-27T11:00:00Z"]
)
@pytest.mark.parametrize(
    "values", [{}, {"all_day": True}, {"kind": "task", "start": None, "deadline": "2026-12-01"}]
)
def test_the_time_by_which_an_answer_is_wanted_is_an_instant(
    text: str, values: dict[str, Any]
) -> None:
    assert good(answer_by=text, timezone="Europe/Oslo", **values).answer_by == datetime(
        2026, 11, 27, 11, tzinfo=UTC
    )


def test_a_cancelled_date_may_say_why() -> None:
    found = good(
        recurrence=WEEKLY,
        timezone="UTC",
        instances=[
            {
                "original_start": "2026-12-08T09:00:00",
                "cancelled": True,
                "cancel_reason": "The room is flooded",
            }
        ],
    )
    assert found.dates == (
        DateTimes(
            datetime(2026, 12, 8, 9, tzinfo=UTC),
            cancelled=True,
            cancel_reason="The room is flooded",
        ),
    )


def test_dates_of_a_series_are_named_in_its_zone() -> None:
    found = good(
        start="2026-10-20T09:00:00",
        recurrence={
            "rrule": "FREQ=WEEKLY;COUNT=4",
            "exdates": ["2026-10-27T09:00:00"],
            "rdates": ["2026-12-24T10:00:00"],
        },
        instances=[
            {"original_start": "2026-11-03T09:00:00", "start": "2026-11-03T11:00:00"},
            {"original_start": "2026-11-10T08:00:00Z", "cancelled": True},
            {
                "original_start": "2026-12-24T10:00:00",
                "start": "2026-12-23T10:00:00",
                "end": "2026-12-23T12:00:00",
            },
        ],
    )
    assert found.rrule == "FREQ=WEEKLY;COUNT=4"
    assert set(found.dates) == {
        DateTimes(utc(2026, 12, 24, 9), utc(2026, 12, 23, 9), utc(2026, 12, 23, 11)),
        DateTimes(utc(2026, 10, 27, 8), cancelled=True),
        DateTimes(utc(2026, 11, 3, 8), utc(2026, 11, 3, 10)),
        DateTimes(utc(2026, 11, 10, 8), cancelled=True),
    }


def test_a_list_of_dates_is_a_series_without_a_rule() -> None:
    found = good(
        recurrence={"rdates": ["2026-12-03T09:00:00"]},
        instances=[{"original_start": "2026-12-01T09:00:00", "cancelled": True}],
    )
    assert found.rrule == ""
    assert set(found.dates) == {
        DateTimes(utc(2026, 12, 3, 8)),
        DateTimes(utc(2026, 12, 1, 8), cancelled=True),
    }


def test_an_empty_recurrence_is_none() -> None:
    assert good(recurrence={}).dates == ()


WEEKLY = {"rrule": "FREQ=WEEKLY;COUNT=3"}


@pytest.mark.parametrize(
    ("values", "place", "allowed"),
    [
        ({"end": "9999-12-31T23:59:59"}, "end", "(years 1900 to 2999)"),
        ({"start": "1899-12-31T09:00:00"}, "start", "(years 1900 to 2999)"),
        ({"answer_by": "3000-01-01T09:00:00Z"}, "answer_by", "(years 1900 to 2999)"),
        (
            {"start": None, "kind": "task", "deadline": "9999-12-31"},
            "deadline",
            "(years 1900 to 2999)",
        ),
        (
            {"participants": [{"email": "x@y.example", "original_start": "9999-12-31T00:00:00"}]},
            "participants[0].original_start",
            "(years 1900 to 2999)",
        ),
        (
            {"recurrence": {"rrule": "FREQ=DAILY;INTERVAL=2147483648"}},
            "recurrence.rrule",
            "INTERVAL is above 2147483647",
        ),
        (
            {"recurrence": {"rrule": f"FREQ=DAILY;COUNT={'9' * 900}"}},
            "recurrence.rrule",
            "COUNT is above 2147483647",
        ),
        (
            {"recurrence": {"rrule": "FREQ=DAILY;BYSETPOS=2;BYHOUR=9"}},
            "recurrence.rrule",
            "gives no date in 36600 steps",
        ),
        (
            {"recurrence": {"rrule": "FREQ=SECONDLY;BYSETPOS=2"}},
            "recurrence.rrule",
            "FREQ must be one of DAILY, WEEKLY, MONTHLY, YEARLY",
        ),
    ],
)
def test_what_no_letter_could_say_is_refused_with_what_is_allowed(
    values: dict[str, Any], place: str, allowed: str
) -> None:
    _, problems = times(**values)
    assert load_format.path(problems[0][0]) == place
    assert problems[0][1].endswith(allowed)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"start": "tomorrow"}, "start"),
        ({"start": ""}, "start"),
        ({"start": "2026-02-30T09:00:00"}, "start"),
        ({"start": "2026-12-01"}, "start"),
        ({"start": "0001-01-01T00:00:00"}, "start"),
        ({"start": "9999-12-31T23:59:59-12:00"}, "start"),
        ({"start": None}, "start"),
        ({"end": "2026-12-01T08:00:00"}, "end"),
        ({"end": "2026-12-01"}, "end"),
        (
            {"start": None, "deadline": "2026-12-02", "end": "2026-12-01T10:00:00", "kind": "task"},
            "end",
        ),
        ({"start": None, "kind": "task"}, "deadline"),
        ({"start": None, "kind": "call"}, "deadline"),
        ({"deadline": "soon"}, "deadline"),
        ({"recurrence": {"rrule": "FREQ=SOMETIMES"}}, "recurrence.rrule"),
        ({"recurrence": {"rrule": "WEEKLY"}}, "recurrence.rrule"),
        ({"recurrence": {"rrule": "FREQ=SECONDLY"}}, "recurrence.rrule"),
        ({"recurrence": {"rrule": "FREQ=WEEKLY;BYDAY=MO"}}, "recurrence.rrule"),
        ({"recurrence": {"rrule": "FREQ=WEEKLY;COUNT=2;UNTIL=20261231"}}, "recurrence.rrule"),
        ({"recurrence": {"rrule": "FREQ=WEEKLY;UNTIL=20200101T000000Z"}}, "recurrence.rrule"),
        ({"recurrence": WEEKLY | {"exdates": ["never"]}}, "recurrence.exdates[0]"),
        ({"recurrence": WEEKLY | {"rdates": ["2026-12-24"]}}, "recurrence.rdates[0]"),
        (
            {
                "recurrence": WEEKLY
                | {"exdates": ["2026-12-08T09:00:00"], "rdates": ["2026-12-08T09:00:00"]}
            },
            "recurrence.exdates[0]",
        ),
        ({"instances": [{"original_start": "2026-12-01T09:00:00"}]}, "instances"),
        (
            {
                "recurrence": WEEKLY,
                "instances": [{"original_start": "2026-12-09T09:00:00", "cancelled": True}],
            },
            "instances[0].original_start",
        ),
        (
            {
                "recurrence": WEEKLY,
                "instances": [{"original_start": "2026-12-08T08:00:00", "cancelled": True}],
            },
            "instances[0].original_start",
        ),
        (
            {"recurrence": WEEKLY, "instances": [{"original_start": "x"}]},
            "instances[0].original_start",
        ),
        (
            {
                "recurrence": WEEKLY,
                "instances": [{"original_start": "2026-12-08T09:00:00", "cancelled": True}] * 2,
            },
            "instances[1].original_start",
        ),
        (
            {
                "recurrence": WEEKLY,
                "instances": [
                    {"original_start": "2026-12-08T09:00:00", "end": "2026-12-08T08:00:00"}
                ],
            },
            "instances[0].end",
        ),
        (
            {"kind": "task", "start": None, "deadline": "2026-12-01", "recurrence": WEEKLY},
            "recurrence",
        ),
        ({"answer_by": "soon"}, "answer_by"),
        ({"answer_by": "2026-11-27"}, "answer_by"),
        ({"cancel_reason": "ill"}, "cancel_reason"),
        (
            {
                "recurrence": WEEKLY,
                "instances": [{"original_start": "2026-12-08T09:00:00", "cancel_reason": "ill"}],
            },
            "instances[0].cancel_reason",
        ),
    ],
)
def test_times_that_make_no_sense_are_named_by_their_place(
    values: dict[str, Any], place: str
) -> None:
    _, problems = times(**values)
    assert [load_format.path(where) for where, _ in problems] == [place]
    assert all(reason for _, reason in problems)


@given(
    st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)),
    st.integers(0, 10_000),
    st.sampled_from(
        ["Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]
    ),
)
def test_a_start_with_an_offset_means_the_same_in_every_zone(
    start: datetime, minutes: int, zone: str
) -> None:
    begins = start.replace(microsecond=0, tzinfo=UTC)
    ends = begins + timedelta(minutes=minutes)
    found = good(start=begins.isoformat(), end=ends.isoformat(), timezone=zone)
    assert (found.start, found.end) == (begins, ends)
