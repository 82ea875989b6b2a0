"""Series in the store, on both databases: what plain SQL does to single dates, stops, splits, and
the letters that follow.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import load, planning, series
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import editions, recurrence
from gateway.ical import ics
from gateway.mail import bounce
from gateway.model import Delivery, Edition, LetterState, Method, Moment, Occasion, Reply, Standing
from gateway.store import (
    claims,
    followups,
    invitations,
    journal,
    marks,
    outbox,
    proposals,
    reports,
    schema,
    schema_letters,
    views,
)
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from tests.core import attendee
from tests.store import rows
from tests.store.rows import waiting

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NOW = datetime(2027, 2, 20, 8, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
START = datetime(2027, 3, 2, 8, tzinfo=UTC)
N = [START + WEEK * number - (HOUR if number > 3 else timedelta()) for number in range(8)]
"""Names of the dates: nine o'clock in Oslo, over the change of summer time on 28 March."""
Row = tuple[str, str, int, Moment | None]


def begin(store: Store, **more: Any) -> None:
    """A weekly series that Ola and Eva hold and have accepted."""
    follow_up = {
        "key": "m1",
        "owner": "kari",
        "title": "Weekly",
        "start": "2027-03-02T09:00:00",
        "end": "2027-03-02T10:00:00",
        "timezone": "Europe/Oslo",
        "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=6"},
        "notes": "secret",
        "participants": [
            {"person": "ola", "email_invite": True},
            {"email": "eva@other.example", "name": "Eva", "email_invite": True},
            {"associate": "kari"},
            {"resource": "room1"},
            {"email": "gone@other.example", "email_invite": False, "removed": True},
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
            NOW,
        )
    owed(store)
    send(store)
    with store.write() as connection:
        for member in followups.members(connection, "m1"):
            if member.address:
                followups.write_standing(
                    connection, member.id, None, Standing(Reply.ACCEPTED, seen=True), 1
                )


def owed(store: Store) -> list[Row]:
    """Plan everything and tell which letters wait: to, method, SEQUENCE, date."""
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    return [
        (
            one.letter.address.partition("@")[0],
            one.letter.method.value,
            one.letter.sequence,
            one.letter.instance,
        )
        for one in waiting(store)
    ]


def send(store: Store, *, arrived: bool = True) -> list[Queued]:
    """Everything that waits leaves, or is turned away once."""
    sent = list[Queued]()
    while True:
        with store.write() as connection:
            claimed = claims.take(connection, "a", NOW + HOUR, 100)
            claims.settle(
                connection,
                [
                    Settlement(one.id, LetterState.SENT, True, Delivery.SENT)
                    if arrived
                    else Settlement(
                        one.id, LetterState.WAITING, False, Delivery.DEFERRED, NOW + 2 * HOUR
                    )
                    for one in claimed
                ],
                [],
                "a",
                NOW,
            )
        sent += claimed
        if not claimed or not arrived:
            return sent


def both(method: str, sequence: int, instance: Moment | None = None) -> list[Row]:
    return [("eva", method, sequence, instance), ("ola", method, sequence, instance)]


def edition(store: Store, key: str = "m1") -> Edition:
    with store.read() as connection:
        number = followups.known_edition(connection, key)
        return invitations.editions(connection, [number])[number]


def statuses(store: Store, who: str = "ola") -> tuple[str, dict[str, str]]:
    """The status of a row, and of its dates with one of their own."""
    with store.read() as connection:
        [row] = [one for one in views.status_rows(connection, "m1") if one.key == who]
    return row.status, {one.instance[:10]: one.status for one in row.instances}


def events(store: Store) -> list[tuple[str, Moment | None]]:
    with store.read() as connection:
        return [
            (one.event, one.instance)
            for one in journal.after(connection, 0)
            if one.event not in ("queued", "created", "moved")
        ]


FOUR = {
    "UPDATE follow_up SET notes = 'x'": [],
    "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-23 08:00:00', TRUE)": [
        ("CANCEL", 3, N[3])
    ],
    "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-30 07:00:00', TRUE)": [
        ("CANCEL", 4, N[4])
    ],
}


@pytest.mark.parametrize(
    "arrived", [(True, True), (True, False), (False, True), (False, False), None], ids=str
)
def test_of_several_dates_those_that_were_refused_are_told_with_the_next_change(
    store: Store, arrived: tuple[bool, bool] | None
) -> None:
    begin(store, participants=[{"person": "ola", "email_invite": True}])
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-16 08:00:00', TRUE)",
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at)"
        " VALUES ('m1', '2027-03-09 08:00:00', '2027-03-09 10:00:00', '2027-03-09 11:00:00')",
    )
    two = [("CANCEL", 1, N[2]), ("REQUEST", 2, N[1])]
    assert owed(store) == [("ola", *one) for one in two]
    if arrived is None:  # both are taken, and a report tells later that the mailbox is full
        send(store)
        with store.write() as connection:
            full = bounce.Report(("ola@ext.example",), "failed", "5.2.2", "full")
            returned = reports.about(connection, 1, full)
            assert returned is not None
            reports.mark(connection, returned, Delivery.UNDELIVERABLE, "5.2.2 full", NOW)
    else:
        for one in arrived:
            with store.write() as connection:
                [letter] = claims.take(connection, "a", NOW + HOUR, 100)
                claims.settle(
                    connection,
                    [
                        Settlement(letter.id, LetterState.SENT, True, Delivery.SENT)
                        if one
                        else Settlement(
                            letter.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE
                        )
                    ],
                    [],
                    "a",
                    NOW,
                )
    untold = [one for one, told in zip(two, arrived or (False, False), strict=True) if not told]
    for change, told in FOUR.items():
        rows.run(store, change)
        assert owed(store) == [("ola", *one) for one in (*(untold if told else ()), *told)]
        for queued in waiting(store):
            assert queued.letter.before is not None
            assert editions.changed_dates(queued.letter.before, queued.letter.edition) == [
                queued.letter.instance
            ]
        send(store)
        untold = [] if told else untold


def test_what_arrived_between_two_letters_that_were_refused_is_known_although_nothing_more_is_owed(
    store: Store,
) -> None:
    begin(store, participants=[{"person": "ola", "email_invite": True}])
    for day, hour in (16, 8), (23, 8), (30, 7):
        rows.run(
            store,
            "INSERT INTO follow_up_date (follow_up, original_start, cancelled)"
            f" VALUES ('m1', '2027-03-{day} 0{hour}:00:00', TRUE)",
        )
    assert owed(store) == [("ola", "CANCEL", number, N[number + 1]) for number in (1, 2, 3)]
    for refused in True, False, True:
        with store.write() as connection:
            [letter] = claims.take(connection, "a", NOW + HOUR, 100)
            claims.settle(
                connection,
                [
                    Settlement(letter.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE)
                    if refused
                    else Settlement(letter.id, LetterState.SENT, True, Delivery.SENT)
                ],
                [],
                "a",
                NOW,
            )
    for switch in "FALSE", "TRUE":
        assert owed(store) == []
        rows.run(store, f"UPDATE participant SET email_invite = {switch}")
    assert owed(store) == [("ola", "CANCEL", 1, N[2]), ("ola", "CANCEL", 3, N[4])]


def test_one_date_by_plain_sql(store: Store) -> None:
    begin(store)
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at)"
        " VALUES ('m1', '2027-03-09 08:00:00', '2027-03-09 10:00:00', '2027-03-09 11:00:00')",
    )
    assert owed(store) == both("REQUEST", 1, N[1])
    assert statuses(store) == ("not_started", {"2027-03-09": "moved"})
    send(store)
    rows.run(store, "UPDATE follow_up_date SET cancelled = TRUE")
    assert owed(store) == both("CANCEL", 2, N[1])
    assert statuses(store) == ("not_started", {"2027-03-09": "cancelled"})
    send(store)
    with store.read() as connection:
        assert {
            row.sent_method for row in connection.execute(sa.select(schema_letters.invitation))
        } == {Method.REQUEST}, "the series is still held"
    rows.run(store, "DELETE FROM follow_up_date")
    assert owed(store) == both("REQUEST", 3, N[1])
    assert statuses(store) == ("not_started", {"2027-03-09": "invitation"})
    send(store)
    rows.run(store, "UPDATE follow_up SET title = 'Another'")
    assert owed(store) == both("REQUEST", 0)
    [eva, _] = send(store)
    assert eva.letter.remarks.date_replies == ((N[1], Reply.NEEDS_ACTION),)
    rows.run(store, "UPDATE participant SET removed = TRUE WHERE email = 'eva@other.example'")
    assert owed(store) == [("eva", "CANCEL", 4, None)], (
        "above what was ever sent to the row, not only last"
    )


def test_several_dates_are_told_one_by_one_and_what_was_turned_away_stays_owed(
    store: Store,
) -> None:
    begin(store)
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-09 08:00:00', TRUE)",
        "INSERT INTO follow_up_date (follow_up, original_start, start_at) VALUES ('m1', '2027-03-16 08:00:00', '2027-03-17 08:00:00')",
    )
    wanted = [
        ("eva", "CANCEL", 1, N[1]),
        ("eva", "REQUEST", 2, N[2]),
        ("ola", "CANCEL", 1, N[1]),
        ("ola", "REQUEST", 2, N[2]),
    ]
    assert owed(store) == wanted
    assert [one.letter.instance for one in send(store, arrived=False)] == [N[1], N[1]], (
        "the first of each row"
    )
    assert owed(store) == wanted
    with store.write() as connection:
        marks.mark(connection, ["m1"], NOW)
    assert owed(store) == wanted, "looked at again, the same letters wait"
    assert len({one.letter.message_id for one in waiting(store)}) == 4


def test_letters_in_order_give_what_the_store_has(store: Store) -> None:
    begin(store)
    program = attendee.Calendar(keeps=True)
    with store.read() as connection:
        first = outbox.pending(connection, [LetterState.SENT])
    for one in first:
        if one.letter.address == "ola@ext.example":
            program.take(ics.calendar(one.letter))
    for statement in (
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-09 08:00:00', TRUE)",
        "INSERT INTO follow_up_date (follow_up, original_start, start_at) VALUES ('m1', '2027-03-16 08:00:00', '2027-03-17 08:00:00')",
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '2027-03-20 08:00:00')",
        "UPDATE follow_up SET title = 'Another'",
        "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=4'",
        "UPDATE follow_up SET start_at = '2027-03-02 09:00:00', end_at = '2027-03-02 10:00:00'",
    ):
        rows.run(store, statement)
        owed(store)
        for one in send(store):
            if one.letter.address == "ola@ext.example":
                program.take(ics.calendar(one.letter))
        now = edition(store)
        wanted = [
            (one.original, one.start)
            for one in recurrence.occurrences(now, START - DAY, START + 20 * WEEK)
        ]
        assert [
            (one.name, one.start) for one in program.shows(START - DAY, START + 20 * WEEK)
        ] == wanted, statement
        assert len(wanted) >= 4


def test_dates_that_the_series_has_no_more_lose_their_rows_and_answers(store: Store) -> None:
    begin(
        store,
        instances=[
            {"original_start": "2027-03-09T09:00:00", "start": "2027-03-09T11:00:00"},
            {"original_start": "2027-03-16T09:00:00", "cancelled": True},
        ],
    )
    with store.write() as connection:
        [ola] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
        followups.write_standing(connection, ola.id, N[1], ola.standings[None], None)
    rows.run(
        store,
        "UPDATE follow_up SET start_at = '2027-03-02 09:00:00', end_at = '2027-03-02 10:00:00'",
    )
    assert owed(store) == both("REQUEST", 1)
    now = edition(store)
    assert (
        now.dates,
        now.recurrence and now.recurrence.exdates,
        now.recurrence and now.recurrence.rdates,
    ) == ((), (), ())
    assert statuses(store) == ("moved", {})
    assert [one for one in events(store) if one[0] == "date_dropped"] == [
        ("date_dropped", N[2]),
        ("date_dropped", N[1]),
    ]


def test_a_moved_date_overtakes_what_was_asked_for_of_it_only(store: Store) -> None:
    begin(store)
    with store.write() as connection:
        [ola] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
        for date in (N[1], N[2]):
            connection.execute(
                sa.insert(schema.proposal).values(
                    participant=ola.id,
                    instance=f"{date:%Y-%m-%dT%H:%M:%SZ}",
                    proposed_start="2027-03-30T08:00:00Z",
                )
            )
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, start_at) VALUES ('m1', '2027-03-09 08:00:00', '2027-03-10 08:00:00')",
    )
    owed(store)
    with store.read() as connection:
        assert [one.instance for one in proposals.open(connection, "m1")] == [N[2]]


def test_an_end_before_the_start_is_none_and_the_journal_says_so(store: Store) -> None:
    begin(store)
    rows.run(
        store,
        "UPDATE follow_up SET end_at = '2027-03-02 06:00:00'",
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at)"
        " VALUES ('m1', '2027-03-09 08:00:00', '2027-03-09 10:00:00', '2027-03-09 09:00:00'),"
        " ('m1', '2027-03-16 08:00:00', '2027-03-16 10:00:00', '2027-03-16 10:00:00'),"
        " ('m1', '2027-03-23 08:00:00', NULL, '2027-03-23 08:30:00')",
    )
    owed(store)
    now = edition(store)
    assert (now.start, now.end) == (START, START + HOUR)
    assert [(one.start, one.end) for one in now.dates] == [
        (N[1] + 2 * HOUR, N[1] + 3 * HOUR),
        (N[2] + 2 * HOUR, N[2] + 2 * HOUR),
        (N[3], N[3] + HOUR / 2),
    ]
    assert {one for one in events(store) if one[0] == "end_ignored"} == {
        ("end_ignored", None),
        ("end_ignored", N[1]),
    }
    rows.run(
        store,
        "UPDATE follow_up SET all_day = TRUE, rrule = '', start_at = '2027-03-02 00:00:00', end_at = '2027-03-01 00:00:00'",
        "DELETE FROM follow_up_date",
    )
    before = len(events(store))
    owed(store)
    assert [one for one in events(store)[before:] if one[0] != "date_dropped"] == [
        ("changed", None),
        ("end_ignored", None),
    ]


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("rrule = 'FREQ=SOMETIMES'", "rrule = 'FREQ=WEEKLY;COUNT=6'"),
        ("timezone = 'Mars/Olympus'", "timezone = 'Europe/Oslo'"),
    ],
)
def test_a_record_that_says_what_cannot_be_keeps_nobody_else_waiting(
    store: Store, bad: str, good: str
) -> None:
    begin(store)
    rows.run(
        store,
        "INSERT INTO follow_up (key, owner, title, start_at) VALUES ('m2', 'kari', 'Other', '2027-03-02 08:00:00')",
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m2', 'per@other.example', TRUE)",
        f"UPDATE follow_up SET title = 'Another', {bad} WHERE key = 'm1'",
    )
    assert owed(store) == [("per", "REQUEST", 0, None)]
    with store.read() as connection:
        notes = {one.key: one.note for one in followups.members(connection, "m1")}
    assert notes["ola"].startswith("no letter: ")
    assert notes["kari"] == ""
    assert "not_planned" in {event for event, _ in events(store)}
    assert edition(store).title == "Weekly", "nothing of it was taken over"
    rows.run(store, f"UPDATE follow_up SET {good} WHERE key = 'm1'")
    assert owed(store) == [
        *both("REQUEST", 0)[:1],
        ("ola", "REQUEST", 0, None),
        ("per", "REQUEST", 0, None),
    ]
    with store.read() as connection:
        assert {one.note for one in followups.members(connection, "m1")} == {""}


def test_stop(store: Store) -> None:
    begin(
        store,
        instances=[
            {"original_start": "2027-03-09T09:00:00", "start": "2027-03-09T11:00:00"},
            {"original_start": "2027-04-06T09:00:00", "start": "2027-04-07T09:00:00"},
        ],
    )
    with store.write() as connection:
        series.stop(connection, "m1", N[2], SETTINGS, NOW, "kari")
    assert owed(store) == both("REQUEST", 1)
    now = edition(store)
    assert now.recurrence is not None
    assert (now.recurrence.rrule, [one.original for one in now.dates]) == (
        "FREQ=WEEKLY;UNTIL=20270316T080000Z",
        [N[1]],
    )
    assert statuses(store)[0] == "not_started"
    assert ("stopped", N[3]) in events(store)
    with store.write() as connection:
        series.stop(connection, "m1", N[2].date(), SETTINGS, NOW)
    assert len(owed(store)) == 2, "it ends by then anyway"


def test_a_series_of_days_stops_too(store: Store) -> None:
    begin(
        store,
        start="2027-03-02",
        end="2027-03-03",
        all_day=True,
        recurrence={"rrule": "FREQ=WEEKLY"},
    )
    with store.write() as connection:
        series.stop(connection, "m1", N[2], SETTINGS, NOW)
    owed(store)
    now = edition(store)
    assert now.recurrence is not None
    assert now.recurrence.rrule == "FREQ=WEEKLY;UNTIL=20270316"


def test_this_and_all_future(store: Store) -> None:
    begin(
        store,
        instances=[
            {"original_start": "2027-03-09T09:00:00", "start": "2027-03-09T11:00:00"},
            {"original_start": "2027-04-06T09:00:00", "cancelled": True},
        ],
    )
    with store.write() as connection:
        made = series.split(
            connection,
            "m1",
            series.From(N[4], {"title": "Later", "location": "Fjord"}),
            SETTINGS,
            NOW,
            "kari",
        ).key
    assert made == "m1-20270330"
    assert owed(store) == [
        ("eva", "REQUEST", 1, None),
        ("eva", "REQUEST", 0, None),
        ("ola", "REQUEST", 1, None),
        ("ola", "REQUEST", 0, None),
    ]
    old, new = edition(store), edition(store, made)
    assert old.recurrence is not None
    assert new.recurrence is not None
    assert (old.recurrence.rrule, old.title, old.location) == (
        "FREQ=WEEKLY;UNTIL=20270323T080000Z",
        "Weekly",
        "",
    )
    assert [one.original for one in old.dates] == [N[1]]
    assert (new.recurrence.rrule, new.start, new.title, new.location) == (
        "FREQ=WEEKLY;COUNT=2",
        N[4],
        "Later",
        "Fjord",
    )
    assert new.recurrence.exdates == (N[5],), "what was cancelled stays so"
    assert new.uid != old.uid
    assert statuses(store)[0] == "not_started", "the old answers stand"
    with store.read() as connection:
        copied = followups.members(connection, made)
        notes = connection.execute(
            sa.select(schema.follow_up.c.notes).where(schema.follow_up.c.key == made)
        ).scalar_one()
        tokens = [row.token for row in connection.execute(sa.select(schema_letters.invitation))]
    assert [(one.key, one.email_invite, one.code) for one in copied] == [
        ("ola", True, 5),
        ("eva@other.example", True, 5),
        ("kari", False, 1),
        ("room1", False, 1),
    ]
    assert notes == "secret"
    assert len(set(tokens)) == 4


def test_at_another_time_a_day_that_is_left_out_stays_so(store: Store) -> None:
    begin(
        store,
        recurrence={"rrule": "FREQ=WEEKLY"},
        instances=[
            {"original_start": "2027-03-30T09:00:00", "start": "2027-03-31T09:00:00"},
            {"original_start": "2027-04-06T09:00:00", "cancelled": True},
        ],
    )
    with store.write() as connection:
        made = series.split(
            connection, "m1", series.From(N[3], {"start_at": N[3] + 4 * HOUR}), SETTINGS, NOW
        ).key
    owed(store)
    now = edition(store, made)
    assert now.recurrence is not None
    assert (now.start, now.end, now.dates) == (N[3] + 4 * HOUR, N[3] + 5 * HOUR, ())
    assert now.recurrence.exdates == (N[5] + 4 * HOUR,)


def test_what_cannot_go_on(store: Store) -> None:
    begin(store, recurrence={"rrule": "FREQ=WEEKLY;BYDAY=TU", "rdates": ["2027-03-12T09:00:00"]})
    with store.write() as connection:
        for at, changes, wrong in (
            (N[1], {"uid": "x"}, InputError),
            (N[1] + HOUR, {}, NotFound),
            (N[0], {}, Refused),
            (datetime(2027, 3, 12, 8, tzinfo=UTC), {}, Refused),
            (N[1], {"start_at": N[1] + DAY}, Refused),
            (N[1], {"end_at": N[0]}, InputError),
            (N[1], {"timezone": "Mars/Olympus"}, InputError),
        ):
            with pytest.raises(wrong):
                series.split(connection, "m1", series.From(at, changes), SETTINGS, NOW)
        with pytest.raises(Refused):
            series.stop(connection, "m1", START - DAY, SETTINGS, NOW)
        with pytest.raises(NotFound):
            series.stop(connection, "m2", START, SETTINGS, NOW)
        made = series.split(
            connection,
            "m1",
            series.From(N[1], {"start_at": N[1] + DAY, "rrule": "FREQ=WEEKLY;BYDAY=WE"}),
            SETTINGS,
            NOW,
        ).key
        assert followups.known_edition(connection, made) is None
    owed(store)
    rows.run(store, "UPDATE follow_up SET cancelled = TRUE")
    with store.write() as connection, pytest.raises(Refused):
        series.stop(connection, "m1", N[1], SETTINGS, NOW)


def test_one_date_only(store: Store) -> None:
    """Two dates of the same person are two rows,
    and what happens to the series is none of theirs.
    """
    per = [
        {
            "email": "per@other.example",
            "email_invite": True,
            "original_start": f"2027-03-{day}T09:00:00",
        }
        for day in ("09", "16")
    ]
    document = {
        "participants": [{"person": "ola", "email_invite": True}, *per],
        "guest_list": "public",
    }
    begin(store, **document)
    with store.read() as connection:
        first, second = [
            one for one in followups.members(connection, "m1") if one.key == "per@other.example"
        ]
        held = invitations.deliveries(connection, [first.id, second.id])
        sent = {
            row.participant: row for row in connection.execute(sa.select(schema_letters.invitation))
        }
        views_of = invitations.editions(connection, [row.sent_edition for row in sent.values()])
    assert (first.date, second.date) == (N[1], N[2])
    assert held[first.id].token != held[second.id].token
    assert views_of[sent[first.id].sent_edition] == editions.seen(edition(store), N[1])
    assert [one.name for one in views_of[sent[first.id].sent_edition].guests] == ["Ola", ""]
    rows.run(store, "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=8'")
    assert owed(store) == [("ola", "REQUEST", 1, None)], (
        "longer is another series, and nothing else for them"
    )
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2027-03-09 08:00:00', TRUE)",
    )
    assert ("per", "CANCEL", 2, None) in owed(store)
    [letter] = [
        one
        for one in waiting(store)
        if one.letter.method is Method.CANCEL
        and one.letter.date == N[1]
        and one.participant == first.id
    ]
    assert b"RECURRENCE-ID;TZID=Europe/Oslo:20270309T090000" in ics.calendar(letter.letter)
    with store.read() as connection:
        shown = [
            one for one in views.status_rows(connection, "m1") if one.key == "per@other.example"
        ]
    assert [(one.original_start, one.status) for one in shown] == [
        ("2027-03-09T08:00:00Z", "cancelled"),
        ("2027-03-16T08:00:00Z", "not_started"),
    ]


def test_who_is_invited_to_one_date_moves_along_when_the_series_is_split(store: Store) -> None:
    guests = [
        {
            "email": f"{name}@other.example",
            "email_invite": True,
            "original_start": f"2027-{day}T09:00:00",
        }
        for name, day in (("anna", "03-09"), ("bo", "04-06"))
    ]
    begin(store, participants=[{"person": "ola", "email_invite": True}, *guests])
    with store.write() as connection:
        made = series.split(
            connection, "m1", series.From(N[4], {"start_at": N[4] + 2 * HOUR}), SETTINGS, NOW
        ).key
    assert sorted(owed(store), key=lambda one: one[:3]) == [
        ("bo", "CANCEL", 1, None),
        ("bo", "REQUEST", 0, None),
        ("ola", "REQUEST", 0, None),
        ("ola", "REQUEST", 1, None),
    ]
    with store.read() as connection:
        assert [(one.key, one.date) for one in followups.members(connection, made)] == [
            ("ola", None),
            ("bo@other.example", N[5] + 2 * HOUR),
        ]
        assert {one.key: one.removed for one in followups.members(connection, "m1")} == {
            "ola": False,
            "anna@other.example": False,
            "bo@other.example": True,
        }


def test_one_date_that_reached_him_already(store: Store) -> None:
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [{"key": "kari"}],
                "follow_ups": [
                    {
                        "key": "m1",
                        "owner": "kari",
                        "title": "Weekly",
                        "start": "2027-03-02T09:00:00",
                        "timezone": "Europe/Oslo",
                        "sequence": 3,
                        "uid": "old@crm.example",
                        "recurrence": {"rrule": "FREQ=WEEKLY"},
                        "participants": [
                            {
                                "email": "per@other.example",
                                "email_invite": True,
                                "sent": True,
                                "original_start": "2027-03-09T09:00:00",
                            }
                        ],
                    }
                ],
            },
            SETTINGS,
            NOW,
        )
    assert owed(store) == []
    rows.run(store, "UPDATE follow_up SET location = 'Fjord'")
    assert owed(store) == [("per", "REQUEST", 4, None)]


def test_an_answer_to_the_old_time_of_a_date_has_that_date_sent_again(store: Store) -> None:
    begin(
        store, instances=[{"original_start": "2027-03-09T09:00:00", "start": "2027-03-09T11:00:00"}]
    )
    with store.write() as connection:
        [ola] = [one.id for one in followups.members(connection, "m1") if one.key == "ola"]
        assert invitations.ask_again(connection, ola, N[1], 0)
        marks.mark(connection, ["m1"], NOW)
    assert owed(store) == [("ola", "REQUEST", 0, N[1])]
    [letter] = send(store)
    assert letter.letter.remarks.occasion is Occasion.OLD_ANSWER
    with store.write() as connection:
        assert not invitations.ask_again(connection, ola, N[1], 0), "once per row and SEQUENCE"
        assert invitations.ask_again(connection, ola, N[2], 0)
        assert invitations.ask_again(connection, ola, None, 0)
        marks.mark(connection, ["m1"], NOW)
    assert owed(store) == [("ola", "REQUEST", 0, None)], "all of it tells both"


def test_why_his_date_is_cancelled_is_told_though_the_series_goes_on_elsewhere_meanwhile(
    store: Store,
) -> None:
    begin(
        store,
        participants=[
            {
                "email": "per@other.example",
                "email_invite": True,
                "original_start": "2027-03-16T09:00:00",
            }
        ],
    )
    rows.run(
        store,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled, cancel_reason)"
        " VALUES ('m1', '2027-03-16 08:00:00', TRUE, 'The speaker is ill')",
    )
    assert owed(store) == [("per", "CANCEL", 1, None)]
    with store.write() as connection:
        series.split(connection, "m1", series.From(N[1], {"start_at": N[1] + HOUR}), SETTINGS, NOW)
    [row] = owed(store)
    assert row[:2] == ("per", "CANCEL")
    assert [one.letter.edition.cancel_reason for one in waiting(store)] == ["The speaker is ill"]


LIST = {"recurrence": {"rdates": ["2027-03-10T09:00:00", "2027-03-25T09:00:00"]}}
"""Three dates without a rule; the first is the start."""


def test_a_list_of_dates_goes_on_at_another_time(store: Store) -> None:
    begin(store, **LIST)
    second = datetime(2027, 3, 10, 8, tzinfo=UTC)
    with store.write() as connection:
        made = series.split(
            connection, "m1", series.From(second, {"start_at": second + DAY}), SETTINGS, NOW
        ).key
    assert owed(store) == [
        ("eva", "REQUEST", 1, None),
        ("eva", "REQUEST", 0, None),
        ("ola", "REQUEST", 1, None),
        ("ola", "REQUEST", 0, None),
    ]
    now = edition(store, made)
    assert now.recurrence is not None
    assert (now.start, now.recurrence.rdates) == (
        second + DAY,
        (datetime(2027, 3, 25, 8, tzinfo=UTC),),
    ), "and not at the old time as well"
    assert edition(store).recurrence is None
    assert statuses(store)[0] == "not_started", (
        "the first date is left as it was, and so is the answer"
    )


def test_a_list_is_stopped_at_its_first_date(store: Store) -> None:
    begin(store, **LIST)
    with store.write() as connection:
        assert series.stop(connection, "m1", START.date(), SETTINGS, NOW)
    assert owed(store) == both("REQUEST", 1)
    assert statuses(store)[0] == "not_started"


@pytest.mark.parametrize("verb", ["stop", "split"])
def test_what_another_program_did_before_still_counts_for_the_brake(
    store: Store, verb: str
) -> None:
    """domain.md §10: only what this command marked is a person's doing."""
    begin(store)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    rows.run(store, "UPDATE follow_up SET location = 'Fjell' WHERE key = 'm1'")
    with store.write() as connection:
        if verb == "stop":
            assert series.stop(connection, "m1", N[2], SETTINGS, NOW)
        else:
            series.split(connection, "m1", series.From(N[2], {}), SETTINGS, NOW)
    with store.read() as connection:
        query = sa.select(schema.change_mark.c.single).order_by(schema.change_mark.c.id)
        before, *own = connection.execute(query).scalars()
    assert (before, {*own}) == (False, {True})


def received(store: Store) -> list[Queued]:
    """Every letter that has left."""
    with store.read() as connection:
        return outbox.pending(connection, (LetterState.SENT,))


def shown(program: attendee.Calendar) -> list[attendee.Shown]:
    return program.shows(START - WEEK, START + 10 * WEEK)


def told(store: Store) -> tuple[list[str], list[str]]:
    """What the rows of the invited say beside their status, and the journal's warnings."""
    with store.read() as connection:
        notes = [one.note for one in views.status_rows(connection, "m1") if one.email_invite]
        said = [one.detail for one in journal.after(connection, 0) if one.event == "warning"]
    return notes, said


def test_a_list_is_one_entry_whose_dates_are_named_by_its_rule(store: Store) -> None:
    """An hour of its own, changed to the usual one and back: one name in calendars."""
    late = datetime(2027, 3, 20, 13, tzinfo=UTC)
    usual = late - 5 * HOUR
    begin(store, recurrence={"rdates": ["2027-03-09T09:00:00", "2027-03-20T14:00:00"]})
    program = attendee.Calendar(keeps=True)
    now = edition(store)
    [first] = [one for one in received(store) if one.letter.address.startswith("ola")]
    program.take(ics.calendar(first.letter))
    assert now.recurrence is not None
    assert [one.start for one in shown(program)] == [START, N[1], late]
    for original in (usual, late):
        rows.run(
            store,
            "DELETE FROM follow_up_date WHERE original_start >= '2027-03-20 00:00:00'",
            "INSERT INTO follow_up_date (follow_up, original_start)"
            f" VALUES ('m1', '{original:%Y-%m-%d %H:%M:%S}')",
        )
        owed(store)
        for one in sorted(send(store), key=lambda one: one.id):
            if one.letter.address.startswith("ola"):
                program.take(ics.calendar(one.letter))
        assert [one.start for one in shown(program)] == [START, N[1], original]


def test_the_dates_of_any_list_can_be_invited_to_one_by_one(store: Store) -> None:
    """What the note advises: each date is an entry of its own, with its hour as its name."""
    two = ["2027-03-09T09:00:00", "2027-03-09T14:00:00"]
    each = [{"person": "ola", "email_invite": True, "original_start": date} for date in two]
    begin(store, recurrence={"rdates": two}, participants=each)
    program = attendee.Calendar(keeps=True, alone=True)
    for letter in sorted(received(store), key=lambda one: one.id):
        program.take(ics.calendar(letter.letter))
    assert sorted(one.start for one in shown(program)) == [N[1], N[1] + 5 * HOUR]
    assert told(store)[0] == ["", ""]


def test_what_outlook_cannot_hold_leaves_with_a_warning(store: Store) -> None:
    begin(store, recurrence={"rrule": "FREQ=MONTHLY;BYDAY=1TU,3TU;COUNT=6"})
    warning = (
        "Outlook cannot show this series as it is: it names several weekdays by position"
        " (BYDAY=1TU,3TU)"
    )
    assert told(store) == ([warning, warning], [warning])
    assert len(received(store)) == 2, "the letters have left"
    rows.run(store, "UPDATE follow_up SET location = 'Fjord'")
    owed(store)
    assert told(store)[1] == [warning], "said once"
    rows.run(store, "UPDATE follow_up SET rrule = 'FREQ=MONTHLY;BYDAY=1TU;COUNT=6'")
    owed(store)
    assert told(store)[0] == ["", ""]


def test_a_cancelled_date_does_not_come_back_after_a_stop(store: Store) -> None:
    begin(store, instances=[{"original_start": "2027-03-16T09:00:00", "cancelled": True}])
    with store.write() as connection:
        assert series.stop(connection, "m1", N[1].date(), SETTINGS, NOW)
        assert not series.stop(connection, "m1", N[1].date(), SETTINGS, NOW)
    owed(store)
    now = edition(store)
    assert now.recurrence is not None
    assert (now.recurrence.rrule, now.recurrence.exdates) == (
        "FREQ=WEEKLY;UNTIL=20270309T080000Z",
        (),
    )


def test_what_goes_on_begins_after_what_stays(store: Store) -> None:
    begin(store)
    with store.write() as connection:
        for start in (N[0], N[2] - DAY * 8, START - 100 * WEEK):
            with pytest.raises(Refused, match="dates that stay"):
                series.split(
                    connection, "m1", series.From(N[2], {"start_at": start}), SETTINGS, NOW
                )
        made = series.split(
            connection, "m1", series.From(N[2], {"start_at": N[2] - DAY}), SETTINGS, NOW
        ).key
    owed(store)
    assert edition(store, made).start == N[2] - DAY


def test_times_as_people_write_them(store: Store) -> None:
    begin(store)
    with store.write() as connection:
        assert series.moment(connection, "m1", "20270316", SETTINGS, day=True) == N[2].date()
        assert series.moment(connection, "m1", "2027-03-16T09:00", SETTINGS) == N[2]
        assert series.moment(connection, "m1", "2027-03-16T08:00Z", SETTINGS) == N[2]
        for text in ("20270316", "2027-03-16", "Tuesday", "2027-03-16T25:00"):
            with pytest.raises(InputError):
                series.moment(connection, "m1", text, SETTINGS)
