"""Copies of a store: by SQLite itself, before a migration, put back, and into another database
(docs/operations.md, "Backup" and "From SQLite to PostgreSQL").
"""

import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.actions import planning, restoring
from gateway.errors import Refused, StoreError
from gateway.model import LetterState, Outcome
from gateway.store import backup, copying, engine, leases, meta, migrate, outbox, schema, views
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from tests import command as cli
from tests import stores
from tests.store import rows
from tests.store.test_growth import SETTINGS
from tests.store.test_retention import GATEWAY, SENT, begin, receive, reply

LATER = SENT + timedelta(days=1)


def sqlite(folder: Path, name: str = "store.db") -> Store:
    store = Store(f"sqlite:///{folder / name}")
    migrate.upgrade(store)
    return store


def statuses(store: Store) -> list[str]:
    with store.read() as connection:
        return [str(row) for row in views.status_rows(connection)]


def letters(store: Store) -> list[object]:
    with store.read() as connection:
        found = outbox.find(connection, Selection(states=tuple(LetterState)))
        return [(one.id, one.state, one.letter.message_id, one.letter.token) for one in found]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A SQLite store with records, letters, answers, and numbers that were given and are gone."""
    path = tmp_path_factory.mktemp("copying") / "store.db"
    with closing(stores.renew(Store(f"sqlite:///{path}"), sqlite_template)) as store:
        begin(store)
        rows.run(
            store,
            "INSERT INTO change_mark (follow_up) VALUES ('nobody'), ('ahead')",
            "DELETE FROM change_mark WHERE follow_up = 'nobody'",
            "INSERT INTO person (key, timezone) VALUES ('ola', 'W. Europe Standard Time')",
            "UPDATE follow_up SET alarm_minutes = 5, notes = CAST(x'4ff86c61' AS TEXT)"
            " WHERE key = 'series'",
            "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'participant'",
        )
    return path


@pytest.fixture
def used(template: Path, tmp_path: Path) -> Store:
    return stores.renew(Store(f"sqlite:///{tmp_path / 'store.db'}"), template)


def test_everything_is_there_in_the_other_database(used: Store, empty_url: str) -> None:
    with closing(used), closing(Store(empty_url.replace("store.db", "target.db"))) as target:
        seen = list[tuple[str, int, int]]()
        made = copying.copy(used, target, LATER, lambda *one: seen.append(one))
        assert [words.split(":")[0] for words in made.mended] == ["follow_up 'series', notes"]
        assert ("participant", 12, 12) in seen
        assert migrate.check(target) == []
        assert letters(target) == letters(used)
        assert statuses(target) == statuses(used)
        with used.read() as before, target.read() as after:
            assert rows_of(before) == rows_of(after)
            secrets = [one.execute(sa.select(schema.meta)).all() for one in (before, after)]
            assert sorted(secrets[0]) == sorted(secrets[1])
        assert sorted(rows.marked(target)) == rows.marked(used), "what was marked, and no more"
        assert sorted(rows.marked(target)) == ["ahead", "series"]

        planning.plan_due(target, SETTINGS, LATER, everything=True)
        assert letters(target) == letters(used), "nobody is told anything"
        outcome, _ = receive(target, reply("ahead", "eva", "DECLINED", 77), uid=77)[0]
        assert outcome is Outcome.APPLIED
        duplicate, _ = receive(target, reply("over", "ola", "ACCEPTED", 0), uid=78)[0]
        assert duplicate is Outcome.DUPLICATE
        rows.run(
            target, "INSERT INTO participant (follow_up, email) VALUES ('ahead', 'x@y.example')"
        )
        with target.read() as connection:
            newest = connection.execute(sa.select(sa.func.max(schema.participant.c.id)))
            assert newest.scalar_one() == 5001, "no number is given twice"
        assert rows.marked(target) == ["ahead"], "triggers are there"


def rows_of(connection: engine.Connection) -> dict[str, int]:
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in schema.metadata.sorted_tables
        if table.name != "lease"
    }


def test_a_target_with_rows_is_refused_and_left_alone(used: Store, tmp_path: Path) -> None:
    with closing(used), closing(sqlite(tmp_path, "target.db")) as target:
        rows.run(target, "INSERT INTO company (key) VALUES ('acme')")
        with pytest.raises(Refused, match="not empty: there are rows in company"):
            copying.copy(used, target, LATER)
        assert letters(target) == []


def test_nothing_is_kept_of_a_copy_that_fails(
    used: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(used), closing(sqlite(tmp_path, "target.db")) as target:
        with monkeypatch.context() as patch:
            patch.setattr(copying, "NUL", "M")
            patch.setattr(copying, "UNKNOWN", None)
            with pytest.raises(TypeError):
                copying.copy(used, target, LATER)
        assert migrate.check(target) == []
        copying.copy(used, target, LATER)
        assert letters(target) == letters(used)


def test_a_gateway_that_runs_is_in_the_way(used: Store, tmp_path: Path) -> None:
    with used.write() as connection:
        leases.take(connection, f"{leases.GATEWAY}{GATEWAY}", GATEWAY, LATER)
    with closing(used), closing(Store(f"sqlite:///{tmp_path / 'target.db'}")) as target:
        with pytest.raises(Refused, match="a gateway runs on this store"):
            copying.copy(used, target, LATER)
        assert target.path is not None
        assert not target.path.exists()
        backup.make(used, tmp_path / "copy.db")
        with pytest.raises(Refused, match="systemctl stop"):
            restoring.restore(used, tmp_path / "copy.db", LATER)


def test_a_copy_of_a_store_in_use_is_put_back(used: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(used), used.write() as connection:  # somebody writes meanwhile
        connection.execute(sa.insert(schema.company).values(key="late"))
        assert backup.make(used, copy) == copy.stat().st_size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("copy")] == ["copy.db"]
    with pytest.raises(StoreError, match="takes the place of nothing"):
        backup.make(used, copy)
    before = letters(used)
    rows.run(used, "DELETE FROM outbox", "UPDATE meta SET value = 'x' WHERE key = 'site_secret'")
    made = restoring.restore(used, copy, LATER)
    assert letters(used) == before
    assert migrate.check(used) == []
    with used.read() as connection:
        assert meta.sequence_floor(connection) == made.sequence > 0
        assert connection.execute(sa.select(schema.company)).all() == []
    assert made.aside is not None
    with closing(sqlite3.connect(made.aside)) as aside:
        assert aside.execute("SELECT key FROM company").fetchall() == [("late",)]
        assert aside.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_a_copy_that_is_not_sound_changes_nothing(used: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    backup.make(used, copy)
    before = letters(used)
    with copy.open("r+b") as file:
        file.seek(8192)
        file.write(b"\0" * 40960)
    with pytest.raises(StoreError, match="is not sound"):
        restoring.restore(used, copy, LATER)
    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(StoreError, match="is not sound"):
        restoring.restore(used, empty, LATER)
    newer = tmp_path / "newer.db"
    backup.make(used, newer)
    with closing(sqlite3.connect(newer)) as made, made:
        made.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer"):
        restoring.restore(used, newer, LATER)
    assert letters(used) == before
    assert [
        one.name for one in tmp_path.iterdir() if "aside" in one.name or "ing" in one.name
    ] == []


def test_a_store_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        stores.bring(store, "0029")
        rows.run(store, "INSERT INTO follow_up (key) VALUES ('m1')")
        assert migrate.upgrade(store)
        assert migrate.upgrade(store) == []
    [kept] = [one for one in tmp_path.iterdir() if "schema" in one.name]
    assert kept.name == "store.db.schema-0029"
    assert backup.faults(kept) == []
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0029",)
        assert copy.execute("SELECT key FROM follow_up").fetchall() == [("m1",)]


def test_a_disk_without_room_for_the_copy_migrates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite(tmp_path)) as store:
        rows.run(store, "UPDATE alembic_version SET version_num = '0029'")
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1})())
        with pytest.raises(StoreError, match=r"no room .* --no-copy"):
            migrate.upgrade(store)
        assert migrate.revision(store) == "0029"


def test_the_commands(used: Store, tmp_path: Path) -> None:
    used.close()
    there = {"GATEWAY_STORE__URL": f"sqlite:///{used.path}"}

    def run(*arguments: str) -> str:
        done = cli.run("db", *arguments, environment=there)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "sound" in run("backup", str(tmp_path / "copy.db"))
    assert "put back" in run("restore", str(tmp_path / "copy.db"))
    assert "copied:" in run("copy", f"sqlite:///{tmp_path / 'target.db'}")
    assert run("upgrade") == "nothing to migrate\n"


@pytest.mark.real
def test_postgresql_is_copied_by_its_own_program(postgres_url: str, tmp_path: Path) -> None:
    stores.upgraded(postgres_url)
    secret = postgres_url.replace("gateway@", "gateway:secret@")
    done = cli.run("db", "backup", str(tmp_path / "x"), environment={"GATEWAY_STORE__URL": secret})
    assert done.returncode == 1
    assert "pg_dump --format=custom" in done.stderr
    assert "secret" not in done.stderr
