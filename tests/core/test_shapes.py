"""One JSON for each noun (docs/api.md, "What is shown")."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from gateway import shapes
from gateway.model import Kind, Moment, Reply, Role
from gateway.shapes import DateRecord
from gateway.status import Status

AT = datetime(2026, 12, 1, 8, tzinfo=UTC)
ROW = shapes.Participant(
    1, "m1", "person", "ola", Role.INVITED, Status.INVITATION, Reply.NEEDS_ACTION, "Europe/Oslo"
)
VIEW = shapes.FollowUp("m1", Kind.MEETING, "Europe/Oslo", AT, start=AT, participants=(ROW,))


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (AT, "Europe/Oslo", "2026-12-01T09:00:00+01:00"),
        (AT, "America/New_York", "2026-12-01T03:00:00-05:00"),
        (date(2026, 12, 1), "Europe/Oslo", "2026-12-01"),
        # +00:19:32, which no RFC 3339 offset can say.
        (datetime(1930, 1, 1, 12, tzinfo=UTC), "Africa/Monrovia", "1930-01-01T12:00:00+00:00"),
        (None, "Europe/Oslo", None),
    ],
)
def test_instants_have_the_offset_of_the_zone(at: Moment, zone: str, text: str) -> None:
    assert shapes.moment(at, zone) == text


def test_what_is_only_shown_is_not_written_back() -> None:
    shape = shapes.follow_up(VIEW)
    written = shapes.writable(shape)
    assert shape.keys() - written.keys() == shapes.FOLLOW_UP_READ_ONLY
    [row] = written["participants"]
    assert shape["participants"][0].keys() - row.keys() == shapes.PARTICIPANT_READ_ONLY
    assert row["person"] == "ola"
    assert shapes.writable({"participants": ["ola"], "titel": 1}) == {
        "participants": ["ola"],
        "titel": 1,
    }


@pytest.mark.parametrize(
    ("dates", "recurrence", "instances"),
    [
        ((), None, 0),
        ((DateRecord(AT, cancelled=True),), {"exdates": 1, "rdates": 0}, 0),
        ((DateRecord(AT, ruled=False),), {"exdates": 0, "rdates": 1}, 0),
        ((DateRecord(AT, start=AT),), {"exdates": 0, "rdates": 0}, 1),
        ((DateRecord(AT, cancelled=True, cancel_reason="x"),), {"exdates": 0, "rdates": 0}, 1),
        ((DateRecord(AT, cancelled=True, ruled=False),), {"exdates": 0, "rdates": 1}, 1),
    ],
)
def test_a_date_is_told_once_in_each_list_that_says_it(
    dates: tuple[DateRecord, ...], recurrence: dict[str, int] | None, instances: int
) -> None:
    shape = shapes.follow_up(replace(VIEW, dates=dates))
    told = shape["recurrence"]
    counted = told and {name: len(told[name]) for name in ("exdates", "rdates")}
    assert (counted, len(shape["instances"])) == (recurrence, instances)


def test_a_deadline_at_midnight_is_a_day() -> None:
    midnight = datetime(2026, 12, 23, 23, tzinfo=UTC)
    assert shapes.follow_up(replace(VIEW, deadline=midnight))["deadline"] == "2026-12-24"
    assert shapes.follow_up(replace(VIEW, deadline=AT))["deadline"] == "2026-12-01T09:00:00+01:00"


def test_a_version_names_all_that_is_shown() -> None:
    first = shapes.follow_up(VIEW)["version"]
    answered = replace(ROW, reply=Reply.ACCEPTED, code=Status.NOT_STARTED)
    assert shapes.follow_up(replace(VIEW, participants=(answered,)))["version"] != first
    assert shapes.follow_up(VIEW)["version"] == first
