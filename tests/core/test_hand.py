"""How many letters are in hand follows how fast they leave (`outbound.hand`)."""

import pytest

from gateway.outbound.hand import AHEAD_SECONDS, MOST_BATCHES, Hand

BATCH = 100


def after(*seconds_and_letters: tuple[float, int]) -> int:
    """The size after these: so many seconds after the last claim, after so many letters left."""
    hand, at = Hand(BATCH), 1000.0
    hand.claim(at)
    for seconds, letters in seconds_and_letters:
        at += seconds
        hand.leave(letters)
        hand.claim(at)
    return hand.size


def test_the_first_claim_takes_a_batch() -> None:
    hand = Hand(BATCH)
    hand.claim(1000.0)
    assert hand.size == BATCH


@pytest.mark.parametrize(
    ("rate", "size"),
    [
        (0, BATCH),
        (5, BATCH),
        (BATCH / AHEAD_SECONDS, BATCH),
        (2 * BATCH / AHEAD_SECONDS, 2 * BATCH),
        (1_000_000, MOST_BATCHES * BATCH),
    ],
)
@pytest.mark.parametrize("seconds", [0.05, 1.0])
def test_what_leaves_within_a_moment_is_in_hand(rate: float, size: int, seconds: float) -> None:
    assert after((seconds, round(rate * seconds))) == pytest.approx(size, rel=0.05)


def test_a_server_that_becomes_slow_or_a_queue_that_was_empty_has_a_batch_again() -> None:
    assert after((0.1, 100), (60.0, 250)) == BATCH


def test_two_claims_at_one_moment_change_nothing() -> None:
    assert after((0.1, 100), (0.0, 0)) == 300
