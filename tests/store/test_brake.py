"""One wrong UPDATE mails nobody before a person has seen it (domain.md §10), on both databases."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway import settings as configuration
from gateway.actions import health, load, planning, queue
from gateway.model import Delivery, LetterState, Method, Reply, Standing
from gateway.store import braked, followups, journal, outbox, views
from gateway.store.engine import Store
from gateway.store.outbox import Selection, Settlement
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
OFF = configuration.load(
    overrides={
        "mail": {"address": "invites@crm.example"},
        "outbound": {"brake_follow_ups": 0},
    }
)
MANY = 22
ACCEPTED = Standing(Reply.ACCEPTED, seen=True, comment="gladly", sequence=0, dtstamp=rows.NOW)


def begin(store: Store, count: int = MANY, **values: Any) -> None:
    """So many follow-ups, each with two invitees who hold the invitation, one of whom accepted."""
    meetings = [
        {
            "key": f"m{number:02}",
            "owner": "kari",
            "title": "Kick-off",
            "start": "2026-12-01T09:00:00",
            "end": "2026-12-01T10:00:00",
            "timezone": "Europe/Oslo",
            "participants": [
                {"email": "ola@ext.example", "email_invite": True},
                {"email": "eva@other.example", "email_invite": True},
            ],
        }
        | values
        for number in range(count)
    ]
    document = {"associates": [{"key": "kari", "name": "Kari"}], "follow_ups": meetings}
    with store.write() as connection:
        load.load(connection, document, SETTINGS, rows.NOW)
    plan(store)
    assert Counter(method for _, method in deliver(store)) == {Method.REQUEST: 2 * count}
    with store.write() as connection:
        for member in followups.members(connection):
            if member.address.startswith("ola"):
                followups.write_standing(connection, member.id, None, ACCEPTED, 1)


def plan(store: Store, settings: configuration.Settings = SETTINGS) -> None:
    planning.plan_due(store, settings, rows.NOW, everything=True)


def deliver(store: Store, limit: int = 1000) -> list[tuple[str, str]]:
    """What leaves now, all of it taken: the follow-up, and what."""
    with store.write() as connection:
        letters = outbox.claim(connection, "g1", rows.NOW + timedelta(days=1), limit)
        taken = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in letters]
        outbox.settle(connection, taken, [], "g1", rows.NOW)
    return [(one.follow_up, one.letter.method.value) for one in letters]


def held(store: Store) -> list[outbox.Queued]:
    return list(queue.listed(store, Selection(braked=True)).letters)


def troubles(store: Store) -> list[str]:
    return [one.subject for one in health.told(store, SETTINGS, rows.NOW)]


WRONG = {
    "cancelled": "UPDATE follow_up SET cancelled = TRUE",
    "moved": "UPDATE follow_up SET start_at = '2026-12-02 08:00:00', end_at = '2026-12-02 09:00:00'",
    "moved to another place": "UPDATE follow_up SET location = 'Fjord'",
    "deleted": "DELETE FROM follow_up",
    "removed": "UPDATE participant SET removed = TRUE",
}
RIGHT = {
    "cancelled": "UPDATE follow_up SET cancelled = FALSE",
    "moved": "UPDATE follow_up SET start_at = '2026-12-01 08:00:00', end_at = '2026-12-01 09:00:00'",
    "moved to another place": "UPDATE follow_up SET location = ''",
    "removed": "UPDATE participant SET removed = FALSE",
}


@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_update_mails_nobody_and_raises_one_alarm(store: Store, name: str) -> None:
    begin(store)
    rows.run(store, WRONG[name])
    plan(store)
    assert deliver(store) == []
    assert {(one.state, one.note) for one in held(store)} == {(LetterState.HELD, "brake")}
    assert len(held(store)) == 2 * MANY
    assert troubles(store) == ["brake"]
    changed = queue.change(
        store, queue.Verb.RELEASE, Selection(braked=True), rows.NOW, "administrator"
    )
    assert len(changed) == 2 * MANY
    assert troubles(store) == []
    assert len(deliver(store)) == 2 * MANY
    plan(store)
    assert (deliver(store), held(store)) == ([], [])


@pytest.mark.parametrize("rrule", ["", "FREQ=WEEKLY;COUNT=5"])
@pytest.mark.parametrize("name", RIGHT)
def test_a_record_that_is_put_back_sends_nothing_and_answers_are_as_they_were(
    store: Store, name: str, rrule: str
) -> None:
    begin(store, **({"recurrence": {"rrule": rrule}} if rrule else {}))
    before = status(store)
    rows.run(store, WRONG[name])
    plan(store)
    rows.run(store, RIGHT[name])
    plan(store)
    assert (deliver(store), held(store), troubles(store)) == ([], [], [])
    assert status(store) == before
    # The next move is an ordinary one, with the next SEQUENCE.
    rows.run(store, WRONG["moved"] + " WHERE key = 'm00'")
    plan(store)
    with store.read() as connection:
        waiting = outbox.pending(connection)
    assert [(one.letter.method, one.letter.sequence) for one in waiting] == [
        (Method.REQUEST, 1),
        (Method.REQUEST, 1),
    ]


def status(store: Store) -> list[tuple[str, str, int, str, str]]:
    with store.read() as connection:
        return [
            (one.follow_up, one.address, one.code, one.reply.value, one.comment)
            for one in views.status_rows(connection)
        ]


def test_what_is_changed_otherwise_meanwhile_is_told_when_the_record_is_put_back(
    store: Store,
) -> None:
    begin(store)
    rows.run(store, WRONG["moved"])
    plan(store)
    rows.run(store, "UPDATE follow_up SET title = 'Another'")
    plan(store)
    # What took the place of a held letter is held, too.
    assert (deliver(store), len(held(store))) == ([], 2 * MANY)
    rows.run(store, RIGHT["moved"])
    plan(store)
    assert held(store) == []
    assert Counter(deliver(store)) == {(f"m{number:02}", "REQUEST"): 2 for number in range(MANY)}
    assert [one[2] for one in status(store)] == [1, 5] * MANY


def test_an_answer_that_came_meanwhile_is_asked_for_again(store: Store) -> None:
    begin(store)
    rows.run(store, WRONG["moved"])
    plan(store)
    with store.write() as connection:
        [ola, _] = followups.members(connection, "m00")
        braked.void(connection, ola.id)
    rows.run(store, RIGHT["moved"])
    plan(store)
    assert deliver(store) == [("m00", "REQUEST")]


def test_twenty_follow_ups_are_an_ordinary_day(store: Store) -> None:
    begin(store, 20)
    rows.run(store, WRONG["cancelled"])
    plan(store)
    assert len(deliver(store)) == 40
    assert troubles(store) == []


def test_the_brake_can_be_switched_off(store: Store) -> None:
    begin(store)
    rows.run(store, WRONG["cancelled"])
    plan(store, OFF)
    assert len(deliver(store)) == 2 * MANY


HARMLESS: dict[str, Callable[[Store], None]] = {
    "titles": lambda store: rows.run(store, "UPDATE follow_up SET title = 'Another'"),
    "new invitations": lambda store: rows.run(
        store,
        "INSERT INTO participant (follow_up, email, email_invite) SELECT key, 'new@ext.example', TRUE"
        " FROM follow_up",
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_invitations_and_words_are_not_counted(store: Store, name: str) -> None:
    begin(store)
    HARMLESS[name](store)
    plan(store)
    assert held(store) == []
    assert len(deliver(store)) >= MANY


def test_what_a_person_does_to_each_by_a_command_is_not_counted(store: Store) -> None:
    begin(store)
    for number in range(MANY):
        with store.write() as connection:
            followups.reschedule(connection, f"m{number:02}", {"location": "Fjord"})
            followups.mark_single(connection, f"m{number:02}")
    plan(store)
    assert (held(store), len(deliver(store))) == ([], 2 * MANY)


def test_a_load_is_braked_too(store: Store) -> None:
    begin(store)
    document = {
        "follow_ups": [
            {
                "key": f"m{number:02}",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2026-12-01T09:00:00",
                "cancelled": True,
            }
            for number in range(MANY)
        ]
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, rows.NOW)
    plan(store)
    assert (deliver(store), len(held(store))) == ([], 2 * MANY)


def test_the_first_ones_are_held_too_as_far_as_they_have_not_left(store: Store) -> None:
    """A program that commits each row: the first are planned, and one has left, before it is
    clear how many there are.
    """
    begin(store, 30)
    for number in range(15):
        rows.run(store, f"{WRONG['moved']} WHERE key = 'm{number:02}'")
    plan(store)
    left = deliver(store, 2)
    assert len(left) == 2
    for number in range(15, 30):
        rows.run(store, f"{WRONG['moved']} WHERE key = 'm{number:02}'")
    plan(store)
    assert deliver(store) == []
    assert len(held(store)) == 60 - 2


def test_a_day_without_a_gateway_is_no_mass_change(store: Store) -> None:
    begin(store, 30)
    for number in range(30):
        rows.run(store, f"{WRONG['cancelled']} WHERE key = 'm{number:02}'")
        rows.run(
            store,
            f"UPDATE change_mark SET at = '2026-11-20 {8 + number // 15:02}:{4 * (number % 15):02}:00'"
            f" WHERE follow_up = 'm{number:02}'",
        )
    plan(store)
    assert (held(store), len(deliver(store))) == ([], 60)


def test_what_was_released_is_not_held_again_by_the_rest_of_the_change(store: Store) -> None:
    begin(store, 60)
    rows.run(store, f"{WRONG['cancelled']} WHERE key < 'm30'")
    plan(store)
    queue.change(store, queue.Verb.RELEASE, Selection(braked=True), rows.NOW, "administrator")
    rows.run(store, f"{WRONG['cancelled']} WHERE key >= 'm30'")
    plan(store)
    assert {one.follow_up for one in held(store)} == {f"m{number}" for number in range(30, 60)}
    assert len(deliver(store)) == 60


def test_the_history_of_a_row_says_that_its_letter_is_held(store: Store) -> None:
    begin(store, 25)
    rows.run(store, WRONG["cancelled"])
    plan(store)
    with store.read() as connection:
        events = Counter(
            (one.event, one.detail)
            for one in journal.after(connection, 0, 5000)
            if one.event == "held"
        )
    assert events == {("held", "brake"): 50}
