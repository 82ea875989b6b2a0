"""What the page reads from a real store, written the way other programs write it."""

import sqlite3
from datetime import UTC, datetime, timedelta

from gateway.model import Delivery, Kind, Role
from gateway.settings import Mail
from gateway.store import engine
from gateway.web import overview, page

MAIL = Mail(timezone="Europe/Oslo")
NOW = datetime.now(UTC).replace(microsecond=0)


def write(store: engine.Store, *statements: str) -> None:
    with sqlite3.connect(store.path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def at(**delta: float) -> str:
    return (NOW + timedelta(**delta)).strftime("%Y-%m-%d %H:%M:%S")


def meeting(key: str, start: str, end: str, **more: object) -> str:
    columns = {"key": key, "title": f"title of {key}", "start_at": start, "end_at": end} | more
    return f"INSERT INTO follow_up ({', '.join(columns)}) VALUES ({', '.join(repr(value) for value in columns.values())})"


def test_what_lies_ahead_comes_in_the_order_of_its_time(store):
    write(
        store,
        meeting("later", at(days=3), at(days=3, hours=1)),
        meeting("soon", at(hours=1), at(hours=2)),
        meeting("today", at(hours=-3), at(hours=-2)),
        meeting("long ago", at(days=-9), at(days=-9, hours=1)),
        meeting("series", at(days=-9), at(days=-9, hours=1), rrule="FREQ=WEEKLY"),
        "INSERT INTO follow_up (key, kind) VALUES ('someday', 'task')",
        f"INSERT INTO follow_up (key, kind, deadline) VALUES ('task', 'task', '{at(days=2)}')",
    )
    shown = overview.shown(store, MAIL, 100)
    assert [one.key for one in shown.follow_ups] == [
        "series",
        "today",
        "soon",
        "task",
        "later",
        "someday",
    ]
    assert [one.key for one in shown.follow_ups if one.series] == ["series"]
    assert [one.key for one in overview.shown(store, MAIL, 2).follow_ups] == ["series", "today"]
    assert page.when(shown.follow_ups[3]).startswith("by ")


def test_rows_carry_who_and_how_they_stand(store):
    write(
        store,
        "INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari Nordmann', 'kari@crm.example')",
        "INSERT INTO resource (key, name) VALUES ('fjord', 'Fjord')",
        "INSERT INTO person (key, name) VALUES ('ola', 'Ola Hansen')",
        "INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@ext.example')",
        meeting(
            "m1",
            at(hours=1),
            at(hours=2),
            owner="kari",
            location="Fjord",
            timezone="America/New_York",
        ),
        "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'kari')",
        "INSERT INTO participant (follow_up, person, email_invite) VALUES ('m1', 'ola', 1)",
        "INSERT INTO participant (follow_up, resource) VALUES ('m1', 'fjord')",
        "INSERT INTO participant (follow_up, email, name, removed) VALUES ('m1', 'gone@ext.example', 'Gone', 1)",
    )
    [card] = overview.shown(store, MAIL, 100).follow_ups
    assert (card.kind, card.owner, card.location, card.timezone) == (
        Kind.MEETING,
        "Kari Nordmann",
        "Fjord",
        "America/New_York",
    )
    assert [(row.name, row.role, page.words(row)) for row in card.participants] == [
        ("Kari Nordmann", Role.OWNER, "Owner"),
        ("Ola Hansen", Role.INVITED, "Not answered"),
        ("Fjord", Role.RESOURCE, "Booked"),
    ]
    assert card.participants[1].address == "ola@ext.example"
    assert card.participants[1].delivery is Delivery.NONE


def test_the_number_of_statements_does_not_grow_with_the_page(store):
    def statements() -> int:
        seen: list[str] = []
        engine.sa.event.listen(
            store.engine, "before_cursor_execute", count := lambda *given: seen.append(given[2])
        )
        overview.shown(store, MAIL, 100)
        engine.sa.event.remove(store.engine, "before_cursor_execute", count)
        return len(seen)

    write(
        store,
        meeting("m0", at(hours=1), at(hours=2)),
        "INSERT INTO participant (follow_up, email) VALUES ('m0', 'a@b.example')",
    )
    few = statements()
    for number in range(1, 30):
        write(
            store,
            meeting(f"m{number}", at(hours=1), at(hours=2)),
            f"INSERT INTO participant (follow_up, email) VALUES ('m{number}', 'a@b.example')",
        )
    assert len(overview.shown(store, MAIL, 100).follow_ups) == 30
    assert statements() == few
