"""One wrong UPDATE mails nobody before a person has seen it (domain.md §10), on both databases."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import deciding, decisions, desk, health, load, planning, queue, recording
from gateway.actions.decisions import Chosen
from gateway.followups.decisions import DecisionKind
from gateway.inbound import process
from gateway.model import (
    Access,
    Actor,
    Delivery,
    Edition,
    LetterState,
    Method,
    Reply,
    Standing,
)
from gateway.store import (
    braked,
    claims,
    deleted,
    followups,
    journal,
    marks,
    outbox,
    records,
    schema,
    schema_deleted,
    stated,
    views,
)
from gateway.store import decisions as kept
from gateway.store.engine import Store
from gateway.store.outbox import Selection, Settlement
from tests import stores, waiting
from tests.faults import holdings
from tests.store import rows

MAIL = {"address": "invites@crm.example"}


def braking(most: int) -> configuration.Settings:
    return configuration.load(overrides={"mail": MAIL, "outbound": {"brake_follow_ups": most}})


MOST, MANY = 3, 5
"""How many follow-ups at a time are an ordinary day, and are too many."""
SETTINGS, OFF, USUAL = braking(MOST), braking(0), configuration.load(overrides={"mail": MAIL})
ACCEPTED = Standing(Reply.ACCEPTED, seen=True, comment="gladly", sequence=0, dtstamp=rows.NOW)


def begin(store: Store, count: int = MANY, **values: Any) -> None:
    """So many follow-ups, each with two invitees who hold the invitation, one of whom accepted."""
    key = "braked", count, repr(values)
    stores.once(store, key, lambda: _begin(store, count, values))


def _begin(store: Store, count: int, values: dict[str, Any]) -> None:
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
        letters = claims.take(connection, "g1", rows.NOW + timedelta(days=1), limit)
        taken = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in letters]
        claims.settle(connection, taken, [], "g1", rows.NOW)
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


def test_it_says_who_changed_it_and_how(store: Store) -> None:
    begin(store)
    rows.run(store, WRONG["moved"])
    plan(store)
    with store.read() as connection:
        [change] = braked.by_author(connection)
        first, rest = (outbox.part(connection, Selection(braked=True), 0, 3), 2 * MANY - 3)
        assert len(outbox.part(connection, Selection(braked=True), first[-1].id, 50)) == rest
        assert outbox.count(connection, Selection(braked=True, resting=True)) == 0
    assert (change.by, change.method) == ("SQL", Method.REQUEST)
    assert (change.letters, change.follow_ups) == (2 * MANY, MANY)
    assert change.first is not None
    assert change.last is not None
    assert change.first <= change.last


@pytest.mark.parametrize("rrule", ["", "FREQ=WEEKLY;COUNT=5"])
@pytest.mark.parametrize("name", RIGHT)
def test_a_record_that_is_put_back_sends_nothing_and_answers_are_as_they_were(
    store: Store, name: str, rrule: str
) -> None:
    begin(store, recurrence={"rrule": rrule} if rrule else None)
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


FURTHER = {
    "renamed and moved": "UPDATE follow_up SET title = 'x', agenda = 'y', start_at ="
    " '2026-12-03 08:00:00', end_at = '2026-12-03 09:30:00', timezone = 'Europe/Paris'",
    "all day": "UPDATE follow_up SET all_day = TRUE, start_at = '2026-12-01 00:00:00',"
    " end_at = '2026-12-02 00:00:00'",
    "made a series": "UPDATE follow_up SET rrule = 'FREQ=DAILY;COUNT=3'",
    "made a list": "INSERT INTO follow_up_date (follow_up, original_start)"
    " SELECT key, '2026-12-09 08:00:00' FROM follow_up",
    "switched off": "UPDATE participant SET email_invite = FALSE",
}


WEEKLY = "FREQ=WEEKLY;COUNT=5"


@pytest.mark.parametrize(
    ("name", "rrule"),
    [*((name, "") for name in (*RIGHT, *FURTHER)), *((name, WEEKLY) for name in RIGHT)],
)
def test_an_administrator_puts_the_record_back(store: Store, name: str, rrule: str) -> None:
    """domain.md §10: which sends nothing."""
    series = {"rrule": rrule, "exdates": ["2026-12-15T09:00:00"]} if rrule else None
    begin(store, recurrence=series)
    before, record = status(store), edition(store)
    rows.run(store, (WRONG | FURTHER)[name])
    plan(store)
    assert held(store)
    choose(store, "put_back")
    assert (held(store), troubles(store)) == ([], [])
    plan(store)
    assert (deliver(store), held(store)) == ([], [])
    assert status(store) == before
    assert edition(store) == record
    rows.run(store, WRONG["moved to another place"] + " WHERE key = 'm00'")
    plan(store)
    assert [one[0] for one in deliver(store)] == ["m00", "m00"]


DELETED = {
    "follow-ups": ["DELETE FROM follow_up"],
    "rows": ["DELETE FROM participant"],
    "rows, then follow-ups": ["DELETE FROM participant", "DELETE FROM follow_up"],
    "moved before": [WRONG["moved"], "DELETE FROM follow_up"],
}


@pytest.mark.parametrize("rrule", ["", WEEKLY])
@pytest.mark.parametrize("name", DELETED)
def test_what_was_deleted_is_put_back_as_it_stood(store: Store, name: str, rrule: str) -> None:
    """domain.md §9, §10: with notes, rows and answers, and nobody hears of it."""
    series = {"rrule": rrule, "exdates": ["2026-12-15T09:00:00"]} if rrule else None
    begin(store, recurrence=series, notes="not for them")
    rows.run(store, "INSERT INTO participant (follow_up, associate) VALUES ('m01', 'kari')")
    plan(store)
    before, record, stands = status(store), edition(store), everything(store)
    rows.run(store, *DELETED[name])
    plan(store)
    assert len(held(store)) == 2 * MANY
    choose(store, "put_back")
    plan(store)
    assert (deliver(store), held(store), troubles(store)) == ([], [], [])
    assert status(store) == before
    assert edition(store) == record
    assert everything(store) == stands
    assert copies(store) == 0
    rows.run(store, WRONG["moved to another place"] + " WHERE key = 'm00'")
    plan(store)
    assert [one[0] for one in deliver(store)] == ["m00", "m00"]


def everything(store: Store) -> list[tuple[Any, ...]]:
    """What other programs have written."""
    tables = {
        schema.follow_up: {*records.OURS},
        schema.follow_up_date: set[str](),
        schema.participant: {"note"},
    }
    with store.read() as connection:
        return [
            tuple(row)
            for table, left in tables.items()
            for row in connection.execute(
                sa.select(*(one for one in table.c if one.name not in left)).order_by(
                    *table.primary_key
                )
            )
        ]


def copies(store: Store) -> int:
    with store.read() as connection:
        numbers = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (
                schema_deleted.deleted_follow_up,
                schema_deleted.deleted_participant,
                schema_deleted.deleted_standing,
            )
        ]
    return sum(numbers)


def test_who_answered_what_was_deleted_is_asked_once_more(store: Store) -> None:
    """domain.md §10: what he said then counted for nothing, and what he said before may be wrong."""
    begin(store)
    with store.read() as connection:
        [ola] = [
            one.id
            for one in followups.members(connection, "m01")
            if one.address == "ola@ext.example"
        ]
    rows.run(store, "DELETE FROM follow_up")
    plan(store)
    with store.write() as connection:
        deleted.void(connection, [ola])
    choose(store, "put_back")
    plan(store)
    assert deliver(store) == [("m01", "REQUEST")]
    with store.read() as connection:
        codes = {(one.follow_up, one.key): one.code for one in followups.members(connection)}
    assert codes.pop(("m01", "ola@ext.example")) == 5
    assert {codes[key, "ola@ext.example"] for key in ("m00", "m02", "m03", "m04")} == {1}


CARD = (
    "INSERT INTO person (key, name) VALUES ('ola', 'Ola')",
    "INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@ext.example')",
    "UPDATE participant SET person = 'ola', email = NULL WHERE email = 'ola@ext.example'",
)
"""Ola takes part as somebody whom the directory knows."""


def test_whose_card_was_deleted_is_put_back_by_the_address(store: Store) -> None:
    """domain.md §10: the card is not ours to write again."""
    begin(store)
    rows.run(store, *CARD)
    plan(store)
    before = [one[:3] for one in status(store)]
    rows.run(store, "DELETE FROM person")
    plan(store)
    assert len(held(store)) == MANY
    choose(store, "put_back")
    plan(store)
    assert (deliver(store), held(store)) == ([], [])
    assert sorted(one[:3] for one in status(store)) == sorted(before)


def test_what_cannot_be_put_back_is_held_on(store: Store) -> None:
    """domain.md §10: another one has the UID, and who takes part by another row keeps that."""
    begin(store)
    rows.run(store, *CARD)
    plan(store)
    rows.run(
        store,
        "DELETE FROM follow_up WHERE key <> 'm00'",
        WRONG["moved"],
        "DELETE FROM participant",
        "DELETE FROM person",
        "INSERT INTO participant (follow_up, email) VALUES ('m00', 'ola@ext.example')",
        "INSERT INTO follow_up (key, owner, title, start_at, end_at, uid) SELECT 'm99', 'kari',"
        " 'Other', '2026-12-01 08:00:00', '2026-12-01 09:00:00', uid FROM deleted_follow_up"
        " WHERE key = 'm01'",
    )
    plan(store)
    choose(store, "put_back")
    plan(store)
    assert {(one.follow_up, one.letter.address) for one in held(store)} == {
        ("m00", "ola@ext.example"),
        ("m01", "eva@other.example"),
        ("m01", "ola@ext.example"),
    }
    assert troubles(store) == ["brake"]
    choose(store, "drop")
    plan(store)
    assert (deliver(store), held(store), troubles(store)) == ([], [], [])


def test_copies_of_what_was_deleted_go_when_nobody_may_need_them(store: Store) -> None:
    begin(store)
    rows.run(store, "DELETE FROM follow_up")
    assert copies(store) == MANY * (1 + 2 + 1)
    recording.forget(store)
    assert copies(store) == MANY * (1 + 2 + 1), "nobody has looked at it"
    plan(store)
    recording.forget(store)
    assert copies(store) == MANY * (1 + 2 + 1), "the brake holds what follows"
    choose(store, "release")
    deliver(store)
    recording.forget(store)
    assert copies(store) == 0


def choose(store: Store, choice: str) -> None:
    """The choice of an administrator."""
    chief = Actor(Access.ADMIN, name="chief")
    with store.read() as connection:
        waits = kept.open_about(connection, DecisionKind.BRAKE, deciding.BRAKE)
    assert waits is not None
    judge = process.Processor(store, SETTINGS).again
    desk.perform(
        store,
        SETTINGS,
        rows.NOW,
        chief,
        lambda here: decisions.decide(here, waits.id, Chosen(choice), judge),
    )


def edition(store: Store, key: str = "m01") -> Edition | None:
    """What a letter would say now."""
    with store.read() as connection:
        return stated.edition(connection, key, stated.Site("Europe/Oslo", "en"), [])


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


def answer(store: Store, to: outbox.Queued, reply: str, at: datetime) -> str:
    """He answers this letter; returns the outcome."""
    letter = to.letter
    raw = holdings.answer(
        holdings.Invitation(
            "REQUEST",
            letter.edition.uid,
            letter.sequence,
            letter.organizer_address,
            letter.message_id,
            "",
            "",
        ),
        letter.address,
        reply,
        at,
    )
    with time_machine.travel(at, tick=False):
        [result] = process.Processor(store, SETTINGS).receive([process.Received(raw, at, len(raw))])
    assert result.outcome is not None
    return result.outcome.value


ANSWERED = [
    ("moved", "", "old_answer", 9, []),
    ("moved", "FREQ=WEEKLY;COUNT=5", "old_answer", 6, [("m00", "REQUEST")]),
    ("cancelled", "", "closed", 5, [("m00", "REQUEST")]),
    ("removed", "", "closed", 5, [("m00", "REQUEST")]),
]
"""What was wrong, with what rule, what became of an answer meanwhile, what he has said once the
record is put back, and what leaves then.
"""


@pytest.mark.parametrize(("name", "rrule", "outcome", "code", "leaves"), ANSWERED)
def test_what_he_says_of_what_he_holds_meanwhile_counts_or_is_asked_for(
    store: Store, name: str, rrule: str, outcome: str, code: int, leaves: list[tuple[str, str]]
) -> None:
    """He had accepted, and declines what he was never told to be another time, or gone."""
    begin(store, recurrence={"rrule": rrule} if rrule else None)
    ola = letter_to(store, "ola")
    rows.run(store, WRONG[name])
    plan(store)
    assert answer(store, ola, "DECLINED", rows.NOW + timedelta(hours=1)) == outcome
    plan(store)
    assert (deliver(store), len(held(store))) == ([], 2 * MANY)
    rows.run(store, RIGHT[name])
    plan(store)
    assert deliver(store) == leaves
    assert [one[2] for one in status(store) if one[0] == "m00"] == [code, 5]
    assert {one[2] for one in status(store) if one[0] != "m00"} == {1, 5}


def test_who_answered_meanwhile_gets_what_is_released_and_nothing_beside_it(store: Store) -> None:
    begin(store)
    ola = letter_to(store, "ola")
    rows.run(store, WRONG["moved"])
    plan(store)
    answer(store, ola, "DECLINED", rows.NOW + timedelta(hours=1))
    queue.change(store, queue.Verb.RELEASE, Selection(braked=True), rows.NOW, "administrator")
    plan(store)
    assert Counter(deliver(store)) == {(f"m{number:02}", "REQUEST"): 2 for number in range(MANY)}
    assert [one[2] for one in status(store) if one[0] == "m00"] == [6, 5]


def letter_to(store: Store, who: str) -> outbox.Queued:
    with store.read() as connection:
        sent = outbox.find(connection, Selection(follow_up="m00"))
    return next(one for one in sent if one.letter.address.startswith(who))


def test_two_planners_count_together(store: Store) -> None:
    """Each has two follow-ups, and neither sees what the other has not committed."""
    begin(store, 4)
    others = ThreadPoolExecutor(1)
    second = list[Future[None]]()

    def go_on() -> None:
        rows.run(store, f"{WRONG['moved']} WHERE key >= 'm02'")
        plan(store)

    def before_commit(connection: Any) -> None:
        """The first one has planned its own, and is about to commit."""
        counts = "SELECT count(*) FROM outbox WHERE changed_at IS NOT NULL"
        if not second and connection.exec_driver_sql(counts).scalar_one():
            second.append(others.submit(go_on))
            wait_for_turn(store, second[0])

    rows.run(store, f"{WRONG['moved']} WHERE key < 'm02'")
    sa.event.listen(store.engine, "commit", before_commit)
    try:
        plan(store)
    finally:
        sa.event.remove(store.engine, "commit", before_commit)
    second[0].result(60)
    others.shutdown()
    assert deliver(store) == []
    assert len(held(store)) == 8


def wait_for_turn(store: Store, other: "Future[None]") -> None:
    """Until the other planner waits for this one, or has not waited. On SQLite it cannot begin."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def is_turn() -> bool:
        with store.read() as connection:
            return bool(connection.exec_driver_sql(query).scalar_one())

    waiting.watch(lambda: store.is_sqlite or other.done() or is_turn())


@pytest.mark.parametrize("ends", ["between", "within"])
def test_a_gateway_that_is_started_anew_counts_on(store: Store, url: str, ends: str) -> None:
    """It ends between two changes, or before it has committed what it planned."""
    begin(store, 4)
    rows.run(store, f"{WRONG['moved']} WHERE key < 'm02'")
    with closing(Store(url)) as first:
        if ends == "within":
            sa.event.listen(first.engine, "commit", _killed)
            with pytest.raises(KeyboardInterrupt):
                plan(first)
        else:
            plan(first)
    rows.run(store, f"{WRONG['moved']} WHERE key >= 'm02'")
    with closing(Store(url)) as second, capture_logs() as logs:
        plan(second)
        assert (deliver(second), len(held(second))) == ([], 8)
    alarm = "too many follow-ups were cancelled or moved: their letters are held"
    assert [one["event"] for one in logs].count(alarm) == 1
    with closing(Store(url)) as third, capture_logs() as logs:
        rows.run(third, "UPDATE follow_up SET title = 'Another'")
        plan(third)
        assert (deliver(third), len(held(third))) == ([], 8)
        assert [one["event"] for one in logs].count(alarm) == 0
        rows.run(third, RIGHT["moved"], "UPDATE follow_up SET title = 'Kick-off'")
        plan(third)
        assert (deliver(third), held(third)) == ([], [])


def _killed(connection: Any) -> None:
    """Nothing of the transaction stays, as after a kill."""
    raise KeyboardInterrupt


def test_twenty_follow_ups_are_an_ordinary_day_and_one_more_is_not(store: Store) -> None:
    begin(store, 21)
    rows.run(store, f"{WRONG['cancelled']} WHERE key < 'm20'")
    plan(store, USUAL)
    assert (held(store), troubles(store)) == ([], [])
    rows.run(store, f"{WRONG['cancelled']} WHERE key = 'm20'")
    plan(store, USUAL)
    assert (deliver(store), len(held(store))) == ([], 42)


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
            since = marks.newest_number(connection)
            followups.reschedule(connection, f"m{number:02}", {"location": "Fjord"})
            marks.single_since(connection, since)
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
    begin(store, 6)
    for number in range(3):
        rows.run(store, f"{WRONG['moved']} WHERE key = 'm{number:02}'")
    plan(store)
    left = deliver(store, 2)
    assert len(left) == 2
    for number in range(3, 6):
        rows.run(store, f"{WRONG['moved']} WHERE key = 'm{number:02}'")
    plan(store)
    assert deliver(store) == []
    assert len(held(store)) == 12 - 2


def test_a_day_without_a_gateway_is_no_mass_change(store: Store) -> None:
    begin(store, 6)
    for number in range(6):
        rows.run(store, f"{WRONG['cancelled']} WHERE key = 'm{number:02}'")
        rows.run(
            store,
            f"UPDATE change_mark SET at = '2026-11-20 08:{4 * number:02}:00'"
            f" WHERE follow_up = 'm{number:02}'",
        )
    plan(store)
    assert (held(store), len(deliver(store))) == ([], 12)


def test_what_was_released_is_not_held_again_by_the_rest_of_the_change(store: Store) -> None:
    begin(store, 10)
    rows.run(store, f"{WRONG['cancelled']} WHERE key < 'm05'")
    plan(store)
    queue.change(store, queue.Verb.RELEASE, Selection(braked=True), rows.NOW, "administrator")
    rows.run(store, f"{WRONG['cancelled']} WHERE key >= 'm05'")
    plan(store)
    assert {one.follow_up for one in held(store)} == {f"m{number:02}" for number in range(5, 10)}
    assert len(deliver(store)) == 10


def test_the_history_of_a_row_says_that_its_letter_is_held(store: Store) -> None:
    begin(store)
    rows.run(store, WRONG["cancelled"])
    plan(store)
    with store.read() as connection:
        events = Counter(
            (one.event, one.detail)
            for one in journal.after(connection, 0, 5000)
            if one.event == "held"
        )
    assert events == {("held", "brake"): 2 * MANY}
