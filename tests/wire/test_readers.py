"""Our invitations as other programs read them: the same dates, times and people (RFC 5545 as they
understand it).

libical and Horde expand series themselves; Gnus and aerc read the series as its rule. Each program
reads the whole batch at once; tests/core/test_expansion.py has libical and dateutil expand random
series besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.followups import recurrence
from gateway.ical import ics
from gateway.model import DateChange, Edition, Letter, Moment, Recurrence
from tests.core import libical, specimens
from tests.core.specimens import HOUR, KINDS, SECOND, SINGLE, letter
from tests.rig import reading

pytestmark = pytest.mark.real

ZONE = "Europe/Oslo"
"""The readers sit here, wherever a meeting is."""
YEAR = timedelta(days=370)
Dates = list[tuple[int, int]]
"""Start and end, in seconds since 1970."""


def series(
    rule: str,
    start: datetime,
    zone: str = ZONE,
    exdates: tuple[int, ...] = (),
    moved: tuple[int, ...] = (),
    cancelled: tuple[int, ...] = (),
) -> Edition:
    """A series with some of its dates excluded, moved by three hours or cancelled, by their number;
    `start` on the clock of `zone`.
    """
    begins = start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    plain = replace(
        SINGLE,
        title="Ukesmøte",
        start=begins,
        end=begins + HOUR,
        timezone=zone,
        recurrence=Recurrence(rule),
    )
    names = list(recurrence.instances(plain, limit=20))
    changes = [
        DateChange(names[one], names[one] + 3 * HOUR, names[one] + 5 * HOUR) for one in moved
    ]
    changes += [DateChange(names[one], cancelled=True) for one in cancelled]
    return replace(
        plain,
        recurrence=Recurrence(rule, tuple(names[one] for one in exdates)),
        dates=tuple(changes),
    )


EDITIONS = {
    "meeting": SINGLE,
    "meeting abroad": replace(SINGLE, timezone="America/New_York"),
    "meeting in UTC": replace(SINGLE, timezone="UTC"),
    "all day": KINDS["all-day"],
    "over midnight": KINDS["over-midnight"],
    "with guests": KINDS["listed"],
    "task": KINDS["task"],
    "call": KINDS["call"],
    "one date only": KINDS["one-date-only"],
    "weekly": series(
        "FREQ=WEEKLY;COUNT=10", datetime(2026, 10, 6, 9), exdates=(2,), moved=(3, 4), cancelled=(6,)
    ),
    "every other week abroad": series(
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20270601",
        datetime(2026, 10, 5, 20),
        "America/New_York",
        exdates=(1,),
        moved=(5,),
    ),
    "working days": series(
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;COUNT=40",
        datetime(2027, 3, 1, 8),
        moved=(10,),
        cancelled=(19,),
    ),
    "every third day": series(
        "FREQ=DAILY;INTERVAL=3;UNTIL=20270501", datetime(2027, 3, 2, 15), "Asia/Tokyo"
    ),
    "monthly": series(
        "FREQ=MONTHLY;BYMONTHDAY=15;COUNT=9", datetime(2026, 9, 15, 12), moved=(1,), cancelled=(2,)
    ),
    "second tuesday": series("FREQ=MONTHLY;BYDAY=2TU", datetime(2026, 9, 8, 12), exdates=(1,)),
    "last friday": series("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20270901", datetime(2026, 9, 25, 12)),
    "yearly": series("FREQ=YEARLY;COUNT=3", datetime(2026, 10, 30, 9)),
    # With COUNT: where a series of days has an UNTIL, Horde shows one day more.
    "all-day series": replace(
        KINDS["all-day-series"],
        recurrence=Recurrence("FREQ=DAILY;COUNT=24", exdates=(date(2026, 12, 6),)),
    ),
}
LETTERS: dict[str, Letter] = {name: letter(edition) for name, edition in EDITIONS.items()} | {
    "one date": letter(specimens.WITH_DATES, instance=SECOND),
    "moved": specimens.changed("meeting", "moved"),
    "passed on to": specimens.delegated(),
    "passed on by": specimens.passed_on(),
}
CALENDARS = [ics.calendar(one) for one in LETTERS.values()]


def seconds(moment: Moment, days_in: str = ZONE) -> int:
    """In seconds since 1970; a day begins at midnight in `days_in`."""
    return int(
        (
            moment
            if isinstance(moment, datetime)
            else datetime.combine(moment, time(), ZoneInfo(days_in))
        ).timestamp()
    )


def end_of_window(one: Letter) -> datetime:
    start = ics.span(one.edition).start
    return datetime.fromtimestamp(seconds(start), UTC) + YEAR


def meant(one: Letter, days_in: str = ZONE) -> Dates:
    """The dates of a letter as the store has them."""
    edition = one.edition
    if one.instance is not None or edition.recurrence is None:
        span = ics.span(edition, one.instance)
        assert span.end is not None
        return [(seconds(span.start, days_in), seconds(span.end, days_in))]
    before = end_of_window(one)
    found = recurrence.occurrences(edition, before - 2 * YEAR, before, 5_000)
    return sorted((seconds(one.start, days_in), seconds(one.end, days_in)) for one in found)


def people(one: Letter) -> set[tuple[str, str, str]]:
    """Address, name and PARTSTAT of everybody who stands in the letter."""
    shown = {(one.address, ics.common_name(one.address_name), one.reply.upper())}
    if one.edition.guest_list_public:
        shown |= {
            (guest.address, ics.common_name(guest.name), guest.reply.upper())
            for guest in one.edition.guests
            if guest.address not in ("", one.address)
        }
    if (giver := one.remarks.delegated_from) is not None:
        shown.add((giver.address, ics.common_name(giver.name), "DELEGATED"))
    if (taker := one.remarks.delegated_to) is not None:
        shown.add((taker.address, ics.common_name(taker.name), taker.reply.upper()))
    return shown


def put_together(series: Iterable[tuple[int, int]], own: dict[int, tuple[int, int]]) -> Dates:
    """What a calendar shows of a series and its single dates:
    those stand in place of the dates that they name.
    """
    return sorted([one for one in series if one[0] not in own] + list(own.values()))


def test_there_is_something_to_read() -> None:
    dates = {name: meant(one) for name, one in LETTERS.items()}
    assert min(map(len, dates.values())) >= 1
    assert sum(map(len, dates.values())) > 150
    assert sum(len(set(people(one))) for one in LETTERS.values()) > len(LETTERS)


@pytest.mark.parametrize("name", LETTERS)
def test_libical_reads_the_same(name: str) -> None:
    one = LETTERS[name]
    first, *others = libical.read(
        ics.calendar(one), end_of_window(one) - 2 * YEAR, end_of_window(one)
    )
    # Its expansion has days last until the end of DTEND, which is exclusive (RFC 5545 §3.6.1).
    beyond = 0 if isinstance(ics.span(one.edition).start, datetime) else 24 * 3600 - 1
    spans = [
        [(int(start.timestamp()), int(end.timestamp()) - beyond) for start, end in event.dates]
        for event in (first, *others)
    ]
    own = {
        int(other.name.timestamp()): span
        for other, (span,) in zip(others, spans[1:], strict=True)
        if other.name
    }
    assert put_together(spans[0], own) == meant(one, "UTC")
    for event in (first, *others):
        assert {(uri.removeprefix("mailto:"), *more) for uri, *more in event.people} == people(one)


def test_horde_reads_the_same() -> None:
    before = max(map(end_of_window, LETTERS.values()))
    for (name, one), events in zip(
        LETTERS.items(), reading.horde(CALENDARS, ZONE, before), strict=True
    ):
        first, *others = events
        length = first["end"] - first["start"]
        until = end_of_window(one).timestamp()
        own = {other["name"]: (other["start"], other["end"]) for other in others}
        shown = put_together(
            [(start, start + length) for start in first["dates"] if start < until], own
        )
        assert shown == meant(one), name
        for event in events:
            assert (event["method"], event["uid"], event["summary"]) == (
                "REQUEST",
                one.edition.uid,
                one.edition.title,
            )
            assert event["organizer"] == one.organizer_address
            assert {tuple(person) for person in event["participants"]} == people(one), name


def rule(one: Letter) -> dict[str, str]:
    series = one.edition.recurrence if one.instance is None else None
    return dict(part.split("=") for part in series.rrule.split(";")) if series is not None else {}


def test_gnus_reads_the_same() -> None:
    for (name, one), read in zip(LETTERS.items(), reading.gnus(CALENDARS, ZONE), strict=True):
        span, parts = ics.span(one.edition, one.instance), rule(one)
        assert span.end is not None
        assert (read["start"], read["end"]) == (seconds(span.start), seconds(span.end)), name
        assert (read["method"], read["uid"], read["summary"]) == (
            "REQUEST",
            one.edition.uid,
            one.edition.title,
        )
        assert read["organizer"] == one.organizer_address
        assert set(read["participants"]) == {shown for _, shown, _ in people(one)}
        assert (read["frequency"], read["interval"]) == (
            parts.get("FREQ", ""),
            parts.get("INTERVAL", "1") if parts else "",
        )
        assert read["asked"] == (one.address == "ola@ext.example")


def test_aerc_shows_the_same() -> None:
    for (name, one), shown in zip(LETTERS.items(), reading.aerc(CALENDARS), strict=True):
        lines = shown.splitlines()
        span, parts = ics.span(one.edition, one.instance), rule(one)
        assert lines[0] == "This is a meeting REQUEST"
        assert f"SUMMARY {one.edition.title}" in lines
        assert f"ORGANIZER Kari Nordmann <{one.organizer_address}>" in lines
        for address, person, partstat in people(one):
            at = next(
                number
                for number, line in enumerate(lines)
                if line.startswith("ATTENDEE") and line.endswith(f"] {person} <{address}>")
            )
            assert lines[at + 1] == f"STATUS {partstat}", name
        # aerc 0.14 cannot show whole days: "0/00/00 20:26:12".
        if isinstance(span.start, datetime) and isinstance(span.end, datetime):
            zone = "" if one.edition.timezone == "UTC" else f" {one.edition.timezone}"
            clocks = [
                f"{at.astimezone(ZoneInfo(one.edition.timezone)):%Y/%m/%d %H:%M:%S}{zone}"
                for at in (span.start, span.end)
            ]
            assert [line for line in lines if line.startswith(("START ", "END 2"))] == [
                f"START {clocks[0]}",
                f"END {clocks[1]}",
            ], name
        recurs = [line for line in lines if line.startswith("RECURRENCE")]
        assert [line.endswith(parts["FREQ"].lower()) for line in recurs] == [True] * bool(parts), (
            name
        )
