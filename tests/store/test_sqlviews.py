"""The views that other programs read by SQL (contract.md §4)."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway import shapes
from gateway.actions import load, planning
from gateway.invite import plan
from gateway.model import Access, Actor, Reply, Standing
from gateway.store import filters, followups, journal, migrate, reading, schema, sqlviews
from gateway.store.engine import Store
from gateway.store.filters import Participants
from tests import stores
from tests.rig.postgres import Cluster
from tests.store import crowd, rows
from tests.store.conftest import Program
from tests.store.test_reading import DIRECTORY, FOLLOW_UPS

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
CRM = Actor(Access.CRM, "", "crm")
COLUMNS = [
    *("follow_up", "key", "id", "name", "address", "email_invite", "suspended", "code", "status"),
    *("reply", "comment", "replied_at", "delivery", "delivery_reason", "conflict", "change"),
]


def planned(store: Store) -> None:
    with store.write() as connection:
        load.load(connection, {**DIRECTORY, "follow_ups": FOLLOW_UPS}, SETTINGS, rows.NOW)
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def same(store: Store) -> list[tuple[object, ...]]:
    """What the view says, held against what is shown."""
    with store.read() as connection:
        query = sa.text("SELECT * FROM participant_status ORDER BY id")
        told = connection.execute(query).mappings().all()
        page = filters.participants(connection, CRM, Participants(), 100)
        views = reading.rows_of(connection, page.names, "Europe/Oslo")
    shown = [shapes.participant(view) for view in views]
    names = {"follow_up", "key", "id", "address", "email_invite", "suspended", "code", "status"}
    names |= {"reply", "comment", "delivery", "delivery_reason", "conflict"}
    assert [{name: row[name] for name in names} for row in told] == [
        {name: row[name] for name in names} for row in shown
    ]
    assert [row["name"] for row in told] == [row["shown_name"] for row in shown]
    return [(row["key"], row["code"], row["status"]) for row in told]


def test_a_row_says_what_is_shown_of_its_participant(store: Store) -> None:
    planned(store)
    with store.read() as connection:
        assert list(connection.execute(sa.text("SELECT * FROM participant_status")).keys()) == (
            COLUMNS
        )
        number = connection.execute(
            sa.select(schema.participant.c.id).where(
                schema.participant.c.person == "ola", schema.participant.c.follow_up == "series"
            )
        ).scalar_one()
    with store.write() as connection:
        said = Standing(Reply.DECLINED, comment="no", replied_at=rows.NOW)
        followups.write_standing(connection, number, None, said, 9)
        journal.write(connection, [journal.Entry("applied", "series", number)], rows.NOW)
        connection.execute(
            sa.text(
                "UPDATE invitation SET delivery = 'undeliverable', delivery_text = '550 no'"
                " WHERE participant = :row"
            ),
            {"row": number},
        )
    same(store)
    with store.read() as connection:
        query = sa.text("SELECT * FROM participant_status WHERE id = :row")
        row = connection.execute(query, {"row": number}).mappings().one()
        assert row["change"] == journal.newest(connection)
    at = "2026-11-20 08:00:00" if store.is_sqlite else rows.NOW
    assert (row["replied_at"], row["delivery_reason"]) == (at, "550 no")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE follow_up SET cancelled = TRUE", ("ola", 10, "cancelled")),
        ("UPDATE participant SET code = NULL", ("ola", 5, "invitation")),
        ("UPDATE follow_up SET owner = 'per'", ("per", 1, "not_started")),
        (
            "UPDATE follow_up SET owner = 'per', assigned_by = 'kari'",
            ("per", 11, "assigned"),
        ),
    ],
)
def test_what_nobody_has_worked_out_yet_is_right_too(
    store: Store, statement: str, expected: tuple[object, ...]
) -> None:
    """domain.md §4."""
    planned(store)
    rows.run(store, "UPDATE participant SET code = NULL WHERE associate IS NOT NULL", statement)
    assert expected in same(store)


@pytest.mark.parametrize(
    ("note", "suspended"),
    [
        (plan.NO_ADDRESS, "no_address"),
        (plan.OWN_MAILBOX, "no_address"),
        (f"{plan.UNREADABLE}person 'ola', name: it's bytes", "no_address"),
        (plan.NO_ACCOUNT, "no_account"),
        ("the guest list is private: with everybody named", ""),
    ],
)
def test_a_switch_without_effect_says_why(store: Store, note: str, suspended: str) -> None:
    """domain.md §3."""
    planned(store)
    with store.write() as connection:
        of_ola = schema.participant.c.person == "ola"
        connection.execute(sa.update(schema.participant).where(of_ola).values(note=note))
    same(store)
    with store.read() as connection:
        query = sa.text(
            "SELECT DISTINCT suspended FROM participant_status"
            " WHERE key = 'ola' AND follow_up = 'series'"
        )
        assert connection.execute(query).scalars().all() == [suspended]


def test_changes_go_on_where_the_last_look_ended(store: Store) -> None:
    planned(store)
    query = sa.text("SELECT * FROM change WHERE (tx, id) > (:tx, :id) ORDER BY tx, id")
    with store.read() as connection:
        changes = connection.execute(query, {"tx": 0, "id": 0}).mappings().all()
        entries = journal.after(connection, 0)
        last = changes[-1]
        rest = connection.execute(query, {"tx": last["tx"], "id": last["id"]}).all()
    assert [row["id"] for row in changes] == [entry.id for entry in entries]
    assert list(changes[0].keys()) == [
        *("id", "at", "event", "follow_up", "participant", "before", "after", "by", "channel"),
        "tx",
    ]
    assert rest == []


def test_programs_of_the_database_read_them(store: Store, program: Program) -> None:
    planned(store)
    told = program("SELECT key, status FROM participant_status WHERE follow_up = 'days';")
    assert told.strip() == "ola|invitation"


def test_a_view_that_is_gone_or_altered_is_said_and_made_anew(store: Store) -> None:
    rows.run(store, "DROP VIEW change", "CREATE VIEW change AS SELECT 1 AS id")
    rows.run(store, "DROP VIEW participant_status")
    assert [words.split()[1] for words in migrate.check(store)] == ["change", "participant_status"]
    migrate.upgrade(store)
    assert migrate.check(store) == []


@pytest.fixture
def postgres_store(postgres: Cluster) -> Iterator[Store]:
    with postgres.database(postgres.template("gateway_schema", stores.upgraded)) as made:
        opened = Store(made)
        yield opened
        opened.close()


@pytest.mark.real
def test_whoever_was_allowed_to_read_them_still_is(postgres_store: Store) -> None:
    store = postgres_store
    rows.run(store, "CREATE ROLE reads_views", "GRANT SELECT ON change TO reads_views")
    try:
        rows.run(store, "DROP VIEW participant_status")
        migrate.upgrade(store)
        with store.read() as connection:
            query = sa.text("SELECT has_table_privilege('reads_views', 'change', 'SELECT')")
            assert connection.execute(query).scalar_one()
    finally:
        rows.run(store, "DROP OWNED BY reads_views", "DROP ROLE reads_views")


def test_one_follow_up_is_read_by_an_index(sqlite_store: Store) -> None:
    crowd.fill(sqlite_store, 1_000)
    with (
        rows.explained(sqlite_store, "participant_status") as steps,
        sqlite_store.read() as connection,
    ):
        query = "SELECT * FROM participant_status WHERE follow_up = 'm1'"
        connection.execute(sa.text(query)).all()
    assert steps
    assert not [step for step in steps if step.startswith("SCAN")]
    assert sqlviews.STATUS in query
