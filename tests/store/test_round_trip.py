"""What was loaded and read may be loaded again: nothing changes, and nobody gets a letter (docs/api.md:
GET answers what PUT takes).
"""

from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, event, given
from hypothesis import settings as profile

from gateway import settings as configuration
from gateway import shapes
from gateway.actions import load, planning
from gateway.actions.load_report import Report
from gateway.errors import InputError
from gateway.store import entries, outbox, preferences, reading, schema
from gateway.store.engine import Store
from tests.examples import examples
from tests.store import rows
from tests.store.documents import SITE, documents

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "timezone": SITE}}
)
Json = dict[str, Any]


def empty(store: Store) -> None:
    with store.write() as connection:
        for table in reversed(schema.metadata.sorted_tables):
            if table.name != "meta":
                connection.execute(sa.delete(table))
        connection.execute(sa.delete(schema.change_mark))


def run(store: Store, document: Json) -> tuple[Report, int]:
    """What was loaded, and how many letters are new when all is planned."""
    with store.write() as connection:
        report = load.load(connection, document, SETTINGS, rows.NOW)
    return report, planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def read(store: Store, keys: list[str]) -> Json:
    """Everything as it is shown."""
    with store.read() as connection:
        document: Json = {
            section: [
                entries.one(connection, section, one["key"])
                for one in entries.page(connection, section, "", 200).entries
            ]
            for section in entries.SECTIONS
        }
        document["preferences"] = preferences.stated(connection, [preferences.SITE])[""]
        views = reading.follow_ups(connection, keys, SITE, participants=True)
    document["follow_ups"] = [shapes.writable(shapes.follow_up(view)) for view in views]
    return document


@given(document=documents())
@profile(
    max_examples=examples(20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_read_may_be_written_back(store: Store, document: Json) -> None:
    empty(store)
    try:
        _, letters = run(store, document)
    except InputError as error:
        event(f"refused: {str(error)[:60]}")
        raise
    event(f"letters: {min(letters, 3)}")
    keys = [one["key"] for one in document["follow_ups"]]
    shown = read(store, keys)
    with store.write() as connection:
        connection.execute(sa.delete(schema.change_mark))
    report, more = run(store, shown)
    assert (report.created, report.changed, more) == ({}, {}, 0)
    assert rows.marked(store) == []
    assert read(store, keys) == shown
    with store.read() as connection:
        assert len(outbox.pending(connection)) <= letters
