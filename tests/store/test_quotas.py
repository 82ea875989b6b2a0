"""How often a token or an address may ask, counted over all processes of a store, on both databases: two `Quotas`
know of each other by the store alone, as two processes do.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.store.engine import Store
from gateway.web.api import quotas as module
from gateway.web.api.quotas import Quota, Quotas
from tests.store import rows

LIMIT = 60
NOW = rows.NOW


def taken(store: Store, quotas: Quotas, number: int, after: float = 0) -> Iterator[Quota]:
    for _ in range(number):
        quota = quotas.take(store, "1", NOW + timedelta(seconds=after))
        assert quota is not None
        yield quota


def test_api_2_one_process_may_spend_it_all_and_says_what_is_left(store: Store) -> None:
    quotas = Quotas(LIMIT)
    answers = list(taken(store, quotas, LIMIT + 1))
    assert [one.left for one in answers] == [*range(LIMIT - 1, -1, -1), -1]
    assert answers[-1].is_over
    assert answers[-1].seconds == 60
    assert answers[0].headers["RateLimit-Policy"] == '"token";q=60;w=60'
    [other] = [quotas.take(store, "2", NOW)]
    assert other is not None
    assert other.left == LIMIT - 1, "each token has its own"
    assert Quotas(0).take(store, "1", NOW) is None


def _all_taken(store: Store, process: Quotas) -> list[Quota]:
    return list(taken(store, process, LIMIT))


def test_api_2_two_processes_hold_the_limit_together(store: Store) -> None:
    processes = [Quotas(LIMIT), Quotas(LIMIT)]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(_all_taken, store, one) for one in processes]
        answers = [quota for one in asked for quota in one.result(60)]
    assert sum(not one.is_over for one in answers) == LIMIT


def test_api_2_after_a_minute_it_begins_anew(store: Store) -> None:
    first, second = Quotas(LIMIT), Quotas(LIMIT)
    assert list(taken(store, first, LIMIT + 1))[-1].is_over
    [refused] = taken(store, second, 1, after=59)
    assert (refused.is_over, refused.seconds) == (True, 1)
    for process in (first, second):
        [again] = taken(store, process, 1, after=60)
        assert not again.is_over


def test_api_2_a_clock_that_was_put_back_bars_nobody(store: Store) -> None:
    quotas = Quotas(LIMIT)
    assert list(taken(store, quotas, LIMIT + 1))[-1].is_over
    [again] = taken(store, quotas, 1, after=-3600)
    assert not again.is_over


def test_most_requests_write_nothing(store: Store) -> None:
    quotas = Quotas(600)
    list(taken(store, quotas, 30))
    with store.read() as connection:
        granted = connection.exec_driver_sql("SELECT letters FROM pace").scalar_one()
    assert granted == 30, "one share of twenty"


def test_a_process_that_forgets_somebody_gives_nothing_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 2)
    quotas = Quotas(LIMIT, "answer page", 4)
    for turn in range(5):
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            quota = quotas.take(store, address, NOW)
            assert quota is not None
            assert quota.is_over is (turn == 4), "a share of fifteen each time"
