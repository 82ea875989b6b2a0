"""What a sender knows of its own lease without asking the store."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.outbound import lease

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
SAFE = lease.SAFE.total_seconds()


def begun() -> lease.Lease:
    own = lease.Lease()
    own.renewed(7, NOW, 100.0)
    return own


@pytest.mark.parametrize(
    ("day", "steady", "stands"),
    [
        (0.0, 0.0, True),
        (SAFE - 1, SAFE - 1, True),
        (SAFE, SAFE, False),
        (-7200.0, SAFE - 1, True),  # the clock was set back
        (-7200.0, SAFE, False),
        (SAFE, 1.0, False),  # the machine slept
    ],
)
def test_it_stands_while_both_clocks_say_so(day: float, steady: float, stands: bool) -> None:
    assert begun().stands(NOW + timedelta(seconds=day), 100.0 + steady) is stands


def test_nothing_stands_before_the_first_renewal() -> None:
    assert not lease.Lease().stands(NOW, 100.0)


def test_another_number_is_a_loss_until_nothing_of_before_is_in_hand() -> None:
    own = begun()
    own.renewed(7, NOW, 100.0)
    lost = [own.is_lost]
    own.renewed(9, NOW, 100.0)
    own.renewed(9, NOW, 100.0)
    assert [*lost, own.is_lost] == [False, True]
    assert not own.stands(NOW, 100.0)
    own.start_over()
    assert own.stands(NOW, 100.0)
