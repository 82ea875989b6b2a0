"""Long lists are read some rows at a time, on both databases."""

import sqlalchemy as sa

from gateway.actions import queue
from gateway.model import LetterState
from gateway.store import codec, engine, followups, outbox, schema_letters, views
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from tests.store import crowd, rows

ROWS = 2 * engine.PART + 500
EVERY = Selection(states=tuple(LetterState))


def filled(store: Store) -> None:
    crowd.fill(store, ROWS)
    facts = codec.edition(rows.MEETING)
    with store.write() as connection:
        connection.execute(sa.update(schema_letters.edition).values(facts=facts))


def test_no_list_is_in_memory_as_a_whole(store: Store) -> None:
    filled(store)
    with store.read() as connection:
        members = [len(part) for part in followups.every_member(connection)]
        letters = [len(part) for part in outbox.each(connection, EVERY)]
        shown = [len(part.letters) for part in queue.listings(store, EVERY)]
    assert members == letters == shown == [engine.PART, engine.PART, 500]


def test_rows_that_are_read_in_parts_say_what_a_single_follow_up_says(store: Store) -> None:
    filled(store)
    with store.write() as connection:
        connection.execute(sa.text("UPDATE follow_up SET cancelled = TRUE WHERE key = 'f7'"))
        connection.execute(sa.text("UPDATE participant SET removed = TRUE WHERE id = 11"))
    with store.read() as connection:
        every = list(views.every_status_row(connection))
        for key in ("f1", "f7", "f200"):
            assert [row for row in every if row.follow_up == key] == views.status_rows(
                connection, key
            )
    assert len(every) == ROWS - 1
