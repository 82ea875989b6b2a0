"""A lease belongs to one gateway; its fencing number tells a new holder from an old one
that wakes up late.
"""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from gateway.errors import LeaseLost, StoreError
from gateway.store import clock, leases
from gateway.store.engine import Store
from tests.store import rows

NOW = rows.NOW
A, B = "host-a/boot/1:10:aaaa", "host-b/boot/1:10:bbbb"
SECOND = timedelta(seconds=1)


def take(
    store: Store, holder: str, after: timedelta = timedelta(), name: str = "mailbox:default"
) -> int | None:
    with store.write() as connection:
        return leases.take(connection, name, holder, NOW + after)


def test_a_lease_belongs_to_whoever_came_first(store: Store) -> None:
    assert take(store, A) == 1
    assert take(store, B) is None
    assert take(store, B, name="mailbox:other") == 1


def test_renewing_keeps_the_number_and_puts_the_end_off(store: Store) -> None:
    assert take(store, A) == 1
    assert take(store, A, leases.LIFE - SECOND) == 1
    assert take(store, B, leases.LIFE) is None
    assert take(store, B, leases.LIFE * 2 - SECOND) == 2


def test_a_lease_that_ran_out_is_taken_over_with_a_higher_number(store: Store) -> None:
    assert take(store, A) == 1
    assert take(store, B, leases.LIFE - SECOND) is None
    assert take(store, B, leases.LIFE) == 2
    assert take(store, A, leases.LIFE + SECOND) is None
    assert take(store, A, leases.LIFE * 3) == 3


def test_a_released_lease_is_free_at_once_and_its_number_never_goes_back(store: Store) -> None:
    assert take(store, A) == 1
    with store.write() as connection:
        leases.release(connection, "mailbox:default", B)
    assert take(store, B) is None
    with store.write() as connection:
        leases.release(connection, "mailbox:default", A)
    assert take(store, B) == 2
    assert take(store, A, leases.LIFE) == 3


def test_many_that_ask_at_once_make_one_holder(store: Store) -> None:
    start = threading.Barrier(8)

    def ask(number: int) -> int | None:
        start.wait(30)
        return take(store, f"host-{number}/boot/1:10:aaaa")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert sorted(answer for answer in answers if answer is not None) == [1]


def test_a_dead_process_of_this_machine_is_recognised_at_once(store: Store) -> None:
    program = "from gateway.store import leases; print(leases.identity())"
    dead = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    assert take(store, dead) == 1
    assert take(store, leases.identity()) == 2


def test_a_dead_process_that_nobody_has_buried_is_dead(store: Store) -> None:
    """A zombie: the first process of a container seldom asks after its children."""
    program = "from gateway.store import leases; print(leases.identity(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert take(store, name) == 1
        assert take(store, leases.identity()) is None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert take(store, leases.identity()) == 2


def test_a_number_that_is_used_again_is_another_process(store: Store) -> None:
    """The processes of a container that is started anew have the numbers of those before."""
    place, process, chance = leases.identity().rsplit(":", 2)
    number, _, start = process.partition(".")
    assert take(store, f"{place}:{number}.{int(start) - 1}:{chance}") == 1
    assert take(store, leases.identity()) == 2


def test_a_living_process_of_this_machine_keeps_its_lease(store: Store) -> None:
    mine = leases.identity()
    assert f":{os.getpid()}." in mine
    assert mine != leases.identity()
    assert take(store, mine) == 1
    assert take(store, leases.identity()) is None


def test_a_process_of_another_machine_is_judged_by_the_clock_alone(store: Store) -> None:
    with store.write() as connection:
        for holder in (A, B):
            leases.take(connection, f"gateway:{holder}", holder, NOW)
        leases.release(connection, f"gateway:{B}", B)
        assert leases.alive(
            connection, [A, B, "never-seen/boot/1:1:c"], NOW + leases.LIFE - SECOND
        ) == {A}
        assert leases.alive(connection, [A, B], NOW + leases.LIFE) == set()


def test_a_living_process_of_this_machine_lives_until_it_hangs(store: Store) -> None:
    mine = leases.identity()
    with store.write() as connection:
        leases.take(connection, f"gateway:{mine}", mine, NOW)
        expires = NOW + leases.LIFE
        assert leases.alive(connection, [mine], expires + leases.HANGS - SECOND) == {mine}
        assert leases.alive(connection, [mine], expires + leases.HANGS) == set()
        leases.release(connection, f"gateway:{mine}", mine)
        assert leases.alive(connection, [mine], NOW) == set()


def test_a_clock_that_was_set_back_keeps_nothing_for_the_dead_elsewhere(store: Store) -> None:
    back = timedelta(hours=2)
    assert take(store, A) == 1
    assert take(store, A, name=f"gateway:{A}") == 1
    assert take(store, A, name="time zones:2026c") == 1
    with store.write() as connection:
        assert leases.alive(connection, [A], NOW - back) == set()
        assert leases.held(connection, leases.TIME_ZONES, NOW - back) == []
        assert leases.bury(connection, [A], NOW - back) == {A}
    assert take(store, B, -back) == 2
    # It renews by the same clock, and lives.
    assert take(store, B, -back, f"gateway:{B}") == 1
    with store.read() as connection:
        assert leases.alive(connection, [A, B], NOW - back) == {B}


def test_clocks_of_two_machines_may_differ(store: Store) -> None:
    """Whose clock is behind takes nothing from who lives."""
    assert take(store, A) == 1
    assert take(store, A, name=f"gateway:{A}") == 1
    assert take(store, A, name="time zones:2026c") == 1
    behind = NOW - clock.TOLERANCE
    with store.read() as connection:
        assert leases.alive(connection, [A], behind) == {A}
        assert leases.held(connection, leases.TIME_ZONES, behind) == ["2026c"]
    assert take(store, B, -clock.TOLERANCE) is None


def test_a_clock_that_was_set_back_takes_nothing_from_who_runs_here(store: Store) -> None:
    mine, back = leases.identity(), timedelta(hours=2)
    assert take(store, mine) == 1
    assert take(store, mine, name=f"gateway:{mine}") == 1
    assert take(store, B, -back) is None
    with store.write() as connection:
        assert leases.bury(connection, [mine], NOW - back) == set()


def test_nobody_commits_under_a_lease_that_was_taken_over(store: Store) -> None:
    fence = take(store, A)
    assert fence is not None
    held = leases.Held("mailbox:default", A, fence)
    with store.write() as connection:
        leases.require(connection, held)
    assert take(store, B, leases.LIFE) == 2
    with pytest.raises(LeaseLost), store.write() as connection:
        leases.require(connection, held)
    # Its own again, it knows nothing of what happened meanwhile.
    assert take(store, A, 2 * leases.LIFE) == 3
    with pytest.raises(LeaseLost), store.write() as connection:
        leases.require(connection, held)


def test_a_lease_is_not_taken_over_before_its_holder_has_committed(store: Store) -> None:
    """SQLite has one writer anyway."""
    fence = take(store, A)
    assert fence is not None
    with store.write() as connection:
        leases.require(connection, leases.Held("mailbox:default", A, fence))
        if not store.is_sqlite:
            with pytest.raises(StoreError, match="lock timeout"):
                _take_at_once(store, B)
    assert take(store, B, leases.LIFE) == 2


def _take_at_once(store: Store, holder: str) -> None:
    with store.write() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
        leases.take(connection, "mailbox:default", holder, NOW + leases.LIFE)
