"""Turns: never more than so many, never all to a destination that has not shown that it can take
them, and none forgotten.
"""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outbound.turns import FEW, Turns


class Street:
    """Letters under way that end when they are told to."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.going = turns, list[tuple[str, asyncio.Event]]()
        self.tasks = list[asyncio.Task[None]]()

    def send(self, domain: str) -> None:
        self.tasks.append(asyncio.create_task(self._go(domain)))

    async def _go(self, domain: str) -> None:
        async with self.turns.turn(domain):
            end = asyncio.Event()
            self.going.append((domain, end))
            try:
                await end.wait()
                self.turns.took(domain)
            finally:
                self.going.remove((domain, end))

    async def settle(self) -> list[str]:
        """Let everybody go on until nobody can; returns who has a turn."""
        for _ in range(3 * len(self.tasks) + 5):
            await asyncio.sleep(0)
        return sorted(domain for domain, _ in self.going)

    async def end(self, domain: str) -> None:
        next(end for one, end in self.going if one == domain).set()
        await self.settle()

    async def cancel(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_destination_begins_with_half_and_gets_more_as_it_takes_letters() -> None:
    street = Street(Turns(4))
    for _ in range(20):
        street.send("a")
    assert await street.settle() == ["a"] * 2
    await street.end("a")
    assert await street.settle() == ["a"] * 3
    await street.end("a")
    await street.end("a")
    assert await street.settle() == ["a"] * 4
    await street.cancel()


async def test_a_destination_that_says_nothing_leaves_turns_to_others() -> None:
    street = Street(Turns(4))
    for _ in range(20):
        street.send("silent")
    for _ in range(4):
        street.send("good")
    assert await street.settle() == ["good", "good", "silent", "silent"]
    await street.end("good")
    assert await street.settle() == ["good", "good", "silent", "silent"]
    await street.cancel()


async def test_one_that_balks_goes_down_to_one_and_comes_up_again() -> None:
    turns = Turns(FEW)
    turns.balked("a")
    assert turns.window("a") == 1
    for expected in (2, 2, 2):
        async with turns.turn("a"):
            turns.took("a")
        assert turns.window("a") == expected, "only who needs more than the first window gets it"


async def test_with_one_connection_destinations_alternate() -> None:
    turns, order = Turns(1), list[str]()

    async def send(domain: str) -> None:
        async with turns.turn(domain):
            order.append(domain)
            await asyncio.sleep(0)

    await asyncio.gather(*(send(domain) for domain in ["a", "a", "a", "b", "b", "c"]))
    assert order == ["a", "a", "b", "c", "a", "b"]


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_waiting_takes_no_turn_along(granted: bool) -> None:
    turns = Turns(1)
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(turns.turn("a"))
        waiting = asyncio.create_task(turns.turn("a").__aenter__())
        await asyncio.sleep(0)
        if granted:
            await first.aclose()  # given, and cancelled before it could be taken
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(60), turns.turn("b"):
        pass


@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["took", "balked", "cut"])), max_size=40
    ),
)
def test_everybody_gets_his_turn_and_never_too_many_at_a_time(
    most: int, letters: list[tuple[str, str]]
) -> None:
    async def play() -> None:
        turns, open_now, done, seen = Turns(most), 0, 0, 0

        async def send(domain: str, ending: str) -> None:
            nonlocal open_now, done, seen
            with contextlib.suppress(ConnectionError):
                async with turns.turn(domain):
                    open_now += 1
                    seen = max(seen, open_now)
                    await asyncio.sleep(0)
                    open_now -= 1
                    done += 1
                    if ending == "cut":
                        raise ConnectionError
                    (turns.took if ending == "took" else turns.balked)(domain)

        async with asyncio.timeout(60):
            await asyncio.gather(*(send(*one) for one in letters))
        assert done == len(letters)
        assert seen <= most
        assert all(1 <= turns.window(domain) <= most for domain in "abc")

    asyncio.run(play())


async def test_a_limit_of_the_server_is_learned_and_one_more_is_tried_after_many_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.outbound.turns.PATIENCE", 10)
    turns = Turns(8)

    async def use(number: int, refused_beyond: int) -> None:
        """So many connections at a time, of which the server refuses what is beyond its limit."""
        async with contextlib.AsyncExitStack() as open_now:
            for one in range(number):
                await open_now.enter_async_context(turns.turn(str(one)))
            for _ in range(number - refused_beyond):
                assert turns.crowded()
            for one in range(min(number, refused_beyond)):
                turns.took(str(one))

    await use(4, 3)
    assert turns.limit == 3
    for _ in range(3):
        await use(3, 3)
    assert turns.limit == 4, "one more after ten letters"
    await use(4, 3)
    assert turns.limit == 3
    for _ in range(4):
        await use(3, 3)
    assert turns.limit == 3, "twice as patient when that was refused"
    for _ in range(3):
        await use(3, 3)
    assert turns.limit == 4


async def test_where_one_connection_is_too_many_it_is_no_matter_of_fewer() -> None:
    turns = Turns(3)
    async with turns.turn("a"):
        assert not turns.crowded()
    assert turns.limit == 1
    async with asyncio.timeout(60), turns.turn("a"):
        pass


async def test_an_account_begins_with_few_connections_and_opens_more_while_all_are_used() -> None:
    turns = Turns(8)
    assert turns.limit == FEW
    for _ in range(3 * FEW):
        async with turns.turn("a"):
            turns.took("a")
    assert turns.limit == FEW, "one was enough"
    for limit in (5, 6, 7, 8, 8):
        assert turns.limit == limit
        async with contextlib.AsyncExitStack() as all_in_use:
            for number in range(limit):
                await all_in_use.enter_async_context(turns.turn(str(number)))
            for number in range(limit):
                turns.took(str(number))


async def test_a_server_that_turns_away_without_a_word_gets_as_many_as_at_first() -> None:
    turns = Turns(8)
    assert not turns.turned_away(0), "there were no more than that"
    async with contextlib.AsyncExitStack() as all_in_use:
        for number in range(FEW):
            await all_in_use.enter_async_context(turns.turn(str(number)))
        for number in range(FEW):
            turns.took(str(number))
        assert turns.limit == FEW + 1
        async with turns.turn("one more") as began:
            assert turns.turned_away(began)
            assert turns.limit == FEW
            assert turns.turned_away(began), "another one that began when there were more"
        assert turns.turned_away(began), "it is told of when there are few again"
        assert not turns.turned_away(began + 1), "one that began since"
        assert turns.limit == FEW
        for number in range(FEW):
            turns.took(str(number))
        assert turns.limit == FEW, "the next one is tried after many letters"
