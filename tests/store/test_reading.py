"""What is shown of follow-ups and participants (docs/api.md): whole, in sets, to whom it concerns,
and so that what was shown may be written back.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway import shapes
from gateway.actions import load, load_format, planning
from gateway.actions.load_report import Report
from gateway.followups import permission
from gateway.model import Access, Actor, Channel, Delivery, Kind, Reply, Standing
from gateway.status import Status
from gateway.store import filters, followups, journal, parties, reading, schema, views
from gateway.store.engine import Store
from gateway.store.filters import FollowUps, Participants
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
ZONE = "Europe/Oslo"
CRM, READ = Actor(Access.CRM, "", "crm"), Actor(Access.READ, "", "reader")

DIRECTORY: dict[str, Any] = {
    "associates": [
        {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"},
        {"key": "per", "name": "Per", "email": "per@crm.example"},
        {"key": "lise", "name": "Lise", "email": "lise@crm.example"},
    ],
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "persons": [{"key": "ola", "name": "Ola", "company": "acme", "emails": ["ola@ext.example"]}],
    "resources": [{"key": "room1", "name": "Fjord"}],
    "projects": [{"key": "p1", "name": "Launch", "members": ["ola"]}],
}
FOLLOW_UPS: list[dict[str, Any]] = [
    {
        "key": "series",
        "owner": "kari",
        "title": "Weekly",
        "type": "Meeting (external)",
        "start": "2026-12-01T09:00:00",
        "end": "2026-12-01T10:00:00",
        "timezone": "Europe/Oslo",
        "recurrence": {
            "rrule": "FREQ=WEEKLY;COUNT=8",
            "exdates": ["2026-12-22T09:00:00"],
            "rdates": ["2026-12-03T09:00:00", "2026-12-04T09:00:00"],
        },
        "instances": [
            {
                "original_start": "2026-12-08T09:00:00",
                "start": "2026-12-08T11:00:00",
                "end": "2026-12-08T12:30:00",
            },
            {
                "original_start": "2026-12-15T09:00:00",
                "cancelled": True,
                "cancel_reason": "Holiday",
            },
            {"original_start": "2026-12-04T09:00:00", "cancelled": True},
        ],
        "participants": [
            {"person": "ola", "email_invite": True},
            {"associate": "per"},
            {"resource": "room1"},
            {"email": "Eva@other.example", "name": "Eva", "email_invite": True},
        ],
    },
    {
        "key": "days",
        "owner": "kari",
        "title": "Fair",
        "all_day": True,
        "start": "2027-03-27",
        "end": "2027-03-30",
        "recurrence": {"rrule": "", "rdates": ["2027-04-10"], "exdates": []},
        "instances": [{"original_start": "2027-04-10", "start": "2027-04-11", "end": "2027-04-13"}],
        "participants": [{"person": "ola"}],
    },
    {
        "key": "task",
        "kind": "task",
        "owner": "per",
        "title": "Report",
        "deadline": "2026-12-24",
        "answer_by": "2026-12-20T12:00:00",
        "company": "acme",
        "person": "ola",
        "project": "p1",
        "sale": "4711",
        "priority": "high",
        "alarm_minutes": 30,
        "availability": "free",
        "fields": {"budget": 12.5, "note": "x"},
        "notes": "in the house only",
        "video_url": "https://meet.example/1",
        "agenda": "1. What\n2. Why",
        "location": "Fjord",
        "guest_list": "private",
    },
    {
        "key": "secret",
        "owner": "kari",
        "title": "Salaries",
        "private": True,
        "start": "2026-12-09T23:30:00",
        "timezone": "America/New_York",
        "cancelled": True,
        "cancel_reason": "ill",
        "participants": [{"associate": "lise"}],
    },
]


def loaded(store: Store) -> Report:
    with store.write() as connection:
        document = {**DIRECTORY, "follow_ups": FOLLOW_UPS}
        return load.load(connection, document, SETTINGS, rows.NOW)


def planned(store: Store) -> None:
    loaded(store)
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def shown(store: Store, *keys: str) -> list[shapes.Json]:
    with store.read() as connection:
        views = reading.follow_ups(connection, keys, ZONE, participants=True)
    return [shapes.follow_up(view) for view in views]


def listed(store: Store, actor: Actor = CRM, **wanted: Any) -> list[str]:
    with store.read() as connection:
        return list(filters.follow_ups(connection, actor, FollowUps(**wanted), 50).names)


def people(store: Store, actor: Actor = CRM, **wanted: Any) -> list[str]:
    with store.read() as connection:
        page = filters.participants(connection, actor, Participants(**wanted), 50)
        found = reading.rows_of(connection, page.names, ZONE)
    return [f"{row.follow_up}/{row.key}" for row in found]


@pytest.mark.parametrize("key", [one["key"] for one in FOLLOW_UPS])
def test_what_is_shown_may_be_written_back_and_changes_nothing(store: Store, key: str) -> None:
    planned(store)
    [shape] = shown(store, key)
    document = {"follow_ups": [shapes.writable(shape)]}
    load_format.read(document)
    with store.write() as connection:
        connection.execute(sa.delete(schema.change_mark))
        report = load.load(connection, document, SETTINGS, rows.NOW)
    assert report.left["follow_ups"] == [key]
    assert (report.created, report.changed) == ({}, {})
    assert rows.marked(store) == []
    assert shown(store, key) == [shape]


def test_instants_have_the_offset_of_their_zone_and_days_are_plain(store: Store) -> None:
    loaded(store)
    series, days, task, secret = shown(store, "series", "days", "task", "secret")
    assert (series["start"], series["timezone"]) == ("2026-12-01T09:00:00+01:00", "Europe/Oslo")
    assert (days["start"], days["end"]) == ("2027-03-27", "2027-03-30")
    assert (task["deadline"], task["answer_by"]) == ("2026-12-24", "2026-12-20T12:00:00+01:00")
    assert secret["start"] == "2026-12-09T23:30:00-05:00"


def test_single_dates_are_told_as_they_were_loaded(store: Store) -> None:
    loaded(store)
    [series] = shown(store, "series")
    assert series["recurrence"] == {
        "rrule": "FREQ=WEEKLY;COUNT=8",
        "exdates": ["2026-12-22T09:00:00+01:00"],
        "rdates": ["2026-12-03T09:00:00+01:00", "2026-12-04T09:00:00+01:00"],
    }
    assert [one["original_start"][:10] for one in series["instances"]] == [
        "2026-12-04",
        "2026-12-08",
        "2026-12-15",
    ]
    assert series["instances"][2]["cancel_reason"] == "Holiday"


def number(store: Store, follow_up: str, key: str) -> int:
    with store.read() as connection:
        page = filters.participants(connection, CRM, Participants(follow_up=follow_up), 50)
        found = reading.rows_of(connection, page.names, ZONE)
    return next(row.id for row in found if row.key == key)


def test_a_participant_says_what_they_answered_wrote_and_asked_for(store: Store) -> None:
    planned(store)
    ola = number(store, "series", "ola")
    standing = Standing(
        Reply.TENTATIVE,
        seen=True,
        comment="perhaps",
        channel=Channel.MAIL,
        address="o@ext.example",
        replied_at=rows.NOW + timedelta(days=1),
    )
    with store.write() as connection:
        followups.write_standing(connection, ola, None, standing, 7)
    rows.run(
        store,
        "INSERT INTO proposal (participant, proposed_start, proposed_end, comment)"
        f" VALUES ({ola}, '2026-12-01T12:00:00Z', '', 'after lunch')",
    )
    later = rows.NOW + timedelta(days=1)
    with store.write() as connection:
        entries = [
            journal.Entry("seen", "series", ola),
            journal.Entry("comment", "series", ola, detail="Yes, I'll be there"),
        ]
        journal.write(connection, entries, later)
        connection.execute(
            sa.insert(schema.inbox).values(
                arrived_at=later,
                digest="d",
                size=1,
                outcome="held",
                reason="no token, not authenticated",
                from_address="ola@evil.example",
                participant=ola,
                raw=b"x",
            )
        )
    [row] = [one for one in shown(store, "series")[0]["participants"] if one["key"] == "ola"]
    assert (row["person"], row["name"], row["shown_name"]) == ("ola", "", "Ola")
    assert (row["role"], row["code"], row["status"]) == ("invited", 7, "seen")
    assert (row["reply"], row["comment"], row["channel"]) == ("tentative", "perhaps", "mail")
    assert (row["answered_by"], row["replied_at"]) == ("o@ext.example", "2026-11-21T09:00:00+01:00")
    assert row["seen_at"] == "2026-11-21T09:00:00+01:00"
    assert row["proposal"]["start"] == "2026-12-01T13:00:00+01:00"
    assert (row["proposal"]["end"], row["proposal"]["comment"]) == (None, "after lunch")
    assert row["words"] == [
        {
            "at": "2026-11-21T09:00:00+01:00",
            "text": "Yes, I'll be there",
            "suggestion": "accepted",
        }
    ]
    assert [one["address"] for one in row["held"]] == ["ola@evil.example"]
    assert [(one["instance"][:10], one["status"]) for one in row["instances"]] == [
        ("2026-12-04", "cancelled"),
        ("2026-12-08", "seen"),
        ("2026-12-15", "cancelled"),
        ("2026-12-22", "cancelled"),
    ]


def test_status_says_the_same_as_what_is_shown(store: Store) -> None:
    planned(store)
    with store.read() as connection:
        told = views.status_rows(connection)
    shown_rows = [
        row for one in shown(store, "days", "secret", "series") for row in one["participants"]
    ]
    assert len(told) == len(shown_rows)
    for row, whole in zip(map(shapes.status, told), shown_rows, strict=True):
        named = {**whole, "name": whole["shown_name"], "note": whole["delivery_reason"]}
        named["original_start"] = in_utc(whole["original_start"])
        named["instances"] = [
            {"instance": in_utc(one["instance"]), "status": one["status"], "reply": one["reply"]}
            for one in whole["instances"]
        ]
        assert row == {name: named[name] for name in row}


def in_utc(text: str | None) -> str | None:
    """An instant as `status` says it; a day stays one."""
    if text is None or "T" not in text:
        return text
    return shapes.utc(datetime.fromisoformat(text))


def test_declines_and_conflicts_are_counted_on_the_follow_up(store: Store) -> None:
    planned(store)
    rows.run(
        store,
        "UPDATE participant SET code = 9 WHERE follow_up = 'series' AND person = 'ola'",
        "UPDATE participant SET code = 13, removed = TRUE"
        " WHERE follow_up = 'series' AND associate = 'per'",
        "UPDATE diary_entry SET conflict = TRUE WHERE follow_up = 'series' AND who = 'resource:room1'",
    )
    series, days = shown(store, "series", "days")
    assert (series["reject_count"], series["conflict"]) == (1, True)
    assert (days["reject_count"], days["conflict"]) == (0, False)
    assert [row["key"] for row in series["participants"]] == ["ola", "room1", "Eva@other.example"]


def test_another_value_anywhere_is_another_version(store: Store) -> None:
    loaded(store)
    [before] = shown(store, "series")
    assert shown(store, "series") == [before]
    rows.run(store, "UPDATE participant SET email_invite = FALSE WHERE person = 'ola'")
    [after] = shown(store, "series")
    assert before["version"] != after["version"]


def test_private_follow_ups_are_seen_by_those_they_concern(store: Store) -> None:
    """domain.md §2, private; docs/api.md, "Who may"."""
    loaded(store)
    for associate, sees in (("kari", True), ("lise", True), ("per", False), ("", False)):
        actor = Actor(Access.USER, associate, associate)
        assert ("secret" in listed(store, actor)) is sees, associate
        assert ("secret/lise" in people(store, actor)) is sees, associate
    for access, sees in ((Access.CRM, True), (Access.READ, False), (Access.ADMIN, False)):
        assert ("secret" in listed(store, Actor(access, "", "x"))) is sees, access
    rows.run(store, "UPDATE follow_up SET assigned_by = 'per' WHERE key = 'secret'")
    assert "secret" in listed(store, Actor(Access.CRM, "per", "crm"))
    rows.run(store, "UPDATE participant SET removed = TRUE WHERE associate = 'lise'")
    assert "secret" not in listed(store, Actor(Access.USER, "lise", "lise"))


def test_what_nobody_can_read_as_private_or_not_is_private(sqlite_store: Store) -> None:
    """Lists, single follow-ups and what webhooks look at say the same."""
    loaded(sqlite_store)
    rows.run(sqlite_store, "UPDATE follow_up SET private = 'perhaps' WHERE key = 'days'")
    stranger = Actor(Access.USER, "lise", "lise")
    with sqlite_store.read() as connection:
        concerned = parties.of(connection, "days")
        [view] = reading.follow_ups(connection, ["days"], ZONE)
    assert "days" not in listed(sqlite_store, stranger)
    assert permission.may(stranger, permission.Verb.SEE, concerned) is permission.Answer.HIDDEN
    assert view.private


def follow_up_filters() -> Iterator[tuple[dict[str, Any], list[str]]]:
    def at(month: int, day: int) -> datetime:
        return datetime(2026, month, day, tzinfo=UTC)

    yield {}, ["days", "secret", "series", "task"]
    yield {"owner": "per"}, ["task"]
    yield {"company": "acme"}, ["task"]
    yield {"person": "ola"}, ["task"]
    yield {"project": "p1"}, ["task"]
    yield {"sale": "4711"}, ["task"]
    yield {"sale": "4712"}, []
    yield {"kind": Kind.TASK}, ["task"]
    yield {"type": "Meeting (external)"}, ["series"]
    yield {"participant": "ola"}, ["days", "series"]
    yield {"participant": "lise"}, ["secret"]
    yield {"participant": "room1"}, ["series"]
    yield {"participant": "eva@OTHER.example"}, ["series"]
    yield {"since": at(12, 9)}, ["secret", "task", "days"]
    yield {"until": at(12, 9)}, ["series"]
    yield {"since": at(12, 9), "until": at(12, 20)}, ["secret"]
    yield {"open": True}, ["days", "series", "task"]
    yield {"open": False}, ["secret"]
    yield {"cancelled": True}, ["secret"]
    yield {"cancelled": False, "owner": "kari"}, ["days", "series"]
    yield {"q": "WEEK"}, ["series"]
    yield {"q": "eek"}, []
    yield {"changed_after": rows.NOW - timedelta(days=1)}, ["days", "secret", "series", "task"]
    yield {"changed_after": rows.NOW + timedelta(hours=1)}, ["days"]


def test_each_filter_finds_what_fits(store: Store) -> None:
    loaded(store)
    with store.write() as connection:
        entries = [journal.Entry("changed", "days")]
        journal.write(connection, entries, rows.NOW + timedelta(hours=2))
    found = [(wanted, listed(store, **wanted)) for wanted, _ in follow_up_filters()]
    assert found == list(follow_up_filters())


def test_each_filter_of_participants_finds_what_fits(store: Store) -> None:
    planned(store)
    ola = number(store, "series", "ola")
    rows.run(
        store,
        f"UPDATE invitation SET delivery = 'undeliverable' WHERE participant = {ola}",
        "UPDATE participant SET conflict = TRUE WHERE resource = 'room1'",
        "INSERT INTO participant (follow_up, email) VALUES ('days', 'new@other.example')",
    )
    with store.write() as connection:
        followups.write_standing(connection, ola, None, Standing(Reply.DECLINED), 9)
        entry = journal.Entry("applied", "series", ola)
        journal.write(connection, [entry], rows.NOW + timedelta(hours=2))
    every = [
        "series/ola",
        "series/per",
        "series/room1",
        "series/Eva@other.example",
        "days/ola",
        "secret/lise",
        "days/new@other.example",
    ]
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, every),
        ({"status": Status.DECLINED}, ["series/ola"]),
        ({"status": Status.CANCELLED}, ["secret/lise"]),
        ({"reply": Reply.DECLINED}, ["series/ola"]),
        (
            {"reply": Reply.NEEDS_ACTION},
            ["series/per", "series/Eva@other.example", "days/ola", "days/new@other.example"],
        ),
        ({"reply": Reply.DECLINED, "conflict": True}, []),
        ({"delivery": Delivery.UNDELIVERABLE}, ["series/ola"]),
        ({"delivery": Delivery.QUEUED}, ["series/Eva@other.example"]),
        ({"delivery": Delivery.QUEUED, "reply": Reply.DECLINED}, []),
        ({"delivery": Delivery.NONE, "follow_up": "series"}, ["series/per", "series/room1"]),
        ({"conflict": True}, ["series/room1"]),
        ({"conflict": False, "follow_up": "series"}, [every[0], every[1], every[3]]),
        ({"person": "ola"}, ["series/ola", "days/ola"]),
        ({"company": "acme", "follow_up": "days"}, ["days/ola"]),
        ({"changed_after": rows.NOW + timedelta(hours=1)}, ["series/ola"]),
    ]
    assert [(wanted, people(store, **wanted)) for wanted, _ in expected] == expected


@pytest.mark.parametrize(
    "wanted", [{}, {"q": "m"}, {"since": datetime(2026, 1, 1, tzinfo=UTC)}, {"owner": "kari"}]
)
def test_pages_go_on_where_the_last_one_ended(store: Store, wanted: dict[str, Any]) -> None:
    loaded(store)
    document = {
        "follow_ups": [
            {"key": f"k{one}", "owner": "kari", "title": "M" * (one % 3), "start": day}
            for one in range(7)
            for day in [f"2026-12-{1 + one % 2:02}T09:00:00"]
        ]
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, rows.NOW)
        whole = filters.follow_ups(connection, CRM, FollowUps(**wanted), 50).names
        pages, place = list[str](), None
        while True:
            page = filters.follow_ups(connection, CRM, FollowUps(**wanted), 2, place)
            pages += page.names
            place = page.next
            if place is None:
                break
    assert pages == list(whole)
    assert len(set(pages)) == len(pages) >= 5 - 1


def test_rows_that_cannot_be_read_hide_no_other(store: Store) -> None:
    loaded(store)
    if not store.is_sqlite:
        rows.run(store, "UPDATE follow_up SET timezone = 'Mars/Base' WHERE key = 'days'")
    else:
        rows.run(
            store,
            "UPDATE follow_up SET title = x'ff', fields = 'nothing', alarm_minutes = 'soon',"
            " timezone = 'Mars/Base' WHERE key = 'days'",
        )
    series, days = shown(store, "series", "days")
    assert series["fault"] == ""
    assert "days" in days["fault"]
    assert (days["alarm_minutes"], days["start"]) == (None, "2027-03-27")
