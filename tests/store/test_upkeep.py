"""Upkeep forgets what is long over and leaves what is not."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.store import engine, leases, migrate, upkeep

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_only_leases_long_over_are_forgotten(tmp_path: Path) -> None:
    with closing(engine.Store(f"sqlite:///{tmp_path}/store.db")) as store:
        migrate.upgrade(store)
        for name, age in (
            ("gone", timedelta(days=2)),
            ("late", timedelta(minutes=5)),
            ("live", timedelta()),
        ):
            with store.write() as connection:
                leases.take(connection, f"gateway:{name}", f"elsewhere/boot/1:1:{name}", NOW - age)
        with store.write() as connection:
            leases.take(
                connection, "mailbox:default", "elsewhere/boot/1:1:gone", NOW - timedelta(days=2)
            )
        assert upkeep.tidy(store, NOW) == 1
        assert upkeep.tidy(store, NOW) == 0
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT name FROM lease ORDER BY name").fetchall() == [
            ("gateway:late",),
            ("gateway:live",),
            ("mailbox:default",),
        ]
