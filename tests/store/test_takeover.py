"""A process whose lease ran out while it was held up hands over nothing more, and one that lives
keeps what it claimed, on both databases.

The clock of the day jumps here by as much as a process is held up; its process is one of another
machine, of which nothing but the clock can be seen.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.model import Delivery, LetterState
from gateway.outbound import worker
from gateway.store import leases, meta, schema_letters
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from gateway.store.pace import Room
from tests import waiting
from tests.store import rows
from tests.wire.smtp_peer import Peer, Wait

HERE, ELSEWHERE = "host-a/boot/1:10:aaaa", "host-b/boot/1:10:bbbb"
SECOND = timedelta(seconds=1)


def begin(store: Store, port: int) -> configuration.Settings:
    """Three letters wait, of a follow-up each; one connection at a time."""
    settings = configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example"},
            "smtp": {"host": "127.0.0.1", "port": port, "security": "none", "connections": 1},
        }
    )
    meetings = [
        {
            "key": f"m{number}",
            "owner": "kari",
            "title": "Kick-off",
            "start": "2099-12-01T09:00:00",
            "end": "2099-12-01T10:00:00",
            "participants": [{"email": f"p{number}@ext.example", "email_invite": True}],
        }
        for number in range(3)
    ]
    document = {"associates": [{"key": "kari", "name": "Kari"}], "follow_ups": meetings}
    now = datetime.now(UTC)
    with store.write() as connection:
        load.load(connection, document, settings, now)
    planning.plan_due(store, settings, now, everything=True)
    return settings


def states(store: Store) -> list[tuple[str, str | None, bool]]:
    letters = schema_letters.outbox
    query = sa.select(letters.c.state, letters.c.claimed_by, letters.c.doubtful)
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(letters.c.id))]


def settle(store: Store, letter: Queued, state: LetterState) -> None:
    settlement = Settlement(
        letter.id, state, state is LetterState.SENT, Delivery.SENT, datetime.now(UTC)
    )
    deliveries.settle(store, ELSEWHERE, [(letter, settlement, None)], datetime.now(UTC))


@pytest.mark.parametrize("step", ["rcpt", "data", "body"])
async def test_who_was_held_up_hands_over_nothing_more_and_goes_on_afterwards(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    # Nothing is renewed unless the test has let it.
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 3600.0)
    answer, stop = asyncio.Event(), asyncio.Event()
    peer = Peer({step: Wait(answer)}, {})
    async with peer.serving(), asyncio.timeout(120):
        settings = begin(store, peer.port)
        with store.write() as connection:
            secret = meta.site_secret(connection)
        sender = worker.Worker(store, settings, secret, HERE, asyncio.Event())
        task = asyncio.create_task(sender.run(stop))
        word = {"rcpt": b"RCPT", "data": b"DATA"}.get(step)
        await peer.until(lambda seen: seen.dots == 1 if word is None else _said(seen, word))
        with time_machine.travel(datetime.now(UTC) + leases.LIFE + SECOND, tick=True):
            # No wait in between: the worker has had no turn since it was held up.
            # A lease that a thread of the worker locks just then is skipped: it is asked for again.
            tries = (
                deliveries.claim(store, ELSEWHERE, datetime.now(UTC), Room(10)) for _ in range(100)
            )
            taken = next(filter(None, tries), [])
            assert len(taken) == 3
            assert states(store) == [("sending", ELSEWHERE, True)] * 3
            for letter in taken[:2]:
                settle(store, letter, LetterState.SENT)
            settle(store, taken[2], LetterState.WAITING)
            answer.set()
            await peer.until(lambda seen: b"p2@ext" in b"".join(_recipients(seen)))
            stop.set()
            await task
    handed_over = _recipients(peer)
    assert [line for line in peer.lines if b"p1@ext" in line] == []
    assert len(handed_over) == (2 if step == "body" else 1)
    assert [state for state, *_ in states(store)] == ["sent"] * 3


@asynccontextmanager
async def losing(
    store: Store, state: str, meanwhile: Callable[[sa.Connection], None] | None = None
) -> AsyncIterator[tuple[Peer, list[int]]]:
    """A sender whose store keeps that letters come into this state, and what happens meanwhile, and
    the connection ends before it can say so. Gives its server, and the number of those letters once
    it happened.
    """
    kept = f"SELECT count(*) FROM outbox WHERE state = '{state}'"
    lost = list[int]()

    def answer_is_lost(connection: sa.Connection) -> None:
        if not lost and (number := connection.exec_driver_sql(kept).scalar_one()):
            lost.append(number)
            if meanwhile is not None:
                meanwhile(connection)
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.commit()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("the connection was closed"))

    peer, stop = Peer(), asyncio.Event()
    async with peer.serving(), asyncio.timeout(60):
        settings = begin(store, peer.port)
        with store.write() as connection:
            secret = meta.site_secret(connection)
        sa.event.listen(store.engine, "commit", answer_is_lost)
        try:
            sender = worker.Worker(store, settings, secret, HERE, asyncio.Event())
            task = asyncio.create_task(sender.run(stop))
            yield peer, lost
            stop.set()
            await task
        finally:
            sa.event.remove(store.engine, "commit", answer_is_lost)


@pytest.mark.parametrize("state", ["sending", "sent"])
async def test_letters_leave_once_where_the_answer_of_the_database_got_lost(
    store: Store, state: str
) -> None:
    """It has kept the claim, or what came of the letters, and the connection ends before it can say
    so. The gateway lives, so nobody else would free what it claimed.
    """
    async with losing(store, state) as (peer, lost):
        await peer.until(lambda seen: len(seen.letters) == 3)
    assert lost
    assert states(store) == [("sent", None, False)] * 3
    assert len(_recipients(peer)) == 3
    with store.read() as connection:
        tries = connection.execute(sa.select(schema_letters.outbox.c.tries)).scalars().all()
        tried = connection.execute(sa.select(schema_letters.attempt.c.letter)).scalars().all()
    assert (tries, sorted(tried)) == ([1] * 3, [1, 2, 3])


async def test_what_was_said_during_an_outage_is_heard_before_what_was_claimed_at_its_beginning(
    store: Store,
) -> None:
    """Sending was paused while the sender could not reach the store: nothing leaves, and what it
    has claimed without knowing waits, to be replaced or dropped, as all other letters do.
    """

    def pause(connection: sa.Connection) -> None:
        meta.pause(connection, datetime.now(UTC), "chief")

    async with losing(store, "sending", pause) as (peer, lost):
        waits = [("waiting", None, False)] * 3
        await waiting.until(lambda: bool(lost) and states(store) == waits)
        assert not peer.letters
        with store.write() as connection:
            meta.go_on(connection)
        await peer.until(lambda seen: len(seen.letters) == 3)
    assert len(_recipients(peer)) == 3
    with store.read() as connection:
        tries = connection.execute(sa.select(schema_letters.outbox.c.tries)).scalars().all()
    assert tries == [1] * 3


async def test_who_is_cut_off_on_the_way_to_a_claim_keeps_nothing(store: Store) -> None:
    """The thread that claims goes on. Where it came to the store only after all was given back, it
    took letters for a sender that was gone, and whose process lived.
    """
    on_the_way, given_back = threading.Event(), threading.Event()

    def hold(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "min(outbox.due_at" in statement and not on_the_way.is_set():
            on_the_way.set()
            given_back.wait(1.0)  # who gives back may wait for this one instead
        elif statement.startswith("UPDATE lease") and on_the_way.is_set():
            given_back.set()

    peer = Peer()
    async with peer.serving(), asyncio.timeout(60):
        settings = begin(store, peer.port)
        with store.write() as connection:
            secret = meta.site_secret(connection)
        sa.event.listen(store.engine, "after_cursor_execute", hold)
        try:
            sender = worker.Worker(store, settings, secret, HERE, asyncio.Event())
            task = asyncio.create_task(sender.run(asyncio.Event()))
            await asyncio.to_thread(on_the_way.wait, 30)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.get_running_loop().shutdown_default_executor()
        finally:
            sa.event.remove(store.engine, "after_cursor_execute", hold)
    assert {(state, holder) for state, holder, _ in states(store)} == {("waiting", None)}


def _said(peer: Peer, word: bytes) -> bool:
    return any(line.startswith(word) for line in peer.lines)


def _recipients(peer: Peer) -> list[bytes]:
    """Of the letters that were handed over, to the final dot."""
    return [letter.recipient for letter in peer.offered]


def test_a_process_that_lives_keeps_its_letters_though_its_lease_ran_out(store: Store) -> None:
    begin(store, 25)
    living, now = leases.identity(), datetime.now(UTC)
    assert len(deliveries.claim(store, living, now, Room(10))) == 3
    late = now + leases.LIFE * 3
    assert deliveries.claim(store, ELSEWHERE, late, Room(10)) == []
    assert states(store) == [("sending", living, False)] * 3
    hangs = now + leases.LIFE + leases.HANGS
    assert len(deliveries.claim(store, ELSEWHERE, hangs, Room(10))) == 3
    assert states(store) == [("sending", ELSEWHERE, True)] * 3


def test_whoever_lost_a_lease_learns_it_by_the_number(store: Store) -> None:
    begin(store, 25)
    now = datetime.now(UTC)
    before = deliveries.renew(store, HERE, now)
    deliveries.claim(store, HERE, now, Room(10))
    assert deliveries.renew(store, HERE, now + leases.LIFE * 2) == before  # nobody was there
    deliveries.claim(store, ELSEWHERE, now + leases.LIFE * 3, Room(10))
    assert deliveries.renew(store, HERE, now + leases.LIFE * 3) > before


@pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.real)], indirect=True
)
def test_a_lease_that_is_being_renewed_is_taken_from_nobody(store: Store) -> None:
    """SQLite has one writer."""
    with store.write() as connection:
        leases.take(connection, f"gateway:{HERE}", HERE, rows.NOW)
    late = rows.NOW + leases.LIFE
    with store.write() as renewing:
        leases.take(renewing, f"gateway:{HERE}", HERE, late)
        with store.write() as connection:
            assert leases.bury(connection, [HERE, "never-seen/boot/1:1:c"], late) == {
                "never-seen/boot/1:1:c"
            }
    with store.write() as connection:
        assert leases.bury(connection, [HERE], late + leases.LIFE) == {HERE}
