"""Who is reminded, when, and that it happens once, on both databases; and why something was
cancelled, from the row to the letter.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import load, planning, reminders
from gateway.daemon import run
from gateway.daemon.health import Monitor
from gateway.followups import editions
from gateway.ical import ics
from gateway.invite import reminders as rules
from gateway.mail import bounce
from gateway.model import Delivery, LetterState, Method, Moment, Occasion, Outcome, Reply, Standing
from gateway.store import claims, followups, inbox, invitations, journal, leases, reports
from gateway.store import reminders as rows_of
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from tests.store import rows
from tests.store.rows import waiting

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
START = datetime(2027, 3, 2, 8, tzinfo=UTC)
INVITED = START - 10 * DAY
HOURS = 24
SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example"}, "outbound": {"reminder_hours": HOURS}}
)
NEAR = START - 20 * HOUR
"""Within the hours before the start."""


def invite(store: Store, at: datetime = INVITED, key: str = "m1", **more: Any) -> list[Queued]:
    """A meeting that Ola and Eva are invited to and hold, and have not answered."""
    follow_up = {
        "key": key,
        "owner": "kari",
        "title": "Kick-off",
        "start": "2027-03-02T09:00:00",
        "end": "2027-03-02T10:00:00",
        "timezone": "Europe/Oslo",
        "participants": [
            {"person": "ola", "email_invite": True},
            {"email": "eva@other.example", "name": "Eva", "email_invite": True},
            {"associate": "kari"},
            {"resource": "room1"},
        ],
    } | more
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [{"key": "kari", "name": "Kari"}],
                "resources": [{"key": "room1", "name": "Fjord"}],
                "persons": [{"key": "ola", "name": "Ola", "emails": ["ola@ext.example"]}],
                "follow_ups": [follow_up],
            },
            SETTINGS,
            at,
        )
    plan(store, at)
    return send(store, at)


def plan(store: Store, at: datetime) -> None:
    planning.plan_due(store, SETTINGS, at, everything=True)


def send(store: Store, at: datetime, *, state: LetterState = LetterState.SENT) -> list[Queued]:
    """Everything that waits is taken, or refused."""
    with store.write() as connection:
        claimed = claims.take(connection, "a", at + HOUR, 100)
        sent = state is LetterState.SENT
        claims.settle(
            connection,
            [
                Settlement(one.id, state, sent, Delivery.SENT if sent else Delivery.UNDELIVERABLE)
                for one in claimed
            ],
            [],
            "a",
            at,
        )
    return claimed


def remind(
    store: Store, at: datetime = NEAR, settings: configuration.Settings = SETTINGS
) -> list[str]:
    """Who has a reminder waiting after a look."""
    count = reminders.remind(store, settings, "here:1:a", lambda: at)
    found = [one for one in waiting(store) if one.letter.remarks.occasion is Occasion.REMINDER]
    assert count == len([one for one in found if one.created_at == at])
    return [one.letter.address.partition("@")[0] for one in found]


def number(store: Store, who: str = "ola@ext.example", key: str = "m1") -> int:
    with store.read() as connection:
        return next(one.id for one in followups.members(connection, key) if one.address == who)


def answer(
    store: Store, reply: Reply = Reply.ACCEPTED, instance: Moment | None = None, key: str = "m1"
) -> None:
    with store.write() as connection:
        followups.write_standing(
            connection,
            number(store, key=key),
            instance,
            Standing(reply, seen=True),
            1 if instance is None else None,
        )


def entries(store: Store, event: str) -> list[journal.Entry]:
    with store.read() as connection:
        return [one for one in journal.after(connection, 0) if one.event == event]


def test_whoever_has_not_answered_is_reminded_once(store: Store) -> None:
    first = {one.letter.address: one.letter for one in invite(store)}
    answer(store)
    assert remind(store) == ["eva"]
    [letter] = [one.letter for one in waiting(store)]
    assert (letter.method, letter.sequence, letter.reply) == (Method.REQUEST, 0, Reply.NEEDS_ACTION)
    assert letter.dtstamp > first["eva@other.example"].dtstamp
    assert letter.before is not None
    assert not editions.differs(letter.before, letter.edition)
    assert [(one.follow_up, one.participant) for one in entries(store, "reminded")] == [
        ("m1", number(store, "eva@other.example"))
    ]
    send(store, NEAR)
    for hours in (1, 10, 19):
        assert remind(store, NEAR + hours * HOUR) == []
    plan(store, NEAR + HOUR)
    assert waiting(store) == []
    assert len(entries(store, "reminded")) == 1


def test_nobody_is_reminded_unless_it_is_switched_on(store: Store) -> None:
    invite(store)
    off = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
    assert off.outbound.reminder_hours == 0
    assert remind(store, settings=off) == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (START - 25 * HOUR, 0),
        (START - 24 * HOUR - timedelta(seconds=1), 0),
        (START - 24 * HOUR, 2),
        (START - HOUR, 2),
        (START - timedelta(seconds=1), 2),
        (START, 0),
        (START + timedelta(minutes=30), 0),
        (START + DAY, 0),
    ],
)
def test_only_within_the_hours_before_the_start(store: Store, at: datetime, expected: int) -> None:
    invite(store)
    assert len(remind(store, at)) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (START - 6 * DAY - HOUR, 0),
        (START - 6 * DAY, 2),
        (START - 5 * DAY - timedelta(seconds=1), 2),
        (START - 5 * DAY, 0),
        (START - 2 * DAY, 0),
        (NEAR, 2),
    ],
)
def test_where_an_answer_is_wanted_by_a_time_that_is_the_deadline_until_it_is_over(
    store: Store, at: datetime, expected: int
) -> None:
    invite(store, answer_by="2027-02-25T09:00:00")
    assert len(remind(store, at)) == expected


def test_nobody_is_asked_what_is_over(store: Store) -> None:
    invite(store, answer_by="2027-03-03T09:00:00")
    assert remind(store, START + 2 * HOUR) == []


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Europe/Oslo", datetime(2027, 3, 1, 23, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2027, 3, 1, 10, tzinfo=UTC)),
        ("Pacific/Pago_Pago", datetime(2027, 3, 2, 11, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize(
    "day",
    [
        {"start": "2027-03-02", "end": "2027-03-03", "all_day": True},
        {"kind": "task", "start": None, "end": None, "deadline": "2027-03-02T18:00:00"},
    ],
)
def test_a_day_begins_with_midnight_where_the_follow_up_is(
    store: Store, zone: str, midnight: datetime, day: dict[str, Any]
) -> None:
    invite(store, timezone=zone, **day)
    second = timedelta(seconds=1)
    assert [len(remind(store, at)) for at in (midnight - DAY - second, midnight)] == [0, 0]
    assert len(remind(store, midnight - second)) == 2


def test_a_series_has_its_first_date_as_deadline_and_an_answer_to_one_date_is_none_to_the_series(
    store: Store,
) -> None:
    invite(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"})
    answer(store, Reply.DECLINED, START + WEEK)
    assert remind(store) == ["eva", "ola"]


@pytest.mark.parametrize("moved", [False, True])
def test_who_is_invited_to_one_date_has_its_start_as_deadline(store: Store, moved: bool) -> None:
    date = START + WEEK
    own = (
        [
            {
                "original_start": "2027-03-09T09:00:00",
                "start": "2027-03-11T09:00:00",
                "end": "2027-03-11T10:00:00",
            }
        ]
        if moved
        else []
    )
    invite(
        store,
        recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"},
        instances=own,
        participants=[
            {
                "email": "eva@other.example",
                "email_invite": True,
                "original_start": "2027-03-09T09:00:00",
            }
        ],
    )
    late = 2 * DAY if moved else timedelta()
    assert [
        remind(store, at) for at in (NEAR, date - 25 * HOUR, date + late - 25 * HOUR, date + late)
    ] == [[]] * 4
    assert remind(store, date + late - HOUR) == ["eva"]
    assert [(one.participant, one.instance) for one in entries(store, "reminded")] == [
        (number(store, "eva@other.example"), date)
    ]


@pytest.mark.parametrize(
    "own",
    [
        {},
        {
            "instances": [
                {
                    "original_start": "2027-03-09T09:00:00",
                    "start": "2027-03-06T09:00:00",
                    "end": "2027-03-06T10:00:00",
                }
            ]
        },
        {"instances": [{"original_start": "2027-03-09T09:00:00", "cancelled": True}]},
    ],
)
def test_a_series_that_has_begun_is_reminded_of_before_the_next_date_that_takes_place(
    store: Store, own: dict[str, Any]
) -> None:
    invite(store, START + HOUR, recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"}, **own)
    moved = own.get("instances", [{}])[0].get("start")
    date = START + 4 * DAY if moved else START + 2 * WEEK if own else START + WEEK
    assert [remind(store, at) for at in (START + 2 * DAY, date - 25 * HOUR)] == [[], []]
    assert remind(store, date - HOUR) == ["eva", "ola"]
    send(store, date - HOUR)
    assert [remind(store, START + weeks * WEEK - HOUR) for weeks in (2, 3)] == [[], []]


def test_a_date_that_was_added_counts_like_any_other(store: Store) -> None:
    invite(
        store,
        start="2027-02-02T09:00:00",
        end="2027-02-02T10:00:00",
        at=START - 40 * DAY,
        recurrence={"rrule": "FREQ=MONTHLY;COUNT=1"},
    )
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2027-03-05 08:00:00')",
    )
    plan(store, START - DAY)
    send(store, START - DAY)
    assert remind(store, START + DAY) == []
    assert remind(store, START + 2 * DAY + HOUR) == ["eva", "ola"]


def test_a_series_that_is_over_is_nothing_to_be_asked_about(store: Store) -> None:
    invite(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"}, answer_by="2027-03-30T09:00:00")
    assert remind(store, START + 3 * WEEK + 2 * HOUR) == []


def test_nobody_is_marked_where_there_is_no_account_to_send_from(store: Store) -> None:
    invite(store)
    bare = configuration.load(overrides={"outbound": {"reminder_hours": HOURS}})
    assert remind(store, settings=bare) == []
    assert entries(store, "reminded") == []
    assert remind(store, NEAR + HOUR) == ["eva", "ola"]


def test_a_look_at_what_is_not_due_writes_nothing(store: Store) -> None:
    invite(store, all_day=True, start="2027-03-02", end="2027-03-03")
    written = list[str]()
    near = START - 8 * HOUR - DAY - 5 * HOUR
    with store.read() as connection:
        assert [one.key for one in rows_of.near(connection, near, DAY, None, 10)] == ["m1"], (
            "it may be due, for all that an index knows"
        )

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        written.extend(
            [statement] if statement.split()[0] in ("INSERT", "UPDATE", "DELETE") else []
        )

    sa.event.listen(store.engine, "before_cursor_execute", before)
    try:
        assert remind(store, near) == []
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", before)
    assert written == []


def test_a_follow_up_is_looked_at_once_however_many_deadlines_it_has(store: Store) -> None:
    dates = [f"2027-03-{day:02}T09:00:00" for day in (2, 9)]
    invite(
        store,
        recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"},
        answer_by="2027-03-02T08:00:00",
        participants=[
            {"email": f"e{count}@other.example", "email_invite": True, "original_start": dates[0]}
            for count in range(3)
        ],
    )
    with store.read() as connection:
        assert [one.key for one in rows_of.near(connection, NEAR, DAY, None, 10)] == ["m1"]
        assert (
            rows_of.near(connection, NEAR, DAY, rows_of.near(connection, NEAR, DAY, None, 1)[0], 10)
            == []
        )
        rows.run(store, "UPDATE follow_up SET cancelled = TRUE")
    with store.read() as connection:
        assert rows_of.near(connection, NEAR, DAY, None, 10) == []


QUIET: dict[str, Callable[[Store], object]] = {
    "accepted": lambda store: answer(store),
    "declined": lambda store: answer(store, Reply.DECLINED),
    "tentative": lambda store: answer(store, Reply.TENTATIVE),
    "passed on": lambda store: answer(store, Reply.DELEGATED),
    "switched off": lambda store: rows.run(
        store, "UPDATE participant SET email_invite = FALSE WHERE person = 'ola'"
    ),
    "removed": lambda store: rows.run(
        store, "UPDATE participant SET removed = TRUE WHERE person = 'ola'"
    ),
    "cancelled": lambda store: rows.run(store, "UPDATE follow_up SET cancelled = TRUE"),
    "bounced": lambda store: _report(store, Delivery.UNDELIVERABLE),
    "asked for another time": lambda store: rows.run(
        store, "INSERT INTO proposal (participant) SELECT id FROM participant WHERE person = 'ola'"
    ),
    "a mail that is under review": lambda store: _said(store, Outcome.HELD),
    "words for the owner": lambda store: _said(store, Outcome.COMMENT),
    "a change that waits to be planned": lambda store: rows.run(
        store, "UPDATE follow_up SET title = 'Oppstart'"
    ),
}


def _said(store: Store, outcome: Outcome) -> None:
    with store.write() as connection:
        inbox.record(
            connection,
            inbox.Record("d", 1, NEAR - HOUR, outcome, "", participant=number(store)),
            NEAR - HOUR,
        )


def _report(store: Store, delivery: Delivery) -> None:
    with store.write() as connection:
        returned = reports.about(connection, number(store), bounce.Report((), "failed"))
        assert returned is not None
        reports.mark(connection, returned, delivery, "550 no such user", NEAR)


@pytest.mark.parametrize("what", QUIET)
def test_who_is_left_alone(store: Store, what: str) -> None:
    invite(store)
    QUIET[what](store)
    assert "ola" not in remind(store)
    plan(store, NEAR)
    send(store, NEAR)
    assert "ola" not in remind(store, NEAR + HOUR), "nor later"


def test_an_address_that_refused_is_left_alone(store: Store) -> None:
    invite(store)
    rows.run(store, "UPDATE follow_up SET title = 'Oppstart'")
    plan(store, INVITED + HOUR)
    send(store, INVITED + HOUR, state=LetterState.REFUSED)
    assert remind(store) == []


def test_nobody_is_reminded_who_had_a_letter_within_the_hours(store: Store) -> None:
    invite(store, NEAR - HOUR)
    assert remind(store) == []
    assert remind(store, START - timedelta(minutes=1)) == []


def test_nobody_is_reminded_while_a_letter_waits_for_him(store: Store) -> None:
    invite(store)
    rows.run(store, "UPDATE follow_up SET title = 'Oppstart'")
    plan(store, INVITED + HOUR)
    assert remind(store) == []


def test_an_hour_at_which_a_delayed_letter_left_counts_and_not_when_it_was_written(
    store: Store,
) -> None:
    invite(store)
    rows.run(store, "UPDATE follow_up SET title = 'Oppstart'")
    plan(store, INVITED + HOUR)
    with store.write() as connection:
        claimed = claims.take(connection, "a", INVITED + 2 * HOUR, 100)
        claims.settle(
            connection,
            [
                Settlement(one.id, LetterState.WAITING, None, Delivery.DEFERRED, NEAR - 2 * HOUR)
                for one in claimed
            ],
            [],
            "a",
            INVITED + 2 * HOUR,
        )
    send(store, NEAR - 2 * HOUR)
    assert remind(store) == []


def test_a_move_is_a_new_question_with_a_reminder_of_its_own(store: Store) -> None:
    invite(store)
    assert remind(store) == ["eva", "ola"]
    send(store, NEAR)
    rows.run(
        store,
        "UPDATE follow_up SET start_at = '2027-03-09 08:00:00', end_at = '2027-03-09 09:00:00'",
    )
    plan(store, NEAR + HOUR)
    assert {one.letter.remarks.occasion for one in waiting(store)} == {Occasion.PLANNED}
    send(store, NEAR + HOUR)
    assert remind(store, NEAR + 2 * HOUR) == []
    assert remind(store, NEAR + WEEK) == ["eva", "ola"]
    assert {one.letter.sequence for one in waiting(store)} == {1}


def test_letters_about_one_date_give_no_second_reminder(store: Store) -> None:
    """They carry the date's SEQUENCE; what has not been answered is the series."""
    invite(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"})
    assert remind(store) == ["eva", "ola"]
    send(store, NEAR)
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-09 08:00:00', TRUE)",
    )
    plan(store, NEAR + HOUR)
    assert [one.letter.instance for one in send(store, NEAR + HOUR)] == [START + WEEK] * 2
    rows.run(store, "UPDATE follow_up SET answer_by = '2027-03-04 08:00:00'")
    plan(store, NEAR + 2 * HOUR)
    send(store, NEAR + 2 * HOUR)
    assert remind(store, START + 2 * DAY - HOUR) == []


def test_a_reminder_that_is_claimed_after_the_answer_came_is_known_as_needless(
    store: Store,
) -> None:
    invite(store)
    remind(store)
    answer(store)
    with store.write() as connection:
        claimed = {
            one.letter.address: one for one in claims.take(connection, "a", NEAR + HOUR, 100)
        }
    needless = {
        address: rules.needless(one.letter, one.answered, NEAR + HOUR)
        for address, one in claimed.items()
    }
    assert needless == {"ola@ext.example": True, "eva@other.example": False}
    assert all(rules.needless(one.letter, one.answered, START) for one in claimed.values()), (
        "nor after the deadline"
    )


def test_a_change_that_replaces_a_waiting_reminder_is_told_as_one(store: Store) -> None:
    invite(store)
    remind(store)
    rows.run(store, "UPDATE follow_up SET title = 'Oppstart'")
    plan(store, NEAR + HOUR)
    assert {(one.letter.remarks.occasion, one.letter.edition.title) for one in waiting(store)} == {
        (Occasion.PLANNED, "Oppstart")
    }
    assert remind(store, NEAR + 2 * HOUR) == []


def test_a_reminder_that_was_turned_away_and_then_replaced_is_owed_again_when_nothing_else_is(
    store: Store,
) -> None:
    invite(store)
    answer(store)
    assert remind(store) == ["eva"]
    [first] = send(store, NEAR, state=LetterState.WAITING)
    for title in ("Start", "Kick-off"):
        rows.run(store, f"UPDATE follow_up SET title = '{title}'")
        plan(store, NEAR + HOUR)
    assert waiting(store) == []
    assert remind(store, NEAR + 2 * HOUR) == ["eva"]
    assert [one.id for one in waiting(store)] != [first.id]
    send(store, NEAR + 3 * HOUR)
    assert remind(store, NEAR + 4 * HOUR) == []


def test_a_reminder_and_a_letter_that_was_asked_for_do_not_meet(store: Store) -> None:
    invite(store)
    with store.write() as connection:
        assert invitations.refresh(connection, number(store), NEAR)
    assert remind(store) == ["eva"]
    assert {one.letter.address: one.letter.remarks.occasion for one in waiting(store)} == {
        "eva@other.example": Occasion.REMINDER,
        "ola@ext.example": Occasion.REFRESH,
    }
    with store.write() as connection:
        assert not invitations.refresh(connection, number(store, "eva@other.example"), NEAR), (
            "one is on its way"
        )


def test_several_gateways_send_one_reminder(store: Store) -> None:
    for count in range(6):
        invite(store, key=f"m{count}")

    def look(holder: int) -> int:
        with closing(Store(store.url.render_as_string(hide_password=False))) as own:
            return reminders.remind(own, SETTINGS, f"{leases.identity()}{holder}", lambda: NEAR)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(look, range(4))) == 12
    assert (
        reminders.remind(
            store, SETTINGS, "elsewhere/x/1:1:a", lambda: NEAR + leases.LIFE + timedelta(seconds=1)
        )
        == 0
    )
    assert len(waiting(store)) == 12
    assert len(entries(store, "reminded")) == 12


def test_one_of_them_is_at_it_at_a_time(store: Store) -> None:
    invite(store)
    with store.write() as connection:
        assert leases.take(connection, reminders.LEASE, "elsewhere/x/1:1:a", NEAR) is not None
    assert remind(store) == []
    assert len(remind(store, NEAR + leases.LIFE + timedelta(seconds=1))) == 2


def test_the_nearest_deadline_comes_first_and_a_look_has_an_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in range(5):
        invite(
            store,
            key=f"m{count}",
            start=f"2027-03-02T{12 - count:02}:00:00",
            end="2027-03-02T18:00:00",
        )
    monkeypatch.setattr(reminders, "PAGE", 2)
    monkeypatch.setattr(reminders, "MOST", 3)
    assert [reminders.remind(store, SETTINGS, "here:1:a", lambda: NEAR) for _ in range(4)] == [
        4,
        4,
        2,
        0,
    ]
    assert [one.follow_up for one in entries(store, "reminded")] == [
        "m4",
        "m4",
        "m3",
        "m3",
        "m2",
        "m2",
        "m1",
        "m1",
        "m0",
        "m0",
    ]


def test_a_follow_up_that_cannot_be_planned_keeps_nobody_waiting(store: Store) -> None:
    invite(store)
    invite(store, key="m2")
    rows.run(
        store,
        "UPDATE follow_up SET timezone = 'Europe/Olso' WHERE key = 'm1'",
        "DELETE FROM change_mark",
    )
    assert remind(store) == ["eva", "ola"]
    assert {one.follow_up for one in waiting(store)} == {"m2"}
    assert len(entries(store, "reminded")) == 2


async def test_the_daemon_looks_by_itself(store: Store) -> None:
    now = datetime.now(UTC)
    start = (now + 20 * HOUR).replace(microsecond=0)
    invite(store, now - 10 * DAY, start=start.isoformat(), end=(start + HOUR).isoformat())
    stop, committed, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    sa.event.listen(
        store.engine, "commit", notice := lambda _: loop.call_soon_threadsafe(committed.set)
    )
    process = run.Process(SETTINGS, store, leases.identity())
    monitor = Monitor(store, SETTINGS, process.holder, process.board)
    jobs, *_ = run.ROLES["jobs"](process, monitor)
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(jobs.run(stop))
            while len(entries(store, "reminded")) < 2:
                await committed.wait()
                committed.clear()
            stop.set()
    finally:
        sa.event.remove(store.engine, "commit", notice)
    assert [one.letter.remarks.occasion for one in waiting(store)] == [Occasion.REMINDER] * 2


def test_what_lies_ahead_is_not_walked_through(store: Store) -> None:
    """A look goes by the indexes of the deadlines, whatever else there is."""
    if not store.is_sqlite:
        with store.write() as connection:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            query = (
                "EXPLAIN SELECT key FROM follow_up WHERE answer_by IS NULL AND start_at > now() AND start_at <= now() + interval '1 day'"
                " UNION ALL SELECT key FROM follow_up WHERE answer_by > now() AND answer_by <= now() + interval '1 day'"
                " UNION ALL SELECT follow_up FROM follow_up_date WHERE original_start > now() AND original_start <= now()"
                " UNION ALL SELECT follow_up FROM change_mark WHERE follow_up = 'm1'"
            )
            told = " ".join(row[0] for row in connection.exec_driver_sql(query))
        assert "ix_follow_up_start_at" in told
        assert "ix_follow_up_answer_by" in told
        assert "ix_follow_up_date_original_start" in told
        assert "ix_change_mark_follow_up" in told
        return
    with rows.explained(store, "SELECT found", "UNION ALL") as steps, store.read() as connection:
        rows_of.near(connection, NEAR, DAY, None, 10)
    for table, column in (
        ("follow_up", "answer_by"),
        ("follow_up", "start_at"),
        ("follow_up", "deadline"),
        ("follow_up_date", "start_at"),
        ("follow_up_date", "original_start"),
        ("participant", "original_start"),
    ):
        assert any(
            f"SEARCH {table} USING INDEX ix_{table}_{column} ({column}>? AND {column}<?)" in one
            for one in steps
        ), steps
    assert any(
        "SEARCH follow_up USING INDEX ix_follow_up_series (start_at<?)" in one for one in steps
    ), steps
    assert not [one for one in steps if one.startswith("SCAN") and "found" not in one]


# --- why it was cancelled ---


def reasons(store: Store) -> list[tuple[str, Moment | None, str]]:
    return [
        (one.letter.method.value, one.letter.instance, ics.cancel_reason(one.letter))
        for one in waiting(store)
    ]


@pytest.mark.parametrize("date", [None, START + WEEK])
def test_a_reason_stands_in_the_cancellation_and_owes_nothing_by_itself(
    store: Store, date: datetime | None
) -> None:
    invite(store, recurrence={"rrule": "FREQ=WEEKLY;COUNT=4"})
    if date is None:
        table, where = "follow_up", "key = 'm1'"
    else:
        table, where = "follow_up_date", "follow_up = 'm1'"
        rows.run(
            store,
            "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2027-03-09 08:00:00')",
        )

    def write(text: str) -> None:
        rows.run(store, f"UPDATE {table} SET {text} WHERE {where}")
        plan(store, INVITED + HOUR)

    write("cancel_reason = 'too early'")
    assert reasons(store) == [], "what takes place has no reason not to"
    write("cancelled = TRUE, cancel_reason = 'The speaker is ill'")
    assert reasons(store) == [("CANCEL", date, "The speaker is ill")] * 2
    write("cancel_reason = 'The room is flooded'")
    assert reasons(store) == [("CANCEL", date, "The room is flooded")] * 2, (
        "what has not left says the last word"
    )
    send(store, INVITED + HOUR)
    write("cancel_reason = 'Both'")
    assert reasons(store) == [], "what has left stands"
    write("cancelled = FALSE")
    assert reasons(store) == [("REQUEST", date, "")] * 2


def test_a_withdrawal_gives_no_reason(store: Store) -> None:
    invite(store)
    rows.run(
        store,
        "UPDATE follow_up SET cancel_reason = 'never said'",
        "UPDATE participant SET removed = TRUE WHERE person = 'ola'",
    )
    plan(store, INVITED + HOUR)
    assert [(one.letter.withdrawn, ics.cancel_reason(one.letter)) for one in waiting(store)] == [
        (True, "")
    ]


def test_another_time_by_which_an_answer_is_wanted_is_told_without_asking_anew(
    store: Store,
) -> None:
    invite(store)
    answer(store)
    rows.run(store, "UPDATE follow_up SET answer_by = '2027-02-27 08:00:00'")
    for _ in range(2):
        plan(store, INVITED + HOUR)
        assert [
            (one.letter.method, one.letter.sequence, one.letter.address, one.state)
            for one in waiting(store)
        ] == [(Method.REQUEST, 0, "eva@other.example", LetterState.WAITING)]
        rows.run(store, "UPDATE follow_up SET notes = 'looked at again'")
    [first] = waiting(store)
    rows.run(store, "UPDATE follow_up SET answer_by = '2027-02-28 08:00:00'")
    plan(store, INVITED + 2 * HOUR)
    [second] = waiting(store)
    assert (second.id > first.id, second.letter.edition.answer_by) == (True, START - 2 * DAY)
    rows.run(store, "UPDATE follow_up SET answer_by = NULL")
    plan(store, INVITED + 3 * HOUR)
    assert waiting(store) == [], "as it was"
    rows.run(store, "UPDATE follow_up SET answer_by = '2027-03-04 08:00:00'")
    plan(store, INVITED + 3 * HOUR)
    assert waiting(store) == [], "after the start nobody is told of it"


def test_a_series_that_is_over_is_looked_at_no_more_until_it_goes_on(store: Store) -> None:
    invite(store, START + HOUR, recurrence={"rrule": "FREQ=WEEKLY;COUNT=2"})
    after = START + 2 * WEEK
    with store.read() as connection:
        assert [
            one.key for one in rows_of.near(connection, after, timedelta(hours=HOURS), None, 10)
        ] == ["m1"]
    assert remind(store, after) == []
    with store.read() as connection:
        assert rows_of.near(connection, after, timedelta(hours=HOURS), None, 10) == []
    rows.run(store, "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=6'")
    plan(store, after)
    assert [one.letter.sequence for one in send(store, after)] == [1, 1]
    assert remind(store, START + 4 * WEEK - 2 * HOUR) == ["eva", "ola"]
