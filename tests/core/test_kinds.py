"""What meetings, tasks and calls must and may have: the table of domain.md §2."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.errors import Refused
from gateway.followups import kinds
from gateway.model import Kind, Moment

START = datetime(2027, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
MEETING, TASK, CALL = Kind.MEETING, Kind.TASK, Kind.CALL


@pytest.mark.parametrize(
    ("kind", "said", "wrong"),
    [
        (MEETING, {"start"}, []),
        (MEETING, {"start", "end", "recurrence"}, []),
        (MEETING, {"deadline"}, [("start", "is missing: a meeting has one")]),
        (TASK, {"deadline"}, []),
        (TASK, {"start", "end", "deadline"}, []),
        (TASK, set(), [("deadline", "is missing: a task has one, or a start")]),
        (TASK, {"deadline", "end"}, [("end", "needs a start")]),
        (TASK, {"deadline", "recurrence"}, [("recurrence", "needs a start")]),
        (CALL, {"deadline"}, []),
        (CALL, {"start"}, []),
        (CALL, set(), [("deadline", "is missing: a call has one, or a start")]),
    ],
)
def test_what_a_kind_lacks_is_named_with_what_is_allowed(
    kind: Kind, said: set[str], wrong: list[tuple[str, str]]
) -> None:
    """domain.md §2: start, end, deadline."""
    assert kinds.lacking(kind, said) == wrong


@pytest.mark.parametrize(
    ("kind", "has_start", "words"),
    [
        ("meeting", True, "only a call is carried out; this is a meeting"),
        ("task", False, "only a call is carried out; this is a task"),
        ("call", True, "carried out already; reschedule it"),
    ],
)
def test_only_a_planned_call_is_carried_out(kind: str, has_start: bool, words: str) -> None:
    """domain.md §2: a call has a start when carried out."""
    with pytest.raises(Refused, match=words):
        kinds.carried_out(kind, has_start=has_start)
    kinds.carried_out("call", has_start=False)


@pytest.mark.parametrize(
    ("start", "given", "end"),
    [
        (START, START + 2 * HOUR, START + 2 * HOUR),
        (START, None, START + HOUR),
        (START, START - HOUR, START + HOUR),
        (date(2027, 3, 2), None, date(2027, 3, 3)),
    ],
)
def test_an_end_is_as_given_or_as_usual(start: Moment, given: Moment | None, end: Moment) -> None:
    """domain.md §2: default durations."""
    assert kinds.end(start, given, HOUR) == end
