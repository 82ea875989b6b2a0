"""VTIMEZONEs against zoneinfo: a plain reading of RFC 5545 §3.6.5 must give the same
offset at every instant.
"""

import zoneinfo
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import icalendar
import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.followups import editions
from gateway.ical import ics, zones
from gateway.model import Recurrence
from tests.core.specimens import HOUR, SINGLE, letter
from tests.examples import examples

NAMES = sorted(
    name
    for name in zoneinfo.available_timezones()
    if name not in ("localtime", "Factory") and not name.startswith(("posix/", "right/"))
)
TRICKY = (
    "Europe/Oslo",
    "America/New_York",
    "Europe/Dublin",
    "Asia/Jerusalem",
    "Africa/Cairo",
    "America/Nuuk",
    "Asia/Gaza",
    "America/Santiago",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Asia/Tehran",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Pacific/Apia",
    "America/Asuncion",
    "Asia/Almaty",
    "Europe/Istanbul",
)


def onsets(zone: icalendar.Timezone, until: datetime) -> list[tuple[datetime, timedelta]]:
    """Every onset of a VTIMEZONE: the instant, and the offset from then on."""
    found = []
    for part in zone.subcomponents:
        start: datetime = part.decoded("DTSTART")
        assert start.tzinfo is None, "wall time"
        before, after = part.decoded("TZOFFSETFROM"), part.decoded("TZOFFSETTO")
        walls = [start]
        if "RRULE" in part:
            rule = part.get("RRULE").to_ical().decode()
            walls = list(rrule.rrulestr(rule, dtstart=start).between(start, until, inc=True))
            assert walls[0] == start, "DTSTART is the first onset of its rule"
        found += [((wall - before).replace(tzinfo=UTC), after) for wall in walls]
    return sorted(found)


def written(name: str, first: int, last: int) -> icalendar.Timezone | None:
    """The VTIMEZONE of a letter whose series runs from one year to the other; None where its times
    are written in UTC.
    """
    start = datetime(first, 1, 1, 12, tzinfo=UTC)
    edition = replace(
        SINGLE,
        start=start,
        end=start + HOUR,
        timezone=name,
        recurrence=Recurrence(f"FREQ=DAILY;UNTIL={last}1231"),
    )
    content = ics.calendar(letter(edition))
    found = icalendar.Calendar.from_ical(content).timezones
    assert [zone["TZID"] for zone in found] == (
        [] if b"DTSTART:" in content.partition(b"BEGIN:VEVENT")[2] else [name]
    )
    return found[0] if found else None


def agree(name: str, first: int, last: int, instants: list[datetime]) -> None:
    info, zone = zoneinfo.ZoneInfo(name), written(name, first, last)
    table = (
        onsets(zone, datetime(last + 1, 12, 31))
        if zone is not None
        else [(datetime.min.replace(tzinfo=UTC), timedelta())]
    )
    for instant in instants:
        told = [offset for onset, offset in table if onset <= instant]
        assert told, f"{name}: nothing said about {instant}"
        assert told[-1] == instant.astimezone(info).utcoffset(), f"{name} at {instant}"


@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from([name for name in NAMES if not editions.is_utc(name)]),
    st.integers(2005, 2045),
    st.integers(0, 9),
    st.data(),
)
def test_any_zone_in_any_years(name: str, first: int, more: int, data: st.DataObject) -> None:
    years = st.datetimes(
        datetime(first, 1, 1), datetime(first + more, 12, 31), timezones=st.just(UTC)
    )
    agree(name, first, first + more, data.draw(st.lists(years, min_size=1, max_size=20)))


@pytest.mark.parametrize("name", TRICKY)
@pytest.mark.parametrize("first", [2011, 2022, 2026, 2030])
def test_every_change_to_the_second(name: str, first: int) -> None:
    info, last = zoneinfo.ZoneInfo(name), first + 5

    def changes(*instants: datetime) -> list[datetime]:
        """The last instants before the offset is another."""
        offsets = [instant.astimezone(info).utcoffset() for instant in instants]
        return [
            instant
            for instant, (low, high) in zip(instants, pairwise(offsets), strict=False)
            if low != high
        ]

    steps = [datetime(first, 1, 1, tzinfo=UTC) + 6 * HOUR * step for step in range(6 * 1461)]
    edges = [
        edge
        for step in changes(*steps)
        for edge in changes(*(step + hour * HOUR for hour in range(7)))
    ]
    instants = [edge + timedelta(minutes=step) for edge in edges for step in range(0, 61, 15)]
    instants += [edge + HOUR + timedelta(seconds=step) for edge in edges for step in (-1, 0, 1)]
    agree(name, first, last, [*steps[::167], *instants])


def test_common_zones_have_the_rules_that_outlook_knows() -> None:
    for name in (
        "Europe/Oslo",
        "Europe/London",
        "America/New_York",
        "Australia/Sydney",
        "Europe/Dublin",
    ):
        parts = zones.observances(name, 2026, 2027)
        assert [part.daylight for part in parts] == [False, True]
        for part in parts:
            assert part.rrule.startswith("FREQ=YEARLY;BYMONTH=")
            assert "BYMONTHDAY" not in part.rrule
            assert part.start.year == 1970
        assert parts[1].offset_to > parts[1].offset_from, "DAYLIGHT is the greater offset"


def test_a_zone_without_summer_time_has_one_part() -> None:
    (only,) = zones.observances("Asia/Tokyo", 2026, 2036)
    assert (only.daylight, only.offset_from, only.offset_to, only.rrule, only.name) == (
        False,
        9 * HOUR,
        9 * HOUR,
        "",
        "JST",
    )


def test_ramadan_is_written_out() -> None:
    parts = zones.observances("Africa/Casablanca", 2026, 2026)
    assert not any(part.rrule for part in parts)
    assert len(parts) >= 5, "two changes a year, a year around"


def test_unknown_zones_are_refused() -> None:
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe", "Europe/Oslo\x00"):
        with pytest.raises(InputError):
            zones.zone(name)


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("Europe/Oslo", "nb", "Oslo, UTC+1"),
        ("Europe/Copenhagen", "nb", "København, UTC+1"),
        ("America/New_York", "en_GB", "New York, UTC−5"),
        ("Asia/Kolkata", "nb", "Kolkata, UTC+5:30"),
        ("America/Argentina/Buenos_Aires", "en_GB", "Buenos Aires, UTC−3"),
        ("Africa/Abidjan", "nb", "Abidjan, UTC"),
        ("Etc/GMT+5", "nb", "UTC−5"),
        ("UTC", "en_GB", "UTC"),
        ("CET", "nb", "UTC+1"),
    ],
)
def test_names_of_zones(name: str, language: str, expected: str) -> None:
    assert zones.display_name(name, datetime(2026, 12, 1, 8, tzinfo=UTC), language) == expected


def test_the_name_follows_the_season() -> None:
    assert (
        zones.display_name("Europe/Oslo", datetime(2026, 7, 1, tzinfo=UTC), "nb") == "Oslo, UTC+2"
    )


def test_an_all_day_letter_needs_no_zone() -> None:
    edition = replace(SINGLE, start=date(2026, 12, 1), end=date(2026, 12, 2), all_day=True)
    assert b"VTIMEZONE" not in ics.calendar(letter(edition))
