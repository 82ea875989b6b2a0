"""Diaries, free times and invitations cost what lies in the period, not what a store holds of the
past (quality.md): every statement is planned, and counted, on a store of years.
"""

from datetime import UTC, datetime, timedelta

import pytest

from gateway import settings as configuration
from gateway.actions import asked, diaries, diary, planning
from gateway.actions.asked import Switches
from gateway.actions.desk import Desk
from gateway.model import Access, Actor
from gateway.store import activities
from gateway.store import asked as answers
from gateway.store.engine import Store
from tests.store import crowd, rows
from tests.store.test_growth import ROWS, walking

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
DAY = timedelta(days=1)
SOMEBODY = Actor(Access.USER, "a1", "a1")


@pytest.fixture
def crowded(store: Store) -> Store:
    """What is over, and beside it a few things that lie ahead."""
    crowd.fill(store, ROWS)
    now = datetime.now(UTC)
    for number, owner in enumerate(("a1", "a2", "a1")):
        start = f"'{now + (number + 1) * DAY:%Y-%m-%d %H:%M:%S}'"
        rows.run(
            store,
            "INSERT INTO follow_up (key, owner, title, start_at, rrule, kind, deadline) VALUES"
            f" ('n{number}', '{owner}', 'Ahead', {start}, '{'FREQ=MONTHLY' if number else ''}',"
            f" 'task', {start})",
            f"INSERT INTO participant (follow_up, associate) VALUES ('n{number}', 'a3')",
            f"INSERT INTO participant (follow_up, associate) VALUES ('n{number}', 'a1')",
        )
    planning.plan_due(store, SETTINGS, now, everything=True)
    rows.run(store, "UPDATE participant SET code = 9 WHERE follow_up = 'n0' AND associate = 'a3'")
    return store


def look(store: Store) -> None:
    """What people look at: a week, and one of years ago; who is free; what is asked."""
    now = datetime.now(UTC)
    with store.read() as connection:
        desk = Desk(connection, SETTINGS, now, SOMEBODY)
        names = ["a1", "a2", "a3"]
        assert diaries.shown(desk, names, (now, now + 7 * DAY))["diaries"][0]["entries"]
        diaries.shown(desk, names, (now - 900 * DAY, now - 893 * DAY))
        diaries.busy(desk, names, (now, now + DAY))
        diaries.first_available(desk, names, 60, (now, None))
        items = asked.invitations(desk, Switches(True, True, True))
        assert {item["response"] for item in items} == {True, False}
        diaries.first_of(desk, "n0")
        for link, key in (("person", "p7"), ("company", "acme"), ("project", "p"), ("sale", "s")):
            activities.page(connection, SOMEBODY, link, key, 50, None)


def keep(store: Store) -> None:
    """A meeting comes in between, and the job looks what is to be moved on."""
    now = datetime.now(UTC)
    start = f"'{now + 8 * DAY:%Y-%m-%d %H:%M:%S}'"
    rows.run(store, f"UPDATE follow_up SET start_at = {start} WHERE key = 'n0'")
    planning.plan_due(store, SETTINGS, now, everything=True)
    with store.write() as connection:
        connection.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('diaries', '1')")
    diary.move_on(store, SETTINGS, now + 60 * DAY)


def test_looking_at_diaries_costs_what_lies_in_the_period(crowded: Store) -> None:
    assert "\n".join(walking(crowded, look)) == ""


def test_keeping_diaries_costs_what_lies_ahead(crowded: Store) -> None:
    assert "\n".join(walking(crowded, keep)) == ""


def test_more_may_be_asked_than_a_statement_takes_values(sqlite_store: Store) -> None:
    many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200)"
    rows.run(
        sqlite_store,
        "INSERT INTO associate (key) VALUES ('a1'), ('a2'), ('a3')",
        f"INSERT INTO follow_up (key, owner, assigned_by, start_at) {many}"
        " SELECT 'f' || n, 'a2', 'a1', '2030-01-01 10:00:00' FROM n",
        "INSERT INTO participant (follow_up, associate, code) SELECT key, 'a3', 9 FROM follow_up",
        "INSERT INTO participant (follow_up, associate, code) SELECT key, 'a1', 5 FROM follow_up",
    )
    with rows.narrow(sqlite_store) as connection:
        declined = answers.refusals(connection, "a1", rows.NOW)
        answers.invitations(connection, "a1", rows.NOW, answers.UNANSWERED, dates=True)
    numbers = [one.row.id for one in declined]
    assert (len(numbers), numbers) == (1200, sorted(numbers))
