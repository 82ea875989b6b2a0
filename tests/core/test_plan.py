"""The table of itip.md §2 for single meetings, line by line;
and that in the end everybody holds what he should.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.invite import owing, plan
from gateway.model import GuestList, Kind, Method, Reply, Role, Standing
from tests.core.invitees import MEETING, START, Letter, World, agreed
from tests.examples import examples

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Line:
    """A change to a meeting that 1 and 2 have accepted:
    the letters it owes, and the statuses afterwards.
    """

    change: Callable[[World], None]
    letters: list[tuple[int, str, int]] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 1})


BOTH, ASKED = [(1, "REQUEST", 1), (2, "REQUEST", 1)], {1: 6, 2: 6}
SILENT = [(1, "REQUEST", 0), (2, "REQUEST", 0)]
GONE, STRUCK = [(1, "CANCEL", 1), (2, "CANCEL", 1)], {1: 10, 2: 10}


def silenced(world: World) -> World:
    """The first has not answered."""
    world.change(1, standings={None: Standing()})
    return world


def without_the_first(world: World) -> World:
    world.change(1, removed=True)
    return world


LINES = {
    "nothing": Line(lambda world: None),
    "participant added": Line(
        lambda world: world.invite(3), [(3, "REQUEST", 0)], {1: 1, 2: 1, 3: 5}
    ),
    "participant added with the switch off": Line(
        lambda world: world.invite(3, email_invite=False), [], {1: 1, 3: 5}
    ),
    "start": Line(lambda world: world.edit(start=START + HOUR, end=START + 2 * HOUR), BOTH, ASKED),
    "end": Line(lambda world: world.edit(end=START + 2 * HOUR), BOTH, ASKED),
    "time zone": Line(lambda world: world.edit(timezone="Europe/London"), BOTH, ASKED),
    "place": Line(lambda world: world.edit(location="Fjord"), BOTH, ASKED),
    "all-day": Line(
        lambda world: world.edit(all_day=True, start=date(2026, 12, 1), end=date(2026, 12, 2)),
        BOTH,
        ASKED,
    ),
    "title": Line(lambda world: world.edit(title="Another"), SILENT),
    "agenda": Line(lambda world: world.edit(agenda="1. Coffee"), SILENT),
    "by when an answer is wanted": Line(lambda world: world.edit(answer_by=START - 48 * HOUR), []),
    "by when an answer is wanted that one has not given": Line(
        lambda world: silenced(world).edit(answer_by=START - 48 * HOUR),
        [(1, "REQUEST", 0)],
        {2: 1},
    ),
    "by when an answer is wanted, after the start": Line(
        lambda world: silenced(world).edit(answer_by=START + HOUR),
        [],
        {2: 1},
    ),
    "a reason for nothing": Line(lambda world: world.edit(cancel_reason="too early"), []),
    "video link": Line(lambda world: world.edit(video_url="https://v.example/1"), SILENT),
    "title and place": Line(
        lambda world: world.edit(title="Another", location="Fjord"), BOTH, ASKED
    ),
    "owner's name": Line(lambda world: world.edit(organizer="Per"), []),
    "guest list made public": Line(
        lambda world: world.edit(guest_list=GuestList.PUBLIC, guest_list_public=True), SILENT
    ),
    "guest list said to be what it was": Line(
        lambda world: world.edit(guest_list=GuestList.PRIVATE), []
    ),
    "a guest joined a public list": Line(lambda world: world.edit(guest_list_public=True), []),
    "switch off": Line(lambda world: world.change(1, email_invite=False), [(1, "CANCEL", 1)]),
    "removed": Line(lambda world: world.change(1, removed=True), [(1, "CANCEL", 1)]),
    "row deleted": Line(lambda world: world.delete(1), [(1, "CANCEL", 1)], {2: 1}),
    "became the owner": Line(
        lambda world: world.change(1, role=Role.OWNER), [(1, "CANCEL", 1)], {1: 1, 2: 1}
    ),
    "cancelled": Line(lambda world: world.edit(cancelled=True), GONE, STRUCK),
    "cancelled and moved": Line(
        lambda world: world.edit(cancelled=True, location="Fjord"), GONE, STRUCK
    ),
    "deleted": Line(lambda world: setattr(world, "wanted", None), GONE),
    "address changed": Line(
        lambda world: world.change(1, address="new@ext.example"),
        [(1, "CANCEL", 1), (1, "REQUEST", 2)],
    ),
    "address in another case": Line(lambda world: world.change(1, address="P1@EXT.example"), []),
    "removed while everybody is asked again": Line(
        lambda world: without_the_first(world).edit(location="Fjord"),
        [(1, "CANCEL", 1), (2, "REQUEST", 1)],
        ASKED,
    ),
    "answered": Line(lambda world: world.answer(1, Reply.DECLINED), [], {1: 9, 2: 1}),
    "name of an invitee": Line(lambda world: world.change(1, name="Another"), []),
}


@pytest.mark.parametrize("name", LINES)
def test_what_a_change_owes(name: str) -> None:
    world, line = agreed(), LINES[name]
    line.change(world)
    assert world.plan() == line.letters
    assert {number: world.code(number) for number in line.codes if number in world.rows} == {
        number: code for number, code in line.codes.items() if number in world.rows
    }
    assert world.plan() == []
    world.deliver()
    assert world.plan() == []
    for number in (1, 2, 3):
        assert (world.holds(number) is not None) == world.should_hold(number)


def test_a_withdrawal_says_so_and_a_cancellation_too() -> None:
    world = agreed()
    world.change(1, removed=True)
    [withdrawn] = world.look().owed
    assert (withdrawn.withdrawn, withdrawn.edition.cancelled) == (True, False)
    world = agreed()
    world.edit(cancelled=True)
    assert [(one.withdrawn, one.edition.cancelled) for one in world.look().owed] == [
        (False, True)
    ] * 2
    world.wanted = None
    assert [(one.withdrawn, one.edition.cancelled) for one in world.look().owed] == [
        (False, True)
    ] * 2


def test_reinstated_asks_everybody_anew_above_the_cancellation() -> None:
    world = agreed()
    world.edit(cancelled=True)
    world.plan()
    world.deliver()
    world.edit(cancelled=False)
    assert world.plan() == [(1, "REQUEST", 2), (2, "REQUEST", 2)]
    assert [world.code(number) for number in (1, 2)] == [5, 5]
    world.deliver()
    assert world.holds(1) is not None


def test_removed_and_added_again_is_asked_above_the_withdrawal_and_nobody_else_hears_of_it() -> (
    None
):
    world = agreed()
    world.change(1, removed=True)
    world.plan()
    world.deliver()
    world.change(1, removed=False)
    assert world.plan() == [(1, "REQUEST", 2)]
    [row] = [one for one in world.held if one.participant == 1]
    assert row.number == 1  # the same invitation, with its token
    assert world.code(2) == 1
    world.edit(title="Another")
    world.deliver()
    assert world.plan() == [(1, "REQUEST", 2), (2, "REQUEST", 2)]
    assert world.code(2) == 1


def test_added_again_at_another_address_is_above_the_withdrawal_too() -> None:
    world = agreed()
    world.change(1, removed=True)
    world.plan()
    world.deliver()
    world.change(1, removed=False, address="new@ext.example")
    assert world.plan() == [(1, "REQUEST", 2)]


def test_added_again_at_another_address_is_above_a_withdrawal_that_waits() -> None:
    world = agreed()
    world.change(1, removed=True)
    assert world.plan() == [(1, "CANCEL", 1)]
    world.settle(_claimed(world, 1), "later")
    world.change(1, removed=False, address="new@ext.example")
    assert world.plan() == [(1, "REQUEST", 2)]


def test_back_to_the_first_address_cancels_before_it_asks() -> None:
    world = agreed()
    for address in ("new@ext.example", "p1@ext.example"):
        world.change(1, address=address)
        world.plan()
        world.deliver()
    owed = [one for number, one in world.arrived if number == 1]
    assert [(one.method, one.sequence) for one in owed] == [
        (Method.CANCEL, 1),
        (Method.REQUEST, 2),
        (Method.CANCEL, 3),
        (Method.REQUEST, 4),
    ]
    assert [one.dtstamp for one in owed] == sorted({one.dtstamp for one in owed})
    assert world.holds(1) is not None


def test_another_row_takes_over_an_address_above_what_was_withdrawn_there() -> None:
    world = agreed()
    world.rows.pop(1)
    world.invite(3, "P1@ext.example")
    assert world.plan() == [(1, "CANCEL", 1), (3, "REQUEST", 2)]


def test_one_mailbox_in_two_spellings_is_invited_once() -> None:
    world = World()
    world.invite(1, "ola@bücher.example")
    world.invite(2, "OLA@xn--bcher-kva.example")
    assert world.plan() == [(1, "REQUEST", 0)]
    assert world.notes == {2: plan.TWICE}
    world.deliver()
    world.change(2, removed=True)
    world.change(1, address="ola@xn--bcher-kva.example")
    assert world.plan() == []


def test_of_two_rows_with_one_address_one_is_invited_and_the_other_takes_over_from_it() -> None:
    world = World()
    world.invite(1)
    world.invite(2, "P1@ext.example")
    assert world.plan() == [(1, "REQUEST", 0)]
    assert world.notes == {2: plan.TWICE}
    world.deliver()
    world.change(2, removed=True)
    assert world.plan() == []
    world.change(2, removed=False)
    world.change(1, email_invite=False)
    assert world.plan() == [(1, "CANCEL", 1), (2, "REQUEST", 2)]
    world.deliver()
    world.change(1, email_invite=True)
    assert world.plan() == []
    assert world.notes == {1: plan.TWICE}


@pytest.mark.parametrize(
    "shared", ["p1@ext.example", "p1@bücher.example", "P1@xn--bcher-kva.example"]
)
def test_what_two_rows_hold_at_one_address_is_not_taken_away_with_the_second(shared: str) -> None:
    world = agreed(1, 2)
    for row in (1, 2):
        world.rows[row] = replace(world.rows[row], address=shared)
        world.held[row - 1].address = shared
    world.change(2, removed=True)
    assert world.plan() == []
    world.edit(cancelled=True)
    assert world.plan() == [(1, "CANCEL", 1)]


def test_a_follow_up_made_anew_under_its_key_cancels_the_old_one_by_its_own_uid() -> None:
    world = agreed()
    world.rows.clear()
    world.invite(7, "p1@ext.example")
    world.wanted, world.known = replace(MEETING, uid="m2@crm.example"), None
    owed = world.look().owed
    assert [(one.method, one.edition.uid, one.sequence, one.withdrawn) for one in owed] == [
        (Method.CANCEL, "m1@crm.example", 1, False),
        (Method.CANCEL, "m1@crm.example", 1, False),
        (Method.REQUEST, "m2@crm.example", 0, False),
    ]
    assert [one.edition.cancelled for one in owed] == [True, True, False]


def test_a_first_invitation_begins_with_the_sequence_of_the_earlier_system() -> None:
    world = World(wanted=replace(MEETING, sequence=7))
    world.invite(1)
    assert world.plan() == [(1, "REQUEST", 7)]
    world.edit(location="Fjord", sequence=0)
    assert world.plan() == [(1, "REQUEST", 8)]


def test_decliners_are_asked_again_after_a_move() -> None:
    world = agreed()
    world.answer(1, Reply.DECLINED)
    world.edit(location="Fjord")
    assert world.plan() == BOTH
    assert (world.code(1), world.rows[1].standings[plan.SERIES].reply) == (6, Reply.NEEDS_ACTION)


def test_whoever_had_not_answered_before_a_move_has_it_still_before_him() -> None:
    world = agreed()
    world.invite(3)
    world.plan()
    world.edit(location="Fjord")
    world.plan()
    assert world.code(3) == 5


# --- what waits may be replaced ---


def test_edits_before_the_first_letter_left_make_one_letter() -> None:
    world = World()
    world.invite(1)
    world.plan()
    world.edit(location="Fjord")
    assert world.plan() == [(1, "REQUEST", 1)]
    assert [one.state for one in world.letters] == ["superseded", "waiting"]
    world.deliver()
    assert len(world.arrived) == 1
    assert world.arrived[0][1].before is None


def test_whoever_never_got_an_invitation_gets_no_cancellation() -> None:
    for undo in (
        lambda world: world.change(1, removed=True),
        lambda world: world.edit(cancelled=True),
        lambda world: world.change(1, email_invite=False),
        lambda world: setattr(world, "wanted", None),
    ):
        world = World()
        world.invite(1)
        world.plan()
        undo(world)
        assert world.plan() == []
        assert [one.state for one in world.letters] == ["superseded"]


def test_what_cancels_itself_out_makes_no_letter() -> None:
    world = agreed()
    world.change(1, removed=True)
    world.plan()
    world.change(1, removed=False)
    assert world.plan() == []
    world.edit(title="Another")
    world.plan()
    world.edit(title=MEETING.title)
    assert world.plan() == []
    world.deliver()
    assert world.arrived == []


def test_moved_and_moved_back_asks_again_because_the_answers_are_gone() -> None:
    world = agreed()
    world.edit(location="Fjord")
    world.plan()
    world.edit(location="")
    assert world.plan() == [(1, "REQUEST", 2), (2, "REQUEST", 2)]
    assert [one.state for one in world.letters] == ["closed"] * 2 + ["superseded"] * 2 + [
        "waiting"
    ] * 2
    assert world.code(1) == 6


def test_a_letter_that_was_turned_away_waits_on_while_it_is_still_right() -> None:
    world = World()
    world.invite(1)
    world.plan()
    world.settle(_claimed(world, 1), "later")
    assert world.plan() == []
    world.edit(agenda="1. Coffee")
    assert world.plan() == [(1, "REQUEST", 0)]
    assert world.letters[-1].owed.before is None


def test_a_letter_of_unknown_fate_is_repeated_as_it_was_or_overtaken() -> None:
    world = agreed()
    world.edit(location="Fjord")
    world.plan()
    world.settle(_claimed(world, 1), "lost")
    assert world.plan() == []
    world.edit(title="Another")
    assert (1, "REQUEST", 1) in world.plan()
    assert world.letters[-2].owed.before == replace(
        MEETING
    )  # what changed is told against what he surely has


def test_a_letter_on_its_way_counts_as_sent() -> None:
    world = World()
    world.invite(1)
    world.plan()
    letter = _claimed(world, 1)
    world.change(1, removed=True)
    assert world.plan() == [(1, "CANCEL", 1)]
    assert world.claim(1) is None  # not before the first one is settled
    world.settle(letter, "taken")
    world.deliver()
    assert world.holds(1) is None


def test_an_address_that_refused_gets_no_cancellation_but_the_next_change() -> None:
    world = World()
    world.invite(1)
    world.plan()
    world.settle(_claimed(world, 1), "refused")
    world.edit(location="Fjord")
    assert world.plan() == [(1, "REQUEST", 1)]
    world.edit(location="Elsewhere")
    world.plan()
    world.change(1, removed=True)
    assert world.plan() == []


def test_what_is_changed_back_after_a_refusal_is_owed_again_when_it_changes_anew() -> None:
    world = agreed(1)
    for title, owed in (
        ("Start", [(1, "REQUEST", 0)]),
        ("Start", []),
        (MEETING.title, []),
        ("Start", [(1, "REQUEST", 0)]),
    ):
        world.edit(title=title)
        assert world.plan() == owed
        if owed:
            world.settle(_claimed(world, 1), "refused")
    world.edit(title="Another")
    [letter] = world.look().owed
    assert letter.before is not None
    assert letter.before.title == MEETING.title


def test_a_refused_cancellation_is_not_repeated_and_he_is_invited_anew_after_it() -> None:
    world = agreed(1)
    world.change(1, removed=True)
    world.plan()
    world.settle(_claimed(world, 1), "refused")
    assert world.plan() == []
    world.change(1, removed=False)
    [letter] = world.look().owed
    assert (letter.method, letter.before) == (Method.REQUEST, None)


def test_asked_again_is_the_same_invitation_once_more() -> None:
    world = agreed()
    world.held[0].again = True
    assert world.plan() == [(1, "REQUEST", 0)]
    assert world.plan() == []


def test_the_last_reason_that_is_given_before_the_cancellation_leaves_is_the_one_told() -> None:
    world = agreed(1)
    world.edit(cancelled=True, cancel_reason="The speaker is ill")
    assert world.plan() == [(1, "CANCEL", 1)]
    assert world.plan() == []
    world.edit(cancel_reason="The room is flooded")
    assert world.plan() == [(1, "CANCEL", 1)]
    world.settle(_claimed(world, 1), "later")
    world.edit(cancel_reason="Both")
    assert world.plan() == [(1, "CANCEL", 2)], "above what may have left"
    world.deliver()
    assert [one.edition.cancel_reason for _, one in world.arrived] == ["Both"]
    world.edit(cancel_reason="Neither")
    assert world.plan() == [], "what has left stands"


def test_a_cancellation_whose_fate_is_unknown_is_repeated_as_it_was() -> None:
    world = agreed(1)
    world.edit(cancelled=True, cancel_reason="The speaker is ill")
    world.plan()
    world.settle(_claimed(world, 1), "lost")
    world.edit(cancel_reason="The room is flooded")
    assert world.plan() == []
    world.deliver()
    assert [one.edition.cancel_reason for _, one in world.arrived] == ["The speaker is ill"]


def _claimed(world: World, number: int) -> Letter:
    letter = world.claim(number)
    assert letter is not None
    return letter


# --- who is not mailed, and why ---


@pytest.mark.parametrize("role", [Role.OWNER, Role.RESOURCE])
def test_owner_and_resource_are_never_mailed(role: Role) -> None:
    world = World()
    world.invite(1, role=role)
    assert world.plan() == []
    world.edit(location="Fjord")
    assert world.plan() == []
    assert world.code(1) == 1


def test_an_assigned_owner_is_asked() -> None:
    world = World()
    world.invite(1, role=Role.ASSIGNED)
    assert world.plan() == [(1, "REQUEST", 0)]
    assert world.code(1) == 11


def test_without_an_account_rows_say_so_and_keep_their_status() -> None:
    world = agreed()
    world.account = False
    world.edit(location="Fjord")
    assert world.plan() == []
    assert (world.notes, world.code(1)) == ({1: plan.NO_ACCOUNT, 2: plan.NO_ACCOUNT}, 6)
    world.account = True
    assert world.plan() == BOTH
    assert world.notes == {}


def test_without_an_address_the_row_says_so() -> None:
    world = World()
    world.invite(1)
    world.change(1, address="")
    assert world.plan() == []
    assert world.notes == {1: plan.NO_ADDRESS}


SUSPENDED: dict[str, tuple[Callable[[World], None], list[tuple[int, str, int]]]] = {
    "nothing": (lambda world: None, []),
    "title": (lambda world: world.edit(title="Another"), []),
    "moved": (lambda world: world.edit(location="Fjord"), []),
    "removed": (lambda world: world.change(1, removed=True), [(1, "CANCEL", 1)]),
    "switch off": (lambda world: world.change(1, email_invite=False), [(1, "CANCEL", 1)]),
    "row deleted": (lambda world: world.delete(1), [(1, "CANCEL", 1)]),
    "became the owner": (lambda world: world.change(1, role=Role.OWNER), [(1, "CANCEL", 1)]),
    "cancelled": (lambda world: world.edit(cancelled=True), [(1, "CANCEL", 1)]),
    "deleted": (lambda world: setattr(world, "wanted", None), [(1, "CANCEL", 1)]),
}


@pytest.mark.parametrize("name", SUSPENDED)
def test_an_address_that_becomes_invalid_takes_nothing_away(name: str) -> None:
    world = agreed(1)
    world.change(1, address="")
    assert world.plan() == []
    assert world.notes == {1: plan.NO_ADDRESS}
    assert (world.holds(1), world.code(1)) == (agreed(1).holds(1), 1)
    change, letters = SUSPENDED[name]
    change(world)
    assert world.plan() == letters
    assert world.plan() == []
    world.deliver()
    assert (world.holds(1) is None) == (letters != [])


BACK = {
    "the same": ("p1@ext.example", "Kick-off", "", []),
    "the same, a title meanwhile": ("p1@ext.example", "Another", "", [(1, "REQUEST", 0)]),
    "the same, a move meanwhile": ("p1@ext.example", "Kick-off", "Fjord", [(1, "REQUEST", 1)]),
    "another": ("new@ext.example", "Kick-off", "", [(1, "CANCEL", 1), (1, "REQUEST", 2)]),
}


@pytest.mark.parametrize("name", BACK)
def test_a_valid_address_goes_on_by_itself(name: str) -> None:
    address, title, place, letters = BACK[name]
    world = agreed(1)
    world.change(1, address="")
    assert world.plan() == []
    world.edit(title=title, location=place)
    assert world.plan() == []
    world.change(1, address=address)
    assert world.plan() == letters
    assert world.notes == {}
    world.deliver()
    assert world.plan() == []
    assert world.holds(1) is not None


def test_letters_that_wait_do_not_leave_while_there_is_no_address() -> None:
    world = agreed(1)
    world.edit(title="Another")
    assert world.plan() == SILENT[:1]
    world.change(1, address="")
    assert world.plan() == []
    world.deliver()
    assert world.holds(1) == agreed(1).holds(1)
    world.change(1, address="p1@ext.example")
    assert world.plan() == SILENT[:1]


def test_while_suspended_a_former_address_is_taken_back_all_the_same() -> None:
    world = agreed(1)
    old = world.held[0]
    world.change(1, address="new@ext.example")
    world.plan()
    world.deliver()
    # Its CANCEL was refused for now, and gave the invitation back.
    old.method, old.edition, old.top_sequence = Method.REQUEST, world.known, 0
    world.change(1, address="")
    made = world.look()
    assert [(one.method, one.invitation) for one in made.owed] == [(Method.CANCEL, old.number)]


def test_a_row_of_somebody_else_without_an_address_leaves_the_former_nothing() -> None:
    world = agreed(1)
    world.change(1, address="", other=True)
    assert world.plan() == [(1, "CANCEL", 1)]


def test_our_own_mailbox_says_why_it_gets_no_letter() -> None:
    world = World()
    world.invite(1)
    world.change(1, address="", unreachable=plan.OWN_MAILBOX)
    assert world.plan() == []
    assert world.notes == {1: plan.OWN_MAILBOX}


def test_what_is_over_owes_nothing_and_says_so() -> None:
    changes: list[Callable[[World], None]] = [
        lambda world: world.edit(title="Another"),
        lambda world: world.edit(cancelled=True),
        lambda world: world.change(1, removed=True),
        lambda world: world.edit(start=START - HOUR),
    ]
    for change in changes:
        world = agreed(1)
        world.now = START + HOUR
        change(world)
        assert world.plan() == []
        assert world.notes == {1: owing.OVER}
    world = World(now=START + HOUR)
    world.invite(1)
    assert world.plan() == []
    assert world.notes == {1: owing.OVER}


def test_what_is_over_only_as_it_was_or_as_it_is_is_told() -> None:
    world = agreed(1)
    world.now = START + HOUR
    world.edit(start=START + 3 * HOUR, end=START + 4 * HOUR)
    assert world.plan() == [(1, "REQUEST", 1)]
    world = agreed(1)
    world.now = START
    world.edit(start=START - 3 * HOUR, end=START - 2 * HOUR)
    assert world.plan() == [(1, "REQUEST", 1)]


@pytest.mark.parametrize("kind", [Kind.TASK, Kind.CALL])
def test_a_task_moves_with_its_deadline(kind: Kind) -> None:
    world = agreed(1, kind=kind, start=None, end=None, deadline=date(2026, 12, 1))
    world.edit(title="Another")
    assert world.plan() == [(1, "REQUEST", 0)]
    world.edit(deadline=date(2026, 12, 2))
    assert world.plan() == [(1, "REQUEST", 1)]
    assert world.code(1) == 6
    world = agreed(1, kind=kind, start=None, end=None, deadline=date(2026, 12, 1))
    world.now = START + 15 * HOUR  # the day of the deadline is over in Oslo
    world.edit(title="Another")
    assert world.plan() == []


# --- by hand ---


@pytest.mark.parametrize(
    ("before", "wanted", "reply", "code"),
    [
        (Reply.DECLINED, 1, Reply.ACCEPTED, 1),
        (Reply.ACCEPTED, 9, Reply.DECLINED, 9),
        (Reply.ACCEPTED, 5, Reply.NEEDS_ACTION, 5),
    ],
)
def test_a_status_by_hand_is_a_toggle_and_owes_no_mail(
    before: Reply, wanted: int, reply: Reply, code: int
) -> None:
    world = agreed()
    world.answer(1, before)
    world.change(1, set_status=wanted)
    assert world.plan() == []
    assert (
        world.rows[1].standings[plan.SERIES].reply,
        world.code(1),
        world.rows[1].set_status,
    ) == (reply, code, None)
    assert world.events == [(1, "toggled")]


@pytest.mark.parametrize(
    ("reply", "wanted"), [(Reply.ACCEPTED, 1), (Reply.DECLINED, 9), (Reply.NEEDS_ACTION, 5)]
)
def test_domain_4_a_program_that_writes_the_status_that_stands_toggles_nothing(
    reply: Reply, wanted: int
) -> None:
    """He said so himself, and it stays his word: a mirror writes everything back each night."""
    world = agreed()
    world.answer(1, reply)
    standing = Standing() if reply is Reply.NEEDS_ACTION else world.rows[1].standings[plan.SERIES]
    world.change(1, set_status=wanted, standings={plan.SERIES: standing})
    assert world.plan() == []
    assert (world.rows[1].standings[plan.SERIES], world.rows[1].set_status) == (standing, None)
    assert world.events == []


@pytest.mark.parametrize("role", [Role.OWNER, Role.RESOURCE])
def test_domain_4_nobody_answers_for_the_owner_or_a_resource_by_a_status(role: Role) -> None:
    for wanted in (1, 5, 9):
        world = agreed()
        asked = {plan.SERIES: Standing()}
        world.change(1, role=role, email_invite=False, standings=asked, set_status=wanted)
        world.plan()
        reply = world.rows[1].standings[plan.SERIES].reply
        assert (reply, world.code(1), world.rows[1].set_status) == (Reply.NEEDS_ACTION, 1, None)
        told = [event.partition(":")[0] for _, event in world.events]
        assert told == ([] if wanted == 1 else ["toggle_refused"])


def test_a_toggle_on_a_cancelled_row_is_refused_and_changes_nothing() -> None:
    world = agreed()
    world.edit(cancelled=True)
    world.change(1, set_status=1)
    world.plan()
    assert world.code(1) == 10
    assert [event for number, event in world.events if number == 1][-1].startswith(
        "toggle_refused: "
    )


def test_the_answer_stands_in_the_letter_that_is_due_anyway() -> None:
    world = agreed()
    world.edit(title="Another")
    assert {one.participant: one.reply for one in world.look().owed} == {
        1: Reply.ACCEPTED,
        2: Reply.ACCEPTED,
    }
    world.edit(location="Fjord")
    assert {one.reply for one in world.look().owed} == {Reply.NEEDS_ACTION}


def test_a_letter_is_later_than_the_last_one_though_the_clock_went_back() -> None:
    world = agreed(1)
    world.now -= timedelta(days=1)
    world.edit(title="Another")
    world.plan()
    world.deliver()
    assert world.holds(1) is not None
    assert world.holds(1).title == "Another"  # type: ignore[union-attr]


def test_planning_an_empty_store_owes_nothing() -> None:
    assert plan.plan(None, None, [], [], plan.Sending(START, account=True)) == plan.Plan(None)


# --- whatever happens, in the end everybody holds what he should ---

FATES = ["taken", "taken", "later", "lost", "doubtful"]
EDITS: dict[str, Callable[[World, int], None]] = {
    "add": lambda world, number: world.invite(number) if number not in world.rows else None,
    "delete": lambda world, number: world.delete(number),
    "remove": lambda world, number: (
        world.change(number, removed=True) if number in world.rows else None
    ),
    "return": lambda world, number: (
        world.change(number, removed=False) if number in world.rows else None
    ),
    "switch off": lambda world, number: (
        world.change(number, email_invite=False) if number in world.rows else None
    ),
    "switch on": lambda world, number: (
        world.change(number, email_invite=True) if number in world.rows else None
    ),
    "readdress": lambda world, number: (
        world.change(number, address=f"other{number}@ext.example") if number in world.rows else None
    ),
    "address back": lambda world, number: (
        world.change(number, address=f"p{number}@ext.example") if number in world.rows else None
    ),
    "title": lambda world, number: world.edit(title=f"Title {number}"),
    "move": lambda world, number: world.edit(location=f"Place {number}"),
    "cancel": lambda world, number: world.edit(cancelled=True),
    "reinstate": lambda world, number: world.edit(cancelled=False),
}
ROW = st.integers(1, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(EDITS)), ROW),
        st.tuples(st.just("plan"), st.integers(0, 2)),
        st.tuples(st.just("plan and send"), ROW),
        st.tuples(st.just("answer"), ROW),
        st.tuples(st.just("claim"), ROW),
        st.tuples(st.sampled_from(FATES), ROW),
    ),
    max_size=40,
)


def play(steps: list[tuple[str, int]]) -> World:
    """Follow the steps; a letter that is claimed stays on its way until a fate meets it."""
    world, flying, marked = World(), dict[int, Letter](), True
    world.invite(1)
    world.invite(2)
    for step, number in steps:
        if step in EDITS:
            EDITS[step](world, number)
            marked = True
        elif step in ("plan", "plan and send"):
            world.now += timedelta(seconds=number if step == "plan" else 0)
            world.plan()
            marked = False
            if (
                step == "plan and send"
                and number not in flying
                and (letter := world.claim(number)) is not None
            ):
                world.settle(letter, "taken")
        elif step == "answer":
            if number in world.rows and not world.rows[number].standings[plan.SERIES].cancelled:
                world.answer(number, Reply.ACCEPTED)
        elif step == "claim":
            if (letter := world.claim(number)) is not None:
                flying[number] = letter
        elif number in flying:
            world.settle(flying.pop(number), step)
    for letter in flying.values():
        world.settle(letter, "lost")
    if marked:
        world.plan()
    world.deliver()
    return world


@settings(max_examples=examples(400))
@given(STEPS)
def test_in_the_end_everybody_holds_exactly_what_he_should(steps: list[tuple[str, int]]) -> None:
    world = play(steps)
    for number in (1, 2):
        held = world.holds(number)
        assert (held is not None) == world.should_hold(number), number
        if held is not None and world.wanted is not None:
            assert (held.title, held.location, held.cancelled) == (
                world.wanted.title,
                world.wanted.location,
                False,
            )
    assert world.look().owed == ()


@settings(max_examples=examples(200))
@given(STEPS)
def test_letters_to_one_row_only_ever_go_up(steps: list[tuple[str, int]]) -> None:
    world = play(steps)
    for number in (1, 2):
        letters = [one.owed for one in world.letters if one.participant == number]
        stamps = [one.dtstamp for one in letters]
        assert stamps == sorted(set(stamps))
        assert all(not one.dtstamp.microsecond for one in letters)
        sequences = [one.sequence for one in letters]
        assert sequences == sorted(sequences)
        told = [owed for row, owed in world.arrived if row == number]
        for before, after in pairwise(told):
            assert (
                after is before or after.method is before.method or after.sequence > before.sequence
            )


@settings(max_examples=examples(200))
@given(STEPS)
def test_planning_twice_is_planning_once_and_nobody_gets_what_does_not_concern_him(
    steps: list[tuple[str, int]],
) -> None:
    world = play(steps)
    again = world.look()
    assert (again.owed, again.superseded, again.changes, again.edition) == ((), (), (), world.known)
    world.invite(9)
    assert [one[0] for one in world.plan()] == ([9] if world.should_hold(9) else [])
    world.deliver()
    codes = {number: world.code(number) for number in world.rows if number != 9}
    world.change(9, removed=True)
    assert {number for number, _, _ in world.plan()} <= {9}
    assert {number: world.code(number) for number in world.rows if number != 9} == codes


def test_standings_of_rows_begin_at_the_invitation() -> None:
    world = World()
    world.invite(1)
    world.plan()
    assert world.rows[1].standings == {plan.SERIES: Standing()}
