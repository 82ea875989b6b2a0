"""What another program writes by plain SQL stands in the journal, as what commands do does
(domain.md §4, "by SQL"), on both databases.
"""

from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.actions import desk, planning, recording
from gateway.followups import fields
from gateway.model import Access, Actor
from gateway.store import journal, marks, migrate, records
from gateway.store.engine import IMMEDIATE, Store
from gateway.store.journal import Entry
from tests.store import rows
from tests.store.conftest import Program
from tests.store.test_announced import SETTINGS

MAKE = "INSERT INTO follow_up (key, owner, title, start_at) VALUES ('m9', 'kari', 'New', '2026-12-04 08:00:00')"
MAKE_PERS = "INSERT INTO participant (follow_up, associate) VALUES ('m9', 'per')"
RETITLE = "UPDATE follow_up SET title = 'Another' WHERE key = 'm9'"
CANCEL = "UPDATE follow_up SET cancelled = TRUE WHERE key = 'm9'"
REINSTATE = "UPDATE follow_up SET cancelled = FALSE WHERE key = 'm9'"
DELETE = "DELETE FROM follow_up WHERE key = 'm9'"
RECUR = "UPDATE follow_up SET rrule = 'FREQ=DAILY;COUNT=2' WHERE key = 'm9'"
ONLY_DATES = tuple(
    "INSERT INTO follow_up_date (follow_up, original_start, cancelled)"
    f" VALUES ('m9', '2026-12-0{day} 08:00:00', TRUE)"
    for day in (4, 5)
)
CRM = Actor(Access.CRM, name="crm")


def plan(store: Store) -> None:
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def entries(store: Store, key: str = "m9") -> list[Entry]:
    with store.read() as connection:
        return journal.after(connection, 0, follow_up=key)


def news(store: Store, key: str = "m9") -> list[str]:
    """What the journal says of the follow-up itself."""
    return [one.event for one in entries(store, key) if one.participant is None]


@pytest.fixture
def made(store: Store) -> Store:
    rows.begin(store)
    rows.run(store, MAKE, MAKE_PERS)
    plan(store)
    return store


def test_domain_4_what_sql_makes_is_told_of_once_and_signed(made: Store) -> None:
    plan(made)
    first, added = entries(made)
    assert (first.event, first.by, first.channel) == ("created", "SQL", "store")
    assert (added.event, added.detail) == ("added", "associate:per")


def test_domain_4_every_change_by_sql_is_told_of_by_its_name(made: Store) -> None:
    for statement in (RETITLE, CANCEL, REINSTATE, DELETE):
        rows.run(made, statement)
        plan(made)
    assert news(made) == ["created", "changed", "cancelled", "reinstated", "deleted"]
    assert {one.by for one in entries(made) if one.participant is None} == {"SQL"}


def test_domain_4_many_statements_before_the_planner_comes_are_one_change(made: Store) -> None:
    rows.run(made, RETITLE, "UPDATE follow_up SET location = 'Fjord' WHERE key = 'm9'")
    plan(made)
    assert news(made) == ["created", "changed"]


def test_domain_4_what_is_deleted_and_made_again_is_told_of_each_time(made: Store) -> None:
    for statement in (DELETE, MAKE, DELETE):
        rows.run(made, statement)
        plan(made)
    assert news(made) == ["created", "deleted", "created", "deleted"]


def test_domain_4_what_nobody_ever_saw_is_not_told_of(store: Store) -> None:
    rows.begin(store)
    rows.run(store, MAKE, DELETE)
    plan(store)
    assert news(store) == []


def test_domain_6_a_series_whose_dates_are_all_off_is_changed_not_reinstated(made: Store) -> None:
    rows.run(made, RECUR)
    plan(made)
    rows.run(made, *ONLY_DATES)
    plan(made)
    rows.run(made, RETITLE)
    plan(made)
    assert news(made) == ["created", "changed", "changed", "changed"]


def test_domain_4_a_record_that_says_what_cannot_be_was_changed_all_the_same(made: Store) -> None:
    rows.run(made, "UPDATE follow_up SET timezone = 'Mars/Base' WHERE key = 'm9'")
    plan(made)
    assert news(made)[:2] == ["created", "changed"]


def test_domain_4_a_row_deleted_by_sql_is_told_of_once(made: Store) -> None:
    rows.run(made, "DELETE FROM participant WHERE follow_up = 'm9'")
    plan(made)
    rows.run(made, RETITLE, "INSERT INTO participant (follow_up, person) VALUES ('m9', 'eva')")
    plan(made)
    said = [(one.event, one.detail, one.by) for one in entries(made) if one.participant]
    assert said == [
        ("added", "associate:per", ""),
        ("removed", "associate:per", "SQL"),
        ("added", "person:eva", ""),
    ]


def test_domain_4_of_a_follow_up_that_is_gone_its_rows_are_not_told_of(made: Store) -> None:
    rows.run(made, DELETE)
    plan(made)
    assert [one.event for one in entries(made)] == ["created", "added", "deleted"]


def test_domain_4_who_was_removed_before_is_not_removed_again(made: Store) -> None:
    rows.run(made, "UPDATE participant SET removed = TRUE WHERE follow_up = 'm9'")
    plan(made)
    rows.run(made, "DELETE FROM participant WHERE follow_up = 'm9'")
    plan(made)
    assert [one.event for one in entries(made) if one.participant] == ["added", "removed"]


INTERNAL = {
    "type": "'Phone meeting'",
    "notes": "'not for them'",
    "company": "'acme'",
    "person": "'ola'",
    "sale": "'s1'",
    "alarm_minutes": "15",
    "priority": "'high'",
    "completed": "TRUE",
    "private": "TRUE",
    "fields": """'{"room": "red"}'""",
}


@pytest.mark.parametrize("column", INTERNAL)
def test_domain_2_what_no_letter_shows_is_told_of_too(made: Store, column: str) -> None:
    """Who did it is kept, whatever it was; written back as it was, it is no change."""
    assert {f"follow_up.{one}" for one in INTERNAL} == {
        one.column for one in fields.INTERNAL if one.shown
    }
    rows.run(made, f"UPDATE follow_up SET {column} = {INTERNAL[column]} WHERE key = 'm9'")
    plan(made)
    rows.run(made, f"UPDATE follow_up SET {column} = {column} WHERE key = 'm9'")
    plan(made)
    assert news(made) == ["created", "changed"]
    assert entries(made)[-1].by == "SQL"
    with made.read() as connection:
        assert records.last_change(connection, "m9")[0] == "SQL"


def test_domain_4_of_many_that_are_renamed_none_was_deleted(made: Store) -> None:
    """However the planner cuts its batches."""
    for number in range(9):
        rows.run(made, MAKE.replace("m9", f"n{number}"))
    plan(made)
    rows.run(made, "UPDATE follow_up SET key = 'x' || key WHERE key LIKE 'n_'")
    plan(made)
    told = [news(made, f"n{number}") for number in range(9)]
    assert told == [["created", "renamed"]] * 9
    assert [set(news(made, f"xn{number}")) for number in range(9)] == [{"changed"}] * 9


def test_domain_4_a_renamed_follow_up_was_changed_and_not_deleted(
    made: Store, program: Program
) -> None:
    """SQLite's own program renames without its foreign keys, PostgreSQL with them."""
    program("UPDATE follow_up SET key = 'm8' WHERE key = 'm9'")
    plan(made)
    assert (news(made, "m9"), news(made, "m8")) == (["created", "renamed"], ["changed"])
    assert [entries(made, key)[-1].detail for key in ("m9", "m8")] == ["is m8", "was m9"]
    assert [one.event for one in entries(made, "m8") if one.participant] == []


def test_domain_4_what_a_command_does_is_told_of_by_the_command_alone(store: Store) -> None:
    rows.begin(store)

    def make(at: desk.Desk) -> None:
        recording.create(at, {"key": "m9", "owner": "kari", "start": "2026-12-04T08:00:00Z"})

    def delete(at: desk.Desk) -> None:
        recording.delete(at, "m9")

    for command in (make, delete):
        desk.perform(store, SETTINGS, rows.NOW, CRM, command)
        plan(store)
    recording.forget(store)
    plan(store)
    assert [(one.event, one.by) for one in entries(store)] == [
        ("created", "crm"),
        ("deleted", "crm"),
    ]


@pytest.mark.real
def test_domain_4_what_comes_while_the_planner_looks_is_told_of_once(postgres_url: str) -> None:
    """On SQLite nobody can write meanwhile."""
    with closing(Store(postgres_url)) as store, closing(Store(postgres_url)) as another:
        migrate.upgrade(store)
        rows.begin(store)
        rows.run(store, MAKE)
        plan(store)
        with store.write() as connection:
            marks.mark(connection, ["m9"], rows.NOW)
        left = [RETITLE]

        def meanwhile(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            is_write = connection.get_execution_options().get(IMMEDIATE)
            if is_write and "change_mark" in statement and left:
                rows.run(another, left.pop())

        sa.event.listen(store.engine, "after_cursor_execute", meanwhile)
        plan(store)
        assert left == []
        assert news(store) == ["created", "changed"]
