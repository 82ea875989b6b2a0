"""Preferences are typed, and the associate's count over the site's over the built-in ones
(domain.md §11)."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import InputError
from gateway.followups import preferences
from gateway.followups.preferences import BUILT_IN
from gateway.model import Kind

WRONG: list[tuple[str, Any, str]] = [
    ("meeting_minutes", 0, "1 to 1440"),
    ("meeting_minutes", True, "1 to 1440"),
    ("call_minutes", "15", "1 to 1440"),
    ("task_minutes", 1441, "1 to 1440"),
    ("task_minutes", 2.5, "1 to 1440"),
    ("alarm_minutes", -1, "0 to 40320, or 'off'"),
    ("alarm_minutes", None, "0 to 40320, or 'off'"),
    ("first_weekday", 0, "monday"),
    ("first_weekday", "Monday", "monday"),
    ("first_weekday", [], "monday"),
    ("working_hours", [], "an object by weekday"),
    ("working_hours", {"mon": ["08:00", "16:00"]}, "'mon' is no weekday"),
    ("working_hours", {"monday": "08:00-16:00"}, "monday is from and to"),
    ("working_hours", {"monday": ["16:00", "08:00"]}, "monday is from and to"),
    ("working_hours", {"monday": ["08:00", "08:00"]}, "monday is from and to"),
    ("working_hours", {"monday": ["08:00", "24:01"]}, "monday is from and to"),
    ("working_hours", {"monday": ["8:00", "16:00"]}, "monday is from and to"),
    ("working_hours", {"monday": ["08:60", "16:00"]}, "monday is from and to"),
    ("working_hours", {"monday": ["٠٨:٠٠", "16:00"]}, "monday is from and to"),
    ("working_hours", {"monday": [8, 16]}, "monday is from and to"),
    ("timezone", "Mars/Olympus", "the name of a time zone"),
    ("timezone", 1, "the name of a time zone"),
    ("timezone", "../etc", "the name of a time zone"),
    ("language", "norsk bokmål", "a language tag"),
    ("language", "en-", "a language tag"),
    ("language", 5, "a language tag"),
    ("colour", "red", "there are meeting_minutes, call_minutes"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_value_of_another_type_says_what_is_allowed(name: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as refused:
        preferences.checked(name, value)
    assert words in str(refused.value)


def test_what_is_said_comes_back_as_it_was_said() -> None:
    said = {
        "meeting_minutes": 45,
        "call_minutes": 10,
        "task_minutes": 30,
        "working_hours": {"monday": ["07:30", "15:00"], "sunday": ["00:00", "24:00"]},
        "first_weekday": "sunday",
        "alarm_minutes": "off",
        "timezone": "Europe/Oslo",
        "language": "nb",
    }
    assert said.keys() == set(preferences.NAMES)
    checked = {name: preferences.checked(name, value) for name, value in said.items()}
    assert preferences.as_stated(preferences.effective(checked)) == said
    assert preferences.effective(preferences.as_stated(BUILT_IN)) == BUILT_IN


def test_an_associate_counts_over_the_site_over_the_built_in() -> None:
    site = {"meeting_minutes": 45, "alarm_minutes": 15}
    own = {"meeting_minutes": 30, "alarm_minutes": "off"}
    here = preferences.effective(site, own)
    assert (here.meeting_minutes, here.alarm_minutes, here.call_minutes) == (30, None, 15)
    assert preferences.effective(site, {}).meeting_minutes == 45


def test_the_built_in_lengths_are_those_of_help_page_003() -> None:
    """domain.md §2: meeting 60 minutes, call 15."""
    hour, quarter = timedelta(hours=1), timedelta(minutes=15)
    assert [BUILT_IN.length(kind) for kind in Kind] == [hour, hour, quarter]
