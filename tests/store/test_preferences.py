"""What an associate or the site prefers decides how long a follow-up is of which nobody says so
(domain.md §2, §11)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import planning
from gateway.model import Kind
from gateway.store import invitations, journal, outbox, preferences
from gateway.store.engine import Store
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NEW = (
    "INSERT INTO follow_up (key, owner, kind, title, start_at)"
    " VALUES ('{key}', {owner}, '{kind}', 'New', '2026-12-03 08:00:00')"
)
INVITED = "INSERT INTO participant (follow_up, person, email_invite) VALUES ('{key}', 'ola', TRUE)"


def make(store: Store, key: str, owner: str = "'kari'", kind: str = "meeting") -> None:
    rows.run(store, NEW.format(key=key, owner=owner, kind=kind), INVITED.format(key=key))
    plan(store)


def plan(store: Store) -> int:
    return planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def state(store: Store, who: str, **values: object) -> bool:
    with store.write() as connection:
        return preferences.state(connection, who, values)


def length(store: Store, key: str) -> timedelta:
    """As it was told last."""
    with store.read() as connection:
        _, told = next(iter(invitations.earlier(connection, key, 1)))
    assert told.start is not None
    assert told.end is not None
    return told.end - told.start


@pytest.mark.parametrize(("kind", "minutes"), [("meeting", 60), ("task", 60), ("call", 15)])
def test_without_a_preference_it_is_as_long_as_ever(store: Store, kind: str, minutes: int) -> None:
    rows.begin(store)
    make(store, "n", kind=kind)
    assert length(store, "n") == timedelta(minutes=minutes)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_owners_counts_over_the_sites(store: Store, kind: Kind) -> None:
    rows.begin(store)
    state(store, preferences.SITE, **{f"{kind}_minutes": 40})
    state(store, "kari", **{f"{kind}_minutes": 25})
    make(store, "karis", kind=kind)
    make(store, "pers", "'per'", kind)
    make(store, "nobodys", "NULL", kind)
    lengths = [length(store, key) for key in ("karis", "pers", "nobodys")]
    assert lengths == [timedelta(minutes=minutes) for minutes in (25, 40, 40)]


def test_another_preference_moves_nothing_that_was_told(store: Store) -> None:
    rows.begin(store)
    make(store, "n")
    state(store, "kari", meeting_minutes=30)
    rows.run(store, "UPDATE follow_up SET title = 'Newer' WHERE key = 'n'")
    plan(store)
    assert length(store, "n") == timedelta(hours=1)
    rows.run(store, "UPDATE follow_up SET start_at = '2026-12-04 08:00:00' WHERE key = 'n'")
    plan(store)
    assert length(store, "n") == timedelta(hours=1)
    rows.run(store, "UPDATE follow_up SET kind = 'call' WHERE key = 'n'")
    plan(store)
    assert length(store, "n") == timedelta(minutes=15)


def test_an_end_before_the_start_has_the_preferred_length(store: Store) -> None:
    rows.begin(store)
    state(store, "kari", meeting_minutes=30)
    rows.run(store, "UPDATE follow_up SET end_at = '2026-11-30 08:00:00' WHERE key = 'm1'")
    plan(store)
    assert length(store, "m1") == timedelta(minutes=30)
    with store.read() as connection:
        assert "end_ignored" in [one.event for one in journal.after(connection, 0, 100)]


def test_a_preference_needs_no_further_statement_of_the_planner(store: Store) -> None:
    rows.begin(store)
    make(store, "n")

    def statements() -> int:
        counted = list[str]()
        rows.run(store, "UPDATE follow_up SET location = location || '.' WHERE key = 'n'")
        plan(store)  # whatever is done once only
        rows.run(store, "UPDATE follow_up SET location = location || '.' WHERE key = 'n'")
        count = lambda *arguments: counted.append(arguments[2])  # noqa: E731
        sa.event.listen(store.engine, "before_cursor_execute", count)
        plan(store)
        sa.event.remove(store.engine, "before_cursor_execute", count)
        return len(counted)

    without = statements()
    state(store, "kari", meeting_minutes=30)
    state(store, preferences.SITE, meeting_minutes=45, working_hours={})
    assert statements() == without


def test_what_is_stated_is_read_and_can_be_taken_back(store: Store) -> None:
    rows.begin(store)
    assert state(store, "kari", call_minutes=10, timezone="Europe/Oslo", language="nb")
    assert not state(store, "kari", call_minutes=10, timezone="Europe/Oslo")
    state(store, preferences.SITE, timezone="Europe/Berlin", language="de", first_weekday="sunday")
    with store.read() as connection:
        found = preferences.of_each(connection, ["kari", "per", "nobody", preferences.SITE])
    clocks = {who: (one.timezone, one.language) for who, one in found.items()}
    assert clocks == {
        "kari": ("Europe/Oslo", "nb"),
        "per": ("Europe/Berlin", "de"),
        "nobody": ("Europe/Berlin", "de"),
        "": ("Europe/Berlin", "de"),
    }
    assert (found["kari"].call_minutes, found["kari"].first_weekday) == (10, 6)
    assert state(store, "kari", call_minutes=None, timezone=None, language=None)
    with store.read() as connection:
        assert preferences.of(connection, "kari") == found["per"]
        assert preferences.stated(connection, ["kari"]) == {"kari": {}}


def test_what_cannot_be_read_counts_as_not_stated(store: Store) -> None:
    rows.begin(store)
    rows.run(
        store,
        "INSERT INTO preference (associate, name, value) VALUES ('kari', 'meeting_minutes', '{')",
        "INSERT INTO preference (associate, name, value) VALUES ('', 'meeting_minutes', '\"1\"')",
        "INSERT INTO preference (associate, name, value) VALUES ('', 'colour', '1')",
        "INSERT INTO preference (associate, name, value) VALUES ('kari', 'timezone', '\"UTC\"')",
    )
    preferences._ignored.cache_clear()
    with capture_logs() as logs:
        make(store, "n")
        with store.read() as connection:
            assert preferences.of(connection, "kari").timezone == ""
    assert length(store, "n") == timedelta(hours=1)
    assert [one["name"] for one in logs].count("meeting_minutes") == 2
    with store.read() as connection:
        assert {one.letter.address for one in outbox.pending(connection)} == {"ola@ext.example"}
