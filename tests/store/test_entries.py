"""Reading the directory costs what is shown, however many people and follow-ups there are
(quality.md)."""

import threading

import pytest
import sqlalchemy as sa

from gateway.actions import directory
from gateway.actions.desk import Desk
from gateway.model import Access, Actor
from gateway.store import entries, marks, picks, preferences, schema
from gateway.store.engine import Store
from tests.store import crowd, rows
from tests.store.test_growth import ROWS, SETTINGS, walking

KEYS = {"associates": "a7", "persons": "p7"}
CRM = Actor(Access.CRM, name="crm")


def read(store: Store) -> None:
    with store.read() as connection:
        for section in entries.SECTIONS:
            key = KEYS.get(section, "x")
            entries.one(connection, section, key)
            entries.uses(connection, section, key)
            entries.page(connection, section, "", 50)
            entries.page(connection, section, "p5", 50)
            entries.page(connection, section, "", 50, "nobody is called so")
            entries.page(connection, section, "", 50, "p7@ext.example")
        preferences.of_each(connection, ["a7", "a8", preferences.SITE])


def write(store: Store) -> None:
    """A card that forty follow-ups name."""
    with store.write() as connection:
        desk = Desk(connection, SETTINGS, rows.NOW, CRM)
        directory.put(desk, "persons", "p7", {"name": "Another", "emails": ["p7@ext.example"]})
        directory.prefer(desk, "a7", {"call_minutes": 10})
        assert marks.made_since(connection, 0)


def test_nothing_of_the_directory_walks_through_what_grows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "LOOK", 200)
    crowd.fill(store, ROWS)
    assert walking(store, read) == []
    assert walking(store, write) == []


def test_a_name_is_found_in_capitals_or_not(store: Store) -> None:
    """By programs and on the page alike, on both databases."""
    rows.run(store, "INSERT INTO person (key, name) VALUES ('p1', 'Øyvind McDonald')")
    with store.read() as connection:
        for words in ("øyvind", "ØYVIND", "mcdonald", "McDon", "øyvind mcdonald"):
            [entry] = entries.page(connection, "persons", "", 50, words).entries
            [pick] = picks.listed(connection, "person", words)
            assert (entry["key"], pick.who) == ("p1", "person:p1"), words
        assert picks.listed(connection, "person", "%") == []


def test_who_writes_an_entry_waits_for_whoever_is_at_it(store: Store) -> None:
    """Or two would change the same ETag."""
    begun, seen = threading.Event(), list[str]()

    def second() -> None:
        begun.wait(60)
        with store.write() as connection:
            desk = Desk(connection, SETTINGS, rows.NOW, CRM)
            for section in ("companies", "sales"):
                seen.append((directory.before(desk, section, "x") or {}).get("name", "nothing"))

    other = threading.Thread(target=second)
    other.start()
    with store.write() as connection:
        desk = Desk(connection, SETTINGS, rows.NOW, CRM)
        for section in ("companies", "sales"):
            directory.before(desk, section, "x")
        begun.set()
        other.join(0.2)
        for section in ("companies", "sales"):
            directory.put(desk, section, "x", {"name": "the first"})
    other.join(60)
    assert seen == ["the first", "the first"]


def test_what_others_mark_meanwhile_counts_for_the_brake(store: Store) -> None:
    """domain.md §10: only what this command marked is a person's doing."""
    rows.begin(store)
    begun, done = threading.Event(), threading.Event()

    def another() -> None:
        begun.wait(60)
        rows.run(store, "UPDATE follow_up SET cancelled = TRUE WHERE key = 'm2'")
        done.set()

    other = threading.Thread(target=another)
    other.start()
    with store.write() as connection:
        desk = Desk(connection, SETTINGS, rows.NOW, CRM)
        number = marks.newest_number(connection)
        begun.set()
        if not store.is_sqlite:  # which has one writer
            assert done.wait(60)
        directory.put(desk, "persons", "ola", {"emails": ["ola@new.example"]})
        assert marks.made_since(connection, number) == ["m1"]
    other.join(60)
    with store.read() as connection:
        found = connection.execute(
            sa.select(schema.change_mark.c.follow_up, schema.change_mark.c.single)
        )
        assert {tuple(row) for row in found} == {("m1", True), ("m2", False)}


def test_a_page_ends_where_it_says(store: Store) -> None:
    crowd.fill(store, 100)
    with store.read() as connection:
        first = entries.page(connection, "persons", "", 700)
        second = entries.page(connection, "persons", first.last or "", 700)
    keys = [one["key"] for one in (*first.entries, *second.entries)]
    assert len(keys) == len(set(keys)) == 1100
    assert (first.last, second.last) == (keys[699], None)
