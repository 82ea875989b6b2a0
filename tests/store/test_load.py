"""What `load` makes of a document in the store, on both databases."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import load, planning
from gateway.actions.load_report import Report
from gateway.errors import InputError
from gateway.model import Access, Actor, Channel, Delivery, LetterState, Method, Reply, Standing
from gateway.shapes import StatusRow
from gateway.store import (
    claims,
    diaries,
    followups,
    holdings,
    journal,
    outbox,
    schema,
    views,
)
from gateway.store.engine import Store
from tests.core.test_load_format import LASTING
from tests.store import rows

NOW = rows.NOW
START = rows.START.replace(year=2037)
"""Marks have the time of the database, so meetings lie in years to come."""
SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
PER = {"key": "per", "name": "Per", "email": "per@crm.example"}
KARI = {"key": "kari", "name": "Kari"}
OLA = {"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example", "ola.hansen@ext.example"]}


def example() -> dict[str, Any]:
    document = copy.deepcopy(LASTING)
    document["associates"].append(dict(PER))
    return document


def meeting(*participants: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A document with one single meeting, and everybody it needs."""
    return {
        "associates": [dict(KARI), dict(PER)],
        "persons": [copy.deepcopy(OLA)],
        "resources": [{"key": "room1"}],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2037-12-01T09:00:00",
                "end": "2037-12-01T10:00:00",
                "timezone": "Europe/Oslo",
                "participants": list(participants),
            }
            | values
        ],
    }


def run(store: Store, document: Any) -> Report:
    with store.write() as connection:
        return load.load(connection, document, SETTINGS, NOW)


def plan(store: Store, at: timedelta = timedelta()) -> list[tuple[str, str, int]]:
    """The letters that are waiting once everything is planned: address, method, SEQUENCE."""
    planning.plan_due(
        store, SETTINGS, datetime.now(UTC) + timedelta(minutes=1) + at, everything=True
    )
    with store.read() as connection:
        return [
            (one.letter.address, one.letter.method.value, one.letter.sequence)
            for one in outbox.pending(connection)
        ]


def deliver(store: Store) -> None:
    """Everything that waits is taken by the server."""
    with store.write() as connection:
        claimed = claims.take(connection, "here", datetime.now(UTC) + timedelta(hours=1), 100)
        claims.settle(
            connection,
            [outbox.Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in claimed],
            [],
            "here",
            NOW,
        )


def status(store: Store, key: str | None = None) -> dict[str, StatusRow]:
    with store.read() as connection:
        return {one.key: one for one in views.status_rows(connection, key)}


def whole(store: Store) -> dict[str, list[Any]]:
    """Every row of every table."""
    with store.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table)).all()]
            for table in schema.metadata.sorted_tables
        }


def test_the_example_of_the_contract_is_kept(store: Store) -> None:
    report = run(store, example())
    assert report.changed == report.left == {}
    assert report.created == {
        "associates": ["kari", "per"],
        "companies": ["acme"],
        "persons": ["ola"],
        "resources": ["room1"],
        "projects": ["p1"],
        "selections": ["s1"],
        "follow_ups": ["m1"],
        "participants": ["m1/eva@other.example", "m1/ola", "m1/per", "m1/room1"],
    }
    with store.read() as connection:
        row = connection.execute(sa.select(schema.follow_up)).one()
        assert (row.uid, row.sequence, row.owner, row.type) == (
            "keeps-the-uid-of-an-earlier-system@crm.example",
            3,
            "kari",
            "Meeting (external)",
        )
        assert (row.start_at, row.end_at, row.rrule) == (
            START,
            START + timedelta(hours=1),
            "FREQ=WEEKLY;COUNT=5",
        )
        dates = connection.execute(
            sa.select(schema.follow_up_date).order_by(schema.follow_up_date.c.original_start)
        ).all()
        assert [
            (one.original_start.day, one.start_at and one.start_at.hour, one.cancelled)
            for one in dates
        ] == [(8, 10, False), (15, None, True)]
        assert [
            one.addresses for one in followups.members(connection, "m1") if one.key == "ola"
        ] == [("ola@ext.example", "ola.hansen@ext.example")]
        assert journal.after(connection, 0)[0].event == "created"
    assert rows.marked(store) == ["m1"]


@pytest.mark.parametrize("planned", [False, True])
def test_loading_the_same_again_changes_nothing_at_all(store: Store, planned: bool) -> None:
    document = example()
    document["follow_ups"][0]["participants"][0]["sent"] = True
    run(store, document)
    if planned:
        plan(store)
        deliver(store)
    before = whole(store)
    report = run(store, document)
    assert report.created == report.changed == {}
    assert sum(map(len, report.left.values())) == 12
    assert whole(store) == before


def test_a_deadline_of_a_meeting_counts_nowhere_and_is_noted(store: Store) -> None:
    """domain.md §2: a meeting has a start, and no deadline."""
    document = meeting({"associate": "per"}, deadline="2037-11-30")
    note = "follow_ups[0].deadline: a meeting has none (domain.md §2); it counts nowhere"
    assert note in run(store, document).notes
    plan(store)
    with store.read() as connection:
        week = NOW, NOW + timedelta(days=14)
        due = diaries.tasks(connection, Actor(Access.CRM), ["kari"], week, "Europe/Oslo")
    assert due == []


def test_only_what_differs_is_touched(store: Store) -> None:
    run(store, example())
    plan(store)
    document = example()
    document["persons"][0]["emails"].reverse()
    document["selections"][0]["members"] = []
    report = run(store, document)
    assert report.changed == {"persons": ["ola"], "selections": ["s1"]}
    assert rows.marked(store) == ["m1"]
    letters = plan(store)
    document["follow_ups"][0]["notes"] = "internal"
    assert run(store, document).changed == {"follow_ups": ["m1"]}
    assert rows.marked(store) == ["m1"]
    assert plan(store) == letters  # a mark that owes none
    assert run(store, document).changed == {}
    assert rows.marked(store) == []


BAD = {
    "follow_ups[0].owner: there is no associate 'nobody'": meeting(owner="nobody"),
    "follow_ups[0].participants[0].person: there is no person 'nobody'": meeting(
        {"person": "nobody"}
    ),
    "follow_ups[0].participants[1].resource: there is no resource 'x'": meeting(
        {"person": "ola"}, {"resource": "x"}
    ),
    "follow_ups[0].company: there is no company 'x'": meeting(company="x"),
    "follow_ups[0].project: there is no project 'x'": meeting(project="x"),
    "persons[0].company: there is no company 'x'": {"persons": [{"key": "a", "company": "x"}]},
    "projects[0].members[0]: there is no person 'x'": {
        "projects": [{"key": "p", "members": ["x"]}]
    },
    "persons[1].key: a is there twice": {"persons": [{"key": "a"}, {"key": "a"}]},
    "projects[0].members[1]: a is there twice": {
        "persons": [{"key": "a"}],
        "projects": [{"key": "p", "members": ["a", "a"]}],
    },
    "follow_ups[0].participants[0]: names nobody": meeting({"name": "X"}),
    "follow_ups[0].participants[0]: names person and email": meeting(
        {"person": "ola", "email": "o@x.example"}
    ),
    "follow_ups[0].participants[1]: ": meeting(
        {"email": "Eva@x.example"}, {"email": "eva@X.example"}
    ),
    "follow_ups[0].participants[0].email: 'no address': ": meeting({"email": "no address"}),
    "follow_ups[0].participants[0].sent: ": meeting({"email": "a@b.example", "sent": True}),
    "follow_ups[0].participants[1]: email 'x@y.test' is there twice": meeting(
        participants=[{"email": "x@y.test"}, {"email": "X@y.test"}]
    ),
    "follow_ups[0].participants[1].token: same is there twice": meeting(
        {"email": "a@b.example", "token": "same"}, {"email": "c@b.example", "token": "SAME"}
    ),
    "associates[0].timezone: unknown time zone": {
        "associates": [{"key": "a", "timezone": "Norway"}, {"key": "b", "timezone": "Mars/Base"}][
            1:
        ]
    },
    "follow_ups[0].timezone: unknown time zone": meeting(timezone="Europe/Olso"),
    "follow_ups[0].recurrence.rrule: ": meeting(recurrence={"rrule": "FREQ=NEVER"}),
    "follow_ups[0].emial: no such field": meeting(emial="x"),
    "follow_ups[0].participants[0].original_start: needs a recurrence": meeting(
        {"email": "x@y.test", "original_start": "2037-12-01T09:00:00"}
    ),
    "follow_ups[0].participants[0].original_start: no date of the series begins at 2037-12-02T09:00:00": meeting(
        {"email": "x@y.test", "original_start": "2037-12-02T09:00:00"},
        recurrence={"rrule": "FREQ=WEEKLY"},
    ),
    "follow_ups[0].participants[0].original_start: 'soon' is no time": meeting(
        {"email": "x@y.test", "original_start": "soon"}, recurrence={"rrule": "FREQ=WEEKLY"}
    ),
    "follow_ups[0].participants[1]: email 'x@y.test' for 2037-12-08T08:00:00+00:00 is there twice": meeting(
        {"email": "x@y.test", "original_start": "2037-12-08T09:00:00"},
        {"email": "X@y.test", "original_start": "2037-12-08T08:00:00Z"},
        recurrence={"rrule": "FREQ=WEEKLY"},
    ),
    "follow_ups[0].participants[0]: email 'x@y.test' is invited to the whole series": meeting(
        {"email": "x@y.test", "original_start": "2037-12-08T09:00:00"},
        {"email": "x@y.test"},
        recurrence={"rrule": "FREQ=WEEKLY"},
    ),
}


def test_a_mistake_anywhere_is_named_and_nothing_is_written(store: Store) -> None:
    before = whole(store)
    for complaint, document in BAD.items():
        with pytest.raises(InputError) as caught:
            run(store, document)
        assert str(caught.value).startswith(complaint)
    assert whole(store) == before


def test_who_made_and_who_changed_a_follow_up_is_kept(store: Store) -> None:
    """domain.md §4."""
    run(store, meeting())
    with store.write() as connection:
        later = NOW + timedelta(hours=1)
        actor = Actor(Access.USER, "kari", "kari")
        load.load(connection, meeting(title="Later"), SETTINGS, later, actor)
    with store.read() as connection:
        record = connection.execute(sa.select(schema.follow_up)).one()
        entries = journal.after(connection, 0)
    assert (record.created_at, record.created_by) == (NOW, "load")
    assert (record.changed_at, record.changed_by) == (later, "kari")
    signed = [(one.event, one.by, one.channel) for one in entries]
    assert signed == [("created", "load", Channel.STORE), ("changed", "kari", Channel.API)]


def test_people_that_are_in_the_store_need_not_be_in_the_document(store: Store) -> None:
    run(store, meeting())
    document = meeting({"person": "ola"}, key="m2")
    assert run(store, {"follow_ups": document["follow_ups"]}).created == {
        "follow_ups": ["m2"],
        "participants": ["m2/ola"],
    }


def test_dates_that_a_later_document_does_not_name_are_gone(store: Store) -> None:
    series = {
        "rrule": "FREQ=WEEKLY;COUNT=5",
        "exdates": ["2037-12-22T09:00:00"],
        "rdates": ["2037-12-24T09:00:00"],
    }
    run(
        store,
        meeting(
            recurrence=series,
            instances=[{"original_start": "2037-12-08T09:00:00", "cancelled": True}],
        ),
    )
    report = run(
        store,
        meeting(recurrence={"rrule": "FREQ=WEEKLY;COUNT=5", "exdates": ["2037-12-22T09:00:00"]}),
    )
    assert report.changed == {"follow_ups": ["m1"]}
    with store.read() as connection:
        assert connection.execute(
            sa.select(schema.follow_up_date.c.original_start)
        ).scalars().all() == [datetime(2037, 12, 22, 8, tzinfo=UTC)]


def test_participants_that_a_later_document_does_not_name_stay(store: Store) -> None:
    run(store, meeting({"person": "ola"}, {"associate": "per"}))
    run(store, meeting({"person": "ola"}))
    assert set(status(store)) == {"ola", "per"}
    run(store, meeting({"associate": "per", "removed": True}))
    assert set(status(store)) == {"ola"}


def test_addresses_and_members_that_are_not_named_stay(store: Store) -> None:
    run(store, example())
    document = example()
    del document["persons"][0]["emails"], document["projects"][0]["members"]
    assert run(store, document).changed == {}


def test_all_day_dates_are_midnights_in_utc(store: Store) -> None:
    run(
        store,
        meeting(all_day=True, start="2037-12-01", end="2037-12-01", timezone="America/New_York"),
    )
    with store.read() as connection:
        row = connection.execute(sa.select(schema.follow_up)).one()
    assert (row.start_at, row.end_at) == (
        datetime(2037, 12, 1, tzinfo=UTC),
        datetime(2037, 12, 2, tzinfo=UTC),
    )


def test_every_optional_field_reaches_its_column(store: Store) -> None:
    values = {
        "agenda": "a",
        "notes": "n",
        "location": "l",
        "video_url": "https://v.example",
        "guest_list": "private",
        "availability": "free",
        "alarm_minutes": 15,
        "completed": True,
        "private": True,
        "type": "Phone meeting",
    }
    run(store, meeting(**values, priority=1, sale=77, fields={"b": [1, None], "a": "æ"}))
    with store.read() as connection:
        row = connection.execute(sa.select(schema.follow_up)).mappings().one()
    assert {name: row[name] for name in values} == values
    assert (row["priority"], row["sale"], row["fields"]) == (
        "1",
        "77",
        '{"a": "\\u00e6", "b": [1, null]}',
    )


# --- UID, SEQUENCE and token ---


def test_a_follow_up_is_found_by_its_uid_under_another_key(store: Store) -> None:
    run(store, meeting({"person": "ola"}, uid="u1@old.example"))
    report = run(store, meeting({"person": "ola"}, key="renamed", uid="u1@old.example"))
    assert (report.created, report.left["participants"]) == ({}, ["renamed/ola"])
    assert set(status(store, "renamed")) == {"ola"}
    assert status(store, "m1") == {}


def test_a_uid_belongs_to_one_follow_up_for_life(store: Store) -> None:
    run(store, meeting(uid="u1@old.example"))
    run(store, meeting(key="m2", uid="u2@old.example"))
    with pytest.raises(InputError, match=r"follow_ups\[0\]\.uid: .*'m2'"):
        run(store, meeting(uid="u2@old.example"))
    with pytest.raises(
        InputError, match=r"follow_ups\[0\]\.uid: the follow-up has another one for life"
    ):
        run(store, meeting(uid="u3@old.example"))
    plan(store)
    with pytest.raises(
        InputError, match=r"follow_ups\[0\]\.uid: the follow-up has another one for life"
    ):
        run(store, meeting(uid="u3@old.example"))


def test_the_counter_begins_where_the_earlier_system_stopped(store: Store) -> None:
    run(store, meeting({"person": "ola", "email_invite": True}, uid="u1@old.example", sequence=7))
    assert plan(store) == [("ola@ext.example", "REQUEST", 7)]
    deliver(store)
    moved = meeting(
        {"person": "ola", "email_invite": True},
        uid="u1@old.example",
        sequence=7,
        location="Elsewhere",
    )
    run(store, moved)
    assert plan(store) == [("ola@ext.example", "REQUEST", 8)]
    assert run(store, moved).changed == {}
    with pytest.raises(InputError, match=r"follow_ups\[0\]\.sequence: .* stands at 8"):
        run(store, moved | {"follow_ups": [moved["follow_ups"][0] | {"sequence": 9}]})


def test_a_token_of_the_earlier_system_stands_in_the_first_letter(store: Store) -> None:
    run(store, meeting({"person": "ola", "email_invite": True, "token": "Old-Token"}))
    plan(store)
    with store.read() as connection:
        [letter] = outbox.pending(connection)
    assert (letter.letter.token, letter.letter.organizer_address) == (
        "old-token",
        "invites+old-token@crm.example",
    )
    run(store, meeting({"person": "ola", "email_invite": True, "token": "OLD-TOKEN"}))
    with pytest.raises(
        InputError, match=r"participants\[0\]\.token: the invitation has another one for life"
    ):
        run(store, meeting({"person": "ola", "email_invite": True, "token": "new-token"}))
    with pytest.raises(
        InputError, match=r"participants\[0\]\.token: belongs to another participant"
    ):
        run(store, meeting({"associate": "per", "token": "old-token"}))


# --- what was sent, and what cannot be ---


def test_whoever_holds_the_invitation_already_is_owed_nothing(store: Store) -> None:
    run(
        store,
        meeting(
            {"person": "ola", "email_invite": True, "sent": True},
            {"associate": "per", "email_invite": True},
            uid="u1@old.example",
            sequence=4,
        ),
    )
    assert plan(store) == [("per@crm.example", "REQUEST", 4)]
    assert (status(store)["ola"].delivery, status(store)["per"].delivery) == (
        Delivery.SENT,
        Delivery.QUEUED,
    )
    deliver(store)
    run(
        store,
        meeting(
            {"person": "ola", "email_invite": True, "sent": True},
            title="Another",
            uid="u1@old.example",
            sequence=4,
        ),
    )
    assert plan(store) == [("ola@ext.example", "REQUEST", 4), ("per@crm.example", "REQUEST", 4)]


def test_whoever_holds_it_is_told_of_the_cancellation(store: Store) -> None:
    run(store, meeting({"person": "ola", "email_invite": True, "sent": True}, sequence=4))
    assert plan(store) == []
    run(store, meeting(cancelled=True, sequence=4))
    assert plan(store) == [("ola@ext.example", "CANCEL", 5)]


def test_reasons_and_the_wanted_answer_reach_their_columns(store: Store) -> None:
    def told() -> tuple[Any, ...]:
        with store.read() as connection:
            row = connection.execute(sa.select(schema.follow_up)).one()
            return (
                row.cancel_reason,
                row.answer_by,
                list(
                    connection.execute(sa.select(schema.follow_up_date.c.cancel_reason)).scalars()
                ),
            )

    series = {
        "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=3"},
        "timezone": "Europe/Oslo",
        "answer_by": "2037-11-27T12:00:00",
    }
    date = {
        "original_start": "2037-12-08T09:00:00",
        "cancelled": True,
        "cancel_reason": "The speaker is ill",
    }
    document = meeting(**series, instances=[date], cancelled=True, cancel_reason="Too few answers")
    run(store, document)
    assert told() == (
        "Too few answers",
        datetime(2037, 11, 27, 11, tzinfo=UTC),
        ["The speaker is ill"],
    )
    assert run(store, document).changed == {}
    run(store, meeting(recurrence={"rrule": "FREQ=WEEKLY;COUNT=3"}, timezone="Europe/Oslo"))
    assert told() == ("", None, [])


@pytest.mark.parametrize(
    "participant",
    [
        {"person": "mute", "email_invite": True},
        {"person": "bad", "email_invite": True},
        {"person": "bjørn", "email_invite": True},
        {"associate": "kari", "email_invite": True},
        {"resource": "room1", "email_invite": True},
    ],
)
def test_the_switch_stays_off_where_no_mail_can_go_and_says_why(
    store: Store, participant: dict[str, Any]
) -> None:
    document = meeting(participant)
    document["persons"] += [
        {"key": "mute"},
        {"key": "bad", "emails": ["no address at all"]},
        {"key": "bjørn", "emails": ["bjørn@ext.example"]},
    ]
    report = run(store, document)
    assert (
        "follow_ups[0].participants[0]: email_invite stays off: no valid e-mail address"
        in report.notes
    )
    [row] = status(store).values()
    assert (row.email_invite, row.note) == (False, "no valid e-mail address")
    assert plan(store) == []
    assert status(store)[row.key].note == "no valid e-mail address"
    assert run(store, document).changed == {}


def test_an_address_that_comes_later_turns_the_switch_on(store: Store) -> None:
    document = meeting({"person": "mute", "email_invite": True})
    document["persons"].append({"key": "mute"})
    run(store, document)
    plan(store)
    document["persons"][-1]["emails"] = ["mute@intern.local"]
    run(store, document)
    assert plan(store) == [("mute@intern.local", "REQUEST", 0)]
    assert (status(store)["mute"].email_invite, status(store)["mute"].note) == (True, "")


# --- status rows ---


def test_status_rows_say_what_the_contract_says(store: Store) -> None:
    document = example()
    document["follow_ups"][0]["participants"][0]["sent"] = True
    run(store, document)
    with store.write() as connection:
        numbers = {one.key: one.id for one in followups.members(connection, "m1")}
        followups.write_standing(
            connection, numbers["ola"], None, Standing(Reply.ACCEPTED, True, comment="Ja"), 1
        )
        followups.write_standing(
            connection,
            numbers["ola"],
            datetime(2037, 12, 22, 8, tzinfo=UTC),
            Standing(Reply.DECLINED, True),
            None,
        )
    found = status(store, "m1")
    ola = found["ola"]
    assert (
        ola.follow_up,
        ola.name,
        ola.address,
        ola.email_invite,
        ola.code,
        ola.status,
        ola.reply,
        ola.comment,
        ola.delivery,
    ) == ("m1", "Ola Hansen", "ola@ext.example", True, 1, "not_started", "accepted", "Ja", "sent")
    assert [(one.instance, one.status, one.reply) for one in ola.instances] == [
        ("2037-12-08T08:00:00Z", "not_started", "accepted"),
        ("2037-12-15T08:00:00Z", "cancelled", "accepted"),
        ("2037-12-22T08:00:00Z", "declined", "declined"),
    ]
    assert (found["room1"].code, found["room1"].address, found["eva@other.example"].code) == (
        1,
        "",
        5,
    )
    assert status(store, "nothing") == {}
    with store.read() as connection:
        assert (views.known(connection, "m1"), views.known(connection, "nothing")) == (True, False)


def test_status_of_all_day_instances_are_plain_dates(store: Store) -> None:
    run(
        store,
        meeting(
            {"person": "ola"},
            all_day=True,
            start="2037-12-01",
            end="2037-12-02",
            recurrence={"rrule": "FREQ=DAILY;COUNT=3"},
            instances=[{"original_start": "2037-12-02", "cancelled": True}],
        ),
    )
    assert [one.instance for one in status(store)["ola"].instances] == ["2037-12-02"]


def test_a_cancelled_follow_up_shows_at_once(store: Store) -> None:
    run(store, meeting({"person": "ola"}, {"resource": "room1"}, cancelled=True))
    assert [one.code for one in status(store).values()] == [10, 10]
    run(store, meeting({"person": "ola"}, {"resource": "room1"}))
    assert [one.code for one in status(store).values()] == [5, 1]


def test_the_delivery_shown_is_that_of_the_present_address(store: Store) -> None:
    def move(address: str) -> None:
        rows.run(store, f"UPDATE person_email SET address = '{address}' WHERE position = 0")
        plan(store)

    run(store, meeting({"person": "ola", "email_invite": True}))
    plan(store)
    deliver(store)
    assert status(store)["ola"].delivery == Delivery.SENT
    move("new@ext.example")
    assert status(store)["ola"].delivery == Delivery.QUEUED
    move("ola@ext.example")
    assert status(store)["ola"].delivery == Delivery.SENT


def test_the_number_of_queries_does_not_grow_with_the_rows(store: Store) -> None:
    def queries(count: int) -> int:
        run(
            store,
            meeting(
                *({"email": f"p{number}@ext.example"} for number in range(count)), key=f"m{count}"
            ),
        )
        asked = list[str]()
        with store.read() as connection:
            sa.event.listen(
                connection, "before_cursor_execute", lambda *arguments: asked.append(arguments[2])
            )
            assert len(views.status_rows(connection, f"m{count}")) == count
        return len(asked)

    assert queries(2) == queries(60)


def test_removed_and_added_again_is_the_same_row_and_token(store: Store) -> None:
    run(store, meeting({"person": "ola", "email_invite": True}))
    plan(store)
    deliver(store)
    run(store, meeting({"person": "ola", "removed": True, "email_invite": True}))
    assert plan(store) == [("ola@ext.example", "CANCEL", 1)]
    deliver(store)
    run(store, meeting({"person": "ola", "email_invite": True}))
    assert plan(store) == [("ola@ext.example", "REQUEST", 2)]
    with store.write() as connection:
        held = holdings.copies(holdings.load(connection, ["m1"])["m1"])[0]
    assert [(one.method, one.top_sequence) for one in held] == [(Method.CANCEL, 1)]
