"""What a letter says is news, against what it says has changed:
the two agree for whatever becomes of a follow-up.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import i18n
from gateway.followups import editions
from gateway.model import DateChange, Edition, Kind, Letter, Recurrence
from gateway.writing import news, wording
from gateway.writing.news import Change
from tests.core.specimens import HOUR, LANGUAGES, SERIES, SINGLE, START, WEEK, letter

TEXTS = st.sampled_from(["", " ", "Rom 1", "Rom 1 ", "Rom  1\r\n", "Rom\n1", "Rom 2", "\x07"])
ZONES = st.sampled_from(
    [
        "Europe/Oslo",
        "Europe/Stockholm",
        "Europe/Kiev",
        "Europe/Kyiv",
        "UTC",
        "Etc/UTC",
        "America/New_York",
    ]
)
LENGTHS = st.sampled_from([timedelta(minutes=30), HOUR, 25 * HOUR])
RULES = st.sampled_from(
    [
        "",
        "FREQ=WEEKLY;COUNT=6",
        "freq=weekly;interval=1;count=6",
        "FREQ=WEEKLY;COUNT=5",
        "FREQ=WEEKLY;UNTIL=20261229",
        "FREQ=WEEKLY",
        "FREQ=MONTHLY;BYMONTHDAY=1,15",
        "FREQ=MONTHLY;BYMONTHDAY=1,-1",
        "FREQ=WEEKLY;BYDAY=TU,TH",
    ]
)
SOME = st.frozensets(st.integers(0, 5), max_size=3)


@st.composite
def pictures(draw: st.DrawFn) -> Edition:
    """A follow-up as somebody may have written it."""
    values: dict[str, Any] = {
        name: draw(TEXTS) for name in ("title", "location", "agenda", "video_url")
    }
    values |= {
        "timezone": draw(ZONES),
        "guest_list_public": draw(st.booleans()),
        "cancelled": draw(st.sampled_from([False] * 5 + [True])),
        "answer_by": draw(st.sampled_from([None, START - HOUR * 24, START - HOUR * 48])),
    }
    shape = draw(st.sampled_from(["single", "days", "task", *["series"] * 5]))
    if shape == "task":
        return replace(
            SINGLE,
            **values,
            kind=Kind.TASK,
            start=None,
            end=None,
            deadline=date(2026, 12, draw(st.integers(1, 3))),
        )
    start = START + draw(st.integers(0, 2)) * HOUR
    if shape == "days":
        day = date(2026, 12, draw(st.integers(1, 3)))
        return replace(
            SINGLE,
            **values,
            all_day=True,
            start=day,
            end=day + timedelta(days=draw(st.integers(1, 2))),
        )
    values |= {"start": start, "end": start + draw(LENGTHS)}
    if shape == "single":
        return replace(SINGLE, **values)
    length, rule = values["end"] - start, draw(RULES)
    moved = {start + number * WEEK: draw(st.integers(0, 2)) * HOUR for number in draw(SOME)}
    dates = tuple(
        DateChange(one, one + by, one + by + length)
        if by
        else DateChange(one, cancelled=True, cancel_reason=draw(TEXTS))
        for one, by in sorted(moved.items())
    )
    exdates = tuple(sorted(start + number * WEEK for number in draw(SOME)))
    rdates = tuple(sorted(start + number * WEEK + timedelta(days=1) for number in draw(SOME)))
    return replace(SERIES, **values, recurrence=Recurrence(rule, exdates, rdates), dates=dates)


def between(known: Edition, edition: Edition) -> Iterator[Letter]:
    """The letter about all of it, and those about single dates."""
    yield letter(edition, before=known)
    if not editions.whole_differs(known, edition):
        before = known
        for original in editions.changed_dates(known, edition):
            if editions.takes_place(edition, original):
                after = editions.with_date(before, edition, original)
                yield letter(
                    after,
                    before=before,
                    instance=original,
                    sequence=editions.sequence(after, original)[0],
                )
                before = after


@given(st.lists(pictures(), min_size=2, max_size=3), st.booleans())
def test_whoever_is_told_of_a_change_reads_which(written: list[Edition], one_date: bool) -> None:
    first = known = replace(written[0], significant=written[0].sequence)
    for wanted in written[1:]:
        following = editions.following(wanted, known)
        assert following is not None
        known = following
    pairs = (first, known)
    if one_date and isinstance(first.start, datetime):
        pairs = editions.seen(first, first.start), editions.seen(known, first.start)
    for one in between(*pairs):
        told = news.of(one)
        for language in LANGUAGES:
            differences = wording.Teller(one, i18n.catalogue(language)).differences()
            if told in (Change.MOVED, Change.UPDATED):
                assert differences, (told, one.before, one.edition)
            if told in (Change.INVITATION, Change.STANDS):
                assert not differences, (told, one.before, one.edition)


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "Rom 1 "},
        {"location": "\tRom  1"},
        {"location": "Rom\n1"},
        {"title": "Kick-off\r\n"},
        {"agenda": " Kaffe \r\nKake \n"},
        {"video_url": "https://meet.example/1 "},
    ],
)
def test_white_space_is_no_change(changes: dict[str, str]) -> None:
    known = replace(
        SINGLE, location="Rom 1", agenda="Kaffe\nKake", video_url="https://meet.example/1"
    )
    assert not editions.differs(known, replace(known, **changes))  # type: ignore[arg-type]
    assert editions.following(replace(known, **changes), known) == replace(known, **changes)  # type: ignore[arg-type]


def test_another_zone_is_a_move_that_is_told_even_where_its_clocks_are_the_same() -> None:
    """itip.md §1 names it among what asks again; a day is the same in all of them."""
    moved = replace(SINGLE, timezone="Europe/Stockholm")
    assert editions.asks_again(SINGLE, moved)
    one = letter(moved, before=SINGLE, language="en")
    assert news.of(one) is Change.MOVED
    assert wording.Teller(one, i18n.catalogue("en")).differences() == [
        wording.Difference("Time zone", ("Oslo, UTC+1",), ("Stockholm, UTC+1",))
    ]
    days = replace(SINGLE, all_day=True, start=date(2026, 12, 1), end=date(2026, 12, 2))
    assert not editions.differs(days, replace(days, timezone="Asia/Tokyo"))
    universal = replace(SINGLE, timezone="UTC")
    assert not editions.differs(universal, replace(universal, timezone="Etc/UTC"))


def test_a_rule_without_plain_words_is_said_to_be_another() -> None:
    one, other = (
        replace(SERIES, recurrence=Recurrence(f"FREQ=MONTHLY;BYMONTHDAY=1,{day}"))
        for day in ("15", "-1")
    )
    told = wording.Teller(
        letter(other, before=one, language="en"), i18n.catalogue("en")
    ).differences()
    assert told == [
        wording.Difference("Repeats", ("a series of dates",), ("differently than before",))
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FREQ=WEEKLY;COUNT=6", "RRULE:freq=weekly;byday=TU;count=6"),
        ("FREQ=WEEKLY;COUNT=6", "FREQ=WEEKLY;UNTIL=20270105T080000Z"),
        ("FREQ=WEEKLY;UNTIL=20270105T080000Z", "FREQ=WEEKLY;UNTIL=20270107"),
        ("FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=WEEKLY;BYDAY=TH,TU;WKST=MO"),
        ("FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=1"),
        ("FREQ=YEARLY;INTERVAL=1", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=1"),
    ],
)
def test_a_rule_spelled_in_another_way_is_the_same(one: str, other: str) -> None:
    known, wanted = (replace(SERIES, recurrence=Recurrence(rule)) for rule in (one, other))
    assert not editions.differs(known, wanted)
    assert not editions.differs(wanted, known)
    renamed = letter(replace(wanted, title="Start"), before=known, language="en")
    assert news.of(renamed) is Change.UPDATED
    assert [one.label for one in wording.Teller(renamed, i18n.catalogue("en")).differences()] == [
        "Title"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FREQ=WEEKLY;COUNT=6", "FREQ=WEEKLY;COUNT=5"),
        ("FREQ=WEEKLY", "FREQ=WEEKLY;COUNT=6"),
        ("FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=TU,WE"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU"),
        ("FREQ=WEEKLY;COUNT=1", ""),
    ],
)
def test_a_rule_of_other_dates_is_another(one: str, other: str) -> None:
    known, wanted = (replace(SERIES, recurrence=Recurrence(rule)) for rule in (one, other))
    assert editions.differs(known, wanted)
    assert editions.differs(wanted, known)


def test_only_the_dates_that_changed_are_told_as_changed() -> None:
    """Each of a long list would hide behind "and 3 more"."""
    dates = tuple(
        DateChange(
            START + number * WEEK, START + number * WEEK + HOUR, START + number * WEEK + 2 * HOUR
        )
        for number in range(1, 13)
    )
    known = replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY"), dates=dates)
    last = replace(
        dates[-1],
        start=datetime(2027, 2, 23, 12, tzinfo=UTC),
        end=datetime(2027, 2, 23, 13, tzinfo=UTC),
    )
    wanted = replace(known, title="Start", dates=(*dates[:-1], last))
    told = {
        one.label: (one.before, one.now)
        for one in wording.Teller(
            letter(wanted, before=known, language="en"), i18n.catalogue("en")
        ).differences()
    }
    assert told["Changed dates"] == (
        ("23 Feb 2027: 10:00–11:00 instead of 09:00–10:00",),
        ("23 Feb 2027: 13:00–14:00 instead of 09:00–10:00",),
    )
