"""Two transactions that wait for each other, on PostgreSQL: somebody else holds a row that a command
wants, and then wants the follow-up that the command has locked.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.store import followups, records
from gateway.store.engine import Store
from tests import waiting

T = TypeVar("T")
LIMIT = 60.0


def collide(store: Store, key: str, work: Callable[[], T]) -> T:
    """What `work` gives, which locks this follow-up and then its record: PostgreSQL gives its first
    transaction up, for the other one never looks for a circle itself.
    """
    with ThreadPoolExecutor(2) as pool:
        with store.write() as other:
            other.exec_driver_sql("SET LOCAL deadlock_timeout = '1h'")
            records.hold(other, key)
            working = pool.submit(work)
            waiting.watch(lambda: blocked(store))
            wanting = pool.submit(followups.lock, other, key)
            wanting.result(LIMIT)
        return working.result(LIMIT)


def blocked(store: Store) -> int:
    """How many sessions of PostgreSQL wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with store.read() as connection:
        number: int = connection.exec_driver_sql(query).scalar_one()
    return number
