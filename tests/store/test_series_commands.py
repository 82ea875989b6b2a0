"""`series stop` and `series split` as an administrator types them."""

import json
from pathlib import Path

import pytest

from gateway.sandbox import reading
from tests import stores
from tests.core.test_load_format import LASTING
from tests.store.test_commands import PER, Administrator

WEEKLY = {
    "key": "m1",
    "owner": "kari",
    "title": "Weekly",
    "start": "2038-03-02T09:00:00",
    "end": "2038-03-02T10:00:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=8"},
    "participants": [{"person": "ola", "email_invite": True}],
}
SINGLE = {"key": "m2", "owner": "kari", "start": "2038-03-02T09:00:00", "timezone": "Europe/Oslo"}


@pytest.fixture
def office(tmp_path: Path) -> Administrator:
    administrator = Administrator(tmp_path)
    stores.upgraded(administrator.environment["GATEWAY_STORE__URL"])
    document = LASTING | {
        "associates": [*LASTING["associates"], PER],
        "follow_ups": [WEEKLY, SINGLE],
    }
    assert administrator.run("load", administrator.file(document)).returncode == 0
    administrator.json("letters")
    return administrator


def test_a_series_is_stopped_after_a_day(office: Administrator) -> None:
    assert office.json("series", "stop", "m1", "--after", "2038-03-16") == [
        {"follow_up": "m1", "stopped_after": "2038-03-16", "changed": True}
    ]
    [(sequence, file)] = [
        (one["sequence"], one["file"])
        for one in office.json("letters", "--write", str(office.folder))
    ]
    assert sequence == 1
    event = reading.read(Path(str(file)).read_bytes()).event
    assert event is not None
    assert event.value("RRULE") == "FREQ=WEEKLY;UNTIL=20380316T080000Z"
    assert [one["by"] for one in office.json("journal", "m1") if one["event"] == "stopped"] != [""]


def test_a_series_goes_on_at_another_time(office: Administrator) -> None:
    [told] = office.json(
        "series",
        "split",
        "m1",
        "--from",
        "2038-03-30",
        "--title",
        "Later",
        "--start",
        "2038-03-30T13:00:00",
    )
    assert told == {"follow_up": "m1", "continued_by": "m1-20380330", "lost": []}
    assert sorted(
        (one["follow_up"], one["method"]) for one in office.json("letters", "--pending")
    ) == [("m1", "REQUEST"), ("m1-20380330", "REQUEST")]
    assert [one["key"] for one in office.json("status", "m1-20380330")] == ["ola"]


def test_whoever_loses_his_one_date_to_another_rule_is_named(office: Administrator) -> None:
    guests = [
        {
            "email": f"{name}@other.example",
            "email_invite": True,
            "original_start": f"{day}T09:00:00",
        }
        for name, day in (("past", "2038-03-09"), ("gone", "2038-04-06"), ("stays", "2038-03-30"))
    ]
    document = LASTING | {
        "associates": [*LASTING["associates"], PER],
        "follow_ups": [
            WEEKLY | {"participants": guests},
            WEEKLY | {"key": "m3", "participants": guests},
        ],
    }
    assert office.run("load", office.file(document)).returncode == 0
    office.json("letters")
    split = (
        "--from",
        "2038-03-30",
        "--start",
        "2038-03-31T09:00:00",
        "--rrule",
        "FREQ=WEEKLY;BYDAY=WE",
    )
    told = office.run("series", "split", "m1", *split)
    assert told.returncode == 0
    assert "m1-20380330" in told.stdout
    [line] = told.stderr.splitlines()
    for part in (
        "gone@other.example",
        "2038-04-06T07:00:00Z",
        "m1-20380330 does not have",
        "cancelled",
    ):
        assert part in line
    [row] = office.json("series", "split", "m3", *split)
    assert row["lost"] == [{"key": "gone@other.example", "date": "2038-04-06T07:00:00Z"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stop", "m9", "--after", "2038-03-16"), "there is no follow-up m9"),
        (("stop", "m2", "--after", "2038-03-16"), "does not recur"),
        (("stop", "m1", "--after", "soon"), "'soon' is no time like 2026-12-01T09:00:00"),
        (
            ("stop", "m1", "--after", "2038-02-01"),
            "no date would be left; cancel the follow-up instead",
        ),
        (("split", "m1", "--from", "2038-03-31"), "has no date that begins at 2038-03-31"),
        (
            ("split", "m1", "--from", "2038-03-30T07:00:00"),
            "has no date that begins at 2038-03-30T07:00:00;",
        ),
        (("split", "m1", "--from", "2038-03-30", "--start", "2038-03-30"), "has no hour"),
        (("split", "m1", "--from", "2038-03-30", "--rrule", "FREQ=NEVER"), "FREQ"),
        (
            (
                "split",
                "m1",
                "--from",
                "2038-03-30",
                "--rrule",
                "FREQ=WEEKLY;COUNT=3;UNTIL=20301010",
            ),
            "by COUNT or by UNTIL, not by both",
        ),
    ],
)
def test_what_cannot_be_done_says_why(
    office: Administrator, arguments: tuple[str, ...], words: str
) -> None:
    done = office.run("series", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert json.loads(office.run("letters", "--json").stdout.splitlines()[0])["sequence"] == 0
