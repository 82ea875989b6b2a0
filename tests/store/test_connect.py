"""docs/connect.md does what it says: its statements are run as they stand, on both databases."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import planning
from gateway.store.engine import Store
from tests.store import rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "connect.md"
SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
SUPEROFFICE = """
CREATE TABLE crm.appointment (appointment_id INTEGER, mother_id INTEGER, title TEXT, location TEXT, activeDate {time}, endDate {time}, invitedPersonId INTEGER, status INTEGER);
CREATE TABLE crm.person (person_id INTEGER, firstname TEXT, lastname TEXT);
CREATE TABLE crm.email (person_id INTEGER, email_address TEXT, rank INTEGER);
INSERT INTO crm.appointment VALUES (7, 7, 'Kick-off', 'Fjord', '2026-12-01 08:00:00', '2026-12-01 09:00:00', 0, 1);
INSERT INTO crm.appointment VALUES (8, 7, 'Kick-off', 'Fjord', '2026-12-01 08:00:00', '2026-12-01 09:00:00', 3, 5);
INSERT INTO crm.person VALUES (3, 'Ola', 'Hansen');
INSERT INTO crm.email VALUES (3, 'ola@ext.example', 1)
"""
ESPO = """
CREATE TABLE crm.meeting (id TEXT, name TEXT, description TEXT, date_start {time}, date_end {time}, status TEXT);
CREATE TABLE crm.contact (id TEXT, first_name TEXT, last_name TEXT);
CREATE TABLE crm.contact_meeting (contact_id TEXT, meeting_id TEXT, status TEXT, deleted BOOLEAN);
CREATE TABLE crm.email_address (id TEXT, name TEXT);
CREATE TABLE crm.entity_email_address (entity_id TEXT, entity_type TEXT, email_address_id TEXT, "primary" BOOLEAN);
INSERT INTO crm.meeting VALUES ('m', 'Kick-off', NULL, '2026-12-01 08:00:00', '2026-12-01 09:00:00', 'Planned');
INSERT INTO crm.contact VALUES ('c', 'Ola', 'Hansen');
INSERT INTO crm.contact_meeting VALUES ('c', 'm', 'None', FALSE);
INSERT INTO crm.email_address VALUES ('e', 'ola@ext.example');
INSERT INTO crm.entity_email_address VALUES ('c', 'Contact', 'e', TRUE)
"""
ODOO = """
CREATE TABLE crm.calendar_event (id INTEGER, name TEXT, location TEXT, videocall_location TEXT, start {time}, stop {time}, active BOOLEAN);
CREATE TABLE crm.calendar_attendee (event_id INTEGER, email TEXT, common_name TEXT, state TEXT);
INSERT INTO crm.calendar_event VALUES (5, 'Kick-off', NULL, NULL, '2026-12-01 08:00:00', '2026-12-01 09:00:00', TRUE);
INSERT INTO crm.calendar_attendee VALUES (5, 'ola@ext.example', 'Ola Hansen', 'needsAction')
"""


def section(heading: str) -> str:
    text = DOCUMENT.read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n{heading}")
    assert found, f"docs/connect.md has no {heading!r}"
    level = heading.partition(" ")[0]
    return re.split(rf"(?m)^#{{2,{len(level)}}} ", rest)[0]


def statements(heading: str) -> list[str]:
    """The SQL of a section."""
    blocks = re.findall(r"(?ms)^```sql\n(.*?)^```", section(heading))
    return [one.strip() for block in blocks for one in block.split(";\n") if one.strip(" ;\n")]


@contextmanager
def connected(store: Store) -> Iterator[Any]:
    """As another program is, with the CRM's tables in reach; one transaction."""
    if not store.is_sqlite:
        with store.engine.begin() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            yield driver.cursor()
        return
    assert store.path is not None
    with closing(sqlite3.connect(store.path)) as file:
        file.execute(f"ATTACH '{store.path.with_name('crm.db')}' AS crm")
        file.execute("PRAGMA foreign_keys = ON")
        yield file.cursor()
        file.commit()


def run(store: Store, *lines: str) -> None:
    with connected(store) as program:
        for line in lines:
            program.execute(line)


def status(store: Store, key: str) -> list[tuple[str, str, str]]:
    with store.read() as connection:
        query = sa.text(
            "SELECT name, address, status FROM participant_status WHERE follow_up = :key"
        )
        return [tuple(row) for row in connection.execute(query, {"key": key})]


def test_two_inserts_and_a_view(store: Store) -> None:
    first, second, looked, changes = statements("## Plain SQL")
    run(store, first, second)
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    with store.read() as connection:
        [row] = connection.exec_driver_sql(looked).all()
        events = [one.event for one in connection.exec_driver_sql(changes)]
    assert (row.key, row.name, row.status, row.reply) == (
        "eva@other.example",
        "Eva Lind",
        "invitation",
        "needs-action",
    )
    assert row.delivery == "queued"
    assert "queued" in events


@pytest.mark.parametrize(
    ("heading", "tables", "key", "query", "before", "after"),
    [
        (
            "### SuperOffice",
            SUPEROFFICE,
            "so-7",
            "SELECT status FROM crm.appointment WHERE appointment_id = 8",
            5,
            1,
        ),
        (
            "### EspoCRM",
            ESPO,
            "espo-m",
            "SELECT status FROM crm.contact_meeting",
            "None",
            "Accepted",
        ),
        (
            "### Odoo",
            ODOO,
            "odoo-5",
            "SELECT state FROM crm.calendar_attendee",
            "needsAction",
            "accepted",
        ),
    ],
)
def test_a_crm_is_connected_by_three_statements(
    store: Store, heading: str, tables: str, key: str, query: str, before: object, after: object
) -> None:
    time = "TEXT" if store.is_sqlite else "timestamp"
    if not store.is_sqlite:
        run(store, "CREATE SCHEMA crm")
    run(store, *(line for line in tables.format(time=time).split(";\n") if line.strip()))
    follow_ups, people, back = statements(heading)
    run(store, follow_ups, people)
    assert status(store, key) == [("Ola Hansen", "ola@ext.example", "invitation")]
    run(store, back)
    assert said(store, query) == before
    rows.run(store, f"UPDATE participant SET set_status = 1 WHERE follow_up = '{key}'")
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    run(store, back)
    assert said(store, query) == after
    rows.run(store, "DELETE FROM change_mark")
    run(store, follow_ups, people, back)
    assert rows.marked(store) == [], "what is written again as it stands is no change"


def said(store: Store, query: str) -> object:
    with connected(store) as program:
        [value] = program.execute(query).fetchone()
    return value
