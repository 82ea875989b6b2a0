"""The transition table of domain.md §4, cell by cell,
and what holds for every row whatever happens to it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import status
from gateway.errors import Refused
from gateway.model import Channel, Progress, Reply, Role, Standing
from gateway.status import Icon, Status

EVENTS: dict[str, Callable[[Standing], Standing]] = {
    "seen": status.see,
    "accept": lambda one: status.answer(one, Reply.ACCEPTED),
    "decline": lambda one: status.answer(one, Reply.DECLINED),
    "tentative": lambda one: status.answer(one, Reply.TENTATIVE),
    "delegate": lambda one: status.answer(one, Reply.DELEGATED),
    "moved": lambda one: status.move(Role.INVITED, one),
    "cancelled": status.cancel,
    "reinstated": status.reinstate,
}

TABLE = """
| event      | 5  | 6  | 7  | 8  | 1-3                | 9                  | 10      |
| seen       | 7  | 8  | -  | -  | -                  | -                  | -       |
| accept     | 1  | 1  | 1  | 1  | -                  | 1                  | refused |
| decline    | 9  | 9  | 9  | 9  | 9                  | -                  | refused |
| tentative  | 7  | 8  | -  | -  | 7, or 8 if `moved` | 7, or 8 if `moved` | refused |
| delegate   | 9  | 9  | 9  | 9  | 9                  | -                  | refused |
| moved      | 5  | -  | 6  | 6  | 6                  | 6                  | refused |
| cancelled  | 10 | 10 | 10 | 10 | 10                 | 10                 | -       |
| reinstated | -  | -  | -  | -  | -                  | -                  | 5       |
"""
"""As domain.md has it; "-": the status stays."""


def columns() -> dict[str, list[Standing]]:
    """Every standing there is, in the column of the table that it belongs to."""
    found: dict[str, list[Standing]] = {}
    for reply, seen, moved, cancelled, progress in product(
        Reply, (False, True), (False, True), (False, True), Progress
    ):
        if reply is not Reply.ACCEPTED and progress is not Progress.NOT_STARTED:
            continue
        standing = Standing(
            reply, seen or reply is not Reply.NEEDS_ACTION, moved, cancelled, progress
        )
        number = int(status.code(Role.INVITED, standing))
        found.setdefault("1-3" if number <= 3 else str(number), []).append(standing)
    return found


def cells() -> list[tuple[str, str, str]]:
    header, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()
    ]
    return [
        (line[0], column, cell)
        for line in lines
        for column, cell in zip(header[1:], line[1:], strict=True)
    ]


@pytest.mark.parametrize(("event", "column", "cell"), cells())
def test_the_transition_table(event: str, column: str, cell: str) -> None:
    standings = columns()[column]
    assert standings
    for standing in standings:
        if cell == "refused":
            with pytest.raises(Refused, match="cancelled"):
                EVENTS[event](standing)
            continue
        before, after = (
            status.code(Role.INVITED, standing),
            status.code(Role.INVITED, EVENTS[event](standing)),
        )
        expected = (
            before
            if cell == "-"
            else Status(8 if "8 if `moved`" in cell and standing.moved else int(cell.split(",")[0]))
        )
        assert after == expected, standing


def test_every_status_of_an_invitee_has_a_column() -> None:
    assert set(columns()) == {"5", "6", "7", "8", "1-3", "9", "10"}


@pytest.mark.parametrize(
    ("reply", "seen", "expected"),
    [
        (Reply.NEEDS_ACTION, False, Status.ASSIGNED),
        (Reply.NEEDS_ACTION, True, Status.ASSIGNED_SEEN),
        (Reply.TENTATIVE, True, Status.ASSIGNED_SEEN),
        (Reply.DECLINED, True, Status.ASSIGNMENT_DECLINED),
        (Reply.DELEGATED, True, Status.ASSIGNMENT_DECLINED),
        (Reply.ACCEPTED, True, Status.NOT_STARTED),
    ],
)
@pytest.mark.parametrize("moved", [False, True])
def test_assignment_mirrors_the_invitation(
    reply: Reply, seen: bool, moved: bool, expected: Status
) -> None:
    assert status.code(Role.ASSIGNED, Standing(reply, seen, moved)) == expected


@pytest.mark.parametrize("role", [Role.OWNER, Role.RESOURCE])
def test_owner_and_resource_stand_at_one_and_only_cancelling_shows(role: Role) -> None:
    fresh = Standing()
    assert status.code(role, fresh) == Status.NOT_STARTED
    assert status.move(role, fresh) == fresh
    cancelled = status.cancel(fresh)
    assert status.code(role, cancelled) == Status.CANCELLED
    assert status.code(role, status.reinstate(cancelled)) == Status.NOT_STARTED


@pytest.mark.parametrize("progress", Progress)
def test_progress_counts_for_those_who_accepted(progress: Progress) -> None:
    accepted = Standing(Reply.ACCEPTED, True, progress=progress)
    assert status.code(Role.INVITED, accepted).word == progress.value
    assert status.code(Role.INVITED, replace(accepted, reply=Reply.DECLINED)) == Status.DECLINED


@pytest.mark.parametrize(
    ("number", "word", "icon"),
    [
        (1, "not_started", Icon.TICK),
        (2, "started", Icon.TICK),
        (3, "completed", Icon.TICK),
        (5, "invitation", Icon.NONE),
        (6, "moved", Icon.NONE),
        (7, "seen", Icon.EYE),
        (8, "moved_seen", Icon.EYE),
        (9, "declined", Icon.CROSS),
        (10, "cancelled", Icon.STRUCK),
        (11, "assigned", Icon.NONE),
        (12, "assigned_seen", Icon.EYE),
        (13, "assignment_declined", Icon.CROSS),
    ],
)
def test_names_and_icons_are_the_published_ones(number: int, word: str, icon: Icon) -> None:
    assert Status(number).word == word
    assert status.ICONS[Status(number)] is icon


def test_the_enumeration_has_nothing_else() -> None:
    assert {int(one) for one in Status} == set(range(1, 14)) - {4}
    assert set(status.ICONS) == set(Status)


def test_the_owners_click_goes_round() -> None:
    standing, seen = Standing(), list[tuple[Reply, Status]]()
    for following in (Reply.ACCEPTED, Reply.DECLINED, Reply.NEEDS_ACTION):
        standing = status.toggle(standing, following)
        seen.append((standing.reply, status.code(Role.INVITED, standing)))
    assert seen == [(Reply.ACCEPTED, 1), (Reply.DECLINED, 9), (Reply.NEEDS_ACTION, 5)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Reply.NEEDS_ACTION, Reply.ACCEPTED),
        (Reply.TENTATIVE, Reply.ACCEPTED),
        (Reply.ACCEPTED, Reply.DECLINED),
        (Reply.DECLINED, Reply.NEEDS_ACTION),
        (Reply.DELEGATED, Reply.NEEDS_ACTION),
    ],
)
def test_domain_4_what_a_click_leads_to(before: Reply, after: Reply) -> None:
    assert status.clicked(before) is after


@pytest.mark.parametrize("progress", Progress)
def test_domain_3_only_who_has_accepted_has_a_progress(progress: Progress) -> None:
    accepted = Standing(Reply.ACCEPTED, True)
    assert status.advance(accepted, progress).progress is progress
    for reply in set(Reply) - {Reply.ACCEPTED}:
        with pytest.raises(Refused, match="accept it first"):
            status.advance(Standing(reply, True), progress)
    with pytest.raises(Refused, match="reinstate"):
        status.advance(replace(accepted, cancelled=True), progress)


def test_domain_4_a_date_without_an_answer_is_open_and_shares_the_fate_of_the_series() -> None:
    series = Standing(Reply.ACCEPTED, True, moved=True, cancelled=True)
    assert status.of_date(series, None) == Standing(moved=True, cancelled=True)
    own = Standing(Reply.DECLINED, True)
    assert status.of_date(series, own) is own


def test_a_toggle_leaves_the_order_of_answers_untouched() -> None:
    arrived = datetime(2026, 12, 1, tzinfo=UTC)
    answered = Standing(
        Reply.ACCEPTED, True, sequence=3, dtstamp=arrived, arrived=arrived, channel=Channel.MAIL
    )
    by_hand = status.toggle(answered, Reply.DECLINED)
    assert (by_hand.sequence, by_hand.dtstamp, by_hand.arrived) == (3, arrived, arrived)
    assert status.code(Role.INVITED, status.answer(by_hand, Reply.ACCEPTED)) == Status.NOT_STARTED


@pytest.mark.parametrize("reply", Reply)
def test_nobody_answers_what_is_cancelled(reply: Reply) -> None:
    cancelled = Standing(Reply.ACCEPTED, True, cancelled=True)
    for act in (status.answer, status.toggle):
        with pytest.raises(Refused, match="reinstate"):
            act(cancelled, reply)


# --- whatever happens ---

ROLES = st.sampled_from(Role)
STEPS = st.lists(st.sampled_from(sorted(EVENTS)), max_size=12)


def follow(steps: list[str], standing: Standing = Standing()) -> Standing:
    for step in steps:
        try:
            standing = EVENTS[step](standing)
        except Refused:
            assert standing.cancelled
    return standing


@given(ROLES, STEPS)
def test_code_is_a_function_of_the_facts_and_always_one_of_the_roles_own(
    role: Role, steps: list[str]
) -> None:
    standing = follow(steps)
    allowed = {
        Role.INVITED: {1, 5, 6, 7, 8, 9, 10},
        Role.ASSIGNED: {1, 10, 11, 12, 13},
        Role.OWNER: {1, 10},
        Role.RESOURCE: {1, 10},
    }
    assert status.code(role, standing) in allowed[role]
    assert status.code(role, standing) == status.code(role, replace(standing))


@given(STEPS)
def test_where_nothing_was_cancelled_nothing_stays_refused(steps: list[str]) -> None:
    standing = follow(steps)
    assert standing.cancelled == (status.code(Role.INVITED, standing) is Status.CANCELLED)
    assert not follow([*steps, "reinstated"]).cancelled


@given(STEPS)
def test_a_move_asks_everybody_again_and_forgets_no_one_who_had_seen_it(steps: list[str]) -> None:
    before = follow(steps)
    if before.cancelled:
        return
    after = status.move(Role.INVITED, before)
    assert (after.reply, after.seen, after.comment) == (Reply.NEEDS_ACTION, False, "")
    untouched = status.code(Role.INVITED, before) is Status.INVITATION
    assert status.code(Role.INVITED, after) == (Status.INVITATION if untouched else Status.MOVED)


@given(STEPS)
def test_reinstated_means_asked_as_on_the_first_day(steps: list[str]) -> None:
    cancelled = status.cancel(follow(steps))
    assert status.code(Role.INVITED, status.reinstate(cancelled)) is Status.INVITATION


@given(STEPS, st.sampled_from([Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE, Reply.DELEGATED]))
def test_the_last_answer_counts_and_saying_it_twice_changes_nothing(
    steps: list[str], reply: Reply
) -> None:
    before = follow(steps)
    if before.cancelled:
        return
    once = status.answer(before, reply)
    assert once.reply is reply
    assert status.answer(once, reply) == once
    assert status.see(once) == once
    assert status.answer(once, Reply.NEEDS_ACTION) == once


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE]), st.booleans()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_answers_that_are_taken_by_their_own_order_end_the_same_however_they_arrive(
    answers: list[tuple[Reply, bool]],
) -> None:
    """The order of itip.md §5: each answer has a key;
    one that is older than the last applied changes nothing.
    """
    numbered = list(enumerate(answers))
    ends = set()
    for arrival in permutations(numbered):
        standing, newest = Standing(), -1
        for key, (reply, displayed) in arrival:
            if displayed:
                standing = status.see(standing)
            if key > newest:
                standing, newest = status.answer(standing, reply), key
        ends.add(status.code(Role.INVITED, standing))
    assert len(ends) == 1
