"""The store is made and brought up to date in one step,
and `check` finds what was done to it behind our back.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from gateway.errors import ConfigurationError, StoreError
from gateway.store import migrate, schema, sqlviews, triggers
from gateway.store.engine import Store
from tests import stores
from tests.store import rows
from tests.store.conftest import Program

REVISIONS = sorted(
    file.name[:4]
    for file in (Path(migrate.__file__).parent / "migrations" / "versions").glob("0*.py")
)


def test_files_begin_with_the_revisions_that_are_in_them() -> None:
    """Commands look at the names alone."""
    scripts = ScriptDirectory.from_config(migrate._config())
    assert [script.revision for script in scripts.walk_revisions()] == REVISIONS[::-1]
    assert migrate._revisions() == REVISIONS


def test_a_store_is_made_from_nothing_and_only_once(empty_url: str) -> None:
    with closing(Store(empty_url)) as store:
        assert migrate.upgrade(store) == REVISIONS
        assert migrate.upgrade(store) == []
        migrate.require(store)
        assert migrate.check(store) == []


def test_rows_of_an_earlier_program_stay_and_can_say_more(empty_url: str) -> None:
    with closing(Store(empty_url)) as store:
        stores.bring(store, "0004")
        rows.run(
            store,
            "INSERT INTO follow_up (key, title, start_at, cancelled) VALUES ('m1', 'Kick-off', '2026-12-01 08:00:00', TRUE)",
            "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES ('m1', '2026-12-08 08:00:00', TRUE)",
            "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', 'eva@other.example', TRUE)",
        )
        assert migrate.upgrade(store) == [one for one in REVISIONS if one > "0004"]
        assert migrate.check(store) == []
        with store.read() as connection:
            row = connection.execute(sa.select(schema.follow_up)).one()
            assert (row.title, row.cancelled, row.cancel_reason, row.answer_by) == (
                "Kick-off",
                True,
                "",
                None,
            )
            assert (
                connection.execute(sa.select(schema.follow_up_date.c.cancel_reason)).scalar_one()
                == ""
            )
            assert (
                connection.execute(sa.select(schema.participant.c.email)).scalar_one()
                == "eva@other.example"
            )
        rows.run(
            store,
            "DELETE FROM change_mark",
            "UPDATE follow_up_date SET cancel_reason = 'The speaker is ill'",
        )
        assert rows.marked(store) == ["m1"]
        rows.run(
            store,
            "DELETE FROM change_mark",
            "UPDATE follow_up SET answer_by = '2026-11-27 11:00:00'",
        )
        assert rows.marked(store) == ["m1"]


def test_a_store_that_is_missing_or_empty_is_refused_with_what_to_do(empty_url: str) -> None:
    with (
        closing(Store(empty_url)) as store,
        pytest.raises(StoreError, match="invite-gateway db upgrade"),
    ):
        migrate.require(store)


def test_two_gateways_that_start_together_make_one_store(empty_url: str) -> None:
    def upgrade(_: int) -> list[str]:
        with closing(Store(empty_url)) as store:
            return migrate.upgrade(store)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(upgrade, range(4))) == [[], [], [], REVISIONS]


def test_a_migration_that_was_given_up_for_a_gateway_is_tried_again(
    postgres_url: str,
) -> None:
    """The gateway has a table that the migration wants, and wants one that the migration has."""
    with closing(Store(postgres_url)) as store:
        stores.bring(store, REVISIONS[-2])
        with store.write() as connection:
            # One that the migration drops. Those of today may name columns that are not there yet.
            connection.exec_driver_sql(
                "CREATE FUNCTION mark_participant_insert() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RETURN NULL; END $$;"
                " CREATE TRIGGER mark_participant_insert AFTER INSERT ON participant"
                " FOR EACH ROW EXECUTE FUNCTION mark_participant_insert()"
            )
        with (
            psycopg.connect(
                store.url.set(drivername="postgresql").render_as_string(False)
            ) as other,
            ThreadPoolExecutor(1) as pool,
        ):
            # Who has waited for so long asks whether it waits in a circle, and gives way.
            other.execute("SET deadlock_timeout = '60s'")
            other.execute("LOCK TABLE participant IN ACCESS SHARE MODE")
            upgrade = pool.submit(migrate.upgrade, store)
            while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert not upgrade.done(), upgrade.result()
            other.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
            other.commit()
            assert upgrade.result(60) == REVISIONS[-1:]
        assert migrate.check(store) == []


def test_migrations_give_exactly_the_tables_that_the_program_uses(store: Store) -> None:
    with store.read() as connection:
        assert migrate.differences(connection) == []
        present = set(sa.inspect(connection).get_table_names())
        assert present - {"alembic_version"} == set(schema.metadata.tables)


def test_migrations_give_the_same_checks_and_triggers_as_the_tables_say(store: Store) -> None:
    """Alembic does not compare CHECK constraints."""
    with store.read() as connection:
        for table in schema.metadata.sorted_tables:
            present = {
                one["name"] for one in sa.inspect(connection).get_check_constraints(table.name)
            }
            wanted = {
                one.name
                for one in table.constraints
                if isinstance(one, sa.CheckConstraint)
                and (store.is_sqlite or not str(one.name).endswith(schema.LIKE))
            }
            assert present == wanted, table.name
        assert triggers.missing(connection) == []


def test_a_dropped_trigger_is_noticed_and_rebuilt(store: Store, program: Program) -> None:
    program(
        "DROP TRIGGER mark_participant_insert" + (";" if store.is_sqlite else " ON participant;")
    )
    assert [one for one in migrate.check(store) if "mark_participant_insert" in one]
    migrate.upgrade(store)
    assert migrate.check(store) == []


def test_an_altered_trigger_is_noticed(store: Store, program: Program) -> None:
    if store.is_sqlite:
        program(
            "DROP TRIGGER mark_person_update; CREATE TRIGGER mark_person_update AFTER UPDATE OF name ON person BEGIN SELECT 1; END;"
        )
    else:
        program(
            "CREATE OR REPLACE FUNCTION mark_person_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        )
    assert [one for one in migrate.check(store) if "mark_person_update" in one]


@pytest.mark.real
def test_a_trigger_that_is_switched_off_is_noticed(postgres_url: str) -> None:
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        rows.run(store, "ALTER TABLE participant DISABLE TRIGGER mark_participant_update")
        assert [one for one in migrate.check(store) if "mark_participant_update" in one]


def test_an_altered_table_is_noticed(store: Store, program: Program) -> None:
    program("ALTER TABLE person ADD COLUMN nickname text; DROP INDEX ix_person_email_address;")
    found = migrate.check(store)
    assert [one for one in found if "nickname" in one]
    assert [one for one in found if "ix_person_email_address" in one]


# SQLAlchemy does not copy an index on an expression; our migrations make theirs anew.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_triggers_outlive_a_migration_that_copies_a_table(tmp_path: Path) -> None:
    """SQLite's batch mode makes a new table and drops the old one, and its triggers with it."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        migrate.upgrade(store)
        rows.begin(store)
        with store.write() as connection:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            sqlviews.drop(connection)  # as `upgrade` does: no table is dropped that a view reads
            with Operations(MigrationContext.configure(connection)).batch_alter_table(
                "person_email", recreate="always"
            ) as batch:
                batch.add_column(sa.Column("label", sa.Text))
            assert triggers.missing(connection)
            triggers.rebuild(connection)
            assert triggers.missing(connection) == []
            connection.exec_driver_sql(
                "INSERT INTO person_email (person, position, address) VALUES ('ola', 1, 'o@ext.example')"
            )
        assert rows.marked(store) == ["m1"]


def test_rows_that_refer_to_nothing_are_noticed(
    tmp_path: Path, program: Program, store: Store
) -> None:
    if not store.is_sqlite:
        with pytest.raises(RuntimeError, match="violates foreign key"):
            program("INSERT INTO participant (follow_up, email) VALUES ('nowhere', 'a@b.example');")
        return
    program(
        "PRAGMA foreign_keys = OFF; INSERT INTO participant (follow_up, email) VALUES ('nowhere', 'a@b.example');"
    )
    assert migrate.check(store) == [
        "SQLite: row 1 of participant refers to a missing row of follow_up"
    ]


def test_a_store_of_a_newer_program_is_left_alone(store: Store, program: Program) -> None:
    program("UPDATE alembic_version SET version_num = '9999';")
    for attempt in (migrate.upgrade, migrate.require, migrate.check):
        with pytest.raises(StoreError, match="newer than this program"):
            attempt(store)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://root@localhost/x", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_names_no_store_of_ours_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        Store(url)


def test_a_store_out_of_reach_says_which_without_its_password(tmp_path: Path) -> None:
    with (
        closing(Store("postgresql://gateway:secret-word@127.0.0.1:1/none")) as store,
        pytest.raises(StoreError) as caught,
    ):
        migrate.require(store)
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret-word" not in str(caught.value)
