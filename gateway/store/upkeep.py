"""What a store needs from time to time to stay small and fast; nothing depends on when it is done,
or by whom.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from gateway.store import (
    conditions,
    engine,
    journal,
    leases,
    pace,
    requests,
    undos,
    upsert,
    users,
    vitals,
)
from gateway.store.engine import Store
from gateway.store.schema import lease, meta

FORGET = timedelta(days=1)
"""A lease that ran out so long ago belongs to a gateway that will not come back under its name."""
SAMPLE = 1_000
"""So many entries of each index tell SQLite how its rows are spread (sqlite.org/pragma.html)."""
TRIAL = "trial"
"""The row of `meta` by which `try_to_write` finds out; it is gone before anybody else sees it."""


def tidy(store: Store, now: datetime) -> int:
    """Forget the leases of gateways long gone, answers and sessions that nobody may ask for any
    more, and let SQLite refresh its statistics. Returns how many leases went.
    """
    with store.write() as connection:
        if store.is_sqlite:
            # PostgreSQL has its autovacuum. Without a limit every row of a table is looked at,
            # while nobody else can write.
            connection.exec_driver_sql(f"PRAGMA analysis_limit={SAMPLE}")
            connection.exec_driver_sql("PRAGMA optimize")
        journal.adopt(connection)
        pace.forget(connection, now)
        conditions.forget(connection, now)
        vitals.forget(connection, now)
        requests.forget(connection, now)
        users.forget(connection, now)
        undos.forget(connection, now)
        # Only those that say that a gateway lives: the others keep fencing numbers, which never go
        # back.
        statement = sa.delete(lease).where(
            lease.c.name.startswith(leases.GATEWAY, autoescape=True),
            lease.c.expires_at < now - FORGET,
        )
        return connection.execute(statement).rowcount


def try_to_write(store: Store) -> None:
    """Write into the store and take it back; another program is waited for no longer than SQLite
    would. Raises `StoreError` where it cannot be written.
    """
    with store.write() as connection:
        if not store.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {engine.BUSY_MILLISECONDS}")
        upsert.one(connection, meta, {"key": TRIAL}, {"value": ""})
        connection.execute(sa.delete(meta).where(meta.c.key == TRIAL))
