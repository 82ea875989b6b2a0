"""The journal is read page by page, and no reader ever steps over an entry."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa

from gateway.model import Channel
from gateway.store import journal, migrate, upkeep
from gateway.store.engine import Store
from gateway.store.journal import Entry
from tests.store import rows

NOW = rows.NOW


def test_entries_are_read_as_they_were_written(store: Store) -> None:
    written = [
        Entry(
            "answered",
            "m1",
            5,
            rows.START,
            "invitation",
            "not_started",
            "ola@ext.example",
            Channel.MAIL,
            None,
            3,
            "Ja, gjerne",
        ),
        Entry("queued", "m1", 5, letter=9, detail="REQUEST"),
        Entry("started", by="gateway"),
    ]
    with store.write() as connection:
        journal.write(connection, written, NOW)
        journal.write(connection, [], NOW)
    with store.read() as connection:
        found = journal.after(connection, 0)
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert [
        (
            one.event,
            one.follow_up,
            one.participant,
            one.instance,
            one.before,
            one.after,
            one.by,
            one.channel,
            one.letter,
            one.message,
            one.detail,
        )
        for one in found
    ] == [
        (
            one.event,
            one.follow_up,
            one.participant,
            one.instance,
            one.before,
            one.after,
            one.by,
            one.channel,
            one.letter,
            one.message,
            one.detail,
        )
        for one in written
    ]
    assert {one.at for one in found} == {NOW}


def test_pages_join_without_a_gap(store: Store) -> None:
    with store.write() as connection:
        journal.write(
            connection,
            [Entry(f"event{number}", "m1" if number % 2 else "m2") for number in range(25)],
            NOW,
        )
    found, last = list[str](), 0
    while True:
        with store.read() as connection:
            page = journal.after(connection, last, 10)
        if not page:
            break
        found += [one.event for one in page]
        last = page[-1].id
    assert found == [f"event{number}" for number in range(25)]
    with store.read() as connection:
        assert journal.newest(connection) == last
        assert [one.event for one in journal.after(connection, 0, 3, "m1")] == [
            "event1",
            "event3",
            "event5",
        ]


def test_an_empty_journal_has_no_newest_entry(store: Store) -> None:
    with store.read() as connection:
        assert journal.newest(connection) == 0
        assert journal.after(connection, 0) == []


def test_a_number_that_is_not_in_the_journal_is_known_as_such(store: Store) -> None:
    with store.write() as connection:
        journal.write(connection, [Entry("one"), Entry("two")], NOW)
    with store.read() as connection:
        numbers = [one.id for one in journal.after(connection, 0)]
        assert [journal.holds(connection, number) for number in (*numbers, numbers[-1] + 1)] == [
            True,
            True,
            False,
        ]
        assert [one.event for one in journal.after(connection, numbers[-1] + 1)] == ["one", "two"]


@pytest.mark.real
def test_an_entry_with_a_lower_number_in_a_later_transaction_is_read(postgres_url: str) -> None:
    """A transaction has its place when it first writes, its entries their numbers when they are
    written: the orders may differ.
    """
    with (
        closing(Store(postgres_url)) as store,
        store.engine.connect() as earlier,
        store.engine.connect() as later,
    ):
        migrate.upgrade(store)
        first, second = earlier.begin(), later.begin()
        earlier.execute(sa.text("SELECT pg_current_xact_id()"))
        later.execute(sa.text("SELECT pg_current_xact_id()"))
        journal.write(later, [Entry("low number")], NOW)
        journal.write(earlier, [Entry("high number")], NOW)
        first.commit()
        with store.read() as connection:
            [high] = journal.after(connection, 0)
            assert (high.event, journal.newest(connection)) == ("high number", high.id)
        second.commit()
        with store.read() as connection:
            [low] = journal.after(connection, high.id)
            assert (low.event, journal.newest(connection)) == ("low number", low.id)
            assert low.id < high.id
            assert journal.after(connection, low.id) == []


@pytest.mark.real
def test_a_journal_restored_into_another_server_is_read_on(postgres_url: str) -> None:
    """The new server counts transactions from its own beginning: what the dump brought would wait
    until it gets there.
    """
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        with store.write() as connection:
            journal.write(connection, [Entry("one"), Entry("two")], NOW)
            connection.execute(sa.text("UPDATE journal SET tx = tx + 1000000 * id"))
        with store.read() as connection:
            assert journal.after(connection, 0) == []
        upkeep.tidy(store, NOW)
        with store.write() as connection:
            journal.write(connection, [Entry("three")], NOW)
        upkeep.tidy(store, NOW)
        with store.read() as connection:
            assert [one.event for one in journal.after(connection, 0)] == ["one", "two", "three"]
            assert (
                connection.execute(sa.text("SELECT count(*) FROM journal WHERE tx = 0")).scalar()
                == 2
            )


@pytest.mark.real
def test_an_entry_that_commits_late_is_not_stepped_over(postgres_url: str) -> None:
    """On PostgreSQL the first writer may commit last: its lower number must not be behind a
    reader's back then.
    """
    with closing(Store(postgres_url)) as store, store.engine.connect() as slow:
        migrate.upgrade(store)
        transaction = slow.begin()
        journal.write(slow, [Entry("early")], NOW)
        with store.write() as fast:
            journal.write(fast, [Entry("late")], NOW)
        with store.read() as connection:
            assert journal.after(connection, 0) == []
            assert journal.newest(connection) == 0
        transaction.commit()
        with store.read() as connection:
            assert [one.event for one in journal.after(connection, 0)] == ["early", "late"]


def test_a_reader_beside_many_writers_sees_every_entry_once_and_in_order(store: Store) -> None:
    done = threading.Event()

    def writer(name: int) -> None:
        for number in range(20):
            with store.write() as connection:
                journal.write(
                    connection, [Entry(f"{name}-{number}a"), Entry(f"{name}-{number}b")], NOW
                )

    def reader() -> list[Entry]:
        found = list[Entry]()
        while True:
            over = done.is_set()  # asked before reading: what was committed by then is read
            with store.read() as connection:
                page = journal.after(connection, found[-1].id if found else 0, 7)
            found += page
            if over and not page:
                return found

    with ThreadPoolExecutor(5) as pool:
        reading = pool.submit(reader)
        for writing in [pool.submit(writer, name) for name in range(4)]:
            writing.result()
        done.set()
        found = reading.result()
    assert len(found) == len({one.event for one in found}) == 160
    for name in range(4):
        own = [one for one in found if one.event.startswith(f"{name}-")]
        assert [one.event for one in own] == [
            f"{name}-{number}{letter}" for number in range(20) for letter in "ab"
        ]
        assert [one.id for one in own] == sorted(one.id for one in own)
