"""A batch of follow-ups is loaded with a fixed number of statements, and planned as each would be by
itself (architecture.md §1: load, decide, save).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import deliveries, load, one_follow_up, planning
from gateway.actions.context import Context
from gateway.store import schema
from gateway.store.engine import Connection, Store
from gateway.store.pace import Room
from gateway.store.schema_letters import invitation, outbox
from tests.store import rows
from tests.store.test_growth import settled

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
FOLLOW_UPS = 41
"""More than one batch, and no multiple of the first one's size."""
NOW = rows.NOW


def meeting(number: int) -> dict[str, Any]:
    people = [
        {"person": "ola", "email_invite": True},
        {"email": f"eva{number}@ext.example", "email_invite": True},
    ]
    return {
        "key": f"m{number:02}",
        "owner": "kari",
        "title": f"Kick-off {number}",
        "start": f"2040-05-{1 + number // 10:02}T{9 + number % 10:02}:00:00",
        "timezone": "Europe/Oslo",
        "participants": people,
    }


def filled(store: Store, follow_ups: int) -> None:
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "persons": [{"key": "ola", "name": "Ola", "emails": ["ola@ext.example"]}],
        "follow_ups": [meeting(number) for number in range(follow_ups)],
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, NOW)


def send(store: Store) -> None:
    claimed = deliveries.claim(store, "here", NOW, Room(500))
    deliveries.settle(store, "here", [settled(one, NOW) for one in claimed], NOW)


@dataclass
class Batch:
    """What one transaction asked, and how many follow-ups it planned."""

    asked: list[str] = field(default_factory=list)
    planned: int = 0


@contextmanager
def batches(store: Store) -> Iterator[list[Batch]]:
    found = [Batch()]

    def begin(*_: Any) -> None:
        found.append(Batch())

    def execute(*event: Any) -> None:
        statement = event[2]
        if statement.startswith("SELECT"):
            found[-1].asked.append(statement)
        if statement.startswith("UPDATE follow_up SET uid"):
            found[-1].planned += 1

    sa.event.listen(store.engine, "begin", begin)
    sa.event.listen(store.engine, "before_cursor_execute", execute)
    try:
        yield found
    finally:
        sa.event.remove(store.engine, "begin", begin)
        sa.event.remove(store.engine, "before_cursor_execute", execute)


def check_that_sizes_do_not_matter(store: Store) -> None:
    with batches(store) as every:
        assert planning.plan_due(store, SETTINGS, NOW, everything=True) == 2 * FOLLOW_UPS
    found = [one for one in every if one.planned]
    assert sum(one.planned for one in found) == FOLLOW_UPS
    assert len({one.planned for one in found}) > 1, "batches of more than one size"
    assert len({len(one.asked) for one in found}) == 1, _different(found)


def _different(found: list[Batch]) -> list[str]:
    """What one asks and another does not."""
    few, many = (pick(found, key=lambda one: len(one.asked)).asked for pick in (min, max))
    begun = Counter(statement.partition("(")[0] for statement in few)
    return list((Counter(statement.partition("(")[0] for statement in many) - begun).elements())


def test_a_batch_of_any_size_is_loaded_with_the_same_statements(store: Store) -> None:
    filled(store, FOLLOW_UPS)
    check_that_sizes_do_not_matter(store)
    send(store)
    rows.run(store, "UPDATE follow_up SET location = 'Fjord', video_url = 'https://meet.example/1'")
    check_that_sizes_do_not_matter(store)


MOVES = (
    "UPDATE follow_up SET location = 'Fjord'",
    "UPDATE participant SET follow_up = 'm02' WHERE email = 'eva1@ext.example'",
    "UPDATE participant SET follow_up = 'm01' WHERE email = 'eva2@ext.example'",
    "UPDATE participant SET follow_up = 'm00' WHERE email = 'eva3@ext.example'",
    "UPDATE participant SET email = 'per@ext.example', name = 'Per' WHERE email = 'eva4@ext.example'",
    "UPDATE follow_up SET key = 'a05' WHERE key = 'm05'",
    "UPDATE follow_up SET key = 'z06' WHERE key = 'm06'",
    "DELETE FROM follow_up WHERE key = 'm07'",
    "INSERT INTO follow_up (key, owner, title, start_at) VALUES ('m05', 'kari', 'Anew', '2040-05-11 07:00:00')",
    "INSERT INTO follow_up (key, owner, title, start_at) VALUES ('new', 'kari', 'New', '2040-05-11 07:00:00')",
    "INSERT INTO participant (follow_up, person, email_invite, given_token) VALUES ('m05', 'ola', {on}, 'given')",
    "INSERT INTO participant (follow_up, person, email_invite) VALUES ('new', 'ola', {on})",
)
"""What ties the plans of several follow-ups together: rows that are moved to another one, a new key,
a key that is used again.
"""


def owed(connection: Connection) -> tuple[Counter[Any], Counter[Any]]:
    """Every letter, and every invitation."""
    said = ("follow_up", "address", "method", "sequence", "state", "token")
    held = ("participant", "follow_up", "uid", "token", "address", "counts", "former")
    letters = connection.execute(sa.select(*(outbox.c[name] for name in said)))
    invitations = connection.execute(sa.select(*(invitation.c[name] for name in held)))
    return Counter(letters), Counter(invitations)


def test_a_batch_is_planned_as_each_of_it_by_itself(store: Store) -> None:
    filled(store, 8)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    send(store)
    on = "1" if store.is_sqlite else "true"
    rows.run(store, *(statement.format(on=on) for statement in MOVES))
    with store.write() as connection:
        before = connection.begin_nested()
        marked = sa.select(schema.change_mark.c.follow_up).distinct()
        site = Context.read(connection, SETTINGS, NOW)
        for key in sorted(connection.execute(marked).scalars()):
            _, reason = one_follow_up.attempt(connection, key, site)
            assert not reason
        alone = owed(connection)
        before.rollback()
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    with store.read() as connection:
        assert owed(connection) == alone
    letters, _ = alone
    methods = Counter(row.method for row in letters.elements() if row.state == "waiting")
    assert methods["REQUEST"] > 8
    assert methods["CANCEL"] > 3
